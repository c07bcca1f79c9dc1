//! Values of the app that no response brings: put, looked for and deleted by name, and otherwise held to what responses are
//! held to. Their tags are compared with the snapshot from before they were computed (L1), they live for a time (L10), and
//! sidecars that share responses share them.
//!
//! Each has a tag of its own, `~object:<name>`. What replaces or deletes it increments that one, so that no sidecar goes on with
//! the old value, however it came by it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::cache::Cache;
use crate::cache::Stored;
use crate::cache::elsewhere::BORROWED;
use crate::cache::life::LONGEST;
use crate::cache::stored::REMEMBERED;
use crate::cache::stored::Slot;
use crate::cache::stored::Uncommon;
use crate::cache::trust::MARGIN;
use crate::metrics::Source;
use crate::model::entry::Conditions;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::entry::StaleUse;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::outcome::Commit;
use crate::model::outcome::NoStore;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::Tagged;
use crate::model::time::Timestamp;
use crate::rules::Consistency;
use crate::rules::ObjectKey;
use crate::rules::RuleSet;
use crate::shared;
use crate::shared::Link;
use crate::store;
use crate::store::Noticed;
use crate::store::Uses;
use crate::store::codec::Pointer;
use crate::store::codec::Record;
use crate::tags::Own;
use crate::tags::Seals;
use crate::tags::Snapshot;
use crate::tags::Token;

/// The app's own values under these rules' namespace and epoch.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    cache: &'a Cache,
    rules: &'a RuleSet,
}

/// A value to be put.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it is, as its reader is told.
    pub content_type: Option<HeaderValue>,
    /// The value.
    pub body: Bytes,
    /// What it was computed from.
    pub tags: Vec<Tagged>,
    /// How long it may be used; a week at most.
    pub life: Duration,
}

/// What was found under a name.
#[derive(Debug)]
pub enum Found {
    /// A value.
    Object {
        /// What it is.
        content_type: Option<HeaderValue>,
        /// The value.
        body: Bytes,
        /// How long ago it was put.
        age: Duration,
        /// Its full identity.
        key: ComposedKey,
    },
    /// None that may be used. The token is from before the value is computed that is to be put in its place.
    Nothing(Token),
}

/// What has come of putting one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none.
    New,
    /// There was one.
    Replaced,
}

/// Why one was not put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPut {
    /// One of its tags was incremented since it was computed, or nobody knows (L1).
    Raced,
    /// The app has told of a higher version of one of its tags.
    OldVersion,
    /// It is larger than what is stored.
    TooLarge,
    /// It is to be used for no time.
    NoLife,
    /// Nobody knows the versions of its tags: the shared store cannot be asked.
    Fenced,
}

impl From<NoStore> for NotPut {
    fn from(why: NoStore) -> NotPut {
        if why == NoStore::OldVersion {
            NotPut::OldVersion
        } else if why == NoStore::Fenced {
            NotPut::Fenced
        } else {
            NotPut::Raced // there is nothing else that tags say
        }
    }
}

impl Cache {
    /// The app's own values, under the rules in force.
    pub fn objects<'a>(&'a self, rules: &'a RuleSet) -> Objects<'a> {
        Objects { cache: self, rules }
    }
}

