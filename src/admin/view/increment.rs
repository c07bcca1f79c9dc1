//! Increments.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::view::Source;
use crate::admin::view::Time;

/// Tags to be incremented.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncrementRequest {
    /// Their names; 1 to 10000 of them.
    #[schemars(extend("minItems" = 1, "maxItems" = 10_000))]
    pub tags: Vec<String>,
    /// Whether what is stored may still be served for a while, as its rule says, while it is fetched again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
    /// After how long they are incremented once more, as the files write it: `2s`. For apps whose own data is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

/// What was incremented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incremented {
    /// How many tags.
    pub incremented: u64,
    /// Their new versions.
    pub versions: BTreeMap<String, u64>,
    /// Those that are nothing but constants to the rules: what they tag so stays, and what the app itself has tagged so does not.
    pub ignored: Vec<String>,
}

/// The last increments, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Increments {
    /// Since the start, as many as are remembered.
    pub increments: Vec<IncrementEvent>,
}

/// One increment, of however many tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncrementEvent {
    /// When.
    pub at: Time,
    /// The version that the tags have since; absent while the shared store has not taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<u64>,
    /// The tags, 100 at most.
    pub tags: Vec<String>,
    /// How many tags more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
    /// The request or the call that asked for it.
    pub by: String,
    /// Who said so.
    pub source: Source,
    /// Whether what is stored may still be served for a while.
    pub soft: bool,
}

/// Events that a slow reader of the stream has missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lagged {
    /// How many.
    pub missed: u64,
}
