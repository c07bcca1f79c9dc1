//! What rules are built with besides their files: what the configuration says for all of them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rules::compile::{Defaults, TagLists};

/// What rules are built with besides their files.
#[derive(Debug)]
pub struct Context {
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

impl Context {
    /// What holds where a configuration says nothing else.
    pub fn new(namespace: &str) -> Context {
        Context {
            namespace: namespace.into(),
            epoch: 1,
            unmatched: Unmatched::default(),
            defaults: Defaults::default(),
            templates: TagLists::default(),
        }
    }
}
