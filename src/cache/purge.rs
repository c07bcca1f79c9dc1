//! Forgetting by pattern: everything whose logical key matches a glob; or one response by its identity. Not by the versions of
//! tags, as nobody knows them, or others have them too; a record in the log tells all sidecars, each applies it to what it holds
//! and to fills under way, and the acting one drops what all share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::cache::Away;
use crate::cache::Cache;
use crate::cache::Stored;
use crate::cache::stored::Slot;
use crate::model::glob::Glob;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::stamp::Stamp;
use crate::shared::OneResponse;
use crate::shared::is_glob;

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Forget {
    /// Whatever has a logical key that matches.
    Matching(Glob),
    /// One response.
    One(OneResponse),
}

impl Forget {
    /// Reads what the log says.
    fn parse(text: &str) -> Forget {
        match OneResponse::parse(text) {
            Some(one) => Forget::One(one),
            None => Forget::Matching(Glob::new(text)),
        }
    }

    /// Whether it may be about a response with this logical key.
    fn concerns(&self, logical: &str) -> bool {
        match self {
            Forget::Matching(glob) => glob.matches(logical),
            Forget::One(one) => *one.logical == *logical,
        }
    }
}

impl fmt::Display for Forget {
    /// As the log says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forget::Matching(glob) => glob.fmt(f),
            Forget::One(one) => one.fmt(f),
        }
    }
}

/// Patterns that fills under way must still be held to.
#[derive(Debug, Default)]
pub(super) struct Purges {
    recent: VecDeque<(Stamp, Forget)>,
    /// Fills that began before this are held to patterns that are no longer here.
    forgotten: Stamp,
    /// The last passes over memory, each by the stamp of its pattern, and how many responses it has dropped once it is done.
    passes: VecDeque<(Stamp, watch::Receiver<Option<usize>>)>,
}

/// The pass over memory for a pattern: who asks here and who hears of it by the log want the same one.
enum Pass {
    /// Nobody has begun it.
    Ours(watch::Sender<Option<usize>>),
    /// It has begun, and tells when it is done.
    Begun(watch::Receiver<Option<usize>>),
}

/// How many patterns are remembered, if fills are that slow.
const MOST: usize = 1_000;

/// How many passes are remembered: who hears of one later makes it again.
const PASSES: usize = 64;

/// How many responses are dropped before a fill gets its turn.
const AT_ONCE: usize = 256;

impl Purges {
    /// What began at `oldest` or since is held to it, and what began earlier, by a token that another sidecar gave out, to all
    /// that are no longer here.
    fn note(&mut self, stamp: Stamp, what: Forget, oldest: Stamp) {
        let (mut stamp, mut forgotten) = (stamp, self.forgotten);
        self.recent.retain(|(noted, other)| {
            if *noted <= oldest {
                forgotten = forgotten.max(*noted);
                return false;
            }
            let is_same = *other == what;
            if is_same {
                stamp = stamp.max(*noted); // whoever began before the last of them is held to it
            }
            !is_same
        });
        self.forgotten = forgotten;
        self.recent.push_back((stamp, what));
        while self.recent.len() > MOST
            && let Some((stamp, _)) = self.recent.pop_front()
        {
            self.forgotten = self.forgotten.max(stamp);
        }
    }

    /// The pass for the pattern of this stamp.
    fn pass(&mut self, stamp: Stamp) -> Pass {
        if let Some((_, begun)) = self.passes.iter().find(|(it, _)| *it == stamp) {
            return Pass::Begun(begun.clone());
        }
        let (ours, begun) = watch::channel(None);
        self.passes.push_back((stamp, begun));
        if self.passes.len() > PASSES {
            self.passes.pop_front();
        }
        Pass::Ours(ours)
    }

    /// Whether what was asked for at `before` is to be forgotten.
    /// `logical`: its logical key, made only if something came since.
    pub(super) fn forget<S: AsRef<str>>(&self, logical: impl FnOnce() -> S, before: Stamp) -> bool {
        if self.forgotten > before {
            return true;
        }
        let mut since = self.recent.iter().filter(|(stamp, _)| *stamp > before);
        let Some((_, first)) = since.next() else {
            return false;
        };
        let logical = logical();
        let logical = logical.as_ref();
        first.concerns(logical) || since.any(|(_, what)| what.concerns(logical))
    }
}

