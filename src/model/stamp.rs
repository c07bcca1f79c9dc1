//! Numbers that never repeat: what a tag's version is made of.

use std::fmt;

use crate::model::time::Timestamp;

/// A number from the one monotonic sequence of a namespace; a tag's *version* is the stamp of its last increment.
///
/// Zero is [`Stamp::NEVER`], which no increment yields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// The version of a tag that was never incremented.
    pub const NEVER: Stamp = Stamp(0);

    /// What stands for the version of a tag as long as nobody knows it: no entry was ever stored under it.
    pub const UNKNOWN: Stamp = Stamp(u64::MAX);

    /// The stamp after `self` at `now`: `max(previous + 1, microseconds since the epoch)`.
    ///
    /// A restarted process, whose previous stamp is lost, still gets a greater one than any it gave before (L3), as
    /// long as it gives fewer than a million a second.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Stamp {
        Stamp(self.0.saturating_add(1).max(now.as_micros()))
    }

    /// The stamp as stored and shown.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// A stamp as read back from where [`Stamp::get`] was written.
    pub const fn from_raw(raw: u64) -> Stamp {
        Stamp(raw)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_the_clock_or_one_more_than_the_last() {
        let at = Timestamp::from_micros;
        for (name, previous, now, expected) in [
            ("first ever", 0, 1_000, 1_000),
            ("clock moved on", 1_000, 1_500, 1_500),
            ("same microsecond", 1_500, 1_500, 1_501),
            ("clock stepped back", 1_501, 3, 1_502),
            ("clock at the epoch", 0, 0, 1),
        ] {
            assert_eq!(
                Stamp::from_raw(previous).next(at(now)),
                Stamp::from_raw(expected),
                "{name}"
            );
        }
    }
}
