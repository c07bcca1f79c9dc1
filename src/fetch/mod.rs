//! Exchanges, and what must happen to each: the only part that asks the app.
//!
//! Every exchange runs in a task of its own and goes through [`Fetch::exchange`], so no path can forget an increment,
//! and none is lost when a client leaves.

mod trailers;

use std::sync::Arc;

use http::header;
use http::response::Parts;
use http::{Request, Response, Version};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::body::Body;
use crate::cache::Cache;
use crate::cache::Fill;
use crate::clock::Clock;
use crate::dialects::Dialects;
use crate::dialects::Ignored;
use crate::model::outcome::Failure;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::tag::TagLimits;
use crate::policy;
use crate::policy::Signals;
use crate::policy::Times;
use crate::policy::Verdict;
use crate::rules::Matched;
use crate::upstream::Upstream;
use crate::upstream::UpstreamError;

/// Starts exchanges. Clones share everything.
#[derive(Clone)]
pub struct Fetch(Arc<Inner>);

struct Inner {
    upstream: Upstream,
    cache: Cache,
    dialects: Arc<Dialects>,
    clock: Clock,
    limits: Limits,
    /// Every exchange under way.
    tasks: TaskTracker,
}

/// What may be stored of a response.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of its body.
    pub max_object: usize,
    /// Its tags.
    pub tags: TagLimits,
}

/// One request and response with the app, after its increments have been committed.
struct Exchange {
    response: Response<Body>,
    signals: Signals,
    times: Times,
}

/// A response for one client, and why it is not for the store, had it been meant for it.
pub struct Passed {
    /// The response.
    pub response: Response<Body>,
    /// What would have kept it out of the store.
    pub reason: NoStore,
}

impl Fetch {
    /// Exchanges go to `upstream`, their increments and entries to `cache`.
    pub fn new(upstream: Upstream, cache: Cache, dialects: Arc<Dialects>, clock: Clock, limits: Limits) -> Fetch {
        Fetch(Arc::new(Inner { upstream, cache, dialects, clock, limits, tasks: TaskTracker::new() }))
    }

    /// Waits until no exchange runs.
    pub async fn finished(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Runs a fill: it outlives any client.
    pub fn fill(&self, fill: Fill, request: Request<Body>) {
        let fetch = self.clone();
        let run = async move {
            let head = Arc::clone(fill.head());
            let exchange = match fetch.exchange(request, &head, fill.matched()).await {
                Ok(exchange) => exchange,
                Err(failure) => return fill.fail(failure), // every follower learns it now (L9)
            };
            let Exchange { response, signals, times } = exchange;
            let (parts, body) = response.into_parts();
            let verdict = match fetch.judge(&fill, &head, &parts, &signals, times) {
                Verdict::Store(_) if body.exact_len().is_some_and(|len| len > fetch.0.limits.max_object as u64) => {
                    Verdict::Pass(NoStore::TooLarge)
                }
                verdict => verdict,
            };
            let tags = signals.tags.unwrap_or_default();
            match verdict {
                Verdict::Store(meta) => fill.store(Response::from_parts(parts, body), tags, meta).await,
                Verdict::Pass(reason) if shared_error(&head, &parts) => {
                    fill.share_unstored(Response::from_parts(parts, body), tags, reason).await;
                }
                Verdict::Pass(reason) => fill.hand_over(Response::from_parts(parts, body), reason),
            }
        };
        self.0.tasks.spawn(run);
    }

    /// Asks the app for one client. The exchange goes on when that client leaves: to its head if it is safe, to its end
    /// if it is not.
    ///
    /// # Errors
    ///
    /// The app gave no answer.
    pub async fn pass(&self, request: Request<Body>, head: Arc<Head>, matched: Matched) -> Result<Passed, Failure> {
        let fetch = self.clone();
        let (answer, answered) = oneshot::channel();
        let run = async move {
            let exchanged = fetch.exchange(request, &head, &matched).await.map(|exchange| {
                let Exchange { response, signals, times } = exchange;
                let (parts, body) = response.into_parts();
                let verdict = policy::judge(&matched.rule, &head, &parts, &signals, times, fetch.0.dialects.targeted());
                let reason = match verdict {
                    Verdict::Pass(reason) => reason,
                    Verdict::Store(_) => NoStore::Alone,
                };
                Passed { response: Response::from_parts(parts, body), reason }
            });
            if let Err(Ok(unwanted)) = answer.send(exchanged)
                && !head.method().is_safe()
            {
                trailers::drain(unwanted.response.into_body()).await;
            }
        };
        self.0.tasks.spawn(run);
        answered.await.unwrap_or(Err(Failure::Abandoned))
    }

    /// Every response of the app comes through here, so no path can forget an increment.
    async fn exchange(&self, request: Request<Body>, head: &Arc<Head>, matched: &Matched) -> Result<Exchange, Failure> {
        let inner = &self.0;
        let sent = inner.clock.now();
        let response = inner.upstream.send(request).await.map_err(|error| failure(&error, head))?;
        let times = Times { sent, received: inner.clock.now() };

        let (mut parts, body) = response.into_parts();
        let signals = policy::signals(&inner.dialects, matched, head, &mut parts, inner.limits.tags);
        warn_of(&signals.ignored, matched);
        if !signals.increments.is_empty() || !signals.observed.is_empty() {
            let by = asked_by(head);
            inner.cache.increment(&signals.increments, &by); // before anyone sees the response (L4)
            inner.cache.observe(&signals.observed, &by);
        }
        policy::remove_connection_fields(&mut parts.headers, parts.status);
        let body = match parts.version {
            Version::HTTP_2 => trailers::watched(body, self.clone(), Arc::clone(head)),
            _ => body, // over HTTP/1 no trailers come (design.md §5)
        };
        Ok(Exchange { response: Response::from_parts(parts, body), signals, times })
    }

    fn judge(&self, fill: &Fill, head: &Head, parts: &Parts, signals: &Signals, times: Times) -> Verdict {
        policy::judge(&fill.matched().rule, head, parts, signals, times, self.0.dialects.targeted())
    }
}

/// An error of the app that is nobody's own: everyone who waits would only get it again, one call after another (L9).
fn shared_error(head: &Head, parts: &Parts) -> bool {
    let personal = head.headers().contains_key(header::COOKIE)
        || head.headers().contains_key(header::AUTHORIZATION)
        || parts.headers.contains_key(header::SET_COOKIE);
    parts.status.is_server_error() && !personal
}

/// Who asked for a change, as explanations name it.
fn asked_by(head: &Head) -> Arc<str> {
    format!("{} {}", head.method(), head.path()).into()
}

fn failure(error: &UpstreamError, head: &Head) -> Failure {
    tracing::warn!(method = %head.method(), path = head.path(), error = %error, "the app gave no answer");
    error.failure()
}

fn warn_of(ignored: &[Ignored], matched: &Matched) {
    for ignored in ignored {
        tracing::warn!(uri = matched.uri, %ignored, "ignored in the app's response");
    }
}
