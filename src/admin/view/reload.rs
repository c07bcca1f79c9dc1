//! The files, read again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is in force now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// How many rules.
    pub rules: u64,
    /// The epoch in force.
    pub epoch: u64,
}
