//! As written: whether a rule caches, or only looks on.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};

use crate::yaml::Spanned;

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
struct InFull {
    /// Looks up and stores, and compares; the app answers.
    shadow: Shadow,
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Mode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`live`, `shadow`, `bypass`, or `{ shadow: { headers: [ … ] } }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Mode, E> {
                match text {
                    "live" => Ok(Mode::Live),
                    "shadow" => Ok(Mode::Shadow(Shadow::default())),
                    "bypass" => Ok(Mode::Bypass),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mode, A::Error> {
                let full = InFull::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Mode::Shadow(full.shadow))
            }
        }
        deserializer.deserialize_any(Value)
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
