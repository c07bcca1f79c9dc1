//! What is told in the log where there may be as many as there are requests: one of a kind now and then, with how many there were.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderName;

use crate::dialects::Why;
use crate::model::outcome::NoStore;
use crate::model::time::Timestamp;

/// What was told last, by kind.
#[derive(Debug)]
pub(super) struct Seldom<K>(Mutex<Vec<Told<K>>>);

#[derive(Debug)]
struct Told<K> {
    kind: K,
    at: Timestamp,
    /// How many have been since that were not told.
    unsaid: u64,
}

/// What an app says wrong, as far as one is told beside another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Something in this field is ignored, for such a reason.
    Field(HeaderName, Why),
    /// A change does something else than it says.
    Change,
    /// There are too many tags.
    TooManyTags,
    /// A value for this tag of a rule's increment is missing.
    Increment(Arc<str>),
    /// A body in which a rule looks for something cannot be read.
    Body(NoStore),
    /// Tags are in trailers, where they come too late.
    Trailers,
}

/// One of a kind is told in this time.
const APART: Duration = Duration::from_secs(1);

impl<K> Default for Seldom<K> {
    fn default() -> Seldom<K> {
        Seldom(Mutex::default())
    }
}

impl<K: PartialEq> Seldom<K> {
    /// If it is to be told, how many of its kind there were since the last one that was.
    pub(super) fn say(&self, kind: K, now: Timestamp) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = told.iter_mut().find(|last| last.kind == kind) else {
            let (at, unsaid) = (now, 0);
            told.push(Told { kind, at, unsaid });
            return Some(0);
        };
        // Not for ever, if the clock was set back.
        if last.at <= now && now.since(last.at) < APART {
            last.unsaid += 1;
            return None;
        }
        last.at = now;
        Some(std::mem::take(&mut last.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Failure;

    #[test]
    fn one_of_a_kind_is_told_now_and_then_with_how_many_there_were() {
        let failures = Seldom::default();
        let at = |ms: u64| Timestamp::from_secs(1_000) + Duration::from_millis(ms);
        let (down, busy) = (Failure::Unreachable, Failure::Overloaded);
        for (kind, ms, expected) in [
            (down, 0, Some(0)),
            (down, 1, None),
            (busy, 2, Some(0)),
            (down, 999, None),
            (down, 1_000, Some(2)),
            (busy, 1_500, Some(0)),
            (down, 1_999, None),
            (down, 9_000, Some(1)),
        ] {
            assert_eq!(failures.say(kind, at(ms)), expected, "{ms}");
        }
        let back = Timestamp::from_secs(1);
        assert_eq!(failures.say(down, back), Some(0), "the clock was set back");
    }
}
