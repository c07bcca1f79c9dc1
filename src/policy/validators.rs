//! Conditional requests that the stored response answers (RFC 9110 §13, RFC 9111 §4.3.2), and which validators can be
//! told to stand for the same bytes (RFC 9110 §8.8).

use http::header::{DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use crate::model::fields::Lines;
use crate::policy::freshness::http_date;

/// Whether a GET or HEAD with these fields is answered by 304 rather than by the stored response.
///
/// `If-None-Match` wins over `If-Modified-Since` (RFC 9110 §13.2.2); both count only where the answer would be a
/// success (§13.2.1). Without a `Last-Modified` the response's `Date` stands for it (RFC 9111 §4.3.2).
pub fn not_modified(request: &HeaderMap, status: StatusCode, entry: &impl Lines) -> bool {
    if !status.is_success() {
        return false;
    }
    if request.contains_key(IF_NONE_MATCH) {
        let mut lines = request.get_all(IF_NONE_MATCH).iter();
        let etag = entry.line(&ETAG).map(opaque);
        return lines.any(|line| names(line.as_bytes(), etag));
    }
    let Some(since) = request.line(&IF_MODIFIED_SINCE).and_then(http_date) else {
        return false; // the usual case, before any date is read
    };
    let modified = entry.line(&LAST_MODIFIED).or_else(|| entry.line(&DATE));
    modified
        .and_then(http_date)
        .is_some_and(|modified| modified <= since)
}

/// Whether a line of `If-None-Match` is `*` or names the entity tag.
fn names(line: &[u8], etag: Option<&[u8]>) -> bool {
    let mut rest = line.trim_ascii();
    if rest == b"*" {
        return true;
    }
    while !rest.is_empty() {
        let (tag, after) = first_tag(rest);
        if Some(opaque(tag)) == etag {
            return true;
        }
        rest = after.trim_ascii_start();
    }
    false
}

/// The entity tag up to the comma behind it; a comma between quotes belongs to it.
fn first_tag(list: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let end = list.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    });
    match end.and_then(|end| list.split_at_checked(end)) {
        Some((tag, after)) => (tag, after.get(1..).unwrap_or_default()),
        None => (list, b""),
    }
}

/// What the weak comparison compares (RFC 9110 §8.8.3.2).
fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The strong validator of a response, as it goes into `If-Range` (RFC 9110 §13.1.5): its entity tag; its
/// `Last-Modified` only if it has no tag at all, since a weak tag says that the bytes may differ.
pub(super) fn strong(headers: &impl Lines) -> Option<&[u8]> {
    if headers.has(&ETAG) {
        strong_etag(headers)
    } else {
        strong_date(headers)
    }
}

/// Whether two responses share a strong validator, so that bytes of both are bytes of one whole (RFC 9110 §15.3.7.3).
pub fn same_strong_validator(a: &impl Lines, b: &impl Lines) -> bool {
    strong(a).is_some() && strong(a) == strong(b)
}

/// A quoted entity tag without `W/` (RFC 9110 §8.8.3). One without quotes is none, and may be meant either way.
pub(super) fn strong_etag(headers: &impl Lines) -> Option<&[u8]> {
    headers.only(&ETAG).filter(|etag| is_quoted(etag))
}

/// A `Last-Modified` that no later change can share: the response is at least a second younger (RFC 9110 §8.8.2.2).
pub(super) fn strong_date(headers: &impl Lines) -> Option<&[u8]> {
    let modified = headers.only(&LAST_MODIFIED)?;
    let date = headers.only(&DATE).and_then(http_date)?;
    (http_date(modified)? < date).then_some(modified) // dates have whole seconds
}

/// Whether `If-None-Match` with this value would ask for one response: not for several, not for any.
pub(super) fn is_one_tag(value: &[u8]) -> bool {
    let tag = opaque(value);
    is_quoted(tag) || !(tag.is_empty() || tag == b"*" || value.contains(&b','))
}

