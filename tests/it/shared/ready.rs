//! What a sidecar says of its store: to who probes it, and in numbers (story 26.2).

use super::ADMIN;
use super::BOUNDED;
use super::metric;
use super::says;
use crate::support::Cut;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

async fn watched(app: &Origin, url: &str) -> Sidecar {
    let setup = Setup::new(app).real_time().redis(url);
    let setup = setup.redis_fields("timeout: 2s");
    setup.rules(BOUNDED).config(ADMIN).start().await
}

/// What `/readyz` says: the state, and of each reason code and message.
async fn ready(sidecar: &Sidecar) -> (String, Vec<(String, String)>) {
    let answer = sidecar.admin().get("/readyz").await;
    answer.has_status(200); // to take every replica out of service would be worse
    let said: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let reasons = said["reasons"].as_array().expect("a list").iter();
    let reasons = reasons.map(|it| (text(&it["code"]), text(&it["message"])));
    (text(&said["status"]), reasons.collect())
}

/// Until it finds all well.
async fn until_well(sidecar: &Sidecar) {
    soon("all to be well", async {
        while ready(sidecar).await.0 != "ok" {}
    })
    .await;
}

#[tokio::test]
async fn l06_l13_it_says_that_it_trusts_nothing_and_what_waits() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let cut = Cut::before(redis.port()).await;
    let a = watched(&app, &cut.url()).await;
    assert_eq!(ready(&a).await, ("ok".into(), vec![]));
    assert_eq!(metric(&a, "tagalong_fenced").await, 0.0);
    assert_eq!(metric(&a, "tagalong_shared_connected").await, 1.0);

    cut.cut().await;
    app.answer("/change", reply("").header("Cache-Tag-Increment", "A, B"));
    let changed = a.client().ask(post("/change")).await;
    changed.has_status(200);
    assert_eq!(changed.detail(), "increment-deferred");
    let fenced = async { while metric(&a, "tagalong_fenced").await == 0.0 {} };
    soon("the fence", fenced).await;
    let (status, reasons) = ready(&a).await;
    assert_eq!(status, "degraded");
    let codes: Vec<&str> = reasons.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["fenced", "store-away", "increments-wait"]);
    // `A`, `B`, and the URI of the POST, which is the key of a GET of that.
    assert_eq!(reasons[2].1, "3 increments wait for the shared store");
    for (name, expected) in [
        ("tagalong_outbox", 3.0),
        ("tagalong_increments_deferred_total", 1.0),
        ("tagalong_shared_connected", 0.0),
    ] {
        assert_eq!(metric(&a, name).await, expected, "{name}");
    }
    assert!(metric(&a, "tagalong_log_lag_seconds").await > 0.9);
    let refused = metric(&a, "tagalong_shared_errors_total{kind=\"connection\"}").await;
    assert!(refused >= 1.0);
    // Who comes meanwhile is answered.
    says(&app, "x");
    a.client().get("/users/42").await.is_bypass(Some("fenced"));

    cut.heal().await;
    until_well(&a).await;
    for (name, expected) in [
        ("tagalong_fenced", 0.0),
        ("tagalong_outbox", 0.0),
        ("tagalong_shared_connected", 1.0),
        ("tagalong_generations_total", 0.0),
        ("tagalong_log_gaps_total", 0.0),
    ] {
        assert_eq!(metric(&a, name).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_store_that_never_was_there_is_said_to_be_missing() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    redis.kill();
    let a = watched(&app, &redis.url()).await;
    let (status, reasons) = ready(&a).await;
    assert_eq!(status, "degraded");
    let expected = "nothing has been heard of the shared store yet: what is stored is not served";
    assert_eq!(reasons[0], ("fenced".into(), expected.into()));
    assert_eq!(reasons[1].0, "store-away");
    assert!(reasons[1].1.contains("refused"), "{reasons:?}");
    redis.restart_empty().await;
    until_well(&a).await;
}

#[tokio::test]
async fn a_store_that_may_evict_everything_is_named() {
    for (policy, codes) in [
        ("allkeys-lru", &["store-evicts"][..]),
        ("volatile-random", &["store-evicts"]),
        ("volatile-ttl", &[]),
        ("noeviction", &[]),
    ] {
        let app = Origin::start().await;
        let redis = Redis::setup().max_memory("64mb", policy).start().await;
        let log = Log::default();
        let _written = log.written();
        let a = watched(&app, &redis.url()).await;
        let (status, reasons) = ready(&a).await;
        let found: Vec<&str> = reasons.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(found, codes, "{policy}");
        assert_eq!(status == "ok", codes.is_empty(), "{policy}");
        let warned = log.text().contains("the store's `maxmemory-policy` is");
        assert_eq!(warned, !codes.is_empty(), "{policy}: {}", log.text());
    }
}

#[tokio::test]
async fn increments_are_counted_by_who_said_so_and_once_at_each() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = watched(&app, &redis.url()).await;
    let b = watched(&app, &redis.url()).await;
    let own = "tagalong_increments_total{source=\"response\"}";
    let others = "tagalong_increments_total{source=\"other-sidecar\"}";
    // Each POST: its tag, and its URI, which is the key of a GET of that.
    const COUNT: usize = 30;
    for n in 0..COUNT {
        a.inc(&format!("T:{n}")).await;
    }
    b.inc("Last").await;
    let expected = (COUNT * 2) as f64;
    let told =
        async { while metric(&b, others).await < expected || metric(&a, others).await < 2.0 {} };
    soon("both to be told of all", told).await;
    assert_eq!(metric(&a, own).await, expected);
    assert_eq!(metric(&a, others).await, 2.0, "its own are not others'");
    assert_eq!(metric(&b, own).await, 2.0);
    assert_eq!(metric(&b, others).await, expected);
    for it in [&a, &b] {
        for name in ["tagalong_outbox", "tagalong_increments_deferred_total"] {
            assert_eq!(metric(it, name).await, 0.0, "{name}");
        }
    }
}
