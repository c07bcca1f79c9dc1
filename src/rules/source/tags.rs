//! As written: what a response is tagged with, and what a request changes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::Spanned;
use crate::yaml::one_value_for_now;
use crate::yaml::units::Span;

/// Tags that a request changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Increments {
    /// Templates such as `User:{user_id}`.
    pub tags: Spanned<Vec<Spanned<TagItem>>>,
    /// Statuses of the response: `2xx`, `404`. Default: `2xx` and `3xx`.
    #[serde(default)]
    pub on_status: Option<Spanned<Vec<Spanned<String>>>>,
    /// How long after that they are incremented once more, for apps whose readers lag behind; at most `1d`.
    #[serde(default)]
    pub again: Option<Spanned<Span>>,
}

one_value_for_now!(
    /// A tag template.
    pub struct TagItem(String),
    "{ name: …, constant: … }"
);
