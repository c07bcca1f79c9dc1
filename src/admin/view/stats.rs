//! The sidecar in numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::view::Counts;
use crate::admin::view::Health;
use crate::admin::view::Histogram;
use crate::admin::view::Time;

/// The sidecar in numbers, since its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Of Tagalong.
    pub version: String,
    /// The namespace that this sidecar is of.
    pub namespace: String,
    /// Which one of its namespace: the name of its host and the number of its process.
    pub sidecar: String,
    /// When it was started.
    pub since: Time,
    /// When this was read.
    pub now: Time,
    /// The epoch in force.
    pub epoch: u64,
    /// How it is.
    pub health: Health,
    /// Of all rules together.
    pub totals: Counts,
    /// By rule: those in force, in their order, and at last what no rule matches.
    pub rules: Vec<RuleCounts>,
    /// What is kept in memory.
    pub memory: MemoryStore,
    /// The shared store; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisStore>,
    /// Tags whose versions are known here.
    pub tags: u64,
    /// Tags that were given a new version, by who said so.
    pub increments: BTreeMap<String, u64>,
    /// Responses that are being fetched for the store.
    pub fills_in_flight: u64,
    /// Requests that wait for the app.
    pub upstream_queue: u64,
    /// Increments that wait for the shared store.
    pub outbox: u64,
    /// Whether the versions known here are not trusted at the moment.
    pub fenced: bool,
    /// Since when the log of increments was not heard of; 0 alone.
    pub log_lag_seconds: f64,
    /// How long requests took.
    pub latency: Latency,
}

/// What was counted of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleCounts {
    /// Its id; empty: what no rule matches.
    pub rule: String,
    /// What became of its requests.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What is kept in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryStore {
    /// Records: responses, those too that are over and still say why, and notes of what `Vary` selects and of what could not be
    /// stored. `GET /v1/entries` lists the responses that can answer.
    pub entries: u64,
    /// All of them, bookkeeping included.
    pub bytes: u64,
    /// The most that it may be.
    pub max_bytes: u64,
    /// Those that had to leave for others.
    pub evictions: u64,
}

/// The shared store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedisStore {
    /// Whether there is a connection.
    pub connected: bool,
    /// How many keys are this namespace's; absent if it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<u64>,
    /// What it uses for everything it holds; absent if it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_memory_bytes: Option<u64>,
}

/// How long requests took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Those answered with what is stored, stale or not.
    pub hit: Histogram,
    /// Those answered by the app.
    pub miss: Histogram,
    /// The app itself.
    pub upstream: Histogram,
}
