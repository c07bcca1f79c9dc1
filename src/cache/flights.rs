//! Which fills are under way, and who may join them: one per variant, so that nobody asks the app what is being asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::cache::Cache;
use crate::cache::Lookup;
use crate::cache::errand::Errand;
use crate::cache::errand::Miss;
use crate::cache::fill::Fill;
use crate::cache::follower::Follower;
use crate::cache::follower::Stage;
use crate::cache::spool::Budget;
use crate::cache::variants::Found;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::policy::request::Wishes;
use crate::rules::Matched;
use crate::rules::Query;

/// Fills under way.
#[derive(Debug)]
pub(super) struct Fills {
    flights: Mutex<Flights>,
    /// What bodies under way hold in memory, for the store and for their readers.
    pub(super) held: Budget,
}

/// By the variant they will be stored under.
pub(super) type Flights = HashMap<Variant, Flight>;

/// A fill as those see it who may join it.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    /// Tells one flight under a variant from the next. Who joins subscribes: only followers are receivers.
    pub(super) stage: watch::Sender<Stage>,
    /// The last stamp applied when the app was asked; `None` if it is still to be asked.
    pub(super) before: Option<Stamp>,
    /// Told when somebody joins.
    pub(super) joined: Arc<Notify>,
}

impl Cache {
    /// Starts the fill of a variant, or joins the one under way.
    pub(super) fn begin_or_join(
        &self,
        query: &Query,
        head: &Arc<Head>,
        errand: Errand,
        miss: Miss,
    ) -> Lookup {
        let matched = query.matched(head);
        let key = errand.flight(head);
        let mut flights = self.0.fills.lock();
        let tags = &self.0.tags;
        // What a client waited for before it need not wait for again.
        let arrived = match miss.since {
            Some(since) => tags.arrival_at(since),
            None => tags.arrival(),
        };
        if let Some(flight) = flights
            .get(&key)
            .filter(|flight| self.may_join(flight, (&matched, head), &errand, miss))
        {
            flight.joined.notify_one();
            return Lookup::Join(Follower {
                stage: flight.stage.subscribe(),
                why: errand.why,
                arrived,
                spare: errand.spare,
                own: None,
                hit_for_miss: false,
                client_control: query.rule.client_control,
            });
        }
        // A fill that ended between our look into the store and this lock has left its response there.
        if !miss.anew
            && let Found::Stored(_, stored) | Found::InLanguage(_, stored) =
                self.find(query.base, head)
        {
            let now = self.0.clock.now();
            if let Ok(None) = self.usable(query, &stored, head, &miss.wishes, now) {
                return Lookup::Hit(stored, now);
            }
        }
        let (mut fill, follower) = Fill::begin(self, query.base, matched, head, errand);
        fill.take_off(&mut flights);
        drop(flights);
        Lookup::Miss(fill, follower)
    }

    /// Starts a fill for nobody in particular, unless one is under way or has just ended.
    pub(super) fn begin_unless_begun(
        &self,
        base: BaseKey,
        matched: Matched,
        head: &Arc<Head>,
        errand: Errand,
    ) -> Option<Box<Fill>> {
        let key = errand.flight(head);
        let mut flights = self.0.fills.lock();
        let is_begun = flights
            .get(&key)
            .is_some_and(|flight| !self.is_outdated(flight, (&matched, head), &errand));
        if is_begun || self.is_renewed(base, head, &errand) {
            return None;
        }
        let (mut fill, _) = Fill::begin(self, base, matched, head, errand);
        fill.insist();
        fill.take_off(&mut flights);
        Some(fill)
    }

    /// Whether a fill that ended between our look into the store and now has left another fresh response there.
    fn is_renewed(&self, base: BaseKey, head: &Head, errand: &Errand) -> bool {
        let Found::Stored(_, there) = self.find(base, head) else {
            return false;
        };
        let seen = errand.spare.as_ref();
        let is_another = seen.is_none_or(|seen| !Arc::ptr_eq(&seen.stored, &there));
        is_another && there.seals.intact() && there.entry.meta.expires() > self.now()
    }

    /// Whether a client that comes now may wait for a fill begun before: not if what it will bring is outdated, and not if
    /// the client wants a response of its own time.
    fn may_join(
        &self,
        flight: &Flight,
        asked: (&Matched, &Head),
        errand: &Errand,
        miss: Miss,
    ) -> bool {
        let in_time = |before| miss.since.is_none_or(|since| before >= since);
        !miss.anew
            && flight.before.is_none_or(in_time)
            && !self.is_outdated(flight, asked, errand)
            && self.is_fresh_enough(flight, &miss.wishes)
    }

    /// Whether one of the tags known already has changed since the app was asked (L1): those that its response carries, or
    /// until that is here, those of the rule and those that the last response carried.
    fn is_outdated(
        &self,
        flight: &Flight,
        (matched, head): (&Matched, &Head),
        errand: &Errand,
    ) -> bool {
        let Some(before) = flight.before else {
            return false;
        };
        if self.purges().forget(|| matched.logical_key(head), before) {
            return true;
        }
        if let Stage::Shared(shared) = &*flight.stage.borrow()
            && let Some(keep) = &shared.keep
        {
            // The response itself may have told of a version that the app gives one of them.
            return self.0.tags.outdates(&keep.tags, before);
        }
        let implicit = matched.implicit_tags(head);
        let last = errand.spare.iter().flat_map(|spare| spare.stored.tags());
        let known = matched.tags.iter().flatten().chain(&implicit);
        let known = known.chain(last.map(|(tag, _)| tag));
        self.0.tags.changed_since(known, before)
    }

    /// What has arrived of it already may have become too old for this client, or for any (RFC 9111 §4.2).
    fn is_fresh_enough(&self, flight: &Flight, wishes: &Wishes) -> bool {
        let Stage::Shared(shared) = &*flight.stage.borrow() else {
            return true;
        };
        let keep = shared.keep.as_ref();
        keep.is_none_or(|keep| self.may_share(keep.meta(), wishes))
    }
}

impl Fills {
    /// No fill, and this budget for those to come.
    pub(super) fn new(held: Budget) -> Fills {
        Fills {
            flights: Mutex::default(),
            held,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
