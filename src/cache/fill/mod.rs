//! One fetch for the store, whoever waits for it.
//!
//! A fill belongs to nobody: its first client brings it on but follows it like the rest, and it outlives that one. It ends in one of
//! four ways: [`Fill::store`], [`Fill::share_unstored`], [`Fill::hand_over`], [`Fill::fail`]; being dropped (a panic, a
//! cancelled task) is the fifth. In each, every follower learns the outcome at once (L9).

mod admit;
mod relay;
mod under_way;

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::sync::{Notify, oneshot, watch};

use crate::body::Body;
use crate::body::Cut;
use crate::body::Surplus;
use crate::cache::Cache;
use crate::cache::Keep;
use crate::cache::Stored;
use crate::cache::Unstored;
use crate::cache::errand::Aim;
use crate::cache::errand::Errand;
use crate::cache::fill::under_way::UnderWay;
use crate::cache::flights::Flight;
use crate::cache::flights::Flights;
use crate::cache::follower::Answered;
use crate::cache::follower::Follower;
use crate::cache::follower::Stage;
use crate::cache::leased::Held;
use crate::cache::parts;
use crate::cache::stored::Slot;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::outcome::Commit;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::model::time::Timestamp;
use crate::policy;
use crate::policy::freshening;
use crate::rules::Matched;
use crate::tags::Arrival;
use crate::tags::Own;
use crate::tags::Snapshot;

/// The right and the duty to fetch a response for the store. Only a lookup gives one out, and it is used up by how it ends.
#[derive(Debug)]
pub struct Fill {
    pub(super) cache: Cache,
    pub(super) base: BaseKey,
    pub(super) errand: Errand,
    /// What it is registered under: what the lookup found, and what the response's own `Vary` says.
    flights: Vec<Variant>,
    pub(super) matched: Matched,
    pub(super) head: Arc<Head>,
    /// What it compares with (L1); given up with the right to store, as tags are remembered for it.
    before: Option<Arc<Snapshot>>,
    /// What the response changed itself.
    own: Option<Own>,
    /// What became of what it changed.
    commit: Commit,
    /// The right to ask the app for all sidecars.
    pub(super) lease: Option<Held>,
    /// More may come than the response declares; then it is not stored.
    surplus: Option<Surplus>,
    /// There is no room for what came.
    refused: Option<NoStore>,
    /// When it began, and then when it set out.
    asked: Timestamp,
    /// Whether it goes on though nobody waits for it.
    insists: bool,
    /// An operator wants the app's answer.
    is_for_an_operator: bool,
    /// Told when what it has brought is in the store, or something newer is.
    admitted: Option<oneshot::Sender<()>>,
    joined: Arc<Notify>,
    /// `None`: it has ended.
    under_way: Option<UnderWay>,
    pub(super) stage: watch::Sender<Stage>,
    pub(super) first: Option<oneshot::Sender<(Response<Body>, Answered)>>,
}

/// What is from before the app was asked.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) before: Snapshot,
    pub(super) asked: Timestamp,
    /// What the response has changed itself since.
    pub(super) own: Option<Own>,
}

impl Start {
    pub(super) fn now(cache: &Cache) -> Start {
        Start {
            before: cache.0.tags.snapshot(),
            asked: cache.0.clock.now(),
            own: None,
        }
    }
}

impl Fill {
    /// A fill, which nobody joins before it has [taken off](Fill::take_off), and its first client's share in it.
    pub(super) fn begin(
        cache: &Cache,
        base: BaseKey,
        matched: Matched,
        head: &Arc<Head>,
        mut errand: Errand,
    ) -> (Box<Fill>, Follower) {
        // A HEAD may find what is to be fetched again, and would bring no content.
        let head = match head.as_get() {
            Cow::Borrowed(_) => Arc::clone(head),
            Cow::Owned(get) => Arc::new(get),
        };
        let start = Start::now(cache);
        errand.recheck(); // now that no change can go unnoticed any more (L1)
        Fill::alone(cache, base, &head, matched, errand, start)
    }

    /// Lets others join, though the app is still to be asked.
    pub(super) fn take_off(&mut self, flights: &mut Flights) {
        let key = self.errand.flight(&self.head);
        flights.insert(key, self.flight(None));
        self.flights.push(key);
    }

