//! Bytes as a client sends them, and what must hold of the heads that are read before hyper sees them: hyper reads the same.
//!
//! hyper is given the input over a stream of bytes and told to answer. If it and the fast path did not agree on where a head ends or
//! on what it says, one client's bytes would be another's request.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use http::HeaderMap;
use http::Method;
use http::Request;
use http::Response;
use http::Uri;
use http::Version;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::rt::Read;
use hyper::rt::ReadBufCursor;
use hyper::rt::Write;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tagalong::proxy::plain_head;

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let Some((mine, end)) = plain_head(input) else {
        return;
    };
    let (head, rest) = input.split_at(end);
    let alone = by_hyper(head);
    assert_eq!(alone, [Seen::of(&mine, true)]);
    // Whatever follows changes nothing, and hyper goes on with it at the same byte.
    assert_eq!(by_hyper(input), [alone, by_hyper(rest)].concat());
}

/// A request, and whether it has no body.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    is_whole: bool,
}

impl Seen {
    fn of<B>(request: &Request<B>, is_whole: bool) -> Seen {
        Seen {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            is_whole,
        }
    }
}

/// Whether anybody has read these bytes as a plain head.
pub fn is_plain(input: &[u8]) -> bool {
    plain_head(input).is_some()
}

/// The requests that hyper makes of these bytes.
fn by_hyper(bytes: &[u8]) -> Vec<Seen> {
    let seen = RefCell::new(Vec::new());
    let service = service_fn(|request: Request<Incoming>| {
        let is_whole = request.body().is_end_stream();
        seen.borrow_mut().push(Seen::of(&request, is_whole));
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let serving = http1::Builder::new().serve_connection(Bytes(bytes), service);
    let mut serving = pin!(serving);
    let mut nobody = Context::from_waker(Waker::noop());
    // Nothing waits: bytes are there or at their end, and answers are taken at once. It yields now and then.
    let mut turns = 0;
    while serving.as_mut().poll(&mut nobody).is_pending() {
        turns += 1;
        assert!(turns < 10_000, "hyper waits for something");
    }
    seen.take()
}

/// A client that has written these and takes every answer.
struct Bytes<'b>(&'b [u8]);

impl Read for Bytes<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, later) = self.0.split_at(self.0.len().min(buf.remaining()));
        buf.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Bytes<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
