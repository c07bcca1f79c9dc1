//! Which URIs a successful unsafe request has changed (RFC 9111 §4.4).

use http::header::{CONTENT_LOCATION, LOCATION};
use http::response::Parts;
use http::{Request, Uri};

use crate::model::request::Head;

/// The request's own URI, and what `Location` and `Content-Location` name of the same origin, spelled as a request for
/// it would spell it; nothing for a safe method or an error. Methods nobody knows are unsafe.
pub(super) fn changed(head: &Head, response: &Parts) -> Vec<String> {
    let status = response.status;
    if head.is_safe() || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let lines = [LOCATION, CONTENT_LOCATION].map(|name| response.headers.get_all(name));
    let lines = lines.iter().flatten();
    let named = lines.filter_map(|line| same_origin(head, line.to_str().ok()?));
    [head.absolute_uri()].into_iter().chain(named).collect()
}

/// Whether the response says that it is what its own URI stands for: exactly one `Content-Location`, which names it
/// (RFC 9110 §9.3.3).
pub(super) fn is_of_its_own(head: &Head, response: &Parts) -> bool {
    let mut lines = response.headers.get_all(CONTENT_LOCATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let named = line.to_str().ok();
    named.and_then(|named| same_origin(head, named)) == Some(head.absolute_uri())
}

/// The absolute URI that the reference means (RFC 3986 §5.2), if it is of the request's own origin.
fn same_origin(head: &Head, reference: &str) -> Option<String> {
    let reference = before(reference, '#');
    let absolute = match reference.strip_prefix("//") {
        Some(_) => format!("{}:{reference}", head.scheme),
        None if has_scheme(reference) => reference.to_owned(),
        None => return Some(format!("{}{}", head.origin(), relative(head, reference))),
    };
    let uri = Uri::try_from(absolute).ok()?;
    if uri.scheme_str() != Some(head.scheme) {
        return None;
    }
    let path = without_dots(uri.path());
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let (parts, ()) = Request::builder().uri(uri).body(()).ok()?.into_parts();
    let named = Head::new(parts, head.scheme).ok()?;
    (named.host == head.host).then(|| format!("{}{target}", head.origin()))
}

/// Path and query of a reference that names neither scheme nor host.
fn relative(head: &Head, reference: &str) -> String {
    let path = before(reference, '?');
    let query = reference.strip_prefix(path).unwrap_or_default();
    if path.is_empty() {
        let own = head.query().map(|query| format!("?{query}"));
        let query = if query.is_empty() {
            own.unwrap_or_default()
        } else {
            query.to_owned()
        };
        return format!("{}{query}", head.path());
    }
    let folder = match head.path().rfind('/') {
        Some(end) if !path.starts_with('/') => head.path().get(..=end).unwrap_or("/"),
        _ => "",
    };
    format!("{}{query}", without_dots(&format!("{folder}{path}")))
}

/// RFC 3986 §3.1: a scheme ends at a colon that comes before any slash or question mark.
fn has_scheme(reference: &str) -> bool {
    let rest = reference.trim_start_matches(|c| !matches!(c, ':' | '/' | '?'));
    rest.starts_with(':')
}

/// Removes `.` and `..` segments (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let dots = matches!(segment, "." | "..");
        if segment == ".." {
            kept.pop();
        }
        if !dots {
            kept.push(segment);
        } else if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

fn before(text: &str, end: char) -> &str {
    text.split_once(end).map_or(text, |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn head(method: &str) -> Head {
        let request = Request::builder()
            .method(method)
            .uri("/a/b?x=1")
            .header("host", "shop.example");
        Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap()
    }

    fn response(status: u16) -> Parts {
        http::Response::builder()
            .status(status)
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn rfc9111_4_4_unsafe_requests_that_succeed_change_their_uri() {
        for (method, status, expected) in [
            ("POST", 200, true),
            ("PUT", 204, true),
            ("DELETE", 303, true),
            ("PATCH", 200, true),
            ("M-SEARCH", 200, true),
            ("FOO", 299, true),
            ("POST", 400, false),
            ("POST", 500, false),
            ("POST", 999, false),
            ("GET", 200, false),
            ("HEAD", 200, false),
            ("OPTIONS", 200, false),
            ("TRACE", 200, false),
        ] {
            let changed = changed(&head(method), &response(status));
            let own: &[String] = &["http://shop.example/a/b?x=1".to_owned()];
            assert_eq!(
                changed,
                if expected { own } else { &[] },
                "{method} {status}"
            );
        }
    }

    #[test]
    fn rfc9111_4_4_uris_of_the_same_origin_that_the_response_names() {
        for (name, reference, expected) in [
            ("absolute path", "/c?y=2", Some("/c?y=2")),
            ("absolute", "http://shop.example/c", Some("/c")),
            ("default port, case", "HTTP://Shop.Example:80/C", Some("/C")),
            ("host alone", "http://shop.example", Some("/")),
            ("of any scheme", "//shop.example/c", Some("/c")),
            ("relative", "c", Some("/a/c")),
            ("relative with colon later", "./c:d", Some("/a/c:d")),
            ("up", "../c", Some("/c")),
            ("up too far", "../../../c", Some("/c")),
            ("dots at the end", "/c/d/..", Some("/c/")),
            ("dots within", "/c/./d/../e", Some("/c/e")),
            ("query alone", "?y=2", Some("/a/b?y=2")),
            ("fragment alone", "#top", Some("/a/b?x=1")),
            ("fragment", "/c#top", Some("/c")),
            ("empty", "", Some("/a/b?x=1")),
            ("another host", "http://evil.example/c", None),
            ("another host of any scheme", "//evil.example/c", None),
            ("another scheme", "https://shop.example/c", None),
            ("another port", "http://shop.example:8080/c", None),
            ("user info", "http://me@shop.example/c", None),
            ("no http", "mailto:me@shop.example", None),
            ("malformed", "http://shop.example:x/c", None),
        ] {
            for field in [LOCATION, CONTENT_LOCATION] {
                let mut response = response(201);
                response
                    .headers
                    .insert(field, HeaderValue::from_str(reference).unwrap());
                let changed = changed(&head("POST"), &response);
                let expected = expected.map(|path| format!("http://shop.example{path}"));
                assert_eq!(changed.get(1), expected.as_ref(), "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_named_is_of_the_same_origin(reference in "[ -~]{0,40}|(http:|https:)?//(shop[.]example|[a-z.:@\\[\\]]{0,6})[/.:?#a-z]{0,8}") {
            let mut response = response(201);
            response.headers.insert(LOCATION, HeaderValue::from_str(&reference).unwrap());
            for uri in changed(&head("POST"), &response) {
                prop_assert!(uri.starts_with("http://shop.example/"), "{uri}");
            }
        }
    }
}
