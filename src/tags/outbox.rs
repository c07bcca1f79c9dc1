//! Changes on their way to the store, in their order. All of them pass here; what the store cannot take stays (L6).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::metrics::Source;
use crate::shared::Change;
use crate::shared::Incremented;
use crate::tags::Changes;
use crate::tags::cell::Held;
use crate::tags::recent;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Arc<Wish>>,
    /// How many changes that are.
    len: usize,
}

/// Changes to be made together.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) changes: Changes,
    pub(super) by: Arc<str>,
    pub(super) source: Source,
    /// When the store took it the first time, if it is sent again; since the beginning of [`Pulse`](crate::tags::pulse::Pulse).
    pub(super) landed_at: Option<Duration>,
    /// What was told of it while it waited.
    pub(super) told: OnceLock<Arc<recent::Incremented>>,
    /// Whoever waits for it; gone when the wish has ended.
    open: Mutex<Option<oneshot::Sender<Incremented>>>,
}

impl Wish {
    pub(super) fn new(
        changes: Changes,
        by: Arc<str>,
        source: Source,
    ) -> (Arc<Wish>, oneshot::Receiver<Incremented>) {
        let (done, landed) = oneshot::channel();
        let open = Mutex::new(Some(done));
        let wish = Wish {
            changes,
            by,
            source,
            landed_at: None,
            told: OnceLock::new(),
            open,
        };
        (Arc::new(wish), landed)
    }

    /// The same once more, which nobody waits for.
    pub(super) fn once_more(&self, landed_at: Duration) -> Arc<Wish> {
        let (nobody, _) = oneshot::channel();
        Arc::new(Wish {
            changes: self.changes.clone(),
            by: Arc::clone(&self.by),
            source: self.source,
            landed_at: Some(landed_at),
            told: OnceLock::new(),
            open: Mutex::new(Some(nobody)),
        })
    }

    /// Whether it still waits.
    pub(super) fn is_open(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.is_some()
    }

    /// Ends it, once: who waits is told what came of it, or that nothing will. To be called by who may write.
    pub(super) fn end(&self, landed: Option<Incremented>) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(done) = open.take() else {
            return false;
        };
        if let Some(landed) = landed {
            done.send(landed).ok(); // an error means that nobody waits any longer
        }
        for (cell, _) in &self.changes {
            cell.end_waiting();
        }
        true
    }
}

impl Outbox {
    /// Adds one, whose cells wait from now on. If there is no room, one change of everything takes the place of all that waits,
    /// and of this; true then. To be called by who may write.
    pub(super) fn push(
        &mut self,
        wish: Arc<Wish>,
        most: usize,
        all: impl FnOnce() -> Held,
    ) -> bool {
        for (cell, _) in &wish.changes {
            cell.begin_waiting();
        }
        self.len += wish.changes.len();
        self.waiting.push_back(wish);
        if self.len <= most {
            return false;
        }
        let all = all();
        let changes = vec![(Held::clone(&all), Change::Hard)];
        let (everything, _) = Wish::new(changes, "overflow".into(), Source::Response);
        all.begin_waiting(); // first: nothing that waits may seem settled meanwhile
        for wish in self.waiting.drain(..) {
            wish.end(None);
        }
        self.waiting.push_back(everything);
        self.len = 1;
        true
    }

    /// The first few, which stay.
    pub(super) fn first(&self, most: usize) -> Vec<Arc<Wish>> {
        self.waiting.iter().take(most).cloned().collect()
    }

    /// Takes one out that the store has taken, if it is still there.
    pub(super) fn remove(&mut self, wish: &Arc<Wish>) {
        if let Some(at) = self.waiting.iter().position(|it| Arc::ptr_eq(it, wish))
            && let Some(wish) = self.waiting.remove(at)
        {
            self.len -= wish.changes.len();
        }
    }

    /// How many changes wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All that waits, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Wish>> {
        self.waiting.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stamp::Stamp;
    use crate::model::tag::Tag;
    use crate::tags::cell::Cell;

    fn cell(name: &str) -> Held {
        Held::new(Cell::new(Tag::parse(name).unwrap()))
    }

    fn wish(cells: &[&Held]) -> (Arc<Wish>, oneshot::Receiver<Incremented>) {
        let changes = cells.iter().map(|cell| (Held::clone(cell), Change::Hard));
        Wish::new(changes.collect(), "POST /x".into(), Source::Response)
    }

    fn no_overflow() -> Held {
        panic!("there is room")
    }

    #[test]
    fn l06_what_waits_has_no_version_until_it_has_landed() {
        let (a, b) = (cell("A"), cell("B"));
        let mut outbox = Outbox::default();
        let (first, mut landed) = wish(&[&a, &b]);
        let (second, _) = wish(&[&a]);
        assert!(!outbox.push(Arc::clone(&first), 10, no_overflow));
        assert!(!outbox.push(Arc::clone(&second), 10, no_overflow));
        assert_eq!(
            (outbox.len(), a.current(), b.current()),
            (3, Stamp::UNKNOWN, Stamp::UNKNOWN)
        );

        let incremented = Incremented {
            stamp: Some(Stamp::from_raw(5)),
            before: Stamp::NEVER,
        };
        outbox.remove(&first);
        assert!(first.end(Some(incremented)));
        assert_eq!(landed.try_recv(), Ok(incremented));
        assert_eq!(b.current(), Stamp::NEVER);
        assert_eq!(a.current(), Stamp::UNKNOWN, "one more waits");
        assert!(!first.end(Some(incremented)), "once");
        assert_eq!(outbox.len(), 1);
        assert!(second.end(None));
        assert_eq!(a.current(), Stamp::NEVER);
    }

    #[test]
    fn l06_what_has_no_room_becomes_a_change_of_everything() {
        let (a, b, all) = (cell("A"), cell("B"), cell("All"));
        let mut outbox = Outbox::default();
        let (first, mut landed) = wish(&[&a]);
        assert!(!outbox.push(Arc::clone(&first), 1, no_overflow));
        let (second, _) = wish(&[&b]);
        assert!(outbox.push(second, 1, || Held::clone(&all)));
        assert_eq!(outbox.len(), 1);
        assert_eq!((a.current(), b.current()), (Stamp::NEVER, Stamp::NEVER));
        assert_eq!(all.current(), Stamp::UNKNOWN);
        assert!(landed.try_recv().is_err(), "it is not acknowledged");
        outbox.remove(&first); // the store has taken it all the same
        assert_eq!(outbox.len(), 1);
        let waiting = outbox.first(10);
        assert_eq!(waiting.len(), 1);
        waiting[0].end(None);
        assert_eq!(all.current(), Stamp::NEVER);
    }
}
