//! As written: how long responses are fresh.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};

use crate::yaml::Spanned;
use crate::yaml::units::Span;

/// How long a response is fresh: one that says nothing of it itself, or any.
#[derive(Clone, Debug)]
pub enum Ttl {
    /// One that says nothing of it itself.
    Implied(Span),
    /// Any, whatever it says of it.
    Forced(Force),
}

/// How long any response is fresh, whatever it says of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Force {
    /// So long from when it arrived. What the response says of who may see it (`private`, `no-store`, `Set-Cookie` …) still
    /// counts.
    pub force: Spanned<Span>,
}

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ttl, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Ttl;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `30s` or `1h`, at most `3650d`, or `{ force: … }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ttl, E> {
                let span = serde::de::value::StrDeserializer::<E>::new(text);
                Span::deserialize(span)
                    .map(Ttl::Implied)
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ttl, A::Error> {
                Force::deserialize(MapAccessDeserializer::new(map)).map(Ttl::Forced)
            }
        }
        deserializer.deserialize_any(Value)
    }
}

impl JsonSchema for Ttl {
    fn schema_name() -> Cow<'static, str> {
        "Ttl".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let implied = generator.subschema_for::<Span>();
        let forced = generator.subschema_for::<Force>();
        json_schema!({ "anyOf": [implied, forced] })
    }
}
