//! How many exchanges the app has at once, and who has the next: first come, first served, for so many and so long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::Config;
use super::error::{UpstreamError, UpstreamErrorKind};
use crate::clock::Clock;
use crate::metrics::Held;
use crate::metrics::Level;

/// The turns of one app, and those who wait for one.
pub(super) struct Queue {
    turns: Line,
    /// The share of those that nobody waits for.
    behind: Line,
    /// The share of those whose requests are still on their way.
    open: Line,
    timeout: Duration,
    clock: Clock,
    load: Load,
}

/// How much there is to do: exchanges that have their turn, and those that wait for it.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Those that have it.
    pub running: Level,
    /// Those that wait for it.
    pub waiting: Level,
}

/// So many at once, and so many who wait.
struct Line {
    turns: Arc<Semaphore>,
    /// A waiter has one until its turn has come.
    places: Semaphore,
}

/// The right to one exchange with the app. Dropped, it is the next one's.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    /// Its part of a share, if it is one of those that have one.
    _part: Option<OwnedSemaphorePermit>,
    _running: Held,
}

/// Exchanges that nobody waits for have this part of the turns at most, but one at least.
const SHARE_BEHIND: usize = 4;

/// Exchanges whose requests are here and that somebody waits for find this part of the turns, if there are so many: neither of the
/// others has it.
const SHARE_HERE: usize = 4;

impl Queue {
    pub(super) fn new(config: &Config, clock: Clock, load: Load) -> Queue {
        let behind = (config.max_concurrent / SHARE_BEHIND).max(1);
        let here = config.max_concurrent.div_ceil(SHARE_HERE);
        let open = config.max_concurrent.saturating_sub(behind + here).max(1);
        Queue {
            turns: Line::new(config.max_concurrent, config.queue),
            behind: Line::new(behind, config.queue),
            open: Line::new(open, config.queue),
            timeout: config.queue_timeout,
            clock,
            load,
        }
    }

    /// At once, or when those who came before have had theirs. Who leaves the queue frees its place.
    pub(super) async fn turn(&self) -> Result<Turn, UpstreamError> {
        Ok(Turn {
            _permit: self.next(&self.turns).await?,
            _part: None,
            _running: self.load.running.hold(),
        })
    }

    /// The same for an exchange that nobody waits for: those that somebody waits for always find turns and places that no
    /// such exchange has taken.
    pub(super) async fn turn_behind(&self) -> Result<Turn, UpstreamError> {
        self.turn_within(&self.behind).await
    }

    /// The same for an exchange whose request is still on its way: however slowly clients send, those whose requests are here find turns
    /// and places.
    pub(super) async fn turn_open(&self) -> Result<Turn, UpstreamError> {
        self.turn_within(&self.open).await
    }

    async fn turn_within(&self, share: &Line) -> Result<Turn, UpstreamError> {
        let both = async {
            let part = self.next(share).await?;
            Ok(Turn {
                _permit: self.wait(&self.turns).await?, // its share bounds how many wait, in nobody's place
                _part: Some(part),
                _running: self.load.running.hold(),
            })
        };
        let turn = self.clock.within(self.timeout, both).await;
        turn.unwrap_or_else(|| Err(self.late()))
    }

    async fn next(&self, line: &Line) -> Result<OwnedSemaphorePermit, UpstreamError> {
        // None is free while somebody waits: one that is given back goes to the first of them.
        if let Ok(permit) = Arc::clone(&line.turns).try_acquire_owned() {
            return Ok(permit);
        }
        let _place = line
            .places
            .try_acquire()
            .map_err(|_| busy("the queue is full"))?;
        self.wait(line).await
    }

    async fn wait(&self, line: &Line) -> Result<OwnedSemaphorePermit, UpstreamError> {
        if let Ok(permit) = Arc::clone(&line.turns).try_acquire_owned() {
            return Ok(permit); // it need not wait
        }
        let _waiting = self.load.waiting.hold();
        let next = Arc::clone(&line.turns).acquire_owned();
        match self.clock.within(self.timeout, next).await {
            Some(Ok(permit)) => Ok(permit),
            Some(Err(closed)) => Err(busy(&closed.to_string())), // never: nobody closes it
            None => Err(self.late()),
        }
    }

    fn late(&self) -> UpstreamError {
        busy(&format!("no turn came for {:?}", self.timeout))
    }
}

impl Line {
    fn new(turns: usize, places: usize) -> Line {
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        Line {
            turns: Arc::new(semaphore(turns)),
            places: semaphore(places),
        }
    }
}

