//! As written: what a response depends on.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::Spanned;
use crate::yaml::one_value_for_now;

/// What a response depends on: the parts of the request that make its key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaryOn {
    /// The host. Default: `true`.
    #[serde(default)]
    pub host: Option<bool>,
    /// Captures of the path that stand for it. Default: the whole path.
    #[serde(default)]
    pub captures: Option<Spanned<Vec<Spanned<String>>>>,
    /// The query. Default: all of it, sorted.
    #[serde(default)]
    pub query: QueryOn,
    /// Request headers.
    #[serde(default)]
    pub headers: Option<Vec<Spanned<HeaderItem>>>,
    /// Cookies.
    #[serde(default)]
    pub cookies: Option<Vec<Spanned<String>>>,
}

/// Which query parameters are part of the key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryOn {
    /// Default: `all`.
    #[serde(default)]
    pub mode: Option<QueryMode>,
    /// Whether the order of different parameters is irrelevant. Default: `true`.
    #[serde(default)]
    pub sort: Option<bool>,
    /// The parameters that `allow` and `ignore` name, and those with a default.
    #[serde(default)]
    pub params: Option<Vec<Spanned<Param>>>,
    /// Parameters that no key holds, in every mode, `*` for any run of characters: `utm_*`.
    #[serde(default)]
    pub drop: Option<Vec<String>>,
}

/// Which query parameters are part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryMode {
    /// All of them.
    All,
    /// Only the named.
    Allow,
    /// All but the named.
    Ignore,
    /// None.
    None,
}

/// A query parameter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Absent is the same as this value.
    #[serde(default)]
    pub default: Option<String>,
}

one_value_for_now!(
    /// The name of a request header.
    pub struct HeaderItem(String),
    "{ name: …, normalize: … }"
);
