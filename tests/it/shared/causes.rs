//! Who has changed what: told alike by every sidecar, whoever it was.

use std::sync::Arc;

use tagalong::cache::Incremented;
use tagalong::metrics::Source;
use tagalong::model::stamp::Stamp;
use tagalong::model::tag::Increment;
use tagalong::model::tag::Tag;

use super::BOUNDED;
use super::calm;
use super::operator::Operator;
use super::says;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::reply;
use crate::support::soon;

fn tag(name: &str) -> Tag {
    Tag::parse(name).expect("a tag")
}

fn of(name: &str) -> impl Fn(&Incremented) -> bool {
    move |it: &Incremented| it.tags.contains(&tag(name))
}

#[tokio::test]
async fn a_miss_names_the_request_that_another_sidecar_had() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    says(&app, "old");
    app.answer(
        "/change",
        reply("done").header("Cache-Tag-Increment", "User:42"),
    );
    let debug = "headers: { debug: { enabled: true } }";
    let rules = |setup: Setup| calm(setup.real_time().redis(&redis.url()).rules(BOUNDED));
    let a = rules(Setup::new(&app)).start().await;
    let b = rules(Setup::new(&app)).config(debug).start().await;
    let client = b.client();
    let stored = async { while !client.get("/users/42").await.hits() {} };
    soon("it to be stored", stored).await;
    a.client().post("/change").await.has_status(200);
    let missed = async {
        loop {
            let answer = client.get("/users/42").await;
            if !answer.hits() {
                break answer;
            }
        }
    };
    let missed = soon("it to be told", missed).await;
    let why = missed.detail();
    assert!(why.contains("User:42 incremented"), "{why}");
    assert!(why.contains("by POST /change"), "{why}");
}

/// The version that the tag has by then.
async fn increment(sidecar: &Operator, one: &[Increment; 1], by: &Arc<str>) -> Option<Stamp> {
    let stamps = sidecar.cache.increment_by_operator(one, by).await;
    stamps.map(|stamps| stamps[0])
}

#[tokio::test]
async fn l06_more_tags_than_may_wait_are_incremented_by_and_by() {
    let redis = Redis::start().await;
    let here = Operator::of(&redis).await; // ten may wait
    let many: Vec<Tag> = (0..25).map(|n| tag(&format!("T:{n}"))).collect();
    let increments: Vec<Increment> = many.iter().cloned().map(Increment::from).collect();
    let by = "POST /v1/tags/increment".into();
    let stamps = here.cache.increment_by_operator(&increments, &by).await;
    let stamps = stamps.expect("the store is well");
    assert_eq!(stamps.len(), many.len());
    for (tag, stamp) in many.iter().zip(stamps) {
        let now = here.cache.tag(tag).await;
        assert_eq!(now.version, Some(stamp), "{tag}: its own");
    }
    let all = here.cache.tag(&Tag::all()).await;
    assert_eq!(all.cause, None, "nothing else is forgotten");
}

#[tokio::test]
async fn l06_of_more_tags_than_may_wait_none_is_lost_while_the_store_is_silent() {
    let redis = Redis::start().await;
    let here = Operator::of(&redis).await; // ten may wait
    let increments: Vec<Increment> = (0..25).map(|n| tag(&format!("T:{n}")).into()).collect();
    let by = "POST /v1/tags/increment".into();
    redis.pause();
    let stamps = here.cache.increment_by_operator(&increments, &by).await;
    assert_eq!(stamps, None);
    redis.resume();
    let (last, all) = (tag("T:24"), Tag::all());
    let version = async |tag| here.cache.tag(tag).await.version;
    let changed = async {
        while version(&last).await.or(version(&all).await).is_none() {
            tokio::task::yield_now().await; // who has no connection waits for nothing
        }
    };
    soon(
        "the last of them to count, by itself or with everything",
        changed,
    )
    .await;
}

#[tokio::test]
async fn every_sidecar_tells_of_an_increment_once_and_by_which_way_it_came() {
    let redis = Redis::start().await;
    let (here, there) = (Operator::of(&redis).await, Operator::of(&redis).await);
    let (mut at_home, mut abroad) = (
        here.cache.watch_increments(),
        there.cache.watch_increments(),
    );
    let by = "POST /v1/purge (deploy)".into();
    for name in ["A", "B"] {
        let increments = [Increment::from(tag(name))];
        let stamp = increment(&here, &increments, &by).await;
        assert!(stamp.is_some());
        for (watched, source) in [
            (&mut at_home, Source::Admin),
            (&mut abroad, Source::OtherSidecar),
        ] {
            let told = soon("it to be told", watched.recv()).await.expect("it");
            assert!(of(name)(&told), "{told:?}");
            assert_eq!((told.stamp, &*told.by, told.source), (stamp, &*by, source));
        }
        for (sidecar, source) in [(&here, Source::Admin), (&there, Source::OtherSidecar)] {
            let now = sidecar.cache.tag(&tag(name)).await;
            assert_eq!(now.version, stamp);
            assert_eq!(now.cause.map(|it| it.source), Some(source));
        }
    }
    for sidecar in [&here, &there] {
        let increments = sidecar.cache.increments(9);
        assert_eq!(increments.len(), 2, "{increments:?}");
        assert!(of("B")(&increments[0]) && of("A")(&increments[1]));
    }
}

#[tokio::test]
async fn l14_a_tag_that_is_unknown_here_is_asked_for_and_not_made() {
    let redis = Redis::start().await;
    let here = Operator::of(&redis).await;
    let increments = [Increment::from(tag("A"))];
    let by = "POST /v1/purge".into();
    let stamp = increment(&here, &increments, &by).await;
    assert!(stamp.is_some());
    let late = Operator::of(&redis).await; // the log is followed from here on
    let now = late.cache.tag(&tag("A")).await;
    assert_eq!((now.version, now.cause), (stamp, None));
    let now = late.cache.tag(&tag("B")).await;
    assert_eq!(now.version, None);
    for name in ["B", "C"] {
        let key = format!("tagalong:{{tagalong}}:tag:{name}");
        assert_eq!(redis.command(&["EXISTS", &key]).await.text(), "0");
    }
    // Without the store, what is known here is said.
    redis.kill();
    let now = here.cache.tag(&tag("A")).await;
    assert_eq!(now.version, stamp);
}

#[tokio::test]
async fn l06_what_waits_for_the_store_is_told_as_that_until_it_has_landed() {
    let redis = Redis::start().await;
    let here = Operator::of(&redis).await;
    let mut watched = here.cache.watch_increments();
    redis.kill();
    let increments = [Increment::from(tag("A"))];
    let by = "POST /v1/purge".into();
    let stamp = increment(&here, &increments, &by).await;
    assert_eq!(stamp, None);
    let told = soon("it to be told", watched.recv()).await.expect("it");
    assert!(of("A")(&told) && told.stamp.is_none(), "{told:?}");
    let cause = here.cache.tag(&tag("A")).await.cause;
    assert_eq!(cause.map(|it| it.source), Some(Source::Admin));
    redis.restart_empty().await;
    let told = soon("it to land", watched.recv()).await.expect("it");
    assert!(of("A")(&told) && told.stamp.is_some(), "{told:?}");
    assert_eq!(here.cache.increments(9), [told], "in its place");
}
