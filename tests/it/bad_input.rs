//! Hostile and broken peers on either side, and wrong files (design.md §7): each gets its stated answer, nothing is
//! stored, and the sidecar goes on serving.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;

use crate::support::Answer;
use crate::support::End;
use crate::support::Held;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Pending;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;
use crate::support::verbatim;

#[tokio::test]
async fn every_mistake_in_the_files_is_reported_at_once() {
    let app = Origin::start().await;
    let mistakes = Setup::new(&app)
        .config("nonsense: 1\ndrain: soon")
        .rules(
            r#"  - id: a
    match: { path: '/a(' }
    saef: true
  - id: a
    match: { path: /b }
    ttl: -1
    tags: ["Role:{nope}"]
"#,
        )
        .mistakes();
    for place in [
        "tagalong.yaml:3:1: ",
        "tagalong.yaml:4:8: ",
        "rules.yaml:3:",
        "rules.yaml:4:5: ",
        "rules.yaml:5:",
        "rules.yaml:7:",
        "rules.yaml:8:",
    ] {
        assert!(
            mistakes.contains(place),
            "{place} is missing in:\n{mistakes}"
        );
    }
    assert_eq!(mistakes.lines().count(), 7, "{mistakes}");
}

#[tokio::test]
async fn files_that_are_no_yaml_or_not_there_are_mistakes() {
    let app = Origin::start().await;
    for (name, setup, expected) in [
        (
            "tab",
            Setup::new(&app).config("limits:\n\tmax_head: 1"),
            ":4:",
        ),
        (
            "not closed",
            Setup::new(&app).config("limits: {"),
            "tagalong.yaml",
        ),
        (
            "twice",
            Setup::new(&app).config("drain: 1s\ndrain: 2s"),
            ":4:1",
        ),
        (
            "no folder",
            Setup::new(&app).config("rules: /nowhere/rules"),
            "/nowhere/rules",
        ),
        (
            "a collector without a scheme",
            Setup::new(&app).config("telemetry: { otlp_endpoint: 'sesame:4318' }"),
            "expected a URL such as",
        ),
        (
            "a share beyond all",
            Setup::new(&app).config("telemetry: { sample: 1.5 }"),
            "expected a number from 0 to 1",
        ),
    ] {
        let mistakes = setup.mistakes();
        assert!(mistakes.contains(expected), "{name}: {mistakes}");
    }
}

