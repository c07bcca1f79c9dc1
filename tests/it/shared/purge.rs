//! Forgetting by pattern (story 22): here, elsewhere, in the store, and what is still under way.

use tagalong::clock::Clock;
use tagalong::metrics::Metrics;
use tagalong::tags::News;
use tagalong::tags::Tags;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

use super::calm;
use super::operator::Operator;
use super::operator::sharing;
use super::sidecar;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::get;
use crate::support::reply;
use crate::support::sidecars;
use crate::support::soon;

const RULES: &str = r#"
  - { id: p, match: { path: '/p/(?P<n>\d+)' }, key: "PATTERN:{n}", ttl: 60s }
  - { id: q, match: { path: '/q/(?P<n>\d+)' }, key: "ANOTHER:{n}", ttl: 60s }
"#;

#[tokio::test]
async fn l11_a_pattern_forgets_what_it_matches_everywhere_and_nothing_else() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    redis.command(&["SET", "session:abc", "x"]).await;
    let [a, b] = sidecars(&app, |setup| calm(setup.redis(&redis.url()).rules(RULES))).await;
    for path in ["/p/1", "/p/2", "/q/3"] {
        app.answer(path, reply("old"));
        a.client().get(path).await.is_miss();
        let client = b.client();
        let shared = async { while !client.get(path).await.has_body("old").hits() {} };
        soon("the other one to have it", shared).await;
    }
    let other = Setup::new(&app).real_time().redis(&redis.url());
    let other = calm(other.config("namespace: other").rules(RULES));
    let other = other.start().await;
    app.answer("/p/9", reply("old"));
    other.client().get("/p/9").await.is_miss();
    let theirs = async || {
        let mut keys = redis.keys().await;
        keys.retain(|key| key.starts_with("tagalong:1:other:"));
        keys.sort();
        keys
    };
    let shared = async { while theirs().await.len() < 2 {} };
    soon("a response and its record", shared).await;
    let before = theirs().await;
    let operator = Operator::of(&redis).await;
    app.answer("/p/1", reply("new"));
    app.answer("/p/2", reply("new"));
    assert_eq!(operator.purge("PATTERN*").await, Some(2));
    for sidecar in [&a, &b] {
        for path in ["/p/1", "/p/2"] {
            let client = sidecar.client();
            let told = async { while client.get(path).await.text() != "new" {} };
            soon("it to be told", told).await;
        }
        sidecar.client().get("/q/3").await.is_hit().has_body("old");
    }
    let calls = app.calls("/q/3");
    assert!(operator.purge("*").await.is_some());
    let fresh = sidecar(&app, &redis.url(), RULES).await;
    fresh.client().get("/q/3").await.is_miss();
    assert_eq!(app.calls("/q/3"), calls + 1);
    assert_eq!(redis.command(&["GET", "session:abc"]).await.text(), "x");
    assert_eq!(theirs().await, before);
}

#[tokio::test]
async fn l01_what_was_under_way_when_a_pattern_came_is_not_stored() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    let operator = Operator::of(&redis).await;
    let client = a.client();
    for (path, glob, kept) in [("/p/1", "PATTERN*", false), ("/p/2", "ANOTHER*", true)] {
        let hold = app.hold(path);
        let first = client.begin(get(path)).await;
        let held = hold.arrived().await;
        assert_eq!(operator.purge(glob).await, Some(0));
        app.answer(path, reply("new"));
        held.release(reply("old")).await;
        first.answer().await.has_body("old");
        let second = client.get(path).await;
        second.has_body(if kept { "old" } else { "new" });
    }
}

#[tokio::test]
async fn patterns_that_the_log_has_while_one_is_applied_are_the_next_piece_of_news_together() {
    let redis = Redis::start().await;
    let operator = Operator::without_bodies(&redis).await;
    let tags = Tags::shared(
        Clock::System,
        sharing(&redis.url(), false, &Metrics::default()),
    );
    let (tell, mut told) = mpsc::unbounded_channel();
    let gate = Semaphore::new(0);
    let apply = |news| {
        let (tell, gate) = (tell.clone(), &gate);
        async move {
            if let News::Purged(patterns) = news {
                let globs: Vec<_> = patterns.into_iter().map(|(_, glob)| glob).collect();
                tell.send(globs.join(" ")).expect("somebody listens");
                gate.acquire().await.expect("it is open").forget();
            }
        }
    };
    let asked = async {
        soon("the store", tags.in_touch()).await;
        assert!(operator.purge("A*").await.is_some());
        assert_eq!(told.recv().await.as_deref(), Some("A*"));
        for glob in ["B*", "C*", "D*"] {
            assert!(operator.purge(glob).await.is_some());
        }
        gate.add_permits(2);
        assert_eq!(told.recv().await.as_deref(), Some("B* C* D*"));
    };
    tokio::select! {
        () = tags.follow(apply) => panic!("it never ends"),
        () = asked => {}
    }
}
