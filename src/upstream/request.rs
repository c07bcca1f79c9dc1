//! The head of a request as it goes to the app, for either protocol. Pure.

use http::header::{self, HeaderName};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use pingora::http::RequestHeader;

use super::error::{UpstreamError, UpstreamErrorKind};
use super::target::{Protocol, Target};
use crate::body::Body;

/// How the end of a request's body is told (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, and nothing is said about it.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunk by chunk; in HTTP/2 the stream's own end.
    Chunked,
}

impl Framing {
    /// The length, where it is known before the body.
    pub(super) fn length(self) -> Option<u64> {
        match self {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked => None,
        }
    }
}

/// A request's head, ready to be sent, more than once if need be.
pub(super) struct Outgoing {
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    framing: Framing,
    upgrade: bool,
}

/// Fields that describe an HTTP/1 connection and have no place in HTTP/2 (RFC 9113 §8.2.2).
const HTTP1_ONLY: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

impl Outgoing {
    /// The head, and the body to send after it. The fields stay as they are, but for framing, which is ours.
    pub(super) fn new(parts: Parts, body: Body, protocol: Protocol) -> (Outgoing, Body) {
        let target = parts.uri.into_parts().path_and_query;
        let target = target.unwrap_or(PathAndQuery::from_static("/"));
        let mut headers = parts.headers;
        let asks = asks_for_upgrade(&headers);
        // HTTP/2 has no upgrade: the request is then an ordinary one, which the app may answer as it likes. What
        // waited for the upgrade to be sent is never sent.
        let upgrade = asks && protocol != Protocol::H2c;
        let body = if asks && !upgrade {
            Body::empty()
        } else {
            body
        };
        let length = headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        let framing = if upgrade {
            // What comes after an upgrade is no body; it is sent once the app has agreed.
            Framing::None
        } else if is_empty(&body) {
            // RFC 9110 §8.6: methods that are made for content say that there is none.
            let expected = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
            if expected || length.is_some() {
                Framing::Length(0)
            } else {
                Framing::None
            }
        } else {
            body.exact_len().map_or(Framing::Chunked, Framing::Length)
        };
        if let Framing::Length(length) = framing {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let outgoing = Outgoing {
            method: parts.method,
            target,
            headers,
            framing,
            upgrade,
        };
        (outgoing, body)
    }

    /// Whether sending it twice is as good as once (RFC 9110 §9.2.2).
    pub(super) fn is_idempotent(&self) -> bool {
        let is_idempotent = matches!(
            self.method,
            Method::GET
                | Method::HEAD
                | Method::OPTIONS
                | Method::PUT
                | Method::DELETE
                | Method::TRACE
        );
        is_idempotent && !self.upgrade
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    pub(super) fn is_upgrade(&self) -> bool {
        self.upgrade
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// For HTTP/1.1: the target in origin form.
    pub(super) fn http1(&self) -> Box<RequestHeader> {
        let mut parts = self.parts(Version::HTTP_11, Uri::from(self.target.clone()));
        if self.framing == Framing::Chunked {
            let chunked = HeaderValue::from_static("chunked");
            parts.headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        Box::new(parts.into())
    }

    /// For HTTP/2: `Host` becomes `:authority`, and the scheme is the connection's (Pingora alone would always say
    /// `https`).
    pub(super) fn http2(&self, app: &Target) -> Result<Box<RequestHeader>, UpstreamError> {
        let authority = match self.headers.get(header::HOST) {
            Some(host) if !host.is_empty() => host.clone(),
            _ => HeaderValue::try_from(app.authority()).map_err(unsendable)?,
        };
        let scheme = if app.protocol() == Protocol::Tls {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority.as_bytes())
            .path_and_query(self.target.clone())
            .build()
            .map_err(unsendable)?;
        let mut parts = self.parts(Version::HTTP_2, uri);
        parts.headers.remove(header::HOST);
        for name in &HTTP1_ONLY {
            parts.headers.remove(name);
        }
        // Increments may come in trailers, and an app may keep them from who does not ask (RFC 9110 §6.5.1).
        parts
            .headers
            .insert(header::TE, HeaderValue::from_static("trailers"));
        Ok(Box::new(parts.into()))
    }

    fn parts(&self, version: Version, uri: Uri) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = uri;
        parts.version = version;
        parts.headers = self.headers.clone();
        parts
    }
}

/// Whether there is nothing to send.
pub(super) fn is_empty(body: &Body) -> bool {
    body.is_empty() || body.exact_len() == Some(0)
}

/// `Upgrade`, and `Connection` with `upgrade` among its options (RFC 9110 §7.8).
fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        && headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

fn unsendable(error: impl std::fmt::Display) -> UpstreamError {
    UpstreamError::new(
        UpstreamErrorKind::Malformed,
        format!("the request cannot be put in HTTP/2: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(method: Method, fields: &[(&str, &str)], body: Body) -> Outgoing {
        let mut request = Request::builder()
            .method(method)
            .uri("http://x/a%2Fb?q=%20");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        Outgoing::new(parts, body, Protocol::Http1).0
    }

    #[test]
    fn framing_follows_the_body_not_the_fields() {
        let some = "12345";
        let none = "";
        for (name, method, fields, body, expected) in [
            ("GET", Method::GET, &[][..], none, Framing::None),
            ("empty POST", Method::POST, &[], none, Framing::Length(0)),
            (
                "empty DELETE that says so",
                Method::DELETE,
                &[("content-length", "0")],
                none,
                Framing::Length(0),
            ),
            ("POST", Method::POST, &[], some, Framing::Length(5)),
            (
                "wrong length",
                Method::POST,
                &[("content-length", "7")],
                some,
                Framing::Length(5),
            ),
            (
                "both",
                Method::POST,
                &[("content-length", "7"), ("transfer-encoding", "chunked")],
                some,
                Framing::Length(5),
            ),
            (
                "upgrade",
                Method::GET,
                &[
                    ("connection", "keep-alive, Upgrade"),
                    ("upgrade", "websocket"),
                ],
                some,
                Framing::None,
            ),
        ] {
            let outgoing = outgoing(method, fields, body.into());
            assert_eq!(outgoing.framing(), expected, "{name}");
            assert!(
                !outgoing
                    .http1()
                    .headers
                    .contains_key(header::TRANSFER_ENCODING),
                "{name}"
            );
        }
    }

    #[test]
    fn the_target_is_sent_as_it_came() {
        let head = outgoing(Method::GET, &[], Body::empty()).http1();
        assert_eq!(head.raw_path(), b"/a%2Fb?q=%20");
    }

    #[test]
    fn in_http2_host_is_the_authority() {
        let app: Target = "h2c://app:8000".parse().unwrap();
        for (fields, expected) in [
            (&[("host", "shop.example")][..], "shop.example"),
            (&[], "app:8000"),
        ] {
            let head = outgoing(Method::GET, fields, Body::empty())
                .http2(&app)
                .unwrap();
            assert_eq!(head.uri, format!("http://{expected}/a%2Fb?q=%20").as_str());
            assert!(!head.headers.contains_key(header::HOST));
        }
        assert!(
            outgoing(Method::GET, &[("host", "a b")], Body::empty())
                .http2(&app)
                .is_err()
        );
    }
}
