//! As written: who is told of hits and misses.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rules::source::OrNone;
use crate::yaml::Spanned;

/// Who is told of hits and misses. Nobody is told of requests that bypass the store.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// Of each request that was answered from the store, stale or not. Default: `none`.
    #[serde(default)]
    pub on_hit: Option<Spanned<OrNone<Hook>>>,
    /// Of each that was looked up and not answered from the store. Default: `none`.
    #[serde(default)]
    pub on_miss: Option<Spanned<OrNone<Hook>>>,
}

/// Who is told: a URL, the log, or both.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// `http://host:port/path`, `https://…` or `h2c://…`, which is sent `{"namespace", "at", "rule", "key", "outcome"}`.
    #[serde(default)]
    pub webhook: Option<Spanned<String>>,
    /// A line in the log, as `debug`, `info` or `warn`.
    #[serde(default)]
    pub log: Option<LogLevel>,
}

/// How a line of the log is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For those who look closely.
    Debug,
    /// For everybody.
    Info,
    /// To be looked at.
    Warn,
}
