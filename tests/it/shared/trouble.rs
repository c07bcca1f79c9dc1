//! The store is away, slow, or out of its mind: the app goes on answering, and nothing old is served (story 26, L6, L13).

use std::time::Duration;

use crate::support::Cut;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

const TWO: &str = r#"
  - { id: two, match: { path: '/[ab]' }, ttl: 60s }
"#;

/// The app answers these from now on, each with a tag of its own.
fn says(app: &Origin, body: &str) {
    app.answer("/a", reply(body).header("Cache-Tag", "A"));
    app.answer("/b", reply(body).header("Cache-Tag", "B"));
    app.answer("/change", reply("").header("Cache-Tag-Increment", "A"));
}

/// A sidecar by which a busy machine is no slow store, in touch with it.
async fn sidecar(app: &Origin, url: &str, rules: &str) -> Sidecar {
    let setup = Setup::new(app).real_time().redis(url);
    let setup = setup.redis_fields("timeout: 1s");
    let sidecar = setup.rules(rules).start().await;
    app.answer("/ready", reply("").control("no-store"));
    let client = sidecar.client();
    let ready = async { while client.get("/ready").await.detail() == "fenced" {} };
    soon("the store to be trusted", ready).await;
    sidecar
}

#[tokio::test]
async fn l06_l13_the_store_is_away_and_comes_back() {
    // 26.1 to 26.3.
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), TWO).await;
    let client = a.client();
    says(&app, "old");
    for path in ["/a", "/b"] {
        client.get(path).await.is_miss();
        client.get(path).await.is_hit();
    }
    redis.pause();
    let fenced = async { while client.get("/a").await.has_status(200).hits() {} };
    soon("the fence", fenced).await;
    client.get("/a").await.is_bypass(Some("fenced"));
    let changed = client.ask(post("/change")).await;
    changed.has_status(200);
    assert_eq!(changed.detail(), "increment-deferred");
    client.get("/a").await.is_not_hit();

    says(&app, "new");
    redis.resume();
    let back = async { while !client.get("/a").await.has_body("new").hits() {} };
    soon("the store to be trusted again", back).await;
    client.get("/b").await.is_hit().has_body("old");
}

#[tokio::test]
async fn l15_a_link_that_was_given_up_leaves_no_connection_behind() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), TWO).await;
    let client = a.client();
    says(&app, "old");
    client.get("/a").await.is_miss();
    client.get("/a").await.is_hit();
    let connections = async || {
        redis
            .command(&["CLIENT", "LIST"])
            .await
            .text()
            .lines()
            .count()
    };
    let before = connections().await;
    redis.pause();
    let fenced = async { while client.get("/a").await.has_status(200).hits() {} };
    soon("the fence", fenced).await;
    redis.resume();
    let back = async { while !client.get("/a").await.hits() {} };
    soon("the store to be trusted again", back).await;
    let closed = async { while connections().await != before {} };
    soon("no more connections than before", closed).await;
}

#[tokio::test]
async fn l03_the_store_comes_back_empty() {
    // 26.4.
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), TWO).await;
    let client = a.client();
    says(&app, "old");
    for path in ["/a", "/b"] {
        client.get(path).await.is_miss();
        client.get(path).await.is_hit();
    }
    redis.pause();
    let fenced = async { while client.get("/a").await.has_status(200).hits() {} };
    soon("the fence", fenced).await;
    let changed = client.ask(post("/change")).await;
    assert_eq!(changed.detail(), "increment-deferred");
    says(&app, "new");
    redis.kill();
    redis.restart_empty().await;
    for path in ["/a", "/b"] {
        let back = async { while !client.get(path).await.has_body("new").hits() {} };
        soon("the store to be trusted again", back).await;
    }
}

#[tokio::test]
async fn n04_who_is_cut_off_trusts_nothing() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let cut = Cut::before(redis.port()).await;
    let a = sidecar(&app, &redis.url(), TWO).await;
    let b = sidecar(&app, &cut.url(), TWO).await;
    says(&app, "old");
    b.client().get("/a").await.is_miss();
    b.client().get("/a").await.is_hit();
    cut.stall();
    says(&app, "new");
    a.client().ask(post("/change")).await.is_method();
    let client = b.client();
    let fenced = async { while client.get("/a").await.text() != "new" {} };
    soon("the fence", fenced).await;
    client.get("/a").await.is_bypass(Some("fenced"));
    cut.heal().await;
    let back = async { while !client.get("/a").await.has_body("new").hits() {} };
    soon("the store to be trusted again", back).await;
}

