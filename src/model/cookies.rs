//! Cookies of a request, read as leniently as apps read them (RFC 6265 §5.4).

use http::{HeaderMap, header};

/// The values of all cookies of this name, in order, as sent but for the white space around them.
///
/// Apps differ in which of several counts, so the key holds all; a template takes the first.
pub fn values_of<'h>(headers: &'h HeaderMap, wanted: &'h str) -> impl Iterator<Item = &'h [u8]> {
    lines(headers)
        .flat_map(|line| line.split(|&byte| byte == b';'))
        .filter_map(move |pair| {
            let at = pair.iter().position(|&byte| byte == b'=')?;
            let (name, value) = pair.split_at_checked(at)?;
            let value = value.get(1..)?;
            (name.trim_ascii() == wanted.as_bytes()).then(|| value.trim_ascii())
        })
}

/// Whether the request brings a cookie of this name.
pub fn has(headers: &HeaderMap, name: &str) -> bool {
    values_of(headers, name).next().is_some()
}

/// The name of the cookie that a value of `Set-Cookie` sets (RFC 6265 §5.2); `None` for one without, or that is no text.
pub fn set_by(line: &[u8]) -> Option<&str> {
    let pair = line.split(|&byte| byte == b';').next()?;
    let at = pair.iter().position(|&byte| byte == b'=')?;
    std::str::from_utf8(pair.get(..at)?.trim_ascii()).ok()
}

/// The lines of `Cookie`.
pub fn lines(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .map(|value| value.as_bytes())
}

/// Whether apps may split this request's cookies in another way than [`values_of`]: a quote may hide a `;`, and a pair
/// without `=` is a name to some and a value to others. A key then holds the lines themselves as well.
pub fn are_ambiguous(headers: &HeaderMap) -> bool {
    lines(headers).any(|line| {
        line.contains(&b'"')
            || line
                .split(|&byte| byte == b';')
                .any(|pair| !pair.trim_ascii().is_empty() && !pair.contains(&b'='))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_cookie_that_is_set_has_a_name() {
        for (line, expected) in [
            (
                "sid=1; Path=/; Expires=Thu, 01 Jan 2026 00:00:00 GMT",
                Some("sid"),
            ),
            (" sid = 1 ", Some("sid")),
            ("sid=", Some("sid")),
            ("=1", Some("")),
            ("sid; Path=/", None),
            ("", None),
        ] {
            assert_eq!(set_by(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn cookies_are_found_as_apps_find_them() {
        for (name, lines, expected, ambiguous) in [
            ("none", &[][..], &[][..], false),
            ("one", &["sid=1"], &["1"], false),
            ("among others", &["a=b; sid=1;c=d"], &["1"], false),
            ("spaces", &[" sid = 1 ;x=y"], &["1"], false),
            ("empty", &["sid="], &[""], false),
            ("twice", &["sid=1; sid=2"], &["1", "2"], false),
            ("two lines", &["sid=1", "sid=2"], &["1", "2"], false),
            ("other case", &["SID=1"], &[], false),
            ("prefix", &["xsid=1; sidx=2"], &[], false),
            ("equals signs", &["sid=a=b"], &["a=b"], false),
            ("trailing semicolon", &["sid=1; "], &["1"], false),
            ("no value", &["sid"], &[], true),
            ("quoted", &["sid=\"a;b\""], &["\"a"], true),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            let found: Vec<&[u8]> = values_of(&headers, "sid").collect();
            let expected: Vec<&[u8]> = expected.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(found, expected, "{name}");
            assert_eq!(are_ambiguous(&headers), ambiguous, "{name}");
        }
    }
}
