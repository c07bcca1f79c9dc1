//! As written: how long responses are fresh by their status.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};

use crate::yaml::Spanned;
use crate::yaml::units::Span;

/// A status (`404`) or a class of them (`5xx`), and how long such a response is fresh that says nothing of it itself.
#[derive(Debug)]
pub struct Statuses(pub Vec<(Spanned<String>, StatusTtl)>);

/// How long a response with some status is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusTtl {
    /// As any other of the rule: `ttl`, or what RFC 9111 guesses.
    Inherit,
    /// So long; 0: not stored.
    For(Span),
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Statuses, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Statuses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("statuses such as `{ 200: inherit, 404: 10s }`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Statuses, A::Error> {
                let mut statuses = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    statuses.push(entry);
                }
                Ok(Statuses(statuses))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

impl<'de> Deserialize<'de> for StatusTtl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusTtl, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = StatusTtl;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`inherit`, or a duration such as `10s`, at most `3650d`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StatusTtl, E> {
                if text == "inherit" {
                    return Ok(StatusTtl::Inherit);
                }
                let span = serde::de::value::StrDeserializer::<E>::new(text);
                Span::deserialize(span)
                    .map(StatusTtl::For)
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let span = generator.subschema_for::<Span>();
        json_schema!({
            "description": "By status (`404`) or class (`5xx`): how long a response is fresh that says nothing of it itself.",
            "type": "object",
            "propertyNames": { "pattern": "^(?!206|304)[2-5]([0-9][0-9]|xx)$" },
            "additionalProperties": {
                "anyOf": [{ "const": "inherit", "description": "As any other response of the rule." }, span],
            },
        })
    }
}
