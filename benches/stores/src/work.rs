//! What is stored and which requests come: the same for every candidate, from a fixed seed.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;

/// Bytes of all entries that are alive anywhere: in a store, in its queues, or in its garbage.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// A stored response: content of 1–64 KiB, weighed by its bytes.
pub struct Entry {
    pub number: u64,
    pub body: Bytes,
}

impl Entry {
    /// Entry `number`; the contents are slices of one buffer, so that 100,000 of them fit any machine.
    pub fn new(number: u64, bytes: usize) -> Arc<Entry> {
        static BUFFER: [u8; LARGEST] = [b'x'; LARGEST];
        let body = Bytes::from_static(BUFFER.get(..bytes).unwrap_or(&BUFFER));
        ALIVE.fetch_add(body.len(), Ordering::Relaxed);
        Arc::new(Entry { number, body })
    }

    /// What it counts against the store's bound.
    pub fn weight(&self) -> usize {
        self.body.len()
    }

    /// Bytes of all entries that have not been dropped yet.
    pub fn alive() -> usize {
        ALIVE.load(Ordering::Relaxed)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        ALIVE.fetch_sub(self.body.len(), Ordering::Relaxed);
    }
}

/// The largest content.
pub const LARGEST: usize = 64 << 10;

/// The key of entry `number`: already a hash of 128 bits.
pub fn key(number: u64) -> u128 {
    let half = |seed: u64| {
        let mut x = number
            .wrapping_add(seed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    (u128::from(half(1)) << 64) | u128::from(half(2))
}

/// The size of entry `number`: 1–64 KiB, each doubling as frequent as the next (mean 15 KiB).
pub fn size(number: u64) -> usize {
    let unit = (key(number) >> 64) as f64 / u64::MAX as f64;
    (1024.0 * 64f64.powf(unit)) as usize
}

/// Bytes of the entries `0..count` together.
pub fn total(count: u64) -> usize {
    (0..count).map(size).sum()
}

/// `length` draws from `0..count` after Zipf's law with exponent 1: the first is twice as frequent as the second.
pub fn zipf(count: u64, length: usize, seed: u64) -> Vec<u64> {
    let mut sum = 0.0;
    let cumulated: Vec<f64> = (1..=count)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length)
        .map(|_| {
            let draw = random.f64() * sum;
            cumulated.partition_point(|&upto| upto < draw) as u64
        })
        .collect()
}
