//! An operator's wish to forget.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is to be forgotten: exactly one of `url`, `rule`, `group`, `tags`, `match` and `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["url"] },
    { "required": ["rule"] },
    { "required": ["group"] },
    { "required": ["tags"] },
    { "required": ["match"] },
    { "required": ["all"] },
]))]
pub struct PurgeRequest {
    /// Every response to requests for this URL, absolute: `https://shop.example/a?b=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Every response of the rule with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the files call by this name (`purge_groups`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Every response with one of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minItems" = 1, "maxItems" = 10_000))]
    pub tags: Option<Vec<String>>,
    /// Every response whose logical key matches; `*` stands for any text. Looks at all that is stored.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// `true`: everything of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    pub all: Option<bool>,
    /// Whether what is stored may still be served for a while, as its rule says, while it is fetched again. Not with `match`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
}

/// What was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Purged {
    /// How many responses; `null`: nobody has counted, as what carries a tag is not looked for.
    pub purged: Option<u64>,
    /// Of a URL: how many responses to a GET of it, without fields that its key depends on, this sidecar's memory had just before.
    /// There may have been others: for such fields, in the shared store, in other sidecars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<u64>,
    /// Of the tags, those that are nothing but constants to the rules: what they tag so stays; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

impl Purged {
    /// So many, which were looked for.
    pub fn counted(count: usize) -> Purged {
        Purged {
            purged: Some(count as u64),
            here: None,
            ignored: Vec::new(),
        }
    }
}
