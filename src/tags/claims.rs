//! Whose changes the log tells of: ours come back through it, and often sooner than the store answers us. For counting only,
//! never for decisions.

use std::collections::VecDeque;

use crate::model::stamp::Stamp;

/// How many records may wait to be claimed; of more, the oldest are taken for those of others.
const MOST: usize = 10_000;

/// What the log has told of while changes of ours were under way: each record's stamp, and how many changes it was.
#[derive(Debug, Default)]
pub(super) struct Claims(VecDeque<(Stamp, usize)>);

impl Claims {
    /// The log has told of so many changes. How many are known to be others' by now; all of them where none of ours is under way.
    pub(super) fn heard(&mut self, stamp: Stamp, changes: usize, under_way: bool) -> usize {
        if changes > 0 {
            self.0.push_back((stamp, changes));
        }
        let excess = match under_way {
            true => self.0.len().saturating_sub(MOST),
            false => self.0.len(),
        };
        self.0.drain(..excess).map(|(_, changes)| changes).sum()
    }

    /// The store has taken a change of ours, with this stamp. How many are known to be others' by now: ours land in the order
    /// of their stamps.
    pub(super) fn landed(&mut self, stamp: Stamp, under_way: bool) -> usize {
        self.0.retain(|(heard, _)| *heard != stamp);
        let before = match under_way {
            true => self.0.partition_point(|(heard, _)| *heard < stamp),
            false => self.0.len(),
        };
        self.0.drain(..before).map(|(_, changes)| changes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_claimed_is_others() {
        let stamp = Stamp::from_raw;
        let mut claims = Claims::default();
        assert_eq!(claims.heard(stamp(1), 2, false), 2, "at once");
        assert_eq!(claims.heard(stamp(2), 3, true), 0, "it may be ours");
        assert_eq!(claims.heard(stamp(3), 5, true), 0);
        assert_eq!(claims.heard(stamp(4), 7, true), 0);
        assert_eq!(claims.landed(stamp(3), true), 3, "3 is ours, 2 was not");
        assert_eq!(claims.landed(stamp(5), false), 7, "so was 4 not");
        assert_eq!(claims.heard(stamp(5), 0, false), 0, "it landed first");
        assert_eq!(claims.heard(stamp(6), 1, true), 0);
        assert_eq!(claims.heard(stamp(7), 1, false), 2);
        assert!(claims.0.is_empty());
    }

    #[test]
    fn what_waits_to_be_claimed_is_bounded() {
        let mut claims = Claims::default();
        let others: usize = (1..=MOST as u64 + 3)
            .map(|n| claims.heard(Stamp::from_raw(n), 1, true))
            .sum();
        assert_eq!((others, claims.0.len()), (3, MOST));
    }
}
