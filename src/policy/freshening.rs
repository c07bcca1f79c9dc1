//! Asking the app whether a stored response is still right, and what its answer makes of it (RFC 9111 §4.3).

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, TRAILER,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::model::entry::Entry;
use crate::model::fields::Fields;
use crate::model::fields::Lines;
use crate::policy::fields::storable_headers;
use crate::policy::freshness::http_date;
use crate::policy::validators::is_one_tag;
use crate::policy::validators::strong;

/// Fields that stay as they are stored, and absent if they are: they describe the bytes that are held, and neither a 304
/// nor a HEAD brings others. RFC 9111 §3.2 lets a cache leave out of an update what its work depends on.
const OF_THE_CONTENT: [HeaderName; 8] = [
    // How to decode the bytes, and which they are.
    CONTENT_ENCODING,
    CONTENT_RANGE,
    // Digests of these bytes. That of a 304's own content is one of nothing (RFC 9530 §2); that of the representation
    // may be of other bytes, where the validator is a weak one (§3).
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    // The name of these bytes. A 304 with another one still answers our condition: Apache's mod_deflate takes its own
    // suffix off the condition and need not put it back. To drop a stored response whose tag differs (RFC 9111 §4.3.4)
    // is for caches that asked with the tags of several.
    ETAG,
    // Of the message that has brought the bytes.
    TRAILER,
];

/// What a successful HEAD says of the stored response to a GET of the same URI (RFC 9111 §4.3.5).
#[derive(Debug)]
pub enum HeadSays {
    /// It is still that one: its head with the new fields, to be judged as [`freshened`]'s.
    Same(Parts),
    /// It is another by now: what is stored is stale.
    Other,
    /// Nothing, as the HEAD was no success.
    Nothing,
}

/// The conditions that ask the app whether what is stored is still right (RFC 9111 §4.3.1); none if it has no validator.
///
/// An entity tag goes as it came, with quotes or without; one that would read as several or as any (`*`) does not go.
pub fn conditions(entry: &Entry) -> Vec<(HeaderName, HeaderValue)> {
    let (etag, modified) = (etag(entry), modified(entry));
    let conditions = [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, modified)];
    let conditions = conditions.into_iter();
    conditions
        .filter_map(|(name, value)| Some((name, HeaderValue::from_bytes(value?).ok()?)))
        .collect()
}

/// Whether the app can be asked so.
pub fn has_validator(entry: &Entry) -> bool {
    etag(entry).or_else(|| modified(entry)).is_some()
}

fn etag(entry: &Entry) -> Option<&[u8]> {
    entry.headers.only(&ETAG).filter(|etag| is_one_tag(etag))
}

fn modified(entry: &Entry) -> Option<&[u8]> {
    let modified = entry.headers.only(&LAST_MODIFIED);
    modified.filter(|date| http_date(date).is_some())
}

/// The validator to put into `If-Range` when the rest of a stored part is asked for (RFC 9110 §13.1.5): a strong one.
pub fn if_range(entry: &Entry) -> Option<HeaderValue> {
    HeaderValue::from_bytes(strong(&entry.headers)?).ok()
}

/// The stored response with what a 304 says (RFC 9111 §4.3.4), as if it had just come from the app: to be judged again.
///
/// Its status is the stored one. Each field of the 304 takes the place of all lines of that name, except those that
/// belong to the connection or to the content. The fields addressed to this cache are in force as stored, each unless the
/// 304 brings it. `Age` and `Date` are those of the 304, as freshness counts from there.
pub fn freshened(entry: &Entry, not_modified: &Parts) -> Parts {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = entry.status;
    parts.version = not_modified.version;
    parts.headers = in_force(entry);
    parts.headers.remove(AGE);
    parts.headers.remove(DATE);
    let mut new = storable_headers(&not_modified.headers);
    for name in OF_THE_CONTENT {
        new.remove(name);
    }
    parts.headers.extend(new); // takes the place of what is there
    parts
}

