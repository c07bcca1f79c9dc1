//! The process's configuration, `tagalong.yaml` (rules.md §1): the only reader of files and environment. What comes out
//! cannot be wrong: a validated struct per part.
//!
//! ```text
//! files --text--> source (as written) --compile--> Config
//! ```

mod compile;
mod files;
mod parts;
pub mod schema;
mod source;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::model::secret::Secret;
use crate::model::tag::TagLimits;
use crate::rules::RuleSet;

pub use crate::config::compile::{Outside, compile};
pub use crate::config::files::{Instead, load, read};
pub use crate::config::parts::{Dialects, Field, Groups, Separator, Target, Upstream};
pub use crate::config::source::LogFormat;

/// Everything a sidecar is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Prefix of everything in a shared store, and part of every key.
    pub namespace: String,
    /// Where clients reach us.
    pub listen: Vec<Listen>,
    /// The app.
    pub upstream: Upstream,
    /// The rules in force.
    pub rules: RuleSet,
    /// Which header fields are read, by which grammar.
    pub headers: Dialects,
    /// Whether responses carry `Cache-Status`.
    pub cache_status: bool,
    /// Who sees keys and tags.
    pub debug: Debugging,
    /// Where entries are kept.
    pub store: Store,
    /// What is too much.
    pub limits: Limits,
    /// How long running requests may take once we are told to stop.
    pub drain: Duration,
    /// What is logged.
    pub log: Log,
}

/// Who sees keys and tags in responses.
#[derive(Clone, Debug, Default)]
pub struct Debugging {
    /// Everybody.
    pub enabled: bool,
    /// Whoever presents it in `Tagalong-Debug`.
    pub secret: Option<Secret>,
}

/// The memory store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// The most bytes of entries.
    pub max_bytes: usize,
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body that is stored, in bytes; larger ones stream through.
    pub max_object: usize,
    /// The tags of one response.
    pub tags: TagLimits,
    /// The largest head of a request or response, in bytes.
    pub max_head: usize,
    /// How long a client may take for a request's head.
    pub client_header_timeout: Duration,
    /// How long a client may pause within a request's body.
    pub client_body_timeout: Duration,
    /// How long a connection may be idle.
    pub client_idle_timeout: Duration,
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// As what.
    pub format: LogFormat,
    /// A line per request.
    pub access: bool,
}

/// Where clients reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address; port 0 is any free one.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Default for Store {
    fn default() -> Store {
        Store {
            max_bytes: 256 << 20,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_object: 8 << 20,
            tags: TagLimits {
                max_tags: 256,
                max_tag_bytes: 16 << 10,
            },
            max_head: 64 << 10,
            client_header_timeout: Duration::from_secs(10),
            client_body_timeout: Duration::from_secs(60),
            client_idle_timeout: Duration::from_secs(60),
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log {
            format: LogFormat::Text,
            access: false,
        }
    }
}

impl Config {
    /// What holds with no file at all: RFC 9111, the tag headers, and the app that is there.
    pub fn default_for(target: Target) -> Config {
        let namespace = "tagalong".to_owned();
        Config {
            rules: RuleSet::none(&namespace),
            namespace,
            listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)))],
            upstream: Upstream::new(target),
            headers: Dialects::default(),
            cache_status: true,
            debug: Debugging::default(),
            store: Store::default(),
            limits: Limits::default(),
            drain: Duration::from_secs(10),
            log: Log::default(),
        }
    }
}

impl FromStr for Listen {
    type Err = &'static str;

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
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
