//! What is counted and measured, as Prometheus reads it. Every metric stands in the one table of this file, with its type, its
//! name and what it says; `docs/operations.md` is held to it by a test.
//!
//! To count is an atomic addition: which counter it is, is known before. Labels are closed sets of words and the ids of rules,
//! which come from files; nothing that a client sends becomes a label. Each [`Metrics`] has a registry of its own: two sidecars in
//! one process do not count together (L15).

mod instruments;
mod labels;
mod rules;
mod timing;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use instruments::Counter;
pub use instruments::Counters;
pub use instruments::Flag;
pub use instruments::Held;
pub use instruments::Level;
pub use instruments::Levels;
pub use instruments::Seconds;
pub use labels::Answered;
pub use labels::CallStatus;
pub use labels::Foreign;
pub use labels::Label;
pub use labels::LeaseEnd;
pub use labels::ObjectChange;
pub use labels::Sent;
pub use labels::SharedError;
pub use labels::SharedLookup;
pub use labels::Source;
pub use labels::Tier;
pub use rules::Each;
pub use rules::Once;
pub use rules::PerRule;
pub use rules::RuleCounts;
pub use rules::Spent;
pub use timing::Histogram;
pub use timing::Timing;
pub use timing::Timings;

use crate::metrics::instruments::Instrument;
use crate::model::outcome::Kind;
use crate::model::outcome::NoStore;

/// Makes the table, and what enters all of it in a registry.
macro_rules! table {
    ($($field:ident: $type:ty = $name:literal, $help:literal;)+) => {
        /// Every metric.
        #[derive(Debug, Default)]
        pub struct Table {
            $(
                #[doc = $help]
                pub $field: $type,
            )+
        }

        impl Table {
            fn enter(&self, registry: &mut Registry) {
                $(self.$field.enter(registry, $name, $help);)+
            }
        }
    };
}

// The names without `tagalong_` before them, and those of counters without `_total` behind them, which is added.
table! {
    requests: PerRule<Each<Kind>> = "requests", "Requests answered, by their rule (empty where none matches) and by what became of them";
    request_duration: Timings<Kind> = "request_duration_seconds", "Time from a request's head until that of its answer, in seconds, by what became of it";
    not_stored: PerRule<Each<NoStore>> = "not_stored", "Responses that might have been stored and were not, by the rule of their request and by the reason";
    stored: PerRule<Once> = "stored", "Responses that were stored, those that made fresh what was stored among them, by the rule of their request";
    upstream_duration: Timing = "upstream_duration_seconds", "Time from asking the app until the head of its answer, in seconds, the wait for a turn not included";
    upstream_results: Counters<Answered> = "upstream_results", "Exchanges with the app, by the class of its status or by what was wrong";
    upstream_answers: PerRule<Once> = "upstream_answers", "Answers of the app, by the rule of the request";
    upstream_seconds: PerRule<Spent> = "upstream_seconds", "Time that those took until their heads were there, in seconds, by the rule of the request";
    upstream_exchanges: Level = "upstream_exchanges", "Exchanges with the app that have their turn";
    upstream_queue: Level = "upstream_queue", "Exchanges that wait for their turn";
    fill_duration: Timing = "fill_duration_seconds", "Time from the beginning of a fill until its response was whole, given to one client, or lost, in seconds";
    fills_in_flight: Level = "fills_in_flight", "Fills that have begun and not ended";
    shadow_differences: PerRule<Once> = "shadow_differences", "Answers of the app that differ from what would have been served, by the rule that only looks on";
    evictions: Counters<Tier> = "evictions", "Entries that had to leave the store for want of room";
    store_entries: Levels<Tier> = "store_entries", "Records in the store, when this was read: responses, those too that are over, and notes of what varies or could not be stored";
    store_bytes: Levels<Tier> = "store_bytes", "Bytes of all entries in the store, bookkeeping included, when this was read";
    tags: Level = "tags", "Tags whose versions are known here, when this was read";
    increments: Counters<Source> = "increments", "Tags that were given a new version, those that stand for URLs among them, by who said so";
    increments_deferred: Counter = "increments_deferred", "Increments that the shared store could not take before the reply went out";
    outbox: Level = "outbox", "Increments that wait for the shared store";
    outbox_overflows: Counter = "outbox_overflows", "Times that the outbox was full";
    fenced: Flag = "fenced", "1 while the tag versions known here are not trusted, else 0";
    log_lag: Seconds = "log_lag_seconds", "Time since the log of increments was last heard of, in seconds";
    log_gaps: Counter = "log_gaps", "Times that the log of increments had been trimmed before it was read";
    generations: Counter = "generations", "Times that the shared store was seen to be another than before";
    shared_connected: Flag = "shared_connected", "1 while the shared store is connected, else 0";
    shared_errors: Counters<SharedError> = "shared_errors", "Commands to the shared store that failed, by what was wrong";
    shared_lookups: Counters<SharedLookup> = "shared_lookups", "Lookups in the shared store, by what was found";
    store_foreign: Counters<Foreign> = "store_foreign", "Entries found in the shared store that this version cannot read, by why";
    leases: Counters<LeaseEnd> = "leases", "Fills that were to be the only one of all sidecars, by how that went";
    admin_calls: Counters<CallStatus> = "admin_calls", "Calls of the admin interface, by the class of their status";
    object_changes: Counters<ObjectChange> = "object_changes", "Values of the app's own that were put or deleted by calls of the admin interface";
    event_streams: Level = "event_streams", "Callers of the admin interface that are told of events as they happen";
    panics: Counter = "panics", "Mistakes of the sidecar's own that were the end of a task (panics); the log tells which";
    trace_exports: Counters<Sent> = "trace_exports", "Batches of spans that were to be sent, by whether they were";
    rules_reload_failed: Flag = "rules_reload_failed", "1 while the files are wrong and the rules from before stay in force, else 0";
}

