//! Listeners: accept, speak HTTP/1.1 or HTTP/2, with TLS or without, stop when told to.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::proxy::Connection;
use crate::proxy::Proxy;
use crate::proxy::fast_path::Next;
use crate::proxy::tls::Tls;
use crate::proxy::wire::Lent;
use crate::proxy::wire::Line;
use crate::proxy::wire::Patience;
use crate::proxy::wire::Wire;

/// Where to listen, or where a listener listens.
#[derive(Clone, Debug, PartialEq)]
pub enum Listen {
    /// An address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// The same, for clients that speak TLS.
    Tls(SocketAddr, Tls),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = &'static str;

    /// `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/tagalong.sock`.
    fn from_str(text: &str) -> Result<Listen, &'static str> {
        const EXPECTED: &str =
            "expected an address and a port such as `127.0.0.1:8080`, or `unix:/run/tagalong.sock`";
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Listen::Unix(path.into())),
            Some(_) => Err(EXPECTED),
            None => text.parse().map(Listen::Tcp).map_err(|_| EXPECTED),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Tls(address, _) => write!(f, "https://{address}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A place where we could not listen.
#[derive(Debug, Error)]
#[error("cannot listen on {place}")]
pub struct BindError {
    place: String,
    source: io::Error,
}

/// Bound listeners, not yet accepting.
#[derive(Debug)]
pub struct Listeners(Vec<Bound>);

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener, SocketAddr, Option<Tls>),
    Unix(UnixListener, PathBuf),
}

/// Streams one client may have open at once over HTTP/2.
const MAX_STREAMS: u32 = 128;
/// After this silence a client's machine is asked whether it is still there: tunnels have no other end to a peer that is
/// gone without a word.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// So long a new connection has at most for its first request, though we are told to stop: its client has been let in, and may have
/// sent it.
const FIRST: Duration = Duration::from_secs(1);
/// So many connections are taken at most that wait in a listener's queue when we stop: as many as it holds.
const WAITING: usize = 1_024;
/// Pause after a failed accept, so that running out of descriptors does not also burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Listeners {
    /// Binds every place.
    ///
    /// # Errors
    ///
    /// The first place that cannot be bound. The socket file of a process that is gone is no hindrance.
    pub async fn bind(places: &[Listen]) -> Result<Listeners, BindError> {
        let mut bound = Vec::with_capacity(places.len());
        for place in places {
            bound.push(match place {
                Listen::Tcp(address) => bind_tcp(*address, None).await?,
                Listen::Tls(address, tls) => bind_tcp(*address, Some(tls.clone())).await?,
                Listen::Unix(path) => {
                    let failed = |source| BindError {
                        place: format!("unix:{}", path.display()),
                        source,
                    };
                    Bound::Unix(bind_unix(path).await.map_err(failed)?, path.clone())
                }
            });
        }
        Ok(Listeners(bound))
    }

    /// Where they listen, in the order given.
    pub fn addresses(&self) -> Vec<Listen> {
        let address = |bound: &Bound| match bound {
            Bound::Tcp(_, address, None) => Listen::Tcp(*address),
            Bound::Tcp(_, address, Some(tls)) => Listen::Tls(*address, tls.clone()),
            Bound::Unix(_, path) => Listen::Unix(path.clone()),
        };
        self.0.iter().map(address).collect()
    }

    /// Accepts until `stop` says by when to end, then lets running requests finish until then.
    pub async fn serve(self, proxy: Proxy, stop: watch::Receiver<Option<Instant>>) {
        let mut accepting = JoinSet::new();
        let mut sockets = Vec::new();
        for bound in self.0 {
            let server = Server {
                proxy: proxy.clone(),
                stop: stop.clone(),
            };
            match bound {
                Bound::Tcp(listener, _, tls) => accepting.spawn(server.accept_tcp(listener, tls)),
                Bound::Unix(listener, path) => {
                    sockets.push(path);
                    accepting.spawn(server.accept_unix(listener))
                }
            };
        }
        let mut connections = accepting.join_all().await; // they end when told to stop
        for path in sockets {
            if let Err(error) = tokio::fs::remove_file(&path).await {
                tracing::debug!(%error, path = %path.display(), "could not remove the socket");
            }
        }
        let end = stop.borrow().unwrap_or_else(Instant::now);
        let finished = async {
            for connections in &mut connections {
                while connections.join_next().await.is_some() {}
            }
        };
        if timeout_at(end, finished).await.is_err() {
            tracing::warn!("some requests were still running when the drain time was over");
        }
        drop(connections); // what still runs ends here
    }
}

