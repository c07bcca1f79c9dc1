//! `Vary`: which fields of the request select among the responses under one key (RFC 9111 §4.1).

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_LANGUAGE,
    COOKIE, DATE, FROM, HOST, IF_MODIFIED_SINCE, IF_RANGE, IF_UNMODIFIED_SINCE,
    PROXY_AUTHORIZATION, REFERER, USER_AGENT, VARY,
};
use http::{HeaderMap, HeaderName};

use crate::model::cookies;
use crate::model::entry::Selector;
use crate::model::fields::Lines;
use crate::model::key::KeyFields;
use crate::model::outcome::NoStore;
use crate::model::preferences::{Preferences, lines, members};

/// The fields that a response's `Vary` names: lower case, sorted, each once; then the cookies that it is said to vary by.
///
/// `selects_nothing`: of which fields the app saw nothing but what the key holds of them.
///
/// # Errors
///
/// `*` among them says that no request can be known to select the response; so does a name that is none.
pub(super) fn names(
    headers: &HeaderMap,
    cookies: &[Box<str>],
    selects_nothing: impl Fn(&HeaderName) -> bool,
) -> Result<Arc<[Selector]>, NoStore> {
    let mut names = Vec::new();
    for line in headers.get_all(VARY) {
        for name in line.as_bytes().split(|byte| *byte == b',') {
            match name.trim_ascii() {
                b"" => {}
                b"*" => return Err(NoStore::VaryAny),
                name => names.push(HeaderName::from_bytes(name).map_err(|_| NoStore::VaryAny)?),
            }
        }
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    let by_cookies = !selects_nothing(&COOKIE);
    names.retain(|name| !selects_nothing(name));
    // On its way to the app it gets the client's address: no two clients say the same.
    if names.iter().any(|name| name == "x-forwarded-for") {
        return Err(NoStore::VaryAny);
    }
    let fields = names.into_iter().map(Selector::Field);
    let cookies = cookies.iter().filter(|_| by_cookies).cloned();
    Ok(fields.chain(cookies.map(Selector::Cookie)).collect())
}

/// Fields whose blanks and commas are their own: no lists.
const NO_LISTS: [HeaderName; 11] = [
    AUTHORIZATION,
    COOKIE,
    DATE,
    FROM,
    HOST,
    IF_MODIFIED_SINCE,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    PROXY_AUTHORIZATION,
    REFERER,
    USER_AGENT,
];

/// The name under which the language that a client wants most is a selecting field. No field can have it, so no
/// `Accept-Language` says the same (L7).
const LANGUAGE: &str = "accept-language:most";

/// What the request says in these fields. Requests that differ only where RFC 9111 §4.1 lets a cache overlook it say
/// the same, so any response that is right for one is right for the other.
pub fn selecting(vary: &[Selector], request: &HeaderMap) -> KeyFields {
    let mut fields = KeyFields::new();
    for selector in vary {
        select(selector, request, &mut fields);
    }
    fields
}

fn select(selector: &Selector, request: &HeaderMap, fields: &mut KeyFields) {
    match selector {
        Selector::Field(name) => fields.optional(name.as_str(), value(name, request)),
        Selector::Cookie(name) => {
            let field = format!("cookie:{name}"); // which no field can be called
            for value in cookies::values_of(request, name) {
                fields.field(&field, value);
            }
            fields.absent(&field); // and this is the end of them
            if cookies::are_ambiguous(request) {
                for line in cookies::lines(request) {
                    fields.field("cookie", line);
                }
            }
        }
    }
}

/// Where a response in one language is found by those who want that language most: the selecting fields, with the
/// response's only `Content-Language` in place of `Accept-Language`.
///
/// `None` if `Vary` does not name `Accept-Language`, or the response is not in exactly one language.
pub fn of_language(
    vary: &[Selector],
    request: &HeaderMap,
    response: &impl Lines,
) -> Option<KeyFields> {
    let language = response.only(&CONTENT_LANGUAGE)?.trim_ascii();
    in_language(vary, request, language)
}

/// Where [`of_language`] puts a response in the language that this request wants most, if that is a single one.
pub fn wanted_language(vary: &[Selector], request: &HeaderMap) -> Option<KeyFields> {
    if !by_language(vary) {
        return None; // the usual case, before anything is read
    }
    let preferences = Preferences::of(&ACCEPT_LANGUAGE, request)?;
    let mut members = preferences.iter();
    let (most, weight) = members.next()?;
    let alone = members.next().is_none_or(|(_, next)| next < weight);
    let wanted = alone && weight > 0;
    wanted.then(|| in_language(vary, request, most))?
}

fn by_language(vary: &[Selector]) -> bool {
    vary.iter().any(|selector| selector.reads(&ACCEPT_LANGUAGE))
}

fn in_language(vary: &[Selector], request: &HeaderMap, language: &[u8]) -> Option<KeyFields> {
    let is_tag = language
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    if !by_language(vary) || language.is_empty() || !is_tag {
        return None;
    }
    let mut fields = KeyFields::new();
    for selector in vary {
        if selector.reads(&ACCEPT_LANGUAGE) {
            fields.field(LANGUAGE, language.to_ascii_lowercase());
        } else {
            select(selector, request, &mut fields);
        }
    }
    Some(fields)
}

/// What the request says in a field, as one value; `None` if it does not have it.
fn value(name: &HeaderName, request: &HeaderMap) -> Option<Vec<u8>> {
    if !request.contains_key(name) {
        return None;
    }
    let preferring = [ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name);
    if preferring && let Some(preferences) = Preferences::of(name, request) {
        return Some(preferences.spelled());
    }
    let quoted = || lines(name, request).any(|line| line.contains(&b'"'));
    Some(match *name {
        // HTTP/2 may send each cookie on a line of its own (RFC 9113 §8.2.3).
        COOKIE => joined(lines(name, request), b"; "),
        _ if NO_LISTS.contains(name) || quoted() => joined(lines(name, request), b", "),
        _ => joined(members(name, request), b","),
    })
}

fn joined<'a>(parts: impl Iterator<Item = &'a [u8]>, between: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for (n, part) in parts.enumerate() {
        if n > 0 {
            text.extend_from_slice(between);
        }
        text.extend_from_slice(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::headers;
    use http::HeaderValue;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn fields_of(vary: &[Selector]) -> impl Iterator<Item = &HeaderName> {
        vary.iter().filter_map(|selector| match selector {
            Selector::Field(name) => Some(name),
            Selector::Cookie(_) => None,
        })
    }

    #[test]
    fn k25_cookies_that_a_response_is_said_to_vary_by_select_it() {
        let by = ["theme".into()];
        let vary = names(&headers(&[("vary", "accept")]), &by, |_| false).unwrap();
        assert_eq!(*vary, [ACCEPT.into(), Selector::Cookie("theme".into())]);
        let ignored = names(&HeaderMap::new(), &by, |name| *name == COOKIE).unwrap();
        assert!(ignored.is_empty());
        for (name, one, other, same) in [
            ("the same", "theme=a", "theme=a", true),
            ("others", "theme=a; x=1", "y=2; theme=a", true),
            ("another value", "theme=a", "theme=b", false),
            ("none", "theme=", "x=1", false),
            ("twice", "theme=a", "theme=a; theme=a", false),
            ("another name", "theme=a", "Theme=a", false),
            ("quoted", "theme=a", "x=\"; theme=a\"", false),
        ] {
            let selecting = |said| selecting(&vary, &headers(&[("cookie", said)]));
            assert_eq!(selecting(one) == selecting(other), same, "{name}");
        }
    }

    #[test]
    fn rfc9110_12_5_5_vary() {
        for (name, lines, expected) in [
            ("none", &[][..], Some("")),
            ("one", &["Accept"], Some("accept")),
            ("sorted, each once", &["B, a", "A,c"], Some("a b c")),
            ("empty members", &[",a,, "], Some("a")),
            ("any", &["*"], None),
            (
                "what every client differs in",
                &["accept, X-Forwarded-For"],
                None,
            ),
            ("any among others", &["a, *"], None),
            ("any on another line", &["a", "*"], None),
            ("no name", &["a, b c"], None),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
            let names = names(&headers(&fields), &[], |_| false).ok();
            let names = names.map(|names| {
                let names = fields_of(&names).map(HeaderName::as_str);
                names.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(names.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn cookies_that_a_rule_ignores_select_nothing() {
        let said = [("vary", "COOKIE, Accept"), ("vary", "cookie")];
        assert_eq!(
            *names(&headers(&said), &[], |name| *name == COOKIE).unwrap(),
            [ACCEPT.into()]
        );
        assert_eq!(
            *names(&headers(&said), &[], |_| false).unwrap(),
            [ACCEPT.into(), COOKIE.into()]
        );
        assert!(
            names(&headers(&[("vary", "cookie, *")]), &[], |name| *name
                == COOKIE)
            .is_err()
        );
    }

    #[test]
    fn rfc9111_4_1_requests_that_select_the_same_response() {
        let vary = headers(&[(
            "vary",
            "Accept-Encoding, Accept-Language, Cookie, User-Agent, X-Foo",
        )]);
        let vary = names(&vary, &[], |_| false).unwrap();
        let en = &[("accept-language", "en, de")][..];
        for (name, one, other, same) in [
            ("the same", en, en, true),
            (
                "blanks in a list",
                en,
                &[("accept-language", "en,de")],
                true,
            ),
            (
                "several lines",
                en,
                &[("accept-language", "en"), ("accept-language", "de")],
                true,
            ),
            (
                "§4.1 lines of a list",
                &[("x-foo", "1, 2")],
                &[("x-foo", "1"), ("x-foo", "2")],
                true,
            ),
            (
                "§4.1 blanks in any list",
                &[("x-foo", "1,2")],
                &[("x-foo", " 1, 2 ")],
                true,
            ),
            (
                "case where it may mean something",
                &[("x-foo", "a")],
                &[("x-foo", "A")],
                false,
            ),
            (
                "order where it may mean something",
                &[("x-foo", "1,2")],
                &[("x-foo", "2,1")],
                false,
            ),
            (
                "blanks inside a member",
                &[("x-foo", "1 2")],
                &[("x-foo", "12")],
                false,
            ),
            (
                "blanks inside quotes",
                &[("x-foo", "\"1, 2\"")],
                &[("x-foo", "\"1,2\"")],
                false,
            ),
            (
                "RFC 9113 §8.2.3 cookies on lines of their own",
                &[("cookie", "a=1; b=2")],
                &[("cookie", "a=1"), ("cookie", "b=2")],
                true,
            ),
            (
                "a cookie with a comma is one",
                &[("cookie", "a=1, b=2")],
                &[("cookie", "a=1"), ("cookie", "b=2")],
                false,
            ),
            (
                "RFC 9110 §12.5.4 order, which apps take for preference",
                en,
                &[("accept-language", "de, en")],
                false,
            ),
            (
                "RFC 9110 §12.5.3 order of codings",
                &[("accept-encoding", "gzip, br")],
                &[("accept-encoding", "br,gzip")],
                true,
            ),
            (
                "RFC 9110 §12.5.4 case",
                en,
                &[("accept-language", "eN, De")],
                true,
            ),
            (
                "RFC 9110 §12.5.4 blanks",
                en,
                &[("accept-language", " en ,   de")],
                true,
            ),
            (
                "RFC 9110 §12.4.2 other weights",
                en,
                &[("accept-language", "en, de;q=0.9")],
                false,
            ),
            ("absent", en, &[], false),
            (
                "empty is not absent",
                &[("accept-language", "")],
                &[],
                false,
            ),
            (
                "a field that is not named",
                en,
                &[("accept-language", "en, de"), ("x", "1")],
                true,
            ),
            (
                "blanks where they may mean something",
                &[("user-agent", "a, b")],
                &[("user-agent", "a,b")],
                false,
            ),
            (
                "lines of any field",
                &[("user-agent", "a, b")],
                &[("user-agent", "a"), ("user-agent", "b")],
                true,
            ),
            (
                "a value in the other field",
                &[("user-agent", "a")],
                &[("accept-language", "a")],
                false,
            ),
        ] {
            let [one, other] = [one, other].map(|fields| selecting(&vary, &headers(fields)));
            assert_eq!(one == other, same, "{name}");
        }
    }

    #[test]
    fn rfc9110_12_5_preferences_in_one_spelling() {
        for (name, field, lines, expected) in [
            (
                "§12.4.2 by weight",
                "accept-language",
                &["en;q=0.5, de;q=0.8, fr"][..],
                "fr,de;q=0.8,en;q=0.5",
            ),
            (
                "§12.4.2 the greatest weight",
                "accept-language",
                &["en;q=1, de;q=1.000, fr;q=1."],
                "en,de,fr",
            ),
            (
                "§12.4.2 zeros",
                "accept-encoding",
                &["br;q=0.50, gzip;q=0.000, x;q=0."],
                "br;q=0.5,gzip;q=0,x;q=0",
            ),
            (
                "§12.4.2 small",
                "accept-encoding",
                &["br;q=0.05, gzip;q=0.001"],
                "br;q=0.05,gzip;q=0.001",
            ),
            (
                "§12.4.2 in any case",
                "accept-encoding",
                &["br;Q=0.5"],
                "br;q=0.5",
            ),
            (
                "§12.4.2 blanks",
                "accept-encoding",
                &["br ; q=0.5"],
                "br;q=0.5",
            ),
            (
                "each once",
                "accept-encoding",
                &["br, BR, br;q=1.0, br;q=0.5"],
                "br,br;q=0.5",
            ),
            (
                "on several lines",
                "accept-encoding",
                &["gzip", "br"],
                "br,gzip",
            ),
            (
                "empty members",
                "accept-encoding",
                &[", gzip,,br,"],
                "br,gzip",
            ),
            ("§12.5.3 nothing but identity", "accept-encoding", &[""], ""),
            ("§12.5.3 K26", "accept-encoding", &["br,gzip"], "br,gzip"),
            (
                "§12.5.3 no class of codings",
                "accept-encoding",
                &["gzip, br, zstd, deflate"],
                "br,deflate,gzip,zstd",
            ),
            (
                "§12.5.2 charsets",
                "accept-charset",
                &["UTF-8, *;q=0.1"],
                "utf-8,*;q=0.1",
            ),
            (
                "§12.5.1 media ranges with parameters",
                "accept",
                &["Text/HTML;Level=1;q=0.5, */*;q=0.1, a/b ; Charset=UTF-8"],
                "a/b;charset=UTF-8,text/html;level=1;q=0.5,*/*;q=0.1",
            ),
            (
                "a weight too great",
                "accept-language",
                &["en;q=2,  DE"],
                "en;q=2,DE",
            ),
            (
                "a weight too exact",
                "accept-language",
                &["en;q=0.1234,  DE"],
                "en;q=0.1234,DE",
            ),
            (
                "more than all",
                "accept-language",
                &["en;q=1.001,  DE"],
                "en;q=1.001,DE",
            ),
            ("no weight", "accept-language", &["en;q=,  DE"], "en;q=,DE"),
            (
                "no number",
                "accept-language",
                &["en;q=.5,  DE"],
                "en;q=.5,DE",
            ),
            (
                "blanks in a weight",
                "accept-language",
                &["en;q =0.5,  DE"],
                "en;q =0.5,DE",
            ),
            (
                "two weights",
                "accept-language",
                &["en;q=0.5;q=0.6,  DE"],
                "en;q=0.5;q=0.6,DE",
            ),
            (
                "something behind the weight",
                "accept",
                &["a/b;q=0.5;x=1,  C/d"],
                "a/b;q=0.5;x=1,C/d",
            ),
            (
                "a weight of nothing",
                "accept-language",
                &["q=0.5,  DE"],
                "q=0.5,DE",
            ),
            (
                "an empty parameter",
                "accept",
                &["a/b;;x=1,  C/d"],
                "a/b;;x=1,C/d",
            ),
            (
                "quotes",
                "accept",
                &["a/b;x=\"1,  2\"", "C/d"],
                "a/b;x=\"1,  2\", C/d",
            ),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| (field, *line)).collect();
            let got = value(&HeaderName::from_static(field), &headers(&fields)).unwrap();
            assert_eq!(String::from_utf8(got).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn a_response_in_one_language_is_found_by_who_wants_it_most() {
        let vary = names(&headers(&[("vary", "Accept-Language, X-Foo")]), &[], |_| {
            false
        })
        .unwrap();
        let stored = headers(&[("accept-language", "en, de"), ("x-foo", "1, 2")]);
        for (name, language, accept, foo, found) in [
            (
                "by weight",
                &["de"][..],
                &["fr;q=0.5, de;q=1.0"][..],
                "1,2",
                true,
            ),
            ("alone", &["de"], &["de"], "1,2", true),
            ("in any case", &["De-ch"], &["dE-CH;q=0.3"], "1,2", true),
            ("twice", &["de"], &["de, DE"], "1,2", true),
            ("on another line", &["de"], &["fr;q=0.5", "de"], "1,2", true),
            (
                "another wanted more",
                &["de"],
                &["fr, de;q=0.9"],
                "1,2",
                false,
            ),
            ("another wanted as much", &["de"], &["fr, de"], "1,2", false),
            ("anything wanted as much", &["de"], &["*, de"], "1,2", false),
            ("anything", &["de"], &["*"], "1,2", false),
            ("not wanted", &["de"], &["de;q=0"], "1,2", false),
            ("nothing said", &["de"], &[], "1,2", false),
            ("empty", &["de"], &[""], "1,2", false),
            ("a kindred one", &["de"], &["de-CH"], "1,2", false),
            ("malformed", &["de"], &["de;q=2"], "1,2", false),
            ("another field selects too", &["de"], &["de"], "1", false),
            ("in two languages", &["de, en"], &["de"], "1,2", false),
            (
                "in two languages, on two lines",
                &["de", "en"],
                &["de"],
                "1,2",
                false,
            ),
            ("in none", &[], &["de"], "1,2", false),
            ("in an empty one", &[""], &["de"], "1,2", false),
            ("in any", &["*"], &["*"], "1,2", false),
        ] {
            let language: Vec<_> = language
                .iter()
                .map(|line| ("content-language", *line))
                .collect();
            let place = of_language(&vary, &stored, &headers(&language));
            let accept = accept.iter().map(|line| ("accept-language", *line));
            let request: Vec<_> = accept.chain([("x-foo", foo)]).collect();
            let wanted = wanted_language(&vary, &headers(&request));
            assert_eq!(place.is_some() && place == wanted, found, "{name}");
        }
        let other = names(&headers(&[("vary", "X-Foo")]), &[], |_| false).unwrap();
        assert_eq!(
            of_language(&other, &stored, &headers(&[("content-language", "de")])),
            None
        );
        assert_eq!(
            wanted_language(&other, &headers(&[("accept-language", "de")])),
            None
        );
    }

    /// Members with their weights, and spellings that mean the same.
    fn preferred() -> impl Strategy<Value = Vec<(String, u16)>> {
        let weight = prop_oneof![Just(1000_u16), Just(500), Just(0), 0..=1000_u16];
        proptest::collection::vec(("[ab](-[ab])?|[*]", weight), 0..4)
    }

    fn spelled(members: &[(String, u16)], turn: usize, upper: bool) -> HeaderMap {
        let mut lines: Vec<String> = members
            .iter()
            .map(|(range, weight)| format!(" {range} ; q={}.{:03} ", weight / 1000, weight % 1000))
            .map(|line| if upper { line.to_uppercase() } else { line })
            .collect();
        let turn = turn.checked_rem(lines.len()).unwrap_or_default();
        lines.rotate_left(turn);
        headers(&[(
            "accept-encoding",
            &lines.join(if upper { "," } else { ",," }),
        )])
    }

    proptest! {
        #[test]
        fn what_is_preferred_in_another_order_differs(a in preferred(), b in preferred(), turn in 0_usize..4) {
            let same: [BTreeSet<_>; 2] = [&a, &b].map(|members| members.iter().collect());
            let value = |members, turn, upper| value(&ACCEPT_ENCODING, &spelled(members, turn, upper));
            prop_assert_eq!(value(&a, 0, false), value(&a, turn, true));
            prop_assert_eq!(value(&a, 0, false) == value(&b, turn, true), same[0] == same[1]);
        }

        #[test]
        fn one_spelling_is_its_own(field in 0_usize..5, line in "[ -~]{0,30}|([ab]/?[ab]?( ?; ?[qQx]=[01][.]?[0-9]{0,4})?[ ,]{0,2}){0,4}") {
            let field = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, USER_AGENT, VARY][field].clone();
            let mut fields = HeaderMap::new();
            fields.append(&field, HeaderValue::from_str(&line).unwrap());
            let once = value(&field, &fields).unwrap();
            fields.insert(&field, HeaderValue::from_bytes(&once).unwrap());
            prop_assert_eq!(value(&field, &fields).unwrap(), once);
        }

        #[test]
        fn any_bytes_are_a_value(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..3)) {
            let vary = names(&headers(&[("vary", "Accept, Accept-Language, Cookie, X-Foo")]), &[], |_| false).unwrap();
            let mut fields = HeaderMap::new();
            for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
                for name in fields_of(&vary).chain([&CONTENT_LANGUAGE]) {
                    fields.append(name, value.clone());
                }
            }
            let selecting = selecting(&vary, &fields);
            prop_assert!(Some(&selecting) != of_language(&vary, &fields, &fields).as_ref());
            prop_assert!(Some(&selecting) != wanted_language(&vary, &fields).as_ref());
        }

        #[test]
        fn l07_a_wanted_language_is_no_field_that_is_sent(vary_line in "accept-language(, ?[a-z:-]{1,20}){0,2}", value in "[a-z-]{1,3}", others in "[a-z,;=]{0,8}") {
            if let Ok(vary) = names(&headers(&[("vary", &vary_line)]), &[], |_| false) {
                let mut request = HeaderMap::new();
                for name in fields_of(&vary) {
                    request.insert(name, HeaderValue::from_str(&others).unwrap());
                }
                request.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(&value).unwrap());
                let wanted = wanted_language(&vary, &request).unwrap();
                let language: Vec<_> = wanted.iter().filter(|(name, _)| *name == LANGUAGE).collect();
                prop_assert_eq!(language, vec![(LANGUAGE, Some(value.as_bytes()))]);
                prop_assert!(HeaderName::from_bytes(LANGUAGE.as_bytes()).is_err(), "no field has this name");
                prop_assert_ne!(selecting(&vary, &request), wanted);
            }
        }

        #[test]
        fn any_vary_is_read(line in "[ -~]{0,40}") {
            let mut headers = HeaderMap::new();
            headers.append(VARY, HeaderValue::from_str(&line).unwrap());
            if let Ok(names) = names(&headers, &[], |_| false) {
                selecting(&names, &headers);
            }
            prop_assert!(!line.split(',').any(|name| name.trim() == "*") || names(&headers, &[], |_| false).is_err());
        }
    }
}
