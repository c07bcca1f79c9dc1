//! Tags and increments: what an increment hits, whoever sends it in whichever dialect.

use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;

const USERS: &str = r#"
  - id: users
    match: { path: '/users/(?P<id>\d+)' }
    tags: ["User:{id}"]
    ttl: 60s
"#;

#[tokio::test]
async fn an_increment_in_a_response_header_invalidates() {
    // Story 3, I1.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let tagged = |body: &str| {
        reply(body)
            .header("Cache-Control", "max-age=60")
            .header("Cache-Tag", "User:42")
    };

    app.answer("/users/42", tagged("a"));
    client
        .get("/users/42")
        .await
        .is_miss()
        .has_body("a")
        .has_no_field("cache-tag");
    app.answer("/users/42", tagged("b"));
    client
        .get("/users/42")
        .await
        .is_hit()
        .has_body("a")
        .has_no_field("cache-tag");
    assert_eq!(app.calls("/users/42"), 1);

    app.answer("/touch", reply("").header("Cache-Tag-Increment", "User:42"));
    client
        .post("/touch")
        .await
        .has_status(200)
        .is_method()
        .has_no_field("cache-tag-increment");
    client.get("/users/42").await.is_invalidated().has_body("b");
    client.get("/users/42").await.is_hit().has_body("b");
    assert_eq!(app.calls("/users/42"), 2);
}

#[tokio::test]
async fn only_what_carries_the_tag_is_invalidated() {
    // Story 4, K1.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, USERS).await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));

    client.get("/users/42").await.is_miss();
    client.get("/users/99").await.is_miss();
    sidecar.inc("User:42").await;
    client.get("/users/42").await.is_invalidated();
    client.get("/users/99").await.is_hit();

    sidecar.inc("User:43").await;
    client.get("/users/42").await.is_hit();
    client.get("/users/99").await.is_hit();

    sidecar.inc("User").await;
    client.get("/users/42").await.is_hit();
}

#[tokio::test]
async fn a_global_tag_invalidates_every_variant() {
    // K2.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: d, match: { path: /d }, tags: [Dashboard], ttl: 60s }\n",
    )
    .await;
    let client = sidecar.client();
    app.on("/d", |call| reply(call.target.clone()));
    let targets = ["/d?x=1", "/d?x=2", "/d?x=3"];

    for target in targets {
        client.get(target).await.is_miss();
        client.get(target).await.is_hit();
    }
    sidecar.inc("Dashboard").await;
    for target in targets {
        client.get(target).await.is_invalidated();
    }
    assert_eq!(app.calls("/d"), 6);
}

#[tokio::test]
async fn several_tags_in_any_order_are_one_entry() {
    // Story 5 without its look at the admin interface, K3.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: d, match: { path: /d }, tags: [Dashboard], ttl: 60s }\n",
    )
    .await;
    let client = sidecar.client();

    app.answer("/d", reply("1").header("Cache-Tag", "User:42, Org:5"));
    client.get("/d").await.is_miss();
    sidecar.inc("Org:5").await;
    app.answer("/d", reply("2").header("Cache-Tag", "Org:5, User:42"));
    client.get("/d").await.is_invalidated();
    client.get("/d").await.is_hit();
    assert_eq!(app.calls("/d"), 2);

    sidecar.inc("Dashboard").await;
    client.get("/d").await.is_invalidated();
    assert_eq!(app.calls("/d"), 3);
}

#[tokio::test]
async fn a_tag_of_several_placeholders_is_one_tag() {
    // K4.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - id: roles
    match: { path: '/u/(?P<u>\d+)' }
    tags: ["U:{u}:Role:{query.r}"]
    ttl: 60s
"#,
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));

    client.get("/u/1?r=a").await.is_miss();
    client.get("/u/1?r=b").await.is_miss();
    sidecar.inc("U:1:Role:a").await;
    client.get("/u/1?r=b").await.is_hit();
    client.get("/u/1?r=a").await.is_invalidated();
}

#[tokio::test]
async fn a_tag_without_its_value_is_never_stored() {
    // K5.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: r, match: { path: /r }, tags: ["Role:{query.r}"], ttl: 60s }
"#,
    )
    .await;
    let client = sidecar.client();
    app.answer("/r", reply("x"));

    client
        .get("/r")
        .await
        .is_unstored("missing-tag-value")
        .has_body("x");
    client.get("/r").await.is_not_stored().has_body("x");
    assert_eq!(app.calls("/r"), 2);
}

