//! Stamps when alone: one sequence, and which of its stamps running exchanges still look back to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::stamp::Stamp;
use crate::model::time::Timestamp;

/// The one source of stamps of this process.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    last: Stamp,
}

impl Sequence {
    /// A stamp greater than all before it (L2, L3).
    pub(super) fn next(&mut self, now: Timestamp) -> Stamp {
        self.last = self.last.next(now);
        self.last
    }
}

/// The snapshots of exchanges that still run, so that no increment they must see is forgotten before they end.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Arc<Mutex<BTreeMap<Stamp, usize>>>);

impl Running {
    /// Registers a snapshot of what `applied` says at this very moment: the last stamp, and in which history.
    pub(super) fn begin(&self, applied: impl FnOnce() -> (Stamp, u64)) -> Snapshot {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (stamp, generation) = applied();
        *running.entry(stamp).or_default() += 1;
        Snapshot {
            stamp,
            generation,
            running: self.clone(),
        }
    }

    /// The oldest stamp a running exchange looks back to, or what `applied` says if none runs: a change up to it can
    /// concern no exchange, running or to come.
    pub(super) fn oldest(&self, applied: impl FnOnce() -> Stamp) -> Stamp {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.keys().next().copied().unwrap_or_else(applied)
    }
}

/// `s0`: the last stamp applied here when an exchange began (L1).
///
/// Only `tags` makes one. As long as it lives, increments after it are remembered.
#[derive(Debug)]
pub struct Snapshot {
    stamp: Stamp,
    generation: u64,
    running: Running,
}

impl Snapshot {
    /// Which history of the store the stamp belongs to, as counted here.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The stamp.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let mut running = self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.stamp) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.stamp);
            }
        }
    }
}
