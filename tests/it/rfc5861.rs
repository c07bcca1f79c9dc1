//! What is served though it is stale: while it is fetched again, when the app fails, when it cannot be reached (RFC 5861,
//! RFC 9111 §4.2.4); and what never is.

use std::time::Duration;

use crate::support::Answer;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::reply;
use crate::support::soon;
use crate::support::stage;
use crate::support::verbatim;

const BEHIND: &str = "stale-while-revalidate";
const FAILED: &str = "stale-if-error";

/// Fresh for ten seconds, with more directives.
fn answer(body: &str, more: &str) -> Reply {
    reply(body).header("Cache-Control", format!("max-age=10{more}"))
}

fn swr(body: &str) -> Reply {
    answer(body, ", stale-while-revalidate=30")
}

fn sie(body: &str) -> Reply {
    answer(body, ", stale-if-error=30")
}

/// A sidecar without rules that stored this for `/a`, and on whose clock so much has passed since then.
async fn stored(answer: Reply, seconds: u64) -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    stored_by(app, sidecar, answer, seconds).await
}

async fn stored_by(
    app: Origin,
    sidecar: Sidecar,
    answer: Reply,
    seconds: u64,
) -> (Origin, Sidecar, Client) {
    let client = sidecar.client();
    app.answer("/a", answer);
    client.get("/a").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(seconds));
    (app, sidecar, client)
}

async fn with_rule(fields: &str, answer: Reply, seconds: u64) -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let rule = format!("  - {{ id: a, match: {{ path: /a }}, {fields} }}\n");
    let sidecar = Sidecar::with_rules(&app, &rule).await;
    stored_by(app, sidecar, answer, seconds).await
}

/// The first answer that is not stale, once what is fetched behind has arrived.
async fn refreshed(client: &Client) -> Answer {
    let asking = async {
        loop {
            let answer = client.get("/a").await;
            if answer.ttl() >= 0 {
                return answer;
            }
        }
    };
    soon("a fresh answer", asking).await
}

