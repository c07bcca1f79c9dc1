//! hyper's body as ours, with a limit on the client's silence; ours as hyper's, with a note of when it has been sent.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::body::Body;
use crate::body::Cut;
use crate::proxy::wire::Busy;

/// A request's body as the exchange takes it. A client that sends nothing for `silence` is given up; so is one that has said how
/// much it sends, and is [too slow](Pace) with it.
///
/// # Errors
///
/// The client has taken its request back. Over HTTP/2 a body need not be announced, and a stream that was reset before its end
/// looks like one that brings a body: so one that has not ended is asked here what there is of it.
pub(super) fn incoming(
    mut body: Incoming,
    version: Version,
    silence: Duration,
    busy: Busy,
) -> Result<Body, Cut> {
    if body.is_end_stream() {
        return Ok(Body::empty());
    }
    let mut first = None;
    if version == Version::HTTP_2 {
        let mut nobody = Context::from_waker(Waker::noop()); // who reads on has a waker of its own
        match Pin::new(&mut body).poll_frame(&mut nobody) {
            Poll::Ready(None) if body.is_end_stream() => return Ok(Body::empty()),
            Poll::Ready(None) => return Err(taken_back()),
            Poll::Ready(Some(frame)) => {
                first = Some(frame.map_err(|error| Cut::Short(error.to_string()))?);
            }
            Poll::Pending => {}
        }
    }
    let is_declared = body.size_hint().exact().is_some();
    Ok(Body::stream(FromClient {
        first,
        is_stream: version == Version::HTTP_2,
        body,
        silence,
        pace: is_declared.then(Pace::default),
        timer: None,
        busy,
    }))
}

/// hyper tells a stream that its client reset without an error as one that has ended; only its own state tells which it was.
fn taken_back() -> Cut {
    Cut::Short("the client has reset the stream".into())
}

struct FromClient {
    /// What has been read of it already.
    first: Option<Frame<Bytes>>,
    /// Over HTTP/2.
    is_stream: bool,
    body: Incoming,
    silence: Duration,
    /// Of a body without a declared length there is none: it may be made while it is sent.
    pace: Option<Pace>,
    /// Runs while we wait for the client, since then.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    busy: Busy,
}

/// How much of a body has come, and how long it was waited for in all.
#[derive(Debug, Default)]
struct Pace {
    received: u64,
    waited: Duration,
}

/// After its first `silence` a client sends as many bytes in a second on average, or more.
const LEAST_RATE: u64 = 500;

impl Pace {
    /// How long the client may send nothing now.
    fn patience(&self, silence: Duration) -> Duration {
        let allowed = silence.saturating_add(Duration::from_secs(self.received / LEAST_RATE));
        silence.min(allowed.saturating_sub(self.waited))
    }
}

impl FromClient {
    /// Notes that something has come, or the end.
    fn came(&mut self, bytes: usize) {
        let since = self.timer.take().map(|(since, _)| since);
        if let Some(pace) = &mut self.pace {
            pace.received += bytes as u64;
            pace.waited += since.map_or(Duration::ZERO, |since| since.elapsed());
        }
    }
}

impl http_body::Body for FromClient {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        let polled = match this.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut this.body).poll_frame(cx),
        };
        match polled {
            Poll::Ready(None) if this.is_stream && !this.body.is_end_stream() => {
                Poll::Ready(Some(Err(taken_back())))
            }
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|it| it.as_ref().ok()?.data_ref());
                this.came(data.map_or(0, Bytes::len));
                // A client's trailers end here: nothing they say may reach the app past the checks of its head.
                let frame =
                    frame.filter(|frame| !matches!(frame, Ok(frame) if frame.is_trailers()));
                if frame.is_none() || this.body.is_end_stream() {
                    this.busy.request_read();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|error| Cut::Short(error.to_string()))))
            }
            Poll::Pending => {
                let (silence, pace) = (this.silence, &this.pace);
                let (_, timer) = this.timer.get_or_insert_with(|| {
                    let patience = pace.as_ref().map_or(silence, |pace| pace.patience(silence));
                    (Instant::now(), Box::pin(tokio::time::sleep(patience)))
                });
                ready!(timer.as_mut().poll(cx));
                timer.as_mut().reset(Instant::now() + silence);
                Poll::Ready(Some(Err(Cut::Late(
                    "the client sent nothing, or too slowly",
                ))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint();
        let first = self.first.as_ref().and_then(Frame::data_ref);
        match (rest.exact(), first.map_or(0, |data| data.len() as u64)) {
            (Some(exact), first) => SizeHint::with_exact(exact + first),
            (None, 0) => rest,
            (None, _) => SizeHint::default(), // it may be any length
        }
    }
}

/// A response's body as hyper takes it; while it lives, the connection is busy.
pub(super) struct ToClient {
    body: Body,
    /// The body was cut; said once what came before is on its way, as hyper drops what it has not sent then.
    cut: Option<Cut>,
    busy: Busy,
}

impl ToClient {
    pub(super) fn new(body: Body, busy: Busy) -> ToClient {
        ToClient {
            body,
            cut: None,
            busy,
        }
    }
}

impl http_body::Body for ToClient {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(cut) = self.cut.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.busy.wait_for(polled.is_pending());
        let frame = ready!(polled);
        if let Some(Err(cut)) = frame {
            tracing::warn!(%cut, "a response ended before it was whole");
            self.cut = Some(cut);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_sent_much_may_have_taken_longer_for_it() {
        let silence = Duration::from_secs(60);
        for (name, received, waited, expected) in [
            ("at first", 0, 0, 60),
            ("nothing but time", 0, 59, 1),
            ("its first patience is used up", 499, 60, 0),
            ("a byte a second", 100, 100, 0),
            ("just fast enough", 500, 60, 1),
            ("slow for long", 500_000, 1_059, 1),
            ("too slow for long", 500_000, 1_061, 0),
            ("fast, then silent", 1 << 30, 10, 60),
        ] {
            let waited = Duration::from_secs(waited);
            let pace = Pace { received, waited };
            let expected = Duration::from_secs(expected);
            assert_eq!(pace.patience(silence), expected, "{name}");
        }
        let (received, waited) = (u64::MAX, Duration::MAX);
        let pace = Pace { received, waited };
        assert_eq!(pace.patience(Duration::MAX), Duration::ZERO, "no overflow");
    }
}
