use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response};
use proptest::prelude::*;

use super::*;
use crate::dialects::Config;
use crate::dialects::Dialects;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::TagLimits;
use crate::model::tag::Tagged;
use crate::rules::Authorization;
use crate::rules::Cookies;
use crate::rules::SetCookie;

const NOW: u64 = 784_111_777;
const LIMITS: TagLimits = TagLimits {
    max_tags: 3,
    max_tag_bytes: 40,
};

type Fields<'a> = &'a [(&'static str, &'a str)];

fn add(headers: &mut HeaderMap, fields: Fields) {
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
}

fn head(method: &str, fields: Fields) -> Head {
    let request = Request::builder()
        .method(method)
        .uri("/a")
        .header("host", "shop.example");
    let mut parts = request.body(()).unwrap().into_parts().0;
    add(&mut parts.headers, fields);
    Head::new(parts, "http").unwrap()
}

fn response(status: u16, fields: Fields) -> Parts {
    let mut parts = Response::builder()
        .status(status)
        .body(())
        .unwrap()
        .into_parts()
        .0;
    add(&mut parts.headers, fields);
    parts
}

fn declared(tags: &[&str]) -> Declared {
    let tag = |text: &&str| Tag::parse(text).unwrap();
    Declared {
        key: None,
        tags: Ok(tags.iter().map(tag).collect()),
        implicit: vec![Tag::all(), Tag::uri("http://shop.example/a")],
        increments: Vec::new(),
    }
}

/// The whole way of a response: what it says of tags, then the judgement.
fn verdict(terms: &Terms, head: &Head, mut response: Parts) -> Verdict {
    let dialects = Dialects::new(Config::default());
    let signals = signals(&dialects, declared(&[]), head, &mut response, LIMITS);
    let at = Timestamp::from_secs(NOW);
    let times = Times {
        sent: at,
        received: at,
    };
    judge(terms, head, &response, &signals, times, dialects.targeted())
}

