//! As written: what a rule says of fetching again, and of who waits meanwhile.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::rules::refill::{OnTimeout, WhenInvalidated};
use crate::yaml::Spanned;
use crate::yaml::units::Span;

/// Who waits for a response that another request fetches already: `none`, or for how long.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum CoalesceItem {
    /// `none`: nobody waits, each request is fetched for itself.
    None(NoCoalescing),
    /// How it is done.
    Coalesce(Coalesce),
}

/// `none`.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoCoalescing {
    /// Nobody waits.
    None,
}

/// How requests wait for a response that another request fetches already.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coalesce {
    /// The longest wait for the beginning of the response. Default: `10s`.
    #[serde(default)]
    pub wait: Option<Span>,
    /// What a request gets that has waited so long. Default: `fetch`.
    #[serde(default)]
    pub on_timeout: Option<OnTimeout>,
}

impl<'de> Deserialize<'de> for CoalesceItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CoalesceItem, D::Error> {
        struct Item;
        impl<'de> Visitor<'de> for Item {
            type Value = CoalesceItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, or `{ wait: …, on_timeout: … }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<CoalesceItem, E> {
                match text {
                    "none" | "off" => Ok(CoalesceItem::None(NoCoalescing::None)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CoalesceItem, A::Error> {
                let map = MapAccessDeserializer::new(map);
                Coalesce::deserialize(map).map(CoalesceItem::Coalesce)
            }
        }
        deserializer.deserialize_any(Item)
    }
}

impl JsonSchema for OnTimeout {
    fn schema_name() -> Cow<'static, str> {
        "OnTimeout".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What a request gets that has waited too long: `fetch` of its own, what is stored though it is `stale`, or `503`.",
            "enum": ["fetch", "stale", "503", 503],
        })
    }
}

/// What becomes of a response one of whose tags was incremented.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnInvalidate {
    /// Default: `miss`.
    #[serde(default)]
    pub mode: Option<Spanned<WhenInvalidated>>,
    /// With `refresh`: how long after the increment it is fetched again. Default: 0.
    #[serde(default)]
    pub delay: Option<Spanned<Span>>,
    /// How long after the increment it may be served. Default: `60s`.
    #[serde(default)]
    pub max_stale: Option<Spanned<Span>>,
    /// With `refresh`: how many responses one increment fetches again, those used most. Default: 100.
    #[serde(default)]
    pub max_entries: Option<Spanned<u32>>,
    /// What a request gets where the app fails: the `error`, or what is stored though it is `stale`. Default: `error`.
    #[serde(default)]
    pub if_error: Option<IfError>,
}

/// What a request gets where the app fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfError {
    /// The app's error.
    Error,
    /// What is stored.
    Stale,
}

/// Fetching again what is about to expire and is in use.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshAhead {
    /// How often what is about to expire is looked for. Default: `30s`.
    #[serde(default)]
    pub every: Option<Spanned<Span>>,
    /// How many responses are fetched again each time, at most. Default: 50.
    #[serde(default)]
    pub max: Option<u32>,
    /// How often a response must have been used since it was stored. Default: 2.
    #[serde(default)]
    pub min_hits: Option<u32>,
}
