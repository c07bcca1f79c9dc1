//! HTTP as such: methods, bodies, forms of the target, versions; and the words of `Cache-Status`.

use std::time::Duration;

use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;
use crate::support::verbatim;

#[tokio::test]
async fn every_outcome_has_its_words() {
    // O1: the rows of design.md §3, letter by letter.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r#"
  - { id: a, match: { path: /a }, tags: [A], ttl: 57s }
  - { id: never, match: { path: /never }, cache: false }
"#,
    )
    .await;
    let client = sidecar.client();
    let said = async |request| client.ask(request).await.field("cache-status").unwrap();
    app.answer("/a", reply("a").header("Vary", "X-V"));
    app.answer("/never", reply("n"));
    app.answer("/post", reply("p"));

    assert_eq!(said(get("/a")).await, "tagalong; fwd=uri-miss; stored");
    assert_eq!(said(get("/a")).await, "tagalong; hit; ttl=57");
    let other = get("/a").with("X-V", "2");
    assert_eq!(said(other).await, "tagalong; fwd=vary-miss; stored");
    sidecar.inc("A").await;
    let invalidated = "tagalong; fwd=stale; stored; detail=invalidated";
    assert_eq!(said(get("/a")).await, invalidated);
    sidecar.clock.advance(Duration::from_secs(58));
    let expired = "tagalong; fwd=stale; stored; detail=expired";
    assert_eq!(said(get("/a")).await, expired);
    let wish = get("/a").with("Cache-Control", "no-cache");
    assert_eq!(said(wish).await, "tagalong; fwd=request; stored");
    assert_eq!(
        said(get("/never")).await,
        "tagalong; fwd=bypass; detail=rule"
    );
    assert_eq!(
        said(ask("PUT", "/post").body("x")).await,
        "tagalong; fwd=method"
    );
    app.answer("/a", reply("a").header("Cache-Control", "private"));
    let private = get("/a?private");
    assert_eq!(
        said(private).await,
        "tagalong; fwd=uri-miss; detail=private"
    );
}

#[tokio::test]
async fn the_apps_own_cache_status_comes_first() {
    // RFC 9211 §2: each cache appends its member.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.answer(
        "/a",
        reply("a")
            .header("Cache-Status", "app; hit")
            .header("Cache-Control", "max-age=60"),
    );
    let answer = sidecar.client().get("/a").await;
    answer.is_miss();
    let said = answer.field("cache-status").unwrap();
    assert!(said.starts_with("app; hit"), "{answer}");
}

#[tokio::test]
async fn methods_that_are_not_cached_pass_with_body_and_status() {
    // P12, and methods nobody has heard of.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.on("/a", |call| {
        let echo = format!("{} {}", call.method, String::from_utf8_lossy(&call.body));
        reply(echo)
            .status(202)
            .header("Cache-Control", "max-age=60")
    });

    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "BREW"] {
        let answer = client.ask(ask(method, "/a").body("x")).await;
        answer
            .is_method()
            .has_status(202)
            .has_body(format!("{method} x"));
    }
    assert_eq!(app.calls("/a"), 6);
}

#[tokio::test]
async fn a_question_about_the_way_is_answered_where_it_ends() {
    // RFC 9110 §7.6.2: each server on the way counts itself off.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.on("/a", |call| {
        reply(call.field("max-forwards").unwrap_or_default())
    });
    for method in ["OPTIONS", "TRACE"] {
        let answer = client
            .ask(ask(method, "/a").with("max-forwards", "8"))
            .await;
        answer.has_status(200).has_body("7");
    }
    assert_eq!(app.calls("/a"), 2);
    let here = client
        .ask(ask("OPTIONS", "/a").with("max-forwards", "0"))
        .await;
    here.has_status(200).has_body("");
    assert!(
        here.field("allow")
            .is_some_and(|allow| allow.contains("OPTIONS"))
    );
    let secret = ask("TRACE", "/a")
        .with("max-forwards", "0")
        .with("cookie", "session=sesame");
    let here = client.ask(secret).await;
    here.is_problem(405);
    assert!(!here.text().contains("sesame"));
    assert_eq!(app.calls("/a"), 2, "the app is not asked");
}

