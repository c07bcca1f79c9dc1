//! Entries in memory; who leaves first is the library's business.

use std::marker::PhantomData;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder};

use crate::metrics::Metrics;
use crate::metrics::Tier;
use crate::model::key::Variant;

/// What a value costs the store.
pub trait Weigh {
    /// Its bytes, keys and bookkeeping included.
    fn weight(&self) -> u64;
}

/// A map bounded by the weight of its values.
///
/// quick_cache (S3-FIFO like, sharded) was chosen by the figures in `benches/results/stores.md`: the cheapest hit, a bound
/// in bytes that holds, `retain`.
#[derive(Debug)]
pub struct Memory<V> {
    cache: Cache<Variant, V, Weigher, DefaultHashBuilder, Leaving<V>>,
}

/// Counts those that have to leave; not those that are replaced or removed.
#[derive(Clone, Debug)]
struct Leaving<V> {
    metrics: Metrics,
    values: PhantomData<fn() -> V>,
}

impl<V> Lifecycle<Variant, V> for Leaving<V> {
    /// They are dropped when the store is no longer locked.
    type RequestState = <DefaultLifecycle<Variant, V> as Lifecycle<Variant, V>>::RequestState;

    /// Not so of those that are replaced, which `on_evict` is told of too.
    fn before_evict(&self, _: &mut Self::RequestState, _: &Variant, _: &mut V) {
        self.metrics.evictions.add(Tier::Memory);
    }

    fn on_evict(&self, state: &mut Self::RequestState, key: Variant, value: V) {
        DefaultLifecycle::default().on_evict(state, key, value);
    }
}

#[derive(Clone, Debug)]
struct Weigher;

impl<V: Weigh> quick_cache::Weighter<Variant, V> for Weigher {
    fn weight(&self, _: &Variant, value: &V) -> u64 {
        value.weight()
    }
}

/// How many of the largest values a shard has room for, at least.
const VALUES_PER_SHARD: usize = 4;
/// More shards than this gain nothing on the machines sidecars run on.
const MAX_SHARDS: usize = 32;
/// A guess at the size of a usual entry; it sizes tables, it limits nothing.
const USUAL_ENTRY: usize = 8 << 10;

impl<V: Weigh + Clone> Memory<V> {
    /// Room for values of `max_bytes` together, the largest of `max_value`: each shard has room for several of those,
    /// as a value larger than its shard is not kept. Those that have to leave are counted.
    pub fn new(max_bytes: usize, max_value: usize, metrics: &Metrics) -> Memory<V> {
        let shards = (max_bytes / max_value.max(1) / VALUES_PER_SHARD).clamp(1, MAX_SHARDS);
        let options = OptionsBuilder::new()
            .shards(shards)
            .weight_capacity(max_bytes as u64)
            .estimated_items_capacity((max_bytes / USUAL_ENTRY).max(64))
            .build()
            .expect("both capacities are given");
        let lifecycle = Leaving {
            metrics: metrics.clone(),
            values: PhantomData,
        };
        Memory {
            cache: Cache::with_options(options, Weigher, DefaultHashBuilder::default(), lifecycle),
        }
    }

    /// The value under a key.
    pub fn get(&self, key: &Variant) -> Option<V> {
        self.cache.get(key)
    }

    /// The value under a key, for who only looks: it counts as no use.
    pub fn peek(&self, key: &Variant) -> Option<V> {
        self.cache.peek(key)
    }

    /// All values with their keys, in no order: what is there from the first to the last step comes, maybe twice if it is put
    /// anew meanwhile; nobody is kept waiting for longer than a step.
    pub fn iter(&self) -> impl Iterator<Item = (Variant, V)> {
        self.cache.iter()
    }

    /// Puts a value under a key, in place of what was there; others may have to leave, or, if it is too large for the
    /// store, the value itself.
    pub fn put(&self, key: Variant, value: V) {
        self.cache.insert(key, value);
    }

    /// Drops what is under a key.
    pub fn remove(&self, key: &Variant) {
        self.cache.remove(key);
    }

    /// Keeps only what `keep` says.
    pub fn retain(&self, keep: impl Fn(&V) -> bool) {
        self.cache.retain(|_, value| keep(value));
    }

    /// The weight of all values.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::KeyFields;

    #[derive(Clone, Debug, PartialEq)]
    struct Sized(usize, u64);

    impl Weigh for Sized {
        fn weight(&self) -> u64 {
            self.1
        }
    }

    fn key(n: usize) -> Variant {
        let mut fields = KeyFields::new();
        fields.field("n", n.to_le_bytes());
        fields.base_key().only_variant()
    }

    #[test]
    fn the_store_stays_within_its_bytes() {
        let metrics = Metrics::default();
        let store = Memory::new(1 << 20, 1 << 10, &metrics);
        for n in 0..10_000 {
            store.put(key(n), Sized(n, 1_024));
        }
        assert!(store.bytes() <= 1 << 20);
        assert!(store.len() > 500, "and uses them: {}", store.len());
        let left = metrics.evictions.each().map(|(_, n)| n).sum::<u64>();
        assert_eq!(
            left + store.len() as u64,
            10_000,
            "each is there or has left"
        );
    }

    #[test]
    fn who_goes_through_all_values_meets_each_that_stays() {
        let store = Memory::new(1 << 20, 1 << 10, &Metrics::default());
        for n in 0..1_000 {
            store.put(key(n), Sized(n, 10));
        }
        let mut met = Vec::new();
        for (step, (_, value)) in store.iter().enumerate() {
            met.push(value.0);
            store.put(key(1_000 + step % 100), Sized(1_000, 10)); // others come
            store.put(key(step % 1_000), Sized(step % 1_000, 20)); // and are replaced
            if step % 2 == 0 {
                store.remove(&key(1_000 + step % 50)); // and go
            }
        }
        met.retain(|n| *n < 1_000);
        met.sort_unstable();
        assert_eq!(met, (0..1_000).collect::<Vec<_>>());
        assert_eq!(store.peek(&key(7)), Some(Sized(7, 20)));
        assert_eq!(store.peek(&key(9_999)), None);
    }

    #[test]
    fn a_put_replaces_and_retain_forgets() {
        let metrics = Metrics::default();
        let store = Memory::new(1 << 20, 1 << 10, &metrics);
        store.put(key(1), Sized(1, 10));
        store.put(key(1), Sized(2, 10));
        store.put(key(2), Sized(3, 10));
        assert_eq!(store.get(&key(1)), Some(Sized(2, 10)));
        store.retain(|value| value.0 != 2);
        assert_eq!(store.get(&key(1)), None);
        store.remove(&key(2));
        assert!(store.is_empty());
        assert!(metrics.evictions.each().all(|(_, n)| n == 0));
    }
}
