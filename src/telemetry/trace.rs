//! Traces (OpenTelemetry, W3C Trace Context): what a request's time went into, here and in the app.
//!
//! Where nobody collects them nothing is made and nothing is read, and what clients send of them passes through untouched. A
//! trace that a client has begun is continued, and whether it is recorded is what the client says of it. Nothing waits for
//! whoever collects spans: what that one cannot take is dropped.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::Span as _;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span as Recorded};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::model::hook::HookUrl;
use crate::model::outcome::Outcome;
use crate::model::request::Head;
use crate::telemetry::otlp;

/// Where traces go, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where a collector takes spans: OTLP over HTTP, as protobuf.
    pub endpoint: HookUrl,
    /// Fields of each call. Those that are secret are marked as sensitive.
    pub headers: HeaderMap,
    /// The share of the traces begun here that are recorded, from 0 to 1.
    pub sample: f64,
    /// What the spans say they come from.
    pub service_name: String,
}

/// Who makes spans. Clones are the same. The default makes none.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Tracing>>);

#[derive(Debug)]
struct Tracing {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
    clock: Clock,
}

/// A place in a trace, at which further spans begin. The default is in none.
#[derive(Clone, Debug, Default)]
pub struct Place(Option<(Arc<Tracing>, SpanContext)>);

/// A span under way; dropped, it has ended. The default is none at all.
#[derive(Debug, Default)]
pub struct Span(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    tracing: Arc<Tracing>,
    recorded: Recorded,
    kind: SpanKind,
}

/// What is done for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Which rule it falls under, and what its key is.
    Plan,
    /// What is stored for it.
    Lookup,
    /// The app is asked, until its head is there.
    Exchange,
    /// The app's body is received, for clients and for the store.
    Store,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Plan => "plan",
            Step::Lookup => "lookup",
            Step::Exchange => "exchange",
            Step::Store => "store",
        }
    }

    fn kind(self) -> SpanKind {
        match self {
            Step::Exchange => SpanKind::Client,
            Step::Plan | Step::Lookup | Step::Store => SpanKind::Internal,
        }
    }
}

/// What made the spans, as they say it.
const SCOPE: &str = "tagalong";

const TRACESTATE: &str = "tracestate";

/// Of a longer path or user agent only the beginning is told, in bytes: clients choose them.
const LONG: usize = 1_024;

impl Traces {
    /// Spans are sent to the collector that `config` names, in the background. Needs a runtime.
    pub fn start(config: Config, clock: &Clock, metrics: &Metrics) -> Traces {
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample)));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler);
        let exporter = match otlp::exporter(config, clock, metrics) {
            Ok(exporter) => exporter,
            Err(error) => {
                tracing::error!(%error, "there are no traces: they cannot be sent");
                return Traces::default();
            }
        };
        let provider = provider.with_batch_exporter(exporter).build();
        Traces(Some(Arc::new(Tracing {
            tracer: provider.tracer(SCOPE),
            provider,
            propagator: TraceContextPropagator::new(),
            clock: clock.clone(),
        })))
    }

    /// Whether there are any.
    pub fn are_made(&self) -> bool {
        self.0.is_some()
    }

    /// The span of a request, in the trace that it says it belongs to, or in one of its own.
    pub fn request(&self, head: &Head, peer: Option<IpAddr>) -> Span {
        let Some(tracing) = &self.0 else {
            return Span::default();
        };
        let fields = HeaderExtractor(head.headers());
        let parent = tracing
            .propagator
            .extract_with_context(&Context::new(), &fields);
        let mut span = tracing.open(method(head.method()), SpanKind::Server, &parent);
        span.tell(|| of_request(head, peer));
        span
    }

    /// Sends what has not been sent, for as long as `limit`; from then on there are no spans.
    pub async fn finish(&self, limit: Duration) {
        let Some(tracing) = self.0.clone() else {
            return;
        };
        let ended =
            tokio::task::spawn_blocking(move || tracing.provider.shutdown_with_timeout(limit));
        match ended.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "some spans may be lost"),
            Err(error) => tracing::error!(%error, "the traces ended badly"),
        }
    }
}

impl Tracing {
    fn open(self: &Arc<Self>, name: &'static str, kind: SpanKind, parent: &Context) -> Span {
        let builder = SpanBuilder::from_name(name)
            .with_kind(kind.clone())
            .with_start_time(SystemTime::from(self.clock.now()));
        Span(Some(Box::new(Open {
            recorded: self.tracer.build_with_context(builder, parent),
            tracing: Arc::clone(self),
            kind,
        })))
    }
}

impl Place {
    /// A span that begins here.
    pub fn span(&self, step: Step) -> Span {
        let Some((tracing, context)) = &self.0 else {
            return Span::default();
        };
        let parent = Context::new().with_remote_span_context(context.clone());
        tracing.open(step.name(), step.kind(), &parent)
    }
}