#[tokio::test]
async fn rfc5861_3_stale_at_once_while_one_fetch_runs_behind() {
    // F6.
    let (app, sidecar, client) = stored(swr("old"), 15).await;
    let hold = app.hold("/a");
    let first = client.get("/a").await;
    first
        .is_stale(BEHIND)
        .has_body("old")
        .has_field("age", "15");
    assert_eq!(first.ttl(), -5);
    let held = hold.arrived().await;
    for pending in client.begin_many(8, &get("/a")).await {
        pending.answer().await.is_stale(BEHIND).has_body("old");
    }
    sidecar.settle().await;
    assert_eq!(app.calls("/a"), 2);
    held.release(swr("new")).await;
    let next = refreshed(&client).await;
    assert_eq!(next.is_hit().has_body("new").ttl(), 10);
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc5861_3_the_window_ends() {
    for (seconds, served) in [(10, true), (40, true), (41, false)] {
        let (app, _sidecar, client) = stored(swr("old"), seconds).await;
        app.answer("/a", swr("new"));
        let answer = client.get("/a").await;
        if served {
            answer.is_stale(BEHIND).has_body("old");
        } else {
            answer.is_expired().has_body("new");
        }
        refreshed(&client).await.has_body("new");
        assert_eq!(app.calls("/a"), 2, "{seconds}");
    }
}

#[tokio::test]
async fn rfc5861_3_the_rule_speaks_where_the_response_does_not() {
    let life = "max-age=10";
    for (name, rule, said, served) in [
        ("the rule", "stale_while_revalidate: 30s", life, true),
        ("the rule, over", "stale_while_revalidate: 4s", life, false),
        ("neither", "ttl: 10s", life, false),
        ("the rule's none", "stale_while_revalidate: 0", life, false),
        (
            "the response's none",
            "stale_while_revalidate: 30s",
            "max-age=10, stale-while-revalidate=0",
            false,
        ),
        (
            "the response, longer",
            "stale_while_revalidate: 0",
            "max-age=10, stale-while-revalidate=30",
            true,
        ),
        (
            "a malformed one allows nothing",
            "ttl: 10s",
            "max-age=10, stale-while-revalidate=abc",
            false,
        ),
        (
            "banned by the response",
            "stale_while_revalidate: 30s",
            "max-age=10, must-revalidate",
            false,
        ),
    ] {
        let old = reply("old").header("Cache-Control", said);
        let (app, _sidecar, client) = with_rule(rule, old, 15).await;
        app.answer("/a", answer("new", ""));
        let got = client.get("/a").await;
        assert_eq!(
            got.text(),
            if served { "old" } else { "new" },
            "{name}:\n{got}"
        );
        if served {
            got.is_stale(BEHIND);
        } else {
            got.is_expired();
        }
    }
}

#[tokio::test]
async fn rfc5861_3_a_client_that_wants_a_fresh_one_waits_for_it() {
    for wish in ["no-cache", "max-age=60", "max-age=0", "min-fresh=1"] {
        let (app, _sidecar, client) = stored(swr("old"), 15).await;
        app.answer("/a", swr("new"));
        let answer = client.get_with("/a", "Cache-Control", wish).await;
        answer.is_not_hit().has_body("new");
        assert_eq!(app.calls("/a"), 2, "{wish}");
    }
    let (_app, _sidecar, client) = stored(swr("old"), 15).await;
    let cached = client
        .get_with("/a", "Cache-Control", "only-if-cached")
        .await;
    cached.is_stale(BEHIND).has_body("old");
}

#[tokio::test]
async fn l01_what_was_invalidated_is_not_served_while_it_is_fetched() {
    for seconds in [5, 15] {
        let (app, sidecar, client) = stored(swr("old").header("Cache-Tag", "A"), seconds).await;
        sidecar.inc("A").await;
        app.answer("/a", swr("new"));
        client.get("/a").await.is_invalidated().has_body("new");
    }
}

#[tokio::test]
async fn l01_a_fetch_behind_that_began_before_an_increment_is_not_stored() {
    let tagged = |body: &str| swr(body).header("Cache-Tag", "A");
    let (app, sidecar, client) = stored(tagged("old"), 15).await;
    let hold = app.hold("/a");
    client.get("/a").await.is_stale(BEHIND);
    let held = hold.arrived().await;
    sidecar.inc("A").await;
    app.answer("/a", tagged("new"));
    let waiting = client.begin(get("/a")).await;
    held.release(tagged("between")).await;
    waiting.answer().await.is_invalidated().has_body("new");
    client.get("/a").await.is_hit().has_body("new");
    assert_eq!(app.calls("/a"), 3);
}

#[tokio::test]
async fn l05_a_failed_fetch_behind_leaves_the_old_one_stale_and_is_tried_again() {
    for (name, failing) in [
        ("500", reply("broken").status(500)),
        (
            "404 unstorable",
            reply("").status(404).header("Cache-Control", "no-store"),
        ),
        ("reset", Reply::reset()),
        ("cut", swr("new").cut()),
        ("malformed", verbatim("no HTTP\r\n\r\n")),
    ] {
        let (app, sidecar, client) = impatient(swr("old"), 15).await;
        app.answer("/a", failing.clone());
        for _ in 0..3 {
            let hold = app.hold("/a");
            client.get("/a").await.is_stale(BEHIND).has_body("old");
            hold.arrived().await.release(failing.clone()).await;
            sidecar.settle().await;
        }
        app.answer("/a", swr("new"));
        client.get("/a").await.is_stale(BEHIND).has_body("old");
        let next = refreshed(&client).await;
        assert_eq!(next.text(), "new", "{name}:\n{next}");
    }
}

#[tokio::test]
async fn rfc5861_3_a_304_behind_makes_it_fresh_again() {
    let tagged = swr("old").header("ETag", "\"v1\"");
    let (app, _sidecar, client) = stored(tagged.clone(), 15).await;
    let not_modified = Reply {
        body: Vec::new(),
        ..tagged.status(304)
    };
    app.answer("/a", not_modified);
    let known = client.get_with("/a", "If-None-Match", "\"v1\"").await;
    known.is_stale(BEHIND).has_status(304);
    let next = refreshed(&client).await;
    assert_eq!(next.is_hit().has_body("old").ttl(), 10);
    assert_eq!(
        app.last("/a").field("if-none-match").as_deref(),
        Some("\"v1\"")
    );
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc5861_3_whoever_starts_the_fetch_it_brings_the_whole() {
    for (name, request, status, body) in [
        ("HEAD", ask("HEAD", "/a"), 200, ""),
        ("a range", get("/a").with("Range", "bytes=1-2"), 206, "ld"),
        (
            "a condition",
            get("/a").with("If-Modified-Since", "Wed, 18 May 2033 03:33:20 GMT"),
            304,
            "",
        ),
        (
            "max-stale",
            get("/a").with("Cache-Control", "max-stale=100"),
            200,
            "old",
        ),
    ] {
        let (app, _sidecar, client) = stored(swr("old"), 15).await;
        app.on("/a", |call| {
            assert_eq!(call.method, "GET");
            swr("new, and longer")
        });
        let first = client.ask(request).await;
        assert_eq!(first.status, status, "{name}:\n{first}");
        first.is_stale(BEHIND).has_body(body);
        let next = refreshed(&client).await;
        assert_eq!(next.text(), "new, and longer", "{name}:\n{next}");
        assert_eq!(app.last("/a").method, "GET", "{name}");
        assert_eq!(app.last("/a").field("range"), None, "{name}");
        assert_eq!(app.calls("/a"), 2, "{name}");
    }
}

#[tokio::test]
async fn rfc9111_5_2_1_who_lets_nothing_be_stored_or_asked_starts_no_fetch_behind() {
    for wish in ["no-store", "only-if-cached"] {
        let (app, sidecar, client) = stored(swr("old"), 15).await;
        app.answer("/a", swr("new"));
        let answer = client.get_with("/a", "Cache-Control", wish).await;
        answer.is_stale(BEHIND).has_body("old");
        sidecar.settle().await;
        assert_eq!(app.calls("/a"), 1, "{wish}");
        client.get("/a").await.is_stale(BEHIND).has_body("old");
        refreshed(&client).await.has_body("new");
    }
}

#[tokio::test]
async fn rfc5861_3_a_fetch_behind_outlives_the_client_that_started_it() {
    let (app, sidecar, client) = stored(swr("old"), 15).await;
    let hold = app.hold("/a");
    let mut connection = client.connect().await;
    connection.get("/a").await.is_stale(BEHIND);
    drop(connection);
    let mut body = hold.arrived().await.begin(swr("ne")).await;
    sidecar.settle().await;
    body.send(b"w").await;
    body.end().await;
    refreshed(&client).await.has_body("new");
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc5861_3_a_range_of_a_stale_part_fetches_that_part_behind() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let part = swr("2345")
        .status(206)
        .header("Content-Range", "bytes 2-5/10");
    app.answer("/a", part.header("ETag", "\"v1\""));
    let range = || get("/a").with("Range", "bytes=2-5");
    client.ask(range()).await.is_miss();
    sidecar.clock.advance(Duration::from_secs(15));
    app.answer("/a", swr("0123456789"));
    client
        .ask(range())
        .await
        .is_stale(BEHIND)
        .has_status(206)
        .has_body("2345");
    refreshed(&client).await.has_body("0123456789");
    assert_eq!(app.last("/a").field("range").as_deref(), Some("bytes=2-5"));
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn rfc5861_4_a_stored_part_stands_in_for_what_lies_inside() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let part = sie("2345").status(206);
    app.answer("/a", part.header("Content-Range", "bytes 2-5/10"));
    let range = async |range: &str| client.get_with("/a", "Range", range).await;
    range("bytes=2-5").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(15));
    app.answer("/a", reply("broken").status(503));
    let inside = range("bytes=3-4").await;
    inside.is_stale(FAILED).has_status(206).has_body("34");
    range("bytes=0-4").await.has_status(503).has_body("broken");
    client.get("/a").await.has_status(503).has_body("broken");
    app.close().await;
    client.get("/a").await.is_problem(502);
    range("bytes=2-2").await.is_stale(FAILED).has_body("2");
}

#[tokio::test]
async fn rfc9111_4_1_a_variant_may_be_used_stale_like_any_other() {
    let varied = |body: &str| sie(body).header("Vary", "X-Case");
    let (app, sidecar, client) = stored(varied("old"), 15).await;
    app.answer("/a", varied("upper"));
    let upper = || get("/a").with("X-Case", "upper");
    client.ask(upper()).await.is_vary_miss();
    sidecar.clock.advance(Duration::from_secs(15));
    app.close().await;
    client.get("/a").await.is_stale(FAILED).has_body("old");
    client.ask(upper()).await.is_stale(FAILED).has_body("upper");
    let other = get("/a").with("X-Case", "other");
    client.ask(other).await.is_problem(502);
}

/// Every way in which an app fails that `stale-if-error` is about.
fn failures() -> Vec<(&'static str, Reply)> {
    vec![
        ("500", reply("broken").status(500)),
        ("502", reply("broken").status(502)),
        ("503", reply("broken").status(503)),
        ("504", reply("broken").status(504)),
        ("reset", Reply::reset()),
        ("closed", Reply::hang_up()),
        ("silent", Reply::silent()),
        ("cut in its head", verbatim("HTTP/1.1 200 OK\r\nCache-Con")),
    ]
}

/// Before an app that is asked once and not waited for long. The first connection is closed: what breaks on one that was
/// kept is asked once more (RFC 9112 §9.3.1).
async fn impatient(answer: Reply, seconds: u64) -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let upstream = "retries: 0, read_timeout: 200ms";
    let sidecar = Setup::new(&app).upstream(upstream).start().await;
    stored_by(app, sidecar, answer.until_close(), seconds).await
}

