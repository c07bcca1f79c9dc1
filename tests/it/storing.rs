//! What is stored, for how long, and what a client gets out of it.

use std::time::Duration;

use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;

#[tokio::test]
async fn empty_is_a_value() {
    // Story 7 with the rule's `ttl`, L8.
    let app = Origin::start().await;
    let sidecar =
        Sidecar::with_rules(&app, "  - { id: e, match: { path: '/e/.*' }, ttl: 60s }\n").await;
    let client = sidecar.client();
    for (path, answer) in [
        ("/e/1", reply("").status(204)),
        ("/e/2", reply("")),
        ("/e/3", reply("null")),
        ("/e/4", reply("[]")),
    ] {
        app.answer(path, answer.clone());
        let first = client.get(path).await;
        first
            .is_miss()
            .has_status(answer.status)
            .has_body(&answer.body);
        let second = client.get(path).await;
        second
            .is_hit()
            .has_status(answer.status)
            .has_body(&answer.body);
        assert_eq!(app.calls(path), 1, "{path}");
    }
}

#[tokio::test]
async fn a_short_life_ends() {
    // Story 8, S1.
    let app = Origin::start().await;
    let sidecar =
        Sidecar::with_rules(&app, "  - { id: s, match: { path: /s }, ttl: 500ms }\n").await;
    let client = sidecar.client();
    app.answer("/s", reply("x"));

    client.get("/s").await.is_miss();
    sidecar.clock.advance(Duration::from_millis(300));
    client.get("/s").await.is_hit().has_field("age", "0");
    assert_eq!(app.calls("/s"), 1);
    sidecar.clock.advance(Duration::from_millis(400));
    client.get("/s").await.is_expired();
    assert_eq!(app.calls("/s"), 2);
}

#[tokio::test]
async fn a_life_of_zero_stores_nothing_and_max_ttl_caps_the_rest() {
    // S1.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - { id: zero, match: { path: /zero }, ttl: 0 }
  - { id: capped, match: { path: /capped }, max_ttl: 1h }
",
    )
    .await;
    let client = sidecar.client();
    app.answer("/zero", reply("x"));
    app.answer(
        "/capped",
        reply("x").header("Cache-Control", "max-age=999999999"),
    );
    app.answer(
        "/default",
        reply("x").header("Cache-Control", "max-age=999999999"),
    );

    client.get("/zero").await.is_not_stored();
    client.get("/zero").await.is_not_stored();
    client.get("/capped").await.is_miss();
    assert_eq!(client.get("/capped").await.is_hit().ttl(), 3_600);
    client.get("/default").await.is_miss();
    assert_eq!(client.get("/default").await.is_hit().ttl(), 7 * 86_400);
}

#[tokio::test]
async fn the_response_goes_before_the_rule() {
    // S3 without `force`.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: a, match: { path: /a }, ttl: 60s }\n").await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("x").header("Tagalong-Cache-Control", "max-age=1"),
    );

    client
        .get("/a")
        .await
        .is_miss()
        .has_no_field("tagalong-cache-control");
    client
        .get("/a")
        .await
        .is_hit()
        .has_no_field("tagalong-cache-control");
    sidecar.clock.advance(Duration::from_millis(1_500));
    client.get("/a").await.is_expired();
}

#[tokio::test]
async fn the_most_targeted_field_counts() {
    // S4, S5, RFC 9213.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let tagalong = ("Tagalong-Cache-Control", "max-age=5");
    let cdn = ("CDN-Cache-Control", "max-age=50");
    let surrogate = ("Surrogate-Control", "max-age=100");
    let litespeed = ("X-LiteSpeed-Cache-Control", "max-age=200");
    let plain = ("Cache-Control", "max-age=500");
    let shared = ("Cache-Control", "max-age=500, s-maxage=400");
    for (name, fields, ttl) in [
        ("all", vec![plain, litespeed, surrogate, cdn, tagalong], 5),
        ("cdn", vec![plain, surrogate, cdn], 50),
        ("surrogate", vec![plain, surrogate], 100),
        ("litespeed", vec![plain, litespeed], 200),
        ("s-maxage", vec![shared], 400),
        ("max-age", vec![plain], 500),
    ] {
        let path = format!("/{name}");
        let answer = fields.iter().fold(reply(name), |answer, (field, value)| {
            answer.header(field, *value)
        });
        app.answer(&path, answer);
        client.get(&path).await.is_miss();
        assert_eq!(client.get(&path).await.is_hit().ttl(), ttl, "{name}");
    }
}

