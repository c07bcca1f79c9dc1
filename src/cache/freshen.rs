//! A stored response that a HEAD's answer brings up to date, or proves to be another by now (RFC 9111 §4.3.5).

use std::sync::Arc;
use std::time::Duration;

use http::response::Parts;

use crate::cache::Cache;
use crate::cache::Keep;
use crate::cache::Stored;
use crate::cache::stored::Slot;
use crate::model::entry::StaleUse;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::rules::Query;
use crate::rules::Rule;
use crate::store::Noticed;
use crate::store::Uses;
use crate::tags::Snapshot;

/// The right to renew what is stored, from before the app is asked (L1).
#[derive(Debug)]
pub struct Freshen {
    cache: Cache,
    base: BaseKey,
    rule: Arc<Rule>,
    variant: Variant,
    stored: Arc<Stored>,
    before: Snapshot,
}

impl Freshen {
    /// For a whole response that is stored; a part says too little to compare with.
    pub(super) fn of(
        cache: &Cache,
        query: &Query,
        variant: Variant,
        stored: Arc<Stored>,
    ) -> Option<Freshen> {
        let before = cache.0.tags.snapshot();
        // In this order: no change can go unnoticed (L1).
        let may = stored.seals.intact() && stored.entry.part.is_none();
        may.then(|| Freshen {
            cache: cache.clone(),
            base: query.base,
            rule: Arc::clone(&query.rule),
            variant,
            stored,
            before,
        })
    }

    /// What is stored, with its tags.
    pub fn stored(&self) -> &Arc<Stored> {
        &self.stored
    }

    /// Keeps the content under a newer head, unless one of its tags has changed meanwhile. Under one that varies by other
    /// request fields, it would be found by requests that it is not for (RFC 9111 §4.1): it is outdated.
    ///
    /// # Errors
    ///
    /// Why it stays as it was.
    pub async fn renew(self, request: &Head, head: &Parts, keep: &Keep) -> Result<(), NoStore> {
        let tags = &self.cache.0.tags;
        let life = self.cache.life_of_tags(keep, &self.rule);
        let registered = tags.register(&keep.tags, life).await?;
        let seals = tags.seal(&keep.tags, &self.before, &registered)?;
        if keep.meta().vary != self.stored.entry.meta.vary {
            self.outdated();
            return Ok(());
        }
        let entry = keep.entry(head, self.stored.entry.body.clone(), None);
        let entry = self.cache.compact(entry);
        let _one_at_a_time = self.cache.0.fills.lock();
        if self.is_there() {
            let (meta, request, response) = (&entry.meta, request.headers(), &entry.headers);
            self.cache
                .take_room(self.base, self.variant, request, meta, response)?;
            let renewed = Stored {
                entry,
                seals,
                noticed: Noticed::default(),
                uses: Uses::default(),
                ..(*self.stored).clone()
            };
            self.cache.put(self.variant, renewed);
        }
        Ok(())
    }

    /// It is not what the app has now: the next request asks.
    pub fn outdated(self) {
        let mut outdated = (*self.stored).clone();
        let meta = &mut outdated.entry.meta;
        let now = self.cache.0.clock.now();
        // Over, and not of length zero: that would say that nobody may wait for the next one.
        let age = meta.age(now) + Duration::from_micros(1);
        meta.born = now - age;
        meta.lifetime = meta.lifetime.min(age);
        outdated.entry.meta.stale = StaleUse {
            forbidden: true,
            ..StaleUse::default()
        };
        let _one_at_a_time = self.cache.0.fills.lock();
        if self.is_there() {
            self.cache.put(self.variant, outdated);
        }
    }

    /// Whether what was found is still there.
    fn is_there(&self) -> bool {
        let there = self.cache.0.store.get(&self.variant);
        let there = there.as_ref().and_then(Slot::entry);
        there.is_some_and(|there| Arc::ptr_eq(there, &self.stored))
    }
}
