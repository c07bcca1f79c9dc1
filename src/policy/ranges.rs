//! Ranges: what of a stored response a request with `Range` is sent (RFC 9110 §14), and which part of the whole a 206
//! is (RFC 9111 §3.3, §3.4).
//!
//! Whatever is malformed or in bad faith selects the whole. A part answers only what lies wholly inside it.

use std::fmt;
use std::fmt::Write;
use std::ops::Range;

use bytes::Bytes;
use bytes::BytesMut;
use http::header::{CONTENT_RANGE, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method};

use crate::model::entry::Part;
use crate::model::fields::Lines;
use crate::policy::validators::same_strong_validator;
use crate::policy::validators::strong_date;
use crate::policy::validators::strong_etag;

/// More ranges than this in one request are a broken client or an attack (RFC 9110 §14.2).
const MAX_RANGES: usize = 16;

/// How much a request asks for, before it is known what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it.
    Whole,
    /// One range.
    One,
    /// Several ranges.
    Several,
}

/// How much a request asks for. Whether its `If-Range` holds is another question.
pub fn asked(method: &Method, request: &HeaderMap) -> Asked {
    match specs(method, request).as_deref() {
        None => Asked::Whole,
        Some([_]) => Asked::One,
        Some(_) => Asked::Several,
    }
}

/// What a request selects of a whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// All of it: it asks for no range, or not in a way that counts.
    Whole,
    /// Nothing: 416, with [`unsatisfied`] as its `Content-Range`.
    Unsatisfiable,
    /// These, in the order asked, at least one, none touching another: 206.
    Ranges(Vec<Slice>),
}

/// A range that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// What its `Content-Range` says.
    pub at: ContentRange,
    /// Where its bytes are in the content it was selected from.
    pub bytes: Range<usize>,
}

/// What a 206 says of its content (RFC 9110 §14.4): `bytes 4-9/10`, or `bytes 4-9/*` where nobody knows how long the
/// whole is. `first` is not after `last`, nor `last` after the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The position of its first byte in the whole.
    pub first: u64,
    /// The position of its last byte in the whole.
    pub last: u64,
    /// How long the whole is.
    pub complete: Option<u64>,
}

/// What a request selects of a whole of `complete` bytes with these fields.
///
/// This is for answers that would be 200, and comes after all other conditions of the request (RFC 9110 §13.2.2, §14.2).
pub fn selected(
    method: &Method,
    request: &HeaderMap,
    entry_headers: &impl Lines,
    complete: u64,
) -> Selected {
    let Some(asked) = wanted(method, request, entry_headers) else {
        return Selected::Whole;
    };
    let satisfiable = asked.iter().filter_map(|spec| spec.within(complete));
    let satisfiable: Vec<Extent> = satisfiable.collect();
    if satisfiable.is_empty() {
        return Selected::Unsatisfiable;
    }
    // The last bytes of nothing are all of it, for which Content-Range has no words.
    if complete == 0 || sum(&satisfiable) > complete {
        return Selected::Whole;
    }
    let slices = coalesced(satisfiable).into_iter();
    Selected::Ranges(slices.map(|at| at.slice(0, Some(complete))).collect())
}

/// What a request selects of a stored part with `len` bytes of content, in the order asked, at least one; `None`: this
/// part cannot answer it.
///
/// Where nobody knows how long the whole is, ranges counted from its end are found only in its tail, and end where the
/// tail ends; others must lie inside as they were asked.
pub fn within(
    method: &Method,
    request: &HeaderMap,
    entry_headers: &impl Lines,
    part: Part,
    len: u64,
) -> Option<Vec<Slice>> {
    let held = Extent::of(part, len)?;
    let asked = wanted(method, request, entry_headers)?;
    let end = part.complete.or(part.is_tail.then_some(held.end));
    let mut wanted = Vec::with_capacity(asked.len());
    for spec in asked {
        let extent = match (spec, end) {
            (Spec::Between(first, last), _) if part.complete.is_none() => {
                Some(Extent::new(first, last.checked_add(1)?))
            }
            (_, Some(end)) => spec.within(end),
            (_, None) => return None,
        };
        match extent {
            Some(extent) if held.contains(extent) => wanted.push(extent),
            Some(_) => return None,
            None => {} // dropped, as it is from the whole
        }
    }
    if wanted.is_empty() || sum(&wanted) > len {
        return None;
    }
    let slices = coalesced(wanted).into_iter();
    Some(
        slices
            .map(|at| at.slice(part.first, part.complete))
            .collect(),
    )
}

