//! Bodies in motion: bounded memory both ways, events at once, tunnels, other kinds of connections, and the drain.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::Held;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::chunk;
use crate::support::content;
use crate::support::get;
use crate::support::reply;
use crate::support::soon;

const PIECE: usize = 64 << 10;
const TOTAL: u64 = 256 << 20;
/// How far a sender may get ahead of a reader that stands still: the socket buffers of two hops and what the sidecar
/// holds. Far less than the whole, far more than the buffers.
const AHEAD: u64 = 64 << 20;

/// Waits until `sent` no longer grows: the sender has met back-pressure, or has sent everything.
async fn stands_still(sidecar: &Sidecar, sent: &AtomicU64) -> u64 {
    let mut last = u64::MAX;
    let mut still = 0;
    while still < 20 {
        sidecar.settle().await;
        let now = sent.load(Ordering::SeqCst);
        still = if now == last { still + 1 } else { 0 };
        last = now;
    }
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_waits_for_its_reader() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/big");
    let pending = sidecar.client().begin(get("/big")).await;
    let head = reply("")
        .header("Content-Length", TOTAL.to_string())
        .header("Cache-Control", "no-store");
    let mut body = hold.arrived().await.begin(head).await;

    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; PIECE];
        for _ in 0..TOTAL / PIECE as u64 {
            body.send(&piece).await;
            counted.fetch_add(PIECE as u64, Ordering::SeqCst);
        }
        body.end().await;
    });
    let mut open = pending.head().await;
    let ahead = stands_still(&sidecar, &sent).await;
    assert!(
        ahead < AHEAD,
        "{ahead} bytes are under way to a client that does not read"
    );

    let mut received = 0;
    while let Some(bytes) = open.some().await {
        received += bytes.len() as u64;
    }
    open.rest().await.has_status(200).is_whole();
    assert_eq!(received, TOTAL);
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_waits_for_its_reader() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/up");
    let mut connection = sidecar.client().connect().await;
    let head = format!("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: {TOTAL}\r\n\r\n");
    connection.write(head).await;
    connection.write(&vec![b'x'; PIECE]).await; // so much is waited for before the app is asked
    let mut held = hold.arrived().await;

    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; PIECE];
        for _ in 1..TOTAL / PIECE as u64 {
            connection.write(&piece).await;
            counted.fetch_add(PIECE as u64, Ordering::SeqCst);
        }
        connection
    });
    let ahead = stands_still(&sidecar, &sent).await;
    assert!(
        ahead < AHEAD,
        "{ahead} bytes are under way to an app that does not read"
    );

    let mut received = 0;
    while let Some(bytes) = held.some().await {
        received += bytes.len() as u64;
    }
    assert_eq!(received, TOTAL);
    held.release(reply("thanks")).await;
    let mut connection = sending.await.unwrap();
    connection.answer().await.is_method().has_body("thanks");
}

#[tokio::test]
async fn what_declares_no_length_reaches_the_app_as_it_comes() {
    // A client and an app that talk to each other, as in gRPC.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/talk");
    let mut connection = sidecar.client().connect().await;
    let head = "POST /talk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write(head).await;
    let mut held = hold.arrived().await; // before there is anything of it
    for said in ["one", "two"] {
        connection.write(format!("3\r\n{said}\r\n")).await;
        let mut heard = Vec::new();
        while heard.len() < 3 {
            heard.extend(held.some().await.expect("the stream goes on"));
        }
        assert_eq!(heard, said.as_bytes());
    }
    connection.write("0\r\n\r\n").await;
    assert_eq!(held.body().await, b"");
    held.release(reply("heard")).await;
    connection.answer().await.has_status(200).has_body("heard");
}

#[tokio::test]
async fn the_first_event_arrives_before_the_second_is_sent() {
    // P8.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/events");
    let pending = sidecar.client().begin(get("/events")).await;
    let head = reply("")
        .header("Content-Type", "text/event-stream")
        .header("Cache-Control", "no-cache");
    let mut events = hold.arrived().await.begin(head).await;
    let mut open = pending.head().await;

    for event in ["data: one\n\n", "data: two\n\n"] {
        events.send(event.as_bytes()).await;
        let mut got = Vec::new();
        while got.len() < event.len() {
            got.extend(open.some().await.expect("the stream goes on"));
        }
        assert_eq!(got, event.as_bytes());
    }
    events.end().await;
    open.rest().await.has_body("");
}

