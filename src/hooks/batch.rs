//! Names that are collected for a while and told together: each once, in the order in which they came. Pure.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::time::Timestamp;

/// The most names that wait: what is held in memory is bounded (L10).
pub(super) const MOST_WAITING: usize = 10_000;

/// The names of one who is told.
#[derive(Debug)]
pub(super) struct Batch {
    /// How long they are collected.
    span: Duration,
    /// Since when, if there is one that is not due yet.
    since: Option<Timestamp>,
    /// How many of those that wait are due: the first ones.
    due: usize,
    waiting: VecDeque<Arc<str>>,
    /// The same, to be found.
    known: HashSet<Arc<str>>,
}

/// What has become of names that were to be collected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Collected {
    /// The first of a new batch is among them.
    pub(super) begins: bool,
    /// There was no room for so many.
    pub(super) dropped: usize,
}

impl Batch {
    pub(super) fn new(span: Duration) -> Batch {
        Batch {
            span,
            since: None,
            due: 0,
            waiting: VecDeque::new(),
            known: HashSet::new(),
        }
    }

    /// Notes names, but for those that wait already.
    pub(super) fn collect(&mut self, names: &[Arc<str>], now: Timestamp) -> Collected {
        let mut collected = Collected::default();
        for name in names {
            if self.known.contains(name) {
                continue;
            }
            if self.waiting.len() >= MOST_WAITING {
                collected.dropped += 1;
                continue;
            }
            self.waiting.push_back(Arc::clone(name));
            self.known.insert(Arc::clone(name));
            if self.since.is_none() {
                self.since = Some(now);
                collected.begins = true;
            }
        }
        collected
    }

    /// When the next are due; `None`: when the next one has come.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if self.due > 0 {
            return Some(now);
        }
        // Not later for a clock that was set back: nobody knows how long ago they came.
        self.since.map(|since| since.min(now) + self.span)
    }

    /// Takes out at most so many names that are due; none: there is none.
    pub(super) fn take(&mut self, most: usize, now: Timestamp) -> Vec<Arc<str>> {
        if self
            .since
            .is_some_and(|since| since + self.span <= now || since > now)
        {
            self.close();
        }
        let taken = self.waiting.drain(..most.min(self.due));
        let taken: Vec<_> = taken.inspect(|name| _ = self.known.remove(name)).collect();
        self.due -= taken.len();
        taken
    }

    /// Everything that waits is due.
    pub(super) fn close(&mut self) {
        self.since = None;
        self.due = self.waiting.len();
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_secs(1_000) + Duration::from_millis(millis)
    }

    fn names(text: &str) -> Vec<Arc<str>> {
        text.split_whitespace().map(Arc::from).collect()
    }

    fn collect(batch: &mut Batch, text: &str, millis: u64) -> Collected {
        batch.collect(&names(text), at(millis))
    }

    fn taken(batch: &mut Batch, most: usize, millis: u64) -> String {
        batch.take(most, at(millis)).join(" ")
    }

    #[test]
    fn names_are_due_a_span_after_the_first_of_them() {
        let mut batch = Batch::new(SECOND);
        assert_eq!(batch.next(at(0)), None);
        assert!(collect(&mut batch, "A B", 0).begins);
        assert!(!collect(&mut batch, "C", 999).begins);
        assert_eq!(batch.next(at(999)), Some(at(1_000)));
        assert_eq!(taken(&mut batch, 30, 999), "");
        assert_eq!(taken(&mut batch, 30, 1_000), "A B C");
        assert_eq!(batch.next(at(1_000)), None);
        assert!(collect(&mut batch, "D", 1_500).begins, "a new batch");
        assert_eq!(batch.next(at(1_500)), Some(at(2_500)));
    }

    #[test]
    fn a_call_names_so_many_and_the_next_call_the_rest() {
        let mut batch = Batch::new(SECOND);
        collect(&mut batch, "A B C D E", 0);
        assert_eq!(taken(&mut batch, 2, 1_000), "A B");
        assert_eq!(batch.next(at(1_000)), Some(at(1_000)), "at once");
        collect(&mut batch, "F", 1_000); // of the next batch
        assert_eq!(taken(&mut batch, 2, 1_500), "C D");
        assert_eq!(taken(&mut batch, 2, 1_600), "E");
        assert_eq!(batch.next(at(1_600)), Some(at(2_000)));
        assert_eq!(taken(&mut batch, 2, 2_000), "F");
    }

    #[test]
    fn a_name_waits_once_and_again_once_it_was_told() {
        let mut batch = Batch::new(SECOND);
        collect(&mut batch, "A B A", 0);
        collect(&mut batch, "B", 500);
        assert_eq!(taken(&mut batch, 1, 1_000), "A");
        // `A` changed once more, since it was told; `B` is still to be told.
        collect(&mut batch, "A B", 1_100);
        assert_eq!(taken(&mut batch, 30, 1_200), "B");
        assert_eq!(taken(&mut batch, 30, 2_100), "A");
    }

    #[test]
    fn l10_there_is_room_for_so_many_and_the_first_stay() {
        let mut batch = Batch::new(SECOND);
        let many: Vec<Arc<str>> = (0..MOST_WAITING + 3)
            .map(|n| format!("{n}").into())
            .collect();
        assert_eq!(batch.collect(&many, at(0)).dropped, 3);
        assert_eq!(
            collect(&mut batch, "0 9999", 1).dropped,
            0,
            "they wait already"
        );
        assert_eq!(collect(&mut batch, "A", 2).dropped, 1);
        assert_eq!(taken(&mut batch, 2, 1_000), "0 1");
        assert_eq!(collect(&mut batch, "A", 1_000).dropped, 0);
        assert_eq!(batch.len(), MOST_WAITING - 1);
    }

    #[test]
    fn a_clock_that_is_set_back_puts_nothing_off() {
        let mut batch = Batch::new(SECOND);
        collect(&mut batch, "A", 60_000);
        assert_eq!(batch.next(at(0)), Some(at(1_000)));
        assert_eq!(taken(&mut batch, 30, 0), "A");
    }

    #[test]
    fn without_a_span_names_are_due_at_once() {
        let mut batch = Batch::new(Duration::ZERO);
        collect(&mut batch, "A", 0);
        assert_eq!(taken(&mut batch, 30, 0), "A");
    }

    #[test]
    fn at_the_end_everything_is_due() {
        let mut batch = Batch::new(SECOND);
        collect(&mut batch, "A B", 0);
        batch.close();
        assert_eq!(taken(&mut batch, 30, 1), "A B");
        assert_eq!(batch.len(), 0);
    }
}
