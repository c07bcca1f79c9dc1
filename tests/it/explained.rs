//! Why a response is what it is, for those who may know.

use std::time::Duration;

use crate::support::Origin;
use crate::support::Setup;
use crate::support::get;
use crate::support::reply;

const RULE: &str =
    r"  - { id: user, match: { path: '/users/(?P<id>\d+)' }, ttl: 60s, tags: ['User:{id}'] }";

#[tokio::test]
async fn a_miss_names_the_tag_and_who_incremented_it() {
    // O2, and the debug parameters of design.md §3.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules(RULE)
        .config("headers: { debug: { enabled: true } }")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/users/42", reply("a"));

    client.get("/users/42").await.has_body("a");
    let hit = client.get("/users/42").await.cache_status().unwrap();
    assert_eq!(hit["rule"], "user");
    assert_eq!(hit["key"].len(), 32, "a composed key: {hit:?}");
    assert!(hit["tags"].starts_with("User:42@"), "{hit:?}");
    assert!(hit.contains_key("hit") && !hit.contains_key("detail"));

    sidecar.inc("User:42").await;
    sidecar.clock.advance(Duration::from_secs(3));
    let miss = client.get("/users/42").await.cache_status().unwrap();
    assert_eq!(miss["fwd"], "stale");
    assert_eq!(miss["detail"], "User:42 incremented 3s ago by POST /inc");
    assert_eq!(miss["key"], hit["key"], "of what could not be used");

    client.get("/users/42").await.has_body("a");
    let again = client.get("/users/42").await.cache_status().unwrap();
    assert_ne!(again["key"], hit["key"], "a new version is a new identity");
}

#[tokio::test]
async fn only_who_knows_the_secret_sees_more() {
    // O2, X12. The secret is a variable that the test runner sets.
    let secret = env!("CARGO_MANIFEST_DIR");
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules(RULE)
        .config("headers: { debug: { secret_env: CARGO_MANIFEST_DIR } }")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/users/42", reply("a"));

    client.get("/users/42").await.is_miss();
    client.get("/users/42").await.is_hit(); // exactly: nothing is added
    let wrong = get("/users/42").with("Tagalong-Debug", &format!("{secret}x"));
    client.ask(wrong).await.is_hit();
    let empty = get("/users/42").with("Tagalong-Debug", "");
    client.ask(empty).await.is_hit();
    let right = get("/users/42").with("Tagalong-Debug", secret);
    let status = client.ask(right).await.cache_status().unwrap();
    assert_eq!(status["rule"], "user");

    let elsewhere = get("/other").with("Tagalong-Debug", secret);
    client.ask(elsewhere).await;
    let seen = app.last("/other");
    assert_eq!(seen.field("tagalong-debug"), None, "the app is not told");
}