#[tokio::test]
async fn a_slow_reader_does_not_delay_a_fill() {
    // X7.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: a, match: { path: /a }, ttl: 60s }\n").await;
    let client = sidecar.client();
    let body = vec![b'x'; 6 << 20];
    let hold = app.hold("/a");

    let slow = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    let quick = client.begin(get("/a")).await;
    sidecar.settle().await;
    held.release(reply(body.clone())).await;

    let answer = quick.answer().await;
    assert!(answer.body == body, "{answer}");
    client.get("/a").await.is_hit();
    let answer = slow.answer().await;
    assert!(answer.body == body, "{answer}");
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_of_what_outgrew_the_store_delays_no_other_and_is_cut() {
    const SIZE: usize = 48 << 20;
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config("limits: { max_object: 4MiB }")
        .rules("  - { id: a, match: { path: /a }, ttl: 60s }\n")
        .start()
        .await;
    let client = sidecar.client();
    let hold = app.hold("/a");
    let slow = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    let quick = client.begin(get("/a")).await;
    sidecar.settle().await;
    let mut body = held.begin(reply("")).await;
    let slow = slow.head().await;
    let sending = tokio::spawn(async move {
        for _ in 0..SIZE / PIECE {
            body.send(&[b'x'; PIECE]).await;
        }
        body.end().await;
    });

    let answer = quick.answer().await;
    answer.is_whole();
    assert_eq!(answer.body.len(), SIZE);
    let answer = slow.rest().await;
    answer.is_cut();
    assert!(answer.body.len() < SIZE);
    assert_eq!(app.calls("/a"), 1);
    sending.await.unwrap();
    app.answer("/a", reply("small"));
    client.get("/a").await.is_miss().has_body("small");
}

#[tokio::test]
async fn a_fill_for_the_store_goes_on_when_all_its_readers_have_left() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: a, match: { path: /a }, ttl: 60s }\n").await;
    let client = sidecar.client();
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/a")).await;
    sidecar.settle().await;
    let mut body = held.begin(reply("first ")).await;
    for reader in [first, second] {
        reader.head().await.leave();
    }
    sidecar.settle().await;
    body.send(b"and last").await;
    body.end().await;
    sidecar.settle().await;

    let answer = client.get("/a").await;
    answer.is_hit().has_body("first and last");
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn a_shared_error_that_all_have_left_is_broken_off() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/a")).await;
    sidecar.settle().await;
    let mut body = held.begin(reply("oh").status(500)).await;
    first.head().await.leave();
    sidecar.settle().await;

    body.send(b" no").await;
    let mut second = second.head().await;
    second.answer.has_status(500).is_shared();
    let mut got = Vec::new();
    while got.len() < "oh no".len() {
        got.extend(second.some().await.expect("it goes on for the second"));
    }
    assert_eq!(got, b"oh no");
    second.leave();
    body.closed().await;
    app.answer("/a", reply("well"));
    client.get("/a").await.has_status(200).has_body("well");
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_end_is_streamed_to_its_reader_and_broken_off_when_it_has_none() {
    const MOST: usize = 1 << 20;
    for reads in [3 * MOST, 0] {
        let app = Origin::start().await;
        let sidecar = Setup::new(&app)
            .config("limits: { max_object: 1MiB }")
            .rules("  - { id: a, match: { path: /a }, ttl: 60s }\n")
            .start()
            .await;
        let client = sidecar.client();
        let hold = app.hold("/a");
        let reader = client.begin(get("/a")).await;
        let mut body = hold.arrived().await.begin(reply("begun")).await;
        let sending = tokio::spawn(async move {
            let piece = chunk(&[b'x'; PIECE]);
            while body.wire.write(&piece).await.is_ok() {}
        });
        let mut reader = reader.head().await;
        let mut received = 0;
        while received < reads {
            received += reader.some().await.expect("it goes on").len();
        }
        assert!(!sending.is_finished(), "somebody reads it");
        reader.leave();
        soon("the sidecar to break it off", sending).await.unwrap();
        app.answer("/a", reply("small"));
        client.get("/a").await.is_miss().has_body("small");
    }
}

