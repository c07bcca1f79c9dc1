//! `Cache-Status` (RFC 9211): what became of a request, in the words of design.md §3.

use std::fmt;
use std::fmt::Write as _;
use std::io::Cursor;
use std::io::Write as _;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::Entry;
use sfv::List;
use sfv::Parser;

use crate::model::key::ComposedKey;
use crate::model::outcome::End;
use crate::model::outcome::Forward;
use crate::model::outcome::Outcome;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;

/// The field.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The largest integer of a structured field (RFC 9651 §3.3.1).
const MAX_INTEGER: i64 = 999_999_999_999_999;

/// A line without what only some may see is at most so long, in bytes.
const USUAL_LINE: usize = 96;

/// What is added for those who may see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Debug<'a> {
    /// The full identity of what answered: `key="…"`.
    pub key: Option<ComposedKey>,
    /// The rule: `rule="…"`.
    pub rule: Option<&'a str>,
    /// Each tag with its stamp: `tags="User:42@17 Dashboard@3"`.
    pub tags: &'a [(&'a Tag, Stamp)],
    /// What happened, in words, in place of the usual detail: `detail="User:42 incremented 3s ago by POST /users/42"`.
    pub detail: Option<&'a str>,
}

/// The value of the field: `tagalong; hit; ttl=57`.
pub fn render(outcome: Outcome) -> HeaderValue {
    if let Outcome::Hit { ttl, stale: None } = outcome {
        return hit(ttl);
    }
    render_with(outcome, &Debug::default())
}

/// The value of the field with what only some may see.
pub fn render_with(outcome: Outcome, debug: &Debug) -> HeaderValue {
    let mut text = String::with_capacity(USUAL_LINE);
    write!(text, "{}", Line { outcome, debug }).expect("a string takes all");
    HeaderValue::from_str(&text).expect("it is made of printable ASCII")
}

/// Adds our member behind those of the caches behind us (RFC 9211 §2).
///
/// A field of which one line is malformed is ignored whole (RFC 9651 §4.2), our member with it: then the lines that are
/// malformed by themselves are dropped. Nothing that a recipient could have read is lost.
pub fn append(headers: &mut HeaderMap, value: HeaderValue) {
    let there = match headers.entry(CACHE_STATUS) {
        Entry::Vacant(none) => {
            none.insert(value);
            return;
        }
        Entry::Occupied(there) => there,
    };
    let lines: Vec<HeaderValue> = there.iter().cloned().collect();
    let whole: Vec<&[u8]> = lines.iter().map(HeaderValue::as_bytes).collect();
    if members(&whole.join(&b", "[..])).is_some_and(|count| count > 0) {
        headers.append(CACHE_STATUS, value);
        return;
    }
    headers.remove(CACHE_STATUS);
    let sound = |line: &HeaderValue| members(line.as_bytes()).is_some_and(|count| count > 0);
    for line in lines.into_iter().filter(sound) {
        headers.append(CACHE_STATUS, line);
    }
    headers.append(CACHE_STATUS, value);
}

/// How many members a structured list has; `None` if it is none.
fn members(text: &[u8]) -> Option<usize> {
    let list = Parser::new(text).parse::<List>().ok()?;
    Some(list.len())
}

/// Built on the stack, as hits are many: one allocation, the value's own.
fn hit(ttl: i64) -> HeaderValue {
    let mut line = Cursor::new([0_u8; 48]);
    let mut digits = itoa::Buffer::new();
    let parts = ["tagalong; hit; ttl=", digits.format(integer(ttl))];
    for part in parts {
        line.write_all(part.as_bytes())
            .expect("19 bytes and at most 16 digits");
    }
    let end = usize::try_from(line.position()).unwrap_or_default();
    let text = line.get_ref().get(..end).unwrap_or_default();
    HeaderValue::from_bytes(text).expect("it is made of printable ASCII")
}

struct Line<'a> {
    outcome: Outcome,
    debug: &'a Debug<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tagalong")?;
        match self.outcome {
            Outcome::Hit { ttl, .. } => write!(f, "; hit; ttl={}", integer(ttl))?,
            Outcome::Forwarded {
                why, status, end, ..
            } => {
                f.write_str("; fwd=")?;
                f.write_str(reason(why))?;
                if let Some(status) = status {
                    f.write_str("; fwd-status=")?;
                    f.write_str(status.as_str())?;
                }
                if end == End::Stored {
                    f.write_str("; stored")?;
                }
            }
            Outcome::Collapsed { why } => write!(f, "; fwd={}; collapsed", reason(why))?,
            // Neither a hit nor forwarded (RFC 9211 §2.1, §2.2): the detail says it all.
            Outcome::Refused(_) | Outcome::Broken => {}
        }
        match (self.debug.detail, self.outcome.detail()) {
            (Some(text), _) => write!(f, "; detail={}", Quoted(text))?,
            (None, Some(word)) => {
                f.write_str("; detail=")?;
                f.write_str(word)?;
            }
            (None, None) => {}
        }
        if let Some(key) = self.debug.key {
            write!(f, "; key=\"{key}\"")?;
        }
        if let Some(rule) = self.debug.rule {
            write!(f, "; rule={}", Quoted(rule))?;
        }
        self.tags(f)
    }
}

