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

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use memchr::memchr_iter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

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

/// What the stream and the requests on it know of each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests not yet answered to the end.
    busy: usize,
    /// Those of them that wait for the app, not for the client.
    for_app: usize,
    phase: Phase,
    /// When the client was last served or heard of.
    since: Instant,
    /// Whether it is known of every byte that came what it belongs to.
    is_exact: bool,
    /// Whether the stream is wanted back once the request under way has been answered.
    wanted_back: bool,
    /// Whether the client has not taken all that it is to have.
    is_unsent: bool,
    /// Whether a request has come before: over HTTP/1, unless the phase says otherwise.
    is_answered: bool,
}

/// What the next bytes from the client are.
#[derive(Debug)]
enum Phase {
    /// The next head; these of its bytes are here.
    Head(Vec<u8>),
    /// The body of the request under way: so many bytes are missing of it. `None`: chunks say where it ends.
    Body(Option<u64>),
    /// HTTP/2 frames.
    Http2,
    /// An upgraded protocol.
    Tunnel,
}

impl Default for State {
    fn default() -> State {
        State {
            busy: 0,
            for_app: 0,
            phase: Phase::Head(Vec::new()),
            since: Instant::now(),
            is_exact: true,
            wanted_back: false,
            is_unsent: false,
            is_answered: false,
        }
    }
}

impl State {
    /// Drops the first head of those that are here. Returns whether it had a `Content-Length` line, if that is `asked`.
    fn drop_head(&mut self, asked: bool) -> bool {
        let Phase::Head(bytes) = &mut self.phase else {
            return false;
        };
        let end = first_head(bytes).unwrap_or_else(|| {
            self.is_exact = false; // somewhere else
            bytes.len()
        });
        let had_length = asked && has_content_length(bytes.get(..end).unwrap_or_default());
        bytes.drain(..end); // what follows belongs to the next
        had_length
    }

    /// So many bytes follow as a body; what is here of them is dropped.
    fn expect_body(&mut self, len: Option<u64>) {
        let Phase::Head(here) = &mut self.phase else {
            return;
        };
        let here = std::mem::take(here);
        self.phase = Phase::Body(len);
        self.pass_body(&here);
    }

    /// Notes bytes that came while a body is expected; those after it begin the next head.
    fn pass_body(&mut self, bytes: &[u8]) {
        let Phase::Body(Some(missing)) = &mut self.phase else {
            return;
        };
        let len = bytes.len() as u64;
        if len < *missing {
            *missing -= len;
            return;
        }
        let next = usize::try_from(*missing).map_or(&[][..], |it| bytes.get(it..).unwrap_or(&[]));
        self.phase = Phase::Head(next.to_vec());
        self.since = Instant::now();
    }

    /// The body is over that is under way, if one is: chunks, which nobody has counted here, or one that did not come whole.
    fn end_body(&mut self) {
        if let Phase::Body(_) = self.phase {
            self.phase = Phase::Head(Vec::new());
            self.is_exact = false;
        }
    }
}

/// The body of a request, as its head announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// There is none.
    None,
    /// So many bytes.
    Exactly(u64),
    /// As many as come.
    Chunks,
}

/// As long as it or a clone lives, its request is under way.
#[derive(Clone, Debug)]
pub(super) struct Busy(Arc<Guard>);

#[derive(Debug)]
struct Guard {
    line: Line,
    /// Whether the request waits for the app, rather than for its client.
    for_app: Mutex<bool>,
}

