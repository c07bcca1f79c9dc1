//! Two small servers for comparisons.
//!
//! `reference` answers from a hash map of prepared heads and bodies, and nothing else: what a cache on hyper cannot do
//! without. What no cache keeps it asks the app for, with hyper's own client and its pool, and passes on as it is, without what a proxy
//! has to do besides (`Via`, hop-by-hop fields).
//! `origin` is the app behind the proxies: the same answers with what a cache needs to know, and a count of its calls.
//!
//! Both run on tokio's multi-thread runtime, as the product does; pinned to one core it has one worker.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use clap::Parser;
use clap::ValueEnum;
use http_body_util::BodyExt;
use http_body_util::Either;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Uri;
use hyper::body::Body;
use hyper::body::Incoming;
use hyper::header::CACHE_CONTROL;
use hyper::header::CONTENT_TYPE;
use hyper::header::ETAG;
use hyper::header::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::IF_NONE_MATCH;
use hyper::http::response::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Serve prepared answers at /0, /1, /16, /64 and /1024 (KiB) until killed; at /pass/1 and /pass/64 those no cache keeps.
///
/// The origin's tags are a:1, b:2 and c:3; with ?n=N those of page N of a shop, with ?tag=T that tag in place of a:1.
/// ?increment=T reports a change of T.
#[derive(Parser)]
struct Arguments {
    mode: Mode,
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Whom the reference asks for /pass/…; without that it answers itself.
    #[arg(long)]
    app: Option<SocketAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Prepared answers, and a relay.
    Reference,
    /// The app: its answers carry a lifetime and three tags; /calls says how many it has given.
    Origin,
}

/// The bodies, in KiB, by path.
const SIZES: [(&str, usize); 7] = [
    ("/0", 0),
    ("/1", 1),
    ("/16", 16),
    ("/64", 64),
    ("/1024", 1024),
    ("/pass/1", 1),
    ("/pass/64", 64),
];

/// What is prepared, or what the app sends.
type Answer = Response<Either<Full<Bytes>, Incoming>>;

struct Server {
    relay: Option<Relay>,
    answers: HashMap<&'static str, (Parts, Bytes)>,
    /// `Some` in the origin; the reference counts nothing.
    calls: Option<AtomicU64>,
}

impl Server {
    fn new(mode: Mode, app: Option<SocketAddr>) -> Server {
        let answer = |path: &str, kib: usize| {
            let lifetime = if path.starts_with("/pass/") {
                "private"
            } else {
                "max-age=3600"
            };
            let (mut head, ()) = Response::new(()).into_parts();
            head.headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            head.headers
                .insert(CACHE_CONTROL, HeaderValue::from_static(lifetime));
            head.headers.insert(ETAG, HeaderValue::from_static("\"1\""));
            (head, Bytes::from(vec![b'x'; kib << 10]))
        };
        Server {
            relay: app.map(Relay::to),
            answers: SIZES.map(|(path, kib)| (path, answer(path, kib))).into(),
            calls: (mode == Mode::Origin).then(AtomicU64::default),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Failed> {
        match &self.relay {
            Some(relay) if request.uri().path().starts_with("/pass/") => {
                Ok(relay.ask(request).await?.map(Either::Right))
            }
            Some(_) | None => Ok(self.prepared(request).await?.map(Either::Left)),
        }
    }

    async fn prepared(&self, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
        let (asked, sent) = request.into_parts();
        // Read to its end, so that the connection serves on.
        if !sent.is_end_stream() {
            sent.collect().await?;
        }
        let Some((head, body)) = self.answers.get(asked.uri.path()) else {
            return Ok(self.other(asked.uri.path()));
        };
        let mut head = head.clone();
        if let Some(calls) = &self.calls {
            calls.fetch_add(1, Ordering::Relaxed);
            tell(&mut head.headers, asked.uri.query().unwrap_or_default());
        } else if asked.headers.contains_key(IF_NONE_MATCH) {
            head.status = StatusCode::NOT_MODIFIED;
            return Ok(Response::from_parts(head, Full::default()));
        }
        Ok(Response::from_parts(head, Full::new(body.clone())))
    }

    /// `/calls` of the origin; nothing else is known.
    fn other(&self, path: &str) -> Response<Full<Bytes>> {
        let (status, text) = match self.calls.as_ref().filter(|_| path == "/calls") {
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

type Failed = Box<dyn Error + Send + Sync>;

/// The app, through hyper's client and its pool.
struct Relay {
    client: Client<HttpConnector, Incoming>,
    app: SocketAddr,
}

impl Relay {
    fn to(app: SocketAddr) -> Relay {
        Relay {
            client: Client::builder(TokioExecutor::new()).build_http(),
            app,
        }
    }

    async fn ask(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>, Failed> {
        *request.uri_mut() = Uri::builder()
            .scheme("http")
            .authority(self.app.to_string())
            .path_and_query(request.uri().path_and_query().map_or("/", |it| it.as_str()))
            .build()?;
        Ok(self.client.request(request).await?)
    }
}

/// What an answer of the origin says of tags, as the query wishes.
fn tell(headers: &mut HeaderMap, query: &str) {
    let wish = |name: &str| query.split('&').find_map(|field| field.strip_prefix(name));
    let number = wish("n=").and_then(|text| text.parse::<u64>().ok());
    let tags = match (wish("tag="), number) {
        (Some(tag), _) => format!("{tag}, b:2, c:3"),
        (None, Some(page)) => format!("page:{page}, shelf:{}, shop", page % 1_000),
        (None, None) => "a:1, b:2, c:3".to_owned(),
    };
    let change = wish("increment=").map(str::to_owned);
    for (name, value) in [("cache-tag", Some(tags)), ("cache-tag-increment", change)] {
        // What is no header value was no tag.
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let server = Arc::new(Server::new(arguments.mode, arguments.app));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
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
            let service = service_fn(|request| server.answer(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("connection: {error}");
            }
        });
    }
}
