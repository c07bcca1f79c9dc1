//! The request's body on its way to the app, while the response is awaited or already coming.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use pingora::protocols::http::v2::client::Http2Session;
use pingora::protocols::http::v2::write_body;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::time::timeout;

use super::duplex::Duplex;
use super::error::{UpstreamError, UpstreamErrorKind};
use crate::body::{Body, Chunk, Cut};

/// The code `CANCEL` (RFC 9113 §7): the request is given up, what was sent of it is not the whole.
const CANCEL: u32 = 0x8;

/// What became of a body.
enum Sent {
    /// All of it was taken.
    Whole,
    /// It did not arrive here whole.
    Cut(Cut),
    /// The app does not take it: it may have answered all the same.
    Refused,
}

/// A body that is being sent.
pub(super) struct Upload {
    running: Option<Pin<Box<dyn Future<Output = Sent> + Send>>>,
    whole: bool,
}

/// How the end of a body is told on an HTTP/1 connection.
#[derive(Clone, Copy)]
pub(super) enum Coding {
    /// So many bytes.
    Length(u64),
    /// RFC 9112 §7.1.
    Chunked,
    /// As it is, until its end; then the connection is closed in this direction.
    Raw,
}

impl Upload {
    /// Nothing to send.
    pub(super) fn none() -> Upload {
        Upload {
            running: None,
            whole: true,
        }
    }

    fn new(sending: impl Future<Output = Sent> + Send + 'static) -> Upload {
        Upload {
            running: Some(Box::pin(sending)),
            whole: false,
        }
    }

    /// Sends a body over an HTTP/1 connection. Trailer fields are dropped: few apps read them.
    pub(super) fn http1(to: Duplex, body: Body, coding: Coding, stall: Duration) -> Upload {
        Upload::new(async move {
            match send_http1(to, body, coding, stall).await {
                Ok(()) => Sent::Whole,
                Err(sent) => sent,
            }
        })
    }

    /// Sends a body on an HTTP/2 stream, trailer fields too.
    pub(super) fn http2(
        session: &mut Http2Session,
        mut body: Body,
        length: Option<u64>,
        stall: Duration,
    ) -> Upload {
        let Some(mut stream) = session.take_request_body_writer() else {
            return Upload::none();
        };
        Upload::new(async move {
            let mut left = length;
            loop {
                let cut = match body.next().await {
                    Some(Ok(Chunk::Data(data))) => match rest(left, data.len()) {
                        Ok(after) => {
                            left = after;
                            if !data.is_empty()
                                && write_body(&mut stream, data, false, Some(stall))
                                    .await
                                    .is_err()
                            {
                                return Sent::Refused;
                            }
                            continue;
                        }
                        Err(cut) => cut,
                    },
                    Some(Err(cut)) => cut,
                    Some(Ok(Chunk::Trailers(fields))) if left.unwrap_or(0) == 0 => {
                        return taken(stream.send_trailers(fields));
                    }
                    None if left.unwrap_or(0) == 0 => {
                        return taken(stream.send_data(Bytes::new(), true));
                    }
                    Some(Ok(Chunk::Trailers(_))) | None => too_short(),
                };
                stream.send_reset(CANCEL.into());
                return Sent::Cut(cut);
            }
        })
    }

    /// Waits for a step of the response while the body goes on being sent. `limit` counts only once it has been sent:
    /// until then the app may be waiting for it, and sending has limits of its own.
    pub(super) async fn alongside<T, E>(
        &mut self,
        limit: Duration,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, UpstreamError>
    where
        UpstreamError: From<E>,
    {
        let mut step = pin!(step);
        while let Some(running) = &mut self.running {
            // The body first: that it is whole must be known before the response's end is.
            tokio::select! {
                biased;
                sent = running => {
                    self.running = None;
                    match sent {
                        Sent::Whole => self.whole = true,
                        Sent::Cut(cut) => return Err(UpstreamError::request_body(&cut)),
                        Sent::Refused => {}
                    }
                }
                done = &mut step => return Ok(done?),
            }
        }
        match timeout(limit, step).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(UpstreamError::new(
                UpstreamErrorKind::Timeout,
                format!("nothing came for {limit:?}"),
            )),
        }
    }

