//! The engine, without sockets: what is stored, what is being fetched, and what has been forgotten.
//!
//! [`Cache::lookup`] answers with what to do next. A miss hands out the one [`Fill`] of its key; who comes meanwhile
//! joins it as a [`Follower`]. A response comes into the store through [`Fill::store`], and a newer head of it through
//! [`Freshen::renew`]; both compare tag versions with the snapshot taken before the app was asked (L1).
//!
//! What is to be done for no request says [`Cache::next_due`]: [`Cache::increment_due`] repeats increments, and
//! [`Cache::refreshes_due`] gives out the right to fetch again what was invalidated or is about to expire.

mod again;
mod anew;
mod aside;
mod causes;
mod elsewhere;
mod epoch;
mod errand;
mod fill;
mod flights;
mod follower;
mod freshen;
mod increment;
mod inspect;
mod keep;
mod leased;
mod life;
pub mod objects;
mod parts;
mod purge;
mod recipe;
mod refresh;
mod rounds;
mod shadow;
mod spare;
mod spool;
mod stored;
mod together;
mod trust;
mod unstored;
mod variants;

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, broadcast};

pub use anew::AllAnew;
pub use anew::Anew;
pub use aside::Aside;
pub use causes::Heavy;
pub use epoch::Epoch;
pub use fill::Fill;
pub use follower::Followed;
pub use follower::Follower;
pub use freshen::Freshen;
pub use inspect::Away;
pub use inspect::Filter;
pub use inspect::Holdings;
pub use inspect::ListError;
pub use inspect::Listed;
pub use inspect::MOST_LISTED;
pub use inspect::Page;
pub use inspect::State;
pub use inspect::Tier;
pub use inspect::Usage;
pub use keep::Keep;
pub use refresh::Refresh;
pub use shadow::Shadowed;
pub use spare::Spare;
pub use stored::Stored;
pub use trust::Trust;
pub use unstored::Unstored;

// What is told of tags is theirs.
pub use crate::tags::Cause;
pub use crate::tags::Incremented;
pub use crate::tags::NotAToken;
pub use crate::tags::TagNow;
pub use crate::tags::Token;

use crate::cache::again::Repeats;
use crate::cache::errand::Aim;
use crate::cache::errand::Errand;
use crate::cache::errand::Miss;
use crate::cache::flights::Fills;
use crate::cache::inspect::Census;
use crate::cache::inspect::Order;
use crate::cache::purge::Purges;
use crate::cache::refresh::Refreshes;
use crate::cache::spool::Budget;
use crate::cache::stored::Slot;
use crate::cache::unstored::AllUnstored;
use crate::cache::variants::Found;
use crate::clock::Anchor;
use crate::clock::Clock;
use crate::metrics;
use crate::metrics::Metrics;
use crate::model::common::Common;
use crate::model::compress::Compress;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::key::Variant;
use crate::model::outcome::Bypass;
use crate::model::outcome::Forward;
use crate::model::outcome::NoStore;
use crate::model::outcome::Stale;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::model::watcher::Watcher;
use crate::offload::Offload;
use crate::policy::request::Use;
use crate::policy::request::Wishes;
use crate::policy::request::usable;
use crate::rules::Consistency;
use crate::rules::Query;
use crate::rules::refill::Revalidate;
use crate::rules::refill::WhenInvalidated;
use crate::store::Memory;
use crate::store::Shared;
use crate::tags::Sharing;
use crate::tags::Tags;

/// How much the cache may hold.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of all entries together.
    pub max_bytes: usize,
    /// Bytes of one entry's body.
    pub max_object: usize,
    /// Responses under one base key that `Vary` tells apart.
    pub max_variants: usize,
}

/// What a cache has to do with besides its own memory.
#[derive(Debug, Default)]
pub struct Others {
    /// Who is told of increments.
    pub watcher: Option<Arc<dyn Watcher>>,
    /// Where it is counted.
    pub metrics: Metrics,
    /// With whom it shares its tags; `None`: it is alone.
    pub sharing: Option<Sharing>,
    /// How responses are kept for them, if they are.
    pub compress: Option<Compress>,
}

