//! Traces: what a collector gets, what the app gets, and that nobody waits for either.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

use crate::support::Call;
use crate::support::Client;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::post;
use crate::support::reply;

const RULES: &str = "
  - { id: page, match: { path: '/page/*' }, ttl: 60s, tags: [Page] }
";

/// What a client says of the trace that its request belongs to.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// An app, who collects traces, and a sidecar between them with these further fields of `telemetry`.
async fn stage(fields: &str) -> (Origin, Origin, Sidecar) {
    let (app, collector) = (Origin::start().await, Origin::start().await);
    collector.answer("/v1/traces", reply(""));
    let url = collector.url();
    let setup = Setup::new(&app)
        .rules(RULES)
        .file("token", "Bearer sesame")
        .config(&format!("telemetry: {{ otlp_endpoint: '{url}'{fields} }}"));
    let sidecar = setup.start().await;
    let clock = sidecar.clock.clone();
    app.otherwise(move |_| {
        clock.advance(Duration::from_millis(20));
        reply("page")
    });
    (app, collector, sidecar)
}

/// The spans that the collector has got, in the order in which they began and then ended.
fn collected(collector: &Origin) -> Vec<Span> {
    let calls = collector.seen("/v1/traces");
    let mut all: Vec<Span> = calls.iter().flat_map(spans).collect();
    all.sort_by_key(|span| (span.start_time_unix_nano, span.end_time_unix_nano));
    all
}

fn spans(call: &Call) -> Vec<Span> {
    assert_eq!(
        call.field("content-type").as_deref(),
        Some("application/x-protobuf")
    );
    let request = ExportTraceServiceRequest::decode(&*call.body).expect("OTLP");
    let mut all = Vec::new();
    for resource in request.resource_spans {
        let of = resource.resource.expect("a resource").attributes;
        let name = of.iter().find(|it| it.key == "service.name");
        let name = name.and_then(|it| it.value.as_ref()?.value.clone());
        assert_eq!(name, Some(Value::StringValue("shop-cache".to_owned())));
        all.extend(resource.scope_spans.into_iter().flat_map(|it| it.spans));
    }
    all
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| {
        if let Value::StringValue(text) = value {
            text.clone()
        } else if let Value::IntValue(n) = value {
            n.to_string()
        } else {
            format!("{value:?}")
        }
    };
    let each = span.attributes.iter();
    each.filter_map(|it| Some((&*it.key, text(it.value.as_ref()?.value.as_ref()?))))
        .collect()
}

/// The one with this name and this one around it.
fn inside<'a>(spans: &'a [Span], outer: &Span, name: &str) -> &'a Span {
    let found: Vec<&Span> = spans
        .iter()
        .filter(|span| span.name == name && span.parent_span_id == outer.span_id)
        .collect();
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}

