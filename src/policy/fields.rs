//! Fields that belong to one connection and go no further (RFC 9110 §7.6.1, RFC 9111 §3.1).

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName};

/// Whether it is one that every message may have, beside what its `Connection` lists. Texts are told apart by their lengths
/// first, which costs less than to compare names.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Removes, from a request's or a response's fields, what is meant for the connection it came by: the fields that
/// `Connection` lists, and those that are so by nature.
pub fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let by_nature = headers.keys().filter(|name| is_hop_by_hop(name));
    let by_nature: Vec<HeaderName> = by_nature.cloned().collect();
    if by_nature.is_empty() {
        return; // as in most messages
    }
    let lines = headers.get_all(CONNECTION).iter();
    let options = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let listed: Vec<HeaderName> = options
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .collect();
    for name in listed.into_iter().chain(by_nature) {
        headers.remove(name);
    }
}

/// The fields of a response that are stored with it (RFC 9111 §3.1). Its length is that of the stored body.
pub fn storable_headers(headers: &HeaderMap) -> HeaderMap {
    let mut storable = headers.clone();
    drop_hop_by_hop(&mut storable);
    storable.remove(CONTENT_LENGTH);
    storable
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc9110_7_6_1_what_belongs_to_the_connection_is_removed() {
        for (name, fields, left) in [
            (
                "by nature",
                &[
                    ("keep-alive", "timeout=5"),
                    ("te", "trailers"),
                    ("transfer-encoding", "chunked"),
                    ("upgrade", "x"),
                ][..],
                "",
            ),
            (
                "the proxy's own",
                &[
                    ("proxy-authenticate", "x"),
                    ("proxy-authentication-info", "x"),
                    ("proxy-authorization", "x"),
                    ("proxy-connection", "x"),
                ],
                "",
            ),
            (
                "listed",
                &[("connection", "close, X-A"), ("x-a", "1"), ("x-b", "1")],
                "x-b",
            ),
            (
                "listed on several lines",
                &[
                    ("connection", "x-a"),
                    ("connection", ",x-b,"),
                    ("x-a", "1"),
                    ("x-b", "1"),
                ],
                "",
            ),
            (
                "all lines of it",
                &[("connection", "x-a"), ("x-a", "1"), ("x-a", "2")],
                "",
            ),
            (
                "no name is listed",
                &[("connection", "a b, (, x-a"), ("x-a", "1"), ("x-b", "1")],
                "x-b",
            ),
            (
                "everything else stays",
                &[
                    ("date", "x"),
                    ("etag", "x"),
                    ("trailer", "x"),
                    ("content-length", "1"),
                ],
                "date etag trailer",
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
            }
            let stored = storable_headers(&headers);
            let mut names: Vec<_> = stored.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names.join(" "), left, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_connection_field_is_read(line in "[ -~]{0,60}") {
            let mut headers = HeaderMap::new();
            headers.append(CONNECTION, HeaderValue::from_str(&line).unwrap());
            drop_hop_by_hop(&mut headers);
            prop_assert!(headers.is_empty());
        }
    }
}
