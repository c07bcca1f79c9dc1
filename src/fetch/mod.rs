//! Exchanges, and what must happen to each: the only part that asks the app.
//!
//! Every exchange goes through `Fetch::exchange`, so no path can forget an increment. Where a client waits for it, it runs in that
//! one's task until there is an answer, and then, or when the client leaves, in a task of its own, so none is lost by that.

mod ahead;
mod anew;
mod beside;
mod exchange;
mod picking;
mod request;
mod room;
mod schedule;
mod seldom;
mod trailers;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

pub use anew::Refreshed;
pub use anew::What;
pub use picking::content;

use crate::body::Body;
use crate::cache::Aside;
use crate::cache::Cache;
use crate::cache::Fill;
use crate::cache::Freshen;
use crate::cache::Keep;
use crate::clock::Clock;
use crate::dialects::Dialects;
use crate::fetch::ahead::NotWhole;
use crate::fetch::ahead::Places;
use crate::fetch::beside::Rest;
use crate::fetch::exchange::Exchange;
use crate::fetch::exchange::Judged;
use crate::fetch::exchange::asked_by;
use crate::fetch::picking::Picking;
use crate::fetch::room::Room;
use crate::fetch::schedule::AT_ONCE;
use crate::fetch::seldom::Seldom;
use crate::fetch::seldom::Wrong;
use crate::model::outcome::Commit;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::tag::TagLimits;
use crate::policy;
use crate::policy::freshening;
use crate::policy::freshening::HeadSays;
use crate::rules::Matched;
use crate::telemetry::trace::Place;
use crate::telemetry::trace::Step;
use crate::upstream::Turn;
use crate::upstream::Upstream;

/// Starts exchanges. Clones share everything.
#[derive(Clone)]
pub struct Fetch(Arc<Inner>);

struct Inner {
    upstream: Upstream,
    cache: Cache,
    dialects: Arc<Dialects>,
    clock: Clock,
    limits: Limits,
    failures: Seldom<Failure>,
    wrongs: Seldom<Wrong>,
    picking: Picking,
    /// For what has come of requests' bodies before their turn.
    ahead: Places,
    /// For bodies of which keys hold something.
    keyed: Room,
    /// Those that had no room there.
    unread: Seldom<()>,
    /// How many more are fetched again for operators at once, however many calls ask for it; closed: no more at all.
    anew: Semaphore,
    /// Every exchange under way.
    tasks: TaskTracker,
}

/// For whom the app is asked. The default is nobody in particular.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The address of the client, if it has one.
    pub peer: Option<IpAddr>,
    /// Where the spans of its request begin.
    pub trace: Place,
}

impl From<Option<IpAddr>> for Caller {
    /// In no trace.
    fn from(peer: Option<IpAddr>) -> Caller {
        Caller {
            peer,
            trace: Place::default(),
        }
    }
}

/// What may be stored of a response.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of its body.
    pub max_object: usize,
    /// Its tags.
    pub tags: TagLimits,
    /// Bytes of all bodies that are read for tags at a time.
    pub picked: usize,
    /// Bytes of the bodies of all requests that are waited for before their turn, and as many for those that keys need.
    pub ahead: usize,
}

/// A response for one client, and what becomes of it.
pub struct Passed {
    /// The response.
    pub response: Response<Body>,
    /// The app's own status.
    pub status: StatusCode,
    /// It is stored all the same (a POST's), or for what reason it would not have been.
    pub end: End,
    /// What has become of its increments.
    pub commit: Commit,
}

/// A request of one client on its way to the app.
struct Alone {
    request: Request<Body>,
    head: Arc<Head>,
    matched: Matched,
    freshen: Option<Box<Freshen>>,
    trace: Place,
}

/// Where that client waits.
type Answer = oneshot::Sender<Result<Passed, Failure>>;

