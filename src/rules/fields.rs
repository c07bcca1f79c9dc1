//! `vary_on` to key fields: the part of a request that its response depends on, encoded injectively (L7).

use std::sync::Arc;

use http::{HeaderName, header};
use regex::Captures;

use crate::model::cookies;
use crate::model::key::BaseKey;
use crate::model::key::KeyFields;
use crate::model::request::Head;
use crate::model::tag::Tag;
use crate::rules::Rule;
use crate::rules::RuleSet;
use crate::rules::named::{Named, cookie_field, header_field, is_secret, mark};
use crate::rules::normalize::Normalized;
use crate::rules::path;
use crate::rules::query::QueryFields;
use crate::rules::source::QueryMode;
use crate::rules::template::{Template, Values};
use crate::rules::token::{Claims, Token};

/// What the key of a rule holds of a request.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) host: bool,
    /// Captures that stand for the path; `None`: the whole path.
    pub(super) captures: Option<Vec<Named<Box<str>>>>,
    pub(super) query: QueryFields,
    pub(super) headers: Vec<Named<HeaderName>>,
    /// Those of which it holds less than they say.
    pub(super) normalized: Arc<[Normalized]>,
    pub(super) cookies: Vec<Named<Box<str>>>,
    /// Tokens of which it holds some claims.
    pub(super) tokens: Arc<[Token]>,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields {
            host: true,
            captures: None,
            query: QueryFields::default(),
            headers: Vec::new(),
            normalized: Arc::default(),
            cookies: Vec::new(),
            tokens: Arc::default(),
        }
    }
}

impl Fields {
    /// Nothing of the request: a `key` takes their place. A path that matches only once its dots are gone is kept apart
    /// all the same (X5).
    pub(super) fn none() -> Fields {
        Fields {
            host: false,
            captures: Some(Vec::new()),
            query: QueryFields {
                mode: QueryMode::None,
                ..QueryFields::default()
            },
            ..Fields::default()
        }
    }

    /// Whether the key holds this request field, or a part of it.
    pub(super) fn key_on(&self, wanted: &HeaderName) -> bool {
        let by_name = *wanted == header::COOKIE && !self.cookies.is_empty();
        let in_part = || {
            let by_claim = self.tokens.iter().any(|it| it.from.is_in(wanted));
            by_claim || self.normalized.iter().any(|it| it.name == *wanted)
        };
        by_name || self.headers.iter().any(|it| it.name == *wanted) || in_part()
    }
}

impl Rule {
    /// Whether the key holds this request field, so that the app may depend on it.
    pub fn keys_on_header(&self, name: &str) -> bool {
        let mut in_part = self.fields.normalized.iter();
        self.fields.headers.iter().any(|header| header.name == name)
            || in_part.any(|header| header.name == name)
            || self.keyed_by().any(|template| template.names_header(name))
    }

    /// Whether responses of this rule may be told apart by this request field: the key holds something of it.
    pub fn selects_by(&self, name: &HeaderName) -> bool {
        self.fields.key_on(name) || self.keyed_by().any(|template| template.reads(name))
    }

    /// The key fields of a request under this rule. The method class is `GET` for HEAD too: one is answered from the other.
    /// `path` is normalised.
    pub(super) fn key_fields(
        &self,
        set: &RuleSet,
        head: &Head,
        path: &str,
        claims: &Claims,
    ) -> KeyFields {
        let mut key = KeyFields::with_room(room(head));
        let captures = self.captures_of(path);
        key.field("namespace", &*set.namespace);
        key.field("epoch", &*set.epoch_field);
        let method = head.read.as_ref().map(|_| head.method().as_str());
        key.field("method", method.unwrap_or("GET"));
        key.field("scheme", head.scheme);
        if let Some(version) = &self.version {
            key.field("version", &**version);
        }
        if let Some(group) = &self.group {
            // The template and its values, so that `{a}-{b}` never confuses `1-2`, `3` with `1`, `2-3`.
            key.field("group", group.as_str());
            group.key(captures.as_ref(), head, &mut key);
        }
        if !self.terms.response_vary {
            // What was stored while `Vary` selected is not mixed with what is stored without.
            key.field("response_vary", "false");
        }
        if let Some(name) = self.key_name.as_deref() {
            key.field("key_name", name);
        }
        for constant in &self.constants {
            key.field(&constant.field, constant.version.as_bytes());
        }
        if let Some(named) = &self.key {
            key.field("key", named.template.as_str());
            named.template.key(captures.as_ref(), head, &mut key);
        }
        self.picked_fields(head, path, captures.as_ref(), claims, &mut key);
        if let Some(read) = &head.read {
            key.append(&read.key);
        }
        key
    }

