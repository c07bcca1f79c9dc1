//! As written: where responses are kept, and when increments count.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where responses are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeptIn {
    /// In memory, and where the configuration has one in the shared store too.
    #[default]
    Default,
    /// In memory alone.
    Memory,
    /// In the shared store alone.
    Redis,
}

/// When an increment made by another sidecar counts here. Without a shared store both are the same: every lookup sees every
/// increment at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Within the bound that the configuration states (`tags.max_lag`).
    #[default]
    Bounded,
    /// With the next lookup, which asks the shared store.
    Strict,
}
