//! What is stored, for people: lists, single responses, sums. Looking changes nothing (L14): no tag becomes known by it, nothing
//! counts as used, and the order in which things leave stays as it was.
//!
//! A list of memory follows the order of keys, which never changes: what is there from the first page to the last is listed once,
//! whatever comes and goes meanwhile. Then comes the shared store, by `SCAN`: what is there all the
//! time is listed there too, but for what memory has listed. Once on each page, that is: `SCAN` may come to the same again when the
//! store rebuilds its tables, and what moves between the two tiers meanwhile may be listed by both.

mod census;
mod cursor;
mod listed;
mod order;
mod origins;
mod second;

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

pub(super) use census::Census;
pub use census::Holdings;
pub use listed::Listed;
pub use listed::State;
pub use listed::Tier;
pub(super) use order::Order;
pub(super) use second::Elsewhere;

use crate::cache::Cache;
use crate::cache::Stored;
use crate::cache::inspect::cursor::Cursor;
use crate::cache::inspect::cursor::Place;
use crate::cache::stored::Slot;
use crate::model::glob::Glob;
use crate::model::key::BaseKey;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::tag::Tag;
use crate::shared::Scan;
use crate::store::Weigh;

/// Which responses are listed: those for which all that is given holds.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The rule that stored it; empty: none matched.
    pub rule: Option<Box<str>>,
    /// A tag that it carries.
    pub tag: Option<Tag>,
    /// What its logical key matches.
    pub glob: Option<Glob>,
    /// Where it is kept.
    pub tier: Option<Tier>,
}

impl Filter {
    fn wants<'t>(
        &self,
        rule: Option<&str>,
        logical: &str,
        mut tags: impl Iterator<Item = &'t Tag>,
    ) -> bool {
        let by_rule = self.rule.as_deref();
        by_rule.is_none_or(|wanted| wanted == rule.unwrap_or_default())
            && self.glob.as_ref().is_none_or(|it| it.matches(logical))
            && self
                .tag
                .as_ref()
                .is_none_or(|wanted| tags.any(|tag| tag == wanted))
    }
}

/// Some of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// Those of it.
    pub entries: Vec<Listed>,
    /// Where it goes on; `None`: these were the last. There may be none on a page and some on the next.
    pub cursor: Option<String>,
}

/// The shared store does not answer: nobody knows what it has, or it was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the shared store does not answer")]
pub struct Away;

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ListError {
    /// No page has ended there.
    #[error("this is the cursor of no page")]
    Cursor,
    /// What the shared store has cannot be listed.
    #[error("the shared store cannot be asked")]
    Away,
}

/// What is kept in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many responses.
    pub entries: usize,
    /// Their bytes, with what they need beside their content.
    pub bytes: u64,
}

/// The most that one page has.
pub const MOST_LISTED: usize = 10_000;

