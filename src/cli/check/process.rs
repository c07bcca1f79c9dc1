//! What is in force besides the rules.

use std::fmt;

use serde::Serialize;

use crate::cli::check::rule::Seconds;
use crate::cli::table::Table;
use crate::config::{Config, Limits};
use crate::model::units::Bytes;

/// The process, as far as it has to do with what is cached.
#[derive(Debug, Serialize)]
pub(super) struct ProcessView {
    namespace: String,
    listen: Vec<String>,
    upstream: String,
    store: StoreView,
    epoch: u64,
    unmatched: &'static str,
    limits: LimitsView,
}

#[derive(Debug, Serialize)]
struct StoreView {
    max_bytes: usize,
}

#[derive(Debug, Serialize)]
struct LimitsView {
    max_object: usize,
    max_tags: usize,
    max_tag_bytes: usize,
    max_head: usize,
    client_header_timeout: Seconds,
    client_body_timeout: Seconds,
    client_idle_timeout: Seconds,
}

impl ProcessView {
    pub(super) fn of(config: &Config) -> ProcessView {
        ProcessView {
            namespace: config.namespace.clone(),
            listen: config.listen.iter().map(ToString::to_string).collect(),
            upstream: config.upstream.targets.to_string(),
            store: StoreView {
                max_bytes: config.store.max_bytes,
            },
            epoch: config.rules.epoch(),
            unmatched: match config.rules.stores_unmatched() {
                true => "rfc9111",
                false => "bypass",
            },
            limits: LimitsView::of(&config.limits),
        }
    }
}

impl LimitsView {
    fn of(limits: &Limits) -> LimitsView {
        LimitsView {
            max_object: limits.max_object,
            max_tags: limits.tags.max_tags,
            max_tag_bytes: limits.tags.max_tag_bytes,
            max_head: limits.max_head,
            client_header_timeout: Seconds(limits.client_header_timeout),
            client_body_timeout: Seconds(limits.client_body_timeout),
            client_idle_timeout: Seconds(limits.client_idle_timeout),
        }
    }

    fn named(&self) -> [(&'static str, String); 7] {
        [
            ("max_object", Bytes(self.max_object).to_string()),
            ("max_tags", self.max_tags.to_string()),
            ("max_tag_bytes", Bytes(self.max_tag_bytes).to_string()),
            ("max_head", Bytes(self.max_head).to_string()),
            (
                "client_header_timeout",
                self.client_header_timeout.to_string(),
            ),
            ("client_body_timeout", self.client_body_timeout.to_string()),
            ("client_idle_timeout", self.client_idle_timeout.to_string()),
        ]
    }
}

impl fmt::Display for ProcessView {
    /// A line per fact; of the limits those that are not the default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        let mut fact = |name: &str, value: String| table.row(vec![name.to_owned(), value]);
        fact("namespace", self.namespace.clone());
        fact("listen", self.listen.join(", "));
        fact("upstream", self.upstream.clone());
        fact("store", format!("memory, {}", Bytes(self.store.max_bytes)));
        fact("epoch", self.epoch.to_string());
        fact("unmatched", self.unmatched.to_owned());
        let usual = LimitsView::of(&Limits::default()).named();
        let limits = self.limits.named().into_iter().zip(usual);
        for ((name, value), _) in limits.filter(|(limit, usual)| limit != usual) {
            fact(&format!("limits.{name}"), value);
        }
        table.fmt(f)
    }
}
