//! Forgetting by pattern: everything whose logical key matches a glob; or one response by its identity. Not by the versions of
//! tags, as nobody knows them, or others have them too; a record in the log tells all sidecars, each applies it to what it holds
//! and to fills under way, and the acting one drops what all share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::cache::Cache;
use crate::cache::Stored;
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
    /// The response of this identity, with its logical key.
    One(ComposedKey, Arc<str>),
}

/// What a text in the log begins with that is no glob: logical keys have no control characters, so such a glob would match nothing.
const ONE: char = '\0';

impl Forget {
    /// Reads what the log says.
    fn parse(text: &str) -> Forget {
        let one = text.strip_prefix(ONE).and_then(|one| {
            let (key, logical) = one.split_once(' ')?;
            Some(Forget::One(ComposedKey::from_hex(key)?, logical.into()))
        });
        one.unwrap_or_else(|| Forget::Matching(Glob::new(text)))
    }

    /// Whether it may be about a response with this logical key.
    fn concerns(&self, logical: &str) -> bool {
        match self {
            Forget::Matching(glob) => glob.matches(logical),
            Forget::One(_, theirs) => **theirs == *logical,
        }
    }
}

impl fmt::Display for Forget {
    /// As the log says it: a glob, or `\0<composed key> <logical key>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forget::Matching(glob) => glob.fmt(f),
            Forget::One(key, logical) => write!(f, "{ONE}{key} {logical}"),
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
    fn note(&mut self, stamp: Stamp, what: Forget, oldest: Stamp) {
        self.recent.retain(|(stamp, _)| *stamp > oldest);
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
        let Some(second) = &self.0.second else {
            return Some(here);
        };
        let link = self.0.tags.link()?;
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
    /// key; others under that key stay. How many there were, as far as can be told: one or none. `by` is who asked. `None`: the
    /// store could not be told, and it is not forgotten elsewhere.
    pub async fn purge_entry(&self, key: &ComposedKey, by: &Arc<str>) -> Option<usize> {
        let key = *key;
        let find = move |cache: &Cache| cache.find_one(key, None);
        let here = self.aside_from_requests(find).await.flatten();
        let (variant, logical) = match here {
            Some(stored) => (Some(stored.variant), Arc::clone(&stored.logical)),
            None => self.pointer_to(key).await.unwrap_or((None, "".into())),
        };
        let text = Forget::One(key, Arc::clone(&logical)).to_string();
        let stamp = self.0.tags.purge(&text, by).await?;
        let here = self.forget_one(stamp, key, &logical);
        let (Some(second), Some(variant)) = (&self.0.second, variant) else {
            return Some(here.into());
        };
        let link = self.0.tags.link()?;
        match second.drop_one(&link, variant, key).await {
            Ok(there) => {
                // Whoever has looked there meanwhile may have found it once more.
                let stamp = self.0.tags.purge(&text, by).await?;
                self.forget_one(stamp, key, &logical);
                Some((here || there).into())
            }
            Err(error) => {
                self.0.tags.failed_with_response(&link, &error);
                None
            }
        }
    }

    /// Where a response of the shared store lies, and its logical key.
    async fn pointer_to(&self, key: ComposedKey) -> Option<(Option<Variant>, Arc<str>)> {
        let (second, link) = (self.0.second.as_ref()?, self.0.tags.link()?);
        let found = second.find(&link, key).await;
        let found = found.inspect_err(|error| self.0.tags.failed_with_response(&link, error));
        let found = found.ok().flatten()?;
        Some((Some(found.variant), found.pointer.logical.into()))
    }

    /// What the log says is to be forgotten.
    pub(super) async fn purged_elsewhere(&self, stamp: Stamp, pattern: &str) {
        match Forget::parse(pattern) {
            Forget::Matching(glob) => {
                self.forget_matching(stamp, &glob).await;
            }
            Forget::One(key, logical) => {
                self.forget_one(stamp, key, &logical);
            }
        }
    }

    /// Whether there was one. Nobody may know its logical key: then it is looked for under all.
    fn forget_one(&self, stamp: Stamp, key: ComposedKey, logical: &Arc<str>) -> bool {
        let mut logical = Some(Arc::clone(logical)).filter(|it| !it.is_empty());
        if logical.is_none() {
            logical = self.find_one(key, None).map(|it| Arc::clone(&it.logical));
        }
        let Some(logical) = logical else {
            return false;
        };
        let what = Forget::One(key, Arc::clone(&logical));
        self.purges().note(stamp, what, self.0.tags.oldest());
        drop(self.0.fills.lock()); // whoever has looked at that before has put what it brings
        let Some(found) = self.find_one(key, Some(&logical)) else {
            return false;
        };
        let _one_at_a_time = self.0.fills.lock();
        let there = self.0.store.peek(&found.variant);
        let there = there.as_ref().and_then(Slot::entry);
        let is_there = there.is_some_and(|it| it.composed_key() == key);
        if is_there {
            self.0.store.remove(&found.variant);
        }
        is_there
    }

    /// The response of this identity in memory, whatever it is still good for.
    fn find_one(&self, key: ComposedKey, logical: Option<&str>) -> Option<Arc<Stored>> {
        let mut all = self.all_here().map(|(_, stored)| stored);
        all.find(|it| {
            logical.is_none_or(|logical| *it.logical == *logical) && it.composed_key() == key
        })
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

    #[test]
    fn what_the_log_says_is_read_as_it_was_meant() {
        let key = ComposedKey::from_bytes([7; 16]);
        for what in [
            Forget::Matching(Glob::new("*")),
            Forget::Matching(Glob::new("")),
            Forget::Matching(Glob::new(&format!("{key} a*"))),
            Forget::One(key, "Book:1>owner *".into()),
            Forget::One(key, "".into()),
        ] {
            assert_eq!(Forget::parse(&what.to_string()), what, "{what}");
        }
        for text in ["\0", "\0 ", "\0x a", &format!("\0{key}")] {
            let glob = Forget::Matching(Glob::new(text));
            assert_eq!(Forget::parse(text), glob, "{text:?}");
        }
    }
}
