//! The only reader of time and chance; everything else is told what time it is.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::model::time::Timestamp;

/// Where *now* comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that moves only when told to, for tests.
    Manual(Arc<watch::Sender<Timestamp>>),
    /// The machine's clock, by so much ahead or behind that others can set it, for tests: time passes as ever.
    Set(Arc<watch::Sender<Offset>>),
}

/// How far a clock is from the machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offset {
    ahead: Duration,
    behind: Duration,
}

impl Clock {
    /// A clock that stands still at `start`.
    pub fn manual(start: Timestamp) -> Clock {
        Clock::Manual(Arc::new(watch::Sender::new(start)))
    }

    /// The machine's clock as long as nobody sets this one.
    pub fn settable() -> Clock {
        Clock::Set(Arc::default())
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that reads the clock"
            )]
            Clock::System => SystemTime::now().into(),
            Clock::Manual(at) => *at.borrow(),
            Clock::Set(offset) => {
                let Offset { ahead, behind } = *offset.borrow();
                Clock::System.now() + ahead - behind
            }
        }
    }

    /// Moves a clock on that is a test's; the machine's moves by itself.
    pub fn advance(&self, by: Duration) {
        match self {
            Clock::Manual(at) => at.send_modify(|at| *at = *at + by),
            Clock::System | Clock::Set(_) => self.set(self.now() + by),
        }
    }

    /// Sets a clock that is a test's, back too; the machine's stays as it is.
    pub fn set(&self, to: Timestamp) {
        match self {
            Clock::System => {}
            Clock::Manual(at) => {
                at.send_replace(to);
            }
            Clock::Set(offset) => {
                let now = Clock::System.now();
                offset.send_replace(Offset {
                    ahead: to.since(now),
                    behind: now.since(to),
                });
            }
        }
    }

    /// A moment from which time is measured that no setting of the machine's clock moves.
    pub fn anchor(&self) -> Anchor {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that reads the clock"
            )]
            Clock::System | Clock::Set(_) => Anchor::System(Instant::now()),
            Clock::Manual(at) => Anchor::Manual(Clock::Manual(Arc::clone(at)), *at.borrow()),
        }
    }

    /// Waits until that time. The machine's clock may be set meanwhile: who must not be early looks again.
    pub async fn sleep_until(&self, at: Timestamp) {
        match self {
            Clock::System | Clock::Set(_) => tokio::time::sleep(at.since(self.now())).await,
            Clock::Manual(now) => {
                let reached = |now: &Timestamp| *now >= at;
                now.subscribe().wait_for(reached).await.ok(); // an error says that nobody moves it any more
            }
        }
    }

    /// What comes of `work`, if it is done within `limit`. Setting the machine's clock makes no difference.
    pub async fn within<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        match self {
            Clock::System | Clock::Set(_) => tokio::time::timeout(limit, work).await.ok(),
            Clock::Manual(_) => tokio::select! {
                biased;
                output = work => Some(output),
                () = self.sleep_until(self.now() + limit) => None,
            },
        }
    }

    /// A number that nobody is likely to draw again; not for secrets.
    pub fn random(&self) -> u128 {
        fastrand::u128(..)
    }

    /// A number between 0 and 1, by chance; 1 is never drawn.
    pub fn chance(&self) -> f64 {
        fastrand::f64()
    }
}

/// A moment from which time is measured.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// By a clock that is never set.
    System(Instant),
    /// By a manual one.
    Manual(Clock, Timestamp),
}

impl Anchor {
    /// How long ago it was.
    pub fn elapsed(&self) -> Duration {
        match self {
            Anchor::System(began) => began.elapsed(),
            Anchor::Manual(clock, began) => clock.now().since(*began),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// Whether it is done, as far as it comes by being asked once.
    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_manual_clock_wakes_who_waits_once_the_time_is_reached() {
        let clock = Clock::manual(at(100));
        let mut waiting = pin!(clock.sleep_until(at(110)));
        assert!(poll(waiting.as_mut()).is_pending());
        clock.advance(Duration::from_micros(9_999_999));
        assert!(poll(waiting.as_mut()).is_pending());
        clock.set(at(50));
        assert!(poll(waiting.as_mut()).is_pending(), "set back");
        clock.set(at(109));
        assert!(poll(waiting.as_mut()).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(poll(waiting.as_mut()).is_ready());
    }

    #[test]
    fn a_clock_that_is_set_goes_on_from_there_and_measures_as_before() {
        let clock = Clock::settable();
        let (machine, anchor) = (Clock::System.now(), clock.anchor());
        let hour = Duration::from_secs(3_600);
        assert!(clock.now().since(machine) < hour / 2);
        clock.set(machine + hour);
        assert!(clock.now() >= machine + hour);
        clock.set(machine - hour);
        assert!(machine.since(clock.now()) > hour / 2);
        clock.advance(hour * 2);
        assert!(clock.now() >= machine + hour);
        assert!(anchor.elapsed() < hour / 2);
        Clock::System.set(at(0));
        assert!(
            Clock::System.now() >= machine,
            "the machine's own is nobody's to set"
        );
    }

    #[test]
    fn what_is_over_is_not_waited_for() {
        let clock = Clock::manual(at(100));
        for time in [0, 99, 100] {
            assert!(poll(pin!(clock.sleep_until(at(time)))).is_ready(), "{time}");
        }
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_clone_wakes_all_who_wait() {
        let clock = Clock::manual(at(100));
        let woken = Arc::new(Woken::default());
        let waker = Arc::clone(&woken).into();
        let mut context = Context::from_waker(&waker);
        let mut one = pin!(clock.sleep_until(at(101)));
        let mut other = pin!(clock.sleep_until(at(102)));
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert!(other.as_mut().poll(&mut context).is_pending());
        clock.clone().advance(Duration::from_secs(2));
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert!(poll(one).is_ready() && poll(other).is_ready());
    }

    #[test]
    fn work_has_its_limit_and_nothing_less() {
        let clock = Clock::manual(at(100));
        let limit = Duration::from_secs(10);
        let mut endless = pin!(clock.within(limit, pending::<()>()));
        assert!(poll(endless.as_mut()).is_pending());
        clock.advance(Duration::from_micros(9_999_999));
        assert!(poll(endless.as_mut()).is_pending());
        clock.advance(Duration::from_micros(1));
        assert_eq!(poll(endless.as_mut()), Poll::Ready(None));
    }

    #[test]
    fn work_that_is_done_when_the_limit_is_reached_counts() {
        let clock = Clock::manual(at(100));
        let done_at = |secs| {
            let clock = clock.clone();
            async move { clock.sleep_until(at(secs)).await }
        };
        let mut work = pin!(clock.within(Duration::from_secs(10), done_at(110)));
        assert!(poll(work.as_mut()).is_pending());
        clock.advance(Duration::from_secs(60));
        assert_eq!(poll(work.as_mut()), Poll::Ready(Some(())));
        let at_once = pin!(clock.within(Duration::ZERO, ready(7)));
        assert_eq!(poll(at_once), Poll::Ready(Some(7)));
    }

    #[test]
    fn chance_is_a_number_from_0_to_1() {
        let clock = Clock::manual(at(0));
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&clock.chance())));
    }
}
