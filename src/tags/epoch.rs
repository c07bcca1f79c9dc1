//! The epoch, which is part of every key and only rises: the highest that anybody has ever set, in the store or in a
//! configuration. The store holds it for all sidecars; each of them tells it where it has lost it (L3).

use tokio::sync::watch;

use crate::tags::Tags;
use crate::tags::together::LONGEST_PAUSE;
use crate::tags::together::SHORTEST_PAUSE;
use crate::tags::together::Together;

/// What is known of it.
#[derive(Debug)]
pub(super) struct Epoch(watch::Sender<Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    /// The highest ever heard of.
    highest: u64,
    /// What the store holds, as it said last.
    stored: u64,
}

impl Epoch {
    pub(super) fn of(configured: u64) -> Epoch {
        Epoch(watch::Sender::new(Known {
            highest: configured,
            stored: 0,
        }))
    }

    pub(super) fn highest(&self) -> u64 {
        self.0.borrow().highest
    }

    /// It is this at least; the store is told.
    pub(super) fn raise(&self, epoch: u64) {
        self.0.send_if_modified(|known| {
            let rises = known.highest < epoch;
            known.highest = known.highest.max(epoch);
            rises
        });
    }

    /// The store holds this one; whether it is higher than any heard of before.
    pub(super) fn hear(&self, stored: u64) -> bool {
        let mut rises = false;
        self.0.send_if_modified(|known| {
            let changes = known.stored != stored;
            rises = known.highest < stored;
            known.stored = stored;
            known.highest = known.highest.max(stored);
            changes
        });
        rises
    }

    /// Waits until the store holds a lower one than it should.
    async fn owed(&self) -> Option<u64> {
        let mut known = self.0.subscribe();
        let owed = known.wait_for(|known| known.stored < known.highest).await;
        owed.ok().map(|known| known.highest)
    }
}

/// What the store says of an epoch that it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// There is none to tell.
    Alone,
    /// It holds this one now, which is the highest that anybody has set.
    Holds(u64),
    /// It could not be told.
    Away,
}

impl Tags {
    /// Tells the store that the epoch is this at least, and waits for it. Where it could not be told, nothing has changed here.
    pub async fn put_epoch(&self, epoch: u64) -> Told {
        let Some(together) = &self.together else {
            return Told::Alone;
        };
        let Some(link) = together.link() else {
            return Told::Away;
        };
        let epoch = epoch.max(together.epoch.highest());
        match link.raise_epoch(epoch).await {
            Ok(stored) => {
                together.epoch.hear(stored);
                Told::Holds(stored)
            }
            Err(error) => {
                together.failed(&link, &error);
                Told::Away
            }
        }
    }
}

/// Tells the store what it should hold, for as long as this runs; `heard` what it holds instead.
pub(super) async fn tell<F: Future<Output = ()>>(together: &Together, heard: &impl Fn(u64) -> F) {
    let mut links = together.link.subscribe();
    let mut pause = SHORTEST_PAUSE;
    while let Some(epoch) = together.epoch.owed().await {
        let link = match links.wait_for(Option::is_some).await {
            Ok(link) => link.clone(),
            Err(_) => return, // nobody makes links any more
        };
        let Some(link) = link else { continue };
        match link.raise_epoch(epoch).await {
            Ok(stored) => {
                heard(stored).await;
                pause = SHORTEST_PAUSE;
            }
            Err(error) => {
                together.failed(&link, &error);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn l03_the_store_is_told_what_it_does_not_hold() {
        let epoch = Epoch::of(2);
        let owed = || epoch.owed().now_or_never().flatten();
        assert_eq!(owed(), Some(2), "it holds none yet");
        assert!(!epoch.hear(2));
        assert_eq!(owed(), None);
        epoch.raise(3);
        assert_eq!(owed(), Some(3));
        assert!(!epoch.hear(3));
        assert!(!epoch.hear(1), "it was flushed");
        assert_eq!(owed(), Some(3));
        assert!(epoch.hear(7) && !epoch.hear(7));
        assert_eq!(epoch.highest(), 7);
        epoch.raise(5);
        assert_eq!(epoch.highest(), 7, "it only rises");
    }
}