impl Objects<'_> {
    /// What is stored under a name, here or by another sidecar.
    pub async fn get(&self, name: &str) -> Found {
        let key = self.rules.object(name);
        let Some(stored) = self.find(&key).await else {
            return Found::Nothing(self.cache.0.tags.token());
        };
        stored.note_use();
        let entry = &stored.entry;
        Found::Object {
            content_type: entry.headers.values(&header::CONTENT_TYPE).next(),
            body: entry.body.clone(),
            age: entry.meta.age(self.cache.now()),
            key: stored.composed_key(),
        }
    }

    /// Puts a value under a name, in place of what was there. With the token of the [`Found::Nothing`] from before it was
    /// computed, its tags must not have changed since; without one, since this began. `by` is who asks.
    ///
    /// # Errors
    ///
    /// It was not put; what was there may be gone.
    pub async fn put(
        &self,
        name: &str,
        object: Object,
        token: Option<&Token>,
        by: &Arc<str>,
    ) -> Result<Put, NotPut> {
        let cache = self.cache;
        let tags = &cache.0.tags;
        let before = match token {
            Some(token) => tags.since(token)?,
            None => tags.snapshot(),
        };
        if object.body.len() > cache.0.max_object {
            return Err(NotPut::TooLarge);
        }
        if object.life.is_zero() {
            return Err(NotPut::NoLife);
        }
        let key = self.rules.object(name);
        let tagged = Carried::of(&key, &object.tags);
        // What waits for the store refuses the seal.
        cache.observe_from(&object.tags, by, Source::Admin).await;
        let life = object.life.min(LONGEST);
        // First: what the store does not know it takes for changed just now.
        let registered = tags
            .register(&tagged.all, life + REMEMBERED + MARGIN)
            .await?;
        // Of two that come at once without a token, each replaces what it finds.
        let held_to = token.map_or(tagged.others(), |_| tagged.all.as_slice());
        tags.foresee(held_to, &before, None)?;
        let is_there = self.is_there(&key).await;
        let put = match is_there {
            Some(false) => Put::New,
            Some(true) | None => Put::Replaced,
        };
        // Others may hold what cannot be found here.
        let replaces = put == Put::Replaced || tags.are_shared();
        let own = match replaces {
            true => Some(self.replace(&key, by, token.map(|_| &before)).await?),
            false => None,
        };
        match tags.seal_own(&tagged.all, &before, own.as_ref(), &registered) {
            Ok(seals) => {
                let stored = self.stored(&key, object, seals);
                self.keep(&stored, &before)?;
                self.put_elsewhere(&stored, &before).await;
                Ok(put)
            }
            // Another has been put, or this been deleted, meanwhile: as if that had come right after it.
            Err(NoStore::Raced)
                if token.is_none() && self.is_replaced(&tagged, &before, own.as_ref()) =>
            {
                Ok(put)
            }
            Err(why) => Err(why.into()),
        }
    }

    /// Deletes what is stored under a name, in all sidecars; how much that was, as far as is known. `None`: the shared store
    /// could not be told yet, and others go on with it until then (L6).
    pub async fn delete(&self, name: &str, by: &Arc<str>) -> Option<usize> {
        let key = self.rules.object(name);
        let was_there = self.is_there(&key).await;
        let increments = [Increment::from(key.own.clone())];
        let stamps = self.cache.increment_by_operator(&increments, by).await;
        let variant = key.base.only_variant();
        self.cache.0.store.remove(&variant);
        if let Some((second, link)) = self.cache.second_tier() {
            let dropped = async {
                match second.record(&link, variant).await? {
                    Some(Record::Entry(pointer)) => second.drop(&link, variant, pointer.key).await,
                    Some(Record::Varies { .. }) | None => Ok(()),
                }
            };
            // What stays there is of no use to anybody, and expires.
            self.cache.answered(&link, dropped.await).ok(); // an error is told there
        }
        stamps.map(|_| was_there.unwrap_or_default().into())
    }

    async fn find(&self, key: &ObjectKey) -> Option<Arc<Stored>> {
        let (cache, tags) = (self.cache, &self.cache.0.tags);
        let here = self.here(key);
        let believed = match key.consistency {
            Consistency::Bounded => !tags.is_fenced(),
            Consistency::Strict => {
                let seals = here.as_ref().map(|stored| &stored.seals);
                tags.catch_up(seals, Some(key.epoch)).await
            }
        };
        let here = here.filter(|stored| stored.is_live(cache.now()));
        match (believed, here) {
            (false, _) => None,
            (true, Some(stored)) => Some(stored),
            (true, None) => self.elsewhere(key).await,
        }
    }

    /// What lies here, but for what is to be looked for again where it was found.
    fn here(&self, key: &ObjectKey) -> Option<Arc<Stored>> {
        let slot = self.cache.0.store.get(&key.base.only_variant())?;
        let stored = Arc::clone(slot.entry()?);
        (!stored.is_given_back(self.cache.now())).then_some(stored)
    }

    /// What another sidecar has put, which is kept here for a while.
    async fn elsewhere(&self, key: &ObjectKey) -> Option<Arc<Stored>> {
        let (second, link) = self.cache.second_tier()?;
        let before = self.cache.0.tags.snapshot();
        let look = self.look_in(second, &link, key);
        let found = self.cache.0.clock.within(link.patience(), look).await?;
        let stored = Arc::new(self.cache.answered(&link, found).ok()??);
        self.keep(&stored, &before).ok()?;
        Some(stored)
    }

    async fn look_in(
        &self,
        second: &store::Shared,
        link: &Link,
        key: &ObjectKey,
    ) -> Result<Option<Stored>, shared::Error> {
        let (tags, variant) = (&self.cache.0.tags, key.base.only_variant());
        let Some(pointer) = self.recorded(second, link, variant).await? else {
            return Ok(None);
        };
        let Some(seals) = tags.seals_of(&pointer.tags, link) else {
            return Ok(None);
        };
        // From here on the log tells of their changes; what they were before, and what it has not told of yet, the store says.
        let asks = key.consistency == Consistency::Strict || !seals.intact();
        if asks && !tags.catch_up(Some(&seals), None).await || !seals.intact() {
            return Ok(None);
        }
        let entry = second.entry(link, &pointer, self.cache.now());
        let Some(entry) = entry.await? else {
            return Ok(None);
        };
        let now = self.cache.now();
        let stored = Stored {
            entry: self.cache.compact(entry),
            asked: pointer.stored,
            variant,
            logical: pointer.logical.into(),
            seals,
            noticed: Noticed::default(),
            uses: Uses::default(),
            uncommon: Uncommon {
                borrowed_until: Some(now + BORROWED),
                ..Uncommon::default()
            }
            .unless_usual(),
        };
        Ok(Some(stored).filter(|stored| stored.is_live(now)))
    }

    /// What the store says of a variant, if that is of this history and not over.
    async fn recorded(
        &self,
        second: &store::Shared,
        link: &Link,
        variant: Variant,
    ) -> Result<Option<Pointer>, shared::Error> {
        let Some(Record::Entry(pointer)) = second.record(link, variant).await? else {
            return Ok(None);
        };
        let is_so = pointer.is_of(variant, link.generation(), self.cache.now());
        Ok(is_so.then_some(pointer))
    }

    /// Whether there is one that is used, by this sidecar or where all look. `None`: nobody could be asked there.
    async fn is_there(&self, key: &ObjectKey) -> Option<bool> {
        if let Some(stored) = self.here(key)
            && stored.is_live(self.cache.now())
        {
            return Some(true);
        }
        let Some((second, link)) = self.cache.second_tier() else {
            return Some(false);
        };
        let recorded = self
            .recorded(second, &link, key.base.only_variant())
            .await
            .map(|pointer| {
                let seals = pointer.map(|it| self.cache.0.tags.seals_of(&it.tags, &link));
                let seals = seals.flatten();
                seals.is_some_and(|seals| seals.intact() || seals.are_unknown())
            });
        self.cache.answered(&link, recorded).ok()
    }

    /// What was there is used by nobody any more; what is put in its place is, unless another had been since `before`.
    async fn replace(
        &self,
        key: &ObjectKey,
        by: &Arc<str>,
        before: Option<&Snapshot>,
    ) -> Result<Own, NotPut> {
        let (increments, source) = ([Increment::from(key.own.clone())], Source::Admin);
        let tags = &self.cache.0.tags;
        let (own, commit) = tags.increment_own(&increments, by, source, before).await;
        self.cache.incremented(&increments, source, by).await;
        match commit {
            Commit::Done => Ok(own),
            Commit::Deferred => Err(NotPut::Fenced),
        }
    }

    /// Whether a value that was computed since `before` is kept out by nothing but its own tag, which others have changed after
    /// it was put.
    fn is_replaced(&self, tagged: &Carried, before: &Snapshot, own: Option<&Own>) -> bool {
        let tags = &self.cache.0.tags;
        tags.foresee(tagged.others(), before, None).is_ok()
            && tags.foresee(tagged.own(), before, own) == Err(NoStore::Raced)
    }

    fn stored(&self, key: &ObjectKey, object: Object, seals: Seals) -> Arc<Stored> {
        let (life, now) = (object.life.min(LONGEST), self.cache.now());
        Arc::new(Stored {
            entry: self.cache.compact(entry(object, life, now)),
            asked: now,
            variant: key.base.only_variant(),
            logical: key.logical.as_str().into(),
            seals,
            noticed: Noticed::default(),
            uses: Uses::default(),
            uncommon: None,
        })
    }

    /// Keeps it in memory, unless a pattern has come meanwhile that it matches, or a newer one.
    fn keep(&self, stored: &Arc<Stored>, before: &Snapshot) -> Result<(), NotPut> {
        let cache = self.cache;
        let _one_at_a_time = cache.0.fills.lock();
        if self.is_purged(stored, before) {
            return Err(NotPut::Raced);
        }
        let there = cache.0.store.get(&stored.variant);
        let newer = |it: &Arc<Stored>| it.asked > stored.asked && it.is_live(cache.now());
        if !there.as_ref().and_then(Slot::entry).is_some_and(newer) {
            let slot = Slot::Entry(Arc::clone(stored));
            cache.0.store.put(stored.variant, slot);
        }
        Ok(())
    }

    fn is_purged(&self, stored: &Stored, before: &Snapshot) -> bool {
        let logical = || &*stored.logical;
        self.cache.purges().forget(logical, before.stamp())
    }

    /// Tells the other sidecars of what has just been put here.
    async fn put_elsewhere(&self, stored: &Arc<Stored>, before: &Snapshot) {
        let Some((second, link)) = self.cache.second_tier() else {
            return;
        };
        let put = async {
            self.put_in(second, &link, stored).await?;
            // A pattern may have come meanwhile, and whoever acts on it may have looked here before this was put; or another value,
            // in whose place this lies now.
            let tags = &self.cache.0.tags;
            let is_certain = tags.catch_up(None, None).await && stored.seals.intact();
            if !is_certain || self.is_purged(stored, before) {
                let (variant, key) = (stored.variant, stored.composed_key());
                second.drop_one(&link, variant, key).await?;
            }
            Ok(())
        };
        self.cache.answered(&link, put.await).ok(); // an error is told there
    }

    async fn put_in(
        &self,
        second: &store::Shared,
        link: &Link,
        stored: &Arc<Stored>,
    ) -> Result<(), shared::Error> {
        let generation = link.generation().to_owned();
        let life = stored.entry.meta.expires().since(self.cache.now());
        // In this order: seals are broken in another history (L3).
        if life.is_zero() || !stored.seals.intact() {
            return Ok(());
        }
        let (pointer, stored) = (stored.pointer(generation), Arc::clone(stored));
        second
            .put(link, stored.variant, pointer, stored, life)
            .await
    }
}

