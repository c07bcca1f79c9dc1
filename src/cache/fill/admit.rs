//! What becomes of a fill's response once its body has ended whole: L1 for the last time, then it is put in the store, by
//! itself, joined with the part that is there, or not at all.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::response::Parts;

use crate::body::Surplus;
use crate::cache::Fill;
use crate::cache::Keep;
use crate::cache::parts;
use crate::cache::recipe::Recipe;
use crate::cache::stored::Slot;
use crate::cache::stored::Stored;
use crate::cache::stored::Uncommon;
use crate::model::entry::Entry;
use crate::model::fields::Lines;
use crate::model::outcome::NoStore;
use crate::model::stamp::Stamp;
use crate::model::tag::Tagged;
use crate::policy::shadow;
use crate::policy::validators;
use crate::rules::KeptIn;
use crate::rules::Mode;
use crate::store::Noticed;
use crate::store::Uses;
use crate::tags::Registered;
use crate::tags::Seals;
use crate::tags::Snapshot;

impl Fill {
    /// Puts the response in the store, by itself or joined with the part that is there; what was asked for later, or
    /// answers for more, stays: `None` then.
    pub(super) async fn admit(
        &self,
        head: &Parts,
        keep: &Keep,
        body: Bytes,
    ) -> Result<Option<Arc<Stored>>, NoStore> {
        self.may_seal()?;
        let life = self.cache.life_of_tags(keep, &self.matched.rule);
        let registered = self.cache.0.tags.register(&keep.tags, life).await?;
        self.put(head, keep, body, &registered)
    }

    fn put(
        &self,
        head: &Parts,
        keep: &Keep,
        body: Bytes,
        registered: &Registered,
    ) -> Result<Option<Arc<Stored>>, NoStore> {
        let variant = self.errand.variant;
        let part = parts::part(head, body.len() as u64).map_err(|_| NoStore::Partial)?;
        let mut offered = keep.entry(head, body, part);
        let store = &self.cache.0.store;
        loop {
            let there = store.get(&variant);
            let stored = there.as_ref().and_then(Slot::entry);
            // Only for that it may be joined with: who shares a body has a count made for it.
            let (entry, again) = match stored {
                Some(_) => (offered.clone(), Some(offered)),
                None => (offered, None),
            };
            let Some((entry, tags)) = self.beside(stored, entry, keep.tags.clone()) else {
                return Ok(None);
            };
            let entry = self.cache.compact(entry); // both may have made another
            let recipe = Recipe::of(self.base, &self.matched, &self.head, &entry);
            let stored = Stored {
                entry,
                asked: self.asked,
                variant,
                logical: self.matched.logical_key(&self.head).into(),
                seals: self.seal(&tags, registered)?,
                noticed: Noticed::default(),
                uses: Uses::default(),
                uncommon: Uncommon {
                    recipe: recipe.map(Arc::new),
                    ..Uncommon::of(&self.matched.rule)
                }
                .unless_usual(),
            };
            let _one_at_a_time = self.cache.0.fills.lock();
            if self.is_purged() {
                return Err(NoStore::Raced);
            }
            let now_there = store.get(&variant);
            if now_there.as_ref().and_then(Slot::entry).map(Arc::as_ptr)
                == there.as_ref().and_then(Slot::entry).map(Arc::as_ptr)
            {
                let request = self.head.headers();
                self.cache
                    .take_room(self.base, variant, request, keep.meta(), &head.headers)?;
                let stored = Arc::new(stored);
                if self.matched.rule.kept_in == KeptIn::Redis {
                    let until = stored.entry.meta.expires();
                    store.put(variant, Slot::same(variant, until)); // it counts among the variants
                } else {
                    self.cache.put_shared(variant, &stored);
                }
                store.remove(&variant.unstorable());
                self.cache.forget_unstored(self.base, variant);
                return Ok(Some(stored));
            }
            // Another was put meanwhile: look at that one.
            offered = again.unwrap_or(stored.entry);
        }
    }

    /// What is to be put where `stored` is, if anything.
    fn beside(
        &self,
        stored: Option<&Arc<Stored>>,
        entry: Entry,
        tags: Vec<Tagged>,
    ) -> Option<(Entry, Vec<Tagged>)> {
        let Some(stored) = stored.filter(|stored| stored.seals.intact()) else {
            return Some((entry, tags));
        };
        if self.is_shadow_of(stored, &entry) {
            return None;
        }
        let now = self.cache.0.clock.now();
        // Not what was asked for before the clock was set back.
        let newer = stored.asked > self.asked && stored.asked <= now;
        if newer && !is_part_beside(&stored.entry, &entry) {
            return None; // a client wanted it anew
        }
        let fresh = stored.entry.meta.expires() > now;
        let max_object = self.cache.0.max_object;
        parts::joined(stored, (fresh, newer), entry, tags, max_object)
    }

    /// Whether, in shadow mode, it is what would have been served, and that is the same.
    fn is_shadow_of(&self, stored: &Arc<Stored>, entry: &Entry) -> bool {
        let shadowed = self.errand.shadowed.as_ref();
        let Mode::Shadow(shadow) = &self.matched.rule.mode else {
            return false;
        };
        shadowed.is_some_and(|shadowed| Arc::ptr_eq(shadowed, stored))
            && shadow::of_heads(shadow, &stored.entry, entry.status, &entry.headers).is_none()
            && stored.entry.body == entry.body
    }

    /// Whether a pattern came after the app was asked that its key matches.
    pub(in crate::cache) fn is_purged(&self) -> bool {
        let before = self.before.as_ref().map_or(Stamp::NEVER, |it| it.stamp());
        let logical = || self.matched.logical_key(&self.head);
        self.cache.purges().forget(logical, before)
    }

    /// Whether anything but its tags keeps it out.
    fn may_seal(&self) -> Result<&Snapshot, NoStore> {
        if self.surplus.as_ref().is_some_and(Surplus::came) {
            tracing::warn!(
                uri = self.head.logged_uri(),
                "the body is longer than its Content-Length: it is not stored"
            );
            return Err(NoStore::UpstreamFailed);
        }
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        self.before.as_deref().ok_or(NoStore::TooLarge)
    }

    /// L1: the tags as they are, if none of them has changed since the app was asked, and nothing else keeps it out.
    fn seal(&self, tags: &[Tagged], registered: &Registered) -> Result<Seals, NoStore> {
        let (before, own) = (self.may_seal()?, self.own.as_ref());
        self.cache.0.tags.seal_own(tags, before, own, registered)
    }

    /// What keeps it out, as far as is known.
    pub(super) fn foresee(&self, tags: &[Tagged]) -> Result<(), NoStore> {
        let (before, own) = (self.may_seal()?, self.own.as_ref());
        self.cache.0.tags.foresee(tags, before, own)
    }
}

/// Whether one is a mere part, and of the same response as far as their tags tell: a part does not keep the whole out,
/// nor one part another.
fn is_part_beside(stored: &Entry, new: &Entry) -> bool {
    let tags = [stored, new].map(|entry| entry.headers.line(&header::ETAG));
    let differ = matches!(tags, [Some(one), Some(other)] if one != other);
    let joins =
        new.part.is_none() || validators::same_strong_validator(&stored.headers, &new.headers);
    stored.part.is_some() && joins && !differ
}
