//! `mode`: rules that only look on, or not even that.

use crate::support::Answer;
use crate::support::Reply;
use crate::support::ask;
use crate::support::get;
use crate::support::not_modified;
use crate::support::reply;
use crate::support::stage;

const SHADOW: &str = "  - { id: k, match: { path: '/k.*' }, ttl: 60s, mode: shadow }\n";

/// What shadow mode found out.
#[track_caller]
fn found<'a>(answer: &'a Answer, word: &str) -> &'a Answer {
    answer.is_bypass(Some(word)).is_not_stored()
}

#[tokio::test]
async fn the_app_answers_every_request_and_what_is_stored_is_compared() {
    // S8.
    let (app, _sidecar, client) = stage(SHADOW).await;
    app.answer("/k", reply("a"));
    found(&client.get("/k").await, "shadow-miss").has_body("a");
    found(&client.get("/k").await, "shadow-hit").has_body("a");
    app.answer("/k", reply("b"));
    found(&client.get("/k").await, "shadow-differs").has_body("b");
    found(&client.get("/k").await, "shadow-hit").has_body("b");
    assert_eq!(app.calls("/k"), 4);
}

#[tokio::test]
async fn status_body_and_some_headers_are_compared() {
    let (app, _sidecar, client) = stage(SHADOW).await;
    let html = |body: &str| reply(body).header("Content-Type", "text/html");
    let not_found = || html("a").status(404);
    for (name, stored, now, word) in [
        ("the same", html("a"), html("a"), "shadow-hit"),
        ("empty", html(""), html(""), "shadow-hit"),
        ("chunked", html("a"), html("a").chunked(), "shadow-hit"),
        ("status", html("a"), not_found(), "shadow-differs"),
        ("type", html("a"), reply("a"), "shadow-differs"),
        (
            "other header",
            html("a"),
            html("a").header("X-Id", "7"),
            "shadow-hit",
        ),
        ("body", html("a"), html("b"), "shadow-differs"),
        ("longer", html("a"), html("ab").chunked(), "shadow-differs"),
        ("shorter", html("ab"), html("a").chunked(), "shadow-differs"),
        ("empty now", html("a"), html(""), "shadow-differs"),
    ] {
        let path = format!("/k/{}", name.replace(' ', "-"));
        let body = now.body.clone();
        app.answer(&path, stored);
        found(&client.get(&path).await, "shadow-miss");
        app.answer(&path, now);
        let answer = client.get(&path).await;
        assert_eq!(answer.detail(), word, "{name}");
        answer.has_body(body);
    }
}

#[tokio::test]
async fn a_rule_chooses_the_headers_that_are_compared() {
    let rules =
        "  - { id: k, match: { path: /k }, ttl: 60s, mode: { shadow: { headers: [X-Total] } } }\n";
    let (app, _sidecar, client) = stage(rules).await;
    let answer = |total: &str, kind: &str| {
        let answer = reply("a").header("X-Total", total);
        answer.header("Content-Type", kind)
    };
    app.answer("/k", answer("1", "text/html"));
    found(&client.get("/k").await, "shadow-miss");
    app.answer("/k", answer("1", "text/plain"));
    found(&client.get("/k").await, "shadow-hit");
    app.answer("/k", answer("2", "text/html"));
    found(&client.get("/k").await, "shadow-differs");
}

#[tokio::test]
async fn what_is_the_same_keeps_its_age_so_that_it_expires_as_it_would() {
    let (app, sidecar, client) = stage(SHADOW).await;
    app.answer("/k", reply("a"));
    found(&client.get("/k").await, "shadow-miss");
    sidecar.wait(40);
    found(&client.get("/k").await, "shadow-hit");
    sidecar.wait(20);
    found(&client.get("/k").await, "shadow-miss");
    found(&client.get("/k").await, "shadow-hit");
}

#[tokio::test]
async fn increments_invalidate_and_a_forgotten_one_shows() {
    let rules = "  - { id: k, match: { path: /k }, ttl: 60s, mode: shadow, tags: [K] }\n";
    let (app, sidecar, client) = stage(rules).await;
    app.answer("/k", reply("a"));
    found(&client.get("/k").await, "shadow-miss");
    app.answer("/k", reply("b"));
    sidecar.inc("K").await;
    found(&client.get("/k").await, "shadow-miss").has_body("b");
    app.answer("/k", reply("c")); // and nothing is incremented
    found(&client.get("/k").await, "shadow-differs").has_body("c");
}

