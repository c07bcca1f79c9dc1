//! Private by default: story 28, a test per line (L12, X1, X4).

use crate::support::Client;
use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
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

/// A rule of `/me` with these further fields.
fn me(fields: &str) -> String {
    format!("  - {{ id: me, match: {{ path: /me }}, ttl: 60s, {fields} }}\n")
}

#[tokio::test]
async fn a_cookie_that_is_stripped_goes_to_the_client_alone_that_caused_it() {
    // 1, second half.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, &me("set_cookie: strip")).await;
    let client = sidecar.client();
    app.answer("/me", reply("x").header("Set-Cookie", "sid=1"));

    let first = client.get("/me").await;
    first.is_miss().has_field("set-cookie", "sid=1");
    let second = client.get("/me").await;
    second.is_hit().has_body("x").has_no_field("set-cookie");
    assert_eq!(app.calls("/me"), 1);
}

#[tokio::test]
async fn a_cookie_that_is_stripped_is_kept_from_those_who_waited() {
    for body in ["x", ""] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, &me("set_cookie: strip")).await;
        let client = sidecar.client();
        let hold = app.hold("/me");

        let first = client.begin(get("/me")).await;
        let held = hold.arrived().await;
        let second = client.begin(get("/me")).await;
        sidecar.settle().await;
        let cookies = reply(body).header("Set-Cookie", "a=1");
        held.release(cookies.header("Set-Cookie", "b=2")).await;

        let first = first.answer().await;
        let own = first
            .fields
            .0
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        let own: Vec<_> = own.map(|(_, value)| &**value).collect();
        assert_eq!(own, ["a=1", "b=2"], "{first}");
        let second = second.answer().await;
        second.is_shared().has_body(body).has_no_field("set-cookie");
        let third = client.get("/me").await;
        third.is_hit().has_no_field("set-cookie");
        assert_eq!(app.calls("/me"), 1);
    }
}

#[tokio::test]
async fn a_cookie_is_stored_where_the_rule_says_so() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, &me("set_cookie: store")).await;
    let client = sidecar.client();
    app.answer("/me", reply("x").header("Set-Cookie", "lang=de"));

    for _ in 0..2 {
        let answer = client.get("/me").await;
        answer.has_field("set-cookie", "lang=de");
    }
    assert_eq!(app.calls("/me"), 1);
}

#[tokio::test]
async fn what_a_response_says_of_itself_counts_for_more_than_the_rule() {
    for (fields, said, reason) in [
        ("set_cookie: strip", "private, max-age=60", "private"),
        ("set_cookie: store", "no-store", "no-store"),
        ("cookies: ignore", "private, max-age=60", "private"),
        ("authorization: key", "private, max-age=60", "private"),
    ] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, &me(fields)).await;
        let client = sidecar.client();
        let own = reply("x").header("Set-Cookie", "sid=1");
        app.answer("/me", own.header("Cache-Control", said));

        for _ in 0..2 {
            let ask = get("/me").with("Cookie", "sid=1");
            let answer = client.ask(ask.with("Authorization", "t1")).await;
            answer.is_not_stored().has_field("set-cookie", "sid=1");
        }
        let answer = client.get("/me").await;
        answer.is_unstored(reason).has_field("set-cookie", "sid=1");
        assert_eq!(app.calls("/me"), 3, "{fields}");
    }
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
async fn credentials_have_their_own_entries_where_the_rule_says_key() {
    // 3, second half.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, &me("authorization: key")).await;
    each_has_its_own(&app, &sidecar.client(), "Authorization").await;

    let empty = get("/me").with("Authorization", "");
    sidecar.client().ask(empty).await.is_miss(); // not the entry of those without
}

#[tokio::test]
async fn by_rfc9111_the_response_says_whether_credentials_made_it() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, &me("authorization: rfc9111")).await;
    let client = sidecar.client();
    let who = |who: &'static str| client.get_with("/me", "Authorization", who);
    app.on("/me", |call| {
        reply(call.field("authorization").unwrap_or_default())
    });

    who("t1").await.is_unstored("authorization").has_body("t1");
    sidecar.forget_hit_for_miss();
    who("t2").await.is_unstored("authorization").has_body("t2");
    client.get("/me").await.is_miss().has_body("");
    // What was stored for a client without may answer one with (RFC 9111 §3.5 speaks of the other direction).
    who("t1").await.is_hit().has_body("");
    assert_eq!(app.calls("/me"), 3);
}

#[tokio::test]
async fn by_rfc9111_a_public_answer_to_credentials_is_for_everyone() {
    for said in ["public, max-age=60", "s-maxage=60"] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, &me("authorization: rfc9111")).await;
        let client = sidecar.client();
        app.answer("/me", reply("x").header("Cache-Control", said));

        let asked = |who| client.get_with("/me", "Authorization", who);
        asked("t1").await.is_miss();
        asked("t2").await.is_hit();
        client.get("/me").await.is_hit();
        assert_eq!(app.calls("/me"), 1, "{said}");
    }
}

