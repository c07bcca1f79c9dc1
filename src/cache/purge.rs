//! Forgetting by pattern: everything whose logical key matches a glob; or one response by its identity. Not by the versions of
//! tags, as nobody knows them, or others have them too; a record in the log tells all sidecars, each applies it to what it holds
//! and to fills under way, and the acting one drops what all share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::cache::Away;
use crate::cache::Cache;
use crate::cache::stored::Slot;
use crate::model::glob::Glob;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::stamp::Stamp;

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Forget {
    /// Whatever has a logical key that matches.
    Matching(Glob),
    /// One response.
    One(One),
}

/// A response that is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
struct One {
    key: ComposedKey,
    /// Under which it lies, here and in all other sidecars.
    variant: Variant,
    logical: Arc<str>,
}

/// What a text in the log begins with that is no glob: logical keys have no control characters, so such a glob would match nothing.
const ONE: char = '\0';

impl Forget {
    /// Reads what the log says.
    fn parse(text: &str) -> Forget {
        let one = text.strip_prefix(ONE).and_then(|one| {
            let (key, rest) = one.split_once(' ')?;
            let (variant, logical) = rest.split_once(' ')?;
            Some(Forget::One(One {
                key: ComposedKey::from_hex(key)?,
                variant: Variant::from_hex(variant)?,
                logical: logical.into(),
            }))
        });
        one.unwrap_or_else(|| Forget::Matching(Glob::new(text)))
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
    /// As the log says it: a glob, or `\0<composed key> <variant> <logical key>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forget::Matching(glob) => glob.fmt(f),
            Forget::One(one) => {
                let One {
                    key,
                    variant,
                    logical,
                } = one;
                write!(f, "{ONE}{key} {variant} {logical}")
            }
        }
    }
}

/// Patterns that fills under way must still be held to.
#[derive(Debug, Default)]
pub(super) struct Purges {
    recent: VecDeque<(Stamp, Forget)>,
    /// Fills that began before this are held to patterns that are no longer here.
    forgotten: Stamp,
}

/// How many patterns are remembered, if fills are that slow.
const MOST: usize = 1_000;

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

    /// Whether what was asked for at `before` is to be forgotten.
    pub(super) fn forget(&self, logical: &str, before: Stamp) -> bool {
        let concerns = |(stamp, what): &(Stamp, Forget)| *stamp > before && what.concerns(logical);
        self.forgotten > before || self.recent.iter().any(concerns)
    }
}

impl Cache {
    /// Forgets everything whose logical key matches, here and in all other sidecars; how much that was, as far as can be told.
    /// `by` is who asked. `None`: the store could not be told, and nothing is forgotten elsewhere.
    pub async fn purge_matching(&self, glob: &Glob, by: &Arc<str>) -> Option<usize> {
        let text = glob.to_string();
        if text.starts_with(ONE) {
            return Some(0); // nothing matches it, and it would be taken for something else
        }
        let stamp = self.0.tags.purge(&text, by).await?;
        let here = self.forget_matching(stamp, glob).await;
        let Some((second, link)) = self.shared_responses().ok()? else {
            return Some(here);
        };
        let dropped = second
            .drop_where(&link, |pointer| glob.matches(&pointer.logical))
            .await;
        match dropped {
            Ok(shared) => {
                // Whoever has looked there meanwhile may have found it once more.
                let stamp = self.0.tags.purge(&text, by).await?;
                self.forget_matching(stamp, glob).await;
                Some(shared.max(here)) // what is here is there too, for the most part
            }
            Err(error) => {
                self.0.tags.failed_with_response(&link, &error);
                None
            }
        }
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
        match second.drop_one(&link, one.variant, key).await {
            Ok(there) => {
                // Whoever has looked there meanwhile may have found it once more.
                let stamp = self.0.tags.purge(&text, by).await?;
                self.forget_one(stamp, &one);
                Some((here || there).into())
            }
            Err(error) => {
                self.0.tags.failed_with_response(&link, &error);
                None
            }
        }
    }

