//! Who waits for whose response, for how long, and who does not because it could not be stored.

use std::time::Duration;

use crate::support::Client;
use crate::support::Held;
use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;
use crate::support::stage;

fn rule(fields: &str) -> String {
    format!("  - {{ id: x, match: {{ path: /x }}, tags: [X], ttl: 10s, {fields} }}\n")
}

/// A first client asks for `/x` and its call is held; then a second one waits for that.
async fn two(
    app: &Origin,
    sidecar: &Sidecar,
    client: &Client,
) -> (crate::support::Pending, Held, crate::support::Pending) {
    let hold = app.hold("/x");
    let first = client.begin(get("/x")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/x")).await;
    sidecar.settle().await;
    (first, held, second)
}

#[tokio::test]
async fn who_has_waited_too_long_asks_for_itself() {
    // F8, L9.
    let (app, sidecar, client) = stage(&rule("coalesce: { wait: 1s }")).await;
    app.answer("/x", reply("own"));
    let (first, held, second) = two(&app, &sidecar, &client).await;
    sidecar.clock.advance(Duration::from_millis(999));
    sidecar.settle().await;
    assert_eq!(app.calls("/x"), 1, "it waits");
    sidecar.clock.advance(Duration::from_millis(1));
    second.answer().await.is_unstored("alone").has_body("own");
    held.release(reply("first")).await;
    first.answer().await.is_miss().has_body("first");
    client.get("/x").await.is_hit().has_body("first");
}

#[tokio::test]
async fn who_has_waited_too_long_is_refused_if_the_rule_says_so() {
    let (app, sidecar, client) = stage(&rule("coalesce: { wait: 1s, on_timeout: 503 }")).await;
    let (first, held, second) = two(&app, &sidecar, &client).await;
    sidecar.wait(1);
    let answer = second.answer().await;
    answer
        .is_problem(503)
        .is_refused("coalesce-timeout")
        .has_field("retry-after", "1");
    held.release(reply("first")).await;
    first.answer().await.is_miss();
    assert_eq!(app.calls("/x"), 1);
}

#[tokio::test]
async fn who_has_waited_too_long_gets_what_has_expired_if_the_rule_says_so() {
    let (app, sidecar, client) = stage(&rule("coalesce: { wait: 1s, on_timeout: stale }")).await;
    app.answer("/x", reply("old"));
    client.get("/x").await.is_miss();
    sidecar.wait(10);
    let (first, held, second) = two(&app, &sidecar, &client).await;
    sidecar.wait(1);
    second
        .answer()
        .await
        .is_stale("coalesce-timeout")
        .has_body("old");
    held.release(reply("new")).await;
    first.answer().await.is_expired().has_body("new");

    // What was invalidated is another thing than what has expired (L1).
    sidecar.inc("X").await;
    app.answer("/x", reply("newest"));
    let (first, held, second) = two(&app, &sidecar, &client).await;
    sidecar.wait(1);
    second.answer().await.has_body("newest");
    held.release(reply("newer")).await;
    first.answer().await.is_invalidated();
    assert_eq!(app.calls("/x"), 4);
}

#[tokio::test]
async fn what_must_not_be_served_stale_is_not_after_a_wait_either() {
    let (app, sidecar, client) = stage(&rule("coalesce: { wait: 1s, on_timeout: stale }")).await;
    app.answer("/x", reply("old").control("max-age=10, must-revalidate"));
    client.get("/x").await.is_miss();
    sidecar.wait(10);
    app.answer("/x", reply("own"));
    let (first, held, second) = two(&app, &sidecar, &client).await;
    sidecar.wait(1);
    second.answer().await.has_body("own");
    held.release(reply("new")).await;
    first.answer().await.has_body("new");
}

#[tokio::test]
async fn who_wants_nothing_stale_gets_nothing_stale_after_a_wait_either() {
    let (app, sidecar, client) = stage(&rule("coalesce: { wait: 1s, on_timeout: stale }")).await;
    app.answer("/x", reply("old"));
    client.get("/x").await.is_miss();
    sidecar.wait(10);
    app.answer("/x", reply("own"));
    let hold = app.hold("/x");
    let first = client.begin(get("/x")).await;
    let held = hold.arrived().await;
    let strict = get("/x").with("Cache-Control", "max-age=60");
    let second = client.begin(strict).await;
    sidecar.settle().await;
    assert_eq!(app.calls("/x"), 2, "the second waits");
    sidecar.wait(1);
    second.answer().await.has_body("own");
    held.release(reply("new")).await;
    first.answer().await.has_body("new");
}

#[tokio::test]
async fn the_wait_is_for_the_head_and_the_body_may_take_its_time() {
    let (app, sidecar, client) = stage(&rule("coalesce: { wait: 1s, on_timeout: 503 }")).await;
    let (first, held, second) = two(&app, &sidecar, &client).await;
    let mut streaming = held.begin(reply("").chunked()).await;
    streaming.send(b"one ").await;
    let (mut first, mut second) = (first.head().await, second.head().await);
    assert_eq!(
        second.some().await.as_deref(),
        Some(&b"one "[..]),
        "before the end"
    );
    assert_eq!(first.some().await.as_deref(), Some(&b"one "[..]));
    sidecar.wait(5);
    streaming.send(b"two").await;
    streaming.end().await;
    second.rest().await.is_shared().has_body("two");
    first.rest().await.is_miss().has_body("two");
    client.get("/x").await.has_body("one two");
}

#[tokio::test]
async fn all_waits_of_a_request_together_are_no_longer_than_one() {
    // The first fill turns out to be too old for the second client (L1), which then waits for another.
    let rule =
        "  - { id: x, match: { path: /x }, ttl: 10s, coalesce: { wait: 4s, on_timeout: 503 } }\n";
    for (name, set_back, left) in [("on time", 0, 1), ("a clock set back", 3_600, 4)] {
        let (app, sidecar, client) = stage(rule).await;
        let tagged = |body: &str| reply(body).header("Cache-Tag", "Own");
        let hold = app.hold("/x");
        let first = client.begin(get("/x")).await;
        let old = hold.arrived().await;
        sidecar.inc("Own").await;
        let second = client.begin(get("/x")).await;
        sidecar.settle().await;
        sidecar.wait(3);
        let hold = app.hold("/x");
        let other = client
            .begin(get("/x").with("Cache-Control", "no-cache"))
            .await;
        let newer = hold.arrived().await;
        let now = sidecar.clock.now();
        sidecar.clock.set(now - Duration::from_secs(set_back));
        old.release(tagged("old")).await;
        first.answer().await.has_body("old");
        sidecar.settle().await; // the second client waits for the newer fill now
        sidecar.wait(left);
        second.answer().await.is_refused("coalesce-timeout");
        newer.release(tagged("new")).await;
        other.answer().await.has_body("new");
        assert_eq!(app.calls("/x"), 2, "{name}");
    }
}

#[tokio::test]
async fn without_coalescing_each_request_is_fetched_for_itself() {
    // F8.
    let (app, sidecar, client) = stage(&rule("coalesce: none")).await;
    let mut calls = Vec::new();
    for _ in 0..8 {
        let hold = app.hold("/x");
        let pending = client.begin(get("/x")).await;
        calls.push((hold.arrived().await, pending));
    }
    for (held, pending) in calls {
        held.release(reply("x")).await;
        pending.answer().await.is_miss().has_body("x");
    }
    assert_eq!(app.calls("/x"), 8);
    sidecar.settle().await;
    client.get("/x").await.is_hit();
}

#[tokio::test]
async fn nobody_waits_for_what_could_not_be_stored() {
    // F12.
    let (app, sidecar, client) = stage(&rule("")).await;
    let personal = || reply("mine").control("private");
    app.answer("/x", personal());
    client.get("/x").await.is_unstored("private");
    let mut calls = Vec::new();
    for _ in 0..8 {
        let hold = app.hold("/x");
        let pending = client.begin(get("/x")).await;
        calls.push((hold.arrived().await, pending)); // side by side
    }
    for (held, pending) in calls {
        held.release(personal()).await;
        pending
            .answer()
            .await
            .is_bypass(Some("hit-for-miss"))
            .has_body("mine");
    }
    assert_eq!(app.calls("/x"), 9);

    // Each such answer is a new reason, until time is over.
    sidecar.wait(9);
    client.get("/x").await.is_bypass(Some("hit-for-miss"));
    sidecar.wait(10);
    client.get("/x").await.is_unstored("private");
}

#[tokio::test]
async fn a_response_that_can_be_stored_ends_it() {
    let (app, sidecar, client) = stage(&rule("")).await;
    app.answer("/x", reply("mine").control("private"));
    client.get("/x").await.is_unstored("private");
    app.answer("/x", reply("ours"));
    client.get("/x").await.is_miss().has_body("ours");
    client.get("/x").await.is_hit().has_body("ours");
    sidecar.inc("X").await;
    let (first, held, second) = two(&app, &sidecar, &client).await; // they wait again
    assert_eq!(app.calls("/x"), 3);
    held.release(reply("new")).await;
    first.answer().await.is_invalidated();
    second.answer().await.is_collapsed().has_body("new");
}

#[tokio::test]
async fn errors_and_races_are_no_reason_not_to_wait() {
    let (app, sidecar, client) = stage(&rule("")).await;
    app.answer("/x", reply("no").status(500));
    client.get("/x").await.is_unstored("no-freshness");
    let (first, held, second) = two(&app, &sidecar, &client).await;
    held.release(reply("a")).await;
    first.answer().await.is_miss();
    second.answer().await.is_shared();

    sidecar.inc("X").await;
    let hold = app.hold("/x");
    let raced = client.begin(get("/x")).await;
    let held = hold.arrived().await;
    sidecar.inc("X").await;
    held.release(reply("old")).await;
    assert_eq!(raced.answer().await.detail(), "raced");
    let (first, held, second) = two(&app, &sidecar, &client).await;
    held.release(reply("b")).await;
    first.answer().await.is_invalidated().has_body("b");
    second.answer().await.is_collapsed().has_body("b");
}

#[tokio::test]
async fn what_a_cookie_was_the_reason_for_concerns_those_with_cookies() {
    let (app, sidecar, client) = stage(&rule("")).await;
    app.on("/x", |call| reply(call.field("cookie").unwrap_or_default()));
    let with = |cookie: &str| get("/x").with("Cookie", cookie);
    client.ask(with("a=1")).await.is_unstored("cookie");
    let hold = app.hold("/x");
    let pending = client.begin(with("a=2")).await;
    let held = hold.arrived().await;
    client
        .ask(with("a=3"))
        .await
        .is_bypass(Some("hit-for-miss"))
        .has_body("a=3"); // and waits for nobody
    held.release(reply("a=2")).await;
    pending.answer().await.is_bypass(Some("hit-for-miss"));

    let (first, held, second) = two(&app, &sidecar, &client).await; // those without do wait
    held.release(reply("")).await;
    first.answer().await.is_miss();
    second.answer().await.is_shared();
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let (app, sidecar, client) = stage(&rule("hit_for_miss: 0")).await;
    app.answer("/x", reply("mine").control("private"));
    client.get("/x").await.is_unstored("private");
    let (first, held, second) = two(&app, &sidecar, &client).await;
    assert_eq!(app.calls("/x"), 2, "the second waits");
    held.release(reply("mine").control("private")).await;
    first.answer().await.is_unstored("private");
    second.answer().await.is_unstored("private");
}

#[tokio::test]
async fn l01_who_comes_after_an_increment_of_a_tag_of_the_last_response_starts_a_newer_fill_at_once()
 {
    let (app, sidecar, client) = stage("  - { id: x, match: { path: /x }, ttl: 60s }\n").await;
    let tagged = |body: &str| reply(body).header("Cache-Tag", "Own");
    app.answer("/x", tagged("a"));
    client.get("/x").await.is_miss();
    sidecar.inc("Own").await;
    let hold = app.hold("/x");
    let first = client.begin(get("/x")).await;
    let older = hold.arrived().await;
    sidecar.inc("Own").await;
    let hold = app.hold("/x");
    let second = client.begin(get("/x")).await;
    let newer = hold.arrived().await; // though the older one has not answered
    newer.release(tagged("c")).await;
    second.answer().await.is_invalidated().has_body("c");
    older.release(tagged("b")).await;
    assert_eq!(first.answer().await.detail(), "raced");
    client.get("/x").await.is_hit().has_body("c");
    assert_eq!(app.calls("/x"), 3);
}

#[tokio::test]
async fn one_variant_that_cannot_be_stored_is_no_reason_for_another() {
    let (app, sidecar, client) = stage(&rule("")).await;
    let with = |mode: &str| get("/x").with("Mode", mode);
    app.on("/x", |call| match call.field("mode").as_deref() {
        Some("b") => reply("b").header("Vary", "Mode").control("private"),
        _ => reply("a").header("Vary", "Mode"),
    });
    client.ask(with("a")).await.is_miss();
    client.ask(with("b")).await.has_body("b");
    client.ask(with("b")).await.is_bypass(Some("hit-for-miss"));
    sidecar.inc("X").await;
    let hold = app.hold("/x");
    let first = client.begin(with("a")).await;
    let held = hold.arrived().await;
    let second = client.begin(with("a")).await;
    sidecar.settle().await;
    assert_eq!(app.calls("/x"), 4, "the second waits");
    held.release(reply("a").header("Vary", "Mode")).await;
    first.answer().await.is_invalidated();
    second.answer().await.is_collapsed();
}

#[tokio::test]
async fn fault_found_with_one_request_is_no_reason_not_to_wait() {
    for status in [400, 406, 429, 500] {
        let (app, sidecar, client) = stage(&rule("")).await;
        app.answer("/x", reply("no").status(status).control("private"));
        client.get("/x").await.has_status(status);
        let (first, held, second) = two(&app, &sidecar, &client).await;
        assert_eq!(app.calls("/x"), 2, "{status}: the second waits");
        held.release(reply("a")).await;
        first.answer().await.is_miss();
        second.answer().await.is_shared();
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_told_to_others_only_if_it_is_an_error() {
    for (status, is_shared) in [(302, false), (403, false), (500, true)] {
        let (app, sidecar, client) = stage(&rule("")).await;
        app.answer("/x", reply("own").status(status));
        let (first, held, second) = two(&app, &sidecar, &client).await;
        held.release(reply("first").status(status)).await;
        first.answer().await.has_body("first");
        let second = second.answer().await;
        second.has_body(if is_shared { "first" } else { "own" });
    }
}

#[tokio::test]
async fn an_error_is_shared_by_those_whose_cookies_the_rule_ignores() {
    let (app, sidecar, client) = stage(&rule("cookies: ignore")).await;
    let hold = app.hold("/x");
    let first = client.begin(get("/x").with("Cookie", "a=1")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/x").with("Cookie", "a=2")).await;
    sidecar.settle().await;
    held.release(reply("no").status(500)).await;
    for answer in [first.answer().await, second.answer().await] {
        answer.has_status(500).has_body("no");
    }
    assert_eq!(app.calls("/x"), 1);
}

#[tokio::test]
async fn l09_increments_during_fetches_send_nobody_to_the_app_who_came_before_them() {
    let (app, sidecar, client) = stage(&rule("")).await;
    app.answer("/x", reply("own"));
    let hold = app.hold("/x");
    let a = client.begin(get("/x")).await;
    let fetching_a = hold.arrived().await;
    sidecar.inc("Other").await;
    let many = client.begin_many(10, &get("/x")).await;
    sidecar.settle().await;
    sidecar.inc("X").await;
    let hold = app.hold("/x");
    let b = client.begin(get("/x")).await;
    let fetching_b = hold.arrived().await;
    sidecar.inc("Other").await;
    fetching_a.release(reply("a")).await;
    a.answer().await.has_body("a");
    sidecar.settle().await; // what the many waited for was too old for them: they wait for the other now
    sidecar.inc("X").await;
    fetching_b.release(reply("b")).await;
    b.answer().await.has_body("b");
    for one in many {
        one.answer().await.is_collapsed().has_body("b");
    }
    assert_eq!(app.calls("/x"), 2);
}

#[tokio::test]
async fn l09_who_is_not_spared_an_error_shares_the_one_that_came() {
    let (app, sidecar, client) = stage(&rule("stale_if_error: 600s")).await;
    app.answer("/x", reply("a"));
    client.get("/x").await.is_miss();
    sidecar.wait(11);
    let failing = reply("no").status(503);
    app.answer("/x", failing.clone());
    for first in ["max-stale=0", "max-age=60"] {
        let hold = app.hold("/x");
        let pending = client.begin(get("/x").with("Cache-Control", first)).await;
        let held = hold.arrived().await;
        let strict = client
            .begin_many(5, &get("/x").with("Cache-Control", "max-age=60"))
            .await;
        let plain = client.begin(get("/x")).await;
        sidecar.settle().await;
        held.release(failing.clone()).await;
        let status = if first == "max-age=60" { 503 } else { 200 };
        pending.answer().await.has_status(status);
        plain
            .answer()
            .await
            .is_stale("stale-if-error")
            .has_body("a");
        for one in strict {
            one.answer().await.has_status(503).has_body("no");
        }
    }
    assert_eq!(app.calls("/x"), 3);
}

#[tokio::test]
async fn a_slow_app_is_no_reason_not_to_wait() {
    let (app, sidecar, client) = stage(&rule("")).await;
    let hold = app.hold("/x");
    let slow = client.begin(get("/x")).await;
    let held = hold.arrived().await;
    sidecar.wait(11); // longer than the response is fresh
    held.release(reply("a")).await;
    slow.answer().await.is_unstored("too-slow").has_body("a");
    let (first, held, second) = two(&app, &sidecar, &client).await;
    assert_eq!(app.calls("/x"), 2, "the second waits");
    held.release(reply("b")).await;
    first.answer().await.is_miss();
    second.answer().await.is_shared();

    sidecar.inc("X").await;
    let hold = app.hold("/x");
    let slow = client.begin(get("/x")).await;
    let held = hold.arrived().await;
    sidecar.wait(11);
    held.release(reply("c")).await;
    assert_eq!(slow.answer().await.detail(), "too-slow");
}
