//! What stands in the store: everything for a time (L10), nothing outside of its namespace (L11), and what others make of it.

use super::ADMIN;
use super::BOUNDED;
use super::STRICT;
use super::metric;
use super::says;
use super::sidecar;
use crate::support::Cut;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

const GEN: &str = "tagalong:{tagalong}:gen";
const SEQ: &str = "tagalong:{tagalong}:seq";
const LOG: &str = "tagalong:{tagalong}:log";
const EPOCH: &str = "tagalong:{tagalong}:epoch";
const TAG: &str = "tagalong:{tagalong}:tag:User:42";

/// One that can be asked for its metrics.
async fn counting(app: &Origin, url: &str, rules: &str) -> Sidecar {
    let setup = Setup::new(app).real_time().redis(url);
    let setup = setup.redis_fields("timeout: 2s");
    setup.rules(rules).config(ADMIN).start().await
}

/// How long a key still lives, in milliseconds; `-1`: for ever.
async fn life(redis: &Redis, key: &str) -> i64 {
    let reply = redis.command(&["PTTL", key]).await;
    reply.text().parse().expect("a number")
}

/// What the store says of a key that is not there.
const GONE: i64 = -2;

#[tokio::test]
async fn l10_l11_everything_in_the_store_expires_and_nothing_else_is_touched() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let others = [
        "User:42",
        "tagalong",
        "tagalong:tag:User:42",
        "tagalong:{tagalong",
        "tagalong:{tagalong}",
        "tagalong:{tagalong}:",
        "tagalong:{tagalong2}:tag:User:42",
        "tagalong:{other}:log",
        "tagalong:1:tagalong2:v:00",
        "{tagalong}:seq",
    ];
    for key in others {
        redis.command(&["SET", key, "theirs"]).await;
    }
    let a = sidecar(&app, &redis.url(), STRICT).await;
    let client = a.client();
    says(&app, "x");
    client.get("/users/42").await.is_miss();
    client.get("/users/42").await.is_hit();
    a.inc("User:42, Never:stored").await;
    a.inc("User:42;soft").await;
    app.answer(
        "/counted",
        reply("x")
            .header("Cache-Tag", "Row:1;v=7")
            .control("max-age=60"),
    );
    client.get("/counted").await.is_miss();

    // What leaves in parts comes back with a life, too.
    for lost in [LOG, TAG] {
        redis.command(&["DEL", lost]).await;
        a.inc("User:42").await;
        assert!(life(&redis, lost).await > 0, "{lost} lives for ever");
    }
    // One that somebody has made permanent is mortal again when it is next used.
    redis.command(&["PERSIST", TAG]).await;
    client.get("/users/42").await.is_not_hit();

    let keys = redis.keys().await;
    for expected in [GEN, SEQ, LOG, EPOCH, TAG, "tagalong:{tagalong}:tag:Row:1"] {
        assert!(
            keys.iter().any(|key| key == expected),
            "{expected} in {keys:?}"
        );
    }
    let most = 31 * 86_400 * 1_000;
    for key in keys.iter().filter(|key| !others.contains(&key.as_str())) {
        let is_ours = ["tagalong:{tagalong}:", "tagalong:1:tagalong:"];
        assert!(is_ours.iter().any(|it| key.starts_with(it)), "{key}");
        let left = life(&redis, key).await;
        if left == GONE {
            continue; // what a newer response has replaced is dropped
        }
        assert!((1..most).contains(&left), "{key} lives for {left} ms");
    }
    for key in others {
        assert_eq!(redis.command(&["GET", key]).await.text(), "theirs", "{key}");
        assert_eq!(life(&redis, key).await, -1, "{key}");
    }
}

#[tokio::test]
async fn k13_namespaces_in_one_store_do_not_meet() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let of = async |namespace: &str| {
        let setup = Setup::new(&app).real_time().redis(&redis.url());
        let setup = setup.redis_fields("timeout: 2s");
        let setup = setup.config(&format!("namespace: '{namespace}'"));
        setup.rules(STRICT).start().await
    };
    let (shop, shop_tag) = (of("shop").await, of("shop:tag").await);
    says(&app, "old");
    for it in [&shop, &shop_tag] {
        it.client().get("/users/42").await.is_miss();
        it.client().get("/users/42").await.is_hit();
    }
    says(&app, "new");
    shop.inc("User:42, ~all").await;
    let told = shop.client().get("/users/42").await;
    told.is_not_hit().has_body("new");
    shop_tag
        .client()
        .get("/users/42")
        .await
        .is_hit()
        .has_body("old");
    // One of them is lost, the other does not notice.
    redis.command(&["DEL", "tagalong:{shop}:gen"]).await;
    let lost = shop.client().get("/users/42").await;
    lost.is_not_hit();
    shop_tag
        .client()
        .get("/users/42")
        .await
        .is_hit()
        .has_body("old");
}