#[tokio::test]
async fn by_rfc9111_those_who_wait_do_not_get_what_is_for_credentials() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, &me("authorization: rfc9111")).await;
    let client = sidecar.client();
    app.on("/me", |call| {
        reply(call.field("authorization").unwrap_or_default())
    });
    let hold = app.hold("/me");

    let with = |who| get("/me").with("Authorization", who);
    let first = client.begin(with("t1")).await;
    let held = hold.arrived().await;
    let second = client.begin(with("t2")).await;
    let without = client.begin(get("/me")).await;
    sidecar.settle().await;
    held.release(reply("t1")).await;

    first
        .answer()
        .await
        .is_unstored("authorization")
        .has_body("t1");
    second.answer().await.is_not_stored().has_body("t2");
    without.answer().await.has_body("");
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
async fn cookies_that_are_ignored_are_kept_from_the_app_and_from_the_key() {
    // 6.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, &me("cookies: ignore")).await;
    let client = sidecar.client();
    app.answer("/me", reply("x").header("Vary", "Cookie"));

    client.get_with("/me", "Cookie", "sid=1").await.is_miss();
    client.get_with("/me", "Cookie", "sid=2").await.is_hit();
    client.get("/me").await.is_hit();
    assert_eq!(app.calls("/me"), 1);
    assert_eq!(app.last("/me").field("cookie"), None);
}

#[tokio::test]
async fn a_session_that_the_app_was_not_shown_is_not_replaced() {
    for own in [
        "set_cookie: strip",
        "set_cookie: never_store",
        "mode: shadow",
    ] {
        let app = Origin::start().await;
        let rules = me(&format!("cookies: ignore, {own}"));
        let sidecar = Sidecar::with_rules(&app, &rules).await;
        let client = sidecar.client();
        let begins = reply("x").header("Set-Cookie", "sid=new");
        app.answer("/me", begins.header("Set-Cookie", "lang=de"));

        for asked in [get("/me"), ask("HEAD", "/me?head")] {
            let answer = client.ask(asked.with("Cookie", "sid=old")).await;
            let set: Vec<_> = answer.fields.lines("set-cookie");
            assert_eq!(set, ["lang=de"], "{own}");
        }
        let answer = client.get("/me?new").await;
        let set: Vec<_> = answer.fields.lines("set-cookie");
        assert_eq!(set, ["sid=new", "lang=de"], "{own}: a newcomer gets one");
    }
}

#[tokio::test]
async fn no_spelling_of_a_cookie_that_is_ignored_reaches_the_app() {
    for (name, ask) in [
        ("one", get("/me").with("Cookie", "sid=1")),
        ("in capitals", get("/me").with("COOKIE", "sid=1")),
        (
            "several",
            get("/me").with("cookie", "a=sid").with("cOOkie", "sid=1"),
        ),
        ("no pair", get("/me").with("Cookie", "sid")),
        (
            "RFC 2965",
            get("/me").with("Cookie2", "$Version=\"1\"; sid=1"),
        ),
        (
            "named in Connection",
            get("/me")
                .with("Connection", "cookie")
                .with("Cookie", "sid=1"),
        ),
    ] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, &me("cookies: ignore")).await;
        app.answer("/me", reply("x"));
        sidecar.client().ask(ask).await.is_miss();
        let sent = app.last("/me").raw.to_lowercase();
        assert!(
            !sent.contains("cookie") && !sent.contains("sid"),
            "{name}:\n{sent}"
        );
    }
}

#[tokio::test]
async fn cookies_that_are_ignored_go_along_with_what_only_passes() {
    let app = Origin::start().await;
    let rules = me("cookies: ignore").replace("path: /me", "path: /me, methods: [GET, HEAD, POST]");
    let sidecar = Sidecar::with_rules(&app, &rules).await;
    let client = sidecar.client();
    app.answer("/me", reply("x"));

    for (name, ask, expected) in [
        ("a write", post("/me"), Some("sid=1")),
        (
            "what nobody else may have",
            get("/me").with("Cache-Control", "no-store"),
            Some("sid=1"),
        ),
        ("what a GET would bring", ask("HEAD", "/me"), None),
    ] {
        let answer = client.ask(ask.with("Cookie", "sid=1")).await;
        answer.has_status(200).is_not_stored();
        let sent = app.last("/me").field("cookie");
        assert_eq!(sent.as_deref(), expected, "{name}");
    }
}

#[tokio::test]
async fn clients_whose_cookies_are_ignored_share_one_answer() {
    for (name, answer, hits) in [
        ("a page", reply("x").header("Vary", "Cookie"), true),
        ("an error", reply("x").status(500), false),
    ] {
        let app = Origin::start().await;
        let sidecar = Sidecar::with_rules(&app, &me("cookies: ignore")).await;
        let client = sidecar.client();
        let hold = app.hold("/me");

        let first = client.begin(get("/me").with("Cookie", "sid=1")).await;
        let held = hold.arrived().await;
        let second = client.begin(get("/me").with("Cookie", "sid=2")).await;
        let without = client.begin(get("/me")).await;
        sidecar.settle().await;
        held.release(answer).await;

        first.answer().await.has_body("x");
        second.answer().await.is_shared().has_body("x");
        without.answer().await.is_shared().has_body("x");
        assert_eq!(app.calls("/me"), 1, "{name}");
        if hits {
            client.get("/me").await.is_hit();
        }
    }
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
            error().header("X-LiteSpeed-Vary", "value=a"),
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
