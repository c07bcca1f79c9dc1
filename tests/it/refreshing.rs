//! What happens by schedule instead of by a request: responses that are fetched again after an increment or before they
//! expire, increments that are repeated (rules.md §5, story 17, F2, F3, I9, L5).

use std::time::Duration;

use crate::support::Client;
use crate::support::Held;
use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::not_modified;
use crate::support::post;
use crate::support::reply;
use crate::support::stage;

const REFRESH: &str = r#"
  - match: { path: /r }
    tags: [R]
    ttl: 60s
    on_invalidate: { mode: refresh, delay: 1s, max_stale: 5s, max_entries: 100 }
"#;

fn some_time(sidecar: &Sidecar, milliseconds: u64) {
    sidecar.clock.advance(Duration::from_millis(milliseconds));
}

/// Stores `v1` under this path, and uses it so often.
async fn used(app: &Origin, client: &Client, path: &str, times: usize) {
    app.answer(path, reply("v1"));
    client.get(path).await.is_miss().has_body("v1");
    for _ in 0..times {
        client.get(path).await.is_hit();
    }
}

/// A sidecar in front of a response of [`REFRESH`] that has been used and invalidated.
async fn invalidated() -> (Origin, Sidecar, Client) {
    let (app, sidecar, client) = stage(REFRESH).await;
    used(&app, &client, "/r", 1).await;
    app.answer("/r", reply("v2"));
    sidecar.inc("R").await;
    (app, sidecar, client)
}

/// The next call to this path, which comes once so much time has passed.
async fn call_after(app: &Origin, sidecar: &Sidecar, milliseconds: u64, path: &str) -> Held {
    let hold = app.hold(path);
    some_time(sidecar, milliseconds);
    hold.arrived().await
}

