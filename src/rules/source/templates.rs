//! As written: lists of tags with parameters, in `tagalong.yaml`, and how rules use them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rules::source::TagItem;
use crate::rules::source::scalar::Scalar;
use crate::yaml::Spanned;

/// A list of tags with parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagList {
    /// The names that stand in braces in the tags; a rule gives each a value, in this order.
    #[serde(default)]
    pub params: Vec<Spanned<String>>,
    /// Tags such as `organization:{org}`.
    pub tags: Spanned<Vec<Spanned<TagItem>>>,
}

/// The tags of a list of `tagalong.yaml`, with values for its parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// The name of the list.
    pub template: Spanned<String>,
    /// A value for each of its parameters, in their order: templates such as `{query.org}`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Scalar>>")]
    pub args: Option<Spanned<Vec<Spanned<String>>>>,
}
