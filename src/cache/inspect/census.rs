//! How much the store that all sidecars share holds, for people. Counting goes through all of its keys: it is done aside, when
//! somebody asks, and not again for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Anchor;
use crate::shared::Link;

/// For so long at least what was counted is told again.
const REST: Duration = Duration::from_secs(5);

/// Counting takes this part of the time at most, if somebody asks all the time.
const SHARE: u32 = 10;

/// Who asks waits this long for it; who asks next is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was counted last.
#[derive(Debug, Default)]
pub(in crate::cache) struct Census {
    last: Mutex<Option<Counted>>,
    /// Held by who counts.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Debug)]
struct Counted {
    at: Anchor,
    took: Duration,
    keys: Option<u64>,
    used_memory: Option<u64>,
}

/// What the shared store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Whether there is a connection.
    pub connected: bool,
    /// How many keys are this namespace's, as last counted.
    pub keys: Option<u64>,
    /// What the store uses for everything it holds, in bytes, as last asked.
    pub used_memory: Option<u64>,
}

impl Census {
    fn last(&self) -> Option<Counted> {
        let last = self.last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_recent(&self) -> bool {
        let rest = |it: &Counted| REST.max(it.took * SHARE);
        self.last().is_some_and(|it| it.at.elapsed() < rest(&it))
    }

    fn note(&self, counted: Counted) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(counted);
    }
}

impl Cache {
    /// Counts what the shared store holds, unless that was done a moment ago. Comes back when it is done, or takes too long.
    pub async fn take_census(&self) {
        let Some(link) = self.0.tags.link() else {
            return;
        };
        let counted = async {
            let turn = Arc::clone(&self.0.census.turn).lock_owned().await;
            if self.0.census.is_recent() {
                return;
            }
            let cache = self.clone();
            // In a task: it goes on though who has asked waits no longer.
            let counting = tokio::spawn(async move {
                cache.count(&link).await;
                drop(turn);
            });
            if let Err(error) = counting.await {
                tracing::error!(%error, "counting what the shared store holds ended badly");
            }
        };
        self.0.clock.within(PATIENCE, counted).await;
    }

    async fn count(&self, link: &Link) {
        let began = self.anchor();
        let said = |error: &crate::shared::Error| {
            tracing::debug!(%error, "the shared store does not say what it holds");
        };
        let keys = link.count_keys().await.inspect_err(said);
        let used_memory = link.used_memory().await.inspect_err(said);
        self.0.census.note(Counted {
            at: self.anchor(),
            took: began.elapsed(),
            keys: keys.ok(),
            used_memory: used_memory.ok(),
        });
    }

    /// What the shared store holds, as far as that is known; `None`: there is none.
    pub fn holdings(&self) -> Option<Holdings> {
        if self.0.tags.is_alone() {
            return None;
        }
        let connected = self.0.tags.link().is_some();
        let last = self.0.census.last().filter(|_| connected);
        Some(Holdings {
            connected,
            keys: last.as_ref().and_then(|it| it.keys),
            used_memory: last.and_then(|it| it.used_memory),
        })
    }
}
