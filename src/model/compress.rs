//! How bodies are kept where room is dear.

use schemars::JsonSchema;
use serde::Deserialize;

/// How the bodies in the shared store are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compress {
    /// Not at all.
    None,
    /// With zstd.
    #[default]
    Zstd,
}
