//! The heads of one exchange, of any bytes, and what must hold of them.
//!
//! The input is lines, as a person would write a seed: the request's method, target and, if any, terms of its rule
//! (`https`, `ttl=60`, `cookie`, `authorization`); its fields; an empty line; the response's status; its fields. What is
//! no line of this kind is passed over, and bytes that no field value can hold cannot come from a parsed head either.

use std::time::Duration;

use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::response::Parts;
use tagalong::dialects::Config;
use tagalong::dialects::Dialects;
use tagalong::dialects::cache_status;
use tagalong::dialects::cache_status::CACHE_STATUS;
use tagalong::dialects::cache_status::Debug;
use tagalong::model::entry::EntryMeta;
use tagalong::model::entry::Selector;
use tagalong::model::outcome::Commit;
use tagalong::model::outcome::End;
use tagalong::model::outcome::Forward;
use tagalong::model::outcome::NoStore;
use tagalong::model::outcome::Outcome;
use tagalong::model::request::Head;
use tagalong::model::stamp::Stamp;
use tagalong::model::tag::TagLimits;
use tagalong::model::time::Timestamp;
use tagalong::policy;
use tagalong::policy::Declared;
use tagalong::policy::Signals;
use tagalong::policy::Times;
use tagalong::policy::Verdict;
use tagalong::policy::request;
use tagalong::policy::request::Wishes;
use tagalong::policy::validators;
use tagalong::policy::vary;
use tagalong::rules::Authorization;
use tagalong::rules::Terms;

use super::fields::fields;

/// Sun, 06 Nov 1994 08:49:37 GMT: seeds are written around it.
const NOW: Timestamp = Timestamp::from_secs(784_111_777);

/// The most lines that count; a `HeaderMap` has a limit of its own.
const MAX_LINES: usize = 1_000;

const LIMITS: TagLimits = TagLimits {
    max_tags: 8,
    max_tag_bytes: 256,
};

/// Members of `Cache-Control` that are no directive, or one that is written wrongly. None has a quote: on the line of
/// another one it could be the partner of a quote there.
const GARBAGE: &[&[u8]] = &[
    b"x",
    b"x=1",
    b"=",
    b"=60",
    b";",
    b"max-age",
    b"max-age=",
    b"max-age=x",
    b"max-age=-1",
    b"max-age=1.5",
    b"max-age=60;",
    b"max-age =60",
    b"max-age= 60",
    b"max-age=\xb2\xb3",
    b"s-maxage",
    b"s-maxage=x",
    b"public=1",
    b"public;",
    b"immutable=x",
    b"must-understand=x",
    b"must-revalidate=x",
    b"stale-while-revalidate",
    b"stale-while-revalidate=x",
    b"stale-if-error=",
    b"stale-if-error=-1",
    b"no-cache=x",
    b"private=",
    b"no-store=0",
    b"\xff",
];

/// The same, with a quote too few or too many: on lines of their own.
const QUOTED_GARBAGE: &[&[u8]] = &[
    b"\"",
    b"\"\"",
    b"max-age=\"",
    b"max-age=\"60",
    b"max-age=60\"",
    b"s-maxage=\"60\"x",
    b"no-cache=\"set-cookie",
    b"x=\"\\\"",
    b"public=\"",
];

/// Fields that make nothing more cacheable wherever they stand, each malformed or restrictive.
const MORE: &[(&str, &[u8])] = &[
    ("vary", b"*"),
    ("vary", b"a b"),
    ("vary", b"\xff"),
    ("expires", b"x"),
    ("expires", b"0"),
    ("last-modified", b"x"),
    ("age", b"x"),
    ("pragma", b"no-cache"),
    ("set-cookie", b""),
    ("cache-tag", b"a b"),
    ("cache-tag", b"\""),
    ("cache-groups", b"("),
    ("surrogate-key", b"\xff"),
    ("x-litespeed-vary", b"x"),
];

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let Some(exchange) = Exchange::read(input) else {
        return;
    };
    let (signals, verdict) = exchange.judged(&exchange.response);
    assert_eq!(
        (&signals, &verdict),
        (
            &exchange.judged(&exchange.response).0,
            &exchange.judged(&exchange.response).1
        ),
        "the same heads, another verdict"
    );
    exchange.what_a_client_says();
    exchange.restrictions_restrict();
    exchange.garbage_makes_nothing_more_cacheable(&verdict);
    exchange.our_fields_are_taken_once();
    if let Verdict::Store(store) = &verdict {
        exchange.what_is_stored_is_usable(&store.meta);
    }
    exchange.cache_status_can_be_read(&signals, &verdict);
}

