//! What the store holds: responses with their identity and tags, and notes that lead to them; for how long.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use http::response::Parts;

use crate::cache::life::LONGEST;
use crate::cache::parts;
use crate::cache::recipe::Recipe;
use crate::model::allocated::allocated;
use crate::model::allocated::counted;
use crate::model::allocated::shared;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::entry::Part;
use crate::model::entry::Selector;
use crate::model::fields::Fields;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::tag::Tagged;
use crate::model::time::Timestamp;
use crate::policy::freshening;
use crate::policy::ranges;
use crate::policy::request::within;
use crate::rules::Rule;
use crate::rules::refill::OnInvalidate;
use crate::rules::refill::WhenInvalidated;
use crate::store::Noticed;
use crate::store::Uses;
use crate::store::Weigh;
use crate::store::codec::Pointer;
use crate::tags::Seals;

/// What is stored under a variant.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    Entry(Arc<Stored>),
    /// Under a base key.
    Varies(Arc<Varies>),
    /// Under another spelling of what selects a variant.
    Same(Arc<Same>),
    /// Beside a base key: the last response to it could not be stored, for this reason of its own.
    Unstorable {
        reason: NoStore,
        until: Timestamp,
    },
}

/// Which request fields select the variant (RFC 9111 §4.1), as long as there can be one.
#[derive(Clone, Debug)]
pub(super) struct Varies {
    pub(super) fields: Arc<[Selector]>,
    /// Those under the base key that are stored, as far as is known.
    pub(super) variants: Arc<[Variant]>,
    pub(super) until: Timestamp,
}

/// Which variant is meant.
#[derive(Clone, Debug)]
pub(super) struct Same {
    pub(super) variant: Variant,
    pub(super) until: Timestamp,
}

/// An entry with its identity and its tags as they were when it was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The response.
    pub entry: Entry,
    /// When the fill that brought it began.
    pub(super) asked: Timestamp,
    pub(super) variant: Variant,
    /// What people call its key.
    pub(super) logical: Arc<str>,
    pub(super) seals: Seals,
    /// Since when its tags are known to have changed.
    pub(super) noticed: Noticed,
    /// How often it was used since it was stored.
    pub(super) uses: Uses,
    /// What few entries have.
    pub(super) uncommon: Option<Box<Uncommon>>,
}

/// What nearly all entries have alike: written down for those that have something else.
#[derive(Clone, Debug)]
pub(super) struct Uncommon {
    /// How long after an increment of its tags it is kept: it may be served, or told why not.
    pub(super) after_increment: Duration,
    /// No other life may be longer.
    pub(super) longest: Duration,
    /// Another sidecar has stored it: until when it is taken for granted here; `None`: it was stored here.
    pub(super) borrowed_until: Option<Timestamp>,
    /// How it is fetched again for no request; `None`: it is not.
    pub(super) recipe: Option<Arc<Recipe>>,
}

/// A stored response one of whose tags was incremented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalidated {
    pub(super) since: Timestamp,
    /// By nothing but soft increments.
    pub(super) soft: bool,
}

impl Invalidated {
    /// Whether it may be served all the same at `now` (rules.md §5): to anybody, or only where the app fails.
    pub(super) fn is_served(self, on: &OnInvalidate, in_trouble: bool, now: Timestamp) -> bool {
        let by_rule = on.mode != WhenInvalidated::Miss || (in_trouble && on.stale_if_error);
        // Nobody knows how long it has been if the clock was set back since.
        let in_time = self.since <= now && within(on.max_stale, now.since(self.since));
        (by_rule || self.soft) && in_time
    }
}

impl Slot {
    pub(super) fn varies(
        fields: Arc<[Selector]>,
        variants: Arc<[Variant]>,
        until: Timestamp,
    ) -> Slot {
        Slot::Varies(Arc::new(Varies {
            fields,
            variants,
            until,
        }))
    }

    pub(super) fn same(variant: Variant, until: Timestamp) -> Slot {
        Slot::Same(Arc::new(Same { variant, until }))
    }

    pub(super) fn entry(&self) -> Option<&Arc<Stored>> {
        match self {
            Slot::Entry(stored) => Some(stored),
            Slot::Varies(_) | Slot::Same(_) | Slot::Unstorable { .. } => None,
        }
    }

    /// Whether somebody can still be answered with it, or told why not (L10).
    pub(super) fn is_of_use(&self, now: Timestamp) -> bool {
        match self {
            Slot::Varies(note) => note.until >= now,
            Slot::Same(note) => note.until >= now,
            Slot::Unstorable { until, .. } => *until >= now,
            Slot::Entry(stored) => {
                let has_validator = freshening::has_validator(&stored.entry);
                let invalidated = stored.invalidated(now);
                !stored.is_given_back(now)
                    && kept_until(&stored.entry.meta, has_validator) >= now
                    && invalidated.is_none_or(|it| it.since + stored.after_increment() >= now)
            }
        }
    }
}

