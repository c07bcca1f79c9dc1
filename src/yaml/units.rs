//! Durations, sizes and shares as fields of a file.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::model::units;

/// A duration: `250ms`, `30s`, `5m`, `1h`, `7d`, or a number of seconds; at most ten years (L10: all lives are finite).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A size: `64KiB`, `8MiB`, `1GiB`, or a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub usize);

/// A share of something: a number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a duration such as `250ms`, `30s`, `5m`, `1h` or `7d`, or a number of seconds",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                match units::duration(text) {
                    Ok(duration) if duration <= LONGEST => Ok(Span(duration)),
                    Ok(_) => Err(E::invalid_value(
                        Unexpected::Str(text),
                        &"a duration of at most `3650d`",
                    )),
                    Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `64KiB`, `8MiB` or `1GiB`, or a number of bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                units::size(text)
                    .map(Size)
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Share, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 1")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Share, E> {
                let number = text.parse().ok();
                number
                    .filter(|number| (0.0..=1.0).contains(number))
                    .map(Share)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share: a number from 0 to 1.",
            "type": "number",
            "minimum": 0,
            "maximum": 1,
        })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: `250ms`, `30s`, `5m`, `1h`, `7d`, or a number of seconds.",
            "anyOf": [
                { "type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)?\s*$" },
                { "type": "number", "minimum": 0 },
            ],
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: `64KiB`, `8MiB`, `1GiB`, or a number of bytes.",
            "anyOf": [
                { "type": "string", "pattern": r"^\s*\d+\s*(B|KiB|MiB|GiB)?\s*$" },
                { "type": "integer", "minimum": 0 },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::StrDeserializer;

    #[test]
    fn shares_are_numbers_from_0_to_1() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("0.1", Some(0.1)),
            (".5", Some(0.5)),
            ("1e-3", Some(0.001)),
            ("1", Some(1.0)),
            ("1.0", Some(1.0)),
            ("1.000001", None),
            ("-0.1", None),
            ("10%", None),
            ("10 %", None),
            ("nan", None),
            ("inf", None),
            ("-inf", None),
            ("", None),
            ("a tenth", None),
        ] {
            let text_of: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
            let found = Share::deserialize(text_of);
            let said = found.as_ref().map_err(ToString::to_string).map(|_| ());
            assert_eq!(found.ok().map(|share| share.0), expected, "{text}");
            if let Err(said) = said {
                assert!(said.contains("a number from 0 to 1"), "{text}: {said}");
            }
        }
    }
}
