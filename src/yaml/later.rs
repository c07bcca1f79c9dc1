//! Values that are one scalar now and may be a map later.

/// A type that is written as one value now; its longer form, a map, comes later and says so.
macro_rules! one_value_for_now {
    ($(#[$doc:meta])* $vis:vis struct $name:ident($inner:ty), $longer:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        $vis struct $name($vis $inner);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                struct Value;
                impl<'de> serde::de::Visitor<'de> for Value {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a text")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        let text = serde::de::value::StrDeserializer::new(text);
                        <$inner as serde::Deserialize>::deserialize(text).map($name)
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, _: A) -> Result<$name, A::Error> {
                        Err(serde::de::Error::custom(concat!("`", $longer, "` is not supported yet")))
                    }
                }
                deserializer.deserialize_any(Value)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                <$inner as schemars::JsonSchema>::inline_schema()
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$inner as schemars::JsonSchema>::schema_name()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <$inner as schemars::JsonSchema>::json_schema(generator)
            }
        }
    };
}

pub(crate) use one_value_for_now;
