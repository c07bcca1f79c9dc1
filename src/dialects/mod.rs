//! How apps speak of tags in header fields (design.md §3): spelling only.
//!
//! Which field names are read is configuration; the grammar of a field goes with its name. What a tag means, and what
//! becomes of a response that carries it, is decided elsewhere. What cannot be understood is passed over with a reason:
//! a response is never refused for it.

pub mod cache_status;
mod config;
mod lists;
mod litespeed;
mod structured;

use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

pub use crate::dialects::config::Config;
pub use crate::dialects::config::Field;
pub use crate::dialects::config::Groups;
pub use crate::dialects::config::NotASeparator;
pub use crate::dialects::config::Separator;

use crate::dialects::config::Grammar;
use crate::model::change::Change;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::TagError;
use crate::model::tag::Tagged;

/// The fields of this configuration, each with its grammar.
#[derive(Clone, Debug)]
pub struct Dialects {
    tags: Vec<(HeaderName, Grammar)>,
    increments: Vec<(HeaderName, Grammar)>,
    changes: Vec<HeaderName>,
    vary: Vec<HeaderName>,
    targeted: Vec<HeaderName>,
    /// Those of them that address this cache alone.
    for_us_alone: Vec<HeaderName>,
    /// All of the above: what no client may send. They are few and unlike what requests have, so that comparing costs less than hashing.
    ours: Vec<HeaderName>,
    groups: Groups,
    expose: bool,
}

/// What a head or a trailer section says of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The response depends on these; in the order written, repeated where the app repeats itself.
    pub tags: Vec<Tagged>,
    /// These have changed; in the order written, repeated where the app repeats itself.
    pub increments: Vec<Increment>,
    /// Objects have changed that lists are filtered by; in the order written.
    pub changes: Vec<Change>,
    /// The response varies by these cookies, sorted, each once.
    pub cookies: Vec<Box<str>>,
    /// The response varies by what is not understood here (`X-LiteSpeed-Vary`): it must not be shared.
    pub varies: bool,
    /// A tag of the response could not be read: what it depends on is not known.
    pub unreadable: bool,
    /// What was passed over, for the log; the first [`Said::MAX_IGNORED`] of it.
    pub ignored: Vec<Ignored>,
}

/// Something in one of our fields that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The field.
    pub field: HeaderName,
    /// The beginning of the text, escaped: it is for a log.
    pub text: String,
    /// The reason.
    pub why: Why,
}

/// Why something in one of our fields was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// It is no tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The tag counts, this parameter of it does not.
    #[error("not a parameter of this field, or not with this value")]
    Parameter,
    /// The field is malformed, and structured fields are taken whole or not at all (RFC 9651 §4.2).
    #[error("the field is not a list of strings (RFC 9875)")]
    Structured,
    /// The same of a field that reports changes.
    #[error(
        "the field is not a list of rules, each with values as in `;old.size=\"1\";new.size=\"2\"`"
    )]
    Changes,
    /// Nobody can tell what has changed of the attributes: the whole rule counts.
    #[error(
        "neither `old.` nor `new.` with a value that has a text: the change counts for its whole rule"
    )]
    Attribute,
    /// RFC 9875 §3: a response to a safe request invalidates no group.
    #[error("the request's method is safe")]
    SafeMethod,
    /// LiteSpeed's `private, *` forgets what one client sees; here is no cache per client.
    #[error("there is no private cache to purge")]
    Private,
    /// The response varies by something besides cookies: nobody here knows which request gets which.
    #[error("only `cookie=<name>` is understood: the response is not stored")]
    Vary,
}

/// Targeted fields that address this cache alone; any other, such as `CDN-Cache-Control`, also speaks to caches between
/// us and the client (RFC 9213 §2.2).
const FOR_US_ALONE: [&str; 3] = [
    "tagalong-cache-control",
    "surrogate-control",
    "x-litespeed-cache-control",
];

