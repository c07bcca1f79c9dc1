//! What went wrong while decoding a node, in the words that users read.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::yaml::nearest::nearest;
use crate::yaml::shown;

/// An error on its way up to the innermost node that can be named.
#[derive(Debug)]
pub(super) struct Error {
    /// What is wrong.
    pub(super) problem: Problem,
    /// The node at fault, once known.
    pub(super) node: Option<(usize, crate::model::mistake::Place)>,
}

/// What is wrong with a node.
#[derive(Debug)]
pub(super) enum Problem {
    /// Anything that needs no more than words.
    Message(String),
    /// A map has a field that nobody knows.
    UnknownField(String),
    /// A map lacks a field.
    Missing(&'static str),
    /// A map lacks a field that was left out for a mistake already noted: no mistake of its own.
    Followed,
}

impl Error {
    pub(super) fn message(text: impl Into<String>) -> Error {
        Error {
            problem: Problem::Message(text.into()),
            node: None,
        }
    }
}

impl Problem {
    /// The words; `None` where the mistake has been told already.
    pub(super) fn words(self) -> Option<String> {
        match self {
            Problem::Message(text) | Problem::UnknownField(text) => Some(text),
            Problem::Missing(field) => Some(format!("the field `{field}` is missing")),
            Problem::Followed => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Message(text) | Problem::UnknownField(text) => f.write_str(text),
            Problem::Missing(field) => write!(f, "the field `{field}` is missing"),
            Problem::Followed => f.write_str("a field was left out"),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Error {
        Error::message(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Error {
        let found = if let Unexpected::Str(text) = found {
            shown(text)
        } else if found == Unexpected::Unit {
            "nothing".to_owned()
        } else if found == Unexpected::Seq {
            "a list".to_owned()
        } else {
            // Scalars come as text, so that only maps are left.
            found.to_string().replace("map", "a map")
        };
        Error::message(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Error {
        Error::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Error {
        let expected = one_of(expected);
        Error::message(format!("expected {expected}, found {}", shown(variant)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Error {
        let found = shown(field);
        let message = match nearest(field, expected) {
            Some(meant) => format!("unknown field {found}: did you mean `{meant}`?"),
            None => format!("unknown field {found}, expected {}", one_of(expected)),
        };
        Error {
            problem: Problem::UnknownField(message),
            node: None,
        }
    }

    fn missing_field(field: &'static str) -> Error {
        Error {
            problem: Problem::Missing(field),
            node: None,
        }
    }
}

/// `a`, `b` or `c`.
pub(super) fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [first @ .., last] => format!("`{}` or `{last}`", first.join("`, `")),
    }
}
