//! A body that arrives once and is read by many.
//!
//! While it is *kept*, every chunk stays, so that a late reader gets all of it and the whole can be stored; the writer
//! waits for nobody. When it has outgrown what may be kept, it only *passes*: chunks leave as soon as every reader has
//! them, and the writer waits for the reader in front. The others may lag behind that one as far as what is held of the
//! budget already allows; who lags further is cut off, so that nobody waits for it.

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

/// How far the writer of a body that only passes may be ahead of the reader in front, in bytes; and how far the others
/// may lag behind that one, however little is held.
const WINDOW: u64 = 256 << 10;

/// What a chunk takes besides its bytes: an app that sends single bytes must not take many times what is counted.
pub(super) const CHUNK_OVERHEAD: usize = 96;

/// What a chunk takes, in bytes.
fn cost(chunk: &Bytes) -> usize {
    chunk.len() + CHUNK_OVERHEAD
}

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
    /// A reader moved on or left. Two may wait for it: for room, and for nobody to read any more.
    moved: Notify,
    exact: Option<u64>,
    budget: Budget,
}

#[derive(Debug)]
struct State {
    chunks: VecDeque<Bytes>,
    /// How many chunks have left at the front.
    left: usize,
    /// What all chunks took, those that have left too.
    written: u64,
    kept: bool,
    /// Its part of the budget, given back when the last reader has left.
    held: usize,
    end: Option<Result<(), Cut>>,
    /// Those who are served: neither those who have left nor those who were cut off.
    readers: HashMap<u64, Place>,
    next_reader: u64,
}

/// Where a reader is.
#[derive(Debug, Default)]
struct Place {
    /// The chunk to be read next.
    chunk: usize,
    /// What those took that it has read.
    read: u64,
    waker: Option<Waker>,
}

