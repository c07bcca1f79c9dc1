//! A body that arrives once and is read by many.
//!
//! While it is *kept*, every chunk stays, so that a late reader gets all of it and the whole can be stored. When it has
//! outgrown what may be kept, chunks leave as soon as every reader has them, and the writer waits for the slowest reader.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::Notify;

use crate::body::Body;
use crate::body::Chunk;
use crate::body::Cut;

/// How far the writer of a body that is no longer kept may be ahead of its slowest reader, in bytes.
const WINDOW: usize = 256 << 10;

/// Bytes that all spools together may keep.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    used: Arc<Mutex<usize>>,
    pub(super) most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Budget {
        Budget {
            used: Arc::default(),
            most,
        }
    }

    pub(super) fn take(&self, bytes: usize) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = *used + bytes <= self.most;
        if fits {
            *used += bytes;
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
    }
}

/// The writer's end, and the source of readers.
#[derive(Debug)]
pub(super) struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// A reader moved on or left.
    moved: Notify,
    exact: Option<u64>,
    budget: Budget,
}

#[derive(Debug)]
struct State {
    chunks: VecDeque<Bytes>,
    /// How many chunks have left at the front.
    left: usize,
    /// Bytes in `chunks`.
    bytes: usize,
    kept: bool,
    /// Its part of the budget, given back when the last reader has left.
    held: usize,
    end: Option<Result<(), Cut>>,
    readers: HashMap<u64, Place>,
    next_reader: u64,
}

/// Where a reader is.
#[derive(Debug)]
struct Place {
    chunk: usize,
    waker: Option<Waker>,
}

impl Spool {
    /// An empty body; `exact` is its length if that is known.
    pub(super) fn new(exact: Option<u64>, budget: Budget) -> Spool {
        let state = State {
            chunks: VecDeque::new(),
            left: 0,
            bytes: 0,
            kept: true,
            held: 0,
            end: None,
            readers: HashMap::new(),
            next_reader: 0,
        };
        Spool(Arc::new(Shared {
            state: Mutex::new(state),
            moved: Notify::new(),
            exact,
            budget,
        }))
    }

    /// The body from its beginning, for one more reader; `None` if the beginning is no longer here.
    pub(super) fn read(&self) -> Option<Body> {
        let mut state = self.0.lock();
        if state.left > 0 {
            return None;
        }
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(
            id,
            Place {
                chunk: 0,
                waker: None,
            },
        );
        drop(state);
        Some(Body::chunks(
            Reader {
                shared: Arc::clone(&self.0),
                id,
            },
            self.0.exact,
        ))
    }

    /// Adds a chunk.
    pub(super) fn push(&self, chunk: Bytes) {
        let mut state = self.0.lock();
        state.bytes += chunk.len();
        state.chunks.push_back(chunk);
        state.wake();
    }

    /// Takes room for more of a body that is kept; `false` if there is none, or it would be more than `most`.
    pub(super) fn hold(&self, bytes: usize, most: usize) -> bool {
        let mut state = self.0.lock();
        let fits = state.held + bytes <= most && self.0.budget.take(bytes);
        if fits {
            state.held += bytes;
        }
        fits
    }

    /// From here on the body only passes through.
    pub(super) fn keep_no_longer(&self) {
        let mut state = self.0.lock();
        state.kept = false;
        self.0.budget.give_back(std::mem::take(&mut state.held));
        state.drop_read();
    }

    /// Waits until the writer may go on: always at once while the body is kept. `false` if nobody reads it any more.
    pub(super) async fn room(&self) -> bool {
        loop {
            let moved = self.0.moved.notified();
            {
                let state = self.0.lock();
                if state.kept {
                    return true;
                }
                if state.readers.is_empty() {
                    return false;
                }
                if state.bytes < WINDOW {
                    return true;
                }
            }
            moved.await;
        }
    }

