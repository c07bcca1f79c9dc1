//! The app's own values, through several sidecars.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tagalong::cache::Token;
use tagalong::cache::objects::Found;
use tagalong::cache::objects::NotPut;
use tagalong::cache::objects::Object;
use tagalong::cache::objects::Put;
use tagalong::clock::Clock;
use tagalong::model::tag::Increment;
use tagalong::model::tag::Tag;

use super::operator::Operator;
use crate::support::Redis;
use crate::support::soon;

fn by() -> Arc<str> {
    "PUT /v1/objects/k (app)".into()
}

fn user() -> Tag {
    Tag::parse("User:42").expect("a tag")
}

async fn get(sidecar: &Operator) -> Result<String, Token> {
    tokio::task::yield_now().await; // who has no connection waits for nothing, and the log is followed beside this
    let rules = sidecar.rules.load();
    match sidecar.cache.objects(&rules).get("k").await {
        Found::Object { body, .. } => Ok(String::from_utf8(body.to_vec()).expect("a text")),
        Found::Nothing(token) => Err(token),
    }
}

async fn put(sidecar: &Operator, body: &str, token: Option<&Token>) -> Result<Put, NotPut> {
    let object = Object {
        content_type: None,
        body: Bytes::copy_from_slice(body.as_bytes()),
        tags: vec![user().into()],
        life: Duration::from_secs(60),
    };
    let rules = sidecar.rules.load();
    let objects = sidecar.cache.objects(&rules);
    objects.put("k", object, token, &by()).await
}

async fn delete(sidecar: &Operator) -> Option<usize> {
    let rules = sidecar.rules.load();
    sidecar.cache.objects(&rules).delete("k", &by()).await
}

async fn increment(sidecar: &Operator) {
    let increments = [Increment::from(user())];
    let cache = &sidecar.cache;
    let stamps = cache.increment_by_operator(&increments, &by()).await;
    assert!(stamps.is_some(), "it is committed");
}

/// It says this before long.
async fn says(sidecar: &Operator, expected: Option<&str>) {
    let told = async { while get(sidecar).await.ok().as_deref() != expected {} };
    soon(format!("{expected:?} to be told"), told).await;
}

#[tokio::test]
async fn j16_what_one_sidecar_was_given_the_others_have_until_it_is_replaced_or_deleted() {
    let redis = Redis::start().await;
    let (a, b) = (Operator::of(&redis).await, Operator::of(&redis).await);
    assert_eq!(put(&a, "one", None).await, Ok(Put::New));
    assert_eq!(get(&b).await.expect("it is shared"), "one");
    assert_eq!(put(&b, "two", None).await, Ok(Put::Replaced));
    assert_eq!(get(&b).await.expect("its own"), "two");
    says(&a, Some("two")).await;
    assert_eq!(delete(&a).await, Some(1));
    assert!(get(&a).await.is_err());
    says(&b, None).await;
    assert_eq!(put(&a, "three", None).await, Ok(Put::New));
    says(&b, Some("three")).await;
    increment(&a).await;
    assert!(get(&a).await.is_err());
    says(&b, None).await;
    for key in redis.keys().await {
        let life = redis.command(&["PTTL", &key]).await.text();
        assert_ne!(life, "-1", "L10: {key}");
    }
}

#[tokio::test]
async fn l01_what_is_put_through_one_sidecar_replaces_what_another_has_for_itself() {
    let redis = Redis::start().await;
    let a = Operator::without_bodies(&redis).await;
    let b = Operator::without_bodies(&redis).await;
    assert_eq!(put(&a, "one", None).await, Ok(Put::New));
    assert_eq!(get(&a).await.expect("its own"), "one");
    let before = get(&b).await.expect_err("it is not shared");
    assert_eq!(
        put(&b, "two", None).await,
        Ok(Put::New),
        "as far as is known"
    );
    says(&a, None).await;
    assert_eq!(get(&b).await.expect("its own"), "two");
    let refused = put(&a, "old", Some(&before)).await;
    assert_eq!(refused, Err(NotPut::Raced));
    assert_eq!(put(&a, "three", None).await, Ok(Put::New));
    assert_eq!(get(&a).await.expect("its own"), "three");
    says(&b, None).await;
}

#[tokio::test]
async fn l01_a_value_stands_in_place_of_one_that_the_log_has_not_told_of_yet() {
    let redis = Redis::start().await;
    let (a, b) = (Operator::of(&redis).await, Operator::of(&redis).await);
    assert_eq!(put(&a, "one", None).await, Ok(Put::New));
    let just_now = Clock::System.now().as_micros();
    let state = format!("{just_now} {just_now} {just_now} -");
    let own = "tagalong:{tagalong}:tag:~object:k";
    redis.command(&["SET", own, &state, "KEEPTTL"]).await;
    assert_eq!(put(&b, "two", None).await, Ok(Put::New));
    assert_eq!(get(&b).await.expect("it is there"), "two");
    says(&a, Some("two")).await;
}

