//! Lost tag state means a miss, never an old response alive again (story 14, L3).

use super::BOUNDED;
use super::STRICT;
use super::says;
use super::sidecar;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::reply;
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
        let a = sidecar(&app, &redis.url(), rules).await;
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
    const TWO: &str = r#"
  - { id: two, match: { path: '/[ab]' }, tags: [Shared], ttl: 60s }
"#;
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), TWO).await;
    let client = a.client();
    for path in ["/a", "/b"] {
        app.answer(path, reply("old"));
        client.get(path).await.is_miss();
        client.get(path).await.is_hit();
    }
    redis.flush_all().await;
    for path in ["/a", "/b"] {
        app.answer(path, reply("new"));
    }
    // From then on the tag has a version again.
    let again =
        async { while !client.get("/b").await.hits() || client.get("/b").await.text() != "new" {} };
    soon("the other one to be stored again", again).await;
    client.get("/a").await.is_not_hit().has_body("new");
}
