//! `tagalong stats`.

use std::io::Write;

use clap::Args;

use crate::admin::view::Counts;
use crate::admin::view::Histogram;
use crate::admin::view::Stats as View;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::remote::Remote;
use crate::cli::remote::health;
use crate::cli::table::Table;

/// Show a sidecar in numbers: what became of requests, in all and by rule, and what is stored.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong stats
  tagalong stats --json | jq .totals.hits
  TAGALONG_ADMIN=https://ops.example/shop tagalong stats")]
pub(in crate::cli) struct Stats {
    #[command(flatten)]
    remote: Remote,
}

impl Stats {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        self.remote
            .call(out, |client| Ok(client.stats()?), |stats| words(&stats))
    }
}

fn words(stats: &View) -> String {
    let mut rules = Table::headed(&COLUMNS);
    for rule in &stats.rules {
        rules.row(cells(super::rules::name(&rule.rule), &rule.counts));
    }
    rules.row(cells("all".to_owned(), &stats.totals));
    format!("{}\n{rules}{}", facts(stats), not_stored(&stats.totals))
}

fn facts(stats: &View) -> Table {
    let mut facts = Table::default();
    let mut fact = |name: &str, value: String| facts.row(vec![name.to_owned(), value]);
    let memory = &stats.memory;
    fact(
        "sidecar",
        format!("{}, tagalong {}", stats.sidecar, stats.version),
    );
    fact("namespace", stats.namespace.clone());
    fact("since", people::moment(&stats.since));
    fact("health", health::brief(&stats.health));
    fact("epoch", stats.epoch.to_string());
    let (entries, used) = (
        people::many(memory.entries, "record"),
        people::bytes(memory.bytes),
    );
    let most = people::bytes(memory.max_bytes);
    let evicted = people::count(memory.evictions);
    fact(
        "memory",
        format!("{entries}, {used} of {most}, {evicted} evicted"),
    );
    if let Some(redis) = &stats.redis {
        let keys = redis
            .keys
            .map(|keys| format!("{} of its keys are ours", people::count(keys)));
        let used = redis.used_memory_bytes;
        let used = used.map(|used| format!("{} used in all", people::bytes(used)));
        let connected = if redis.connected { "connected" } else { "away" };
        let parts = [Some(connected.to_owned()), keys, used];
        fact(
            "shared store",
            parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        );
        let lag = people::seconds(stats.log_lag_seconds);
        let trusted = if stats.fenced { "fenced" } else { "trusted" };
        let outbox = people::many(stats.outbox, "increment");
        fact(
            "its log",
            format!("{trusted}, last heard of {lag} ago, {outbox} to be sent"),
        );
    }
    let increments: Vec<String> = stats
        .increments
        .iter()
        .filter(|(_, times)| **times > 0)
        .map(|(source, times)| format!("{} by {source}", people::count(*times)))
        .collect();
    fact("tags", people::count(stats.tags));
    fact("increments", increments.join(", "));
    let (fills, queue) = (
        people::count(stats.fills_in_flight),
        people::count(stats.upstream_queue),
    );
    fact(
        "under way",
        format!("{fills} to be stored, {queue} wait for the app"),
    );
    for (name, latency) in [
        ("hits take", &stats.latency.hit),
        ("misses take", &stats.latency.miss),
        ("the app takes", &stats.latency.upstream),
    ] {
        fact(name, quantiles(latency));
    }
    facts
}

const COLUMNS: [&str; 10] = [
    "rule",
    "requests",
    "hit ratio",
    "hits",
    "stale",
    "misses",
    "collapsed",
    "bypass",
    "stored",
    "not stored",
];

fn cells(name: String, counts: &Counts) -> Vec<String> {
    // The hit ratio of docs/operations.md.
    let found = counts.hits.saturating_add(counts.stale);
    let looked_up = [counts.misses, counts.collapsed]
        .into_iter()
        .fold(found, u64::saturating_add);
    let not_stored = counts
        .not_stored
        .values()
        .fold(0, |sum: u64, n| sum.saturating_add(*n));
    let numbers = [
        counts.hits,
        counts.stale,
        counts.misses,
        counts.collapsed,
        counts.bypass,
        counts.stored,
        not_stored,
    ];
    let share = people::share(found, looked_up);
    [name, people::count(counts.requests), share]
        .into_iter()
        .chain(numbers.map(people::count))
        .collect()
}

/// Why what might have been stored was not, the most frequent reason first.
fn not_stored(totals: &Counts) -> String {
    let mut reasons: Vec<_> = totals.not_stored.iter().collect();
    reasons.sort_by_key(|(reason, times)| (u64::MAX - **times, *reason));
    if reasons.is_empty() {
        return String::new();
    }
    let mut table = Table::headed(&["not stored because of", "times"]);
    for (reason, times) in reasons {
        table.row(vec![reason.clone(), people::count(*times)]);
    }
    format!("\n{table}")
}

/// Between which bounds most measurements are.
fn quantiles(measured: &Histogram) -> String {
    if measured.count == 0 {
        return String::new();
    }
    let mean = people_seconds(measured.sum_seconds / measured.count as f64);
    let within = |share: f64| {
        let wanted = (measured.count as f64 * share).ceil() as u64;
        let bucket = measured.buckets.iter().find(|(_, all)| *all >= wanted);
        match (bucket, measured.buckets.last()) {
            (Some((bound, _)), _) => format!("within {}", people_seconds(*bound)),
            (None, Some((bound, _))) => format!("more than {}", people_seconds(*bound)),
            (None, None) => "unknown".to_owned(),
        }
    };
    format!(
        "{mean} on average, half {}, 99% {}",
        within(0.5),
        within(0.99)
    )
}

/// Less than a second in milliseconds and parts of them.
fn people_seconds(seconds: f64) -> String {
    match seconds {
        small if small < 0.001 => format!("{:.0} µs", small * 1e6),
        small if small < 0.01 => format!("{:.1} ms", small * 1e3),
        other => people::seconds(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let measured = Histogram {
            count: 100,
            sum_seconds: 0.25,
            buckets: vec![(0.001, 50), (0.005, 98), (1.0, 98)],
        };
        let expected = "2.5 ms on average, half within 1.0 ms, 99% more than 1 s";
        assert_eq!(quantiles(&measured), expected);
        assert_eq!(quantiles(&Histogram::default()), "");
    }
    #[test]
    fn the_hit_ratio_is_of_what_was_looked_up() {
        let counts = Counts {
            requests: 210,
            hits: 6,
            stale: 2,
            misses: 1,
            collapsed: 1,
            bypass: 100,
            refused: 100,
            ..Counts::default()
        };
        let cells = cells("all".to_owned(), &counts);
        assert_eq!(cells.get(2).map(String::as_str), Some("80.0%"));
    }
}
