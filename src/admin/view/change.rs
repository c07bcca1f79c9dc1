//! Changes of what the responses of a rule are filtered by.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A change of attributes (`dimensions`) of something that responses of a rule show. Without attributes: all of the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    /// The id of the rule.
    pub rule: String,
    /// The values before, by attribute; `null`: it had none. Of something that is new: leave it out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub old: BTreeMap<String, Option<String>>,
    /// The values after. Of something that is gone: leave it out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub new: BTreeMap<String, Option<String>>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// How many tags were incremented.
    pub incremented: u64,
}
