//! The fast path of hits: whatever comes in whatever order, the answers are those of the long way.

use std::collections::BTreeMap;

use fastrand::Rng;
use tokio::net::TcpStream;

use crate::support::Certificate;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::Wire;
use crate::support::date;
use crate::support::reply;
use crate::support::soon;

/// Requests after which the connection goes on.
const GO_ON: &[&str] = &[
    "GET /hit HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nCookie: a=1\r\n\r\n",
    "GET /hit?utm=1 HTTP/1.1\r\nHOST: A\r\nAccept: */*\r\n\r\n",
    "HEAD /hit HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"one\"\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nRange: bytes=1-3\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0,2-3\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nRange: bytes=900-\r\n\r\n",
    "\r\n\r\nGET /hit HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hit HTTP/1.1\nHost: a\n\n",
    "GET http://a/hit HTTP/1.1\r\nHost: b\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost:   a  \r\nX-Empty:\r\nX-High: \u{e9}\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nCache-Control: no-cache\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\n\r\n",
    "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /dateless HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /behind HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /behind HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"one\"\r\n\r\n",
    "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /private HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /stale HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET hit HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS /hit HTTP/1.1\r\nHost: a\r\n\r\n",
    "BREW /private HTTP/1.1\r\nHost: a\r\n\r\n",
    // Bodies that look like requests: a byte too few or too many, and one is answered that nobody sent.
    "POST /private HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /hit HTTP/1.1\r\nHost: body\r\n\r\n",
    "POST /private HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\r\n",
    "POST /private HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n21\r\nGET /hit HTTP/1.1\r\nHost: body\r\n\r\n\r\n0\r\n\r\n",
    "GET /private HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /hit HTTP/1.1\r\nHost: body\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /hit HTTP/1.1\r\nHost: body\r\n\r\n",
];

