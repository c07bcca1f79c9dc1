//! What a rule lets be served after an increment, after a soft life, or though the app fails; and for how long.

use std::time::Duration;

use crate::support::Answer;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;
use crate::support::stage;

/// A rule for `/x` with the tag `X` and these fields.
fn rule(fields: &str) -> String {
    format!("  - {{ id: x, match: {{ path: /x }}, tags: [X], {fields} }}\n")
}

/// App, sidecar with that rule, client; `/x` is stored as `a`, once asked for.
async fn filled(fields: &str) -> (Origin, Sidecar, Client) {
    let (app, sidecar, client) = stage(&rule(fields)).await;
    app.answer("/x", reply("a"));
    client.get("/x").await.is_miss().has_body("a");
    (app, sidecar, client)
}

/// Asks until what was fetched behind the answers has arrived.
async fn fetched(app: &Origin, calls: usize, client: &Client) -> Answer {
    let asking = async {
        loop {
            let answer = client.get("/x").await;
            let said = answer.cache_status().unwrap_or_default();
            if said.contains_key("hit") && !said.contains_key("detail") {
                return answer;
            }
        }
    };
    let answer = soon("a fresh answer", asking).await;
    assert_eq!(app.calls("/x"), calls);
    answer
}

const STALE: &str = "ttl: 600s, on_invalidate: { mode: stale, max_stale: 60s }";

#[tokio::test]
async fn l05_a_failed_refill_does_not_make_the_old_entry_fresh() {
    // Story 15.
    let (app, sidecar, client) = filled(STALE).await;
    app.answer("/x", reply("no").status(500));
    sidecar.inc("X").await;
    let hold = app.hold("/x");
    client.get("/x").await.is_stale("invalidated").has_body("a");
    hold.arrived().await.release(reply("no").status(500)).await;
    sidecar.settle().await;

    let hold = app.hold("/x");
    client.get("/x").await.is_stale("invalidated").has_body("a");
    hold.arrived().await.release(reply("b")).await;
    fetched(&app, 3, &client).await.has_body("b");
}

#[tokio::test]
async fn l05_without_leave_to_serve_it_an_invalidated_entry_is_never_served() {
    // Story 15.5.
    let (app, sidecar, client) = filled("ttl: 600s").await;
    app.answer("/x", reply("no").status(500));
    sidecar.inc("X").await;
    client.get("/x").await.has_status(500).has_body("no");
    app.answer("/x", reply("b"));
    client.get("/x").await.has_body("b");
}

#[tokio::test]
async fn after_an_increment_all_get_the_old_one_while_one_fill_runs() {
    // F4.
    for (fields, increment) in [
        (STALE, "X"),
        ("ttl: 600s", "X;soft"),
        (
            "ttl: 600s, on_invalidate: { mode: refresh, delay: 30s }",
            "X;soft",
        ),
    ] {
        let (app, sidecar, client) = filled(fields).await;
        sidecar.inc(increment).await;
        let hold = app.hold("/x");
        for _ in 0..10 {
            client.get("/x").await.is_stale("invalidated").has_body("a");
        }
        let held = hold.arrived().await;
        client.get("/x").await.is_stale("invalidated").has_body("a");
        held.release(reply("b")).await;
        fetched(&app, 2, &client).await.has_body("b");
    }
}

#[tokio::test]
async fn a_hard_increment_ends_what_a_soft_one_allows() {
    let (app, sidecar, client) = filled("ttl: 600s").await;
    sidecar.inc("X;soft").await;
    sidecar.inc("X").await;
    app.answer("/x", reply("b"));
    client.get("/x").await.is_invalidated().has_body("b");

    // In either order, and by two tags: hard is hard.
    sidecar.inc("X").await;
    sidecar.inc("X;soft").await;
    app.answer("/x", reply("c"));
    client.get("/x").await.is_invalidated().has_body("c");
}

#[tokio::test]
async fn max_stale_counts_from_the_first_increment() {
    let (app, sidecar, client) = filled(STALE).await;
    app.answer("/x", reply("no").status(500));
    sidecar.inc("X").await;
    client.get("/x").await.is_stale("invalidated");
    sidecar.wait(40);
    sidecar.inc("X").await; // puts nothing off
    sidecar.wait(20);
    let answer = client.get("/x").await;
    answer.is_stale("invalidated").has_body("a");
    assert_eq!(answer.ttl(), -60);
    sidecar.wait(1);
    client.get("/x").await.has_status(500);
    app.answer("/x", reply("b"));
    client.get("/x").await.has_body("b");
    client.get("/x").await.is_hit().has_body("b");
}