#[tokio::test]
async fn a_higher_version_of_the_apps_own_invalidates_and_a_lower_one_is_not_stored() {
    // K15, design.md §3.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let versioned = |version: u32| {
        reply(version.to_string())
            .header("Cache-Control", "max-age=60")
            .header("Cache-Tag", format!("User:42;v={version}"))
    };
    app.answer("/a", versioned(7));
    app.answer("/b", versioned(8));

    client.get("/a").await.is_miss();
    client.get("/a").await.is_hit();
    client.get("/b").await.is_miss();
    let old = client.get("/a").await;
    old.is_not_stored().has_body("7");
    let said = old.cache_status().unwrap();
    assert_eq!(
        said.get("detail").map(String::as_str),
        Some("old-version"),
        "{old}"
    );
    app.answer("/a", versioned(8));
    client.get("/a").await.is_not_hit().has_body("8");
    client.get("/a").await.is_hit().has_body("8");

    // An increment from elsewhere does not stop the same version from being stored again.
    sidecar.inc("User:42").await;
    client.get("/a").await.is_invalidated();
    client.get("/a").await.is_hit();
}

#[tokio::test]
async fn each_dialects_tags_are_incremented_by_the_same_name() {
    // I5.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (field, tags) in [
        ("Cache-Tag", "A, B"),
        ("Surrogate-Key", "A B"),
        ("xkey", "A B"),
        ("Edge-Cache-Tag", "A,B"),
        ("X-Magento-Tags", "A,B"),
        ("X-LiteSpeed-Tag", "A, B"),
    ] {
        let path = format!("/{field}");
        let tagged = reply("x")
            .header("Cache-Control", "max-age=60")
            .header(field, tags);
        app.answer(&path, tagged);

        client.get(&path).await.is_miss().has_no_field(field);
        client.get(&path).await.is_hit().has_no_field(field);
        sidecar.inc("B").await;
        client.get(&path).await.is_invalidated();
        sidecar.inc("A").await;
        client.get(&path).await.is_invalidated();
    }
}

#[tokio::test]
async fn a_name_of_ones_own_with_its_separator() {
    // I6.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config(r#"headers: { tags: [{ name: CDN-Tag, separator: "/" }] }"#)
        .start()
        .await;
    let client = sidecar.client();
    let tagged = reply("x")
        .header("Cache-Control", "max-age=60")
        .header("CDN-Tag", "A/B");
    app.answer("/a", tagged);

    client.get("/a").await.is_miss().has_no_field("cdn-tag");
    sidecar.inc("B").await;
    client.get("/a").await.is_invalidated();
}

#[tokio::test]
async fn a_cache_group_is_invalidated_by_an_unsafe_method_alone() {
    // I3, RFC 9875.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("x")
            .header("Cache-Control", "max-age=60")
            .header("Cache-Groups", "\"a\", \"b\""),
    );
    let invalidation = reply("").header("Cache-Group-Invalidation", "\"a\"");
    app.answer("/touch", invalidation);

    client
        .get("/a")
        .await
        .is_miss()
        .has_no_field("cache-groups");
    client
        .get("/touch")
        .await
        .has_no_field("cache-group-invalidation");
    client.get("/a").await.is_hit();
    client
        .ask(post("/touch").with("Host", "other.example"))
        .await;
    client.get("/a").await.is_hit();
    client.post("/touch").await.is_method();
    client.get("/a").await.is_invalidated();
}

#[tokio::test]
async fn litespeed_purges_name_tags_or_everything() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for tag in ["a", "b", "c"] {
        let tagged = reply(tag)
            .header("Cache-Control", "max-age=60")
            .header("X-LiteSpeed-Tag", tag);
        app.answer(&format!("/{tag}"), tagged);
        client.get(&format!("/{tag}")).await.is_miss();
    }

    app.answer(
        "/touch",
        reply("").header("X-LiteSpeed-Purge", "tag=a, tag=b"),
    );
    client
        .post("/touch")
        .await
        .has_no_field("x-litespeed-purge");
    client.get("/a").await.is_invalidated();
    client.get("/b").await.is_invalidated();
    client.get("/c").await.is_hit();

    app.answer("/touch", reply("").header("X-LiteSpeed-Purge", "*"));
    client.post("/touch").await;
    for path in ["/a", "/b", "/c"] {
        client.get(path).await.is_invalidated();
    }
}

