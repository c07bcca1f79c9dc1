//! Who did what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::view::Time;

/// A page of what was done, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// Newest first.
    pub audit: Vec<Audit>,
    /// What the next page, of older ones, is asked with; `null`: there is none.
    pub cursor: Option<String>,
}

/// A call that changed something, or was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Which one.
    pub id: String,
    /// When.
    pub at: Time,
    /// The name of the token that was presented; `local`: none.
    pub who: String,
    /// The sidecar that was called: the name of its host and the number of its process.
    pub sidecar: String,
    /// What was called, in a word: `increment`, `purge`, `refresh`, `change`, `epoch`, `reload`, `entry-ttl`, `entry-delete`,
    /// `object-put` or `object-delete`.
    pub what: String,
    /// What was asked for; `{"cut": "…"}` if that is longer than 1 KiB: its beginning, as text.
    pub target: Value,
    /// What came of it: the answer, or `{"problem": …}`.
    pub effect: Value,
    /// The status of the answer.
    pub status: u16,
}