impl Dialects {
    /// Works out which grammar each configured name has.
    pub fn new(config: Config) -> Dialects {
        let read = config
            .tags
            .iter()
            .chain(&config.increments)
            .map(|field| &field.name);
        let ours = read
            .chain(&config.changes)
            .chain(&config.vary)
            .chain(&config.targeted)
            .cloned()
            .collect();
        let read = |fields: Vec<Field>| {
            let grammar = |field: Field| {
                let grammar = Grammar::of(&field);
                (field.name, grammar)
            };
            fields.into_iter().map(grammar).collect()
        };
        let is_alone = |name: &&HeaderName| FOR_US_ALONE.contains(&name.as_str());
        let alone = config.targeted.iter().filter(is_alone);
        Dialects {
            tags: read(config.tags),
            increments: read(config.increments),
            changes: config.changes,
            vary: config.vary,
            for_us_alone: alone.cloned().collect(),
            targeted: config.targeted,
            ours,
            groups: config.groups,
            expose: config.expose,
        }
    }

    /// The targeted cache control fields (RFC 9213), the strongest first.
    pub fn targeted(&self) -> &[HeaderName] {
        &self.targeted
    }

    /// What the app says of tags in `headers`, which may be a trailer section; the fields are taken off, unless they
    /// are exposed to clients.
    ///
    /// `origin` makes `scheme://host` of the request, which groups belong to (RFC 9875 §2.1) and few responses need; `safe` says
    /// that its method is a safe one (RFC 9110 §9.2.1).
    pub fn take(&self, origin: impl Fn() -> String, safe: bool, headers: &mut HeaderMap) -> Said {
        let mut said = Said::default();
        let there: Vec<HeaderName> = self.found(headers).cloned().collect();
        if there.is_empty() {
            return said;
        }
        let is_there = |(name, _): &&(HeaderName, Grammar)| there.contains(name);
        for (name, grammar) in self.tags.iter().filter(is_there) {
            let lines = Lines::of(headers, name);
            match grammar {
                Grammar::Annotated => lists::annotated_tags(lines, &mut said),
                Grammar::Plain(separator) => lists::plain_tags(lines, *separator, &mut said),
                Grammar::Groups => {
                    let groups = structured::groups(lines, &mut said);
                    let origin = origin();
                    let tags = groups.iter().map(|group| self.group(&origin, group).into());
                    said.tags.extend(tags);
                }
                Grammar::LiteSpeedPurge => lists::plain_tags(lines, Separator::COMMA, &mut said),
            }
        }
        let unreadable = said.unreadable; // what follows names no tag of the response
        for (name, grammar) in self.increments.iter().filter(is_there) {
            let lines = Lines::of(headers, name);
            match grammar {
                Grammar::Annotated => lists::annotated_increments(lines, &mut said),
                Grammar::Plain(separator) => lists::plain_increments(lines, *separator, &mut said),
                Grammar::Groups if safe => {
                    for line in lines.iter() {
                        said.ignore(name, line.as_bytes(), Why::SafeMethod);
                    }
                }
                Grammar::Groups => {
                    let groups = structured::groups(lines, &mut said);
                    let origin = origin();
                    let changed = groups.iter().map(|group| self.group(&origin, group).into());
                    said.increments.extend(changed);
                }
                Grammar::LiteSpeedPurge => litespeed::purge(lines, &origin(), &mut said),
            }
        }
        for name in self.changes.iter().filter(|name| there.contains(*name)) {
            let changes = structured::changes(Lines::of(headers, name), &mut said);
            said.changes.extend(changes);
        }
        for name in self.vary.iter().filter(|name| there.contains(*name)) {
            litespeed::vary(Lines::of(headers, name), &mut said);
        }
        said.cookies.sort_unstable();
        said.cookies.dedup();
        said.unreadable = unreadable;
        if !self.expose {
            for name in there.iter().filter(|name| self.reads(name)) {
                headers.remove(name);
            }
        }
        said
    }

