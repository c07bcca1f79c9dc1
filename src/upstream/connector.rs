//! Connections to the app: made when needed (names looked up then, every address tried), kept while they are good.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr as InetAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use pingora::connectors::http::Connector;
use pingora::connectors::http::v1::Connector as Http1Connector;
use pingora::connectors::{ConnectorOptions, L4Connect};
use pingora::protocols::TcpKeepalive;
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v1::client::HttpSession as Http1Session;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream as Connection;
use pingora::protocols::tls::ALPN;
use pingora::upstreams::peer::{Peer, PeerOptions};
use pingora::{Error as EngineError, ErrorType};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::duplex::Duplex;
use super::error::{UpstreamError, UpstreamErrorKind};
use super::idle::Idle;
use super::target::{Endpoint, Protocol, Target};

/// How long a connection is kept for the next request. An app that says `Keep-Alive: timeout=…` is believed where
/// that is less.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// Idle connections kept at once; the one unused for the longest makes room.
const MAX_IDLE: usize = 128;

/// Requests at once on one HTTP/2 connection.
const H2_STREAMS: usize = 100;

/// Bytes of one HTTP/2 response in flight: what a slow reader costs in memory.
const H2_STREAM_WINDOW: u32 = 256 * 1024;

/// As much as all streams of a connection together, so that one slow reader never holds up another (L15).
const H2_CONNECTION_WINDOW: u32 = H2_STREAM_WINDOW * H2_STREAMS as u32;

/// Finds HTTP/2 connections whose other end has vanished without a word.
const H2_PING: Duration = Duration::from_secs(15);

/// The connections to one address of the app.
pub(super) struct Pool {
    connections: Connections,
    peer: AppPeer,
    connect_timeout: Duration,
}

/// What is made, and who keeps it: Pingora does where a connection may be one of HTTP/2.
enum Connections {
    Http1(Http1Connector, Arc<Idle>),
    Any(Box<Connector>),
}

/// What a request asks of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Any,
    /// One not used before, where the pool allows to ask for it: the last one used was dead.
    Fresh,
    /// HTTP/1.1 on a connection not used before: the request asks for another protocol (RFC 9110 §7.8), and is not
    /// one to be repeated.
    Http1,
}

/// A connection, or a stream of one, on loan from the pool. Given back it is used again; dropped, an HTTP/1
/// connection is closed and an HTTP/2 stream reset.
pub(super) struct Lease {
    /// Boxed: it moves with the exchange, into the response's body.
    session: Option<Box<HttpSession>>,
    pool: Arc<Pool>,
}

impl Pool {
    pub(super) fn new(target: Target, connect_timeout: Duration) -> Pool {
        let mut options = ConnectorOptions::new(MAX_IDLE);
        if target.protocol() != Protocol::Tls {
            // Roots of trust are not needed, and reading the system's may fail, which Pingora answers with a panic.
            options.ca_file = Some("/dev/null".to_owned());
        }
        let connections = match target.protocol() {
            Protocol::Http1 => {
                Connections::Http1(Http1Connector::new(Some(options)), Idle::new(MAX_IDLE))
            }
            Protocol::H2c | Protocol::Tls => {
                Connections::Any(Box::new(Connector::new(Some(options))))
            }
        };
        Pool {
            connections,
            peer: AppPeer::new(target, connect_timeout),
            connect_timeout,
        }
    }

    /// Where they lead.
    pub(super) fn target(&self) -> &Target {
        &self.peer.target
    }

    /// A connection, and whether it was used before.
    pub(super) async fn take(self: &Arc<Self>, need: Need) -> Result<(Lease, bool), UpstreamError> {
        if need == Need::Any
            && let Connections::Http1(_, idle) = &self.connections
            && let Some(stream) = idle.take()
        {
            let session = Http1Session::new_with_options(stream, &self.peer);
            return Ok((self.lease(HttpSession::H1(session)), true));
        }
        // Boxed: this is rare, and the making of a connection is far larger than the rest of an exchange.
        let (session, reused) = Box::pin(self.connect(need)).await?;
        Ok((self.lease(session), reused))
    }

    async fn connect(&self, need: Need) -> Result<(HttpSession, bool), UpstreamError> {
        let peer = self.peer.for_need(need);
        let session = async {
            match &self.connections {
                Connections::Http1(connector, _) => {
                    let session = connector.get_http_session(peer.as_ref()).await;
                    session.map(|(session, reused)| (HttpSession::H1(session), reused))
                }
                Connections::Any(connector) => connector.get_http_session(peer.as_ref()).await,
            }
        };
        timeout(self.connect_timeout, session)
            .await
            .map_err(|_| {
                UpstreamError::new(UpstreamErrorKind::ConnectTimeout, "no connection in time")
            })?
            .map_err(|error| UpstreamError::connecting(&error))
    }

    fn lease(self: &Arc<Self>, session: HttpSession) -> Lease {
        Lease {
            session: Some(Box::new(session)),
            pool: Arc::clone(self),
        }
    }

    /// Takes a connection back, or closes it. Neither waits for the app: what is not done at once is given up, which closes it
    /// too.
    fn give_back(&self, session: HttpSession, time: Duration) {
        match (&self.connections, session) {
            (Connections::Http1(_, idle), HttpSession::H1(session)) => {
                if let Some(stream) = session.reuse().now_or_never().flatten() {
                    idle.put(stream, time);
                }
            }
            (Connections::Any(connector), session) => {
                connector
                    .release_http_session(session, &self.peer, Some(time))
                    .now_or_never();
            }
            (Connections::Http1(..), HttpSession::H2(_) | HttpSession::Custom(())) => {} // it makes none
        }
    }
}