async fn traced(client: &Client, path: &str, flags: &str) {
    let asked = get(path)
        .with("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
        .with("tracestate", "shop=1,other=2")
        .with("user-agent", "a test");
    client.ask(asked).await.has_status(200);
}

const NAMED: &str = ", service_name: shop-cache";

#[tokio::test]
async fn a_request_is_a_span_of_its_clients_trace_with_one_for_each_step() {
    let (app, collector, sidecar) = stage(NAMED).await;
    let client = sidecar.client();
    traced(&client, "/page/1?secret=sesame", "01").await;
    traced(&client, "/page/1?secret=sesame", "01").await;
    let call = app.last("/page/1");
    sidecar.shutdown().await;

    let all = collected(&collector);
    assert!(all.iter().all(|span| hex(&span.trace_id) == TRACE));
    let requests: Vec<&Span> = all.iter().filter(|span| span.name == "GET").collect();
    let [miss, hit] = requests[..] else {
        panic!("two requests in {all:#?}");
    };
    for span in [miss, hit] {
        assert_eq!(hex(&span.parent_span_id), PARENT);
        assert_eq!(span.kind(), SpanKind::Server);
        let told = attributes(span);
        for (name, expected) in [
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("network.protocol.version", "1.1"),
            ("server.address", "shop.example"),
            ("tagalong.rule", "page"),
            ("url.path", "/page/1"),
            ("url.scheme", "http"),
            ("user_agent.original", "a test"),
            ("client.address", "127.0.0.1"),
        ] {
            assert_eq!(told.get(name).map(String::as_str), Some(expected), "{name}");
        }
        assert!(!format!("{told:?}").contains("sesame"), "{told:?}");
        for step in ["plan", "lookup"] {
            assert_eq!(inside(&all, span, step).kind(), SpanKind::Internal);
        }
    }
    assert_eq!(attributes(miss)["tagalong.outcome"], "miss");
    assert_eq!(attributes(hit)["tagalong.outcome"], "hit");
    let exchange = inside(&all, miss, "exchange");
    assert_eq!(exchange.kind(), SpanKind::Client);
    assert_eq!(attributes(exchange)["http.response.status_code"], "200");
    let took = exchange.end_time_unix_nano - exchange.start_time_unix_nano;
    assert_eq!(took, 20_000_000);
    inside(&all, miss, "store");
    assert_eq!(
        all.len(),
        8,
        "a hit asks nobody and stores nothing: {all:#?}"
    );

    let expected = format!("00-{TRACE}-{}-01", hex(&exchange.span_id));
    assert_eq!(call.field("traceparent").as_deref(), Some(&*expected));
    assert_eq!(call.field("tracestate").as_deref(), Some("shop=1,other=2"));
}

#[tokio::test]
async fn one_without_a_trace_begins_its_own_and_the_app_continues_it() {
    let (app, collector, sidecar) = stage(NAMED).await;
    let client = sidecar.client();
    client.ask(post("/write")).await.has_status(200);
    let call = app.last("/write");
    app.answer("/write", reply("").status(503));
    client.ask(post("/write")).await.has_status(503);
    sidecar.shutdown().await;
    let all = collected(&collector);
    let requests: Vec<&Span> = all.iter().filter(|span| span.name == "POST").collect();
    let [done, failed] = requests[..] else {
        panic!("two requests in {all:#?}");
    };
    assert!(done.parent_span_id.is_empty());
    assert_ne!(done.trace_id, failed.trace_id);
    let exchange = inside(&all, done, "exchange");
    let expected = format!("00-{}-{}-01", hex(&done.trace_id), hex(&exchange.span_id));
    assert_eq!(call.field("traceparent").as_deref(), Some(&*expected));
    assert_eq!(call.field("tracestate"), None);
    for span in [failed, inside(&all, failed, "exchange")] {
        assert_eq!(attributes(span)["error.type"], "503");
        assert_eq!(span.status.as_ref().map(|it| it.code), Some(2));
    }
}

#[tokio::test]
async fn what_its_client_does_not_record_is_not_recorded_here_and_still_continued() {
    let (app, collector, sidecar) = stage(NAMED).await;
    traced(&sidecar.client(), "/page/1", "00").await;
    let call = app.last("/page/1");
    sidecar.shutdown().await;
    assert_eq!(collector.calls("/v1/traces"), 0);
    let passed_on = call.field("traceparent").expect("it is continued");
    assert!(
        passed_on.starts_with(&format!("00-{TRACE}-")),
        "{passed_on}"
    );
    assert!(passed_on.ends_with("-00"), "{passed_on}");
    assert!(!passed_on.contains(PARENT), "{passed_on}");
}

#[tokio::test]
async fn of_traces_that_begin_here_a_share_is_recorded() {
    let (app, collector, sidecar) = stage(", service_name: shop-cache, sample: 0").await;
    let client = sidecar.client();
    client.get("/page/1").await.is_miss();
    let passed_on = app.last("/page/1").field("traceparent");
    assert!(passed_on.is_some_and(|it| it.ends_with("-00")));
    traced(&client, "/page/2", "01").await; // another decided
    sidecar.shutdown().await;
    let all = collected(&collector);
    assert!(!all.is_empty() && all.iter().all(|span| hex(&span.trace_id) == TRACE));
}

#[tokio::test]
async fn where_nobody_collects_them_what_clients_say_of_traces_passes_through() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app).rules(RULES).start().await;
    app.answer("/page/1", reply("page"));
    traced(&sidecar.client(), "/page/1", "01").await;
    let call = app.last("/page/1");
    let expected = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(call.field("traceparent").as_deref(), Some(&*expected));
    assert_eq!(call.field("tracestate").as_deref(), Some("shop=1,other=2"));
}

#[tokio::test]
async fn the_collector_is_called_with_the_headers_that_it_wants() {
    let (_app, collector, sidecar) =
        stage(", service_name: shop-cache, header_file: { Authorization: token }").await;
    sidecar.client().get("/page/1").await.is_miss();
    sidecar.shutdown().await;
    let call = collector.last("/v1/traces");
    assert_eq!(
        call.field("authorization").as_deref(),
        Some("Bearer sesame")
    );
    assert_eq!(call.method, "POST");
}

#[tokio::test]
async fn a_collector_that_is_away_is_missed_by_nobody_and_told_once() {
    let log = Log::default();
    let _written = log.written();
    let (_app, collector, sidecar) = stage(NAMED).await;
    collector.close().await;
    let client = sidecar.client();
    // Some batches full, and more than the queue holds.
    for n in 0..600 {
        let page = n % 10;
        traced(&client, &format!("/page/{page}"), "01").await;
    }
    sidecar.shutdown().await;
    let text = log.text();
    let told = text
        .matches("spans cannot be sent, and are dropped")
        .count();
    assert_eq!(told, 1, "{text}");
    let line = text.lines().find(|line| line.contains("spans cannot"));
    let line = line.expect("it is told");
    assert!(line.contains("no answer: "), "{line}");
    assert!(!line.contains("the app"), "{line}"); // which is well
}
