//! As written: lists of tags with parameters, in `tagalong.yaml`, and how rules use them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::rules::source::TagItem;
use crate::yaml::Spanned;

/// Lists of tags by name, for rules to `use`.
#[derive(Debug, Default)]
pub struct Templates(pub Vec<(Spanned<String>, TagList)>);

/// A list of tags with parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagList {
    /// The names that stand in braces in the tags; a rule gives each a value, in this order.
    #[serde(default)]
    pub params: Vec<Spanned<String>>,
    /// Tags such as `organization:{org}`.
    pub tags: Spanned<Vec<Spanned<TagItem>>>,
}

/// The tags of a list of `tagalong.yaml`, with values for its parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// The name of the list.
    pub template: Spanned<String>,
    /// A value for each of its parameters, in their order: templates such as `{query.org}`.
    #[serde(default)]
    pub args: Option<Spanned<Vec<Spanned<String>>>>,
}

impl<'de> Deserialize<'de> for Templates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Templates, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Templates;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "lists of tags such as `{ by_org: { params: [org], tags: [\"org:{org}\"] } }`",
                )
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Templates, A::Error> {
                let mut lists = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    lists.push(entry);
                }
                Ok(Templates(lists))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

impl JsonSchema for Templates {
    fn schema_name() -> Cow<'static, str> {
        "Templates".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<TagList>();
        json_schema!({
            "description": "Lists of tags by name, for rules to `use`.",
            "type": "object",
            "additionalProperties": list,
        })
    }
}