#[tokio::test]
async fn malformed_and_ambiguous_requests_are_refused_and_closed() {
    // X6.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.otherwise(|_| reply("reached"));
    let host = "Host: shop.example\r\n";
    let rows: &[(&str, Vec<u8>)] = &[
        ("CL and TE", format!("POST /a HTTP/1.1\r\n{host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").into()),
        ("TE and CL", format!("POST /a HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n").into()),
        ("two lengths", format!("POST /a HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab").into()),
        ("lengths in a list", format!("POST /a HTTP/1.1\r\n{host}Content-Length: 1, 2\r\n\r\nab").into()),
        ("signed length", format!("POST /a HTTP/1.1\r\n{host}Content-Length: +1\r\n\r\na").into()),
        ("length no number", format!("POST /a HTTP/1.1\r\n{host}Content-Length: one\r\n\r\na").into()),
        ("length too large", format!("POST /a HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\na").into()),
        ("unknown coding", format!("POST /a HTTP/1.1\r\n{host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n").into()),
        ("chunked not last", format!("POST /a HTTP/1.1\r\n{host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n").into()),
        ("folded field", format!("GET /a HTTP/1.1\r\n{host}X-A: 1\r\n 2\r\n\r\n").into()),
        ("NUL in a value", format!("GET /a HTTP/1.1\r\n{host}X-A: a\0b\r\n\r\n").into()),
        ("CR in a value", format!("GET /a HTTP/1.1\r\n{host}X-A: a\rb\r\n\r\n").into()),
        ("space before the colon", format!("GET /a HTTP/1.1\r\n{host}X-A : a\r\n\r\n").into()),
        ("field without a name", format!("GET /a HTTP/1.1\r\n{host}: a\r\n\r\n").into()),
        ("no Host", "GET /a HTTP/1.1\r\n\r\n".into()),
        ("two Hosts", format!("GET /a HTTP/1.1\r\n{host}Host: evil.example\r\n\r\n").into()),
        ("Host no host", "GET /a HTTP/1.1\r\nHost: a b/c\r\n\r\n".into()),
        ("Host with user", "GET /a HTTP/1.1\r\nHost: me@shop.example\r\n\r\n".into()),
        ("space in the target", format!("GET /a b HTTP/1.1\r\n{host}\r\n").into()),
        ("control in the target", format!("GET /a\x01b HTTP/1.1\r\n{host}\r\n").into()),
        ("target a host alone", format!("GET shop.example HTTP/1.1\r\n{host}\r\n").into()),
        ("method no token", format!("G(T /a HTTP/1.1\r\n{host}\r\n").into()),
        ("no version", format!("GET /a\r\n{host}\r\n").into()),
        ("unknown version", format!("GET /a HTTP/3.7\r\n{host}\r\n").into()),
        ("not HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
    ];
    for (name, bytes) in rows {
        let mut connection = sidecar.client().connect().await;
        connection.write(bytes).await;
        let said = String::from_utf8_lossy(&connection.closed().await).into_owned();
        assert!(said.starts_with("HTTP/1.1 400 "), "{name}: {said:?}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{name}: {said:?}");
    }
    assert_eq!(app.seen("/a").len(), 0, "none reaches the app");
    sidecar.client().get("/b").await.has_body("reached");
}

#[tokio::test]
async fn no_tunnel_is_opened() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let mut connection = sidecar.client().connect().await;
    connection
        .write("CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        .await;
    let said = String::from_utf8_lossy(&connection.closed().await).into_owned();
    assert!(said.starts_with("HTTP/1.1 501 "), "{said:?}");
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    // X6.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.otherwise(|_| reply("reached"));
    let long = "x".repeat(70 << 10);
    let many: String = (0..5_000).map(|n| format!("X-{n}: {n:>10}\r\n")).collect();
    for (name, head) in [
        (
            "long value",
            format!("GET /a HTTP/1.1\r\nHost: a\r\nX-A: {long}\r\n\r\n"),
        ),
        (
            "many fields",
            format!("GET /a HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        ),
        (
            "never ends",
            format!("GET /a HTTP/1.1\r\nHost: a\r\nX-A: {long}"),
        ),
    ] {
        let mut connection = client.connect().await;
        // The refusal may come, and the connection close, before all of it is sent.
        drop(connection.wire.write(head.as_bytes()).await);
        let said = String::from_utf8_lossy(&connection.closed().await).into_owned();
        assert!(said.starts_with("HTTP/1.1 431 "), "{name}: {said:?}");
    }
    assert_eq!(app.calls("/a"), 0);
    let ordinary = "x".repeat(20 << 10);
    client
        .get_with("/a", "X-A", &ordinary)
        .await
        .has_body("reached");
}

#[tokio::test]
async fn a_client_that_does_not_go_on_is_dropped() {
    // X7.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config("limits: { client_header_timeout: 100ms, client_body_timeout: 100ms, client_idle_timeout: 100ms }")
        .start()
        .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.body.clone()));

    let mut half_a_head = client.connect().await;
    half_a_head.write("GET /a HTTP/1.1\r\nHo").await;
    half_a_head.closed().await;

    let mut idle = client.connect().await;
    idle.get("/a").await.has_status(200);
    assert_eq!(idle.closed().await, b"");

    client.get("/a").await.has_status(200);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_408_and_the_end_of_its_connection() {
    // RFC 9110 §15.5.9.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config("limits: { client_body_timeout: 100ms }")
        .rules("  - { id: keyed, match: { path: /keyed, methods: [POST] }, vary_on: { body: { json: [/q] } }, safe: true, ttl: 60s }\n")
        .start()
        .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.body.clone()));
    for (name, head, body) in [
        (
            "nothing of it",
            "POST /a HTTP/1.1\r\nContent-Length: 10",
            "",
        ),
        (
            "half of it",
            "PUT /a HTTP/1.1\r\nContent-Length: 10",
            "half",
        ),
        (
            "half a chunk",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked",
            "8\r\nhalf",
        ),
        (
            "no last chunk",
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked",
            "4\r\nhalf\r\n",
        ),
        (
            "with a page",
            "GET /a HTTP/1.1\r\nContent-Length: 10",
            "half",
        ),
        (
            "in the key",
            "POST /keyed HTTP/1.1\r\nContent-Length: 10",
            "half",
        ),
    ] {
        let mut connection = client.connect().await;
        let sent = format!("{head}\r\nHost: a\r\n\r\n{body}");
        connection.write(sent).await;
        let answer = connection.answer().await;
        answer.is_problem(408).has_field("connection", "close");
        let detail = answer.cache_status().unwrap().remove("detail");
        assert_eq!(detail.as_deref(), Some("request-late"), "{name}");
        assert_eq!(connection.closed().await, b"", "{name}");
    }
    client.get("/a").await.has_status(200);
}