impl Fetch {
    /// Reads a request's body of which the key holds something, where it has no more than `most` bytes and there is room: what it
    /// says, and the body as it was.
    pub async fn read_whole(&self, head: &Head, body: Body, most: usize) -> (Option<Bytes>, Body) {
        let inner = &self.0;
        let (data, body) = ahead::read_whole(body, most, &inner.keyed).await;
        if data == Err(NotWhole::NoRoom)
            && let Some(unsaid) = inner.unread.say((), inner.clock.now())
        {
            let (method, path) = (head.method(), head.path());
            let not_logged = (unsaid > 0).then_some(unsaid);
            tracing::warn!(%method, path, not_logged, "There is no room for a body that the key needs: the app is asked.");
        }
        (data.ok(), body)
    }

    /// Exchanges go to `upstream`, their increments and entries to `cache`.
    pub fn new(
        upstream: Upstream,
        cache: Cache,
        dialects: Arc<Dialects>,
        clock: Clock,
        limits: Limits,
    ) -> Fetch {
        Fetch(Arc::new(Inner {
            upstream,
            cache,
            dialects,
            clock,
            limits,
            failures: Seldom::default(),
            wrongs: Seldom::default(),
            picking: Picking::new(limits.picked),
            ahead: Places::new(limits.ahead),
            keyed: ahead::room_for_keys(limits.ahead),
            unread: Seldom::default(),
            anew: Semaphore::new(AT_ONCE),
            tasks: TaskTracker::new(),
        }))
    }

    /// Nothing more is fetched again for operators: what runs goes on.
    pub fn drain(&self) {
        self.0.anew.close();
    }

