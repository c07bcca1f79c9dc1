//! How much is held in memory of bodies that are on their way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for so many bytes of all bodies together: a permit for each that is held.
#[derive(Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// What one body takes of it, until it is dropped.
pub(super) type Held = Option<OwnedSemaphorePermit>;

impl Room {
    /// For so many bytes.
    pub(super) fn new(most: usize) -> Room {
        Room(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes so many bytes more, if there is room; never waited for, as those who hold some would wait for each other.
    pub(super) fn take(&self, held: &mut Held, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else {
            return false;
        };
        match Arc::clone(&self.0).try_acquire_many_owned(bytes) {
            Ok(more) => {
                match held {
                    Some(held) => held.merge(more),
                    None => *held = Some(more),
                }
                true
            }
            Err(_) => false,
        }
    }
}
