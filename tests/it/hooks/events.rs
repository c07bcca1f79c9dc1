//! Hits and misses that others are told of.

use serde_json::json;

use crate::hooks::called;
use crate::hooks::until;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;

/// An app, and a sidecar in front of it with these rules.
async fn ruled(rules: &str) -> (Origin, Sidecar) {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, rules).await;
    (app, sidecar)
}

const HOOKED: &str = "  - id: page
    match: { path: '/page*' }
    ttl: 10s
    tags: [Page]
    stale_while_revalidate: 60s
    skip_when: [{ query: skip }]
    hooks: { on_hit: { webhook: 'URL/hit?token=x' }, on_miss: { webhook: 'URL/miss', log: warn } }
";

#[tokio::test]
async fn o8_a_miss_and_a_hit_are_told_once_each() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let (app, sidecar) = ruled(&HOOKED.replace("URL", &hook.url())).await;
    let client = sidecar.client();
    app.answer("/page", reply("one"));

    client.get("/page?a=1").await.is_miss();
    let missed = called(&hook, "/miss", 1).await;
    let key = "key_name=page&host=shop.example&path=/page&query=a%3D1";
    let expected = |outcome: &str, at: &str| json!({ "namespace": "tagalong", "at": at, "rule": "page", "key": key, "outcome": outcome });
    assert_eq!(missed[0], expected("miss", "2033-05-18T03:33:20.000Z"));
    assert!(log.text().contains("outcome=\"miss\""), "{}", log.text());

    client.get("/page?a=1").await.is_hit();
    let hits = called(&hook, "/hit", 1).await;
    assert_eq!(hits[0], expected("hit", "2033-05-18T03:33:20.000Z"));
    assert_eq!(hook.last("/hit").target, "/hit?token=x");

    sidecar.wait(11);
    client
        .get("/page?a=1")
        .await
        .is_stale("stale-while-revalidate");
    let hits = called(&hook, "/hit", 2).await;
    assert_eq!(hits[1], expected("stale", "2033-05-18T03:33:31.000Z"));

    client.get("/page?skip=1").await.is_bypass(Some("skip"));
    client.post("/page?a=1").await.is_method();
    client.get("/elsewhere").await.has_status(404);
    sidecar.settle().await;
    assert_eq!((hook.calls("/hit"), hook.calls("/miss")), (2, 1));
}

#[tokio::test]
async fn who_waits_for_anothers_answer_has_missed_too() {
    let hook = Origin::start().await;
    let (app, sidecar) = ruled(&HOOKED.replace("URL", &hook.url())).await;
    let client = sidecar.client();
    let hold = app.hold("/page");
    let first = client.begin(get("/page")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/page")).await;
    sidecar.settle().await;
    held.release(reply("one")).await;
    first.answer().await.is_miss();
    second.answer().await.is_shared();
    let mut outcomes: Vec<_> = called(&hook, "/miss", 2)
        .await
        .iter()
        .map(|event| event["outcome"].as_str().unwrap().to_owned())
        .collect();
    outcomes.sort();
    assert_eq!(outcomes, ["collapsed", "miss"]);
    sidecar.inc("Page").await;
    client.get("/page").await.is_invalidated();
    assert_eq!(called(&hook, "/miss", 3).await[2]["outcome"], "invalidated");
    assert_eq!(hook.calls("/hit"), 0);
}

#[tokio::test]
async fn o8_hooks_that_hang_hold_nothing_up() {
    let hook = Origin::start().await;
    let (app, sidecar) = ruled(&HOOKED.replace("URL", &hook.url())).await;
    let client = sidecar.client();
    app.answer("/page", reply("one"));
    hook.answer("/hit", Reply::silent());
    hook.answer("/miss", Reply::silent());
    client.get("/page").await.is_miss();
    // Its clock stands still, so that all of these hang; and there are more than may wait.
    let mut connection = client.connect().await;
    for _ in 0..1_200 {
        connection.get("/page").await.is_hit();
    }
    let calls = || hook.calls("/hit") + hook.calls("/miss");
    until("as many calls as there may be at once", || calls() >= 64).await;
    connection.get("/page").await.is_hit();
    assert_eq!(calls(), 64);
}

#[tokio::test]
async fn hooks_of_defaults_hold_for_rules_that_say_nothing() {
    let hook = Origin::start().await;
    let app = Origin::start().await;
    let defaults = format!(
        "defaults: {{ hooks: {{ on_miss: {{ webhook: '{}/miss' }} }} }}",
        hook.url()
    );
    let sidecar = Setup::new(&app)
        .config(&defaults)
        .rules("  - { id: told, match: { path: /told } }\n  - { id: not, match: { path: /not }, hooks: { on_miss: none } }\n")
        .start()
        .await;
    let client = sidecar.client();
    client.get("/not").await.has_status(404);
    client.get("/of/no/rule").await.has_status(404);
    client.get("/told").await.has_status(404);
    assert_eq!(called(&hook, "/miss", 1).await[0]["rule"], "told");
    sidecar.settle().await;
    assert_eq!(hook.calls("/miss"), 1);
}

#[tokio::test]
async fn hooks_change_with_their_rules() {
    let hook = Origin::start().await;
    let (app, sidecar) = ruled("  - { id: page, match: { path: '/page*' } }\n").await;
    let client = sidecar.client();
    app.answer("/page", reply("one").control("max-age=3600"));
    client.get("/page").await.is_miss();
    let rules = HOOKED.replace("URL", &hook.url());
    sidecar.write("rules/rules.yaml", &format!("rules:\n{rules}"));
    let told = async || {
        client.get("/page").await.has_status(200);
        hook.calls("/hit") > 0
    };
    sidecar.until("the hooks", told).await;
}
