//! One exchange over one connection: the head goes out, the body follows while the response's head is awaited.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::protocols::http::client::HttpSession;

use super::Config;
use super::connector::{Lease, Need, Pool};
use super::error::{UpstreamError, UpstreamErrorKind};
use super::queue::Turn;
use super::request::{Framing, Outgoing, is_empty};
use super::response::{Incoming, declared_length, idle_time};
use super::target::Target;
use super::upload::{Coding, Upload};
use crate::body::Body;

/// Interim responses (RFC 9110 §15.2) that are waited through.
const MAX_INTERIM: usize = 100;

/// What a tunnel may be silent for: its two ends decide that, and TCP keep-alive finds the dead.
const FOREVER: Duration = Duration::MAX;

/// An exchange that failed, and what is known for deciding on another try.
pub(super) struct Failed {
    /// Why.
    pub(super) error: UpstreamError,
    /// The connection had served another exchange before.
    pub(super) reused: bool,
    /// An interim response came.
    pub(super) answered: bool,
}

/// Sends a request over a connection and waits for the response's head. The body is taken once there is a connection: where
/// none was made, nothing was sent. The turn is taken by the response's body, if there is one.
pub(super) async fn run(
    pool: &Arc<Pool>,
    config: &Config,
    outgoing: &Outgoing,
    body: &mut Body,
    turn: &mut Option<Turn>,
    need: Need,
) -> Result<Response<Body>, Failed> {
    let (lease, reused) = pool.take(need).await.map_err(|error| Failed {
        error,
        reused: false,
        answered: false,
    })?;
    let mut answered = false;
    let app = pool.target();
    let body = std::mem::take(body);
    exchange(lease, app, config, outgoing, body, turn, &mut answered)
        .await
        .map_err(|error| Failed {
            error,
            reused,
            answered,
        })
}

async fn exchange(
    mut lease: Lease,
    app: &Target,
    config: &Config,
    outgoing: &Outgoing,
    body: Body,
    turn: &mut Option<Turn>,
    answered: &mut bool,
) -> Result<Response<Body>, UpstreamError> {
    let limit = config.read_timeout;
    let mut tunnel = None;
    let mut upload = Upload::none();
    let duplex = if outgoing.is_upgrade() || !is_empty(&body) {
        lease.share()
    } else {
        None
    };
    match lease.session() {
        HttpSession::H1(session) => {
            session.write_timeout = Some(limit);
            if let (Some(duplex), Framing::Length(_) | Framing::Chunked) =
                (&duplex, outgoing.framing())
            {
                duplex.hold(); // the upload lets go
            }
            session.write_request_header(outgoing.http1()).await?;
            match (duplex, outgoing.framing()) {
                (Some(duplex), Framing::None) => tunnel = Some((duplex, body)),
                (Some(duplex), Framing::Length(length)) => {
                    upload = Upload::http1(duplex, body, Coding::Length(length), limit);
                }
                (Some(duplex), Framing::Chunked) => {
                    upload = Upload::http1(duplex, body, Coding::Chunked, limit);
                }
                (None, _) => {}
            }
        }
        HttpSession::H2(session) => {
            let empty = is_empty(&body);
            session.write_request_header(outgoing.http2(app)?, empty)?;
            if !empty {
                upload = Upload::http2(session, body, outgoing.framing().length(), limit);
            }
        }
        HttpSession::Custom(()) => {
            return Err(malformed("a protocol that was not asked for"));
        }
    }

    let mut head = head(&mut lease, &mut upload, config, answered).await?;
    let length = if head.status == StatusCode::SWITCHING_PROTOCOLS {
        // An upgrade that was not asked for has no meaning.
        let (duplex, body) = tunnel
            .filter(|_| was_upgraded(&mut lease))
            .ok_or_else(|| malformed("101 to a request for no upgrade"))?;
        upload = Upload::http1(duplex, body, Coding::Raw, FOREVER);
        let incoming = Incoming {
            lease,
            upload,
            limit: FOREVER,
            idle: None,
            says_its_end: false,
        };
        let (body, _) = incoming.into_body(None, &mut None)?;
        return Ok(head.with(body));
    } else {
        settle_coding(&mut head.headers)?;
        declared_length(&mut head.headers)
    };
    let idle = Some(idle_time(&head.headers));
    let bodiless = outgoing.is_head()
        || head.status == StatusCode::NO_CONTENT
        || head.status == StatusCode::NOT_MODIFIED;
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(header::CONTENT_LENGTH); // it must not say one (RFC 9110 §8.6)
    }
    let incoming = Incoming {
        lease,
        upload,
        limit,
        idle,
        says_its_end: head.says_its_end(bodiless),
    };
    if is_event_stream(&head.headers) {
        turn.take(); // like a tunnel, it may be open for days
    }
    let length = length.filter(|_| !bodiless);
    let (body, surplus) = incoming.into_body(length, turn)?;
    let mut response = head.with(body);
    if let Some(surplus) = surplus {
        response.extensions_mut().insert(surplus);
    }
    Ok(response)
}

/// A response's head.
struct Head {
    status: StatusCode,
    version: http::Version,
    headers: HeaderMap,
}

impl Head {
    fn of(header: &ResponseHeader) -> Head {
        Head {
            status: header.status,
            version: header.version,
            headers: header.headers.clone(),
        }
    }

