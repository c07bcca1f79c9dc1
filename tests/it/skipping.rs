//! What a rule's `skip_when` keeps from the store.

use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::stage;

#[tokio::test]
async fn a_skipped_request_goes_to_the_app_and_leaves_what_is_stored() {
    // Story 23, S6.
    let (app, _sidecar, client) = stage(
        r#"
  - { id: k, match: { path: /k }, ttl: 60s, skip_when: [{ query: skip, equals: "1" }, { header: X-No-Cache }, { cookie: messages }] }
"#,
    )
    .await;
    app.on("/k", |call| reply(call.n.to_string()));
    client.get("/k").await.is_miss().has_body("1");
    client
        .get("/k?skip=1")
        .await
        .is_bypass(Some("skip"))
        .has_body("2");
    let with_header = get("/k").with("X-No-Cache", "");
    client
        .ask(with_header)
        .await
        .is_bypass(Some("skip"))
        .has_body("3");
    let with_cookie = get("/k").with("Cookie", "messages=1");
    client
        .ask(with_cookie)
        .await
        .is_bypass(Some("skip"))
        .has_body("4");
    client.get("/k").await.is_hit().has_body("1");
    client.get("/k?skip=2").await.is_miss().has_body("5");
}

#[tokio::test]
async fn a_skipped_response_is_forwarded_and_leaves_what_is_stored() {
    // S6: by a header of it, and by its status.
    let (app, _sidecar, client) = stage(
        r#"
  - { id: k, match: { path: '/k/.*' }, ttl: 60s, skip_when: [{ response_header: X-Skip }, { response_status: "404" }] }
"#,
    )
    .await;
    let not_found = reply("b").status(404).header("Cache-Control", "max-age=60");
    for (path, skipped) in [
        ("/k/header", reply("b").header("X-Skip", "1")),
        ("/k/status", not_found),
    ] {
        app.answer(path, reply("a"));
        client.get(path).await.is_miss();
        app.answer(path, skipped);
        let anew = get(path).with("Cache-Control", "no-cache");
        let answer = client.ask(anew).await;
        answer.has_body("b");
        answer.says("skipped", &[("fwd", "request"), ("detail", "skip")]);
        client.get(path).await.is_hit().has_body("a");
    }
}

#[tokio::test]
async fn l04_increments_count_in_what_is_skipped() {
    let (app, _sidecar, client) = stage(
        r#"
  - { id: k, match: { path: /k }, ttl: 60s, skip_when: [{ header: X-No-Cache }, { response_header: X-Skip }] }
  - { id: page, match: { path: /page }, ttl: 60s, tags: [Page] }
"#,
    )
    .await;
    app.answer("/page", reply("a"));
    let changes = reply("k").header("Cache-Tag-Increment", "Page");
    client.get("/page").await.is_miss();
    app.answer("/k", changes.clone());
    client
        .ask(get("/k").with("X-No-Cache", "1"))
        .await
        .is_bypass(Some("skip"));
    client.get("/page").await.is_invalidated();
    app.answer("/k", changes.header("X-Skip", "1"));
    client.get("/k").await.is_unstored("skip");
    client.get("/page").await.is_invalidated();
}

#[tokio::test]
async fn what_a_post_brings_is_skipped_as_a_get_of_it_would_be() {
    let (app, _sidecar, client) = stage(
        r#"
  - { id: k, match: { path: /k }, skip_when: [{ header: X-No-Cache }, { response_header: X-Skip }] }
"#,
    )
    .await;
    let answer = || {
        reply("a")
            .header("Cache-Control", "max-age=60")
            .header("Content-Location", "/k")
    };
    app.answer("/k", answer().header("X-Skip", "1"));
    client.ask(post("/k")).await.is_method();
    client.get("/k").await.is_unstored("skip");
    app.answer("/k", answer());
    client
        .ask(post("/k").with("X-No-Cache", "1"))
        .await
        .is_method();
    client.get("/k").await.is_miss();
}
