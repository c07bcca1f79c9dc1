//! What the store that all sidecars share has, for people. What is shown is what the store itself says is right: no tag becomes
//! known here by it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::cache::Cache;
use crate::cache::elsewhere::BORROWED;
use crate::cache::inspect::Away;
use crate::cache::inspect::Filter;
use crate::cache::inspect::ListError;
use crate::cache::inspect::Listed;
use crate::cache::inspect::Page;
use crate::cache::inspect::cursor::Cursor;
use crate::cache::inspect::cursor::Place;
use crate::cache::stored::Slot;
use crate::model::entry::Entry;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::policy::request::Use;
use crate::policy::request::Wishes;
use crate::policy::request::usable;
use crate::rules::KeptIn;
use crate::rules::Query;
use crate::shared;
use crate::shared::Link;
use crate::shared::Scan;
use crate::store;
use crate::store::codec::Pointer;

/// A response of the shared store.
pub(in crate::cache) struct Elsewhere {
    pub(in crate::cache) found: store::Found,
    pub(in crate::cache) entry: Entry,
}

/// So often the store is asked for one page: where hardly anything is wanted of it, others go on to the next.
const MOST_LOOKS: usize = 64;

/// How many tags are asked for at once.
const TAGS: usize = 1_000;

impl Cache {
    /// The store of responses that all share, and the way to it; `None`: there is none.
    pub(in crate::cache) fn shared_responses(
        &self,
    ) -> Result<Option<(&store::Shared, Link)>, Away> {
        match self.0.second {
            Some(_) => Ok(Some(self.second_tier().ok_or(Away)?)),
            None => Ok(None),
        }
    }

    /// The same; `None` also while nobody can be asked there.
    pub(in crate::cache) fn second_tier(&self) -> Option<(&store::Shared, Link)> {
        let second = self.0.second.as_ref()?;
        let link = self.0.tags.link().filter(Link::has_bodies)?;
        Some((second, link))
    }

    /// What it has answered, if it has.
    pub(in crate::cache) fn answered<T>(
        &self,
        link: &Link,
        answer: Result<T, shared::Error>,
    ) -> Result<T, Away> {
        answer.map_err(|error| {
            self.0.tags.failed_with_response(link, &error);
            Away
        })
    }

    pub(super) async fn list_elsewhere(
        &self,
        filter: &Filter,
        from: Cursor,
        scan: Scan,
        limit: usize,
    ) -> Result<Page, ListError> {
        let (mut entries, mut next) = (Vec::new(), Some(scan));
        let shared = self.shared_responses().map_err(|Away| ListError::Away)?;
        let Some((second, link)) = shared else {
            return Ok(Page {
                entries,
                cursor: None,
            });
        };
        let mut seen = BTreeSet::new();
        for _ in 0..MOST_LOOKS {
            let Some(here) = next.filter(|_| entries.len() < limit) else {
                break;
            };
            let about = limit - entries.len();
            let looked = async {
                let (some, rest) = second.some(&link, here, about).await?;
                let some = self.wanted_of(some, filter, from, &link);
                Ok((self.current_of(some, &link).await?, rest))
            };
            let looked = self.answered(&link, looked.await);
            let (mut some, rest) = looked.map_err(|Away| ListError::Away)?;
            some.retain(|it| seen.insert(it.pointer.key.to_bytes()));
            if !entries.is_empty() && entries.len() + some.len() > limit {
                break; // the next page begins with these
            }
            entries.extend(some.into_iter().map(|it| Listed::elsewhere(it.pointer)));
            next = rest;
        }
        let place = next.map(Place::Redis);
        Ok(Page {
            entries,
            cursor: place.map(|place| Cursor { place, ..from }.to_string()),
        })
    }

    /// Those that are listed if their tags are as they were.
    fn wanted_of(
        &self,
        found: Vec<store::Found>,
        filter: &Filter,
        list: Cursor,
        link: &Link,
    ) -> Vec<store::Found> {
        let now = self.now();
        let wanted = found.into_iter().filter(|it| {
            let pointer = &it.pointer;
            let tags = pointer.tags.iter().map(|(tag, _)| tag);
            pointer.is_of(it.variant, link.generation(), now)
                && filter.wants(pointer.rule.as_deref(), &pointer.logical, tags)
                && (filter.tier.is_some() || !self.has_listed(it, list))
        });
        wanted.collect()
    }

    /// Whether memory has listed it, which has had it since before the list began: if it asked the app later, it may have been
    /// listed too, but nobody knows.
    fn has_listed(&self, found: &store::Found, list: Cursor) -> bool {
        let there = self.0.store.peek(&found.variant);
        let stored = there.as_ref().and_then(Slot::entry);
        stored.is_some_and(|stored| {
            let borrowed = stored.borrowed_until().map(|until| until - BORROWED);
            stored.composed_key() == found.pointer.key
                && stored.is_listed(self.now())
                && borrowed.unwrap_or(stored.asked) <= list.began
        })
    }

