//! The harness tested without what it tests: client and scripted app face to face.

use crate::support::Answer;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::ask;
use crate::support::get;
use crate::support::reply;
use crate::support::verbatim;

async fn pair() -> (Origin, Client) {
    let origin = Origin::start().await;
    let client = Client::tcp(origin.address());
    (origin, client)
}

#[tokio::test]
async fn the_app_answers_as_told_counts_and_remembers() {
    let (origin, client) = pair().await;
    origin.answer("/a", reply("one").header("Cache-Tag", "A"));
    origin.on("/n", |call| reply(format!("{}{}", call.n, call.query("x"))));
    origin.otherwise(|call| reply(call.path().to_owned()).status(203));

    let answer = client.get_with("/a?q=1", "X-Test", "t").await;
    answer
        .has_status(200)
        .has_body("one")
        .has_field("cache-tag", "A");
    client.get("/n?x=a").await.has_body("1a");
    client.get("/n?x=b").await.has_body("2b");
    client.get("/else").await.has_status(203).has_body("/else");

    assert_eq!(origin.calls("/a"), 1);
    assert_eq!(origin.calls("/a?q=1"), 1);
    assert_eq!(origin.calls("/n"), 2);
    assert_eq!(origin.last("/a").field("x-test").as_deref(), Some("t"));
    assert!(origin.last("/a").raw.starts_with("GET /a?q=1 HTTP/1.1\r\n"));
    assert_eq!(origin.connections(), 4);
}

#[tokio::test]
async fn a_path_with_its_query_goes_before_the_path() {
    let (origin, client) = pair().await;
    origin.answer("/a", reply("any"));
    origin.answer("/a?x=1", reply("one"));

    client.get("/a?x=1").await.has_body("one");
    client.get("/a?x=2").await.has_body("any");
}

#[tokio::test]
async fn bodies_are_read_to_their_true_end() {
    let (origin, client) = pair().await;
    for (path, scripted, whole) in [
        ("/sized", reply("body"), true),
        ("/chunked", reply("body").chunked(), true),
        ("/until-close", reply("body").until_close(), true),
        ("/cut", reply("body").cut(), false),
        ("/cut-chunked", reply("body").cut_chunked(), false),
    ] {
        origin.answer(path, scripted);
        let answer = client.get(path).await;
        assert_eq!(answer.text(), "body", "{path}");
        if whole {
            answer.is_whole();
        } else {
            answer.is_cut();
        }
    }
    client
        .head("/sized")
        .await
        .has_body("")
        .has_field("content-length", "4");
}

#[tokio::test]
async fn improper_answers_are_sent_as_they_are() {
    let (origin, client) = pair().await;
    origin.answer(
        "/v",
        verbatim("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
    );
    client.get("/v").await.has_body("x");

    for scripted in [Reply::reset(), Reply::hang_up()] {
        origin.answer("/gone", scripted);
        let mut pending = client.begin(get("/gone")).await;
        assert_eq!(pending.connection.closed().await, b"");
    }
    origin.answer("/silent", Reply::silent());
    client.begin(get("/silent")).await.leave();
}

#[tokio::test]
async fn a_held_call_is_answered_when_the_test_says_so() {
    let (origin, client) = pair().await;
    origin.answer("/row", reply("new"));
    let hold = origin.hold("/row");

    let pending = client.begin(ask("PUT", "/row").body("mine")).await;
    let mut held = hold.arrived().await;
    assert_eq!(held.call.method, "PUT");
    assert_eq!(held.some().await.as_deref(), Some(&b"mine"[..]));
    client.get("/row").await.has_body("new");
    held.release(reply("old")).await;
    pending.answer().await.has_body("old");

    assert_eq!(origin.calls("/row"), 2);
}

#[tokio::test]
async fn an_answer_comes_piece_by_piece() {
    let (origin, client) = pair().await;
    let hold = origin.hold("/s");
    let pending = client.begin(get("/s")).await;
    let mut streaming = hold.arrived().await.begin(reply("")).await;
    let mut open = pending.head().await;
    assert_eq!(open.answer.status, 200);

    streaming.send(b"one").await;
    assert_eq!(open.some().await.as_deref(), Some(&b"one"[..]));
    streaming.send(b"two").await;
    streaming.end().await;
    open.rest().await.has_body("two");

    let hold = origin.hold("/s");
    let pending = client.begin(get("/s")).await;
    let sized = reply("on").header("Content-Length", "9");
    hold.arrived().await.begin(sized).await.cut();
    pending.answer().await.is_cut();
}

#[tokio::test]
async fn the_app_sees_a_caller_that_hangs_up() {
    let (origin, client) = pair().await;
    let hold = origin.hold("/a");
    let pending = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    pending.leave();
    held.closed().await;

    let hold = origin.hold("/a");
    let pending = client.begin(get("/a")).await;
    let streaming = hold.arrived().await.begin(reply("x")).await;
    pending.head().await.leave();
    streaming.closed().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let (origin, client) = pair().await;
    origin.answer("/a", reply("a"));
    let mut connection = client.connect().await;
    connection.get("/a").await.has_body("a");
    connection.get("/a").await.has_body("a");
    connection
        .write("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    connection.answer().await.has_body("a");
    connection.answer().await.has_status(404);
    assert_eq!(origin.connections(), 1);

    let answers = client.begin_many(3, &get("/a")).await;
    for pending in answers {
        pending.answer().await.has_body("a");
    }
}

#[tokio::test]
async fn a_switched_connection_is_bare() {
    let (origin, client) = pair().await;
    let hold = origin.hold("/ws");
    let pending = client.begin(get("/ws").with("Connection", "Upgrade")).await;
    let mut wire = hold.arrived().await.switch("websocket").await;
    let mut open = pending.head().await;
    assert_eq!(open.answer.status, 101);
    open.connection.write("ping").await;
    assert_eq!(wire.exactly(4).await.unwrap(), b"ping");
}

#[tokio::test]
async fn unix_sockets_serve_as_well() {
    let (origin, _) = pair().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    origin.listen_at(&path);
    origin.answer("/a", reply("a"));
    Client::unix(path).get("/a").await.has_body("a");
}

#[tokio::test]
async fn cache_status_is_read_as_a_structured_field() {
    let (origin, client) = pair().await;
    let said = async |text: &str| -> Answer {
        origin.answer(
            "/a",
            reply("").header("Cache-Status", text).header("Age", "3"),
        );
        client.get("/a").await
    };
    assert_eq!(said("tagalong; hit; ttl=57").await.is_hit().ttl(), 57);
    said("tagalong; fwd=uri-miss; stored").await.is_miss();
    said("tagalong; fwd=vary-miss; stored").await.is_vary_miss();
    said("tagalong; fwd=stale; stored; detail=expired")
        .await
        .is_expired();
    said("tagalong; fwd=stale; stored; detail=invalidated")
        .await
        .is_invalidated();
    said("tagalong; fwd=uri-miss; collapsed").await.is_shared();
    said("tagalong; fwd=uri-miss; detail=raced")
        .await
        .is_unstored("raced")
        .is_not_stored();
    said("tagalong; fwd=bypass; detail=rule")
        .await
        .is_bypass(Some("rule"))
        .is_bypass(None);
    said("tagalong; fwd=method").await.is_method().is_not_hit();
    said("tagalong; fwd=request; stored").await.is_on_request();
    said("app; hit, tagalong; fwd=method").await.is_method();
    assert_eq!(said("app; hit").await.cache_status(), None);
}
