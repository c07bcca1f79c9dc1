//! The side that faces operators and what watches over us: JSON over HTTP on a listener of its own (rules.md §7), and a page that
//! shows it.
//!
//! ```text
//! operator -> listen -> access (who may call) -> room (how many at once) -> api (what is called) -> the parts it asks
//!                                                                              '- deed: what changes something is written down
//! ```
//!
//! Nothing here is on the way of a client's request, and nothing that is wrong here keeps one from its answer.

mod access;
mod api;
mod asked;
mod call;
pub mod client;
mod dashboard;
mod deed;
mod direct;
mod feed;
mod line;
mod listen;
mod openapi;
mod patience;
mod problem;
pub mod request;
mod room;
pub mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

pub use direct::Calls;
pub use listen::BindError;
pub use listen::Listener;

use crate::admin::feed::Feed;
use crate::audit::Audit;
use crate::cache::Cache;
use crate::dialects::Dialects;
use crate::fetch::Fetch;
use crate::metrics::Metrics;
use crate::model::health::Checkup;
use crate::model::purge::PurgeGroup;
use crate::model::reread::Files;
use crate::model::secret::Secret;
use crate::model::tag::TagLimits;
use crate::model::time::Timestamp;
use crate::rules::LiveRules;

/// Where the admin interface is, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What callers present as `Authorization: Bearer <token>`. None: only callers on this machine, who need none.
    pub tokens: Vec<Token>,
}

/// What somebody presents, and how who does is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The name.
    pub name: Arc<str>,
    /// What is presented.
    pub secret: Secret,
}

impl Token {
    /// The name of the token that has none of its own.
    pub const FIRST: &'static str = "admin";
    /// Who presents none is called so.
    pub const NONE: &'static str = "local";

    /// A token of this name.
    pub fn new(name: &str, secret: Secret) -> Token {
        Token {
            name: name.into(),
            secret,
        }
    }
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

/// What the calls are about.
pub struct Parts {
    /// Who knows how the sidecar is.
    pub checkup: Arc<dyn Checkup>,
    /// What is stored.
    pub cache: Cache,
    /// Who asks the app.
    pub fetch: Fetch,
    /// What is counted.
    pub metrics: Metrics,
    /// The rules in force.
    pub rules: LiveRules,
    /// Who reads the files; `None`: there are none.
    pub files: Option<Arc<dyn Files>>,
    /// What may be purged by name.
    pub purge_groups: BTreeMap<String, PurgeGroup>,
    /// Who has changed what.
    pub audit: Audit,
    /// How tags are spelled.
    pub dialects: Arc<Dialects>,
    /// The most tags of a value.
    pub tag_limits: TagLimits,
    /// The largest value, in bytes.
    pub max_object: usize,
    /// The namespace of the sidecar.
    pub namespace: String,
    /// Which one of its namespace it is.
    pub sidecar: String,
    /// How many bytes of entries may be in memory.
    pub max_bytes: usize,
}

struct Inner {
    parts: Parts,
    since: Timestamp,
    feed: Feed,
    /// What changes something, and ends though its caller has left.
    deeds: TaskTracker,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin")
    }
}

impl Admin {
    /// Calls about these.
    pub fn new(parts: Parts) -> Admin {
        Admin(Arc::new(Inner {
            since: parts.cache.now(),
            feed: Feed::default(),
            deeds: TaskTracker::new(),
            parts,
        }))
    }

    fn parts(&self) -> &Parts {
        &self.0.parts
    }
}
