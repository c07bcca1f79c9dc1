//! Responses that all sidecars share (S11, S12).

use super::calm;
use super::sidecar;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::get;
use crate::support::reply;
use crate::support::sidecars;
use crate::support::soon;

const RULES: &str = r#"
  - { id: shared, match: { path: '/shared/.*' }, tags: [Shared], ttl: 60s }
  - { id: memory, match: { path: '/memory' }, ttl: 60s, store: memory }
  - { id: redis, match: { path: '/redis' }, tags: [Redis], ttl: 60s, store: redis }
"#;

/// What the store has of responses: under records, and under composed keys.
async fn kept(redis: &Redis) -> (Vec<String>, Vec<String>) {
    let keys = redis.keys().await;
    let of = |kind: &str| {
        let prefix = format!("tagalong:1:tagalong:{kind}:");
        keys.iter()
            .filter(|key| key.starts_with(&prefix))
            .cloned()
            .collect::<Vec<_>>()
    };
    (of("v"), of("c"))
}

/// Waits until so many responses are there.
async fn until_kept(redis: &Redis, count: usize) {
    let there = async { while kept(redis).await.1.len() != count {} };
    soon("responses in the store", there).await;
}

#[tokio::test]
async fn s11_what_one_has_stored_another_serves() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    app.answer("/shared/1", reply("one").header("X-Kind", "shop"));
    a.client().get("/shared/1").await.is_miss();
    until_kept(&redis, 1).await;
    let b = sidecar(&app, &redis.url(), RULES).await;
    for _ in 0..2 {
        let answer = b.client().get("/shared/1").await;
        answer.is_hit().has_body("one").has_field("x-kind", "shop");
    }
    a.shutdown().await;
    let again = sidecar(&app, &redis.url(), RULES).await;
    again
        .client()
        .get("/shared/1")
        .await
        .is_hit()
        .has_body("one");
    assert_eq!(app.calls("/shared/1"), 1);
}

#[tokio::test]
async fn s11_nothing_that_an_increment_has_ended_is_found_elsewhere() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    app.answer("/shared/1", reply("old"));
    a.client().get("/shared/1").await.is_miss();
    until_kept(&redis, 1).await;
    app.answer("/shared/1", reply("new"));
    a.inc("Shared").await;
    let b = sidecar(&app, &redis.url(), RULES).await; // knows nothing of the tag
    b.client().get("/shared/1").await.is_miss().has_body("new");
    // What was there before has been dropped: dead responses do not pile up.
    let replaced = async { while a.client().get("/shared/1").await.text() != "new" {} };
    soon("the new one", replaced).await;
    until_kept(&redis, 1).await;
    let calls = app.calls("/shared/1");
    let c = sidecar(&app, &redis.url(), RULES).await;
    c.client().get("/shared/1").await.is_hit().has_body("new");
    assert_eq!(app.calls("/shared/1"), calls);
}

#[tokio::test]
async fn s11_a_rule_chooses_where_its_responses_are_kept() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let [a, b] = sidecars(&app, |setup| calm(setup.redis(&redis.url()).rules(RULES))).await;
    app.answer("/memory", reply("m"));
    app.answer("/redis", reply("r"));
    a.client().get("/memory").await.is_miss();
    a.client().get("/memory").await.is_hit();
    b.client().get("/memory").await.is_miss();
    assert_eq!(kept(&redis).await, (vec![], vec![]));
    a.client().get("/redis").await.is_miss();
    until_kept(&redis, 1).await;
    b.client().get("/redis").await.is_hit();
    let (_, bodies) = kept(&redis).await;
    redis.command(&["DEL", &bodies[0]]).await;
    a.client().get("/redis").await.is_miss();
    assert_eq!(app.calls("/redis"), 2);
}

#[tokio::test]
async fn s11_with_bodies_off_only_tags_are_shared() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let rules = r#"
  - { id: shared, match: { path: '/shared/.*' }, tags: [Shared], ttl: 60s }
"#;
    let [a, b] = sidecars(&app, |setup| {
        calm(setup.redis(&redis.url()))
            .redis_fields("bodies: false")
            .rules(rules)
    })
    .await;
    app.answer("/shared/1", reply("x"));
    a.client().get("/shared/1").await.is_miss();
    b.client().get("/shared/1").await.is_miss();
    a.shutdown().await;
    assert_eq!(kept(&redis).await, (vec![], vec![]));
    drop(b);
}

#[tokio::test]
async fn s12_text_is_compressed() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    let line =
        |n: usize| format!("<li class=\"item\"><a href=\"/items/{n}\">Item number {n}</a></li>\n");
    let text: String = (0..)
        .map(line)
        .scan(0, |len, line| {
            *len += line.len();
            (*len <= 1 << 20).then_some(line)
        })
        .collect();
    app.answer("/shared/large", reply(text.clone()));
    a.client().get("/shared/large").await.is_miss();
    until_kept(&redis, 1).await;
    let (_, bodies) = kept(&redis).await;
    let length: usize = redis
        .command(&["STRLEN", &bodies[0]])
        .await
        .text()
        .parse()
        .unwrap();
    assert!(length < 200 << 10, "{length}");
    let b = sidecar(&app, &redis.url(), RULES).await;
    b.client()
        .get("/shared/large")
        .await
        .is_hit()
        .has_body(&text);
}

