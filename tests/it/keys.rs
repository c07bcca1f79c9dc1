//! What is one entry and what is two: rules, key fields, variants.

use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;

const USERS: &str = r#"
  - id: users
    match: { path: '/users/(?P<id>\d+)' }
    tags: ["User:{id}"]
    ttl: 60s
"#;

#[tokio::test]
async fn a_miss_then_a_hit() {
    // Story 1.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, USERS).await;
    let client = sidecar.client();

    app.answer("/users/42", reply("a"));
    client.get("/users/42").await.is_miss().has_body("a");
    assert_eq!(app.calls("/users/42"), 1);

    app.answer("/users/42", reply("b"));
    let hit = client.get("/users/42").await;
    assert!(
        (58..=60).contains(&hit.is_hit().has_body("a").ttl()),
        "{hit}"
    );
    assert_eq!(app.calls("/users/42"), 1);
}

#[tokio::test]
async fn a_named_parameter_varies_and_another_does_not() {
    // Story 2, K6.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - id: n
    match: { path: /n }
    vary_on: { query: { mode: allow, params: [{ name: uid }] } }
    ttl: 60s
",
    )
    .await;
    let client = sidecar.client();
    app.on("/n", |call| reply(call.query("uid")));

    client.get("/n?uid=1").await.is_miss().has_body("1");
    client.get("/n?uid=2").await.is_miss().has_body("2");
    assert_eq!(app.calls("/n"), 2);

    client.get("/n?uid=1").await.is_hit().has_body("1");
    client.get("/n?uid=2&x=9").await.is_hit().has_body("2");
    assert_eq!(app.calls("/n"), 2);
}

#[tokio::test]
async fn query_modes_narrow_the_key() {
    // K6.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - { id: ignore, match: { path: /ignore }, ttl: 60s, vary_on: { query: { mode: ignore, params: [{ name: x }] } } }
  - { id: none, match: { path: /none }, ttl: 60s, vary_on: { query: { mode: none } } }
  - { id: all, match: { path: /all }, ttl: 60s }
",
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));

    client.get("/ignore?x=2&y=1").await.is_miss();
    client.get("/ignore?x=1&y=1").await.is_hit();
    client.get("/ignore?x=1&y=2").await.is_miss();
    client.get("/none?x=1").await.is_miss();
    client.get("/none").await.is_hit();
    client.get("/all?x=1").await.is_miss();
    client.get("/all?x=2").await.is_miss();
}

#[tokio::test]
async fn order_junk_and_defaults_make_no_second_entry() {
    // K7, K9 without `normalize`.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - id: q
    match: { path: /q }
    vary_on: { query: { drop: ["utm_*", gclid], params: [{ name: page, default: "1" }] } }
    ttl: 60s
  - { id: unsorted, match: { path: /unsorted }, vary_on: { query: { sort: false } }, ttl: 60s }
"#,
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));

    client.get("/q?x=1&y=1").await.is_miss();
    client.get("/q?y=1&x=1").await.is_hit();
    client.get("/q?x=1&y=1&utm_a=1&gclid=z").await.is_hit();
    client.get("/q?x=1&y=1&page=1").await.is_hit();
    client.get("/q?x=1&y=1&page=2").await.is_miss();
    client.get("/q?b=1&b=2").await.is_miss();
    client.get("/q?b=2&b=1").await.is_miss();
    client.get("/unsorted?x=1&y=1").await.is_miss();
    client.get("/unsorted?y=1&x=1").await.is_miss();
}

#[tokio::test]
async fn absent_empty_zero_and_null_are_four_entries() {
    // K8.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: x, match: { path: /x }, ttl: 60s, vary_on: { query: { mode: allow, params: [{ name: a }] } } }\n",
    )
    .await;
    let client = sidecar.client();
    app.on("/x", |call| reply(call.target.clone()));

    let targets = ["/x", "/x?a=", "/x?a=0", "/x?a=null"];
    for target in targets {
        client.get(target).await.is_miss().has_body(target);
    }
    for target in targets {
        client.get(target).await.is_hit().has_body(target);
    }
    assert_eq!(app.calls("/x"), 4);
}

#[tokio::test]
async fn rules_of_one_key_name_share_entries() {
    // K10, K11: a version is a field of the key.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - { id: a, key_name: shared, match: { path: '/a/(?P<id>\d+)' }, vary_on: { captures: [id] }, ttl: 60s }
  - { id: b, key_name: shared, match: { path: '/b/(?P<id>\d+)' }, vary_on: { captures: [id] }, ttl: 60s }
  - { id: c, key_name: other, match: { path: '/c/(?P<id>\d+)' }, vary_on: { captures: [id] }, ttl: 60s }
  - { id: d, key_name: shared, version: v2, match: { path: '/d/(?P<id>\d+)' }, vary_on: { captures: [id] }, ttl: 60s }
",
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));

    client.get("/a/1").await.is_miss();
    client.get("/b/1").await.is_hit().has_body("/a/1");
    client.get("/b/2").await.is_miss();
    client.get("/c/1").await.is_miss();
    client.get("/d/1").await.is_miss().has_body("/d/1");
    client.get("/a/1").await.is_hit().has_body("/a/1");
}

