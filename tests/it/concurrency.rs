//! Many requests at once: coalescing, and an increment during a slow fetch.

use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;
use crate::support::soon;

#[tokio::test]
async fn eight_at_once_are_one_call() {
    // Story 9, L9.
    let app = Origin::start().await;
    let sidecar =
        Sidecar::with_rules(&app, "  - { id: slow, match: { path: /slow }, ttl: 60s }\n").await;
    let client = sidecar.client();
    let hold = app.hold("/slow");

    let pending = client.begin_many(8, &get("/slow")).await;
    let held = hold.arrived().await;
    sidecar.settle().await;
    held.release(reply("one")).await;

    let mut misses = 0;
    for pending in pending {
        let answer = pending.answer().await;
        answer.has_status(200).has_body("one");
        if answer.cache_status().unwrap().contains_key("stored") {
            answer.is_miss();
            misses += 1;
        } else {
            answer.is_shared();
        }
    }
    assert_eq!(misses, 1);
    assert_eq!(app.calls("/slow"), 1);
    client.get("/slow").await.is_hit();
}

#[tokio::test]
async fn a_failing_leader_fails_nobody_for_long() {
    // Story 11, L9.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
    let client = sidecar.client();
    app.answer("/f", reply("no").status(500));
    let hold = app.hold("/f");

    let pending = client.begin_many(8, &get("/f")).await;
    let held = hold.arrived().await;
    sidecar.settle().await;
    held.release(reply("no").status(500)).await;
    for pending in pending {
        pending.answer().await.has_status(500).is_not_stored();
    }
    assert!(app.calls("/f") <= 2, "{} calls", app.calls("/f"));

    app.answer("/f", reply("ok"));
    client.get("/f").await.is_miss().has_body("ok");
    client.get("/f").await.is_hit();
}

#[tokio::test]
async fn a_leader_cut_off_by_the_app_gives_every_follower_an_answer() {
    // L9.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
    let client = sidecar.client();
    app.answer("/f", crate::support::Reply::hang_up());
    let hold = app.hold("/f");

    let pending = client.begin_many(4, &get("/f")).await;
    let held = hold.arrived().await;
    sidecar.settle().await;
    drop(held);
    for pending in pending {
        pending.answer().await.is_problem(502);
    }
    app.answer("/f", reply("ok"));
    client.get("/f").await.is_miss().has_body("ok");
}

#[tokio::test]
async fn a_follower_that_another_variant_is_for_gets_its_own() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let page = |language: &str| {
        reply(language)
            .header("Cache-Control", "max-age=60")
            .header("Vary", "Accept-Language")
    };
    app.on("/a", move |call| {
        page(&call.field("accept-language").unwrap_or_default())
    });
    let hold = app.hold("/a");
    let ask = |language: &str| get("/a").with("Accept-Language", language);

    let english = client.begin(ask("en")).await;
    let held = hold.arrived().await;
    let german = client.begin(ask("de")).await;
    let also_english = client.begin(ask("en")).await;
    sidecar.settle().await;
    held.release(page("en")).await;

    english.answer().await.is_miss().has_body("en");
    german.answer().await.is_not_hit().has_body("de");
    also_english.answer().await.is_shared().has_body("en");
    client.ask(ask("de")).await.is_hit().has_body("de");
    client.ask(ask("en")).await.is_hit().has_body("en");
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn a_fill_outlives_its_first_client() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
    let client = sidecar.client();
    let hold = app.hold("/f");

    let first = client.begin(get("/f")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/f")).await;
    sidecar.settle().await;
    first.leave();
    sidecar.settle().await;
    held.release(reply("one")).await;

    second.answer().await.has_status(200).has_body("one");
    client.get("/f").await.is_hit().has_body("one");
    assert_eq!(app.calls("/f"), 1);
}

