//! JSON Web Tokens of requests (RFC 7519): where they are looked for, whether they can be trusted, and what of them the key
//! holds (`vary_on.jwt`).
//!
//! A token that cannot be trusted leads to no key at all: what is stored for somebody is found by who proves to be that
//! somebody, and by nobody else (L12).

mod jwks;
mod jws;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, header};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::model::allocated::allocated;
use crate::model::cookies;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::rules::Rule;

pub(super) use crate::rules::token::jwks::Keys;

/// A token that requests may bring, and what the key holds of it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) from: Carrier,
    pub(super) verify: Arc<Verify>,
    pub(super) claims: Vec<Claim>,
}

/// Where a token is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// In `Authorization` after `Bearer` (RFC 6750 §2.1), in any other header as its whole value.
    Header(HeaderName),
    Cookie(Box<str>),
}

/// What a token must be to be trusted.
#[derive(Debug)]
pub(super) struct Verify {
    pub(super) keys: Keys,
    pub(super) issuer: Option<Box<str>>,
    pub(super) audience: Option<Box<str>>,
    /// How far its times and ours may be apart.
    pub(super) leeway: Duration,
}

/// A claim by its name, or by a JSON pointer (RFC 6901).
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) name: Box<str>,
    /// The name of its key field.
    pub(super) field: Box<str>,
}

/// What the tokens of a request say, verified: of each claim that its rule names, `None` where there is no token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(Vec<(Box<str>, Option<Value>)>);

/// Why a token is not trusted. Nothing of the token is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// There may be another one.
    #[error("it has more than one, or one that apps may read in another way")]
    Several,
    /// `Authorization` holds something else.
    #[error("its `Authorization` is not `Bearer` and a token")]
    NotBearer,
    /// Nobody's token is that long.
    #[error("it is longer than 8 KiB")]
    TooLong,
    /// Not three parts, not base64url, not JSON, or not of the right types.
    #[error("it is malformed")]
    Malformed,
    /// What must be understood is not (RFC 7515 §4.1.11).
    #[error("its `crit` asks for something unknown")]
    Critical,
    /// No key of that name, or none for that algorithm; `none` is for no key.
    #[error("no key is for its `alg` and `kid`")]
    NoKey,
    /// Nobody who has one of the keys made it.
    #[error("no key fits its signature")]
    Signature,
    /// Its time is over.
    #[error("it has expired (`exp`)")]
    Expired,
    /// Its time is to come.
    #[error("it is not valid yet (`nbf`)")]
    TooEarly,
    /// Another issuer's.
    #[error("its `iss` is not the issuer that the rule names")]
    Issuer,
    /// For somebody else; also where the rule does not say who we are (RFC 7519 §4.1.3).
    #[error("its `aud` does not name the audience of the rule, or the rule names none")]
    Audience,
    /// It lacks a claim that the key holds.
    #[error("it lacks a claim that the rule names")]
    Lacks,
    /// A number that programs round in different ways.
    #[error(
        "a claim that the rule names holds a number that is not whole, or of more than 64 bits"
    )]
    Inexact,
}

impl Claim {
    pub(super) fn new(name: &str) -> Claim {
        Claim {
            name: name.into(),
            field: field(name),
        }
    }

    fn of<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let Some(path) = self.name.strip_prefix('/') else {
            return claims.get(&*self.name);
        };
        let (first, rest) = match path.split_once('/') {
            Some((first, _)) => (first, path.get(first.len()..)),
            None => (path, None),
        };
        let first = first.replace("~1", "/").replace("~0", "~");
        claims.get(&first)?.pointer(rest.unwrap_or_default())
    }
}

/// The name of the key field of a claim.
pub(super) fn field(name: &str) -> Box<str> {
    format!("jwt.{name}").into()
}

impl Claims {
    /// What the token says of a claim; `None` where there is no token, or the rule does not name it.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(other, _)| **other == *name);
        found.and_then(|(_, value)| value.as_ref())
    }

    /// The memory they take, in bytes. Who signs tokens chooses of how many small values a claim consists.
    pub fn weight(&self) -> usize {
        let each = self.0.iter().map(|(name, value)| {
            let value = value.as_ref().map_or(0, beside);
            size_of::<(Box<str>, Option<Value>)>() + allocated(name.len()) + value
        });
        each.sum()
    }

    /// A claim as key fields have it: JSON, so that `"1"`, `1`, `null` and none at all differ (L7).
    pub(super) fn encoded(&self, name: &str) -> Option<String> {
        self.get(name).map(ToString::to_string)
    }

    /// A claim for people and tags, which are not told its type; `None` if it is no single value.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl Rule {
    /// What the tokens of a request say at `now`. To be asked once per request: signatures cost more than lookups.
    ///
    /// # Errors
    ///
    /// A token that is there is not trusted: the request is looked up under no key.
    pub(super) fn claims(&self, head: &Head, now: Timestamp) -> Result<Claims, TokenError> {
        let mut found = Vec::new();
        for token in &*self.fields.tokens {
            let payload = match token.from.find(head)? {
                Some(text) => Some(token.verify.payload(text, now)?),
                None => None,
            };
            for claim in &token.claims {
                let value = match &payload {
                    None => None,
                    Some(payload) => Some(claim.of(payload).ok_or(TokenError::Lacks)?.clone()),
                };
                if value.as_ref().is_some_and(|value| !is_exact(value)) {
                    return Err(TokenError::Inexact);
                }
                found.push((claim.name.clone(), value));
            }
        }
        Ok(Claims(found))
    }
}

