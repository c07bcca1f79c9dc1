//! When the log of increments was last heard of: who has heard nothing for too long does not trust what is known here.

use std::time::Duration;

use crate::clock::{Anchor, Clock};
use crate::model::time::Timestamp;
use crate::tags::atomic::{AtomicU64, Ordering};

/// By two clocks, as either may stand still while the other goes on: the machine's may be set, the other one rests while the
/// machine sleeps.
#[derive(Debug)]
pub(super) struct Pulse {
    clock: Clock,
    anchor: Anchor,
    /// Microseconds since the anchor, plus one; zero: never.
    heard: AtomicU64,
    /// The machine's clock, in microseconds.
    heard_at: AtomicU64,
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    elapsed: Duration,
    at: Timestamp,
}

impl Pulse {
    pub(super) fn new(clock: &Clock) -> Pulse {
        Pulse {
            clock: clock.clone(),
            anchor: clock.anchor(),
            heard: AtomicU64::new(0),
            heard_at: AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment {
            elapsed: self.anchor.elapsed(),
            at: self.clock.now(),
        }
    }

    /// For how long this process has been there: a time that never goes back.
    pub(super) fn elapsed(&self) -> Duration {
        self.anchor.elapsed()
    }

    /// All that had happened at that moment is known here.
    pub(super) fn note(&self, moment: Moment) {
        let elapsed = u64::try_from(moment.elapsed.as_micros()).unwrap_or(u64::MAX);
        self.heard_at
            .store(moment.at.as_micros(), Ordering::Release);
        self.heard
            .store(elapsed.saturating_add(1), Ordering::Release);
    }

    /// For how long nothing has been heard; `None`: nothing ever was.
    pub(super) fn lag(&self) -> Option<Duration> {
        let heard = self.heard.load(Ordering::Acquire).checked_sub(1)?;
        let heard_at = Timestamp::from_micros(self.heard_at.load(Ordering::Acquire));
        let now = self.now();
        let lag = now.elapsed.saturating_sub(Duration::from_micros(heard));
        Some(lag.max(now.at.since(heard_at)))
    }

    /// Nothing that was heard counts any longer.
    pub(super) fn stop(&self) {
        self.heard.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_grows_until_something_is_heard() {
        let clock = Clock::manual(Timestamp::from_secs(1_000));
        let pulse = Pulse::new(&clock);
        assert_eq!(pulse.lag(), None);
        let asked = pulse.now();
        clock.advance(Duration::from_millis(300));
        pulse.note(asked);
        assert_eq!(
            pulse.lag(),
            Some(Duration::from_millis(300)),
            "since it was asked"
        );
        clock.advance(Duration::from_millis(900));
        assert_eq!(pulse.lag(), Some(Duration::from_millis(1_200)));
        pulse.note(pulse.now());
        assert_eq!(pulse.lag(), Some(Duration::ZERO));
        pulse.stop();
        assert_eq!(pulse.lag(), None);
    }

    #[test]
    fn a_clock_that_is_set_on_counts() {
        let clock = Clock::manual(Timestamp::from_secs(1_000));
        let pulse = Pulse::new(&clock);
        pulse.note(pulse.now());
        clock.set(Timestamp::from_secs(5_000));
        assert_eq!(pulse.lag(), Some(Duration::from_secs(4_000)));
    }
}
