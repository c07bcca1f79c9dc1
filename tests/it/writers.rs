//! Who has written reads what was written: an increment is committed before its answer goes out (story 25, L4).

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::Request;
use http::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tagalong::body::Body;
use tagalong::body::Chunk;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::support::Client;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

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

#[tokio::test]
async fn a_write_whose_client_has_left_is_read_to_its_end() {
    // L4: the app is not disturbed in what it does.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/touch");
    let writer = sidecar.client().begin(post("/touch")).await;
    let held = hold.arrived().await;
    writer.leave();
    sidecar.settle().await;
    let mut body = held.begin(reply("begun")).await;
    sidecar.settle().await;
    for _ in 0..256 {
        body.send(&[b'x'; 64 << 10]).await; // more than the sockets hold
    }
    body.end().await;
}

#[tokio::test]
async fn a_write_whose_client_leaves_in_the_body_is_read_to_its_end() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/touch");
    let writer = sidecar.client().begin(post("/touch")).await;
    let mut body = hold.arrived().await.begin(reply("").chunked()).await;
    writer.head().await.leave();
    sidecar.settle().await;
    for _ in 0..256 {
        body.send(&[b'x'; 64 << 10]).await; // more than the sockets hold
    }
    body.end().await;
}

#[tokio::test]
async fn a_stop_waits_for_a_write_whose_client_has_left() {
    // L4: the increment of what runs at the app counts, as does the write itself.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, USERS).await;
    let client = sidecar.client();
    let hold = app.hold("/touch");
    let writer = client.begin(post("/touch")).await;
    let held = hold.arrived().await;
    writer.leave();
    sidecar.settle().await;

    let stopping = tokio::spawn(sidecar.shutdown());
    let refused = async { while client.try_connect().await.is_ok() {} };
    soon("the listeners to close", refused).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished(), "the app has not answered yet");
    held.release(reply("").header("Cache-Tag-Increment", "User:42"))
        .await;
    soon("the stop", stopping).await.unwrap();
}

/// What the test and the app with trailers wait for.
#[derive(Default)]
struct Steps {
    /// A request for anything but a row has arrived.
    arrived: Notify,
    /// Its head may go out, and `done`.
    head: Notify,
    /// So may its trailers, which increment `User:42`.
    trailers: Notify,
}

/// An app that speaks HTTP/2: only there do trailers come through.
async fn app_with_trailers(steps: &Arc<Steps>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    let steps = Arc::clone(steps);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let steps = Arc::clone(&steps);
            let service = service_fn(move |request: Request<Incoming>| {
                let steps = Arc::clone(&steps);
                async move { Ok::<_, Infallible>(answered(&request, steps).await) }
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .auto_date_header(false) // the sidecar's clock stands elsewhere
                    .serve_connection(TokioIo::new(socket), service),
            );
        }
    });
    url
}

async fn answered(request: &Request<Incoming>, steps: Arc<Steps>) -> Response<Body> {
    if request.uri().path().starts_with("/users/") {
        return Response::new("row".into());
    }
    steps.arrived.notify_one();
    steps.head.notified().await;
    let sized = request.uri().path().starts_with("/sized");
    let empty = request.uri().path().starts_with("/empty");
    let done = (!empty).then(|| Ok(Chunk::Data(Bytes::from("done"))));
    let increment = async move {
        steps.trailers.notified().await;
        let mut fields = http::HeaderMap::new();
        fields.insert("cache-tag-increment", "User:42".parse().unwrap());
        Ok(Chunk::Trailers(fields))
    };
    let chunks = stream::iter(done).chain(stream::once(increment));
    let mut response = Response::new(Body::chunks(chunks, None));
    if empty {
        let fields = response.headers_mut();
        fields.insert("content-length", "0".parse().unwrap());
    }
    if request.uri().path() == "/empty/204" {
        response.headers_mut().remove("content-length");
        *response.status_mut() = http::StatusCode::NO_CONTENT;
    }
    if sized {
        let fields = response.headers_mut();
        fields.insert("content-length", "4".parse().unwrap());
        fields.insert("cache-control", "no-store".parse().unwrap());
    }
    response
}

