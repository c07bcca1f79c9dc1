//! What rules are built with besides their files: what the configuration says for all of them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rules::compile::{Defaults, TagLists};
use crate::rules::source::Consistency;

/// What rules are built with besides their files.
#[derive(Debug)]
pub struct Context<'a> {
    /// Part of every key.
    pub namespace: Box<str>,
    /// Part of every key: with another one nothing is found of what was stored before.
    pub epoch: u64,
    /// What becomes of requests that no rule matches.
    pub unmatched: Unmatched,
    /// What holds for rules that do not say otherwise.
    pub defaults: Defaults,
    /// Lists of tags that rules may use.
    pub templates: TagLists,
    /// The files that rules name.
    pub texts: Texts<'a>,
    /// What is shared with other sidecars; `defaults` are built with the same.
    pub sharing: Sharing,
}

/// What the configuration says of sharing with the other sidecars of the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// What is kept for all of them.
    pub store: SharedStore,
    /// When an increment made elsewhere counts here, if a rule does not say it.
    pub consistency: Consistency,
}

/// What sidecars keep for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SharedStore {
    /// Nothing: each is alone.
    #[default]
    None,
    /// The versions of tags.
    Tags,
    /// The versions of tags, and bodies.
    Bodies,
}

/// The texts of files that rules name, by the file that names them and the path it gives: rules read no files themselves.
#[derive(Clone, Copy)]
pub struct Texts<'a>(&'a dyn Fn(&str, &str) -> Result<String, String>);

impl<'a> Texts<'a> {
    /// As `read` finds them, or why it does not.
    pub fn new(read: &'a dyn Fn(&str, &str) -> Result<String, String>) -> Texts<'a> {
        Texts(read)
    }

    /// No file at all.
    pub fn none() -> Texts<'static> {
        Texts(&|_, _| Err("there are no files here".to_owned()))
    }

    pub(super) fn read(self, from: &str, path: &str) -> Result<String, String> {
        (self.0)(from, path)
    }
}

impl fmt::Debug for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Texts")
    }
}

/// What becomes of requests that no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// Their responses are stored as RFC 9111 says, by the whole URL.
    #[default]
    Rfc9111,
    /// They go to the app, and nothing is stored; increments in what it answers are still honoured.
    Bypass,
}

impl Context<'_> {
    /// What holds where a configuration says nothing else.
    pub fn new(namespace: &str) -> Context<'static> {
        Context {
            namespace: namespace.into(),
            epoch: 1,
            unmatched: Unmatched::default(),
            defaults: Defaults::default(),
            templates: TagLists::default(),
            texts: Texts::none(),
            sharing: Sharing::default(),
        }
    }
}
