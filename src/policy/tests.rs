use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response};
use proptest::prelude::*;

use super::*;
use crate::dialects::Config;
use crate::dialects::Dialects;
use crate::model::entry::StaleUse;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::TagLimits;
use crate::model::tag::Tagged;
use crate::rules::Authorization;
use crate::rules::Cookies;
use crate::rules::Jitter;
use crate::rules::SetCookie;
use crate::rules::StatusTtl;

/// Sun, 06 Nov 1994 08:49:37 GMT.
const NOW: u64 = 784_111_777;
const PAST: &str = "Sat, 05 Nov 1994 08:49:37 GMT";
const FUTURE: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
const LIMITS: TagLimits = TagLimits {
    max_tags: 3,
    max_tag_bytes: 40,
};

type Fields<'a> = &'a [(&'static str, &'a str)];

/// Fields as they came, for the tests of every file here.
pub(super) fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    add(&mut headers, fields);
    headers
}

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
        constants: vec![Tag::parse("Constant").unwrap()],
        of_body: false,
        increments: Vec::new(),
        skipped: Vec::new(),
        changes: Vec::new(),
        misfits: Vec::new(),
        scopes: Arc::default(),
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
    let etag = ("etag", "\"a\"");
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
        ("too often", "GET", none, 429, plain, Err(NoStore::Status)),
        ("too long", "GET", none, 431, plain, Err(NoStore::Status)),
        ("bad", "GET", none, 400, plain, Ok(())),
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
            Ok(()),
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
            "§5.2.2.3 no-store, for a status that is known",
            "GET",
            none,
            200,
            &[cc("must-understand, no-store, max-age=60")],
            Ok(()),
        ),
        (
            "§5.2.2.3 no-store, for one that is not",
            "GET",
            none,
            599,
            &[cc("must-understand, no-store, max-age=60")],
            Err(NoStore::Status),
        ),
        (
            "§5.2.2.3 malformed: no-store counts",
            "GET",
            none,
            200,
            &[cc("must-understand=1, no-store, max-age=60")],
            Err(NoStore::NoStore),
        ),
        (
            "§5.2.2.4 no-cache, with a validator",
            "GET",
            none,
            200,
            &[cc("max-age=60, no-cache"), etag],
            Ok(()),
        ),
        (
            "§5.2.2.4 no-cache, with a validator that is not stored",
            "GET",
            none,
            200,
            &[cc("no-cache, private=\"etag\""), etag],
            Err(NoStore::NoFreshness),
        ),
        (
            "§5.2.2.4 no-cache and a window that it takes away",
            "GET",
            none,
            200,
            &[cc("max-age=60, no-cache, stale-if-error=9")],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "§4.2 expired on arrival, with a validator",
            "GET",
            none,
            200,
            &[fresh, ("age", "60"), ("last-modified", PAST)],
            Ok(()),
        ),
        (
            "§4.2 expired on arrival, with no valid date",
            "GET",
            none,
            200,
            &[fresh, ("age", "60"), ("last-modified", "yesterday")],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "RFC 5861 §3 expired on arrival, but of use",
            "GET",
            none,
            200,
            &[cc("max-age=60, stale-while-revalidate=9"), ("age", "68")],
            Ok(()),
        ),
        (
            "RFC 5861 §4 expired on arrival, but of use",
            "GET",
            none,
            200,
            &[cc("max-age=60, stale-if-error=9"), ("age", "68")],
            Ok(()),
        ),
        (
            "RFC 5861 expired on arrival, and of no use",
            "GET",
            none,
            200,
            &[cc("max-age=60, stale-if-error=9"), ("age", "69")],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "§4.2.4 the grace is no reason to store",
            "GET",
            none,
            200,
            &[cc("max-age=0")],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "§5.1 an invalid Age makes stale",
            "GET",
            none,
            200,
            &[cc("max-age=60, stale-if-error=9"), ("age", "0, 0")],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "§3 a validator, but nothing that allows to store",
            "GET",
            none,
            500,
            &[etag],
            Err(NoStore::NoFreshness),
        ),
        ("§3 public", "GET", none, 500, &[cc("public"), etag], Ok(())),
        (
            "§3 zero allows nothing",
            "GET",
            none,
            500,
            &[cc("max-age=0"), etag],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "§3 over, but it allowed to store",
            "GET",
            none,
            500,
            &[fresh, ("age", "60"), etag],
            Ok(()),
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
            Ok(()),
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
            Err(NoStore::Authorization),
        ),
        (
            "L12 Authorization, public: stricter than §3.5",
            "GET",
            &[("authorization", "x")],
            200,
            &[cc("public, max-age=60")],
            Err(NoStore::Authorization),
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
            "§3.5 must-revalidate",
            &by_rfc9111,
            credentials,
            &[cc("max-age=60, must-revalidate")],
            true,
        ),
        (
            "§3.5 must-revalidate, malformed",
            &by_rfc9111,
            credentials,
            &[cc("max-age=60, must-revalidate=1")],
            false,
        ),
        (
            "§3.5 proxy-revalidate is not among them",
            &by_rfc9111,
            credentials,
            &[cc("max-age=60, proxy-revalidate")],
            false,
        ),
        (
            "§3.5 s-maxage, malformed",
            &by_rfc9111,
            credentials,
            &[cc("max-age=60, s-maxage=x"), ("etag", "\"a\"")],
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
        soft_until: None,
        conditions: Conditions {
            stale: StaleUse {
                forbidden: true,
                ..StaleUse::default()
            },
            shareable: true,
            vary: ["a", "b"]
                .map(|name| HeaderName::from_static(name).into())
                .into(),
        }
        .into(),
    };
    assert_eq!(
        verdict(&terms, &head("GET", &[]), response(200, fields)),
        Verdict::Store(Store {
            meta,
            without: Vec::new()
        })
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
            Verdict::Store(Store {
                meta,
                ..
            }) if meta.shareable
        );
        assert_eq!(shareable, expected, "{name}");
    }
}