/// RFC 9110 §8.8.3: `opaque-tag`.
fn is_quoted(tag: &[u8]) -> bool {
    let inner = tag.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\""));
    inner.is_some_and(|inner| inner.iter().all(|b| *b > b' ' && *b != b'"' && *b != 0x7f))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::policy::tests::headers;
    use proptest::prelude::*;

    #[test]
    fn rfc9110_13_conditional_requests() {
        let inm = |value| ("if-none-match", value);
        let ims = |value| ("if-modified-since", value);
        let etag = &[
            ("etag", "\"a\""),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ][..];
        let weak = &[("etag", "W/\"a,b\"")][..];
        let dated = &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")][..];
        let (same, later) = (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:38 GMT",
        );
        for (name, request, status, entry, expected) in [
            ("unconditional", &[][..], 200, etag, false),
            ("§13.1.2 the same", &[inm("\"a\"")], 200, etag, true),
            ("§13.1.2 another", &[inm("\"b\"")], 200, etag, false),
            ("§13.1.2 in a list", &[inm("\"b\", \"a\"")], 200, etag, true),
            (
                "§13.1.2 on another line",
                &[inm("\"b\""), inm("\"a\"")],
                200,
                etag,
                true,
            ),
            ("§13.1.2 any", &[inm("*")], 200, etag, true),
            (
                "§13.1.2 any, without an entity tag",
                &[inm("*")],
                200,
                dated,
                true,
            ),
            (
                "§13.1.2 without an entity tag",
                &[inm("\"a\"")],
                200,
                dated,
                false,
            ),
            (
                "§8.8.3.2 weak in the request",
                &[inm("W/\"a\"")],
                200,
                etag,
                true,
            ),
            (
                "§8.8.3.2 weak in the response",
                &[inm("\"a,b\"")],
                200,
                weak,
                true,
            ),
            (
                "a comma between quotes",
                &[inm("\"x\", W/\"a,b\"")],
                200,
                weak,
                true,
            ),
            ("§13.1.3 the same date", &[ims(same)], 200, etag, true),
            ("§13.1.3 later", &[ims(later)], 200, etag, true),
            (
                "§13.1.3 RFC 850 form",
                &[ims("Sunday, 06-Nov-94 08:49:37 GMT")],
                200,
                etag,
                true,
            ),
            (
                "§13.1.3 earlier",
                &[ims("Sun, 06 Nov 1994 08:49:36 GMT")],
                200,
                etag,
                false,
            ),
            ("§13.1.3 no date", &[ims("yesterday")], 200, etag, false),
            (
                "§13.1.3 beside If-None-Match",
                &[inm("\"b\""), ims(later)],
                200,
                etag,
                false,
            ),
            (
                "RFC 9111 §4.3.2 without Last-Modified",
                &[ims(same)],
                200,
                dated,
                true,
            ),
            ("§13.2.1 not a success", &[inm("\"a\"")], 404, etag, false),
            ("§13.2.1 another success", &[inm("\"a\"")], 203, etag, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let got = not_modified(&headers(request), status, &headers(entry));
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn rfc9110_8_8_strong_validators() {
        let etag = |value| ("etag", value);
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let same_second = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let later = ("date", "Sun, 06 Nov 1994 08:49:38 GMT");
        for (name, fields, expected) in [
            ("none", &[][..], None),
            ("§8.8.3 strong", &[etag("\"a\"")], Some("\"a\"")),
            ("§8.8.3 empty", &[etag("\"\"")], Some("\"\"")),
            ("§8.8.3 weak", &[etag("W/\"a\"")], None),
            ("§8.8.3 without quotes", &[etag("a")], None),
            ("§8.8.3 one quote", &[etag("\"")], None),
            ("§8.8.3 a quote inside", &[etag("\"a\"b\"")], None),
            ("§8.8.3 a blank inside", &[etag("\"a b\"")], None),
            ("two tags", &[etag("\"a\""), etag("\"b\"")], None),
            (
                "§8.8.2.2 a second later",
                &[modified, later],
                Some(modified.1),
            ),
            (
                "§8.8.2.2 in the same second",
                &[modified, same_second],
                None,
            ),
            ("§8.8.2.2 no Date", &[modified], None),
            ("two Dates", &[modified, later, later], None),
            ("no date", &[("last-modified", "x"), later], None),
            (
                "§13.1.5 the tag over the date",
                &[etag("\"a\""), modified, later],
                Some("\"a\""),
            ),
            (
                "§13.1.5 no date beside a weak tag",
                &[etag("W/\"a\""), modified, later],
                None,
            ),
        ] {
            let fields = headers(fields);
            let got = strong(&fields).map(|value| str::from_utf8(value).unwrap());
            assert_eq!(got, expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_list_is_read(line in "[ab\", *W/]{0,40}", etag in "(W/)?\"[ab,]{0,3}\"") {
            let mut request = HeaderMap::new();
            request.append(IF_NONE_MATCH, HeaderValue::from_str(&format!("\"x\",{etag}")).unwrap());
            let mut entry = HeaderMap::new();
            entry.append(ETAG, HeaderValue::from_str(&etag).unwrap());
            prop_assert!(not_modified(&request, StatusCode::OK, &entry));
            request.append(IF_NONE_MATCH, HeaderValue::from_str(&line).unwrap());
            prop_assert!(not_modified(&request, StatusCode::OK, &entry));
        }
    }
}