#[tokio::test]
async fn f3_what_was_in_use_is_fetched_again_after_the_delay() {
    // Story 17.1.
    let (app, sidecar, client) = invalidated().await;
    some_time(&sidecar, 500);
    sidecar.settle().await;
    assert_eq!(app.calls("/r"), 1);
    let call = call_after(&app, &sidecar, 500, "/r").await;
    call.release(reply("v2")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("v2");
    some_time(&sidecar, 4_000);
    sidecar.settle().await;
    assert_eq!(app.calls("/r"), 2, "once");
}

#[tokio::test]
async fn f3_until_then_the_old_one_is_served_and_no_request_starts_a_fill() {
    // Story 17.2.
    let (app, sidecar, client) = invalidated().await;
    for _ in 0..50 {
        some_time(&sidecar, 10);
        client
            .get("/r")
            .await
            .is_stale("invalidated")
            .has_body("v1");
    }
    some_time(&sidecar, 300);
    sidecar.settle().await;
    assert_eq!(app.calls("/r"), 1);

    let call = call_after(&app, &sidecar, 700, "/r").await;
    client
        .get("/r")
        .await
        .is_stale("invalidated")
        .has_body("v1");
    call.release(reply("v2")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("v2");
    assert_eq!(app.calls("/r"), 2);
}

#[tokio::test]
async fn l05_a_refresh_that_fails_is_tried_again_and_never_makes_the_old_one_fresh() {
    // Story 17.3.
    let (app, sidecar, client) = invalidated().await;
    let down = || reply("down").status(503);
    app.answer("/r", down());
    for (pause, at, calls) in [(1, 1, 1), (1, 2, 2), (2, 4, 3)] {
        some_time(&sidecar, pause * 1_000 - 100);
        sidecar.settle().await;
        assert_eq!(app.calls("/r"), calls, "before {at} s");
        let call = call_after(&app, &sidecar, 100, "/r").await;
        call.release(down()).await;
        sidecar.settle().await;
        client
            .get("/r")
            .await
            .is_stale("invalidated")
            .has_body("v1");
    }
    sidecar.wait(2);
    sidecar.settle().await;
    assert_eq!(app.calls("/r"), 4);
    client.get("/r").await.has_status(503).has_body("down");
    sidecar.wait(60);
    sidecar.settle().await;
    assert_eq!(app.calls("/r"), 5, "it has been given up");
}

#[tokio::test]
async fn l05_what_failed_once_is_fetched_at_the_next_attempt() {
    let (app, sidecar, client) = invalidated().await;
    let call = call_after(&app, &sidecar, 1_000, "/r").await;
    call.release(reply("no").status(500)).await;
    sidecar.settle().await;
    client
        .get("/r")
        .await
        .is_stale("invalidated")
        .has_body("v1");
    let call = call_after(&app, &sidecar, 1_000, "/r").await;
    call.release(reply("v2")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("v2");
}

#[tokio::test]
async fn l05_the_pause_after_a_failure_begins_with_its_end() {
    let (app, sidecar, _client) = invalidated().await;
    let call = call_after(&app, &sidecar, 1_000, "/r").await;
    for _ in 0..3 {
        some_time(&sidecar, 900); // it takes its time, and the pause after it is one second all the same
        sidecar.settle().await;
    }
    call.release(reply("no").status(500)).await;
    sidecar.settle().await;
    call_after(&app, &sidecar, 1_000, "/r").await;
    assert_eq!(app.calls("/r"), 3);
}

#[tokio::test]
async fn l01_what_changes_while_it_is_fetched_again_is_fetched_once_more() {
    let (app, sidecar, client) = invalidated().await;
    let call = call_after(&app, &sidecar, 1_000, "/r").await;
    sidecar.inc("R").await;
    call.release(reply("v2")).await;
    sidecar.settle().await;
    client
        .get("/r")
        .await
        .is_stale("invalidated")
        .has_body("v1");
    let call = call_after(&app, &sidecar, 1_000, "/r").await;
    call.release(reply("v3")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("v3");
}

#[tokio::test]
async fn f3_what_has_expired_or_was_not_used_is_nobodys_to_fetch() {
    // Story 17.4.
    const RULES: &str = r#"
  - match: { path: '/e/\d+' }
    tags: [E]
    ttl: 500ms
    on_invalidate: { mode: refresh, delay: 1s, max_stale: 5s }
  - match: { path: /r }
    tags: [E]
    ttl: 60s
    on_invalidate: { mode: refresh, delay: 1s, max_stale: 5s }
"#;
    let (app, sidecar, client) = stage(RULES).await;
    for n in 0..50 {
        used(&app, &client, &format!("/e/{n}"), 1).await;
    }
    used(&app, &client, "/r", 0).await;
    some_time(&sidecar, 600);
    sidecar.inc("E").await;
    for _ in 0..4 {
        some_time(&sidecar, 500);
        sidecar.settle().await;
    }
    let calls = |n| app.calls(&format!("/e/{n}"));
    assert_eq!((0..50).map(calls).sum::<usize>(), 50);
    assert_eq!(app.calls("/r"), 1);
}

#[tokio::test]
async fn f3_a_soft_increment_leaves_it_to_the_next_request() {
    let (app, sidecar, client) = stage(REFRESH).await;
    used(&app, &client, "/r", 1).await;
    app.answer("/r", reply("v2"));
    sidecar.inc("R;soft").await;
    sidecar.wait(2);
    sidecar.settle().await;
    assert_eq!(app.calls("/r"), 1);
    let hold = app.hold("/r");
    client
        .get("/r")
        .await
        .is_stale("invalidated")
        .has_body("v1");
    hold.arrived().await.release(reply("v2")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("v2");
}

#[tokio::test]
async fn f3_at_most_max_entries_are_fetched_again_those_used_most() {
    const RULES: &str = r#"
  - match: { path: '/p/\d' }
    tags: [P]
    ttl: 60s
    on_invalidate: { mode: refresh, delay: 1s, max_stale: 60s, max_entries: 2 }
"#;
    let (app, sidecar, client) = stage(RULES).await;
    for (path, times) in [("/p/1", 1), ("/p/2", 3), ("/p/3", 2), ("/p/4", 1)] {
        used(&app, &client, path, times).await;
    }
    sidecar.inc("P").await;
    let holds = ["/p/2", "/p/3"].map(|path| app.hold(path));
    sidecar.wait(1);
    for hold in holds {
        hold.arrived().await.release(reply("v2")).await;
    }
    for _ in 0..10 {
        sidecar.settle().await;
        sidecar.wait(1);
    }
    let calls = ["/p/1", "/p/2", "/p/3", "/p/4"].map(|path| app.calls(path));
    assert_eq!(
        calls,
        [1, 2, 2, 1],
        "who was passed over is not taken up later"
    );
    client
        .get("/p/1")
        .await
        .is_stale("invalidated")
        .has_body("v1");
    client.get("/p/2").await.is_hit().has_body("v2");
}

#[tokio::test]
async fn f3_no_more_than_eight_are_fetched_at_once() {
    const RULES: &str = r#"
  - match: { path: '/p/\d+' }
    tags: [P]
    ttl: 60s
    on_invalidate: { mode: refresh, delay: 1s, max_stale: 60s }
"#;
    let (app, sidecar, client) = stage(RULES).await;
    let path = |n: usize| format!("/p/{n}");
    for n in 1..=10 {
        used(&app, &client, &path(n), n).await;
    }
    sidecar.inc("P").await;
    let holds: Vec<_> = (1..=10).map(|n| app.hold(&path(n))).collect();
    sidecar.wait(1);
    let (mut waiting, mut calls) = (Vec::new(), Vec::new());
    for (n, hold) in (1..=10).zip(holds) {
        if n <= 2 {
            waiting.push(hold);
        } else {
            calls.push(hold.arrived().await);
        }
    }
    sidecar.settle().await;
    assert_eq!((app.calls("/p/1"), app.calls("/p/2")), (1, 1));
    calls.remove(0).release(reply("v2")).await;
    let next = waiting.pop().expect("the one used more often");
    calls.push(next.arrived().await);
    sidecar.settle().await;
    assert_eq!(app.calls("/p/1"), 1);
}

#[tokio::test]
async fn x10_a_refresh_is_nobodys_request() {
    const RULES: &str = r#"
  - match: { path: /r }
    tags: [R]
    vary_on: { headers: [X-Device] }
    on_invalidate: { mode: refresh, delay: 1s }
"#;
    let (app, sidecar, client) = stage(RULES).await;
    let page = |body: &str| {
        reply(body).headers(&[
            ("Cache-Control", "public, max-age=60"),
            ("Vary", "X-Form, Accept-Language"),
        ])
    };
    app.answer("/r", page("v1"));
    let request = || {
        get("/r?x=1")
            .with("X-Device", "phone")
            .with("X-Form", "wide")
            .with("Accept-Language", "de")
            .with("Accept-Encoding", "br")
    };
    let personal = [
        ("Cookie", "session=mine"),
        ("X-Mine", "mine"),
        ("User-Agent", "mine"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("Cache-Control", "max-stale"),
    ];
    let from_somebody = personal.iter().fold(request(), |request, (name, value)| {
        request.with(name, value)
    });
    client.ask(from_somebody).await.is_miss();
    client.ask(request()).await.is_hit();
    sidecar.inc("R").await;
    let call = call_after(&app, &sidecar, 1_000, "/r").await;
    assert_eq!(call.call.target, "/r?x=1");
    for (name, expected) in [
        ("Host", "shop.example"),
        ("X-Device", "phone"),
        ("X-Form", "wide"),
        ("Accept-Language", "de"),
        ("Accept-Encoding", "br"),
        ("X-Forwarded-Proto", "http"),
        ("Via", "1.1 tagalong"),
    ] {
        assert_eq!(call.call.field(name).as_deref(), Some(expected), "{name}");
    }
    for (name, _) in personal {
        assert_eq!(call.call.field(name), None, "{name}");
    }
    call.release(page("v2")).await;
    sidecar.settle().await;
    client.ask(request()).await.is_hit().has_body("v2");
}

#[tokio::test]
async fn what_is_not_yet_due_is_left_when_the_sidecar_stops() {
    let (app, sidecar, _) = invalidated().await;
    let clock = sidecar.clock.clone();
    sidecar.shutdown().await; // at once: nobody waits for what is due later
    clock.advance(Duration::from_secs(1));
    Sidecar::plain(&app).await.settle().await;
    assert_eq!(app.calls("/r"), 1);
}

const AHEAD: &str = r#"
  - match: { path: '/a(/\d)?' }
    ttl: 2s
    refresh_ahead: { every: 1s, max: 2, min_hits: 2 }
"#;

#[tokio::test]
async fn f2_what_is_in_use_is_fetched_before_it_expires() {
    let (app, sidecar, client) = stage(AHEAD).await;
    used(&app, &client, "/a", 2).await;
    let call = call_after(&app, &sidecar, 1_000, "/a").await;
    client.get("/a").await.is_hit().has_body("v1");
    call.release(reply("v2")).await;
    sidecar.settle().await;
    for _ in 0..3 {
        some_time(&sidecar, 500);
        sidecar.settle().await;
    }
    client.get("/a").await.is_hit().has_body("v2");
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn f2_what_is_hardly_used_expires() {
    let (app, sidecar, client) = stage(AHEAD).await;
    used(&app, &client, "/a", 1).await;
    for _ in 0..5 {
        some_time(&sidecar, 500);
        sidecar.settle().await;
    }
    assert_eq!(app.calls("/a"), 1);
    client.get("/a").await.is_expired();
}

#[tokio::test]
async fn f2_a_round_takes_no_more_than_its_share_those_used_most() {
    let (app, sidecar, client) = stage(AHEAD).await;
    for (path, times) in [("/a/1", 2), ("/a/2", 4), ("/a/3", 3)] {
        used(&app, &client, path, times).await;
    }
    let holds = ["/a/2", "/a/3"].map(|path| app.hold(path));
    sidecar.wait(1);
    for hold in holds {
        hold.arrived().await.release(reply("v2")).await;
    }
    sidecar.settle().await;
    assert_eq!(app.calls("/a/1"), 1);
    sidecar.wait(1);
    client.get("/a/1").await.is_expired();
    client.get("/a/2").await.is_hit().has_body("v2");
}

#[tokio::test]
async fn f2_the_app_is_asked_whether_what_is_stored_is_still_right() {
    let (app, sidecar, client) = stage(AHEAD).await;
    app.answer("/a", reply("v1").etag("\"1\""));
    client.get("/a").await.is_miss();
    client.get("/a").await.is_hit();
    client.get("/a").await.is_hit();
    let call = call_after(&app, &sidecar, 1_000, "/a").await;
    assert_eq!(call.call.field("if-none-match").as_deref(), Some("\"1\""));
    call.release(not_modified().etag("\"1\"")).await;
    sidecar.settle().await;
    some_time(&sidecar, 1_500);
    client.get("/a").await.is_hit().has_body("v1");
}

const AGAIN: &str = r#"
  - match: { path: /x }
    tags: [X]
    ttl: 60s
  - match: { path: /by-rule, methods: [POST] }
    increments: [{ tags: [X], again: 2s }]
"#;

#[tokio::test]
async fn i9_an_increment_is_repeated_by_header_and_by_rule() {
    let header = reply("").header("Cache-Tag-Increment", "X;again=2");
    for (path, answer) in [("/by-header", header), ("/by-rule", reply(""))] {
        let (app, sidecar, client) = stage(AGAIN).await;
        used(&app, &client, "/x", 0).await;
        app.answer(path, answer);
        client.post(path).await.has_status(200);
        client.get("/x").await.is_invalidated();
        sidecar.wait(1);
        sidecar.settle().await;
        client.get("/x").await.is_hit();
        some_time(&sidecar, 1_500);
        sidecar.settle().await;
        client.get("/x").await.is_invalidated();
        sidecar.wait(10);
        sidecar.settle().await;
        client.get("/x").await.is_hit();
    }
}

#[tokio::test]
async fn i9_a_soft_repeat_is_soft() {
    for (field, soft) in [("X;again=2", false), ("X;soft;again=2", true)] {
        let (app, sidecar, client) = stage(AGAIN).await;
        sidecar.inc(field).await;
        used(&app, &client, "/x", 0).await;
        sidecar.wait(2);
        sidecar.settle().await;
        let answer = client.get("/x").await;
        if soft {
            answer.is_stale("invalidated");
        } else {
            answer.is_invalidated();
        }
    }
}

#[tokio::test]
async fn i9_a_repeat_outlives_the_client_that_caused_it() {
    let (app, sidecar, client) = stage(AGAIN).await;
    let hold = app.hold("/write");
    let writer = client.begin(post("/write")).await;
    let call = hold.arrived().await;
    writer.leave();
    sidecar.settle().await;
    let answer = reply("").header("Cache-Tag-Increment", "X;again=2");
    call.release(answer).await;
    sidecar.settle().await;
    used(&app, &client, "/x", 1).await;
    sidecar.wait(2);
    sidecar.settle().await;
    client.get("/x").await.is_invalidated();
}

#[tokio::test]
async fn i9_a_repeat_is_refreshed_as_the_first_was() {
    let (app, sidecar, client) = stage(REFRESH).await;
    used(&app, &client, "/r", 1).await;
    sidecar.inc("R;again=3").await;
    let call = call_after(&app, &sidecar, 1_000, "/r").await;
    call.release(reply("v2")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("v2");
    sidecar.wait(2);
    sidecar.settle().await;
    client
        .get("/r")
        .await
        .is_stale("invalidated")
        .has_body("v2");
    let call = call_after(&app, &sidecar, 1_000, "/r").await;
    call.release(reply("v3")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("v3");
}

#[tokio::test]
async fn what_the_schedule_cannot_ask_for_is_the_requests_to_fetch() {
    let (app, sidecar, client) = stage(REFRESH).await;
    let varying = |body: &str| reply(body).header("Vary", "Cookie").control("public");
    app.answer("/r", varying("v1"));
    client.get("/r").await.is_miss();
    client.get("/r").await.is_hit();
    sidecar.inc("R").await;
    let hold = app.hold("/r");
    client
        .get("/r")
        .await
        .is_stale("invalidated")
        .has_body("v1");
    hold.arrived().await.release(varying("v2")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("v2");
}

#[tokio::test]
async fn a_clock_that_is_set_back_leaves_nothing_invalidated_unfetched() {
    let (app, sidecar, client) = invalidated().await;
    client.get("/r").await.is_stale("invalidated");
    let now = sidecar.clock.now();
    sidecar.clock.set(now - Duration::from_secs(30));
    client.get("/r").await.has_body("v2"); // it is served no more: nobody knows for how long it has been
    client.get("/r").await.is_hit().has_body("v2");
    assert_eq!(app.calls("/r"), 2);
}

#[tokio::test]
async fn a_clock_that_is_set_back_puts_no_round_off() {
    let rules =
        "  - { match: { path: '/a.*' }, ttl: 20s, refresh_ahead: { every: 10s, min_hits: 1 } }\n";
    let (app, sidecar, client) = stage(rules).await;
    used(&app, &client, "/a", 1).await;
    let now = sidecar.clock.now();
    sidecar.clock.set(now - Duration::from_secs(86_400));
    used(&app, &client, "/ab", 1).await; // what is stored from now on
    sidecar.settle().await;
    let hold = app.hold("/ab");
    sidecar.wait(10);
    hold.arrived().await.release(reply("v2")).await;
    sidecar.settle().await;
    client.get("/ab").await.has_body("v2");
}

#[tokio::test]
async fn x10_what_a_request_of_the_rule_changes_is_not_changed_again_for_nobody() {
    let rules = r#"
  - match: { path: /seen }
    tags: [Seen]
    ttl: 600s
  - match: { path: /a }
    ttl: 20s
    refresh_ahead: { every: 10s, min_hits: 1 }
    increments: [{ tags: ["Seen"] }]
"#;
    let (app, sidecar, client) = stage(rules).await;
    used(&app, &client, "/a", 1).await;
    used(&app, &client, "/seen", 0).await;
    let hold = app.hold("/a");
    sidecar.wait(10);
    sidecar.settle().await;
    sidecar.clock.advance(Duration::from_millis(100));
    hold.arrived().await.release(reply("v2")).await;
    sidecar.settle().await;
    client.get("/a").await.is_hit().has_body("v2");
    client.get("/seen").await.is_hit();
}

#[tokio::test]
async fn l12_what_cookies_select_is_not_fetched_for_nobody_though_a_304_does_not_say_so() {
    let rules =
        "  - { match: { path: '/a.*' }, ttl: 20s, refresh_ahead: { every: 10s, min_hits: 1 } }\n";
    let (app, sidecar, client) = stage(rules).await;
    app.on("/a", |call| match call.field("if-none-match") {
        None => reply("v1")
            .control("public")
            .etag("\"1\"")
            .header("X-LiteSpeed-Vary", "cookie=theme"),
        Some(_) => reply("").status(304).control("public").etag("\"1\""),
    });
    let page = || crate::support::get("/a").with("Cookie", "theme=a");
    client.ask(page()).await.is_miss();
    sidecar.wait(21);
    client.ask(page()).await.is_revalidated();
    client.ask(page()).await.is_hit();
    used(&app, &client, "/ab", 1).await; // which is of the same round
    let hold = app.hold("/ab");
    sidecar.wait(10);
    hold.arrived().await.release(reply("v2")).await;
    sidecar.settle().await;
    assert_eq!(app.calls("/a"), 2);
}
