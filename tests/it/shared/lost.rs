//! Lost tag state means a miss, never an old response alive again (story 14, L3).

use super::BOUNDED;
use super::STRICT;
use super::says;
use super::sidecar;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::soon;

const TAG: &str = "tagalong:{tagalong}:tag:User:42";

#[tokio::test]
async fn l03_a_tag_that_the_store_has_lost_is_a_miss() {
    // 14.1 and 14.2.
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), STRICT).await;
    let client = a.client();
    says(&app, "a");
    client.get("/users/42").await.is_miss().has_body("a");
    client.get("/users/42").await.is_hit();
    says(&app, "b");
    a.inc("User:42").await;
    redis.command(&["DEL", TAG]).await;
    client.get("/users/42").await.is_not_hit().has_body("b");
    client.get("/users/42").await.is_hit().has_body("b");

    redis.command(&["DEL", TAG]).await;
    client.get("/users/42").await.is_not_hit();
    client.get("/users/42").await.is_hit();
    assert_eq!(app.calls("/users/42"), 3);
}

#[tokio::test]
async fn l03_a_store_that_was_flushed_is_another() {
    // 14.3 and 14.4.
    for rules in [STRICT, BOUNDED] {
        let (app, redis) = (Origin::start().await, Redis::start().await);
        let a = Setup::new(&app)
            .real_time()
            .redis(&redis.url())
            .redis_fields("timeout: 2s")
            .rules(rules)
            .start()
            .await;
        let client = a.client();
        says(&app, "a");
        client.get("/users/42").await.is_miss().has_body("a");
        client.get("/users/42").await.is_hit();
        says(&app, "b");
        a.inc("User:42").await;
        client.get("/users/42").await.is_not_hit().has_body("b");
        client.get("/users/42").await.is_hit();
        redis.flush_all().await;
        if rules == STRICT {
            client.get("/users/42").await.is_not_hit().has_body("b");
        }
        let forgotten = async { while client.get("/users/42").await.has_body("b").hits() {} };
        soon("it to be forgotten", forgotten).await;
        let stored = async { while !client.get("/users/42").await.has_body("b").hits() {} };
        soon("it to be stored again", stored).await;
    }
}

#[tokio::test]
async fn l03_what_was_stored_before_the_store_began_anew_is_not_taken_for_softly_invalidated() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), STRICT).await;
    let b = sidecar(&app, &redis.url(), STRICT).await;
    says(&app, "old");
    a.client().get("/users/42").await.is_miss();
    a.client().get("/users/42").await.is_hit();
    redis.flush_all().await;
    says(&app, "new");
    // From then on the tags have versions again, which the other one comes to know without anything of its own.
    for sidecar in [b, a] {
        let client = sidecar.client();
        let again = async { while !client.get("/users/42").await.has_body("new").hits() {} };
        soon("it to be stored again", again).await;
    }
}

#[tokio::test]
async fn l04_what_a_server_took_that_others_had_left_is_not_lost() {
    // A failover of which one has not heard yet: the old primary goes on taking its increments.
    let (left, new) = (
        Redis::setup().unix_socket().start().await,
        Redis::setup().unix_socket().start().await,
    );
    let folder = tempfile::tempdir().expect("room for a folder");
    let place = folder.path().join("redis.sock");
    let leads_to = |redis: &Redis| {
        let link = folder.path().join("next");
        std::os::unix::fs::symlink(redis.socket(), &link).expect("room for a link");
        std::fs::rename(&link, &place).expect("both are in one folder");
    };
    leads_to(&left);
    let app = Origin::start().await;
    let url = format!("redis+unix://{}", place.display());
    let a = sidecar(&app, &url, BOUNDED).await;
    let b = sidecar(&app, &new.url(), BOUNDED).await;
    let client = b.client();
    says(&app, "old");
    let stored = async { while !client.get("/users/42").await.has_body("old").hits() {} };
    soon("it to be stored", stored).await;
    says(&app, "new");
    a.inc("User:42").await;
    leads_to(&new);
    left.kill();
    let told = async { while client.get("/users/42").await.text() != "new" {} };
    soon("the other one to be told", told).await;
}

#[tokio::test]
async fn l01_a_tag_that_had_left_the_store_is_believed_once_the_log_is_read() {
    // An increment may have left with its key, and whoever made it known again first has waited for the log; others must too.
    const REGISTER: &str = concat!(
        include_str!("../../../src/shared/scripts/namespace.lua"),
        include_str!("../../../src/shared/scripts/register.lua")
    );
    const GEN: &str = "tagalong:{tagalong}:gen";
    const SEQ: &str = "tagalong:{tagalong}:seq";
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), STRICT).await;
    a.inc("User:42").await;
    let generation = redis.command(&["GET", GEN]).await.text();
    let generation = generation.split(' ').next().expect("a name");
    let sequence = redis.command(&["GET", SEQ]).await.text();
    let logged = sequence.split(' ').nth(1).expect("three numbers");
    let once_read = async || {
        let call = ["EVAL", REGISTER, "3", GEN, SEQ, TAG, generation, "60000"];
        redis.command(&call).await.list()[0].text()
    };
    assert_ne!(once_read().await, logged, "the store knows it");
    redis.command(&["DEL", TAG]).await;
    for _ in 0..2 {
        assert_eq!(once_read().await, logged);
    }
}
