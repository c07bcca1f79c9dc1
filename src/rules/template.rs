//! `User:{user_id}`: parsed once, rendered per request (rules.md §3).
//!
//! A placeholder that has no value makes the whole text missing: `Role:{query.r}` never becomes the tag `Role` (K5).

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderName;
use regex::Captures;
use thiserror::Error;

use crate::model::key::KeyFields;
use crate::model::request::Head;
use crate::model::tag::{Tag, TagError};
use crate::rules::cookies;
use crate::rules::dimensions::Value;
use crate::rules::fields::{self, Named};
use crate::rules::query;
use crate::yaml::shown;

/// A text with placeholders.
#[derive(Clone, Debug)]
pub(super) struct Template {
    source: Arc<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Placeholder(Placeholder),
}

/// Where a value comes from.
#[derive(Clone, Debug)]
enum Placeholder {
    Capture(Named<Box<str>>),
    Query(Named<Box<str>>),
    Header(Named<HeaderName>),
    Cookie(Named<Box<str>>),
    Host,
    Method,
}

/// Which captures a template may name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    /// These of its rule's path.
    Captures(&'a [Box<str>]),
    /// Any: the path is a mistake of its own.
    Any,
}

/// A placeholder of a rule's tag has no value for this request: the response is not stored under it, the increment skipped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{{{placeholder}}}` of `{template}` has no value in this request")]
pub struct MissingTagValue {
    /// The template as written.
    pub template: Arc<str>,
    /// The placeholder, without its braces.
    pub placeholder: Box<str>,
}

/// What placeholders take their values from.
pub(super) struct Values<'a> {
    pub(super) head: &'a Head,
    pub(super) captures: Option<Captures<'a>>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// Says which placeholder is wrong, and which exist.
    pub(super) fn parse(text: &str, known: Known<'_>) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at(at);
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            let inner = braced
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
                .filter(|(name, _)| !name.contains('{'));
            let Some((name, after)) = inner else {
                let text = shown(text);
                return Err(format!(
                    "{text}: expected a placeholder such as `{{host}}`, found a single brace"
                ));
            };
            parts.push(Part::Placeholder(Placeholder::parse(name, text, known)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Template {
            source: text.into(),
            parts,
        })
    }

    /// Reads the template of a tag: what it renders to, whatever the values, must be one.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`], and where the text around the placeholders cannot stand in a tag.
    pub(super) fn parse_tag(text: &str, known: Known<'_>) -> Result<Template, String> {
        let template = Template::parse(text, known)?;
        let sample: String = template
            .parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text,
                Part::Placeholder(_) => "x",
            })
            .collect();
        match Tag::parse(&sample) {
            Ok(_) => Ok(template),
            Err(error) => Err(format!("{}: {error}", shown(text))),
        }
    }

    /// The template as written.
    pub(super) fn as_str(&self) -> &str {
        &self.source
    }

    /// The tag for these values, encoded so that a value never ends the tag (rules.md §3).
    pub(super) fn tag(&self, values: &Values<'_>) -> Result<Tag, MissingTagValue> {
        let mut text = String::new();
        let mut last = "";
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Placeholder(placeholder) => {
                    last = placeholder.name();
                    let value = values.get(placeholder);
                    let value = value.ok_or_else(|| self.missing(last))?;
                    text.extend([Tag::encode(&value).to_string()]);
                }
            }
        }
        match Tag::parse(&text) {
            Ok(tag) => Ok(tag),
            // A template that begins with a placeholder, and a value that is no name: nobody may name these.
            Err(TagError::Empty | TagError::Reserved | TagError::Separator | TagError::NotUtf8) => {
                Err(self.missing(last))
            }
        }
    }

    /// What an attribute is for these values: their text as it is, without any of the encoding of tags.
    pub(super) fn value(&self, values: &Values<'_>) -> Value {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Placeholder(placeholder) if values.is_unclear(placeholder) => {
                    return Value::Unclear;
                }
                Part::Placeholder(placeholder) => match values.get(placeholder) {
                    Some(value) => text.push_str(&value),
                    None => return Value::Absent,
                },
            }
        }
        Value::Text(text)
    }

    fn missing(&self, placeholder: &str) -> MissingTagValue {
        MissingTagValue {
            template: Arc::clone(&self.source),
            placeholder: placeholder.into(),
        }
    }

    /// The values as key fields, everything as sent: what a key narrows to must not depend on how an app decodes.
    pub(super) fn key(&self, found: Option<&Captures<'_>>, head: &Head, key: &mut KeyFields) {
        for part in &self.parts {
            let Part::Placeholder(placeholder) = part else {
                continue;
            };
            match placeholder {
                Placeholder::Capture(capture) => {
                    let value = found.and_then(|found| found.name(&capture.name));
                    key.optional(&capture.field, value.map(|value| value.as_str()));
                }
                Placeholder::Query(param) => {
                    let mut pieces = query::pieces_of(head.query(), &param.name).peekable();
                    if pieces.peek().is_none() {
                        key.absent(&param.field);
                    }
                    for piece in pieces {
                        key.field(&param.field, piece);
                    }
                }
                Placeholder::Header(header) => fields::header_field(head, header, key),
                Placeholder::Cookie(cookie) => {
                    fields::cookie_field(head, cookie, key);
                    if cookies::are_ambiguous(head.headers()) {
                        for line in cookies::lines(head.headers()) {
                            key.field("cookie", line);
                        }
                    }
                }
                Placeholder::Host => key.field("host", &*head.host),
                // HEAD is answered from GET: one class, one value.
                Placeholder::Method => {}
            }
        }
    }

    /// Whether it names a capture of the path.
    pub(super) fn captures(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Placeholder(Placeholder::Capture(_))))
    }

    /// Whether it depends on this request field.
    pub(super) fn reads(&self, wanted: &HeaderName) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Placeholder(Placeholder::Header(header)) => header.name == *wanted,
            Part::Placeholder(Placeholder::Cookie(_)) => *wanted == http::header::COOKIE,
            Part::Placeholder(_) | Part::Text(_) => false,
        })
    }
}