#[tokio::test]
async fn who_wants_nothing_stale_gets_nothing_invalidated() {
    for wish in ["no-cache", "max-age=60", "min-fresh=1"] {
        let (app, sidecar, client) = filled(STALE).await;
        sidecar.inc("X").await;
        app.answer("/x", reply("b"));
        let answer = client.get_with("/x", "Cache-Control", wish).await;
        answer.has_body("b");
        assert_eq!(app.calls("/x"), 2, "{wish}");
    }
}

#[tokio::test]
async fn what_has_expired_too_is_not_served_after_an_increment() {
    let (app, sidecar, client) =
        filled("ttl: 10s, on_invalidate: { mode: stale, max_stale: 60s }").await;
    sidecar.inc("X").await;
    sidecar.wait(10);
    app.answer("/x", reply("b"));
    client.get("/x").await.is_invalidated().has_body("b");
}

#[tokio::test]
async fn what_has_expired_too_is_not_served_after_an_increment_where_the_app_fails() {
    let (app, sidecar, client) = filled("ttl: 10s, on_invalidate: { mode: stale }").await;
    app.answer("/x", reply("no").status(500));
    sidecar.wait(9);
    sidecar.inc("X").await;
    client.get("/x").await.is_stale("invalidated").has_body("a");
    sidecar.settle().await;
    sidecar.wait(1);
    client.get("/x").await.has_status(500).has_body("no");
}

#[tokio::test]
async fn a_fill_from_before_the_increment_is_not_the_one_that_is_waited_for() {
    // L1: the one that runs will bring what is too old, so another starts at once.
    let (app, sidecar, client) = filled(&format!("soft_ttl: 5s, {STALE}")).await;
    sidecar.wait(5);
    let hold = app.hold("/x");
    client.get("/x").await.is_stale("soft-stale");
    let older = hold.arrived().await;
    sidecar.inc("X").await;
    let hold = app.hold("/x");
    client.get("/x").await.is_stale("invalidated").has_body("a");
    let newer = hold.arrived().await;
    older.release(reply("older")).await;
    sidecar.settle().await;
    client.get("/x").await.is_stale("invalidated").has_body("a");
    newer.release(reply("b")).await;
    fetched(&app, 3, &client).await.has_body("b");
}

#[tokio::test]
async fn where_the_app_fails_an_invalidated_response_is_served_only_if_the_rule_says_so() {
    for (name, fields, served) in [
        ("expired only", "stale_if_error: 60s", false),
        (
            "said so",
            "on_invalidate: { if_error: stale, max_stale: 30s }",
            true,
        ),
        (
            "said not to",
            "stale_if_error: 60s, on_invalidate: { if_error: error }",
            false,
        ),
    ] {
        let (app, sidecar, client) = filled(&format!("ttl: 600s, {fields}")).await;
        app.answer("/x", reply("no").status(503));
        sidecar.inc("X").await;
        let answer = client.get("/x").await;
        if served {
            answer.is_stale("invalidated").has_body("a");
            sidecar.wait(30);
            client.get("/x").await.is_stale("invalidated").has_body("a");
            sidecar.wait(1);
        }
        client.get("/x").await.has_status(503).has_body("no");
        assert!(app.calls("/x") >= 3, "{name}");
    }
}

#[tokio::test]
async fn an_app_that_is_away_is_stood_in_for_too() {
    let (app, sidecar, client) =
        filled("ttl: 600s, on_invalidate: { if_error: stale, max_stale: 30s }").await;
    sidecar.inc("X").await;
    app.close().await;
    client.get("/x").await.is_stale("invalidated").has_body("a");
    client.head("/x").await.is_stale("invalidated");
    sidecar.wait(31);
    client.get("/x").await.is_problem(502);
}

#[tokio::test]
async fn an_increment_on_an_error_counts_though_something_stale_answers_in_its_place() {
    let rules = rule("ttl: 10s, stale_if_error: 60s")
        + "  - { id: y, match: { path: /y }, tags: [Y], ttl: 60s }\n";
    let (app, sidecar, client) = stage(&rules).await;
    app.answer("/x", reply("a"));
    app.answer("/y", reply("y"));
    client.get("/x").await.is_miss();
    client.get("/y").await.is_miss();
    sidecar.wait(10);
    let failing = reply("no").status(503).header("Cache-Tag-Increment", "Y");
    app.answer("/x", failing);
    client
        .get("/x")
        .await
        .is_stale("stale-if-error")
        .has_body("a");
    client.get("/y").await.is_invalidated();
}

