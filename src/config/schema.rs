//! JSON Schema (2020-12) of both kinds of file, made of the types that read them: editors complete and check by it.

use schemars::schema_for;
use serde_json::Value;

use crate::config::source;
use crate::rules;

/// The schema of `tagalong.yaml`.
pub fn config() -> Value {
    schema_for!(source::Config).to_value()
}

/// The schema of a rule file.
pub fn rules() -> Value {
    schema_for!(rules::source::File).to_value()
}
