//! The order of lists: a pass through all of memory when a list begins, remembered while it goes on, so that a page costs what is
//! on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Anchor;
use crate::model::key::Variant;

/// A list that takes longer goes through all of memory again. Sixteen bytes for each response, so long at most.
const KEPT: Duration = Duration::from_secs(60);

/// The keys of memory in their order, as of the last pass, for a while.
#[derive(Clone, Debug, Default)]
pub(in crate::cache) struct Order(Arc<Mutex<Option<Made>>>);

#[derive(Debug)]
struct Made {
    keys: Arc<[Variant]>,
    at: Anchor,
}

impl Order {
    fn last(&self) -> MutexGuard<'_, Option<Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> Option<Arc<[Variant]>> {
        self.last().as_ref().map(|made| Arc::clone(&made.keys))
    }

    fn forget(&self) {
        self.last().take_if(|made| made.at.elapsed() >= KEPT);
    }
}

impl Cache {
    /// The keys of all responses that have been in memory since a list began, in their order. A list that goes on is content with
    /// any pass since: an order is replaced by a newer one alone, and what begins makes one.
    pub(in crate::cache) fn order(&self, begins: bool) -> Arc<[Variant]> {
        match self.0.order.known() {
            Some(keys) if !begins => keys,
            _ => self.make_order(),
        }
    }

    fn make_order(&self) -> Arc<[Variant]> {
        let mut keys: Vec<_> = self.all_here().map(|(variant, _)| variant).collect();
        keys.sort_unstable();
        keys.dedup(); // what is put anew during the pass may come twice
        let keys: Arc<[Variant]> = keys.into();
        let made = Made {
            keys: Arc::clone(&keys),
            at: self.anchor(),
        };
        *self.0.order.last() = Some(made);
        let (clock, order, until) = (
            self.0.clock.clone(),
            self.0.order.clone(),
            self.now() + KEPT,
        );
        tokio::spawn(async move {
            clock.sleep_until(until).await;
            order.forget();
        });
        keys
    }
}
