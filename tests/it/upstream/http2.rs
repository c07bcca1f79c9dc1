//! Apps that speak HTTP/2 by prior knowledge.

use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// An app on exactly one connection: a second one would never be served.
async fn app<F, R>(answer: F) -> Upstream
where
    F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let origin = Origin::start().await;
    let address = origin.listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        let stream = origin.accept().await.stream;
        let service = service_fn(move |request| {
            let answer = Arc::clone(&answer);
            async move { Ok::<_, Infallible>(answer(request).await) }
        });
        let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
        drop((served, origin));
    });
    Upstream::new(
        Config::new(format!("h2c://{address}").parse().unwrap()),
        Clock::System,
    )
}

fn trailers() -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.append("cache-tag-increment", "User:1".parse().unwrap());
    fields.append("cache-tag-increment", "User:2".parse().unwrap());
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_a_connection() {
    bounded(async {
        let both = Arc::new(tokio::sync::Barrier::new(2));
        let upstream = app(move |request| {
            let both = Arc::clone(&both);
            async move {
                assert_eq!(request.uri().scheme_str(), Some("http"));
                assert_eq!(request.uri().authority().unwrap(), "shop.example");
                let path = request.uri().path().to_owned();
                if path != "/alone" {
                    both.wait().await;
                }
                Response::new(path.into())
            }
        })
        .await;
        let ask = async |target| text(upstream.ask(get(target)).await.unwrap()).await;
        assert_eq!(ask("/alone").await, "/alone");
        let answers = tokio::join!(ask("/a"), ask("/b"));
        assert_eq!(answers, ("/a".into(), "/b".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_their_trailers_pass_both_ways() {
    bounded(async {
        let upstream = app(|request| async move {
            let length = request.headers().get("content-length").cloned();
            let mut response = Response::new(Body::stream(Frames(Box::pin(echo(request)))));
            if let Some(length) = length {
                response.headers_mut().insert("x-length", length);
            }
            response
        })
        .await;
        let large = Bytes::from(vec![b'x'; 3 * MIB]);
        let request_of = |body: Body| request(Method::POST, "/", body);

        let response = upstream
            .ask(request_of(large.clone().into()))
            .await
            .unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(response.headers()["x-length"], "3145728");
        let (data, fields, end) = read(&mut response.into_body()).await;
        assert_eq!((data == large, fields, end), (true, None, Ok(())));

        let frames = [
            Ok(Frame::data("abc".into())),
            Ok(Frame::trailers(trailers())),
        ];
        let body = streamed(stream::iter(frames));
        let response = upstream.ask(request_of(body)).await.unwrap();
        assert!(!response.headers().contains_key("x-length"));
        let (data, fields, end) = read(&mut response.into_body()).await;
        assert_eq!((data, end), (b"abc".to_vec(), Ok(())));
        assert_eq!(fields.unwrap(), trailers());
    })
    .await;
}

/// The frames of a request's body, trailer fields too.
fn echo(request: Request<Incoming>) -> impl Stream<Item = Result<Frame<Bytes>, Cut>> + Send {
    stream::unfold(request.into_body(), |mut body| async move {
        let frame =
            std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await?;
        Some((frame.map_err(|error| Cut::Short(error.to_string())), body))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_a_cut_and_harms_no_other() {
    bounded(async {
        let arrived = Arc::new(tokio::sync::Notify::new());
        let break_off = Arc::clone(&arrived);
        let upstream = app(move |request| {
            let break_off = Arc::clone(&break_off);
            async move {
                match request.uri().path() {
                    "/cut" => {
                        let part = stream::iter([Ok(Frame::data("part".into()))]);
                        let cut = stream::once(async move {
                            break_off.notified().await;
                            Err(Cut::Short("the app broke off".into()))
                        });
                        Response::new(streamed(part.chain(cut)))
                    }
                    "/endless" => {
                        let chunk = || Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024])));
                        Response::new(streamed(stream::repeat_with(chunk)))
                    }
                    "/head" => {
                        let mut response = Response::new(Body::empty());
                        let length = "1234".parse().unwrap();
                        response.headers_mut().insert("content-length", length);
                        response
                    }
                    _ => Response::new("ok".into()),
                }
            }
        })
        .await;
        let mut body = upstream.ask(get("/cut")).await.unwrap().into_body();
        assert!(matches!(body.next().await, Some(Ok(Chunk::Data(_)))));
        arrived.notify_one();
        assert!(matches!(body.next().await, Some(Err(_))));
        // More of them at once than the connection's window would bear if it were shared; none is read further.
        let mut unread = Vec::new();
        for _ in 0..80 {
            let mut body = upstream.ask(get("/endless")).await.unwrap().into_body();
            assert!(matches!(body.next().await, Some(Ok(Chunk::Data(_)))));
            unread.push(body);
        }
        assert_eq!(text(upstream.ask(get("/")).await.unwrap()).await, "ok");
        // Dropped, they are reset, and their places are free again.
        drop(unread);
        for _ in 0..120 {
            drop(upstream.ask(get("/endless")).await.unwrap());
        }
        let head = request(Method::HEAD, "/head", Body::empty());
        let response = upstream.ask(head).await.unwrap();
        assert_eq!(response.headers()["content-length"], "1234");
        assert_eq!(text(response).await, "");
        // Upgrades do not exist here: what asks for one is an ordinary request.
        let (_sender, body) = channelled();
        let mut request = request(Method::GET, "/", body);
        request
            .headers_mut()
            .insert("connection", "upgrade".parse().unwrap());
        request
            .headers_mut()
            .insert("upgrade", "websocket".parse().unwrap());
        assert_eq!(text(upstream.ask(request).await.unwrap()).await, "ok");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_request_resets_its_stream() {
    bounded(async {
        let (report, mut reports) = mpsc::unbounded_channel();
        let upstream = app(move |request| {
            let report = report.clone();
            async move {
                let whole = echo(request)
                    .all(|frame| async move { frame.is_ok() })
                    .await;
                report.send(whole).unwrap();
                Response::new(Body::empty())
            }
        })
        .await;
        for (frames, whole) in [
            (vec![Ok("all".into())], true),
            (
                vec![Ok("half".into()), Err(Cut::Short("the client left".into()))],
                false,
            ),
        ] {
            let frames = frames.into_iter().map(|chunk| chunk.map(Frame::data));
            let request = request(Method::POST, "/", streamed(stream::iter(frames)));
            match upstream.ask(request).await {
                Ok(_) => assert!(whole),
                Err(error) => assert_eq!(error.kind, UpstreamErrorKind::RequestBody),
            }
            assert_eq!(reports.recv().await, Some(whole));
        }
    })
    .await;
}