#[tokio::test]
async fn a_get_with_a_body_is_not_looked_up() {
    // P7.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: s, match: { path: /s }, ttl: 60s }\n").await;
    let client = sidecar.client();
    app.on("/s", |call| reply(call.body.clone()));

    for body in ["one", "two"] {
        let answer = client.ask(get("/s").body(body)).await;
        answer.is_bypass(Some("request-body")).has_body(body);
    }
    assert_eq!(app.calls("/s"), 2);
    let mut connection = client.connect().await;
    connection
        .write("GET /s HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await;
    let answer = connection.answer().await;
    answer.is_bypass(Some("request-body")).has_body("abc");
}

#[tokio::test]
async fn absolute_form_is_the_same_entry() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.clone()).header("Cache-Control", "max-age=60"));

    client
        .get("http://shop.example/a?x=1")
        .await
        .is_miss()
        .has_body("/a?x=1");
    assert_eq!(
        app.last("/a").field("host").as_deref(),
        Some("shop.example")
    );
    client.get("/a?x=1").await.is_hit();
    // RFC 9112 §3.2.2: the target's authority counts, not `Host`.
    client
        .get_with("http://shop.example/a?x=1", "Host", "evil.example")
        .await
        .is_hit();
    // A path that is not there is that of the root: it is asked for as it is looked up.
    let rootless = client.get("http://shop.example?page=2").await;
    rootless.is_miss().has_body("/?page=2");
    client.get("/?page=2").await.is_hit();
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("a").chunked().header("Cache-Control", "max-age=60"),
    );

    for head in [
        "GET /a HTTP/1.0\r\nHost: shop.example\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
    ] {
        let mut connection = client.connect().await;
        connection.write(head).await;
        let answer = connection.answer().await;
        answer
            .has_status(200)
            .has_body("a")
            .has_no_field("transfer-encoding");
        assert_eq!(connection.closed().await, b"", "{head}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.otherwise(|call| reply(call.target.clone()).header("Cache-Control", "max-age=60"));

    let mut connection = sidecar.client().connect().await;
    let one = |n: u32| format!("GET /{n} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    connection.write([one(1), one(2), one(1)].concat()).await;
    connection.answer().await.is_miss().has_body("/1");
    connection.answer().await.is_miss().has_body("/2");
    connection.answer().await.is_hit().has_body("/1");
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.otherwise(|call| reply(call.target.clone()));

    let mut connection = sidecar.client().connect().await;
    for n in 0..20 {
        connection.get(&format!("/{n}")).await.has_status(200);
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn fields_of_one_connection_go_no_further() {
    // RFC 9110 §7.6.1, both ways.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("a")
            .header("Cache-Control", "max-age=60")
            .header("Connection", "X-Hop")
            .header("X-Hop", "app")
            .header("Keep-Alive", "timeout=5")
            .header("X-End", "kept"),
    );
    let request = get("/a")
        .with("Connection", "X-Mine, keep-alive")
        .with("X-Mine", "1")
        .with("Proxy-Authorization", "secret")
        .with("TE", "trailers")
        .with("X-Kept", "1");

    let answer = client.ask(request).await;
    answer.is_miss().has_field("x-end", "kept");
    client
        .get("/a")
        .await
        .is_hit()
        .has_no_field("x-hop")
        .has_no_field("keep-alive");
    answer.has_no_field("x-hop").has_no_field("keep-alive");
    let call = app.last("/a");
    for field in ["x-mine", "proxy-authorization", "te", "keep-alive"] {
        assert_eq!(call.field(field), None, "{field}");
    }
    assert_eq!(call.field("x-kept").as_deref(), Some("1"));
}

#[tokio::test]
async fn what_the_app_says_reaches_the_client_unchanged() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let date = "Wed, 18 May 2033 03:33:20 GMT";
    app.answer(
        "/a",
        reply("a")
            .status(203)
            .header("Date", date)
            .header("Set-Cookie", "a=1")
            .header("Set-Cookie", "b=2")
            .header("X-Empty", "")
            .header("Server", "app"),
    );
    let answer = sidecar.client().get("/a").await;
    answer
        .has_status(203)
        .has_field("date", date)
        .has_field("x-empty", "")
        .has_field("server", "app");
    assert_eq!(answer.fields.lines("set-cookie"), ["a=1", "b=2"]);
}

#[tokio::test]
async fn statuses_without_a_body_have_none() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let mut connection = sidecar.client().connect().await;
    app.answer("/204", reply("").status(204));
    app.answer("/304", reply("").status(304).header("ETag", "\"a\""));

    connection
        .get("/204")
        .await
        .has_status(204)
        .has_body("")
        .has_no_field("content-length");
    let conditional = get("/304").with("If-None-Match", "\"a\"");
    connection
        .ask(conditional)
        .await
        .has_status(304)
        .has_body("");
    connection.get("/204").await.has_status(204);
}

#[tokio::test]
async fn an_interim_answer_of_the_app_does_no_harm() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/a");
    let pending = sidecar.client().begin(get("/a")).await;
    let mut held = hold.arrived().await;
    held.wire
        .write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        .await
        .unwrap();
    held.release(reply("a")).await;
    pending.answer().await.has_status(200).has_body("a");
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.on("/a", |call| reply(call.body.clone()));
    let mut connection = sidecar.client().connect().await;
    connection
        .write("POST /a HTTP/1.1\r\nHost: shop.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    let interim = crate::support::soon("100 Continue", connection.wire.head()).await;
    let interim = interim.unwrap().expect("an interim answer");
    assert_eq!(interim.word(1), "100", "{}", interim.raw);
    connection.write("body").await;
    connection.answer().await.has_status(200).has_body("body");
}

#[tokio::test]
async fn the_app_is_told_who_asks_by_us_and_not_by_the_client() {
    // X3.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.answer("/a", reply("a"));
    let names = [
        "X-Forwarded-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Forwarded",
        "X-Forwarded-Proto",
        // As CGI spells them, and with it every server behind it.
        "X_Forwarded_Host",
        "X_Forwarded-Host",
        "x_original_url",
        "X_Forwarded_For",
        "X_Forwarded_Proto",
        "Transfer_Encoding",
        "Content_Length",
        "If_None_Match",
        "Accept_Language",
        "X_Custom",
    ];
    let request = names
        .iter()
        .fold(get("/a"), |request, name| request.with(name, "evil"));

    sidecar.client().ask(request).await.has_status(200);
    let call = app.last("/a");
    assert!(!call.raw.contains("evil"), "{}", call.raw);
    assert_eq!(call.field("host").as_deref(), Some("shop.example"));
}

#[tokio::test]
async fn the_app_is_told_that_surrogate_control_is_understood_here() {
    // Edge Architecture Specification §2.1. Apps change their answer by it, so what a client says of itself goes no
    // further, unless the key holds it.
    const OURS: &str = r#"tagalong="Surrogate/1.0""#;
    const KEYED: &str = r#"evil, tagalong="Surrogate/1.0""#;
    let app = Origin::start().await;
    let rules = "  - { id: keyed, match: { path: /keyed }, vary_on: { headers: [Surrogate-Capability] } }\n";
    let sidecar = Sidecar::with_rules(&app, rules).await;
    for (path, expected) in [("/a", OURS), ("/keyed", KEYED)] {
        app.answer(path, reply("a"));
        let client = sidecar.client();
        client.get_with(path, "Surrogate-Capability", "evil").await;
        let call = app.last(path);
        assert_eq!(
            call.field("surrogate-capability").as_deref(),
            Some(expected),
            "{path}"
        );
    }
    let post = post("/a").with("Surrogate_Capability", "evil");
    sidecar.client().ask(post).await;
    assert!(!app.last("/a").raw.contains("evil"));
}

#[tokio::test]
async fn a_get_cannot_be_turned_into_another_method() {
    // X3: the key holds no such field, so its answer must not depend on one.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.answer("/a", reply("a"));
    for name in [
        "X-HTTP-Method",
        "X-HTTP-Method-Override",
        "X-Method-Override",
    ] {
        sidecar.client().get_with("/a", name, "DELETE").await;
        assert_eq!(app.last("/a").field(name), None);
        let form = post("/a").with(name, "DELETE");
        sidecar.client().ask(form).await;
        assert_eq!(app.last("/a").field(name).as_deref(), Some("DELETE"));
    }
}

#[tokio::test]
async fn a_range_gets_no_part_that_is_later_taken_for_the_whole() {
    // P2.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.on("/a", |call| {
        let answer = reply("0123456789abcdef").header("Cache-Control", "max-age=60");
        match call.field("range") {
            Some(_) => reply("0123456789")
                .status(206)
                .header("Content-Range", "bytes 0-9/16")
                .header("Cache-Control", "max-age=60"),
            None => answer,
        }
    });
    let part = client.get_with("/a", "Range", "bytes=0-9").await;
    assert!([200, 206].contains(&part.status), "{part}");
    client
        .get("/a")
        .await
        .has_status(200)
        .has_body("0123456789abcdef");
    client
        .get("/a")
        .await
        .is_hit()
        .has_status(200)
        .has_body("0123456789abcdef");
}