impl Default for Uncommon {
    /// The usual.
    fn default() -> Uncommon {
        Uncommon {
            after_increment: REMEMBERED,
            longest: LONGEST,
            borrowed_until: None,
            recipe: None,
        }
    }
}

impl Uncommon {
    /// What a rule says of its entries.
    pub(super) fn of(rule: &Rule) -> Uncommon {
        Uncommon {
            after_increment: REMEMBERED.max(rule.refill.on_invalidate.max_stale),
            longest: LONGEST.min(rule.terms.max_ttl),
            ..Uncommon::default()
        }
    }

    /// The same, if it is worth the room.
    pub(super) fn unless_usual(self) -> Option<Box<Uncommon>> {
        let is_usual = self.after_increment == REMEMBERED
            && self.longest == LONGEST
            && self.borrowed_until.is_none()
            && self.recipe.is_none();
        (!is_usual).then(|| Box::new(self))
    }
}

impl Stored {
    /// How long after an increment of its tags it is kept.
    pub(super) fn after_increment(&self) -> Duration {
        let uncommon = self.uncommon.as_ref();
        uncommon.map_or(REMEMBERED, |it| it.after_increment)
    }

    /// No other life may be longer.
    pub(super) fn longest(&self) -> Duration {
        self.uncommon.as_ref().map_or(LONGEST, |it| it.longest)
    }

    /// Until when it is taken for granted here that another sidecar has stored; `None`: it was stored here.
    pub(super) fn borrowed_until(&self) -> Option<Timestamp> {
        self.uncommon.as_ref()?.borrowed_until
    }

    /// How it is fetched again for no request; `None`: it is not.
    pub(super) fn recipe(&self) -> Option<&Arc<Recipe>> {
        self.uncommon.as_ref()?.recipe.as_ref()
    }

    /// The full identity: variant, tags, versions.
    pub fn composed_key(&self) -> ComposedKey {
        self.variant
            .composed(self.seals.iter().map(|(tag, stamp)| (tag.as_str(), stamp)))
    }

    /// What the store that all sidecars share is told of it, in this generation. It is kept there for as long as it is fresh.
    pub(super) fn pointer(&self, generation: String) -> Pointer {
        let tags = self.tags().map(|(tag, stamp)| (tag.clone(), stamp));
        let expires = self.entry.meta.expires();
        Pointer {
            generation,
            key: self.composed_key(),
            tags: tags.collect(),
            logical: self.logical.as_ref().to_owned(),
            rule: self.rule().map(str::to_owned),
            size: self.entry.body.len() as u64,
            stored: self.asked,
            at_first: expires,
            expires,
        }
    }

    /// Whether it is to be looked for again where it was found.
    pub(super) fn is_given_back(&self, now: Timestamp) -> bool {
        // What is over may still stand in for an error.
        self.borrowed_until().is_some_and(|until| until <= now) && self.is_live(now)
    }

    /// Whether it is fresh, and what it says is still so.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.entry.meta.expires() > now && self.seals.intact()
    }

    /// Since when one of its tags has another version, if one has.
    pub(super) fn invalidated(&self, now: Timestamp) -> Option<Invalidated> {
        let seen = self.seen_invalidated(now)?;
        // Who looks first notes it: later increments do not put off the end of a time that counts from the first.
        let since = self.noticed.first(seen.since);
        Some(Invalidated { since, ..seen })
    }

    /// The same, for who is nobody's reader: it is not noted (L14).
    pub(super) fn seen_invalidated(&self, now: Timestamp) -> Option<Invalidated> {
        let broken = self.seals.broken()?;
        let noticed = self.noticed.get();
        let since = noticed.unwrap_or_else(|| broken.at.min(now)); // stamps may be ahead of the clock
        let soft = broken.soft;
        Some(Invalidated { since, soft })
    }

    /// Whole seconds until it expires; negative after that, and after an increment of one of its tags.
    pub fn ttl(&self, now: Timestamp) -> i64 {
        let ttl = self.entry.meta.ttl(now);
        self.invalidated(now).map_or(ttl, |it| {
            let over = now.since(it.since).as_secs();
            ttl.min(-i64::try_from(over).unwrap_or(i64::MAX))
        })
    }

    /// A request was answered with it.
    pub(super) fn note_use(&self) {
        self.uses.note();
    }

    /// Its tags with the versions it was stored under.
    pub fn tags(&self) -> impl Iterator<Item = (&Tag, Stamp)> {
        self.seals.iter()
    }

    /// Its tags and these, each once.
    pub fn tags_with(&self, mut tags: Vec<Tagged>) -> Vec<Tagged> {
        for (tag, _) in self.tags() {
            if !tags.iter().any(|other| other.tag == *tag) {
                tags.push(tag.clone().into());
            }
        }
        tags
    }

    /// The cookies that select it and these, each once.
    pub fn cookies_with(&self, mut cookies: Vec<Box<str>>) -> Vec<Box<str>> {
        for selector in &*self.entry.meta.vary {
            match selector {
                Selector::Cookie(name) if !cookies.contains(name) => cookies.push(name.clone()),
                Selector::Cookie(_) | Selector::Field(_) => {}
            }
        }
        cookies.sort_unstable();
        cookies
    }

    /// The whole, out of this stored beginning and a response that claims to be its rest: the head, as if it had come from
    /// the app, and the content before the rest; `None` if they do not fit.
    pub fn completed(&self, rest: &Parts, rest_len: Option<u64>) -> Option<(Parts, Bytes)> {
        parts::completed(&self.entry, rest, rest_len)
    }

    /// Whether it has what the request asks for: a stored part answers only for ranges inside it (RFC 9111 §3.3).
    pub(super) fn holds(&self, head: &Head) -> bool {
        let len = self.entry.body.len() as u64;
        self.entry.part.as_deref().is_none_or(|part| {
            let (method, request) = (head.method(), head.headers());
            ranges::within(method, request, &self.entry.headers, *part, len).is_some()
        })
    }

    /// Whether it is for a client with this cookie, or without one (L12).
    pub(super) fn is_for(&self, head: &Head) -> bool {
        self.entry.meta.shareable || !head.headers().contains_key(header::COOKIE)
    }
}

