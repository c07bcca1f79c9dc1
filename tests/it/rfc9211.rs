//! `Cache-Status` (RFC 9211): a test for what each section asks of a cache, named by the section.

use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;
use sfv::BareItem;
use sfv::Item;
use sfv::List;
use sfv::ListEntry;
use sfv::Parser;
use tagalong::dialects::cache_status;
use tagalong::dialects::cache_status::Debug;
use tagalong::model::key::KeyFields;
use tagalong::model::outcome::Bypass;
use tagalong::model::outcome::Commit;
use tagalong::model::outcome::End;
use tagalong::model::outcome::Forward;
use tagalong::model::outcome::NoStore;
use tagalong::model::outcome::Outcome;
use tagalong::model::outcome::Refusal;
use tagalong::model::outcome::Stale;
use tagalong::model::stamp::Stamp;
use tagalong::model::tag::Tag;

use crate::support::Answer;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::not_modified;
use crate::support::reply;
use crate::support::stage;

/// The reasons for going forward that are registered (§2.2).
const FORWARD: [&str; 8] = [
    "bypass",
    "method",
    "uri-miss",
    "vary-miss",
    "miss",
    "request",
    "stale",
    "partial",
];

/// Every variant of an enum: a list, and a match that no longer compiles when one is missing in it.
macro_rules! every {
    ($of:ident: $($variant:ident),*) => {{
        let _all_are_here = |one: $of| match one { $($of::$variant { .. } => ()),* };
        [$($of::$variant),*]
    }};
}

/// Every outcome there is, with the extremes of its numbers.
fn outcomes() -> Vec<Outcome> {
    let stale =
        every!(Stale: WhileRevalidate, IfError, Disconnected, MaxStale, Soft, Invalidated, Waited);
    let refusals = every!(Refusal: OnlyIfCached, Overloaded, Waited);
    let bypasses = every!(Bypass: Rule, Authorization, Cookie, RequestBody, Skip, Token, Upgrade, Range, HitForMiss,
            ShadowHit, ShadowMiss, ShadowDiffers, Fenced);
    let reasons = every!(NoStore: NoStore, Private, Skip, SetCookie, Authorization, Cookie, NoFreshness, AlreadyExpired, TooSlow, Status, Method,
        VaryAny, VaryUnknown, Partial, Raced, TooManyTags, TooManyVariants, BadTag, OldVersion, MissingTagValue, UnreadableBody, TooLarge, UpstreamFailed,
        RequestCut, RequestLate, Alone, Fenced);
    let _all_are_here = |why: Forward| match why {
        Forward::UriMiss | Forward::VaryMiss | Forward::Partial | Forward::Expired => (),
        Forward::Invalidated | Forward::Request | Forward::Method | Forward::Bypass(_) => (),
    };
    let mut whys = vec![
        Forward::UriMiss,
        Forward::VaryMiss,
        Forward::Partial,
        Forward::Expired,
        Forward::Invalidated,
        Forward::Request,
        Forward::Method,
    ];
    whys.extend(bypasses.map(Forward::Bypass));
    let _all_are_here = |end: End| match end {
        End::Stored | End::Revalidated | End::NotStored(_) | End::Passed => (),
    };
    let mut ends = vec![End::Stored, End::Revalidated, End::Passed];
    ends.extend(reasons.map(End::NotStored));

    let mut all: Vec<_> = refusals.map(Outcome::Refused).into();
    all.push(Outcome::Broken);
    for ttl in [i64::MIN, -1, 0, 1, i64::MAX] {
        let hit = |stale| Outcome::Hit { ttl, stale };
        all.push(hit(None));
        all.extend(stale.map(Some).map(hit));
    }
    for why in whys {
        all.push(Outcome::Collapsed { why });
        for status in [
            None,
            Some(StatusCode::NOT_MODIFIED),
            StatusCode::from_u16(999).ok(),
        ] {
            for commit in [Commit::Done, Commit::Deferred] {
                let ended = |end: &End| Outcome::Forwarded {
                    why,
                    status,
                    end: *end,
                    commit,
                };
                all.extend(ends.iter().map(ended));
            }
        }
    }
    all
}

