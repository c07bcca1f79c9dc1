//! Exchanges, and what must happen to each: the only part that asks the app.
//!
//! Every exchange runs in a task of its own and goes through `Fetch::exchange`, so no path can forget an increment,
//! and none is lost when a client leaves.

mod trailers;

use std::sync::Arc;

use http::HeaderValue;
use http::header;
use http::{Method, Request, Response, StatusCode, Version};
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
use crate::model::tag::Tagged;
use crate::policy;
use crate::policy::Declared;
use crate::policy::Signals;
use crate::policy::Times;
use crate::policy::Verdict;
use crate::rules::Cookies;
use crate::rules::Matched;
use crate::upstream::Upstream;
use crate::upstream::UpstreamError;
use crate::upstream::UpstreamErrorKind;

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
    /// The tags of a response that may be stored.
    tags: Vec<Tagged>,
    verdict: Verdict,
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
            tasks: TaskTracker::new(),
        }))
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
            let Exchange {
                response,
                tags,
                verdict,
            } = exchange;
            let max_object = fetch.0.limits.max_object as u64;
            match verdict {
                Verdict::Store(_)
                    if response
                        .body()
                        .exact_len()
                        .is_some_and(|len| len > max_object) =>
                {
                    fill.hand_over(response, NoStore::TooLarge);
                }
                Verdict::Store(store) if !store.without.is_empty() => {
                    fill.hand_over(response, NoStore::Private); // whole it must not be stored
                }
                Verdict::Store(store) => fill.store(response, tags, store.meta).await,
                Verdict::Pass(reason) if shared_error(reason, fill.matched(), &head, &response) => {
                    fill.share_unstored(response, reason).await;
                }
                Verdict::Pass(reason) => fill.hand_over(response, reason),
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
    pub async fn pass(
        &self,
        request: Request<Body>,
        head: Arc<Head>,
        matched: Matched,
    ) -> Result<Passed, Failure> {
        let fetch = self.clone();
        let (answer, answered) = oneshot::channel();
        let run = async move {
            let exchanged = fetch.exchange(request, &head, &matched).await;
            let exchanged = exchanged.map(
                |Exchange {
                     response, verdict, ..
                 }| match verdict {
                    Verdict::Pass(reason) => Passed { response, reason },
                    Verdict::Store(_) => Passed {
                        response,
                        reason: NoStore::Alone,
                    },
                },
            );
            if let Err(Ok(unwanted)) = answer.send(exchanged)
                && !head.is_safe()
            {
                trailers::drain(unwanted.response.into_body()).await;
            }
        };
        self.0.tasks.spawn(run);
        answered.await.unwrap_or(Err(Failure::Abandoned))
    }

    /// Every response of the app comes through here, so no path can forget an increment.
    async fn exchange(
        &self,
        request: Request<Body>,
        head: &Arc<Head>,
        matched: &Matched,
    ) -> Result<Exchange, Failure> {
        let inner = &self.0;
        let sent = inner.clock.now();
        let response = inner
            .upstream
            .send(request)
            .await
            .map_err(|error| failure(&error, head))?;
        let times = Times {
            sent,
            received: inner.clock.now(),
        };

        let (mut parts, body) = response.into_parts();
        let declared = Declared::of(matched, parts.status);
        let signals = policy::signals(
            &inner.dialects,
            declared,
            head,
            &mut parts,
            inner.limits.tags,
        );
        warn_of(&signals, matched);
        if !signals.increments.is_empty() || !signals.observed.is_empty() {
            let by = asked_by(head);
            inner.cache.increment(&signals.increments, &by); // before anyone sees the response (L4)
            inner.cache.observe(&signals.observed, &by);
        }
        let verdict = policy::judge(
            &matched.rule.terms,
            head,
            &parts,
            &signals,
            times,
            inner.dialects.targeted(),
        );

        if !parts.headers.contains_key(header::DATE)
            && let Ok(date) = HeaderValue::try_from(times.received.to_string())
        {
            parts.headers.insert(header::DATE, date); // RFC 9110 §6.6.1: when it arrived, for its age later on
        }
        inner.dialects.drop_targeted(&mut parts.headers);
        let upgraded = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        if !upgraded {
            policy::drop_hop_by_hop(&mut parts.headers);
        }
        // Over HTTP/1 no trailers come (design.md §5), but an unsafe exchange goes on to its end all the same.
        let watch = !upgraded && (parts.version == Version::HTTP_2 || !head.is_safe());
        let body = if watch && !body.is_empty() {
            let body = trailers::watched(body, self.clone(), Arc::clone(head));
            match contentless(head, &parts, &body) {
                true => {
                    trailers::drain(body).await; // nobody downstream looks for what follows no content
                    Body::empty()
                }
                false => body,
            }
        } else {
            body
        };
        parts.version = Version::HTTP_11; // the app's own is its connection's (RFC 9110 §6.2)
        let tags = signals.tags.unwrap_or_default(); // a response whose tags are in doubt is not shared
        Ok(Exchange {
            response: Response::from_parts(parts, body),
            tags,
            verdict,
        })
    }
}