struct Exchange {
    head: Head,
    response: Parts,
    terms: Terms,
    dialects: Dialects,
}

impl Exchange {
    fn read(input: &[u8]) -> Option<Exchange> {
        let mut lines = input.split(|byte| *byte == b'\n').take(MAX_LINES);
        let first = lines.next().unwrap_or_default();
        let mut words = first
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        let method = words.next().and_then(|word| Method::from_bytes(word).ok());
        let target = words.next().unwrap_or(b"/");
        let (mut terms, mut scheme) = (Terms::default(), "http");
        for word in words {
            match word {
                b"https" => scheme = "https",
                b"cookie" => terms.keys_on_cookie = true,
                b"authorization" => terms.authorization = Authorization::Key,
                _ => terms.ttl = ttl(word).or(terms.ttl),
            }
        }
        let mut request = fields(lines.by_ref().take_while(|line| !line.is_empty()));
        if !request.contains_key(header::HOST) {
            request.insert(header::HOST, HeaderValue::from_static("a.example"));
        }
        let (mut parts, ()) = Request::builder()
            .method(method.unwrap_or(Method::GET))
            .uri(target)
            .body(())
            .ok()?
            .into_parts();
        parts.headers = request;
        let status = lines
            .next()
            .and_then(|line| StatusCode::from_bytes(line).ok());
        let (mut response, ()) = Response::new(()).into_parts();
        response.status = status.unwrap_or(StatusCode::OK);
        response.headers = fields(lines);
        Some(Exchange {
            head: Head::new(parts, scheme).ok()?,
            response,
            terms,
            dialects: Dialects::new(Config::default()),
        })
    }

    /// The whole way of a response: what it says of tags, then the judgement.
    fn judged(&self, response: &Parts) -> (Signals, Verdict) {
        self.judged_by(&self.terms, response)
    }

    fn judged_by(&self, terms: &Terms, response: &Parts) -> (Signals, Verdict) {
        let mut response = response.clone();
        let declared = Declared {
            key: None,
            tags: Ok(Vec::new()),
            constants: Vec::new(),
            of_body: false,
            increments: Vec::new(),
            skipped: Vec::new(),
            changes: Vec::new(),
            misfits: Vec::new(),
            scopes: Default::default(),
        };
        let signals = policy::signals(&self.dialects, declared, &self.head, &mut response, LIMITS);
        let times = Times {
            sent: NOW,
            received: NOW,
        };
        let targeted = self.dialects.targeted();
        let verdict = policy::judge(terms, &self.head, &response, &signals, times, targeted);
        (signals, verdict)
    }

    fn with(&self, name: &str, value: &[u8]) -> Parts {
        let mut response = self.response.clone();
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        let value = HeaderValue::from_bytes(value).expect("a value");
        response.headers.append(name, value);
        response
    }

    /// With one more member on the last line of `Cache-Control`; `None` where there is no such line, or one with a quote:
    /// what comes after it may be inside.
    fn with_member(&self, member: &[u8]) -> Option<Parts> {
        let mut response = self.response.clone();
        let lines = response.headers.get_all(header::CACHE_CONTROL);
        let mut lines: Vec<HeaderValue> = lines.iter().cloned().collect();
        let last = lines
            .pop()
            .filter(|line| !line.as_bytes().contains(&b'"'))?;
        let joined = [last.as_bytes(), member].join(&b", "[..]);
        lines.push(HeaderValue::from_bytes(&joined).expect("two values"));
        response.headers.remove(header::CACHE_CONTROL);
        for line in lines {
            response.headers.append(header::CACHE_CONTROL, line);
        }
        Some(response)
    }