impl Placeholder {
    fn parse(name: &str, template: &str, known: Known<'_>) -> Result<Placeholder, String> {
        let template = shown(template);
        let named = |name: &str, kind: &str| Named {
            name: Box::from(name),
            field: format!("{kind}.{name}").into(),
        };
        match name.split_once('.') {
            Some((_, "")) => Err(format!(
                "{template}: `{{{name}}}` lacks a name after the `.`"
            )),
            Some(("query", param)) => Ok(Placeholder::Query(named(param, "query"))),
            Some(("cookie", cookie)) => Ok(Placeholder::Cookie(Named::cookie(cookie))),
            Some(("header", header)) => match header.parse() {
                Ok(header) => Ok(Placeholder::Header(Named::header(header))),
                Err(_) => Err(format!(
                    "{template}: `{header}` is not the name of a header"
                )),
            },
            Some(("jwt" | "resp", _)) => {
                Err(format!("{template}: `{{{name}}}` is not supported yet"))
            }
            None if name == "host" => Ok(Placeholder::Host),
            None if name == "method" => Ok(Placeholder::Method),
            Some(_) | None => Placeholder::capture(name, &template, known),
        }
    }

    fn capture(name: &str, template: &str, known: Known<'_>) -> Result<Placeholder, String> {
        let Known::Captures(captures) = known else {
            return Ok(Placeholder::Capture(Named::capture(name)));
        };
        if captures.iter().any(|capture| **capture == *name) {
            return Ok(Placeholder::Capture(Named::capture(name)));
        }
        let of_path: String = captures
            .iter()
            .map(|capture| format!("`{{{capture}}}`, "))
            .collect();
        Err(format!(
            "{template}: nothing is called `{{{name}}}`, expected {of_path}`{{query.x}}`, `{{header.X}}`, `{{cookie.x}}`, `{{host}}` or `{{method}}`"
        ))
    }

    /// The placeholder without its braces.
    fn name(&self) -> &str {
        match self {
            Placeholder::Capture(capture) => &capture.name,
            Placeholder::Query(it) | Placeholder::Cookie(it) => &it.field,
            Placeholder::Header(header) => &header.field,
            Placeholder::Host => "host",
            Placeholder::Method => "method",
        }
    }
}

impl<'a> Values<'a> {
    /// The value for people: decoded once, the first of several; `None` if there is none, or none that is text.
    fn get(&self, placeholder: &'a Placeholder) -> Option<Cow<'_, str>> {
        match placeholder {
            Placeholder::Capture(capture) => {
                let value = self.captures.as_ref()?.name(&capture.name)?.as_str();
                let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
                Some(decoded.unwrap_or(Cow::Borrowed(value)))
            }
            Placeholder::Query(param) => query::value_of(self.head.query(), &param.name),
            Placeholder::Header(header) => {
                let value = self.head.headers().get(&header.name)?;
                str::from_utf8(value.as_bytes()).ok().map(Cow::Borrowed)
            }
            Placeholder::Cookie(cookie) => {
                let value = cookies::values_of(self.head.headers(), &cookie.name).next()?;
                str::from_utf8(value).ok().map(Cow::Borrowed)
            }
            Placeholder::Host => Some(Cow::Borrowed(&self.head.host)),
            Placeholder::Method => Some(Cow::Borrowed(self.head.method().as_str())),
        }
    }

    /// Whether apps may differ in what this is: it is there several times, or is no text.
    fn is_unclear(&self, placeholder: &Placeholder) -> bool {
        let headers = self.head.headers();
        match placeholder {
            Placeholder::Query(param) => {
                let mut pieces = query::pieces_of(self.head.query(), &param.name);
                let first = pieces.next();
                first.is_some_and(|piece| !query::is_plain(piece)) || pieces.next().is_some()
            }
            Placeholder::Header(header) => {
                let mut lines = headers.get_all(&header.name).iter();
                let first = lines.next().map(|line| str::from_utf8(line.as_bytes()));
                first.is_some_and(|text| text.is_err()) || lines.next().is_some()
            }
            Placeholder::Cookie(cookie) => {
                let mut values = cookies::values_of(headers, &cookie.name);
                let first = values.next().map(str::from_utf8);
                let is_one = first.is_none_or(|text| text.is_ok()) && values.next().is_none();
                !is_one || cookies::are_ambiguous(headers)
            }
            Placeholder::Capture(_) | Placeholder::Host | Placeholder::Method => false,
        }
    }
}
