//! What was counted since the start.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of requests, of one rule or of all, since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// All of them.
    pub requests: u64,
    /// Answered with what is stored, fresh (`hit`).
    pub hits: u64,
    /// Answered with what is stored, though stale (`stale`).
    pub stale: u64,
    /// Looked up and answered by the app (`miss`, `expired`, `invalidated`, `request`).
    pub misses: u64,
    /// Answered by the response that another request waited for (`collapsed`).
    pub collapsed: u64,
    /// Not looked up (`bypass`, `method`).
    pub bypass: u64,
    /// Answered neither from the store nor by the app (`only-if-cached`, `overloaded`, `coalesce-timeout`, `internal-error`).
    pub refused: u64,
    /// Responses that were stored.
    pub stored: u64,
    /// Responses that might have been stored and were not, by the reason; reasons that never were are left out.
    pub not_stored: BTreeMap<String, u64>,
    /// Requests by what became of them, in the words of the metrics; those that never were are left out.
    pub outcomes: BTreeMap<String, u64>,
    /// How long the app took for all its answers together.
    pub load_seconds: f64,
    /// How often the app was asked.
    pub loads: u64,
}

/// How long something took, in buckets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Histogram {
    /// How often it was measured.
    pub count: u64,
    /// All together.
    pub sum_seconds: f64,
    /// Pairs of seconds and of how many took that long or shorter, ascending; what took longer is in `count` alone.
    pub buckets: Vec<(f64, u64)>,
}
