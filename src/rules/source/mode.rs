//! As written: whether a rule caches, or only looks on.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::Deserializer;

use crate::yaml::{Spanned, TextOrMap, text_or_map};

/// Whether a rule caches, or only looks on.
#[derive(Clone, Debug)]
pub enum Mode {
    /// It does.
    Live,
    /// It looks up and stores, and compares; the app answers.
    Shadow(Shadow),
    /// It neither looks up nor stores.
    Bypass,
}

/// What is compared besides the status and the body.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Headers of the response. Default: `[Content-Type, Content-Encoding, Content-Language, Location]`.
    #[serde(default)]
    pub headers: Option<Vec<Spanned<String>>>,
}

/// The long form of `shadow`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InFull {
    /// Looks up and stores, and compares; the app answers.
    shadow: Shadow,
}

impl TextOrMap for Mode {
    type Map = InFull;
    const EXPECTED: &'static str =
        "`live`, `shadow`, `bypass`, or `{ shadow: { headers: [ … ] } }`";

    fn of_text(text: &str) -> Option<Mode> {
        match text {
            "live" => Some(Mode::Live),
            "shadow" => Some(Mode::Shadow(Shadow::default())),
            "bypass" => Some(Mode::Bypass),
            _ => None,
        }
    }

    fn of_map(map: InFull) -> Mode {
        Mode::Shadow(map.shadow)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        text_or_map(deserializer)
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let full = generator.subschema_for::<InFull>();
        json_schema!({
            "description": "Whether the rule caches (`live`), only looks on (`shadow`), or neither looks up nor stores (`bypass`).",
            "anyOf": [{ "enum": ["live", "shadow", "bypass"] }, full],
        })
    }
}
