//! The process's configuration, `tagalong.yaml` (rules.md §1): the only reader of files and environment. What comes out
//! cannot be wrong: a validated struct per part.
//!
//! ```text
//! files --text--> source (as written) --compile--> Config --Reload--> the rules in force, again and again
//! ```

mod compile;
mod files;
mod marks;
mod reload;
pub mod schema;
mod source;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::admin;
use crate::dialects;
use crate::hooks::Webhook;
use crate::model::compress::Compress;
use crate::model::mistake::Location;
use crate::model::mistake::Mistake;
use crate::model::purge::PurgeGroup;
use crate::model::tag::TagLimits;
use crate::model::time::Timestamp;
use crate::proxy::DebugConfig;
use crate::proxy::Life;
use crate::rules::Consistency;
use crate::rules::{Context, RuleSet};
use crate::shared;
use crate::upstream;
use crate::yaml::shown;

pub use crate::config::compile::{Outside, compile};
pub use crate::config::files::{
    ADMIN_TOKEN, Instead, Origin, admin_token, load, read, this_process,
};
pub use crate::config::reload::{Reload, Rereader, warn};
pub use crate::proxy::Listen;
pub use crate::telemetry::log::Format as LogFormat;
pub use crate::telemetry::trace::Config as Telemetry;
pub use crate::upstream::Target;

/// Everything a sidecar is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Prefix of everything in a shared store, and part of every key.
    pub namespace: String,
    /// Where clients reach us.
    pub listen: Vec<Listen>,
    /// Where operators reach us; `None`: nowhere.
    pub admin: Option<admin::Config>,
    /// The app.
    pub upstream: upstream::Config,
    /// The rules in force.
    pub rules: RuleSet,
    /// Which header fields are read, by which grammar.
    pub dialects: dialects::Config,
    /// Whether responses carry `Cache-Status`.
    pub cache_status: bool,
    /// Who sees keys and tags.
    pub debug: DebugConfig,
    /// Where entries are kept.
    pub store: Store,
    /// When increments that are made elsewhere count here.
    pub tags: Tags,
    /// What is too much.
    pub limits: Limits,
    /// Who is told of increments.
    pub increment_webhooks: Vec<Webhook>,
    /// How long running requests may take once we are told to stop.
    pub drain: Duration,
    /// Whether hits that need nothing else are answered before the HTTP library sees them.
    pub fast_path: bool,
    /// What is logged.
    pub log: Log,
    /// Where traces go; `None`: there are none.
    pub telemetry: Option<Telemetry>,
    /// Names for what is forgotten together.
    pub purge_groups: BTreeMap<String, PurgeGroup>,
    /// What it was read from; `None`: from no file.
    pub origin: Option<Origin>,
    /// What is allowed in its own file and surely not meant.
    pub warnings: Vec<Mistake>,
    /// What clients that speak TLS are shown.
    pub certificates: Vec<Certificate>,
}

/// A certificate that a listener shows, with those that vouch for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Where it is named.
    pub at: Location,
    /// By what.
    pub path: String,
    /// How long all of them hold.
    pub life: Life,
}

/// Where entries are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The most bytes of entries in memory.
    pub max_bytes: usize,
    /// The shared store.
    pub redis: Option<Redis>,
}

/// The shared store, and what is kept there besides tag versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Where it is, and how long it may take.
    pub shared: shared::Config,
    /// Whether bodies are kept there.
    pub bodies: bool,
    /// How.
    pub compress: Compress,
}

/// When increments that are made elsewhere count here, and how many of ours may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    /// What rules that do not say it hold to; each [`Rule`](crate::rules::Rule) has its own.
    pub consistency: Consistency,
    /// With [`Consistency::Bounded`]: how long after its commit an increment counts everywhere; 100 ms at least.
    pub max_lag: Duration,
    /// How many tags may wait for a shared store that is down; 1 at least.
    pub outbox_max: usize,
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body that is stored, in bytes; larger ones stream through.
    pub max_object: usize,
    /// The tags of one response.
    pub tags: TagLimits,
    /// The stored responses under one key that differ in what their `Vary` names.
    pub max_variants: usize,
    /// The largest head of a request or response, in bytes.
    pub max_head: usize,
    /// How long a client may take for a request's head, and for a TLS handshake.
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

