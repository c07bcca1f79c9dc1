//! The four candidates behind one small interface, each set up as this project would.

use std::sync::Arc;

use quick_cache::DefaultHashBuilder;

use crate::work::Entry;

/// What the project needs of a store on its hot path. All use the same seeded hasher where they let us choose: keys
/// are hashes already, but an unseeded one would let clients aim at one bucket.
pub trait Store: Send + Sync {
    /// The crate's name.
    const NAME: &'static str;
    /// A store bounded by `bytes`, told to expect `entries`.
    fn new(bytes: usize, entries: usize) -> Self;
    /// The entry under `key`, counted as a use.
    fn get(&self, key: u128) -> Option<Arc<Entry>>;
    /// Stores or replaces.
    fn put(&self, key: u128, entry: Arc<Entry>);
    /// Removes.
    fn remove(&self, key: u128);
    /// Lets it finish what it put off, where it can be told to.
    fn settle(&self) {}
}

/// quick_cache: Clock-PRO, a read-write lock per shard; a hit sets an atomic under the read lock. Eight shards are its
/// default on two cores; one shard shows what they are worth, since an entry can be no larger than a shard.
pub struct Quick<const SHARDS: usize>(quick_cache::sync::Cache<u128, Arc<Entry>, ByBytes>);

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<u128, Arc<Entry>> for ByBytes {
    fn weight(&self, _: &u128, entry: &Arc<Entry>) -> u64 {
        entry.weight() as u64
    }
}

impl<const SHARDS: usize> Store for Quick<SHARDS> {
    const NAME: &'static str = if SHARDS == 1 {
        "quick_cache, 1 shard"
    } else {
        "quick_cache"
    };

    fn new(bytes: usize, entries: usize) -> Self {
        let options = quick_cache::OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(entries)
            .weight_capacity(bytes as u64)
            .build()
            .expect("both capacities are set");
        Quick(quick_cache::sync::Cache::with_options(
            options,
            ByBytes,
            DefaultHashBuilder::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        ))
    }

    fn get(&self, key: u128) -> Option<Arc<Entry>> {
        self.0.get(&key)
    }

    fn put(&self, key: u128, entry: Arc<Entry>) {
        self.0.insert(key, entry);
    }

    fn remove(&self, key: u128) {
        self.0.remove(&key);
    }
}

/// moka: W-TinyLFU; uses and puts go through queues that some later caller works off.
pub struct Moka(moka::sync::Cache<u128, Arc<Entry>, DefaultHashBuilder>);

impl Store for Moka {
    const NAME: &'static str = "moka";

    fn new(bytes: usize, entries: usize) -> Moka {
        Moka(
            moka::sync::Cache::builder()
                .max_capacity(bytes as u64)
                .initial_capacity(entries)
                .weigher(|_, entry: &Arc<Entry>| u32::try_from(entry.weight()).unwrap_or(u32::MAX))
                .build_with_hasher(DefaultHashBuilder::default()),
        )
    }

    fn get(&self, key: u128) -> Option<Arc<Entry>> {
        self.0.get(&key)
    }

    fn put(&self, key: u128, entry: Arc<Entry>) {
        self.0.insert(key, entry);
    }

    fn remove(&self, key: u128) {
        self.0.invalidate(&key);
    }

    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}

/// foyer-memory: S3-FIFO (of its algorithms one whose hits need only a read lock), 8 shards, its default.
pub struct Foyer(foyer_memory::Cache<u128, Arc<Entry>, DefaultHashBuilder>);

impl Store for Foyer {
    const NAME: &'static str = "foyer-memory";

    fn new(bytes: usize, _: usize) -> Foyer {
        Foyer(
            foyer_memory::CacheBuilder::new(bytes)
                .with_eviction_config(foyer_memory::S3FifoConfig::default())
                .with_weighter(|_: &u128, entry: &Arc<Entry>| entry.weight())
                .with_hash_builder(DefaultHashBuilder::default())
                .build(),
        )
    }

    fn get(&self, key: u128) -> Option<Arc<Entry>> {
        self.0.get(&key).map(|held| Arc::clone(held.value()))
    }

    fn put(&self, key: u128, entry: Arc<Entry>) {
        drop(self.0.insert(key, entry));
    }

    fn remove(&self, key: u128) {
        drop(self.0.remove(&key));
    }
}

/// TinyUFO: S3-FIFO with TinyLFU at the door, lock-free; weights of 16 bits, so in KiB, rounded up.
pub struct TinyUfo(tinyufo::TinyUfo<u128, Arc<Entry>>);

impl Store for TinyUfo {
    const NAME: &'static str = "TinyUFO";

    fn new(bytes: usize, entries: usize) -> TinyUfo {
        TinyUfo(tinyufo::TinyUfo::new(bytes >> 10, entries))
    }

    fn get(&self, key: u128) -> Option<Arc<Entry>> {
        self.0.get(&key)
    }

    fn put(&self, key: u128, entry: Arc<Entry>) {
        let weight = u16::try_from(entry.weight().div_ceil(1 << 10)).unwrap_or(u16::MAX);
        drop(self.0.force_put(key, entry, weight));
    }

    fn remove(&self, key: u128) {
        drop(self.0.remove(&key));
    }
}