/// Reads until the entry is no longer used.
async fn invalidated(client: &Client) {
    let refetched = async {
        loop {
            let answer = client.get("/users/42").await;
            if !answer.cache_status().unwrap().contains_key("hit") {
                return answer;
            }
        }
    };
    soon("the increment", refetched).await.is_invalidated();
}

#[tokio::test]
async fn an_increment_in_a_trailer_counts_before_the_last_byte() {
    // L4, design.md §3.
    let steps = Arc::new(Steps::default());
    let url = app_with_trailers(&steps).await;
    let sidecar = Setup::in_front_of(&url).rules(USERS).start().await;
    let client = sidecar.client();
    client.get("/users/42").await.is_miss();

    steps.head.notify_one();
    let mut open = client.begin(post("/touch")).await.head().await;
    assert_eq!(open.some().await.as_deref(), Some(&b"done"[..]));
    client.get("/users/42").await.is_hit();
    steps.trailers.notify_one();
    open.rest().await.is_whole();
    client.get("/users/42").await.is_invalidated();
}

#[tokio::test]
async fn an_increment_in_a_trailer_counts_though_its_client_has_left_before_the_head() {
    let steps = Arc::new(Steps::default());
    let url = app_with_trailers(&steps).await;
    let sidecar = Setup::in_front_of(&url).rules(USERS).start().await;
    let client = sidecar.client();
    client.get("/users/42").await.is_miss();

    let writer = client.begin(post("/touch")).await;
    soon("the POST", steps.arrived.notified()).await;
    writer.leave();
    client.get("/users/42").await.is_hit();
    steps.head.notify_one();
    steps.trailers.notify_one();
    invalidated(&client).await;
}

#[tokio::test]
async fn an_increment_in_a_trailer_counts_though_its_client_has_left_in_the_body() {
    let steps = Arc::new(Steps::default());
    let url = app_with_trailers(&steps).await;
    let sidecar = Setup::in_front_of(&url).rules(USERS).start().await;
    let client = sidecar.client();
    client.get("/users/42").await.is_miss();

    steps.head.notify_one();
    let mut open = client.begin(post("/touch")).await.head().await;
    assert_eq!(open.some().await.as_deref(), Some(&b"done"[..]));
    open.leave();
    client.get("/users/42").await.is_hit();
    steps.trailers.notify_one();
    invalidated(&client).await;
}

#[tokio::test]
async fn an_increment_in_a_trailer_counts_before_the_last_byte_of_a_declared_length() {
    // L4: who knows the length does not wait for what follows the last byte.
    let rules =
        format!("{USERS}  - {{ id: passed, match: {{ path: /sized/passed }}, cache: false }}\n");
    for request in [post("/sized"), get("/sized/passed"), get("/sized/unstored")] {
        let steps = Arc::new(Steps::default());
        let url = app_with_trailers(&steps).await;
        let sidecar = Setup::in_front_of(&url).rules(&rules).start().await;
        let client = sidecar.client();
        client.get("/users/42").await.is_miss();

        steps.head.notify_one();
        let mut open = client.begin(request).await.head().await;
        open.answer.has_field("content-length", "4");
        let row = async {
            for _ in 0..10 {
                client.get("/users/42").await.is_hit();
            }
        };
        tokio::select! {
            biased;
            early = open.some() => panic!("all of the body before its trailers: {early:?}"),
            () = row => {}
        }
        steps.trailers.notify_one();
        open.rest().await.has_body("done");
        client.get("/users/42").await.is_invalidated();
    }
}

#[tokio::test]
async fn an_increment_in_a_trailer_counts_though_nothing_comes_before_it() {
    // L4: `Content-Length: 0` is no end where trailers may follow.
    for (request, status) in [
        (post("/empty"), 200),
        (get("/empty"), 200),
        (post("/empty/204"), 204),
        (get("/empty/204"), 204),
    ] {
        let steps = Arc::new(Steps::default());
        let url = app_with_trailers(&steps).await;
        let sidecar = Setup::in_front_of(&url).rules(USERS).start().await;
        let client = sidecar.client();
        client.get("/users/42").await.is_miss();
        steps.head.notify_one();
        steps.trailers.notify_one();
        client.ask(request).await.has_status(status).has_body("");
        client.get("/users/42").await.is_invalidated();
    }
}
