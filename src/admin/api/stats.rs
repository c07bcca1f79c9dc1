//! The sidecar in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::admin::Admin;
use crate::admin::view;
use crate::admin::view::Counts;
use crate::admin::view::Health;
use crate::admin::view::Latency;
use crate::admin::view::MemoryStore;
use crate::admin::view::RedisStore;
use crate::admin::view::RuleCounts;
use crate::admin::view::Stats;
use crate::cache::Holdings;
use crate::metrics;
use crate::metrics::Metrics;
use crate::metrics::Tier;
use crate::model::outcome::Kind;
use crate::rules::RuleSet;

/// `GET /v1/stats`.
pub(super) async fn stats(State(admin): State<Admin>) -> Response {
    admin.parts().cache.take_census().await;
    view::json(StatusCode::OK, &admin.stats().await)
}

impl Admin {
    /// The sidecar in numbers.
    pub(in crate::admin) async fn stats(&self) -> Stats {
        let parts = self.parts();
        parts.cache.measure();
        let metrics = &parts.metrics;
        let in_force = parts.rules.load();
        let rules = self.counts(&in_force);
        let latency = metrics.latency();
        Stats {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            namespace: parts.namespace.clone(),
            sidecar: parts.sidecar.clone(),
            since: self.0.since.into(),
            now: parts.cache.now().into(),
            epoch: in_force.epoch(),
            health: Health::from(parts.checkup.health()),
            totals: metrics.in_all().into(),
            rules,
            memory: MemoryStore {
                entries: metrics.store_entries.get(Tier::Memory),
                bytes: metrics.store_bytes.get(Tier::Memory),
                max_bytes: parts.max_bytes as u64,
                evictions: evicted(metrics),
            },
            redis: parts.cache.holdings().map(RedisStore::from),
            tags: metrics.tags.get(),
            increments: metrics
                .increments
                .each()
                .map(|(source, count)| (source.word().to_owned(), count))
                .collect(),
            fills_in_flight: metrics.fills_in_flight.get(),
            upstream_queue: metrics.upstream_queue.get(),
            outbox: metrics.outbox.get(),
            fenced: metrics.fenced.get(),
            log_lag_seconds: metrics.log_lag.get(),
            latency: Latency {
                hit: latency.hit.into(),
                miss: latency.miss.into(),
                upstream: latency.upstream.into(),
            },
        }
    }

    /// What was counted for each of these rules, in their order, and at last for what none matches.
    pub(super) fn counts(&self, rules: &RuleSet) -> Vec<RuleCounts> {
        let mut counted: BTreeMap<Box<str>, metrics::RuleCounts> =
            self.parts().metrics.by_rule().into_iter().collect();
        let ids = rules.rules().iter().filter_map(|rule| rule.id.as_deref());
        let of_rule = |id: &str| RuleCounts {
            rule: id.to_owned(),
            counts: counted.remove(id).unwrap_or_default().into(),
        };
        ids.chain([""]).map(of_rule).collect()
    }
}

impl From<metrics::RuleCounts> for Counts {
    fn from(counted: metrics::RuleCounts) -> Counts {
        let metrics::RuleCounts {
            requests,
            not_stored,
            stored,
            loads,
            load_time,
            differences: _,
        } = counted;
        let of = |kinds: &[Kind]| -> u64 {
            let counts = kinds.iter().filter_map(|kind| requests.get(kind.word()));
            counts.sum()
        };
        Counts {
            requests: requests.values().sum(),
            hits: of(&[Kind::Hit]),
            stale: of(&[Kind::Stale]),
            misses: of(&[Kind::Miss, Kind::Expired, Kind::Invalidated, Kind::Request]),
            collapsed: of(&[Kind::Collapsed]),
            bypass: of(&[Kind::Bypass, Kind::Method]),
            refused: of(&[
                Kind::OnlyIfCached,
                Kind::Overloaded,
                Kind::Waited,
                Kind::Broken,
            ]),
            stored,
            not_stored: named(not_stored),
            outcomes: named(requests),
            load_seconds: seconds(load_time),
            loads,
        }
    }
}

impl From<Holdings> for RedisStore {
    fn from(holdings: Holdings) -> RedisStore {
        RedisStore {
            connected: holdings.connected,
            keys: holdings.keys,
            used_memory_bytes: holdings.used_memory,
        }
    }
}

fn evicted(metrics: &Metrics) -> u64 {
    let memory = metrics
        .evictions
        .each()
        .filter(|(tier, _)| *tier == Tier::Memory);
    memory.map(|(_, count)| count).sum()
}

fn named(counts: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    let counted = counts.into_iter().filter(|(_, count)| *count > 0);
    counted
        .map(|(word, count)| (word.to_owned(), count))
        .collect()
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

impl From<metrics::Histogram> for view::Histogram {
    fn from(measured: metrics::Histogram) -> view::Histogram {
        view::Histogram {
            count: measured.count,
            sum_seconds: measured.sum_seconds,
            buckets: measured.buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::words::Word;

    #[test]
    fn each_outcome_is_counted_in_one_column() {
        let requests = Kind::ALL.iter().zip(1..);
        let requests: BTreeMap<_, u64> = requests.map(|(kind, n)| (kind.word(), 1 << n)).collect();
        let counts = Counts::from(metrics::RuleCounts {
            requests,
            not_stored: [("raced", 2), ("vary", 0)].into(),
            ..metrics::RuleCounts::default()
        });
        let columns = [
            counts.hits,
            counts.stale,
            counts.misses,
            counts.collapsed,
            counts.bypass,
            counts.refused,
        ];
        assert_eq!(columns.iter().sum::<u64>(), counts.requests);
        assert_eq!(counts.requests, (1 << (Kind::ALL.len() + 1)) - 2);
        assert_eq!(counts.not_stored, [("raced".to_owned(), 2)].into());
    }
}