#[tokio::test]
async fn a_body_that_is_not_whole_is_400_and_says_whose_fault_it_was() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app).start().await;
    app.otherwise(|call| reply(call.body.clone()));
    for head in ["POST /a HTTP/1.1", "GET /a HTTP/1.1"] {
        let mut connection = sidecar.client().connect().await;
        let chunked = format!("{head}\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        connection.write(chunked + "4\r\nhalf\r\nzz\r\n").await;
        let answer = connection.answer().await;
        let detail = answer
            .is_problem(400)
            .cache_status()
            .unwrap()
            .remove("detail");
        assert_eq!(detail.as_deref(), Some("request-cut"), "{head}");
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped_and_its_exchange_with_it() {
    // X7.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config("limits: { client_idle_timeout: 100ms }")
        .start()
        .await;
    let hold = app.hold("/big");
    let pending = sidecar.client().begin(get("/big")).await;
    let endless = reply("")
        .header("Content-Length", (1_u64 << 40).to_string())
        .header("Cache-Control", "no-store");
    let mut body = hold.arrived().await.begin(endless).await;
    let open = pending.head().await;

    let piece = vec![b'x'; 64 << 10];
    let given_up = async { while body.wire.write(&piece).await.is_ok() {} };
    soon("the sidecar to give the client up", given_up).await;
    open.leave();
}

#[tokio::test]
async fn clients_that_leave_harm_nobody() {
    let app = Origin::start().await;
    let sidecar =
        Sidecar::with_rules(&app, "  - { id: a, match: { path: '/.*' }, ttl: 60s }\n").await;
    let client = sidecar.client();
    app.otherwise(|_| reply("x".repeat(1 << 20)));

    // Before the head is whole, in the upload, before the answer, in the answer, by FIN and by reset.
    client.connect().await.write("GET /a HT").await;
    client
        .connect()
        .await
        .write("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        .await;
    client.begin(get("/b")).await.leave();
    client.begin(get("/c")).await.connection.wire.reset();
    client.begin(get("/d")).await.head().await.leave();
    sidecar.settle().await;

    for path in ["/a", "/b", "/c", "/d"] {
        let answer = client.get(path).await;
        answer.has_status(200).is_whole();
        assert_eq!(answer.body.len(), 1 << 20);
    }
}

#[tokio::test]
async fn a_cut_upload_is_not_completed_at_the_app() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/up");
    let mut connection = sidecar.client().connect().await;
    connection
        .write("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        .await;
    let mut held = hold.arrived().await;
    assert_eq!(held.some().await.as_deref(), Some(&b"half"[..]));
    drop(connection);
    let rest = String::from_utf8_lossy(&soon("the cut", held.wire.drain()).await).into_owned();
    assert!(
        !rest.contains("0\r\n\r\n"),
        "completed as if whole: {rest:?}"
    );
}

/// A loopback port on which nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// What a problem says in a sentence.
fn detail(problem: &Answer) -> String {
    let content: serde_json::Value = serde_json::from_str(&problem.text()).unwrap();
    content["detail"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_app_that_is_away_is_a_502() {
    // P9.
    let sidecar = Setup::in_front_of(&format!("http://{}", nobody().await))
        .start()
        .await;
    let client = sidecar.client();
    for answer in [client.get("/a").await, client.post("/a").await] {
        answer.is_problem(502).is_not_stored();
        assert_eq!(detail(&answer), "The app could not be reached.");
    }
    client.head("/a").await.has_status(502).has_body("");
}

#[tokio::test]
async fn an_app_that_is_slow_is_a_504() {
    // P9.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .upstream("read_timeout: 200ms")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/a", Reply::silent());
    for answer in [client.get("/a").await, client.post("/a").await] {
        answer.is_problem(504).is_not_stored();
    }
}

#[tokio::test]
async fn an_app_that_accepts_no_connection_is_a_504() {
    // P9. A queue of one takes two connections; to a third the kernel does not answer.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let _queued = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let sidecar = Setup::in_front_of(&format!("http://{address}"))
        .upstream("connect_timeout: 200ms")
        .start()
        .await;
    sidecar
        .client()
        .get("/a")
        .await
        .is_problem(504)
        .is_not_stored();
}

#[tokio::test]
async fn an_app_that_stops_in_its_body_is_given_up() {
    // P9, P10.
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules("  - { id: a, match: { path: '/.*' }, ttl: 60s }\n")
        .upstream("read_timeout: 200ms")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/a", reply("whole"));
    let hold = app.hold("/a");
    let pending = client.begin(get("/a")).await;
    let body = hold.arrived().await.begin(reply("half")).await;
    pending.answer().await.is_cut();
    body.closed().await;
    client.get("/a").await.is_miss().has_body("whole");
}

#[tokio::test]
async fn an_app_that_answers_nonsense_is_a_502() {
    let app = Origin::start().await;
    let sidecar =
        Sidecar::with_rules(&app, "  - { id: a, match: { path: '/.*' }, ttl: 60s }\n").await;
    let client = sidecar.client();
    let long = "x".repeat(70 << 10);
    const CLOSED: &str = "The app closed the connection before it had answered.";
    const NO_HTTP: &str = "The app's answer was not valid HTTP.";
    for (name, scripted) in [
        ("reset", Reply::reset()),
        ("hang up", Reply::hang_up()),
        ("no HTTP", verbatim("nonsense\r\n\r\n")),
        ("no status", verbatim("HTTP/1.1 abc OK\r\n\r\n")),
        ("half a head", verbatim("HTTP/1.1 200 OK\r\nContent-Le")),
        (
            "NUL in a value",
            verbatim("HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 1\r\n\r\nx"),
        ),
        (
            "field without a name",
            verbatim("HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 1\r\n\r\nx"),
        ),
        (
            "two lengths",
            verbatim("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ),
        (
            "length no number",
            verbatim("HTTP/1.1 200 OK\r\nContent-Length: one\r\n\r\nab"),
        ),
        (
            "head over the limit",
            verbatim(format!(
                "HTTP/1.1 200 OK\r\nX-A: {long}\r\nContent-Length: 1\r\n\r\nx"
            )),
        ),
    ] {
        app.answer("/a", scripted.clone());
        let answer = client.get("/a").await;
        assert_eq!(answer.status, 502, "{name}:\n{answer}");
        answer.is_problem(502).is_not_stored();
        let closed = ["reset", "hang up", "half a head"].contains(&name);
        assert_eq!(
            detail(&answer),
            if closed { CLOSED } else { NO_HTTP },
            "{name}"
        );
        assert_eq!(client.post("/a").await.status, 502, "{name}");
    }
    app.answer("/a", reply("well again"));
    client.get("/a").await.is_miss().has_body("well again");
}

#[tokio::test]
async fn a_body_cut_short_is_cut_for_the_client_too_and_not_stored() {
    // P10.
    let app = Origin::start().await;
    let sidecar =
        Sidecar::with_rules(&app, "  - { id: a, match: { path: '/.*' }, ttl: 60s }\n").await;
    let client = sidecar.client();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n";
    for (name, scripted) in [
        ("short of its length", reply("body").cut()),
        ("last chunk missing", reply("body").cut_chunked()),
        (
            "chunk size no number",
            verbatim(format!("{head}zz\r\nrest\r\n0\r\n\r\n")),
        ),
        (
            "chunk longer than it says",
            verbatim(format!("{head}1\r\nrest\r\n0\r\n\r\n")),
        ),
    ] {
        let path = format!("/{}", name.replace(' ', "-"));
        app.answer(&path, scripted);
        // Where the whole body is awaited before the head goes out, the failure is a proper one.
        let cut = client.get(&path).await;
        if cut.status != 502 {
            cut.is_cut();
        }
        app.answer(&path, reply("whole"));
        client.get(&path).await.is_not_hit().has_body("whole");
    }
}

/// A GET at the sidecar, and what the app was asked for it. Each `name` is a path of its own.
async fn asked(app: &Origin, sidecar: &Sidecar, name: &str) -> (Pending, Held) {
    let path = format!("/{}", name.replace(' ', "-"));
    let hold = app.hold(&path);
    let pending = sidecar.client().begin(get(&path)).await;
    (pending, hold.arrived().await)
}

/// What no broken answer may do: be stored, or leave a connection that is used again.
async fn is_over(mut held: Held, app: &Origin, sidecar: &Sidecar) {
    let path = held.call.target.clone();
    let more = soon("the connection to be closed", held.wire.drain()).await;
    assert_eq!(String::from_utf8_lossy(&more), "", "{path}: asked for more");
    app.answer(&path, reply("well"));
    let answer = sidecar.client().get(&path).await;
    assert!(answer.body == b"well", "{path}:\n{answer}");
    answer.is_miss();
}

const STORED: &str = "  - { id: a, match: { path: '/.*' }, ttl: 60s }\n";

#[tokio::test]
async fn malformed_chunks_cut_the_body_and_end_the_connection() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, STORED).await;
    for (name, rest) in [
        ("size no number", "zz\r\nrest\r\n0\r\n\r\n"),
        ("size negative", "-4\r\nrest\r\n0\r\n\r\n"),
        ("size signed", "+4\r\nrest\r\n0\r\n\r\n"),
        ("size as in C", "0x4\r\nrest\r\n0\r\n\r\n"),
        ("size too large", "fffffffffffffffff\r\nrest\r\n0\r\n\r\n"),
        ("longer than its size", "1\r\nrest\r\n0\r\n\r\n"),
        ("no line end after it", "4\r\nrest0\r\n\r\n"),
    ] {
        let (pending, mut held) = asked(&app, &sidecar, name).await;
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n";
        held.wire.write(head.as_bytes()).await.unwrap();
        let mut open = pending.head().await;
        assert_eq!(open.some().await.as_deref(), Some(&b"body"[..]), "{name}");
        held.wire.write(rest.as_bytes()).await.unwrap();
        let answer = open.rest().await;
        assert!(answer.end != End::Whole, "{name}:\n{answer}");
        is_over(held, &app, &sidecar).await;
    }
}

#[tokio::test]
async fn more_than_was_declared_is_no_answer_and_ends_the_connection() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, STORED).await;
    for (name, head, body) in [
        ("a body", "200 OK\r\nContent-Length: 4\r\n\r\nbody", "body"),
        ("no body", "200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("204", "204 No Content\r\n\r\n", ""),
        (
            "204 with a length",
            "204 No Content\r\nContent-Length: 4\r\n\r\n",
            "",
        ),
    ] {
        for surplus in ["more", evil] {
            let (pending, mut held) =
                asked(&app, &sidecar, &format!("{name} {}", surplus.len())).await;
            let answer = format!("HTTP/1.1 {head}{surplus}");
            held.wire.write(answer.as_bytes()).await.unwrap();
            let answer = pending.answer().await;
            answer.has_body(body);
            if answer.status == 204 {
                answer.has_no_field("content-length"); // RFC 9110 §8.6
            }
            is_over(held, &app, &sidecar).await;
        }
    }
}

#[tokio::test]
async fn a_304_with_a_body_is_a_304_and_ends_the_connection() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, STORED).await;
    let client = sidecar.client();
    app.answer("/a", reply("old").etag("\"v1\""));
    client.get("/a").await.is_miss();
    sidecar.wait(61);
    let (pending, mut held) = asked(&app, &sidecar, "a").await;
    assert!(held.call.field("if-none-match").is_some());
    let answer = "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    held.wire.write(answer.as_bytes()).await.unwrap();
    pending.answer().await.has_status(200).has_body("old");
    held.closed().await;
    client.get("/b").await.has_status(404);
    client.get("/a").await.has_body("old");
}

#[tokio::test]
async fn a_few_interim_answers_are_waited_through_and_a_storm_of_them_is_a_502() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, STORED).await;
    let hints = |count| "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(count);
    let (pending, mut held) = asked(&app, &sidecar, "few").await;
    held.wire.write(hints(20).as_bytes()).await.unwrap();
    held.release(reply("calm")).await;
    pending.answer().await.is_miss().has_body("calm");
    for (name, count) in [("many", 200), ("storm", 100_000)] {
        let (pending, mut held) = asked(&app, &sidecar, name).await;
        // The sidecar may hang up before all of it is taken.
        drop(held.wire.write(hints(count).as_bytes()).await);
        pending.answer().await.is_problem(502).is_not_stored();
        is_over(held, &app, &sidecar).await;
    }
}

