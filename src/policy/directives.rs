//! What cache control fields say: `Cache-Control` (RFC 9111 §5.2) and targeted fields (RFC 9213).
//!
//! Whatever is malformed makes a response less cacheable or changes nothing: restrictive directives count however they are
//! written, permissive ones only when they are written right.

use std::borrow::Cow;
use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};
use sfv::BareItem;
use sfv::Dictionary;
use sfv::Item;
use sfv::ListEntry;
use sfv::Parser;

use crate::policy::members::Argument;
use crate::policy::members::Member;
use crate::policy::members::capped;
use crate::policy::members::members;
use crate::policy::surrogate;

/// The directives of a response that apply to a shared cache.
///
/// `immutable` (RFC 8246) is not among them: it tells a client not to revalidate what is fresh, which a cache does not do
/// of its own accord. Nor is `no-transform`: nothing is transformed here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    /// `no-store`.
    pub(super) no_store: bool,
    /// `no-cache`.
    pub(super) no_cache: Scope,
    /// `private`.
    pub(super) private: Scope,
    /// `public`.
    pub(super) public: bool,
    /// `must-understand`.
    pub(super) must_understand: bool,
    /// `must-understand`, written right: for a status that is understood, `no-store` does not count (RFC 9111 §5.2.2.3).
    pub(super) excuses_no_store: bool,
    /// `must-revalidate`. One that is not written right only restricts: it counts as `proxy-revalidate`.
    pub(super) must_revalidate: bool,
    /// `proxy-revalidate`.
    pub(super) proxy_revalidate: bool,
    /// `max-age`; zero if it is malformed.
    pub(super) max_age: Option<Duration>,
    /// `s-maxage`; zero if it is malformed.
    pub(super) s_maxage: Option<Duration>,
    /// `stale-while-revalidate` (RFC 5861 §3); zero if it is malformed.
    pub(super) stale_while_revalidate: Option<Duration>,
    /// `stale-if-error` (RFC 5861 §4); zero if it is malformed.
    pub(super) stale_if_error: Option<Duration>,
    /// One of them is not written right.
    pub(super) malformed: bool,
}

/// What of a response a directive is about (RFC 9111 §5.2.2.4, §5.2.2.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Scope {
    /// Nothing: the directive is not there.
    #[default]
    Nowhere,
    /// These fields; at least one.
    Fields(Vec<HeaderName>),
    /// All of it.
    Everywhere,
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
    ///
    /// A directive that is not written right (`max-age="60"` in a dictionary) is no parsing error, so its field counts;
    /// yet RFC 9651 §2 lets a recipient ignore the field. Whichever the app expects: what `Cache-Control` forbids stays
    /// forbidden, and neither field permits anything.
    pub(super) fn of(headers: &HeaderMap, targeted: &[HeaderName]) -> Control {
        // Few heads have any: the few fields of one are looked up among these.
        let has_any = headers.keys().any(|name| targeted.contains(name));
        let mut there = targeted.iter().filter(|_| has_any);
        match there.find_map(|name| in_field(headers, name)) {
            Some(mut directives) => {
                if directives.malformed {
                    directives.restrict_like(in_list(headers, &CACHE_CONTROL));
                    directives.permit_nothing();
                }
                Control {
                    directives,
                    targeted: true,
                }
            }
            None => Control {
                directives: in_list(headers, &CACHE_CONTROL),
                targeted: false,
            },
        }
    }

    /// Whether the response says itself that it may be shared (L12). A lifetime of zero is what a malformed one is read
    /// as, so it says nothing of the kind.
    pub(super) fn shares(&self) -> bool {
        let said = &self.directives;
        said.public || positive(said.s_maxage) || (self.targeted && positive(said.max_age))
    }

    /// Whether a shared cache may store the response though it was given to credentials (RFC 9111 §3.5).
    pub(super) fn allows_credentials(&self) -> bool {
        let said = &self.directives;
        said.public || said.must_revalidate || positive(said.s_maxage)
    }
}

fn positive(lifetime: Option<Duration>) -> bool {
    lifetime.is_some_and(|lifetime| !lifetime.is_zero())
}

/// A targeted field, if it counts. Those older than RFC 9213 are lists like `Cache-Control`, and count only if they
/// speak of caching: `Surrogate-Control: content="ESI/1.0"` does not hide a `private`.
fn in_field(headers: &HeaderMap, name: &HeaderName) -> Option<Directives> {
    if !headers.contains_key(name) {
        return None;
    }
    let speaks = |said: &Directives| *said != Directives::default();
    match name.as_str() {
        "surrogate-control" => Some(surrogate::directives(headers, name)).filter(speaks),
        "x-litespeed-cache-control" => Some(in_list(headers, name)).filter(speaks),
        _ => in_dictionary(headers, name),
    }
}