/// The members of a field's value.
#[track_caller]
fn members(value: &str) -> Vec<Item> {
    let list = match Parser::new(value).parse::<List>() {
        Ok(list) => list,
        Err(error) => panic!("no structured list ({error}): {value}"),
    };
    let item = |member| match member {
        ListEntry::Item(item) => item,
        ListEntry::InnerList(_) => panic!("an inner list: {value}"),
    };
    list.into_iter().map(item).collect()
}

/// What holds for each of our members; `debug`: with what only some may see.
#[track_caller]
fn check(value: &str, debug: bool) {
    let members = members(value);
    let ours = members.last().expect("our member");
    assert_eq!(
        ours.bare_item.as_token().map(|name| name.as_str()),
        Some("tagalong"),
        "{value}"
    );

    let get = |name: &str| {
        let mut found = ours.params.iter().filter(|(key, _)| key.as_str() == name);
        found.next().map(|(_, value)| value)
    };
    for (name, parameter) in &ours.params {
        let right = match name.as_str() {
            "hit" | "stored" | "collapsed" => parameter.as_boolean().is_some(),
            "fwd" => parameter
                .as_token()
                .is_some_and(|token| FORWARD.contains(&token.as_str())),
            "fwd-status" | "ttl" => parameter.as_integer().is_some(),
            "key" => parameter.as_string().is_some(),
            "detail" => matches!(parameter, BareItem::Token(_) | BareItem::String(_)),
            "rule" | "tags" => debug && parameter.as_string().is_some(),
            _ => false,
        };
        assert!(right, "{}: {value}", name.as_str());
    }
    assert!(
        get("hit").is_none() || get("fwd").is_none(),
        "both hit and fwd: {value}"
    );
    for name in ["fwd-status", "stored", "collapsed"] {
        assert!(
            get(name).is_none() || get("fwd").is_some(),
            "{name} without fwd: {value}"
        );
    }
    assert!(
        get("ttl").is_none() || get("hit").is_some(),
        "ttl of what was not looked up: {value}"
    );
}

#[test]
fn s2_every_outcome_is_one_member_with_parameters_of_their_types() {
    let key = KeyFields::new()
        .base_key()
        .only_variant()
        .composed(std::iter::empty());
    let tag = Tag::parse("Café:\u{1f43b}%22\\").unwrap();
    let debug = Debug {
        key: Some(key),
        rule: Some("\"é\\\u{7f}\n, tagalong; hit"),
        tags: &[
            (&tag, Stamp::NEVER),
            (&Tag::all(), Stamp::from_raw(u64::MAX)),
        ],
        detail: Some("User:42 incremented 3s ago by POST /users?a=\"b\""),
    };
    let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
    for outcome in outcomes() {
        let plain = text(cache_status::render(outcome));
        let debugged = text(cache_status::render_with(outcome, &debug));
        check(&plain, false);
        check(&debugged, true);
        for value in [plain, debugged] {
            assert_eq!(members(&value).len(), 1, "{value}");
        }
    }
}

/// Storable for a minute.
fn page() -> Reply {
    reply("x")
        .header("Cache-Control", "max-age=60")
        .header("ETag", "\"e\"")
}

#[tokio::test]
async fn s2_the_last_member_is_ours_and_those_of_caches_behind_us_are_kept() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (n, (row, lines, kept)) in [
        ("none", &[][..], &[][..]),
        ("one", &["Shield; hit; ttl=5"], &["Shield; hit; ttl=5"]),
        (
            "a string, on several lines",
            &["\"a b\"; fwd=miss, B", "C"],
            &["\"a b\"; fwd=miss, B", "C"],
        ),
        (
            "another of our name",
            &["tagalong; fwd=uri-miss; stored"],
            &["tagalong; fwd=uri-miss; stored"],
        ),
        // RFC 9651 §4.2: a field with a malformed line is ignored whole, so that line would take ours with it.
        ("malformed", &["HIT from shield (1)"], &[]),
        (
            "malformed beside a sound one",
            &["A; hit", "B; ttl=x y", "C"],
            &["A; hit", "C"],
        ),
        ("empty", &[""], &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        let answer = lines
            .iter()
            .fold(page(), |reply, line| reply.header("Cache-Status", *line));
        app.answer(&path, answer);
        for (way, request, status, ours) in [
            ("miss", get(&path), 200, "tagalong; fwd=uri-miss; stored"),
            ("hit", get(&path), 200, "tagalong; hit; ttl=60"),
            (
                "304 out of the store",
                get(&path).with("If-None-Match", "\"e\""),
                304,
                "tagalong; hit; ttl=60",
            ),
        ] {
            let got = client.ask(request).await;
            got.has_status(status);
            let expected: Vec<&str> = kept.iter().copied().chain([ours]).collect();
            assert_eq!(got.fields.lines("cache-status"), expected, "{row}, {way}");
            check(&got.field("cache-status").unwrap(), false);
        }
    }
}

