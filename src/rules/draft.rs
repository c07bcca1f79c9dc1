//! A template whose request values are in place, while those of the response are open (rules.md §3): what an increment, a
//! change or a tag of the body will be once the app has answered.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use http::response::Parts;

use crate::model::tag::{Tag, TagError};
use crate::rules::missing::{MissingTagValue, Of};
use crate::rules::pointer::{Leaf, Picked, Pointer};

/// What comes from a response, or from one value of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// A field, `{resp.header.X}`: the first of several.
    Header(HeaderName),
    /// `{resp.status}`.
    Status,
    /// A value of the body, `{resp.json:/id}`.
    Json(Pointer),
    /// The value at hand, `{value}`.
    Value,
}

/// A text that is not complete until the response is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) template: Arc<str>,
    pub(super) pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Open(Open),
}

/// What one attribute is in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// A value of its own, on purpose: a list that is not filtered by it.
    Absent,
    /// There are several, or what is there is no text: apps differ in what they make of that.
    Unclear,
}

/// A response, as far as templates read it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its head.
    pub parts: &'a Parts,
    /// Its body.
    pub body: Content<'a>,
}

/// What is known of the body of a response.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// It has not been read: what can be said without it is said now, the rest once it has.
    Ahead,
    /// What was picked out of it.
    Picked(&'a Picked),
    /// It cannot be read.
    Unreadable,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Open::Header(name) => write!(f, "resp.header.{name}"),
            Open::Status => f.write_str("resp.status"),
            Open::Json(pointer) => write!(f, "resp.json:{}", pointer.as_str()),
            Open::Value => f.write_str("value"),
        }
    }
}

impl fmt::Display for Draft {
    /// What is open stands in braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Open(open) => write!(f, "{{{open}}}"),
        })
    }
}

impl Draft {
    /// The tag, each value encoded so that it does not end it.
    ///
    /// # Errors
    ///
    /// Which value is missing, or makes it no tag.
    pub(super) fn tag(&self, answer: &Answer<'_>) -> Result<Tag, MissingTagValue> {
        self.filled(|open| answer.get(open))
    }

    /// The tag of one value of the body.
    ///
    /// # Errors
    ///
    /// As [`Draft::tag`].
    pub(super) fn tag_of(&self, value: &str) -> Result<Tag, MissingTagValue> {
        self.filled(|open| match open {
            Open::Value => Some(Cow::Borrowed(value)),
            Open::Header(_) | Open::Status | Open::Json(_) => None,
        })
    }

    fn filled<'v>(
        &self,
        get: impl Fn(&Open) -> Option<Cow<'v, str>>,
    ) -> Result<Tag, MissingTagValue> {
        let mut text = String::new();
        let mut last = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Open(open) => {
                    last = open.to_string();
                    let value = get(open).ok_or_else(|| self.missing(&last))?;
                    text.extend([Tag::encode(&value).to_string()]);
                }
            }
        }
        match Tag::parse(&text) {
            Ok(tag) => Ok(tag),
            Err(TagError::Empty | TagError::Reserved | TagError::Separator | TagError::NotUtf8) => {
                Err(self.missing(&last))
            }
        }
    }

    /// What an attribute is, as text without any of the encoding of tags.
    pub(super) fn value(&self, answer: &Answer<'_>) -> Value {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Open(open) if answer.is_unclear(open) => return Value::Unclear,
                Piece::Open(open) => match answer.get(open) {
                    Some(value) => text.push_str(&value),
                    None => return Value::Absent,
                },
            }
        }
        Value::Text(text)
    }

    /// The places of the body that it needs.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Open(Open::Json(pointer)) => Some(pointer),
            Piece::Open(Open::Header(_) | Open::Status | Open::Value) | Piece::Text(_) => None,
        })
    }

    /// That a value of it is missing.
    pub(super) fn missing(&self, placeholder: &str) -> MissingTagValue {
        MissingTagValue {
            template: Arc::clone(&self.template),
            placeholder: placeholder.into(),
            of: Of::Response,
        }
    }
}

impl<'a> Answer<'a> {
    /// Whether it is the turn of what needs these places of the body: those that need none come first.
    pub(super) fn has_turn<'p>(&self, mut pointers: impl Iterator<Item = &'p Pointer>) -> bool {
        pointers.next().is_some() != matches!(self.body, Content::Ahead)
    }

    fn at(&self, pointer: &Pointer) -> Option<&'a [Leaf]> {
        match self.body {
            Content::Picked(body) => Some(body.at(pointer)),
            Content::Ahead | Content::Unreadable => None,
        }
    }

    /// The value for people; `None` if there is none, or none that is text.
    fn get(&self, open: &Open) -> Option<Cow<'a, str>> {
        match open {
            Open::Header(name) => {
                let value = self.parts.headers.get(name)?;
                str::from_utf8(value.as_bytes()).ok().map(Cow::Borrowed)
            }
            Open::Status => Some(Cow::Owned(self.parts.status.as_u16().to_string())),
            // Of members given twice readers of JSON take the last.
            Open::Json(pointer) => match self.at(pointer)?.last()? {
                Leaf::Text(text) => Some(Cow::Borrowed(text)),
                Leaf::Null | Leaf::Missing | Leaf::Other => None,
            },
            Open::Value => None,
        }
    }

    /// Whether nobody can say what this is: it is there several times, is no text, or the body could not be read.
    fn is_unclear(&self, open: &Open) -> bool {
        match open {
            Open::Header(name) => {
                let mut lines = self.parts.headers.get_all(name).iter();
                let first = lines.next().map(|line| str::from_utf8(line.as_bytes()));
                first.is_some_and(|text| text.is_err()) || lines.next().is_some()
            }
            Open::Json(pointer) => {
                let found = self.at(pointer);
                !matches!(found, Some([Leaf::Text(_) | Leaf::Null | Leaf::Missing]))
            }
            Open::Status | Open::Value => false,
        }
    }
}
