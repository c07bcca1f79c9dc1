//! Stored responses.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::view::Time;

/// A page of what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entries {
    /// What can answer a request now; what has expired or was invalidated is left out.
    pub entries: Vec<Entry>,
    /// What the next page is asked with; `null`: there is none.
    pub cursor: Option<String>,
}

/// A stored response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its full identity, its tags' versions included: 32 digits of base 16.
    pub key: String,
    /// Its key for people, which `match` is compared with.
    pub logical_key: String,
    /// The rule that stored it; empty: none.
    pub rule: String,
    /// The fields of its key, those without a value left out; of a key that a rule names itself (`key`) none.
    pub fields: BTreeMap<String, Option<String>>,
    /// Its tags with the versions it was stored under, those of the cache itself (`~…`) too.
    pub tags: Vec<Versioned>,
    /// The status of the response; absent in a list of the shared store, where nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When the app was asked for it.
    pub created: Time,
    /// Until when it is fresh.
    pub fresh_until: Time,
    /// When it leaves for good; sooner if a tag of it is incremented, or room is needed.
    pub expires: Time,
    /// How often it has answered here.
    pub hits: u64,
    /// All that it takes.
    pub size_bytes: u64,
    /// Where it is.
    pub tier: Tier,
    /// What selects it among the responses of its key: request fields, and cookies as `cookie=<name>`. In a list of the shared store
    /// nobody has looked.
    pub vary: Vec<String>,
    /// Whether it can answer.
    pub state: State,
}

/// A tag with a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versioned {
    /// Its name.
    pub tag: String,
    /// The version.
    pub version: u64,
}

/// Where a response is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// In the memory of this sidecar.
    Memory,
    /// In the store that all sidecars of the namespace share.
    Redis,
}

/// Whether a stored response can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It can.
    Fresh,
    /// It can where stale ones may.
    Stale,
    /// Its time is over. In explanations only.
    Expired,
    /// A tag of it has a new version. In explanations only.
    Invalidated,
}

/// Another life for a stored response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LifeRequest {
    /// How long it is fresh from now on, as the files write it: `60s`.
    pub ttl: String,
}
