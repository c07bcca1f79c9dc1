//! The numbers of the sidecar, once a second, for everybody who listens: made once for all, and not at all while nobody does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::admin::Admin;

/// How often the numbers are told.
const EVERY: Duration = Duration::from_secs(1);

/// Who tells the numbers.
#[derive(Debug)]
pub(super) struct Feed {
    /// As JSON. Who is slow misses some and sees the last.
    numbers: watch::Sender<Arc<str>>,
    /// Whether somebody makes them.
    is_made: Mutex<bool>,
}

impl Default for Feed {
    fn default() -> Feed {
        Feed {
            numbers: watch::Sender::new("".into()),
            is_made: Mutex::new(false),
        }
    }
}

impl Admin {
    /// The numbers to come, for as long as this is held.
    pub(super) fn numbers(&self) -> watch::Receiver<Arc<str>> {
        let feed = &self.0.feed;
        let mut is_made = feed.is_made.lock().unwrap_or_else(PoisonError::into_inner);
        let listening = feed.numbers.subscribe();
        if !*is_made {
            *is_made = true;
            tokio::spawn(self.clone().tell());
        }
        listening
    }

    /// Makes them until nobody listens.
    async fn tell(self) {
        let mut due = interval(EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        due.tick().await; // the first one is at once: who has just come has been told
        loop {
            due.tick().await;
            let numbers = self.numbers_now().await;
            let feed = &self.0.feed;
            // Under the lock, so that whoever comes meanwhile is counted or begins anew.
            let mut is_made = feed.is_made.lock().unwrap_or_else(PoisonError::into_inner);
            if feed.numbers.receiver_count() == 0 {
                *is_made = false;
                return;
            }
            feed.numbers.send_replace(numbers);
        }
    }

    /// As they are now, as JSON.
    pub(super) async fn numbers_now(&self) -> Arc<str> {
        let numbers = serde_json::to_string(&self.stats().await);
        numbers
            .expect("texts, numbers and lists of them become JSON")
            .into()
    }
}
