//! The engine, without sockets: what is stored, what is being fetched, and what has been forgotten.
//!
//! [`Cache::lookup`] answers with what to do next. A miss hands out the one [`Fill`] of its key; who comes meanwhile
//! joins it as a [`Follower`]. A fill ends in the store only through [`Fill::store`], which compares tag versions with
//! the snapshot taken before the app was asked (L1).

mod fill;
mod flights;
mod follower;
mod spool;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, header};

pub use fill::Fill;
pub use follower::Followed;
pub use follower::Follower;

use crate::cache::flights::Fills;
use crate::cache::spool::Budget;
use crate::clock::Clock;
use crate::model::entry::Entry;
use crate::model::key::BaseKey;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::outcome::Bypass;
use crate::model::outcome::Forward;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::Tagged;
use crate::model::time::Timestamp;
use crate::policy::request::Use;
use crate::policy::request::Wishes;
use crate::policy::request::usable;
use crate::policy::vary;
use crate::rules::Query;
use crate::store::Memory;
use crate::store::Weigh;
use crate::tags::Cause;
use crate::tags::Seals;
use crate::tags::Tags;

/// How much the cache may hold.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of all entries together.
    pub max_bytes: usize,
    /// Bytes of one entry's body.
    pub max_object: usize,
}

/// The cache: entries, tags and fills under way. Clones are the same cache.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Memory<Slot>,
    tags: Tags,
    fills: Fills,
    clock: Clock,
    max_object: usize,
}

/// What is stored under a variant.
#[derive(Clone, Debug)]
enum Slot {
    Entry(Arc<Stored>),
    /// Under a base key: which request fields select the variant (RFC 9111 §4.1), as long as there can be one.
    Varies {
        fields: Arc<[HeaderName]>,
        until: Timestamp,
    },
}

/// An entry with its identity and its tags as they were when it was stored.
#[derive(Debug)]
pub struct Stored {
    /// The response.
    pub entry: Entry,
    /// When the fill that brought it began.
    asked: Timestamp,
    variant: Variant,
    seals: Seals,
}

impl Stored {
    /// The full identity: variant, tags, versions.
    pub fn composed_key(&self) -> ComposedKey {
        self.variant
            .composed(self.seals.iter().map(|(tag, stamp)| (tag.as_str(), stamp)))
    }

    /// Its tags with the versions it was stored under.
    pub fn tags(&self) -> impl Iterator<Item = (&Tag, Stamp)> {
        self.seals.iter()
    }
}

/// What a slot costs besides what it points to: its place in the store's tables, reference counts.
const SLOT_OVERHEAD: usize = 160;
/// What a field of a head costs besides its text.
const FIELD_OVERHEAD: usize = 104;
/// What a tag costs an entry: its seal, and its share of the tag's own cell.
const SEAL_OVERHEAD: usize = 96;

impl Weigh for Slot {
    fn weight(&self) -> u64 {
        let bytes = match self {
            Slot::Varies { fields, .. } => fields.len() * size_of::<HeaderName>(),
            Slot::Entry(stored) => {
                let headers = stored.entry.headers.iter();
                let head: usize = headers
                    .map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD)
                    .sum();
                let tags: usize = stored
                    .tags()
                    .map(|(tag, _)| tag.as_str().len() + SEAL_OVERHEAD)
                    .sum();
                size_of::<Stored>() + head + tags + stored.entry.body.len()
            }
        };
        (bytes + SLOT_OVERHEAD) as u64
    }
}

/// What to do with a request whose plan says: look it up.
#[derive(Debug)]
pub enum Lookup {
    /// Answer with this, as it was found at this moment.
    Hit(Arc<Stored>, Timestamp),
    /// Run the fill; the follower is its first.
    Miss(Box<Fill>, Follower),
    /// Somebody runs the fill.
    Join(Follower),
    /// Ask the app for this client alone; nothing will be stored.
    Pass(Forward),
    /// The client wants a stored response or none (RFC 9111 §5.2.1.7).
    OnlyIfCached,
}

/// Bodies under way, whose readers may be slow, hold this part of what entries may: a quarter keeps the process within
/// 1.25 times `max_bytes`. Beyond it they pass through without being kept.
const HELD_SHARE: usize = 4;
/// How long an entry that can no longer be used is kept, so that the next request is told `expired` or `invalidated`
/// instead of a plain miss.
const REMEMBERED: Duration = Duration::from_secs(300);

impl Cache {
    /// An empty cache.
    pub fn new(config: Config, clock: Clock) -> Cache {
        let max_held = (config.max_bytes / HELD_SHARE).max(config.max_object);
        Cache(Arc::new(Inner {
            store: Memory::new(config.max_bytes, config.max_object),
            tags: Tags::new(clock.clone()),
            fills: Fills::new(Budget::new(max_held)),
            clock,
            max_object: config.max_object,
        }))
    }