#[tokio::test]
async fn a_group_keeps_entries_apart() {
    // K12.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - id: report
    match: { path: /report }
    group: "{query.period}"
    vary_on: { query: { mode: none } }
    tags: ["Report"]
    ttl: 60s
"#,
    )
    .await;
    let client = sidecar.client();
    app.on("/report", |call| reply(call.query("period")));

    client.get("/report?period=w").await.is_miss().has_body("w");
    client.get("/report?period=m").await.is_miss().has_body("m");
    client.get("/report?period=w").await.is_hit().has_body("w");

    sidecar.inc("Report").await;
    client.get("/report?period=w").await.is_invalidated();
    client.get("/report?period=m").await.is_invalidated();
}

#[tokio::test]
async fn the_responses_own_vary_selects_the_variant() {
    // K23.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.on("/v", |call| {
        reply(call.field("accept-language").unwrap_or_default())
            .header("Vary", "Accept-Language")
            .header("Cache-Control", "max-age=60")
    });
    let language = async |language: &str| client.get_with("/v", "Accept-Language", language).await;

    language("en").await.is_miss().has_body("en");
    language("de").await.is_vary_miss().has_body("de");
    language("en").await.is_hit().has_body("en");
    language("de").await.is_hit().has_body("de");
    assert_eq!(app.calls("/v"), 2);
}

#[tokio::test]
async fn a_response_that_varies_on_everything_is_not_stored() {
    // K23.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let any = reply("a")
        .header("Vary", "*")
        .header("Cache-Control", "max-age=60");
    app.answer("/v", any);

    client.get("/v").await.is_unstored("vary-any");
    client.get("/v").await.is_not_stored();
    assert_eq!(app.calls("/v"), 2);
}

#[tokio::test]
async fn the_first_rule_that_matches_wins() {
    // K29.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: first, match: { path: '/a/.*' }, tags: ["First"], ttl: 60s }
  - { id: second, match: { path: '/a/b' }, tags: ["Second"], ttl: 60s }
"#,
    )
    .await;
    let client = sidecar.client();
    app.answer("/a/b", reply("x"));

    client.get("/a/b").await.is_miss();
    sidecar.inc("Second").await;
    client.get("/a/b").await.is_hit();
    sidecar.inc("First").await;
    client.get("/a/b").await.is_invalidated();
}

#[tokio::test]
async fn a_host_pattern_matches_whole_labels() {
    // K29: only the rule has a `ttl`, so what it does not match is not stored.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: shop, match: { hosts: ["*.shop.example"], path: /a }, ttl: 60s }
"#,
    )
    .await;
    let client = sidecar.client();
    app.answer("/a", reply("x"));
    let host = async |host: &str| client.get_with("/a", "Host", host).await;

    host("eu.shop.example").await.is_miss();
    host("EU.shop.example").await.is_hit();
    host("us.shop.example").await.is_miss();
    for other in [
        "evilshop.example",
        "shop.example",
        "eu.shop.example.evil.example",
    ] {
        host(other).await.is_unstored("no-freshness");
    }
}

#[tokio::test]
async fn without_a_rule_the_whole_url_is_the_key() {
    // K29.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.otherwise(|call| {
        let host = call.field("host").unwrap_or_default();
        reply(format!("{host}{}", call.target)).header("Cache-Control", "max-age=60")
    });

    client.get("/a?x=1").await.is_miss();
    client.get("/a?x=1").await.is_hit();
    client.get("/a?x=2").await.is_miss();
    client.get("/a").await.is_miss();
    client
        .get_with("/a", "Host", "other.example")
        .await
        .is_miss();
    client.get("/A").await.is_miss();
}