/// All tags of a value, each once.
struct Carried {
    /// The first is its own.
    all: Vec<Tagged>,
}

impl Carried {
    fn of(key: &ObjectKey, named: &[Tagged]) -> Carried {
        let mut all = vec![Tagged::from(key.own.clone()), Tagged::from(Tag::all())];
        for it in named {
            if !all.iter().any(|other| other.tag == it.tag) {
                all.push(it.clone());
            }
        }
        Carried { all }
    }

    fn own(&self) -> &[Tagged] {
        self.all.get(..1).unwrap_or_default()
    }

    fn others(&self) -> &[Tagged] {
        self.all.get(1..).unwrap_or_default()
    }
}

/// A value as responses are kept.
fn entry(object: Object, life: Duration, now: Timestamp) -> Entry {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = object.content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    Entry {
        status: StatusCode::OK,
        headers: crate::model::fields::Fields::of(&headers),
        targeted: None,
        body: object.body,
        part: None,
        meta: EntryMeta {
            received: now,
            born: now,
            lifetime: life,
            soft_until: None,
            conditions: Conditions {
                stale: StaleUse {
                    forbidden: true,
                    ..StaleUse::default()
                },
                shareable: true,
                vary: [].into(),
            }
            .into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::cache::Config;
    use crate::clock::Clock;
    use crate::model::glob::Glob;
    use crate::rules::Context;
    use crate::rules::LiveRules;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn cache() -> (Cache, Clock) {
        let clock = Clock::manual(Timestamp::from_secs(1_000_000));
        let config = Config {
            max_bytes: 1 << 20,
            max_object: 1 << 10,
            max_variants: 4,
        };
        (Cache::new(config, clock.clone()), clock)
    }

    fn rules() -> RuleSet {
        RuleSet::none(&Context::new("test"))
    }

    fn me() -> Arc<str> {
        "PUT /v1/objects/k (app)".into()
    }

    fn object(body: &str, tags: &[&str]) -> Object {
        let tags = tags.iter().map(|name| Tag::parse(name).unwrap().into());
        Object {
            content_type: Some(HeaderValue::from_static("text/plain")),
            body: Bytes::copy_from_slice(body.as_bytes()),
            tags: tags.collect(),
            life: HOUR,
        }
    }

    /// Alone nothing is waited for.
    fn now<F: Future>(future: F) -> F::Output {
        future.now_or_never().unwrap()
    }

    fn get(cache: &Cache, name: &str) -> Result<String, Token> {
        match now(cache.objects(&rules()).get(name)) {
            Found::Object { body, .. } => Ok(String::from_utf8(body.to_vec()).unwrap()),
            Found::Nothing(token) => Err(token),
        }
    }

    fn put(cache: &Cache, body: &str, token: Option<&Token>) -> Result<Put, NotPut> {
        let object = object(body, &["User:42"]);
        now(cache.objects(&rules()).put("k", object, token, &me()))
    }

    fn increment(cache: &Cache, tag: Tag) {
        now(cache.increment_by_operator(&[tag.into()], &me())).unwrap();
    }

    fn user() -> Tag {
        Tag::parse("User:42").unwrap()
    }

    #[test]
    fn j16_a_value_is_found_until_one_of_its_tags_is_incremented() {
        let (cache, clock) = cache();
        assert!(get(&cache, "k").is_err());
        assert_eq!(put(&cache, "one", None), Ok(Put::New));
        clock.advance(Duration::from_secs(7));
        match now(cache.objects(&rules()).get("k")) {
            Found::Object {
                content_type, age, ..
            } => {
                assert_eq!(content_type.unwrap(), "text/plain");
                assert_eq!(age.as_secs(), 7);
            }
            Found::Nothing(_) => panic!("it is there"),
        }
        assert!(get(&cache, "other").is_err());
        for tag in [user(), Tag::all(), Tag::object("k")] {
            assert_eq!(get(&cache, "k").unwrap(), "one", "{tag}");
            increment(&cache, tag);
            assert!(get(&cache, "k").is_err());
            assert_eq!(put(&cache, "one", None), Ok(Put::New));
        }
    }

    #[test]
    fn l01_object_put_with_a_token_from_before_an_increment_is_refused() {
        let (cache, _) = cache();
        let before = get(&cache, "k").unwrap_err();
        increment(&cache, user());
        assert_eq!(put(&cache, "old", Some(&before)), Err(NotPut::Raced));
        assert!(get(&cache, "k").is_err(), "nothing old is there");
        let after = get(&cache, "k").unwrap_err();
        increment(&cache, Tag::parse("User:43").unwrap());
        assert_eq!(put(&cache, "new", Some(&after)), Ok(Put::New));
        assert_eq!(get(&cache, "k").unwrap(), "new");
    }

    #[test]
    fn l01_a_token_from_before_a_delete_or_another_value_is_refused() {
        let (cache, _) = cache();
        let (rules, by) = (rules(), me());
        let before = get(&cache, "k").unwrap_err();
        assert_eq!(now(cache.objects(&rules).delete("k", &by)), Some(0));
        assert_eq!(put(&cache, "old", Some(&before)), Err(NotPut::Raced));
        let before = get(&cache, "k").unwrap_err();
        assert_eq!(put(&cache, "one", None), Ok(Put::New));
        assert_eq!(put(&cache, "two", None), Ok(Put::Replaced));
        assert_eq!(put(&cache, "old", Some(&before)), Err(NotPut::Raced));
        assert_eq!(get(&cache, "k").unwrap(), "two");
        assert_eq!(now(cache.objects(&rules).delete("k", &by)), Some(1));
        assert!(get(&cache, "k").is_err());
    }

    #[test]
    fn l01_what_the_app_counts_itself_is_held_to_its_newest_version() {
        let (cache, _) = cache();
        let put = |version: i64| {
            let mut object = object("x", &["User:42"]);
            object.tags[0].version = Some(version);
            now(cache.objects(&rules()).put("k", object, None, &me()))
        };
        assert_eq!(put(7), Ok(Put::New));
        assert_eq!(put(6), Err(NotPut::OldVersion));
        assert_eq!(put(7), Ok(Put::Replaced));
        assert_eq!(put(8), Ok(Put::New), "it has invalidated what was there");
    }

    #[test]
    fn a_version_that_comes_with_a_value_counts_as_an_operators() {
        let (cache, _) = cache();
        let mut object = object("x", &["User:42"]);
        object.tags[0].version = Some(7);
        let put = now(cache.objects(&rules()).put("k", object, None, &me()));
        assert_eq!(put, Ok(Put::New));
        let told = cache.increments(9);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (&*told[0].tags, told[0].source),
            (&[user()][..], Source::Admin)
        );
    }

    #[test]
    fn l08_an_empty_value_is_one() {
        let (cache, _) = cache();
        assert_eq!(put(&cache, "", None), Ok(Put::New));
        assert_eq!(get(&cache, "k").unwrap(), "");
    }

    #[test]
    fn l10_a_value_lives_for_a_week_at_most() {
        let (cache, clock) = cache();
        let (rules, by) = (rules(), me());
        let put = |life| {
            let object = Object {
                life,
                ..object("x", &[])
            };
            now(cache.objects(&rules).put("k", object, None, &by))
        };
        assert_eq!(put(Duration::ZERO), Err(NotPut::NoLife));
        for (life, lives) in [(HOUR, HOUR), (2 * LONGEST, LONGEST)] {
            assert_eq!(put(life), Ok(Put::New));
            clock.advance(lives - Duration::from_secs(1));
            assert!(get(&cache, "k").is_ok(), "{life:?}");
            clock.advance(Duration::from_secs(1));
            assert!(get(&cache, "k").is_err(), "{life:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_put_and_leaves_what_is_there() {
        let (cache, _) = cache();
        assert_eq!(put(&cache, "one", None), Ok(Put::New));
        let large = "x".repeat((1 << 10) + 1);
        assert_eq!(put(&cache, &large, None), Err(NotPut::TooLarge));
        assert_eq!(get(&cache, "k").unwrap(), "one");
    }

    #[tokio::test]
    async fn l11_patterns_match_values_by_their_logical_keys() {
        let (cache, _) = cache();
        assert_eq!(put(&cache, "one", None), Ok(Put::New));
        for (pattern, left) in [("k", true), ("object:l*", true), ("object:k*", false)] {
            let purged = cache.purge_matching(&Glob::new(pattern), &me()).await;
            assert!(purged.is_some());
            assert_eq!(get(&cache, "k").is_ok(), left, "{pattern}");
        }
    }

    #[tokio::test]
    async fn l01_a_token_from_before_a_pattern_that_matches_is_refused() {
        let (cache, _) = cache();
        for (pattern, expected) in [
            ("object:k*", Err(NotPut::Raced)),
            ("object:l*", Ok(Put::New)),
        ] {
            let before = get(&cache, "k").unwrap_err();
            let purged = cache.purge_matching(&Glob::new(pattern), &me()).await;
            assert_eq!(purged, Some(0));
            assert_eq!(put(&cache, "x", Some(&before)), expected, "{pattern}");
            assert_eq!(get(&cache, "k").is_ok(), expected.is_ok(), "{pattern}");
        }
    }

    #[test]
    fn a_higher_epoch_finds_nothing_of_a_lower_one() {
        let (cache, _) = cache();
        assert_eq!(put(&cache, "one", None), Ok(Put::New));
        let live = LiveRules::new(rules());
        live.raise_epoch(2);
        let found = now(cache.objects(&live.load()).get("k"));
        assert!(matches!(found, Found::Nothing(_)));
    }
}
