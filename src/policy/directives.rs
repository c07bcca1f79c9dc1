//! What cache control fields say: `Cache-Control` (RFC 9111 §5.2) and targeted fields (RFC 9213).
//!
//! Whatever is malformed makes a response less cacheable or changes nothing: restrictive directives count however they are
//! written, permissive ones only when they are written right.

use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};
use sfv::BareItem;
use sfv::Dictionary;
use sfv::Item;
use sfv::ListEntry;
use sfv::Parser;

/// The directives of a response that apply to a shared cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    /// `no-store`.
    pub(super) no_store: bool,
    /// `no-cache`, for the whole response or for some of its fields.
    pub(super) no_cache: bool,
    /// `private`, for the whole response or for some of its fields.
    pub(super) private: bool,
    /// `public`.
    pub(super) public: bool,
    /// `must-understand`.
    pub(super) must_understand: bool,
    /// `max-age`; zero if it is malformed.
    pub(super) max_age: Option<Duration>,
    /// `s-maxage`; zero if it is malformed.
    pub(super) s_maxage: Option<Duration>,
}

/// The directives that apply to a response here, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Control {
    /// The directives.
    pub(super) directives: Directives,
    /// They are from a targeted field, so `Cache-Control` and `Expires` count for nothing (RFC 9213 §2.2).
    pub(super) targeted: bool,
}

impl Control {
    /// The first of the `targeted` fields that is there, valid and not empty, else `Cache-Control` (RFC 9213 §2.2).
    pub(super) fn of(headers: &HeaderMap, targeted: &[HeaderName]) -> Control {
        match targeted.iter().find_map(|name| in_field(headers, name)) {
            Some(directives) => Control {
                directives,
                targeted: true,
            },
            None => Control {
                directives: in_list(headers, &CACHE_CONTROL),
                targeted: false,
            },
        }
    }

    /// Whether the response says itself that it may be shared (L12).
    pub(super) fn shares(&self) -> bool {
        let said = &self.directives;
        said.public || said.s_maxage.is_some() || (self.targeted && said.max_age.is_some())
    }

    /// Whether a shared cache may store the response though it was given to credentials (RFC 9111 §3.5).
    pub(super) fn allows_credentials(&self) -> bool {
        self.directives.public || self.directives.s_maxage.is_some()
    }
}

/// A targeted field, if it counts. Those older than RFC 9213 are lists like `Cache-Control`, and count only if they
/// speak of caching: `Surrogate-Control: content="ESI/1.0"` does not hide a `private`.
fn in_field(headers: &HeaderMap, name: &HeaderName) -> Option<Directives> {
    if !headers.contains_key(name) {
        return None;
    }
    match name.as_str() {
        "surrogate-control" | "x-litespeed-cache-control" => {
            Some(in_list(headers, name)).filter(|said| *said != Directives::default())
        }
        _ => in_dictionary(headers, name),
    }
}

/// A structured dictionary (RFC 9213 §2.1); `None` if it is malformed or empty.
fn in_dictionary(headers: &HeaderMap, name: &HeaderName) -> Option<Directives> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(AsRef::as_ref).collect();
    let field = lines.join(&b", "[..]);
    let dictionary = Parser::new(&field).parse::<Dictionary>().ok()?;
    if dictionary.is_empty() {
        return None;
    }
    let mut said = Directives::default();
    for (key, member) in &dictionary {
        let value = match member {
            ListEntry::Item(Item { bare_item, .. }) => Some(bare_item),
            ListEntry::InnerList(_) => None,
        };
        let boolean = value.and_then(BareItem::as_boolean);
        let seconds = || {
            let integer = value.and_then(BareItem::as_integer).map(i64::from);
            integer.and_then(|n| u64::try_from(n).ok()).map(capped)
        };
        match key.as_str() {
            "public" => said.public = boolean == Some(true),
            "max-age" => keep_first(&mut said.max_age, seconds()),
            "s-maxage" => keep_first(&mut said.s_maxage, seconds()),
            name => said.restrict(name.as_bytes(), boolean != Some(false)),
        }
    }
    Some(said)
}

