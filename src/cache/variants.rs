//! Which stored response a request selects, and how it is found (RFC 9111 §4.1).
//!
//! Under a base key lies a response, or a note of the request fields that select one; under the variant that these give
//! lies the response. Clients choose what these fields say, so the note also knows which variants there are: there is an end
//! to them. A response in one language also has a note under that language, for who wants it most.

use std::sync::Arc;

use http::HeaderMap;

use crate::cache::Cache;
use crate::cache::Stored;
use crate::cache::stored::Slot;
use crate::cache::stored::kept_until;
use crate::model::entry::EntryMeta;
use crate::model::entry::Selector;
use crate::model::fields::Lines;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::policy::vary;
use crate::store::Memory;

/// How the store is read: with `get` or with `peek`.
type Read = fn(&Memory<Slot>, &Variant) -> Option<Slot>;

/// What is stored for a request, and under which variant it would be fetched.
pub(super) enum Found {
    Nothing(Variant),
    OtherVariants(Variant),
    Stored(Variant, Arc<Stored>),
    /// A response in the one language that the client wants most, brought by a request that was spelled differently.
    InLanguage(Variant, Arc<Stored>),
}

/// What lies under a base key of responses that vary.
#[derive(Default)]
struct Noted {
    fields: Option<Arc<[Selector]>>,
    variants: Arc<[Variant]>,
    until: Timestamp,
}

impl Cache {
    /// What answers a request, which counts as used by it.
    pub(super) fn find(&self, base: BaseKey, head: &Head) -> Found {
        self.find_by(Memory::get, base, head)
    }

    /// The same for who only looks (L14).
    pub(super) fn look(&self, base: BaseKey, head: &Head) -> Found {
        self.find_by(Memory::peek, base, head)
    }

    fn find_by(&self, read: Read, base: BaseKey, head: &Head) -> Found {
        let only = base.only_variant();
        match self.slot(read, &only) {
            None | Some(Slot::Same(_) | Slot::Unstorable { .. }) => Found::Nothing(only),
            Some(Slot::Entry(stored)) => Found::Stored(only, stored),
            Some(Slot::Varies(note)) => {
                let fields = &*note.fields;
                let variant = base.variant(&vary::selecting(fields, head.headers()));
                match self.slot(read, &variant) {
                    Some(Slot::Entry(stored)) => Found::Stored(variant, stored),
                    Some(_) | None => match self.in_language(read, base, fields, head) {
                        Some(stored) => Found::InLanguage(variant, stored),
                        None => Found::OtherVariants(variant),
                    },
                }
            }
        }
    }

    /// What lies there, but for what is to be looked for again where it was found.
    fn slot(&self, read: Read, variant: &Variant) -> Option<Slot> {
        let slot = read(&self.0.store, variant)?;
        let stored = slot.entry();
        let given_back = stored.is_some_and(|stored| {
            stored.borrowed_until().is_some() && stored.is_given_back(self.now())
        });
        (!given_back).then_some(slot)
    }

    fn in_language(
        &self,
        read: Read,
        base: BaseKey,
        fields: &[Selector],
        head: &Head,
    ) -> Option<Arc<Stored>> {
        let wanted = vary::wanted_language(fields, head.headers())?;
        let Slot::Same(note) = read(&self.0.store, &base.variant(&wanted))? else {
            return None;
        };
        let Slot::Entry(stored) = read(&self.0.store, &note.variant)? else {
            return None;
        };
        // What that request gets may be in another language by now.
        let is_in = vary::of_language(fields, head.headers(), &stored.entry.headers);
        (is_in == Some(wanted)).then_some(stored)
    }

    /// The variant of a response to this request, with the note that leads there for as long as it may be of use; `None`
    /// if the response does not vary.
    ///
    /// # Errors
    ///
    /// There are too many: nothing leads to it.
    pub(super) fn lead_to(
        &self,
        base: BaseKey,
        request: &HeaderMap,
        meta: &EntryMeta,
    ) -> Result<Option<Variant>, NoStore> {
        let fields = &meta.vary;
        if fields.is_empty() {
            return Ok(None);
        }
        let variant = base.variant(&vary::selecting(fields, request));
        let _one_at_a_time = self.0.fills.lock();
        let noted = self.noted(base);
        let variants = self.room_for(variant, noted.variants)?;
        let until = noted.until.max(kept_until(meta, true));
        let fields = Arc::clone(fields);
        let note = Slot::varies(fields, variants, until);
        self.0.store.put(base.only_variant(), note);
        Ok(Some(variant))
    }

    /// Asks for room once more, now that the response is whole: others may have come first; and notes what leads to it. To
    /// be called by who holds the lock of all fills, and puts it in the store under it.
    ///
    /// # Errors
    ///
    /// There are too many, or nobody knows any more what leads to it.
    pub(super) fn take_room(
        &self,
        base: BaseKey,
        variant: Variant,
        request: &HeaderMap,
        meta: &EntryMeta,
        response: &impl Lines,
    ) -> Result<(), NoStore> {
        let (only, store) = (base.only_variant(), &self.0.store);
        if variant == only {
            return Ok(());
        }
        let noted = self.noted(base);
        // What does not vary lies where those are looked for that do; and the note may have left.
        let fields = if meta.vary.is_empty() {
            noted.fields.ok_or(NoStore::VaryUnknown)?
        } else {
            Arc::clone(&meta.vary)
        };
        let mut variants = self.room_for(variant, noted.variants)?;
        if !variants.contains(&variant) {
            variants = variants.iter().copied().chain([variant]).collect();
        }
        let needed = kept_until(meta, true);
        if let Some(language) = vary::of_language(&meta.vary, request, response) {
            store.put(base.variant(&language), Slot::same(variant, needed));
        }
        let until = noted.until.max(needed);
        let note = Slot::varies(fields, variants, until);
        store.put(only, note);
        Ok(())
    }

    fn noted(&self, base: BaseKey) -> Noted {
        match self.0.store.get(&base.only_variant()) {
            Some(Slot::Varies(note)) => Noted {
                fields: Some(Arc::clone(&note.fields)),
                variants: Arc::clone(&note.variants),
                until: note.until,
            },
            Some(Slot::Entry(_) | Slot::Same(_) | Slot::Unstorable { .. }) | None => {
                Noted::default()
            }
        }
    }

    /// The known variants, if there is room for this one among them. Clients choose what selects them, so there is an end to
    /// it; what has left the store does not count, and what is stored but over makes room.
    fn room_for(&self, variant: Variant, known: Arc<[Variant]>) -> Result<Arc<[Variant]>, NoStore> {
        let (store, now) = (&self.0.store, self.now());
        if known.len() < self.0.max_variants || known.contains(&variant) {
            return Ok(known);
        }
        let mut variants = known.to_vec();
        variants.retain(|other| match store.get(other) {
            Some(Slot::Entry(stored)) if stored.is_live(now) => true,
            Some(Slot::Same(note)) if note.until > now => true, // in the shared store alone
            Some(_) => {
                store.remove(other);
                false
            }
            None => false,
        });
        if variants.len() >= self.0.max_variants {
            return Err(NoStore::TooManyVariants);
        }
        Ok(variants.into())
    }
}