#[tokio::test]
async fn rfc5861_4_what_is_stored_in_place_of_an_error_and_the_app_asked_each_time() {
    // F6.
    for (name, failing) in failures() {
        let (app, _sidecar, client) = impatient(sie("old"), 15).await;
        app.answer("/a", failing);
        for calls in 2..5 {
            let answer = client.get("/a").await;
            assert_eq!(answer.text(), "old", "{name}:\n{answer}");
            answer
                .is_stale(FAILED)
                .has_status(200)
                .has_field("age", "15");
            assert_eq!(answer.ttl(), -5);
            assert_eq!(app.calls("/a"), calls, "{name}");
        }
        app.answer("/a", sie("new"));
        client.get("/a").await.is_expired().has_body("new");
    }
}

#[tokio::test]
async fn rfc5861_4_a_refused_connection_is_an_error() {
    let (app, _sidecar, client) = stored(sie("old"), 15).await;
    app.close().await;
    for _ in 0..2 {
        client.get("/a").await.is_stale(FAILED).has_body("old");
    }
    let ranged = client.get_with("/a", "Range", "bytes=1-2").await;
    ranged.is_stale(FAILED).has_status(206).has_body("ld");
    client.get("/b").await.is_problem(502);
}

#[tokio::test]
async fn rfc5861_4_other_statuses_are_no_errors() {
    for status in [400, 401, 403, 404, 410, 429, 501, 505] {
        let (app, _sidecar, client) = stored(sie("old"), 15).await;
        app.answer("/a", reply("the app's own").status(status));
        let answer = client.get("/a").await;
        answer
            .has_status(status)
            .has_body("the app's own")
            .is_not_hit();
    }
}

