//! A caller's connection, call after call: what it waits for and until when, which answer holds its place, and which connections
//! make room where there are too many.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as Frames, Frame, SizeHint};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::admin::room::Place;

/// For a whole head, from the connection or its first byte on.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// For the next call to begin.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// For a whole answer to be taken, but for a stream of events.
const TAKE_TIME: Duration = Duration::from_secs(60);

/// Connections without a call: no call is kept waiting by them.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<Connections>);

#[derive(Debug, Default)]
struct Connections {
    queue: Mutex<Queue>,
    /// Told when one more has come.
    more: Notify,
}

/// By their numbers: who has waited longest first.
#[derive(Debug, Default)]
struct Queue {
    next: u64,
    connections: BTreeMap<u64, Arc<Notify>>,
}

impl Waiting {
    /// One more, by its number.
    fn enter(&self, close: &Arc<Notify>) -> u64 {
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        queue.connections.insert(number, Arc::clone(close));
        self.0.more.notify_waiters();
        number
    }

    /// It has a call, or has ended.
    fn leave(&self, number: u64) {
        self.queue().connections.remove(&number);
    }

    /// The one that has waited longest makes room; where all have a call, the first that is done with it.
    pub(super) async fn close_oldest(&self) {
        loop {
            let more = self.0.more.notified(); // of those too that come while we look
            let oldest = self.queue().connections.pop_first();
            if let Some((_, close)) = oldest {
                return close.notify_one();
            }
            more.await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the stream of a connection and its calls know of each other. Clones are of the same connection.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiting: Waiting,
    /// Told to make room.
    close: Arc<Notify>,
    phase: watch::Sender<Phase>,
    /// Of the answer that is being taken.
    place: Mutex<Option<Place>>,
}

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// A call: nothing of it has come.
    Idle { number: u64, until: Instant },
    /// The rest of a head.
    Head { number: u64, until: Instant },
    /// An answer.
    Call,
    /// That its caller takes the answer; all of it is in the hands of hyper, or is not.
    Answer { until: Option<Instant>, whole: bool },
}

impl Line {
    /// A connection that has just been made.
    pub(super) fn new(waiting: Waiting) -> Line {
        let close = Arc::default();
        let (number, until) = (waiting.enter(&close), Instant::now() + HEAD_TIME);
        Line(Arc::new(Inner {
            waiting,
            close,
            phase: watch::Sender::new(Phase::Head { number, until }),
            place: Mutex::default(),
        }))
    }

    /// Something has come from the caller.
    pub(super) fn heard(&self) {
        self.0.phase.send_if_modified(|phase| {
            let Phase::Idle { number, .. } = *phase else {
                return false;
            };
            let until = Instant::now() + HEAD_TIME;
            *phase = Phase::Head { number, until };
            true
        });
    }

    /// A head is there: a call begins when the answer before it was taken, so that there is one answer in memory.
    pub(super) async fn called(&self) {
        let mut phases = self.0.phase.subscribe();
        let taken = phases.wait_for(|phase| !matches!(phase, Phase::Answer { .. }));
        drop(taken.await); // an error cannot be: we have the other end
        self.become_phase(Phase::Call);
    }

    /// There is an answer, which is to be taken, or is an endless one; it holds this place until then.
    pub(super) fn answered(&self, body: Body, place: Option<Place>, is_endless: bool) -> Body {
        *self.place() = place;
        let until = (!is_endless).then(|| Instant::now() + TAKE_TIME);
        let whole = false;
        self.become_phase(Phase::Answer { until, whole });
        let line = self.clone();
        Body::new(Watched { body, line })
    }

    /// All that hyper had was taken by the caller, or at least by this machine.
    pub(super) fn flushed(&self) {
        let phase = *self.0.phase.borrow();
        if matches!(phase, Phase::Answer { whole: true, .. }) {
            self.place().take();
            let number = self.0.waiting.enter(&self.0.close);
            let until = Instant::now() + IDLE_TIME;
            self.become_phase(Phase::Idle { number, until });
        }
    }