/// A structured dictionary (RFC 9213 §2.1); `None` if it cannot be parsed or is empty.
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
        let key = key.as_str().as_bytes();
        let seconds = value.and_then(seconds);
        if !said.number(key, seconds) {
            let boolean = value.and_then(BareItem::as_boolean);
            let scope = match value.and_then(BareItem::as_string) {
                Some(names) => Scope::of(names.as_str().as_bytes()),
                None if boolean == Some(false) => Scope::Nowhere,
                None => Scope::Everywhere,
            };
            said.flag(key, boolean == Some(true), scope);
        }
    }
    Some(said)
}

fn seconds(value: &BareItem) -> Option<Duration> {
    let integer = value.as_integer().map(i64::from)?;
    u64::try_from(integer).ok().map(capped)
}

/// A list like `Cache-Control`, all its lines.
fn in_list(headers: &HeaderMap, name: &HeaderName) -> Directives {
    let mut said = Directives::default();
    let mut clear = true;
    for member in members(headers, name) {
        clear &= member.argument != Argument::Unbalanced;
        said.add(&member);
    }
    if !clear {
        said.forbid_all();
    }
    said
}

impl Directives {
    /// Adds a member of a list.
    pub(super) fn add(&mut self, member: &Member) {
        self.malformed |= member.argument == Argument::Unbalanced;
        // Nearly all write them in small letters.
        let name = match member.name.iter().any(u8::is_ascii_uppercase) {
            true => Cow::Owned(member.name.to_ascii_lowercase()),
            false => Cow::Borrowed(member.name),
        };
        if !self.number(&name, member.seconds()) {
            let scope = match member.argument {
                Argument::Quoted(names) => Scope::of(names),
                Argument::None
                | Argument::Token(_)
                | Argument::Malformed
                | Argument::Unbalanced => Scope::Everywhere,
            };
            self.flag(&name, !member.has_argument(), scope);
        }
    }

    /// Adds a directive whose argument is a number of seconds; `false`: the one of this name, lower case, has none.
    fn number(&mut self, name: &[u8], seconds: Option<Duration>) -> bool {
        let slot = match name {
            b"max-age" => &mut self.max_age,
            b"s-maxage" => &mut self.s_maxage,
            b"stale-while-revalidate" => &mut self.stale_while_revalidate,
            b"stale-if-error" => &mut self.stale_if_error,
            _ => return false,
        };
        keep_first(slot, seconds);
        self.malformed |= seconds.is_none();
        true
    }

    /// Adds any other directive; `plain`: it has no argument, which all but two of them must not have.
    fn flag(&mut self, name: &[u8], plain: bool, scope: Scope) {
        let on = scope != Scope::Nowhere;
        let names_fields =
            matches!(name, b"no-cache" | b"private") && matches!(scope, Scope::Fields(_));
        let right = plain || !on || names_fields;
        match name {
            b"public" => self.public |= plain,
            b"no-store" => self.no_store |= on,
            b"no-cache" => self.no_cache.widen(scope),
            b"private" => self.private.widen(scope),
            b"must-understand" => {
                self.must_understand |= on;
                self.excuses_no_store |= plain;
            }
            b"must-revalidate" if plain => self.must_revalidate = true,
            b"must-revalidate" | b"proxy-revalidate" => self.proxy_revalidate |= on,
            _ => return,
        }
        self.malformed |= !right;
    }

    /// Takes over what `other` forbids.
    pub(super) fn restrict_like(&mut self, other: Directives) {
        self.no_store |= other.no_store;
        self.no_cache.widen(other.no_cache);
        self.private.widen(other.private);
        self.must_understand |= other.must_understand;
        self.must_revalidate |= other.must_revalidate;
        self.proxy_revalidate |= other.proxy_revalidate;
        self.malformed |= other.malformed;
    }

    /// For a quote without its partner: what is inside quotes and what is not cannot be told, `private` perhaps.
    pub(super) fn forbid_all(&mut self) {
        self.permit_nothing();
        self.no_store = true;
    }

