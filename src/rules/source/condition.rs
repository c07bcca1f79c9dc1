//! As written: what must hold of a request or its response.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::rules::source::scalar::Scalar;
use crate::yaml::Spanned;

/// Something about a request or its response: one of its fields, and what is expected of it. With neither `equals` nor
/// `matches` it is enough that the field is there.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// A header of the request.
    #[serde(default)]
    pub header: Option<Spanned<String>>,
    /// A parameter of the query.
    #[serde(default)]
    pub query: Option<Spanned<String>>,
    /// A cookie of the request.
    #[serde(default)]
    pub cookie: Option<Spanned<String>>,
    /// A header of the response.
    #[serde(default)]
    pub response_header: Option<Spanned<String>>,
    /// The status of the response: `404`, a class such as `5xx`, or a list of them.
    #[serde(default)]
    pub response_status: Option<Spanned<OneOrMore>>,
    /// The value is this.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub equals: Option<Spanned<String>>,
    /// The whole value matches this regex.
    #[serde(default)]
    pub matches: Option<Spanned<String>>,
}

impl Condition {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        let Condition {
            header,
            query,
            cookie,
            response_header,
            response_status,
            equals,
            matches,
        } = self;
        let texts = [header, query, cookie, response_header, equals, matches];
        texts.iter().all(|text| text.is_none()) && response_status.is_none()
    }
}

/// A text or a number, or a list of them.
#[derive(Clone, Debug)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// A list.
    More(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOrMore, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMore, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMore::More(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

impl JsonSchema for OneOrMore {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOrMore".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<String>();
        let one = json_schema!({ "anyOf": [text, { "type": "integer" }] });
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