#[tokio::test]
async fn past_its_soft_life_it_is_served_and_fetched_again_behind_that() {
    // Story 16.1, 16.2.
    let (app, sidecar, client) = filled("ttl: 10s, soft_ttl: 1s, revalidate: background").await;
    sidecar.clock.advance(Duration::from_millis(500));
    client.get("/x").await.is_hit().has_body("a");
    sidecar.clock.advance(Duration::from_millis(1_500));
    let hold = app.hold("/x");
    let answer = client.get("/x").await;
    answer.is_stale("soft-stale").has_body("a");
    assert_eq!(answer.ttl(), 8);
    let held = hold.arrived().await;
    client.get("/x").await.is_stale("soft-stale").has_body("a"); // and asks nobody
    held.release(reply("b")).await;
    fetched(&app, 2, &client).await.has_body("b");
}

#[tokio::test]
async fn past_its_soft_life_it_is_fetched_again_first_if_the_rule_says_so() {
    // Story 16.3.
    let (app, sidecar, client) = filled("ttl: 10s, soft_ttl: 1s, revalidate: sync").await;
    sidecar.wait(2);
    app.answer("/x", reply("b"));
    client.get("/x").await.is_expired().has_body("b");
    assert_eq!(app.calls("/x"), 2);

    // Its life is not over: it is there when the app is not.
    sidecar.wait(2);
    app.answer("/x", reply("no").status(500));
    client.get("/x").await.is_stale("soft-stale").has_body("b");
    sidecar.wait(8);
    client.get("/x").await.has_status(500);
}

#[tokio::test]
async fn a_refresh_behind_a_soft_life_that_fails_is_tried_again() {
    let (app, sidecar, client) = filled("ttl: 100s, soft_ttl: 1s").await;
    sidecar.wait(1);
    for calls in 2..5 {
        let hold = app.hold("/x");
        client.get("/x").await.is_stale("soft-stale").has_body("a");
        hold.arrived().await.release(reply("no").status(502)).await;
        sidecar.settle().await;
        assert_eq!(app.calls("/x"), calls);
    }
    sidecar.wait(99);
    app.answer("/x", reply("b"));
    client.get("/x").await.is_expired().has_body("b");
}

#[tokio::test]
async fn a_304_begins_a_new_soft_life() {
    let (app, sidecar, client) = stage(&rule("ttl: 100s, soft_ttl: 10s")).await;
    app.on("/x", |call| match call.field("if-none-match") {
        Some(_) => crate::support::not_modified().etag("\"1\""),
        None => reply("a").etag("\"1\""),
    });
    client.get("/x").await.is_miss();
    sidecar.wait(10);
    client.get("/x").await.is_stale("soft-stale");
    fetched(&app, 2, &client).await.has_body("a");
    sidecar.wait(9);
    client.get("/x").await.is_hit();
    sidecar.wait(1);
    client.get("/x").await.is_stale("soft-stale");
}

#[tokio::test]
async fn statuses_say_how_long_failures_are_remembered() {
    // S2, F11.
    let fields = "ttl: 600s, statuses: { 404: 10s, 500: 1s, 302: inherit, 410: 0 }";
    for (status, life) in [
        (404, Some(10)),
        (500, Some(1)),
        (302, Some(600)),
        (410, None),
        (403, None),
    ] {
        let (app, sidecar, client) = stage(&rule(fields)).await;
        app.answer("/x", reply("gone").status(status));
        client.get("/x").await.has_status(status);
        let second = client.get("/x").await;
        second.has_status(status).has_body("gone");
        let Some(life) = life else {
            assert_eq!(app.calls("/x"), 2, "{status}");
            continue;
        };
        second.is_hit();
        sidecar.wait(life - 1);
        client.get("/x").await.is_hit();
        sidecar.wait(1);
        client.get("/x").await.is_expired();
    }
}

#[tokio::test]
async fn jitter_lets_entries_expire_earlier_by_chance_and_never_later() {
    // S17.
    let rules = "  - { id: x, match: { path: '/x/.*' }, ttl: 100s, jitter: 0.1 }\n";
    let (app, _sidecar, client) = stage(rules).await;
    app.otherwise(|_| reply("x"));
    let mut connection = client.connect().await;
    let mut lives = Vec::new();
    for n in 0..200 {
        let path = format!("/x/{n}");
        connection.get(&path).await.is_miss();
        lives.push(connection.get(&path).await.ttl());
    }
    assert!(
        lives.iter().all(|life| (89..=100).contains(life)),
        "{lives:?}"
    );
    lives.sort_unstable();
    lives.dedup();
    assert!(lives.len() > 5, "spread: {lives:?}"); // of 200, all in 5 of 11 seconds: less likely than 1e-60
}

