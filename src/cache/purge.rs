//! Forgetting by pattern: everything whose logical key matches a glob. Not by the versions of tags, as nobody knows them; a
//! record in the log tells all sidecars, each applies it to what it holds and to fills under way, and the acting one drops
//! what all share.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::cache::Cache;
use crate::cache::stored::Slot;
use crate::model::glob::Glob;
use crate::model::stamp::Stamp;

/// Patterns that fills under way must still be held to.
#[derive(Debug, Default)]
pub(super) struct Purges {
    recent: VecDeque<(Stamp, Glob)>,
    /// Fills that began before this are held to patterns that are no longer here.
    forgotten: Stamp,
}

/// How many patterns are remembered, if fills are that slow.
const MOST: usize = 1_000;

impl Purges {
    fn note(&mut self, stamp: Stamp, glob: Glob, oldest: Stamp) {
        self.recent.retain(|(stamp, _)| *stamp > oldest);
        self.recent.push_back((stamp, glob));
        while self.recent.len() > MOST
            && let Some((stamp, _)) = self.recent.pop_front()
        {
            self.forgotten = self.forgotten.max(stamp);
        }
    }

    /// Whether what was asked for at `before` is to be forgotten.
    pub(super) fn forget(&self, logical: &str, before: Stamp) -> bool {
        let matches = |(stamp, glob): &(Stamp, Glob)| *stamp > before && glob.matches(logical);
        self.forgotten > before || self.recent.iter().any(matches)
    }
}

impl Cache {
    /// Forgets everything whose logical key matches, here and in all other sidecars; how much that was, as far as can be told.
    /// `by` is who asked. `None`: the store could not be told, and nothing is forgotten elsewhere.
    pub async fn purge_matching(&self, glob: &Glob, by: &Arc<str>) -> Option<usize> {
        let stamp = self.0.tags.purge(&glob.to_string(), by).await?;
        let here = self.forget_matching(stamp, glob);
        let Some(second) = &self.0.second else {
            return Some(here);
        };
        let link = self.0.tags.link()?;
        let dropped = second
            .drop_where(&link, |pointer| glob.matches(&pointer.logical))
            .await;
        match dropped {
            Ok(shared) => {
                // Whoever has looked there meanwhile may have found it once more.
                let stamp = self.0.tags.purge(&glob.to_string(), by).await?;
                self.forget_matching(stamp, glob);
                Some(shared.max(here)) // what is here is there too, for the most part
            }
            Err(error) => {
                self.0.tags.failed_with_response(&link, &error);
                None
            }
        }
    }

    /// What the log says is to be forgotten.
    pub(super) fn purged_elsewhere(&self, stamp: Stamp, pattern: &str) {
        self.forget_matching(stamp, &Glob::new(pattern));
    }

    fn forget_matching(&self, stamp: Stamp, glob: &Glob) -> usize {
        // First: what is not stored yet will not be.
        self.purges()
            .note(stamp, glob.clone(), self.0.tags.oldest());
        let _one_at_a_time = self.0.fills.lock();
        let forgotten = Cell::new(0);
        self.0.store.retain(|slot| match slot {
            Slot::Entry(stored) if glob.matches(&stored.logical) => {
                forgotten.set(forgotten.get() + 1);
                false
            }
            Slot::Entry(_) | Slot::Varies { .. } | Slot::Same { .. } | Slot::Unstorable { .. } => {
                true
            }
        });
        forgotten.get()
    }

    pub(super) fn purges(&self) -> MutexGuard<'_, Purges> {
        self.0.purges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