#[tokio::test]
async fn increments_in_an_answer_count_once() {
    let rules = "
  - { id: k, match: { path: /k }, ttl: 60s, mode: shadow }
  - { id: page, match: { path: /page }, ttl: 60s, tags: [P] }
";
    let (app, _sidecar, client) = stage(rules).await;
    app.answer("/page", reply("p"));
    app.answer("/k", reply("a").header("Cache-Tag-Increment", "P"));
    client.get("/page").await.is_miss();
    found(&client.get("/k").await, "shadow-miss").has_no_field("cache-tag-increment");
    client.get("/page").await.is_invalidated();
    found(&client.get("/k").await, "shadow-hit");
    client.get("/page").await.is_invalidated();
}

#[tokio::test]
async fn nobody_waits_for_anothers_answer() {
    let (app, sidecar, client) = stage(SHADOW).await;
    let (one, other) = (app.hold("/k"), app.hold("/k"));
    let first = client.begin(get("/k")).await;
    let one = one.arrived().await;
    sidecar.wait(1);
    let second = client.begin(get("/k")).await;
    let other = other.arrived().await;
    other.release(reply("second")).await;
    found(&second.answer().await, "shadow-miss").has_body("second");
    one.release(reply("first")).await;
    found(&first.answer().await, "shadow-miss").has_body("first");
    app.answer("/k", reply("second"));
    found(&client.get("/k").await, "shadow-hit");
}

#[tokio::test]
async fn variants_are_compared_with_their_own() {
    let (app, _sidecar, client) = stage(SHADOW).await;
    app.on("/k", |call| {
        let lang = call.field("accept-language").unwrap_or_default();
        reply(lang).header("Vary", "Accept-Language")
    });
    for (lang, word) in [
        ("de", "shadow-miss"),
        ("en", "shadow-miss"),
        ("de", "shadow-hit"),
        ("en", "shadow-hit"),
    ] {
        let answer = client.get_with("/k", "Accept-Language", lang).await;
        found(&answer, word).has_body(lang);
    }
}

#[tokio::test]
async fn the_head_waits_until_the_body_is_known_to_be_the_same_or_another() {
    let (app, _sidecar, client) = stage(SHADOW).await;
    app.answer("/k", reply("abcd").chunked());
    found(&client.get("/k").await, "shadow-miss");

    // Another after two bytes: the head does not wait for the rest.
    let call = app.hold("/k");
    let pending = client.begin(get("/k")).await;
    let mut stream = call.arrived().await.begin(reply("").chunked()).await;
    stream.send(b"ax").await;
    let open = pending.head().await;
    found(&open.answer, "shadow-differs");
    stream.send(b"yz").await;
    stream.end().await;
    open.rest().await.has_body("axyz");
    app.answer("/k", reply("axyz").chunked());
    found(&client.get("/k").await, "shadow-hit");

    // Nothing stored: nothing to wait for.
    let call = app.hold("/k/new");
    let pending = client.begin(get("/k/new")).await;
    let mut stream = call.arrived().await.begin(reply("").chunked()).await;
    let open = pending.head().await;
    found(&open.answer, "shadow-miss");
    stream.send(b"n").await;
    stream.end().await;
    open.rest().await.has_body("n");
}

#[tokio::test]
async fn a_body_that_is_cut_stays_cut() {
    let (app, _sidecar, client) = stage(SHADOW).await;
    app.answer("/k", reply("abcd").chunked());
    found(&client.get("/k").await, "shadow-miss");
    app.answer("/k", reply("ab").cut_chunked());
    found(&client.get("/k").await, "shadow-differs").is_cut();
    app.answer("/k", reply("abcd").chunked());
    found(&client.get("/k").await, "shadow-hit"); // what is stored stays
}

#[tokio::test]
async fn nothing_that_is_stored_stands_in_for_the_app() {
    let rules = "  - { id: k, match: { path: /k }, ttl: 60s, mode: shadow, stale_if_error: 1h }\n";
    let (app, sidecar, client) = stage(rules).await;
    app.answer("/k", reply("a"));
    found(&client.get("/k").await, "shadow-miss");
    app.answer("/k", reply("down").status(503));
    found(&client.get("/k").await, "shadow-differs").has_status(503);
    sidecar.wait(61);
    found(&client.get("/k").await, "shadow-miss").has_status(503);
    app.answer("/k", Reply::hang_up());
    client.get("/k").await.is_problem(502);
    let only = get("/k").with("Cache-Control", "only-if-cached");
    client.ask(only).await.has_status(504);
}

