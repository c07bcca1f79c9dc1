//! Private by default: story 28, a test per line (L12, X1, X4).

use crate::support::Client;
use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;

const ME: &str = "  - { id: me, match: { path: '/me' }, ttl: 60s }\n";

#[tokio::test]
async fn an_answer_that_sets_a_cookie_is_not_stored() {
    // 1, first half.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ME).await;
    let client = sidecar.client();
    app.on("/me", |call| {
        reply("x").header("Set-Cookie", format!("sid={}", call.n))
    });

    let first = client.get("/me").await;
    first
        .is_unstored("set-cookie")
        .has_field("set-cookie", "sid=1");
    let second = client.get("/me").await;
    second.is_not_stored().has_field("set-cookie", "sid=2");
    assert_eq!(app.calls("/me"), 2);
}

#[tokio::test]
async fn private_and_no_store_are_obeyed() {
    // 2.
    for (said, reason) in [("private, max-age=60", "private"), ("no-store", "no-store")] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, ME).await;
        let client = sidecar.client();
        app.answer("/me", reply("x").header("Cache-Control", said));

        client.get("/me").await.is_unstored(reason);
        client.get("/me").await.is_not_stored();
        assert_eq!(app.calls("/me"), 2, "{said}");
    }
}

#[tokio::test]
async fn credentials_bypass() {
    // 3, first half.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ME).await;
    let client = sidecar.client();
    app.answer("/me", reply("x"));

    for _ in 0..2 {
        let answer = client.get_with("/me", "Authorization", "t1").await;
        answer.is_bypass(Some("authorization"));
    }
    assert_eq!(app.calls("/me"), 2);
    assert_eq!(
        app.last("/me").field("authorization").as_deref(),
        Some("t1")
    );
    client.get("/me").await.is_miss();
    client
        .get_with("/me", "Authorization", "t1")
        .await
        .is_not_hit();
}

/// Asks with `sid=1`, `sid=1` and `sid=2` in `field`, of an app that answers what it was sent.
async fn each_has_its_own(app: &Origin, client: &Client, field: &'static str) {
    app.on("/me", move |call| {
        reply(call.field(field).unwrap_or_default())
    });
    client
        .get_with("/me", field, "sid=1")
        .await
        .is_miss()
        .has_body("sid=1");
    client
        .get_with("/me", field, "sid=1")
        .await
        .is_hit()
        .has_body("sid=1");
    client
        .get_with("/me", field, "sid=2")
        .await
        .is_miss()
        .has_body("sid=2");
    client.get("/me").await.is_miss().has_body("");
    assert_eq!(app.calls("/me"), 3);
}

#[tokio::test]
async fn credentials_in_the_key_have_their_own_entries() {
    // 3 with `vary_on.headers`.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: me, match: { path: /me }, ttl: 60s, vary_on: { headers: [Authorization] } }\n",
    )
    .await;
    each_has_its_own(&app, &sidecar.client(), "Authorization").await;
}

#[tokio::test]
async fn cookies_in_the_key_have_their_own_entries() {
    // 5.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: me, match: { path: /me }, ttl: 60s, vary_on: { cookies: [sid] } }\n",
    )
    .await;
    each_has_its_own(&app, &sidecar.client(), "Cookie").await;
}

#[tokio::test]
async fn an_answer_to_a_cookie_is_stored_only_if_it_is_public() {
    // 4.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ME).await;
    let client = sidecar.client();
    app.answer("/me", reply("x"));

    for _ in 0..2 {
        client
            .get_with("/me", "Cookie", "sid=1")
            .await
            .is_not_stored();
    }
    assert_eq!(app.calls("/me"), 2);
    assert_eq!(app.last("/me").field("cookie").as_deref(), Some("sid=1"));

    app.answer(
        "/me",
        reply("x").header("Cache-Control", "public, max-age=60"),
    );
    client.get_with("/me", "Cookie", "sid=1").await.is_miss();
    client.get_with("/me", "Cookie", "sid=2").await.is_hit();
}

#[tokio::test]
async fn a_cookie_is_not_answered_from_an_entry_that_is_not_for_sharing() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ME).await;
    let client = sidecar.client();
    app.on("/me", |call| {
        reply(call.field("cookie").unwrap_or_default())
    });

    client.get("/me").await.is_miss().has_body("");
    client
        .get_with("/me", "Cookie", "sid=1")
        .await
        .is_not_stored()
        .has_body("sid=1");
    client.get("/me").await.is_hit().has_body("");
}