/// Terms that say of each status, in seconds, how long it is fresh; `None`: as any other.
fn by_status(ttl: Option<u64>, statuses: &[(&str, Option<u64>)]) -> Terms {
    let mut terms = Terms {
        ttl: ttl.map(Duration::from_secs),
        ..Terms::default()
    };
    for (status, ttl) in statuses {
        let ttl = ttl.map_or(StatusTtl::Inherit, |secs| {
            StatusTtl::For(Duration::from_secs(secs))
        });
        terms.statuses.add(status, ttl).unwrap();
    }
    terms
}

#[test]
fn a_rule_says_by_status_what_is_stored_and_how_long() {
    let cc = |value| ("cache-control", value);
    let etag = ("etag", "\"a\"");
    let modified = ("last-modified", PAST); // a day ago: a tenth of that is 8640 s
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let none = NoStore::NoFreshness;
    let over = NoStore::AlreadyExpired;
    let day = 86_400;
    for (name, ttl, statuses, status, fields, expected) in [
        ("for", None, &[("404", Some(5))][..], 404, &[][..], Ok(5)),
        (
            "another status",
            None,
            &[("404", Some(5))],
            410,
            &[],
            Err(none),
        ),
        (
            "another status, as the rule says",
            Some(9),
            &[("404", Some(5))],
            410,
            &[],
            Ok(9),
        ),
        (
            "over the rule's ttl",
            Some(9),
            &[("404", Some(5))],
            404,
            &[],
            Ok(5),
        ),
        ("inherit", Some(9), &[("404", None)], 404, &[], Ok(9)),
        (
            "inherit, where nothing is said",
            None,
            &[("404", None)],
            404,
            &[],
            Err(none),
        ),
        (
            "inherit, guessed",
            None,
            &[("404", None)],
            404,
            &[date, modified],
            Ok(8_640),
        ),
        (
            "in place of a guess",
            None,
            &[("200", Some(5))],
            200,
            &[date, modified],
            Ok(5),
        ),
        ("a class", None, &[("4xx", Some(5))], 404, &[], Ok(5)),
        (
            "the status over its class",
            None,
            &[("4xx", Some(5)), ("404", Some(6))],
            404,
            &[],
            Ok(6),
        ),
        (
            "inherit over its class",
            Some(9),
            &[("4xx", Some(5)), ("404", None)],
            404,
            &[],
            Ok(9),
        ),
        ("0", None, &[("404", Some(0))], 404, &[], Err(over)),
        (
            "0 over the rule's ttl",
            Some(9),
            &[("404", Some(0))],
            404,
            &[],
            Err(over),
        ),
        (
            "0, with a validator",
            Some(9),
            &[("404", Some(0))],
            404,
            &[etag],
            Err(over),
        ),
        (
            "0, but the response says",
            None,
            &[("404", Some(0))],
            404,
            &[cc("max-age=7")],
            Ok(7),
        ),
        (
            "the response says more",
            None,
            &[("404", Some(5))],
            404,
            &[cc("max-age=7")],
            Ok(7),
        ),
        (
            "the response says less",
            None,
            &[("404", Some(5))],
            404,
            &[cc("s-maxage=3")],
            Ok(3),
        ),
        (
            "the response says 0",
            None,
            &[("404", Some(5))],
            404,
            &[cc("max-age=0")],
            Err(over),
        ),
        (
            "no-store",
            None,
            &[("404", Some(5))],
            404,
            &[cc("no-store")],
            Err(NoStore::NoStore),
        ),
        (
            "private",
            None,
            &[("404", Some(5))],
            404,
            &[cc("private")],
            Err(NoStore::Private),
        ),
        (
            "capped",
            None,
            &[("404", Some(99 * day))],
            404,
            &[],
            Ok(7 * day),
        ),
        (
            "the rule's ttl is 0, the status not",
            Some(0),
            &[("404", Some(5))],
            404,
            &[],
            Ok(5),
        ),
        (
            "the rule's ttl is 0, and its class not",
            Some(0),
            &[("2xx", Some(5))],
            204,
            &[],
            Ok(5),
        ),
        (
            "the rule's ttl is 0, inherited, with a validator",
            Some(0),
            &[("404", None)],
            404,
            &[etag],
            Err(over),
        ),
        (
            "the rule's ttl is 0, inherited",
            Some(0),
            &[("404", None)],
            404,
            &[],
            Err(over),
        ),
        (
            "a status nobody would store",
            Some(9),
            &[],
            500,
            &[],
            Err(none),
        ),
        ("500, for", None, &[("500", Some(5))], 500, &[], Ok(5)),
        ("500, inherit", Some(9), &[("5xx", None)], 500, &[], Ok(9)),
        (
            "302, inherit and guessed",
            None,
            &[("302", None)],
            302,
            &[date, modified],
            Ok(8_640),
        ),
        (
            "302, inherit, for its validator",
            None,
            &[("302", None)],
            302,
            &[etag],
            Ok(0),
        ),
        (
            "an unknown status",
            None,
            &[("599", Some(5))],
            599,
            &[],
            Ok(5),
        ),
        (
            "must-understand",
            None,
            &[("599", Some(5))],
            599,
            &[cc("must-understand")],
            Err(NoStore::Status),
        ),
        (
            "304 in its class",
            None,
            &[("3xx", Some(5))],
            304,
            &[],
            Err(NoStore::Status),
        ),
    ] {
        let terms = by_status(ttl, statuses);
        let found = match verdict(&terms, &head("GET", &[]), response(status, fields)) {
            Verdict::Store(store) => Ok(store.meta.lifetime.as_secs()),
            Verdict::Pass(reason) => Err(reason),
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_part_is_as_long_fresh_as_the_whole() {
    let terms = by_status(None, &[("200", Some(5)), ("2xx", Some(9))]);
    let asked = head("GET", &[("range", "bytes=0-1")]);
    let part = response(206, &[("content-range", "bytes 0-1/9"), ("etag", "\"a\"")]);
    let Verdict::Store(store) = verdict(&terms, &asked, part) else {
        panic!("one part is stored");
    };
    assert_eq!(store.meta.lifetime, Duration::from_secs(5));
}

#[test]
fn a_soft_life_counts_from_the_arrival() {
    let terms = |secs: Option<u64>| Terms {
        soft_ttl: secs.map(Duration::from_secs),
        ..Terms::default()
    };
    for (name, soft, age, expected) in [
        ("none", None, "0", None),
        ("a minute", Some(60), "0", Some(NOW + 60)),
        ("whatever its age", Some(60), "500", Some(NOW + 60)),
        ("longer than its life", Some(9_999), "0", Some(NOW + 9_999)),
        ("at once", Some(0), "0", Some(NOW)),
    ] {
        let fields: Fields = &[("cache-control", "max-age=600"), ("age", age)];
        let Verdict::Store(store) = verdict(&terms(soft), &head("GET", &[]), response(200, fields))
        else {
            panic!("{name}: it is stored");
        };
        let expected = expected.map(Timestamp::from_secs);
        assert_eq!(store.meta.soft_until, expected, "{name}");
    }
}

/// What the rule's jitter makes of a response of this age and lifetime.
fn spread(jitter: f64, age: Duration, lifetime: Duration, chance: f64) -> (Store, Store) {
    let terms = Terms {
        jitter: Jitter::of(jitter),
        ..Terms::default()
    };
    let received = Timestamp::from_secs(NOW);
    let before = Store {
        meta: EntryMeta {
            received,
            born: received - age,
            lifetime,
            soft_until: Some(received + Duration::from_secs(7)),
            conditions: Conditions {
                stale: StaleUse {
                    while_revalidate: Duration::from_secs(9),
                    ..StaleUse::default()
                },
                shareable: true,
                vary: [].into(),
            }
            .into(),
        },
        without: Vec::new(),
    };
    let mut after = before.clone();
    after.spread(&terms, chance);
    (before, after)
}

#[test]
fn jitter_takes_its_share_of_what_is_left_of_a_life() {
    let secs = Duration::from_secs;
    for (name, jitter, age, lifetime, chance, expected) in [
        ("none", 0.0, 0, 100, 1.0, 100),
        ("by no chance", 0.1, 0, 100, 0.0, 100),
        ("half of it", 0.1, 0, 100, 0.5, 95),
        ("all of it", 0.1, 0, 100, 1.0, 90),
        ("of what is left", 0.1, 50, 100, 1.0, 95),
        ("nothing is left", 0.1, 100, 100, 1.0, 100),
        ("less than nothing is left", 0.1, 500, 100, 1.0, 100),
        ("no life", 1.0, 0, 0, 1.0, 0),
        ("all of its life", 1.0, 50, 100, 1.0, 50),
    ] {
        let (_, after) = spread(jitter, secs(age), secs(lifetime), chance);
        assert_eq!(after.meta.lifetime, secs(expected), "{name}");
    }
}

proptest! {
    #[test]
    fn jitter_never_makes_a_life_longer_nor_changes_anything_else(
        jitter in 0.0..=1.0_f64,
        age in 0..99_999_999_u64,
        lifetime in 0..99_999_999_u64,
        chance in 0.0..1.0_f64,
    ) {
        let (age, lifetime) = (Duration::from_micros(age), Duration::from_micros(lifetime));
        let (before, after) = spread(jitter, age, lifetime, chance);
        let less = lifetime.checked_sub(after.meta.lifetime);
        prop_assert!(less.is_some(), "never later");
        let left = lifetime.saturating_sub(age);
        let most = left.mul_f64(jitter + 1e-6) + Duration::from_micros(1);
        prop_assert!(less <= Some(most), "{less:?} of {left:?}");
        let meta = EntryMeta { lifetime, ..after.meta };
        prop_assert_eq!(before, Store { meta, ..after });
    }
}

#[test]
fn rfc9111_4_2_how_long_what_is_stored_may_be_used() {
    let cc = |value| ("cache-control", value);
    let etag = ("etag", "\"a\"");
    let rule = |ttl: Option<u64>, revalidate: Option<u64>| Terms {
        ttl: ttl.map(Duration::from_secs),
        stale_while_revalidate: revalidate.map(Duration::from_secs),
        ..Terms::default()
    };
    let plain = || rule(None, None);
    // Lifetime, age on arrival, the window of `stale-while-revalidate`, forbidden beyond that.
    for (name, terms, status, fields, expected) in [
        (
            "§5.2.2.4 no-cache: asked for each time",
            plain(),
            200,
            &[cc("max-age=60, no-cache"), etag][..],
            Ok((0, 0, 0, true)),
        ),
        (
            "§5.2.2.4 qualified: not",
            plain(),
            200,
            &[cc("max-age=60, no-cache=\"a\"")],
            Ok((60, 0, 0, false)),
        ),
        (
            "§4.2.1 nothing said, a validator",
            plain(),
            200,
            &[etag],
            Ok((0, 0, 0, false)),
        ),
        (
            "§4.2 expired on arrival",
            plain(),
            200,
            &[cc("max-age=60"), ("age", "70"), etag],
            Ok((60, 70, 0, false)),
        ),
        (
            "§5.1 an invalid Age: no window counts from it",
            rule(None, Some(9)),
            200,
            &[cc("max-age=60"), ("age", "x"), etag],
            Ok((0, 0, 0, true)),
        ),
        (
            "§5.2.2.2 fresh, then forbidden",
            rule(None, Some(9)),
            200,
            &[cc("max-age=60, must-revalidate")],
            Ok((60, 0, 0, true)),
        ),
        (
            "RFC 5861 §3",
            rule(None, Some(9)),
            200,
            &[cc("max-age=60, stale-while-revalidate=5")],
            Ok((60, 0, 5, false)),
        ),
        (
            "RFC 5861 §3 after a lifetime of zero",
            plain(),
            200,
            &[cc("max-age=0, stale-while-revalidate=5"), etag],
            Ok((0, 0, 5, false)),
        ),
        (
            "RFC 5861 §3 after no lifetime",
            plain(),
            200,
            &[cc("stale-while-revalidate=5"), etag],
            Ok((0, 0, 0, false)),
        ),
        (
            "RFC 5861 §3 after a malformed lifetime",
            plain(),
            200,
            &[cc("max-age=x, stale-while-revalidate=5"), etag],
            Ok((0, 0, 0, false)),
        ),
        (
            "the rule's window",
            rule(None, Some(9)),
            200,
            &[cc("max-age=60")],
            Ok((60, 0, 9, false)),
        ),
        (
            "Edge Architecture §2.2.3",
            plain(),
            200,
            &[
                cc("no-store"),
                ("surrogate-control", "max-age=60+9;tagalong"),
            ],
            Ok((60, 0, 9, false)),
        ),
        (
            "the rule's ttl",
            rule(Some(7), None),
            200,
            &[],
            Ok((7, 0, 0, false)),
        ),
        (
            "the rule's ttl: 0, nothing said",
            rule(Some(0), Some(9)),
            200,
            &[etag],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "the rule's ttl: 0, and max-age=0",
            rule(Some(0), None),
            200,
            &[cc("max-age=0"), etag],
            Err(NoStore::AlreadyExpired),
        ),
        (
            "the rule's ttl: 0, and the response says otherwise",
            rule(Some(0), None),
            200,
            &[cc("max-age=60")],
            Ok((60, 0, 0, false)),
        ),
        (
            "the rule's ttl is not for every status",
            rule(Some(7), Some(9)),
            500,
            &[etag],
            Err(NoStore::NoFreshness),
        ),
    ] {
        let got = match verdict(&terms, &head("GET", &[]), response(status, fields)) {
            Verdict::Store(Store { meta, .. }) => Ok((
                meta.lifetime.as_secs(),
                meta.received.since(meta.born).as_secs(),
                meta.stale.while_revalidate.as_secs(),
                meta.stale.forbidden,
            )),
            Verdict::Pass(reason) => Err(reason),
        };
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn rfc9111_5_2_2_4_and_7_named_fields_are_left_out() {
    for (name, fields, expected) in [
        ("none", &[("cache-control", "max-age=60")][..], Some("")),
        (
            "of both, each once, in order",
            &[(
                "cache-control",
                "max-age=60, no-cache=\"b, A\", private=\"a, c\"",
            )],
            Some("a b c"),
        ),
        (
            "RFC 9213",
            &[("cdn-cache-control", "max-age=60, private=\"a\"")],
            Some("a"),
        ),
        (
            "all of it",
            &[("cache-control", "max-age=60, private=\"a\", private")],
            None,
        ),
        (
            "L12 a cookie is not stored by being left out",
            &[
                ("cache-control", "max-age=60, private=\"set-cookie\""),
                ("set-cookie", "a=1"),
            ],
            None,
        ),
    ] {
        let got = match verdict(&Terms::default(), &head("GET", &[]), response(200, fields)) {
            Verdict::Store(Store { without, .. }) => {
                let names: Vec<_> = without.iter().map(HeaderName::as_str).collect();
                Some(names.join(" "))
            }
            Verdict::Pass(_) => None,
        };
        assert_eq!(got.as_deref(), expected, "{name}");
    }
}

#[test]
fn rfc9110_9_3_3_a_response_to_post_stands_for_its_uri_if_it_says_so() {
    let fresh = ("cache-control", "max-age=60");
    let own = ("content-location", "/a");
    for (name, method, status, fields, expected) in [
        ("fresh and its own", "POST", 200, &[fresh, own][..], Ok(())),
        (
            "absolute",
            "POST",
            201,
            &[fresh, ("content-location", "http://shop.example/a#top")],
            Ok(()),
        ),
        (
            "empty: the same",
            "POST",
            200,
            &[fresh, ("content-location", "")],
            Ok(()),
        ),
        ("Expires", "POST", 200, &[("expires", FUTURE), own], Ok(())),
        (
            "targeted",
            "POST",
            200,
            &[("cdn-cache-control", "max-age=60"), own],
            Ok(()),
        ),
        (
            "another's",
            "POST",
            200,
            &[fresh, ("content-location", "/b")],
            Err(NoStore::Method),
        ),
        (
            "another query",
            "POST",
            200,
            &[fresh, ("content-location", "/a?x")],
            Err(NoStore::Method),
        ),
        (
            "another host",
            "POST",
            200,
            &[fresh, ("content-location", "http://evil.example/a")],
            Err(NoStore::Method),
        ),
        ("two", "POST", 200, &[fresh, own, own], Err(NoStore::Method)),
        ("nobody's", "POST", 200, &[fresh], Err(NoStore::Method)),
        (
            "nothing said",
            "POST",
            200,
            &[own, ("last-modified", PAST)],
            Err(NoStore::Method),
        ),
        (
            "public alone",
            "POST",
            200,
            &[own, ("cache-control", "public")],
            Err(NoStore::Method),
        ),
        (
            "max-age=0",
            "POST",
            200,
            &[own, ("cache-control", "max-age=0"), ("etag", "\"a\"")],
            Err(NoStore::Method),
        ),
        ("an error", "POST", 404, &[fresh, own], Err(NoStore::Method)),
        ("a part", "POST", 206, &[fresh, own], Err(NoStore::Partial)),
        (
            "private",
            "POST",
            200,
            &[("cache-control", "max-age=60, private"), own],
            Err(NoStore::Private),
        ),
        ("PUT", "PUT", 200, &[fresh, own], Err(NoStore::Method)),
        ("HEAD", "HEAD", 200, &[fresh, own], Err(NoStore::Method)),
    ] {
        let got = match verdict(
            &Terms::default(),
            &head(method, &[]),
            response(status, fields),
        ) {
            Verdict::Store(_) => Ok(()),
            Verdict::Pass(reason) => Err(reason),
        };
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn rfc9111_3_3_one_part_that_says_which_it_is_may_be_stored() {
    let cr = |value| ("content-range", value);
    let asked: Fields = &[("range", "bytes=0-9")];
    for (name, request, fields, expected) in [
        ("RFC 9110 §14.4", asked, &[cr("bytes 0-9/100")][..], true),
        ("of unknown length", asked, &[cr("bytes 0-9/*")], true),
        ("to the end", asked, &[cr("bytes 90-99/100")], true),
        ("nobody asked", &[], &[cr("bytes 0-9/100")], false),
        ("it does not say", asked, &[], false),
        (
            "two",
            asked,
            &[cr("bytes 0-9/100"), cr("bytes 0-9/100")],
            false,
        ),
        ("in other units", asked, &[cr("lines 0-9/100")], false),
        ("backwards", asked, &[cr("bytes 9-0/100")], false),
        ("beyond the end", asked, &[cr("bytes 0-100/100")], false),
        ("unsatisfied", asked, &[cr("bytes */100")], false),
        ("no numbers", asked, &[cr("bytes a-b/c")], false),
        (
            "RFC 9110 §15.3.7.2 several ranges",
            asked,
            &[
                ("content-type", "Multipart/byteranges; boundary=x"),
                cr("bytes 0-9/100"),
            ],
            false,
        ),
    ] {
        let fields = [&[("cache-control", "max-age=60")], fields].concat();
        let got = match verdict(
            &Terms::default(),
            &head("GET", request),
            response(206, &fields),
        ) {
            Verdict::Store(_) => Ok(()),
            Verdict::Pass(reason) => Err(reason),
        };
        let expected = expected.then_some(()).ok_or(NoStore::Partial);
        assert_eq!(got, expected, "{name}");
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
    let implicit = [Tag::all(), Tag::uri("http://shop.example/a")];
    let shown_of_cache = "~all ~uri:http://shop.example/a";
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
        let found = signals.tags.as_ref().map(|_| ()).map_err(|reason| *reason);
        let why_not = expected.map(|_| ()).ok_or(NoStore::TooManyTags);
        assert_eq!(found, why_not, "{name}");
        if let Some(tags) = expected {
            let got = shown(&signals.with_implicit(implicit.to_vec()));
            assert_eq!(got, format!("{tags}{shown_of_cache}"), "{name}");
        }
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
fn many_tags_come_each_once_too() {
    let all: Vec<String> = (0..40).map(|n| format!("T:{n}")).collect();
    let written = [&all[..], &all[..]].concat().join(",");
    let fields = [("cache-tag-increment", written.as_str())];
    let increments = signalled(declared(&[]), "GET", 200, &fields).increments;
    let increments: Vec<_> = increments.iter().map(|it| it.tag.as_str()).collect();
    assert_eq!(increments, all);
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

/// How cacheable a response is: whom for, how long, and how long stale. `None`: not at all.
#[derive(Clone, Copy, Debug)]
struct Cacheable {
    shareable: bool,
    fresh: Duration,
    /// Until when it may be used, from its birth on, in each of the ways there are.
    until: [Duration; 4],
}

impl Cacheable {
    fn of(verdict: Verdict) -> Option<Cacheable> {
        let Verdict::Store(Store { meta, .. }) = verdict else {
            return None;
        };
        let stale = meta.stale;
        let end = |window| meta.lifetime.saturating_add(window);
        let max_stale = if stale.forbidden {
            Duration::ZERO
        } else {
            Duration::MAX
        };
        Some(Cacheable {
            shareable: meta.shareable,
            fresh: meta.lifetime,
            until: [
                end(stale.while_revalidate),
                end(stale.if_error),
                end(stale.if_disconnected),
                end(max_stale),
            ],
        })
    }

    fn at_most(self, other: Cacheable) -> bool {
        let mut ends = self.until.iter().zip(other.until);
        self.shareable <= other.shareable
            && self.fresh <= other.fresh
            && ends.all(|(this, other)| *this <= other)
    }
}

fn well_formed() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just("public".to_owned()),
        1 => Just("private".to_owned()),
        1 => Just("no-store".to_owned()),
        1 => Just("no-cache".to_owned()),
        1 => Just("no-cache=\"a, b\"".to_owned()),
        1 => Just("private=\"a\"".to_owned()),
        1 => Just("must-revalidate".to_owned()),
        1 => Just("proxy-revalidate".to_owned()),
        1 => Just("must-understand".to_owned()),
        1 => (0_u32..1_000).prop_map(|n| format!("stale-while-revalidate={n}")),
        1 => (0_u32..1_000).prop_map(|n| format!("stale-if-error={n}")),
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
        "stale-while-revalidate",
        "stale-while-revalidate=x",
        "stale-if-error=-9",
        "stale-if-error=\"9",
        "must-revalidate=1",
        "must-understand=\"",
        "must-understand=1",
        "no-cache=\"\"",
        "private=\"a b\"",
        "private=\"a",
        "immutable=1",
    ];
    proptest::sample::select(known.to_vec()).prop_map(str::to_owned)
}

/// What else there is beside the field in question.
#[derive(Clone, Debug)]
struct About {
    terms: Terms,
    status: u16,
    cookie: bool,
    credentials: bool,
    fields: Vec<(&'static str, &'static str)>,
}

impl About {
    fn judged(&self, name: &'static str, lines: &[String]) -> Option<Cacheable> {
        let lines = lines.iter().map(|line| (name, line.as_str()));
        let fields: Vec<(&str, &str)> = lines.chain(self.fields.iter().copied()).collect();
        let sent = [
            (self.cookie, ("cookie", "a=1")),
            (self.credentials, ("authorization", "x")),
        ];
        let sent = sent
            .into_iter()
            .filter_map(|(is_sent, field)| is_sent.then_some(field));
        let request: Vec<(&str, &str)> = sent.collect();
        let response = response(self.status, &fields);
        Cacheable::of(verdict(&self.terms, &head("GET", &request), response))
    }
}

fn about() -> impl Strategy<Value = About> {
    let fields = vec![
        ("expires", FUTURE),
        ("last-modified", PAST),
        ("etag", "\"a\""),
        ("age", "20"),
    ];
    let seconds = || proptest::option::of((0_u64..100).prop_map(Duration::from_secs));
    let rule = (seconds(), seconds(), seconds());
    let status = proptest::sample::select(vec![200, 404, 500, 599]);
    let fields = proptest::sample::subsequence(fields, 0..=4);
    let request = (any::<bool>(), any::<bool>());
    (rule, status, request, fields).prop_map(|(rule, status, request, fields)| About {
        terms: Terms {
            ttl: rule.0,
            stale_while_revalidate: rule.1,
            stale_if_error: rule.2,
            authorization: Authorization::Rfc9111,
            ..Terms::default()
        },
        status,
        cookie: request.0,
        credentials: request.1,
        fields,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Neither in `Cache-Control` nor, where it is as free of grammar, in `Surrogate-Control`.
    #[test]
    fn a_malformed_directive_never_makes_a_response_more_cacheable(
        said in proptest::collection::vec(well_formed(), 0..6),
        malformed in malformed(),
        place: proptest::sample::Index,
        own_line: bool,
        surrogate: bool,
        about in about(),
    ) {
        let field = if surrogate { "surrogate-control" } else { "cache-control" };
        let without = about.judged(field, &[said.join(", ")]);
        let with = if own_line {
            about.judged(field, &[malformed, said.join(", ")])
        } else {
            let mut said = said;
            said.insert(place.index(said.len() + 1), malformed);
            about.judged(field, &[said.join(", ")])
        };
        if let Some(with) = with {
            let without = without.expect("it was not stored without the malformed directive");
            prop_assert!(with.at_most(without), "{with:?} {without:?}");
        }
    }

    #[test]
    fn a_directive_said_once_more_never_makes_a_response_more_cacheable(
        said in proptest::collection::vec(well_formed(), 1..6),
        again: proptest::sample::Index,
        seconds in 0_u32..1_000,
        about in about(),
    ) {
        let name = again.get(&said).split('=').next().unwrap();
        let again = if name.ends_with(['e', 'r']) { format!("{name}={seconds}") } else { again.get(&said).clone() };
        let without = about.judged("cache-control", &[said.join(", ")]);
        if let Some(with) = about.judged("cache-control", &[said.join(", "), again]) {
            let without = without.expect("it was not stored with the directive once");
            prop_assert!(with.at_most(without), "{with:?} {without:?}");
        }
    }

    /// Whatever else is malformed: the one of these fields that counts, whichever that is.
    #[test]
    fn a_malformed_field_never_makes_a_response_more_cacheable(
        said in proptest::collection::vec(well_formed(), 0..6),
        field in proptest::sample::select(vec![
            ("age", "x"), ("age", "0, 0"), ("age", ""), ("age", ",9"), ("expires", "0"), ("expires", "tomorrow"),
            ("cdn-cache-control", "max-age=\"99\""), ("cdn-cache-control", "max-age=9.5, public=1"),
            ("cdn-cache-control", "stale-if-error=x, private=(a)"), ("surrogate-control", "max-age=9;"),
            ("surrogate-control", "max-age=9+x"), ("surrogate-control", "max-age=9+9;a b"),
        ]),
        mut about in about(),
    ) {
        let without = about.judged("cache-control", &[said.join(", ")]);
        about.fields.push(field);
        if let Some(with) = about.judged("cache-control", &[said.join(", ")]) {
            let without = without.expect("it was not stored without the malformed field");
            prop_assert!(with.fresh <= without.fresh, "{with:?} {without:?}");
            prop_assert!(with.until.iter().zip(without.until).all(|(this, other)| *this <= other), "{with:?} {without:?}");
        }
    }

    #[test]
    fn any_head_is_judged(
        fields in proptest::collection::vec((0_usize..16, proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..24)), 0..8),
        status in 100_u16..1_000,
        method in prop_oneof![Just("GET"), Just("POST"), Just("FOO")],
    ) {
        const NAMES: [&str; 16] = [
            "cache-control", "cdn-cache-control", "surrogate-control", "expires", "date", "age", "last-modified", "vary",
            "etag", "connection", "location", "cache-tag", "cache-groups", "x-litespeed-purge", "content-range", "content-location",
        ];
        let mut response = response(status, &[]);
        for (field, value) in fields {
            response.headers.append(NAMES[field], HeaderValue::from_bytes(&value).unwrap());
        }
        let mut stored = storable_headers(&response.headers);
        drop_hop_by_hop(&mut stored);
        validators::not_modified(&response.headers, StatusCode::OK, &stored);
        let verdict = verdict(&Terms::default(), &head(method, &[("range", "bytes=0-")]), response);
        prop_assert!(method != "FOO" || matches!(verdict, Verdict::Pass(_)));
    }
}