/// The metrics of one sidecar. Clones are the same.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    table: Table,
    registry: Registry,
}

impl Metrics {
    /// How [`Metrics::text`] is labelled.
    pub const CONTENT_TYPE: &'static str = prometheus_text::CONTENT_TYPE;

    /// All as they are now, in the text format of Prometheus (0.0.4).
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.0.registry)
            .expect("writing to a string does not fail");
        text
    }

    /// How long things have taken.
    pub fn latency(&self) -> Latency {
        let requests = &self.request_duration;
        Latency {
            hit: requests.read(|kind| matches!(kind, Kind::Hit | Kind::Stale)),
            miss: requests.read(Kind::is_the_apps),
            upstream: self.upstream_duration.read(),
        }
    }
}

/// How long things have taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Requests that were answered from the store, until the heads of their answers.
    pub hit: Histogram,
    /// Requests that the app has answered, the same.
    pub miss: Histogram,
    /// The app, until the heads of its answers.
    pub upstream: Histogram,
}

impl Default for Metrics {
    /// Nothing has been counted.
    fn default() -> Metrics {
        let table = Table::default();
        let mut registry = Registry::with_prefix("tagalong");
        table.enter(&mut registry);
        let build = Family::<[(&str, &str); 1], Gauge>::default();
        build
            .get_or_create(&[("version", env!("CARGO_PKG_VERSION"))])
            .set(1);
        registry.register("build_info", "Always 1; the version is in the label", build);
        Metrics(Arc::new(Inner { table, registry }))
    }
}

impl Deref for Metrics {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.0.table
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.table.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn lines(metrics: &Metrics) -> BTreeSet<String> {
        metrics.text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        let other = Metrics::default();
        let clone = metrics.clone();
        clone.shared_errors.add(SharedError::NoScript);
        clone.shared_errors.add(SharedError::NoScript);
        clone.increments.add_many(Source::Repeat, 7);
        clone.log_gaps.add();
        clone.fenced.set(true);
        clone.outbox.set(12);
        clone.log_lag.set(Duration::from_millis(1_500));
        clone.store_bytes.set(Tier::Memory, 4_096);
        clone.fill_duration.add(Duration::from_millis(2));
        let _one = clone.fills_in_flight.hold();
        drop(clone.fills_in_flight.hold());
        let told = lines(&metrics);
        for line in [
            "tagalong_shared_errors_total{kind=\"no-script\"} 2",
            "tagalong_shared_errors_total{kind=\"timeout\"} 0",
            "tagalong_increments_total{source=\"repeat\"} 7",
            "tagalong_log_gaps_total 1",
            "tagalong_fenced 1",
            "tagalong_shared_connected 0",
            "tagalong_outbox 12",
            "tagalong_log_lag_seconds 1.5",
            "tagalong_store_bytes{tier=\"memory\"} 4096",
            concat!(
                "tagalong_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
            "# TYPE tagalong_shared_errors_total counter",
            "# TYPE tagalong_outbox gauge",
            "# TYPE tagalong_request_duration_seconds histogram",
            "tagalong_request_duration_seconds_bucket{outcome=\"stale\",le=\"5e-05\"} 0",
            "tagalong_request_duration_seconds_count{outcome=\"stale\"} 0",
            "tagalong_fill_duration_seconds_bucket{le=\"0.0025\"} 1",
            "tagalong_fill_duration_seconds_bucket{le=\"+Inf\"} 1",
            "tagalong_fill_duration_seconds_sum 0.002",
            "tagalong_fills_in_flight 1",
        ] {
            assert!(told.contains(line), "{line} is not in\n{}", metrics.text());
        }
        assert!(lines(&other).contains("tagalong_log_gaps_total 0"), "L15");
    }

    #[test]
    fn each_metric_has_a_name_of_its_own_and_one_sentence() {
        let text = Metrics::default().text();
        let mut seen = BTreeSet::new();
        for help in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
            let (name, sentence) = help.split_once(' ').unwrap();
            assert!(name.starts_with("tagalong_"), "{name}");
            assert!(seen.insert(name), "{name} is there twice");
            assert!(
                sentence.ends_with('.') && !sentence.ends_with(".."),
                "{help}"
            );
        }
        assert_eq!(seen.len(), text.matches("# TYPE ").count());
    }
}
