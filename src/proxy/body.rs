//! hyper's body as ours, with a limit on the client's silence; ours as hyper's, with a note of when it has been sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::body::Body;
use crate::body::Cut;
use crate::proxy::wire::Busy;

/// A request's body as the exchange takes it. A client that sends nothing for `silence` is given up.
pub(super) fn incoming(body: Incoming, silence: Duration, busy: Busy) -> Body {
    if http_body::Body::is_end_stream(&body) {
        return Body::empty();
    }
    Body::stream(FromClient {
        body,
        silence,
        timer: None,
        busy,
    })
}

struct FromClient {
    body: Incoming,
    silence: Duration,
    /// Runs while we wait for the client.
    timer: Option<Pin<Box<Sleep>>>,
    busy: Busy,
}

impl http_body::Body for FromClient {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.timer = None;
                // A client's trailers end here: nothing they say may reach the app past the checks of its head.
                let frame =
                    frame.filter(|frame| !matches!(frame, Ok(frame) if frame.is_trailers()));
                if frame.is_none() || this.body.is_end_stream() {
                    this.busy.request_read();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|error| Cut(error.to_string()))))
            }
            Poll::Pending => {
                let silence = this.silence;
                let timer = this
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
                ready!(timer.as_mut().poll(cx));
                timer.as_mut().reset(Instant::now() + silence);
                Poll::Ready(Some(Err(
                    Cut("the client sent nothing for too long".into()),
                )))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