/// A list like `Cache-Control`, all its lines.
fn in_list(headers: &HeaderMap, name: &HeaderName) -> Directives {
    let mut said = Directives::default();
    for member in members(headers, name) {
        if member.is("public") {
            said.public |= member.argument == Argument::None;
        } else if member.is("max-age") {
            keep_first(&mut said.max_age, member.seconds());
        } else if member.is("s-maxage") {
            keep_first(&mut said.s_maxage, member.seconds());
        } else {
            said.restrict(&member.name.to_ascii_lowercase(), true);
        }
    }
    // A quote without its partner: what is inside quotes and what is not cannot be told.
    if members(headers, name).any(|member| member.argument == Argument::Unbalanced) {
        said.public = false;
        said.max_age = Some(Duration::ZERO);
        said.s_maxage = Some(Duration::ZERO);
    }
    said
}

impl Directives {
    fn restrict(&mut self, name: &[u8], on: bool) {
        match name {
            b"no-store" => self.no_store |= on,
            b"no-cache" => self.no_cache |= on,
            b"private" => self.private |= on,
            b"must-understand" => self.must_understand |= on,
            _ => {}
        }
    }
}

/// RFC 9111 §4.2.1: of several values the first counts; an invalid one makes the response stale.
fn keep_first(slot: &mut Option<Duration>, value: Option<Duration>) {
    match value {
        None => *slot = Some(Duration::ZERO),
        Some(value) if slot.is_none() => *slot = Some(value),
        Some(_) => {}
    }
}

/// RFC 9111 §1.2.2: whatever is too great is 2^31 seconds.
fn capped(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(1 << 31))
}

/// A directive as written: name, and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    name: &'a [u8],
    argument: Argument<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    /// There is none.
    None,
    /// A token, or what stands between quotes.
    Value(&'a [u8]),
    /// Something else.
    Malformed,
    /// Something else, with a quote in it.
    Unbalanced,
}

impl Member<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    pub(super) fn has_argument(&self) -> bool {
        self.argument != Argument::None
    }

    /// The argument as seconds (RFC 9111 §1.2.2), as a token or, leniently, quoted (§5.2).
    pub(super) fn seconds(&self) -> Option<Duration> {
        let Argument::Value(digits) = self.argument else {
            return None;
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let seconds = std::str::from_utf8(digits).ok()?.parse();
        Some(capped(seconds.unwrap_or(u64::MAX)))
    }
}

/// The members of a `Cache-Control`-like field, line by line.
pub(super) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Member<'a>> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| {
        let mut rest = line.as_bytes();
        std::iter::from_fn(move || next_member(&mut rest))
    })
}

fn next_member<'a>(rest: &mut &'a [u8]) -> Option<Member<'a>> {
    let start = rest
        .iter()
        .position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
    let text = rest.get(start..)?;
    let end = text.iter().position(|byte| !is_tchar(*byte));
    let (name, after) = text.split_at(end.unwrap_or(text.len()));
    if let Some((value, after)) = after.strip_prefix(b"=\"").and_then(quoted) {
        *rest = after;
        let argument = Argument::Value(value);
        return Some(Member { name, argument });
    }
    let end = after.iter().position(|byte| *byte == b',');
    let (argument, after) = after.split_at(end.unwrap_or(after.len()));
    *rest = after;
    let argument = match argument.trim_ascii_end() {
        b"" => Argument::None,
        [b'=', token @ ..] if !token.is_empty() && token.iter().all(|b| is_tchar(*b)) => {
            Argument::Value(token)
        }
        text if text.contains(&b'"') => Argument::Unbalanced,
        _ => Argument::Malformed,
    };
    Some(Member { name, argument })
}

/// The content of a quoted string, escapes as they are, and what follows it: nothing, or a comma.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    let (value, after) = text.split_at(end);
    let after = after.strip_prefix(b"\"")?.trim_ascii_start();
    (after.is_empty() || after.starts_with(b",")).then_some((value, after))
}

