//! The last increments, whoever asked for them, for who looks later and for who watches. For people only, never for decisions.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast;

use crate::metrics::Source;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::shared::Change;
use crate::tags::history::Cause;

/// How many increments are remembered.
const REMEMBERED: usize = 1_000;

/// How many of the tags of one.
const NAMED: usize = 100;

/// How many of them who watches may be behind, before it misses some.
const BEHIND: usize = 256;

/// Tags that were incremented together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incremented {
    /// When.
    pub at: Timestamp,
    /// Their version since; `None`: the shared store has not taken it yet, and it waits (L6).
    pub stamp: Option<Stamp>,
    /// The tags, the cache's own (`~uri:…`) among them; the first hundred.
    pub tags: Box<[Tag]>,
    /// How many more there were.
    pub more: usize,
    /// Who asked, such as `POST /users/42`.
    pub by: Arc<str>,
    /// By which way.
    pub source: Source,
    /// What carries them may be served while one refresher works.
    pub soft: bool,
}

impl Incremented {
    /// These tags, with the cause of their change.
    pub(super) fn of<'t>(
        changes: impl ExactSizeIterator<Item = (&'t Tag, Change)>,
        stamp: Option<Stamp>,
        cause: Cause,
    ) -> Incremented {
        let more = changes.len().saturating_sub(NAMED);
        let mut soft = true;
        let mut tags = Vec::with_capacity(changes.len().min(NAMED));
        for (tag, change) in changes {
            soft &= change == Change::Soft;
            if tags.len() < NAMED {
                tags.push(tag.clone());
            }
        }
        let Cause { at, by, source } = cause;
        Incremented {
            at,
            stamp,
            tags: tags.into(),
            more,
            by,
            source,
            soft,
        }
    }
}

/// The last increments, and who watches them.
#[derive(Debug)]
pub(super) struct Recent {
    last: VecDeque<Arc<Incremented>>,
    feed: broadcast::Sender<Arc<Incremented>>,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent {
            last: VecDeque::new(),
            feed: broadcast::Sender::new(BEHIND),
        }
    }
}

impl Recent {
    /// One more. Who watches is told, and waited for by nobody.
    pub(super) fn note(&mut self, incremented: Incremented) -> Arc<Incremented> {
        let incremented = Arc::new(incremented);
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(Arc::clone(&incremented));
        self.tell(&incremented);
        incremented
    }

    /// What waited has landed, and stands where it stood.
    pub(super) fn settle(&mut self, waited: &Arc<Incremented>, landed: Incremented) {
        let mut last = self.last.iter_mut().rev();
        match last.find(|it| Arc::ptr_eq(it, waited)) {
            Some(place) => {
                *place = Arc::new(landed);
                let landed = Arc::clone(place);
                self.tell(&landed);
            }
            None => {
                self.note(landed);
            }
        }
    }

    fn tell(&self, incremented: &Arc<Incremented>) {
        self.feed.send(Arc::clone(incremented)).ok(); // an error means that nobody watches
    }

    /// The last ones, the newest first.
    pub(super) fn last(&self, limit: usize) -> Vec<Arc<Incremented>> {
        self.last.iter().rev().take(limit).cloned().collect()
    }

    /// Those to come.
    pub(super) fn watch(&self) -> broadcast::Receiver<Arc<Incremented>> {
        self.feed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incremented(count: usize, change: Change, stamp: Option<u64>) -> Incremented {
        let tags: Vec<Tag> = (0..count)
            .map(|n| Tag::parse(&format!("T:{n}")).unwrap())
            .collect();
        let cause = Cause {
            at: Timestamp::from_secs(1),
            by: "POST /x".into(),
            source: Source::Response,
        };
        let changes = tags.iter().map(|tag| (tag, change));
        Incremented::of(changes, stamp.map(Stamp::from_raw), cause)
    }

    #[test]
    fn of_many_tags_some_are_named() {
        let few = incremented(2, Change::Soft, Some(1));
        assert_eq!((few.tags.len(), few.more, few.soft), (2, 0, true));
        let many = incremented(NAMED + 7, Change::Hard, Some(1));
        assert_eq!((many.tags.len(), many.more, many.soft), (NAMED, 7, false));
    }

    #[test]
    fn the_last_are_remembered_the_newest_first() {
        let mut recent = Recent::default();
        for n in 0..=REMEMBERED as u64 {
            recent.note(incremented(1, Change::Hard, Some(n + 1)));
        }
        let stamps: Vec<u64> = recent
            .last(usize::MAX)
            .iter()
            .map(|it| it.stamp.unwrap().get())
            .collect();
        assert_eq!(stamps.len(), REMEMBERED);
        assert_eq!((stamps[0], stamps[REMEMBERED - 1]), (1_001, 2));
        assert_eq!(recent.last(3).len(), 3);
    }

    #[test]
    fn what_waited_stands_where_it_stood_when_it_has_landed() {
        let mut recent = Recent::default();
        let mut watched = recent.watch();
        let waited = recent.note(incremented(1, Change::Hard, None));
        recent.note(incremented(1, Change::Hard, Some(7)));
        recent.settle(&waited, incremented(1, Change::Hard, Some(8)));
        let stamps = |it: &Arc<Incremented>| it.stamp.map(Stamp::get);
        let last: Vec<_> = recent.last(9).iter().map(stamps).collect();
        assert_eq!(last, [Some(7), Some(8)]);
        let told: Vec<_> = std::iter::from_fn(|| watched.try_recv().ok()).collect();
        let told: Vec<_> = told.iter().map(stamps).collect();
        assert_eq!(told, [None, Some(7), Some(8)]);
    }

    #[test]
    fn who_watches_and_is_slow_misses_some_and_holds_nobody_up() {
        let mut recent = Recent::default();
        let mut watched = recent.watch();
        for n in 0..BEHIND as u64 + 5 {
            recent.note(incremented(1, Change::Hard, Some(n + 1)));
        }
        let lagged = watched.try_recv();
        assert_eq!(
            lagged,
            Err(broadcast::error::TryRecvError::Lagged(5)),
            "it is told how many"
        );
        assert_eq!(watched.try_recv().unwrap().stamp, Some(Stamp::from_raw(6)));
    }
}
