//! What rules make of responses: tags that stand in bodies, increments and changes made of what the app answers.

use std::io::Write;
use std::time::Duration;

use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::post;
use crate::support::reply;

const ITEMS: &str = r#"
  - id: items
    match: { path: '/items.*' }
    ttl: 60s
    tags_from_body: [{ json: "/items/*/id", tag: "Item:{value}", max: 3 }]
"#;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_list_is_forgotten_by_the_items_that_it_shows() {
    // I10.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ITEMS).await;
    let client = sidecar.client();
    let list = r#"{"items": [{"id": 1}, {"id": 2}]}"#;
    app.answer("/items", reply(list));
    client.get("/items").await.is_miss().has_body(list);
    sidecar.inc("Item:3").await;
    client.get("/items").await.is_hit().has_body(list);
    sidecar.inc("Item:2").await;
    client.get("/items").await.is_invalidated();
    client.get("/items").await.is_hit();
}

#[tokio::test]
async fn compressed_lists_are_read_too_and_arrive_as_they_were_sent() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ITEMS).await;
    let client = sidecar.client();
    let list = gzip(r#"{"items": [{"id": 1}]}"#);
    let sent = reply(list.clone()).header("Content-Encoding", "gzip");
    app.answer("/items", sent.header("Vary", "Accept-Encoding"));
    let asked = || get("/items").with("Accept-Encoding", "gzip");
    let first = client.ask(asked()).await;
    first.is_miss().has_body(&list);
    let second = client.ask(asked()).await;
    second.is_hit().has_body(&list);
    sidecar.inc("Item:1").await;
    client.ask(asked()).await.is_invalidated();
}

