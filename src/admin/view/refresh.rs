//! Fetching again now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is to be fetched again: exactly one of `url` and `tags`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["url"] }, { "required": ["tags"] }]))]
pub struct RefreshRequest {
    /// The response to a GET of this URL, absolute, as somebody without credentials gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What is stored here with one of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minItems" = 1, "maxItems" = 10_000))]
    pub tags: Option<Vec<String>>,
    /// How many at most. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 1, "maximum" = 10_000))]
    pub limit: Option<usize>,
    /// Where to go on: what the answer before said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What was fetched again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refreshed {
    /// How many.
    pub refreshed: u64,
    /// How many the app did not answer as it should, or was not asked for, as the sidecar stops.
    pub failed: u64,
    /// How many can be fetched by their own clients only: with credentials, or with fields that are not kept.
    pub skipped: u64,
    /// What the rest is asked with; `null`: there is none.
    pub cursor: Option<String>,
}