#[tokio::test]
async fn a_head_that_never_comes_is_a_504_and_ends_the_connection() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules(STORED)
        .upstream("read_timeout: 200ms")
        .start()
        .await;
    for (name, begun) in [
        ("nothing", ""),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-"),
        ("interim", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ] {
        let (pending, mut held) = asked(&app, &sidecar, name).await;
        held.wire.write(begun.as_bytes()).await.unwrap();
        pending.answer().await.is_problem(504).is_not_stored();
        is_over(held, &app, &sidecar).await;
    }
}

#[tokio::test]
async fn an_answer_before_the_upload_was_read_reaches_its_client_and_ends_the_connection() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    for (framing, first) in [
        ("Content-Length: 1000000000", "x".repeat(64 << 10)), // so much is waited for
        ("Transfer-Encoding: chunked", String::new()),
    ] {
        let hold = app.hold("/up");
        let mut connection = sidecar.client().connect().await;
        connection
            .write(format!(
                "POST /up HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{first}"
            ))
            .await;
        let mut held = hold.arrived().await;
        connection.write("4\r\nhalf\r\n").await; // a piece, framed in chunks or not
        let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";
        held.wire.write(answer.as_bytes()).await.unwrap();
        connection.answer().await.has_status(413).has_body("big");
        held.closed().await;
        connection.closed().await; // what follows would be the rest of the upload
        sidecar.client().get("/up").await.has_status(404);
    }
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_is_whole() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("a")
            .until_close()
            .header("Cache-Control", "max-age=60"),
    );
    client.get("/a").await.has_body("a");
    client.get("/a").await.has_body("a");
}