#[tokio::test]
async fn l09_a_fill_outlives_its_first_client_over_http_2() {
    for way in ["a stream that is reset", "a connection that is lost"] {
        let app = Origin::start().await;
        let sidecar =
            Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
        let client = sidecar.client();
        let hold = app.hold("/f");
        let socket = TcpStream::connect(sidecar.address()).await.unwrap();
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
        let (mut sender, connection) = soon("the handshake", handshake).await.unwrap();
        let connection = tokio::spawn(connection);

        let request = http::Request::get("http://shop.example/f").body(String::new());
        let first = tokio::spawn(sender.send_request(request.unwrap()));
        let held = hold.arrived().await;
        let second = client.begin(get("/f")).await;
        sidecar.settle().await;
        match way {
            "a stream that is reset" => first.abort(),
            _ => connection.abort(),
        }
        sidecar.settle().await;
        held.release(reply("one")).await;

        let answer = second.answer().await;
        assert_eq!(answer.body, b"one", "{way}");
        client.get("/f").await.is_hit().has_body("one");
        assert_eq!(app.calls("/f"), 1, "{way}");
        drop(sender);
    }
}

#[tokio::test]
async fn l09_a_first_client_that_reads_nothing_holds_up_nobody() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
    let client = sidecar.client();
    // More than the sockets of one client hold.
    let large = "x".repeat(7 << 20);
    let hold = app.hold("/f");
    let mut first = client.connect().await;
    first
        .write("GET /f HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        .await;
    let held = hold.arrived().await;
    let second = client.begin(get("/f")).await;
    sidecar.settle().await;
    held.release(reply(large.clone())).await;
    second.answer().await.has_status(200).has_body(&large);
    client.get("/f").await.is_hit();
    assert_eq!(app.calls("/f"), 1);
    drop(first);
}

/// Story 12: an increment of `Row:1` while the first call to /row/1 waits at the app.
async fn an_increment_during_a_slow_fetch(rules: &str, tag: Option<&str>) {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, rules).await;
    let client = sidecar.client();
    let row = |body: &str| {
        let answer = reply(body).header("Cache-Control", "max-age=60");
        match tag {
            Some(tag) => answer.header("Cache-Tag", tag),
            None => answer,
        }
    };
    app.answer("/row/1", row("new"));
    let hold = app.hold("/row/1");

    // 1.
    let first = client.begin(get("/row/1")).await;
    let held = hold.arrived().await;
    assert_eq!(app.calls("/row/1"), 1);
    sidecar.inc("Row:1").await;
    // 2.
    let second = client.begin(get("/row/1")).await;
    sidecar.settle().await;
    // 3.
    held.release(row("old")).await;
    first
        .answer()
        .await
        .has_status(200)
        .is_unstored("raced")
        .has_body("old");
    second.answer().await.has_status(200).has_body("new");
    // 4.
    client.get("/row/1").await.has_body("new");
    client.get("/row/1").await.is_hit().has_body("new");
}

#[tokio::test]
async fn an_increment_during_a_slow_fetch_of_a_tag_in_the_response() {
    an_increment_during_a_slow_fetch("  []\n", Some("Row:1")).await;
}

#[tokio::test]
async fn an_increment_during_a_slow_fetch_of_a_tag_of_the_rule() {
    let rules = r#"
  - { id: rows, match: { path: '/row/(?P<id>\d+)' }, tags: ["Row:{id}"] }
"#;
    an_increment_during_a_slow_fetch(rules, None).await;
}

#[tokio::test]
async fn nobody_waits_for_an_answer_that_its_client_wants_unstored() {
    // RFC 9111 §5.2.1.5.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
    let client = sidecar.client();
    app.on("/f", |call| reply(call.n.to_string()));
    let unstored = get("/f").with("Cache-Control", "no-store");
    client
        .ask(unstored.clone())
        .await
        .is_unstored("no-store")
        .has_body("1");
    client
        .ask(unstored.clone())
        .await
        .is_unstored("no-store")
        .has_body("2");

    let hold = app.hold("/f");
    let first = client.begin(unstored.clone()).await;
    let held = hold.arrived().await;
    client.get("/f").await.is_miss().has_body("4");
    held.release(reply("3")).await;
    first.answer().await.is_unstored("no-store").has_body("3");
    client.get("/f").await.is_hit().has_body("4");

    // Nor does it wait for another's.
    sidecar.clock.advance(Duration::from_secs(60));
    let hold = app.hold("/f");
    let filling = client.begin(get("/f")).await;
    let held = hold.arrived().await;
    client.ask(unstored).await.is_not_stored().has_body("6");
    held.release(reply("5")).await;
    filling.answer().await.is_expired().has_body("5");
    client.get("/f").await.is_hit().has_body("5");
}