impl Cache {
    /// A page of what clients may be answered with: memory's responses in the order of their keys, then those that the shared store
    /// alone has. No more than `limit` of them; of the shared store a few more, where it gives more at once.
    ///
    /// # Errors
    ///
    /// See [`ListError`].
    pub async fn list(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, ListError> {
        let limit = limit.clamp(1, MOST_LISTED);
        let from = match cursor {
            Some(text) => Cursor::parse(text).ok_or(ListError::Cursor)?,
            None => Cursor::begin(filter.tier, self.now()),
        };
        match from.place {
            Place::Memory(after) => Ok(self.list_here(filter, from, after, limit).await),
            Place::Redis(scan) => self.list_elsewhere(filter, from, scan, limit).await,
        }
    }

    async fn list_here(
        &self,
        filter: &Filter,
        from: Cursor,
        after: Option<Variant>,
        limit: usize,
    ) -> Page {
        let (now, filter) = (self.now(), filter.clone());
        let (both, wanted) = (filter.tier.is_none(), filter);
        let chosen = move |stored: &Stored| {
            let tags = stored.tags().map(|(tag, _)| tag);
            stored.is_listed(now) && wanted.wants(stored.rule(), &stored.logical, tags)
        };
        let shown = move |cache: &Cache| {
            let (some, more) = cache.first_here(after, limit, chosen);
            let last = some.last().map(|stored| stored.variant);
            let entries: Vec<_> = some.iter().map(|it| Listed::here(it, now)).collect();
            (entries, last, more)
        };
        let shown = self.offload(shown).await;
        let (entries, last, more) = shown.unwrap_or_default();
        let then = match (more, both && self.0.second.is_some()) {
            (true, _) => Some(Place::Memory(last)),
            (false, true) => Some(Place::Redis(Scan::default())),
            (false, false) => None,
        };
        Page {
            entries,
            cursor: then.map(|place| Cursor { place, ..from }.to_string()),
        }
    }

    /// The chosen responses of memory with the smallest keys after this one, in their order, and whether there are more.
    pub(super) async fn some_here(
        &self,
        after: Option<Variant>,
        limit: usize,
        chosen: impl Fn(&Stored) -> bool + Send + 'static,
    ) -> (Vec<Arc<Stored>>, bool) {
        let some = move |cache: &Cache| cache.first_here(after, limit, chosen);
        self.offload(some).await.unwrap_or_default()
    }

    /// The same, for who is aside already.
    fn first_here(
        &self,
        after: Option<Variant>,
        limit: usize,
        chosen: impl Fn(&Stored) -> bool,
    ) -> (Vec<Arc<Stored>>, bool) {
        let order = self.order(after.is_none());
        let past = after.map_or(0, |after| order.partition_point(|key| *key <= after));
        let there = order.iter().skip(past).filter_map(|key| {
            let slot = self.0.store.peek(key)?;
            slot.entry().map(Arc::clone)
        });
        let mut found = there.filter(|stored| chosen(stored));
        let some = found.by_ref().take(limit).collect();
        (some, found.next().is_some())
    }

    /// One response, if clients may be answered with it.
    ///
    /// # Errors
    ///
    /// Memory has none, and the shared store may have.
    pub async fn entry(&self, key: &ComposedKey) -> Result<Option<Listed>, Away> {
        if let Some(stored) = self.stored_here(*key).await {
            return Ok(Some(Listed::here(&stored, self.now())));
        }
        let there = self.stored_elsewhere(*key).await?;
        Ok(there.map(|there| Listed::elsewhere(there.found.pointer).with(&there.entry)))
    }

    /// The response of this identity in memory, if clients may be answered with it.
    pub(super) async fn stored_here(&self, key: ComposedKey) -> Option<Arc<Stored>> {
        let now = self.now();
        let find = move |cache: &Cache| {
            let mut all = cache.all_here().map(|(_, stored)| stored);
            all.find(|it| it.is_listed(now) && it.composed_key() == key) // the hash last: it takes longest
        };
        self.offload(find).await.flatten()
    }

    /// How many responses of memory lie under this key and can answer.
    pub fn under(&self, base: BaseKey) -> usize {
        let (store, now) = (&self.0.store, self.now());
        let answers = |variant: &Variant| {
            let slot = store.peek(variant);
            let stored = slot.as_ref().and_then(Slot::entry);
            stored.is_some_and(|stored| stored.is_listed(now))
        };
        let only = base.only_variant();
        match store.peek(&only) {
            Some(Slot::Varies(note)) => note.variants.iter().filter(|it| answers(it)).count(),
            Some(_) | None => usize::from(answers(&only)),
        }
    }

    /// All responses of memory, in no order.
    pub(super) fn all_here(&self) -> impl Iterator<Item = (Variant, Arc<Stored>)> {
        let all = self.0.store.iter();
        all.filter_map(|(variant, slot)| match slot {
            Slot::Entry(stored) => Some((variant, stored)),
            Slot::Varies(_) | Slot::Same(_) | Slot::Unstorable { .. } => None,
        })
    }

    /// How much of memory each rule's responses take, whatever they are still good for; those of no rule under an empty name.
    pub async fn usage_by_rule(&self) -> BTreeMap<Box<str>, Usage> {
        let used = self.offload(Cache::sum_by_rule).await;
        used.unwrap_or_default()
    }

    fn sum_by_rule(&self) -> BTreeMap<Box<str>, Usage> {
        let mut by_rule: BTreeMap<Box<str>, Usage> = BTreeMap::new();
        for (_, stored) in self.all_here() {
            let rule = stored.rule().unwrap_or_default();
            let bytes = Slot::Entry(Arc::clone(&stored)).weight();
            let usage = match by_rule.get_mut(rule) {
                Some(usage) => usage,
                None => by_rule.entry(rule.into()).or_default(),
            };
            usage.entries += 1;
            usage.bytes += bytes;
        }
        by_rule
    }

    /// What goes through all of memory, or makes much of what it has found there: where it keeps no request waiting, and one such
    /// work at a time. `None`: it has panicked.
    pub async fn offload<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Cache) -> T + Send + 'static,
    ) -> Option<T> {
        let cache = self.clone();
        self.0.offload.run(move || look(&cache)).await
    }
}