fn busy(why: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Busy, why)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::pin::pin;

    use futures_util::FutureExt;
    use futures_util::poll;

    use super::*;
    use crate::model::time::Timestamp;

    type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Turn, UpstreamError>> + 'a>>;

    /// With so many turns and places, and the clock it goes by.
    fn queue(max_concurrent: usize, queue: usize) -> (Queue, Clock) {
        let clock = Clock::manual(Timestamp::from_secs(1_000_000));
        let config = Config {
            max_concurrent,
            queue,
            queue_timeout: Duration::from_secs(5),
            ..Config::new("http://app".parse().unwrap())
        };
        (Queue::new(&config, clock.clone(), Load::default()), clock)
    }

    fn at_once(queue: &Queue) -> Turn {
        let turn = queue.turn().now_or_never().expect("nobody waits");
        turn.expect("a turn is free")
    }

    async fn waiting(queue: &Queue) -> Waiting<'_> {
        let mut waiting: Waiting<'_> = Box::pin(queue.turn());
        assert!(poll!(&mut waiting).is_pending());
        waiting
    }

    async fn is_waiting(waiting: &mut Waiting<'_>) -> bool {
        poll!(waiting).is_pending()
    }

    fn refused(queue: &Queue) -> bool {
        let turn = queue.turn().now_or_never();
        turn.is_some_and(|turn| turn.is_err_and(|error| error.kind == UpstreamErrorKind::Busy))
    }

    #[tokio::test]
    async fn turns_come_in_the_order_of_the_queue_and_nobody_slips_in() {
        let (queue, _) = queue(2, 9);
        let (one, two) = (at_once(&queue), at_once(&queue));
        let third = waiting(&queue).await;
        let mut fourth = waiting(&queue).await;
        drop(two);
        // A latecomer finds the turn that was given back taken, though its owner has not looked yet.
        let mut late = waiting(&queue).await;
        assert!(is_waiting(&mut fourth).await);
        let three = third.await.unwrap();
        drop(one);
        assert!(is_waiting(&mut late).await);
        let four = fourth.await.unwrap();
        drop((three, four));
        late.await.unwrap();
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_refused_at_once() {
        for places in [0, 1, 3] {
            let (queue, _) = queue(1, places);
            let turn = at_once(&queue);
            let mut line = Vec::new();
            for _ in 0..places {
                line.push(waiting(&queue).await);
            }
            assert!(refused(&queue), "{places}");
            drop(turn);
            for waiting in line {
                waiting.await.unwrap();
            }
            at_once(&queue);
        }
    }

    #[tokio::test]
    async fn who_leaves_the_queue_frees_its_place_and_its_turn() {
        let (queue, _) = queue(1, 1);
        let turn = at_once(&queue);
        drop(waiting(&queue).await);
        let gone = waiting(&queue).await;
        assert!(refused(&queue));
        drop(turn);
        drop(gone); // its turn had come
        at_once(&queue);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_refused_and_frees_its_place() {
        let (queue, clock) = queue(1, 1);
        let turn = at_once(&queue);
        let mut first = waiting(&queue).await;
        clock.advance(Duration::from_millis(4_999));
        assert!(is_waiting(&mut first).await);
        clock.advance(Duration::from_millis(1));
        let error = first.await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Busy);
        let second = pin!(waiting(&queue).await);
        drop(turn);
        second.await.unwrap();
    }

    #[tokio::test]
    async fn whose_request_is_here_finds_turns_and_places_that_open_ones_do_not() {
        for (max_concurrent, open, here) in [(1, 1, 0), (2, 1, 1), (8, 4, 4), (9, 4, 5)] {
            let (queue, _) = queue(max_concurrent, 1);
            let mut turns = Vec::new();
            for _ in 0..open {
                let turn = queue.turn_open().now_or_never();
                turns.push(turn.expect("one is free").unwrap());
            }
            let mut next: Waiting<'_> = Box::pin(queue.turn_open());
            assert!(is_waiting(&mut next).await, "{max_concurrent}");
            let last = queue.turn_open().now_or_never();
            assert!(last.is_some_and(|last| last.is_err()), "no place is left");
            let whole: Vec<_> = (0..here).map(|_| at_once(&queue)).collect();
            let waiting = waiting(&queue).await;
            turns.pop();
            drop((turns, whole));
            waiting.await.unwrap();
            next.await.unwrap();
        }
    }

    #[tokio::test]
    async fn neither_open_ones_nor_those_behind_have_the_last_turns_together() {
        for (max_concurrent, open, behind, here) in [(4, 2, 1, 1), (8, 4, 2, 2), (9, 4, 2, 3)] {
            let (queue, _) = queue(max_concurrent, 1);
            let mut turns = Vec::new();
            for _ in 0..open {
                turns.push(queue.turn_open().now_or_never().unwrap().unwrap());
            }
            assert!(queue.turn_open().now_or_never().is_none());
            for _ in 0..behind {
                turns.push(queue.turn_behind().now_or_never().unwrap().unwrap());
            }
            assert!(queue.turn_behind().now_or_never().is_none());
            turns.extend((0..here).map(|_| at_once(&queue)));
            assert_eq!(turns.len(), max_concurrent);
        }
    }

    #[tokio::test]
    async fn who_waits_in_two_lines_is_refused_when_both_together_took_too_long() {
        let (queue, clock) = queue(4, 1);
        let mut open: Vec<_> = (0..2)
            .map(|_| queue.turn_open().now_or_never().unwrap().unwrap())
            .collect();
        let here: Vec<_> = (0..2).map(|_| at_once(&queue)).collect();
        let mut next: Waiting<'_> = Box::pin(queue.turn_open());
        let before = waiting(&queue).await;
        assert!(is_waiting(&mut next).await);
        clock.advance(Duration::from_secs(3));
        open.pop(); // its share is the next one's, its turn is that of who came before
        let before = before.await.unwrap();
        assert!(is_waiting(&mut next).await);
        clock.advance(Duration::from_secs(2));
        assert_eq!(next.await.unwrap_err().kind, UpstreamErrorKind::Busy);
        drop((open, here, before));
    }

    #[tokio::test]
    async fn who_somebody_waits_for_finds_the_places_that_those_behind_need_not() {
        let (queue, _) = queue(8, 2);
        let turns: Vec<_> = (0..8).map(|_| at_once(&queue)).collect();
        let mut behind: Vec<Waiting<'_>> = Vec::new();
        for _ in 0..2 {
            let mut one: Waiting<'_> = Box::pin(queue.turn_behind());
            assert!(is_waiting(&mut one).await);
            behind.push(one);
        }
        let clients = [waiting(&queue).await, waiting(&queue).await];
        drop(turns);
        for turn in behind.into_iter().chain(clients) {
            turn.await.unwrap();
        }
    }
}
