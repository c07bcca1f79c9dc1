//! The fast path: hits that need nothing else are answered before hyper sees them.
//!
//! What hyper does for any request at all, its state between requests, bodies in both directions, upgrades and their signals, costs more
//! than such a hit itself. So a head is read here first, by the parser that hyper uses. If it is [plain](is_plain) and what it asks
//! for is stored and fresh, the answer is written at once; whatever else it is, hyper is given the stream as if nothing had been read
//! of it, and has the last word on what is malformed. Plans, lookups, answers, counts and logs are those of all requests.

use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::body::Body;
use crate::dialects::cache_status;
use crate::dialects::cache_status::CACHE_STATUS;
use crate::model::fields::Lines;
use crate::model::outcome::Outcome;
use crate::model::time::Timestamp;
use crate::proxy::Asked;
use crate::proxy::Connection;
use crate::proxy::Proxy;
use crate::proxy::hooked::Hooked;
use crate::proxy::listen::Stop;
use crate::proxy::listen::is_over;
use crate::proxy::respond;
use crate::proxy::respond::Form;
use crate::proxy::wire::Wire;
use crate::proxy::wire::first_head;
use crate::rules::Mode;
use crate::rules::Plan;
use crate::telemetry::trace::Place;

/// What comes after the hits of a connection.
pub(super) enum Next {
    /// Something that hyper is to answer: all that has been read of it and of what follows.
    Other(BytesMut),
    /// Nothing: the client has left, or we stop.
    Nothing,
}

/// The most fields that a plain head has; hyper allows a hundred.
const MOST_FIELDS: usize = 64;

/// After so many answers it is looked whether we stop, though there is always more to read.
const MANY: u32 = 32;

/// How much is read at once, in bytes.
const READ: usize = 8 << 10;

/// Fields that say how the connection goes on, or that something follows the head.
static SAY_MORE: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a request is its head alone, and the connection simply goes on after it: nobody but the key, the store and the rules has
/// anything to do with it.
pub(super) fn is_plain<B>(request: &Request<B>) -> bool {
    let is_harmless = |(name, value): (&HeaderName, &HeaderValue)| {
        !SAY_MORE.contains(name)
            || (*name == header::CONNECTION && value.as_bytes().eq_ignore_ascii_case(b"keep-alive"))
    };
    matches!(*request.method(), Method::GET | Method::HEAD)
        && request.version() == Version::HTTP_11
        && request.uri().authority().is_none()
        && request.uri().path().starts_with('/')
        && request.headers().iter().all(is_harmless)
}

impl Connection {
    /// Answers plain hits, until something else comes.
    ///
    /// # Errors
    ///
    /// The connection is broken, or its client has kept it waiting for too long.
    pub(super) async fn answer_hits<S>(
        &self,
        wire: &mut Wire<S>,
        stop: &mut Stop,
        since: Instant,
    ) -> io::Result<Next>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stopped = pin!(is_over(stop, since, &self.line));
        let (mut read, mut head) = (BytesMut::new(), Vec::new());
        let mut in_a_row = 0_u32;
        loop {
            in_a_row += 1;
            // A client that never waits for an answer is told to stop, too: by hyper, if more has come.
            if in_a_row.is_multiple_of(MANY) && stopped.as_mut().now_or_never().is_some() {
                return Ok(match read.is_empty() {
                    true => Next::Nothing,
                    false => Next::Other(read),
                });
            }
            if read.is_empty() {
                read.reserve(READ);
                tokio::select! {
                    biased; // what has come is answered before we stop
                    came = wire.read_buf(&mut read) => if came? == 0 {
                        return Ok(Next::Nothing);
                    },
                    () = &mut stopped => return Ok(Next::Nothing),
                }
            }
            let Some((request, bytes)) = take_plain(&mut read) else {
                return Ok(Next::Other(read));
            };
            head.clear();
            // What breaks here is left to hyper, and answered as what breaks there.
            let hit = catch_unwind(AssertUnwindSafe(|| self.hit(request, &mut head)));
            let Some(body) = hit.unwrap_or_default() else {
                return Ok(Next::Other(joined(&bytes, &read)));
            };
            let mut answer = Buf::chain(&*head, &*body);
            wire.write_all_buf(&mut answer).await?;
            wire.flush().await?;
            self.line.answered(read.len());
        }
    }

    /// The answer to a plain request, if it is a hit: writes its head, and returns its body. Else nobody has been told anything.
    fn hit(&self, request: Request<()>, to: &mut Vec<u8>) -> Option<Bytes> {
        let proxy = &self.proxy;
        let parts = request.into_parts().0;
        let (head, debug) = proxy.read_head(parts, false, self.scheme).ok()?;
        if debug {
            return None;
        }
        let mut asked = Asked {
            head,
            body: Body::empty(),
            peer: self.peer,
            trace: Place::default(),
            upgrade: None,
            debug,
        };
        let begun = proxy.begin(&mut asked);
        let plan = proxy.plan_by_head(&mut asked).ok()?;
        let hooked = Hooked::of(&plan, &asked.head);
        let Plan::Lookup(query) = plan else {
            return None;
        };
        if let Mode::Shadow(_) = query.rule.mode {
            return None;
        }
        let (stored, now) = proxy.0.cache.hit(&query, &asked.head)?;
        let entry = &stored.entry;
        let form = respond::form(&asked.head, entry);
        let is_whole = match form {
            Form::Whole => Some(true),
            Form::NotModified => Some(false),
            Form::Ranges(_) => None,
        };
        let tell = |status, outcome| proxy.end(begun, hooked, &query.rule, status, outcome);
        // What it takes more than its own lines and ours for is made as on the long way: ranges, and what caches behind us have said.
        let Some(is_whole) = is_whole.filter(|_| !entry.headers.has(&CACHE_STATUS)) else {
            let (response, outcome) = respond::as_form(form, &asked.head, &stored, None, now);
            let outcome = tell(response.status(), outcome);
            let (parts, body) = proxy.stamp(response, outcome, None).into_parts();
            let body = body.into_bytes().expect("what is stored is here");
            let lines = parts.headers.iter();
            let lines = lines.map(|(name, value)| (name, value.as_bytes()));
            let own = Own::none(parts.status, body.len(), now);
            write_head(to, parts.status, lines, &own);
            return Some(body);
        };
        let status = match is_whole {
            true => entry.status,
            false => StatusCode::NOT_MODIFIED,
        };
        let ttl = entry.meta.ttl(now);
        let outcome = tell(status, Outcome::Hit { ttl, stale: None });
        let shown = proxy.0.config.cache_status;
        let own = Own {
            age: Some(entry.meta.age(now).as_secs()),
            cache_status: shown.then(|| cache_status::render(outcome)),
            ..Own::none(status, entry.body.len(), now)
        };
        let lines = entry.headers.iter();
        let lines = lines.filter(|(name, _)| is_whole || respond::in_not_modified(name));
        write_head(to, status, lines, &own);
        Some(match is_whole && *asked.head.method() != Method::HEAD {
            true => entry.body.clone(),
            false => Bytes::new(),
        })
    }
}

