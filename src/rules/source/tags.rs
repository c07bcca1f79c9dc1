//! As written: what a response is tagged with, and what a request changes.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;

use crate::rules::source::Condition;
use crate::rules::source::scalar::Scalar;
use crate::yaml::units::Span;
use crate::yaml::{Spanned, TextOrMap, text_or_map};

/// Tags that a request changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Increments {
    /// Templates such as `User:{user_id}`; also of the response: `User:{resp.json:/id}`.
    pub tags: Spanned<Vec<Spanned<String>>>,
    /// Statuses of the response: `2xx`, `404`. Default: `2xx` and `3xx`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Scalar>>")]
    pub on_status: Option<Spanned<Vec<Spanned<String>>>>,
    /// What must hold besides. Default: nothing.
    #[serde(default)]
    pub when: Option<Spanned<Condition>>,
    /// How long after that they are incremented once more, for apps whose readers lag behind; at most `1d`.
    #[serde(default)]
    pub again: Option<Spanned<Span>>,
}

/// Tags that stand in the body of a response.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyTags {
    /// A JSON pointer, `*` for every item of a list: `/items/*/id`.
    pub json: Spanned<String>,
    /// The tag of each value there: a template with `{value}`, such as `Item:{value}`.
    pub tag: Spanned<String>,
    /// A response with more values is not stored. Default: 200.
    #[serde(default)]
    pub max: Option<Spanned<u32>>,
}

/// A tag of responses: a template, or one whose version stands here.
#[derive(Clone, Debug, JsonSchema)]
#[serde(untagged)]
pub enum TagItem {
    /// A template such as `User:{user_id}`.
    Template(String),
    /// A tag that no increment changes.
    Constant(Constant),
}

/// A tag whose version stands here: no increment changes it, and with another version everything is new.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The tag.
    pub name: Spanned<String>,
    /// Its version: a number or a word.
    #[schemars(with = "Scalar")]
    pub constant: Spanned<String>,
}

impl TextOrMap for TagItem {
    type Map = Constant;
    const EXPECTED: &'static str = "a tag such as `User:{user_id}`, or `{ name: …, constant: … }`";

    fn of_text(text: &str) -> Option<TagItem> {
        Some(TagItem::Template(text.to_owned()))
    }

    fn of_map(map: Constant) -> TagItem {
        TagItem::Constant(map)
    }
}

impl<'de> Deserialize<'de> for TagItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TagItem, D::Error> {
        text_or_map(deserializer)
    }
}