#[tokio::test]
async fn followers_with_cookies_get_answers_of_their_own() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ME).await;
    let client = sidecar.client();
    app.on("/me", |call| {
        reply(call.field("cookie").unwrap_or_default())
    });
    let hold = app.hold("/me");

    let ask = |sid: &str| get("/me").with("Cookie", sid);
    let first = client.begin(ask("sid=1")).await;
    let held = hold.arrived().await;
    let second = client.begin(ask("sid=2")).await;
    let without = client.begin(get("/me")).await;
    sidecar.settle().await;
    held.release(reply("sid=1")).await;

    first.answer().await.is_not_stored().has_body("sid=1");
    second.answer().await.is_not_stored().has_body("sid=2");
    without.answer().await.has_body("");
}

#[tokio::test]
async fn a_follower_with_a_cookie_does_not_share_an_answer_to_a_client_without() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, ME).await;
    let client = sidecar.client();
    app.on("/me", |call| {
        reply(call.field("cookie").unwrap_or_default())
    });
    let hold = app.hold("/me");

    let without = client.begin(get("/me")).await;
    let held = hold.arrived().await;
    let with = client.begin(get("/me").with("Cookie", "sid=1")).await;
    sidecar.settle().await;
    held.release(reply("")).await;

    without.answer().await.is_miss().has_body("");
    with.answer().await.is_not_stored().has_body("sid=1");
    client.get("/me").await.is_hit().has_body("");
}

#[tokio::test]
async fn an_error_told_to_one_client_is_not_told_to_another() {
    for (name, request, error) in [
        (
            "cookie",
            get("/me").with("Cookie", "sid=1"),
            reply("sid=1, go away"),
        ),
        (
            "set-cookie",
            get("/me"),
            reply("go away").header("Set-Cookie", "sid=1"),
        ),
    ] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, ME).await;
        let client = sidecar.client();
        app.answer("/me", reply("for all"));
        let hold = app.hold("/me");

        let first = client.begin(request).await;
        let held = hold.arrived().await;
        let second = client.begin(get("/me")).await;
        sidecar.settle().await;
        held.release(error.status(500)).await;

        first.answer().await.has_status(500).is_not_stored();
        let second = second.answer().await;
        assert_eq!(second.status, 200, "{name}:\n{second}");
        second.has_body("for all").has_no_field("set-cookie");
    }
}

#[tokio::test]
async fn a_static_suffix_makes_nothing_public() {
    // X4.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer(
        "/account/x.css",
        reply("me").header("Cache-Control", "private"),
    );

    client.get("/account/x.css").await.is_unstored("private");
    client.get("/account/x.css").await.is_not_stored();
}

#[tokio::test]
async fn an_error_is_told_to_those_alone_whom_it_may_concern() {
    let error = || reply("go away").status(500);
    let cookie = || get("/me").with("Cookie", "sid=1");
    for (name, follower, error, shared) in [
        ("of nobody", get("/me"), error(), true),
        (
            "private",
            get("/me"),
            error().header("Cache-Control", "private"),
            false,
        ),
        (
            "private, and for a while",
            get("/me"),
            error().header("Cache-Control", "private, max-age=60"),
            false,
        ),
        (
            "varies",
            get("/me"),
            error().header("Vary", "Accept-Language"),
            false,
        ),
        (
            "varies by anything",
            get("/me"),
            error().header("Vary", "*"),
            false,
        ),
        (
            "varies by what is not understood",
            get("/me"),
            error().header("X-LiteSpeed-Vary", "cookie=a"),
            false,
        ),
        ("a cookie", cookie(), error(), false),
        (
            "private, and of a status that is not understood",
            get("/me"),
            reply("go away")
                .status(599)
                .header("Cache-Control", "private, must-understand"),
            false,
        ),
    ] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, ME).await;
        let client = sidecar.client();
        app.answer("/me", reply("own"));
        let hold = app.hold("/me");
        let first = client.begin(get("/me")).await;
        let held = hold.arrived().await;
        let second = client.begin(follower).await;
        sidecar.settle().await;
        held.release(error).await;

        let first = first.answer().await;
        assert!(first.status >= 500, "{name}:\n{first}");
        let second = second.answer().await;
        let expected = if shared { 500 } else { 200 };
        assert_eq!(second.status, expected, "{name}:\n{second}");
        assert_eq!(app.calls("/me"), if shared { 1 } else { 2 }, "{name}");
    }
}
