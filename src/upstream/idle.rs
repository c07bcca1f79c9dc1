//! HTTP/1.1 connections that wait for their next request.
//!
//! Pingora's pool starts a task, a timer and two channels each time a connection is given back, and has to stop them before it
//! is used again. Those were 17,000 of the 113,000 instructions of a request that passes through; a list and one task for all
//! of them take a tenth of that. It is asked the same of a connection as there, when it is put down and when it is taken up:
//! that nothing has come over it, neither bytes nor an end. What the app closes meanwhile is let go of within [`ROUND`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use pingora::protocols::Stream;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

/// So often the connections are gone through for those that have ended.
const ROUND: Duration = Duration::from_secs(1);

/// The connections of one address. At most so many are kept; the one unused for the longest makes room.
pub(super) struct Idle {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The last one was used last, and is used next: those that are not needed grow old.
    waiting: VecDeque<Waiting>,
    /// Whether a task goes through them.
    watched: bool,
}

struct Waiting {
    stream: Stream,
    until: Instant,
}

impl Idle {
    pub(super) fn new(most: usize) -> Arc<Idle> {
        Arc::new(Idle {
            most,
            kept: Mutex::default(),
        })
    }

    /// One that may be used now.
    pub(super) fn take(&self) -> Option<Stream> {
        let now = Instant::now();
        loop {
            let mut last = self.kept().waiting.pop_back()?;
            if last.is_good(now) {
                return Some(last.stream);
            }
        }
    }

    /// Keeps one for so long. It is closed if it is not fit for that, or nobody would go through those that are kept.
    pub(super) fn put(self: &Arc<Self>, stream: Stream, time: Duration) {
        let now = Instant::now();
        let mut waiting = Waiting {
            stream,
            until: now + time,
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !waiting.is_good(now) {
            return;
        }
        let mut kept = self.kept();
        kept.waiting.push_back(waiting);
        let too_many = kept.waiting.len() > self.most;
        let oldest = too_many.then(|| kept.waiting.pop_front());
        let watched = std::mem::replace(&mut kept.watched, true);
        drop(kept);
        drop(oldest); // closing it needs no lock
        if !watched {
            runtime.spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Closes those that have ended. `false`: there are no others, and nobody needs to look again before one is put here.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut kept = self.kept();
        let all = kept.waiting.len();
        let mut ended = Vec::new();
        for _ in 0..all {
            if let Some(mut first) = kept.waiting.pop_front() {
                match first.is_good(now) {
                    true => kept.waiting.push_back(first),
                    false => ended.push(first),
                }
            }
        }
        let watched = !kept.waiting.is_empty();
        kept.watched = watched;
        drop(kept); // closing the others needs no lock
        watched
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Its time is not over, and nothing has come: an app says nothing unasked but that it closes.
    fn is_good(&mut self, now: Instant) -> bool {
        let mut byte = [0; 1];
        let read = self.stream.read(&mut byte);
        // Unconstrained: else a task that has done much in one go would hear that nothing has come, whatever has.
        now < self.until && unconstrained(read).now_or_never().is_none()
    }
}

/// Ends with the connections or with their owner.
async fn watch(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(ROUND).await;
        match idle.upgrade() {
            Some(idle) if idle.sweep() => {}
            Some(_) | None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use pingora::protocols::l4::stream::Stream as Connection;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// A connection, and the app's end of it.
    async fn connection() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ours = TcpStream::connect(address).await.unwrap();
        let (app, _) = listener.accept().await.unwrap();
        (Box::new(Connection::from(ours)), app)
    }

    /// Waits until our end of it is closed.
    async fn closed(mut app: TcpStream) {
        assert_eq!(app.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_one_is_used_next_as_long_as_its_time_is_not_over() {
        let idle = Idle::new(8);
        let ((first, _app), (second, _other)) = (connection().await, connection().await);
        let (one, other) = (first.id(), second.id());
        idle.put(first, LONG);
        idle.put(second, LONG);
        let taken = idle.take().unwrap();
        assert_eq!(taken.id(), other);
        idle.put(taken, Duration::from_millis(500));
        tokio::time::advance(Duration::from_millis(600)).await;
        assert_eq!(idle.take().unwrap().id(), one);
        assert!(idle.take().is_none());
        let (third, app) = connection().await;
        idle.put(third, Duration::ZERO);
        closed(app).await;
    }

    #[tokio::test]
    async fn one_over_which_something_has_come_is_not_used() {
        for word in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
            let idle = Idle::new(8);
            let (mut stream, mut app) = connection().await;
            app.write_all(word.as_bytes()).await.unwrap();
            app.shutdown().await.unwrap();
            // It is here once it can be read; what was looked at so is still there for the pool.
            let mut seen = [0; 1];
            if word.is_empty() {
                assert_eq!(stream.read(&mut seen).await.unwrap(), 0);
            } else {
                stream.read_exact(&mut seen).await.unwrap();
            }
            idle.put(stream, LONG);
            assert!(idle.take().is_none(), "{word:?}");
        }
    }

    #[tokio::test]
    async fn the_one_unused_for_the_longest_makes_room() {
        let idle = Idle::new(1);
        let ((first, app), (second, _other)) = (connection().await, connection().await);
        let kept = second.id();
        idle.put(first, LONG);
        idle.put(second, LONG);
        closed(app).await;
        assert_eq!(idle.take().unwrap().id(), kept);
        assert!(idle.take().is_none());
    }

    /// Time stands still but for who waits for it alone.
    #[tokio::test(start_paused = true)]
    async fn what_has_ended_is_let_go_of_though_nobody_asks() {
        let idle = Idle::new(8);
        for _ in 0..2 {
            let ((gone, mut app), (old, other)) = (connection().await, connection().await);
            idle.put(gone, LONG);
            idle.put(old, LONG);
            app.shutdown().await.unwrap();
            closed(app).await;
            assert_eq!(idle.kept().waiting.len(), 1);
            closed(other).await; // its time is over
            assert!(!idle.kept().watched, "nobody goes through none");
        }
    }
}