#[tokio::test]
async fn l01_object_put_with_a_token_from_before_an_increment_is_refused_by_every_sidecar() {
    let redis = Redis::start().await;
    let (a, b) = (Operator::of(&redis).await, Operator::of(&redis).await);
    let before = get(&a).await.expect_err("nothing is there");
    increment(&b).await;
    for sidecar in [&a, &b] {
        let refused = put(sidecar, "old", Some(&before)).await;
        assert_eq!(refused, Err(NotPut::Raced));
    }
    // Who has followed the log only since then does not know what has changed before.
    let late = Operator::of(&redis).await;
    let tag = "tagalong:{tagalong}:tag:User:42";
    redis.command(&["DEL", tag]).await;
    let refused = put(&late, "old", Some(&before)).await;
    assert_eq!(refused, Err(NotPut::Raced));
    let after = get(&a).await.expect_err("nothing is there");
    assert_eq!(put(&b, "new", Some(&after)).await, Ok(Put::New));
    assert_eq!(get(&a).await.expect("it is shared"), "new");
}

#[tokio::test]
async fn l03_a_token_of_a_history_that_is_over_is_refused() {
    let redis = Redis::start().await;
    let a = Operator::of(&redis).await;
    assert_eq!(put(&a, "one", None).await, Ok(Put::New));
    let before = {
        increment(&a).await;
        get(&a).await.expect_err("it is invalidated")
    };
    redis.flush_all().await;
    let begun = async {
        loop {
            let token = get(&a).await.expect_err("nothing old comes back");
            if put(&a, "new", Some(&token)).await == Ok(Put::New) {
                break;
            }
        }
    };
    soon("it to begin anew", begun).await;
    let refused = put(&a, "old", Some(&before)).await;
    assert_eq!(refused, Err(NotPut::Raced));
    assert_eq!(get(&a).await.expect("it is there"), "new");
    // Its stamp may be no lower than those of the new one: that it is of another is enough.
    assert_eq!(delete(&a).await, Some(1));
    let after = get(&a).await.expect_err("it is deleted").to_string();
    let (before, now) = (before.to_string(), after.clone());
    let (Some((history, _)), Some((_, rest))) = (parts(&before), parts(&now)) else {
        panic!("{before} or {now} is no token");
    };
    let foreign = format!("{history}.{rest}").parse().expect("a token");
    let refused = put(&a, "old", Some(&foreign)).await;
    assert_eq!(refused, Err(NotPut::Raced));
    let after = after.parse().expect("a token");
    assert_eq!(put(&a, "newer", Some(&after)).await, Ok(Put::New));
}

/// The history of a token, and the rest.
fn parts(token: &str) -> Option<(&str, &str)> {
    let stamp = token.rmatch_indices('.').nth(1)?.0;
    let (history, rest) = token.split_at(stamp);
    Some((history, rest.strip_prefix('.')?))
}

#[tokio::test]
async fn l03_a_value_of_a_history_that_is_over_is_nobodys() {
    let redis = Redis::start().await;
    let a = Operator::of(&redis).await;
    assert_eq!(put(&a, "one", None).await, Ok(Put::New));
    // Its record and the versions of its tags are there still, and mean nothing in the history that begins now.
    let generation = "tagalong:{tagalong}:gen";
    redis.command(&["DEL", generation]).await;
    let late = Operator::of(&redis).await;
    assert!(get(&late).await.is_err());
    assert_eq!(put(&late, "two", None).await, Ok(Put::New));
}

#[tokio::test]
async fn l08_an_empty_value_is_one_for_all() {
    let redis = Redis::start().await;
    let (a, b) = (Operator::of(&redis).await, Operator::of(&redis).await);
    assert_eq!(put(&a, "", None).await, Ok(Put::New));
    assert_eq!(get(&b).await.expect("it is shared"), "");
    assert_eq!(delete(&b).await, Some(1));
}

#[tokio::test]
async fn l13_without_the_store_nothing_is_put_and_nothing_old_is_told() {
    let redis = Redis::start().await;
    let a = Operator::of(&redis).await;
    assert_eq!(put(&a, "one", None).await, Ok(Put::New));
    redis.kill();
    let fenced = async { while get(&a).await.is_ok() {} };
    soon("it to notice", fenced).await;
    assert_eq!(put(&a, "two", None).await, Err(NotPut::Fenced));
    assert_eq!(delete(&a).await, None, "the others could not be told");
    assert!(get(&a).await.is_err());
}
