//! What a rule's `skip_when` keeps from the store.

use crate::support::Origin;
use crate::support::Setup;
use crate::support::ask;
use crate::support::get;
use crate::support::not_modified;
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

#[tokio::test]
async fn headers_and_cookies_skip_though_no_key_holds_them() {
    let rules = "
  - id: k
    match: { path: /k }
    ttl: 60s
    cookies: ignore
    skip_when: [{ header: X-No-Cache }, { cookie: messages }, { header: X-Mode, matches: 'pre.*' }]
";
    let (app, _sidecar, client) = stage(rules).await;
    app.on("/k", |call| reply(call.n.to_string()));
    client.get("/k").await.is_miss().has_body("1");

    for (name, field, value, skipped) in [
        ("header", "X-No-Cache", "", true),
        ("cookie", "Cookie", "a=1; messages=2", true),
        ("other cookie", "Cookie", "a=1", false),
        ("regex", "X-Mode", "preview", true),
        ("a part", "X-Mode", "a preview", false),
    ] {
        let answer = client.get_with("/k", field, value).await;
        assert_eq!(answer.detail(), if skipped { "skip" } else { "" }, "{name}");
        assert_eq!(answer.hits(), !skipped, "{name}");
    }
    let seen = app.seen("/k");
    let cookies: Vec<_> = seen
        .iter()
        .filter_map(|call| call.field("cookie"))
        .collect();
    assert_eq!(
        cookies,
        ["a=1; messages=2"],
        "what bypasses keeps its cookies"
    );
}

#[tokio::test]
async fn a_304_that_is_skipped_renews_nothing() {
    let rules = "  - { id: k, match: { path: /k }, skip_when: [{ response_header: X-Skip }] }\n";
    let (app, sidecar, client) = stage(rules).await;
    let page = || reply("page").control("max-age=60").etag("\"1\"");
    app.answer("/k", page());
    client.get("/k").await.is_miss();
    sidecar.wait(60);

    let skipped = not_modified().control("max-age=60").header("X-Skip", "1");
    app.answer("/k", skipped);
    let answer = client.get("/k").await;
    answer.has_status(200).has_body("page").is_not_stored();
    assert_eq!(answer.detail(), "skip");
    let head = client.head("/k").await;
    head.is_not_hit();
    client.get("/k").await.is_not_hit();
}

#[tokio::test]
async fn what_is_served_until_a_fill_is_done_stays_when_that_is_skipped() {
    let rules = "
  - id: k
    match: { path: /k }
    tags: [K]
    ttl: 1h
    on_invalidate: { mode: stale, max_stale: 60s }
    skip_when: [{ response_header: X-Skip }]
";
    let (app, sidecar, client) = stage(rules).await;
    app.answer("/k", reply("old"));
    client.get("/k").await.is_miss();
    app.answer("/k", reply("skipped").header("X-Skip", "1"));
    sidecar.inc("K").await;

    client
        .get("/k")
        .await
        .is_stale("invalidated")
        .has_body("old");
    sidecar.settle().await;
    assert_eq!(app.calls("/k"), 2);
    client
        .get("/k")
        .await
        .is_stale("invalidated")
        .has_body("old");
}

#[tokio::test]
async fn by_status_a_response_is_skipped_whatever_it_says_of_itself() {
    let rules =
        "  - { id: k, match: { path: /k }, skip_when: [{ response_status: [5xx, 404] }] }\n";
    let (app, _sidecar, client) = stage(rules).await;
    for (status, skipped) in [(503, true), (404, true), (410, false)] {
        app.answer("/k", reply("x").status(status).control("max-age=60"));
        let answer = client.get("/k").await;
        assert_eq!(answer.detail() == "skip", skipped, "{status}: {answer}");
    }
    client.get("/k").await.is_hit().has_status(410);
}

#[tokio::test]
async fn defaults_skip_for_rules_that_do_not_say_otherwise() {
    let app = Origin::start().await;
    let setup = Setup::new(&app)
        .config("defaults: { ttl: 60s, skip_when: [{ header: X-No-Cache }] }")
        .rules(
            "  - { id: a, match: { path: /a } }\n  - { id: b, match: { path: /b }, skip_when: [] }\n",
        );
    let sidecar = setup.start().await;
    let client = sidecar.client();
    for (path, skipped) in [("/a", true), ("/b", false)] {
        app.answer(path, reply("x"));
        client.get(path).await.is_miss();
        let answer = client.get_with(path, "X-No-Cache", "1").await;
        assert_eq!(answer.hits(), !skipped, "{path}");
    }
}

#[tokio::test]
async fn a_head_that_is_skipped_says_nothing_of_what_is_stored() {
    let rules = "  - { id: k, match: { path: /k }, skip_when: [{ response_header: X-Skip }] }\n";
    let (app, _sidecar, client) = stage(rules).await;
    app.answer("/k", reply("page").control("max-age=60").etag("\"1\""));
    client.get("/k").await.is_miss();

    let other = reply("other").control("max-age=60").etag("\"2\"");
    app.answer("/k", other.header("X-Skip", "1"));
    let head = ask("HEAD", "/k").with("Cache-Control", "no-cache");
    client.ask(head).await.is_not_hit();
    client.get("/k").await.is_hit().has_body("page");
}
