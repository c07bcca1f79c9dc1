//! Who has written reads what was written: an increment is committed before its answer goes out (story 25, L4).

use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::post;
use crate::support::reply;

const USERS: &str = r#"
  - { id: users, match: { path: '/users/(?P<id>\d+)' }, tags: ["User:{id}"], ttl: 60s }
"#;

#[tokio::test]
async fn an_increment_survives_a_client_that_has_left() {
    // 25.1.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, USERS).await;
    let client = sidecar.client();
    app.answer("/users/42", reply("a"));
    client.get("/users/42").await.is_miss();
    app.answer("/users/42", reply("b"));

    let hold = app.hold("/touch");
    let writer = client.begin(post("/touch")).await;
    let held = hold.arrived().await;
    writer.leave();
    sidecar.settle().await;
    held.release(reply("").header("Cache-Tag-Increment", "User:42"))
        .await;
    sidecar.settle().await;

    client.get("/users/42").await.is_invalidated().has_body("b");
}

#[tokio::test]
async fn a_reader_on_the_first_byte_of_the_writers_answer_sees_the_change() {
    // 25.2.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, USERS).await;
    let client = sidecar.client();
    app.answer("/users/42", reply("b"));
    client.get("/users/42").await.is_miss();
    app.answer("/users/42", reply("c"));

    let hold = app.hold("/touch");
    let writer = client.begin(post("/touch")).await;
    let head = reply("").header("Cache-Tag-Increment", "User:42");
    let mut body = hold.arrived().await.begin(head).await;
    let open = writer.head().await;
    client.get("/users/42").await.is_invalidated().has_body("c");

    body.send(b"done").await;
    body.end().await;
    open.rest().await.is_method().has_body("done");
}
