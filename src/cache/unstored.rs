//! Why the app's last answers were not stored, for who asks why nothing is: told for longer than nobody waits for such an answer
//! (`hit_for_miss`), of whatever reason, and to people alone.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::{MutexGuard, PoisonError};

use crate::cache::Cache;
use crate::cache::variants::Found;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::rules::Query;

/// How many are remembered.
const MOST: usize = 1_024;

/// An answer of the app that was not stored, and nothing was since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstored {
    /// Why.
    pub reason: NoStore,
    /// When that was known.
    pub at: Timestamp,
}

/// The last answer of each variant that was not stored.
#[derive(Debug, Default)]
pub(super) struct AllUnstored {
    last: HashMap<Variant, Unstored>,
    /// In the order in which they came: the first leaves first.
    order: VecDeque<Variant>,
}

impl AllUnstored {
    pub(super) fn note(&mut self, variant: Variant, unstored: Unstored) {
        if self.last.insert(variant, unstored).is_some() {
            return;
        }
        self.order.push_back(variant);
        if self.order.len() > MOST
            && let Some(first) = self.order.pop_front()
        {
            self.last.remove(&first);
        }
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    fn forget(&mut self, variant: Variant) {
        if self.last.remove(&variant).is_some() {
            self.order.retain(|other| *other != variant);
        }
    }
}

impl Cache {
    pub(super) fn unstored(&self) -> MutexGuard<'_, AllUnstored> {
        let all = self.0.unstored.lock();
        all.unwrap_or_else(PoisonError::into_inner)
    }

    /// A response of this variant was stored.
    pub(super) fn forget_unstored(&self, base: BaseKey, variant: Variant) {
        let mut all = self.unstored();
        all.forget(variant);
        all.forget(base.only_variant()); // where it was looked for before anything varied
    }

    /// Why the app's last answer to such a request was not stored, if nothing was since and it is remembered.
    pub fn last_unstored(&self, query: &Query, head: &Head) -> Option<Unstored> {
        let (Found::Nothing(variant)
        | Found::OtherVariants(variant)
        | Found::Stored(variant, _)
        | Found::InLanguage(variant, _)) = self.look(query.base, head);
        self.unstored().last.get(&variant).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::KeyFields;

    fn variant(n: usize) -> Variant {
        let mut fields = KeyFields::new();
        fields.field("n", n.to_string());
        fields.base_key().only_variant()
    }

    fn at(seconds: u64) -> Unstored {
        Unstored {
            reason: NoStore::Private,
            at: Timestamp::from_secs(seconds),
        }
    }

    #[test]
    fn the_last_one_is_known_until_something_is_stored_and_there_is_an_end_to_them() {
        let mut all = AllUnstored::default();
        all.note(variant(0), at(1));
        all.note(variant(0), at(2));
        assert_eq!(all.last.get(&variant(0)), Some(&at(2)));
        all.forget(variant(0));
        all.note(variant(0), at(3));
        for n in 1..MOST {
            all.note(variant(n), at(4));
        }
        assert_eq!(all.last.get(&variant(0)), Some(&at(3)), "there is room");
        all.note(variant(MOST), at(5));
        assert_eq!(all.last.get(&variant(0)), None);
        assert_eq!((all.last.len(), all.order.len()), (MOST, MOST));
    }
}