/// Requests after which it ends.
const LAST: &[&str] = &[
    "GET /hit HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /hit HTTP/1.0\r\nHost: a\r\n\r\n",
    "GET /hit HTTP/1.1\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\n \r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    " GET /hit HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET  /hit HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /h it HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hit HTTP/1.2\r\nHost: a\r\n\r\n",
    "GET /hit HTTP/1.1\rHost: a\r\r",
    "GET /hit HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "POST /hit HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /hit HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "GET /hit HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n\r\n",
    "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /private HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nok",
    "GET /hit HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET /private HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// An app and a sidecar in front of it.
async fn stage(fast: bool) -> (Origin, Sidecar) {
    let app = Origin::start().await;
    let kept = |body: &str| reply(body).control("max-age=600").etag("\"one\"");
    let at = date(0);
    app.answer("/hit", kept("one two").header("Date", at.clone()));
    app.answer("/gone", kept("no").status(404).header("Date", at.clone()));
    app.answer("/empty", kept("").status(204).header("Date", at.clone()));
    app.answer("/dateless", kept("when"));
    let behind = kept("far")
        .header("Age", "7")
        .header("Cache-Status", "Far; hit");
    app.answer("/behind", behind.header("Date", at.clone()));
    let large = "0123456789".repeat(60_000);
    app.answer("/large", kept(&large).header("Date", at.clone()));
    let stale = reply("old").control("max-age=0, stale-while-revalidate=600");
    app.answer("/stale", stale.header("Date", at));
    app.on("/private", |call| {
        reply(call.raw.clone()).control("private")
    });
    let config =
        format!("fast_path: {fast}\nlimits: {{ max_head: 8KiB, client_header_timeout: 1s }}");
    let sidecar = Setup::new(&app).config(&config).start().await;
    let client = sidecar.client().at("a");
    for path in [
        "/hit",
        "/hit?utm=1",
        "/gone",
        "/empty",
        "/dateless",
        "/behind",
        "/large",
    ] {
        client.get(path).await;
    }
    (app, sidecar)
}

/// What one client gets that writes this in these pieces. Dates that are missing at the app are the machine's.
async fn answers(sidecar: &Sidecar, pieces: &[&[u8]]) -> String {
    let socket = TcpStream::connect(sidecar.address()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut wire = Wire::new(socket);
    for piece in pieces {
        if wire.write(piece).await.is_err() {
            break; // it has been refused already
        }
        tokio::task::yield_now().await; // mostly, what was written is read before more comes
    }
    let bytes = soon("the connection ends", wire.drain()).await;
    let text = String::from_utf8_lossy(&bytes);
    text.split("HTTP/1.")
        .map(sorted)
        .collect::<Vec<_>>()
        .join("HTTP/1.")
}

/// An answer with its fields in the order of the alphabet: theirs means nothing (RFC 9110 §5.3).
fn sorted(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines: Vec<_> = head.split("\r\n").collect();
    lines.retain(|line| !line.starts_with("date: "));
    if let Some((_, fields)) = lines.split_first_mut() {
        fields.sort_unstable();
    }
    [&lines.join("\r\n"), body].join("\r\n\r\n")
}

fn pieces<'a>(rng: &mut Rng, stream: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let most = if rng.bool() { 40 } else { 400 };
        let (piece, left) = rest.split_at(rng.usize(1..=most).min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces
}

#[tokio::test]
async fn l04_l07_answers_are_those_of_the_long_way_whatever_comes_in_one_connection() {
    let (fast_app, fast) = stage(true).await;
    let (slow_app, slow) = stage(false).await;
    for seed in 0..150 {
        let mut rng = Rng::with_seed(seed);
        let count = rng.usize(0..7);
        let mut stream: Vec<&str> = (0..count)
            .map(|_| GO_ON[rng.usize(..GO_ON.len())])
            .collect();
        stream.push(LAST[rng.usize(..LAST.len())]);
        let stream = stream.concat();
        let pieces = pieces(&mut rng, stream.as_bytes());
        let one = answers(&fast, &pieces).await;
        let other = answers(&slow, &pieces).await;
        assert_eq!(one, other, "seed {seed}: {stream:?}");
    }
    let asked = |app: &Origin| {
        let paths = ["/hit", "/gone", "/empty", "/private", "/stale", "/large"];
        let calls = paths.map(|path| (path, app.calls(path)));
        BTreeMap::from(calls)
    };
    assert_eq!(asked(&fast_app), asked(&slow_app));
}

#[tokio::test]
async fn a_hit_that_waits_behind_tls_is_sent_to_its_end() {
    let app = Origin::start().await;
    let certificate = Certificate::new();
    let sidecar = Setup::new(&app).on_tls(&certificate).start().await;
    let large = "0123456789".repeat(80_000); // more than TLS holds
    app.answer("/large", reply(&*large).control("max-age=600"));
    app.answer("/private", reply("mine").control("private"));
    let trust = certificate.trust(&["http/1.1"]);
    let client = Client::tls(sidecar.tls_address(), trust);
    client.get("/large").await.is_miss();

    let mut connection = client.connect().await;
    for _ in 0..2 {
        connection.get("/private").await.has_body("mine"); // the long way
        connection
            .write("GET /large HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            .await;
        for _ in 0..100 {
            tokio::task::yield_now().await; // it sends as much as can be sent to a client that does not read
        }
        connection.answer().await.is_hit().has_body(&large);
    }
}

#[tokio::test]
async fn every_request_alone_is_answered_as_on_the_long_way() {
    let (_fast_app, fast) = stage(true).await;
    let (_slow_app, slow) = stage(false).await;
    for request in GO_ON.iter().chain(LAST) {
        for after in ["", GO_ON[0]] {
            let stream = [after, request, LAST[0]].concat();
            let one = answers(&fast, &[stream.as_bytes()]).await;
            let other = answers(&slow, &[stream.as_bytes()]).await;
            assert!(one.contains("HTTP/1."), "{request:?}: {one}");
            assert_eq!(one, other, "{request:?} after {after:?}");
        }
    }
}