#[tokio::test]
async fn s2_switched_off_the_field_is_the_apps() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config("headers: { cache_status: false }")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/a", page().header("Cache-Status", "Shield; hit"));
    app.answer("/b", page());

    for _ in 0..2 {
        client
            .get("/a")
            .await
            .has_status(200)
            .has_field("cache-status", "Shield; hit");
        client
            .get("/b")
            .await
            .has_status(200)
            .has_no_field("cache-status");
    }
}

#[tokio::test]
async fn s2_what_we_answer_ourselves() {
    // The section advises against a member on responses that an intermediary makes up. An app that is down is when
    // people look for the reason, so failures carry one; a request that was not understood never came to the cache.
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/down", Reply::hang_up());

    let only = get("/none").with("Cache-Control", "only-if-cached");
    let answer = client.ask(only).await;
    answer
        .has_status(504)
        .has_field("cache-status", "tagalong; detail=only-if-cached");
    let answer = client.get("/down").await;
    answer.has_status(502).is_unstored("upstream-failed");
    check(&answer.field("cache-status").unwrap(), false);
    let refused = client.ask(get("/").with("Host", "a b")).await;
    refused.has_status(400).has_no_field("cache-status");
}

#[tokio::test]
async fn s2_1_what_is_made_of_a_stored_response_is_a_hit() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", page());
    client.get("/a").await.is_miss();

    client.get("/a").await.has_status(200).is_hit();
    client.head("/a").await.has_status(200).is_hit();
    let known = client.get_with("/a", "If-None-Match", "\"e\"").await;
    known.has_status(304).is_hit();
    assert_eq!(app.calls("/a"), 1);
}

#[tokio::test]
async fn s2_2_the_most_specific_reason_is_said() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(
        &app,
        "  - { id: off, match: { path: /off }, cache: false }\n",
    )
    .await;
    let client = sidecar.client();
    let varied = page()
        .header("Vary", "Accept-Language")
        .header("Cache-Tag", "T");
    app.otherwise(move |_| varied.clone());

    let english = get("/a").with("Accept-Language", "en");
    let german = get("/a").with("Accept-Language", "de");
    let fresh = english.clone().with("Cache-Control", "no-cache");
    let ask = |ask| {
        let client = client.clone();
        async move { client.ask(ask).await.field("cache-status").unwrap() }
    };
    let mut said = vec![("uri-miss", ask(english.clone()).await)];
    said.push(("vary-miss", ask(german).await));
    said.push(("request", ask(fresh).await));
    sidecar.clock.advance(Duration::from_secs(61));
    said.push(("stale", ask(english.clone()).await));
    sidecar.inc("T").await;
    said.push(("stale", ask(english).await));
    said.push(("method", ask(crate::support::post("/a")).await));
    said.push(("bypass", ask(get("/off")).await));
    for (reason, value) in said {
        check(&value, false);
        let forward = format!("tagalong; fwd={reason}");
        assert!(
            value.split("; stored").next() == Some(&forward)
                || value.starts_with(&format!("{forward};")),
            "{value}"
        );
    }
}