#[tokio::test]
async fn a_targeted_no_store_wins_over_a_public_max_age() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("x")
            .header("Cache-Control", "public, max-age=60")
            .header("CDN-Cache-Control", "no-store"),
    );
    client.get("/a").await.is_unstored("no-store");
    client.get("/a").await.is_not_stored();
}

#[tokio::test]
async fn the_age_a_response_arrives_with_counts() {
    // P11.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("x")
            .header("Age", "50")
            .header("Cache-Control", "max-age=60"),
    );

    client.get("/a").await.is_miss();
    sidecar.clock.advance(Duration::from_secs(4));
    let hit = client.get("/a").await;
    assert_eq!(hit.is_hit().has_field("age", "54").ttl(), 6);
    sidecar.clock.advance(Duration::from_secs(7));
    client.get("/a").await.is_expired();
}

#[tokio::test]
async fn what_says_nothing_of_its_life_is_not_stored() {
    // S16, second half.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("x"));

    client.get("/a").await.is_unstored("no-freshness");
    client.get("/a").await.is_not_stored();
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn a_big_body_streams_through_unstored() {
    // S15.
    let app = Origin::start().await;
    let sidecar =
        Sidecar::with_rules(&app, "  - { id: big, match: { path: '/.*' }, ttl: 60s }\n").await;
    let client = sidecar.client();
    let body = vec![b'x'; 9 << 20];
    app.answer("/sized", reply(body.clone()));
    app.answer("/chunked", reply(body.clone()).chunked());

    for _ in 0..2 {
        let answer = client.get("/sized").await;
        answer.is_not_stored();
        assert!(answer.body == body, "{answer}");
        let answer = client.get("/chunked").await;
        answer.is_not_hit();
        assert!(answer.body == body, "{answer}");
    }
    assert_eq!(app.calls("/sized"), 2);
    assert_eq!(app.calls("/chunked"), 2);
}

#[tokio::test]
async fn conditional_requests_and_head_are_answered_from_a_hit() {
    // P1 without ranges.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("body")
            .header("Cache-Control", "max-age=60")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", "Tue, 17 May 2033 00:00:00 GMT"),
    );
    client.get("/a").await.is_miss();

    let not_modified = client
        .get_with("/a", "If-None-Match", "\"v0\", W/\"v1\"")
        .await;
    not_modified
        .has_status(304)
        .has_body("")
        .has_field("etag", "\"v1\"")
        .is_hit();
    client
        .get_with("/a", "If-None-Match", "\"v2\"")
        .await
        .has_status(200)
        .has_body("body");
    let since = "Wed, 18 May 2033 00:00:00 GMT";
    client
        .get_with("/a", "If-Modified-Since", since)
        .await
        .has_status(304);
    let both = get("/a")
        .with("If-None-Match", "\"v2\"")
        .with("If-Modified-Since", since);
    client.ask(both).await.has_status(200);

    let head = client.head("/a").await;
    head.is_hit()
        .has_status(200)
        .has_body("")
        .has_field("content-length", "4");
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn a_conditional_miss_is_fetched_whole() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("body")
            .header("Cache-Control", "max-age=60")
            .header("ETag", "\"v1\""),
    );
    client
        .get_with("/a", "If-None-Match", "\"v1\"")
        .await
        .has_field(
            "cache-status",
            "tagalong; fwd=uri-miss; fwd-status=200; stored",
        )
        .has_status(304)
        .has_body("");
    assert_eq!(app.last("/a").field("if-none-match"), None);
    client.get("/a").await.is_hit().has_body("body");
}

#[tokio::test]
async fn a_304_of_our_own_hides_no_cookie() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let login = reply("body")
        .header("ETag", "\"v1\"")
        .header("Set-Cookie", "sid=1");
    app.answer("/a", login.header("Cache-Control", "max-age=60"));
    let client = sidecar.client();
    let answer = client.get_with("/a", "If-None-Match", "\"v1\"").await;
    answer
        .is_unstored("set-cookie")
        .has_status(200)
        .has_body("body");
    answer.has_field("set-cookie", "sid=1");
}