impl Proxy {
    /// Whether hits are answered so. Where each request has a span or tells of keys and tags, there is more to do.
    pub(super) fn has_fast_path(&self) -> bool {
        let config = &self.0.config;
        config.fast_path && !config.traces.are_made() && !config.debug.enabled
    }
}

fn joined(head: &[u8], rest: &[u8]) -> BytesMut {
    let mut all = BytesMut::with_capacity(head.len() + rest.len());
    all.extend_from_slice(head);
    all.extend_from_slice(rest);
    all
}

/// Takes the first head off what has been read, if it is there and plain; else all stays, for hyper, which waits for the rest and
/// refuses what can be no head.
fn take_plain(read: &mut BytesMut) -> Option<(Request<()>, Bytes)> {
    let end = first_head(read)?;
    let bytes = read.split_to(end).freeze();
    let request = request(&bytes).filter(is_plain);
    if request.is_none() {
        *read = joined(&bytes, read);
    }
    request.map(|request| (request, bytes))
}

/// The plain head that these bytes begin with, and where it ends. Public for who holds it to what hyper makes of the same bytes.
pub fn plain_head(bytes: &[u8]) -> Option<(Request<()>, usize)> {
    let (request, head) = take_plain(&mut BytesMut::from(bytes))?;
    Some((request, head.len()))
}

/// The request whose head these bytes are, as hyper would make it; `None` is for hyper to explain.
fn request(bytes: &Bytes) -> Option<Request<()>> {
    let mut lines = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(bytes, &mut lines).ok()?;
    if status != httparse::Status::Complete(bytes.len()) || parsed.version != Some(1) {
        return None;
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    let target = bytes.slice_ref(parsed.path?.as_bytes());
    *request.uri_mut() = Uri::from_maybe_shared(target).ok()?;
    let headers = request.headers_mut();
    headers.reserve(parsed.headers.len());
    for line in parsed.headers {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value)).ok()?;
        headers.append(name, value);
    }
    Some(request)
}

/// What we add to the fields of a stored response.
struct Own {
    /// In seconds, in place of what is there.
    age: Option<u64>,
    cache_status: Option<HeaderValue>,
    /// Of the content, if there may be any, and it does not say so itself.
    length: Option<usize>,
    /// What `Date` says where there is none.
    now: Timestamp,
}

impl Own {
    /// What every response needs that is answered now, with a body of this length.
    fn none(status: StatusCode, len: usize, now: Timestamp) -> Own {
        Own {
            age: None,
            cache_status: None,
            length: may_have_content(status).then_some(len),
            now,
        }
    }
}

/// A head as hyper writes it.
fn write_head<'l>(
    to: &mut Vec<u8>,
    status: StatusCode,
    lines: impl Iterator<Item = (&'l HeaderName, &'l [u8])>,
    own: &Own,
) {
    let mut put = |parts: [&[u8]; 4]| {
        for part in parts {
            to.extend_from_slice(part);
        }
        to.extend_from_slice(b"\r\n");
    };
    let reason = status.canonical_reason().unwrap_or("<none>");
    let code = status.as_str();
    put([b"HTTP/1.1 ", code.as_bytes(), b" ", reason.as_bytes()]);
    let (mut has_date, mut length) = (false, own.length);
    for (name, value) in lines {
        if *name == header::AGE && own.age.is_some() {
            continue; // it has grown
        }
        has_date |= *name == header::DATE;
        if *name == header::CONTENT_LENGTH {
            length = None; // that of the content that a HEAD does not bring
        }
        put([name.as_str().as_bytes(), b": ", value, b""]);
    }
    let mut digits = itoa::Buffer::new();
    if let Some(age) = own.age {
        put([b"age: ", digits.format(age).as_bytes(), b"", b""]);
    }
    if let Some(value) = &own.cache_status {
        put([b"cache-status: ", value.as_bytes(), b"", b""]);
    }
    if let Some(length) = length {
        put([
            b"content-length: ",
            digits.format(length).as_bytes(),
            b"",
            b"",
        ]);
    }
    if !has_date {
        let date = httpdate::fmt_http_date(own.now.into());
        put([b"date: ", date.as_bytes(), b"", b""]);
    }
    put([b""; 4]);
}

/// Whether a stored response with this status says how much content it has (RFC 9110 §8.6).
fn may_have_content(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
