//! What is counted and measured is exact: a script of requests against every counter and histogram that it moves.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::Client;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::not_modified;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

const ADMIN: &str = "admin: { listen: '127.0.0.1:0' }";

/// The samples, by name and labels as they are written.
async fn samples(admin: &Client) -> BTreeMap<String, f64> {
    let text = admin.get("/metrics").await.text();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    samples.map(read).collect()
}

/// Those of these metrics that are not zero.
fn of(samples: &BTreeMap<String, f64>, names: &[&str]) -> Vec<(String, f64)> {
    let wanted = |name: &str| {
        let name = name.split('{').next().expect("a name");
        names.contains(&name)
    };
    let there = samples
        .iter()
        .filter(|(name, value)| wanted(name) && **value != 0.0);
    there.map(|(name, value)| (name.clone(), *value)).collect()
}

/// Waits until the samples are as `seen` says.
async fn until(admin: &Client, what: &str, seen: impl Fn(&BTreeMap<String, f64>) -> bool) {
    soon(what, async { while !seen(&samples(admin).await) {} }).await;
}

const RULES: &str = "
  - { id: page, match: { path: '/page/*' }, ttl: 60s, tags: [Page] }
  - { id: old, match: { path: /old }, ttl: 60s, stale_while_revalidate: 60s }
  - { id: off, match: { path: /off }, cache: false }
  - { id: mine, match: { path: /mine }, ttl: 60s }
";

const ROUNDS: usize = 10;

/// What the app takes for each GET.
const APP: Duration = Duration::from_millis(20);

/// What it takes for the one that others wait for.
const SLOW: Duration = Duration::from_millis(250);

async fn scripted() -> (Origin, Sidecar) {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config(ADMIN).rules(RULES);
    let sidecar = setup.start().await;
    let clock = sidecar.clock.clone();
    app.otherwise(move |call| {
        clock.advance(APP);
        match call.path() {
            "/mine" => reply("mine").header("Set-Cookie", "a=b"),
            "/broken" => reply("broken").status(500),
            "/old" if call.field("if-none-match").is_some() => not_modified().etag("\"1\""),
            _ => reply("0123456789").etag("\"1\""),
        }
    });
    (app, sidecar)
}

/// One hundred requests, eighty of them hits.
async fn round(n: usize, app: &Origin, sidecar: &Sidecar, admin: &Client) {
    let client = sidecar.client();
    sidecar.inc("Page").await;
    let first = client.get("/page/1").await;
    match n {
        0 => first.is_miss(),
        _ => first.is_invalidated(),
    };
    for request in [
        get("/page/1"),
        get("/page/1").with("If-None-Match", "\"1\""),
        get("/page/1").with("Range", "bytes=2-4"),
        ask("HEAD", "/page/1"),
    ] {
        for _ in 0..20 {
            client.ask(request.clone()).await.is_hit();
        }
    }
    let old = client.get("/old").await;
    match n {
        0 => {
            old.is_miss();
        }
        _ => {
            old.has_status(200);
            let answers = r#"tagalong_upstream_answers_total{rule="old"}"#;
            until(admin, "the refill", |samples| {
                samples[answers] == (n + 1) as f64 && samples["tagalong_fills_in_flight"] == 0.0
            })
            .await;
        }
    }
    for _ in 0..3 {
        client.get("/off").await.has_status(200);
    }
    for _ in 0..2 {
        client.get("/mine").await.has_status(200);
    }
    let slow = format!("/page/slow{n}");
    let hold = app.hold(&slow);
    let waiting = client.begin_many(5, &get(&slow)).await;
    let held = hold.arrived().await;
    sidecar.settle().await; // five POSTs
    sidecar.clock.advance(SLOW);
    held.release(reply("slow")).await;
    for each in waiting {
        each.answer().await.has_body("slow");
    }
    let only = get("/page/none").with("Cache-Control", "only-if-cached");
    client.ask(only).await.has_status(504);
    client.get("/broken").await.has_status(500);
}