impl Span {
    /// Where its own spans begin.
    pub fn place(&self) -> Place {
        let open = self.0.as_ref();
        let place = open.map(|it| {
            let context = it.recorded.span_context().clone();
            (Arc::clone(&it.tracing), context)
        });
        Place(place)
    }

    /// Lets whoever gets these fields continue the trace.
    pub fn pass_on(&self, headers: &mut HeaderMap) {
        let Some(open) = &self.0 else { return };
        let context = open.recorded.span_context().clone();
        let context = Context::new().with_remote_span_context(context);
        let propagator = &open.tracing.propagator;
        propagator.inject_context(&context, &mut HeaderInjector(headers));
        if headers.get(TRACESTATE).is_some_and(HeaderValue::is_empty) {
            headers.remove(TRACESTATE);
        }
    }

    /// The name of its trace, if it is recorded.
    pub fn trace_id(&self) -> Option<impl std::fmt::Display + use<>> {
        let context = self.0.as_ref()?.recorded.span_context();
        context.is_sampled().then(|| context.trace_id())
    }

    /// What is asked for of the app.
    pub fn asks(&mut self, head: &Head) {
        self.tell(|| {
            vec![
                KeyValue::new("http.request.method", method(head.method())),
                KeyValue::new("server.address", head.host.to_string()),
                KeyValue::new("url.path", short(head.path())),
            ]
        });
    }

    /// The status of the answer.
    pub fn answered(&mut self, status: StatusCode) {
        let Some(open) = &mut self.0 else { return };
        let code = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
        open.recorded.set_attribute(code);
        let is_the_askers = status.is_client_error() && open.kind == SpanKind::Client;
        let is_error = is_the_askers || status.is_server_error();
        if is_error {
            let kind = KeyValue::new("error.type", status.as_u16().to_string());
            open.recorded.set_attribute(kind);
            open.recorded.set_status(Status::error(""));
        }
    }

    /// There was no answer, for this reason.
    pub fn failed(&mut self, kind: &'static str) {
        let Some(open) = &mut self.0 else { return };
        open.recorded
            .set_attribute(KeyValue::new("error.type", kind));
        open.recorded.set_status(Status::error(kind));
    }

    /// What became of the request, by the rule with this id.
    pub fn became(&mut self, rule: &str, outcome: Outcome) {
        self.tell(|| {
            let detail = outcome
                .detail()
                .map(|it| KeyValue::new("tagalong.detail", it));
            let told = [
                KeyValue::new("tagalong.rule", rule.to_owned()),
                KeyValue::new("tagalong.outcome", outcome.word()),
            ];
            told.into_iter().chain(detail).collect()
        });
    }

    fn tell(&mut self, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(open) = &mut self.0
            && open.recorded.is_recording()
        {
            open.recorded.set_attributes(attributes());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let now = SystemTime::from(self.tracing.clock.now());
        self.recorded.end_with_timestamp(now);
    }
}

/// As the semantic conventions for HTTP name it. The query is left out: it may hold what is nobody's business.
fn of_request(head: &Head, peer: Option<IpAddr>) -> Vec<KeyValue> {
    let text = |name: &'static str, value: &str| KeyValue::new(name, short(value));
    let mut all = vec![
        KeyValue::new("http.request.method", method(head.method())),
        KeyValue::new("url.scheme", head.scheme),
        text("server.address", &head.host),
        text("url.path", head.path()),
    ];
    let version = match head.parts.version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    };
    all.extend(version.map(|it| KeyValue::new("network.protocol.version", it)));
    all.extend(peer.map(|it| KeyValue::new("client.address", it.to_string())));
    let agent = head.headers().get(http::header::USER_AGENT);
    let agent = agent.and_then(|it| it.to_str().ok());
    all.extend(agent.map(|it| text("user_agent.original", it)));
    all
}

/// A closed set, as the semantic conventions want it.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("_OTHER")
}

fn short(text: &str) -> Value {
    let end = text.floor_char_boundary(LONG);
    text.get(..end).unwrap_or(text).to_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_collects_them_there_are_none_and_nothing_is_touched() {
        let request = http::Request::get("/a").header("host", "shop.example");
        let request = request.header("traceparent", "whatever");
        let parts = request.body(()).unwrap().into_parts().0;
        let head = Head::new(parts, "http").unwrap();
        let traces = Traces::default();
        let mut span = traces.request(&head, None);
        span.answered(StatusCode::OK);
        assert!(span.trace_id().is_none());
        let inner = span.place().span(Step::Exchange);
        let mut headers = head.headers().clone();
        inner.pass_on(&mut headers);
        assert_eq!(headers, *head.headers());
    }

    #[test]
    fn methods_are_a_closed_set() {
        for (name, expected) in [("GET", "GET"), ("PATCH", "PATCH"), ("BREW", "_OTHER")] {
            let asked = Method::from_bytes(name.as_bytes()).unwrap();
            assert_eq!(method(&asked), expected);
        }
    }
}