#[tokio::test]
async fn rfc5861_4_the_window_ends() {
    for (seconds, served) in [(10, true), (40, true), (41, false)] {
        let (app, _sidecar, client) = stored(sie("old"), seconds).await;
        app.answer("/a", reply("broken").status(503));
        let answer = client.get("/a").await;
        if served {
            answer.is_stale(FAILED).has_body("old");
        } else {
            answer.has_status(503).has_body("broken").is_not_stored();
        }
    }
    let (app, _sidecar, client) = stored(sie("old"), 41).await;
    app.close().await;
    client.get("/a").await.is_problem(502); // the window is named, so there is no other
}

#[tokio::test]
async fn rfc5861_4_the_rule_and_the_client_speak_too() {
    let none = "";
    for (name, rule, said, wish, served) in [
        ("nobody", "ttl: 10s", none, none, false),
        ("the rule", "stale_if_error: 30s", none, none, true),
        ("the rule, over", "stale_if_error: 4s", none, none, false),
        (
            "the response's none",
            "stale_if_error: 30s",
            ", stale-if-error=0",
            none,
            false,
        ),
        (
            "the response",
            "stale_if_error: 0",
            ", stale-if-error=30",
            none,
            true,
        ),
        ("the client", "ttl: 10s", none, "stale-if-error=30", true),
        (
            "the client, over",
            "ttl: 10s",
            none,
            "stale-if-error=4",
            false,
        ),
        (
            "the client, banned",
            "ttl: 10s",
            ", must-revalidate",
            "stale-if-error=30",
            false,
        ),
        (
            "the rule, banned",
            "stale_if_error: 30s",
            ", must-revalidate",
            none,
            false,
        ),
        (
            "the client, no-cache",
            "stale_if_error: 30s",
            none,
            "no-cache",
            false,
        ),
        (
            "the client, max-age",
            "stale_if_error: 30s",
            none,
            "max-age=60",
            false,
        ),
        (
            "the client, min-fresh",
            "stale_if_error: 30s",
            none,
            "min-fresh=1",
            false,
        ),
        ("malformed", "ttl: 10s", ", stale-if-error=abc", none, false),
    ] {
        let (app, _sidecar, client) = with_rule(rule, answer("old", said), 15).await;
        app.answer("/a", reply("broken").status(503));
        let got = match wish {
            "" => client.get("/a").await,
            wish => client.get_with("/a", "Cache-Control", wish).await,
        };
        assert_eq!(
            got.text(),
            if served { "old" } else { "broken" },
            "{name}:\n{got}"
        );
        if served {
            got.is_stale(FAILED);
        } else {
            got.has_status(503).is_not_stored();
        }
    }
}