async fn upgraded(
    app: &Origin,
    sidecar: &Sidecar,
) -> (tokio::task::JoinHandle<()>, crate::support::Connection) {
    let hold = app.hold("/ws");
    let request = get("/ws")
        .with("Connection", "Upgrade")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .with("Sec-WebSocket-Version", "13");
    let pending = sidecar.client().begin(request).await;
    let held: Held = hold.arrived().await;
    assert_eq!(held.call.field("upgrade").as_deref(), Some("websocket"));
    let connection = held.call.field("connection").unwrap_or_default();
    assert!(
        connection.eq_ignore_ascii_case("upgrade"),
        "{}",
        held.call.raw
    );
    assert!(held.call.field("sec-websocket-key").is_some());
    let mut wire = held.switch("websocket").await;
    let echo = tokio::spawn(async move {
        while let Ok(bytes) = wire.some().await {
            if bytes.is_empty() || wire.write(&bytes).await.is_err() {
                return;
            }
        }
    });
    let open = pending.head().await;
    open.answer
        .has_status(101)
        .has_field("upgrade", "websocket");
    (echo, open.connection)
}

#[tokio::test]
async fn a_websocket_echoes_through() {
    // P6.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let (echo, mut connection) = upgraded(&app, &sidecar).await;

    for frame in [&b"\x81\x05hello"[..], &[0_u8; 100_000][..], b"\x88\x00"] {
        connection.write(frame).await;
        let back = soon("the echo", connection.wire.exactly(frame.len())).await;
        assert_eq!(back.unwrap(), frame);
    }
    drop(connection);
    soon("the app's end to close with the client's", echo)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.answer("/ws", reply("no").status(426));
    let request = get("/ws")
        .with("Connection", "Upgrade")
        .with("Upgrade", "websocket");
    let answer = sidecar.client().ask(request).await;
    answer
        .has_status(426)
        .has_body("no")
        .is_bypass(Some("upgrade"));
}

#[tokio::test]
async fn a_hit_over_a_unix_socket() {
    // P3.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app).on_unix_socket().start().await;
    app.answer("/a", reply("a").header("Cache-Control", "max-age=60"));

    sidecar.client().get("/a").await.is_miss();
    sidecar.unix_client().get("/a").await.is_hit().has_body("a");
}