#[tokio::test]
async fn a_fill_is_joined_only_while_its_response_is_fresh_and_tells_its_age() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("new").header("Cache-Control", "max-age=60"));
    let hold = app.hold("/a");
    let first = client.begin(get("/a")).await;
    let old = reply("ol").header("Cache-Control", "max-age=10").chunked();
    let mut body = hold.arrived().await.begin(old).await;
    let mut open = first.head().await;
    assert_eq!(open.some().await.as_deref(), Some(&b"ol"[..]));

    sidecar.clock.advance(Duration::from_secs(5));
    let joined = client.begin(get("/a")).await.head().await;
    sidecar.clock.advance(Duration::from_secs(6));
    client.get("/a").await.is_miss().has_body("new");

    body.send(b"d").await;
    body.end().await;
    joined
        .rest()
        .await
        .is_shared()
        .has_field("age", "5")
        .has_body("old");
    open.rest().await.has_body("d");
    client.get("/a").await.is_hit().has_body("new"); // the older fill did not put its own over it
    assert_eq!(app.calls("/a"), 2);
}

#[tokio::test]
async fn a_head_is_never_the_answer_to_a_get() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", reply("body").header("Cache-Control", "max-age=60"));

    let head = client.head("/a").await;
    head.is_not_hit()
        .has_body("")
        .has_field("content-length", "4");
    client.get("/a").await.has_body("body");
    client.get("/a").await.is_hit().has_body("body");
}

#[tokio::test]
async fn clients_may_ask_for_fresher_or_for_stored_only() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.on("/a", |call| {
        reply(call.n.to_string()).header("Cache-Control", "max-age=60")
    });
    let wish = async |wish: &str| client.get_with("/a", "Cache-Control", wish).await;

    wish("only-if-cached").await.has_status(504);
    assert_eq!(app.calls("/a"), 0);
    client.get("/a").await.is_miss().has_body("1");
    wish("only-if-cached").await.is_hit().has_body("1");
    wish("no-cache").await.is_on_request().has_body("2");
    client.get("/a").await.is_hit().has_body("2");
    sidecar.clock.advance(Duration::from_secs(10));
    wish("max-age=10").await.is_hit().has_body("2");
    wish("max-age=5").await.is_on_request().has_body("3");
}

#[tokio::test]
async fn a_tag_that_cannot_be_read_fails_safe() {
    // Stored without it, the page would miss its increments.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (name, value) in [
        ("Cache-Tag", "product 1"),
        ("Cache-Tag", "a, \"b\""),
        ("Cache-Groups", "not a list of strings"),
    ] {
        let tagged = reply("x")
            .header("Cache-Control", "max-age=60")
            .header(name, value);
        app.answer("/a", tagged);
        client.get("/a").await.is_unstored("bad-tag").has_body("x");
        sidecar.forget_hit_for_miss();
    }
    let reserved = reply("x")
        .header("Cache-Control", "max-age=60")
        .header("Cache-Tag", "~all, b,");
    app.answer("/a", reserved);
    client.get("/a").await.is_miss(); // one of the cache's own names means nothing
}

#[tokio::test]
async fn too_many_tags_fail_safe() {
    // N9.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let tagged = |count: usize| {
        let tags: Vec<String> = (0..count).map(|n| format!("T:{n}")).collect();
        reply("whole")
            .header("Cache-Control", "max-age=60")
            .header("Cache-Tag", tags.join(","))
    };
    app.answer("/257", tagged(257));
    app.answer("/256", tagged(256));

    client
        .get("/257")
        .await
        .is_unstored("too-many-tags")
        .has_body("whole");
    client.get("/257").await.is_not_stored().has_body("whole");
    client.get("/256").await.is_miss();
    client.get("/256").await.is_hit();
    sidecar.inc("T:255").await;
    client.get("/256").await.is_invalidated();
}

#[tokio::test]
async fn a_rule_may_say_never() {
    // Story 23.2, S7.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: never, match: { path: /never }, cache: false }\n",
    )
    .await;
    let client = sidecar.client();
    app.on("/never", |call| {
        reply(call.n.to_string())
            .header("Cache-Control", "max-age=60")
            .header("Cache-Tag-Increment", "A")
    });
    app.answer(
        "/a",
        reply("a")
            .header("Cache-Control", "max-age=60")
            .header("Cache-Tag", "A"),
    );

    client.get("/a").await.is_miss();
    client
        .get("/never")
        .await
        .is_bypass(Some("rule"))
        .has_body("1");
    client
        .get("/never")
        .await
        .is_bypass(Some("rule"))
        .has_body("2");
    client.get("/a").await.is_invalidated();
}