#[tokio::test]
async fn rfc5861_4_those_who_wait_for_a_failing_fetch_get_the_old_one_too() {
    for (name, failing) in [
        ("503", reply("broken").status(503)),
        ("500", reply("broken").status(500)),
    ] {
        let (app, sidecar, client) = impatient(sie("old").header("ETag", "\"v1\""), 15).await;
        let hold = app.hold("/a");
        let first = client.begin(get("/a")).await;
        let held = hold.arrived().await;
        let others = client.begin_many(5, &get("/a")).await;
        let ranged = client.begin(get("/a").with("Range", "bytes=0-0")).await;
        let strict = client
            .begin(get("/a").with("Cache-Control", "max-age=60"))
            .await;
        settle_briefly(&sidecar).await;
        held.release(failing).await;
        first.answer().await.is_stale(FAILED).has_body("old");
        for other in others {
            other.answer().await.is_stale(FAILED).has_body("old");
        }
        ranged
            .answer()
            .await
            .is_stale(FAILED)
            .has_status(206)
            .has_body("o");
        strict.answer().await.is_collapsed().has_body("broken");
        assert_eq!(app.calls("/a"), 2, "{name}");
    }
}

#[tokio::test]
async fn l09_each_who_waits_for_an_app_that_gives_no_answer_gets_what_it_may_have_at_once() {
    let plain = || get("/a");
    let strict = || get("/a").with("Cache-Control", "max-age=60");
    let cookie = || get("/a").with("Cookie", "sid=1");
    let wishing = || get("/a").with("Cache-Control", "stale-if-error=60");
    for (name, stored, firsts, reason) in [
        (
            "a window",
            sie("old"),
            [plain(), strict(), cookie()],
            FAILED,
        ),
        (
            "none named",
            answer("old", ""),
            [strict(), cookie(), wishing()],
            "disconnected",
        ),
    ] {
        for first in firsts {
            let (app, sidecar, client) = impatient(stored.clone(), 15).await;
            let hold = app.hold("/a");
            let leader = client.begin(first).await;
            let held = hold.arrived().await;
            let served = client.begin_many(4, &plain()).await;
            let refused = client.begin_many(4, &strict()).await;
            let private = client.begin_many(4, &cookie()).await;
            settle_briefly(&sidecar).await;
            drop(held);
            leader.answer().await;
            for served in served {
                served.answer().await.is_stale(reason).has_body("old");
            }
            for refused in refused.into_iter().chain(private) {
                refused.answer().await.is_problem(502);
            }
            assert_eq!(app.calls("/a"), 2, "{name}");
        }
    }
}

