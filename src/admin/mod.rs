//! The side that faces operators and what watches over us: JSON over HTTP on a listener of its own (rules.md §7).
//!
//! ```text
//! operator -> listen -> access (who may call) -> api (what is called) -> the parts it asks
//! ```
//!
//! Nothing here is on the way of a client's request, and nothing that is wrong here keeps one from its answer.

mod access;
mod api;
mod listen;
mod problem;
pub mod view;

use std::net::SocketAddr;
use std::sync::Arc;

pub use listen::BindError;
pub use listen::Listener;

use crate::cache::Cache;
use crate::metrics::Metrics;
use crate::model::health::Checkup;
use crate::model::secret::Secret;

/// Where the admin interface is, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What callers present as `Authorization: Bearer <token>`. `None`: only callers on this machine, and only what needs none.
    pub token: Option<Secret>,
}

impl Config {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }
}

/// What the calls ask. Clones are the same.
#[derive(Clone, Debug)]
pub struct Admin(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    checkup: Arc<dyn Checkup>,
    cache: Cache,
    metrics: Metrics,
}

impl Admin {
    /// Calls about the sidecar with this cache and these metrics, which `checkup` looks after.
    pub fn new(checkup: Arc<dyn Checkup>, cache: Cache, metrics: Metrics) -> Admin {
        Admin(Arc::new(Inner {
            checkup,
            cache,
            metrics,
        }))
    }
}
