//! Another life for a stored response, by an operator's word: longer or shorter than the one it came with, in memory and in the
//! store that all sidecars share. Never without an end (L10), and never for what was invalidated (L5).

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Away;
use crate::cache::Cache;
use crate::cache::Listed;
use crate::cache::Stored;
use crate::cache::elsewhere::NOTED;
use crate::cache::inspect::Elsewhere;
use crate::cache::stored::Slot;
use crate::cache::stored::kept_until;
use crate::cache::trust::MARGIN;
use crate::model::entry::EntryMeta;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::tag::Tag;
use crate::model::tag::Tagged;
use crate::model::time::Timestamp;
use crate::rules::RuleSet;
use crate::store::codec::Pointer;

/// The longest life there is: the default of `max_ttl`.
pub(super) const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// A life of no length would say that the app is asked each time.
const SHORTEST: Duration = Duration::from_micros(1);

/// A response of memory that has another life.
struct Relived {
    listed: Listed,
    variant: Variant,
    /// No longer than its rule allows.
    life: Duration,
    /// What leads to it.
    notes: Vec<Variant>,
}

impl Cache {
    /// Lets a response expire so long after now, but no later than its rule and a week allow; `None` if clients cannot be answered
    /// with it. Where the shared store alone has it these are the rules in force, and if it is one of several variants the store
    /// must know for as long that there are such.
    ///
    /// # Errors
    ///
    /// The shared store may have it, and could not be asked or told. In memory it has its new life all the same.
    pub async fn set_life(
        &self,
        rules: &RuleSet,
        key: &ComposedKey,
        life: Duration,
    ) -> Result<Option<Listed>, Away> {
        let life = life.clamp(SHORTEST, LONGEST);
        let Some(here) = self.set_life_here(*key, life).await else {
            let there = self.stored_elsewhere(*key).await?;
            return self.set_life_elsewhere(rules, there, life, &[]).await;
        };
        // No longer than here, where the rule is that under which it was stored.
        let there = self.stored_under(here.variant, *key).await?;
        self.set_life_elsewhere(rules, there, here.life, &here.notes)
            .await?;
        Ok(Some(here.listed))
    }

    async fn set_life_here(&self, key: ComposedKey, life: Duration) -> Option<Relived> {
        loop {
            let stored = self.stored_here(key).await?;
            let life = life.min(stored.longest());
            let notes = self.notes_of(stored.variant).await;
            if let Some(changed) = self.put_with_life(&stored, life, &notes) {
                self.keep_tags_known(changed.tags().map(|(tag, _)| tag), &changed.entry.meta)
                    .await;
                let listed = Listed::here(&changed, self.now());
                return Some(Relived {
                    listed,
                    variant: stored.variant,
                    life,
                    notes,
                });
            }
            // Another has taken its place: look at that one.
        }
    }

    /// Puts it in its own place with this life; `None` if that is taken.
    fn put_with_life(
        &self,
        stored: &Arc<Stored>,
        life: Duration,
        notes: &[Variant],
    ) -> Option<Arc<Stored>> {
        let (store, now) = (&self.0.store, self.now());
        let mut changed = Stored::clone(stored);
        changed.entry.meta = stored.entry.meta.fresh_until(now + life, now);
        let until = kept_until(&changed.entry.meta, true);
        let changed = Arc::new(changed);
        let _one_at_a_time = self.0.fills.lock();
        let there = store.peek(&stored.variant);
        let there = there.as_ref().and_then(Slot::entry);
        if !there.is_some_and(|there| Arc::ptr_eq(there, stored)) {
            return None;
        }
        for note in notes {
            if let Some(longer) = store.peek(note).and_then(|slot| slot.lasting(until)) {
                store.put(*note, longer);
            }
        }
        self.put_shared(stored.variant, &changed);
        Some(changed)
    }