/// As [`Sidecar::settle`], within the patience that such a sidecar has with the app.
async fn settle_briefly(sidecar: &Sidecar) {
    sidecar.inc("settled").await;
    sidecar.inc("settled").await;
}

#[tokio::test]
async fn rfc5861_4_a_body_that_breaks_off_is_not_replaced() {
    let (app, _sidecar, client) = stored(sie("old"), 15).await;
    app.answer("/a", sie("new").cut());
    let answer = client.get("/a").await;
    answer.is_cut().is_not_hit();
    assert_eq!(answer.text(), "new");
    app.answer("/a", reply("").status(503));
    client.get("/a").await.is_stale(FAILED).has_body("old");
}

#[tokio::test]
async fn l04_the_increments_of_an_error_count_though_it_is_replaced() {
    let (app, _sidecar, client) = stored(sie("old"), 15).await;
    app.answer(
        "/row",
        reply("row")
            .header("Cache-Control", "max-age=60")
            .header("Cache-Tag", "Row"),
    );
    client.get("/row").await.is_miss();
    app.answer(
        "/a",
        reply("").status(503).header("Cache-Tag-Increment", "Row"),
    );
    client.get("/a").await.is_stale(FAILED);
    client.get("/row").await.is_invalidated();
}

#[tokio::test]
async fn l05_an_error_that_invalidates_what_is_stored_is_not_replaced_by_it() {
    let (app, _sidecar, client) = stored(sie("old").header("Cache-Tag", "A"), 15).await;
    app.answer(
        "/a",
        reply("broken")
            .status(503)
            .header("Cache-Tag-Increment", "A"),
    );
    client
        .get("/a")
        .await
        .has_status(503)
        .has_body("broken")
        .is_not_stored();
}

#[tokio::test]
async fn l05_what_was_invalidated_is_never_served_for_an_error() {
    for (name, cache_control) in [
        ("a window", "max-age=10, stale-if-error=30"),
        ("disconnected", "max-age=10"),
        (
            "fresh but for the increment",
            "max-age=100, stale-if-error=300, stale-while-revalidate=300",
        ),
        ("banned", "max-age=10, must-revalidate"),
    ] {
        let old = reply("old")
            .header("Cache-Control", cache_control)
            .header("Cache-Tag", "A");
        let (app, sidecar, client) = stored(old, 15).await;
        sidecar.inc("A").await;
        app.answer("/a", reply("broken").status(503));
        client.get("/a").await.has_status(503).has_body("broken");
        app.close().await;
        let wish = "max-stale, stale-if-error=1000";
        client.get("/a").await.is_problem(502);
        let wished = client.get_with("/a", "Cache-Control", wish).await;
        assert_eq!(wished.status, 502, "{name}:\n{wished}");
    }
}

#[tokio::test]
async fn rfc9111_4_2_4_an_app_that_cannot_be_reached_is_stood_in_for() {
    for (seconds, served) in [(15, true), (310, true), (311, false)] {
        let (app, _sidecar, client) = stored(answer("old", ""), seconds).await;
        app.close().await;
        let got = client.get("/a").await;
        if served {
            assert!(got.is_stale("disconnected").has_body("old").ttl() < 0);
        } else {
            got.is_problem(502).is_not_stored();
        }
    }
}