/// All fields of the stored response, those addressed to this cache too.
pub fn in_force(entry: &Entry) -> HeaderMap {
    let targeted = entry.targeted.as_deref();
    let mut headers = entry.headers.to_header_map(targeted.map_or(0, Fields::len));
    if let Some(targeted) = targeted {
        headers.extend(targeted.to_header_map(0)); // takes the place of what is there
    }
    headers
}

/// What a HEAD says of the stored response: it is the same if it was a success with the stored values of all validators
/// that it brings, and with the length of what is stored, if it brings one (RFC 9111 §4.3.5).
///
/// So must be its `Content-Encoding`: a HEAD that brings another speaks of other bytes. One that brings no validator says
/// nothing: the RFC would have it renew what is stored, and whoever asks by HEAD whether a page is up, minute by minute,
/// would keep old content alive for good.
pub fn head_says(entry: &Entry, head: &Parts) -> HeadSays {
    if head.status != StatusCode::OK {
        return HeadSays::Nothing;
    }
    let agrees = |name: &HeaderName| {
        !head.headers.contains_key(name) || head.headers.lines(name).eq(entry.headers.lines(name))
    };
    let same = [ETAG, LAST_MODIFIED, CONTENT_ENCODING].iter().all(agrees);
    if entry.status != head.status || !same || !has_length_of(entry, &head.headers) {
        return HeadSays::Other;
    }
    let validates = |name| head.headers.contains_key(name);
    if [ETAG, LAST_MODIFIED].iter().any(validates) {
        HeadSays::Same(freshened(entry, head))
    } else {
        HeadSays::Nothing
    }
}