    /// Goes on in a task of its own, which ends when this is dropped: a client may send all of its request before it
    /// reads any of the response.
    pub(super) fn detach(&mut self) {
        if let Some(running) = self.running.take() {
            let mut task = Task(tokio::spawn(running));
            self.running = Some(Box::pin(async move {
                (&mut task.0).await.unwrap_or(Sent::Refused)
            }));
        }
    }

    /// Whether there is more to send.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether the app has taken all of it.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }
}

/// Ends with its owner.
struct Task(tokio::task::JoinHandle<Sent>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn send_http1(
    to: Duplex,
    mut body: Body,
    coding: Coding,
    stall: Duration,
) -> Result<(), Sent> {
    // What is here of the body goes with the head, which is still held back.
    let mut first = body.next().now_or_never();
    to.let_go();
    // The buffer joins small pieces; large ones go past it.
    let mut to = BufWriter::with_capacity(4096, to);
    let mut left = match coding {
        Coding::Length(length) => Some(length),
        Coding::Chunked | Coding::Raw => None,
    };
    let brings = |here: &Option<Result<Chunk, _>>| match here {
        Some(Ok(Chunk::Data(data))) => !data.is_empty(),
        Some(Ok(Chunk::Trailers(_)) | Err(_)) | None => true, // nothing follows
    };
    if !first.as_ref().is_some_and(brings) {
        flush(&mut to, stall).await?;
    }
    while left != Some(0) {
        let next = match first.take() {
            Some(here) => here,
            None => body.next().await,
        };
        match next {
            Some(Ok(Chunk::Data(data))) => {
                left = rest(left, data.len()).map_err(Sent::Cut)?;
                // An empty chunk would be the last one.
                if data.is_empty() {
                    continue;
                }
                match coding {
                    Coding::Length(_) | Coding::Raw => put(&mut to, data, stall).await?,
                    Coding::Chunked => {
                        let size = Bytes::from(format!("{:x}\r\n", data.len()));
                        put(&mut to, size.chain(data).chain(&b"\r\n"[..]), stall).await?;
                    }
                }
                flush(&mut to, stall).await?;
            }
            Some(Ok(Chunk::Trailers(_))) => {}
            Some(Err(cut)) => return Err(Sent::Cut(cut)),
            None => break,
        }
    }
    match coding {
        Coding::Length(_) if left != Some(0) => return Err(Sent::Cut(too_short())),
        Coding::Length(_) => {}
        Coding::Chunked => put(&mut to, &b"0\r\n\r\n"[..], stall).await?,
        Coding::Raw => to.shutdown().await.map_err(|_| Sent::Refused)?,
    }
    flush(&mut to, stall).await
}

/// Writes everything; each piece that is taken starts the clock anew.
async fn put(to: &mut BufWriter<Duplex>, mut data: impl Buf, stall: Duration) -> Result<(), Sent> {
    while data.has_remaining() {
        match timeout(stall, to.write_buf(&mut data)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) | Err(_) => return Err(Sent::Refused),
        }
    }
    Ok(())
}

async fn flush(to: &mut BufWriter<Duplex>, stall: Duration) -> Result<(), Sent> {
    match timeout(stall, to.flush()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Sent::Refused),
    }
}

/// What is left of a declared length after so many bytes more.
fn rest(left: Option<u64>, more: usize) -> Result<Option<u64>, Cut> {
    match left {
        None => Ok(None),
        Some(left) => left
            .checked_sub(more as u64)
            .map(Some)
            .ok_or_else(|| Cut::Short("longer than its declared length".into())),
    }
}

fn too_short() -> Cut {
    Cut::Short("shorter than its declared length".into())
}

fn taken<E>(result: Result<(), E>) -> Sent {
    if result.is_ok() {
        Sent::Whole
    } else {
        Sent::Refused
    }
}