#[tokio::test]
async fn only_the_apps_headers_count() {
    // Story 27, X2.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let fields = [
        "Cache-Tag",
        "Cache-Tag-Increment",
        "Cache-Tag-Change",
        "Cache-Group-Invalidation",
    ];
    let tagged = |tag: &str| {
        reply("x")
            .header("Cache-Control", "max-age=60")
            .header("Cache-Tag", tag)
    };
    app.answer("/h", tagged("H"));
    app.answer("/g", tagged("G").header("Cache-Tag-Increment", "H"));
    app.answer("/z", reply("z"));

    // 1.
    client.get("/h").await.is_miss();
    client
        .ask(
            get("/z")
                .with("Cache-Tag-Increment", "H")
                .with("Cache-Tag", "H")
                .with("Cache-Tag-Change", "r")
                .with("Cache-Group-Invalidation", "\"H\""),
        )
        .await
        .has_body("z");
    for field in fields {
        assert_eq!(app.last("/z").field(field), None, "{field}");
    }
    client.get("/h").await.is_hit();

    // 2.
    let mut answers = vec![client.get("/g").await];
    answers[0].is_miss();
    client.get("/h").await.is_invalidated();
    for _ in 0..3 {
        let answer = client.get("/g").await;
        answer.is_hit();
        answers.push(answer);
    }
    client.get("/h").await.is_hit();

    // 3.
    app.answer(
        "/touch",
        reply("").status(500).header("Cache-Tag-Increment", "H"),
    );
    answers.push(client.post("/touch").await);
    client.get("/h").await.is_invalidated();

    // 4.
    for (answer, field) in answers.iter().flat_map(|a| fields.map(|field| (a, field))) {
        answer.has_no_field(field);
    }
}

#[tokio::test]
async fn exposed_headers_reach_the_client() {
    // Story 27.4.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config("headers: { expose: true }")
        .start()
        .await;
    let client = sidecar.client();
    app.answer(
        "/g",
        reply("x")
            .header("Cache-Control", "max-age=60")
            .header("Cache-Tag", "G")
            .header("Cache-Tag-Increment", "H"),
    );
    client
        .get("/g")
        .await
        .is_miss()
        .has_field("cache-tag", "G")
        .has_field("cache-tag-increment", "H");
}

const WRITERS: &str = r#"
  - { id: profiles, match: { path: '/profiles/(?P<id>\d+)' }, tags: ["User:{id}"], ttl: 60s }
  - { id: list, match: { path: /list }, tags: ["users:list"], ttl: 60s }
  - id: save-user
    match: { methods: [POST], path: '/users/(?P<id>\d+)' }
    increments: [{ tags: ["User:{id}"], on_status: ["2xx", "3xx"] }]
  - id: add-user
    match: { methods: [POST], path: /users }
    increments: [{ tags: ["users:list"], on_status: ["2xx"] }]
"#;

#[tokio::test]
async fn a_rule_declares_what_a_write_increments() {
    // Story 29 without `{resp.json}`, I7.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, WRITERS).await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()));

    client.get("/profiles/42").await.is_miss();
    client.get("/profiles/7").await.is_miss();
    app.answer("/users/42", reply("").status(422));
    client.post("/users/42").await.has_status(422).is_method();
    client.get("/profiles/42").await.is_hit();

    app.answer("/users/42", reply(""));
    client.post("/users/42").await.has_status(200).is_method();
    client.get("/profiles/42").await.is_invalidated();
    client.get("/profiles/7").await.is_hit();

    app.answer("/users/42", reply("").status(303).header("Location", "/x"));
    client.post("/users/42").await.has_status(303);
    client.get("/profiles/42").await.is_invalidated();

    client.get("/list").await.is_miss();
    app.answer("/users", reply("{\"id\": 7}").status(201));
    client.post("/users").await.has_status(201);
    client.get("/list").await.is_invalidated();
    client.get("/profiles/7").await.is_hit();
}