impl Cache {
    /// Forgets everything whose logical key matches, here and in all other sidecars; how much that was, as far as can be told.
    /// `by` is who asked. `None`: the store could not be told, and nothing is forgotten elsewhere.
    pub async fn purge_matching(&self, glob: &Glob, by: &Arc<str>) -> Option<usize> {
        let text = glob.to_string();
        if !is_glob(&text) {
            return Some(0); // nothing matches it, and it would be taken for something else
        }
        let stamp = self.0.tags.purge(&text, by).await?;
        let here = self.forget_matching(vec![(stamp, glob.clone())]).await;
        let Some((second, link)) = self.shared_responses().ok()? else {
            return Some(here);
        };
        let dropped = second
            .drop_where(&link, |pointer| glob.matches(&pointer.logical))
            .await;
        let shared = self.answered(&link, dropped).ok()?;
        // Whoever has looked there meanwhile may have found it once more.
        let stamp = self.0.tags.purge(&text, by).await?;
        self.forget_matching(vec![(stamp, glob.clone())]).await;
        Some(shared.max(here)) // what is here is there too, for the most part
    }

    /// Forgets one response, here, in all other sidecars and where all share it, and whatever is being fetched under its logical
    /// key; others under that key stay. How many there were, as far as can be told: one or none, and none if neither memory nor the
    /// shared store has it, so that nobody is told. `by` is who asked. `None`: the store could not be asked or told, and it is not
    /// forgotten elsewhere.
    pub async fn purge_entry(&self, key: &ComposedKey, by: &Arc<str>) -> Option<usize> {
        let key = *key;
        let one = match self.one_here(key).await {
            Some(one) => Some(one),
            None => self.one_elsewhere(key).await.ok()?,
        };
        let Some(one) = one else {
            return Some(0);
        };
        let text = Forget::One(one.clone()).to_string();
        let stamp = self.0.tags.purge(&text, by).await?;
        let here = self.forget_one(stamp, &one);
        let Some((second, link)) = self.shared_responses().ok()? else {
            return Some(here.into());
        };
        let dropped = second.drop_one(&link, one.variant, key).await;
        let there = self.answered(&link, dropped).ok()?;
        // Whoever has looked there meanwhile may have found it once more.
        let stamp = self.0.tags.purge(&text, by).await?;
        self.forget_one(stamp, &one);
        Some((here || there).into())
    }

    /// The response of this identity in memory, whatever it is still good for.
    async fn one_here(&self, key: ComposedKey) -> Option<OneResponse> {
        let find = move |cache: &Cache| {
            let mut all = cache.all_here().map(|(_, stored)| stored);
            all.find(|it| it.composed_key() == key)
        };
        let found = self.offload(find).await.flatten()?;
        Some(OneResponse {
            key,
            variant: found.variant,
            logical: Arc::clone(&found.logical),
        })
    }

    /// The same of the shared store.
    async fn one_elsewhere(&self, key: ComposedKey) -> Result<Option<OneResponse>, Away> {
        let Some((second, link)) = self.shared_responses()? else {
            return Ok(None);
        };
        let found = second.find(&link, key).await;
        let found = self.answered(&link, found)?;
        Ok(found.map(|found| OneResponse {
            key,
            variant: found.variant,
            logical: found.pointer.logical.into(),
        }))
    }

    /// What the log says is to be forgotten.
    pub(super) async fn purged_elsewhere(&self, patterns: Vec<(Stamp, Box<str>)>) {
        let mut matching = Vec::new();
        for (stamp, text) in patterns {
            match Forget::parse(&text) {
                Forget::Matching(glob) => matching.push((stamp, glob)),
                Forget::One(one) => {
                    self.forget_one(stamp, &one);
                }
            }
        }
        self.forget_matching(matching).await;
    }

    /// Whether it was here. One look: who hears of increments waits for this.
    fn forget_one(&self, stamp: Stamp, one: &OneResponse) -> bool {
        let what = Forget::One(one.clone());
        // First: what is not stored yet will not be.
        self.purges().note(stamp, what, self.0.tags.oldest());
        let _one_at_a_time = self.0.fills.lock();
        let there = self.0.store.peek(&one.variant);
        let there = there.as_ref().and_then(Slot::entry);
        let is_there = there.is_some_and(|it| it.composed_key() == one.key);
        if is_there {
            self.0.store.remove(&one.variant);
        }
        is_there
    }