/// The cache: entries, tags and fills under way. Clones are the same cache.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Memory<Slot>,
    /// What all sidecars share; `None`: nothing but tags, or not even these.
    second: Option<Shared>,
    tags: Tags,
    /// The fetches for all sidecars that have ended.
    ended: broadcast::Sender<Box<str>>,
    fills: Fills,
    /// Why answers were not stored.
    unstored: Mutex<AllUnstored>,
    purges: Mutex<Purges>,
    /// Increments that wait to be repeated.
    repeats: Mutex<Repeats>,
    refreshes: Refreshes,
    /// Something is to be done sooner than known before, for no request.
    rescheduled: Notify,
    /// Who goes through all of memory.
    offload: Offload,
    order: Order,
    /// What the fields of stored heads are called.
    common: Common,
    /// Who is told of increments.
    watcher: Option<Arc<dyn Watcher>>,
    census: Census,
    metrics: Metrics,
    clock: Clock,
    max_object: usize,
    max_variants: usize,
}

/// What to do with a request whose plan says: look it up.
#[derive(Debug)]
pub enum Lookup {
    /// Answer with this, as it was found at this moment.
    Hit(Arc<Stored>, Timestamp),
    /// Answer with this though it is stale, for this reason, and run the fill; there is none if somebody runs it.
    Stale(Arc<Stored>, Timestamp, Stale, Option<Box<Fill>>),
    /// Run the fill; the follower is its first.
    Miss(Box<Fill>, Follower),
    /// Somebody runs the fill.
    Join(Follower),
    /// Ask the app for this client alone; nothing will be stored.
    Pass(Passing),
    /// The client wants a stored response or none (RFC 9111 §5.2.1.7).
    OnlyIfCached,
}

/// A request that is looked up and passed all the same.
#[derive(Debug)]
pub struct Passing {
    /// Why the store could not answer.
    pub why: Forward,
    /// What is stored, and may stand in for an error of the app.
    pub spare: Option<Spare>,
    /// What a HEAD's answer may renew.
    pub freshen: Option<Box<Freshen>>,
}

impl Passing {
    /// With nothing to stand in.
    pub fn new(why: Forward) -> Passing {
        Passing {
            why,
            spare: None,
            freshen: None,
        }
    }
}

/// Bodies under way, whose readers may be slow, hold this part of what entries may: a quarter keeps the process within
/// 1.25 times `max_bytes`. Beyond it they pass through without being kept.
const HELD_SHARE: usize = 4;

/// How many ended fetches are told that nobody has heard of yet.
const ENDED: usize = 1_024;

impl Cache {
    /// An empty cache.
    pub fn new(config: Config, clock: Clock) -> Cache {
        Cache::among(config, clock, Others::default())
    }

    /// An empty cache with these around it.
    pub fn among(config: Config, clock: Clock, others: Others) -> Cache {
        let Others {
            watcher,
            metrics,
            sharing,
            compress,
        } = others;
        let second = compress.map(|it| Shared::new(it, config.max_object, metrics.clone()));
        let tags = match sharing {
            Some(sharing) => Tags::shared(clock.clone(), sharing),
            None => Tags::new(clock.clone()),
        };
        let max_held =
            (config.max_bytes / HELD_SHARE).max(config.max_object + config.max_object / HELD_SHARE);
        Cache(Arc::new(Inner {
            store: Memory::new(config.max_bytes, config.max_object, &metrics),
            second,
            tags,
            ended: broadcast::Sender::new(ENDED),
            fills: Fills::new(Budget::new(max_held)),
            unstored: Mutex::default(),
            purges: Mutex::default(),
            repeats: Mutex::default(),
            refreshes: Refreshes::default(),
            rescheduled: Notify::new(),
            offload: Offload::default(),
            order: Order::default(),
            common: Common::default(),
            watcher,
            census: Census::default(),
            metrics,
            clock,
            max_object: config.max_object,
            max_variants: config.max_variants,
        }))
    }

    /// Finds what is stored for a request, or who is to fetch it.
    ///
    /// `since` is given by a follower that refused a fill: only fills that began at or after that stamp will do.
    pub fn lookup(
        &self,
        query: &Query,
        head: &Arc<Head>,
        since: Option<Stamp>,
        trust: Trust,
    ) -> Lookup {
        let found = match trust {
            Trust::Full => self.look_up(query, head, since),
            Trust::None => self.look_away(query, head),
        };
        if let Lookup::Hit(stored, _) | Lookup::Stale(stored, ..) = &found {
            stored.note_use();
        }
        found
    }