    /// Comes back when others need the room, or the caller has let us wait for too long.
    pub(super) async fn is_over(&self) {
        tokio::select! {
            () = self.0.close.notified() => {}
            () = self.too_late() => {}
        }
    }

    async fn too_late(&self) {
        let mut phases = self.0.phase.subscribe();
        loop {
            let until = phases.borrow_and_update().until();
            let late = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = late => return,
                _ = phases.changed() => {}
            }
        }
    }

    /// The connection has ended.
    pub(super) fn end(&self) {
        self.become_phase(Phase::Call);
        self.place().take();
    }

    fn become_phase(&self, next: Phase) {
        let before = self.0.phase.send_replace(next);
        if let Phase::Idle { number, .. } | Phase::Head { number, .. } = before {
            self.0.waiting.leave(number);
        }
    }

    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Phase {
    /// When it has lasted for too long.
    fn until(self) -> Option<Instant> {
        match self {
            Phase::Idle { until, .. } | Phase::Head { until, .. } => Some(until),
            Phase::Call => None,
            Phase::Answer { until, .. } => until,
        }
    }
}

/// The body of an answer, which tells when hyper has all of it.
struct Watched {
    body: Body,
    line: Line,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.line.0.phase.send_if_modified(|phase| {
            if let Phase::Answer { whole, .. } = phase {
                *whole = true;
            }
            false // nobody waits for that
        });
    }
}

impl Frames for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Whether a connection in this state is over when so much time has passed, and not just before.
    async fn lasts(line: &Line, time: Duration) {
        let over = tokio::spawn({
            let line = line.clone();
            async move { line.is_over().await }
        });
        tokio::task::yield_now().await;
        advance(time - Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
        assert!(!over.is_finished(), "after {time:?}");
        advance(Duration::from_millis(2)).await;
        over.await.unwrap();
    }

    /// A line on which a call was answered, and the answer taken.
    async fn idle(waiting: &Waiting) -> Line {
        let line = Line::new(waiting.clone());
        line.called().await;
        drop(line.answered(Body::empty(), None, false));
        line.flushed();
        line
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_let_us_wait_for_so_long() {
        let waiting = Waiting::default();
        lasts(&Line::new(waiting.clone()), HEAD_TIME).await;
        lasts(&idle(&waiting).await, IDLE_TIME).await;
        let line = idle(&waiting).await;
        advance(IDLE_TIME / 2).await;
        line.heard();
        advance(HEAD_TIME / 2).await;
        line.heard(); // who dribbles has no more time
        lasts(&line, HEAD_TIME / 2).await;
        let line = Line::new(waiting.clone());
        line.called().await;
        let _body = line.answered(Body::from("a"), None, false);
        line.flushed(); // a part of it
        lasts(&line, TAKE_TIME).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_and_a_stream_take_what_they_take() {
        let line = Line::new(Waiting::default());
        line.called().await;
        for is_stream in [false, true] {
            let _body = is_stream.then(|| line.answered(Body::from("a"), None, true));
            let over = tokio::time::timeout(TAKE_TIME * 60, line.is_over());
            assert!(over.await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_call_begins_when_the_answer_before_it_was_taken() {
        let line = Line::new(Waiting::default());
        line.called().await;
        let body = line.answered(Body::from("a"), None, false);
        let mut next = Box::pin(line.called());
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(body);
        assert!(
            futures_util::poll!(&mut next).is_pending(),
            "it is not sent"
        );
        line.flushed();
        next.await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_those_without_a_call_the_oldest_makes_room() {
        let waiting = Waiting::default();
        let (busy, first) = (Line::new(waiting.clone()), Line::new(waiting.clone()));
        let again = idle(&waiting).await;
        busy.called().await;
        for line in [&first, &again] {
            waiting.close_oldest().await;
            line.is_over().await;
        }
        let mut closing = Box::pin(waiting.close_oldest());
        assert!(futures_util::poll!(&mut closing).is_pending(), "none");
        assert!(futures_util::poll!(Box::pin(busy.is_over())).is_pending());
        drop(busy.answered(Body::empty(), None, false));
        busy.flushed();
        closing.await;
        busy.is_over().await;
        busy.end();
    }
}