    fn what_a_client_says(&self) {
        let mut headers = self.head.headers().clone();
        self.dialects.drop_from_client(&mut headers);
        policy::drop_hop_by_hop(&mut headers);
        assert!(!headers.contains_key(header::CONNECTION));
        assert_eq!(Wishes::of(&headers), Wishes::of(&headers.clone()));

        let entry = policy::storable_headers(&self.response.headers);
        validators::not_modified(&headers, self.response.status, &entry);
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        assert_eq!(
            validators::not_modified(&headers, self.response.status, &entry),
            self.response.status.is_success(),
            "`*` is whatever is there"
        );
    }

    /// `no-store` and `private` keep out of the store whatever else is said, unless a targeted field replaces them.
    fn restrictions_restrict(&self) {
        let plain = |mut response: Parts| {
            for name in self.dialects.targeted() {
                response.headers.remove(name);
            }
            response
        };
        // RFC 9111 §5.2.2.3 lets `must-understand` lift `no-store`.
        let lifted = self
            .response
            .headers
            .get_all(header::CACHE_CONTROL)
            .iter()
            .any(|line| {
                let line = line.as_bytes().to_ascii_lowercase();
                line.windows(15).any(|window| window == b"must-understand")
            });
        for member in [
            &b"no-store"[..],
            b"private",
            b"No-Store",
            b"PRIVATE",
            b"no-store=1",
        ] {
            if lifted && member.to_ascii_lowercase().starts_with(b"no-store") {
                continue;
            }
            let line = Some(self.with("cache-control", member));
            for response in [line, self.with_member(member)].into_iter().flatten() {
                let (_, verdict) = self.judged_by(
                    &Terms {
                        ttl: self.terms.ttl,
                        ..Terms::default()
                    },
                    &plain(response),
                );
                assert!(
                    matches!(verdict, Verdict::Pass(_)),
                    "{} does not count: {verdict:?}",
                    member.escape_ascii()
                );
            }
        }
    }

    fn garbage_makes_nothing_more_cacheable(&self, before: &Verdict) {
        let lines = GARBAGE
            .iter()
            .chain(QUOTED_GARBAGE)
            .map(|member| ("cache-control", *member));
        for (name, value) in lines.chain(MORE.iter().copied()) {
            let (_, after) = self.judged(&self.with(name, value));
            no_more_cacheable(before, &after, &format!("{name}: {}", value.escape_ascii()));
        }
        for member in GARBAGE {
            if let Some(response) = self.with_member(member) {
                let (_, after) = self.judged(&response);
                no_more_cacheable(before, &after, &format!("…, {}", member.escape_ascii()));
            }
        }
    }

    /// Our fields are off the head after they were read; a safe request invalidates no group (RFC 9875 §3).
    fn our_fields_are_taken_once(&self) {
        let origin = self.head.origin();
        let safe = self.head.is_safe();
        let mut headers = self.response.headers.clone();
        let said = self.dialects.take(|| origin.clone(), safe, &mut headers);
        let again = self.dialects.take(|| origin.clone(), safe, &mut headers);
        assert_eq!(again, Default::default(), "read twice");

        let mut without = self.response.headers.clone();
        without.remove("cache-group-invalidation");
        let without = self.dialects.take(|| origin.clone(), safe, &mut without);
        if safe {
            assert_eq!(
                without.increments, said.increments,
                "a safe request invalidates a group"
            );
        }
        assert_eq!(
            (without.tags, without.unreadable),
            (said.tags, said.unreadable)
        );
    }

