//! What one sidecar is told holds in all.

use super::BOUNDED;
use super::STRICT;
use super::calm;
use super::says;
use super::sidecar;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

#[tokio::test]
async fn a_writer_reads_its_write_through_the_other_sidecar() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), STRICT).await;
    let b = sidecar(&app, &redis.url(), STRICT).await;
    for n in 0..50 {
        let body = n.to_string();
        says(&app, &body);
        a.inc("User:42").await;
        b.client().get("/users/42").await.has_body(&body);
        b.client().get("/users/42").await.is_hit().has_body(&body);
    }
}

#[tokio::test]
async fn n01_an_increment_reaches_the_others_within_the_bound() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), BOUNDED).await;
    let b = sidecar(&app, &redis.url(), BOUNDED).await;
    says(&app, "a");
    b.client().get("/users/42").await.is_miss();
    b.client().get("/users/42").await.is_hit();
    says(&app, "b");
    a.inc("User:42").await;
    a.client().get("/users/42").await.is_miss().has_body("b");
    let client = b.client();
    let told = async { while client.get("/users/42").await.text() != "b" {} };
    soon("the other one to be told", told).await;
}

#[tokio::test]
async fn l01_a_response_from_before_an_increment_elsewhere_is_not_stored() {
    // 12.6.
    const ROW: &str = r#"
  - { id: rows, match: { path: '/row/(?P<id>\d+)' }, consistency: strict }
"#;
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), ROW).await;
    let b = sidecar(&app, &redis.url(), ROW).await;
    let row = |body: &str| {
        let tagged = reply(body).header("Cache-Tag", "Row:1");
        tagged.control("max-age=60")
    };
    let hold = app.hold("/row/1");
    let client = a.client();
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    b.inc("Row:1").await;
    app.answer("/row/1", row("new"));
    b.client().get("/row/1").await.has_body("new");
    held.release(row("old")).await;
    first.answer().await.is_unstored("raced").has_body("old");
    a.client().get("/row/1").await.has_body("new"); // what the other one has stored
    a.client().get("/row/1").await.is_hit().has_body("new");
}

#[tokio::test]
async fn l04_a_reader_elsewhere_on_the_first_byte_of_the_writers_answer_sees_the_change() {
    // 25.3.
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), STRICT).await;
    let b = sidecar(&app, &redis.url(), STRICT).await;
    says(&app, "b");
    b.client().get("/users/42").await.is_miss();
    b.client().get("/users/42").await.is_hit();
    says(&app, "c");
    let hold = app.hold("/touch");
    let writers = a.client();
    let writer = writers.begin(post("/touch")).await;
    let head = reply("").header("Cache-Tag-Increment", "User:42");
    let mut body = hold.arrived().await.begin(head).await;
    let open = writer.head().await;
    b.client()
        .get("/users/42")
        .await
        .is_invalidated()
        .has_body("c");
    body.send(b"done").await;
    body.end().await;
    open.rest().await.is_method().has_body("done");
}

#[tokio::test]
async fn k18_a_hit_asks_nothing_where_it_is_bounded_and_once_where_it_is_strict() {
    const MANY: &str = r#"
  - { id: bounded, match: { path: '/bounded' }, ttl: 60s, tags: [T0, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12, T13, T14, T15, T16, T17, T18, T19] }
  - { id: strict, match: { path: '/strict' }, ttl: 60s, consistency: strict, tags: [T0, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12, T13, T14, T15, T16, T17, T18, T19] }
"#;
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = calm(Setup::new(&app).real_time().redis(&redis.url()))
        .redis_fields("bodies: false")
        .rules(MANY)
        .start()
        .await;
    let client = a.client();
    app.answer("/bounded", reply("x"));
    app.answer("/strict", reply("x"));
    client.get("/bounded").await.is_miss();
    client.get("/strict").await.is_miss();
    // The log's own: each time it is read, one XREAD and one MGET.
    let asked = async || {
        let stats = redis.command_stats().await;
        let of = |name: &str| stats.get(name).copied().unwrap_or_default();
        let others = |name: &&String| {
            !["xread", "mget", "info", "config|resetstat"].contains(&name.as_str())
        };
        let rest: u64 = stats.keys().filter(others).map(|name| of(name)).sum();
        (of("mget") - of("xread"), rest)
    };
    let before = asked().await;
    for _ in 0..100 {
        client.get("/bounded").await.is_hit();
    }
    let after = asked().await;
    assert!(
        after.0.abs_diff(before.0) <= 1 && after.1 == before.1,
        "{before:?} {after:?}"
    );
    for _ in 0..100 {
        client.get("/strict").await.is_hit();
    }
    let strict = asked().await;
    assert!(
        (strict.0 - after.0).abs_diff(100) <= 1 && strict.1 == after.1,
        "{after:?} {strict:?}"
    );
}