    fn flight(&self, before: Option<Stamp>) -> Flight {
        Flight {
            stage: self.stage.clone(),
            before,
            joined: Arc::clone(&self.joined),
        }
    }

    /// A fill that nobody joins, and its client's share in it.
    pub(super) fn alone(
        cache: &Cache,
        base: BaseKey,
        head: &Arc<Head>,
        matched: Matched,
        errand: Errand,
        start: Start,
    ) -> (Box<Fill>, Follower) {
        let Start { before, asked, own } = start;
        let (stage, watched) = watch::channel(Stage::Asked);
        let (first, mine) = oneshot::channel();
        let follower = Follower {
            stage: watched,
            why: errand.why,
            arrived: Arrival::with(&before),
            spare: errand.spare.clone(),
            own: Some(mine),
            hit_for_miss: false,
            client_control: matched.rule.client_control,
        };
        // It is large: made where it stays, until it ends.
        let fill = Box::new(Fill {
            cache: cache.clone(),
            base,
            errand,
            flights: Vec::new(),
            matched,
            head: Arc::clone(head),
            before: Some(Arc::new(before)),
            own,
            commit: Commit::Done,
            lease: None,
            surplus: None,
            refused: None,
            asked,
            insists: false,
            is_for_an_operator: false,
            admitted: None,
            joined: Arc::default(),
            under_way: Some(UnderWay::begin(cache)),
            stage,
            first: Some(first),
        });
        (fill, follower)
    }

    /// It goes on though nobody waits for it: what it brings is for those who come later.
    pub(super) fn insist(&mut self) {
        self.insists = true;
    }

    /// An operator waits for the app's answer, to be told when what it has brought is in the store.
    pub(super) fn tell_when_admitted(&mut self) -> oneshot::Receiver<()> {
        let (told, admitted) = oneshot::channel();
        self.admitted = Some(told);
        self.is_for_an_operator = true;
        admitted
    }

    /// Whether an operator wants the app's answer.
    pub(super) fn is_for_an_operator(&self) -> bool {
        self.is_for_an_operator
    }

    /// Whether it goes on though nobody waits for it.
    pub fn insists(&self) -> bool {
        self.insists
    }

    /// Comes back once somebody has joined it.
    pub async fn joined(&self) {
        self.joined.notified().await;
    }

    /// Waits for something before the app is asked; `None` if by then nobody waits for the fill, and so nobody will.
    pub async fn unless_deserted<T>(&self, event: impl Future<Output = T>) -> Option<T> {
        let mut event = pin!(event);
        loop {
            tokio::select! {
                biased;
                output = &mut event => return Some(output),
                () = self.stage.closed(), if !self.insists => {}
            }
            let mut flights = self.cache.0.fills.lock(); // now nobody joins
            if self.stage.receiver_count() == 0 {
                self.leave(&mut flights);
                return None;
            }
        }
    }

    /// The app is about to be asked: what has changed until now is in its answer (L1).
    pub fn set_out(&mut self) {
        let mut flights = self.cache.0.fills.lock();
        // Under the lock: who has joined came before the snapshot, and who comes now sees it.
        let Start { before, asked, .. } = Start::now(&self.cache);
        for key in &self.flights {
            if let Some(flight) = flights.get_mut(key)
                && flight.stage.same_channel(&self.stage)
            {
                flight.before = Some(before.stamp());
            }
        }
        drop(flights);
        self.before = Some(Arc::new(before));
        self.asked = asked;
        self.errand.recheck();
    }

    /// The request to be sent: a GET, with the fields that its first client sent.
    pub fn head(&self) -> &Arc<Head> {
        &self.head
    }

    /// What the rules say of it.
    pub fn matched(&self) -> &Matched {
        &self.matched
    }

    /// The fields by which the app is asked whether what is stored is still right, for its rest, or for a part.
    pub fn conditions(&self) -> Vec<(HeaderName, HeaderValue)> {
        match (self.errand.aim, &self.errand.stored) {
            (Aim::Part, _) => [header::RANGE, header::IF_RANGE]
                .into_iter()
                .filter_map(|name| Some((name.clone(), self.head.headers().get(name)?.clone())))
                .collect(),
            (Aim::Validate, Some(stored)) => freshening::conditions(&stored.entry),
            (Aim::Complete, Some(stored)) => parts::rest(&stored.entry).unwrap_or_default(),
            (Aim::Whole | Aim::Validate | Aim::Complete, _) => Vec::new(),
        }
    }

