//! The highest epoch that anybody has set counts for all (K16, L3).

use tagalong::cache::Epoch;

use super::OPEN;
use super::operator::Operator;
use super::story::BOTH;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::RedisReply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;
use crate::support::soon;

const KEY: &str = "tagalong:{tagalong}:epoch";

/// A sidecar whose files say this epoch.
async fn sidecar(app: &Origin, redis: &Redis, epoch: u64) -> Sidecar {
    Setup::new(app)
        .real_time()
        .redis(&redis.url())
        .redis_fields("timeout: 1s")
        .config(&format!("{OPEN}\nepoch: {epoch}"))
        .rules(BOTH)
        .start()
        .await
}

fn says(app: &Origin, body: &str) {
    for path in ["/strict", "/bounded"] {
        app.answer(path, reply(body));
    }
}

async fn stored(redis: &Redis) -> String {
    match redis.command(&["GET", KEY]).await {
        RedisReply::Error(why) => why, // it is no text
        other @ (RedisReply::Text(_)
        | RedisReply::Integer(_)
        | RedisReply::Nil
        | RedisReply::List(_)
        | RedisReply::Push(_)) => other.text(),
    }
}

/// Comes back when it has stored this, and answers with nothing else from then on.
async fn stores(sidecar: &Sidecar, body: &str) {
    let client = sidecar.client();
    for path in ["/strict", "/bounded"] {
        let stored = async {
            loop {
                let answer = client.get(path).await;
                if answer.hits() && answer.text() == body {
                    break;
                }
            }
        };
        soon(format!("{body} to be stored"), stored).await;
        client.get(path).await.is_hit().has_body(body);
    }
}

#[tokio::test]
async fn k16_who_starts_with_a_higher_epoch_takes_the_others_along() {
    let (app, redis, log) = (Origin::start().await, Redis::start().await, Log::default());
    let _guard = log.written();
    says(&app, "one");
    let a = sidecar(&app, &redis, 1).await;
    stores(&a, "one").await;
    let b = sidecar(&app, &redis, 2).await;
    assert_eq!(stored(&redis).await, "2");
    says(&app, "two");
    // At once where a rule wants to know at each lookup.
    a.client().get("/strict").await.is_not_hit().has_body("two");
    stores(&b, "two").await;
    stores(&a, "two").await;
    assert!(log.text().contains("and counts"), "{}", log.text());
}

#[tokio::test]
async fn k16_who_starts_with_a_lower_epoch_goes_on_under_the_higher_one() {
    let (app, redis, log) = (Origin::start().await, Redis::start().await, Log::default());
    says(&app, "three");
    let a = sidecar(&app, &redis, 3).await;
    stores(&a, "three").await;
    a.shutdown().await;
    let _guard = log.written();
    let b = sidecar(&app, &redis, 1).await;
    let warning = "epoch of the shared store is higher than ours, and counts: nothing is found of what was stored under ours epoch=3 ours=1";
    assert!(log.text().contains(warning), "{}", log.text());
    stores(&b, "three").await;
    // What its files say later counts from there on.
    says(&app, "four");
    let third = "  - { id: third, match: { path: /third }, ttl: 60s }";
    b.write("rules/rules.yaml", &format!("rules:\n{BOTH}{third}\n"));
    b.edit("tagalong.yaml", |text| text.replace("epoch: 1", "epoch: 2"));
    app.answer("/third", reply("x"));
    let client = b.client();
    let read = async { while !client.get("/third").await.hits() {} };
    soon("the files to be read again", read).await;
    b.client().get("/bounded").await.is_hit().has_body("three");
    b.edit("tagalong.yaml", |text| text.replace("epoch: 2", "epoch: 4"));
    stores(&b, "four").await;
    assert_eq!(stored(&redis).await, "4");
}

#[tokio::test]
async fn k16_files_that_raise_the_epoch_take_the_others_along() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    says(&app, "one");
    let a = sidecar(&app, &redis, 1).await;
    let b = sidecar(&app, &redis, 1).await;
    stores(&a, "one").await;
    stores(&b, "one").await;
    says(&app, "two");
    a.edit("tagalong.yaml", |text| text.replace("epoch: 1", "epoch: 2"));
    stores(&a, "two").await;
    stores(&b, "two").await;
    assert_eq!(stored(&redis).await, "2");
}

#[tokio::test]
async fn k16_an_operator_who_raises_the_epoch_takes_all_along() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    says(&app, "one");
    let a = sidecar(&app, &redis, 1).await;
    stores(&a, "one").await;
    let operator = Operator::of(&redis).await;
    let put = async |epoch| operator.cache.put_epoch(epoch, &operator.rules).await;
    assert_eq!(put(1).await, Epoch::Same(1));
    says(&app, "two");
    assert_eq!(put(2).await, Epoch::Raised(2));
    assert_eq!(operator.rules.load().epoch(), 2);
    assert_eq!(stored(&redis).await, "2");
    a.client().get("/strict").await.is_not_hit().has_body("two");
    stores(&a, "two").await;
    assert_eq!(put(1).await, Epoch::Lower { is: 2 });
    // Somebody has raised it meanwhile.
    redis.command(&["SET", KEY, "9"]).await;
    assert_eq!(put(5).await, Epoch::Lower { is: 9 });
    assert_eq!(operator.rules.load().epoch(), 9);
    redis.kill();
    assert_eq!(put(10).await, Epoch::Away);
    assert_eq!(operator.rules.load().epoch(), 9, "nobody goes on alone");
}

#[tokio::test]
async fn l03_a_store_that_has_lost_the_epoch_is_told_it_again() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    says(&app, "five");
    let a = sidecar(&app, &redis, 1).await;
    let b = sidecar(&app, &redis, 5).await;
    stores(&a, "five").await;
    b.shutdown().await;
    // By somebody whose own files say less.
    redis.flush_all().await;
    let told = async { while stored(&redis).await != "5" {} };
    soon("the epoch to be told again", told).await;
    for nonsense in ["0", "x", "99999999999999999999"] {
        redis.command(&["SET", KEY, nonsense]).await;
        let told = async { while stored(&redis).await != "5" {} };
        soon(format!("{nonsense} to be corrected"), told).await;
    }
    redis.command(&["DEL", KEY]).await;
    redis.command(&["LPUSH", KEY, "1"]).await;
    let told = async { while stored(&redis).await != "5" {} };
    soon("a list to be corrected", told).await;
    redis.command(&["DEL", KEY]).await;
    let c = sidecar(&app, &redis, 1).await;
    let told = async { while stored(&redis).await != "5" {} };
    soon("the epoch to be told once more", told).await;
    says(&app, "also five");
    stores(&c, "also five").await;
    stores(&a, "also five").await;
}

#[tokio::test]
async fn l13_an_epoch_that_waits_for_a_store_counts_here() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    says(&app, "one");
    let a = sidecar(&app, &redis, 1).await;
    stores(&a, "one").await;
    redis.kill();
    let away = async { while !a.reasons().await.contains_key("store-away") {} };
    soon("the store to be missed", away).await;
    says(&app, "two");
    a.edit("tagalong.yaml", |text| text.replace("epoch: 1", "epoch: 2"));
    redis.restart_empty().await;
    stores(&a, "two").await;
    let told = async { while stored(&redis).await != "2" {} };
    soon("the epoch to be told", told).await;
}
