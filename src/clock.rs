//! The only reader of time and chance; everything else is told what time it is.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::model::time::Timestamp;

/// Where *now* comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that moves only when told to, for tests.
    Manual(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// A clock that stands still at `start`.
    pub fn manual(start: Timestamp) -> Clock {
        Clock::Manual(Arc::new(watch::Sender::new(start)))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that reads the clock"
            )]
            Clock::System => SystemTime::now().into(),
            Clock::Manual(at) => *at.borrow(),
        }
    }

    /// Moves a manual clock on; a system clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Clock::Manual(at) = self {
            at.send_modify(|at| *at = *at + by);
        }
    }

    /// Sets a manual clock, back too; a system clock stays as it is.
    pub fn set(&self, to: Timestamp) {
        if let Clock::Manual(at) = self {
            at.send_replace(to);
        }
    }

    /// Waits until that time. The machine's clock may be set meanwhile: who must not be early looks again.
    pub async fn sleep_until(&self, at: Timestamp) {
        match self {
            Clock::System => tokio::time::sleep(at.since(self.now())).await,
            Clock::Manual(now) => {
                let reached = |now: &Timestamp| *now >= at;
                now.subscribe().wait_for(reached).await.ok(); // an error says that nobody moves it any more
            }
        }
    }

    /// What comes of `work`, if it is done within `limit`. Setting the machine's clock makes no difference.
    pub async fn within<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        match self {
            Clock::System => tokio::time::timeout(limit, work).await.ok(),
            Clock::Manual(_) => tokio::select! {
                biased;
                output = work => Some(output),
                () = self.sleep_until(self.now() + limit) => None,
            },
        }
    }

    /// A number between 0 and 1, by chance; 1 is never drawn.
    pub fn chance(&self) -> f64 {
        fastrand::f64()
    }
}
