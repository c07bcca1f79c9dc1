//! As written: what is taken as a text, however YAML reads it.

use schemars::JsonSchema;

/// What an editor may complete where any scalar is taken as text: `version: 3` is `version: "3"`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Scalar {
    Number(f64),
    Truth(bool),
    Text(String),
}