    /// Waits until no exchange runs.
    pub async fn finished(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Runs a fill for its first client, which `follows` it, and waits for nothing else: what comes of that. The fill outlives this client
    /// like any other.
    pub async fn fill_for<T>(
        &self,
        fill: Box<Fill>,
        caller: impl Into<Caller>,
        follows: impl Future<Output = T>,
    ) -> T {
        let run = self.clone().run(fill, caller.into());
        Rest::of(&self.0.tasks, run).beside(follows).await
    }

    /// Runs a fill that nobody waits for.
    pub fn fill(&self, fill: Box<Fill>, caller: impl Into<Caller>) {
        let run = self.clone().run(fill, caller.into());
        // Boxed, as the runtime moves a future several times until it stays where it is, and once more when it has ended.
        self.0.tasks.spawn(Box::pin(run));
    }

    /// What is rare or large of it is boxed: each has room for all that it may wait for.
    async fn run(self, mut fill: Box<Fill>, caller: Caller) {
        let Caller { peer, trace } = caller;
        if fill.may_be_brought()
            && let Some(stored) = Box::pin(fill.brought()).await
        {
            return fill.found(stored);
        }
        let request = request::for_fill(fill.head(), &fill.matched().rule, peer);
        let exchange = match self.asked(&mut fill, request, &trace).await {
            Ok(exchange) => exchange,
            Err(failure) => return fill.fail(failure), // every follower learns it now (L9)
        };
        let is_spared = policy::is_error(exchange.status) && fill.has_spare();
        let exchange = match fill.validates() {
            Some(stored) if exchange.head.status == StatusCode::NOT_MODIFIED => {
                exchange.validated(stored)
            }
            Some(_) | None => exchange,
        };
        let mut judged = self.judge(exchange, fill.head(), fill.matched());
        if judged.verdict.is_ok() && !fill.may_keep(judged.response.status()) {
            judged.verdict = Err(NoStore::Partial);
        } else if judged.verdict.is_ok() && is_spared {
            judged.verdict = Err(NoStore::UpstreamFailed); // what is stored serves those who come better
        }
        let _storing = judged.verdict.is_ok().then(|| trace.span(Step::Store));
        self.settle(fill, judged).await;
    }

    /// The app's answer to what the fill is to bring.
    async fn asked(
        &self,
        fill: &mut Fill,
        mut request: Request<Body>,
        trace: &Place,
    ) -> Result<Exchange, Failure> {
        let turn = self.set_out(fill).await?;
        let whole = fill.completes().map(|_| copy(&request));
        request.headers_mut().extend(fill.conditions());
        let exchange = self
            .exchange(turn, request, fill.head(), fill.matched(), None, trace)
            .await?;
        let Some((stored, whole)) = fill.completes().zip(whole) else {
            return Ok(exchange);
        };
        match exchange.completed(stored) {
            Some(exchange) => Ok(exchange),
            None => {
                let turn = self.set_out(fill).await?; // what came does not fit what is stored
                let anew = self.exchange(turn, whole, fill.head(), fill.matched(), None, trace);
                Box::pin(anew).await
            }
        }
    }

    /// Waits until the app may be asked, as long as somebody waits for the answer.
    async fn set_out(&self, fill: &mut Fill) -> Result<Turn, Failure> {
        let upstream = &self.0.upstream;
        let turn = async {
            if !fill.insists() {
                return upstream.turn().await;
            }
            tokio::select! {
                biased;
                turn = upstream.turn_behind() => turn,
                () = fill.joined() => upstream.turn().await, // now somebody waits for it
            }
        };
        let turn = fill.unless_deserted(turn).await;
        let turn = turn.ok_or(Failure::Abandoned)?;
        let turn = turn.map_err(|error| self.failure(&error, fill.head()))?;
        fill.set_out();
        Ok(turn)
    }

    /// What becomes of a fill, now that the app has answered.
    async fn settle(&self, mut fill: Box<Fill>, judged: Judged) {
        let Judged {
            response,
            status,
            verdict,
            impersonal,
            commit,
        } = judged;
        fill.note_commit(commit);
        match verdict {
            Ok(_) if self.is_too_large(&response) => {
                fill.hand_over(response, status, NoStore::TooLarge)
            }
            Ok(keep) => Box::pin(fill.store(response, status, keep)).await,
            Err(reason)
                if impersonal
                    && policy::is_for_all(
                        reason,
                        &fill.matched().rule.terms,
                        fill.head(),
                        &response,
                    ) =>
            {
                Box::pin(fill.share_unstored(response, reason)).await;
            }
            Err(reason) => fill.hand_over(response, status, reason),
        }
    }

    fn is_too_large(&self, response: &Response<Body>) -> bool {
        let max_object = self.0.limits.max_object as u64;
        let len = response.body().exact_len();
        len.is_some_and(|len| len > max_object)
    }

    /// Asks the app for one client. When that client leaves, a safe request that still waits for its turn (or for its body) is given up;
    /// else the exchange goes on: to its head if it is safe, to its end if it is not. What a HEAD's answer says of a stored
    /// response counts for that.
    ///
    /// # Errors
    ///
    /// The app gave no answer.
    pub async fn pass(
        &self,
        head: Arc<Head>,
        body: Body,
        caller: impl Into<Caller>,
        matched: Matched,
        freshen: Option<Box<Freshen>>,
    ) -> Result<Passed, Failure> {
        let Caller { peer, trace } = caller.into();
        let request = request::for_upstream(&head, &matched.rule, peer, body);
        let alone = Alone {
            request,
            head,
            matched,
            freshen,
            trace,
        };
        let (answer, answered) = oneshot::channel();
        let run = self.clone().run_alone(alone, answer);
        let answered = Rest::of(&self.0.tasks, run).beside(answered).await;
        answered.unwrap_or(Err(Failure::Abandoned))
    }

    /// As for [`Fetch::run`], what is rare or large of it is boxed, and so is it.
    async fn run_alone(self, mut alone: Alone, mut answer: Answer) {
        let head = Arc::clone(&alone.head);
        let turn = tokio::select! {
            biased;
            turn = self.turn(&head, &mut alone.request) => turn,
            () = answer.closed(), if head.is_safe() => return,
        };
        let passed = match turn {
            Ok(turn) => self.passed(turn, alone).await,
            Err(failure) => Err(failure),
        };
        if let Err(Ok(unwanted)) = answer.send(passed)
            && !head.is_safe()
        {
            Box::pin(trailers::drain(unwanted.response.into_body())).await;
        }
    }

    async fn passed(&self, turn: Turn, alone: Alone) -> Result<Passed, Failure> {
        let Alone {
            request,
            head,
            matched,
            freshen,
            trace,
        } = alone;
        let (head, matched, trace) = (&head, &matched, &trace);
        let as_get = matched.as_get.as_deref();
        let mut aside = as_get.map(|_| self.0.cache.aside());
        let exchange = self
            .exchange(turn, request, head, matched, aside.as_mut(), trace)
            .await?;
        if let Some(freshen) = freshen
            && let Some((freshen, renewed, keep)) =
                self.freshened(*freshen, &exchange, head, matched)
            && let Err(reason) = Box::pin(freshen.renew(head, &renewed, &keep)).await
        {
            not_renewed(head, reason);
        }
        let Judged {
            response,
            status,
            verdict,
            commit,
            ..
        } = self.judge(exchange, head, matched);
        let end = match (verdict, aside.zip(as_get)) {
            (Ok(_), Some(_)) if self.is_too_large(&response) => End::NotStored(NoStore::TooLarge),
            (Ok(keep), Some((aside, as_get))) => {
                let kept = Box::pin(self.keep(aside, response, keep, head, as_get)).await?;
                return Ok(Passed { commit, ..kept });
            }
            (Ok(_), None) => End::NotStored(NoStore::Alone),
            (Err(reason), _) => End::NotStored(reason),
        };
        Ok(Passed {
            response,
            status,
            end,
            commit,
        })
    }

    /// Lets a response to a POST answer GETs of its URI from now on, besides its own client (RFC 9110 §9.3.3).
    async fn keep(
        &self,
        aside: Aside,
        response: Response<Body>,
        keep: Keep,
        head: &Arc<Head>,
        matched: &Matched,
    ) -> Result<Passed, Failure> {
        let status = response.status();
        let Some((fill, follower)) = aside.fill(head, matched) else {
            return Ok(Passed {
                response,
                status,
                end: End::NotStored(NoStore::Alone),
                commit: Commit::Done,
            });
        };
        self.0.tasks.spawn(fill.store(response, status, keep));
        let (response, end, commit) = follower.own().await?;
        Ok(Passed {
            response,
            status,
            end,
            commit,
        })
    }

    /// What a HEAD's answer says of what is stored (RFC 9111 §4.3.5): the head it is to be renewed with, if it is the same.
    fn freshened(
        &self,
        freshen: Freshen,
        exchange: &Exchange,
        request: &Head,
        matched: &Matched,
    ) -> Option<(Freshen, Parts, Keep)> {
        if matched.rule.skips(request, Some(&exchange.head)) {
            return None;
        }
        let stored = freshen.stored();
        match freshening::head_says(&stored.entry, &exchange.head) {
            HeadSays::Nothing => None,
            HeadSays::Other => {
                freshen.outdated();
                None
            }
            HeadSays::Same(renewed) => {
                let exchange = exchange.renewed(stored, renewed);
                let judged = self.judge(exchange, &request.as_get(), matched);
                let (head, _) = judged.response.into_parts();
                let keep = judged.verdict;
                let keep = keep.map_err(|reason| not_renewed(request, reason));
                Some((freshen, head, keep.ok()?))
            }
        }
    }
}

fn not_renewed(head: &Head, reason: NoStore) {
    tracing::debug!(
        uri = head.logged_uri(),
        reason = reason.word(),
        "not renewed"
    );
}

/// The same request once more; a fill's has no body.
fn copy(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How large the future of such a call is, in bytes.
    fn size<A, B, C, F: Future>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Each is allocated, and copied there.
    #[test]
    fn the_futures_of_exchanges_stay_small() {
        let (fill, alone) = (size(Fetch::run), size(Fetch::run_alone));
        assert!(fill <= 6_656, "a fill's has {fill} bytes");
        assert!(alone <= 6_656, "a lone client's has {alone} bytes");
        // It has no room for the fill's, which is boxed before.
        let client = size(|fetch: &'static Fetch, fill, ()| {
            fetch.fill_for(fill, Caller::default(), std::future::ready(()))
        });
        assert!(client <= 512, "its client's has {client} bytes");
    }
}