#[tokio::test]
async fn what_varies_is_found_by_what_it_varies_by() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    app.on("/shared/v", |call| {
        let kind = call.field("x-kind").unwrap_or_default();
        reply(format!("for {kind}")).header("Vary", "X-Kind")
    });
    let of = |kind: &str| get("/shared/v").with("x-kind", kind);
    a.client().ask(of("a")).await.has_body("for a");
    a.client().ask(of("b")).await.has_body("for b");
    until_kept(&redis, 2).await;
    let b = sidecar(&app, &redis.url(), RULES).await;
    b.client().ask(of("b")).await.is_hit().has_body("for b");
    b.client().ask(of("a")).await.is_hit().has_body("for a");
    b.client().ask(of("c")).await.is_not_hit().has_body("for c");
    assert_eq!(app.calls("/shared/v"), 3);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_miss_and_counted() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    app.answer("/shared/1", reply("x"));
    a.client().get("/shared/1").await.is_miss();
    until_kept(&redis, 1).await;
    let (records, bodies) = kept(&redis).await;
    for (key, at, byte) in [
        (&records[0], "30", "\u{1}"),
        (&bodies[0], "20", "\u{2}"),
        (&bodies[0], "0", "X"),
    ] {
        redis.command(&["SETRANGE", key, at, byte]).await;
        let calls = app.calls("/shared/1");
        let b = sidecar(&app, &redis.url(), RULES).await;
        b.client().get("/shared/1").await.is_miss().has_body("x");
        assert_eq!(app.calls("/shared/1"), calls + 1, "{key} {at}");
        let again = async { while kept(&redis).await.1.len() != 1 {} };
        soon("it to be stored again", again).await;
        b.shutdown().await;
    }
    // Something of another kind under our names.
    redis.command(&["DEL", &records[0]]).await;
    redis.command(&["LPUSH", &records[0], "x"]).await;
    let b = sidecar(&app, &redis.url(), RULES).await;
    b.client().get("/shared/1").await.is_miss().has_body("x");
    b.client().get("/shared/1").await.is_hit();
}

#[tokio::test]
async fn l12_what_is_for_nobody_with_a_cookie_is_not_found_for_one_elsewhere() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    app.answer("/shared/1", reply("for all").control("max-age=60"));
    a.client().get("/shared/1").await.is_miss();
    until_kept(&redis, 1).await;
    app.answer("/shared/1", reply("mine").control("max-age=60"));
    let b = sidecar(&app, &redis.url(), RULES).await;
    let mine = get("/shared/1").with("cookie", "session=1");
    b.client().ask(mine).await.is_not_hit().has_body("mine");
}

#[tokio::test]
async fn a_rule_that_looks_on_asks_the_app_whatever_others_have_stored() {
    const SHADOW: &str = r#"
  - { id: shared, match: { path: '/shared/.*' }, ttl: 60s, mode: shadow }
"#;
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), SHADOW).await;
    app.answer("/shared/1", reply("x"));
    a.client().get("/shared/1").await.has_status(200);
    until_kept(&redis, 1).await;
    let b = sidecar(&app, &redis.url(), SHADOW).await;
    b.client()
        .get("/shared/1")
        .await
        .has_status(200)
        .has_body("x");
    assert_eq!(app.calls("/shared/1"), 2);
}

#[tokio::test]
async fn who_wants_the_apps_word_gets_it_and_others_get_what_it_says() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    app.answer("/redis", reply("old"));
    a.client().get("/redis").await.is_miss();
    until_kept(&redis, 1).await;
    app.answer("/redis", reply("new"));
    let reload = get("/redis").with("cache-control", "no-cache");
    a.client().ask(reload).await.is_not_hit().has_body("new");
    let client = a.client();
    let told = async { while client.get("/redis").await.text() != "new" {} };
    soon("others to be told", told).await;
    assert_eq!(app.calls("/redis"), 2);
}

#[tokio::test]
async fn l10_variants_are_limited_where_they_are_in_the_store_alone_too() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = calm(
        Setup::new(&app)
            .real_time()
            .redis(&redis.url())
            .rules(RULES),
    )
    .config("limits: { max_variants: 3 }")
    .start()
    .await;
    app.on("/redis", |call| {
        let kind = call.field("x-kind").unwrap_or_default();
        reply(kind).header("Vary", "X-Kind")
    });
    for n in 0..3 {
        let of = get("/redis").with("x-kind", &n.to_string());
        a.client().ask(of).await.is_not_hit();
    }
    until_kept(&redis, 3).await;
    let one_more = get("/redis").with("x-kind", "more");
    let answer = a.client().ask(one_more).await;
    assert_eq!(answer.detail(), "too-many-variants");
    until_kept(&redis, 3).await;
}