impl AsRef<Entry> for Stored {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

/// What a slot costs besides what it points to: its place in the store's tables, which have room for more than they hold.
const PLACE: usize = 80;

impl Weigh for Slot {
    fn weight(&self) -> u64 {
        let bytes = match self {
            Slot::Varies(note) => {
                counted(size_of::<Varies>())
                    + Selector::weight(&note.fields)
                    + counted(size_of_val(&*note.variants))
            }
            Slot::Same(_) => counted(size_of::<Same>()),
            Slot::Unstorable { .. } => 0,
            Slot::Entry(stored) => {
                let entry = &stored.entry;
                let targeted = entry.targeted.as_deref();
                let targeted =
                    targeted.map_or(0, |it| allocated(size_of::<Fields>()) + it.weight());
                let part = entry.part.as_ref();
                let part = part.map_or(0, |_| allocated(size_of::<Part>()));
                let uncommon = stored.uncommon.as_ref();
                let uncommon = uncommon.map_or(0, |_| allocated(size_of::<Uncommon>()));
                let recipe = stored.recipe();
                counted(size_of::<Stored>())
                    + counted(stored.logical.len())
                    + entry.headers.weight()
                    + targeted
                    + part
                    + entry.meta.conditions.weight()
                    + uncommon
                    + shared(entry.body.len())
                    + stored.seals.weight()
                    + recipe.map_or(0, |recipe| recipe.weight())
            }
        };
        (bytes + PLACE) as u64
    }
}

/// How long an entry that can no longer be used is kept, so that the next request is told `expired` or `invalidated`
/// instead of a plain miss.
pub(super) const REMEMBERED: Duration = Duration::from_secs(300);

/// How long an expired entry is kept that the app can be asked about, so that a 304 is enough.
pub(super) const REVALIDATED: Duration = Duration::from_secs(3_600);

/// Until when an entry is kept: the last moment at which it may be of use.
pub(super) fn kept_until(meta: &EntryMeta, has_validator: bool) -> Timestamp {
    let stale = &meta.stale;
    let windows = [
        stale.while_revalidate,
        stale.if_error,
        stale.if_disconnected,
    ];
    let asked = if has_validator {
        REVALIDATED
    } else {
        REMEMBERED
    };
    meta.expires() + windows.into_iter().fold(asked, Duration::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_place_in_256_bytes() {
        assert!(counted(size_of::<Stored>()) <= 256); // the next size is 320
    }

    #[test]
    fn what_is_usual_is_not_written_down() {
        let usual = Uncommon::default;
        assert!(usual().unless_usual().is_none());
        let second = Duration::from_secs(1);
        let (after_increment, longest) = (REMEMBERED + second, LONGEST - second);
        for (name, uncommon) in [
            (
                "kept for longer",
                Uncommon {
                    after_increment,
                    ..usual()
                },
            ),
            ("shorter lives", Uncommon { longest, ..usual() }),
            (
                "borrowed",
                Uncommon {
                    borrowed_until: Some(Timestamp::default()),
                    ..usual()
                },
            ),
        ] {
            assert!(uncommon.unless_usual().is_some(), "{name}");
        }
    }
}
