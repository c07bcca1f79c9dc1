//! As written: how long responses are fresh.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::Deserializer;
use serde::de::value::{self, StrDeserializer};

use crate::yaml::units::Span;
use crate::yaml::{Spanned, TextOrMap, text_or_map};

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

impl TextOrMap for Ttl {
    type Map = Force;
    const EXPECTED: &'static str =
        "a duration such as `30s` or `1h`, at most `3650d`, or `{ force: … }`";

    fn of_text(text: &str) -> Option<Ttl> {
        let span = StrDeserializer::<value::Error>::new(text);
        Span::deserialize(span).map(Ttl::Implied).ok()
    }

    fn of_map(map: Force) -> Ttl {
        Ttl::Forced(map)
    }
}

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ttl, D::Error> {
        text_or_map(deserializer)
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