#[tokio::test]
async fn a_request_that_asks_for_stored_responses_only_starts_nothing() {
    let (app, sidecar, client) = filled(STALE).await;
    sidecar.inc("X").await;
    let only = get("/x").with("Cache-Control", "only-if-cached");
    client.ask(only).await.is_stale("invalidated").has_body("a");
    sidecar.settle().await;
    assert_eq!(app.calls("/x"), 1);
    client.ask(ask("HEAD", "/x")).await.is_stale("invalidated");
}

#[tokio::test]
async fn a_write_to_the_uri_itself_is_an_increment_like_any_other() {
    let (app, _sidecar, client) = filled(STALE).await;
    client.ask(post("/x")).await.is_method();
    let hold = app.hold("/x");
    client.get("/x").await.is_stale("invalidated").has_body("a");
    hold.arrived().await.release(reply("b")).await;
    fetched(&app, 3, &client).await.has_body("b");
}

#[tokio::test]
async fn l05_what_counts_is_what_has_been_incremented_when_the_app_has_failed() {
    let fields = "ttl: 10s, stale_if_error: 600s";
    for (before, meanwhile, served) in [
        (Some("X;soft"), "X", false),
        (None, "X", false),
        (None, "X;soft", true),
        (Some("X;soft"), "Other", true),
    ] {
        let (app, sidecar, client) = filled(fields).await;
        sidecar.wait(11);
        if let Some(before) = before {
            sidecar.inc(before).await;
        }
        let hold = app.hold("/x");
        let pending = client.begin(get("/x")).await;
        let held = hold.arrived().await;
        sidecar.inc(meanwhile).await;
        held.release(reply("no").status(500)).await;
        let answer = pending.answer().await;
        if served {
            answer.is_stale("invalidated").has_body("a");
        } else {
            answer.has_status(500);
        }
    }
}

#[tokio::test]
async fn the_old_one_is_served_until_its_fill_is_done_whatever_that_brings() {
    for increment in ["X", "X;soft"] {
        let (app, sidecar, client) = filled(STALE).await;
        sidecar.inc(increment).await;
        let hold = app.hold("/x");
        client.get("/x").await.is_stale("invalidated").has_body("a");
        app.answer("/x", reply("mine").control("private"));
        hold.arrived()
            .await
            .release(reply("mine").control("private"))
            .await;
        sidecar.settle().await;
        client.get("/x").await.has_status(200).has_body("mine");
        assert_eq!(app.calls("/x"), 3);
    }
}

#[tokio::test]
async fn an_error_never_takes_the_place_of_what_may_still_be_served() {
    // Whatever the client wished for that happened to be the first.
    for first in ["max-age=300", "no-cache", ""] {
        let fields = "ttl: 600s, soft_ttl: 10s, stale_if_error: 600s, statuses: { 5xx: 60s }";
        let (app, sidecar, client) = filled(fields).await;
        sidecar.wait(20);
        let hold = app.hold("/x");
        let pending = client.begin(get("/x").with("Cache-Control", first)).await;
        hold.arrived().await.release(reply("no").status(500)).await;
        let status = if first == "no-cache" { 500 } else { 200 };
        pending.answer().await.has_status(status);
        sidecar.settle().await;
        client.get("/x").await.is_stale("soft-stale").has_body("a");
    }
}

#[tokio::test]
async fn past_its_soft_life_it_is_still_fresh_for_who_can_have_nothing_else() {
    let (app, sidecar, client) = filled("ttl: 600s, soft_ttl: 10s, revalidate: sync").await;
    sidecar.wait(20);
    let with = |wish: &str| get("/x").with("Cache-Control", wish);
    client
        .ask(with("only-if-cached"))
        .await
        .is_stale("soft-stale")
        .has_body("a");
    app.answer("/x", reply("no").status(500));
    client
        .ask(with("max-age=300"))
        .await
        .is_stale("soft-stale")
        .has_body("a");
    client.ask(with("max-age=10")).await.has_status(500);
}

