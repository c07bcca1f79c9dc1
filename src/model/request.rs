//! A request's head, with the authority it is for worked out.

use std::borrow::Cow;

use bytes::Bytes;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, header};
use thiserror::Error;

use crate::model::key::KeyFields;

/// A request's head as rules and policy see it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Method, target, version and fields, as the client sent them.
    pub parts: Parts,
    /// `http` or `https`: how the client reached us.
    pub scheme: &'static str,
    /// Host and port the request is for (RFC 9110 §7.2): lower case, the scheme's default port left out.
    pub host: Box<str>,
    /// Its rule says that it changes nothing, whatever its method.
    pub safe: bool,
    /// Its body, where the key holds something of it; other bodies stream by.
    pub read: Option<Read>,
}

/// The body of a request that reads (a GraphQL query, a search), and what the key holds of it.
#[derive(Clone, Debug)]
pub struct Read {
    /// The whole body.
    pub body: Bytes,
    /// What the key holds of it.
    pub key: KeyFields,
}

/// Why a request is for no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// HTTP/1.1 requires `Host` (RFC 9112 §3.2).
    #[error("the request has no Host")]
    Missing,
    /// Two `Host` fields are how one request is made to mean two.
    #[error("the request has more than one Host")]
    Several,
    /// Not a host with an optional port.
    #[error("the request's Host is malformed")]
    Malformed,
}

impl Head {
    /// Works out which host the request is for: the target's authority over `Host` (RFC 9112 §3.2.2). Where neither
    /// is there, an HTTP/1.0 request is for the empty host.
    ///
    /// # Errors
    ///
    /// See [`HostError`]; the answer is 400.
    pub fn new(parts: Parts, scheme: &'static str) -> Result<Head, HostError> {
        let host = host(&parts, scheme)?;
        Ok(Head {
            parts,
            scheme,
            host,
            safe: false,
            read: None,
        })
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Whether the method asks for nothing to change (RFC 9110 §9.2.1); of the registered ones also those of WebDAV and its
    /// extensions (RFC 4918, 3253, 5323). One that nobody knows is unsafe. A rule may say that its requests are.
    pub fn is_safe(&self) -> bool {
        let method = self.method();
        self.safe || method.is_safe() || matches!(method.as_str(), "PROPFIND" | "REPORT" | "SEARCH")
    }

    /// Whether it brings content that may be stored: a GET, or one whose body is in the key.
    pub fn brings_content(&self) -> bool {
        *self.method() == Method::GET || self.read.is_some()
    }

    /// The fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The path as sent: neither decoded nor normalised.
    pub fn path(&self) -> &str {
        match self.parts.uri.path() {
            "" => "/",
            path => path,
        }
    }

    /// The same request as a GET: what brings the content that a HEAD speaks of, or that a POST may have changed. One that
    /// brings content by its body stays as it is.
    pub fn as_get(&self) -> Cow<'_, Head> {
        if self.brings_content() {
            return Cow::Borrowed(self);
        }
        let mut get = self.clone();
        get.parts.method = Method::GET;
        Cow::Owned(get)
    }

    /// The query as sent, without the `?`; an empty one differs from none.
    pub fn query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    /// The origin, `scheme://host`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }

    /// The absolute URI without the query, for the log: that may hold what is nobody's business.
    pub fn logged_uri(&self) -> String {
        let mut uri = self.origin();
        uri.push_str(self.path());
        uri
    }

    /// The absolute URI: origin, path and query as sent. A path of `*` (OPTIONS) stays as it is.
    pub fn absolute_uri(&self) -> String {
        let mut uri = self.logged_uri();
        if let Some(query) = self.query() {
            uri.push('?');
            uri.push_str(query);
        }
        uri
    }
}

fn host(parts: &Parts, scheme: &str) -> Result<Box<str>, HostError> {
    let mut fields = parts.headers.get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(HostError::Several);
    }
    if let Some(authority) = parts.uri.authority() {
        return normalised(authority, scheme);
    }
    match field {
        None if parts.version == http::Version::HTTP_10 => Ok("".into()),
        None => Err(HostError::Missing),
        Some(field) if field.is_empty() => Ok("".into()),
        Some(field) => match usual(field.as_bytes(), scheme) {
            Some(host) => Ok(host.into()),
            None => {
                let authority =
                    Authority::try_from(field.as_bytes()).map_err(|_| HostError::Malformed)?;
                normalised(&authority, scheme)
            }
        },
    }
}