    /// Forgets what matches any of these, in one pass, unless that has begun; how many there were. Comes back when all of it is
    /// forgotten.
    async fn forget_matching(&self, patterns: Vec<(Stamp, Glob)>) -> usize {
        let (mut ours, mut begun) = (Vec::new(), Vec::new());
        {
            let mut purges = self.purges();
            let oldest = self.0.tags.oldest();
            for (stamp, glob) in patterns {
                // First: what is not stored yet will not be.
                purges.note(stamp, Forget::Matching(glob.clone()), oldest);
                match purges.pass(stamp) {
                    Pass::Ours(done) => ours.push((glob, done)),
                    Pass::Begun(done) => begun.push((glob, done)),
                }
            }
        }
        let mut count = self.pass(ours).await;
        for (glob, mut done) in begun {
            let dropped = done.wait_for(Option::is_some).await.map(|it| *it);
            count += match dropped {
                Ok(dropped) => dropped.unwrap_or_default(),
                Err(_) => self.pass(vec![(glob, watch::Sender::new(None))]).await, // it has come to no end
            };
        }
        count
    }

    /// A pass over memory, where it keeps no request waiting.
    async fn pass(&self, globs: Vec<(Glob, watch::Sender<Option<usize>>)>) -> usize {
        if globs.is_empty() {
            return 0;
        }
        drop(self.0.fills.lock()); // whoever has looked at the patterns before they were noted has put what it brings
        let cache = self.clone();
        let dropping = tokio::task::spawn_blocking(move || cache.drop_matching(globs));
        dropping.await.unwrap_or_else(|error| {
            tracing::error!(%error, "forgetting by a pattern ended badly");
            0
        })
    }

    fn drop_matching(&self, globs: Vec<(Glob, watch::Sender<Option<usize>>)>) -> usize {
        let here = self.all_here();
        let is_wanted = |stored: &Stored| globs.iter().any(|(it, _)| it.matches(&stored.logical));
        let matching = here.filter(|(_, stored)| is_wanted(stored));
        let matching: Vec<Variant> = matching.map(|(variant, _)| variant).collect();
        let mut counts = vec![0; globs.len()];
        let mut dropped = 0;
        for some in matching.chunks(AT_ONCE) {
            let _one_at_a_time = self.0.fills.lock();
            for variant in some {
                let there = self.0.store.peek(variant);
                let Some(stored) = there.as_ref().and_then(Slot::entry) else {
                    continue;
                };
                if !is_wanted(stored) {
                    continue; // another has taken its place
                }
                for ((glob, _), count) in globs.iter().zip(&mut counts) {
                    *count += usize::from(glob.matches(&stored.logical));
                }
                self.0.store.remove(variant);
                dropped += 1;
            }
        }
        for ((_, done), count) in globs.iter().zip(counts) {
            done.send_replace(Some(count));
        }
        dropped
    }

    pub(super) fn purges(&self) -> MutexGuard<'_, Purges> {
        self.0.purges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::Config;
    use crate::cache::objects::Object;
    use crate::clock::Clock;
    use crate::model::key::KeyFields;
    use crate::rules::Context;
    use crate::rules::RuleSet;

    fn glob(text: &str) -> Forget {
        Forget::Matching(Glob::new(text))
    }

    #[test]
    fn l11_what_began_before_a_pattern_that_is_no_longer_here_is_held_to_it() {
        let stamp = Stamp::from_raw;
        let mut purges = Purges::default();
        purges.note(stamp(5), glob("a*"), stamp(4));
        assert!(purges.forget(|| "a1", stamp(4)));
        assert!(!purges.forget(|| "b1", stamp(4)));
        purges.note(stamp(9), glob("c*"), stamp(7)); // nothing runs here that began before
        assert_eq!(purges.recent.len(), 1);
        assert!(purges.forget(|| "a1", stamp(4)), "by another's token");
        assert!(!purges.forget(|| "a1", stamp(5)));
        assert!(purges.forget(|| "c1", stamp(8)));
    }