    /// Whether the end of the response is not that of its connection, which goes on.
    fn says_its_end(&self, bodiless: bool) -> bool {
        let closes = |value: &HeaderValue| {
            let value = value.as_bytes().to_ascii_lowercase();
            value.windows(5).any(|word| word == b"close")
        };
        let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        let is_framed = framing.iter().any(|name| self.headers.contains_key(name));
        self.version == http::Version::HTTP_11
            && (bodiless || is_framed)
            && !self.headers.get_all(header::CONNECTION).iter().any(closes)
    }

    fn with(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.version_mut() = self.version;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The final head; the interim ones before it are skipped.
async fn head(
    lease: &mut Lease,
    upload: &mut Upload,
    config: &Config,
    answered: &mut bool,
) -> Result<Head, UpstreamError> {
    for _ in 0..MAX_INTERIM {
        let read = lease.session().read_response_header();
        upload.alongside(config.read_timeout, read).await?;
        let session = lease.session();
        let size = match session {
            HttpSession::H1(session) => session.get_headers_raw_bytes().len(),
            HttpSession::H2(_) | HttpSession::Custom(()) => session
                .response_header()
                .map_or(0, |head| size(&head.headers)),
        };
        if size > config.max_head {
            return Err(UpstreamError::new(
                UpstreamErrorKind::HeadTooLarge,
                format!("{size} bytes, {} are allowed", config.max_head),
            ));
        }
        let Some(header) = session.response_header() else {
            return Err(malformed("no head"));
        };
        if !header.status.is_informational() || header.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Head::of(header));
        }
        *answered = true;
    }
    Err(malformed("no end of interim responses"))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let essence = content_type.and_then(|it| it.as_bytes().split(|byte| *byte == b';').next());
    essence.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// What a head costs, as HTTP/2 counts it (RFC 9113 §6.5.2).
fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum()
}

fn was_upgraded(lease: &mut Lease) -> bool {
    match lease.session() {
        HttpSession::H1(session) => session.was_upgraded(),
        HttpSession::H2(_) | HttpSession::Custom(()) => false,
    }
}

/// What the known codings are called: those of transfer (RFC 9112 §7) and those of content, which somebody may have
/// taken for them. `identity` (RFC 2616 §3.6) is not among them: it meant none.
const CODINGS: [&str; 7] = [
    "chunk", "compress", "deflate", "gzip", "trailer", "zstd", "brotli",
];

/// We asked for no transfer coding (`TE`, RFC 9110 §10.1.4), so there may be none but `chunked`.
///
/// A known one would have to be undone, and what looks like `chunked` without being just that may have been meant as
/// it: both are refused, since their bytes would reach the client as what they are not. A single unknown word names
/// nothing that anybody could undo; it comes from an app that sets the field by hand and then writes the content as it
/// is. That is passed on without the field. It ends where the app closes the connection (RFC 9112 §6.3, rule 4): Pingora
/// reads it so and uses the connection for nothing else, so no second response can hide in it.
fn settle_coding(headers: &mut HeaderMap) -> Result<(), UpstreamError> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(coding), None) if coding.to_str().is_ok_and(is_unknown) => {
            headers.remove(header::TRANSFER_ENCODING);
            Ok(())
        }
        (Some(_), _) => Err(malformed("a transfer coding that was not asked for")),
    }
}

/// Whether a value of `Transfer-Encoding` is one word, of letters and digits alone, and no known coding's name is in it.
fn is_unknown(coding: &str) -> bool {
    let word = coding.to_ascii_lowercase();
    !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && word != "br"
        && !CODINGS.iter().any(|known| word.contains(known))
}

fn malformed(why: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Malformed, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_coding_that_means_nothing_is_passed_over() {
        // Some(whether the field is kept), or None for a refusal.
        for (codings, expected) in [
            (&[][..], Some(false)),
            (&["chunked"], Some(true)),
            (&["Chunked"], Some(true)),
            (&["ABC"], Some(false)),
            (&["identity"], Some(false)),
            (&["abracadabra"], Some(false)),
            (&["gzip"], None),
            (&["X-Gzip"], None),
            (&["compress"], None),
            (&["deflate"], None),
            (&["br"], None),
            (&["zstd"], None),
            (&["gzip, chunked"], None),
            (&["gzip", "chunked"], None),
            (&["chunked", "chunked"], None),
            (&["chunked, identity"], None),
            (&["chunked,"], None),
            (&["chunked;x=y"], None),
            (&["xchunked"], None),
            (&["\"chunked\""], None),
            (&["ch\u{212a}ed"], None),
            (&["ABC, chunked"], None),
            (&["ABC", "chunked"], None),
            (&["ABC", "ABC"], None),
            (&["ABC;q=1"], None),
            (&["a b"], None),
            (&[""], None),
        ] {
            let mut headers = HeaderMap::new();
            for coding in codings {
                let value = HeaderValue::from_bytes(coding.as_bytes()).unwrap();
                headers.append(header::TRANSFER_ENCODING, value);
            }
            let settled = settle_coding(&mut headers).ok();
            let kept = settled.map(|()| headers.contains_key(header::TRANSFER_ENCODING));
            assert_eq!(kept, expected, "{codings:?}");
        }
    }
}