    /// Those whose tags are as they were, by the word of the store.
    async fn current_of(
        &self,
        found: Vec<store::Found>,
        link: &Link,
    ) -> Result<Vec<store::Found>, shared::Error> {
        let pointers = found.iter().map(|it| &it.pointer);
        let current = self.versions(pointers, link).await?;
        let all = found.into_iter();
        Ok(all
            .filter(|it| has_versions(&it.pointer, &current))
            .collect())
    }

    /// The versions of all their tags, by the word of the store.
    async fn versions(
        &self,
        pointers: impl Iterator<Item = &Pointer>,
        link: &Link,
    ) -> Result<BTreeMap<Tag, Stamp>, shared::Error> {
        let tags = pointers.flat_map(|pointer| &pointer.tags);
        let tags: BTreeSet<&Tag> = tags.map(|(tag, _)| tag).collect();
        let tags: Vec<&Tag> = tags.into_iter().collect();
        let mut current: BTreeMap<Tag, Stamp> = BTreeMap::new();
        for some in tags.chunks(TAGS) {
            let states = link.read(some).await?.tags;
            let known = some.iter().zip(states);
            current.extend(known.filter_map(|(tag, it)| Some(((*tag).clone(), it?.current))));
        }
        Ok(current)
    }

    /// What the shared store has that answers a request which memory does not: what a fill would look for before it asks the app.
    pub async fn explain_elsewhere(&self, query: &Query, head: &Head) -> Option<Listed> {
        let (second, link) = self.second_tier()?;
        if query.rule.kept_in == KeptIn::Memory {
            return None;
        }
        let look = async {
            let pointed = second.pointer(&link, query.base, head.headers());
            let Some((variant, pointer)) = pointed.await? else {
                return Ok(None);
            };
            let here = self.0.store.peek(&variant);
            let here = here.as_ref().and_then(Slot::entry);
            if here.is_some_and(|here| here.asked >= pointer.stored) {
                return Ok(None); // it is what memory has, or older
            }
            let wishes = Wishes::granted(head.headers(), query.rule.client_control);
            let shown = self.shown(second, &link, (variant, pointer), &wishes);
            shown.await
        };
        self.answered(&link, look.await).ok().flatten()
    }

    async fn shown(
        &self,
        second: &store::Shared,
        link: &Link,
        (variant, pointer): (Variant, Pointer),
        wishes: &Wishes,
    ) -> Result<Option<Listed>, shared::Error> {
        if !pointer.is_of(variant, link.generation(), self.now())
            || !self.are_current(&pointer, link).await?
        {
            return Ok(None);
        }
        let entry = second.entry(link, &pointer, self.now()).await?;
        let answers = |entry: &Entry| {
            entry.part.is_none() && usable(&entry.meta, wishes, self.now()) == Use::Fresh
        };
        let entry = entry.filter(answers);
        Ok(entry.map(|entry| Listed::elsewhere(pointer).with(&entry)))
    }

    /// Whether the tags of one are as they were.
    async fn are_current(&self, pointer: &Pointer, link: &Link) -> Result<bool, shared::Error> {
        let current = self.versions([pointer].into_iter(), link).await?;
        Ok(has_versions(pointer, &current))
    }

    /// The response of this identity in the shared store, if clients may be answered with it. It looks at all that is there.
    pub(in crate::cache) async fn stored_elsewhere(
        &self,
        key: ComposedKey,
    ) -> Result<Option<Elsewhere>, Away> {
        let Some((second, link)) = self.shared_responses()? else {
            return Ok(None);
        };
        let found = async {
            let found = second.find(&link, key).await?;
            self.whole_of(second, &link, found).await
        };
        self.answered(&link, found.await)
    }

    /// The same, where its variant is known.
    pub(in crate::cache) async fn stored_under(
        &self,
        variant: Variant,
        key: ComposedKey,
    ) -> Result<Option<Elsewhere>, Away> {
        let Some((second, link)) = self.shared_responses()? else {
            return Ok(None);
        };
        let found = async {
            let found = second.found(&link, variant).await?;
            let found = found.filter(|it| it.pointer.key == key);
            self.whole_of(second, &link, found).await
        };
        self.answered(&link, found.await)
    }

    /// With its bytes, if its tags are as they were.
    async fn whole_of(
        &self,
        second: &store::Shared,
        link: &Link,
        found: Option<store::Found>,
    ) -> Result<Option<Elsewhere>, shared::Error> {
        let is_of = |it: &store::Found| it.pointer.is_of(it.variant, link.generation(), self.now());
        let found = found.into_iter().filter(is_of).collect();
        let Some(found) = self.current_of(found, link).await?.pop() else {
            return Ok(None);
        };
        let entry = second.entry(link, &found.pointer, self.now()).await?;
        Ok(entry.map(|entry| Elsewhere { found, entry }))
    }
}

/// Whether these are the versions that a response was stored under.
fn has_versions(pointer: &Pointer, current: &BTreeMap<Tag, Stamp>) -> bool {
    let mut tags = pointer.tags.iter();
    tags.all(|(tag, stamp)| current.get(tag) == Some(stamp))
}
