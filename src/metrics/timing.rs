//! How long things take, counted in buckets: to count is two atomic additions, and what was counted can be read again. Each thread
//! has a stripe of the counts, which few others write: cores that answer hits do not wait for one line of memory.

use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use crate::metrics::instruments::Instrument;
use crate::metrics::instruments::Labels;
use crate::metrics::instruments::each;
use crate::metrics::labels::Label;

/// The upper bounds of the buckets, in microseconds: a hit takes tens of them, an app seconds.
const BOUNDS: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// How long so many things have taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// How many.
    pub count: u64,
    /// All of them together, in seconds.
    pub sum_seconds: f64,
    /// How many took so many seconds at most: upper bounds, rising, and counts, each with all before it. Those that took longer
    /// than the last bound are in `count` alone.
    pub buckets: Vec<(f64, u64)>,
}

/// What stands in the buckets at a moment, each by itself, and the sum in nanoseconds.
#[derive(Default)]
struct Reading {
    counts: [u64; BOUNDS.len() + 1],
    nanos: u64,
}

impl Reading {
    /// Both together.
    fn and(mut self, other: &Reading) -> Reading {
        for (one, more) in self.counts.iter_mut().zip(other.counts) {
            *one += more;
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
        self
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn sum(&self) -> f64 {
        seconds(self.nanos)
    }

    /// Each bucket with its upper bound in seconds; the last one has none.
    fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS.iter().map(|micros| seconds(micros * 1_000));
        bounds.chain([f64::INFINITY]).zip(self.counts)
    }
}

impl From<Reading> for Histogram {
    fn from(reading: Reading) -> Histogram {
        let mut before = 0;
        let buckets = reading.buckets().take(BOUNDS.len()).map(|(bound, n)| {
            before += n;
            (bound, before)
        });
        Histogram {
            buckets: buckets.collect(),
            count: reading.count(),
            sum_seconds: reading.sum(),
        }
    }
}

/// How long each of many things has taken. Clones are the same.
#[derive(Clone, Debug)]
pub struct Timing(Arc<[Buckets]>);

/// More stripes than this gain nothing on the machines sidecars run on.
const MOST_STRIPES: usize = 32;

impl Default for Timing {
    /// With a stripe for each core.
    fn default() -> Timing {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let stripes = 0..cores.min(MOST_STRIPES);
        Timing(stripes.map(|_| Buckets::default()).collect())
    }
}

thread_local! {
    /// The number of this thread: they are counted from one.
    static NUMBER: usize = {
        let mut number = Number(0);
        thread::current().id().hash(&mut number);
        usize::try_from(number.0).unwrap_or(0)
    };
}

/// Takes the number that is hashed as it is.
struct Number(u64);

impl Hasher for Number {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One stripe, on lines of memory that no other has; processors fetch two of 64 bytes at once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Buckets {
    /// In the order of the bounds; those beyond the last are in one more.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Timing {
    /// One more has taken so long.
    pub fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|micros| micros * 1_000 < nanos);
        // A thread that ends has no number any more.
        let number = NUMBER.try_with(|number| *number).unwrap_or(0);
        let Some(stripe) = self.0.get(number % self.0.len()) else {
            return;
        };
        if let Some(count) = stripe.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        stripe.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What has been counted so far.
    pub fn read(&self) -> Histogram {
        self.reading().into()
    }

    fn reading(&self) -> Reading {
        let stripes = self.0.iter().map(Buckets::reading);
        stripes.fold(Reading::default(), |sum, stripe| sum.and(&stripe))
    }
}

impl Buckets {
    fn reading(&self) -> Reading {
        let mut reading = Reading::default();
        for (there, count) in reading.counts.iter_mut().zip(&self.counts) {
            *there = count.load(Ordering::Relaxed);
        }
        reading.nanos = self.nanos.load(Ordering::Relaxed);
        reading
    }
}

impl TypedMetric for Timing {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Timing {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let reading = self.reading();
        let buckets: Vec<(f64, u64)> = reading.buckets().collect();
        encoder.encode_histogram::<NoLabelSet>(reading.sum(), reading.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Timing::TYPE
    }
}

impl Instrument for Timing {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.clone());
    }
}

/// How long each of several kinds of things has taken. All are told from the beginning. Clones are the same.
#[derive(Clone, Debug)]
pub struct Timings<L> {
    family: Family<Labels, Timing>,
    /// By the place of the label.
    each: Box<[Timing]>,
    label: PhantomData<L>,
}

impl<L: Label> Default for Timings<L> {
    fn default() -> Timings<L> {
        let family = Family::<Labels, Timing>::default();
        let each = each::<L, _>(&family);
        Timings {
            family,
            each,
            label: PhantomData,
        }
    }
}

impl<L: Label> Timings<L> {
    /// One more of this kind has taken so long.
    pub fn add(&self, label: L, took: Duration) {
        if let Some(timing) = self.each.get(label.index()) {
            timing.add(took);
        }
    }

    /// What has been counted so far of all kinds that are `wanted`, together.
    pub fn read(&self, wanted: impl Fn(L) -> bool) -> Histogram {
        let each = L::ALL.iter().zip(self.each.iter());
        let wanted = each.filter(|(label, _)| wanted(**label));
        let sum = wanted.fold(Reading::default(), |sum, (_, timing)| {
            sum.and(&timing.reading())
        });
        sum.into()
    }
}

impl<L: Label> Instrument for Timings<L> {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.family.clone());
    }
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_as_long_as_a_bound_says_is_in_its_bucket_and_what_takes_longer_is_not() {
        let timing = Timing::default();
        for nanos in [0, 50_000, 50_001, 10_000_000_000, 10_000_000_001] {
            timing.add(Duration::from_nanos(nanos));
        }
        let read = timing.read();
        assert_eq!(read.count, 5);
        assert_eq!(read.sum_seconds, 20.000_100_002);
        assert_eq!(read.buckets.len(), BOUNDS.len());
        assert_eq!(read.buckets[..2], [(0.000_05, 2), (0.000_1, 3)]);
        assert_eq!(read.buckets[15..], [(5.0, 3), (10.0, 4)]);
    }

    #[test]
    fn what_many_threads_count_is_read_together_and_each_has_a_number_of_its_own() {
        let timing = Timing::default();
        let count = || {
            for _ in 0..1_000 {
                timing.add(Duration::from_micros(1));
            }
            NUMBER.with(|number| *number)
        };
        let mut numbers = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(count)).collect();
            let ended = threads.into_iter().map(|it| it.join().unwrap());
            ended.collect::<Vec<_>>()
        });
        let read = timing.read();
        assert_eq!((read.count, read.sum_seconds), (8_000, 0.008));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 8);
    }

    #[test]
    fn kinds_are_read_together_as_they_are_wanted() {
        use crate::model::outcome::Kind;
        let timings = Timings::<Kind>::default();
        timings.add(Kind::Hit, Duration::from_micros(40));
        timings.add(Kind::Stale, Duration::from_micros(90));
        timings.clone().add(Kind::Miss, Duration::from_millis(20));
        let hits = timings.read(|kind| matches!(kind, Kind::Hit | Kind::Stale));
        assert_eq!((hits.count, hits.sum_seconds), (2, 0.000_13));
        assert_eq!(
            hits.buckets[..3],
            [(0.000_05, 1), (0.000_1, 2), (0.000_25, 2)]
        );
        let none = timings.read(|_| false);
        assert_eq!((none.count, none.buckets.len()), (0, BOUNDS.len()));
    }
}