/// Which part of the whole a 206 with this `Content-Range` and `len` bytes of content is; `None`: none that could be
/// used.
///
/// If there is less content than it says, one of its numbers is wrong and nobody can tell which. Positions then count
/// from its first byte, what is lacking is taken as absent, and the length of the whole as unknown: so nothing is ever
/// joined to it. It stays the tail if it said that it was.
pub fn part(range: ContentRange, len: u64) -> Option<Part> {
    let declared = (range.last - range.first).checked_add(1)?;
    if len == 0 || len > declared {
        return None;
    }
    Some(Part {
        first: range.first,
        complete: range.complete.filter(|_| len == declared),
        is_tail: range.complete.is_some_and(|end| range.last + 1 == end),
    })
}

/// Takes off the digests of a whole message's content, which its parts do not have, nor what they are joined to
/// (RFC 9530 §2; `Content-MD5` likewise). Those of the representation hold for all of them (§3).
pub fn drop_digests_of_content(headers: &mut HeaderMap) {
    headers.remove("content-digest");
    headers.remove("content-md5");
}

/// Two stored parts, each with its fields and its content, as one (RFC 9111 §3.4); a part of `None` is the whole.
///
/// `None` unless they share a strong validator, both know the same length of the whole, touch or overlap, and say the
/// same where they overlap.
pub fn combined<H: Lines>(
    old: (&H, Part, &Bytes),
    new: (&H, Part, &Bytes),
) -> Option<(Option<Part>, Bytes)> {
    let complete = new.1.complete?;
    if old.1.complete != Some(complete) || !same_strong_validator(old.0, new.0) {
        return None;
    }
    let (head, tail) = if old.1.first <= new.1.first {
        (old, new)
    } else {
        (new, old)
    };
    let front = Extent::of(head.1, head.2.len() as u64)?;
    let back = Extent::of(tail.1, tail.2.len() as u64)?;
    if back.first > front.end || front.end.max(back.end) > complete {
        return None;
    }
    let (apart, shared) = head
        .2
        .split_at_checked((back.first - front.first) as usize)?;
    let both = shared.len().min(tail.2.len());
    if shared.get(..both) != tail.2.get(..both) {
        return None; // the validator does not hold what it promises
    }
    let content = if back.end <= front.end {
        head.2.clone()
    } else {
        [apart, tail.2].concat().into()
    };
    let end = front.end.max(back.end);
    let part = Part {
        first: front.first,
        complete: Some(complete),
        is_tail: end == complete,
    };
    Some(((front.first > 0 || end < complete).then_some(part), content))
}

/// Several ranges as one content, and its `Content-Type` (RFC 9110 §14.6). `content` is what they were selected from,
/// `content_type` its own.
///
/// The boundary is a hash of what it separates, so nobody can write content that holds it.
pub fn multipart(
    slices: &[Slice],
    content_type: Option<&HeaderValue>,
    content: &Bytes,
) -> (HeaderValue, Bytes) {
    let mut hasher = blake3::Hasher::new();
    for slice in slices {
        hasher.update(slice.of(content));
    }
    let boundary = hasher.finalize().to_hex();
    let mut body = BytesMut::new();
    for slice in slices {
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        if let Some(content_type) = content_type {
            body.extend_from_slice(b"Content-Type: ");
            body.extend_from_slice(content_type.as_bytes());
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("Content-Range: {}\r\n\r\n", slice.at).as_bytes());
        body.extend_from_slice(slice.of(content));
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = value(format_args!("multipart/byteranges; boundary={boundary}"));
    (content_type, body.freeze())
}

/// The `Content-Range` of a 416: `bytes */10` (RFC 9110 §15.5.17).
pub fn unsatisfied(complete: u64) -> HeaderValue {
    value(format_args!("bytes */{complete}"))
}

fn value(text: fmt::Arguments<'_>) -> HeaderValue {
    HeaderValue::try_from(text.to_string()).expect("letters, digits and marks")
}

impl Slice {
    /// Its bytes, of the content it was selected from.
    ///
    /// # Panics
    ///
    /// If the content is another, and too short.
    pub fn of<'a>(&self, content: &'a Bytes) -> &'a [u8] {
        let bytes = content.get(self.bytes.clone());
        bytes.expect("a slice lies inside the content it was selected from")
    }
}

impl ContentRange {
    /// What the fields of a 206 say; `None` unless there is one line of it and that is valid.
    pub fn of(headers: &HeaderMap) -> Option<ContentRange> {
        let line = str::from_utf8(headers.only(&CONTENT_RANGE)?).ok()?;
        let (unit, range) = line.split_once(' ')?;
        let (positions, complete) = range.split_once('/')?;
        let (first, last) = positions.split_once('-')?;
        let exact = |digits: &str| number(digits).filter(|number| *number < u64::MAX);
        let range = ContentRange {
            first: exact(first)?,
            last: exact(last)?,
            complete: match complete {
                "*" => None,
                digits => Some(exact(digits)?),
            },
        };
        let valid = unit.eq_ignore_ascii_case("bytes")
            && range.first <= range.last
            && range.complete.is_none_or(|end| range.last < end);
        valid.then_some(range)
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/", self.first, self.last)?;
        match self.complete {
            Some(complete) => complete.fmt(f),
            None => f.write_char('*'),
        }
    }
}