#[tokio::test]
async fn a_path_with_a_star_is_a_glob() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { match: { path: /users/*/profile }, ttl: 60s }\n",
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|_| reply("x"));

    client.get("/users/42/profile").await.is_miss();
    client.get("/users/42/settings").await.is_not_stored();
}

#[tokio::test]
async fn headers_named_by_the_rule_are_in_the_key() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: d, match: { path: /d }, ttl: 60s, vary_on: { headers: [X-Device] } }\n",
    )
    .await;
    let client = sidecar.client();
    app.on("/d", |call| {
        reply(call.field("x-device").unwrap_or_default())
    });

    client
        .get_with("/d", "X-Device", "phone")
        .await
        .is_miss()
        .has_body("phone");
    client
        .get_with("/d", "X-Device", "tv")
        .await
        .is_miss()
        .has_body("tv");
    client
        .get_with("/d", "x-device", "phone")
        .await
        .is_hit()
        .has_body("phone");
    client.get("/d").await.is_miss();
    client.get_with("/d", "X-Device", "").await.is_miss();
}

#[tokio::test]
async fn dot_segments_match_the_rule_and_encoded_slashes_stay_apart() {
    // X5.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: b, match: { path: /b }, ttl: 60s }\n  - { id: deep, match: { path: '/a.*' }, ttl: 60s }\n",
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));

    client.get("/a/../b").await.is_miss();
    client.get("/x/%2e%2E/b").await.is_miss();
    client.get("/a%2Fb").await.is_miss().has_body("/a%2Fb");
    client.get("/a/b").await.is_miss().has_body("/a/b");
    client.get("/a%2Fb").await.is_hit().has_body("/a%2Fb");
}

#[tokio::test]
async fn a_forwarded_host_named_by_the_rule_has_its_own_entry() {
    // X3.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules("  - { id: a, match: { path: /a }, ttl: 60s, vary_on: { headers: [X-Forwarded-Host] } }\n")
        .start()
        .await;
    let client = sidecar.client();
    app.on("/a", |call| {
        reply(call.field("x-forwarded-host").unwrap_or_default())
    });

    client
        .get_with("/a", "X-Forwarded-Host", "evil")
        .await
        .is_miss()
        .has_body("evil");
    let clean = client.ask(get("/a")).await;
    assert!(!clean.is_miss().text().contains("evil"), "{clean}");
}

#[tokio::test]
async fn pages_over_http_and_https_are_two_entries() {
    // design.md §8: the key holds the scheme.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.on("/a", |call| {
        reply(call.field("x-forwarded-proto").unwrap_or_default())
            .header("Cache-Control", "max-age=60")
    });
    for scheme in ["https", "http"] {
        let ask = || client.get_with("/a", "X-Forwarded-Proto", scheme);
        ask().await.is_miss().has_body(scheme);
        ask().await.is_hit().has_body(scheme);
    }
    client.get("/a").await.is_hit().has_body("http");
}

#[tokio::test]
async fn what_the_connection_field_lists_is_in_no_key() {
    // X1: it does not reach the app, so an answer must not pass for one that it has chosen.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - { id: vary, match: { path: /vary } }
  - { id: header, match: { path: /header }, vary_on: { headers: [X-Tenant] } }
  - { id: cookie, match: { path: /cookie }, vary_on: { cookies: [sid] } }
",
    )
    .await;
    let client = sidecar.client();
    for (path, field, vary) in [
        ("/vary", "Accept-Language", "Accept-Language"),
        ("/header", "X-Tenant", "Accept"),
        ("/cookie", "Cookie", "Accept"),
    ] {
        app.on(path, move |call| {
            reply(call.field(field).unwrap_or("none".into()))
                .header("Cache-Control", "max-age=60")
                .header("Vary", vary)
        });
        let listed = get(path)
            .with("Connection", &format!("keep-alive, {field}"))
            .with(field, "sid=1");
        client.ask(listed.clone()).await.is_miss().has_body("none");
        client.get(path).await.is_hit().has_body("none");
        let own = client.get_with(path, field, "sid=1").await;
        own.is_not_hit().has_body("sid=1");
        let own = client.get_with(path, field, "sid=1").await;
        own.is_hit().has_body("sid=1");
        client.ask(listed).await.is_hit().has_body("none");
    }
}

#[tokio::test]
async fn a_cookie_that_the_connection_field_lists_is_none() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.on("/a", |call| {
        reply(call.field("cookie").unwrap_or_default()).header("Cache-Control", "max-age=60")
    });
    let listed = get("/a")
        .with("Connection", "Cookie")
        .with("Cookie", "sid=1");
    client.ask(listed.clone()).await.is_miss().has_body("");
    client.ask(listed).await.is_hit().has_body("");
    client.get("/a").await.is_hit().has_body("");
}

#[tokio::test]
async fn a_search_is_the_same_however_it_is_typed() {
    // K7, K9.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - id: books
    match: { path: /books }
    ttl: 60s
    vary_on:
      query:
        params: [{ name: q, normalize: lower_trim }, { name: page, default: "1" }, { name: b, multi: sorted }]
"#,
    )
    .await;
    let client = sidecar.client();
    app.answer("/books", reply("a"));
    client.get("/books?q=%20Rust").await.is_miss();
    client.get("/books?q=rust&page=1").await.is_hit();
    client.get("/books?page=2&q=rust").await.is_miss();
    client.get("/books?b=1&b=2").await.is_miss();
    client.get("/books?b=2&b=1").await.is_hit();
    client.get("/books?b=2").await.is_miss();
    assert_eq!(
        app.last("/books").query("b"),
        "2",
        "the app is asked as the client asked"
    );
}

#[tokio::test]
async fn a_constant_tag_is_part_of_the_key_and_no_increment_changes_it() {
    // K14, story 6.
    let rule = |constant: &str| {
        format!(
            "  - {{ id: c, match: {{ path: /c }}, ttl: 60s, tags: [{{ name: api, constant: {constant} }}, Plain] }}"
        )
    };
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, &rule("2")).await;
    let client = sidecar.client();
    app.answer("/c", reply("a").header("Cache-Tag", "api, Other"));
    client.get("/c").await.is_miss();
    sidecar.inc("api").await;
    client.get("/c").await.is_hit();
    for tag in ["Plain", "Other"] {
        sidecar.inc(tag).await;
        client.get("/c").await.is_invalidated();
        client.get("/c").await.is_hit();
    }
}

#[tokio::test]
async fn incrementing_a_parent_forgets_its_fields() {
    // K20, K21, story 24.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: friends, match: { path: '/users/(?P<id>\d+)/friends' }, key: "Users:{id}>friends", ttl: 60s }
  - { id: books, match: { path: '/users/(?P<id>\d+)/books' }, key: "Users:{id}>books", ttl: 60s }
  - { id: top, match: { path: '/top/(?P<slug>[^/]+)' }, key: "books_top:{slug}", ttl: 60s }
"#,
    )
    .await;
    let client = sidecar.client();
    let paths = [
        "/users/1/friends",
        "/users/1/books",
        "/users/2/books",
        "/top/x?a=1",
    ];
    for path in paths {
        app.answer(path, reply(path));
        client.get(path).await.is_miss();
        client.get(path).await.is_hit();
    }
    client
        .get("/top/x?a=2")
        .await
        .is_hit()
        .has_body("/top/x?a=1");

    // What nobody but the cache may name is no app's to increment.
    sidecar.inc("~key:Users:1").await;
    client.get("/users/1/books").await.is_hit();

    // A successful write forgets what is stored under its own URI, and nothing of its siblings.
    app.answer("/users/1/books", reply("b"));
    client.post("/users/1/books").await;
    client
        .get("/users/1/books")
        .await
        .is_invalidated()
        .has_body("b");
    client.get("/users/1/friends").await.is_hit();
}

#[tokio::test]
async fn cookies_that_the_app_names_select_the_variant() {
    // K25.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "").await;
    let client = sidecar.client();
    app.on("/page", |call| {
        let said = reply(call.field("cookie").unwrap_or_default());
        match call.field("if-none-match") {
            None => said
                .control("public, max-age=60")
                .etag("\"1\"")
                .header("X-LiteSpeed-Vary", "cookie=theme"),
            Some(_) => reply("")
                .status(304)
                .control("public, max-age=60")
                .etag("\"1\""),
        }
    });
    let page = |cookies: &str| get("/page").with("Cookie", cookies);
    let first = client.ask(page("theme=a; id=1")).await;
    first
        .is_miss()
        .has_body("theme=a; id=1")
        .has_no_field("x-litespeed-vary");
    client.ask(page("theme=b; id=1")).await.is_vary_miss();
    let other = client.ask(page("id=2; theme=a")).await;
    other.is_hit().has_body("theme=a; id=1");
    client.get("/page").await.is_vary_miss();
    client.ask(page("Theme=a")).await.is_hit().has_body(""); // names of cookies have a case
    client.ask(page("theme=a; theme=b")).await.is_vary_miss();

    // A 304 does not say it again: the cookies select all the same.
    sidecar.clock.advance(std::time::Duration::from_secs(61));
    client.ask(page("theme=a")).await.is_revalidated();
    client
        .ask(page("theme=a"))
        .await
        .is_hit()
        .has_body("theme=a; id=1");
    client.ask(page("theme=b")).await.is_not_hit();
}

#[tokio::test]
async fn a_keyed_header_has_one_spelling() {
    // L7: servers that fold `_` into `-` would read the other as the same.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: a, match: { path: /a }, vary_on: { headers: [X-Device] }, ttl: 60s }
  - { id: b, match: { path: /b }, key: "b:{header.X-Device}", ttl: 60s }
"#,
    )
    .await;
    let client = sidecar.client();
    for path in ["/a", "/b"] {
        app.answer(path, reply("a"));
        client.ask(get(path).with("X_Device", "evil")).await;
        assert_eq!(app.last(path).field("x_device"), None);
    }
}
