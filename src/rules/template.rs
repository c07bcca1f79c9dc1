//! `User:{user_id}`: parsed once, rendered per request (rules.md §3).
//!
//! A placeholder that has no value makes the whole text missing: `Role:{query.r}` never becomes the tag `Role` (K5).

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderName;
use regex::Captures;

use crate::model::cookies;
use crate::model::glob::Glob;
use crate::model::key::KeyFields;
use crate::model::request::Head;
use crate::model::tag::{Tag, TagError};
use crate::rules::draft::{Draft, Open, Piece, Value};
use crate::rules::missing::{MissingTagValue, Of};
use crate::rules::named::{self, Named};
use crate::rules::pointer::Pointer;
use crate::rules::query;
use crate::rules::token::{self, Claims};
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
    /// Of a token that the key holds it of.
    Claim(Named<Box<str>>),
    Host,
    Method,
    /// Known once the response is there.
    Open(Open),
}

/// What a template may name beside what is in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    Nothing,
    /// `{resp.status}` and the like.
    Response,
    /// `{value}`, one of the body.
    Value,
}

/// Which captures a template may name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    /// These of its rule's path.
    Captures(&'a [Box<str>]),
    /// Any: the path is a mistake of its own.
    Any,
}

/// What placeholders take their values from.
pub(super) struct Values<'a> {
    pub(super) head: &'a Head,
    pub(super) captures: Option<Captures<'a>>,
    pub(super) claims: &'a Claims,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// Says which placeholder is wrong, and which exist.
    pub(super) fn parse(text: &str, known: Known<'_>) -> Result<Template, String> {
        Template::parse_beyond(text, known, Beyond::Nothing)
    }

    /// The same with what comes from the response, or from one value of its body.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`].
    pub(super) fn parse_beyond(
        text: &str,
        known: Known<'_>,
        beyond: Beyond,
    ) -> Result<Template, String> {
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
            parts.push(Part::Placeholder(Placeholder::parse(
                name, text, known, beyond,
            )?));
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

    /// Whether there may be values with which it is this text.
    pub(super) fn may_be(&self, text: &str) -> bool {
        let mut texts = vec![String::new()];
        for part in &self.parts {
            match (part, texts.last_mut()) {
                (Part::Text(text), Some(last)) => last.push_str(text),
                (Part::Placeholder(_), _) | (_, None) => texts.push(String::new()),
            }
        }
        Glob::of_parts(texts.into_iter().map(Into::into).collect()).matches(text)
    }

    /// Reads the template of a tag: what it renders to, whatever the values, must be one.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`], and where the text around the placeholders cannot stand in a tag.
    pub(super) fn parse_tag(
        text: &str,
        known: Known<'_>,
        beyond: Beyond,
    ) -> Result<Template, String> {
        let template = Template::parse_beyond(text, known, beyond)?;
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
                    // Which of several an app shows, nobody knows: the page would miss that one's increments.
                    if values.is_unclear(placeholder) {
                        return Err(self.several(last));
                    }
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

    /// The tag, in which what comes from the response is open; values encoded so that none ends the tag.
    ///
    /// # Errors
    ///
    /// A value of the request is missing.
    pub(super) fn draft(&self, values: &Values<'_>) -> Result<Draft, MissingTagValue> {
        let piece = |part: &Part| match part {
            Part::Text(text) => Ok(Piece::Text(text.to_string())),
            Part::Placeholder(Placeholder::Open(open)) => Ok(Piece::Open(open.clone())),
            Part::Placeholder(placeholder) => {
                let value = values.get(placeholder);
                let value = value.ok_or_else(|| self.missing(placeholder.name()))?;
                Ok(Piece::Text(Tag::encode(&value).to_string()))
            }
        };
        Ok(Draft {
            template: Arc::clone(&self.source),
            pieces: self.parts.iter().map(piece).collect::<Result<_, _>>()?,
        })
    }

    /// What an attribute is, in which what comes from the response is open.
    ///
    /// # Errors
    ///
    /// It is absent or unclear, whatever the response says.
    pub(super) fn value_draft(&self, values: &Values<'_>) -> Result<Draft, Value> {
        let piece = |part: &Part| match part {
            Part::Text(text) => Ok(Piece::Text(text.to_string())),
            Part::Placeholder(Placeholder::Open(open)) => Ok(Piece::Open(open.clone())),
            Part::Placeholder(placeholder) if values.is_unclear(placeholder) => Err(Value::Unclear),
            Part::Placeholder(placeholder) => {
                let value = values.get(placeholder).ok_or(Value::Absent)?;
                Ok(Piece::Text(value.into_owned()))
            }
        };
        Ok(Draft {
            template: Arc::clone(&self.source),
            pieces: self.parts.iter().map(piece).collect::<Result<_, _>>()?,
        })
    }

    /// The text for people: values encoded as in tags, and `>` too, which separates a parent from its field; a missing
    /// value shows as its placeholder.
    pub(super) fn named(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Placeholder(placeholder) => match values.get(placeholder) {
                    Some(value) if placeholder.is_secret() => {
                        text.push_str(&named::mark(value.as_bytes()));
                    }
                    Some(value) => {
                        let value = Tag::encode(&value).to_string();
                        text.push_str(&value.replace('>', "%3E"));
                    }
                    None => text.extend(["{", placeholder.name(), "}"]),
                },
            }
        }
        text
    }

    /// The first placeholder of which nobody knows what an app makes of it.
    pub(super) fn unclear(&self, values: &Values<'_>) -> Option<MissingTagValue> {
        self.parts.iter().find_map(|part| match part {
            Part::Placeholder(placeholder) if values.is_unclear(placeholder) => {
                Some(self.several(placeholder.name()))
            }
            Part::Placeholder(_) | Part::Text(_) => None,
        })
    }

    /// The first placeholder without a value.
    pub(super) fn first_missing(&self, values: &Values<'_>) -> Option<MissingTagValue> {
        self.parts.iter().find_map(|part| match part {
            Part::Placeholder(placeholder) if values.get(placeholder).is_none() => {
                Some(self.missing(placeholder.name()))
            }
            Part::Placeholder(_) | Part::Text(_) => None,
        })
    }

    /// What comes before each `>`, shortest first; `None` if one of them has nothing before or after it.
    pub(super) fn parents(&self) -> Option<Vec<Template>> {
        let (mut parents, mut before) = (Vec::new(), Vec::new());
        let mut is_open = true; // nothing yet that a `>` could follow, or that could end the text
        for part in &self.parts {
            let Part::Text(text) = part else {
                before.push(part.clone());
                is_open = false;
                continue;
            };
            for (n, piece) in text.split('>').enumerate() {
                if n > 0 {
                    if is_open {
                        return None;
                    }
                    parents.push(Template {
                        source: Arc::clone(&self.source),
                        parts: before.clone(),
                    });
                    before.push(Part::Text(">".into()));
                    is_open = true;
                }
                if !piece.is_empty() {
                    before.push(Part::Text(piece.into()));
                    is_open = false;
                }
            }
        }
        (!is_open).then_some(parents)
    }

    /// What an attribute is for these values: their text as it is, without any of the encoding of tags.
    pub(super) fn value(&self, values: &Values<'_>) -> Value {
        match self.value_draft(values) {
            Ok(draft) => Value::Text(draft.to_string()), // nothing of it is open
            Err(value) => value,
        }
    }

    fn several(&self, placeholder: &str) -> MissingTagValue {
        MissingTagValue {
            of: Of::Unclear,
            ..self.missing(placeholder)
        }
    }

    fn missing(&self, placeholder: &str) -> MissingTagValue {
        MissingTagValue {
            template: Arc::clone(&self.source),
            placeholder: placeholder.into(),
            of: Of::Request,
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
                Placeholder::Header(header) => named::header_field(head, header, key),
                Placeholder::Cookie(cookie) => {
                    named::cookie_field(head, cookie, key);
                    if cookies::are_ambiguous(head.headers()) {
                        for line in cookies::lines(head.headers()) {
                            key.field("cookie", line);
                        }
                    }
                }
                Placeholder::Host => key.field("host", &*head.host),
                // HEAD is answered from GET: one class, one value. Claims are in the key by themselves.
                Placeholder::Method | Placeholder::Claim(_) | Placeholder::Open(_) => {}
            }
        }
    }

    /// Whether it names this request header.
    pub(super) fn names_header(&self, wanted: &str) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Placeholder(Placeholder::Header(header)) => header.name == wanted,
            Part::Placeholder(_) | Part::Text(_) => false,
        })
    }

    /// Whether it names a capture of the path.
    pub(super) fn captures(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Placeholder(Placeholder::Capture(_))))
    }

    /// The claims it names.
    pub(super) fn claims(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(Placeholder::Claim(claim)) => Some(&*claim.name),
            Part::Placeholder(_) | Part::Text(_) => None,
        })
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
    fn parse(
        name: &str,
        template: &str,
        known: Known<'_>,
        beyond: Beyond,
    ) -> Result<Placeholder, String> {
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
            Some(("jwt", claim)) => Ok(Placeholder::Claim(Named {
                name: claim.into(),
                field: token::field(claim),
            })),
            Some(("resp", _)) if beyond != Beyond::Response => Err(format!(
                "{template}: `{{{name}}}` is known only in `increments` and `changes`, once the app has answered"
            )),
            Some(("resp", of)) => Placeholder::of_response(of, &template).map(Placeholder::Open),
            None if name == "value" && beyond == Beyond::Value => {
                Ok(Placeholder::Open(Open::Value))
            }
            None if name == "host" => Ok(Placeholder::Host),
            None if name == "method" => Ok(Placeholder::Method),
            Some(_) | None => Placeholder::capture(name, &template, known),
        }
    }

    fn of_response(of: &str, template: &str) -> Result<Open, String> {
        if of == "status" {
            return Ok(Open::Status);
        }
        if let Some(pointer) = of.strip_prefix("json:") {
            let pointer = Pointer::parse(pointer, false);
            return pointer
                .map(Open::Json)
                .map_err(|error| format!("{template}: {error}"));
        }
        match of.strip_prefix("header.").map(HeaderName::try_from) {
            Some(Ok(name)) => Ok(Open::Header(name)),
            Some(Err(_)) | None => {
                let found = shown(&format!("{{resp.{of}}}"));
                Err(format!(
                    "{template}: expected `{{resp.header.X}}`, `{{resp.status}}` or `{{resp.json:/id}}`, found {found}"
                ))
            }
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
            .map(|capture| format!("{}, ", shown(&format!("{{{capture}}}")))) // those of a purge group are as written
            .collect();
        let name = shown(&format!("{{{name}}}"));
        Err(format!(
            "{template}: nothing is called {name}, expected {of_path}`{{query.x}}`, `{{header.X}}`, `{{cookie.x}}`, `{{jwt.x}}`, `{{host}}` or `{{method}}`"
        ))
    }

    /// Whether its values are somebody's own, which nothing that is logged shows.
    fn is_secret(&self) -> bool {
        match self {
            Placeholder::Cookie(_) => true,
            Placeholder::Header(header) => named::is_secret(&header.field),
            Placeholder::Capture(_)
            | Placeholder::Query(_)
            | Placeholder::Claim(_)
            | Placeholder::Host
            | Placeholder::Method
            | Placeholder::Open(_) => false,
        }
    }

    /// The placeholder without its braces.
    fn name(&self) -> &str {
        match self {
            Placeholder::Open(_) => "a value of the response",
            Placeholder::Capture(capture) => &capture.name,
            Placeholder::Query(it) | Placeholder::Cookie(it) | Placeholder::Claim(it) => &it.field,
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
            Placeholder::Open(_) => None,
            Placeholder::Claim(claim) => self.claims.text(&claim.name),
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
            // What is there is no text; a key holds it all the same.
            Placeholder::Claim(claim) => {
                let said = self.claims.get(&claim.name);
                said.is_some() && self.claims.text(&claim.name).is_none()
            }
            Placeholder::Capture(_)
            | Placeholder::Host
            | Placeholder::Method
            | Placeholder::Open(_) => false,
        }
    }
}
