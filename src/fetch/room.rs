//! Room for bytes of bodies that are held at a time.

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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::body::Body;
    use crate::body::Chunk;
    use crate::body::End;

    #[tokio::test]
    async fn what_is_held_is_given_back_once_it_has_been_read() {
        let room = Room::new(10);
        let (mut held, mut other): (Held, Held) = (None, None);
        assert!(room.take(&mut held, 2) && room.take(&mut held, 4));
        assert!(!room.take(&mut other, 5));
        assert!(room.take(&mut other, 4));
        drop(other);
        let body = Body::joined("abcdef".into(), "gh".into());
        let peeked = body.peek(|bytes| bytes > 6).await;
        assert_eq!(
            (peeked.end, peeked.data()),
            (End::NotYet, Bytes::from_static(b"abcdef"))
        );
        let mut body = peeked.whole(held);
        let mut text = Vec::new();
        while let Some(Ok(Chunk::Data(data))) = body.next().await {
            text.extend_from_slice(&data);
        }
        assert_eq!(text, b"abcdefgh");
        assert!(room.take(&mut None, 10));
    }
}