    fn what_is_stored_is_usable(&self, meta: &EntryMeta) {
        assert!(
            meta.lifetime <= self.terms.max_ttl,
            "lives too long: {meta:?}"
        );
        assert!(meta.born <= meta.received, "born in the future: {meta:?}");
        assert!(
            meta.vary.is_sorted_by(|a, b| place(a) < place(b)),
            "{:?}",
            meta.vary
        );
        let headers = self.head.headers();
        assert_eq!(
            vary::selecting(&meta.vary, headers),
            vary::selecting(&meta.vary, headers)
        );
        let end = meta.expires();
        let wishes = Wishes::default();
        assert_ne!(
            request::usable(meta, &wishes, end),
            request::Use::Fresh,
            "fresh at its end"
        );
        request::usable(meta, &Wishes::of(headers), NOW);
    }

    /// Whatever the app or its tags say, what we append makes a list whose last member is ours.
    fn cache_status_can_be_read(&self, signals: &Signals, verdict: &Verdict) {
        let end = match verdict {
            Verdict::Store(_) => End::Stored,
            Verdict::Pass(reason) => End::NotStored(*reason),
        };
        let tags: Vec<_> = signals
            .tags
            .iter()
            .flatten()
            .map(|tagged| (&tagged.tag, Stamp::NEVER))
            .collect();
        let text = self.head.absolute_uri();
        let debug = Debug {
            rule: Some(&text),
            tags: &tags,
            ..Debug::default()
        };
        let why = Forward::UriMiss;
        for outcome in [
            Outcome::Forwarded {
                why,
                status: Some(self.response.status),
                end,
                commit: Commit::Deferred,
            },
            Outcome::Forwarded {
                why,
                status: None,
                end: End::NotStored(NoStore::Alone),
                commit: Commit::Done,
            },
            Outcome::Hit {
                ttl: i64::MIN,
                stale: None,
            },
        ] {
            for value in [
                cache_status::render(outcome),
                cache_status::render_with(outcome, &debug),
            ] {
                let mut headers = self.response.headers.clone();
                cache_status::append(&mut headers, value);
                let lines: Vec<&[u8]> = headers
                    .get_all(CACHE_STATUS)
                    .iter()
                    .map(HeaderValue::as_bytes)
                    .collect();
                let field = lines.join(&b", "[..]);
                let list = sfv::Parser::new(&field).parse::<sfv::List>();
                let list = list.unwrap_or_else(|error| panic!("{error}: {}", field.escape_ascii()));
                let ours = list.last().and_then(|last| match last {
                    sfv::ListEntry::Item(item) => item.bare_item.as_token(),
                    sfv::ListEntry::InnerList(_) => None,
                });
                assert_eq!(
                    ours.map(|name| name.as_str()),
                    Some("tagalong"),
                    "{}",
                    field.escape_ascii()
                );
            }
        }
    }
}

/// What is kept out stays out, and what is stored is used no longer without asking the app, and for nobody more.
#[track_caller]
fn no_more_cacheable(before: &Verdict, after: &Verdict, what: &str) {
    let says = |verdict: &Verdict| match verdict {
        Verdict::Store(store) => {
            let meta = &store.meta;
            let fresh = meta.expires() > meta.received;
            let stale = meta.stale;
            let times = [
                stale.while_revalidate,
                stale.if_error,
                stale.if_disconnected,
            ];
            (
                fresh.then_some(meta.lifetime),
                times,
                meta.shareable && fresh,
            )
        }
        Verdict::Pass(_) => (None, [Duration::ZERO; 3], false),
    };
    let ((fresh, stale, shared), (fresh_now, stale_now, shared_now)) = (says(before), says(after));
    let longer = fresh_now > fresh || stale_now.iter().zip(stale).any(|(now, then)| *now > then);
    assert!(
        !longer && shared_now <= shared,
        "`{what}` turns {before:?} into {after:?}"
    );
}

fn ttl(word: &[u8]) -> Option<Duration> {
    let seconds = word.strip_prefix(b"ttl=")?;
    let seconds = std::str::from_utf8(seconds).ok()?.parse::<u32>().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// Fields come before cookies, each in order.
fn place(selector: &Selector) -> (bool, &str) {
    match selector {
        Selector::Field(name) => (false, name.as_str()),
        Selector::Cookie(name) => (true, name),
    }
}