    /// Removes what only the app may say from a client's request: our tag, increment, change, vary and targeted fields.
    pub fn drop_from_client(&self, headers: &mut HeaderMap) {
        let forged: Vec<HeaderName> = self.found(headers).cloned().collect();
        for name in forged {
            headers.remove(name);
        }
    }

    /// Which of our fields are there: the few fields of a head are looked up among ours, not ours among them.
    fn found<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a HeaderName> {
        headers.keys().filter(|name| self.ours.contains(*name))
    }

    /// Takes the targeted fields that address this cache alone off a response, once it has been judged; with `expose`
    /// they stay.
    pub fn take_targeted(&self, headers: &mut HeaderMap) -> HeaderMap {
        let mut taken = HeaderMap::new();
        // Few heads have any: the few fields of one are looked up among these.
        let is_ours = |name: &HeaderName| self.for_us_alone.contains(name);
        if self.expose || !headers.keys().any(is_ours) {
            return taken;
        }
        for name in &self.for_us_alone {
            if headers.contains_key(name) {
                let lines: Vec<_> = headers.get_all(name).iter().cloned().collect();
                taken.extend(lines.into_iter().map(|line| (name.clone(), line)));
                headers.remove(name);
            }
        }
        taken
    }

    /// Whether it is read here; a targeted field that is nothing else is not.
    fn reads(&self, name: &HeaderName) -> bool {
        let fields = self.tags.iter().chain(&self.increments);
        let mut names = fields
            .map(|(name, _)| name)
            .chain(&self.changes)
            .chain(&self.vary);
        names.any(|it| it == name)
    }

    /// The tag of a group. Where groups and tags are one, a group whose name cannot be a tag keeps to its origin.
    fn group(&self, origin: &str, name: &str) -> Tag {
        let scoped = || Tag::group(origin, name);
        match self.groups {
            Groups::Origin => scoped(),
            Groups::Shared => Tag::parse(name).unwrap_or_else(|_| scoped()),
        }
    }
}

impl Why {
    /// Whether there was a tag that is not known now. One of the cache's own names is none that an app could mean.
    fn hides_a_tag(self) -> bool {
        match self {
            Why::Tag(error) => error != TagError::Reserved,
            Why::Structured => true,
            Why::Parameter
            | Why::Changes
            | Why::Attribute
            | Why::SafeMethod
            | Why::Private
            | Why::Vary => false,
        }
    }
}

impl Said {
    /// The most passages that are noted as ignored.
    pub const MAX_IGNORED: usize = 32;

    /// Notes that `text` was passed over; past the limit only whether a tag was lost.
    fn ignore(&mut self, field: &HeaderName, text: &[u8], why: impl Into<Why>) {
        const MAX_TEXT: usize = 80;
        let why = why.into();
        self.unreadable |= why.hides_a_tag();
        if self.ignored.len() < Said::MAX_IGNORED {
            self.ignored.push(Ignored {
                field: field.clone(),
                text: text
                    .get(..MAX_TEXT)
                    .unwrap_or(text)
                    .escape_ascii()
                    .to_string(),
                why,
            });
        }
    }

    /// The tag that `text` names, or a note why it names none.
    fn tag(&mut self, field: &HeaderName, text: &[u8]) -> Option<Tag> {
        let tag = std::str::from_utf8(text)
            .map_err(|_| TagError::NotUtf8)
            .and_then(Tag::parse);
        tag.map_err(|why| self.ignore(field, text, why)).ok()
    }
}

/// The lines of one field.
#[derive(Clone, Copy)]
struct Lines<'a> {
    name: &'a HeaderName,
    headers: &'a HeaderMap,
}

impl<'a> Lines<'a> {
    fn of(headers: &'a HeaderMap, name: &'a HeaderName) -> Lines<'a> {
        Lines { name, headers }
    }

    fn iter(self) -> impl Iterator<Item = &'a HeaderValue> {
        self.headers.get_all(self.name).iter()
    }
}

#[cfg(test)]
mod tests;
