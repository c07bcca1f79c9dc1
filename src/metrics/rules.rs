//! What is counted for each rule. A rule holds its counters, so no request looks for them; what is told is what has been
//! counted for the rules in force, so a reload that brings new rules leaves nothing of the old ones behind but one sum.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use crate::metrics::Metrics;
use crate::metrics::instruments::Instrument;
use crate::metrics::labels::Answered;
use crate::metrics::labels::Label;
use crate::model::outcome::Failure;
use crate::model::outcome::Kind;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;
use crate::model::tally::Tallies;
use crate::model::tally::Tally;

/// What is counted for each rule in force. What has never happened is not told: most reasons never come to most rules.
#[derive(Debug)]
pub struct PerRule<C> {
    rules: Counted<C>,
    gone: Arc<Mutex<Gone<C>>>,
}

/// By the id of the rule.
type Counted<C> = Arc<Mutex<BTreeMap<Box<str>, Arc<C>>>>;

/// What was counted for rules that are no more in force.
#[derive(Debug, Default)]
struct Gone<C> {
    /// Those that requests under way still count for.
    going: Vec<Arc<C>>,
    /// All others.
    sum: C,
}

/// What is counted for one rule.
pub trait Cell: Default + fmt::Debug + Send + Sync + 'static {
    /// Tells it, with the id of the rule.
    fn tell(&self, rule: &str, metric: &mut MetricEncoder<'_>) -> fmt::Result;

    /// Counts what another has counted.
    fn take(&self, other: &Self);
}

/// How often each of several things has happened.
#[derive(Debug)]
pub struct Each<L> {
    /// By the place of the label.
    counts: Box<[AtomicU64]>,
    label: PhantomData<L>,
}

/// How often something has happened.
#[derive(Debug, Default)]
pub struct Once(AtomicU64);

/// How long something has taken, all in all.
#[derive(Debug, Default)]
pub struct Spent {
    nanos: AtomicU64,
}

/// What has been counted for one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Requests that were answered, by what became of them.
    pub requests: BTreeMap<&'static str, u64>,
    /// Responses that might have been stored and were not, by the reason.
    pub not_stored: BTreeMap<&'static str, u64>,
    /// Responses that were stored.
    pub stored: u64,
    /// How often the app has answered.
    pub loads: u64,
    /// How long that took, all in all, until the heads were there.
    pub load_time: Duration,
    /// Answers of the app that differ from what would have been served.
    pub differences: u64,
}

impl<L: Label> Default for Each<L> {
    fn default() -> Each<L> {
        Each {
            counts: L::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            label: PhantomData,
        }
    }
}