/// The longest write that holds no more than a few HTTP/2 control frames, in bytes.
const ACKNOWLEDGEMENTS: usize = 64;
/// How an HTTP/2 connection begins (RFC 9113 §3.4).
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Line {
    /// A head is complete: its request begins, with this body. Returns whether the head had a `Content-Length` line, which is looked
    /// for only if it has a `Transfer-Encoding`: only then is there anything to say against it.
    pub(super) fn begin(&self, body: Announced, is_coded: bool) -> (Busy, bool) {
        let mut state = self.lock();
        state.busy += 1;
        state.for_app += 1;
        state.is_answered = true;
        state.wanted_back = false;
        let had_length = state.drop_head(is_coded);
        match body {
            Announced::None => {}
            Announced::Exactly(len) => state.expect_body(Some(len)),
            Announced::Chunks => state.expect_body(None),
        }
        drop(state);
        let guard = Guard {
            line: self.clone(),
            for_app: Mutex::new(true),
        };
        (Busy(Arc::new(guard)), had_length)
    }

    /// A request has been answered of which only a head came, without having begun here; so many bytes behind it are left of those
    /// that came.
    pub(super) fn answered(&self, left: usize) {
        let mut state = self.lock();
        if let Phase::Head(bytes) = &mut state.phase {
            match bytes.len().checked_sub(left) {
                Some(answered) => drop(bytes.drain(..answered)),
                None => state.is_exact = false, // more came than is remembered
            }
        }
        state.is_answered = true;
        state.since = Instant::now();
    }

    /// The stream is wanted back once the request under way, which has no body, has been answered.
    pub(super) fn want_back(&self) {
        self.lock().wanted_back = true;
    }

    /// Whether the stream is wanted back, and whoever has it has done with it: to be asked when it has nothing left to do.
    pub(super) fn comes_back(&self) -> bool {
        let state = self.lock();
        let is_between = matches!(&state.phase, Phase::Head(next) if next.is_empty());
        state.wanted_back && state.is_exact && is_between && !state.is_unsent && state.busy == 0
    }

    /// Comes back when an HTTP/2 client has kept us waiting for `idle`: no request under way, or none that it takes
    /// anything of. Over HTTP/1 the stream itself keeps watch, as there a write that waits is the client's doing.
    pub(super) async fn gone_quiet(&self, idle: Duration) {
        let mut check = Instant::now() + idle;
        loop {
            sleep_until(check).await;
            let state = self.lock();
            let quiet = matches!(state.phase, Phase::Http2) && state.for_app == 0;
            let now = Instant::now();
            if quiet && state.since + idle <= now {
                return;
            }
            check = if quiet {
                state.since + idle
            } else {
                now + idle
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    /// The request's body has been read: the next head follows.
    pub(super) fn request_read(&self) {
        let mut state = self.0.line.lock();
        if let Phase::Body(_) = state.phase {
            state.end_body();
            state.since = Instant::now();
        }
    }

    /// The connection changes protocols.
    pub(super) fn upgraded(&self) {
        self.0.line.lock().phase = Phase::Tunnel;
    }

    /// Whose turn it is: the app's, or the client's to take what there is.
    pub(super) fn wait_for(&self, app: bool) {
        self.0.wait_for(app);
    }
}

impl Guard {
    fn wait_for(&self, app: bool) {
        let mut for_app = self.for_app.lock().unwrap_or_else(PoisonError::into_inner);
        if *for_app != app {
            *for_app = app;
            let mut state = self.line.lock();
            state.for_app = if app {
                state.for_app + 1
            } else {
                state.for_app - 1
            };
            state.since = Instant::now();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let for_app = *self
            .for_app
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = self.line.lock();
        if for_app {
            state.for_app -= 1;
        }
        state.busy -= 1;
        state.since = Instant::now();
        if state.busy == 0 {
            state.end_body(); // what the app did not want of it, hyper has dealt with
        }
    }
}

/// Where the first head in these bytes ends, its blank line and those before it included; `None`: it does not.
pub(super) fn first_head(bytes: &[u8]) -> Option<usize> {
    let mut begins = 0; // of the line
    let mut begun = false;
    for end in memchr_iter(b'\n', bytes) {
        let line = bytes.get(begins..end).unwrap_or_default();
        let blank = line.trim_ascii_end().is_empty();
        begins = end + 1;
        if blank && begun {
            return Some(begins);
        }
        begun |= !blank;
    }
    None
}

/// Whether a head has a `Content-Length` field.
fn has_content_length(head: &[u8]) -> bool {
    head.split(|&byte| byte == b'\n').any(|line| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"content-length")
    })
}

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

/// The stream while somebody else has it, who keeps what is given to it; dropped, it goes home.
pub(super) struct Lent<S> {
    wire: Option<Wire<S>>,
    home: Home<S>,
}

/// Where a stream that was lent comes back to.
pub(super) struct Home<S>(Arc<Mutex<Option<Wire<S>>>>);

impl<S> Wire<S> {
    /// Lends the stream; it is not wanted back before another request has come.
    pub(super) fn lend(self) -> (Lent<S>, Home<S>) {
        self.line.lock().wanted_back = false;
        let home = Home(Arc::default());
        let lent = Lent {
            wire: Some(self),
            home: Home(Arc::clone(&home.0)),
        };
        (lent, home)
    }
}

impl<S> Home<S> {
    /// The stream, once whoever had it has let it go.
    pub(super) fn returned(self) -> Option<Wire<S>> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wire<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Lent<S> {
    fn wire(&mut self) -> Pin<&mut Wire<S>>
    where
        S: Unpin,
    {
        Pin::new(self.wire.as_mut().expect("it goes home at the end"))
    }
}

impl<S> Drop for Lent<S> {
    fn drop(&mut self) {
        *self.home.lock() = self.wire.take();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire().poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        let wire = self.wire.as_ref();
        wire.is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_length_in_the_head_is_seen_and_one_after_it_is_not() {
        for (name, bytes, expected, rest) in [
            (
                "in the head",
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                true,
                "abc",
            ),
            (
                "any case",
                "POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\n",
                true,
                "",
            ),
            (
                "bare line feeds",
                "POST / HTTP/1.1\ncontent-length: 3\n\n",
                true,
                "",
            ),
            (
                "blank lines first",
                "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
                true,
                "",
            ),
            (
                "in the body",
                "POST / HTTP/1.1\r\nHost: a\r\n\r\nContent-Length: 3\r\n",
                false,
                "Content-Length: 3\r\n",
            ),
            (
                "in the next head",
                "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3",
                false,
                "POST / HTTP/1.1\r\nContent-Length: 3",
            ),
            (
                "another field's value",
                "POST / HTTP/1.1\r\nX: content-length: 3\r\n\r\n",
                false,
                "",
            ),
            ("nothing", "", false, ""),
        ] {
            let line = Line::default();
            line.lock().phase = Phase::Head(bytes.into());
            let (_busy, had_length) = line.begin(Announced::None, true);
            assert_eq!(had_length, expected, "{name}");
            assert!(
                matches!(&line.lock().phase, Phase::Head(left) if left == rest.as_bytes()),
                "{name}"
            );
        }
    }

    /// What happens on a connection, as hyper and the client see it.
    enum Step {
        Came(&'static str),
        Begins(Announced),
        /// It is wanted back after the request under way.
        Wanted,
        Answered,
        /// So much has been taken of what was to be sent; `None`: it waits.
        Sent(Option<usize>),
        /// What was taken is on its way, or waits.
        Gone(bool),
    }

    #[test]
    fn l07_a_stream_comes_back_only_where_every_byte_is_accounted_for() {
        use Announced::{Chunks, Exactly, None as Bodyless};
        use Step::{Answered, Begins, Came, Gone, Sent, Wanted};
        const GET: &str = "GET / HTTP/1.1\r\n\r\n";
        for (name, steps, expected) in [
            (
                "one request",
                &[Came(GET), Begins(Bodyless), Wanted, Answered][..],
                true,
            ),
            (
                "nobody wants it",
                &[Came(GET), Begins(Bodyless), Answered],
                false,
            ),
            ("under way", &[Came(GET), Begins(Bodyless), Wanted], false),
            (
                "the next one has begun",
                &[Came(GET), Begins(Bodyless), Came("G"), Wanted, Answered],
                false,
            ),
            (
                "the next one came with it",
                &[
                    Came("GET / HTTP/1.1\r\n\r\nGET"),
                    Begins(Bodyless),
                    Wanted,
                    Answered,
                ],
                false,
            ),
            (
                "a blank line begins nothing",
                &[Came(GET), Begins(Bodyless), Wanted, Answered, Came("\r\n")],
                true,
            ),
            (
                "half of one does",
                &[Came(GET), Begins(Bodyless), Wanted, Answered, Came("\r")],
                false,
            ),
            (
                "a space does",
                &[Came(GET), Begins(Bodyless), Wanted, Answered, Came(" ")],
                false,
            ),
            (
                "after a body of known length that came in pieces with the next head",
                &[
                    Came("POST / HTTP/1.1\r\n\r\na"),
                    Begins(Exactly(3)),
                    Came("b"),
                    Came("cGET / HTTP/1.1\r\n"),
                    Answered,
                    Came("\r\n"),
                    Begins(Bodyless),
                    Wanted,
                    Answered,
                ],
                true,
            ),
            (
                "after a body that came whole with its head and the next one",
                &[
                    Came("POST / HTTP/1.1\r\n\r\nabcGET / HTTP/1.1\r\n\r\n"),
                    Begins(Exactly(3)),
                    Answered,
                    Begins(Bodyless),
                    Wanted,
                    Answered,
                ],
                true,
            ),
            (
                "after a body that never came whole",
                &[
                    Came("POST / HTTP/1.1\r\n\r\nab"),
                    Begins(Exactly(3)),
                    Answered,
                    Came(GET),
                    Begins(Bodyless),
                    Wanted,
                    Answered,
                ],
                false,
            ),
            (
                "after chunks",
                &[
                    Came("POST / HTTP/1.1\r\n\r\n0\r\n\r\n"),
                    Begins(Chunks),
                    Answered,
                    Came(GET),
                    Begins(Bodyless),
                    Wanted,
                    Answered,
                ],
                false,
            ),
            (
                "a head that never came",
                &[Begins(Bodyless), Wanted, Answered],
                false,
            ),
            (
                "more than is remembered",
                &[
                    Came("GET / HTTP/1.1\r\nx: 012345678901234567890123456789\r\n\r\n"),
                    Begins(Bodyless),
                    Wanted,
                    Answered,
                ],
                false,
            ),
            (
                "the client has not taken all",
                &[Came(GET), Begins(Bodyless), Wanted, Sent(None), Answered],
                false,
            ),
            (
                "it waits behind TLS",
                &[
                    Came(GET),
                    Begins(Bodyless),
                    Wanted,
                    Sent(Some(9)),
                    Gone(false),
                    Answered,
                ],
                false,
            ),
            (
                "it has gone through TLS",
                &[
                    Came(GET),
                    Begins(Bodyless),
                    Wanted,
                    Sent(Some(9)),
                    Gone(false),
                    Answered,
                    Gone(true),
                ],
                true,
            ),
            (
                "the client has taken the rest",
                &[
                    Came(GET),
                    Begins(Bodyless),
                    Wanted,
                    Sent(None),
                    Answered,
                    Sent(Some(9)),
                ],
                true,
            ),
        ] {
            let patience = Patience {
                head: Duration::from_secs(1),
                idle: Duration::from_secs(1),
                max_head: 48,
            };
            let wire = Wire::new((), patience);
            let mut under_way = Vec::new();
            for step in steps {
                match step {
                    Came(bytes) => wire.came(bytes.as_bytes()).expect("it is no HTTP/2"),
                    Begins(body) => under_way.push(wire.line.begin(*body, false)),
                    Wanted => wire.line.want_back(),
                    Answered => under_way.clear(),
                    Sent(None) => wire.took(&Poll::Pending),
                    Sent(Some(bytes)) => wire.took(&Poll::Ready(Ok(*bytes))),
                    Gone(true) => wire.gone(&Poll::Ready(Ok(()))),
                    Gone(false) => wire.gone(&Poll::Pending),
                }
            }
            assert_eq!(wire.line.comes_back(), expected, "{name}");
            let (lent, _home) = wire.lend();
            let line = lent.wire.as_ref().expect("it is lent").line();
            assert!(!line.comes_back(), "{name}: nobody has asked since");
        }
    }
}
