//! The admin interface (rules.md §7). Here: the listener, and what is told of health and counts.

mod access;
mod bad_input;
mod calls;
mod described;
mod events;

use std::collections::BTreeMap;

use futures_util::stream::FuturesUnordered;
use futures_util::stream::StreamExt;
use serde_json::Value;

use crate::support::Answer;
use crate::support::Ask;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Pending;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;

const OPEN: &str = "admin: { listen: '127.0.0.1:0' }";

/// App, sidecar with an admin interface, and a client of that.
async fn stage(rules: &str) -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config(OPEN).rules(rules);
    let sidecar = setup.start().await;
    let admin = sidecar.admin();
    (app, sidecar, admin)
}

const RULES: &str = "
  - { id: page, match: { path: '/page/*' }, ttl: 60s, tags: [Page] }
  - { id: mine, match: { path: /mine }, ttl: 60s }
";

/// The samples, by name and labels as they are written.
async fn metrics(admin: &Client) -> BTreeMap<String, f64> {
    let answer = admin.get("/metrics").await;
    answer
        .has_status(200)
        .has_field("content-type", "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    samples.map(read).collect()
}

/// A call with this body of JSON.
fn with_json(method: &str, path: &str, body: &Value) -> Ask {
    let ask = ask(method, path).with("content-type", "application/json");
    ask.body(body.to_string())
}

/// What a call answers that is done.
async fn told(admin: &Client, path: &str) -> Value {
    let answer = admin.get(path).await;
    answer.has_status(200);
    json(&answer)
}

/// What comes of a call that is done.
async fn done(admin: &Client, path: &str, body: Value) -> Value {
    let answer = admin.ask(with_json("POST", path, &body)).await;
    answer.has_status(200);
    json(&answer)
}

/// Why a call is not done.
async fn refused(admin: &Client, status: u16, path: &str, body: Value) -> String {
    let answer = admin.ask(with_json("POST", path, &body)).await;
    answer.is_problem(status);
    let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
    problem["detail"].as_str().expect("a text").to_owned()
}

fn json(answer: &Answer) -> serde_json::Value {
    answer.has_field("content-type", "application/json");
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[tokio::test]
async fn it_says_that_it_is_alive_and_fit_to_serve() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    let alive = admin.get("/healthz").await;
    alive.has_status(200).has_body(r#"{"status":"ok"}"#);
    let ready = admin.get("/readyz").await;
    ready
        .has_status(200)
        .has_body(r#"{"status":"ok","reasons":[]}"#)
        .has_field("cache-control", "no-store")
        .has_field("x-content-type-options", "nosniff")
        .has_no_field("access-control-allow-origin");
    json(&ready);
    let head = admin.head("/readyz").await;
    head.has_status(200).has_body("");
}

#[tokio::test]
async fn requests_are_counted_by_rule_and_outcome() {
    let (app, sidecar, admin) = stage(RULES).await;
    app.answer("/page/1", reply("one"));
    app.answer("/mine", reply("mine").header("Set-Cookie", "a=b"));
    app.answer("/other", reply("other").control("max-age=60"));
    let client = sidecar.client();
    client.get("/page/1").await.is_miss();
    client.get("/page/1").await.is_hit();
    client.get("/page/1").await.is_hit();
    sidecar.inc("Page").await;
    client.get("/page/1").await.is_invalidated();
    client.get("/mine").await.is_unstored("set-cookie");
    client.get("/other").await.is_miss();

    let found = metrics(&admin).await;
    for (name, expected) in [
        (
            r#"tagalong_requests_total{rule="page",outcome="miss"}"#,
            1.0,
        ),
        (r#"tagalong_requests_total{rule="page",outcome="hit"}"#, 2.0),
        (
            r#"tagalong_requests_total{rule="page",outcome="invalidated"}"#,
            1.0,
        ),
        (
            r#"tagalong_requests_total{rule="mine",outcome="miss"}"#,
            1.0,
        ),
        (
            r#"tagalong_not_stored_total{rule="mine",reason="set-cookie"}"#,
            1.0,
        ),
        (r#"tagalong_requests_total{rule="",outcome="miss"}"#, 1.0),
        (r#"tagalong_requests_total{rule="",outcome="method"}"#, 1.0),
        // `Page`, and the URI of the POST that said so, which is the key of a GET of that.
        (r#"tagalong_increments_total{source="response"}"#, 2.0),
        (r#"tagalong_store_entries{tier="memory"}"#, 3.0), // what is not stored is remembered, too
        ("tagalong_rules_reload_failed", 0.0),
    ] {
        assert_eq!(found.get(name), Some(&expected), "{name} in {found:#?}");
    }
    assert!(found[r#"tagalong_store_bytes{tier="memory"}"#] > 100.0);
    assert!(found["tagalong_tags"] >= 1.0);
}

#[tokio::test]
async fn a_response_that_was_not_stored_is_counted_once_however_many_wait_for_it() {
    let (app, sidecar, admin) = stage(RULES).await;
    // What was incremented while the app answered (L1).
    let hold = app.hold("/page/2");
    let client = sidecar.client();
    let first = client.begin(get("/page/2")).await;
    let held = hold.arrived().await;
    sidecar.inc("Page").await;
    held.release(reply("old")).await;
    first.answer().await.is_unstored("raced");
    // What was cut.
    let hold = app.hold("/page/3");
    let first = client.begin(get("/page/3")).await;
    let mut held = hold
        .arrived()
        .await
        .begin(reply("beginning").header("Content-Length", "100"))
        .await;
    held.send(b"beginning").await;
    drop(held);
    first.answer().await.is_cut();

    let found = metrics(&admin).await;
    let not_stored: Vec<_> = found
        .iter()
        .filter(|(name, _)| name.starts_with("tagalong_not_stored_total"))
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    assert_eq!(
        not_stored,
        [
            (
                r#"tagalong_not_stored_total{rule="page",reason="raced"}"#,
                1.0
            ),
            (
                r#"tagalong_not_stored_total{rule="page",reason="upstream-failed"}"#,
                1.0
            ),
        ]
    );
}

#[tokio::test]
async fn what_clients_send_makes_no_series() {
    let (app, sidecar, admin) = stage(RULES).await;
    let client = sidecar.client();
    app.answer("/page/1", reply("one"));
    client.get("/page/1").await.is_miss();
    client.ask(ask("BREW", "/page/1")).await;
    let before: Vec<String> = metrics(&admin).await.into_keys().collect();
    for n in 0..50 {
        let path = format!("/page/{n}?q={n}");
        app.answer(&path, reply("x"));
        let asked = get(&path).with("host", &format!("h{n}.example"));
        client
            .ask(asked.with("user-agent", &format!("agent {n}")))
            .await
            .is_miss();
        client
            .ask(ask(&format!("BREW{n}"), &path).with("host", &format!("h{n}.example")))
            .await;
    }
    let after: Vec<String> = metrics(&admin).await.into_keys().collect();
    assert_eq!(before, after);
}

#[tokio::test]
async fn files_that_are_wrong_turn_it_degraded_until_they_are_right() {
    let (app, sidecar, admin) = stage(RULES).await;
    app.answer("/page/1", reply("one"));
    sidecar.client().get("/page/1").await.is_miss();
    sidecar.write("rules/rules.yaml", "rules: [{ id: page, colour: sesame }]");
    let degraded = async || json(&admin.get("/readyz").await)["status"] == "degraded";
    sidecar.until("the mistake to be told", degraded).await;
    let ready = admin.get("/readyz").await;
    ready.has_status(200); // L13
    let reasons = &json(&ready)["reasons"];
    assert_eq!(reasons[0]["code"], "rules-not-reloaded", "{ready}");
    let message = reasons[0]["message"].as_str().expect("a text");
    assert!(message.contains("stay in force"), "{message}");
    assert!(!message.contains("sesame"), "{message}");
    assert_eq!(metrics(&admin).await["tagalong_rules_reload_failed"], 1.0);
    admin.get("/healthz").await.has_status(200);

    let repaired = "rules: [{ id: page, match: { path: '/page/*' }, ttl: 60s }, { id: new }]";
    sidecar.write("rules/rules.yaml", repaired);
    let ok = async || json(&admin.get("/readyz").await)["status"] == "ok";
    sidecar.until("it to be right", ok).await;
    sidecar.client().get("/page/1").await;
    let found = metrics(&admin).await;
    assert_eq!(found["tagalong_rules_reload_failed"], 0.0);
    let misses = found[r#"tagalong_requests_total{rule="page",outcome="miss"}"#];
    assert!(misses >= 1.0, "what stays goes on counting");
    assert!(!found.keys().any(|name| name.contains(r#"rule="mine""#)));
}

#[tokio::test]
async fn it_says_that_it_drains_for_as_long_as_it_does() {
    let (app, sidecar, admin) = stage(RULES).await;
    let hold = app.hold("/page/1");
    let last = sidecar.client().begin(get("/page/1")).await;
    let held = hold.arrived().await;
    let stopped = tokio::spawn(sidecar.shutdown());
    let draining = async { while json(&admin.get("/readyz").await)["status"] != "draining" {} };
    crate::support::soon("it to drain", draining).await;
    admin.get("/readyz").await.has_status(503);
    admin.get("/healthz").await.has_status(200);
    let purge = serde_json::json!({ "all": true });
    let why = refused(&admin, 503, "/v1/purge", purge).await;
    assert_eq!(why, "The sidecar is being stopped.");
    held.release(reply("one")).await;
    last.answer().await.has_body("one");
    crate::support::soon("the end", stopped)
        .await
        .expect("it ends well");
    assert!(admin.try_connect().await.is_err(), "nobody listens");
}

#[tokio::test]
async fn what_cannot_be_called_is_told_as_a_problem() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    admin.get("/index.html").await.is_problem(404);
    admin.get("/healthz/").await.is_problem(404);
    admin.get("/v1/nothing").await.is_problem(404);
    admin.get("/assets/../mod.rs").await.is_problem(404);
    admin.get("/assets/mod.rs").await.is_problem(404);
    let answer = admin.ask(post("/metrics").body("x")).await;
    answer.is_problem(405).has_field("allow", "GET,HEAD");
    admin.get("/v1/purge").await.is_problem(405);
    let preflight = ask("OPTIONS", "/readyz");
    let answer = admin.ask(preflight).await;
    answer
        .is_problem(405)
        .has_no_field("access-control-allow-origin");
}

#[tokio::test]
async fn without_the_section_there_is_none() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    assert_eq!(sidecar.admin_address(), None);
}

#[tokio::test]
async fn one_that_is_taken_says_whose_address_it_is() {
    let app = Origin::start().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let setup = Setup::new(&app).config(&format!("admin: {{ listen: '{address}' }}"));
    let error = setup.fails_to_start().await;
    let expected = format!("cannot listen on {address} for the admin interface");
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_head_that_is_too_long_or_cut_takes_nothing_from_others() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    let mut dribbling = admin.connect().await;
    dribbling.write("GET /readyz HTTP/1.1\r\nHost: local").await;
    let long = get("/readyz").with("x", &"a".repeat(20 << 10));
    admin.ask(long).await.has_status(431);
    let mut many = get("/readyz");
    for n in 0..100 {
        many = many.with(&format!("x-{n}"), "a");
    }
    admin.ask(many).await.has_status(431);
    let mut odd = admin.connect().await;
    odd.write("\x16\x03\x01 what is this\r\n\r\n").await;
    let said = odd.closed().await;
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 400"));
    admin.get("/readyz").await.has_status(200);
}

#[tokio::test]
async fn a_connection_takes_one_call_after_the_other_until_the_sidecar_stops() {
    let (_app, sidecar, admin) = stage(RULES).await;
    let mut connection = admin.connect().await;
    let localhost = |ask: Ask| ask.with("host", "localhost");
    let purge = serde_json::json!({ "tags": ["Page"] });
    for _ in 0..100 {
        for (ask, status) in [
            (get("/v1/stats"), 200),
            (ask("HEAD", "/readyz"), 200),
            (get("/v1/nothing"), 404),
            (with_json("POST", "/v1/purge", &purge), 200),
            (post("/v1/purge").body("a body that nobody reads"), 415),
        ] {
            let answer = connection.ask(localhost(ask)).await;
            answer.has_status(status).has_no_field("connection");
        }
    }
    // Those that come at once are answered one after the other.
    let several = "GET /v1/epoch HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3);
    connection.write(several).await;
    for _ in 0..3 {
        let answer = connection.answer().await;
        answer.has_status(200).has_body(r#"{"epoch":1}"#);
    }
    crate::support::soon("the end", sidecar.shutdown()).await;
    assert_eq!(connection.closed().await, b"");
}

#[tokio::test]
async fn idle_connections_hold_no_place_and_make_room() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut connection = admin.connect().await;
        let call = get("/v1/stats").with("host", "localhost");
        connection.ask(call).await.has_status(200);
        idle.push(connection);
    }
    assert_eq!(
        idle.remove(0).closed().await,
        b"",
        "the one that is idle for longest"
    );
    let mut last = idle.pop().expect("a connection");
    let call = get("/v1/stats").with("host", "localhost");
    last.ask(call).await.has_status(200);
}

#[tokio::test]
async fn two_sidecars_in_one_process_do_not_count_together() {
    // L15.
    let (app, one, admin) = stage(RULES).await;
    let setup = Setup::new(&app).config(OPEN).rules(RULES);
    let other = setup.start().await;
    app.answer("/page/1", reply("one"));
    one.client().get("/page/1").await.is_miss();
    let name = r#"tagalong_requests_total{rule="page",outcome="miss"}"#;
    assert_eq!(metrics(&admin).await.get(name), Some(&1.0));
    assert_eq!(metrics(&other.admin()).await.get(name), None);
}

#[tokio::test]
async fn connections_that_say_nothing_make_room_for_one_that_calls() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    let began = tokio::time::Instant::now();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(admin.connect().await);
    }
    admin.get("/healthz").await.has_status(200);
    // Else each would have been closed when its time for a head was over.
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(silent.remove(0).closed().await, b"", "the oldest");
    let mut last = silent.pop().expect("a connection");
    let probe = get("/healthz").with("host", "localhost");
    last.ask(probe).await.has_status(200);
}

#[tokio::test]
async fn what_was_begun_keeps_its_place_though_its_caller_has_left() {
    const PLACES: usize = 64;
    const LEFT: usize = 8; // as many as are fetched again at once
    const MORE: usize = 100;
    let (app, sidecar, admin) = stage(RULES).await;
    let refresh = |path: &str| {
        let asked = serde_json::json!({ "url": format!("http://shop.example{path}") });
        with_json("POST", "/v1/refresh", &asked)
    };
    let mut under_way = Vec::new();
    for n in 0..LEFT {
        let path = format!("/page/{n}");
        app.answer(&path, reply("old"));
        sidecar.client().get(&path).await.is_miss();
        let hold = app.hold(&path);
        let call = admin.begin(refresh(&path)).await;
        under_way.push(hold.arrived().await);
        call.leave();
    }
    app.answer("/page/more", reply("new"));
    let more = admin.begin_many(MORE, &refresh("/page/more")).await;
    let mut more: FuturesUnordered<_> = more.into_iter().map(Pending::answer).collect();
    for _ in 0..MORE - (PLACES - LEFT) {
        let refused = more.next().await.expect("an answer");
        refused.is_problem(503).has_field("retry-after", "1");
    }
    admin.get("/healthz").await.has_status(200);
    for held in under_way {
        held.release(reply("new")).await;
    }
    while let Some(done) = more.next().await {
        done.has_status(200);
    }
    let room = async { while admin.get("/v1/stats").await.status != 200 {} };
    crate::support::soon("room for a call", room).await;
}