    /// The response of this identity in memory, whatever it is still good for.
    async fn one_here(&self, key: ComposedKey) -> Option<One> {
        let find = move |cache: &Cache| {
            let mut all = cache.all_here().map(|(_, stored)| stored);
            all.find(|it| it.composed_key() == key)
        };
        let found = self.offload(find).await.flatten()?;
        Some(One {
            key,
            variant: found.variant,
            logical: Arc::clone(&found.logical),
        })
    }

    /// The same of the shared store.
    async fn one_elsewhere(&self, key: ComposedKey) -> Result<Option<One>, Away> {
        let Some((second, link)) = self.shared_responses()? else {
            return Ok(None);
        };
        let found = second.find(&link, key).await;
        let found = self.answered(&link, found)?;
        Ok(found.map(|found| One {
            key,
            variant: found.variant,
            logical: found.pointer.logical.into(),
        }))
    }

    /// What the log says is to be forgotten.
    pub(super) async fn purged_elsewhere(&self, stamp: Stamp, pattern: &str) {
        match Forget::parse(pattern) {
            Forget::Matching(glob) => {
                self.forget_matching(stamp, &glob).await;
            }
            Forget::One(one) => {
                self.forget_one(stamp, &one);
            }
        }
    }

    /// Whether it was here. One look: who hears of increments waits for this.
    fn forget_one(&self, stamp: Stamp, one: &One) -> bool {
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

    /// How many there were. They are looked for where that keeps no request waiting.
    async fn forget_matching(&self, stamp: Stamp, glob: &Glob) -> usize {
        // First: what is not stored yet will not be.
        let what = Forget::Matching(glob.clone());
        self.purges().note(stamp, what, self.0.tags.oldest());
        drop(self.0.fills.lock()); // whoever has looked at that before has put what it brings
        let (cache, glob) = (self.clone(), glob.clone());
        let dropping = tokio::task::spawn_blocking(move || cache.drop_matching(&glob));
        dropping.await.unwrap_or_else(|error| {
            tracing::error!(%error, "forgetting by a pattern ended badly");
            0
        })
    }

    fn drop_matching(&self, glob: &Glob) -> usize {
        let here = self.all_here();
        let matching = here.filter(|(_, stored)| glob.matches(&stored.logical));
        let matching: Vec<Variant> = matching.map(|(variant, _)| variant).collect();
        let dropped = matching.chunks(AT_ONCE).map(|some| {
            let _one_at_a_time = self.0.fills.lock();
            let still = some.iter().filter(|variant| {
                let there = self.0.store.peek(variant);
                let stored = there.as_ref().and_then(Slot::entry);
                stored.is_some_and(|stored| glob.matches(&stored.logical))
            });
            still
                .inspect(|variant| self.0.store.remove(variant))
                .count()
        });
        dropped.sum()
    }

    pub(super) fn purges(&self) -> MutexGuard<'_, Purges> {
        self.0.purges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::KeyFields;

    fn glob(text: &str) -> Forget {
        Forget::Matching(Glob::new(text))
    }

    #[test]
    fn l11_what_began_before_a_pattern_that_is_no_longer_here_is_held_to_it() {
        let stamp = Stamp::from_raw;
        let mut purges = Purges::default();
        purges.note(stamp(5), glob("a*"), stamp(4));
        assert!(purges.forget("a1", stamp(4)));
        assert!(!purges.forget("b1", stamp(4)));
        purges.note(stamp(9), glob("c*"), stamp(7)); // nothing runs here that began before
        assert_eq!(purges.recent.len(), 1);
        assert!(purges.forget("a1", stamp(4)), "by another's token");
        assert!(!purges.forget("a1", stamp(5)));
        assert!(purges.forget("c1", stamp(8)));
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
        assert!(purges.forget("a1", stamp(6)), "the last of them counts");
        assert!(!purges.forget("a1", stamp(7)));
    }

    #[test]
    fn what_the_log_says_is_read_as_it_was_meant() {
        let key = ComposedKey::from_bytes([7; 16]);
        let variant = KeyFields::new().base_key().only_variant();
        let one = |logical: &str| {
            Forget::One(One {
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