#[tokio::test]
async fn s2_3_the_apps_status_is_told_where_it_is_not_the_one_that_is_sent() {
    let (app, sidecar, client) = stage("").await;
    let etag = |answer: Reply| answer.control("max-age=60").etag("\"e\"");
    let known = |path| get(path).with("If-None-Match", "\"e\"");
    let expect = |answer: &Answer, status: u16, rest: &str| {
        let value = answer.field("cache-status").unwrap();
        check(&value, false);
        assert_eq!(value, format!("tagalong; {rest}"));
        answer.has_status(status);
    };

    app.answer("/a", etag(reply("0123456789")));
    let first = client.ask(known("/a")).await;
    expect(&first, 304, "fwd=uri-miss; fwd-status=200; stored");
    sidecar.wait(61);
    app.answer("/a", etag(not_modified()));
    let again = client.get("/a").await;
    let revalidated = "fwd=stale; fwd-status=304; detail=revalidated";
    expect(&again, 200, revalidated);
    sidecar.wait(61);
    let same = client.ask(known("/a")).await;
    expect(&same, 304, "fwd=stale; detail=revalidated");
    sidecar.wait(61);
    let part = client.get_with("/a", "Range", "bytes=2-3").await;
    expect(&part, 206, revalidated);

    let rest = |first: usize, last: usize| {
        let answer = etag(reply(&"0123456789"[first..=last])).status(206);
        answer.header("Content-Range", format!("bytes {first}-{last}/10"))
    };
    app.answer("/b", rest(0, 3));
    let part = client.get_with("/b", "Range", "bytes=0-3").await;
    expect(&part, 206, "fwd=uri-miss; stored");
    app.answer("/b", rest(4, 9));
    let whole = client.get("/b").await;
    expect(&whole, 200, "fwd=partial; fwd-status=206; stored");
}

#[tokio::test]
async fn s2_4_ttl_is_the_rest_of_the_life_as_the_head_leaves() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    app.answer("/a", page().header("Age", "10"));
    client.get("/a").await.is_miss();
    for (later, ttl) in [(0, 50), (20, 30), (29, 1)] {
        sidecar.clock.advance(Duration::from_secs(later));
        assert_eq!(client.get("/a").await.is_hit().ttl(), ttl);
    }
    sidecar.clock.advance(Duration::from_secs(1));
    client.get("/a").await.is_not_hit();
}

#[tokio::test]
async fn s2_5_stored_is_said_of_what_is_stored_alone() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (path, control, stored) in [
        ("/yes", "max-age=60", true),
        ("/no", "no-store", false),
        ("/private", "private, max-age=60", false),
    ] {
        app.answer(path, reply("x").header("Cache-Control", control));
        let said = client.get(path).await.cache_status().unwrap();
        assert_eq!(said.contains_key("stored"), stored, "{path}");
        let again = client.get(path).await.cache_status().unwrap();
        assert_eq!(again.contains_key("hit"), stored, "{path}");
    }
}

#[tokio::test]
async fn s2_6_collapsed_is_said_to_those_who_used_anothers_response() {
    let app = Origin::start().await;
    let sidecar = Sidecar::plain(&app).await;
    let client = sidecar.client();
    for (path, answer, shared) in [
        ("/yes", page(), true),
        ("/no", reply("x").header("Cache-Control", "no-store"), false),
    ] {
        app.answer(path, answer.clone());
        let hold = app.hold(path);
        let pending = client.begin_many(2, &get(path)).await;
        let held = hold.arrived().await;
        sidecar.settle().await;
        held.release(answer).await;
        let mut collapsed = 0;
        for pending in pending {
            let answer = pending.answer().await;
            check(&answer.field("cache-status").unwrap(), false);
            collapsed += usize::from(answer.cache_status().unwrap().contains_key("collapsed"));
        }
        assert_eq!(collapsed, usize::from(shared), "{path}");
    }
}

#[tokio::test]
async fn s2_7_and_s2_8_key_and_detail_for_those_who_may_see_them() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules("  - { id: 'page \"é\"', match: { path: '/a.*' }, tags: ['T'], ttl: 60s }\n")
        .config("headers: { debug: { enabled: true } }")
        .start()
        .await;
    let client = sidecar.client();
    app.answer("/a", page());

    client.get("/a").await.has_status(200);
    sidecar.inc("T").await;
    let answer = client.get("/a").await;
    check(&answer.field("cache-status").unwrap(), true);
    let said = answer.cache_status().unwrap();
    assert!(said["detail"].contains("T incremented"), "{said:?}");
    assert_eq!(said["key"].len(), 32, "{said:?}");
}

#[tokio::test]
async fn s2_8_when_the_app_is_down_the_detail_says_so_whatever_was_asked() {
    let (app, _sidecar, client) =
        stage("  - { id: off, match: { path: /off }, cache: false }\n").await;
    app.close().await;
    for (asked, forward) in [
        (get("/a"), "uri-miss"),
        (get("/off"), "bypass"),
        (crate::support::post("/a"), "method"),
    ] {
        let answer = client.ask(asked).await;
        let expected = format!("tagalong; fwd={forward}; detail=upstream-failed");
        answer.has_status(502).has_field("cache-status", &expected);
    }
}
