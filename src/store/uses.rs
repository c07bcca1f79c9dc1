//! How often a value was used: a figure to rank by, which orders nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts uses of a value that many threads share.
#[derive(Debug, Default)]
pub struct Uses(AtomicU64);

impl Uses {
    /// One more.
    pub fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clone for Uses {
    /// A copy of a value has been used as often.
    fn clone(&self) -> Uses {
        Uses(AtomicU64::new(self.count()))
    }
}
