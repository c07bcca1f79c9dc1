//! Two small servers for comparisons.
//!
//! `reference` answers from a hash map of prepared heads and bodies, and nothing else: the least a cache on hyper can cost.
//! `origin` is the app behind the proxies: the same answers with what a cache needs to know, and a count of its calls.
//!
//! Both run on tokio's multi-thread runtime, as the product does; pinned to one core it has one worker.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use clap::Parser;
use clap::ValueEnum;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CACHE_CONTROL;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::response::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Serve prepared answers at /1, /16, /64 and /1024 (KiB) until killed.
#[derive(Parser)]
struct Arguments {
    mode: Mode,
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Prepared answers only.
    Reference,
    /// The app: its answers carry a lifetime and three tags; /calls says how many it has given.
    Origin,
}

/// The bodies, in KiB, by path.
const SIZES: [(&str, usize); 4] = [("/1", 1), ("/16", 16), ("/64", 64), ("/1024", 1024)];

struct Server {
    answers: HashMap<&'static str, (Parts, Bytes)>,
    /// `Some` in the origin; the reference counts nothing.
    calls: Option<AtomicU64>,
}

impl Server {
    fn new(mode: Mode) -> Server {
        let answer = |kib: usize| {
            let (mut head, ()) = Response::new(()).into_parts();
            head.headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            head.headers
                .insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
            if mode == Mode::Origin {
                let tags = HeaderValue::from_static("a:1, b:2, c:3");
                head.headers
                    .insert(HeaderName::from_static("cache-tag"), tags);
            }
            (head, Bytes::from(vec![b'x'; kib << 10]))
        };
        Server {
            answers: SIZES.map(|(path, kib)| (path, answer(kib))).into(),
            calls: (mode == Mode::Origin).then(AtomicU64::default),
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if let Some((head, body)) = self.answers.get(request.uri().path()) {
            if let Some(calls) = &self.calls {
                calls.fetch_add(1, Ordering::Relaxed);
            }
            return Response::from_parts(head.clone(), Full::new(body.clone()));
        }
        let calls = self
            .calls
            .as_ref()
            .filter(|_| request.uri().path() == "/calls");
        let (status, text) = match calls {
            Some(calls) => (StatusCode::OK, calls.load(Ordering::Relaxed).to_string()),
            None => (StatusCode::NOT_FOUND, String::new()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let server = Arc::new(Server::new(arguments.mode));
    tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()?
        .block_on(serve(server, arguments.listen))
}

async fn serve(server: Arc<Server>, address: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = server.answer(&request);
                async { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("connection: {error}");
            }
        });
    }
}