impl<L: Label> Each<L> {
    fn add(&self, label: L) {
        if let Some(count) = self.counts.get(label.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that have happened.
    fn happened(&self) -> impl Iterator<Item = (L, u64)> {
        let counts = self.counts.iter().map(|n| n.load(Ordering::Relaxed));
        let each = L::ALL.iter().copied().zip(counts);
        each.filter(|(_, count)| *count > 0)
    }

    fn read(&self) -> BTreeMap<&'static str, u64> {
        let happened = self.happened();
        happened.map(|(label, n)| (label.word(), n)).collect()
    }
}

impl<L: Label> Cell for Each<L> {
    fn tell(&self, rule: &str, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        for (label, count) in self.happened() {
            let labels = [("rule", rule), (L::NAME, label.word())];
            ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn take(&self, other: &Each<L>) {
        for (ours, theirs) in self.counts.iter().zip(&other.counts) {
            ours.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

impl Once {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Cell for Once {
    fn tell(&self, rule: &str, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match self.read() {
            0 => Ok(()),
            n => ConstCounter::new(n).encode(metric.encode_family(&[("rule", rule)])?),
        }
    }

    fn take(&self, other: &Once) {
        self.0.fetch_add(other.read(), Ordering::Relaxed);
    }
}

impl Spent {
    fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn read(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

impl Cell for Spent {
    fn tell(&self, rule: &str, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        let time = self.read();
        if time.is_zero() {
            return Ok(());
        }
        ConstCounter::new(time.as_secs_f64()).encode(metric.encode_family(&[("rule", rule)])?)
    }

    fn take(&self, other: &Spent) {
        self.add(other.read());
    }
}

impl<C: Cell> Gone<C> {
    /// Adds those up that nobody counts for any more.
    fn settle(&mut self) {
        let (going, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.going)
            .into_iter()
            .partition(|cell| Arc::strong_count(cell) > 1);
        self.going = going;
        for cell in gone {
            self.sum.take(&cell);
        }
    }
}

impl<C: Cell> Default for PerRule<C> {
    fn default() -> PerRule<C> {
        PerRule {
            rules: Arc::default(),
            gone: Arc::default(),
        }
    }
}

impl<C: Cell> PerRule<C> {
    /// What is counted for these rules, and was for those that were there before. The others are told in the sum of all alone.
    fn of(&self, ids: &[&str]) -> Vec<Arc<C>> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *rules);
        let cells = ids.iter().map(|id| {
            let there = rules.get(*id).cloned();
            let cell = there.or_else(|| before.remove(*id)).unwrap_or_default();
            rules.insert((*id).into(), Arc::clone(&cell));
            cell
        });
        let cells = cells.collect();
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.going.extend(before.into_values());
        gone.settle();
        cells
    }

    /// What has been counted for all rules together, those too that are no more in force.
    fn sum(&self) -> C {
        let sum = C::default();
        // Under this lock, so that none goes meanwhile.
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let all = rules.values().chain(&gone.going).map(|cell| &**cell);
        for cell in all.chain([&gone.sum]) {
            sum.take(cell);
        }
        sum
    }

    /// All, each with the id of its rule. A copy of the pointers: who reads slowly keeps no reload waiting.
    fn each(&self) -> BTreeMap<Box<str>, Arc<C>> {
        let rules = self.rules.lock();
        rules.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<C: Cell> Instrument for PerRule<C> {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register_collector(Box::new(Told {
            name,
            help: format!("{help}."), // as the library does for the others
            cells: PerRule {
                rules: Arc::clone(&self.rules),
                gone: Arc::clone(&self.gone),
            },
        }));
    }
}

struct Told<C> {
    name: &'static str,
    help: String,
    cells: PerRule<C>,
}

impl<C> fmt::Debug for Told<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<C: Cell> Collector for Told<C> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut metric = encoder.encode_descriptor(self.name, &self.help, None, kind)?;
        for (rule, cell) in self.cells.each() {
            cell.tell(&rule, &mut metric)?;
        }
        Ok(())
    }
}

/// What is counted for the requests of one rule, and of all together.
#[derive(Debug)]
struct OfRule {
    requests: Arc<Each<Kind>>,
    not_stored: Arc<Each<NoStore>>,
    stored: Arc<Once>,
    answers: Arc<Once>,
    answering: Arc<Spent>,
    differences: Arc<Once>,
    all: Metrics,
}

impl Tally for OfRule {
    fn request(&self, outcome: Outcome, took: Duration) {
        self.requests.add(outcome.kind());
        self.all.request_duration.add(outcome.kind(), took);
    }

    fn not_stored(&self, reason: NoStore) {
        self.not_stored.add(reason);
    }

    fn stored(&self) {
        self.stored.add();
    }

    fn asked(&self, answer: Result<StatusCode, Failure>, took: Duration) {
        if let Some(answered) = Answered::of(answer) {
            self.all.upstream_results.add(answered);
        }
        if answer.is_ok() {
            self.answers.add();
            self.answering.add(took);
            self.all.upstream_duration.add(took);
        }
    }

    fn differs(&self) {
        self.differences.add();
    }
}

impl Tallies for Metrics {
    fn tallies(&self, rules: &[&str]) -> Vec<Arc<dyn Tally>> {
        let mut not_stored = self.not_stored.of(rules).into_iter();
        let mut stored = self.stored.of(rules).into_iter();
        let mut answers = self.upstream_answers.of(rules).into_iter();
        let mut answering = self.upstream_seconds.of(rules).into_iter();
        let mut differences = self.shadow_differences.of(rules).into_iter();
        let requests = self.requests.of(rules).into_iter();
        let of_rule = |requests| {
            let of_rule = OfRule {
                requests,
                not_stored: not_stored.next()?,
                stored: stored.next()?,
                answers: answers.next()?,
                answering: answering.next()?,
                differences: differences.next()?,
                all: self.clone(),
            };
            Some(Arc::new(of_rule) as Arc<dyn Tally>)
        };
        requests.map_while(of_rule).collect() // as many of each as there are rules
    }
}

impl Metrics {
    /// What has been counted for each rule in force, by its id; the empty one is that of requests that no rule matches.
    pub fn by_rule(&self) -> Vec<(Box<str>, RuleCounts)> {
        let (not_stored, stored) = (self.not_stored.each(), self.stored.each());
        let (answers, answering) = (self.upstream_answers.each(), self.upstream_seconds.each());
        let differences = self.shadow_differences.each();
        let requests = self.requests.each().into_iter();
        let counts = requests.map(|(rule, requests)| {
            let once = |of: &BTreeMap<_, Arc<Once>>| of.get(&rule).map_or(0, |it| it.read());
            let counts = RuleCounts {
                requests: requests.read(),
                not_stored: not_stored
                    .get(&rule)
                    .map(|it| it.read())
                    .unwrap_or_default(),
                stored: once(&stored),
                loads: once(&answers),
                load_time: answering.get(&rule).map_or(Duration::ZERO, |it| it.read()),
                differences: once(&differences),
            };
            (rule, counts)
        });
        counts.collect()
    }

    /// What has been counted since the start for all requests, those too of rules that are no more in force.
    pub fn in_all(&self) -> RuleCounts {
        RuleCounts {
            requests: self.requests.sum().read(),
            not_stored: self.not_stored.sum().read(),
            stored: self.stored.sum().read(),
            loads: self.upstream_answers.sum().read(),
            load_time: self.upstream_seconds.sum().read(),
            differences: self.shadow_differences.sum().read(),
        }
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

    const TOOK: Duration = Duration::from_micros(1_500);

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
        tallies[0].request(HIT, TOOK);
        tallies[0].request(HIT, TOOK);
        tallies[1].request(Outcome::Refused(Refusal::Waited), TOOK);
        tallies[2].request(HIT, TOOK);
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
            tally.request(HIT, TOOK);
        }
        let after = metrics.tallies(&["comes", "stays"]);
        before[1].request(HIT, TOOK); // one that was under way, of a rule that is gone
        before[0].request(HIT, TOOK); // one that was under way, of a rule that stays
        after[1].request(HIT, TOOK);
        assert_eq!(
            told(&metrics),
            [r#"tagalong_requests_total{rule="stays",outcome="hit"} 3"#]
        );
        for n in 0..1_000 {
            metrics.tallies(&[&n.to_string()])[0].request(HIT, TOOK);
        }
        assert_eq!(told(&metrics).len(), 1);
        drop((before, after));
        let last = metrics.tallies(&["999"]);
        last[0].asked(Ok(StatusCode::OK), TOOK);
        let in_all = metrics.in_all();
        assert_eq!(in_all.requests, [("hit", 1_005)].into(), "none is lost");
        assert_eq!((in_all.loads, in_all.load_time), (1, TOOK));
        let gone = metrics.requests.gone.lock().unwrap();
        assert_eq!(gone.going.len(), 0);
    }

    #[test]
    fn what_was_counted_is_read_again_by_rule_and_for_all_together() {
        let metrics = Metrics::default();
        let tallies = metrics.tallies(&["books", ""]);
        tallies[0].request(HIT, TOOK);
        tallies[0].request(Outcome::Refused(Refusal::OnlyIfCached), TOOK);
        tallies[0].asked(Ok(StatusCode::OK), TOOK);
        tallies[0].asked(Ok(StatusCode::BAD_GATEWAY), TOOK * 2);
        tallies[0].asked(Err(Failure::TimedOut), TOOK * 100);
        tallies[0].stored();
        tallies[1].asked(Ok(StatusCode::OK), TOOK);
        tallies[1].not_stored(NoStore::Private);
        tallies[1].differs();
        let books = RuleCounts {
            requests: [("hit", 1), ("only-if-cached", 1)].into(),
            stored: 1,
            loads: 2,
            load_time: TOOK * 3,
            ..RuleCounts::default()
        };
        let unmatched = RuleCounts {
            not_stored: [("private", 1)].into(),
            loads: 1,
            load_time: TOOK,
            differences: 1,
            ..RuleCounts::default()
        };
        let expected = [("".into(), unmatched), ("books".into(), books)];
        assert_eq!(metrics.by_rule(), expected);
        let latency = metrics.latency();
        assert_eq!((latency.hit.count, latency.hit.sum_seconds), (1, 0.001_5));
        assert_eq!(latency.miss.count, 0, "the app did not answer that one");
        assert_eq!(
            (latency.upstream.count, latency.upstream.sum_seconds),
            (3, 0.006)
        );
        let results = metrics.upstream_results.each().filter(|(_, n)| *n > 0);
        let results: Vec<_> = results.map(|(result, n)| (result.word(), n)).collect();
        assert_eq!(results, [("2xx", 2), ("5xx", 1), ("timed-out", 1)]);
    }
}