#[tokio::test]
async fn a_connection_that_ends_after_a_whole_body_keeps_it_out_of_no_store() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (n, head) in [
        "HTTP/1.0 200 OK\r\nContent-Length: 1",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close",
        "HTTP/1.1 200 OK", // up to the end of the connection
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        let answer = format!("{head}\r\nCache-Control: max-age=60\r\n\r\na");
        app.answer(&path, verbatim(answer));
        client.get(&path).await.is_miss().has_body("a");
        client.get(&path).await.is_hit().has_body("a");
    }
}

#[tokio::test]
async fn a_pooled_connection_that_has_died_is_replaced() {
    // Issue 2, 2: an idempotent request is tried again on a new connection; a POST is sent at most once.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("a"));
    for _ in 0..3 {
        let hold = app.hold("/a");
        let first = client.begin(get("/a")).await;
        let held = hold.arrived().await;
        let streaming = held.begin(reply("a").header("Content-Length", "1")).await;
        first.answer().await.has_body("a");
        streaming.cut();
        client.get("/a").await.has_status(200).has_body("a");
    }

    app.answer("/p", Reply::hang_up());
    client.ask(post("/p").body("x")).await.is_problem(502);
    assert_eq!(app.calls("/p"), 1);
}

#[tokio::test]
async fn a_coding_that_is_not_understood_is_a_501() {
    // RFC 9112 §6.1.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    for coding in [
        "gzip, chunked",
        "chunked, chunked",
        "gzip,chunked",
        "x;y, chunked",
    ] {
        let mut connection = sidecar.client().connect().await;
        let head = format!("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n");
        connection.write(format!("{head}1\r\na\r\n0\r\n\r\n")).await;
        let said = String::from_utf8_lossy(&connection.closed().await).into_owned();
        assert!(said.starts_with("HTTP/1.1 501 "), "{coding}: {said:?}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{coding}: {said:?}");
    }
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn a_length_said_twice_is_refused_wherever_on_the_connection() {
    // RFC 9112 §6.3: after other requests, and together with them.
    const TWICE: &str = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\
                         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("a"));
    for (name, first) in [
        ("get", "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "post",
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        ),
        (
            "empty",
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "chunked",
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
    ] {
        let mut connection = client.connect().await;
        connection.write(first).await;
        connection.answer().await.has_body("a");
        connection.write(TWICE).await;
        let said = String::from_utf8_lossy(&connection.closed().await).into_owned();
        assert!(said.starts_with("HTTP/1.1 400 "), "after {name}: {said:?}");
    }
    let mut connection = client.connect().await;
    let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    connection.write(format!("{get}{get}{TWICE}")).await;
    connection.answer().await.has_body("a");
    connection.answer().await.has_body("a");
    let said = String::from_utf8_lossy(&connection.closed().await).into_owned();
    assert!(said.starts_with("HTTP/1.1 400 "), "{said:?}");
    assert_eq!(app.calls("/b"), 0);
}

