//! Values that are written as a text, or in their longer form as a map.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, Unexpected, Visitor,
};

/// A value that is written as a text, or in its longer form as a map.
pub trait TextOrMap: Sized {
    /// Its longer form.
    type Map: DeserializeOwned;
    /// What is expected in its place, as messages say it.
    const EXPECTED: &'static str;

    /// The value that is written so; `None` if none is.
    fn of_text(text: &str) -> Option<Self>;

    /// The value in its longer form.
    fn of_map(map: Self::Map) -> Self;
}

/// Reads such a value: what its `Deserialize` is made of.
///
/// # Errors
///
/// It is neither, or there is a mistake in the map.
pub fn text_or_map<'de, T: TextOrMap, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Either<T>(PhantomData<T>);
    impl<'de, T: TextOrMap> Visitor<'de> for Either<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            T::of_text(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::Map::deserialize(MapAccessDeserializer::new(map)).map(T::of_map)
        }
    }
    deserializer.deserialize_any(Either(PhantomData))
}