#[tokio::test]
async fn rfc9111_4_2_4_only_an_app_that_gives_no_answer_is_disconnected() {
    for (name, failing) in failures() {
        let (app, _sidecar, client) = impatient(answer("old", ""), 15).await;
        app.answer("/a", failing.clone());
        let got = client.get("/a").await;
        let answered = failing.status >= 500;
        assert_eq!(got.text() == "old", !answered, "{name}:\n{got}");
        if answered {
            got.has_status(failing.status)
                .has_body("broken")
                .is_not_stored();
        } else {
            got.is_stale("disconnected");
        }
    }
}

#[tokio::test]
async fn rfc5861_4_a_head_is_spared_as_a_get_is() {
    let malformed = ("malformed", verbatim("nonsense\r\n\r\n"));
    for (name, failing) in failures().into_iter().chain([malformed]) {
        let gives_no_answer = failing.status < 500 && name != "malformed";
        for (stored, reason, spared) in [
            (sie("old"), FAILED, true),
            (answer("old", ""), "disconnected", gives_no_answer),
        ] {
            let (app, _sidecar, client) = impatient(stored, 15).await;
            app.answer("/a", failing.clone());
            let got = client.head("/a").await;
            assert_eq!(got.status == 200, spared, "{name}, {reason}:\n{got}");
            if spared {
                got.is_stale(reason).has_field("content-length", "3");
            }
            assert_eq!(app.calls("/a"), 2, "{name}, {reason}");
        }
    }
}

#[tokio::test]
async fn rfc9111_4_2_4_a_rule_may_forbid_it() {
    for (rule, said) in [
        ("stale_if_error: 0", ""),
        ("ttl: 10s", ", stale-if-error=0"),
        ("stale_if_error: 30s", ", stale-if-error=0"),
    ] {
        let (app, _sidecar, client) = with_rule(rule, answer("old", said), 15).await;
        app.close().await;
        client.get("/a").await.is_problem(502);
    }
}

#[tokio::test]
async fn rfc9111_4_2_4_a_client_may_refuse_it() {
    for wish in ["no-cache", "max-age=60", "min-fresh=1"] {
        let (app, _sidecar, client) = stored(answer("old", ""), 15).await;
        app.close().await;
        let got = client.get_with("/a", "Cache-Control", wish).await;
        got.is_problem(502);
    }
}

#[tokio::test]
async fn rfc9111_5_2_2_2_what_must_be_validated_gives_504_when_the_app_cannot_be_reached() {
    for said in [
        "must-revalidate",
        "proxy-revalidate",
        "s-maxage=10",
        "no-cache",
        "s-maxage=10, proxy-revalidate, stale-if-error=60",
    ] {
        for wish in [
            "",
            "max-stale",
            "stale-if-error=60",
            "max-stale=60, stale-if-error=60",
        ] {
            let old = reply("old")
                .header("Cache-Control", format!("max-age=10, {said}"))
                .header("ETag", "\"v1\"");
            let (app, _sidecar, client) = stored(old, 15).await;
            app.answer("/a", reply("broken").status(503));
            let request = get("/a").with("Cache-Control", wish);
            let got = client.ask(request.clone()).await;
            assert_eq!(got.status, 503, "{said}, {wish}:\n{got}");
            app.close().await;
            let got = client.ask(request).await;
            assert_eq!(got.status, 504, "{said}, {wish}:\n{got}");
            got.is_problem(504).is_not_stored();
        }
    }
}

#[tokio::test]
async fn rfc5861_4_s_maxage_with_a_window_means_the_window() {
    let old = reply("old").header("Cache-Control", "s-maxage=10, stale-if-error=30");
    let (app, _sidecar, client) = stored(old, 15).await;
    app.answer("/a", reply("").status(500));
    client.get("/a").await.is_stale(FAILED).has_body("old");
    app.close().await;
    client.get("/a").await.is_stale(FAILED).has_body("old");
}

