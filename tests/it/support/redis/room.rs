//! How many servers run at once, whatever number of tests the machine runs in parallel.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::support::within;

const PROCESSES: usize = 8;

/// How long a test waits for its turn: as long as many others may take.
const QUEUE: Duration = Duration::from_secs(300);

static ROOM: Semaphore = Semaphore::const_new(PROCESSES);

thread_local! {
    /// How much room the test of this thread has; the harness gives each test its thread.
    static HELD: Arc<AtomicUsize> = Arc::default();
}

/// Room for some processes, given back when dropped.
pub(super) struct Room {
    permit: Option<SemaphorePermit<'static>>,
    held: Arc<AtomicUsize>,
}

impl Room {
    /// Waits for its turn. A test that has servers already does not wait for more: it might wait for one that waits for it.
    pub(super) async fn for_processes(count: u32) -> Room {
        let held = HELD.with(Arc::clone);
        let first = held.fetch_add(1, Ordering::Relaxed) == 0;
        let mut room = Room { permit: None, held };
        room.permit = if first {
            let turn = within(QUEUE, "room for servers", ROOM.acquire_many(count)).await;
            Some(turn.expect("nobody closes it"))
        } else {
            ROOM.try_acquire_many(count).ok()
        };
        room
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}