#[tokio::test]
async fn a_request_with_a_body_goes_on_whole_and_without_its_upgrade() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    app.on("/up", |call| reply(call.body.clone()));
    let upgrade = "Connection: upgrade\r\nUpgrade: x\r\n";
    let whole = "all of it";
    for framed in [
        format!("Content-Length: 9\r\n\r\n{whole}"),
        "Transfer-Encoding: chunked\r\n\r\n4\r\nall \r\n5\r\nof it\r\n0\r\n\r\n".to_owned(),
    ] {
        let mut connection = sidecar.client().connect().await;
        let head = format!("POST /up HTTP/1.1\r\nHost: a\r\n{upgrade}");
        connection.write(format!("{head}{framed}")).await;
        connection.answer().await.is_method().has_body(whole);
        let call = app.last("/up");
        assert_eq!(call.field("upgrade"), None, "{}", call.raw);
        let options = call.field("connection").unwrap_or_default();
        assert!(!options.contains("upgrade"), "{}", call.raw);
    }
}

#[tokio::test]
async fn a_post_without_a_body_may_upgrade() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let hold = app.hold("/up");
    let request = post("/up")
        .with("Connection", "upgrade")
        .with("Upgrade", "x");
    let pending = sidecar.client().begin(request).await;
    let mut wire = hold.arrived().await.switch("x").await;
    let mut open = pending.head().await;
    open.answer.has_status(101).has_field("upgrade", "x");
    open.connection.write("ping").await;
    let ping = soon("the ping", wire.exactly(4)).await;
    assert_eq!(ping.unwrap(), b"ping");
}

#[tokio::test]
async fn the_answer_of_an_http_1_0_app_is_told_as_http_1_1() {
    // RFC 9110 §6.2: the version is the connection's.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (path, framing) in [("/sized", "Content-Length: 1\r\n"), ("/until-close", "")] {
        let head = format!("HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\n{framing}\r\n");
        app.answer(path, verbatim(format!("{head}a")));
        for outcome in ["stored", "hit", "method"] {
            let answer = match outcome {
                "method" => client.post(path).await,
                _ => client.get(path).await,
            };
            assert_eq!(answer.first, "HTTP/1.1 200 OK", "{path}:\n{answer}");
            let said = answer.cache_status().unwrap();
            assert!(
                said.contains_key(outcome) || said.get("fwd").map(String::as_str) == Some(outcome),
                "{answer}"
            );
            answer.has_body("a");
        }
    }
}