#[tokio::test]
async fn l13_a_store_that_answers_errors_keeps_nobody_from_the_app() {
    for error in [
        "-OOM command not allowed when used memory > 'maxmemory'.",
        "-READONLY You can't write against a read only replica.",
        "-LOADING Redis is loading the dataset in memory",
        "-MOVED 3999 127.0.0.1:1",
        "-NOSCRIPT No matching script. Please use EVAL.",
        "-ERR something else",
    ] {
        let (app, redis) = (Origin::start().await, Redis::start().await);
        let cut = Cut::before(redis.port()).await;
        let a = sidecar(&app, &cut.url(), TWO).await;
        let client = a.client();
        says(&app, "old");
        client.get("/a").await.is_miss();
        client.get("/a").await.is_hit();
        cut.answer_errors(Some(error));
        says(&app, "new");
        let changed = client.ask(post("/change")).await;
        changed.has_status(200);
        assert_eq!(changed.detail(), "increment-deferred", "{error}");
        client.get("/a").await.is_not_hit().has_body("new");
        cut.answer_errors(None);
        let back = async { while !client.get("/a").await.has_body("new").hits() {} };
        soon("the store to be trusted again", back).await;
    }
}

#[tokio::test]
async fn l13_a_slow_store_slows_nobody_down_for_long() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let cut = Cut::before(redis.port()).await;
    let a = sidecar(&app, &cut.url(), TWO).await;
    let client = a.client();
    says(&app, "old");
    client.get("/a").await.is_miss();
    cut.slow(Duration::from_secs(5));
    says(&app, "new");
    let changed = client.ask(post("/change")).await;
    assert_eq!(changed.detail(), "increment-deferred");
    client.get("/a").await.is_not_hit().has_body("new");
}

/// A sidecar that trusts what it knows for longer than any of these tests takes.
async fn trusting(app: &Origin, redis: &Redis) -> Sidecar {
    Setup::new(app)
        .real_time()
        .redis(&redis.url())
        .config("tags: { max_lag: 1h }")
        .rules(TWO)
        .start()
        .await
}

#[tokio::test]
async fn l06_who_comes_after_a_deferred_write_gets_nothing_that_was_fetched_before_it() {
    // Whether the write has landed when the answer comes, or waits still.
    for lands in [true, false] {
        let (app, redis) = (Origin::start().await, Redis::start().await);
        let a = trusting(&app, &redis).await;
        let client = a.client();
        says(&app, "new");
        let hold = app.hold("/a");
        let first = client.begin(get("/a")).await;
        let held = hold.arrived().await;
        redis.pause();
        let changed = client.ask(post("/change")).await;
        assert_eq!(changed.detail(), "increment-deferred");
        let second = client.begin(get("/a")).await;
        for _ in 0..5 {
            client.ask(post("/elsewhere")).await; // it has had its turn
        }
        if lands {
            redis.resume();
            let landed = async { while client.ask(post("/change")).await.detail() != "" {} };
            soon("the writes to land", landed).await;
        }
        held.release(reply("old").header("Cache-Tag", "A")).await;
        first.answer().await.has_body("old");
        second.answer().await.has_body("new");
    }
}

#[tokio::test]
async fn l03_who_comes_after_the_store_began_anew_gets_nothing_that_was_fetched_before_it() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), TWO).await;
    let client = a.client();
    says(&app, "new");
    client.get("/b").await.is_miss();
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    client.ask(post("/change")).await.is_method();
    redis.flush_all().await;
    let forgotten = async { while client.get("/b").await.hits() {} };
    soon("it to be forgotten", forgotten).await;
    let again = async { while !client.get("/b").await.hits() {} };
    soon("the store to be of use again", again).await;
    let second = client.begin(get("/a")).await;
    a.settle().await;
    held.release(reply("old").header("Cache-Tag", "A")).await;
    first.answer().await.has_body("old");
    second.answer().await.has_body("new");
}

#[tokio::test]
async fn l05_who_trusts_nothing_serves_nothing_in_place_of_an_error() {
    const SPARED: &str = r#"
  - { id: two, match: { path: '/[ab]' }, ttl: 500ms, stale_if_error: 60s }
"#;
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), SPARED).await;
    let client = a.client();
    says(&app, "old");
    client.get("/a").await.is_miss();
    let hold = app.hold("/a");
    let answered = async {
        loop {
            let answer = client.get("/a").await;
            if !answer.hits() {
                return answer; // it has expired
            }
        }
    };
    let other = a.client();
    let troubled = async {
        let held = hold.arrived().await;
        redis.pause();
        while other.get("/b").await.detail() != "fenced" {}
        held.release(reply("sorry").status(500)).await;
    };
    let both = futures_util::future::join(answered, troubled);
    let (answer, ()) = soon("the fence, and an answer", both).await;
    answer.has_status(500);
}