    /// What answers a request without waiting for anybody, if it is a hit: what [`Cache::trust`] and [`Cache::lookup`] would say
    /// then. If it is none, nothing has begun, and they are to be asked.
    pub fn hit(&self, query: &Query, head: &Head) -> Option<(Arc<Stored>, Timestamp)> {
        let is_believed = match query.rule.consistency {
            Consistency::Bounded => !self.0.tags.is_fenced(),
            Consistency::Strict => false, // it takes a look at the store
        };
        if !is_believed {
            return None;
        }
        let now = self.0.clock.now();
        let wishes = Wishes::granted(head.headers(), query.rule.client_control);
        let (Found::Stored(_, stored) | Found::InLanguage(_, stored)) = self.find(query.base, head)
        else {
            return None;
        };
        let usable = self.usable(query, &stored, head, &wishes, now);
        matches!(usable, Ok(None)).then(|| {
            stored.note_use();
            (stored, now)
        })
    }

    /// Nobody may be answered with what is stored, nor wait for what is being fetched: it may be older than an increment that
    /// is not known here.
    fn look_away(&self, query: &Query, head: &Head) -> Lookup {
        let wishes = Wishes::granted(head.headers(), query.rule.client_control);
        match wishes.only_if_cached {
            true => Lookup::OnlyIfCached,
            false => Lookup::Pass(Passing::new(Forward::Bypass(Bypass::Fenced))),
        }
    }

    fn look_up(&self, query: &Query, head: &Arc<Head>, since: Option<Stamp>) -> Lookup {
        let now = self.0.clock.now();
        let wishes = Wishes::granted(head.headers(), query.rule.client_control);
        let (variant, why, stored) = match self.find(query.base, head) {
            Found::Nothing(variant) => (variant, Forward::UriMiss, None),
            Found::OtherVariants(variant) => (variant, Forward::VaryMiss, None),
            Found::InLanguage(variant, stored) => {
                match self.usable(query, &stored, head, &wishes, now) {
                    Ok(None) => return Lookup::Hit(stored, now),
                    // It is the other request's to fetch again.
                    Ok(Some(_)) | Err(_) => (variant, Forward::VaryMiss, None),
                }
            }
            Found::Stored(variant, stored) => {
                match self.usable(query, &stored, head, &wishes, now) {
                    Ok(None) => return Lookup::Hit(stored, now),
                    Ok(Some(stale)) => {
                        return self.stale(query, head, (variant, stored), &wishes, now, stale);
                    }
                    Err(why @ Forward::Bypass(_)) if !wishes.only_if_cached => {
                        return Lookup::Pass(Passing::new(why));
                    }
                    Err(why) => {
                        if why == Forward::Invalidated {
                            self.note_invalidated(&stored);
                        }
                        (variant, why, Some(stored))
                    }
                }
            }
        };
        if wishes.only_if_cached {
            return Lookup::OnlyIfCached;
        }
        // What this client must not see is no help to it: a validator may be the same for all, and 304 would hand it out
        // (L12). What has been invalidated is fetched anew.
        let stored = stored.filter(|stored| stored.is_for(head));
        let spare = stored.clone().map(|it| Spare::of(&query.rule, it));
        let stored = stored.filter(|stored| stored.seals.intact());
        let pass = |why, freshen| {
            Lookup::Pass(Passing {
                why,
                spare: spare.clone(),
                freshen,
            })
        };
        if !head.brings_content() {
            let freshen = stored.clone();
            let freshen = freshen.and_then(|it| Freshen::of(self, query, variant, it));
            return pass(why, freshen.map(Box::new)); // a HEAD brings no body to store
        }
        if wishes.no_store {
            return pass(why, None); // nobody else is to have it, so nobody waits for it
        }
        let Some(aim) = Aim::of(head, stored.as_deref(), why) else {
            return pass(Forward::Bypass(Bypass::Range), None); // several parts are stored by nobody
        };
        let errand = Errand {
            variant,
            why,
            aim,
            stored,
            spare,
            shadowed: None,
        };
        let noted = self.0.store.get(&errand.variant.unstorable());
        let hit_for_miss = unstorable(noted, query, head, now).is_some();
        if query.rule.refill.coalesce.is_some() && !hit_for_miss {
            let miss = Miss::of(wishes, since, errand.stored.as_deref());
            return self.begin_or_join(query, head, errand, miss);
        }
        let (fill, mut follower) = Fill::begin(self, query.base, query.matched(head), head, errand);
        follower.hit_for_miss = hit_for_miss;
        Lookup::Miss(fill, follower)
    }