    /// The tag of all that is stored under a base key, whichever spelling of the URI was asked for. Where the key holds the URI it is
    /// that of the URI as the key has it: what has the same key has the same one, and for a usual request it is the tag that its
    /// entry has for its URI anyway.
    pub(super) fn key_tag(&self, head: &Head, base: BaseKey) -> Tag {
        if !self.fields.host || self.fields.captures.is_some() {
            return Tag::base(base);
        }
        let mut uri = head.origin();
        uri.push_str(head.path());
        if let Some(query) = self.fields.query.keyed(head.query()) {
            uri.push('?');
            uri.push_str(&query);
        }
        Tag::uri(&uri)
    }

    /// The captures of a normalised path, if the key holds one.
    fn captures_of<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        let any = self.fields.captures.is_some() || self.keyed_by().any(Template::captures);
        any.then(|| self.pattern.captures(path)).flatten()
    }

    /// The *logical key* (design.md §1): the text of the rule's `key`; or the name of the key, and what `vary_on` picks from
    /// a request.
    pub(super) fn logical_key(&self, head: &Head, claims: &Claims) -> String {
        let path = path::normalised(head.path());
        let captures = self.captures_of(&path);
        let mut named = KeyFields::new();
        if self.key.is_none() {
            if let Some(name) = self.key_name.as_deref() {
                named.field("key_name", name);
            }
            self.picked_fields(head, &path, captures.as_ref(), claims, &mut named);
        }
        if let Some(read) = &head.read {
            named.append(&read.key);
        }
        let named = marked(&named).to_string();
        let Some(key) = &self.key else {
            return named;
        };
        let text = key.text(&Values {
            head,
            captures,
            claims,
        });
        match named.is_empty() {
            true => text,
            false => format!("{text}&{named}"),
        }
    }

    fn picked_fields(
        &self,
        head: &Head,
        path: &str,
        found: Option<&Captures<'_>>,
        claims: &Claims,
        key: &mut KeyFields,
    ) {
        if self.fields.host {
            key.field("host", &*head.host);
        }
        self.path_fields(head, path, found, key);
        if let Some(query) = self.fields.query.keyed(head.query()) {
            key.field("query", query.as_bytes());
        }
        for header in &self.fields.headers {
            header_field(head, header, key);
        }
        for header in &*self.fields.normalized {
            key.optional(&header.field, header.value(head.headers()));
        }
        for cookie in &self.fields.cookies {
            cookie_field(head, cookie, key);
        }
        if !self.fields.cookies.is_empty() && cookies::are_ambiguous(head.headers()) {
            for line in cookies::lines(head.headers()) {
                key.field("cookie", line);
            }
        }
        for token in &*self.fields.tokens {
            if let Some(issuer) = &token.verify.issuer {
                // Names of people are an issuer's own (RFC 7519 §4.1.2).
                key.field("issuer", issuer.as_bytes());
            }
            for claim in &token.claims {
                key.optional(&claim.field, claims.encoded(&claim.name));
            }
        }
    }

    fn path_fields(
        &self,
        head: &Head,
        path: &str,
        found: Option<&Captures<'_>>,
        key: &mut KeyFields,
    ) {
        let Some(captures) = &self.fields.captures else {
            key.field("path", head.path());
            return;
        };
        // Captures see the normalised path. Where it differs from the raw one the app may answer differently (X5).
        if path != head.path() {
            key.field("path", head.path());
        }
        for capture in captures {
            let value = found.and_then(|found| found.name(&capture.name));
            key.optional(&capture.field, value.map(|value| value.as_str()));
        }
    }
}

/// The same fields, but for what is somebody's own: a logical key is logged, and told to others.
fn marked(fields: &KeyFields) -> KeyFields {
    let mut shown = KeyFields::new();
    for (name, value) in fields.iter() {
        match value {
            Some(value) if is_secret(name) => shown.field(name, mark(value)),
            Some(_) | None => shown.optional(name, value),
        }
    }
    shown
}

/// What the key fields of a usual request take, so that they are not moved while they grow.
fn room(head: &Head) -> usize {
    const NAMES_AND_THE_LIKE: usize = 192;
    let query = head.query().map_or(0, str::len);
    NAMES_AND_THE_LIKE + head.host.len() + head.path().len() + query
}
