//! As written: what lists are filtered by, and what changes of that.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::rules::source::Condition;
use crate::rules::source::scalar::Scalar;
use crate::yaml::Spanned;

/// The attributes that responses are filtered by, so that a change of an object forgets only those that may show it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimensions {
    /// By name: the value a request asks for; where it has none, the response is not filtered by the attribute.
    pub attrs: Spanned<Attrs>,
    /// Default: `exact`.
    #[serde(default)]
    pub mode: Option<DimensionMode>,
}

/// A change of attributes that a request of the rule brings about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// The rule whose responses are filtered by them.
    pub rule: Spanned<String>,
    /// The values before, by attribute: templates, also of the response, such as `{resp.header.X-Old}`.
    #[serde(default)]
    pub old: Attrs,
    /// The values after, such as `{resp.json:/size}`. Neither: all responses of the rule.
    #[serde(default)]
    pub new: Attrs,
    /// Statuses of the response. Default: `2xx` and `3xx`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Scalar>>")]
    pub on_status: Option<Spanned<Vec<Spanned<String>>>>,
    /// What must hold besides. Default: nothing.
    #[serde(default)]
    pub when: Option<Spanned<Condition>>,
}

/// Which responses a change of several attributes forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DimensionMode {
    /// Those in which every attribute has the old value or none, or every one has the new value or none; at most four
    /// attributes.
    Exact,
    /// Those in which one of the attributes has the old value, the new one or none; any number of attributes.
    Any,
}

/// Attributes by name, each with the template of its value, such as `{query.size}`.
#[derive(Debug, Default)]
pub struct Attrs(pub Vec<(Spanned<String>, Spanned<String>)>);

impl<'de> Deserialize<'de> for Attrs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Attrs, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Attrs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("attributes such as `{ size: \"{query.size}\" }`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attrs, A::Error> {
                let mut attrs = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    attrs.push(entry);
                }
                Ok(Attrs(attrs))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

impl JsonSchema for Attrs {
    fn schema_name() -> Cow<'static, str> {
        "Attrs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Attributes by name, each with the template of its value, such as `{query.size}`.",
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9_.*-]+$" },
            "additionalProperties": { "type": "string" },
        })
    }
}
