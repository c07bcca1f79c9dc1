//! Calls that are wrong: each is refused with what is expected, nothing changes by it, and nothing stays behind.

use serde_json::json;

use super::*;
use crate::support::soon;

/// As `stage`, with one page stored.
async fn with_a_page() -> (Origin, Sidecar, Client) {
    let (app, sidecar, admin) = stage(RULES).await;
    app.answer("/page/1", reply("one"));
    sidecar.client().get("/page/1").await.is_miss();
    (app, sidecar, admin)
}

/// Nothing has changed, and nothing hangs.
async fn is_as_before(sidecar: &Sidecar, admin: &Client) {
    sidecar.client().get("/page/1").await.is_hit();
    let stats = told(admin, "/v1/stats").await;
    assert_eq!(stats["increments"]["admin"], 0, "{stats}");
    let recent = told(admin, "/v1/increments").await;
    assert_eq!(recent, json!({ "increments": [] }));
}

#[tokio::test]
async fn a_body_that_is_no_json_or_does_not_say_so_is_refused() {
    let (_app, sidecar, admin) = with_a_page().await;
    let right = r#"{"all": true}"#;
    for (kind, body, status, expected) in [
        (None, right, 415, "Content-Type: application/json"),
        (
            Some("text/plain"),
            right,
            415,
            "Content-Type: application/json",
        ),
        (
            Some("application/x-www-form-urlencoded"),
            "all=true",
            415,
            "JSON",
        ),
        (Some("application/json"), "", 400, "EOF"),
        (
            Some("application/json"),
            "{\"all\": tru",
            400,
            "line 1 column",
        ),
        (
            Some("application/json"),
            "{\"all\": true}}",
            400,
            "trailing characters",
        ),
        (
            Some("application/json"),
            "{\"all\": \"\u{0}\"}",
            400,
            "control character",
        ),
        (
            Some("application/json"),
            "null",
            422,
            "An object is expected.",
        ),
        (
            Some("application/json"),
            "[true]",
            422,
            "An object is expected.",
        ),
    ] {
        let asked = post("/v1/purge").body(body);
        let asked = match kind {
            Some(kind) => asked.with("content-type", kind),
            None => asked,
        };
        let answer = admin.ask(asked).await;
        answer.is_problem(status);
        assert!(answer.text().contains(expected), "{body}: {answer}");
    }
    let nested = format!("{{\"all\": {}", "[".repeat(100_000));
    let nested = post("/v1/purge")
        .with("content-type", "application/json")
        .body(nested);
    admin.ask(nested).await.is_problem(400);
    is_as_before(&sidecar, &admin).await;
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named_with_what_is_expected() {
    let (_app, sidecar, admin) = with_a_page().await;
    for (path, body, expected) in [
        (
            "/v1/purge",
            json!({}),
            "Exactly one of `url`, `rule`, `group`, `tags`, `match`, `all` is expected, found none.",
        ),
        ("/v1/purge", json!({ "soft": true }), "found none."),
        (
            "/v1/purge",
            json!({ "all": true, "rule": "page" }),
            "found `rule`, `all`.",
        ),
        (
            "/v1/purge",
            json!({ "all": false }),
            "`all`: `true` is expected.",
        ),
        (
            "/v1/purge",
            json!({ "all": "yes" }),
            "`all`: invalid type: string \"yes\", expected a boolean.",
        ),
        (
            "/v1/purge",
            json!({ "everything": true }),
            "unknown field `everything`",
        ),
        (
            "/v1/purge",
            json!({ "match": "*", "soft": true }),
            "`soft`: it does not go with `match`",
        ),
        (
            "/v1/purge",
            json!({ "match": "" }),
            "`match`: 1 to 4096 bytes",
        ),
        (
            "/v1/purge",
            json!({ "url": "/page/1" }),
            "`url`: an absolute one is expected",
        ),
        (
            "/v1/purge",
            json!({ "url": "ftp://shop.example/" }),
            "`url`: expected a URL that begins with",
        ),
        (
            "/v1/purge",
            json!({ "url": "http://shop.example/a b" }),
            "`url`: ",
        ),
        ("/v1/purge", json!({ "url": "http://" }), "`url`: "),
        (
            "/v1/purge",
            json!({ "rule": "pages" }),
            "`rule`: there is none of this name; there are page, mine.",
        ),
        (
            "/v1/purge",
            json!({ "group": "page" }),
            "`group`: there is none of this name, and no other.",
        ),
        (
            "/v1/purge",
            json!({ "tags": [] }),
            "`tags`: 1 to 10000 tags are expected, and 0 were found.",
        ),
        (
            "/v1/purge",
            json!({ "tags": ["Page", 1] }),
            "`tags[1]`: invalid type: integer `1`, expected a string.",
        ),
        (
            "/v1/purge",
            json!({ "tags": "Page" }),
            "`tags`: invalid type: string \"Page\", expected a sequence.",
        ),
        ("/v1/tags/increment", json!({}), "missing field `tags`"),
        (
            "/v1/tags/increment",
            json!({ "tags": ["a", ""] }),
            "`tags[1]`: a tag needs a name.",
        ),
        (
            "/v1/tags/increment",
            json!({ "tags": ["Page"], "again": "soon" }),
            "`again`: expected a duration",
        ),
        (
            "/v1/tags/increment",
            json!({ "tags": ["Page"], "soft": 1 }),
            "`soft`: invalid type",
        ),
        ("/v1/change", json!({}), "missing field `rule`"),
        (
            "/v1/change",
            json!({ "rule": "pages" }),
            "`rule`: there is no rule `pages`.",
        ),
        (
            "/v1/change",
            json!({ "rule": "page", "new": { "a": "1" } }),
            "`a` is none of the dimensions of the rule `page`.",
        ),
        (
            "/v1/change",
            json!({ "rule": "page", "new": { "a": 1 } }),
            "`new.a`: invalid type: integer `1`",
        ),
    ] {
        let detail = refused(&admin, 422, path, body.clone()).await;
        assert!(detail.contains(expected), "{body}: {detail}");
    }
    is_as_before(&sidecar, &admin).await;
}

#[tokio::test]
async fn hostile_tags_are_refused_or_taken_as_text() {
    let (_app, sidecar, admin) = with_a_page().await;
    let long = "a".repeat(5_000);
    for tag in [
        "a b",
        "a,b",
        "a;b",
        "a\"b",
        "a\nb",
        "a\u{0}",
        "\u{7f}",
        "~",
        "~nothing",
        "~rule:a\r\nb",
        ":a",
        &long,
    ] {
        let detail = refused(
            &admin,
            422,
            "/v1/tags/increment",
            json!({ "tags": ["Other", tag] }),
        )
        .await;
        assert!(detail.starts_with("`tags[1]`: "), "{detail}");
        assert!(!detail.contains('\n') && detail.len() < 200, "{detail}");
    }
    is_as_before(&sidecar, &admin).await;
    for tag in [
        "<img/src=x/onerror=alert(1)>",
        "\u{202e}gnp",
        "{{7*7}}",
        "%2e%2e%2f",
        "increment",
    ] {
        let done = done(&admin, "/v1/tags/increment", json!({ "tags": [tag] })).await;
        assert!(done["versions"][tag].as_u64().is_some(), "{done}");
        let path: String = tag.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let state = told(&admin, &format!("/v1/tags/{path}")).await;
        assert_eq!(state["tag"], tag);
        assert_eq!(state["version"], done["versions"][tag]);
    }
    for path in [
        "/v1/tags/%00",
        "/v1/tags/%ff",
        "/v1/tags/a%20b",
        "/v1/tags/~x",
    ] {
        admin.get(path).await.is_problem(400);
    }
}

#[tokio::test]
async fn a_query_that_is_wrong_is_refused_and_not_ignored() {
    let (_app, sidecar, admin) = with_a_page().await;
    for (path, expected) in [
        ("/v1/entries?rules=page", "unknown field `rules`"),
        (
            "/v1/entries?limit=0",
            "`limit`: expected 1 to 10000, found 0.",
        ),
        (
            "/v1/entries?limit=10001",
            "`limit`: expected 1 to 10000, found 10001.",
        ),
        ("/v1/entries?limit=-1", "limit"),
        ("/v1/entries?limit=x", "limit"),
        (
            "/v1/entries?tier=disk",
            "unknown variant `disk`, expected `memory` or `redis`",
        ),
        ("/v1/entries?tag=a%20b", "`tag`: "),
        ("/v1/entries?cursor=x", "`cursor`: "),
        ("/v1/entries?rule=a&rule=b", "duplicate field `rule`"),
        ("/v1/entries/0", "a key of 32 digits"),
        (
            "/v1/entries/+0000000000000000000000000000000",
            "a key of 32 digits",
        ),
        (
            "/v1/increments?limit=1001",
            "`limit`: expected 1 to 1000, found 1001.",
        ),
        ("/v1/explain", "missing field `url`"),
        ("/v1/explain?url=/a&url=/b", "duplicate field `url`"),
        ("/v1/explain?url=/a&host=b", "unknown field `host`"),
    ] {
        let answer = admin.get(path).await;
        answer.is_problem(400);
        assert!(answer.text().contains(expected), "{path}: {answer}");
    }
    for (path, expected) in [
        ("/v1/explain?url=ftp://a/", "`url`: expected a URL"),
        ("/v1/explain?url=/a&method=G%20T", "`method`: "),
        (
            "/v1/explain?url=/a&header=X",
            "`header`: expected 'Name: value'.",
        ),
        (
            "/v1/explain?url=/a&header=X:a%0d%0aY:1",
            "`header`: that is no field value.",
        ),
    ] {
        let answer = admin.get(path).await;
        answer.is_problem(422);
        assert!(answer.text().contains(expected), "{path}: {answer}");
    }
    is_as_before(&sidecar, &admin).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let (_app, sidecar, admin) = with_a_page().await;
    let mut said = admin.connect().await;
    said.write("POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n").await;
    let answer = String::from_utf8(said.closed().await).expect("a problem");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(
        answer.contains("A body of at most 1048576 bytes is expected."),
        "{answer}"
    );

    let mut streamed = admin.connect().await;
    streamed.write("POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..16 {
        streamed.write(&chunk).await;
    }
    streamed.write("1\r\n \r\n").await;
    let answer = String::from_utf8(streamed.closed().await).expect("a problem");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    let mut cut = admin.connect().await;
    cut.write("POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"all\": t").await;
    drop(cut);
    is_as_before(&sidecar, &admin).await;
}

#[tokio::test]
async fn answers_that_nobody_takes_keep_their_places_and_leave_room_for_probes_alone() {
    let (_app, sidecar, admin) = with_a_page().await;
    let large = ask("PUT", "/v1/objects/large").with("tagalong-cache-control", "max-age=60");
    let large = large.body(vec![b'x'; 6 << 20]);
    admin.ask(large).await.has_status(201);
    let (mut begun, mut more) = (Vec::new(), Vec::new());
    for _ in 0..64 {
        let call = admin.begin(get("/v1/objects/large")).await;
        begun.push(call.head().await);
    }
    for _ in 0..70 {
        more.push(admin.begin(get("/v1/objects/large")).await);
    }
    let refused = admin.get("/v1/epoch").await;
    refused.is_problem(503).has_field("retry-after", "1");
    admin.get("/readyz").await.has_status(200);
    admin.get("/healthz").await.has_status(200);
    for call in more {
        call.answer().await.is_problem(503);
    }
    let one = begun.pop().expect("an answer").rest().await;
    assert_eq!(one.body.len(), 6 << 20);
    drop(begun);
    let free = async { while admin.get("/v1/epoch").await.status == 503 {} };
    soon("places to be free again", free).await;
    is_as_before(&sidecar, &admin).await;
}

#[tokio::test]
async fn as_many_calls_as_are_answered_at_once_leave_room_for_probes_and_for_clients() {
    let (_app, sidecar, admin) = with_a_page().await;
    let mut dribbling = Vec::new();
    for _ in 0..64 {
        let mut call = admin.connect().await;
        call.write("POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{").await;
        dribbling.push(call);
    }
    let full = async {
        loop {
            let answer = admin.get("/v1/epoch").await;
            if answer.status == 503 {
                break answer;
            }
        }
    };
    let answer = soon("all places to be taken", full).await;
    answer.is_problem(503).has_field("retry-after", "1");
    admin.get("/readyz").await.has_status(200);
    admin.get("/healthz").await.has_status(200);
    sidecar.client().get("/page/1").await.is_hit();
    drop(dribbling);
    let free = async { while admin.get("/v1/epoch").await.status == 503 {} };
    soon("places to be free again", free).await;
    is_as_before(&sidecar, &admin).await;
}
