//! The moment at which something was noticed first, in one word.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::time::Timestamp;

/// A moment that is noted once, by whichever thread comes first.
#[derive(Debug)]
pub struct Noticed(AtomicU64);

/// No moment is that late.
const NOT_YET: u64 = u64::MAX;

impl Noticed {
    /// Notes that it is this one, unless there is one; which it is.
    pub fn first(&self, at: Timestamp) -> Timestamp {
        let micros = at.as_micros();
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let set = self.0.compare_exchange(NOT_YET, micros, order.0, order.1);
        set.map_or_else(Timestamp::from_micros, |_| at)
    }

    /// Which it is, if there is one.
    pub fn get(&self) -> Option<Timestamp> {
        let micros = self.0.load(Ordering::Acquire);
        (micros != NOT_YET).then(|| Timestamp::from_micros(micros))
    }
}

impl Default for Noticed {
    /// There is none yet.
    fn default() -> Noticed {
        Noticed(AtomicU64::new(NOT_YET))
    }
}

impl Clone for Noticed {
    fn clone(&self) -> Noticed {
        Noticed(AtomicU64::new(self.0.load(Ordering::Acquire)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_moment_is_the_one() {
        let noticed = Noticed::default();
        assert_eq!(noticed.get(), None);
        let [early, late] = [0, 7].map(Timestamp::from_micros);
        assert_eq!(noticed.first(early), early);
        assert_eq!(noticed.first(late), early);
        assert_eq!(noticed.get(), Some(early));
        assert_eq!(noticed.clone().first(late), early);
    }
}
