//! Clients that speak TLS.

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::support::Certificate;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::content;
use crate::support::get;
use crate::support::reply;
use crate::support::soon;

/// Which protocol both sides chose.
fn chosen(stream: &TlsStream<TcpStream>) -> Option<&[u8]> {
    stream.get_ref().1.alpn_protocol()
}

/// A client that speaks HTTP/1.1 over TLS.
fn client(sidecar: &Sidecar, certificate: &Certificate) -> Client {
    Client::tls(sidecar.tls_address(), certificate.trust(&["http/1.1"]))
}

#[tokio::test]
async fn a_miss_and_a_hit_over_tls() {
    // P3, HTTP/1.1.
    let app = Origin::start().await;
    let certificate = Certificate::new();
    let sidecar = Setup::new(&app).on_tls(&certificate).start().await;
    let large = "large ".repeat(100_000);
    app.answer("/a", reply(&*large).header("Cache-Control", "max-age=60"));

    let mut connection = client(&sidecar, &certificate).connect().await;
    connection.get("/a").await.is_miss().has_body(&large);
    connection.get("/a").await.is_hit().has_body(&large);
    assert_eq!(
        app.last("/a").field("x-forwarded-proto").as_deref(),
        Some("https")
    );
    sidecar.shutdown().await;
    assert_eq!(connection.closed().await, b"");
}