#[tokio::test]
async fn a_miss_from_an_app_on_a_unix_socket() {
    // P4.
    let app = Origin::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    app.listen_at(&path);
    app.answer("/a", reply("a").header("Cache-Control", "max-age=60"));
    let url = format!("unix:{}", path.display());
    let sidecar = Setup::in_front_of(&url).start().await;

    sidecar.client().get("/a").await.is_miss().has_body("a");
    sidecar.client().get("/a").await.is_hit().has_body("a");
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

#[tokio::test]
async fn over_h2c_a_request_that_its_client_has_taken_back_asks_the_app_for_nothing() {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const END_HEADERS: u8 = 4;
    const END_STREAM_AND_HEADERS: u8 = 5;
    const REASONS: [[u8; 4]; 2] = [[0, 0, 0, 0], [0, 0, 0, 8]]; // NO_ERROR, CANCEL
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.answer("/a", reply("a").header("Cache-Control", "max-age=60"));
    sidecar.client().get("/a").await.is_miss();

    // GET http://shop.example/a (RFC 7541 §6): two fields of the static table, two with their values.
    let get = b"\x82\x86\x04\x02/a\x01\x0cshop.example";
    // POST, with `content-length: 10`.
    let post = b"\x83\x86\x04\x02/a\x01\x0cshop.example\x0f\x0d\x0210";
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    let heads = [&get[..], &post[..]];
    let taken_back = heads.iter().flat_map(|head| REASONS.map(|why| (head, why)));
    for ((head, why), stream) in taken_back.zip((1..).step_by(2)) {
        sent.extend(frame(HEADERS, END_HEADERS, stream, head));
        sent.extend(frame(RST_STREAM, 0, stream, &why));
    }
    // One that waits for its answer: those before it have been looked at then.
    sent.extend(frame(HEADERS, END_STREAM_AND_HEADERS, 21, get));
    let mut socket = TcpStream::connect(sidecar.address()).await.unwrap();
    socket.write_all(&sent).await.unwrap();
    let mut answered = Vec::new();
    while !answered.ends_with(b"a") {
        let read = socket.read_buf(&mut answered);
        assert_ne!(soon("the answer", read).await.unwrap(), 0);
    }
    sidecar.client().get("/b").await; // the app has been asked for whatever it was asked for
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn a_hit_over_h2c() {
    // P3: the same entry, whatever the version.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.answer("/a", reply("a").header("Cache-Control", "max-age=60"));
    sidecar.client().get("/a").await.is_miss();

    let socket = TcpStream::connect(sidecar.address()).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (mut sender, connection) = soon("the handshake", handshake).await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        let request = http::Request::get("http://shop.example/a")
            .body(String::new())
            .unwrap();
        let response = soon("an answer", sender.send_request(request))
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["cache-status"], "tagalong; hit; ttl=60");
        assert_eq!(soon("the body", content(body)).await, b"a");
    }
    assert_eq!(app.calls("/a"), 1);
    drop(sender);
    soon("the connection to end", connection)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn who_is_connected_when_the_stop_comes_is_answered() {
    for fast_path in [true, false] {
        let app = Origin::start().await;
        let config = format!("fast_path: {fast_path}");
        let sidecar = Setup::new(&app).config(&config).start().await;
        app.otherwise(|_| reply("a"));
        // On this one thread the sidecar has accepted none of them when it is told to stop.
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = std::net::TcpStream::connect(sidecar.address()).unwrap();
            let request = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n";
            std::io::Write::write_all(&mut client, request).unwrap();
            client.set_nonblocking(true).unwrap();
            clients.push(TcpStream::from_std(client).unwrap());
        }
        let stopping = tokio::spawn(sidecar.shutdown());
        for mut client in clients {
            let mut answer = Vec::new();
            let read = soon("the answer", client.read_to_end(&mut answer)).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                read.is_ok() && answer.starts_with("HTTP/1.1 200 "),
                "{answer:?}"
            );
        }
        soon("the stop", stopping).await.unwrap();
    }
}

#[tokio::test]
async fn a_stop_lets_a_running_download_finish_and_drops_the_idle() {
    // O19.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("a"));
    let mut idle = client.connect().await;
    idle.get("/a").await.has_status(200);
    let hold = app.hold("/dl");
    let pending = client.begin(get("/dl")).await;
    let mut body = hold
        .arrived()
        .await
        .begin(reply("first ").header("Cache-Control", "no-store"))
        .await;
    let open = pending.head().await;

    let stopping = tokio::spawn(sidecar.shutdown());
    assert_eq!(idle.closed().await, b"");
    body.send(b"and last").await;
    body.end().await;
    open.rest().await.has_body("first and last");
    soon("the stop", stopping).await.unwrap();
    assert!(
        client.try_connect().await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_the_drain() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app).config("drain: 100ms").start().await;
    let hold = app.hold("/dl");
    let pending = sidecar.client().begin(get("/dl")).await;
    let _never_ends = hold
        .arrived()
        .await
        .begin(reply("first ").header("Cache-Control", "no-store"))
        .await;
    let open = pending.head().await;

    sidecar.shutdown().await;
    open.rest().await.is_cut();
}

#[tokio::test]
async fn the_manual_clock_stands_still() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let before = sidecar.clock.now();
    sidecar.settle().await;
    assert_eq!(sidecar.clock.now(), before);
    sidecar.clock.advance(Duration::from_secs(1));
    assert_eq!(sidecar.clock.now(), before + Duration::from_secs(1));
}
