//! Text to typed value, with every mistake and its place.
//!
//! serde stops at its first error, and most YAML crates with it. Here the text becomes a tree whose nodes know where
//! they stand; the tree is decoded, the node at fault is noted and left out, and it is decoded again, until what is
//! left is right. So the user repairs a file once. Knows nothing of what the files mean.

mod access;
mod decode;
mod either;
mod error;
mod nearest;
mod tree;
pub mod units;

pub use either::{TextOrMap, text_or_map};

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, SeqAccess, Visitor};

use crate::model::mistake::{Mistake, Place};

/// The most mistakes told of one file.
const MOST_MISTAKES: usize = 100;

/// What reading a file came to.
#[derive(Debug)]
pub struct Reading<T> {
    /// What could be read once the mistakes are left out; `None` if nothing of it. It serves to find further mistakes,
    /// and is only to be used if there is none.
    pub value: Option<T>,
    /// Every mistake, in the order of the text.
    pub mistakes: Vec<Mistake>,
}

/// Reads `text` as a `T`.
///
/// An empty text is an empty map. `is_later` knows the fields that come later, by dotted paths with `[]` for the items
/// of a list (`rules[].match.headers`): they are mistakes too, but told apart from unknown ones.
pub fn read<T: DeserializeOwned>(
    file: &str,
    text: &str,
    is_later: &dyn Fn(&str) -> bool,
) -> Reading<T> {
    let file: Arc<str> = file.into();
    let ends = LazyCell::new(|| line_ends(text));
    let at = |(place, message)| Mistake {
        file: Arc::clone(&file),
        place: Some(within(&ends, place)),
        message,
    };
    let (root, found) = tree::parse(text);
    let mut mistakes: Vec<Mistake> = found.into_iter().map(&at).collect();
    let mut value = None;
    if let Some(root) = root {
        let mut pruned = HashSet::new();
        while mistakes.len() < MOST_MISTAKES {
            match decode::decode(&root, &pruned, is_later) {
                Ok(whole) => {
                    value = Some(whole);
                    break;
                }
                Err(fault) => {
                    mistakes.extend(fault.mistake.map(&at));
                    // The root itself is wrong, or leaving the node out changed nothing: nothing is left to read.
                    if fault.node == root.id || !pruned.insert(fault.node) {
                        break;
                    }
                }
            }
        }
    }
    mistakes.sort();
    mistakes.dedup();
    Reading { value, mistakes }
}

/// How many characters each line has.
fn line_ends(text: &str) -> Vec<usize> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.split('\n').map(|line| line.chars().count()).collect()
}

/// The place, or the end of the text for one behind it: what is missing there is looked for on a line that does not exist.
fn within(ends: &[usize], place: Place) -> Place {
    let (line, end) = match ends.get(place.line.saturating_sub(1)) {
        Some(end) => (place.line, end + 1),
        None => (ends.len(), ends.last().map_or(1, |end| end + 1)),
    };
    let column = match line == place.line {
        true => place.column.min(end),
        false => end,
    };
    Place { line, column }
}

/// A value and where it stands in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it begins.
    pub place: Place,
}

/// The name by which a [`Spanned`] asks the decoder for its place.
const SPANNED: &str = "tagalong::yaml::Spanned";

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Spanned<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
                let mut number = || {
                    parts
                        .next_element::<usize>()
                        .map(|number| number.unwrap_or_default())
                };
                let (line, column) = (number()?, number()?);
                match parts.next_element()? {
                    Some(value) => Ok(Spanned {
                        value,
                        place: Place { line, column },
                    }),
                    None => Err(serde::de::Error::custom("expected a value")),
                }
            }
        }
        deserializer.deserialize_newtype_struct(SPANNED, Parts(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A text from a file as a message shows it: cut, control characters escaped, in backquotes. Of a URL nothing is shown behind
/// its host, and of one with user information not even that: it may hold a secret.
pub fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let public = without_secrets(text);
    let cut: String = public.chars().take(MOST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    let clean: String = cut
        .chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    format!("`{clean}{more}`")
}

/// What a text begins with that holds no path, query or user information of a URL.
fn without_secrets(text: &str) -> &str {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text;
    };
    let begins = scheme.len() + "://".len();
    let of_host = |c: char| c.is_alphanumeric() || ".-_*:[]".contains(c);
    let host = match rest.contains('@') {
        true => 0,
        false => rest.find(|c| !of_host(c)).unwrap_or(rest.len()),
    };
    let slash = usize::from(rest.get(host..).is_some_and(|rest| rest.starts_with('/')));
    text.get(..begins + host + slash).unwrap_or_default()
}

#[cfg(test)]
mod tests;
