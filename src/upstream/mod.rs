//! The exchange with the app, through Pingora's HTTP connector: the only part that names Pingora.
//!
//! It knows connections, not caching. It decides which address and which connection a request takes, when it is safe to try again, and
//! whether a body that ended is whole, and how many exchanges the app has at once; it refuses to know rules, tags and what a response means.

mod balance;
mod connector;
mod duplex;
mod error;
mod exchange;
mod health;
mod idle;
mod queue;
mod request;
mod response;
mod target;
mod targets;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::task::JoinSet;

use crate::body::Body;
use crate::clock::Clock;

use balance::Balance;
use connector::{Need, Pool};
use exchange::Failed;
use queue::Queue;
use request::{Outgoing, is_empty};

pub use error::{UpstreamError, UpstreamErrorKind};
pub use health::Health;
pub use queue::{Load, Turn};
pub use target::{NotATarget, Target};
pub use targets::{NotTogether, Targets};

/// A pause before an app that refused a connection is asked again: it may be about to listen.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// How to reach the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it is.
    pub targets: Targets,
    /// How its addresses are checked. `None`: several by a connection now and then, a single one not at all.
    pub health: Option<Health>,
    /// The longest wait for a connection, TLS handshake included.
    pub connect_timeout: Duration,
    /// The longest wait for the response's head, between two reads of its body, and for the app to take the next
    /// piece of the request's body.
    pub read_timeout: Duration,
    /// Further tries of idempotent requests without a body after a failed connection. Asking another address because no
    /// connection could be made is none.
    pub retries: u32,
    /// The largest head of a response, in bytes.
    pub max_head: usize,
    /// Exchanges at once, over all addresses.
    pub max_concurrent: usize,
    /// How many more may wait for their turn.
    pub queue: usize,
    /// The longest wait for a turn.
    pub queue_timeout: Duration,
}

impl Config {
    /// The defaults, for an app that is there.
    pub fn new(target: Target) -> Config {
        Config {
            targets: target.into(),
            health: None,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(30),
            retries: 1,
            max_head: 64 * 1024,
            max_concurrent: 256,
            queue: 1024,
            queue_timeout: Duration::from_secs(5),
        }
    }
}

/// The app. Clones share the connections, and what is known of the addresses.
#[derive(Clone)]
pub struct Upstream {
    config: Arc<Config>,
    balance: Arc<Balance>,
    queue: Arc<Queue>,
    /// They end with the last clone.
    checks: Option<Arc<JoinSet<()>>>,
}

impl Upstream {
    /// Connects to nothing yet, but begins to check the addresses if they are to be checked; that needs a runtime. The
    /// wait for a turn goes by `clock`.
    pub fn new(config: Config, clock: Clock) -> Upstream {
        Upstream::measured(config, clock, Load::default())
    }

    /// The same; how much it has to do is told by `load`.
    pub fn measured(config: Config, clock: Clock, load: Load) -> Upstream {
        let config = Arc::new(config);
        let balance = Arc::new(Balance::new(&config.targets, config.connect_timeout));
        let default = config.targets.are_several().then(Health::default);
        let checks = config.health.clone().or(default);
        let checks = checks.map(|health| Arc::new(health::watch(&balance, &config, &health)));
        Upstream {
            queue: Arc::new(Queue::new(&config, clock, load)),
            config,
            balance,
            checks,
        }
    }

    /// The right to one exchange: at once, or when `max_concurrent` leaves room, first come, first served.
    ///
    /// # Errors
    ///
    /// [`UpstreamErrorKind::Busy`]: `queue` others wait already, or it took `queue_timeout`.
    pub async fn turn(&self) -> Result<Turn, UpstreamError> {
        self.queue.turn().await
    }

    /// The same for an exchange that nobody waits for; such ones have a quarter of `max_concurrent` together.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::turn`].
    pub async fn turn_behind(&self) -> Result<Turn, UpstreamError> {
        self.queue.turn_behind().await
    }

    /// The same for an exchange whose request is not here whole; such ones have half of `max_concurrent` together, or one.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::turn`].
    pub async fn turn_open(&self) -> Result<Turn, UpstreamError> {
        self.queue.turn_open().await
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
    /// The turn serves for every try, and is given back when the exchange is over: it failed, there is no body, or the
    /// body has ended or was dropped. A connection that was upgraded holds none: it may be open for days.
    ///
    /// # Errors
    ///
    /// See [`UpstreamErrorKind`]. Where no connection could be made, nothing was sent, and whatever it is goes to the
    /// next address at once. Idempotent requests without a body are tried again on a failed connection, others are sent
    /// at most once.
    pub async fn send(
        &self,
        turn: Turn,
        request: Request<Body>,
    ) -> Result<Response<Body>, UpstreamError> {
        let mut turn = Some(turn);
        let (parts, body) = request.into_parts();
        let protocol = self.config.targets.protocol();
        let (outgoing, mut body) = Outgoing::new(parts, body, protocol);
        let repeatable = outgoing.is_idempotent() && is_empty(&body);
        let mut need = if outgoing.is_upgrade() {
            Need::Http1
        } else {
            Need::Any
        };
        let mut retries = if repeatable { self.config.retries } else { 0 };
        let mut tried = Vec::new();
        loop {
            let address = self.balance.turn(&tried);
            let sent = self
                .send_to(&address, &outgoing, &mut body, &mut turn, need)
                .await;
            let Failed {
                error, answered, ..
            } = match sent {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if error.is_connect() && self.checks.is_some() {
                // The next check tells when it is back.
                self.balance.failed(&address, &error);
            }
            tried.push(address);
            if error.is_connect() && tried.len() < self.balance.count() {
                continue;
            }
            let again = error.is_connect() || (error.is_reset() && !answered);
            if !again || retries == 0 {
                return Err(error);
            }
            retries -= 1;
            if error.kind == UpstreamErrorKind::Connect {
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
            need = Need::Fresh;
        }
    }

    /// Sends a request to one address. A connection that died in the pool says nothing about the app, so where that is
    /// safe another one takes its place at once.
    async fn send_to(
        &self,
        address: &Arc<Pool>,
        outgoing: &Outgoing,
        body: &mut Body,
        turn: &mut Option<Turn>,
        need: Need,
    ) -> Result<Response<Body>, Failed> {
        let repeatable = need == Need::Any && outgoing.is_idempotent() && is_empty(body);
        match exchange::run(address, &self.config, outgoing, body, turn, need).await {
            Err(Failed {
                error,
                reused: true,
                answered: false,
            }) if repeatable && error.is_reset() => {
                exchange::run(address, &self.config, outgoing, body, turn, Need::Fresh).await
            }
            sent => sent,
        }
    }
}
