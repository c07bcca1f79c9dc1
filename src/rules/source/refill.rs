//! As written: what a rule says of fetching again, and of who waits meanwhile.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::rules::refill::{OnTimeout, WhenInvalidated};
use crate::yaml::units::Span;
use crate::yaml::{Spanned, TextOrMap, text_or_map};

/// A section that can be turned off: `none`, or its fields.
#[derive(Clone, Debug)]
pub enum OrNone<T> {
    /// `none`.
    None,
    /// Its fields.
    Some(T),
}

/// How requests wait for a response that another request fetches already.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coalesce {
    /// The longest wait for the head of the response, from when the request began to wait. Default: `10s`.
    #[serde(default)]
    pub wait: Option<Span>,
    /// What a request gets that has waited so long. Default: `fetch`.
    #[serde(default)]
    pub on_timeout: Option<OnTimeout>,
    /// `true`: one of all sidecars fetches, and the others wait for what it keeps in the shared store. Default: `false`.
    #[serde(default)]
    pub shared: Option<Spanned<bool>>,
    /// With `shared`: how long the one that fetches may be silent before another takes its place, `100ms` to `10m`; it is
    /// renewed while the fetch goes on. Default: `5s`.
    #[serde(default)]
    pub lease: Option<Spanned<Span>>,
}

impl<T: DeserializeOwned> TextOrMap for OrNone<T> {
    type Map = T;
    const EXPECTED: &'static str = "`none`, or a map (`name: value`)";

    fn of_text(text: &str) -> Option<OrNone<T>> {
        (text == "none").then_some(OrNone::None)
    }

    fn of_map(map: T) -> OrNone<T> {
        OrNone::Some(map)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OrNone<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OrNone<T>, D::Error> {
        text_or_map(deserializer)
    }
}

impl<T: JsonSchema> JsonSchema for OrNone<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}OrNone", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "const": "none" }, fields] })
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

impl OnInvalidate {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        let OnInvalidate {
            mode,
            delay,
            max_stale,
            max_entries,
            if_error,
        } = self;
        let spans = [delay, max_stale];
        mode.is_none()
            && spans.iter().all(|span| span.is_none())
            && max_entries.is_none()
            && if_error.is_none()
    }
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