    /// Leaves nothing but restrictions, where it cannot be told what is meant.
    pub(super) fn permit_nothing(&mut self) {
        self.public = false;
        self.excuses_no_store = false;
        self.proxy_revalidate |= std::mem::take(&mut self.must_revalidate);
        for seconds in [
            &mut self.max_age,
            &mut self.s_maxage,
            &mut self.stale_while_revalidate,
            &mut self.stale_if_error,
        ] {
            *seconds = Some(Duration::ZERO);
        }
    }
}

impl Scope {
    /// The fields that a list names; if it is not one of field names, the whole response.
    fn of(list: &[u8]) -> Scope {
        let names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let names = names.filter(|name| !name.is_empty());
        let names: Result<Vec<_>, _> = names.map(HeaderName::from_bytes).collect();
        match names {
            Ok(names) if !names.is_empty() => Scope::Fields(names),
            Ok(_) | Err(_) => Scope::Everywhere,
        }
    }

    /// The fields, where it is about some.
    pub(super) fn fields(&self) -> &[HeaderName] {
        match self {
            Scope::Fields(names) => names,
            Scope::Nowhere | Scope::Everywhere => &[],
        }
    }

    fn widen(&mut self, other: Scope) {
        *self = match (std::mem::take(self), other) {
            (Scope::Nowhere, scope) | (scope, Scope::Nowhere) => scope,
            (Scope::Fields(mut names), Scope::Fields(more)) => {
                names.extend(more);
                Scope::Fields(names)
            }
            (Scope::Everywhere, _) | (_, Scope::Everywhere) => Scope::Everywhere,
        };
    }
}