#[tokio::test]
async fn what_the_schedule_leaves_alone_because_it_has_expired_is_the_requests_to_fetch() {
    let (app, sidecar, client) = filled(
        "ttl: 10s, stale_while_revalidate: 600s, on_invalidate: { mode: refresh, delay: 5s, max_stale: 60s }",
    )
    .await;
    sidecar.wait(8);
    sidecar.inc("X").await;
    sidecar.wait(30);
    let hold = app.hold("/x");
    client.get("/x").await.is_stale("invalidated").has_body("a");
    hold.arrived().await.release(reply("b")).await;
    fetched(&app, 2, &client).await.has_body("b");
}

#[tokio::test]
async fn max_stale_of_zero_serves_nothing() {
    let (app, sidecar, client) = filled("ttl: 600s, on_invalidate: { max_stale: 0 }").await;
    app.answer("/x", reply("b"));
    sidecar.inc("X;soft").await;
    client.get("/x").await.is_invalidated().has_body("b");
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_no_max_stale() {
    let (app, sidecar, client) = stage(&rule(
        "ttl: 6000s, on_invalidate: { mode: stale, max_stale: 60s }",
    ))
    .await;
    let start = sidecar.clock.now();
    sidecar.wait(1_000);
    sidecar.inc("Y").await; // stamps never go back (L3), so they are ahead of the clock from here on
    sidecar.clock.set(start);
    app.answer("/x", reply("a"));
    client.get("/x").await.is_miss();
    sidecar.inc("X").await;
    app.answer("/x", reply("no").status(500));
    client.get("/x").await.is_stale("invalidated");
    sidecar.settle().await;
    sidecar.wait(61);
    client.get("/x").await.has_status(500);
}

#[tokio::test]
async fn a_clock_set_back_after_an_increment_was_noticed_ends_what_it_allowed() {
    let (app, sidecar, client) = filled(&STALE.replace("600s", "6d")).await;
    sidecar.wait(3_600);
    app.answer("/x", reply("no").status(500));
    sidecar.inc("X").await;
    client.get("/x").await.is_stale("invalidated");
    sidecar.settle().await;
    let now = sidecar.clock.now();
    sidecar.clock.set(now - Duration::from_secs(1_800));
    client.get("/x").await.has_status(500);
}

#[tokio::test]
async fn what_the_app_says_is_nobody_elses_takes_the_place_of_what_was_served_stale() {
    for (fields, increment) in [
        ("ttl: 600s, soft_ttl: 10s", None),
        ("ttl: 10s, stale_while_revalidate: 600s", None),
        (STALE, Some("X")),
    ] {
        let (app, sidecar, client) = filled(fields).await;
        match increment {
            Some(tag) => sidecar.inc(tag).await,
            None => sidecar.wait(11),
        }
        app.answer("/x", reply("mine").control("private"));
        client.get("/x").await.has_body("a");
        sidecar.settle().await;
        client.get("/x").await.has_body("mine");
        assert_eq!(app.calls("/x"), 3, "{fields}");
    }
}

#[tokio::test]
async fn what_was_for_one_clients_cookie_ends_nothing_for_others() {
    let (app, sidecar, client) = stage(&rule(&format!("{STALE}, cookies: key_or_public"))).await;
    let public = |body: &str| reply(body).control("public");
    app.answer("/x", public("a"));
    client.get("/x").await.is_miss();
    sidecar.inc("X").await;
    app.answer("/x", reply("mine"));
    let with = get("/x").with("Cookie", "sid=1");
    client.ask(with).await.is_stale("invalidated").has_body("a");
    sidecar.settle().await;
    assert_eq!(app.calls("/x"), 2);
    app.answer("/x", public("b"));
    client.get("/x").await.is_stale("invalidated").has_body("a");
    fetched(&app, 3, &client).await.has_body("b");
}

#[tokio::test]
async fn l09_failures_are_remembered_again_and_again() {
    for fields in [
        "ttl: 600s, stale_if_error: 600s, statuses: { 5xx: 10s }",
        "ttl: 600s, soft_ttl: 10s, statuses: { 5xx: 60s }",
    ] {
        let (app, sidecar, client) = stage(&rule(fields)).await;
        app.answer("/x", reply("no").status(503));
        client.get("/x").await.has_status(503);
        client.get("/x").await.has_status(503);
        assert_eq!(app.calls("/x"), 1, "{fields}");
        sidecar.wait(11);
        for _ in 0..5 {
            client.get("/x").await.has_status(503);
            sidecar.settle().await;
        }
        assert_eq!(app.calls("/x"), 2, "{fields}");
    }
}