    /// Whether a stored response can answer this request, and if it is stale, why it may; else why it cannot.
    fn usable(
        &self,
        query: &Query,
        stored: &Stored,
        head: &Head,
        wishes: &Wishes,
        now: Timestamp,
    ) -> Result<Option<Stale>, Forward> {
        let intact = stored.seals.intact();
        let on = &query.rule.refill.on_invalidate;
        let serves_invalidated = || {
            let invalidated = stored.invalidated(now);
            let age = stored.entry.meta.age(now);
            !wishes.at(age).refuse_stale()
                && invalidated.is_some_and(|it| it.is_served(on, false, now))
        };
        let stale = match usable(&stored.entry.meta, wishes, now) {
            _ if !intact && !serves_invalidated() => return Err(Forward::Invalidated),
            Use::Expired if !intact => return Err(Forward::Invalidated),
            Use::Fresh | Use::Soft | Use::Stale(_) if !intact => Some(Stale::Invalidated),
            Use::Fresh => None,
            Use::Soft => match query.rule.refill.revalidate {
                Revalidate::Background => Some(Stale::Soft),
                Revalidate::Sync if wishes.only_if_cached => Some(Stale::Soft),
                Revalidate::Sync => return Err(Forward::Expired),
            },
            Use::Stale(why) => Some(why),
            Use::Expired => return Err(Forward::Expired),
            Use::Unwanted => return Err(Forward::Request),
        };
        if !stored.holds(head) {
            Err(Forward::Partial)
        } else if !stored.is_for(head) {
            Err(Forward::Bypass(Bypass::Cookie))
        } else {
            Ok(stale)
        }
    }

    /// A stale answer, with the fill that makes the next one fresh if that is what allows it.
    fn stale(
        &self,
        query: &Query,
        head: &Arc<Head>,
        (variant, stored): (Variant, Arc<Stored>),
        wishes: &Wishes,
        now: Timestamp,
        stale: Stale,
    ) -> Lookup {
        let spare = Spare::of(&query.rule, Arc::clone(&stored));
        let errand = Errand::behind(variant, spare, head);
        let refills = match stale {
            Stale::WhileRevalidate | Stale::Soft => true,
            Stale::Invalidated => {
                let refreshes = query.rule.refill.on_invalidate.mode == WhenInvalidated::Refresh;
                let by_schedule = refreshes && {
                    let recipe = stored.recipe();
                    recipe.is_some_and(|recipe| recipe.is_for_invalidated())
                };
                let softly = stored.invalidated(now).is_some_and(|it| it.soft);
                // What has expired meanwhile is not the schedule's either.
                !by_schedule || softly || stored.entry.meta.expires() <= now
            }
            Stale::IfError | Stale::Disconnected | Stale::MaxStale | Stale::Waited => false,
        };
        // What a client with `no-store` fetches is nobody else's, and `only-if-cached` asks for nothing.
        let may_fetch = !wishes.no_store && !wishes.only_if_cached;
        let errand = errand.filter(|_| refills && may_fetch);
        let fill = errand.and_then(|errand| {
            self.begin_unless_begun(query.base, query.matched(head), head, errand)
        });
        Lookup::Stale(stored, now, stale, fill)
    }

    /// Whether a client with these wishes may have a response of this life that was fetched for another (RFC 9111 §4).
    fn may_share(&self, meta: &EntryMeta, wishes: &Wishes) -> bool {
        match usable(meta, wishes, self.0.clock.now()) {
            Use::Fresh | Use::Soft | Use::Stale(Stale::WhileRevalidate) => true,
            Use::Stale(_) | Use::Expired | Use::Unwanted => false,
        }
    }

    /// What is stored for a request, for explanations; changes nothing (L14).
    pub fn explain(&self, query: &Query, head: &Head) -> Option<Explanation> {
        let (Found::Stored(_, stored) | Found::InLanguage(_, stored)) = self.look(query.base, head)
        else {
            return None;
        };
        let broken = stored
            .seals
            .broken()
            .map(|broken| (broken.tag.clone(), self.0.tags.cause(broken.tag)));
        Some(Explanation {
            entry: Listed::here(&stored, self.now()),
            broken,
        })
    }

