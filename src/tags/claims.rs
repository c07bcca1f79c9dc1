//! Whose changes the log tells of: ours come back through it, and often sooner than the store answers us. For counting and
//! telling only, never for decisions.

use std::collections::VecDeque;

use crate::model::stamp::Stamp;
use crate::tags::recent::Incremented;

/// How many records may wait to be claimed; of more, the oldest are taken for those of others.
const MOST: usize = 10_000;

/// What the log has told of while changes of ours were under way.
#[derive(Debug, Default)]
pub(super) struct Claims(VecDeque<Claimable>);

/// A record, whosever it is.
#[derive(Debug)]
pub(super) struct Claimable {
    pub(super) stamp: Stamp,
    /// How many changes it was that were news.
    pub(super) changes: usize,
    /// As if it were others'.
    pub(super) told: Incremented,
}

impl Claims {
    /// The log has told of this. What is known to be others' by now; all of it where nothing of ours is under way.
    pub(super) fn heard(&mut self, record: Claimable, under_way: bool) -> Vec<Claimable> {
        if record.changes > 0 {
            self.0.push_back(record);
        }
        let excess = match under_way {
            true => self.0.len().saturating_sub(MOST),
            false => self.0.len(),
        };
        self.0.drain(..excess).collect()
    }

    /// The store has taken a change of ours, with this stamp. What is known to be others' by now: ours land in the order of
    /// their stamps.
    pub(super) fn landed(&mut self, stamp: Stamp, under_way: bool) -> Vec<Claimable> {
        self.0.retain(|heard| heard.stamp != stamp);
        let before = match under_way {
            true => self.0.partition_point(|heard| heard.stamp < stamp),
            false => self.0.len(),
        };
        self.0.drain(..before).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Source;
    use crate::model::time::Timestamp;
    use crate::shared::Change;
    use crate::tags::history::Cause;

    fn record(stamp: u64, changes: usize) -> Claimable {
        let cause = Cause {
            at: Timestamp::from_micros(stamp),
            by: "POST /x".into(),
            source: Source::OtherSidecar,
        };
        let stamp = Stamp::from_raw(stamp);
        let nothing = std::iter::empty::<(&crate::model::tag::Tag, Change)>();
        Claimable {
            stamp,
            changes,
            told: Incremented::of(nothing, Some(stamp), cause),
        }
    }

    fn changes(records: &[Claimable]) -> usize {
        records.iter().map(|it| it.changes).sum()
    }

    #[test]
    fn what_is_not_claimed_is_others() {
        let stamp = Stamp::from_raw;
        let mut claims = Claims::default();
        assert_eq!(changes(&claims.heard(record(1, 2), false)), 2, "at once");
        assert_eq!(changes(&claims.heard(record(2, 3), true)), 0, "maybe ours");
        assert_eq!(changes(&claims.heard(record(3, 5), true)), 0);
        assert_eq!(changes(&claims.heard(record(4, 7), true)), 0);
        let others = claims.landed(stamp(3), true);
        assert_eq!(changes(&others), 3, "3 is ours, 2 was not");
        assert_eq!(others[0].told.stamp, Some(stamp(2)));
        let others = claims.landed(stamp(5), false);
        assert_eq!(changes(&others), 7, "so was 4 not");
        assert_eq!(
            changes(&claims.heard(record(5, 0), false)),
            0,
            "landed first"
        );
        assert_eq!(changes(&claims.heard(record(6, 1), true)), 0);
        assert_eq!(changes(&claims.heard(record(7, 1), false)), 2);
        assert!(claims.0.is_empty());
    }

    #[test]
    fn what_waits_to_be_claimed_is_bounded() {
        let mut claims = Claims::default();
        let others: usize = (1..=MOST as u64 + 3)
            .map(|n| changes(&claims.heard(record(n, 1), true)))
            .sum();
        assert_eq!((others, claims.0.len()), (3, MOST));
    }
}