    /// What is stored, if the app was asked whether it is still right.
    pub fn validates(&self) -> Option<&Stored> {
        self.stored_for(Aim::Validate)
    }

    /// The stored part, if the app was asked for its rest.
    pub fn completes(&self) -> Option<&Stored> {
        self.stored_for(Aim::Complete)
    }

    /// Whether a response with this status may be kept. What a request for a part gets besides the part or the whole,
    /// such as 416, is due to its `Range`, which no key holds; and a part that nobody asked for is nobody's.
    pub fn may_keep(&self, status: StatusCode) -> bool {
        match self.errand.aim {
            Aim::Part => matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT),
            Aim::Whole | Aim::Validate | Aim::Complete => status != StatusCode::PARTIAL_CONTENT,
        }
    }

    fn stored_for(&self, aim: Aim) -> Option<&Stored> {
        let stored = self.errand.stored.as_deref();
        stored.filter(|_| self.errand.aim == aim)
    }

    /// Shares the response with every follower as it arrives, and stores it when it is whole and nothing it depends on
    /// has changed since the app was asked. `status` is the app's own.
    pub async fn store(mut self, response: Response<Body>, status: StatusCode, keep: Keep) {
        self.refused = self.register_variant(&keep).err();
        self.surplus = response.extensions().get().cloned();
        // Now for the word in the head; what counts is the same question when the body has ended.
        let end = match self.foresee(&keep.tags) {
            Ok(()) if status == StatusCode::NOT_MODIFIED => End::Revalidated,
            Ok(()) => End::Stored,
            Err(reason) => {
                self.count_not_stored(reason);
                End::NotStored(reason)
            }
        };
        let answered = self.answered(status, end);
        self.share(response, answered, Some(keep)).await;
    }

    /// Shares a response that is not stored: an error of the app that every follower would only get again (L9).
    pub async fn share_unstored(self, response: Response<Body>, reason: NoStore) {
        self.count_not_stored(reason);
        let answered = self.answered(response.status(), End::NotStored(reason));
        self.share(response, answered, None).await;
    }

    fn answered(&self, status: StatusCode, end: End) -> Answered {
        let commit = self.commit;
        Answered {
            status,
            end,
            commit,
        }
    }

    /// What has become of the changes that the response reported.
    pub fn note_commit(&mut self, commit: Commit) {
        self.commit = commit;
    }

    /// The last stamp applied when the app was asked.
    fn began(&self) -> Stamp {
        self.before
            .as_ref()
            .map_or(Stamp::NEVER, |before| before.stamp())
    }

    /// Gives the response to the first client alone; the others ask for themselves.
    pub fn hand_over(mut self, response: Response<Body>, status: StatusCode, reason: NoStore) {
        let now = self.count_not_stored(reason);
        self.note_unstorable(reason, status, now); // before anyone looks again
        self.unregister();
        self.under_way = None;
        // Of one that nobody could join, the first client looks no further than at its own.
        let is_awaited = self.first.is_none() || !self.is_joined_by_nobody();
        if let Some(first) = self.first.take() {
            let answered = self.answered(status, End::NotStored(reason));
            // An error means that this client has left: its response is dropped, which ends the exchange.
            first.send((response, answered)).ok();
        }
        self.stage.send_if_modified(|stage| {
            *stage = Stage::Alone(reason, status);
            is_awaited
        });
    }

    /// Counts that its response is not stored, and keeps in mind why; the time it did so.
    pub(super) fn count_not_stored(&self, reason: NoStore) -> Timestamp {
        self.matched.rule.count_not_stored(reason);
        let at = self.cache.now();
        let unstored = Unstored { reason, at };
        self.cache.unstored().note(self.errand.variant, unstored);
        at
    }

    /// Lets the next requests ask for themselves at once, if what came cannot be stored for reasons of its own: it is hardly
    /// worth waiting for the next one. A response that can be stored ends that. And what was served until this fill would be
    /// done is served no longer, unless the app failed to find anything, or the reason is one client's own.
    fn note_unstorable(&self, reason: NoStore, status: StatusCode, now: Timestamp) {
        let is_whole = self.errand.aim != Aim::Part;
        if !reason.is_its_own() || !is_whole || policy::is_of_the_moment(status) {
            return;
        }
        let (store, variant) = (&self.cache.0.store, self.errand.variant);
        let time = self.matched.rule.refill.hit_for_miss;
        if !time.is_zero() {
            let until = now + time;
            store.put(variant.unstorable(), Slot::Unstorable { reason, until });
        }
        // What is skipped says nothing of what is stored.
        let is_new = (status.is_success() || status.is_redirection()) && reason != NoStore::Skip;
        let replaces =
            is_new && status != StatusCode::NOT_MODIFIED && reason.request_field().is_none();
        let spare = self.errand.spare.as_ref().filter(|_| replaces);
        if let Some(spare) = spare.filter(|spare| spare.is_served_meanwhile(now)) {
            let _one_at_a_time = self.cache.0.fills.lock();
            let there = store.get(&variant);
            let there = there.as_ref().and_then(Slot::entry);
            if there.is_some_and(|there| Arc::ptr_eq(there, &spare.stored)) {
                store.remove(&variant);
            }
        }
    }

    /// Whether something is stored that may be served where the app answers with an error (RFC 5861 §4).
    pub fn has_spare(&self) -> bool {
        let spare = self.errand.spare.as_ref();
        self.cache.spares_an_error(spare, &self.head)
    }

    /// Tells every follower that the app gave no answer; what is stored may stand in for it.
    pub fn fail(mut self, failure: Failure) {
        if failure.is_a_lost_answer() {
            self.count_not_stored(NoStore::UpstreamFailed);
        }
        self.unregister();
        self.under_way = None;
        self.stage.send_replace(Stage::Failed(failure));
    }

    /// Lets requests for the response's variant find this fill, and those for others see that there are variants.
    ///
    /// # Errors
    ///
    /// There are too many variants for one more.
    fn register_variant(&mut self, keep: &Keep) -> Result<(), NoStore> {
        let request = self.head.headers();
        let variant = self.cache.lead_to(self.base, request, keep.meta())?;
        if let Some(variant) = variant {
            self.errand.variant = variant;
            self.register();
        }
        Ok(())
    }

    /// Where the variant is another than the lookup supposed, who looks for it there may join.
    fn register(&mut self) {
        let key = self.errand.flight(&self.head);
        if self.flights.is_empty() || self.flights.contains(&key) {
            return;
        }
        let before = self.began();
        let flight = self.flight(Some(before));
        let mut flights = self.cache.0.fills.lock();
        if flights
            .get(&key)
            .is_none_or(|other| other.before.is_some_and(|other| other <= before))
        {
            flights.insert(key, flight);
        }
        drop(flights);
        self.flights.push(key);
    }

    /// From here on nobody joins.
    pub(super) fn unregister(&self) {
        self.leave(&mut self.cache.0.fills.lock());
    }

    /// Whether nobody can join: it was begun for one client alone.
    pub(super) fn is_joined_by_nobody(&self) -> bool {
        self.flights.is_empty()
    }

    fn leave(&self, flights: &mut Flights) {
        for key in &self.flights {
            // A newer fill may have taken the place.
            if flights
                .get(key)
                .is_some_and(|flight| flight.stage.same_channel(&self.stage))
            {
                flights.remove(key);
            }
        }
    }
}

impl Drop for Fill {
    /// However it ends, nobody waits for it any longer.
    fn drop(&mut self) {
        self.unregister();
        self.stage.send_if_modified(|stage| match stage {
            Stage::Asked => {
                *stage = Stage::Failed(Failure::Abandoned);
                true
            }
            Stage::Shared(shared) => {
                shared
                    .spool
                    .end(Err(Cut::Short("the fill was given up".into()))); // unless it has ended
                false
            }
            Stage::Found(_) | Stage::Alone(..) | Stage::Failed(_) => false,
        });
    }
}
