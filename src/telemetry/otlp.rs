//! How spans get to the collector: OTLP over HTTP by the OpenTelemetry project's exporter, over the same connections as
//! everything that leaves this process.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use tokio::runtime::Handle;

use crate::body::Body;
use crate::body::Chunk;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::metrics::Sent;
use crate::model::hook::HookUrl;
use crate::telemetry::trace::Config;
use crate::upstream;
use crate::upstream::Target;
use crate::upstream::Upstream;
use crate::upstream::UpstreamError;

/// How long a call may take, connection and answer.
const LIMIT: Duration = Duration::from_secs(5);

/// A collector says little.
const MOST_READ: usize = 64 * 1024;

/// Sends spans to the collector that `config` names. The exporter has a thread of its own; its calls run on this runtime.
pub(super) fn exporter(
    config: Config,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<SpanExporter, String> {
    let endpoint = config.endpoint.to_string();
    let upstream = connect(&config.endpoint, clock)?;
    let line = Line {
        upstream,
        url: config.endpoint,
        headers: config.headers,
        clock: clock.clone(),
        metrics: metrics.clone(),
        fails: Mutex::new(false),
    };
    let carrier = Carrier {
        line: Arc::new(line),
        runtime: Handle::current(),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(carrier)
        .with_endpoint(endpoint)
        .with_timeout(LIMIT);
    exporter.build().map_err(|error| error.to_string())
}

fn connect(url: &HookUrl, clock: &Clock) -> Result<Upstream, String> {
    let target: Target = url
        .origin()
        .parse()
        .map_err(|error: upstream::NotATarget| error.to_string())?;
    let config = upstream::Config {
        connect_timeout: LIMIT,
        ..upstream::Config::new(target)
    };
    // Pingora answers roots of trust that it cannot read with a panic.
    catch_unwind(AssertUnwindSafe(|| Upstream::new(config, clock.clone()))).map_err(|_| {
        "no connection can be prepared; the system's roots of trust may be unreadable".to_owned()
    })
}

/// Carries the exporter's calls to the collector.
#[derive(Debug)]
struct Carrier {
    line: Arc<Line>,
    runtime: Handle,
}

/// The way to the collector; says when it is not there.
struct Line {
    upstream: Upstream,
    url: HookUrl,
    headers: HeaderMap,
    clock: Clock,
    metrics: Metrics,
    /// Whether the last call failed: that is said once, when it begins and when it is over.
    fails: Mutex<bool>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.url)
    }
}

#[async_trait]
impl HttpClient for Carrier {
    /// The thread that asks has no runtime.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let line = Arc::clone(&self.line);
        let call = async move { line.call(request).await };
        let answer = self.runtime.spawn(call).await;
        answer.unwrap_or_else(|ended| Err(ended.into()))
    }
}

impl Line {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = self.addressed(request)?;
        let answer = self.clock.within(LIMIT, call(&self.upstream, request));
        let late = || Err(format!("no answer within {LIMIT:?}").into());
        let answer = answer.await.unwrap_or_else(late);
        self.note(&answer);
        answer
    }

    fn addressed(&self, request: Request<Bytes>) -> Result<Request<Body>, HttpError> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.url.target().clone().into();
        parts.headers.extend(self.headers.clone());
        let host = HeaderValue::try_from(self.url.authority())?;
        parts.headers.insert(header::HOST, host);
        Ok(Request::from_parts(parts, Body::from(body)))
    }

    fn note(&self, answer: &Result<Response<Bytes>, HttpError>) {
        let failure = match answer {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status().as_u16())),
            Err(error) => Some(error.to_string()),
        };
        let sent = match &failure {
            None => Sent::Done,
            Some(_) => Sent::Failed,
        };
        self.metrics.trace_exports.add(sent);
        let mut fails = self.fails.lock().unwrap_or_else(PoisonError::into_inner);
        match (*fails, failure) {
            (false, Some(why)) => {
                *fails = true;
                tracing::warn!(collector = %self.url, why, "spans cannot be sent, and are dropped");
            }
            (true, None) => {
                *fails = false;
                tracing::info!(collector = %self.url, "spans are sent again");
            }
            (false, None) | (true, Some(_)) => {}
        }
    }
}

/// What went wrong on the way; the kind of it speaks of the app, and a collector is none.
fn no_answer(error: UpstreamError) -> HttpError {
    format!("no answer: {}", error.source).into()
}

async fn call(upstream: &Upstream, request: Request<Body>) -> Result<Response<Bytes>, HttpError> {
    let turn = upstream.turn().await.map_err(no_answer)?;
    let answer = upstream.send(turn, request).await.map_err(no_answer)?;
    let (parts, mut body) = answer.into_parts();
    let mut read = BytesMut::new();
    while let Some(chunk) = body.next().await {
        if let Chunk::Data(data) = chunk.map_err(|_| "its answer was cut short")? {
            read.extend_from_slice(&data);
        }
        if read.len() > MOST_READ {
            return Err("the answer is too long".into());
        }
    }
    Ok(Response::from_parts(parts, read.freeze()))
}