impl Line<'_> {
    fn tags(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.debug.tags.is_empty() {
            return Ok(());
        }
        let mut tags = String::new();
        for (n, (tag, stamp)) in self.debug.tags.iter().enumerate() {
            let space = if n > 0 { " " } else { "" };
            write!(tags, "{space}{tag}@{stamp}")?;
        }
        write!(f, "; tags={}", Quoted(&tags))
    }
}

/// The nearest integer that a structured field can hold.
fn integer(seconds: i64) -> i64 {
    seconds.clamp(-MAX_INTEGER, MAX_INTEGER)
}

/// The words of RFC 9211 §2.2.
fn reason(why: Forward) -> &'static str {
    match why {
        Forward::UriMiss => "uri-miss",
        Forward::VaryMiss => "vary-miss",
        Forward::Partial => "partial",
        Forward::Expired | Forward::Invalidated => "stale",
        Forward::Request => "request",
        Forward::Method => "method",
        Forward::Bypass(_) => "bypass",
    }
}

/// A string of RFC 9651 §3.3.3: printable ASCII in quotes; other bytes are percent-encoded.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for byte in self.0.bytes() {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::KeyFields;
    use crate::model::outcome::Bypass;
    use crate::model::outcome::Commit;
    use crate::model::outcome::NoStore;
    use crate::model::outcome::Refusal;
    use crate::model::outcome::Stale;
    use http::StatusCode;
    use proptest::prelude::*;

    #[test]
    fn every_outcome_has_its_line() {
        let forwarded = |why, end| Outcome::Forwarded {
            why,
            status: None,
            end,
            commit: Commit::Done,
        };
        let hit = |ttl, stale| Outcome::Hit { ttl, stale };
        let not_stored = |why, reason| forwarded(why, End::NotStored(reason));
        let bypass = |reason| forwarded(Forward::Bypass(reason), End::Passed);
        for (outcome, expected) in [
            (hit(57, None), "hit; ttl=57"),
            (hit(-3, None), "hit; ttl=-3"),
            (hit(i64::MIN, None), "hit; ttl=-999999999999999"),
            (hit(i64::MAX, None), "hit; ttl=999999999999999"),
            (
                hit(-3, Some(Stale::WhileRevalidate)),
                "hit; ttl=-3; detail=stale-while-revalidate",
            ),
            (
                hit(-3, Some(Stale::IfError)),
                "hit; ttl=-3; detail=stale-if-error",
            ),
            (
                hit(-3, Some(Stale::Disconnected)),
                "hit; ttl=-3; detail=disconnected",
            ),
            (
                hit(-3, Some(Stale::MaxStale)),
                "hit; ttl=-3; detail=max-stale",
            ),
            (
                Outcome::Forwarded {
                    why: Forward::Method,
                    status: None,
                    end: End::Passed,
                    commit: Commit::Deferred,
                },
                "fwd=method; detail=increment-deferred",
            ),
            (
                Outcome::Forwarded {
                    why: Forward::Expired,
                    status: Some(StatusCode::NOT_MODIFIED),
                    end: End::Revalidated,
                    commit: Commit::Done,
                },
                "fwd=stale; fwd-status=304; detail=revalidated",
            ),
            (
                forwarded(Forward::Partial, End::Stored),
                "fwd=partial; stored",
            ),
            (
                forwarded(Forward::UriMiss, End::Stored),
                "fwd=uri-miss; stored",
            ),
            (
                forwarded(Forward::VaryMiss, End::Stored),
                "fwd=vary-miss; stored",
            ),
            (
                forwarded(Forward::Expired, End::Stored),
                "fwd=stale; stored; detail=expired",
            ),
            (
                forwarded(Forward::Invalidated, End::Stored),
                "fwd=stale; stored; detail=invalidated",
            ),
            (
                forwarded(Forward::Request, End::Stored),
                "fwd=request; stored",
            ),
            (
                Outcome::Collapsed {
                    why: Forward::UriMiss,
                },
                "fwd=uri-miss; collapsed",
            ),
            (
                Outcome::Collapsed {
                    why: Forward::Invalidated,
                },
                "fwd=stale; collapsed",
            ),
            (forwarded(Forward::Method, End::Passed), "fwd=method"),
            (bypass(Bypass::Rule), "fwd=bypass; detail=rule"),
            (
                bypass(Bypass::Authorization),
                "fwd=bypass; detail=authorization",
            ),
            (
                not_stored(Forward::UriMiss, NoStore::Raced),
                "fwd=uri-miss; detail=raced",
            ),
            (
                not_stored(Forward::UriMiss, NoStore::TooManyTags),
                "fwd=uri-miss; detail=too-many-tags",
            ),
            (
                not_stored(Forward::Expired, NoStore::SetCookie),
                "fwd=stale; detail=set-cookie",
            ),
            (
                bypass(Bypass::HitForMiss),
                "fwd=bypass; detail=hit-for-miss",
            ),
            (
                Outcome::Refused(Refusal::OnlyIfCached),
                "detail=only-if-cached",
            ),
            (Outcome::Refused(Refusal::Overloaded), "detail=overloaded"),
            (Outcome::Refused(Refusal::Waited), "detail=coalesce-timeout"),
            (Outcome::Broken, "detail=internal-error"),
        ] {
            let expected = format!("tagalong; {expected}");
            assert_eq!(render(outcome), expected);
            assert_eq!(render_with(outcome, &Debug::default()), expected);
        }
    }

    #[test]
    fn debug_adds_key_rule_and_tags() {
        let tag = Tag::parse("Café:1").unwrap();
        let key = KeyFields::new()
            .base_key()
            .only_variant()
            .composed(std::iter::empty());
        let debug = Debug {
            key: Some(key),
            rule: Some("a \"rule\""),
            tags: &[(&tag, Stamp::from_raw(17)), (&Tag::all(), Stamp::NEVER)],
            detail: Some("User:42 incremented 3s ago by POST /users/42"),
        };
        let outcome = Outcome::Forwarded {
            why: Forward::Invalidated,
            status: None,
            end: End::Stored,
            commit: Commit::Done,
        };
        assert_eq!(
            render_with(outcome, &debug),
            format!(
                "tagalong; fwd=stale; stored; detail=\"User:42 incremented 3s ago by POST /users/42\"; \
                 key=\"{key}\"; rule=\"a \\\"rule\\\"\"; tags=\"Caf%C3%A9:1@17 ~all@0\""
            )
        );
    }

    #[test]
    fn rfc9211_2_our_member_is_the_last_of_a_list_that_can_be_read() {
        for (name, lines, expected) in [
            ("none", &[][..], &[][..]),
            ("one", &["a; hit"], &["a; hit"]),
            ("several", &["a; hit, \"b\"", "c"], &["a; hit, \"b\"", "c"]),
            (
                "a member over two lines",
                &["a; detail=\"x", "y\""],
                &["a; detail=\"x", "y\""],
            ),
            ("malformed", &["hit from (cache"], &[]),
            (
                "malformed beside a sound one",
                &["a; hit", "b; ttl=", "c"],
                &["a; hit", "c"],
            ),
            ("ends in a comma", &["a,"], &[]),
            ("empty", &[""], &[]),
            ("empty beside a sound one", &["", "a"], &["a"]),
            ("not ASCII", &["é"], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(
                    CACHE_STATUS,
                    HeaderValue::from_bytes(line.as_bytes()).unwrap(),
                );
            }
            append(&mut headers, HeaderValue::from_static("tagalong; hit"));
            let got: Vec<&HeaderValue> = headers.get_all(CACHE_STATUS).iter().collect();
            let expected: Vec<&str> = expected.iter().copied().chain(["tagalong; hit"]).collect();
            assert_eq!(got, expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_stood_there_our_member_can_be_read(lines in proptest::collection::vec("[a\",;=( )\\\\é]{0,6}", 0..4)) {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(CACHE_STATUS, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            append(&mut headers, HeaderValue::from_static("tagalong; hit"));
            let field: Vec<&[u8]> = headers.get_all(CACHE_STATUS).iter().map(HeaderValue::as_bytes).collect();
            prop_assert!(members(&field.join(&b", "[..])).is_some(), "{field:?}");
        }

        #[test]
        fn whatever_is_quoted_the_line_is_a_structured_list(text in any::<String>()) {
            let debug = Debug { rule: Some(&text), detail: Some(&text), ..Debug::default() };
            let line = render_with(Outcome::Hit { ttl: 1, stale: None }, &debug);
            let list = sfv::Parser::new(line.as_bytes()).parse::<sfv::List>();
            prop_assert_eq!(list.unwrap().len(), 1);
        }
    }
}