impl Carrier {
    /// Whether it is looked for in this request field.
    pub(super) fn is_in(&self, field: &HeaderName) -> bool {
        match self {
            Carrier::Header(name) => name == field,
            Carrier::Cookie(_) => *field == header::COOKIE,
        }
    }

    /// The text that is to be a token; `None` if the request has none.
    fn find<'h>(&'h self, head: &'h Head) -> Result<Option<&'h [u8]>, TokenError> {
        let headers = head.headers();
        match self {
            Carrier::Header(name) => {
                // Servers that fold `_` into `-`, as CGI does, take one for the other.
                let folded = |other: &HeaderName| {
                    other != name && other.as_str().replace('_', "-") == name.as_str()
                };
                let mut lines = headers.get_all(name).iter();
                let Some(line) = lines.next() else {
                    return match headers.keys().any(folded) {
                        true => Err(TokenError::Several),
                        false => Ok(None),
                    };
                };
                if lines.next().is_some() || headers.keys().any(folded) {
                    return Err(TokenError::Several);
                }
                let text = line.as_bytes().trim_ascii();
                match *name == header::AUTHORIZATION {
                    true => bearer(text).map(Some),
                    false => Ok(Some(text)),
                }
            }
            Carrier::Cookie(name) => {
                if cookies::are_ambiguous(headers) {
                    return Err(TokenError::Several);
                }
                let mut values = cookies::values_of(headers, name);
                match (values.next(), values.next()) {
                    (_, Some(_)) => Err(TokenError::Several),
                    (only, None) => Ok(only),
                }
            }
        }
    }
}

/// `Bearer` in any case (RFC 9110 §11.1), blanks, and the token.
fn bearer(text: &[u8]) -> Result<&[u8], TokenError> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = text
        .split_at_checked(SCHEME.len())
        .ok_or(TokenError::NotBearer)?;
    let token = rest.trim_ascii();
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.is_empty() || rest.first() != Some(&b' ') {
        return Err(TokenError::NotBearer);
    }
    Ok(token)
}

impl Verify {
    /// What a token says, if it is trusted at `now`.
    fn payload(&self, token: &[u8], now: Timestamp) -> Result<Map<String, Value>, TokenError> {
        let claims = jws::payload(&self.keys, token)?;
        // Times may have fractions (RFC 7519 §2); a double holds microseconds of today exactly.
        let (now, leeway) = (now.as_micros() as f64 / 1e6, self.leeway.as_secs_f64());
        if time(&claims, "exp")?.is_some_and(|exp| now >= exp + leeway) {
            return Err(TokenError::Expired);
        }
        if time(&claims, "nbf")?.is_some_and(|nbf| now < nbf - leeway) {
            return Err(TokenError::TooEarly);
        }
        let says = |name: &str, text: &str| claims.get(name).and_then(Value::as_str) == Some(text);
        if self.issuer.as_ref().is_some_and(|it| !says("iss", it)) {
            return Err(TokenError::Issuer);
        }
        let is_for_us = match (&self.audience, claims.get("aud")) {
            (None, None) => true,
            (Some(wanted), Some(Value::String(one))) => **wanted == **one,
            (Some(wanted), Some(Value::Array(all))) => {
                all.iter().any(|one| one.as_str() == Some(wanted))
            }
            (None, Some(_)) | (Some(_), _) => false,
        };
        match is_for_us {
            true => Ok(claims),
            false => Err(TokenError::Audience),
        }
    }
}

fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(TokenError::Malformed),
    }
}

/// A node of the tree in which an object has its members: room for eleven of them, and for links (std's `BTreeMap`).
const NODE: usize = 11 * size_of::<(String, Value)>() + 12 * size_of::<usize>();
/// How many members a node has at least, if there is more than one node.
const FEWEST: usize = 5;

/// The memory that a value takes beside its own place, in bytes.
fn beside(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => allocated(text.len()),
        Value::Array(items) => {
            let each = items.iter().map(beside);
            allocated(items.len() * size_of::<Value>()) + each.sum::<usize>()
        }
        Value::Object(members) => {
            let each = members.iter();
            let each = each.map(|(name, it)| allocated(name.len()) + beside(it));
            members.len().div_ceil(FEWEST) * allocated(NODE) + each.sum::<usize>()
        }
    }
}

/// Whether every reader sees the same in it: no number that was rounded here, or may be elsewhere, so that two people's
/// would be one.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests;