#[test]
fn rfc9111_3_which_responses_are_stored() {
    let fresh = ("cache-control", "max-age=60");
    let cc = |value| ("cache-control", value);
    let plain: Fields = &[fresh];
    let none: Fields = &[];
    for (name, method, request, status, fields, expected) in [
        ("fresh", "GET", none, 200, plain, Ok(())),
        ("L8 204", "GET", none, 204, plain, Ok(())),
        ("404 that says so", "GET", none, 404, plain, Ok(())),
        ("500 that says so", "GET", none, 500, plain, Ok(())),
        ("302 that says so", "GET", none, 302, plain, Ok(())),
        (
            "§3 an unknown final status that says so",
            "GET",
            none,
            599,
            plain,
            Ok(()),
        ),
        ("§3 HEAD", "HEAD", none, 200, plain, Err(NoStore::Method)),
        ("§3 POST", "POST", none, 200, plain, Err(NoStore::Method)),
        (
            "§3 not final",
            "GET",
            none,
            103,
            plain,
            Err(NoStore::Status),
        ),
        ("§3 304", "GET", none, 304, plain, Err(NoStore::Status)),
        ("§3.3 206", "GET", none, 206, plain, Err(NoStore::Partial)),
        (
            "§5.2.2.3 must-understand, known",
            "GET",
            none,
            200,
            &[cc("must-understand, max-age=60")],
            Ok(()),
        ),
        (
            "§5.2.2.3 must-understand, unknown",
            "GET",
            none,
            599,
            &[cc("must-understand, max-age=60")],
            Err(NoStore::Status),
        ),
        (
            "§5.2.2.5 no-store",
            "GET",
            none,
            200,
            &[cc("max-age=60, no-store")],
            Err(NoStore::NoStore),
        ),
        (
            "§5.2.1.5 no-store in the request",
            "GET",
            &[cc("no-store")],
            200,
            plain,
            Err(NoStore::NoStore),
        ),
        (
            "§5.2.2.7 private",
            "GET",
            none,
            200,
            &[cc("max-age=60, private")],
            Err(NoStore::Private),
        ),
        (
            "§5.2.2.7 private for some fields",
            "GET",
            none,
            200,
            &[cc("max-age=60, private=\"x\"")],
            Err(NoStore::Private),
        ),
        (
            "§5.2.2.4 no-cache",
            "GET",
            none,
            200,
            &[cc("max-age=60, no-cache")],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "§4.2 expired on arrival",
            "GET",
            none,
            200,
            &[fresh, ("age", "60")],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "§4.2 one second left",
            "GET",
            none,
            200,
            &[fresh, ("age", "59")],
            Ok(()),
        ),
        (
            "§4.2.1 max-age=0",
            "GET",
            none,
            200,
            &[cc("max-age=0")],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "nothing said",
            "GET",
            none,
            200,
            none,
            Err(NoStore::NoFreshness),
        ),
        (
            "a validator alone",
            "GET",
            none,
            200,
            &[("etag", "\"a\"")],
            Err(NoStore::NoFreshness),
        ),
        (
            "§4.1 Vary",
            "GET",
            none,
            200,
            &[fresh, ("vary", "accept")],
            Ok(()),
        ),
        (
            "§4.1 Vary: *",
            "GET",
            none,
            200,
            &[fresh, ("vary", "accept, *")],
            Err(NoStore::VaryAny),
        ),
        (
            "RFC 9213 no-store for us",
            "GET",
            none,
            200,
            &[fresh, ("tagalong-cache-control", "no-store")],
            Err(NoStore::NoStore),
        ),
        (
            "RFC 9213 fresh for us",
            "GET",
            none,
            200,
            &[cc("no-store, private"), ("cdn-cache-control", "max-age=60")],
            Ok(()),
        ),
        (
            "§3.5 Authorization",
            "GET",
            &[("authorization", "x")],
            200,
            plain,
            Err(NoStore::Private),
        ),
        (
            "L12 Authorization, public: stricter than §3.5",
            "GET",
            &[("authorization", "x")],
            200,
            &[cc("public, max-age=60")],
            Err(NoStore::Private),
        ),
        (
            "L12 Set-Cookie",
            "GET",
            none,
            200,
            &[cc("public, max-age=60"), ("set-cookie", "a=1")],
            Err(NoStore::SetCookie),
        ),
        (
            "L12 Cookie",
            "GET",
            &[("cookie", "a=1")],
            200,
            plain,
            Err(NoStore::Cookie),
        ),
        (
            "L12 Cookie, public",
            "GET",
            &[("cookie", "a=1")],
            200,
            &[cc("public, max-age=60")],
            Ok(()),
        ),
        (
            "L12 Cookie, s-maxage",
            "GET",
            &[("cookie", "a=1")],
            200,
            &[cc("s-maxage=60")],
            Ok(()),
        ),
        (
            "L12 Cookie, targeted",
            "GET",
            &[("cookie", "a=1")],
            200,
            &[("cdn-cache-control", "max-age=60")],
            Ok(()),
        ),
        (
            "too many tags",
            "GET",
            none,
            200,
            &[fresh, ("cache-tag", "a,b,c,d")],
            Err(NoStore::TooManyTags),
        ),
    ] {
        let verdict = verdict(
            &Terms::default(),
            &head(method, request),
            response(status, fields),
        );
        let got = match verdict {
            Verdict::Store(_) => Ok(()),
            Verdict::Pass(reason) => Err(reason),
        };
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn l12_a_rule_that_keys_on_what_makes_a_response_private_stores_it() {
    let on_cookie = Terms {
        keys_on_cookie: true,
        ..Terms::default()
    };
    let on_credentials = Terms {
        authorization: Authorization::Key,
        ..Terms::default()
    };
    let by_rfc9111 = Terms {
        authorization: Authorization::Rfc9111,
        ..Terms::default()
    };
    let ignoring = Terms {
        cookies: Cookies::Ignore,
        ..Terms::default()
    };
    let stripping = Terms {
        set_cookie: SetCookie::Strip,
        ..Terms::default()
    };
    let storing = Terms {
        set_cookie: SetCookie::Store,
        ..Terms::default()
    };
    let (cookie, credentials) = (("cookie", "a=1"), ("authorization", "x"));
    let none = ("accept", "*/*");
    let cc = |value| ("cache-control", value);
    let (fresh, public) = (cc("max-age=60"), cc("public, max-age=60"));
    let (private, new) = (cc("private, max-age=60"), ("set-cookie", "a=2"));
    for (name, terms, request, fields, expected) in [
        ("keyed cookie", &on_cookie, cookie, &[fresh][..], true),
        (
            "keyed credentials",
            &on_credentials,
            credentials,
            &[fresh],
            true,
        ),
        ("the other one", &on_cookie, credentials, &[fresh], false),
        ("the other one", &on_credentials, cookie, &[fresh], false),
        (
            "a new cookie",
            &on_cookie,
            cookie,
            &[fresh, ("set-cookie", "a=2")],
            false,
        ),
        (
            "private",
            &on_cookie,
            cookie,
            &[("cache-control", "private, max-age=60")],
            false,
        ),
        ("ignored cookie", &ignoring, cookie, &[fresh], true),
        ("ignored cookie", &ignoring, credentials, &[fresh], false),
        (
            "ignored cookie, a new one",
            &ignoring,
            cookie,
            &[fresh, new],
            false,
        ),
        (
            "ignored cookie, private",
            &ignoring,
            cookie,
            &[private],
            false,
        ),
        ("stripped cookie", &stripping, none, &[fresh, new], true),
        (
            "stripped cookie, private",
            &stripping,
            none,
            &[private, new],
            false,
        ),
        (
            "stripped cookie to a cookie",
            &stripping,
            cookie,
            &[fresh, new],
            false,
        ),
        ("stored cookie", &storing, none, &[fresh, new], true),
        (
            "stored cookie, private",
            &storing,
            none,
            &[private, new],
            false,
        ),
        (
            "stored cookie to a cookie",
            &storing,
            cookie,
            &[fresh, new],
            false,
        ),
        (
            "keyed credentials, private",
            &on_credentials,
            credentials,
            &[private],
            false,
        ),
        (
            "§3.5 says nothing",
            &by_rfc9111,
            credentials,
            &[fresh],
            false,
        ),
        ("§3.5 public", &by_rfc9111, credentials, &[public], true),
        (
            "§3.5 public malformed",
            &by_rfc9111,
            credentials,
            &[cc("public=1, max-age=60")],
            false,
        ),
        (
            "§3.5 s-maxage",
            &by_rfc9111,
            credentials,
            &[cc("s-maxage=60")],
            true,
        ),
        (
            "§3.5 s-maxage malformed",
            &by_rfc9111,
            credentials,
            &[cc("s-maxage=x, max-age=60")],
            false,
        ),
        (
            "§3.5 public and private",
            &by_rfc9111,
            credentials,
            &[cc("public, private, max-age=60")],
            false,
        ),
        (
            "§3.5 a targeted field is not public by itself",
            &by_rfc9111,
            credentials,
            &[("cdn-cache-control", "max-age=60"), public],
            false,
        ),
        ("§3.5 no credentials", &by_rfc9111, none, &[fresh], true),
        (
            "not §3.5 but bypass",
            &ignoring,
            credentials,
            &[public],
            false,
        ),
    ] {
        let verdict = verdict(terms, &head("GET", &[request]), response(200, fields));
        assert_eq!(matches!(verdict, Verdict::Store(_)), expected, "{name}");
    }
}

#[test]
fn what_is_stored_knows_its_life_its_variants_and_its_rule() {
    let terms = Terms { ..Terms::default() };
    let fields: Fields = &[
        ("cache-control", "s-maxage=60"),
        ("age", "10"),
        ("vary", "B, A"),
    ];
    let meta = EntryMeta {
        received: Timestamp::from_secs(NOW),
        born: Timestamp::from_secs(NOW - 10),
        lifetime: Duration::from_secs(60),
        stale: StaleUse::default(),
        shareable: true,
        vary: ["a", "b"].map(HeaderName::from_static).into(),
    };
    assert_eq!(
        verdict(&terms, &head("GET", &[]), response(200, fields)),
        Verdict::Store(meta)
    );

    for (name, terms, value, expected) in [
        (
            "a plain one is not for requests with a cookie",
            Terms::default(),
            "max-age=60",
            false,
        ),
        ("public", Terms::default(), "max-age=60, public", true),
        (
            "keyed cookie",
            Terms {
                keys_on_cookie: true,
                ..Terms::default()
            },
            "max-age=60",
            true,
        ),
        (
            "ignored cookie",
            Terms {
                cookies: Cookies::Ignore,
                ..Terms::default()
            },
            "max-age=60",
            true,
        ),
    ] {
        let verdict = verdict(
            &terms,
            &head("GET", &[]),
            response(200, &[("cache-control", value)]),
        );
        let shareable = matches!(
            verdict,
            Verdict::Store(EntryMeta {
                shareable: true,
                ..
            })
        );
        assert_eq!(shareable, expected, "{name}");
    }
}

fn signalled(declared: Declared, method: &str, status: u16, fields: Fields) -> Signals {
    let dialects = Dialects::new(Config::default());
    signals(
        &dialects,
        declared,
        &head(method, &[]),
        &mut response(status, fields),
        LIMITS,
    )
}

fn shown(tags: &[Tagged]) -> String {
    let tags = tags.iter().map(|tagged| match tagged.version {
        Some(version) => format!("{};v={version}", tagged.tag),
        None => tagged.tag.to_string(),
    });
    tags.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_response_carries_the_tags_of_rule_app_and_cache_each_once() {
    const IMPLICIT: &str = "~all ~uri:http://shop.example/a";
    let ct = |value| ("cache-tag", value);
    for (name, rule, fields, expected) in [
        ("none", &[][..], &[][..], Some("")),
        ("rule, then app", &["R"], &[ct("A, B")], Some("R A B ")),
        (
            "in two dialects",
            &[],
            &[ct("A"), ("xkey", "A B")],
            Some("A B "),
        ),
        (
            "the app's version beside the rule's tag",
            &["A"],
            &[ct("A;v=3")],
            Some("A;v=3 "),
        ),
        (
            "the highest version",
            &[],
            &[ct("A;v=3, A, A;v=7, A;v=5")],
            Some("A;v=7 "),
        ),
        (
            "as many as allowed, repeated ones not counted",
            &["A"],
            &[ct("A,B,C,C")],
            Some("A B C "),
        ),
        ("one too many", &["A"], &[ct("B,C,D")], None),
        (
            "as many bytes as allowed",
            &[],
            &[ct("a23456789b123456789c123456789d123456789e")],
            Some("a23456789b123456789c123456789d123456789e "),
        ),
        (
            "a byte too many",
            &[],
            &[ct("a23456789b123456789c123456789d123456789ex")],
            None,
        ),
        (
            "groups do not count",
            &["A", "B", "C"],
            &[("cache-groups", "\"g\"")],
            Some("A B C ~group:http://shop.example:g "),
        ),
    ] {
        let signals = signalled(declared(rule), "GET", 200, fields);
        let got = signals.tags.map(|tags| shown(&tags));
        let expected = expected
            .map(|tags| format!("{tags}{IMPLICIT}"))
            .ok_or(NoStore::TooManyTags);
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn a_missing_tag_value_stops_storing_and_nothing_else() {
    let declared = Declared {
        tags: Err(NoStore::MissingTagValue),
        ..declared(&[])
    };
    let signals = signalled(
        declared,
        "GET",
        200,
        &[("cache-tag", "A;v=1, B"), ("cache-tag-increment", "C")],
    );
    assert_eq!(signals.tags, Err(NoStore::MissingTagValue));
    assert_eq!(shown(&signals.observed), "A;v=1");
    assert_eq!(signals.increments, [Tag::parse("C").unwrap().into()]);
}

#[test]
fn increments_come_from_app_rule_and_own_uri_each_once() {
    let own = "~uri:http://shop.example/a";
    let inc = |value| ("cache-tag-increment", value);
    for (name, rule, method, status, fields, expected) in [
        ("none", "", "GET", 200, &[][..], ""),
        ("any method", "", "GET", 200, &[inc("A")], "A"),
        ("any status", "", "POST", 500, &[inc("A")], "A"),
        ("§4.4 own URI", "", "POST", 200, &[], own),
        ("the rule's", "R", "POST", 500, &[], "R"),
        (
            "all",
            "R",
            "POST",
            201,
            &[inc("A, R"), ("location", "/b")],
            "A R ~uri:http://shop.example/a ~uri:http://shop.example/b",
        ),
        (
            "§4.4 own URI once",
            "",
            "PUT",
            201,
            &[("location", "/a"), ("content-location", "/a")],
            own,
        ),
        (
            "hard wins over soft",
            "",
            "GET",
            200,
            &[inc("A;soft, B;soft, A")],
            "A B;soft",
        ),
        (
            "the longest delay",
            "",
            "GET",
            200,
            &[inc("A;again=2, A;again=5, A")],
            "A;again=5s",
        ),
        ("no limit", "", "GET", 200, &[inc("A,B,C,D,E")], "A B C D E"),
    ] {
        let increments = Tag::parse(rule).map(Increment::from).into_iter().collect();
        let signals = signalled(
            Declared {
                increments,
                ..declared(&[])
            },
            method,
            status,
            fields,
        );
        let got = signals.increments.iter().map(|increment| {
            let soft = if increment.soft { ";soft" } else { "" };
            let again = increment.again.map(|again| format!(";again={again:?}"));
            format!("{}{soft}{}", increment.tag, again.unwrap_or_default())
        });
        assert_eq!(got.collect::<Vec<_>>().join(" "), expected, "{name}");
    }
}

fn well_formed() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just("public".to_owned()),
        1 => Just("private".to_owned()),
        1 => Just("no-store".to_owned()),
        1 => Just("no-cache=\"a, b\"".to_owned()),
        1 => (0_u32..1_000).prop_map(|n| format!("max-age={n}")),
        1 => (0_u32..1_000).prop_map(|n| format!("s-maxage={n}")),
        1 => (0_u32..1_000).prop_map(|n| format!("max-age=\"{n}\"")),
        // Shows what it hides as soon as a quote before it has no partner.
        4 => Just("ext=\", public, s-maxage=5, z=\"".to_owned()),
        1 => Just("ext=\"a\\\", max-age=9\"".to_owned()),
        1 => Just("ext=\"\"".to_owned()),
        1 => "[a-z]{1,4}(=[a-z0-9]{1,3})?",
    ]
}

fn malformed() -> impl Strategy<Value = String> {
    let known = [
        "max-age",
        "max-age=",
        "max-age=x",
        "max-age=-1",
        "max-age=1.5",
        "max-age =9",
        "max-age= 9",
        "max-age=9;a",
        "max-age=\"9",
        "s-maxage",
        "s-maxage=x",
        "s-maxage=\"",
        "public=",
        "public=\"",
        "public x",
        "=",
        "\"",
        "x=\"",
        "x=\"\\\"",
        "x=\"a\"b",
        "=9",
        "private=",
        "no-store;",
        "\\",
        "public;max-age=99",
        "a b",
        "public=1",
        "s-maxage:99",
    ];
    proptest::sample::select(known.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// How cacheable: not at all, or for so long and for so many.
    #[test]
    fn a_malformed_directive_never_makes_a_response_more_cacheable(
        mut said in proptest::collection::vec(well_formed(), 0..6),
        malformed in malformed(),
        place: proptest::sample::Index,
        own_line: bool,
        ttl in proptest::option::of(0_u64..100),
        expires: bool,
        cookie: bool,
    ) {
        let terms = Terms { ttl: ttl.map(Duration::from_secs), ..Terms::default() };
        let judged = |lines: &[String]| {
            let mut fields: Vec<(&str, &str)> = lines.iter().map(|line| ("cache-control", line.as_str())).collect();
            if expires {
                fields.push(("expires", "Sun, 06 Nov 1994 08:50:37 GMT"));
            }
            let request: Fields = if cookie { &[("cookie", "a=1")] } else { &[] };
            match verdict(&terms, &head("GET", request), response(200, &fields)) {
                Verdict::Store(meta) => Some((meta.lifetime, meta.shareable)),
                Verdict::Pass(_) => None,
            }
        };
        let without = judged(&[said.join(", ")]);
        let with = if own_line {
            judged(&[malformed, said.join(", ")])
        } else {
            said.insert(place.index(said.len() + 1), malformed);
            judged(&[said.join(", ")])
        };
        if let Some((longer, shared)) = with {
            let (lifetime, shareable) = without.expect("it was not stored without the malformed directive");
            prop_assert!(longer <= lifetime && shared <= shareable);
        }
    }

    #[test]
    fn any_head_is_judged(
        fields in proptest::collection::vec((0_usize..14, proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..24)), 0..8),
        status in 100_u16..1_000,
        method in prop_oneof![Just("GET"), Just("POST"), Just("FOO")],
    ) {
        const NAMES: [&str; 14] = [
            "cache-control", "cdn-cache-control", "surrogate-control", "expires", "date", "age", "last-modified", "vary",
            "etag", "connection", "location", "cache-tag", "cache-groups", "x-litespeed-purge",
        ];
        let mut response = response(status, &[]);
        for (field, value) in fields {
            response.headers.append(NAMES[field], HeaderValue::from_bytes(&value).unwrap());
        }
        let mut stored = storable_headers(&response.headers);
        drop_hop_by_hop(&mut stored);
        validators::not_modified(&response.headers, StatusCode::OK, &stored);
        let verdict = verdict(&Terms::default(), &head(method, &[]), response);
        prop_assert!(method == "GET" || matches!(verdict, Verdict::Pass(_)));
    }
}