#[tokio::test]
async fn l03_what_is_no_longer_ours_under_our_names_is_a_miss() {
    let foreign: [(&str, &[&str], &str); 9] = [
        (GEN, &["SADD", GEN, "x"], "generation"),
        (SEQ, &["RPUSH", SEQ, "1"], "generation"),
        (SEQ, &["SET", SEQ, "nonsense", "EX", "60"], "generation"),
        (LOG, &["SET", LOG, "nonsense"], "wrong-type"),
        (EPOCH, &["RPUSH", EPOCH, "1"], ""),
        (TAG, &["HSET", TAG, "a", "b"], ""),
        (TAG, &["SET", TAG, "5 5 5 ", "EX", "60"], ""),
        (TAG, &["SET", TAG, "5 5 5 x", "EX", "60"], ""),
        // As a later version might write it.
        (TAG, &["SET", TAG, "5 5 5 - more", "EX", "60"], ""),
    ];
    for (key, command, kind) in foreign {
        let (app, redis) = (Origin::start().await, Redis::start().await);
        let a = counting(&app, &redis.url(), STRICT).await;
        let b = sidecar(&app, &redis.url(), BOUNDED).await;
        let clients = [a.client(), b.client()];
        says(&app, "old");
        for client in &clients {
            client.get("/users/42").await.has_body("old");
            client.get("/users/42").await.is_hit();
        }
        redis.command(&["DEL", key]).await;
        redis.command(command).await;
        says(&app, "new");
        // Whether or not it is taken in time.
        let change = post("/inc").with("X-Increment", "User:42");
        clients[0].ask(change).await.has_status(200);
        clients[0]
            .get("/users/42")
            .await
            .is_not_hit()
            .has_body("new");
        for client in &clients {
            let told = async { while client.get("/users/42").await.text() != "new" {} };
            soon(format!("the change, with {command:?}"), told).await;
            let stored = async { while !client.get("/users/42").await.has_body("new").hits() {} };
            soon(format!("it to be stored again, with {command:?}"), stored).await;
        }
        if !kind.is_empty() {
            let name = format!("tagalong_shared_errors_total{{kind=\"{kind}\"}}");
            assert!(metric(&a, &name).await >= 1.0, "{command:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_is_told_them_again() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = counting(&app, &redis.url(), STRICT).await;
    let client = a.client();
    says(&app, "old");
    client.get("/users/42").await.is_miss();
    redis.forget_scripts().await;
    says(&app, "new");
    a.inc("User:42").await;
    redis.forget_scripts().await;
    client
        .get("/users/42")
        .await
        .is_invalidated()
        .has_body("new");
    client.get("/users/42").await.is_hit().has_body("new");
    assert_eq!(metric(&a, "tagalong_increments_deferred_total").await, 0.0);
}

/// Until everything that was stored before is forgotten, and something is stored again.
async fn begins_anew(sidecar: &Sidecar, what: &str) {
    let client = sidecar.client();
    let told = async { while client.get("/users/42").await.text() != "new" {} };
    soon(what, told).await;
    let stored = async { while !client.get("/users/42").await.has_body("new").hits() {} };
    soon("it to be stored again", stored).await;
}

#[tokio::test]
async fn l03_a_record_that_is_not_understood_is_a_gap() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = counting(&app, &redis.url(), BOUNDED).await;
    says(&app, "old");
    a.client().get("/users/42").await.is_miss();
    a.client().get("/users/42").await.is_hit();
    assert_eq!(metric(&a, "tagalong_log_gaps_total").await, 0.0);
    says(&app, "new");
    // As a later version would: in order, with a field of its own.
    let state = redis.command(&["GET", SEQ]).await.text();
    let logged: u64 = state
        .split(' ')
        .nth(1)
        .expect("two stamps")
        .parse()
        .expect("a stamp");
    let last: u64 = state
        .split(' ')
        .next()
        .expect("a stamp")
        .parse()
        .expect("a stamp");
    let next = (last + 1).to_string();
    let record = [
        "XADD",
        LOG,
        "*",
        "n",
        &next,
        "p",
        &logged.to_string(),
        "h",
        "Other",
        "z",
        "?",
    ];
    redis
        .command(&["SET", SEQ, &format!("{next} {next} 0"), "KEEPTTL"])
        .await;
    redis.command(&record).await;
    begins_anew(&a, "the record to be read").await;
    assert_eq!(metric(&a, "tagalong_log_gaps_total").await, 1.0);
    // What follows is understood.
    says(&app, "newer");
    a.inc("User:42").await;
    a.client()
        .get("/users/42")
        .await
        .is_invalidated()
        .has_body("newer");
    assert_eq!(metric(&a, "tagalong_log_gaps_total").await, 1.0);
}

#[tokio::test]
async fn l03_who_was_away_while_the_log_was_trimmed_begins_anew() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let cut = Cut::before(redis.port()).await;
    let a = counting(&app, &redis.url(), BOUNDED).await;
    let b = counting(&app, &cut.url(), BOUNDED).await;
    says(&app, "old");
    app.answer("/users/43", reply("old"));
    for path in ["/users/42", "/users/43"] {
        b.client().get(path).await.is_miss();
        b.client().get(path).await.is_hit();
    }
    cut.cut().await;
    says(&app, "new");
    app.answer("/users/43", reply("new"));
    a.inc("User:42").await;
    redis.command(&["XTRIM", LOG, "MAXLEN", "0"]).await;
    cut.heal().await;
    begins_anew(&b, "the gap to be noticed").await;
    // Nobody knows what else has left with the log.
    b.client()
        .get("/users/43")
        .await
        .is_not_hit()
        .has_body("new");
    assert_eq!(metric(&b, "tagalong_log_gaps_total").await, 1.0);
    assert_eq!(metric(&a, "tagalong_log_gaps_total").await, 0.0);
}