#[tokio::test]
async fn l07_odd_requests_are_answered_and_each_is_an_entry_of_its_own() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - id: odd
    match: { path: '/odd/(?P<rest>.*)' }
    group: '{query.g}'
    vary_on: { captures: [rest], headers: [X-A], cookies: [c] }
    tags: ['Odd:{rest}']
    ttl: 60s
",
    )
    .await;
    let made = AtomicUsize::new(0);
    app.otherwise(move |_| reply(made.fetch_add(1, Ordering::Relaxed).to_string()));
    let parameters: Vec<String> = (0..10_000).map(|n| format!("p{}", n % 97)).collect();
    let many = format!("/odd/a?{}", parameters.join("&"));
    let long = format!("/odd/a?p={}", "x".repeat(40_000));
    let requests: [(&str, &str, &[u8]); 17] = [
        ("plain", "/odd/a", b""),
        ("a percent sign alone", "/odd/%", b""),
        ("no octet", "/odd/%zz", b""),
        ("no UTF-8", "/odd/%ff", b""),
        ("NUL", "/odd/%00", b""),
        ("NUL in the query", "/odd/a?g=%00", b""),
        ("NUL in a name", "/odd/a?g%00=1", b""),
        ("10,000 parameters", &many, b""),
        ("one long one", &long, b""),
        ("a cookie", "/odd/a", b"cookie: c=1\r\n"),
        ("it twice", "/odd/a", b"cookie: c=1; c=1\r\n"),
        ("on two lines", "/odd/a", b"cookie: c=1\r\ncookie: c=2\r\n"),
        (
            "in another order",
            "/odd/a",
            b"cookie: c=2\r\ncookie: c=1\r\n",
        ),
        ("a cookie that is no text", "/odd/a", b"cookie: c=\xff\r\n"),
        ("a field that is no text", "/odd/a", b"x-a: \xff\r\n"),
        ("half a letter", "/odd/a", b"x-a: \xc3\r\n"),
        ("a field twice", "/odd/a", b"x-a: 1\r\nx-a: 2\r\n"),
    ];
    let mut connection = sidecar.client().connect().await;
    for (n, (name, target, fields)) in requests.iter().enumerate() {
        let first = format!("GET {target} HTTP/1.1\r\nhost: shop.example\r\n");
        let request = [first.as_bytes(), fields, b"\r\n"].concat();
        connection.write(&request).await;
        let answer = connection.answer().await;
        assert_eq!(answer.text(), n.to_string(), "{name}: {answer}");
        answer.is_miss();
        connection.write(&request).await;
        let again = connection.answer().await;
        assert_eq!(again.text(), n.to_string(), "{name}, again: {again}");
        again.is_hit();
    }
}

