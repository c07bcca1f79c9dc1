//! One call to one who is told: a POST of JSON, and what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use thiserror::Error;

use crate::body::Body;
use crate::body::Chunk;
use crate::clock::Clock;
use crate::model::hook::HookUrl;
use crate::upstream;
use crate::upstream::Target;
use crate::upstream::Upstream;
use crate::upstream::UpstreamError;

/// How long a call may take, connection and answer.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// The most bytes of an answer that are read, so that its connection serves the next call too. Nobody looks at them.
const MOST_READ: usize = 64 * 1024;

/// Who says that it is calling.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("tagalong/", env!("CARGO_PKG_VERSION")));

/// Calls one URL.
pub(super) struct Caller {
    pub(super) url: HookUrl,
    /// Fields of each call, besides those that every call has.
    headers: HeaderMap,
    /// Made with the first call: its roots of trust may be unreadable.
    upstream: OnceLock<Result<Upstream, String>>,
    clock: Clock,
}

/// Why a call was not taken.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The connection failed, before the answer or in its place.
    #[error("no answer: {}", .0.source)]
    Broken(#[from] UpstreamError),
    /// Nothing came in time.
    #[error("no answer within {LIMIT:?}")]
    Late,
    /// Another status than 2xx. With how long it wants to be left alone.
    #[error("it answered {}", .0.as_u16())]
    Refused(StatusCode, Option<Duration>),
    /// It cannot be called at all.
    #[error("it cannot be called: {0}")]
    Impossible(String),
}

impl Failure {
    /// Whether the same call may be taken later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Failure::Broken(_) | Failure::Late => true,
            Failure::Refused(status, _) => {
                // Keys are renewed and places come back: whoever sees to it finds that nothing is lost.
                let for_now = [401, 403, 404, 408, 429];
                status.is_server_error() || for_now.contains(&status.as_u16())
            }
            Failure::Impossible(_) => false,
        }
    }

    /// How long it wants to be left alone.
    pub(super) fn rest(&self) -> Duration {
        match self {
            Failure::Refused(_, Some(rest)) => *rest,
            Failure::Broken(_)
            | Failure::Late
            | Failure::Refused(_, None)
            | Failure::Impossible(_) => Duration::ZERO,
        }
    }
}

impl Caller {
    pub(super) fn new(url: HookUrl, headers: HeaderMap, clock: Clock) -> Caller {
        Caller {
            url,
            headers,
            upstream: OnceLock::new(),
            clock,
        }
    }

    /// Tells it, once.
    pub(super) async fn post(&self, json: Bytes) -> Result<(), Failure> {
        let mut answered = None;
        let exchange = async {
            let mut response = self.send(json).await?;
            answered = Some((response.status(), retry_after(response.headers())));
            drain(response.body_mut()).await;
            Ok(())
        };
        let ended: Option<Result<(), Failure>> = self.clock.within(LIMIT, exchange).await;
        match (answered, ended) {
            // However its body ends.
            (Some((status, _)), _) if status.is_success() => Ok(()),
            (Some((status, rest)), _) => Err(Failure::Refused(status, rest)),
            (None, Some(Err(failure))) => Err(failure),
            (None, Some(Ok(())) | None) => Err(Failure::Late),
        }
    }

    async fn send(&self, json: Bytes) -> Result<http::Response<Body>, Failure> {
        let impossible = |why: &dyn ToString| Failure::Impossible(why.to_string());
        let upstream = self.upstream.get_or_init(|| self.connect());
        let upstream = upstream.as_ref().map_err(|why| impossible(why))?;
        let mut request = Request::new(Body::from(json));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.target().clone().into();
        let host = HeaderValue::try_from(self.url.authority()).map_err(|why| impossible(&why))?;
        let json = HeaderValue::from_static("application/json");
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, AGENT);
        headers.extend(self.headers.clone());
        headers.insert(header::HOST, host);
        headers.insert(header::CONTENT_TYPE, json);
        let turn = upstream.turn().await?;
        Ok(upstream.send(turn, request).await?)
    }

    fn connect(&self) -> Result<Upstream, String> {
        let target: Target = self
            .url
            .origin()
            .parse()
            .map_err(|error: upstream::NotATarget| error.to_string())?;
        let config = upstream::Config {
            connect_timeout: LIMIT,
            ..upstream::Config::new(target)
        };
        // Pingora answers roots of trust that it cannot read with a panic.
        let clock = self.clock.clone();
        catch_unwind(AssertUnwindSafe(|| Upstream::new(config, clock))).map_err(|_| {
            "no connection can be prepared; the system's roots of trust may be unreadable".into()
        })
    }
}

/// Reads the rest of an answer, or so much of it.
async fn drain(body: &mut Body) {
    let mut read = 0;
    while read < MOST_READ
        && let Some(Ok(chunk)) = body.next().await
    {
        if let Chunk::Data(data) = chunk {
            read += data.len();
        }
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3); a date says nothing here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Caller({})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again() {
        for (status, expected) in [
            (500, true),
            (503, true),
            (599, true),
            (429, true),
            (400, false),
            (401, true),
            (403, true),
            (404, true),
            (410, false),
            (301, false),
            (304, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                Failure::Refused(status, None).may_pass(),
                expected,
                "{status}"
            );
        }
        assert!(Failure::Late.may_pass());
    }

    #[test]
    fn every_url_that_a_hook_may_have_can_be_called() {
        for url in [
            "http://h",
            "https://h:8443/a?b",
            "h2c://[::1]:9/x",
            "http://127.0.0.1:1/",
            "http://H_a.example:80/",
        ] {
            let caller = Caller::new(url.parse().unwrap(), HeaderMap::new(), Clock::System);
            assert!(caller.connect().is_ok(), "{url}");
        }
    }
}
