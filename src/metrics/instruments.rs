//! What counts and what measures: thin types over those of the library, which say what may be done with each.

use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::metrics::labels::Label;

/// One row of the table.
pub(super) trait Instrument {
    /// Has it told from now on.
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str);
}

/// The one label of a family.
pub(super) type Labels = [(&'static str, &'static str); 1];

/// How often something has happened.
#[derive(Debug, Default)]
pub struct Counter(counter::Counter);

impl Counter {
    /// It has happened once more.
    pub fn add(&self) {
        self.0.inc();
    }

    /// It has happened so many times more.
    pub fn add_many(&self, n: usize) {
        self.0.inc_by(n as u64);
    }

    /// How often it has happened.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Instrument for Counter {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.0.clone());
    }
}

/// How often each of several things has happened. All are told from the beginning, so that the first one is seen as a change.
#[derive(Debug)]
pub struct Counters<L> {
    family: Family<Labels, counter::Counter>,
    /// By the place of the label.
    each: Box<[counter::Counter]>,
    label: PhantomData<L>,
}

impl<L: Label> Default for Counters<L> {
    fn default() -> Counters<L> {
        let family = Family::<Labels, counter::Counter>::default();
        let each = each::<L, _>(&family);
        Counters {
            family,
            each,
            label: PhantomData,
        }
    }
}

impl<L: Label> Counters<L> {
    /// This has happened once more.
    pub fn add(&self, label: L) {
        self.add_many(label, 1);
    }

    /// This has happened so many times more.
    pub fn add_many(&self, label: L, n: usize) {
        if let Some(counter) = self.each.get(label.index()) {
            counter.inc_by(n as u64);
        }
    }

    /// How often each has happened.
    pub fn each(&self) -> impl Iterator<Item = (L, u64)> {
        let counters = self.each.iter().map(counter::Counter::get);
        L::ALL.iter().copied().zip(counters)
    }
}

impl<L: Label> Instrument for Counters<L> {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.family.clone());
    }
}

/// Whether something is so.
#[derive(Debug, Default)]
pub struct Flag(Gauge);

impl Flag {
    /// It is so from now on, or no longer.
    pub fn set(&self, is_so: bool) {
        self.0.set(i64::from(is_so));
    }

    /// Whether it is so.
    pub fn get(&self) -> bool {
        self.0.get() != 0
    }
}

impl Instrument for Flag {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.0.clone());
    }
}

/// How much there is of something. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Level(Gauge);

/// One of the things of which there are so many, for as long as it is kept.
#[derive(Debug)]
pub struct Held(Level);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.dec();
    }
}

impl Level {
    /// There is so much now.
    pub fn set(&self, n: u64) {
        self.0.set(whole(n));
    }

    /// There is one more, until what this returns is dropped.
    pub fn hold(&self) -> Held {
        self.0.inc();
        Held(self.clone())
    }

    /// How much there is.
    pub fn get(&self) -> u64 {
        count(self.0.get())
    }
}

impl Instrument for Level {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.0.clone());
    }
}

/// How much there is of each of several things.
#[derive(Debug)]
pub struct Levels<L> {
    family: Family<Labels, Gauge>,
    /// By the place of the label.
    each: Box<[Gauge]>,
    label: PhantomData<L>,
}

impl<L: Label> Default for Levels<L> {
    fn default() -> Levels<L> {
        let family = Family::<Labels, Gauge>::default();
        let each = each::<L, _>(&family);
        Levels {
            family,
            each,
            label: PhantomData,
        }
    }
}

impl<L: Label> Levels<L> {
    /// There is so much of this now.
    pub fn set(&self, label: L, n: u64) {
        if let Some(gauge) = self.each.get(label.index()) {
            gauge.set(whole(n));
        }
    }

    /// How much there is of this.
    pub fn get(&self, label: L) -> u64 {
        let gauge = self.each.get(label.index());
        gauge.map_or(0, |gauge| count(gauge.get()))
    }
}

impl<L: Label> Instrument for Levels<L> {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.family.clone());
    }
}

/// How long something has lasted.
#[derive(Debug, Default)]
pub struct Seconds(Gauge<f64, AtomicU64>);

impl Seconds {
    /// It is so long now.
    pub fn set(&self, time: Duration) {
        self.0.set(time.as_secs_f64());
    }

    /// How long it is, in seconds.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

impl Instrument for Seconds {
    fn enter(&self, registry: &mut Registry, name: &'static str, help: &'static str) {
        registry.register(name, help, self.0.clone());
    }
}

/// The members of a family, looked up here once for all.
pub(super) fn each<L: Label, M: Clone + Default>(family: &Family<Labels, M>) -> Box<[M]> {
    let member = |label: &L| family.get_or_create(&[(L::NAME, label.word())]).clone();
    L::ALL.iter().map(member).collect()
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn count(level: i64) -> u64 {
    u64::try_from(level).unwrap_or_default()
}
