//! What many stored responses have alike is in memory once for all of them: an app has a handful of heads, and of conditions under
//! which they may be used. However many it makes up, no more are kept than there are places for (L10).

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderName;

use crate::model::entry::Agreed;
use crate::model::entry::Entry;
use crate::model::fields::Fields;
use crate::model::fields::Names;
use crate::model::fields::Owner;

/// How many there are of each kind at most.
const MOST: usize = 256;
/// What is longer is no usual name, in bytes.
const LONG: usize = 64;

/// What several entries have.
#[derive(Debug, Default)]
pub struct Common(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    heads: HashSet<Head>,
    names: HashSet<HeaderName>,
    conditions: HashSet<Agreed>,
}

/// Names of fields, found by what they are, whoever's.
#[derive(Debug)]
struct Head(Names);

impl Borrow<[HeaderName]> for Head {
    fn borrow(&self) -> &[HeaderName] {
        &self.0.slice
    }
}

impl Hash for Head {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.slice.hash(state);
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.0.slice == other.0.slice
    }
}

impl Eq for Head {}

impl Common {
    /// Lets an entry share with others what they have alike.
    pub fn share(&self, entry: &mut Entry) {
        let mut known = self.known();
        known.share_names(&mut entry.headers);
        if let Some(targeted) = &mut entry.targeted {
            known.share_names(targeted);
        }
        known.share_conditions(&mut entry.meta.conditions);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn share_names(&mut self, fields: &mut Fields) {
        if let Some(head) = self.heads.get(fields.names()) {
            return fields.set_names(&head.0);
        }
        if self.heads.len() >= MOST {
            self.heads.retain(|it| Names::strong_count(&it.0) > 1);
        }
        if self.heads.len() < MOST {
            let names: Vec<HeaderName> = fields.names().iter().map(|it| self.fixed(it)).collect();
            let names = Names::from_header_and_iter(Owner::All, names.into_iter());
            fields.set_names(&names);
            self.heads.insert(Head(names));
        }
    }

    /// The same name without a count of who has it: each hit makes a copy, and all cores would write that one count. It stays for
    /// as long as the process runs, and only so many do.
    fn fixed(&mut self, name: &HeaderName) -> HeaderName {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let text = name.as_str();
        if self.names.len() >= MOST || text.len() > LONG {
            return name.clone();
        }
        let fixed = HeaderName::from_static(Box::leak(text.into()));
        self.names.insert(fixed.clone());
        fixed
    }

    fn share_conditions(&mut self, conditions: &mut Agreed) {
        if let Some(known) = self.conditions.get(&**conditions) {
            *conditions = known.clone();
            return;
        }
        if self.conditions.len() >= MOST {
            self.conditions.retain(Agreed::are_held);
        }
        if self.conditions.len() < MOST {
            *conditions = conditions.for_all();
            self.conditions.insert(conditions.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::header::ETAG;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::model::entry::Conditions;
    use crate::model::entry::EntryMeta;
    use crate::model::entry::StaleUse;
    use crate::model::fields::Lines;
    use crate::model::time::Timestamp;

    /// With these fields, to be served so many seconds longer when the app fails.
    fn entry(fields: &[(&str, &str)], if_error: u64) -> Entry {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let stale = StaleUse {
            if_error: Duration::from_secs(if_error),
            ..StaleUse::default()
        };
        let conditions = Conditions {
            stale,
            shareable: true,
            vary: [].into(),
        };
        let now = Timestamp::from_secs(1);
        Entry {
            status: StatusCode::OK,
            headers: Fields::of(&headers),
            targeted: None,
            body: Bytes::new(),
            part: None,
            meta: EntryMeta {
                received: now,
                born: now,
                lifetime: Duration::ZERO,
                soft_until: None,
                conditions: conditions.into(),
            },
        }
    }

    fn shared(common: &Common, mut entry: Entry) -> Entry {
        common.share(&mut entry);
        entry
    }

    /// With a name and conditions that no other number has.
    fn own(common: &Common, n: usize) -> Entry {
        shared(common, entry(&[(&format!("x-{n}"), "1")], n as u64))
    }

    fn is_the_same<T>(one: &[T], other: &[T]) -> bool {
        std::ptr::eq(one, other)
    }

    #[test]
    fn heads_with_the_same_names_share_them() {
        let common = Common::default();
        let shared = |fields: &[(&str, &str)]| shared(&common, entry(fields, 0)).headers;
        let one = shared(&[("etag", "1"), ("x-a", "a")]);
        let other = shared(&[("etag", "2"), ("x-a", "b")]);
        let different = shared(&[("x-a", "a"), ("etag", "1")]);
        assert!(is_the_same(one.names(), other.names()));
        assert!(!is_the_same(one.names(), different.names()));
        assert_eq!(other.line(&ETAG), Some(&b"2"[..]));
    }

    #[test]
    fn a_name_of_an_app_is_in_memory_once() {
        let common = Common::default();
        let text = |entry: &Entry, n: usize| entry.headers.names()[n].as_str().as_ptr();
        let one = shared(&common, entry(&[("x-a", "1")], 0));
        let other = shared(&common, entry(&[("etag", "1"), ("x-a", "1")], 0));
        assert_eq!(text(&one, 0), text(&other, 1));
        let long = "x".repeat(LONG + 1);
        let one = shared(&common, entry(&[(&long, "1")], 0));
        let other = shared(&common, entry(&[("etag", "1"), (&long, "1")], 0));
        assert_ne!(text(&one, 0), text(&other, 1), "unless it is a long one");
    }

    #[test]
    fn entries_under_the_same_conditions_share_them() {
        let common = Common::default();
        let of = |if_error: u64| shared(&common, entry(&[], if_error)).meta;
        let (one, other, different) = (of(1), of(1), of(2));
        let at = |meta: &EntryMeta| std::ptr::from_ref::<Conditions>(meta);
        assert_eq!(at(&one), at(&other));
        assert_ne!(at(&one), at(&different));
        let mut changed = other;
        changed.shareable = false;
        assert!(one.shareable, "what one changes is its own");
        assert_eq!(one.conditions.weight(), 0);
        assert!(
            changed.conditions.weight() > size_of::<Conditions>(),
            "and weighs"
        );
    }

    #[test]
    fn l10_what_nobody_has_any_more_is_forgotten() {
        let common = Common::default();
        let mut kept = Vec::new();
        for n in 0..10 * MOST {
            let entry = own(&common, n);
            if n % 20 == 0 {
                kept.push(entry);
            }
            let known = common.known();
            assert!(known.heads.len() <= MOST && known.conditions.len() <= MOST);
        }
        let known = common.known();
        assert!(known.heads.len() > kept.len(), "there is room for more");
        assert!(
            known.conditions.len() > kept.len(),
            "there is room for more"
        );
        assert_eq!(known.names.len(), MOST, "these stay");
    }

    #[test]
    fn l10_when_all_room_is_taken_others_have_their_own() {
        let common = Common::default();
        let kept: Vec<Entry> = (0..2 * MOST).map(|n| own(&common, n)).collect();
        assert_eq!(common.known().heads.len(), MOST);
        assert_eq!(common.known().conditions.len(), MOST);
        let name = HeaderName::from_static("x-300");
        assert_eq!(kept[300].headers.line(&name), Some(&b"1"[..]));
        assert_eq!(kept[300].meta.stale.if_error, Duration::from_secs(300));
        let weights = [0, 300].map(|n| kept[n].headers.weight());
        let own = size_of::<HeaderName>() + "x-300".len();
        assert!(weights[1] >= weights[0] + own, "and say so");
        let weights = [0, 300].map(|n| kept[n].meta.conditions.weight());
        assert_eq!(weights[0], 0);
        assert!(weights[1] >= size_of::<Conditions>(), "of conditions too");
    }
}
