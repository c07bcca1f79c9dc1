//! Which address of the app is asked: the healthy ones by turns, the others where there is no healthy one left.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connector::Pool;
use super::targets::Targets;

/// The addresses of one app, and what is known of each.
pub(super) struct Balance(Mutex<Ring<Arc<Pool>>>);

impl Balance {
    /// All are taken for healthy until they prove otherwise.
    pub(super) fn new(targets: &Targets, connect_timeout: Duration) -> Balance {
        let pool = |target| Arc::new(Pool::new(target, connect_timeout));
        Balance::of(targets.iter().cloned().map(pool))
    }

    pub(super) fn of(pools: impl IntoIterator<Item = Arc<Pool>>) -> Balance {
        Balance(Mutex::new(pools.into_iter().collect()))
    }

    pub(super) fn count(&self) -> usize {
        self.ring().0.len()
    }

    pub(super) fn pools(&self) -> Vec<Arc<Pool>> {
        let ring = self.ring();
        ring.0.iter().map(|place| Arc::clone(&place.of)).collect()
    }

    /// The next one; one of those tried already only if all were.
    pub(super) fn turn(&self, tried: &[Arc<Pool>]) -> Arc<Pool> {
        self.ring()
            .turn(tried)
            .expect("an app has one address at least")
    }

    /// It answers as it should.
    pub(super) fn passed(&self, pool: &Arc<Pool>) {
        if self.ring().set(pool, true) {
            tracing::info!(address = %pool.target(), "the app is healthy again");
        }
    }

    /// It does not.
    pub(super) fn failed(&self, pool: &Arc<Pool>, why: &dyn fmt::Display) {
        if self.ring().set(pool, false) {
            tracing::warn!(address = %pool.target(), %why, "the app is not healthy");
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring<Arc<Pool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places in the order of their turns: the one that has waited longest is the first.
struct Ring<T>(VecDeque<Place<T>>);

struct Place<T> {
    of: T,
    healthy: bool,
}

impl<T: Clone + PartialEq> Ring<T> {
    fn turn(&mut self, tried: &[T]) -> Option<T> {
        let find = |wanted: &dyn Fn(&Place<T>) -> bool| self.0.iter().position(wanted);
        let untried = |place: &Place<T>| !tried.contains(&place.of);
        let at = find(&|place| place.healthy && untried(place))
            .or_else(|| find(&untried))
            .unwrap_or(0);
        let place = self.0.remove(at)?;
        let of = place.of.clone();
        self.0.push_back(place);
        Some(of)
    }

    /// Notes how one is; whether that is news.
    fn set(&mut self, of: &T, healthy: bool) -> bool {
        let place = self.0.iter_mut().find(|place| place.of == *of);
        place.is_some_and(|place| std::mem::replace(&mut place.healthy, healthy) != healthy)
    }
}

impl<T> FromIterator<T> for Ring<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Ring<T> {
        let place = |of| Place { of, healthy: true };
        Ring(all.into_iter().map(place).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_healthy_take_turns_and_the_others_come_last() {
        for (name, ill, tried, expected) in [
            ("all are well", "", "", "abcabc"),
            ("one is not", "b", "", "acacac"),
            ("two are not", "ac", "", "bbbbbb"),
            ("none is well", "abc", "", "abcabc"),
            ("one was tried", "", "a", "bcbcbc"),
            ("the well one was tried", "ac", "b", "acacac"),
            ("all were tried", "b", "abc", "abcabc"),
        ] {
            let mut ring: Ring<char> = "abc".chars().collect();
            for one in ill.chars() {
                assert!(ring.set(&one, false), "{name}");
                assert!(!ring.set(&one, false), "{name}: no news");
            }
            let tried: Vec<char> = tried.chars().collect();
            let turns: String = (0..6).filter_map(|_| ring.turn(&tried)).collect();
            assert_eq!(turns, expected, "{name}");
        }
    }

    #[test]
    fn one_that_is_well_again_takes_its_turns() {
        let mut ring: Ring<char> = "ab".chars().collect();
        ring.set(&'a', false);
        assert_eq!((ring.turn(&[]), ring.turn(&[])), (Some('b'), Some('b')));
        assert!(ring.set(&'a', true));
        assert_eq!((ring.turn(&[]), ring.turn(&[])), (Some('a'), Some('b')));
        assert!(!ring.set(&'z', true), "nobody knows it");
    }
}
