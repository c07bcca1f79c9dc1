//! The exchange with the app, against origins scripted byte by byte.

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
use tagalong::upstream::{Config, Upstream, UpstreamError, UpstreamErrorKind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, oneshot};

const MIB: usize = 1 << 20;

/// An app that does what the test says.
struct Origin {
    listener: TcpListener,
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
        Upstream::new(self.config())
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
    let error: UpstreamError = upstream.send(request).await.expect_err("no response");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_request_after_another() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            for _ in 0..3 {
                let head = app.head().await;
                assert!(head.starts_with("GET /a%2Fb/../c?x=1&x=%20 HTTP/1.1\r\n"));
                assert!(head.contains("Host: shop.example\r\n"), "{head}");
                assert!(head.contains("x-two: 1\r\nx-two: \u{e9}\r\n"), "{head}");
                assert!(!head.to_lowercase().contains("content-length"), "{head}");
                assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
                app.write(
                    "HTTP/1.1 200 OK\r\nX-Two: 2\r\nContent-Length: 2\r\nx-two:   1 \r\n\r\nok",
                )
                .await;
            }
            app
        };
        let client = async {
            for _ in 0..3 {
                let mut request = get("http://ignored.example/a%2Fb/../c?x=1&x=%20");
                request.headers_mut().append("x-two", "1".parse().unwrap());
                let value = http::HeaderValue::from_bytes("\u{e9}".as_bytes()).unwrap();
                request.headers_mut().append("x-two", value);
                let response = upstream.send(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                let fields: Vec<_> = response.headers().get_all("x-two").iter().collect();
                assert_eq!(fields, ["2", "1"]);
                assert_eq!(response.body().exact_len(), Some(2));
                assert_eq!(text(response).await, "ok");
            }
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_met_a_dead_pooled_connection_is_repeated_if_that_is_safe() {
    bounded(async {
        for (method, repeated) in [
            (Method::GET, true),
            (Method::DELETE, true),
            (Method::POST, false),
            (Method::PATCH, false),
        ] {
            let origin = Origin::start().await;
            let mut config = origin.config();
            config.retries = 0;
            let upstream = Upstream::new(config);
            let app = async {
                let mut app = origin.accept().await;
                app.head().await;
                app.write(OK).await;
                // The next one dies when its request is already on the way.
                app.head().await;
                drop(app);
                let mut app = origin.accept().await;
                let head = app.head().await;
                app.write(OK).await;
                head
            };
            let client = async {
                text(upstream.send(get("/first")).await.unwrap()).await;
                let second = upstream
                    .send(request(method.clone(), "/second", Body::empty()))
                    .await;
                if repeated {
                    text(second.unwrap()).await;
                } else {
                    assert_eq!(second.unwrap_err().kind, UpstreamErrorKind::Reset);
                    text(upstream.send(get("/third")).await.unwrap()).await;
                }
            };
            let (head, ()) = tokio::join!(app, client);
            let expected = if repeated { "/second" } else { "/third" };
            assert!(head.contains(expected), "{method}: {head}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_connection_is_tried_again_for_idempotent_requests_only() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            for _ in 0..2 {
                drop(origin.accept().await);
                let mut app = origin.accept().await;
                let head = app.head().await;
                app.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                    .await;
                assert!(head.starts_with("GET"), "{head}");
            }
        };
        let client = async {
            text(upstream.send(get("/")).await.unwrap()).await;
            let post = request(Method::POST, "/", "body");
            assert_eq!(failed(&upstream, post).await, UpstreamErrorKind::Reset);
            // Had the POST been tried again, the app would have seen it here.
            text(upstream.send(get("/")).await.unwrap()).await;
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_away_is_a_failed_connection() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        drop(origin);
        let folder = tempfile::tempdir().unwrap();
        let socket = format!("unix:{}", folder.path().join("no.sock").display());
        let unknown = Upstream::new(Config::new("http://no-such-host.invalid".parse().unwrap()));
        let absent = Upstream::new(Config::new(socket.parse().unwrap()));
        for upstream in [upstream, absent, unknown] {
            for request in [get("/"), request(Method::POST, "/", "body")] {
                let error = upstream.send(request).await.unwrap_err();
                assert!(error.is_connect(), "{error}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_answer_has_a_kind() {
    use UpstreamErrorKind::{HeadTooLarge, Malformed, Reset, Timeout};
    bounded(async {
        let large = |bytes: usize| format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(bytes));
        for (name, answer, expected) in [
            ("nothing", String::new(), Reset),
            ("half a head", "HTTP/1.1 200 OK\r\nConte".into(), Reset),
            ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n".into(), Malformed),
            ("no version", "200 OK\r\n\r\n".into(), Malformed),
            ("no status", "HTTP/1.1 two OK\r\n\r\n".into(), Malformed),
            (
                "no field",
                "HTTP/1.1 200 OK\r\nx y\r\n\r\n".into(),
                Malformed,
            ),
            (
                "two lengths",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "length is a word",
                "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "negative length",
                "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "length too large",
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "unknown coding",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "upgrade nobody asked for",
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "interim without end",
                "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000),
                Malformed,
            ),
            ("head over the limit", large(70_000), HeadTooLarge),
            ("head over the engine's limit", large(2 * MIB), HeadTooLarge),
        ] {
            let origin = Origin::start().await;
            let mut config = origin.config();
            config.retries = 0;
            let upstream = Upstream::new(config);
            let app = async {
                let mut app = origin.accept().await;
                app.head().await;
                // We may hang up before the last byte is written.
                app.stream.write_all(answer.as_bytes()).await.ok();
                app.stream.shutdown().await.ok();
                app.closed().await;
            };
            let (kind, ()) = tokio::join!(failed(&upstream, get("/")), app);
            assert_eq!(kind, expected, "{name}");
        }
        let origin = Origin::start().await;
        let mut config = origin.config();
        config.read_timeout = Duration::from_millis(50);
        let upstream = Upstream::new(config);
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.closed().await;
        };
        let (kind, _) = tokio::join!(failed(&upstream, get("/")), app);
        assert_eq!(kind, Timeout);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_whole_never_ends_clean() {
    bounded(async {
        for (name, answer, close) in [
            ("short", "Content-Length: 10\r\n\r\nfour", true),
            ("empty", "Content-Length: 10\r\n\r\n", true),
            (
                "no last chunk",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
                true,
            ),
            (
                "no final line",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n",
                true,
            ),
            (
                "cut chunk",
                "Transfer-Encoding: chunked\r\n\r\nff\r\nfour",
                true,
            ),
            (
                "no size",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nzz\r\n",
                false,
            ),
            (
                "no line end",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfourfour\r\n",
                false,
            ),
            (
                "huge chunk",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nfffffffffffffffff\r\n",
                false,
            ),
            ("silence", "Content-Length: 10\r\n\r\nfour", false),
            (
                "silent chunks",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
                false,
            ),
        ] {
            let origin = Origin::start().await;
            let mut config = origin.config();
            config.read_timeout = Duration::from_millis(500);
            let upstream = Upstream::new(config);
            let app = async {
                let mut app = origin.accept().await;
                app.head().await;
                app.write(format!("HTTP/1.1 200 OK\r\n{answer}")).await;
                if close {
                    app.stream.shutdown().await.unwrap();
                }
                app.closed().await;
            };
            let client = async {
                let response = upstream.send(get("/")).await.unwrap();
                let mut body = response.into_body();
                let (data, _, end) = read(&mut body).await;
                assert!(end.is_err(), "{name}");
                assert!(b"four".starts_with(&data), "{name}: {data:?}");
                assert!(body.next().await.is_none(), "{name}: nothing follows");
            };
            tokio::join!(app, client);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_not_clean_is_not_used_again() {
    bounded(async {
        for (name, method, answer, expected) in [
            ("extra bytes", Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", "ok"),
            ("body after HEAD", Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""),
            ("body after 204", Method::GET, "HTTP/1.1 204 No Content\r\n\r\nok", ""),
            ("body after 304", Method::GET, "HTTP/1.1 304 Not Modified\r\n\r\nok", ""),
            (
                "more than the last chunk",
                Method::GET,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200",
                "ok",
            ),
            (
                "close",
                Method::GET,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
                "ok",
            ),
            ("HTTP/1.0", Method::GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ] {
            let origin = Origin::start().await;
            let upstream = origin.upstream();
            let app = async {
                for _ in 0..2 {
                    let mut app = origin.accept().await;
                    app.head().await;
                    app.write(answer).await;
                    assert_eq!(app.closed().await, b"", "{name}");
                }
            };
            let client = async {
                for _ in 0..2 {
                    let request = request(method.clone(), "/", Body::empty());
                    let response = upstream.send(request).await.unwrap();
                    assert_eq!(text(response).await, expected, "{name}");
                }
            };
            tokio::join!(app, client);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_may_be_all_there_is() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let rows = [
            (Method::HEAD, "200 OK\r\nContent-Length: 1234", Some("1234")),
            (Method::GET, "204 No Content", None),
            (
                Method::GET,
                "304 Not Modified\r\nContent-Length: 1234",
                Some("1234"),
            ),
            (Method::GET, "200 OK\r\nContent-Length: 0", Some("0")),
            (Method::HEAD, "200 OK\r\nTransfer-Encoding: chunked", None),
        ];
        let app = async {
            // All of them over one connection: none leaves anything behind.
            let mut app = origin.accept().await;
            for (_, answer, _) in &rows {
                app.head().await;
                app.write(format!("HTTP/1.1 {answer}\r\n\r\n")).await;
            }
            app
        };
        let client = async {
            for (method, answer, length) in &rows {
                let request = request(method.clone(), "/", Body::empty());
                let response = upstream.send(request).await.unwrap();
                assert!(response.body().is_empty(), "{answer}");
                let field = response.headers().get("content-length");
                assert_eq!(
                    field.map(|value| value.to_str().unwrap()),
                    *length,
                    "{answer}"
                );
            }
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_responses_are_skipped_and_a_close_ends_an_old_body() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
            )
            .await;
            app.write("HTTP/1.0 200 OK\r\nX: final\r\n\r\nuntil the ")
                .await;
            app.write("end").await;
        };
        let client = async {
            let response = upstream.send(get("/")).await.unwrap();
            assert_eq!(response.headers().len(), 1);
            assert_eq!(response.body().exact_len(), None);
            assert_eq!(text(response).await, "until the end");
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_framed_by_what_it_is() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            let head = app.head().await;
            assert!(head.contains("Content-Length: 4\r\n"), "{head}");
            app.until(b"body").await;
            app.write(OK).await;
            let head = app.head().await;
            assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
            // An empty chunk in the middle must not look like the last one.
            assert_eq!(
                app.until(b"\r\n0\r\n\r\n").await,
                "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
            );
            app.write(OK).await;
            let head = app.head().await;
            assert!(head.contains("Content-Length: 0\r\n"), "{head}");
            app.write(OK).await;
            app
        };
        let client = async {
            for body in ["body".into(), chunks(&["a", "", "bc"]), Body::empty()] {
                let request = request(Method::POST, "/", body);
                assert_eq!(text(upstream.send(request).await.unwrap()).await, "ok");
            }
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_never_takes_a_cut_request_for_a_whole_one() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            let rest = app.closed().await;
            assert_eq!(String::from_utf8(rest).unwrap(), "4\r\nhalf\r\n");
        };
        let client = async {
            let (sender, body) = channelled();
            sender.send(Ok("half".into())).unwrap();
            sender.send(Err(Cut("the client left".into()))).unwrap();
            let error = upstream
                .send(request(Method::POST, "/", body))
                .await
                .unwrap_err();
            assert!(error.is_request_body());
        };
        tokio::join!(app, client);

        // The same while the response is already coming.
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
                .await;
            app.closed().await;
        };
        let client = async {
            let (sender, body) = channelled();
            let response = upstream
                .send(request(Method::POST, "/", body))
                .await
                .unwrap();
            sender.send(Err(Cut("the client left".into()))).unwrap();
            let (_, _, end) = read(&mut response.into_body()).await;
            assert!(end.is_err());
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_to_an_endless_upload_is_delivered() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            let head = app.head().await;
            assert!(head.starts_with("POST"), "{head}");
            // Nothing of the body is read, until the sidecar has hung up.
            app.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
                .await;
            app
        };
        let client = async {
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            let endless = stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
            let request = request(Method::POST, "/", streamed(endless));
            let response = upstream.send(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(text(response).await, "big");
        };
        let (mut app, ()) = tokio::join!(app, client);
        app.closed().await;

        // An upload that neither ends nor goes on hangs nothing either.
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                .await;
            app.closed().await;
        };
        let (_sender, body) = channelled();
        let (response, ()) = tokio::join!(upstream.send(request(Method::POST, "/", body)), app);
        assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_flow_at_once() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            for line in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"] {
                app.until(line.as_bytes()).await;
                app.write(line).await;
            }
            // Both were whole, so the connection goes on.
            app.head().await;
            app.write(OK).await;
        };
        let client = async {
            let (sender, body) = channelled();
            let response = upstream
                .send(request(Method::POST, "/", body))
                .await
                .unwrap();
            let mut body = response.into_body();
            for word in ["one", "two"] {
                sender.send(Ok(word.into())).unwrap();
                let Some(Ok(Chunk::Data(data))) = body.next().await else {
                    panic!("no {word}");
                };
                assert_eq!(data, word);
            }
            drop(sender);
            assert!(body.next().await.is_none());
            text(upstream.send(get("/")).await.unwrap()).await;
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_app_back() {
    const TOTAL: usize = 100 * MIB;
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let sent = Arc::new(AtomicUsize::new(0));
        let (stalled, first_stall) = oneshot::channel();
        let counter = Arc::clone(&sent);
        let app = tokio::spawn(async move {
            let mut app = origin.accept().await;
            app.head().await;
            app.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {TOTAL}\r\n\r\n"
            ))
            .await;
            let block = vec![b'x'; 64 * 1024];
            let mut stalled = Some(stalled);
            while counter.load(Ordering::SeqCst) < TOTAL {
                let left = TOTAL - counter.load(Ordering::SeqCst);
                match app.stream.try_write(&block[..left.min(block.len())]) {
                    Ok(written) => _ = counter.fetch_add(written, Ordering::SeqCst),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        if let Some(stalled) = stalled.take() {
                            stalled.send(()).unwrap();
                        }
                        app.stream.writable().await.unwrap();
                    }
                }
            }
        });
        let mut body = upstream.send(get("/")).await.unwrap().into_body();
        assert_eq!(body.exact_len(), Some(TOTAL as u64));
        first_stall.await.unwrap();
        let mut received = 0;
        while let Some(chunk) = body.next().await {
            let Chunk::Data(data) = chunk.unwrap() else {
                panic!("trailers")
            };
            received += data.len();
            // The kernel's buffers hold a few MiB; we hold one chunk.
            let ahead = sent.load(Ordering::SeqCst).saturating_sub(received);
            assert!(ahead < 32 * MIB, "{ahead} ahead after {received}");
        }
        assert_eq!(received, TOTAL);
        app.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_app_holds_the_upload_back() {
    const TOTAL: usize = 100 * MIB;
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let produced = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&produced);
        let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
        let frames = stream::iter(0..TOTAL / chunk.len()).map(move |_| {
            counter.fetch_add(chunk.len(), Ordering::SeqCst);
            Ok(Frame::data(chunk.clone()))
        });
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            let (mut taken, mut buffer) = (app.seen.len(), vec![0; MIB]);
            // Framing is on top of the content.
            while taken < TOTAL {
                taken += app.stream.read(&mut buffer).await.unwrap();
                let ahead = produced.load(Ordering::SeqCst).saturating_sub(taken);
                assert!(ahead < 32 * MIB, "{ahead} ahead after {taken}");
            }
            app.seen = buffer.split_off(MIB);
            app.write(OK).await;
            app
        };
        let upload = request(Method::PUT, "/", streamed(frames));
        let (_app, response) = tokio::join!(app, upstream.send(upload));
        assert_eq!(response.unwrap().status(), StatusCode::OK);
        assert_eq!(produced.load(Ordering::SeqCst), TOTAL);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_body_breaks_the_exchange_off() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
                .await;
            app.closed().await;
        };
        let client = async { drop(upstream.send(get("/")).await.unwrap()) };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_as_good() {
    bounded(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let target = format!("unix:{}", path.display()).parse().unwrap();
        let upstream = Upstream::new(Config::new(target));
        let app = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut app = Connection {
                stream,
                seen: Vec::new(),
            };
            for _ in 0..2 {
                app.head().await;
                app.until(b"body").await;
                app.write(OK).await;
            }
            app
        };
        let client = async {
            for _ in 0..2 {
                let request = request(Method::POST, "/", "body");
                assert_eq!(text(upstream.send(request).await.unwrap()).await, "ok");
            }
        };
        tokio::join!(app, client);
    })
    .await;
}

fn upgrade(body: Body) -> Request<Body> {
    let mut request = request(Method::GET, "/chat", body);
    let headers = request.headers_mut();
    headers.insert("connection", "Upgrade".parse().unwrap());
    headers.insert("upgrade", "websocket".parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_connection_carries_raw_bytes_both_ways() {
    bounded(async {
        let origin = Origin::start().await;
        let mut config = origin.config();
        // A tunnel may be silent for longer than a response may.
        config.read_timeout = Duration::from_millis(20);
        let upstream = Upstream::new(config);
        let app = async {
            let mut app = origin.accept().await;
            let head = app.head().await.to_lowercase();
            assert!(head.contains("connection: upgrade\r\n"), "{head}");
            assert!(head.contains("upgrade: websocket\r\n"), "{head}");
            assert!(!head.contains("transfer-encoding"), "{head}");
            // The first bytes of the new protocol come with the head.
            app.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
                .await;
            assert_eq!(app.until(b"ping").await, "ping");
            tokio::time::sleep(Duration::from_millis(60)).await;
            app.write("pong").await;
            // The client has ended its direction; ours goes on.
            assert_eq!(app.closed().await, b"bye");
            app.write("bye bye").await;
        };
        let client = async {
            let (sender, body) = channelled();
            let response = upstream.send(upgrade(body)).await.unwrap();
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            assert_eq!(response.headers()["upgrade"], "websocket");
            assert_eq!(response.headers()["connection"], "Upgrade");
            let mut body = response.into_body();
            let expect = async |body: &mut Body, word: &str| {
                let mut seen = Vec::new();
                while seen.len() < word.len() {
                    let Some(Ok(Chunk::Data(data))) = body.next().await else {
                        panic!("no {word}");
                    };
                    seen.extend_from_slice(&data);
                }
                assert_eq!(seen, word.as_bytes());
            };
            expect(&mut body, "hello").await;
            sender.send(Ok("ping".into())).unwrap();
            expect(&mut body, "pong").await;
            sender.send(Ok("bye".into())).unwrap();
            drop(sender);
            let (rest, _, end) = read(&mut body).await;
            assert_eq!((rest.as_slice(), end), (&b"bye bye"[..], Ok(())));
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upgrade_is_an_ordinary_response() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            for _ in 0..2 {
                app.head().await;
                app.write(OK).await;
            }
            app
        };
        let client = async {
            // What waits for the upgrade is never sent, and the connection serves on.
            let (_sender, body) = channelled();
            text(upstream.send(upgrade(body)).await.unwrap()).await;
            text(upstream.send(get("/")).await.unwrap()).await;
        };
        tokio::join!(app, client);
    })
    .await;
}