impl Default for Store {
    fn default() -> Store {
        Store {
            max_bytes: 256 << 20,
            redis: None,
        }
    }
}

impl Default for Tags {
    fn default() -> Tags {
        Tags {
            consistency: Consistency::default(),
            max_lag: Duration::from_secs(1),
            outbox_max: 10_000,
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
            max_variants: 64,
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
            rules: RuleSet::none(&Context::new(&namespace)),
            namespace,
            listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 8080)))],
            admin: None,
            upstream: upstream::Config::new(target),
            dialects: dialects::Config::default(),
            cache_status: true,
            debug: DebugConfig::default(),
            store: Store::default(),
            tags: Tags::default(),
            limits: Limits::default(),
            increment_webhooks: Vec::new(),
            drain: Duration::from_secs(10),
            fast_path: true,
            log: Log::default(),
            telemetry: None,
            purge_groups: BTreeMap::new(),
            origin: None,
            warnings: Vec::new(),
            certificates: Vec::new(),
        }
    }

    /// What is allowed in the files and surely not meant: in its own, then in those of the rules.
    pub fn all_warnings(&self, now: Timestamp) -> Vec<Mistake> {
        let mut own = self.warnings.clone();
        own.extend(self.certificates.iter().filter_map(|it| it.warning(now)));
        own.sort();
        own.extend_from_slice(self.rules.warnings());
        own
    }

    /// The fields of `tagalong.yaml` in which another configuration differs, of those that are read at start alone.
    fn needing_restart(&self, other: &Config) -> Vec<&'static str> {
        let Config {
            namespace,
            listen,
            admin,
            upstream,
            rules: _,
            dialects,
            cache_status,
            debug,
            store,
            tags,
            limits,
            increment_webhooks,
            drain,
            fast_path,
            log,
            telemetry,
            purge_groups,
            origin: _,
            warnings: _,
            certificates: _, // they are those of `listen`
        } = self;
        let fields = [
            ("namespace", *namespace == other.namespace),
            ("listen", *listen == other.listen),
            ("admin", *admin == other.admin),
            ("upstream", *upstream == other.upstream),
            (
                "headers",
                *dialects == other.dialects
                    && *cache_status == other.cache_status
                    && *debug == other.debug,
            ),
            ("store", *store == other.store),
            // Not how consistent rules are: that changes with them.
            (
                "tags",
                (tags.max_lag, tags.outbox_max) == (other.tags.max_lag, other.tags.outbox_max),
            ),
            ("limits", *limits == other.limits),
            (
                "increment_webhooks",
                *increment_webhooks == other.increment_webhooks,
            ),
            ("drain", *drain == other.drain),
            ("fast_path", *fast_path == other.fast_path),
            ("log", *log == other.log),
            ("telemetry", *telemetry == other.telemetry),
            ("purge_groups", *purge_groups == other.purge_groups),
        ];
        let differ = fields.iter().filter(|(_, same)| !same);
        differ.map(|(name, _)| *name).collect()
    }
}

impl Certificate {
    /// That clients do not take it.
    fn warning(&self, now: Timestamp) -> Option<Mistake> {
        let (path, Life { from, until }) = (shown(&self.path), self.life);
        let message = if until < now {
            format!(
                "the certificate in {path} has expired: it was valid until {until}, and clients refuse it"
            )
        } else if now < from {
            format!("the certificate in {path} is not valid yet: clients refuse it until {from}")
        } else {
            return None;
        };
        let Location { file, place } = self.at.clone();
        Some(Mistake {
            file,
            place: Some(place),
            message,
        })
    }
}

#[cfg(test)]
mod tests;
