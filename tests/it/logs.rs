//! The log as those who collect it read it: what a process of its own writes to standard error, and what is told seldom.

use std::time::Duration;

use serde_json::Value;

use crate::support::Log;
use crate::support::Origin;
use crate::support::Process;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;

const RULES: &str = "
  - { id: page, match: { path: '/page/*' }, ttl: 60s }
";

/// A sidecar that logs like this, in front of an app.
async fn stage(log: &str) -> (Origin, Process, Setup) {
    let app = Origin::start().await;
    app.otherwise(|_| reply("page"));
    let setup = Setup::new(&app).rules(RULES).config(log);
    let (config, _) = setup.write();
    let config = config.display().to_string();
    let process = Process::start(&["--config", &config]);
    (app, process, setup)
}

/// The next line of the access log.
async fn line(process: &mut Process, host: &str) -> Value {
    let line = process.says(host).await;
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn as_json_each_request_is_an_object_on_a_line() {
    let (_app, mut process, _files) = stage("log: { format: json, access: true }").await;
    let client = process.client().await;
    for (host, outcome, detail) in [
        ("first.example", "miss", Value::Null),
        ("second.example", "miss", Value::Null),
        ("second.example", "hit", Value::Null),
    ] {
        let asked = get("/page/1?secret=sesame").with("host", host);
        client.ask(asked).await.has_status(200);
        let said = line(&mut process, host).await;
        assert_eq!(said["message"], "request");
        assert_eq!(said["level"], "INFO");
        assert_eq!(said["method"], "GET");
        assert_eq!(said["host"], host);
        assert_eq!(said["path"], "/page/1");
        assert_eq!(said["status"], 200);
        assert_eq!(said["rule"], "page");
        assert_eq!(said["outcome"], outcome);
        assert_eq!(said["detail"], detail);
        let took = said["duration_seconds"].as_f64().expect("a number");
        assert!((0.0..60.0).contains(&took), "{took}");
        assert_eq!(said.get("trace_id"), None);
        assert!(!said.to_string().contains("sesame"), "{said}");
    }
    let asked = get("/other").with("host", "third.example");
    client.ask(asked).await.has_status(200);
    let said = line(&mut process, "third.example").await;
    assert_eq!(said["rule"], "");
    assert_eq!(said["detail"], "no-freshness");
}

#[tokio::test]
async fn what_clients_send_forges_no_line_and_no_field() {
    let nasty = "/page/%0A\u{22},\u{22}status\u{22}:500,\u{22}x\u{22}:\u{22}";
    for format in ["json", "text"] {
        let log = format!("log: {{ format: {format}, access: true }}");
        let (_app, mut process, _files) = stage(&log).await;
        let client = process.client().await;
        let asked = get(nasty).with("host", "nasty.example");
        client.ask(asked).await.has_status(200);
        let said = process.says("nasty.example").await;
        if format == "json" {
            let said: Value = serde_json::from_str(&said).expect("JSON");
            assert_eq!(said["status"], 200);
            assert_eq!(said["path"], nasty);
        } else {
            assert!(said.contains(&format!("path={nasty:?}")), "{said}");
            assert!(said.contains(" status=200 "), "{said}");
        }
    }
}

#[tokio::test]
async fn what_is_said_of_a_response_leaves_the_query_of_its_request_out() {
    let (app, mut process, _files) = stage("log: { format: text }").await;
    app.otherwise(|_| reply("page").header("Cache-Tag", "a\"b"));
    let client = process.client().await;
    client.get("/page/1?token=sesame").await.has_status(200);
    let said = process.says("ignored in the app's response").await;
    assert!(said.contains("/page/1\""), "{said}");
    assert!(!said.contains("sesame"), "{said}");
}

#[tokio::test]
async fn of_many_failures_a_line_says_how_many_were_not_logged_and_nothing_where_there_were_none() {
    let log = Log::default();
    let _written = log.written();
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.close().await;
    let client = sidecar.client();
    for seconds in [0, 0, 0, 2] {
        sidecar.clock.advance(Duration::from_secs(seconds));
        client.get("/page/1").await.is_problem(502);
    }
    let text = log.text();
    let told = text
        .lines()
        .filter(|line| line.contains("The app could not be reached."));
    let told: Vec<bool> = told.map(|line| line.contains("not_logged")).collect();
    assert_eq!(told, [false, true], "{text}");
    assert!(text.contains("not_logged=2"), "{text}");
}

#[tokio::test]
async fn what_an_app_says_wrong_on_every_page_is_told_once_in_a_second_for_each_field_and_reason() {
    let log = Log::default();
    let _written = log.written();
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    // Two of a kind, and another kind in the same field.
    app.otherwise(|_| reply("page").header("Cache-Tag", "a b, c d, ~all"));
    let other = reply("page").header("Surrogate-Key", "~all");
    app.answer("/other", other);
    let mut pages = 0;
    for seconds in [0, 0, 0, 2] {
        sidecar.clock.advance(Duration::from_secs(seconds));
        pages += 1;
        client.get(&format!("/page/{pages}")).await.has_status(200);
    }
    client.get("/other").await.has_status(200);
    let text = log.text();
    let told = text
        .lines()
        .filter(|line| line.contains("ignored in the app's response"));
    let told: Vec<_> = told
        .map(|line| {
            (
                line.contains("surrogate-key"),
                line.contains("~all"),
                line.contains("not_logged=2"),
            )
        })
        .collect();
    let first = [
        (false, false, false),
        (false, false, false),
        (false, true, false),
    ];
    let later = [
        (false, false, true),
        (false, false, false),
        (false, true, true),
    ];
    let expected = [&first[..], &later, &[(true, true, false)]].concat();
    assert_eq!(told, expected, "{text}");
}

#[tokio::test]
async fn a_request_that_is_traced_says_in_which_trace() {
    let collector = Origin::start().await;
    let log = format!(
        "log: {{ format: json, access: true }}\ntelemetry: {{ otlp_endpoint: '{}' }}",
        collector.url()
    );
    let (_app, mut process, _files) = stage(&log).await;
    let client = process.client().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let asked = get("/page/1").with("host", "traced.example");
    let asked = asked.with("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    client.ask(asked).await.has_status(200);
    let said = line(&mut process, "traced.example").await;
    assert_eq!(said["trace_id"], trace);
}

#[tokio::test]
async fn where_the_log_cannot_be_written_requests_are_answered_all_the_same() {
    let app = Origin::start().await;
    app.otherwise(|_| reply("page"));
    let setup = Setup::new(&app)
        .rules(RULES)
        .config("log: { access: true }");
    let (config, _) = setup.write();
    let config = config.display().to_string();
    let full = std::fs::File::create("/dev/full").expect("Linux has it");
    let mut process = Process::with_log(&["--config", &config], full.into());
    let client = process.client().await;
    for _ in 0..3 {
        client.ask(get("/page/1")).await.has_status(200);
    }
    assert_eq!(process.child.try_wait().expect("it can be asked"), None);
}