#[tokio::test]
async fn a_mistake_of_ours_is_counted_by_rule_and_has_its_line_in_the_access_log() {
    let app = Origin::start().await;
    app.answer("/page", reply("1"));
    let sidecar = Setup::new(&app)
        .config("log: { access: true }\nadmin: { listen: '127.0.0.1:0' }")
        .rules("  - { id: watched, match: { path: /page }, ttl: 60s, mode: shadow }\n")
        .start()
        .await;
    let client = sidecar.client();
    client.get("/page").await.has_body("1");
    app.answer("/page", reply("2"));
    let log = Log::that_breaks_at("differs from what is stored");
    {
        let _breaking = log.written();
        let answer = client.get("/page").await;
        answer.is_problem(500).is_refused("internal-error");
        answer.has_field("connection", "close");
    }
    let text = log.text();
    let line = text.lines().find(|line| line.contains("internal-error"));
    let line = line.unwrap_or_else(|| panic!("no line: {text}"));
    for said in ["rule=\"watched\"", "status=500", "path=\"/page\""] {
        assert!(line.contains(said), "{line}");
    }
    let told = sidecar.admin().get("/metrics").await.text();
    let counted = "tagalong_requests_total{rule=\"watched\",outcome=\"internal-error\"} 1";
    assert!(told.contains(counted), "{told}");
}

#[tokio::test]
async fn a_mistake_of_ours_is_the_end_of_one_request_and_of_nothing_else() {
    let app = Origin::start().await;
    app.otherwise(|_| reply("page"));
    let setup = Setup::new(&app)
        .config("log: { access: true }")
        .rules("  - { id: page, match: { path: '/*' }, ttl: 60s }\n");
    let sidecar = setup.start().await;
    let client = sidecar.client();
    for stored in ["/other", "/broken/hit"] {
        client.get(stored).await.is_miss();
        client.get(stored).await.is_hit();
    }
    {
        // The line of the access log is the last thing that is done for a request.
        let _breaking = Log::that_breaks_at("/broken").written();
        for asked in [post("/broken"), get("/broken"), get("/broken/hit")] {
            let answer = client.ask(asked).await;
            answer.is_problem(500).is_refused("internal-error");
            answer.has_field("connection", "close");
        }
        client.get("/other").await.is_hit();
    }
    // What it had fetched is stored: the exchange was none of its business (L9).
    sidecar.settle().await;
    client.get("/broken").await.is_hit();
    assert_eq!(app.calls("/broken"), 2);
}