    /// All that was pushed and `last`, as one piece of its own, so that no larger buffer stays alive behind it; to be
    /// called while the body is kept.
    pub(super) fn whole(&self, last: &Bytes) -> Bytes {
        let state = self.0.lock();
        let mut whole = BytesMut::with_capacity(state.bytes + last.len());
        for chunk in &state.chunks {
            whole.extend_from_slice(chunk);
        }
        whole.extend_from_slice(last);
        whole.freeze()
    }

    /// Says how the body ended; the first word counts.
    pub(super) fn end(&self, end: Result<(), Cut>) {
        let mut state = self.0.lock();
        state.end.get_or_insert(end);
        state.wake();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let held = self.lock().held;
        self.budget.give_back(held);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        for place in self.readers.values_mut() {
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }

    /// Lets go of chunks that every reader has.
    fn drop_read(&mut self) {
        if self.kept {
            return;
        }
        let slowest = self
            .readers
            .values()
            .map(|place| place.chunk)
            .min()
            .unwrap_or(usize::MAX);
        while self.left < slowest
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.left += 1;
            self.bytes -= chunk.len();
        }
    }
}

/// One reader of a spool: the body of one client's response.
#[derive(Debug)]
struct Reader {
    shared: Arc<Shared>,
    id: u64,
}

impl Stream for Reader {
    type Item = Result<Chunk, Cut>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Cut>>> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let place = state
            .readers
            .get_mut(&self.id)
            .expect("a reader is known until it is dropped");
        if let Some(chunk) = place
            .chunk
            .checked_sub(state.left)
            .and_then(|n| state.chunks.get(n))
            .cloned()
        {
            place.chunk += 1;
            state.drop_read();
            drop(guard);
            self.shared.moved.notify_one();
            return Poll::Ready(Some(Ok(Chunk::Data(chunk))));
        }
        match &state.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(cut)) => Poll::Ready(Some(Err(cut.clone()))),
            None => {
                place.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.readers.remove(&self.id);
        state.drop_read();
        drop(state);
        self.shared.moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(mut body: Body) -> Result<String, Cut> {
        let mut text = String::new();
        while let Some(chunk) = body.next().await {
            if let Chunk::Data(bytes) = chunk? {
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }
        Ok(text)
    }

    #[tokio::test]
    async fn every_reader_gets_all_of_it_whenever_it_came() {
        let spool = Spool::new(Some(4), Budget::new(usize::MAX));
        let early = spool.read().unwrap();
        spool.push(Bytes::from_static(b"ab"));
        let late = spool.read().unwrap();
        let early = tokio::spawn(text(early));
        spool.push(Bytes::from_static(b"cd"));
        assert_eq!(spool.whole(&Bytes::from_static(b"ef")), "abcdef");
        spool.end(Ok(()));
        assert_eq!(early.await.unwrap().unwrap(), "abcd");
        assert_eq!(text(late).await.unwrap(), "abcd");
        assert_eq!(text(spool.read().unwrap()).await.unwrap(), "abcd");
    }

    #[tokio::test]
    async fn a_cut_body_never_looks_whole() {
        let spool = Spool::new(None, Budget::new(usize::MAX));
        let reader = spool.read().unwrap();
        spool.push(Bytes::from_static(b"ab"));
        spool.end(Err(Cut("reset".into())));
        spool.end(Ok(()));
        assert_eq!(text(reader).await, Err(Cut("reset".into())));
    }

    #[tokio::test]
    async fn what_is_not_kept_waits_for_its_slowest_reader_and_leaves() {
        let spool = Spool::new(None, Budget::new(usize::MAX));
        let mut slow = spool.read().unwrap();
        let mut fast = spool.read().unwrap();
        spool.push(Bytes::from(vec![0; WINDOW]));
        spool.keep_no_longer();
        assert!(spool.read().is_some(), "nothing has left yet");
        assert!(fast.next().await.is_some());
        let mut room = Box::pin(spool.room());
        assert!(
            futures_util::poll!(&mut room).is_pending(),
            "the slow reader has read nothing"
        );
        assert!(slow.next().await.is_some());
        assert!(room.await);
        assert!(spool.read().is_none(), "the beginning has left");
        drop((slow, fast));
        assert!(!spool.room().await, "nobody reads");
    }
}