#[tokio::test]
async fn what_may_not_be_stored_is_not() {
    // L12.
    let (app, _sidecar, client) = stage(SHADOW).await;
    for (path, answer) in [
        ("/k/private", reply("a").control("private, max-age=60")),
        ("/k/no-store", reply("a").control("no-store")),
        ("/k/cookie", reply("a").header("Set-Cookie", "a=1")),
    ] {
        app.answer(path, answer);
        for _ in 0..2 {
            found(&client.get(path).await, "shadow-miss").has_body("a");
        }
    }
    let signed_in = get("/k/private").with("Authorization", "Basic YTpi");
    client.ask(signed_in).await.is_bypass(Some("authorization"));
}

#[tokio::test]
async fn a_cookie_keeps_a_request_from_what_is_not_for_it() {
    // L12.
    let (app, _sidecar, client) = stage(SHADOW).await;
    app.answer("/k", reply("a"));
    found(&client.get("/k").await, "shadow-miss");
    let mine = client.get_with("/k", "Cookie", "a=1").await;
    found(&mine, "cookie");
}

#[tokio::test]
async fn a_head_is_compared_by_its_head_alone() {
    let (app, _sidecar, client) = stage(SHADOW).await;
    let page = || {
        reply("abc")
            .etag("\"1\"")
            .header("Content-Type", "text/html")
    };
    app.answer("/k", page());
    found(&client.head("/k").await, "shadow-miss");
    found(&client.get("/k").await, "shadow-miss");
    found(&client.head("/k").await, "shadow-hit");
    assert_eq!(app.last("/k").method, "HEAD");

    app.answer("/k", not_modified().etag("\"1\""));
    let conditional = ask("HEAD", "/k").with("If-None-Match", "\"1\"");
    let answer = client.ask(conditional).await;
    found(&answer, "shadow-hit").has_status(304);

    app.answer("/k", page().status(410));
    found(&client.head("/k").await, "shadow-differs").has_status(410);
}

#[tokio::test]
async fn a_client_that_has_the_page_is_told_so_and_ranges_go_to_the_app() {
    let (app, _sidecar, client) = stage(SHADOW).await;
    app.on("/k", |call| match call.field("range") {
        Some(_) => reply("b")
            .status(206)
            .header("Content-Range", "bytes 1-1/3"),
        None => reply("abc").etag("\"1\""),
    });
    found(&client.get("/k").await, "shadow-miss");
    let known = client.get_with("/k", "If-None-Match", "\"1\"").await;
    assert_eq!(known.detail(), "shadow-hit");
    known.has_status(304);
    let part = client.get_with("/k", "Range", "bytes=1-1").await;
    found(&part, "range").has_status(206).has_body("b");
}

#[tokio::test]
async fn a_client_that_leaves_breaks_nothing() {
    let (app, sidecar, client) = stage(SHADOW).await;
    app.answer("/k", reply("abcd").chunked());
    found(&client.get("/k").await, "shadow-miss");
    let call = app.hold("/k");
    let pending = client.begin(get("/k")).await;
    let mut stream = call.arrived().await.begin(reply("").chunked()).await;
    stream.send(b"ab").await;
    pending.leave();
    sidecar.settle().await;
    stream.send(b"xy").await;
    stream.end().await;
    sidecar.settle().await;
    app.answer("/k", reply("abxy").chunked());
    found(&client.get("/k").await, "shadow-hit"); // it was stored all the same
}

#[tokio::test]
async fn in_bypass_nothing_is_looked_up_or_stored_and_increments_count() {
    // S7.
    let rules = "
  - { id: off, match: { path: /off }, ttl: 60s, mode: bypass }
  - { id: page, match: { path: /page }, ttl: 60s, tags: [P] }
";
    let (app, _sidecar, client) = stage(rules).await;
    app.answer("/page", reply("p"));
    app.answer("/off", reply("a").header("Cache-Tag-Increment", "P"));
    client.get("/page").await.is_miss();
    for n in 1..=2 {
        client.get("/off").await.is_bypass(Some("rule"));
        assert_eq!(app.calls("/off"), n);
        client.get("/page").await.is_invalidated();
    }
}
