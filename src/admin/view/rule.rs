//! The rules in force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::view::Counts;
use crate::admin::view::Time;

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rules {
    /// The epoch in force.
    pub epoch: u64,
    /// The last time that the files were read; absent without files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<LastReload>,
    /// In the order in which they are tried, and at last what no rule matches.
    pub rules: Vec<Rule>,
}

/// The last time that the files were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastReload {
    /// When.
    pub at: Time,
    /// Whether they were wrong: the rules from before are in force then.
    pub failed: bool,
    /// What is wrong, each as `file:line:col: …`.
    pub mistakes: Vec<String>,
}

/// A rule, what it says in short, and what became of its requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Its id; empty: what no rule matches.
    pub rule: String,
    /// Whether it answers from the store.
    pub mode: Mode,
    /// Where it stands: `rules/a.yaml:3`; absent of what no rule matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Which requests are its.
    #[serde(rename = "match")]
    pub matches: String,
    /// What tells its responses apart.
    pub key: String,
    /// The tags of its responses, as templates.
    pub tags: Vec<String>,
    /// How long its responses live.
    pub life: String,
    /// What became of its requests since the start.
    pub counts: Counts,
    /// Its responses in memory.
    pub entries: u64,
    /// All of them together.
    pub entries_bytes: u64,
}

/// Whether a rule answers from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does.
    Live,
    /// The app answers, and what is stored is compared with that.
    Shadow,
    /// The app answers.
    Bypass,
}
