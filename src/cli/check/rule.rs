//! A rule in force.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::model::units::Written;
use crate::rules::{Consistency, KeptIn, Rule};

/// A rule. As JSON `order` (from 1), `id`, `file`, `line`, `column`, `methods`, `hosts` and `path` (`null`: any), `headers`, `cache`,
/// `mode`, `safe`, `key` (its fields, those that all keys have left out), `tags`, `tags_from_body`, `dimensions`, `increments`,
/// `changes`, the lives `ttl`, `forced_ttl`, `max_ttl`, `soft_ttl`, `stale_while_revalidate` and `stale_if_error` (`null`: not
/// said), `store` (`default`, `memory` or `redis`), `consistency` (`bounded` or `strict`) and `lease` (`null`: no sidecar waits for
/// another's fill).
#[derive(Debug, Serialize)]
pub(super) struct RuleView {
    order: usize,
    id: String,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    methods: Vec<String>,
    hosts: Option<Vec<String>>,
    path: Option<String>,
    headers: Vec<String>,
    cache: bool,
    mode: &'static str,
    key: Vec<String>,
    safe: bool,
    #[serde(skip)]
    is_stored: bool,
    #[serde(skip)]
    matches: String,
    #[serde(skip)]
    fresh: String,
    tags: Vec<String>,
    tags_from_body: Vec<String>,
    dimensions: Vec<String>,
    increments: Vec<String>,
    changes: Vec<String>,
    ttl: Option<Seconds>,
    forced_ttl: Option<Seconds>,
    max_ttl: Seconds,
    soft_ttl: Option<Seconds>,
    stale_while_revalidate: Option<Seconds>,
    stale_if_error: Option<Seconds>,
    store: &'static str,
    consistency: &'static str,
    lease: Option<Seconds>,
}

/// A time, in seconds for machines.
#[derive(Debug)]
pub(super) struct Seconds(pub(super) Duration);

impl RuleView {
    pub(super) const COLUMNS: [&str; 9] = [
        "#", "rule", "methods", "matches", "mode", "key", "tags", "fresh", "at",
    ];

    pub(super) fn of(rule: &Rule, order: usize) -> RuleView {
        let brief = rule.brief();
        let terms = &rule.terms;
        let seconds = |time: Option<Duration>| time.map(Seconds);
        let place = rule.at.as_ref().map(|at| at.place);
        let lease = rule.refill.coalesce.filter(|coalesce| coalesce.shared);
        RuleView {
            order,
            id: rule.id.as_deref().unwrap_or_default().to_owned(),
            file: rule.at.as_ref().map(|at| at.file.to_string()),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            matches: brief.matches(),
            fresh: rule.life(),
            methods: brief.methods,
            hosts: brief.hosts,
            path: brief.path,
            headers: brief.headers,
            cache: rule.cache,
            mode: brief.mode,
            key: brief.key,
            safe: brief.safe,
            is_stored: brief.is_stored,
            tags: brief.tags,
            tags_from_body: brief.tags_from_body,
            dimensions: brief.dimensions,
            increments: brief.increments,
            changes: brief.changes,
            ttl: seconds(terms.ttl),
            forced_ttl: seconds(terms.forced_ttl),
            max_ttl: Seconds(terms.max_ttl),
            soft_ttl: seconds(terms.soft_ttl),
            stale_while_revalidate: seconds(terms.stale_while_revalidate),
            stale_if_error: seconds(terms.stale_if_error),
            store: match rule.kept_in {
                KeptIn::Default => "default",
                KeptIn::Memory => "memory",
                KeptIn::Redis => "redis",
            },
            consistency: word(rule.consistency),
            lease: seconds(lease.map(|coalesce| coalesce.lease)),
        }
    }

    /// What stands in the columns.
    pub(super) fn cells(&self) -> Vec<String> {
        let stored = |text: String| if self.is_stored { text } else { String::new() };
        let mut tags = [&self.tags[..], &self.tags_from_body].concat();
        if !self.dimensions.is_empty() {
            tags.push(format!("by {}", self.dimensions.join(" ")));
        }
        if !self.increments.is_empty() {
            tags.push(format!("increments {}", self.increments.join(" ")));
        }
        if !self.changes.is_empty() {
            tags.push(format!("changes {}", self.changes.join(" ")));
        }
        let at = self.file.iter().zip(self.line);
        vec![
            self.order.to_string(),
            self.id.clone(),
            self.methods.join(" "),
            self.matches.clone(),
            if self.cache {
                self.how()
            } else {
                "never stored".to_owned()
            },
            stored(self.key.join(" ")),
            tags.join(" "),
            stored(self.fresh.clone()),
            at.map(|(file, line)| format!("{file}:{line}")).collect(),
        ]
    }

    /// Its mode, and what of where and how it is stored is not the default.
    fn how(&self) -> String {
        let store = (self.store != "default").then(|| format!("store {}", self.store));
        let usual = word(Consistency::default());
        let consistency = (self.consistency != usual).then(|| self.consistency.to_owned());
        let lease = self.lease.as_ref();
        let lease = lease.map(|lease| format!("lease {lease}"));
        let more = [store, consistency, lease].into_iter().flatten();
        let more = more.filter(|_| self.is_stored);
        let all: Vec<String> = [self.mode.to_owned()].into_iter().chain(more).collect();
        all.join(", ")
    }
}

/// As in a file.
pub(super) fn word(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Bounded => "bounded",
        Consistency::Strict => "strict",
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written(self.0).fmt(f)
    }
}
