//! Tags and their versions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::view::Time;

/// The tags in numbers. Of tags that were seldom named, nothing may be known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tags {
    /// How many are known here.
    pub tags: u64,
    /// Those that were incremented most since the start, the most first; 50 at most. Without the cache's own.
    pub incremented: Vec<IncrementedTag>,
    /// The same of the cache's own, whose names begin with `~`: each write increments that of its URL.
    pub incremented_own: Vec<IncrementedTag>,
    /// Those whose increments made most requests miss since the start, the most first; 50 at most.
    pub missed: Vec<MissedTag>,
}

/// A tag that was incremented often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IncrementedTag {
    /// Its name.
    pub tag: String,
    /// How often.
    pub count: u64,
    /// The last time, if it is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Cause>,
}

/// A tag that made many requests miss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissedTag {
    /// Its name.
    pub tag: String,
    /// How many.
    pub count: u64,
}

/// A tag as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TagState {
    /// Its name.
    pub tag: String,
    /// Its version; `null`: nobody has named it yet, or all that did was forgotten.
    pub version: Option<u64>,
    /// The version that the app itself counts (`;v=`), if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<i64>,
    /// Its last increment, if it is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremented: Option<Cause>,
}

/// An increment of a tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// When.
    pub at: Time,
    /// How long ago.
    pub ago_seconds: f64,
    /// The request or the call that asked for it: `POST /users/42`, or `POST /v1/purge (deploy)` with the token's name.
    pub by: String,
    /// Who said so.
    pub source: Source,
}

/// Who said that a tag has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A response of the app, or the rule of its request.
    Response,
    /// An increment that was to be repeated.
    Repeat,
    /// Another sidecar.
    OtherSidecar,
    /// A call of the admin interface.
    Admin,
}
