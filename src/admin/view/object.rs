//! Values that an app keeps here itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nothing is stored under this key. A problem (RFC 9457); the token to store it with is in the field `Tagalong-Token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectMissing {
    /// `Not Found`.
    pub title: String,
    /// 404.
    pub status: u16,
    /// In a sentence.
    pub detail: String,
}