#[tokio::test]
async fn a_successful_write_forgets_its_own_uri() {
    // I15, RFC 9111 §4.4.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.on("/x", |call| match call.method.as_str() {
        "GET" => reply(call.n.to_string()).header("Cache-Control", "max-age=60"),
        _ => reply("").status(500),
    });
    app.answer("/y", reply("y").header("Cache-Control", "max-age=60"));

    client.get("/x").await.is_miss();
    client.get("/y").await.is_miss();
    client.post("/x").await.has_status(500);
    client.get("/x").await.is_hit();

    app.on("/x", |call| {
        let answer = reply(call.n.to_string()).header("Cache-Control", "max-age=60");
        match call.method.as_str() {
            "GET" => answer,
            _ => answer.header("Location", "http://elsewhere.example/y"),
        }
    });
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        client
            .ask(ask(method, "/x").body("new"))
            .await
            .has_status(200);
        client.get("/x").await.is_invalidated();
        client.get("/y").await.is_hit();
    }

    app.answer(
        "/z",
        reply("")
            .status(201)
            .header("Location", "http://shop.example/y"),
    );
    client.post("/z").await.has_status(201);
    client.get("/y").await.is_invalidated();
    app.answer("/z", reply("").header("Content-Location", "/y"));
    client.post("/z").await;
    client.get("/y").await.is_invalidated();
}

#[tokio::test]
async fn a_thousand_tags_in_one_answer_are_all_incremented() {
    // I21.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: items, match: { path: '/items/(?P<id>\d+)' }, tags: ["Item:{id}"], ttl: 60s }
"#,
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|_| reply("x"));
    let mut connection = client.connect().await;
    for id in 0..1000 {
        connection.get(&format!("/items/{id}")).await.is_miss();
    }

    let tags: Vec<String> = (0..1000).map(|id| format!("Item:{id}")).collect();
    app.answer(
        "/touch",
        reply("").header("Cache-Tag-Increment", tags.join(", ")),
    );
    client.post("/touch").await.has_status(200).is_method();
    for id in 0..1000 {
        connection.get(&format!("/items/{id}")).await.is_not_hit();
    }
}

#[tokio::test]
async fn names_the_cache_keeps_for_itself_are_ignored_from_the_app() {
    // design.md §4.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("x").header("Cache-Control", "max-age=60"));

    client.get("/a").await.is_miss();
    sidecar.inc("~all, ~uri:http://shop.example/a").await;
    client.get("/a").await.is_hit();
}

#[tokio::test]
async fn a_write_forgets_every_spelling_of_its_uri() {
    // I15: whatever the query's order, and whatever of it the key drops.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: drops, match: { path: /drops }, vary_on: { query: { drop: ["utm_*"] } } }
  - { id: captures, match: { path: '/(en|de)/users/(?P<id>\d+)' }, vary_on: { captures: [id] } }
  - { id: gets, match: { path: /gets, methods: [GET] }, vary_on: { query: { mode: none } } }
"#,
    )
    .await;
    let client = sidecar.client();
    for (filled, written, other) in [
        ("/plain?y=1&x=1", "/plain?x=1&y=1", "/plain?x=1"),
        ("/drops?id=1&utm_a=1", "/drops?id=1", "/drops?id=2"),
        ("/drops?id=1", "/drops?utm_b=2&id=1", "/drops?id=2"),
        ("/en/users/42", "/de/users/42", "/en/users/43"),
        ("/gets?x=1", "/gets", "/plain?x=1"),
    ] {
        app.otherwise(|call| match call.method.as_str() {
            "GET" => reply(call.target.clone()).header("Cache-Control", "max-age=60"),
            _ => reply("no").status(409),
        });
        client.get(filled).await.has_status(200);
        client.get(other).await.has_status(200);
        for method in ["PUT", "POST", "DELETE"] {
            let refused = client.ask(ask(method, written).body("x")).await;
            refused.has_status(409);
            client.get(filled).await.is_hit();
        }
        app.otherwise(|call| reply(call.target.clone()).header("Cache-Control", "max-age=60"));
        for method in ["PUT", "POST", "DELETE"] {
            let done = client.ask(ask(method, written).body("x")).await;
            done.has_status(200).is_method();
            client.get(filled).await.is_invalidated();
            client.get(filled).await.is_hit();
        }
        client.get(other).await.is_hit();
    }
}