    async fn put(cache: &Cache, name: &str) {
        let object = Object {
            content_type: None,
            body: "x".into(),
            tags: Vec::new(),
            life: Duration::from_secs(60),
        };
        let rules = RuleSet::none(&Context::new("test"));
        let (objects, by) = (cache.objects(&rules), "PUT".into());
        objects.put(name, object, None, &by).await.unwrap();
    }

    fn held(cache: &Cache) -> usize {
        cache.all_here().count()
    }

    fn cache() -> Cache {
        let config = Config {
            max_bytes: 1 << 20,
            max_object: 1 << 10,
            max_variants: 4,
        };
        Cache::new(config, Clock::System)
    }

    #[tokio::test]
    async fn memory_is_gone_through_once_for_a_pattern_of_its_own_that_the_log_tells_of_too() {
        let cache = cache();
        put(&cache, "a").await;
        let (tags, by) = (&cache.0.tags, "POST".into());
        let own = tags.purge("*a", &by).await.unwrap();
        let here = cache.forget_matching(vec![(own, Glob::new("*a"))]);
        assert_eq!(here.await, 1);
        put(&cache, "a").await; // a pass would drop it
        cache.purged_elsewhere(vec![(own, "*a".into())]).await;
        assert_eq!(held(&cache), 1);
        let other = tags.purge("*a", &by).await.unwrap();
        cache.purged_elsewhere(vec![(other, "*a".into())]).await;
        assert_eq!(held(&cache), 0);
    }

    #[tokio::test]
    async fn a_pass_that_has_begun_is_waited_for_and_one_that_broke_is_made_again() {
        for (ends_well, left) in [(true, 1), (false, 0)] {
            let cache = cache();
            put(&cache, "a").await;
            let stamp = Stamp::from_raw(7);
            let Pass::Ours(pass) = cache.purges().pass(stamp) else {
                panic!("nobody has begun it");
            };
            let mut heard = Box::pin(cache.purged_elsewhere(vec![(stamp, "*a".into())]));
            assert!(futures_util::poll!(&mut heard).is_pending(), "it goes on");
            if ends_well {
                pass.send_replace(Some(0));
            }
            drop(pass);
            heard.await;
            assert_eq!(held(&cache), left, "{ends_well}");
        }
    }

    #[tokio::test]
    async fn one_pass_forgets_what_matches_any_of_several_patterns_and_nothing_else() {
        let cache = cache();
        for name in ["a1", "a2", "b1", "c1"] {
            put(&cache, name).await;
        }
        let glob = |stamp, text| (Stamp::from_raw(stamp), Glob::new(text));
        let globs = vec![
            glob(7, "*a*"),
            glob(8, "*a1"),
            glob(9, "*b1"),
            glob(10, "*x"),
        ];
        assert_eq!(cache.forget_matching(globs).await, 3);
        let left = cache.all_here().map(|(_, it)| it.logical.to_string());
        assert!(left.collect::<String>().ends_with("c1"));
    }

    #[test]
    fn what_is_noted_twice_takes_one_place() {
        let stamp = Stamp::from_raw;
        let mut purges = Purges::default();
        for noted in [5, 7, 6] {
            purges.note(stamp(noted), glob("a*"), Stamp::NEVER);
        }
        purges.note(stamp(8), glob("b*"), Stamp::NEVER);
        assert_eq!(purges.recent.len(), 2);
        assert!(purges.forget(|| "a1", stamp(6)), "the last of them counts");
        assert!(!purges.forget(|| "a1", stamp(7)));
    }

    #[test]
    fn what_the_log_says_is_read_as_it_was_meant() {
        let key = ComposedKey::from_bytes([7; 16]);
        let variant = KeyFields::new().base_key().only_variant();
        let one = |logical: &str| {
            Forget::One(OneResponse {
                key,
                variant,
                logical: logical.into(),
            })
        };
        for what in [
            Forget::Matching(Glob::new("*")),
            Forget::Matching(Glob::new("")),
            Forget::Matching(Glob::new(&format!("{key} a*"))),
            one("Book:1>owner *"),
            one(""),
        ] {
            assert_eq!(Forget::parse(&what.to_string()), what, "{what}");
        }
        for text in [
            "\0",
            "\0 ",
            "\0x a",
            &format!("\0{key}"),
            &format!("\0{key} a b"),
        ] {
            let glob = Forget::Matching(Glob::new(text));
            assert_eq!(Forget::parse(text), glob, "{text:?}");
        }
    }
}