/// Addresses differ, and each has one pool.
impl PartialEq for Pool {
    fn eq(&self, other: &Pool) -> bool {
        self.target() == other.target()
    }
}

impl Lease {
    pub(super) fn session(&mut self) -> &mut HttpSession {
        self.session
            .as_mut()
            .expect("only giving it back takes it, and that consumes the lease")
    }

    /// Shares an HTTP/1 connection, so that it can be written while the session reads. `None` for HTTP/2, which
    /// needs no help. To be called before anything is sent.
    pub(super) fn share(&mut self) -> Option<Duplex> {
        match *self.session.take()? {
            HttpSession::H1(session) => {
                let duplex = Duplex::over(session.into_inner());
                let session =
                    Http1Session::new_with_options(Box::new(duplex.clone()), &self.pool.peer);
                self.session = Some(Box::new(HttpSession::H1(session)));
                Some(duplex)
            }
            other @ (HttpSession::H2(_) | HttpSession::Custom(())) => {
                self.session = Some(Box::new(other));
                None
            }
        }
    }

    /// Whether the connection goes on after the response, which has ended: the app has not asked for its end, nor sent more than
    /// it declared. HTTP/2 tells that of streams by itself.
    pub(super) fn goes_on(&mut self) -> bool {
        match self.session() {
            HttpSession::H1(session) => {
                session.respect_keepalive();
                session.will_keepalive()
            }
            HttpSession::H2(_) | HttpSession::Custom(()) => true,
        }
    }

    /// The exchange has ended whole in both directions: the connection may serve the next one if it [goes on](Lease::goes_on),
    /// which has been asked.
    pub(super) fn give_back(mut self, idle: Duration) {
        if let Some(session) = self.session.take() {
            self.pool.give_back(*session, idle);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // An HTTP/1 connection closes by being dropped. An HTTP/2 stream is reset by being dropped, but its
        // connection counts as used until it is released, which does not wait but starts a task.
        if let Some(session) = self.session.take()
            && matches!(*session, HttpSession::H2(_))
            && Handle::try_current().is_ok()
        {
            self.pool.give_back(*session, IDLE);
        }
    }
}

/// The app as Pingora's connector sees it. The pool's key does not depend on the address: that is found by [`Dial`]
/// when a connection is made, and connections to any of a name's addresses are as good.
#[derive(Clone)]
struct AppPeer {
    target: Arc<Target>,
    options: PeerOptions,
    pool: u64,
}

/// Never connected to: [`Dial`] knows where the app is.
const NOWHERE: SocketAddr = SocketAddr::Inet(InetAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));

/// The pool's key of the app's connections.
const POOLED: u64 = 0;

/// A key under which nothing is ever given back.
const NEVER_POOLED: u64 = 1;

impl AppPeer {
    fn new(target: Target, connect_timeout: Duration) -> AppPeer {
        let target = Arc::new(target);
        let mut options = PeerOptions::new();
        options.alpn = match target.protocol() {
            Protocol::Http1 => ALPN::H1,
            Protocol::H2c => ALPN::H2,
            Protocol::Tls => ALPN::H2H1,
        };
        options.total_connection_timeout = Some(connect_timeout);
        options.tcp_keepalive = Some(TcpKeepalive {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            count: 6,
            user_timeout: Duration::ZERO,
        });
        options.max_h2_streams = H2_STREAMS;
        options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
        options.h2_connection_window_size = Some(H2_CONNECTION_WINDOW);
        options.h2_ping_interval = Some(H2_PING);
        options.custom_l4 = Some(Arc::new(Dial {
            target: Arc::clone(&target),
            timeout: connect_timeout,
        }));
        AppPeer {
            target,
            options,
            pool: POOLED,
        }
    }

    fn for_need(&self, need: Need) -> Cow<'_, AppPeer> {
        match need {
            // Over HTTP/1.1 alone each is a new one. HTTP/2 connections are kept under the key they were made for.
            Need::Any | Need::Fresh => Cow::Borrowed(self),
            Need::Http1 => {
                let mut peer = self.clone();
                peer.options.alpn = ALPN::H1;
                peer.pool = NEVER_POOLED;
                Cow::Owned(peer)
            }
        }
    }
}

impl fmt::Display for AppPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

impl Peer for AppPeer {
    fn address(&self) -> &SocketAddr {
        &NOWHERE
    }

    fn tls(&self) -> bool {
        self.target.protocol() == Protocol::Tls
    }

    fn sni(&self) -> &str {
        self.target.server_name()
    }

    fn reuse_hash(&self) -> u64 {
        self.pool
    }

    fn get_peer_options(&self) -> Option<&PeerOptions> {
        Some(&self.options)
    }

    fn matches_fd<V: AsRawFd>(&self, _fd: V) -> bool {
        // One pool, one address.
        true
    }
}

/// Makes connections.
#[derive(Debug)]
struct Dial {
    target: Arc<Target>,
    timeout: Duration,
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, _nowhere: &SocketAddr) -> pingora::Result<Connection> {
        match self.target.endpoint() {
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(Connection::from),
            Endpoint::Tcp(host, port) => self.dial(host, port).await.map(Connection::from),
        }
        .map_err(|error| {
            let kind = if error.kind() == io::ErrorKind::TimedOut {
                ErrorType::ConnectTimedout
            } else {
                ErrorType::ConnectError
            };
            EngineError::because(kind, format!("connecting to {}", self.target), error)
        })
    }
}

impl Dial {
    /// Tries the addresses of a name one after the other, each with its share of the time that may pass.
    async fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        // The look-up runs on a thread of its own; an address is only parsed.
        let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
        let share = self.timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}
