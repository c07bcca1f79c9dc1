//! Requests for ranges, of any bytes, and what must hold of what they select.
//!
//! The input is lines, as a person would write a seed: the request's fields; an empty line; the stored response's fields;
//! an empty line; then its content, which may be anything.

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::header;
use tagalong::model::entry::Part;
use tagalong::policy::ranges;
use tagalong::policy::ranges::ContentRange;
use tagalong::policy::ranges::Selected;
use tagalong::policy::ranges::Slice;

use super::fields::fields;

/// More ranges than anybody may ask for (RFC 9110 §14.2).
const TOO_MANY: usize = 17;

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let (request, rest) = block(input);
    let (stored, content) = block(rest);
    let content = Bytes::copy_from_slice(content);
    let len = content.len() as u64;

    let selected = ranges::selected(&Method::GET, &request, &stored, len);
    let again = ranges::selected(&Method::GET, &request, &stored, len);
    assert_eq!(selected, again, "the same fields, another selection");
    if let Selected::Ranges(slices) = &selected {
        right(slices, 0, Some(len), &content);
        together(slices, &content);
    }
    what_is_malformed_selects_the_whole(&request, &stored, len);
    if let Some(range) = ContentRange::of(&stored) {
        assert_eq!(range, read_back(range));
        if let Some(part) = ranges::part(range, len) {
            a_part_answers_as_the_whole_would(&request, &stored, part, &content);
        }
    }
    parts_join_to_the_whole(&content);
}

/// Field lines up to an empty line, and what follows it.
fn block(input: &[u8]) -> (HeaderMap, &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, rest) = match end.and_then(|end| input.split_at_checked(end)) {
        Some((head, rest)) => (head, rest.get(2..).unwrap_or_default()),
        None => (input, &b""[..]),
    };
    (fields(head.split(|byte| *byte == b'\n').take(100)), rest)
}

/// Every slice is there, says where it is, and touches no other.
#[track_caller]
fn right(slices: &[Slice], origin: u64, complete: Option<u64>, content: &Bytes) {
    assert!(
        (1..TOO_MANY).contains(&slices.len()),
        "{} ranges",
        slices.len()
    );
    let mut total = 0;
    for slice in slices {
        let Slice { at, bytes } = slice;
        assert_eq!(at.complete, complete);
        assert_eq!(
            (at.first, at.last + 1),
            (origin + bytes.start as u64, origin + bytes.end as u64)
        );
        assert!(
            bytes.start < bytes.end && bytes.end <= content.len(),
            "{slice:?} of {}",
            content.len()
        );
        assert_eq!(slice.of(content).len(), bytes.len());
        assert_eq!(*at, read_back(*at));
        total += bytes.len();
    }
    assert!(total <= content.len(), "{total} bytes of {}", content.len());
    for (n, one) in slices.iter().enumerate() {
        for other in slices.iter().skip(n + 1) {
            let apart = one.bytes.end < other.bytes.start || other.bytes.end < one.bytes.start;
            assert!(apart, "{one:?} touches {other:?}");
        }
    }
}

fn read_back(range: ContentRange) -> ContentRange {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_RANGE, range.into());
    ContentRange::of(&headers).expect("what was written can be read")
}

/// The boundary stands before each slice and at the end, and nowhere else.
fn together(slices: &[Slice], content: &Bytes) {
    let (content_type, body) = ranges::multipart(slices, None, content);
    let boundary = content_type
        .as_bytes()
        .strip_prefix(b"multipart/byteranges; boundary=");
    let boundary = [b"--", boundary.expect("a boundary")].concat();
    let found = body
        .windows(boundary.len())
        .filter(|window| *window == boundary);
    assert_eq!(found.count(), slices.len() + 1);
}

fn what_is_malformed_selects_the_whole(request: &HeaderMap, stored: &HeaderMap, len: u64) {
    let whole = |method: &Method, request: &HeaderMap, what: &str| {
        let selected = ranges::selected(method, request, stored, len);
        assert_eq!(selected, Selected::Whole, "{what}");
    };
    whole(&Method::POST, request, "another method");
    let Some(range) = request.get(header::RANGE) else {
        return whole(&Method::GET, request, "no range");
    };
    let mut twice = request.clone();
    twice.append(header::RANGE, range.clone());
    whole(&Method::GET, &twice, "two lines");
    for garbage in [
        &b"x"[..],
        b"-",
        b"2-1",
        b"1-2-3",
        b"1 - 2",
        b"+1-2",
        b"\xff",
    ] {
        let mut request = request.clone();
        let line = [range.as_bytes(), garbage].join(&b","[..]);
        request.insert(
            header::RANGE,
            HeaderValue::from_bytes(&line).expect("a value"),
        );
        whole(&Method::GET, &request, "a malformed member");
    }
    for validator in ["x", "", "W/\"e\"", "\"another\", \"e\"", "*"] {
        let mut request = request.clone();
        request.insert(header::IF_RANGE, HeaderValue::from_static(validator));
        whole(&Method::GET, &request, "no validator of this response");
    }
}

fn a_part_answers_as_the_whole_would(
    request: &HeaderMap,
    stored: &HeaderMap,
    part: Part,
    content: &Bytes,
) {
    let len = content.len() as u64;
    let end = part.first.checked_add(len).expect("a part that ends");
    assert!(
        part.complete.is_none_or(|complete| end <= complete),
        "{part:?} of {len}"
    );
    let Some(slices) = ranges::within(&Method::GET, request, stored, part, len) else {
        return;
    };
    right(&slices, part.first, part.complete, content);
    if let Some(complete) = part.complete {
        let Selected::Ranges(of_whole) = ranges::selected(&Method::GET, request, stored, complete)
        else {
            panic!("the part answers what the whole does not: {slices:?}");
        };
        let at = |slices: &[Slice]| slices.iter().map(|slice| slice.at).collect::<Vec<_>>();
        assert_eq!(at(&slices), at(&of_whole));
    }
}

/// Cut where its first two bytes say, the content comes together again, under one validator alone.
fn parts_join_to_the_whole(content: &Bytes) {
    let [one, other, ..] = content[..] else {
        return;
    };
    let (one, other) = (
        usize::from(one) % content.len(),
        usize::from(other) % content.len(),
    );
    let (start, end) = (one.min(other), one.max(other));
    if end == 0 {
        return; // nothing in front
    }
    let complete = Some(content.len() as u64);
    let front = Part {
        first: 0,
        complete,
        is_tail: false,
    };
    let back = Part {
        first: start as u64,
        complete,
        is_tail: true,
    };
    let (head, tail) = (content.slice(..end), content.slice(start..));
    let tagged = |etag| {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static(etag));
        headers
    };
    let (this, that, weak) = (tagged("\"e\""), tagged("\"f\""), tagged("W/\"e\""));
    for (old, new) in [
        ((front, &head), (back, &tail)),
        ((back, &tail), (front, &head)),
    ] {
        let joined = ranges::combined((&this, old.0, old.1), (&this, new.0, new.1));
        let (part, joined) = joined.expect("they overlap or touch");
        let whole = part.is_none() || (start == 0 && end == content.len());
        assert!(whole, "{part:?}");
        assert_eq!(joined, content);
        for (a, b) in [(&this, &that), (&weak, &weak)] {
            assert_eq!(ranges::combined((a, old.0, old.1), (b, new.0, new.1)), None);
        }
    }
}