#[tokio::test]
async fn followers_without_a_cookie_of_a_fill_with_one_become_one_call() {
    // L9, L12.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
    let client = sidecar.client();
    app.answer("/f", reply("for all"));
    let hold = app.hold("/f");
    let first = client.begin(get("/f").with("Cookie", "sid=1")).await;
    let held = hold.arrived().await;
    let followers = client.begin_many(8, &get("/f")).await;
    sidecar.settle().await;

    let hold = app.hold("/f");
    held.release(reply("for sid=1")).await;
    first
        .answer()
        .await
        .is_unstored("cookie")
        .has_body("for sid=1");
    let held = hold.arrived().await;
    sidecar.settle().await;
    held.release(reply("for all")).await;
    for follower in followers {
        follower.answer().await.has_status(200).has_body("for all");
    }
    assert_eq!(app.calls("/f"), 2);
    client.get("/f").await.is_hit();
}

#[tokio::test]
async fn an_error_is_not_told_to_who_came_after_any_increment() {
    // L1: its tags are not known, so any of them may be among them.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
    let client = sidecar.client();
    app.answer("/f", reply("well again"));
    let hold = app.hold("/f");
    let first = client.begin(get("/f")).await;
    let held = hold.arrived().await;
    let before = client.begin(get("/f")).await;
    sidecar.inc("Other").await;
    let after = client.begin(get("/f")).await;
    sidecar.settle().await;
    held.release(reply("no").status(500)).await;

    first.answer().await.has_status(500).is_not_stored();
    before.answer().await.has_status(500).is_shared();
    after.answer().await.has_status(200).has_body("well again");
    assert_eq!(app.calls("/f"), 2);
}

#[tokio::test]
async fn an_error_with_a_field_of_ones_own_is_not_shared() {
    for said in ["private=\"x-user\"", "no-cache", "no-cache=\"x-user\""] {
        let app = Origin::start().await;
        let sidecar = Sidecar::plain(&app).await;
        let client = sidecar.client();
        let error = |who: &str| {
            let error = reply("no").status(500).header("Cache-Control", said);
            error.header("X-User", who)
        };
        let hold = app.hold("/f");
        let first = client.begin(get("/f")).await;
        let held = hold.arrived().await;
        let other = client.begin(get("/f")).await;
        sidecar.settle().await;
        app.answer("/f", error("bob"));
        held.release(error("alice")).await;
        first.answer().await.has_field("x-user", "alice");
        other.answer().await.has_field("x-user", "bob");
        assert_eq!(app.calls("/f"), 2, "{said}");
    }
}

#[tokio::test]
async fn l09_who_waits_is_sent_round_once_and_then_asks_by_itself() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: f, match: { path: /f }, ttl: 60s }\n").await;
    let client = sidecar.client();
    let with_cookie = || {
        get("/f")
            .with("Cookie", "a=1")
            .with("Cache-Control", "no-cache")
    };
    let hold = app.hold("/f");
    let one = client.begin(with_cookie()).await;
    let first = hold.arrived().await;
    let waits = client.begin(get("/f")).await;
    sidecar.settle().await;
    let hold = app.hold("/f");
    let two = client.begin(with_cookie()).await;
    let second = hold.arrived().await;
    let hold = app.hold("/f");
    let three = client.begin(with_cookie()).await;
    let third = hold.arrived().await;
    app.answer("/f", reply("for all"));

    first.release(reply("one")).await; // sent round, it joins the newest
    one.answer().await.has_body("one");
    sidecar.settle().await;
    third.release(reply("three")).await; // and then asks by itself
    three.answer().await.has_body("three");
    waits.answer().await.has_body("for all");
    second.release(reply("two")).await;
    two.answer().await.has_body("two");
    assert_eq!(app.calls("/f"), 4);
}
