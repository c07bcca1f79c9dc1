//! What is counted for each rule. A rule holds its counters, so no request looks for them; what is told is what has been
//! counted for the rules in force, so a reload that brings new rules leaves nothing of the old ones behind.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use crate::metrics::Metrics;
use crate::metrics::instruments::Instrument;
use crate::metrics::labels::Label;
use crate::model::outcome::Kind;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;
use crate::model::tally::Tallies;
use crate::model::tally::Tally;

/// How often each of several things has happened to requests of each rule in force. What has never happened is not told: most
/// reasons never come to most rules.
#[derive(Debug)]
pub struct PerRule<L> {
    rules: Arc<Mutex<BTreeMap<Box<str>, Counts>>>,
    label: PhantomData<L>,
}

/// The counters of one rule, by the place of the label.
type Counts = Arc<[AtomicU64]>;

impl<L> Default for PerRule<L> {
    fn default() -> PerRule<L> {
        PerRule {
            rules: Arc::default(),
            label: PhantomData,
        }
    }
}

impl<L: Label> PerRule<L> {
    /// The counters of these rules, those of rules that were there before among them. The others are told no more.
    fn of(&self, ids: &[&str]) -> Vec<Counts> {
        let none = || L::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *rules);
        let counts = ids.iter().map(|id| {
            let there = rules.get(*id).cloned();
            let counts = there.or_else(|| before.remove(*id)).unwrap_or_else(none);
            rules.insert((*id).into(), Arc::clone(&counts));
            counts
        });
        counts.collect()
    }
}

impl<L: Label> Instrument for PerRule<L> {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register_collector(Box::new(Told::<L> {
            name,
            help: format!("{help}."), // as the library does for the others
            rules: Arc::clone(&self.rules),
            label: PhantomData,
        }));
    }
}

struct Told<L> {
    name: &'static str,
    help: String,
    rules: Arc<Mutex<BTreeMap<Box<str>, Counts>>>,
    label: PhantomData<L>,
}

impl<L> fmt::Debug for Told<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<L: Label> Collector for Told<L> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut metric = encoder.encode_descriptor(self.name, &self.help, None, kind)?;
        // A copy of the pointers: who reads slowly keeps no reload waiting.
        let rules = self
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (rule, counts) in &rules {
            for (label, count) in L::ALL.iter().zip(counts.iter()) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [("rule", &**rule), (L::NAME, label.word())];
                    ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

/// The counters of one rule.
#[derive(Debug)]
struct OfRule {
    requests: Counts,
    not_stored: Counts,
}

impl Tally for OfRule {
    fn request(&self, outcome: Outcome) {
        add::<Kind>(&self.requests, outcome.kind());
    }

    fn not_stored(&self, reason: NoStore) {
        add::<NoStore>(&self.not_stored, reason);
    }
}

fn add<L: Label>(counts: &Counts, label: L) {
    if let Some(count) = counts.get(label.index()) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tallies for Metrics {
    fn tallies(&self, rules: &[&str]) -> Vec<Arc<dyn Tally>> {
        let requests = self.requests.of(rules).into_iter();
        let not_stored = self.not_stored.of(rules);
        let of_rule = |(requests, not_stored)| {
            Arc::new(OfRule {
                requests,
                not_stored,
            }) as Arc<dyn Tally>
        };
        requests.zip(not_stored).map(of_rule).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Refusal;

    const HIT: Outcome = Outcome::Hit {
        ttl: 1,
        stale: None,
    };

    fn told(metrics: &Metrics) -> Vec<String> {
        let text = metrics.text();
        let samples = text.lines().filter(|line| line.contains("{rule="));
        samples.map(str::to_owned).collect()
    }

    #[test]
    fn what_has_happened_to_requests_of_a_rule_is_told_by_rule_and_word() {
        let metrics = Metrics::default();
        let tallies = metrics.tallies(&["books", "a\"\\b\nc", ""]);
        assert_eq!(told(&metrics), [""; 0], "nothing has happened");
        tallies[0].request(HIT);
        tallies[0].request(HIT);
        tallies[1].request(Outcome::Refused(Refusal::Waited));
        tallies[2].request(HIT);
        tallies[2].not_stored(NoStore::SetCookie);
        assert_eq!(
            told(&metrics),
            [
                r#"tagalong_requests_total{rule="",outcome="hit"} 1"#,
                r#"tagalong_requests_total{rule="a\"\\b\nc",outcome="coalesce-timeout"} 1"#,
                r#"tagalong_requests_total{rule="books",outcome="hit"} 2"#,
                r#"tagalong_not_stored_total{rule="",reason="set-cookie"} 1"#,
            ]
        );
    }

    #[test]
    fn a_reload_keeps_the_counts_of_rules_that_stay_and_leaves_none_of_those_that_go() {
        let metrics = Metrics::default();
        let before = metrics.tallies(&["stays", "goes"]);
        for tally in &before {
            tally.request(HIT);
        }
        let after = metrics.tallies(&["comes", "stays"]);
        before[1].request(HIT); // one that was under way, of a rule that is gone
        before[0].request(HIT); // one that was under way, of a rule that stays
        after[1].request(HIT);
        assert_eq!(
            told(&metrics),
            [r#"tagalong_requests_total{rule="stays",outcome="hit"} 3"#]
        );
        for n in 0..1_000 {
            metrics.tallies(&[&n.to_string()])[0].request(HIT);
        }
        assert_eq!(told(&metrics).len(), 1);
    }
}