/// An error of the app that is nobody's own: everyone who waits would only get it again, one call after another (L9).
fn shared_error(
    reason: NoStore,
    matched: &Matched,
    head: &Head,
    response: &Response<Body>,
) -> bool {
    // These are found after privacy has been looked at.
    let impersonal = matches!(reason, NoStore::NoFreshness | NoStore::AlreadyExpired);
    // The app never saw a cookie that the rule ignores.
    let from_client = match matched.rule.terms.cookies {
        Cookies::Ignore => &[header::AUTHORIZATION][..],
        Cookies::KeyOrPublic => &[header::COOKIE, header::AUTHORIZATION],
    };
    let from_app = [header::SET_COOKIE, header::VARY];
    response.status().is_server_error()
        && impersonal
        && !from_client
            .iter()
            .any(|name| head.headers().contains_key(name))
        && !from_app
            .iter()
            .any(|name| response.headers().contains_key(name))
}

/// More of a path is not remembered, in bytes: clients choose it.
const LONG_PATH: usize = 200;

/// Whether the response has no content, whatever its fields say (RFC 9110 §6.4.1).
fn contentless(head: &Head, parts: &http::response::Parts, body: &Body) -> bool {
    *head.method() == Method::HEAD
        || matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
        || body.exact_len() == Some(0)
}

/// Who asked for a change, as explanations name it.
fn asked_by(head: &Head) -> Arc<str> {
    let path = head.path();
    let shown = path
        .get(..path.floor_char_boundary(LONG_PATH))
        .unwrap_or(path);
    format!("{} {shown}", head.method()).into()
}

fn failure(error: &UpstreamError, head: &Head) -> Failure {
    tracing::warn!(method = %head.method(), path = head.path(), error = %error, "the app gave no answer");
    match error.kind {
        UpstreamErrorKind::Connect | UpstreamErrorKind::Reset => Failure::Unreachable,
        UpstreamErrorKind::ConnectTimeout | UpstreamErrorKind::Timeout => Failure::TimedOut,
        UpstreamErrorKind::Malformed | UpstreamErrorKind::HeadTooLarge => Failure::Malformed,
        UpstreamErrorKind::RequestBody => Failure::RequestCut,
    }
}

/// What nobody can see from outside, and the app's authors want to know.
fn warn_of(signals: &Signals, matched: &Matched) {
    for Ignored { field, text, why } in &signals.ignored {
        tracing::warn!(uri = matched.uri, %field, text, %why, "ignored in the app's response");
    }
    if signals
        .increments
        .iter()
        .any(|increment| increment.again.is_some())
    {
        tracing::warn!(
            uri = matched.uri,
            "`again` is not supported yet: the increment is not repeated"
        );
    }
    if signals.tags == Err(NoStore::TooManyTags) {
        tracing::warn!(
            uri = matched.uri,
            "more tags than the limits allow: the response is not stored"
        );
    }
    for missing in matched
        .increments
        .iter()
        .filter_map(|declared| declared.increments.as_ref().err())
    {
        tracing::warn!(uri = matched.uri, %missing, "an increment of the rule is skipped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_only_the_beginning_is_remembered() {
        for (name, path, expected) in [
            ("short", "/a?x=1".to_owned(), "POST /a".to_owned()),
            (
                "long",
                format!("/{}", "a".repeat(8_000)),
                format!("POST /{}", "a".repeat(199)),
            ),
        ] {
            let request = Request::post(path).header("host", "shop.example");
            let parts = request.body(()).unwrap().into_parts().0;
            let head = Head::new(parts, "http").unwrap();
            assert_eq!(&*asked_by(&head), expected, "{name}");
        }
    }
}
