//! What is noticed of a store, and said: in the log once, in `/readyz` as long as it is so, never with a secret.

use futures_util::future::join_all;

use super::OPEN;
use super::story::BOTH;
use super::story::increments;
use super::story::story;
use crate::support::Cut;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;
use crate::support::soon;

fn setup(app: &Origin, url: &str) -> Setup {
    Setup::new(app)
        .real_time()
        .redis(url)
        .redis_fields("timeout: 1s")
        .config(OPEN)
        .rules(BOTH)
}

async fn sidecar(app: &Origin, url: &str) -> Sidecar {
    setup(app, url).start().await
}

/// How many lines of the log have this in them.
fn lines(log: &Log, what: &str) -> usize {
    log.text()
        .lines()
        .filter(|line| line.contains(what))
        .count()
}

/// How often the store was found wanting.
async fn errors(sidecar: &Sidecar) -> u64 {
    let metrics = sidecar.admin().get("/metrics").await.text();
    let samples = metrics.lines().filter_map(|line| line.rsplit_once(' '));
    let errors = samples.filter(|(name, _)| name.starts_with("tagalong_shared_errors_total"));
    errors
        .map(|(_, count)| count.parse::<u64>().expect("a number"))
        .sum()
}

/// Comes back when it has been found wanting so often more.
async fn fails_again(sidecar: &Sidecar, times: u64) {
    let before = errors(sidecar).await;
    let again = async { while errors(sidecar).await < before + times {} };
    soon("it to fail again", again).await;
}

#[tokio::test]
async fn d05_a_store_that_evicts_what_it_likes_is_told_once() {
    let log = Log::default();
    let _guard = log.written();
    let told = async |policy: &str, degrades: bool| {
        let app = Origin::start().await;
        let redis = Redis::setup().max_memory("64mb", policy).start().await;
        let a = sidecar(&app, &redis.url()).await;
        let b = sidecar(&app, &redis.url()).await;
        story(&app, &a, &b).await;
        let reasons = a.reasons().await;
        let is_reason = reasons.contains_key("store-evicts");
        assert_eq!(is_reason, degrades, "{policy}: {reasons:?}");
        redis.restart_empty().await; // found again, and known
        story(&app, &a, &b).await;
        let told = lines(&log, &format!("`maxmemory-policy` is {policy}"));
        let each = if degrades { 2 } else { 0 };
        assert_eq!(told, each, "{policy}, once for each sidecar");
    };
    let policies = [
        ("allkeys-lru", true),
        ("volatile-random", true),
        ("volatile-ttl", false),
        ("noeviction", false),
    ];
    join_all(policies.map(|(policy, degrades)| told(policy, degrades))).await;
    assert_eq!(lines(&log, "has no limit"), 0);
}

#[tokio::test]
async fn d05_a_store_without_a_limit_and_with_another_clock_is_only_mentioned() {
    let (app, redis, log) = (Origin::start().await, Redis::start().await, Log::default());
    let _guard = log.written();
    // Its clock stands still, years ahead.
    let a = Setup::new(&app)
        .redis(&redis.url())
        .redis_fields("timeout: 1s")
        .config(OPEN)
        .rules(BOTH)
        .start()
        .await;
    let told = async {
        while lines(&log, "differ by") == 0 {
            tokio::task::yield_now().await
        }
    };
    soon("the clock to be noticed", told).await;
    assert_eq!(lines(&log, "has no limit"), 1);
    let reasons = a.reasons().await;
    let quiet = ["store-clock", "store-no-limit"];
    assert!(
        quiet.iter().all(|it| !reasons.contains_key(*it)),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn l13_a_password_that_is_wrong_is_told_once_and_that_it_is_right_by_now() {
    let (app, log) = (Origin::start().await, Log::default());
    let rights = "~* resetchannels +@all";
    let redis = Redis::setup().user("ada", "right", rights).start().await;
    let _guard = log.written();
    let a = sidecar(&app, &redis.url_of("ada", "wr0ng")).await;
    fails_again(&a, 2).await;
    app.answer("/strict", reply("x"));
    a.client().get("/strict").await.has_status(200).is_not_hit();
    let reasons = a.reasons().await;
    let away = reasons.get("store-away").expect("it is told");
    assert!(
        away.contains("it refuses the user or the password"),
        "{away}"
    );
    assert_eq!(
        lines(&log, "the shared store cannot be used"),
        1,
        "{}",
        log.text()
    );

    let right = ["ACL", "SETUSER", "ada", ">wr0ng"];
    assert_eq!(redis.command(&right).await.text(), "OK");
    let back = async {
        while lines(&log, "the shared store is back") == 0 {
            tokio::task::yield_now().await
        }
    };
    soon("it to be back", back).await;
    let over = async { while !a.reasons().await.is_empty() {} };
    soon("all to be well", over).await;
    story(&app, &a, &a).await;
    assert_eq!(lines(&log, "the shared store is back"), 1);
    for secret in ["ada", "wr0ng"] {
        assert_eq!(lines(&log, secret), 0, "{}", log.text());
        assert!(!away.contains(secret), "{away}");
    }
}

#[tokio::test]
async fn l13_a_server_that_is_gone_is_told_once_each_time() {
    let (app, redis, log) = (Origin::start().await, Redis::start().await, Log::default());
    let cut = Cut::before(redis.port()).await;
    let _guard = log.written();
    let a = sidecar(&app, &cut.url()).await;
    for times in 1..=2 {
        cut.cut().await;
        fails_again(&a, 2).await;
        let reasons = a.reasons().await;
        assert!(reasons.contains_key("store-away"), "{reasons:?}");
        cut.heal().await;
        let back = async {
            while lines(&log, "the shared store is back") < times {
                tokio::task::yield_now().await
            }
        };
        soon("it to be back", back).await;
        let warned = lines(&log, "WARN");
        assert!(warned <= times, "{warned} warnings:\n{}", log.text());
    }
}

#[tokio::test]
async fn l13_a_store_that_is_full_is_told_once_and_that_it_is_not_any_more() {
    let (app, log) = (Origin::start().await, Log::default());
    let redis = Redis::setup()
        .max_memory("64mb", "noeviction")
        .start()
        .await;
    let _guard = log.written();
    let a = sidecar(&app, &redis.url()).await;
    story(&app, &a, &a).await;
    redis.config_set("maxmemory", "1").await;
    increments(&a, "User:42").await;
    fails_again(&a, 2).await;
    a.client().get("/bounded").await.is_not_hit();
    let reasons = a.reasons().await;
    let refused = reasons.get("store-refuses").expect("it is told");
    assert!(refused.contains("OOM"), "{refused}");
    assert!(reasons.contains_key("increments-wait"), "{reasons:?}");
    assert_eq!(
        lines(&log, "refuses what is asked of it"),
        1,
        "{}",
        log.text()
    );
    redis.config_set("maxmemory", "0").await;
    story(&app, &a, &a).await;
    let over = async {
        while a.reasons().await.contains_key("store-refuses") {
            increments(&a, "User:42").await;
        }
    };
    soon("all to be well", over).await;
    assert_eq!(lines(&log, "refuses nothing any more"), 1);
    assert_eq!(lines(&log, "refuses what is asked of it"), 1);
}