/// RFC 9110 §5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn control(fields: &[(&'static str, &str)]) -> Control {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        let targeted = [
            "tagalong-cache-control",
            "cdn-cache-control",
            "surrogate-control",
        ];
        Control::of(&headers, &targeted.map(HeaderName::from_static))
    }

    fn shown(said: &Directives) -> String {
        let flags = [
            (said.no_store, "no-store"),
            (said.no_cache, "no-cache"),
            (said.private, "private"),
            (said.public, "public"),
            (said.must_understand, "must-understand"),
        ];
        let flags = flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| (*name).to_owned());
        let seconds = [(said.max_age, "max-age"), (said.s_maxage, "s-maxage")];
        let seconds = seconds
            .iter()
            .filter_map(|(value, name)| Some(format!("{name}={}", (*value)?.as_secs())));
        flags.chain(seconds).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rfc9111_5_2_directives() {
        for (name, lines, expected) in [
            ("none", &[""][..], ""),
            ("one", &["max-age=60"], "max-age=60"),
            (
                "several",
                &["public, max-age=60,s-maxage=5"],
                "public max-age=60 s-maxage=5",
            ),
            (
                "several lines",
                &["public", "max-age=60"],
                "public max-age=60",
            ),
            (
                "case is nothing",
                &["Max-Age=60, NO-STORE"],
                "no-store max-age=60",
            ),
            ("empty members", &[", ,max-age=60,,"], "max-age=60"),
            ("quoted seconds", &["max-age=\"60\""], "max-age=60"),
            (
                "unknown ones are ignored",
                &["foo, bar=1, baz=\"a, b\", max-age=60"],
                "max-age=60",
            ),
            (
                "a directive inside quotes is none",
                &["foo=\"max-age=60, no-store\""],
                "",
            ),
            (
                "an escaped quote does not end",
                &["foo=\"a\\\", no-store\", max-age=1"],
                "max-age=1",
            ),
            (
                "qualified",
                &["no-cache=\"a, b\", private=\"c\""],
                "no-cache private",
            ),
            ("qualified by a token", &["private=a"], "private"),
            (
                "§4.2.1 the first of two counts",
                &["max-age=1, max-age=100"],
                "max-age=1",
            ),
            (
                "§4.2.1 on two lines",
                &["max-age=1", "max-age=100"],
                "max-age=1",
            ),
            (
                "§4.2.1 an invalid one makes stale",
                &["max-age=100, max-age=x"],
                "max-age=0",
            ),
            ("not a number", &["max-age=x"], "max-age=0"),
            ("no argument", &["max-age"], "max-age=0"),
            ("empty argument", &["max-age="], "max-age=0"),
            ("empty quotes", &["max-age=\"\""], "max-age=0"),
            ("negative", &["max-age=-1"], "max-age=0"),
            ("fraction", &["max-age=1.5"], "max-age=0"),
            ("blank before =", &["max-age =60"], "max-age=0"),
            ("blank after =", &["max-age= 60"], "max-age=0"),
            ("semicolon", &["max-age=60;x"], "max-age=0"),
            (
                "§1.2.2 too great",
                &["max-age=99999999999999999999999"],
                "max-age=2147483648",
            ),
            ("restriction with an argument", &["no-store=1"], "no-store"),
            (
                "restriction with something behind",
                &["no-store; x, private y"],
                "no-store private",
            ),
            ("permission with an argument", &["public=1"], ""),
            (
                "unbalanced quote",
                &["public, max-age=60, x=\""],
                "max-age=0 s-maxage=0",
            ),
            (
                "unbalanced quote before a restriction",
                &["x=\", private"],
                "private max-age=0 s-maxage=0",
            ),
            (
                "something behind a quoted string",
                &["x=\"a\"b, max-age=9"],
                "max-age=0 s-maxage=0",
            ),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("cache-control", *line)).collect();
            assert_eq!(shown(&control(&fields).directives), expected, "{name}");
        }
    }

    #[test]
    fn rfc9213_targeted_fields() {
        let cc = ("cache-control", "max-age=1, private");
        let cdn = |value| ("cdn-cache-control", value);
        for (name, fields, expected, targeted) in [
            (
                "§2.2 wins over Cache-Control",
                &[cdn("max-age=60"), cc][..],
                "max-age=60",
                true,
            ),
            (
                "§2.2 the first of the list wins",
                &[cdn("max-age=60"), ("tagalong-cache-control", "max-age=5")],
                "max-age=5",
                true,
            ),
            (
                "§2.2 other directives do not mix in",
                &[cdn("max-age=60"), ("tagalong-cache-control", "no-store")],
                "no-store",
                true,
            ),
            (
                "§2.1 empty is ignored",
                &[cdn(""), cc],
                "private max-age=1",
                false,
            ),
            (
                "§2.1 malformed is ignored",
                &[cdn("max-age=60, &"), cc],
                "private max-age=1",
                false,
            ),
            (
                "§2.1 keys are lower case",
                &[cdn("Max-Age=60"), cc],
                "private max-age=1",
                false,
            ),
            (
                "§2.1 a malformed one gives way to the next",
                &[
                    ("tagalong-cache-control", "max-age="),
                    cdn("max-age=60"),
                    cc,
                ],
                "max-age=60",
                true,
            ),
            (
                "§2.1 parameters are ignored",
                &[cdn("max-age=60;x=1, public;y"), cc],
                "public max-age=60",
                true,
            ),
            (
                "§2.1 an unknown directive makes it valid",
                &[cdn("foo"), cc],
                "",
                true,
            ),
            (
                "a string is no number of seconds",
                &[cdn("max-age=\"60\""), cc],
                "max-age=0",
                true,
            ),
            ("negative", &[cdn("max-age=-1"), cc], "max-age=0", true),
            ("fraction", &[cdn("max-age=1.5"), cc], "max-age=0", true),
            (
                "false is off",
                &[cdn("no-store=?0, public=?0, max-age=9"), cc],
                "max-age=9",
                true,
            ),
            (
                "a list of fields",
                &[cdn("private=(\"a\" \"b\")"), cc],
                "private",
                true,
            ),
            (
                "several lines",
                &[cdn("max-age=9"), cdn("public"), cc],
                "public max-age=9",
                true,
            ),
            (
                "RFC 9651 the last of a key counts",
                &[cdn("max-age=9, max-age=5"), cc],
                "max-age=5",
                true,
            ),
            (
                "Surrogate-Control is a list",
                &[("surrogate-control", "Max-Age=\"60\""), cc],
                "max-age=60",
                true,
            ),
            (
                "Surrogate-Control that says nothing of caching",
                &[("surrogate-control", "content=\"ESI/1.0\""), cc],
                "private max-age=1",
                false,
            ),
        ] {
            let control = control(fields);
            assert_eq!(
                (&*shown(&control.directives), control.targeted),
                (expected, targeted),
                "{name}"
            );
        }
    }

    #[test]
    fn l12_what_says_itself_that_it_may_be_shared() {
        for (name, fields, expected) in [
            (
                "max-age alone",
                &[("cache-control", "max-age=60")][..],
                false,
            ),
            ("public", &[("cache-control", "public")], true),
            ("s-maxage", &[("cache-control", "s-maxage=60")], true),
            (
                "targeted max-age",
                &[("cdn-cache-control", "max-age=60")],
                true,
            ),
            ("targeted, unknown", &[("cdn-cache-control", "foo")], false),
            (
                "targeted, Cache-Control does not count",
                &[("cdn-cache-control", "foo"), ("cache-control", "public")],
                false,
            ),
        ] {
            assert_eq!(control(fields).shares(), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_every_member_takes_some(line in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'='), Just(b'\\'), Just(b'a'), 0x20_u8..=0xff], 0..64)) {
            let line: Vec<u8> = line.into_iter().filter(|byte| *byte != 0x7f).collect();
            let mut headers = HeaderMap::new();
            headers.append(CACHE_CONTROL, HeaderValue::from_bytes(&line).unwrap());
            prop_assert!(members(&headers, &CACHE_CONTROL).count() <= line.len());
        }
    }
}