#[tokio::test]
async fn a_miss_and_a_hit_over_tls_and_http_2() {
    // P3, chosen by ALPN: no upgrade, no prior knowledge.
    let app = Origin::start().await;
    let certificate = Certificate::new();
    let sidecar = Setup::new(&app).on_tls(&certificate).start().await;
    app.answer("/a", reply("a").header("Cache-Control", "max-age=60"));

    let trust = certificate.trust(&["http/1.1", "h2"]);
    let stream = soon("a connection", trust.connect(sidecar.tls_address()));
    let stream = stream.await.unwrap();
    assert_eq!(chosen(&stream), Some(&b"h2"[..]), "ours is preferred");
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = soon("the handshake", handshake).await.unwrap();
    tokio::spawn(connection);
    for expected in ["tagalong; fwd=uri-miss; stored", "tagalong; hit; ttl=60"] {
        let request = http::Request::get("https://shop.example/a").body(String::new());
        let response = soon("an answer", sender.send_request(request.unwrap()));
        let (head, body) = response.await.unwrap().into_parts();
        assert_eq!(head.version, http::Version::HTTP_2);
        assert_eq!(head.headers["cache-status"], expected);
        assert_eq!(soon("the body", content(body)).await, b"a");
    }
    // The entry of an https URL, whatever the version.
    client(&sidecar, &certificate).get("/a").await.is_hit();
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn http_and_https_are_two_entries() {
    let app = Origin::start().await;
    let certificate = Certificate::new();
    let sidecar = Setup::new(&app).on_tls(&certificate).start().await;
    app.on("/a", |call| {
        let scheme = call.field("x-forwarded-proto").unwrap_or_default();
        reply(scheme).header("Cache-Control", "max-age=60")
    });

    let clients = [
        ("http", sidecar.client()),
        ("https", client(&sidecar, &certificate)),
    ];
    for (scheme, client) in &clients {
        client.get("/a").await.is_miss().has_body(scheme);
    }
    for (scheme, client) in &clients {
        client.get("/a").await.is_hit().has_body(scheme);
    }
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn versions_and_protocols_are_agreed_on() {
    let app = Origin::start().await;
    let certificate = Certificate::new();
    let sidecar = Setup::new(&app).on_tls(&certificate).start().await;
    app.answer("/a", reply("a"));
    let at = sidecar.tls_address();

    for (name, version, protocols, expected) in [
        ("1.2, nothing offered", &TLS12, &[][..], None),
        ("1.3, nothing offered", &TLS13, &[], None),
        ("1.2 and h2", &TLS12, &["h2"], Some(&b"h2"[..])),
        ("1.3 and h1", &TLS13, &["http/1.1"], Some(b"http/1.1")),
    ] {
        let trust = certificate.trust_in(&[version], protocols);
        let stream = soon(name, trust.connect(at)).await.unwrap();
        assert_eq!(chosen(&stream), expected, "{name}");
        let spoken = stream.get_ref().1.protocol_version();
        assert_eq!(spoken, Some(version.version), "{name}");
        if expected != Some(b"h2") {
            Client::tls(at, trust).get("/a").await.has_status(200);
        }
    }
    // RFC 7301 §3.2: nothing in common ends the handshake.
    let other = certificate.trust(&["spdy/1"]);
    assert!(soon("the refusal", other.connect(at)).await.is_err());
}

#[tokio::test]
async fn handshakes_that_hang_block_nobody_and_no_stop() {
    let app = Origin::start().await;
    let certificate = Certificate::new();
    let sidecar = Setup::new(&app)
        .config("limits: { client_header_timeout: 1h }\ndrain: 1h")
        .on_tls(&certificate)
        .start()
        .await;
    app.answer("/a", reply("a"));

    let hanging = Client::tcp(sidecar.tls_address());
    let mut silent = hanging.connect().await;
    let mut half = hanging.connect().await;
    half.write(b"\x16\x03\x01\x02\x00\x01").await; // how a ClientHello begins
    let client = client(&sidecar, &certificate);
    client.get("/a").await.has_status(200);
    sidecar.shutdown().await;
    assert_eq!(silent.closed().await, b"");
    assert_eq!(half.closed().await, b"");
}

#[tokio::test]
async fn a_handshake_that_hangs_is_dropped_at_the_limit() {
    // X7, before there is a head.
    let app = Origin::start().await;
    let certificate = Certificate::new();
    let sidecar = Setup::new(&app)
        .config("limits: { client_header_timeout: 100ms }")
        .on_tls(&certificate)
        .start()
        .await;

    let hanging = Client::tcp(sidecar.tls_address());
    let mut silent = hanging.connect().await;
    let mut half = hanging.connect().await;
    half.write(b"\x16\x03\x01\x02\x00\x01").await;
    assert_eq!(silent.closed().await, b"");
    assert_eq!(half.closed().await, b"");
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_closed() {
    let app = Origin::start().await;
    let certificate = Certificate::new();
    let sidecar = Setup::new(&app).on_tls(&certificate).start().await;
    app.answer("/a", reply("a"));

    let mut plain = Client::tcp(sidecar.tls_address())
        .begin(get("/a"))
        .await
        .connection;
    let said = soon("an alert", plain.wire.some()).await.unwrap();
    assert_eq!(said.first(), Some(&0x15), "a TLS alert: {said:?}");
    let end = soon("the end", plain.wire.some()).await.unwrap();
    assert!(end.is_empty(), "closed, not reset");
    assert_eq!(app.calls("/a"), 0);
    // And the other way round: TLS where none is spoken is no request.
    let trust = certificate.trust(&[]);
    let refused = trust.connect(sidecar.address());
    assert!(soon("the refusal", refused).await.is_err());
    client(&sidecar, &certificate)
        .get("/a")
        .await
        .has_status(200);
}

#[tokio::test]
async fn a_key_of_another_certificate_is_a_mistake() {
    let app = Origin::start().await;
    let (one, other) = (Certificate::new(), Certificate::new());
    let said = Setup::new(&app)
        .on_tls_with(&one.pem, &other.key)
        .mistakes();
    let expected = "expected the key of the certificate, found that of another in `key.pem`";
    assert!(said.contains(&format!(":2:93: {expected}")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");

    // A key that is cut off is not shown in what is said of it.
    let cut = &one.key[..one.key.len() / 2];
    let said = Setup::new(&app).on_tls_with(&one.pem, cut).mistakes();
    let inside = cut.lines().nth(1).unwrap();
    assert!(!said.contains(inside), "{said}");
    assert!(
        said.contains("found one that cannot be used in `key.pem`"),
        "{said}"
    );
}