/// The host and port as most clients send them, which need no parser: small letters, digits, dots and hyphens; digits.
fn usual<'h>(field: &'h [u8], scheme: &str) -> Option<&'h str> {
    let is_usual = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    let length = field.iter().take_while(|byte| is_usual(byte)).count();
    let (host, port) = field.split_at_checked(length)?;
    let is_port = |port: &[u8]| {
        (1..=5).contains(&port.len())
            && port.iter().all(u8::is_ascii_digit)
            && port != default_port(scheme)
    };
    let is_whole = match port.split_first() {
        None => true,
        Some((colon, port)) => *colon == b':' && is_port(port),
    };
    if host.is_empty() || !is_whole {
        return None;
    }
    str::from_utf8(field).ok()
}

fn default_port(scheme: &str) -> &'static [u8] {
    if scheme == "https" { b"443" } else { b"80" }
}

fn normalised(authority: &Authority, scheme: &str) -> Result<Box<str>, HostError> {
    let text = authority.as_str();
    let bytes = text.as_bytes();
    if bytes.contains(&b'@') {
        return Err(HostError::Malformed);
    }
    let default = default_port(scheme);
    let colon = bytes.iter().rposition(|byte| *byte == b':');
    let text = match colon.map(|at| (text.split_at(at).0, bytes.split_at(at + 1).1)) {
        Some((host, port)) if !port.contains(&b']') => {
            if !port.iter().all(u8::is_ascii_digit) {
                return Err(HostError::Malformed);
            }
            if port == default || port.is_empty() {
                host
            } else {
                text
            }
        }
        _ => text,
    };
    Ok(text.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_usual_host_is_what_the_parser_makes_of_it(field in "[a-cA-C0-9.:@_\\[\\]%-]{0,12}") {
            for scheme in ["http", "https"] {
                if let Some(host) = usual(field.as_bytes(), scheme) {
                    let authority = Authority::try_from(field.as_bytes()).unwrap();
                    prop_assert_eq!(&*normalised(&authority, scheme).unwrap(), host);
                }
            }
        }
    }

    fn head(target: &str, hosts: &[&str], version: http::Version) -> Result<Head, HostError> {
        let mut request = http::Request::builder().uri(target).version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        Head::new(request.body(()).unwrap().into_parts().0, "http")
    }

    #[test]
    fn the_host_comes_from_the_target_or_the_field() {
        let v11 = http::Version::HTTP_11;
        let v10 = http::Version::HTTP_10;
        for (name, target, hosts, version, expected) in [
            (
                "field",
                "/a",
                &["Shop.Example"][..],
                v11,
                Ok("shop.example"),
            ),
            (
                "default port",
                "/a",
                &["shop.example:80"],
                v11,
                Ok("shop.example"),
            ),
            (
                "empty port",
                "/a",
                &["shop.example:"],
                v11,
                Ok("shop.example"),
            ),
            (
                "other port",
                "/a",
                &["shop.example:8080"],
                v11,
                Ok("shop.example:8080"),
            ),
            (
                "absolute form wins",
                "http://a.example/x",
                &["b.example"],
                v11,
                Ok("a.example"),
            ),
            ("IPv6", "/a", &["[::1]:80"], v11, Ok("[::1]")),
            ("IPv6, no port", "/a", &["[::1]"], v11, Ok("[::1]")),
            ("HTTP/1.0 without", "/a", &[], v10, Ok("")),
            ("missing", "/a", &[], v11, Err(HostError::Missing)),
            (
                "two",
                "/a",
                &["a.example", "b.example"],
                v11,
                Err(HostError::Several),
            ),
            (
                "user info",
                "/a",
                &["me@a.example"],
                v11,
                Err(HostError::Malformed),
            ),
            (
                "path in host",
                "/a",
                &["a.example/x"],
                v11,
                Err(HostError::Malformed),
            ),
            (
                "port is a word",
                "/a",
                &["a.example:http"],
                v11,
                Err(HostError::Malformed),
            ),
        ] {
            let got = head(target, hosts, version).map(|head| head.host.to_string());
            assert_eq!(got, expected.map(str::to_owned), "{name}");
        }
    }

    #[test]
    fn rfc9110_9_2_1_which_methods_are_safe() {
        for (method, safe) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("TRACE", true),
            ("QUERY", true),
            ("PROPFIND", true),
            ("REPORT", true),
            ("SEARCH", true),
            ("POST", false),
            ("PROPPATCH", false),
            ("PURGE", false),
            ("search", false),
        ] {
            let request = http::Request::builder().method(method).header("host", "a");
            let head = Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap();
            assert_eq!(head.is_safe(), safe, "{method}");
        }
    }

    #[test]
    fn the_absolute_uri_keeps_path_and_query_as_sent() {
        let v11 = http::Version::HTTP_11;
        let head = head("/a%2Fb/../c?x=1&x=", &["Shop.example:80"], v11).unwrap();
        assert_eq!(head.absolute_uri(), "http://shop.example/a%2Fb/../c?x=1&x=");
    }
}