#[tokio::test]
async fn a_list_that_cannot_be_tagged_is_passed_on_whole_and_not_stored() {
    // I10, L13.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules(ITEMS)
        .config("limits: { max_object: 1KiB }")
        .start()
        .await;
    let client = sidecar.client();
    let many = r#"{"items": [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]}"#;
    let large = format!(r#"{{"items": [], "text": "{}"}}"#, "x".repeat(2_000));
    let bomb = gzip(&format!(
        r#"{{"items": [], "text": "{}"}}"#,
        "x".repeat(9_000)
    ));
    for (n, (body, fields, reason)) in [
        (many.into(), &[][..], "too-many-tags"),
        (
            r#"{"items": [{"id": 1}, {}]}"#.into(),
            &[],
            "missing-tag-value",
        ),
        ("<html>".into(), &[], "unreadable-body"),
        (large.into_bytes(), &[], "too-large"),
        (bomb, &[("Content-Encoding", "gzip")], "too-large"),
        (
            "{}".into(),
            &[("Content-Encoding", "pack200")],
            "unreadable-body",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/items/{n}");
        app.answer(&path, reply(body.clone()).headers(fields));
        client.get(&path).await.is_unstored(reason).has_body(body);
    }
    // Neither an error nor nothing shows any items.
    app.answer("/items/error", reply("no").status(404));
    client.get("/items/error").await.is_miss();
    client.get("/items/error").await.is_hit();
    app.answer("/items/none", reply("").status(204));
    client.get("/items/none").await.is_miss();
}

#[tokio::test]
async fn a_list_that_is_cut_short_is_cut_for_the_client_and_not_stored() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ITEMS).await;
    let client = sidecar.client();
    app.answer("/items", reply(r#"{"items": []}"#).cut());
    client.get("/items").await.is_cut();
    app.answer("/items", reply(r#"{"items": []}"#));
    client.get("/items").await.is_miss().is_whole();
}

#[tokio::test]
async fn a_304_leaves_the_tags_of_the_body_in_force() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ITEMS).await;
    let client = sidecar.client();
    app.on("/items", |call| match call.field("if-none-match") {
        None => reply(r#"{"items": [{"id": 1}]}"#).header("ETag", "\"1\""),
        Some(_) => reply("")
            .status(304)
            .header("ETag", "\"1\"")
            .header("Cache-Tag", "Fresh"),
    });
    client.get("/items").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(61));
    client.get("/items").await.is_revalidated();
    sidecar.inc("Item:1").await;
    client.get("/items").await.is_not_hit();
}

const WRITES: &str = r#"
  - { id: profiles, match: { path: '/profiles/(?P<id>\d+)' }, tags: ["User:{id}"], ttl: 60s }
  - { id: list, match: { path: /list }, tags: ["users:list"], ttl: 60s }
  - id: write
    match: { methods: [POST], path: '/users/(?P<id>\d+)' }
    increments: [{ tags: ["User:{id}"], on_status: ["2xx", "3xx"] }]
  - id: create
    match: { methods: [POST], path: /users }
    increments:
      - { tags: ["users:list"], on_status: ["2xx"] }
      - { tags: ["User:{resp.json:/id}"], on_status: ["2xx"] }
"#;

#[tokio::test]
async fn increments_are_declared_for_what_the_app_answers() {
    // Story 29.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, WRITES).await;
    let client = sidecar.client();
    for path in ["/profiles/42", "/profiles/7", "/list"] {
        app.answer(path, reply(path));
        client.get(path).await.is_miss();
    }
    app.answer("/users/42", reply("").status(422));
    client.post("/users/42").await;
    client.get("/profiles/42").await.is_hit();
    app.answer("/users/42", reply(""));
    client.post("/users/42").await;
    client.get("/profiles/42").await.is_invalidated();

    app.answer("/users", reply(r#"{"id": 7}"#).status(201));
    client.post("/users").await.has_body(r#"{"id": 7}"#);
    client.get("/list").await.is_invalidated();
    client.get("/profiles/7").await.is_invalidated();

    app.answer("/users", reply("{}").status(201));
    client.post("/users").await.has_body("{}");
    client.get("/list").await.is_invalidated();
    client.get("/profiles/7").await.is_hit();
}

#[tokio::test]
async fn an_increment_made_of_the_body_is_committed_before_its_first_byte() {
    // L4.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, WRITES).await;
    let client = sidecar.client();
    app.answer("/profiles/7", reply("a"));
    client.get("/profiles/7").await.is_miss();
    app.answer("/profiles/7", reply("b"));
    app.answer(
        "/users",
        reply(gzip(r#"{"id": 7}"#))
            .header("Content-Encoding", "gzip")
            .chunked(),
    );
    let write = client.begin(post("/users")).await.head().await;
    client
        .get("/profiles/7")
        .await
        .is_invalidated()
        .has_body("b");
    write.leave();
}

const FOOS: &str = r#"
  - id: foos
    match: { path: /foos }
    ttl: 60s
    dimensions: { attrs: { attr1: "{query.attr1}", attr2: "{query.attr2}" } }
  - id: write
    match: { methods: [POST], path: /write }
    changes:
      - rule: foos
        old: { attr1: "{resp.header.X-Old-1}", attr2: "{resp.header.X-Old-2}" }
        new: { attr1: "{resp.json:/attr1}", attr2: "{resp.json:/attr2}" }
        on_status: ["2xx"]
        when: { response_header: X-Changed }
"#;

#[tokio::test]
async fn changes_are_declared_for_what_the_app_answers() {
    // Story 18, I11.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, FOOS).await;
    let client = sidecar.client();
    let pages = [
        "?attr1=1&attr2=t1",
        "?attr1=2&attr2=t2",
        "?attr1=3&attr2=t3",
        "?attr1=1&attr2=t9",
    ];
    for page in pages {
        app.answer(&format!("/foos{page}"), reply(page));
        client.get(&format!("/foos{page}")).await.is_miss();
    }
    let changed = || {
        let answer = reply(r#"{"attr1": 2, "attr2": "t2"}"#);
        answer.header("X-Old-1", "1").header("X-Old-2", "t1")
    };
    app.answer("/write", changed()); // without what `when` wants
    client.post("/write").await;
    app.answer("/write", changed().header("X-Changed", "1").status(302));
    client.post("/write").await;
    for page in pages {
        client.get(&format!("/foos{page}")).await.is_hit();
    }
    app.answer("/write", changed().header("X-Changed", "1"));
    client.post("/write").await;
    client.get("/foos?attr1=1&attr2=t1").await.is_invalidated();
    client.get("/foos?attr1=2&attr2=t2").await.is_invalidated();
    client.get("/foos?attr1=3&attr2=t3").await.is_hit();
    client.get("/foos?attr1=1&attr2=t9").await.is_hit();

    // What cannot be read forgets too much, never too little.
    app.answer("/write", reply("<html>").header("X-Changed", "1"));
    client.post("/write").await;
    client.get("/foos?attr1=3&attr2=t3").await.is_invalidated();
}

#[tokio::test]
async fn what_the_head_reports_does_not_wait_for_the_body() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, WRITES).await;
    let client = sidecar.client();
    app.answer("/profiles/7", reply("a"));
    client.get("/profiles/7").await.is_miss();
    app.answer("/profiles/7", reply("b"));
    let hold = app.hold("/users");
    let write = client.begin(post("/users")).await;
    let head = reply(r#"{"id": 8}"#).header("Cache-Tag-Increment", "User:7");
    let streaming = hold.arrived().await.begin(head).await;
    crate::support::soon("the increment of the head", async {
        while client.get("/profiles/7").await.hits() {}
    })
    .await;
    streaming.end().await;
    write.answer().await;
}

#[tokio::test]
async fn increments_are_read_however_many_bodies_are() {
    // L6: what there is room for is for tags, without which a response is merely not stored.
    let app = Origin::start().await;
    let rules = format!("{WRITES}{ITEMS}");
    let sidecar = Setup::new(&app)
        .rules(&rules)
        .config("store: { memory: { max_bytes: 64KiB } }\nlimits: { max_object: 64KiB }")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/profiles/7", reply("a"));
    client.get("/profiles/7").await.is_miss();
    let hold = app.hold("/items");
    let reading = client.begin(get("/items")).await;
    let long = format!(r#"{{"items": [], "text": "{}"#, "x".repeat(65_000));
    let mut streaming = hold.arrived().await.begin(reply("").chunked()).await;
    streaming.send(long.as_bytes()).await;
    app.answer(
        "/users",
        reply(format!(r#"{{"id": 7, "text": "{}"}}"#, "x".repeat(2_000))).status(201),
    );
    client.post("/users").await.has_status(201);
    client.get("/profiles/7").await.is_invalidated();
    streaming.send(br#""}"#).await;
    streaming.end().await;
    reading.answer().await;
}

#[tokio::test]
async fn what_is_never_stored_is_not_held_back() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ITEMS).await;
    let client = sidecar.client();
    for (path, head) in [
        ("/items/a", reply("").control("no-store")),
        (
            "/items/b",
            reply("").header("Content-Type", "text/event-stream"),
        ),
        ("/items/c", reply("").header("Set-Cookie", "a=b")),
    ] {
        let hold = app.hold(path);
        let reading = client.begin(get(path)).await;
        let mut streaming = hold.arrived().await.begin(head.chunked()).await;
        streaming.send(b"data: 1\n\n").await;
        let mut open = reading.head().await; // while the app still writes
        assert_eq!(open.some().await.as_deref(), Some(&b"data: 1\n\n"[..]));
        streaming.end().await;
        open.rest().await.is_whole();
    }
}

#[tokio::test]
async fn an_answer_without_a_body_does_not_say_what_has_changed() {
    // I11: too much is forgotten rather than too little.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, FOOS).await;
    let client = sidecar.client();
    app.answer("/foos?attr1=3", reply("a"));
    client.get("/foos?attr1=3").await.is_miss();
    app.answer("/write", reply("").status(204).header("X-Changed", "1"));
    client.post("/write").await.has_status(204);
    client.get("/foos?attr1=3").await.is_invalidated();
}

#[tokio::test]
async fn what_keeps_a_list_out_of_the_store_is_said_whatever_its_tags() {
    let app = Origin::start().await;
    let rules = ITEMS.replace("    ttl: 60s\n", "");
    let sidecar = Sidecar::with_rules(&app, &rules).await;
    let client = sidecar.client();
    app.answer("/items", reply(r#"{"items": []}"#));
    client.get("/items").await.is_unstored("no-freshness");
}

#[tokio::test]
async fn l01_a_list_is_not_stored_whose_item_changed_while_it_was_made() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ITEMS).await;
    let client = sidecar.client();
    let hold = app.hold("/items");
    let reading = client.begin(get("/items")).await;
    let held = hold.arrived().await;
    sidecar.inc("Item:1").await;
    held.release(reply(r#"{"items": [{"id": 1}]}"#)).await;
    reading.answer().await.is_unstored("raced");
    app.answer("/items", reply(r#"{"items": [{"id": 1}]}"#));
    client.get("/items").await.is_miss();
}

#[tokio::test]
async fn a_head_that_renews_a_list_leaves_its_tags_in_force() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ITEMS).await;
    let client = sidecar.client();
    app.answer("/items", reply(r#"{"items": [{"id": 1}]}"#).etag("\"1\""));
    client.get("/items").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(61));
    client.head("/items").await;
    client.get("/items").await.is_hit();
    sidecar.inc("Item:1").await;
    client.get("/items").await.is_not_hit();
}
