//! How long a client may keep us waiting, over HTTP/1.1 and HTTP/2, and what is not its doing (design.md §7, X7).

use std::time::Duration;

use http::Request;
use http::Response;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::Client;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::chunk;
use crate::support::content;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

async fn start(app: &Origin, limits: &str) -> Sidecar {
    let limits = format!("limits: {{ {limits} }}");
    Setup::new(app).config(&limits).start().await
}

/// An HTTP/2 client.
struct Http2 {
    sender: http2::SendRequest<String>,
    /// Ends when the connection does.
    connection: JoinHandle<hyper::Result<()>>,
}

/// A client whose streams take `window` bytes before it has read some of them.
async fn http2(sidecar: &Sidecar, window: u32) -> Http2 {
    let socket = TcpStream::connect(sidecar.address()).await.unwrap();
    let handshake = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(socket));
    let (sender, connection) = soon("the handshake", handshake).await.unwrap();
    let connection = tokio::spawn(connection);
    Http2 { sender, connection }
}

impl Http2 {
    fn get(
        &mut self,
        path: &str,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + Send + use<> {
        let uri = format!("http://shop.example{path}");
        let request = Request::get(uri).body(String::new()).unwrap();
        self.sender.send_request(request)
    }

    /// Waits until the sidecar closes the connection, which the client would keep.
    async fn closed(self) {
        let ended = soon("the connection to be closed", self.connection).await;
        drop(ended.unwrap()); // how it ends does not matter
        drop(self.sender);
    }
}

/// Comes back when `client_header_timeout` has passed, by a client that is dropped for it.
async fn a_header_timeout(client: &Client) {
    let mut half_a_head = client.connect().await;
    half_a_head.write("GET /a HTTP/1.1\r\nHo").await;
    half_a_head.closed().await;
}

#[tokio::test]
async fn a_hit_arrives_whole_however_long_its_client_reads() {
    // The sockets take much of the body at once, so it is complete on our side long before the client has it.
    const SIZE: usize = 8 << 20;
    const PIECE: usize = 64 << 10;
    const IDLE: Duration = Duration::from_secs(1);
    let app = Origin::start().await;
    let sidecar = start(&app, "client_idle_timeout: 1s, max_object: 16MiB").await;
    let big = reply(vec![b'x'; SIZE]).header("Cache-Control", "max-age=60");
    app.answer("/big", big);
    sidecar.client().get("/big").await.is_miss();

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut socket = socket.connect(sidecar.address()).await.unwrap();
    let request = b"GET /big HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let begun = Instant::now();
    let mut received = Vec::new();
    let mut piece = vec![0; PIECE];
    let mut end = usize::MAX;
    while received.len() < end {
        let count = soon("a piece", socket.read(&mut piece)).await.unwrap();
        assert!(count > 0, "cut after {} bytes", received.len());
        received.extend_from_slice(&piece[..count]);
        if end == usize::MAX
            && let Some(head) = received.windows(4).position(|four| four == b"\r\n\r\n")
        {
            end = head + 4 + SIZE;
        }
        // All of it takes three times as long as a client may stand still.
        let due = 3.0 * IDLE.as_secs_f64() * received.len() as f64 / SIZE as f64;
        while begun.elapsed().as_secs_f64() < due {
            sidecar.settle().await;
        }
    }
    assert!(received.starts_with(b"HTTP/1.1 200 "));
    assert_eq!(received.len(), end);
}

#[tokio::test]
async fn after_a_body_a_client_may_idle_as_long_as_after_none() {
    let app = Origin::start().await;
    let sidecar = start(&app, "client_header_timeout: 100ms").await;
    let client = sidecar.client();
    app.answer("/a", reply("a"));
    let mut connection = client.connect().await;
    connection.ask(post("/a").body("x")).await.has_body("a");
    for _ in 0..3 {
        a_header_timeout(&client).await;
    }
    connection.get("/a").await.has_body("a");
}

#[tokio::test]
async fn half_an_http_2_preface_is_closed_at_the_limit() {
    let app = Origin::start().await;
    let sidecar = start(&app, "client_header_timeout: 100ms").await;
    for begun in ["PRI * HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let mut connection = sidecar.client().connect().await;
        connection.write(begun).await;
        connection.closed().await;
    }
}

#[tokio::test]
async fn an_http_2_client_that_takes_nothing_is_dropped_and_its_exchange_with_it() {
    let app = Origin::start().await;
    let sidecar = start(&app, "client_idle_timeout: 200ms").await;
    for window in [0, 1 << 10] {
        let hold = app.hold("/big");
        let mut client = http2(&sidecar, window).await;
        let response = client.get("/big");
        let endless = reply("").header("Cache-Control", "no-store");
        let mut body = hold.arrived().await.begin(endless).await;
        let unread = soon("the head", response).await.unwrap();

        let piece = chunk(&[b'x'; 64 << 10]);
        let given_up = async { while body.wire.write(&piece).await.is_ok() {} };
        soon("the sidecar to give the client up", given_up).await;
        client.closed().await;
        drop(unread);
    }
}

#[tokio::test]
async fn an_http_2_client_that_takes_nothing_of_a_hit_is_dropped() {
    let app = Origin::start().await;
    let sidecar = start(&app, "client_idle_timeout: 200ms").await;
    let page = reply(vec![b'x'; 256 << 10]).header("Cache-Control", "max-age=60");
    app.answer("/page", page);
    sidecar.client().get("/page").await.is_miss();
    let mut client = http2(&sidecar, 0).await;
    let response = client.get("/page");
    let unread = soon("the head", response).await.unwrap();
    client.closed().await;
    drop(unread);
}

#[tokio::test]
async fn an_idle_http_2_connection_is_closed() {
    let app = Origin::start().await;
    let sidecar = start(&app, "client_idle_timeout: 200ms").await;
    app.answer("/a", reply("a"));
    let unused = http2(&sidecar, 1 << 16).await;
    let mut used = http2(&sidecar, 1 << 16).await;
    let response = soon("an answer", used.get("/a")).await.unwrap();
    assert_eq!(soon("the body", content(response.into_body())).await, b"a");
    unused.closed().await;
    used.closed().await;
}

#[tokio::test]
async fn an_http_2_stream_that_waits_for_a_slow_app_is_kept() {
    let app = Origin::start().await;
    let sidecar = start(&app, "client_idle_timeout: 200ms").await;
    // Longer than a client may idle, and then some.
    let a_while = async || {
        for _ in 0..3 {
            http2(&sidecar, 1 << 16).await.closed().await;
        }
    };
    let hold = app.hold("/slow");
    let mut client = http2(&sidecar, 1 << 16).await;
    let response = tokio::spawn(client.get("/slow"));
    let held = hold.arrived().await;
    a_while().await;
    let mut streaming = held.begin(reply("slow ")).await;
    let response = soon("the head", response).await.unwrap().unwrap();
    let body = tokio::spawn(content(response.into_body()));
    a_while().await;
    streaming.send(b"app").await;
    streaming.end().await;
    assert_eq!(soon("the body", body).await.unwrap(), b"slow app");
}

#[tokio::test]
async fn a_stop_takes_one_drain_for_clients_and_exchanges_together() {
    // The second sidecar has almost twice the time of the first, and only a client that is stuck.
    let app = Origin::start().await;
    let start = async |drain: &str| {
        let setup = Setup::new(&app).config(&format!("drain: {drain}"));
        let sidecar = setup.start().await;
        let hold = app.hold("/dl");
        let stuck = sidecar.client().begin(get("/dl")).await;
        let head = reply("x").header("Cache-Control", "no-store");
        let endless = hold.arrived().await.begin(head).await;
        (sidecar, stuck, endless)
    };
    let (both, _stuck, _endless) = start("1s").await;
    let (one, _other, _other_endless) = start("1900ms").await;
    let hold = app.hold("/touch");
    let writer = both.client().begin(post("/touch")).await;
    let _held = hold.arrived().await;
    writer.leave();
    both.settle().await;

    let both = tokio::spawn(both.shutdown());
    let one = tokio::spawn(one.shutdown());
    tokio::select! {
        biased;
        stopped = both => stopped.unwrap(),
        stopped = one => panic!("it took longer than one drain of almost twice the time: {stopped:?}"),
    }
}

#[tokio::test]
async fn pings_do_not_keep_an_http_2_client_that_takes_nothing() {
    let app = Origin::start().await;
    let sidecar = start(&app, "client_idle_timeout: 200ms").await;
    let page = reply(vec![b'x'; 256 << 10]).header("Cache-Control", "max-age=60");
    app.answer("/page", page);
    sidecar.client().get("/page").await.is_miss();
    let socket = TcpStream::connect(sidecar.address()).await.unwrap();
    let handshake = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_millis(50))
        .initial_stream_window_size(0)
        .handshake(TokioIo::new(socket));
    let (sender, connection) = soon("the handshake", handshake).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = Http2 { sender, connection };
    let response = client.get("/page");
    let unread = soon("the head", response).await.unwrap();
    client.closed().await;
    drop(unread);
}