async fn bind_tcp(address: SocketAddr, tls: Option<Tls>) -> Result<Bound, BindError> {
    let failed = |source| BindError {
        place: address.to_string(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok(Bound::Tcp(listener, local, tls))
}

async fn bind_unix(path: &std::path::Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse
                && UnixStream::connect(path).await.is_err() =>
        {
            tokio::fs::remove_file(path).await?; // left behind by a process that is gone
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// One accept loop.
struct Server {
    proxy: Proxy,
    stop: Stop,
}

/// By when to end, once it is time; a stopper that is gone says stop, too.
pub(super) type Stop = watch::Receiver<Option<Instant>>;

impl Server {
    async fn accept_tcp(mut self, listener: TcpListener, tls: Option<Tls>) -> JoinSet<()> {
        let mut connections = JoinSet::new();
        while let Some(accepted) = self.or_stop(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.begin(&mut connections, stream, peer.ip(), tls.as_ref()),
                Err(error) => not_accepted(error).await,
            }
            while connections.try_join_next().is_some() {}
        }
        // Those too who wait at the door: the system has told them that they are connected.
        let door = listener.into_std();
        let waiting = door.map(|door| iter::from_fn(move || door.accept().ok()));
        for (stream, peer) in waiting.into_iter().flatten().take(WAITING) {
            let set = stream.set_nonblocking(true);
            if let Ok(stream) = set.and_then(|()| TcpStream::from_std(stream)) {
                self.begin(&mut connections, stream, peer.ip(), tls.as_ref());
            }
        }
        connections
    }

    /// Serves a connection in a task of its own.
    fn begin(
        &self,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        peer: IpAddr,
        tls: Option<&Tls>,
    ) {
        let alive = TcpKeepalive::new().with_time(KEEPALIVE);
        let set = stream.set_nodelay(true);
        let set = set.and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&alive));
        if let Err(error) = set {
            tracing::debug!(%error, "could not set the options of a socket");
        }
        match tls {
            Some(tls) => connections.spawn(self.secured(stream, tls.clone(), peer)),
            None => connections.spawn(self.plain(stream, Some(peer))),
        };
    }

    async fn accept_unix(mut self, listener: UnixListener) -> JoinSet<()> {
        let mut connections = JoinSet::new();
        while let Some(accepted) = self.or_stop(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(self.plain(stream, None));
                }
                Err(error) => not_accepted(error).await,
            }
            while connections.try_join_next().is_some() {}
        }
        let door = listener.into_std();
        let waiting = door.map(|door| iter::from_fn(move || door.accept().ok()));
        for (stream, _) in waiting.into_iter().flatten().take(WAITING) {
            let set = stream.set_nonblocking(true);
            if let Ok(stream) = set.and_then(|()| UnixStream::from_std(stream)) {
                connections.spawn(self.plain(stream, None));
            }
        }
        connections
    }

    /// What `accepted` yields, or `None` when it is time to stop.
    async fn or_stop<T>(&mut self, accepted: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            accepted = accepted => Some(accepted),
            _ = self.stop.wait_for(Option::is_some) => None,
        }
    }

    /// A connection without TLS.
    fn plain<S>(&self, stream: S, peer: Option<IpAddr>) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (proxy, stop) = (self.proxy.clone(), self.stop.clone());
        serve_one(proxy, stop, stream, "http", peer, Instant::now())
    }

    /// A connection that begins with a handshake: in its own task, because it waits for the client.
    fn secured(
        &self,
        stream: TcpStream,
        tls: Tls,
        peer: IpAddr,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (proxy, mut stop) = (self.proxy.clone(), self.stop.clone());
        async move {
            let (limit, since) = (proxy.0.config.header_timeout, Instant::now());
            let nothing = Line::default(); // has come before the handshake is over
            let shaken = tokio::select! {
                shaken = tls.handshake(stream, limit) => shaken,
                () = is_over(&mut stop, since, &nothing) => return,
            };
            match shaken {
                Ok(stream) => serve_one(proxy, stop, stream, "https", Some(peer), since).await,
                Err(error) => tracing::debug!(%error, "no TLS handshake"),
            }
        }
    }
}