#[tokio::test]
async fn a_thousand_requests_are_counted_and_measured_exactly() {
    let (app, sidecar) = scripted().await;
    let admin = sidecar.admin();
    for n in 0..ROUNDS {
        round(n, &app, &sidecar, &admin).await;
        sidecar.wait(90);
    }
    let found = samples(&admin).await;
    let rounds = ROUNDS as f64;
    let requests = |rule: &str, outcome: &str, n: f64| {
        let name = format!("tagalong_requests_total{{rule=\"{rule}\",outcome=\"{outcome}\"}}");
        (name, n)
    };
    let expected = [
        requests("", "method", 6.0 * rounds), // one that increments, and five to settle
        requests("", "miss", rounds),
        requests("mine", "bypass", rounds), // the first one could not be stored
        requests("mine", "miss", rounds),
        requests("off", "bypass", 3.0 * rounds),
        requests("old", "miss", 1.0),
        requests("old", "stale", rounds - 1.0),
        requests("page", "collapsed", 4.0 * rounds),
        requests("page", "hit", 80.0 * rounds),
        requests("page", "invalidated", rounds - 1.0),
        requests("page", "miss", 1.0 + rounds),
        requests("page", "only-if-cached", rounds),
    ];
    let counted = of(&found, &["tagalong_requests_total"]);
    assert_eq!(counted, expected);
    assert_eq!(counted.iter().map(|(_, n)| n).sum::<f64>(), 1_000.0);

    let (app, slow) = (APP.as_secs_f64(), SLOW.as_secs_f64());
    // Of how many, how long all of them took: what the app takes for each, and five that take longer in each round.
    let durations = |name: &str, label: &str, n: usize, time: Duration| {
        let braced = match label {
            "" => String::new(),
            label => format!("{{outcome=\"{label}\"}}"),
        };
        let count = found[&format!("tagalong_{name}_duration_seconds_count{braced}")];
        let sum = found[&format!("tagalong_{name}_duration_seconds_sum{braced}")];
        let expected = (n as f64, time.as_secs_f64());
        assert_eq!((count, sum), expected, "{name} {label}");
    };
    let r = u32::try_from(ROUNDS).expect("few");
    for (outcome, n, time) in [
        ("hit", 80 * ROUNDS, Duration::ZERO),
        ("stale", ROUNDS - 1, Duration::ZERO),
        ("miss", 2 + 3 * ROUNDS, APP * (2 + 2 * r) + SLOW * r),
        ("collapsed", 4 * ROUNDS, SLOW * 4 * r),
        ("invalidated", ROUNDS - 1, APP * (r - 1)),
        ("bypass", 4 * ROUNDS, APP * 4 * r),
        ("method", 6 * ROUNDS, Duration::ZERO),
        ("only-if-cached", ROUNDS, Duration::ZERO),
        ("expired", 0, Duration::ZERO),
        ("request", 0, Duration::ZERO),
        ("overloaded", 0, Duration::ZERO),
        ("coalesce-timeout", 0, Duration::ZERO),
    ] {
        durations("request", outcome, n, time);
    }
    // Page, old, twice mine, broken and the slow one; and what is not for the store.
    durations("fill", "", 6 * ROUNDS, APP * 5 * r + SLOW * r);
    durations("upstream", "", 15 * ROUNDS, APP * 8 * r + SLOW * r);
    for (bucket, n) in [
        (
            r#"request_duration_seconds_bucket{outcome="miss",le="0.01"}"#,
            0.0,
        ),
        (
            r#"request_duration_seconds_bucket{outcome="miss",le="0.025"}"#,
            2.0 + 2.0 * rounds,
        ),
        (
            r#"request_duration_seconds_bucket{outcome="miss",le="0.1"}"#,
            2.0 + 2.0 * rounds,
        ),
        (
            r#"request_duration_seconds_bucket{outcome="miss",le="0.25"}"#,
            2.0 + 3.0 * rounds,
        ),
        (
            r#"upstream_duration_seconds_bucket{le="5e-05"}"#,
            6.0 * rounds,
        ),
        (r#"fill_duration_seconds_bucket{le="0.025"}"#, 5.0 * rounds),
        (r#"fill_duration_seconds_bucket{le="+Inf"}"#, 6.0 * rounds),
    ] {
        assert_eq!(found[&format!("tagalong_{bucket}")], n, "{bucket}");
    }

    let others = of(
        &found,
        &[
            "tagalong_evictions_total",
            "tagalong_fills_in_flight",
            "tagalong_increments_total",
            "tagalong_not_stored_total",
            "tagalong_shadow_differences_total",
            "tagalong_stored_total",
            "tagalong_upstream_answers_total",
            "tagalong_upstream_exchanges",
            "tagalong_upstream_queue",
            "tagalong_upstream_results_total",
        ],
    );
    let expected = [
        (
            r#"tagalong_increments_total{source="response"}"#,
            12.0 * rounds,
        ),
        (
            r#"tagalong_not_stored_total{rule="",reason="no-freshness"}"#,
            rounds,
        ),
        (
            r#"tagalong_not_stored_total{rule="mine",reason="set-cookie"}"#,
            2.0 * rounds,
        ),
        (r#"tagalong_stored_total{rule="old"}"#, rounds),
        (r#"tagalong_stored_total{rule="page"}"#, 2.0 * rounds),
        (r#"tagalong_upstream_answers_total{rule=""}"#, 7.0 * rounds),
        (
            r#"tagalong_upstream_answers_total{rule="mine"}"#,
            2.0 * rounds,
        ),
        (
            r#"tagalong_upstream_answers_total{rule="off"}"#,
            3.0 * rounds,
        ),
        (r#"tagalong_upstream_answers_total{rule="old"}"#, rounds),
        (
            r#"tagalong_upstream_answers_total{rule="page"}"#,
            2.0 * rounds,
        ),
        (
            r#"tagalong_upstream_results_total{result="2xx"}"#,
            13.0 * rounds + 1.0,
        ),
        (
            r#"tagalong_upstream_results_total{result="3xx"}"#,
            rounds - 1.0,
        ),
        (r#"tagalong_upstream_results_total{result="5xx"}"#, rounds),
    ]
    .map(|(name, n)| (name.to_owned(), n));
    assert_eq!(others, expected);
    let seconds =
        |rule: &str| found[&format!("tagalong_upstream_seconds_total{{rule=\"{rule}\"}}")];
    assert_eq!(seconds("off"), (APP * 3 * r).as_secs_f64());
    assert_eq!(seconds("page"), (APP * r + SLOW * r).as_secs_f64());
    assert!(seconds("mine") > app && seconds("page") > slow);
}

#[tokio::test]
async fn what_is_under_way_and_what_waits_is_told_while_it_does() {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config(ADMIN).rules(RULES);
    let sidecar = setup.upstream("max_concurrent: 1").start().await;
    let (client, admin) = (sidecar.client(), sidecar.admin());
    let levels = [
        "tagalong_fills_in_flight",
        "tagalong_upstream_exchanges",
        "tagalong_upstream_queue",
    ];
    let are = |expected: [f64; 3]| {
        move |samples: &BTreeMap<String, f64>| levels.map(|name| samples[name]) == expected
    };
    let hold = app.hold("/page/1");
    let first = client.begin(get("/page/1")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/page/2")).await;
    let third = client.begin(post("/off")).await;
    until(&admin, "two that wait", are([2.0, 1.0, 2.0])).await;
    let mut held = {
        let begun = held.begin(reply("").header("Content-Length", "3")).await;
        until(&admin, "the head to change nothing", are([2.0, 1.0, 2.0])).await;
        begun
    };
    held.send(b"one").await;
    held.end().await;
    first.answer().await.has_body("one");
    second.answer().await.has_status(404);
    third.answer().await.has_status(404);
    until(&admin, "all to have ended", are([0.0, 0.0, 0.0])).await;
}

#[tokio::test]
async fn what_failed_is_counted_by_what_was_wrong() {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config(ADMIN).rules(RULES);
    let sidecar = setup.upstream("retries: 0").start().await;
    let (client, admin) = (sidecar.client(), sidecar.admin());
    app.answer("/page/1", crate::support::Reply::hang_up());
    app.answer("/page/2", crate::support::verbatim("what is this\r\n\r\n"));
    client.get("/page/1").await.has_status(502);
    client.get("/page/2").await.has_status(502);
    app.close().await;
    client.get("/page/3").await.has_status(502);
    let found = samples(&admin).await;
    let results = of(&found, &["tagalong_upstream_results_total"]);
    let expected = [("malformed", 1.0), ("unreachable", 2.0)].map(|(result, n)| {
        let name = format!("tagalong_upstream_results_total{{result=\"{result}\"}}");
        (name, n)
    });
    assert_eq!(results, expected);
    assert_eq!(found["tagalong_upstream_duration_seconds_count"], 0.0);
    assert_eq!(found["tagalong_fill_duration_seconds_count"], 3.0);
}

#[tokio::test]
async fn differences_are_counted_for_the_rule_that_looks_on() {
    let rules = "
  - { id: seen, match: { path: '/seen/*' }, ttl: 60s, mode: shadow }
";
    let app = Origin::start().await;
    let setup = Setup::new(&app).config(ADMIN).rules(rules);
    let sidecar = setup.start().await;
    let client = sidecar.client();
    for (path, bodies) in [("/seen/1", ["a", "a", "b"]), ("/seen/2", ["a", "b", "c"])] {
        for body in bodies {
            app.answer(path, reply(body));
            client.get(path).await.has_body(body);
        }
    }
    let found = samples(&sidecar.admin()).await;
    let name = r#"tagalong_shadow_differences_total{rule="seen"}"#;
    assert_eq!(found.get(name), Some(&3.0), "{found:#?}");
}