#[tokio::test]
async fn l12_what_is_not_for_a_client_with_a_cookie_is_not_served_to_it_stale_either() {
    for (name, said, shared) in [
        ("not said", "max-age=10", false),
        ("public", "public, max-age=10", true),
    ] {
        for window in [
            "stale-if-error=30",
            "stale-while-revalidate=30, stale-if-error=30",
            "",
        ] {
            let old = reply("old").header("Cache-Control", format!("{said}, {window}"));
            let (app, _sidecar, client) = impatient(old, 15).await;
            app.answer("/a", Reply::hang_up());
            let got = client.get_with("/a", "Cookie", "sid=1").await;
            if shared {
                assert_eq!(got.text(), "old", "{name}, {window}:\n{got}");
                assert!(got.ttl() < 0);
            } else {
                assert_eq!(got.status, 502, "{name}, {window}:\n{got}");
            }
        }
    }
}

#[tokio::test]
async fn l12_a_cookie_that_waits_for_a_failing_fetch_gets_no_stale_one_that_is_not_for_it() {
    let (app, sidecar, client) = impatient(sie("old"), 15).await;
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    let with_cookie = client.begin(get("/a").with("Cookie", "sid=1")).await;
    settle_briefly(&sidecar).await;
    app.answer("/a", reply("its own"));
    held.release(reply("").status(503)).await;
    first.answer().await.is_stale(FAILED).has_body("old");
    with_cookie.answer().await.is_not_hit().has_body("its own");
}

#[tokio::test]
async fn a_window_of_both_kinds_serves_at_once_and_then_in_place_of_errors() {
    let both = answer("old", ", stale-while-revalidate=10, stale-if-error=30");
    let (app, sidecar, client) = stored(both, 15).await;
    app.answer("/a", reply("").status(500));
    client.get("/a").await.is_stale(BEHIND).has_body("old");
    sidecar.clock.advance(Duration::from_secs(10));
    client.get("/a").await.is_stale(FAILED).has_body("old");
    sidecar.clock.advance(Duration::from_secs(16));
    client.get("/a").await.has_status(500);
}

#[tokio::test]
async fn rfc9111_5_2_1_2_max_stale_is_the_clients_own_window() {
    // F7.
    let (app, _sidecar, client) = stored(answer("old", ""), 13).await;
    let wish = async |wish: &str| client.get_with("/a", "Cache-Control", wish).await;
    wish("max-stale=10")
        .await
        .is_stale("max-stale")
        .has_body("old");
    wish("max-stale").await.is_stale("max-stale");
    wish("max-stale=3").await.is_stale("max-stale");
    assert_eq!(app.calls("/a"), 1);
    app.answer("/a", answer("new", ""));
    wish("max-stale=2").await.is_expired().has_body("new");
}

#[tokio::test]
async fn those_who_do_not_wait_have_a_stand_in_too() {
    let (app, sidecar, client) = stage("").await;
    let page = reply("x").control("max-age=1, stale-if-error=60");
    app.answer("/a", page.etag("\"1\""));
    client.get("/a").await.is_miss();
    sidecar.wait(5);
    app.answer("/a", reply("down").status(503));
    client.head("/a").await.is_stale("stale-if-error");
    let no_store = client.get_with("/a", "Cache-Control", "no-store").await;
    no_store.is_stale("stale-if-error").has_body("x");
    app.close().await;
    client.head("/a").await.is_stale("stale-if-error");
    let ranges = client.get_with("/a", "Range", "bytes=0-0,-1").await;
    ranges.is_stale("stale-if-error");
}

#[tokio::test]
async fn rfc9111_5_2_2_2_what_must_be_asked_about_gets_504_by_any_method() {
    let (app, sidecar, client) = stage("").await;
    app.answer(
        "/a",
        reply("x")
            .control("max-age=1, must-revalidate")
            .etag("\"1\""),
    );
    client.get("/a").await.is_miss();
    sidecar.wait(5);
    app.close().await;
    client.get("/a").await.has_status(504);
    client.head("/a").await.has_status(504);
}