    /// How a request would be answered now, for explanations; changes nothing (L14).
    pub fn foresee(&self, query: &Query, head: &Head, trust: Trust) -> Foreseen {
        let now = self.0.clock.now();
        let wishes = Wishes::granted(head.headers(), query.rule.client_control);
        if trust == Trust::None {
            return match wishes.only_if_cached {
                true => Foreseen::OnlyIfCached,
                false => Foreseen::Passed(Forward::Bypass(Bypass::Fenced)),
            };
        }
        let (variant, why, stored) = match self.look(query.base, head) {
            Found::Nothing(variant) => (variant, Forward::UriMiss, None),
            Found::OtherVariants(variant) => (variant, Forward::VaryMiss, None),
            Found::InLanguage(variant, stored) => {
                match self.usable(query, &stored, head, &wishes, now) {
                    Ok(None) => return Foreseen::Stored(None),
                    Ok(Some(_)) | Err(_) => (variant, Forward::VaryMiss, None),
                }
            }
            Found::Stored(variant, stored) => {
                match self.usable(query, &stored, head, &wishes, now) {
                    Ok(stale) => return Foreseen::Stored(stale),
                    Err(why @ Forward::Bypass(_)) if !wishes.only_if_cached => {
                        return Foreseen::Passed(why);
                    }
                    Err(why) => (variant, why, Some(stored)),
                }
            }
        };
        if wishes.only_if_cached {
            return Foreseen::OnlyIfCached;
        }
        if !head.brings_content() || wishes.no_store {
            return Foreseen::Passed(why);
        }
        let stored = stored.filter(|it| it.is_for(head) && it.seals.intact());
        match Aim::of(head, stored.as_deref(), why) {
            Some(_) => {
                let noted = self.0.store.peek(&variant.unstorable());
                Foreseen::Fetched(why, unstorable(noted, query, head, now))
            }
            None => Foreseen::Passed(Forward::Bypass(Bypass::Range)),
        }
    }

    /// The time by the cache's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// This moment, for measuring by the cache's clock how long something takes.
    pub fn anchor(&self) -> Anchor {
        self.0.clock.anchor()
    }

    /// Says in the metrics how much is held now. For who reads them; nothing on the path of a request keeps these.
    pub fn measure(&self) {
        let Inner {
            store,
            tags,
            metrics,
            ..
        } = &*self.0;
        metrics
            .store_entries
            .set(metrics::Tier::Memory, store.len() as u64);
        self.measure_sharing();
        metrics
            .store_bytes
            .set(metrics::Tier::Memory, store.bytes());
        metrics.tags.set(tags.len() as u64);
    }

    /// The same entry, as small as it can be kept beside others.
    fn compact(&self, mut entry: Entry) -> Entry {
        self.0.common.share(&mut entry);
        entry
    }

    /// Drops what nobody can be answered with any more (L10).
    pub fn sweep(&self) {
        let now = self.0.clock.now();
        self.0.store.retain(|slot| slot.is_of_use(now));
        self.0.refreshes.sweep();
        self.0.tags.sweep(); // after those that held them
    }
}

/// How a request would be answered now: as [`Cache::lookup`] would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// With what is stored here, and if that is stale, why it may be.
    Stored(Option<Stale>),
    /// By the app, for this client alone.
    Passed(Forward),
    /// By the app, for all, if no other sidecar has stored it; and why the last response could not be stored, as long as that is
    /// remembered.
    Fetched(Forward, Option<NoStore>),
    /// Not at all: the client wants a stored response or none.
    OnlyIfCached,
}

/// What is stored under a request's key.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What it is, and what it is good for.
    pub entry: Listed,
    /// The tag that has changed since, and by what, if that is remembered.
    pub broken: Option<(Tag, Option<Cause>)>,
}

impl Explanation {
    /// Why it is not used: `User:42 incremented 3s ago by POST /users/42`.
    pub fn why_invalidated(&self, now: Timestamp) -> Option<String> {
        let (tag, cause) = self.broken.as_ref()?;
        Some(match cause {
            Some(Cause { at, by, .. }) => format!(
                "{tag} incremented {}s ago by {by}",
                now.since(*at).as_secs()
            ),
            None => format!("{tag} incremented"),
        })
    }
}

/// Why the last response could not be stored, by the note of it, for reasons that hold for this request too: nobody waits for it
/// then.
fn unstorable(noted: Option<Slot>, query: &Query, head: &Head, now: Timestamp) -> Option<NoStore> {
    let Slot::Unstorable { reason, until } = noted? else {
        return None;
    };
    let field = reason.request_field();
    // Not a note from before the clock was set back.
    let latest = now + query.rule.refill.hit_for_miss;
    let holds = (until > now && until <= latest)
        && field.is_none_or(|name| head.headers().contains_key(name));
    holds.then_some(reason)
}

#[cfg(test)]
mod tests;