    /// What leads to a variant.
    async fn notes_of(&self, variant: Variant) -> Vec<Variant> {
        let find = move |cache: &Cache| {
            let all = cache.0.store.iter();
            let notes = all.filter(|(_, slot)| slot.leads_to(variant));
            notes.map(|(note, _)| note).collect()
        };
        self.offload(find).await.unwrap_or_default()
    }

    /// `notes`: what leads to it, as far as memory knows.
    async fn set_life_elsewhere(
        &self,
        rules: &RuleSet,
        there: Option<Elsewhere>,
        life: Duration,
        notes: &[Variant],
    ) -> Result<Option<Listed>, Away> {
        let Some((second, link)) = self.shared_responses()? else {
            return Ok(None);
        };
        let Some(Elsewhere { found, mut entry }) = there else {
            return Ok(None);
        };
        let now = self.now();
        let mut life = life.min(longest(rules, &found.pointer));
        if !entry.meta.vary.is_empty() && notes.is_empty() {
            // Nobody knows where its note is. That was there when it was stored, and for so long from then.
            let noted = (found.pointer.stored + NOTED).max(found.pointer.expires);
            life = life.min(noted.since(now));
        }
        for note in notes {
            let prolonged = second.prolong(&link, *note, life).await;
            self.answered(&link, prolonged)?;
        }
        entry.meta = entry.meta.fresh_until(now + life, now);
        let expires = entry.meta.expires();
        let mut listed = Listed::elsewhere(found.pointer.clone()).with(&entry);
        (listed.fresh_until, listed.expires) = (expires, expires);
        let tags = found.pointer.tags.iter().map(|(tag, _)| tag);
        if !self.keep_tags_known(tags, &entry.meta).await {
            return Err(Away);
        }
        let given = second.give_life(&link, found, expires, life).await;
        Ok(self.answered(&link, given)?.then_some(listed))
    }

    /// Lets the tags of a response be known to all for as long as it is kept now; whether the store could be told.
    async fn keep_tags_known<'t>(
        &self,
        tags: impl Iterator<Item = &'t Tag>,
        meta: &EntryMeta,
    ) -> bool {
        let tagged: Vec<Tagged> = tags.map(|tag| tag.clone().into()).collect();
        let life = kept_until(meta, true).since(self.now()) + MARGIN;
        // Where that fails they are forgotten early, and what carries them is a miss to whoever asks the store (L3).
        self.0.tags.register(&tagged, life).await.is_ok()
    }
}

impl Slot {
    /// Whether it is a note that leads to this variant.
    fn leads_to(&self, wanted: Variant) -> bool {
        match self {
            Slot::Varies(note) => note.variants.contains(&wanted),
            Slot::Same(note) => note.variant == wanted,
            Slot::Entry(_) | Slot::Unstorable { .. } => false,
        }
    }

    /// The same note, for until then at least; `None` if it is no note.
    fn lasting(self, needed: Timestamp) -> Option<Slot> {
        match self {
            Slot::Varies(mut note) => {
                let changed = Arc::make_mut(&mut note);
                changed.until = changed.until.max(needed);
                Some(Slot::Varies(note))
            }
            Slot::Same(note) => Some(Slot::same(note.variant, note.until.max(needed))),
            Slot::Entry(_) | Slot::Unstorable { .. } => None,
        }
    }
}

/// The longest life that the rules in force allow a response of the shared store; of a rule that there is no more, and of the app's
/// own values, that is the longest there is.
fn longest(rules: &RuleSet, pointer: &Pointer) -> Duration {
    let mut tags = pointer.tags.iter();
    let rule = match pointer.rule.as_deref() {
        Some(id) => {
            let mut all = rules.rules().iter().map(|rule| &**rule);
            all.find(|rule| rule.id.as_deref() == Some(id))
        }
        None if tags.any(|(tag, _)| tag.is_of_object()) => None,
        None => Some(rules.unmatched()),
    };
    rule.map_or(LONGEST, |rule| rule.terms.max_ttl)
}
