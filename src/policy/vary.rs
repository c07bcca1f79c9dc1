//! `Vary`: which fields of the request select among the responses under one key (RFC 9111 §4.1).

use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, COOKIE, VARY};
use http::{HeaderMap, HeaderName};

use crate::model::key::KeyFields;
use crate::model::outcome::NoStore;

/// The fields that a response's `Vary` names: lower case, sorted, each once.
///
/// `without_cookies`: the app was asked without any, so `cookie` selects nothing.
///
/// # Errors
///
/// `*` among them says that no request can be known to select the response; so does a name that is none.
pub(super) fn names(
    headers: &HeaderMap,
    without_cookies: bool,
) -> Result<Arc<[HeaderName]>, NoStore> {
    let mut names = Vec::new();
    for line in headers.get_all(VARY) {
        for name in line.as_bytes().split(|byte| *byte == b',') {
            match name.trim_ascii() {
                b"" => {}
                b"*" => return Err(NoStore::VaryAny),
                // On its way to the app it gets the client's address: no two clients say the same.
                name if name.eq_ignore_ascii_case(b"x-forwarded-for") => {
                    return Err(NoStore::VaryAny);
                }
                name => names.push(HeaderName::from_bytes(name).map_err(|_| NoStore::VaryAny)?),
            }
        }
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    names.retain(|name| *name != COOKIE || !without_cookies);
    Ok(names.into())
}

/// What the request says in these fields. Requests that differ only where RFC 9111 §4.1 lets a cache overlook it say
/// the same: in several lines for one, and in the blanks of a list.
pub fn selecting(vary: &[HeaderName], request: &HeaderMap) -> KeyFields {
    let mut fields = KeyFields::new();
    for name in vary {
        let is_list = [ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name);
        let lines = request.get_all(name).iter().map(|line| line.as_bytes());
        let lines: Vec<&[u8]> = lines.map(<[u8]>::trim_ascii).collect();
        if lines.is_empty() {
            fields.absent(name.as_str());
        } else if is_list && !lines.iter().any(|line| line.contains(&b'"')) {
            let members = lines
                .iter()
                .flat_map(|line| line.split(|byte| *byte == b','));
            let members = members.map(<[u8]>::trim_ascii);
            let members: Vec<&[u8]> = members.filter(|member| !member.is_empty()).collect();
            fields.field(name.as_str(), members.join(&b','));
        } else {
            fields.field(name.as_str(), lines.join(&b", "[..]));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
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
            let names = names(&headers(&fields), false).ok();
            let names = names.map(|names| {
                names
                    .iter()
                    .map(HeaderName::as_str)
                    .collect::<Vec<_>>()
                    .join(" ")
            });
            assert_eq!(names.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn cookies_that_a_rule_ignores_select_nothing() {
        let said = [("vary", "COOKIE, Accept"), ("vary", "cookie")];
        assert_eq!(*names(&headers(&said), true).unwrap(), [ACCEPT]);
        assert_eq!(*names(&headers(&said), false).unwrap(), [ACCEPT, COOKIE]);
        assert!(names(&headers(&[("vary", "cookie, *")]), true).is_err());
    }

    #[test]
    fn rfc9111_4_1_requests_that_select_the_same_response() {
        let vary = headers(&[("vary", "Accept-Language, User-Agent")]);
        let vary = names(&vary, false).unwrap();
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
            ("another order", en, &[("accept-language", "de, en")], false),
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

    proptest! {
        #[test]
        fn any_vary_is_read(line in "[ -~]{0,40}") {
            let mut headers = HeaderMap::new();
            headers.append(VARY, HeaderValue::from_str(&line).unwrap());
            if let Ok(names) = names(&headers, false) {
                selecting(&names, &headers);
            }
            prop_assert!(!line.split(',').any(|name| name.trim() == "*") || names(&headers, false).is_err());
        }
    }
}
