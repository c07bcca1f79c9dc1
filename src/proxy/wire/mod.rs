//! A client's connection, watched: silent and stalled clients are closed, and the bytes of a head can be looked at twice.
//!
//! hyper has one limit for the time a head may take, which runs on idle connections too; here a waiting connection and
//! a head that dribbles in have limits of their own (design.md §7). And hyper forgets a `Content-Length` that comes with
//! a `Transfer-Encoding` and closes the connection after the answer, which is safe; but such a request is refused here
//! (RFC 9112 §6.3), so the bytes of a head are kept until its request has begun. A head that came together with a chunked body
//! before it is not seen; then hyper's way holds.
//!
//! The stream is lent to hyper, and comes back when hyper is at rest: nothing is under way, nothing waits to be sent, and every byte
//! that came has been used. A single byte too many or too few would make one client's body another request, so where the account of
//! them is not exact, it never comes back.

mod lent;
mod line;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

pub(super) use lent::Lent;
pub(super) use line::Announced;
pub(super) use line::Busy;
pub(super) use line::Line;
pub(super) use line::first_head;

use crate::proxy::wire::line::Phase;

/// How long a client may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the rest of a head that has begun.
    pub(super) head: Duration,
    /// For the next request, and for taking bytes of a response.
    pub(super) idle: Duration,
    /// The longest head, in bytes; no more is remembered.
    pub(super) max_head: usize,
}

/// The stream of one client's connection.
pub(super) struct Wire<S> {
    stream: S,
    patience: Patience,
    line: Line,
    /// What has been read of it, and is to be read once more.
    put_back: BytesMut,
    /// Looks after the client; set once and moved only when it fires, or when less patience is due.
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

/// The longest write that holds no more than a few HTTP/2 control frames, in bytes.
const ACKNOWLEDGEMENTS: usize = 64;
/// How an HTTP/2 connection begins (RFC 9113 §3.4).
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl<S> Wire<S> {
    /// Watches a connection.
    pub(super) fn new(stream: S, patience: Patience) -> Wire<S> {
        Wire {
            stream,
            patience,
            line: Line::default(),
            put_back: BytesMut::new(),
            reading: None,
            writing: None,
        }
    }

    /// What requests on this connection tell it.
    pub(super) fn line(&self) -> Line {
        self.line.clone()
    }

    /// What has been read of it is read once more, by somebody else.
    ///
    /// # Errors
    ///
    /// As [`late_http_2`].
    pub(super) fn put_back(&mut self, bytes: BytesMut) -> io::Result<()> {
        if bytes.starts_with(HTTP_2) && self.line.lock().is_answered {
            return Err(late_http_2());
        }
        self.put_back = bytes;
        Ok(())
    }

    /// Notes what came from the client.
    ///
    /// # Errors
    ///
    /// As [`late_http_2`].
    fn came(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.line.lock();
        let state = &mut *state;
        match &mut state.phase {
            Phase::Head(head) => {
                if head.is_empty() {
                    let is_blank = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
                    if is_blank && bytes.ends_with(b"\n") {
                        return Ok(()); // blank lines between requests begin nothing (RFC 9112 §2.2)
                    }
                    state.since = Instant::now();
                }
                let room = self.patience.max_head.saturating_sub(head.len());
                state.is_exact &= bytes.len() <= room;
                head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                if head.starts_with(HTTP_2) {
                    if state.is_answered {
                        return Err(late_http_2());
                    }
                    state.phase = Phase::Http2;
                }
            }
            Phase::Body(_) => state.pass_body(bytes),
            Phase::Http2 | Phase::Tunnel => {}
        }
        Ok(())
    }

    /// Until when the client may keep us waiting, if it is its turn.
    fn deadline(&self) -> Option<Instant> {
        let state = self.line.lock();
        let patience = match &state.phase {
            _ if state.busy > 0 => return None,
            Phase::Head(bytes) if bytes.is_empty() => self.patience.idle,
            Phase::Head(_) | Phase::Body(_) => self.patience.head,
            Phase::Http2 | Phase::Tunnel => return None, // see `Line::gone_quiet`
        };
        Some(state.since + patience)
    }

    /// Ready when the client has kept us waiting for too long. On a connection at work the timer fires once in a while
    /// and is set again; no request pays for it.
    fn poll_too_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let deadline = self.deadline();
            let next = deadline.unwrap_or_else(|| Instant::now() + self.patience.idle);
            let timer = self
                .reading
                .get_or_insert_with(|| Box::pin(sleep_until(next)));
            if deadline.is_some_and(|deadline| deadline < timer.deadline()) {
                timer.as_mut().reset(next);
            }
            ready!(timer.as_mut().poll(cx));
            if deadline.is_some_and(|deadline| deadline <= timer.deadline()) {
                return Poll::Ready(too_late());
            }
            timer.as_mut().reset(next);
        }
    }

    /// Notes that the client took bytes: it still reads a response that is complete on our side. Over HTTP/2, short
    /// writes only acknowledge.
    fn took(&self, written: &Poll<io::Result<usize>>) {
        let mut state = self.line.lock();
        state.is_unsent = written.is_pending();
        if let Poll::Ready(Ok(bytes)) = written
            && (*bytes > ACKNOWLEDGEMENTS || !matches!(state.phase, Phase::Http2))
        {
            state.since = Instant::now();
        }
    }

    /// Notes whether all that was written is on its way: TLS takes more than the socket does.
    fn gone(&self, flushed: &Poll<io::Result<()>>) {
        self.line.lock().is_unsent = flushed.is_pending();
    }

    /// A write that waits for the client may not wait forever.
    fn patiently<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let idle = self.patience.idle;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(too_late()))
    }
}

/// HTTP/2 begins with the connection (RFC 9113 §3.4), and this one has brought requests of HTTP/1. Whoever is lent it would not know.
fn late_http_2() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "HTTP/2 begins in the middle of a connection",
    )
}

fn too_late() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the client kept the connection waiting for too long",
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.put_back.is_empty() {
            let read = self.put_back.len().min(buf.remaining());
            buf.put_slice(&self.put_back.split_to(read));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                let came = buf.filled().get(before..).unwrap_or_default();
                Poll::Ready(result.and_then(|()| self.came(came)))
            }
            Poll::Pending => self.poll_too_late(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.took(&written);
        self.patiently(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.took(&written);
        self.patiently(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.gone(&flushed);
        self.patiently(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.gone(&closed);
        self.patiently(cx, closed)
    }
}
