//! What operators have done, shown by every sidecar.

use serde_json::json;
use tagalong::audit::Act;
use tagalong::audit::Audit;
use tagalong::audit::What;
use tagalong::clock::Clock;

use super::operator::Operator;
use crate::support::Redis;
use crate::support::soon;

const KEY: &str = "tagalong:{tagalong}:audit";

fn audit(sidecar: &Operator, name: &str) -> Audit {
    let cache = sidecar.cache.clone();
    let link = std::sync::Arc::new(move || cache.link());
    Audit::new(Clock::System, name, Some(link))
}

fn act(n: u64) -> Act {
    Act {
        who: "deploy".into(),
        what: What::Purge,
        target: json!({ "n": n }),
        effect: json!({ "purged": 1 }),
        status: 200,
    }
}

/// The next few, by their numbers and sidecars, and where to go on.
async fn page(audit: &Audit, cursor: Option<&str>, limit: usize) -> (String, Option<String>) {
    let page = audit.page(cursor, limit).await.expect("a cursor");
    let records = page.records.iter();
    let records = records.map(|it| format!("{}{}", it.sidecar, it.target["n"]));
    (records.collect::<Vec<_>>().join(" "), page.cursor)
}

#[tokio::test]
async fn every_sidecar_shows_what_was_done_through_any() {
    let redis = Redis::start().await;
    let (one, other) = (Operator::of(&redis).await, Operator::of(&redis).await);
    let (a, b) = (audit(&one, "a"), audit(&other, "b"));
    for n in 0..4 {
        a.record(act(n)).await;
        b.record(act(n)).await;
    }
    for audit in [&a, &b] {
        let (first, cursor) = page(audit, None, 3).await;
        assert_eq!(first, "b3 a3 b2");
        let (second, cursor) = page(audit, cursor.as_deref(), 3).await;
        assert_eq!(second, "a2 b1 a1");
        let (third, cursor) = page(audit, cursor.as_deref(), 3).await;
        assert_eq!((&*third, cursor), ("b0 a0", None));
    }
    // What others have put there is passed over.
    redis.command(&["XADD", KEY, "*", "r", "nonsense"]).await;
    assert_eq!(page(&a, None, 2).await.0, "b3");
    let life = redis.command(&["PTTL", KEY]).await.text();
    let life: u64 = life.parse().expect("L10: it has a life");
    assert!(life > 89 * 86_400_000, "{life}");
}

#[tokio::test]
async fn a_page_is_as_long_as_it_was_asked_for_though_it_is_read_in_pieces() {
    let redis = Redis::start().await;
    let one = Operator::of(&redis).await;
    let a = audit(&one, "a");
    for n in 0..103 {
        a.record(act(n)).await;
    }
    for limit in [49, 50, 100, 102, 103, 104] {
        let (some, cursor) = page(&a, None, limit).await;
        let expected = (0..103).rev().take(limit).map(|n| format!("a{n}"));
        assert_eq!(some, expected.collect::<Vec<_>>().join(" "), "{limit}");
        assert_eq!(cursor.is_some(), limit < 103, "{limit}");
    }
}

#[tokio::test]
async fn l10_the_last_ten_thousand_or_so_stay_in_the_store() {
    let redis = Redis::start().await;
    let one = Operator::of(&redis).await;
    let a = audit(&one, "a");
    let many = "for n = 1, 11000 do redis.call('XADD', KEYS[1], '*', 'r', 'x') end";
    redis.command(&["EVAL", many, "1", KEY]).await;
    a.record(act(1)).await;
    let left = redis.command(&["XLEN", KEY]).await.text();
    let left: u64 = left.parse().expect("a number");
    assert!((10_000..10_200).contains(&left), "{left} of them");
}

#[tokio::test]
async fn what_waits_is_sent_at_the_end() {
    let redis = Redis::start().await;
    let one = Operator::of(&redis).await;
    let a = audit(&one, "a");
    redis.command(&["SET", KEY, "x"]).await;
    a.record(act(1)).await;
    let ending = a.clone();
    let end = tokio::spawn(async move { ending.flush().await });
    redis.command(&["DEL", KEY]).await;
    soon("the end", end).await.expect("no panic");
    let late = Operator::of(&redis).await;
    assert_eq!(page(&audit(&late, "b"), None, 9).await.0, "a1");
}

#[tokio::test]
async fn a_store_that_refuses_what_waits_is_not_waited_for_at_the_end() {
    let redis = Redis::setup()
        .max_memory("64mb", "noeviction")
        .start()
        .await;
    let one = Operator::of(&redis).await;
    let a = audit(&one, "a");
    redis.config_set("maxmemory", "1").await;
    a.record(act(1)).await;
    soon("the end", a.flush()).await;
    assert_eq!(page(&a, None, 9).await.0, "a1", "from memory");
}

#[tokio::test]
async fn what_the_store_could_not_take_stays_and_is_sent_later() {
    let redis = Redis::start().await;
    let one = Operator::of(&redis).await;
    let a = audit(&one, "a");
    a.record(act(0)).await;
    redis.command(&["DEL", KEY]).await;
    redis.command(&["SET", KEY, "x"]).await;
    a.record(act(1)).await;
    assert_eq!(page(&a, None, 9).await.0, "a1 a0", "from memory");
    redis.command(&["DEL", KEY]).await;
    a.record(act(2)).await;
    let late = Operator::of(&redis).await;
    let b = audit(&late, "b");
    assert_eq!(page(&b, None, 9).await.0, "a2 a1", "in order");
    // And while the store is away.
    redis.kill();
    let away = async {
        while one.cache.link().is_some() {
            tokio::task::yield_now().await
        }
    };
    soon("the store to be missed", away).await;
    a.record(act(3)).await;
    let (all, _) = page(&a, None, 9).await;
    assert_eq!(all, "a3 a2 a1 a0");
}