/// RFC 9111 §4.2.1: of several values the first counts; an invalid one makes the response stale.
pub(super) fn keep_first(slot: &mut Option<Duration>, value: Option<Duration>) {
    match value {
        None => *slot = Some(Duration::ZERO),
        Some(value) if slot.is_none() => *slot = Some(value),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

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

    /// What is left where nothing is permitted.
    const ZEROES: &str = "max-age=0 s-maxage=0 stale-while-revalidate=0 stale-if-error=0";

    fn shown(said: &Directives) -> String {
        let scope = |scope: &Scope, name: &str| match scope {
            Scope::Nowhere => None,
            Scope::Everywhere => Some(name.to_owned()),
            Scope::Fields(names) => {
                let names: Vec<_> = names.iter().map(HeaderName::as_str).collect();
                Some(format!("{name}={}", names.join("+")))
            }
        };
        let flag = |on: bool, name: &str| on.then(|| name.to_owned());
        let seconds = |seconds: Option<Duration>, name: &str| {
            seconds.map(|seconds| format!("{name}={}", seconds.as_secs()))
        };
        let shown = [
            flag(said.no_store, "no-store"),
            scope(&said.no_cache, "no-cache"),
            scope(&said.private, "private"),
            flag(said.public, "public"),
            flag(said.must_understand, "must-understand"),
            flag(said.excuses_no_store, "excused"),
            flag(said.must_revalidate, "must-revalidate"),
            flag(said.proxy_revalidate, "proxy-revalidate"),
            seconds(said.max_age, "max-age"),
            seconds(said.s_maxage, "s-maxage"),
            seconds(said.stale_while_revalidate, "stale-while-revalidate"),
            seconds(said.stale_if_error, "stale-if-error"),
        ];
        shown.into_iter().flatten().collect::<Vec<_>>().join(" ")
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
                "§5.2.2.4, §5.2.2.7 qualified",
                &["no-cache=\"a, B\", private=\"c\""],
                "no-cache=a+b private=c",
            ),
            (
                "§5.2.2.7 qualified twice",
                &["private=\"a\", private=\"b\""],
                "private=a+b",
            ),
            (
                "§5.2.2.7 qualified and not",
                &["private=\"a\", private", "no-cache, no-cache=\"a\""],
                "no-cache private",
            ),
            ("§5.2.2.7 qualified by a token", &["private=a"], "private"),
            ("§5.2.2.7 by nothing", &["private=\"\""], "private"),
            ("§5.2.2.7 by commas", &["private=\",,\""], "private"),
            (
                "§5.2.2.7 one name is none",
                &["private=\"a, b c\""],
                "private",
            ),
            (
                "§5.2.2.4 an escape is no name",
                &["no-cache=\"a\\b\""],
                "no-cache",
            ),
            (
                "RFC 9110 §5.6.1.2 empty names",
                &["no-cache=\" ,a,,\""],
                "no-cache=a",
            ),
            (
                "§5.2.2.2, §5.2.2.8",
                &["must-revalidate, Proxy-Revalidate"],
                "must-revalidate proxy-revalidate",
            ),
            (
                "§5.2.2.2 with an argument: it permits nothing",
                &["must-revalidate=1"],
                "proxy-revalidate",
            ),
            ("§5.2.2.3", &["must-understand"], "must-understand excused"),
            (
                "§5.2.2.3 with an argument: it permits nothing",
                &["must-understand=1"],
                "must-understand",
            ),
            (
                "RFC 5861 §3, §4",
                &["stale-while-revalidate=5, Stale-If-Error=\"6\""],
                "stale-while-revalidate=5 stale-if-error=6",
            ),
            (
                "RFC 5861 malformed",
                &["stale-while-revalidate, stale-if-error=x"],
                "stale-while-revalidate=0 stale-if-error=0",
            ),
            (
                "RFC 5861 an invalid one of two",
                &["stale-if-error=5, stale-if-error=-1"],
                "stale-if-error=0",
            ),
            (
                "RFC 5861 the first of two",
                &["stale-if-error=5, stale-if-error=50"],
                "stale-if-error=5",
            ),
            ("RFC 8246 means nothing here", &["immutable"], ""),
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
                &*format!("no-store {ZEROES}"),
            ),
            (
                "unbalanced quote before a restriction",
                &["x=\", private"],
                &*format!("no-store private {ZEROES}"),
            ),
            (
                "unbalanced quote before what permits",
                &["x=\", must-revalidate, must-understand"],
                &*format!("no-store must-understand proxy-revalidate {ZEROES}"),
            ),
            (
                "unbalanced list of fields",
                &["private=\"a, b"],
                &*format!("no-store private {ZEROES}"),
            ),
            (
                "something behind a quoted string",
                &["x=\"a\"b, max-age=9"],
                &*format!("no-store {ZEROES}"),
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
                "RFC 9651 §2 a string is no number of seconds",
                &[cdn("max-age=\"60\", public"), cc],
                &*format!("private {ZEROES}"),
                true,
            ),
            (
                "RFC 9651 §2 restrictions of both",
                &[
                    cdn("max-age=\"60\", no-cache"),
                    ("cache-control", "no-store, max-age=9"),
                ],
                &*format!("no-store no-cache {ZEROES}"),
                true,
            ),
            (
                "negative",
                &[cdn("max-age=-1"), cc],
                &*format!("private {ZEROES}"),
                true,
            ),
            (
                "fraction",
                &[cdn("max-age=1.5"), cc],
                &*format!("private {ZEROES}"),
                true,
            ),
            (
                "a window that is none",
                &[cdn("max-age=5, stale-if-error"), cc],
                &*format!("private {ZEROES}"),
                true,
            ),
            (
                "RFC 5861 windows",
                &[cdn("stale-while-revalidate=5, stale-if-error=6"), cc],
                "stale-while-revalidate=5 stale-if-error=6",
                true,
            ),
            (
                "§2.1 flags",
                &[
                    cdn("no-cache, must-revalidate, proxy-revalidate, must-understand"),
                    cc,
                ],
                "no-cache must-understand excused must-revalidate proxy-revalidate",
                true,
            ),
            (
                "a flag of another type",
                &[
                    cdn("must-revalidate=1, public=1, private=1, no-store=x"),
                    cc,
                ],
                &*format!("no-store private proxy-revalidate {ZEROES}"),
                true,
            ),
            (
                "a string names fields",
                &[cdn("private=\"a, b\", no-cache=\"c\""), cc],
                "no-cache=c private=a+b",
                true,
            ),
            (
                "a string that names none",
                &[cdn("private=\"\", no-cache=\"a b\""), cc],
                &*format!("no-cache private {ZEROES}"),
                true,
            ),
            (
                "a token",
                &[cdn("private=a"), cc],
                &*format!("private {ZEROES}"),
                true,
            ),
            (
                "false is off",
                &[
                    cdn("no-store=?0, public=?0, private=?0, no-cache=?0, max-age=9"),
                    cc,
                ],
                "max-age=9",
                true,
            ),
            (
                "a list of fields",
                &[cdn("private=(\"a\" \"b\")"), cc],
                &*format!("private {ZEROES}"),
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
                "a malformed s-maxage",
                &[("cache-control", "max-age=60, s-maxage=x")],
                false,
            ),
            (
                "a malformed targeted max-age",
                &[("cdn-cache-control", "max-age=x")],
                false,
            ),
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
}
