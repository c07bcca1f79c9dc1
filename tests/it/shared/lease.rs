//! One sidecar fetches for all (story 10, F13, F14, L9).

use futures_util::future::join_all;

use super::calm;
use super::sidecar;
use crate::support::Origin;
use crate::support::Process;
use crate::support::Redis;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;
use crate::support::sidecars;
use crate::support::soon;

const SLOW: &str = r#"
  - { id: slow, match: { path: '/slow' }, ttl: 60s, coalesce: { wait: 10s, shared: true, lease: 1s } }
"#;

/// Its lease is in the store; by its name.
async fn lease(redis: &Redis) -> String {
    let mut name = None;
    let taken = async {
        while name.is_none() {
            let keys = redis.keys().await;
            name = keys.into_iter().find(|key| key.contains(":lease:"));
        }
    };
    soon("a lease", taken).await;
    name.expect("just found")
}

/// Waits until somebody waits for a lease.
async fn until_awaited(redis: &Redis) {
    let awaited = async {
        while !redis
            .keys()
            .await
            .iter()
            .any(|key| key.contains(":awaited:"))
        {}
    };
    soon("somebody who waits", awaited).await;
}

#[tokio::test]
async fn l09_two_sidecars_fetch_once() {
    // 10: longer than the lease.
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let [a, b] = sidecars(&app, |setup| calm(setup.redis(&redis.url()).rules(SLOW))).await;
    let hold = app.hold("/slow");
    let clients = |sidecar: &Sidecar| (0..5).map(|_| sidecar.client()).collect::<Vec<_>>();
    let clients = [clients(&a), clients(&b)].concat();
    let answers = join_all(clients.iter().map(|client| client.get("/slow")));
    let fetched = async {
        let held = hold.arrived().await;
        let name = lease(&redis).await;
        until_awaited(&redis).await;
        // Renewed: it gets younger now and then.
        let left = async || {
            redis
                .command(&["PTTL", &name])
                .await
                .text()
                .parse::<i64>()
                .unwrap()
        };
        let renewed = async {
            let (mut renewals, mut last) = (0, left().await);
            while renewals < 3 {
                let now = left().await;
                assert!(now > 0, "it lives as long as the work");
                renewals += i32::from(now > last);
                last = now;
            }
        };
        soon("renewals", renewed).await;
        held.release(reply("x")).await;
    };
    let (answers, ()) = futures_util::future::join(answers, fetched).await;
    let alone = answers.iter().filter(|answer| {
        answer.has_body("x");
        let status = answer.cache_status().expect("it is told");
        !answer.hits() && !format!("{status:?}").contains("collapsed")
    });
    assert_eq!(alone.count(), 1);
    assert_eq!(app.calls("/slow"), 1);
}

#[tokio::test]
async fn l09_what_cannot_be_stored_is_asked_for_by_each_at_once() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let [a, b] = sidecars(&app, |setup| calm(setup.redis(&redis.url()).rules(SLOW))).await;
    let hold = app.hold("/slow");
    let (one, other) = (a.client(), b.client());
    let first = one.begin(get("/slow")).await;
    let held = hold.arrived().await;
    let second = other.begin(get("/slow")).await;
    until_awaited(&redis).await;
    let private = || reply("x").control("private");
    app.answer("/slow", private());
    held.release(private()).await;
    first.answer().await.is_not_stored();
    second.answer().await.is_not_stored();
    assert_eq!(app.calls("/slow"), 2);
}

#[tokio::test]
async fn f14_who_has_lost_its_lease_stores_nothing_for_all_and_frees_nobody_elses() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), SLOW).await;
    let hold = app.hold("/slow");
    let client = a.client();
    let first = client.begin(get("/slow")).await;
    let held = hold.arrived().await;
    let name = lease(&redis).await;
    redis
        .command(&["SET", &name, "somebody", "PX", "60000"])
        .await;
    held.release(reply("x")).await;
    first.answer().await.has_body("x");
    a.shutdown().await;
    assert_eq!(redis.command(&["GET", &name]).await.text(), "somebody");
    let keys = redis.keys().await;
    assert!(!keys.iter().any(|key| key.contains(":c:")), "{keys:?}");
}

#[tokio::test]
async fn f13_what_a_killed_sidecar_was_fetching_is_fetched_once_more() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let folder = tempfile::tempdir().expect("room for a folder");
    let config = folder.path().join("tagalong.yaml");
    let settings = format!(
        "listen: ['127.0.0.1:0']\nupstream: {{ url: '{}' }}\nstore: {{ redis: {{ url: '{}', timeout: 2s }} }}\ntags: {{ max_lag: 5s }}\n",
        app.url(),
        redis.url(),
    );
    std::fs::write(&config, settings).expect("room for a file");
    std::fs::create_dir(folder.path().join("rules")).expect("room for a folder");
    let rules = format!("rules:{SLOW}");
    std::fs::write(folder.path().join("rules/rules.yaml"), rules).expect("room for a file");
    let mut killed = Process::start(&["--config", config.to_str().expect("text")]);
    let client = killed.client().await;

    let hold = app.hold("/slow");
    let first = client.begin(get("/slow")).await;
    let _held = hold.arrived().await;
    lease(&redis).await;
    let b = sidecar(&app, &redis.url(), SLOW).await;
    let client = b.client();
    let second = client.begin(get("/slow")).await;
    until_awaited(&redis).await;
    app.answer("/slow", reply("x"));
    killed.child.kill().expect("it runs");
    second.answer().await.is_miss().has_body("x");
    assert_eq!(app.calls("/slow"), 2);
    drop(first);
}

#[tokio::test]
async fn l09_what_cannot_be_stored_is_waited_for_by_nobody_the_next_time() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), SLOW).await;
    app.answer("/slow", reply("x").control("private"));
    a.client().get("/slow").await.is_not_stored();
    let hold = app.hold("/slow");
    let client = a.client();
    let (one, other) = (client.begin(get("/slow")).await, a.client());
    let first = hold.arrived().await;
    let hold = app.hold("/slow");
    let two = other.begin(get("/slow")).await;
    let second = hold.arrived().await; // side by side
    for held in [first, second] {
        held.release(reply("x").control("private")).await;
    }
    one.answer().await.has_body("x");
    two.answer().await.has_body("x");
}