impl Proxy {
    /// Serves one client over a stream that somebody else has made, without TLS, until it leaves.
    pub async fn converse<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (_nobody_stops, stop) = watch::channel(None);
        serve_one(self, stop, stream, "http", None, Instant::now()).await;
    }
}

/// Until it is time to stop for a connection that began at a time: at once, if it has brought a request.
pub(super) async fn is_over(stop: &mut Stop, since: Instant, line: &Line) {
    let end = match stop.wait_for(Option::is_some).await {
        Ok(end) => *end,
        Err(_) => None, // a stopper that is gone says stop, too
    };
    let now = Instant::now();
    // Half of what there is: what it asks for takes time, too.
    let patience = end.map_or(Duration::ZERO, |end| end.saturating_duration_since(now) / 2);
    let mut first = pin!(sleep_until((since + FIRST).min(now + patience)));
    // Asked whenever there is something to do for the connection, so that nobody needs to say that a request has come.
    poll_fn(|cx| match line.has_begun() {
        true => Poll::Ready(()),
        false => first.as_mut().poll(cx),
    })
    .await;
}

/// Serves one connection until its client leaves or we stop.
///
/// Hits that need nothing else are answered on the fast path. What else comes is hyper's, and so is the rest of the connection,
/// until it brings such a hit again.
async fn serve_one<S>(
    proxy: Proxy,
    mut stop: Stop,
    stream: S,
    scheme: &'static str,
    peer: Option<IpAddr>,
    since: Instant,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = &proxy.0.config;
    let patience = Patience {
        head: config.header_timeout,
        idle: config.idle_timeout,
        max_head: config.max_head,
    };
    let has_fast_path = proxy.has_fast_path();
    let mut wire = Wire::new(stream, patience);
    // One count of owners for each connection: what all share is not touched by every request on every core.
    let connection = Arc::new(Connection {
        proxy,
        line: wire.line(),
        scheme,
        peer,
    });
    loop {
        if has_fast_path {
            let next = connection.answer_hits(&mut wire, &mut stop, since).await;
            let is_over = matches!(next, Ok(Next::Nothing));
            let went_on = match next {
                Ok(Next::Other(read)) => wire.put_back(read),
                Ok(Next::Nothing) => wire.shutdown().await,
                Err(error) => Err(error),
            };
            if let Err(error) = &went_on {
                tracing::debug!(%error, "a client's connection ended early");
            }
            if is_over || went_on.is_err() {
                return;
            }
        }
        let (lent, home) = wire.lend();
        let is_at_rest = Box::pin(serve_by_hyper(&connection, lent, &mut stop, since)).await;
        match home.returned() {
            Some(returned) if is_at_rest => wire = returned,
            Some(_) | None => return, // over, or upgraded
        }
    }
}

/// Serves one connection until its client leaves, we stop, or it is wanted back and at rest: whether it is.
async fn serve_by_hyper<S>(
    connection: &Arc<Connection>,
    stream: Lent<S>,
    stop: &mut Stop,
    since: Instant,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = &connection.proxy.0.config;
    let (max_head, idle) = (config.max_head, config.idle_timeout);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None) // `Wire` tells idling from dribbling
        .max_buf_size(max_head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX));
    let line = connection.line.clone();
    let connection = Arc::clone(connection);
    let service = service_fn(move |request| {
        let connection = Arc::clone(&connection);
        async move { Ok::<_, Infallible>(connection.proxy.serve(request, &connection).await) }
    });
    let serving = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned();
    let mut serving = pin!(serving);
    let mut stopped = pin!(is_over(stop, since, &line));
    let mut quiet = pin!(line.gone_quiet(idle));
    let mut is_stopping = false;
    loop {
        let served_or_back = poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Pending if line.comes_back() => Poll::Ready(None),
            polled @ (Poll::Pending | Poll::Ready(_)) => polled.map(Some),
        });
        tokio::select! {
            biased; // what has been read is under way before the connection is told to stop; and it is at work far more often than quiet
            served = served_or_back => {
                if let Some(Err(error)) = &served {
                    tracing::debug!(error, "a client's connection ended early");
                }
                return served.is_none();
            }
            () = &mut quiet => {
                tracing::debug!("closed a connection that had gone quiet");
                return false;
            }
            () = &mut stopped, if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn not_accepted(error: io::Error) {
    tracing::warn!(%error, "could not accept a connection");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
