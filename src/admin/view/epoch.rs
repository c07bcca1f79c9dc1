//! The epoch: what was stored under a lower one is not found any more.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The epoch in force, or the one that is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// It only rises.
    pub epoch: u64,
}