#[tokio::test]
async fn a_full_store_evicts_and_goes_on() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules("  - { id: all, match: { path: '/.*' }, ttl: 60s }\n")
        .config("store: { memory: { max_bytes: 1MiB } }")
        .start()
        .await;
    let client = sidecar.client();
    app.otherwise(|call| reply(call.target.repeat(20_000)));

    for n in 0..100 {
        let target = format!("/{n}");
        client.get(&target).await.is_miss();
    }
    let mut hits = 0;
    for n in 0..100 {
        let target = format!("/{n}");
        let answer = client.get(&target).await;
        assert!(answer.body == target.repeat(20_000).as_bytes(), "{answer}");
        hits += usize::from(answer.cache_status().unwrap().contains_key("hit"));
    }
    assert!(hits < 40, "{hits} entries of 40 KB and more fit into 1 MiB");
}

#[tokio::test]
async fn what_varies_by_something_not_understood_is_not_stored() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, "  - { id: a, match: { path: /a }, ttl: 60s }\n").await;
    let client = sidecar.client();
    for said in ["cookie=group, value=mobile", "value=mobile", ""] {
        app.answer("/a", reply("a").header("X-LiteSpeed-Vary", said));
        let answer = client.get("/a").await;
        answer
            .is_unstored("vary-unknown")
            .has_body("a")
            .has_no_field("x-litespeed-vary");
        sidecar.forget_hit_for_miss();
    }
    app.answer("/a", reply("a").header("Cache-Tag-Change", "\"A\";v=1"));
    client
        .get("/a")
        .await
        .is_miss()
        .has_no_field("cache-tag-change");
    client
        .get("/a")
        .await
        .is_hit()
        .has_no_field("cache-tag-change");
}

#[tokio::test]
async fn what_comes_without_a_date_has_that_of_its_arrival_ever_after() {
    // RFC 9110 §6.6.1. The sidecar's clock stands elsewhere than the machine's.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    let date = "Wed, 18 May 2033 03:33:20 GMT";
    app.answer("/a", reply("a").header("Cache-Control", "max-age=60"));
    app.answer("/pass", reply("a"));
    client.get("/a").await.is_miss().has_field("date", date);
    client
        .post("/pass")
        .await
        .is_method()
        .has_field("date", date);
    sidecar.clock.advance(Duration::from_secs(10));
    client
        .get("/a")
        .await
        .is_hit()
        .has_field("date", date)
        .has_field("age", "10");

    let own = "Wed, 18 May 2033 03:33:00 GMT";
    let dated = reply("a")
        .header("Cache-Control", "max-age=60")
        .header("Date", own);
    app.answer("/own", dated);
    client.get("/own").await.is_miss().has_field("date", own);
    client.get("/own").await.is_hit().has_field("date", own);
}

#[tokio::test]
async fn who_wants_a_stored_answer_only_never_asks_the_app() {
    // RFC 9111 §5.2.1.7: also where the store is not asked.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        r"
  - { id: never, match: { path: /never }, cache: false }
  - { id: page, match: { path: /page }, ttl: 60s }
",
    )
    .await;
    let client = sidecar.client();
    app.otherwise(|_| reply("a"));
    client.get("/page").await.is_miss();
    let only = |path: &str| get(path).with("Cache-Control", "only-if-cached");
    for (name, request) in [
        ("rule", only("/never")),
        ("credentials", only("/page").with("Authorization", "t1")),
        (
            "cookie, and what is stored is not for it",
            only("/page").with("Cookie", "sid=1"),
        ),
        ("range", only("/other").with("Range", "bytes=0-0")),
        (
            "upgrade",
            only("/other")
                .with("Connection", "upgrade")
                .with("Upgrade", "x"),
        ),
        ("body", only("/other").body("x")),
    ] {
        let answer = client.ask(request).await;
        assert_eq!(answer.status, 504, "{name}:\n{answer}");
    }
    assert_eq!(
        (app.calls("/never"), app.calls("/page"), app.calls("/other")),
        (0, 1, 0)
    );
}
