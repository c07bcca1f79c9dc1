//! The exchange with the app, through Pingora's HTTP connector: the only part that names Pingora.
//!
//! It knows connections, not caching. It decides which connection a request takes, when it is safe to try again, and
//! whether a body that ended is whole; it refuses to know rules, tags and what a response means.

mod connector;
mod duplex;
mod error;
mod exchange;
mod request;
mod response;
mod target;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};

use crate::body::Body;

use connector::{Need, Pool};
use exchange::Failed;
use request::{Outgoing, is_empty};

pub use error::{UpstreamError, UpstreamErrorKind};
pub use target::{NotATarget, Target};

/// A pause before an app that refused a connection is asked again: it may be about to listen.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// How to reach the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it is.
    pub target: Target,
    /// The longest wait for a connection, TLS handshake included.
    pub connect_timeout: Duration,
    /// The longest wait for the response's head, between two reads of its body, and for the app to take the next
    /// piece of the request's body.
    pub read_timeout: Duration,
    /// Further tries of idempotent requests without a body after a failed connection.
    pub retries: u32,
    /// The largest head of a response, in bytes.
    pub max_head: usize,
}

impl Config {
    /// The defaults, for an app that is there.
    pub fn new(target: Target) -> Config {
        Config {
            target,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(30),
            retries: 1,
            max_head: 64 * 1024,
        }
    }
}

/// The app. Clones share one pool of connections.
#[derive(Clone)]
pub struct Upstream {
    config: Arc<Config>,
    pool: Arc<Pool>,
}

impl Upstream {
    /// Connects to nothing yet.
    pub fn new(config: Config) -> Upstream {
        let pool = Pool::new(config.target.clone(), config.connect_timeout);
        Upstream {
            config: Arc::new(config),
            pool: Arc::new(pool),
        }
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// The target goes out in origin form, byte for byte; the fields as they are, except that the framing fields
    /// follow the body. The response's fields are as the app sent them; its body is read as it is pulled, and dropping
    /// it breaks the exchange off. A body that was cut short ends in [`Cut`](crate::body::Cut), never whole.
    ///
    /// A request with `Upgrade` and `Connection: upgrade` (RFC 9110 §7.8) keeps both fields. Its body is not sent
    /// unless the app answers 101; then it and the response's body are the two directions of the connection, raw.
    ///
    /// # Errors
    ///
    /// See [`UpstreamErrorKind`]. Idempotent requests without a body are tried again on a failed connection, others
    /// are sent at most once.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        let (parts, body) = request.into_parts();
        let protocol = self.config.target.protocol();
        let (outgoing, mut body) = Outgoing::new(parts, body, protocol);
        let repeatable = outgoing.is_idempotent() && is_empty(&body);
        let mut need = if outgoing.is_upgrade() {
            Need::Http1
        } else {
            Need::Any
        };
        // A connection that died in the pool says nothing about the app, so it costs no retry.
        let mut spare = u32::from(repeatable);
        let mut retries = if repeatable { self.config.retries } else { 0 };
        loop {
            let body = std::mem::take(&mut body);
            match exchange::run(&self.pool, &self.config, &outgoing, body, need).await {
                Ok(response) => return Ok(response),
                Err(Failed {
                    error,
                    reused: true,
                    answered: false,
                }) if spare > 0 && error.is_reset() => {
                    spare -= 1;
                    need = Need::Fresh;
                }
                Err(Failed {
                    error,
                    answered: false,
                    ..
                }) if retries > 0 && (error.is_reset() || error.is_connect()) => {
                    retries -= 1;
                    if error.kind == UpstreamErrorKind::Connect {
                        tokio::time::sleep(REFUSED_PAUSE).await;
                    }
                    need = Need::Fresh;
                }
                Err(Failed { error, .. }) => return Err(error),
            }
        }
    }
}
