//! What a request would mean now, and what is stored for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::view::Cause;
use crate::admin::view::Entry;
use crate::admin::view::Plan;
use crate::admin::view::TagState;

/// What a request would mean now, and what is stored for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// What its rule says; the same as `tagalong explain --json` prints.
    pub plan: Plan,
    /// How it would be answered.
    pub answer: Answer,
    /// What is stored under its key; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// The tags of the plan, and of what is stored.
    pub tags: Vec<TagState>,
}

/// How a request would be answered now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// In a word: `hit`, `stale`, `miss`, `expired`, `invalidated`, `bypass` or `method`.
    pub outcome: String,
    /// Why, in a sentence for people.
    pub why: String,
}

/// What is stored under the key of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// The stored response.
    #[serde(flatten)]
    pub entry: Entry,
    /// Which tag has a new version, and why, if one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalidated: Option<Invalidation>,
}

/// Why a stored response is not used any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Invalidation {
    /// The tag with a new version.
    pub tag: String,
    /// Its increment, if it is remembered.
    #[serde(flatten)]
    pub cause: Option<Cause>,
}