impl From<ContentRange> for HeaderValue {
    fn from(range: ContentRange) -> HeaderValue {
        value(format_args!("{range}"))
    }
}

/// One member of `Range` (RFC 9110 §14.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// `4-9`.
    Between(u64, u64),
    /// `4-`.
    From(u64),
    /// `-5`.
    Last(u64),
}

/// What a request asks of this very response; `None` if it asks for no range, or not in a way that counts.
fn wanted(method: &Method, request: &HeaderMap, entry_headers: &impl Lines) -> Option<Vec<Spec>> {
    specs(method, request).filter(|_| if_range_holds(request, entry_headers))
}

/// The members of `Range`; `None` if there are none, or it is malformed.
fn specs(method: &Method, request: &HeaderMap) -> Option<Vec<Spec>> {
    if !request.contains_key(RANGE) || *method != Method::GET {
        return None; // the usual case, before anything is read
    }
    let line = str::from_utf8(request.only(&RANGE)?).ok()?;
    let (unit, set) = line.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let members = set
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    let members = members.filter(|member| !member.is_empty());
    let specs: Option<Vec<Spec>> = members.take(MAX_RANGES + 1).map(Spec::parse).collect();
    specs.filter(|specs| (1..=MAX_RANGES).contains(&specs.len()))
}

/// Whether the client has bytes of this very response (RFC 9110 §13.1.5), or does not say which it has.
fn if_range_holds(request: &HeaderMap, entry: &impl Lines) -> bool {
    if !request.contains_key(IF_RANGE) {
        return true;
    }
    let validator = request.only(&IF_RANGE);
    validator.is_some_and(|has| [strong_etag(entry), strong_date(entry)].contains(&Some(has)))
}

impl Spec {
    fn parse(text: &str) -> Option<Spec> {
        match text.split_once('-')? {
            ("", length) => Some(Spec::Last(number(length)?)),
            (first, "") => Some(Spec::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Spec::Between(first, last))
            }
        }
    }

    /// What it selects of `complete` bytes (RFC 9110 §14.1.2); `None`: it is unsatisfiable.
    fn within(self, complete: u64) -> Option<Extent> {
        let (first, end) = match self {
            Spec::Between(first, last) => (first, last.saturating_add(1).min(complete)),
            Spec::From(first) => (first, complete),
            Spec::Last(length) => {
                return (length > 0)
                    .then(|| Extent::new(complete.saturating_sub(length), complete));
            }
        };
        (first < complete).then_some(Extent::new(first, end))
    }
}

/// A decimal number of any length (RFC 9110 §14.1.2): what is too great is `u64::MAX`.
fn number(digits: &str) -> Option<u64> {
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Positions in the whole, from `first` up to and without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    first: u64,
    end: u64,
}

impl Extent {
    fn new(first: u64, end: u64) -> Extent {
        Extent { first, end }
    }

    /// What a part holds; `None` if that is nothing, or nothing that could be.
    fn of(part: Part, len: u64) -> Option<Extent> {
        let end = part.first.checked_add(len)?;
        (len > 0).then_some(Extent::new(part.first, end))
    }

    fn contains(self, other: Extent) -> bool {
        self.first <= other.first && other.end <= self.end
    }

    fn touches(self, other: Extent) -> bool {
        self.first <= other.end && other.first <= self.end
    }

    fn joined(self, other: Extent) -> Extent {
        Extent::new(self.first.min(other.first), self.end.max(other.end))
    }

    /// This extent of content that begins at `origin`; it is not empty and lies inside.
    fn slice(self, origin: u64, complete: Option<u64>) -> Slice {
        let at = ContentRange {
            first: self.first,
            last: self.end - 1,
            complete,
        };
        let bytes = (self.first - origin) as usize..(self.end - origin) as usize;
        Slice { at, bytes }
    }
}

/// All lengths together: more than the whole is no way to ask for less.
fn sum(extents: &[Extent]) -> u64 {
    let lengths = extents.iter().map(|extent| extent.end - extent.first);
    lengths.fold(0, u64::saturating_add)
}

