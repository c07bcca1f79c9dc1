//! The order of lists: a pass through all of memory when a list begins, remembered while it goes on, so that a page costs what is
//! on it.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::cache::Cache;
use crate::model::key::Variant;

/// A list that takes longer goes through all of memory again. Sixteen bytes for each response, so long at most.
const KEPT: Duration = Duration::from_secs(60);

/// The keys of memory in their order, as of the last pass, while somebody keeps them.
#[derive(Debug, Default)]
pub(in crate::cache) struct Order(Mutex<Weak<Vec<Variant>>>);

impl Order {
    fn known(&self) -> Option<Arc<Vec<Variant>>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.upgrade()
    }

    fn set(&self, keys: &Arc<Vec<Variant>>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::downgrade(keys);
    }
}

impl Cache {
    /// The keys of all responses that have been in memory since a list began, in their order. A list that goes on is content with
    /// any pass since: an order is replaced by a newer one alone, and what begins makes one.
    pub(in crate::cache) fn order(&self, begins: bool) -> Arc<Vec<Variant>> {
        match self.0.order.known() {
            Some(keys) if !begins => keys,
            _ => self.make_order(),
        }
    }

    fn make_order(&self) -> Arc<Vec<Variant>> {
        let mut keys: Vec<_> = self.all_here().map(|(variant, _)| variant).collect();
        keys.sort_unstable();
        keys.dedup(); // what is put anew during the pass may come twice
        let keys = Arc::new(keys);
        self.0.order.set(&keys);
        let (clock, kept) = (self.0.clock.clone(), Arc::clone(&keys));
        tokio::spawn(async move {
            clock.sleep_until(clock.now() + KEPT).await;
            drop(kept);
        });
        keys
    }
}