    /// Finds what is stored for a request, or who is to fetch it.
    ///
    /// `since` is given by a follower that refused a fill: only fills that began at or after that stamp will do.
    pub fn lookup(&self, query: &Query, head: &Head, since: Option<Stamp>) -> Lookup {
        let now = self.0.clock.now();
        let wishes = Wishes::of(head.headers());
        let (variant, why) = match self.find(query.base, head) {
            Found::Nothing(variant) => (variant, Forward::UriMiss),
            Found::OtherVariants(variant) => (variant, Forward::VaryMiss),
            Found::Stored(variant, stored) => match self.why_not(&stored, head, &wishes, now) {
                None => return Lookup::Hit(stored, now),
                Some(why @ Forward::Bypass(_)) if !wishes.only_if_cached => {
                    return Lookup::Pass(why);
                }
                Some(why) => (variant, why),
            },
        };
        if wishes.only_if_cached {
            return Lookup::OnlyIfCached;
        }
        if head.method() != Method::GET {
            return Lookup::Pass(why); // a HEAD brings no body to store
        }
        if wishes.no_store {
            return Lookup::Pass(why); // nobody else is to have it, so nobody waits for it
        }
        if head.headers().contains_key(header::RANGE) {
            return Lookup::Pass(Forward::Bypass(Bypass::Range)); // nor does a part
        }
        self.begin_or_join(query, head, variant, Miss { why, since, wishes })
    }

    /// Why a stored response cannot answer this request; `None` if it can.
    fn why_not(
        &self,
        stored: &Stored,
        head: &Head,
        wishes: &Wishes,
        now: Timestamp,
    ) -> Option<Forward> {
        if !stored.seals.intact() {
            return Some(Forward::Invalidated);
        }
        match usable(&stored.entry.meta, wishes, now) {
            Use::Expired | Use::Stale(_) => Some(Forward::Expired),
            Use::Unwanted => Some(Forward::Request),
            Use::Fresh
                if !stored.entry.meta.shareable && head.headers().contains_key(header::COOKIE) =>
            {
                Some(Forward::Bypass(Bypass::Cookie)) // L12
            }
            Use::Fresh => None,
        }
    }

    fn find(&self, base: BaseKey, head: &Head) -> Found {
        let only = base.only_variant();
        match self.0.store.get(&only) {
            None => Found::Nothing(only),
            Some(Slot::Entry(stored)) => Found::Stored(only, stored),
            Some(Slot::Varies { fields, .. }) => {
                let variant = base.variant(&vary::selecting(&fields, head.headers()));
                match self.0.store.get(&variant) {
                    Some(Slot::Entry(stored)) => Found::Stored(variant, stored),
                    Some(Slot::Varies { .. }) | None => Found::OtherVariants(variant),
                }
            }
        }
    }

    /// Gives the tags new versions, before anyone sees the response that asked for it (L4). `by` is who asked, such as
    /// `POST /users/42`.
    pub fn increment(&self, increments: &[Increment], by: &Arc<str>) {
        if !increments.is_empty() {
            self.0
                .tags
                .increment(increments.iter().map(|increment| &increment.tag), by);
        }
    }

    /// Notes the versions of tags that the app itself counts.
    pub fn observe(&self, tagged: &[Tagged], by: &Arc<str>) {
        self.0.tags.observe(tagged, by);
    }

    /// What is stored for a request, for explanations; changes nothing (L14).
    pub fn explain(&self, query: &Query, head: &Head) -> Option<Explanation> {
        let Found::Stored(_, stored) = self.find(query.base, head) else {
            return None;
        };
        let broken = stored
            .seals
            .broken()
            .map(|tag| (tag.clone(), self.0.tags.cause(tag)));
        let tags = stored
            .tags()
            .map(|(tag, stamp)| (tag.clone(), stamp))
            .collect();
        Some(Explanation {
            key: stored.composed_key(),
            tags,
            broken,
        })
    }

    /// The time by the cache's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Drops what nobody can be answered with any more (L10).
    pub fn sweep(&self) {
        let now = self.0.clock.now();
        self.0.store.retain(|slot| match slot {
            Slot::Varies { until, .. } => *until + REMEMBERED > now,
            Slot::Entry(stored) => {
                stored.entry.meta.expires() + REMEMBERED > now
                    && stored
                        .seals
                        .broken_at()
                        .is_none_or(|at| at + REMEMBERED > now)
            }
        });
    }
}

/// What is stored under a request's key.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Its full identity.
    pub key: ComposedKey,
    /// Its tags with the versions it was stored under.
    pub tags: Vec<(Tag, Stamp)>,
    /// The tag that has changed since, and by what, if that is remembered.
    pub broken: Option<(Tag, Option<Cause>)>,
}

impl Explanation {
    /// Why it is not used: `User:42 incremented 3s ago by POST /users/42`.
    pub fn why_invalidated(&self, now: Timestamp) -> Option<String> {
        let (tag, cause) = self.broken.as_ref()?;
        Some(match cause {
            Some(Cause { at, by }) => format!(
                "{tag} incremented {}s ago by {by}",
                now.since(*at).as_secs()
            ),
            None => format!("{tag} incremented"),
        })
    }
}

/// What a miss asks of the fill that ends it.
#[derive(Clone, Copy)]
struct Miss {
    why: Forward,
    /// It must have begun at or after this stamp.
    since: Option<Stamp>,
    /// What else the client asks of it.
    wishes: Wishes,
}

impl Miss {
    /// Whether it must be one of the client's own time (RFC 9111 §5.2.1.4).
    fn anew(&self) -> bool {
        self.wishes.no_cache || self.wishes.max_age == Some(Duration::ZERO)
    }
}

enum Found {
    Nothing(Variant),
    OtherVariants(Variant),
    Stored(Variant, Arc<Stored>),
}

#[cfg(test)]
mod tests;