/// Those that touch or overlap are one, which stands where the first of them stood (RFC 9110 §15.3.7.2).
fn coalesced(extents: Vec<Extent>) -> Vec<Extent> {
    let mut apart: Vec<Extent> = Vec::with_capacity(extents.len());
    for mut extent in extents {
        let mut place = apart.len();
        while let Some(n) = apart.iter().position(|other| other.touches(extent)) {
            extent = extent.joined(apart.remove(n));
            place = place.min(n);
        }
        apart.insert(place.min(apart.len()), extent);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::headers;
    use proptest::prelude::*;

    /// The Content-Range of each, or what there is instead.
    fn shown(selected: &Selected) -> String {
        match selected {
            Selected::Whole => "whole".to_owned(),
            Selected::Unsatisfiable => "416".to_owned(),
            Selected::Ranges(slices) => positions(slices),
        }
    }

    fn positions(slices: &[Slice]) -> String {
        let shown = slices.iter().map(|slice| slice.at.to_string());
        shown.collect::<Vec<_>>().join(", ")
    }

    fn of_ten(ranges: &str) -> Selected {
        let request = headers(&[("range", ranges)]);
        selected(&Method::GET, &request, &HeaderMap::new(), 10)
    }

    #[test]
    fn rfc9110_14_what_a_range_selects_of_ten_bytes() {
        for (name, ranges, expected) in [
            ("§14.1.2 first and last", "bytes=4-6", "bytes 4-6/10"),
            ("§14.1.2 one byte", "bytes=0-0", "bytes 0-0/10"),
            ("§14.1.2 no last", "bytes=4-", "bytes 4-9/10"),
            ("§14.1.2 last beyond the end", "bytes=4-99", "bytes 4-9/10"),
            ("§14.1.2 the last five", "bytes=-5", "bytes 5-9/10"),
            ("§14.1.2 more than there are", "bytes=-99", "bytes 0-9/10"),
            ("§14.1.2 all", "bytes=0-", "bytes 0-9/10"),
            ("§14.1.2 from beyond the end", "bytes=10-", "416"),
            ("§14.1.2 from far beyond", "bytes=10-12", "416"),
            ("§14.1.2 the last none", "bytes=-0", "416"),
            ("§14.1.2 all unsatisfiable", "bytes=10-,-0", "416"),
            (
                "§14.1.2 one satisfiable",
                "bytes=10-,-0,3-3",
                "bytes 3-3/10",
            ),
            (
                "§14.1.2 first and last byte",
                "bytes=0-0,-1",
                "bytes 0-0/10, bytes 9-9/10",
            ),
            (
                "§15.3.7.2 in the order asked",
                "bytes=7-8, 0-1",
                "bytes 7-8/10, bytes 0-1/10",
            ),
            (
                "§15.3.7.2 overlapping: one",
                "bytes=2-4,8-8,3-5",
                "bytes 2-5/10, bytes 8-8/10",
            ),
            ("§15.3.7.2 touching: one", "bytes=4-5,2-3", "bytes 2-5/10"),
            (
                "§15.3.7.2 joined by a third",
                "bytes=0-1,8-8,3-4,1-3",
                "bytes 0-4/10, bytes 8-8/10",
            ),
            ("§14.2 more than the whole", "bytes=0-,5-", "whole"),
            ("§14.2 the same again and again", "bytes=0-5,0-5", "whole"),
            ("§14.1 unit in any case", "Bytes=0-0", "bytes 0-0/10"),
            ("§14.1 another unit", "lines=0-0", "whole"),
            ("§14.1 no unit", "0-0", "whole"),
            (
                "§5.6.1 blanks",
                "bytes= 0-1 ,\t4-5 ",
                "bytes 0-1/10, bytes 4-5/10",
            ),
            ("§5.6.1 empty members", "bytes=,0-1,,", "bytes 0-1/10"),
            ("§5.6.1 none", "bytes=", "whole"),
            ("§5.6.1 empty ones alone", "bytes=,,", "whole"),
            ("blanks inside", "bytes=0 - 1", "whole"),
            ("blank before the unit's end", "bytes =0-1", "whole"),
            ("§14.1.1 backwards", "bytes=6-4", "whole"),
            ("§14.1.1 one invalid", "bytes=0-0,6-4", "whole"),
            ("§14.1.1 no number", "bytes=a-b", "whole"),
            ("§14.1.1 no dash", "bytes=4", "whole"),
            ("§14.1.1 a dash alone", "bytes=-", "whole"),
            ("§14.1.1 two dashes", "bytes=1-2-3", "whole"),
            ("§14.1.1 signs", "bytes=+1-2", "whole"),
            (
                "§14.1.2 great last",
                "bytes=1-99999999999999999999999",
                "bytes 1-9/10",
            ),
            (
                "§14.1.2 the greatest last",
                "bytes=1-18446744073709551615",
                "bytes 1-9/10",
            ),
            (
                "§14.1.2 great first",
                "bytes=99999999999999999999999-",
                "416",
            ),
            (
                "§14.1.2 great length",
                "bytes=-99999999999999999999999",
                "bytes 0-9/10",
            ),
        ] {
            assert_eq!(shown(&of_ten(ranges)), expected, "{name}");
        }
    }

    #[test]
    fn rfc9110_14_2_ranges_that_do_not_count() {
        let range = ("range", "bytes=0-0");
        let get = Method::GET;
        for (name, method, request, expected) in [
            ("no Range", &get, &[][..], "whole"),
            ("§14.2 GET", &get, &[range], "bytes 0-0/10"),
            ("§14.2 HEAD", &Method::HEAD, &[range], "whole"),
            ("§14.2 POST", &Method::POST, &[range], "whole"),
            ("two lines", &get, &[range, range], "whole"),
        ] {
            let got = selected(method, &headers(request), &HeaderMap::new(), 10);
            assert_eq!(shown(&got), expected, "{name}");
        }
        let many = |n: usize| format!("bytes={}", vec!["-1"; n].join(","));
        let request = |n| headers(&[("range", &many(n))]);
        let of = |n| shown(&selected(&get, &request(n), &HeaderMap::new(), 100));
        assert_eq!(of(MAX_RANGES), "bytes 99-99/100", "§14.2 many");
        assert_eq!(of(MAX_RANGES + 1), "whole", "§14.2 too many");
    }

    #[test]
    fn rfc9110_14_1_2_ranges_of_nothing() {
        for (name, ranges, expected) in [
            (
                "the last bytes of nothing are all of it",
                "bytes=-5",
                "whole",
            ),
            ("one of them", "bytes=0-0,-1", "whole"),
            ("from its end", "bytes=0-", "416"),
            ("its first byte", "bytes=0-0", "416"),
            ("no bytes of it", "bytes=-0", "416"),
        ] {
            let request = headers(&[("range", ranges)]);
            let got = selected(&Method::GET, &request, &HeaderMap::new(), 0);
            assert_eq!(shown(&got), expected, "{name}");
        }
    }

    #[test]
    fn rfc9110_13_1_5_if_range() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:49:38 GMT";
        let dated = &[("last-modified", date), ("date", later)][..];
        let strong = &[("etag", "\"a\""), ("last-modified", date), ("date", later)][..];
        let weak = &[("etag", "W/\"a\"")][..];
        for (name, if_range, entry, holds) in [
            ("the same tag", &["\"a\""][..], strong, true),
            ("another tag", &["\"b\""], strong, false),
            ("weak in the request", &["W/\"a\""], strong, false),
            ("weak in the response", &["\"a\""], weak, false),
            ("weak in both", &["W/\"a\""], weak, false),
            ("a list", &["\"a\", \"b\""], strong, false),
            ("any", &["*"], strong, false),
            ("two lines", &["\"a\"", "\"a\""], strong, false),
            ("no quotes in either", &["a"], &[("etag", "a")], false),
            ("the same date", &[date], dated, true),
            ("the same date, beside a tag", &[date], strong, true),
            ("a later date", &[later], dated, false),
            (
                "a date in another form",
                &["Sunday, 06-Nov-94 08:49:37 GMT"],
                dated,
                false,
            ),
            (
                "§8.8.2.2 a weak date",
                &[date],
                &[("last-modified", date), ("date", date)],
                false,
            ),
            ("a tag, where there is none", &["\"a\""], dated, false),
            ("no validator", &[date], &[], false),
        ] {
            let mut request = vec![("range", "bytes=0-0")];
            request.extend(if_range.iter().map(|value| ("if-range", *value)));
            let got = selected(&Method::GET, &headers(&request), &headers(entry), 10);
            assert_eq!(shown(&got) == "bytes 0-0/10", holds, "{name}");
            assert_eq!(shown(&got) == "whole", !holds, "{name}");
        }
    }

    #[test]
    fn rfc9110_14_4_content_range() {
        for (name, lines, expected) in [
            ("none", &[][..], None),
            ("whole known", &["bytes 4-9/10"], Some((4, 9, Some(10)))),
            ("whole unknown", &["bytes 4-9/*"], Some((4, 9, None))),
            ("unit in any case", &["Bytes 0-0/1"], Some((0, 0, Some(1)))),
            ("unsatisfied", &["bytes */10"], None),
            ("backwards", &["bytes 9-4/10"], None),
            ("beyond the end", &["bytes 4-10/10"], None),
            ("another unit", &["lines 4-9/10"], None),
            ("no length", &["bytes 4-9"], None),
            ("no last", &["bytes 4-/10"], None),
            ("as in a Range", &["bytes=4-9/10"], None),
            ("blanks", &["bytes 4 - 9/10"], None),
            ("two lines", &["bytes 4-9/10", "bytes 4-9/10"], None),
            ("signs", &["bytes +4-9/10"], None),
            ("too great", &["bytes 4-99999999999999999999/*"], None),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("content-range", *line)).collect();
            let got = ContentRange::of(&headers(&lines));
            let got = got.map(|range| (range.first, range.last, range.complete));
            assert_eq!(got, expected, "{name}");
        }
    }

    fn content_range(text: &str) -> ContentRange {
        ContentRange::of(&headers(&[("content-range", text)])).unwrap()
    }

    #[test]
    fn rfc9111_3_3_which_part_a_206_is() {
        let is = |first, complete, is_tail| {
            Some(Part {
                first,
                complete,
                is_tail,
            })
        };
        for (name, range, len, expected) in [
            ("the tail", "bytes 4-9/10", 6, is(4, Some(10), true)),
            ("the head", "bytes 0-4/10", 5, is(0, Some(10), false)),
            ("all of it", "bytes 0-9/10", 10, is(0, Some(10), true)),
            ("of unknown length", "bytes 4-9/*", 6, is(4, None, false)),
            ("less than declared", "bytes 4-9/10", 5, is(4, None, true)),
            ("less, not the tail", "bytes 4-8/10", 4, is(4, None, false)),
            (
                "less, of unknown length",
                "bytes 4-9/*",
                5,
                is(4, None, false),
            ),
            ("more than declared", "bytes 4-9/10", 7, None),
            ("nothing", "bytes 4-9/10", 0, None),
        ] {
            assert_eq!(part(content_range(range), len), expected, "{name}");
        }
    }

    #[test]
    fn rfc9111_3_3_what_a_part_answers() {
        let none = None;
        for (name, stored, len, ranges, expected) in [
            (
                "the same",
                "bytes 4-9/10",
                6,
                "bytes=4-9",
                Some("bytes 4-9/10"),
            ),
            (
                "inside",
                "bytes 4-9/10",
                6,
                "bytes=6-8",
                Some("bytes 6-8/10"),
            ),
            ("open", "bytes 4-9/10", 6, "bytes=6-", Some("bytes 6-9/10")),
            (
                "beyond the end",
                "bytes 4-9/10",
                6,
                "bytes=6-99",
                Some("bytes 6-9/10"),
            ),
            (
                "the last",
                "bytes 4-9/10",
                6,
                "bytes=-2",
                Some("bytes 8-9/10"),
            ),
            ("the last, too many", "bytes 4-9/10", 6, "bytes=-7", none),
            ("partly before", "bytes 4-9/10", 6, "bytes=3-5", none),
            ("before", "bytes 4-9/10", 6, "bytes=0-1", none),
            (
                "unsatisfiable: the app says so",
                "bytes 4-9/10",
                6,
                "bytes=10-",
                none,
            ),
            (
                "several",
                "bytes 4-9/10",
                6,
                "bytes=-1,4-5",
                Some("bytes 9-9/10, bytes 4-5/10"),
            ),
            (
                "several, one outside",
                "bytes 4-9/10",
                6,
                "bytes=-1,3-5",
                none,
            ),
            (
                "several, one unsatisfiable",
                "bytes 4-9/10",
                6,
                "bytes=10-,4-5",
                Some("bytes 4-5/10"),
            ),
            ("more than it holds", "bytes 4-9/10", 6, "bytes=4-,4-", none),
            ("open, from the head", "bytes 0-4/10", 5, "bytes=2-", none),
            (
                "the last, from the head",
                "bytes 0-4/10",
                5,
                "bytes=-2",
                none,
            ),
            ("after the head", "bytes 0-4/10", 5, "bytes=4-5", none),
            ("malformed", "bytes 4-9/10", 6, "bytes=x", none),
            (
                "unknown length",
                "bytes 4-9/*",
                6,
                "bytes=6-8",
                Some("bytes 6-8/*"),
            ),
            (
                "unknown length, beyond",
                "bytes 4-9/*",
                6,
                "bytes=6-10",
                none,
            ),
            ("unknown length, open", "bytes 4-9/*", 6, "bytes=6-", none),
            (
                "unknown length, the last",
                "bytes 4-9/*",
                6,
                "bytes=-1",
                none,
            ),
            (
                "unknown length, the greatest",
                "bytes 4-9/*",
                6,
                "bytes=4-18446744073709551615",
                none,
            ),
            (
                "short tail, all",
                "bytes 4-9/10",
                5,
                "bytes=-5",
                Some("bytes 4-8/*"),
            ),
            (
                "short tail, inside",
                "bytes 4-9/10",
                5,
                "bytes=6-8",
                Some("bytes 6-8/*"),
            ),
            (
                "short tail, open",
                "bytes 4-9/10",
                5,
                "bytes=6-",
                Some("bytes 6-8/*"),
            ),
            (
                "short tail, the last",
                "bytes 4-9/10",
                5,
                "bytes=-1",
                Some("bytes 8-8/*"),
            ),
            (
                "short tail, what it lacks",
                "bytes 4-9/10",
                5,
                "bytes=6-9",
                none,
            ),
            ("short tail, too many", "bytes 4-9/10", 5, "bytes=-6", none),
            ("short, not the tail", "bytes 4-8/10", 4, "bytes=6-", none),
        ] {
            let part = part(content_range(stored), len).unwrap();
            let request = headers(&[("range", ranges)]);
            let got = within(&Method::GET, &request, &HeaderMap::new(), part, len);
            assert_eq!(got.as_deref().map(positions).as_deref(), expected, "{name}");
        }
        let part = part(content_range("bytes 4-9/10"), 6).unwrap();
        let request = headers(&[("range", "bytes=6-8")]);
        let (no_fields, get) = (HeaderMap::new(), Method::GET);
        assert_eq!(within(&get, &no_fields, &no_fields, part, 6), None);
        assert_eq!(within(&Method::HEAD, &request, &no_fields, part, 6), None);
        assert_eq!(within(&get, &request, &no_fields, part, 0), None);
        let other = headers(&[("range", "bytes=6-8"), ("if-range", "\"b\"")]);
        let entry = headers(&[("etag", "\"a\"")]);
        assert_eq!(within(&get, &other, &entry, part, 6), None);
    }

    #[test]
    fn rfc9111_3_4_what_is_combined() {
        let (a, b) = ("\"a\"", "\"b\"");
        for (name, old, new, expected) in [
            (
                "touching",
                (a, "bytes 0-4/10", "01234"),
                (a, "bytes 5-9/10", "56789"),
                Some((None, "0123456789")),
            ),
            (
                "the tail first",
                (a, "bytes 5-9/10", "56789"),
                (a, "bytes 0-4/10", "01234"),
                Some((None, "0123456789")),
            ),
            (
                "overlapping, not all",
                (a, "bytes 1-4/10", "1234"),
                (a, "bytes 3-6/10", "3456"),
                Some((Some((1, false)), "123456")),
            ),
            (
                "to a tail",
                (a, "bytes 1-4/10", "1234"),
                (a, "bytes 3-9/10", "3456789"),
                Some((Some((1, true)), "123456789")),
            ),
            (
                "one inside the other",
                (a, "bytes 1-8/10", "12345678"),
                (a, "bytes 3-4/10", "34"),
                Some((Some((1, false)), "12345678")),
            ),
            (
                "a gap",
                (a, "bytes 0-3/10", "0123"),
                (a, "bytes 5-9/10", "56789"),
                None,
            ),
            (
                "another tag",
                (a, "bytes 0-4/10", "01234"),
                (b, "bytes 5-9/10", "56789"),
                None,
            ),
            (
                "weak tags",
                ("W/\"a\"", "bytes 0-4/10", "01234"),
                ("W/\"a\"", "bytes 5-9/10", "56789"),
                None,
            ),
            (
                "another length",
                (a, "bytes 0-4/10", "01234"),
                (a, "bytes 5-9/11", "56789"),
                None,
            ),
            (
                "unknown length",
                (a, "bytes 0-4/10", "01234"),
                (a, "bytes 5-9/*", "56789"),
                None,
            ),
            (
                "unknown length in both",
                (a, "bytes 0-4/*", "01234"),
                (a, "bytes 5-9/*", "56789"),
                None,
            ),
            (
                "less than declared",
                (a, "bytes 0-5/10", "01234"),
                (a, "bytes 5-9/10", "56789"),
                None,
            ),
            (
                "disagreeing where they overlap",
                (a, "bytes 0-4/10", "01234"),
                (a, "bytes 4-9/10", "x56789"),
                None,
            ),
        ] {
            let [old, new] = [old, new].map(|(etag, range, content)| {
                let part = part(content_range(range), content.len() as u64).unwrap();
                (headers(&[("etag", etag)]), part, Bytes::from(content))
            });
            let got = combined((&old.0, old.1, &old.2), (&new.0, new.1, &new.2));
            let expected = expected.map(|(part, content)| {
                let part = part.map(|(first, is_tail)| Part {
                    first,
                    complete: Some(10),
                    is_tail,
                });
                (part, Bytes::from(content))
            });
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn rfc9110_14_6_several_ranges_in_one_body() {
        let content = Bytes::from_static(b"0123456789");
        let Selected::Ranges(slices) = of_ten("bytes=0-1,-1") else {
            panic!("two ranges");
        };
        let plain = HeaderValue::from_static("text/plain");
        let (content_type, body) = multipart(&slices, Some(&plain), &content);
        let boundary = content_type
            .to_str()
            .unwrap()
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        assert!((1..=70).contains(&boundary.len()), "RFC 2046 §5.1.1");
        let expected = format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n\
             --{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 9-9/10\r\n\r\n9\r\n\
             --{boundary}--\r\n"
        );
        assert_eq!(body, expected);
        let (_, body) = multipart(&slices, None, &content);
        assert!(!body.windows(12).any(|text| text == b"Content-Type"));
        let (other, _) = multipart(&slices, None, &Bytes::from_static(b"012345678x"));
        assert_ne!(other, content_type, "the boundary follows the content");
        assert_eq!(unsatisfied(10), "bytes */10");
    }

    fn ranges() -> impl Strategy<Value = String> {
        let spec = "[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}-|-[0-9]{1,2}";
        proptest::collection::vec(spec, 1..5).prop_map(|list| format!("bytes={}", list.join(",")))
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(line in proptest::collection::vec(any::<u8>(), 0..40), numbers in "bytes[= ][0-9,*/ -]{0,60}") {
            for value in [HeaderValue::from_bytes(&line), HeaderValue::from_str(&numbers)].into_iter().flatten() {
                let mut fields = HeaderMap::new();
                for name in [RANGE, CONTENT_RANGE, IF_RANGE] {
                    fields.insert(name, value.clone());
                }
                selected(&Method::GET, &fields, &fields, 10);
                fields.remove(IF_RANGE);
                if let Selected::Ranges(slices) = selected(&Method::GET, &fields, &fields, 10) {
                    prop_assert!(slices.iter().all(|slice| slice.at.last < 10));
                }
                let range = ContentRange::of(&fields);
                let part = range.and_then(|range| part(range, range.last - range.first + 1));
                if let Some(part) = part {
                    within(&Method::GET, &fields, &fields, part, 1);
                }
                if let Some(range) = range {
                    fields.insert(CONTENT_RANGE, range.into());
                    prop_assert_eq!(ContentRange::of(&fields), Some(range));
                }
            }
        }

        #[test]
        fn slices_lie_inside_and_apart_and_hold_what_they_say(ranges in ranges(), len in 0_u8..100) {
            let whole: Bytes = (0..len).collect();
            let request = headers(&[("range", &ranges)]);
            if let Selected::Ranges(slices) = selected(&Method::GET, &request, &HeaderMap::new(), len.into()) {
                prop_assert!(!slices.is_empty());
                for (n, slice) in slices.iter().enumerate() {
                    let expected: Vec<u8> = (slice.at.first as u8..=slice.at.last as u8).collect();
                    prop_assert_eq!(slice.of(&whole), expected);
                    for other in &slices[n + 1..] {
                        prop_assert!(slice.at.last + 1 < other.at.first || other.at.last + 1 < slice.at.first);
                    }
                }
            }
        }

        #[test]
        fn a_part_answers_as_the_whole_would(ranges in ranges(), first in 0_u8..50, len in 1_u8..50, after in 0_u8..20) {
            let complete = u64::from(first + len + after);
            let last = u64::from(first + len - 1);
            let content: Bytes = (first..first + len).collect();
            let range = ContentRange { first: first.into(), last, complete: Some(complete) };
            let part = part(range, len.into()).unwrap();
            let request = headers(&[("range", &ranges)]);
            let whole = selected(&Method::GET, &request, &HeaderMap::new(), complete);
            if let Some(slices) = within(&Method::GET, &request, &HeaderMap::new(), part, len.into()) {
                let positions: Vec<_> = slices.iter().map(|slice| slice.at).collect();
                for slice in &slices {
                    let expected: Vec<u8> = (slice.at.first as u8..=slice.at.last as u8).collect();
                    prop_assert_eq!(slice.of(&content), expected);
                }
                let Selected::Ranges(whole) = whole else { panic!("the part answers what the whole does not") };
                prop_assert_eq!(positions, whole.iter().map(|slice| slice.at).collect::<Vec<_>>());
            } else if let Selected::Ranges(whole) = whole {
                let outside = whole.iter().any(|slice| slice.at.first < range.first || slice.at.last > last);
                let total: u64 = whole.iter().map(|slice| slice.at.last - slice.at.first + 1).sum();
                prop_assert!(outside || ranges.contains(',') && total <= len.into());
            }
        }

        #[test]
        fn what_is_combined_is_of_the_whole(one in (0_usize..30, 1_usize..30), other in (0_usize..30, 1_usize..30)) {
            let whole: Bytes = (0..60).collect();
            let tagged = headers(&[("etag", "\"a\"")]);
            let [one, other] = [one, other].map(|(first, len)| {
                let (first_pos, last) = (first as u64, (first + len - 1) as u64);
                let range = ContentRange { first: first_pos, last, complete: Some(60) };
                (part(range, len as u64).unwrap(), whole.slice(first..first + len))
            });
            let end = |(part, content): &(Part, Bytes)| part.first + content.len() as u64;
            let touch = one.0.first <= end(&other) && other.0.first <= end(&one);
            let got = combined((&tagged, one.0, &one.1), (&tagged, other.0, &other.1));
            prop_assert_eq!(got.is_some(), touch);
            if let Some((part, content)) = got {
                let first = part.map_or(0, |part| part.first);
                prop_assert_eq!(first, one.0.first.min(other.0.first));
                prop_assert_eq!(first + content.len() as u64, end(&one).max(end(&other)));
                prop_assert_eq!(&content, &whole.slice(first as usize..first as usize + content.len()));
            }
        }
    }
}