/// Whether `Content-Length`, if there is one, is the length of the stored whole.
fn has_length_of(entry: &Entry, head: &HeaderMap) -> bool {
    if !head.contains_key(CONTENT_LENGTH) {
        return true;
    }
    let length = match &entry.part {
        None => Some(entry.body.len() as u64),
        Some(part) => part.complete,
    };
    let said = head.only(&CONTENT_LENGTH);
    length.is_some_and(|length| said == Some(length.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::Conditions;
    use crate::model::entry::EntryMeta;
    use crate::model::entry::Part;
    use crate::model::entry::StaleUse;
    use crate::model::fields::Fields as Kept;
    use crate::model::time::Timestamp;
    use crate::policy::tests::headers;
    use crate::policy::validators::same_strong_validator;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::time::Duration;

    const DATE_1: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const DATE_2: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    type Fields<'a> = &'a [(&'static str, &'a str)];

    fn entry(fields: Fields<'_>) -> Entry {
        Entry {
            status: StatusCode::OK,
            headers: Kept::of(&headers(fields)),
            targeted: None,
            body: Bytes::from_static(b"01234"),
            part: None,
            meta: EntryMeta {
                received: Timestamp::from_secs(0),
                born: Timestamp::from_secs(0),
                lifetime: Duration::ZERO,
                soft_until: None,
                conditions: Conditions {
                    stale: StaleUse::default(),
                    shareable: false,
                    vary: [].into(),
                }
                .into(),
            },
        }
    }

    fn response(status: u16, fields: Fields<'_>) -> Parts {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(status).unwrap();
        parts.headers = headers(fields);
        parts
    }

    /// `name: value` of each line, by name; lines of one name stay in order.
    fn shown(headers: &HeaderMap) -> String {
        let mut lines: Vec<_> = headers.iter().collect();
        lines.sort_by_key(|(name, _)| name.as_str());
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        lines.into_iter().map(line).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn rfc9111_4_3_1_conditions_from_the_validators() {
        let etag = |value| ("etag", value);
        let modified = ("last-modified", DATE_1);
        let both = format!("if-modified-since: {DATE_1}; if-none-match: W/\"a\"");
        let since = format!("if-modified-since: {DATE_1}");
        for (name, fields, expected) in [
            ("no validator", &[("date", DATE_1)][..], ""),
            ("strong", &[etag("\"a\"")], "if-none-match: \"a\""),
            ("weak", &[etag("W/\"a\"")], "if-none-match: W/\"a\""),
            ("no quotes", &[etag("a")], "if-none-match: a"),
            (
                "weak in its own way",
                &[etag("w/\"a\"")],
                "if-none-match: w/\"a\"",
            ),
            (
                "a comma in quotes",
                &[etag("\"a,b\"")],
                "if-none-match: \"a,b\"",
            ),
            ("would read as several", &[etag("a,b")], ""),
            ("would read as several, quoted", &[etag("\"a\",\"b\"")], ""),
            ("would read as any", &[etag("*")], ""),
            ("empty", &[etag("")], ""),
            ("two tags", &[etag("\"a\""), etag("\"b\"")], ""),
            ("a date", &[modified], &since),
            ("both", &[etag("W/\"a\""), modified], &both),
            ("no date", &[("last-modified", "yesterday")], ""),
            ("two dates", &[modified, modified], ""),
        ] {
            let conditions = conditions(&entry(fields)).into_iter().collect();
            assert_eq!(shown(&conditions), expected, "{name}");
        }
    }

    #[test]
    fn rfc9110_13_1_5_if_range_takes_a_strong_validator() {
        let later = ("date", DATE_2);
        let modified = ("last-modified", DATE_1);
        for (name, fields, expected) in [
            (
                "strong tag",
                &[("etag", "\"a\""), modified, later][..],
                Some("\"a\""),
            ),
            ("weak tag", &[("etag", "W/\"a\""), modified, later], None),
            ("strong date", &[modified, later], Some(DATE_1)),
            ("weak date", &[modified, ("date", DATE_1)], None),
            ("none", &[], None),
        ] {
            let got = if_range(&entry(fields));
            assert_eq!(got, expected.map(HeaderValue::from_static), "{name}");
        }
        let is_same =
            |a: Fields<'_>, b: Fields<'_>| same_strong_validator(&headers(a), &headers(b));
        let tagged = &[("etag", "\"a\"")][..];
        let dated = &[modified, later][..];
        assert!(
            is_same(tagged, &[("etag", "\"a\""), modified]),
            "tags agree"
        );
        assert!(is_same(
            dated,
            &[modified, ("date", "Mon, 07 Nov 1994 08:49:37 GMT")]
        ));
        assert!(!is_same(tagged, dated), "not the same kind");
        assert!(!is_same(&[], &[]), "none is no agreement");
        assert!(!is_same(
            &[("etag", "\"b\""), modified, later],
            &[("etag", "\"a\""), modified, later]
        ));
    }

    #[test]
    fn rfc9111_4_3_4_what_a_304_changes() {
        for (name, stored, targeted, new, expected) in [
            ("nothing said", &[("a", "1")][..], &[][..], &[][..], "a: 1"),
            (
                "§3.2 replaced",
                &[("a", "1"), ("b", "1")],
                &[],
                &[("a", "2")],
                "a: 2; b: 1",
            ),
            (
                "§3.2 added",
                &[("a", "1")],
                &[],
                &[("b", "2")],
                "a: 1; b: 2",
            ),
            (
                "§3.2 all lines of a name",
                &[("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")],
                &[],
                &[("a", "3"), ("b", "4"), ("b", "5")],
                "a: 3; b: 4; b: 5",
            ),
            (
                "§3.1 what belongs to the connection",
                &[("a", "1")],
                &[],
                &[
                    ("connection", "a"),
                    ("a", "2"),
                    ("keep-alive", "x"),
                    ("transfer-encoding", "x"),
                ],
                "a: 1",
            ),
            (
                "§3.2 what describes the content",
                &[
                    ("content-encoding", "gzip"),
                    ("content-md5", "1"),
                    ("digest", "1"),
                    ("repr-digest", "1"),
                ],
                &[],
                &[
                    ("content-encoding", "br"),
                    ("content-md5", "2"),
                    ("digest", "2"),
                    ("repr-digest", "2"),
                    ("content-length", "10"),
                    ("content-range", "bytes 0-1/2"),
                    ("content-digest", "2"),
                    ("trailer", "x"),
                ],
                "content-encoding: gzip; content-md5: 1; digest: 1; repr-digest: 1",
            ),
            (
                "§4.3.4 another tag",
                &[("etag", "\"a\"")],
                &[],
                &[("etag", "\"b\"")],
                "etag: \"a\"",
            ),
            (
                "§4.3.4 a tag, where there was none",
                &[],
                &[],
                &[("etag", "\"b\"")],
                "",
            ),
            (
                "what is about the representation and not its bytes",
                &[
                    ("content-type", "a/b"),
                    ("content-location", "/a"),
                    ("vary", "a"),
                    ("set-cookie", "a"),
                ],
                &[],
                &[
                    ("content-type", "a/c"),
                    ("content-location", "/b"),
                    ("vary", "b"),
                    ("set-cookie", "b"),
                ],
                "content-location: /b; content-type: a/c; set-cookie: b; vary: b",
            ),
            (
                "§4.2.3 Age and Date are new",
                &[("age", "9"), ("date", "1")],
                &[],
                &[("age", "1"), ("date", "2")],
                "age: 1; date: 2",
            ),
            (
                "§4.2.3 Age and Date are not old",
                &[("age", "9"), ("date", "1")],
                &[],
                &[],
                "",
            ),
            (
                "RFC 9213 §2.2 targeted, in force",
                &[("cache-control", "max-age=1")],
                &[
                    ("cdn-cache-control", "max-age=9"),
                    ("cdn-cache-control", "public"),
                ],
                &[("cache-control", "max-age=2")],
                "cache-control: max-age=2; cdn-cache-control: max-age=9; cdn-cache-control: public",
            ),
            (
                "RFC 9213 §2.2 targeted, said anew",
                &[],
                &[("x-cc", "max-age=9"), ("y-cc", "max-age=8")],
                &[("x-cc", "no-store")],
                "x-cc: no-store; y-cc: max-age=8",
            ),
            (
                "targeted, shown to clients too",
                &[("x-cc", "max-age=9")],
                &[("x-cc", "max-age=9")],
                &[],
                "x-cc: max-age=9",
            ),
        ] {
            let mut entry = entry(stored);
            entry.targeted = Kept::unless_none(&headers(targeted));
            let got = freshened(&entry, &response(304, new));
            assert_eq!(shown(&got.headers), expected, "{name}");
            assert_eq!(got.status, StatusCode::OK, "{name}");
        }
    }

    #[test]
    fn rfc9111_4_3_5_what_a_head_says() {
        let stored = &[("etag", "\"a\""), ("last-modified", DATE_1), ("a", "1")][..];
        for (name, stored, status, head, expected) in [
            ("no validator", stored, 200, &[("a", "2")][..], "nothing"),
            ("the same tag", stored, 200, &[("etag", "\"a\"")], "same"),
            ("another tag", stored, 200, &[("etag", "\"b\"")], "other"),
            ("weak by now", stored, 200, &[("etag", "W/\"a\"")], "other"),
            (
                "two tags",
                stored,
                200,
                &[("etag", "\"a\""), ("etag", "\"b\"")],
                "other",
            ),
            (
                "the same date",
                stored,
                200,
                &[("last-modified", DATE_1)],
                "same",
            ),
            (
                "another date",
                stored,
                200,
                &[("last-modified", DATE_2)],
                "other",
            ),
            (
                "the same tag, another date",
                stored,
                200,
                &[("etag", "\"a\""), ("last-modified", DATE_2)],
                "other",
            ),
            (
                "a tag, where there was none",
                &[],
                200,
                &[("etag", "\"a\"")],
                "other",
            ),
            (
                "the same length alone",
                stored,
                200,
                &[("content-length", "5")],
                "nothing",
            ),
            (
                "the same tag and length",
                stored,
                200,
                &[("etag", "\"a\""), ("content-length", "5")],
                "same",
            ),
            (
                "another length",
                stored,
                200,
                &[("content-length", "6")],
                "other",
            ),
            (
                "no length",
                stored,
                200,
                &[("content-length", "x")],
                "other",
            ),
            (
                "two lengths",
                stored,
                200,
                &[("content-length", "5"), ("content-length", "5")],
                "other",
            ),
            (
                "another coding",
                stored,
                200,
                &[("content-encoding", "br")],
                "other",
            ),
            ("gone", stored, 410, &[("etag", "\"b\"")], "nothing"),
            ("an error", stored, 500, &[], "nothing"),
            ("not modified", stored, 304, &[], "nothing"),
        ] {
            let got = match head_says(&entry(stored), &response(status, head)) {
                HeadSays::Same(_) => "same",
                HeadSays::Other => "other",
                HeadSays::Nothing => "nothing",
            };
            assert_eq!(got, expected, "{name}");
        }
        let renews = response(200, &[("etag", "\"a\""), ("a", "2")]);
        let HeadSays::Same(parts) = head_says(&entry(stored), &renews) else {
            panic!("it has the stored tag");
        };
        let expected = format!("a: 2; etag: \"a\"; last-modified: {DATE_1}");
        assert_eq!(shown(&parts.headers), expected);
    }

    #[test]
    fn rfc9111_4_3_5_a_head_beside_what_is_no_whole_success() {
        let tag = ("etag", "\"a\"");
        let says = |entry: &Entry, length: &str| {
            head_says(entry, &response(200, &[tag, ("content-length", length)]))
        };
        let mut not_found = entry(&[tag]);
        not_found.status = StatusCode::NOT_FOUND;
        assert!(matches!(says(&not_found, "5"), HeadSays::Other));
        let mut stored = entry(&[tag]);
        stored.part = Some(Box::new(Part {
            first: 0,
            complete: Some(10),
            is_tail: false,
        }));
        assert!(matches!(says(&stored, "10"), HeadSays::Same(_)));
        assert!(matches!(says(&stored, "5"), HeadSays::Other));
        stored.part = Some(Box::new(Part {
            first: 0,
            complete: None,
            is_tail: false,
        }));
        assert!(matches!(says(&stored, "5"), HeadSays::Other));
    }

    proptest! {
        #[test]
        fn any_answer_is_merged(stored in fields(), new in fields()) {
            let entry = Entry { headers: Kept::of(&stored), ..entry(&[]) };
            let mut response = response(304, &[]);
            response.headers = new;
            let merged = freshened(&entry, &response).headers;
            conditions(&entry);
            if_range(&entry);
            for name in &OF_THE_CONTENT {
                prop_assert_eq!(merged.get_all(name), stored.get_all(name));
            }
            for name in [AGE, DATE, LAST_MODIFIED, http::header::CACHE_CONTROL] {
                let new = response.headers.get_all(&name);
                let kept = [AGE, DATE].contains(&name) || response.headers.contains_key(&name);
                prop_assert_eq!(merged.get_all(&name), if kept { new } else { stored.get_all(&name) });
            }
        }
    }

    /// Some of the fields that matter, with any bytes.
    fn fields() -> impl Strategy<Value = HeaderMap> {
        const NAMES: [&str; 8] = [
            "age",
            "cache-control",
            "content-encoding",
            "content-range",
            "date",
            "digest",
            "etag",
            "last-modified",
        ];
        let field = (
            proptest::sample::select(&NAMES[..]),
            proptest::collection::vec(any::<u8>(), 0..6),
        );
        proptest::collection::vec(field, 0..8).prop_map(|fields| {
            let values = fields
                .into_iter()
                .map(|(name, value)| (name, HeaderValue::from_bytes(&value)));
            let mut headers = HeaderMap::new();
            for (name, value) in values {
                if let Ok(value) = value {
                    headers.append(name, value);
                }
            }
            headers
        })
    }
}
