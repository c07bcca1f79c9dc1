//! The exchange with the app, against origins scripted byte by byte.
//!
//! Tests that count on a connection being used again over TLS run on one thread: with several, Pingora's pool now and then
//! throws a good connection away (the watcher of an idle connection may still hold it when it is asked for).

mod addresses;
mod body;
mod head;
mod http2;
mod tls;
mod upgrade;

use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use tagalong::body::{Body, Chunk, Cut};
use tagalong::clock::Clock;
use tagalong::upstream::{Config, Upstream, UpstreamError, UpstreamErrorKind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, oneshot};

const MIB: usize = 1 << 20;

/// An app that does what the test says.
struct Origin {
    listener: TcpListener,
}

/// Upstreams that are never busy.
trait Ask {
    /// Sends a request, at its turn.
    fn ask(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, UpstreamError>> + Send;
}

impl Ask for Upstream {
    async fn ask(&self, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        let turn = self.turn().await?;
        self.send(turn, request).await
    }
}

/// One connection of the sidecar to the app.
struct Connection<S> {
    stream: S,
    seen: Vec<u8>,
}

impl Origin {
    async fn start() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Origin { listener }
    }

    fn config(&self) -> Config {
        let address = self.listener.local_addr().unwrap();
        Config::new(format!("http://{address}").parse().unwrap())
    }

    fn upstream(&self) -> Upstream {
        Upstream::new(self.config(), Clock::System)
    }

    async fn accept(&self) -> Connection<TcpStream> {
        let (stream, _) = self.listener.accept().await.unwrap();
        Connection {
            stream,
            seen: Vec::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The next request's head, its empty line included.
    async fn head(&mut self) -> String {
        self.until(b"\r\n\r\n").await
    }

    async fn until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self
                .seen
                .windows(end.len())
                .position(|window| window == end)
            {
                let rest = self.seen.split_off(at + end.len());
                return String::from_utf8(std::mem::replace(&mut self.seen, rest)).unwrap();
            }
            assert_ne!(
                self.stream.read_buf(&mut self.seen).await.unwrap(),
                0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.seen)
            );
        }
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads to the end; whether closed or reset, the connection is over.
    async fn closed(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.seen);
        loop {
            match self.stream.read_buf(&mut rest).await {
                Ok(0) => return rest,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    return rest;
                }
            }
        }
    }
}

/// Ends a test that hangs.
async fn bounded<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .expect("the test hangs")
}

fn request(method: Method, target: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(target)
        .header("host", "shop.example")
        .body(body.into())
        .unwrap()
}

fn get(target: &str) -> Request<Body> {
    request(Method::GET, target, Body::empty())
}

/// All of a body, its trailer fields, and whether it was whole.
async fn read(body: &mut Body) -> (Vec<u8>, Option<HeaderMap>, Result<(), Cut>) {
    let (mut data, mut trailers) = (Vec::new(), None);
    loop {
        match body.next().await {
            None => return (data, trailers, Ok(())),
            Some(Err(cut)) => return (data, trailers, Err(cut)),
            Some(Ok(Chunk::Data(bytes))) => data.extend_from_slice(&bytes),
            Some(Ok(Chunk::Trailers(fields))) => trailers = Some(fields),
        }
    }
}

async fn text(response: Response<Body>) -> String {
    let (data, _, end) = read(&mut response.into_body()).await;
    end.unwrap();
    String::from_utf8(data).unwrap()
}

async fn failed(upstream: &Upstream, request: Request<Body>) -> UpstreamErrorKind {
    let error: UpstreamError = upstream.ask(request).await.expect_err("no response");
    error.kind
}

/// A body from a stream of frames; its length is unknown.
struct Frames<S>(Pin<Box<S>>);

impl<S: Stream<Item = Result<Frame<Bytes>, Cut>>> http_body::Body for Frames<S> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.0.as_mut().poll_next(cx)
    }
}

fn streamed(frames: impl Stream<Item = Result<Frame<Bytes>, Cut>> + Send + 'static) -> Body {
    Body::stream(Frames(Box::pin(frames)))
}

fn chunks(chunks: &[&'static str]) -> Body {
    let frames: Vec<_> = chunks
        .iter()
        .map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes()))))
        .collect();
    streamed(stream::iter(frames))
}

/// A body whose chunks the test sends.
fn channelled() -> (mpsc::UnboundedSender<Result<Bytes, Cut>>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Bytes, Cut>>();
    let frames = stream::unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((chunk.map(Frame::data), receiver))
    });
    (sender, streamed(frames))
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