impl Spool {
    /// An empty body; `exact` is its length if that is known.
    pub(super) fn new(exact: Option<u64>, budget: Budget) -> Spool {
        let state = State {
            chunks: VecDeque::new(),
            left: 0,
            written: 0,
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
        state.readers.insert(id, Place::default());
        drop(state);
        Some(Body::chunks(
            Reader {
                shared: Arc::clone(&self.0),
                id,
            },
            self.0.exact,
        ))
    }

    /// Adds a chunk. If the body only passes, who lags too far behind is cut off.
    pub(super) fn push(&self, chunk: Bytes) {
        let mut state = self.0.lock();
        state.written += cost(&chunk) as u64;
        state.chunks.push_back(chunk);
        state.cut_off();
        state.let_go(&self.0.budget);
        state.wake();
    }

    /// Takes room for one more chunk of a body that is kept; `false` if there is none.
    pub(super) fn hold(&self, chunk: &Bytes) -> bool {
        let mut state = self.0.lock();
        let cost = cost(chunk);
        let fits = self.0.budget.take(cost);
        if fits {
            state.held += cost;
        }
        fits
    }

    /// From here on the body only passes through.
    pub(super) fn keep_no_longer(&self) {
        let mut state = self.0.lock();
        state.kept = false;
        state.let_go(&self.0.budget);
    }

    /// Waits until the writer may go on: always at once while the body is kept.
    pub(super) async fn room(&self) {
        self.until(|state| state.kept || state.written - state.front() < WINDOW)
            .await;
    }

    /// Whether somebody reads it.
    pub(super) fn is_read(&self) -> bool {
        !self.0.lock().readers.is_empty()
    }

    /// Waits until nobody reads it.
    pub(super) async fn unread(&self) {
        self.until(|state| state.readers.is_empty()).await;
    }

    /// Waits until this holds, which readers bring about by moving on or leaving.
    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let moved = self.0.moved.notified();
            if holds(&self.0.lock()) {
                return;
            }
            moved.await;
        }
    }

    /// All that was pushed and `last`, as one piece of its own, so that no larger buffer stays alive behind it; to be
    /// called while the body is kept.
    pub(super) fn whole(&self, last: &Bytes) -> Bytes {
        let state = self.0.lock();
        let len = state.chunks.iter().map(Bytes::len).sum::<usize>() + last.len();
        let mut whole = BytesMut::with_capacity(len);
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

    /// How far the reader in front is; as far as the writer if there is none.
    fn front(&self) -> u64 {
        let read = self.readers.values().map(|place| place.read);
        read.max().unwrap_or(self.written)
    }

    /// Cuts off who lags further behind the reader in front than what is held allows. Nobody waits for a chunk that
    /// another has read: they were woken when it came.
    fn cut_off(&mut self) {
        if !self.kept {
            let (front, allowed) = (self.front(), WINDOW.max(self.held as u64));
            self.readers
                .retain(|_, place| front - place.read <= allowed);
        }
    }

    /// Lets go of chunks that every reader has; and, where nobody can lag behind another any more, of what is held and
    /// needed no longer.
    fn let_go(&mut self, budget: &Budget) {
        if self.kept {
            return;
        }
        let slowest = self.readers.values().map(|place| place.chunk).min();
        while slowest.is_none_or(|slowest| self.left < slowest) && self.chunks.pop_front().is_some()
        {
            self.left += 1;
        }
        if self.readers.len() < 2 {
            let ahead = self.written - self.front();
            let needed = usize::try_from(ahead.saturating_sub(WINDOW)).unwrap_or(usize::MAX);
            let held = self.held.min(needed);
            budget.give_back(std::mem::replace(&mut self.held, held) - held);
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
        let Some(place) = state.readers.get_mut(&self.id) else {
            return Poll::Ready(Some(Err(Cut::Short("its reader is too slow".into()))));
        };
        if let Some(chunk) = place
            .chunk
            .checked_sub(state.left)
            .and_then(|n| state.chunks.get(n))
            .cloned()
        {
            place.chunk += 1;
            place.read += cost(&chunk) as u64;
            state.let_go(&self.shared.budget);
            drop(guard);
            self.shared.moved.notify_waiters();
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
        state.let_go(&self.shared.budget);
        drop(state);
        self.shared.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

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
        spool.end(Err(Cut::Short("reset".into())));
        spool.end(Ok(()));
        assert_eq!(text(reader).await, Err(Cut::Short("reset".into())));
    }

    /// What a chunk takes.
    const PIECE: usize = 64 << 10;
    /// How much of it is bytes.
    const DATA: usize = PIECE - CHUNK_OVERHEAD;
    const MOST: usize = 1 << 20;

    fn piece(byte: u8) -> Bytes {
        Bytes::from(vec![byte; DATA])
    }

    /// A body that has just outgrown `MOST`, of which so much is held.
    fn outgrown(held: usize, budget: &Budget) -> (Spool, [Body; 2]) {
        let spool = Spool::new(None, budget.clone());
        let readers = [spool.read().unwrap(), spool.read().unwrap()];
        for n in 0..MOST / PIECE {
            let piece = piece(n as u8);
            assert!(n >= held / PIECE || spool.hold(&piece));
            spool.push(piece);
        }
        spool.keep_no_longer();
        (spool, readers)
    }

    /// Whether the writer may go on now.
    fn has_room(spool: &Spool) -> bool {
        spool.room().now_or_never().is_some()
    }

    /// Reads so many bytes, which are there.
    fn read(body: &mut Body, bytes: usize) {
        for _ in 0..bytes / PIECE {
            let next = body.next().now_or_never();
            assert!(matches!(next, Some(Some(Ok(Chunk::Data(_))))), "{next:?}");
        }
    }

    /// Writes as long as the writer need not wait, and no more than this; how much it was.
    fn write(spool: &Spool, most: usize) -> usize {
        let mut written = 0;
        while written < most && has_room(spool) {
            spool.push(piece(0));
            written += PIECE;
        }
        written
    }

    /// What its chunks take.
    fn holds(spool: &Spool) -> usize {
        spool.0.lock().chunks.iter().map(cost).sum()
    }

    #[tokio::test]
    async fn l10_single_bytes_take_no_more_than_is_counted() {
        let budget = Budget::new(MOST);
        let spool = Spool::new(None, budget.clone());
        let _reader = spool.read().unwrap();
        let byte = Bytes::from_static(b"x");
        let fitted = (0..).take_while(|_| {
            let fits = spool.hold(&byte);
            spool.push(byte.clone());
            fits
        });
        assert!(fitted.count() <= MOST / CHUNK_OVERHEAD);
        spool.keep_no_longer();
        let before = spool.0.lock().chunks.len();
        assert!(!has_room(&spool) && before < MOST / 64);
    }

    #[tokio::test]
    async fn what_only_passes_waits_for_its_fastest_reader_alone() {
        let (spool, [mut fast, _slow]) = outgrown(MOST, &Budget::new(MOST));
        read(&mut fast, MOST - WINDOW as usize);
        assert!(!has_room(&spool), "nobody has read enough");
        read(&mut fast, PIECE);
        assert!(has_room(&spool), "whatever the slow one has read");
    }

    #[tokio::test]
    async fn a_slow_reader_within_what_is_held_loses_nothing() {
        let (spool, [mut fast, slow]) = outgrown(MOST, &Budget::new(MOST));
        read(&mut fast, MOST);
        write(&spool, WINDOW as usize);
        spool.end(Ok(()));
        read(&mut fast, WINDOW as usize); // the end has come: nothing grows any more
        let text = text(slow).await.unwrap();
        assert_eq!(text.len(), (MOST + WINDOW as usize) / PIECE * DATA);
        let pieces = text.as_bytes().chunks(DATA);
        for (n, piece) in pieces.take(MOST / PIECE).enumerate() {
            assert!(piece.iter().all(|byte| usize::from(*byte) == n), "{n}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_lags_too_far_is_cut_and_the_others_go_on() {
        for held in [MOST, 0] {
            let allowed = held.max(WINDOW as usize);
            let (spool, [mut fast, mut slow]) = outgrown(held, &Budget::new(held));
            read(&mut fast, MOST);
            read(&mut slow, MOST - allowed);
            write(&spool, PIECE);
            read(&mut slow, PIECE);
            read(&mut fast, PIECE);
            write(&spool, PIECE); // as far behind as is allowed
            assert_eq!(spool.0.lock().readers.len(), 2, "{held}");
            read(&mut fast, PIECE);
            write(&spool, PIECE);
            assert_eq!(spool.0.lock().readers.len(), 1, "{held}");
            spool.end(Ok(()));
            let cut = text(slow).await;
            assert!(matches!(cut, Err(Cut::Short(_))), "never as if whole");
            assert_eq!(text(fast).await.unwrap().len(), DATA, "{held}");
        }
    }

    #[tokio::test]
    async fn a_slow_reader_alone_is_never_cut() {
        let budget = Budget::new(MOST);
        let (spool, [fast, mut slow]) = outgrown(MOST, &budget);
        drop(fast);
        assert!(!has_room(&spool), "it has read nothing");
        let mut received = 0;
        for _ in 0..100 {
            read(&mut slow, PIECE);
            received += 1;
            write(&spool, usize::MAX);
        }
        spool.end(Ok(()));
        let written = spool.0.lock().written as usize / PIECE;
        assert_eq!(received + text(slow).await.unwrap().len() / DATA, written);
        assert!(budget.take(MOST), "it is all given back");
    }

    #[tokio::test]
    async fn what_only_passes_takes_bounded_memory_however_its_readers_differ() {
        for held in [MOST, 0] {
            let budget = Budget::new(held);
            let allowed = held.max(WINDOW as usize);
            let most = allowed + WINDOW as usize + PIECE;
            let (spool, [mut fast, mut slow]) = outgrown(held, &budget);
            read(&mut fast, MOST);
            read(&mut slow, MOST - allowed);
            for n in 0..200 {
                write(&spool, usize::MAX);
                read(&mut fast, PIECE);
                if n < 100 {
                    read(&mut slow, PIECE); // and stands still from there on
                }
                assert!(holds(&spool) <= most, "{held}: {}", holds(&spool));
            }
            assert!(spool.read().is_none(), "the beginning has left");
            assert!(text(slow).await.is_err(), "{held}");
            assert!(holds(&spool) <= WINDOW as usize, "{held}");
            assert!(budget.take(held), "nobody is left to lag behind: {held}");
        }
    }

    #[tokio::test]
    async fn when_the_last_reader_leaves_the_writer_learns_it_and_nothing_is_held() {
        let budget = Budget::new(MOST);
        let (spool, [first, last]) = outgrown(MOST, &budget);
        drop(first);
        let mut room = Box::pin(spool.room());
        let mut unread = Box::pin(spool.unread());
        assert!(futures_util::poll!(&mut room).is_pending());
        assert!(futures_util::poll!(&mut unread).is_pending());
        drop(last);
        for learnt in [
            futures_util::poll!(&mut room),
            futures_util::poll!(&mut unread),
        ] {
            assert!(learnt.is_ready());
        }
        assert_eq!(holds(&spool), 0);
        assert!(budget.take(MOST));
    }
}
