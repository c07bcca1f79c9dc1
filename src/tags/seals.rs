//! What an entry knows of its tags: their cells, and the versions it was stored under.

use std::sync::Arc;

use crate::model::allocated::allocated;
use crate::model::allocated::counted;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::tags::atomic::{AtomicU64, Ordering};
use crate::tags::cell::CHANGES;
use crate::tags::cell::Cell;
use crate::tags::cell::Held;

/// The tags of an entry with the versions it was stored under.
#[derive(Clone, Debug)]
pub struct Seals {
    pub(super) seals: Box<[Seal]>,
    pub(super) history: Era,
}

/// A history of the store, which ends when another begins: a version of the one means nothing in the other, even where both are the
/// same number (L3).
#[derive(Clone, Debug)]
pub(super) struct Era {
    number: u64,
    now: Arc<AtomicU64>,
}

impl Era {
    /// The one with this number; `now` says which it is at any time.
    pub(super) fn new(number: u64, now: &Arc<AtomicU64>) -> Era {
        let now = Arc::clone(now);
        Era { number, now }
    }

    /// Whether the store is one that several share: who is alone has one history only.
    fn is_shared(&self) -> bool {
        self.number > 0
    }

    fn goes_on(&self) -> bool {
        self.now.load(Ordering::Acquire) == self.number
    }
}

/// What has become of the tags of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken<'a> {
    /// The first tag that has changed.
    pub tag: &'a Tag,
    /// About when one of them changed first. Of a tag that changed several times, its last change.
    pub at: Timestamp,
    /// Nothing but soft increments has happened to them: the entry may be served while one refresher works.
    pub soft: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Seal {
    pub(super) cell: Held,
    pub(super) stamp: Stamp,
}

/// What a cell takes in the table of all, which has room for more than it holds.
const PLACE: usize = 12;

/// The memory that the cell of a tag with so long a name takes, in bytes. Where others change tags, too, what is not known of one
/// yet is noted in each.
fn weight_of(name: usize, is_shared: bool) -> usize {
    let changes = if is_shared { allocated(CHANGES) } else { 0 };
    allocated(size_of::<usize>() + size_of::<Cell>()) + counted(name) + changes + PLACE
}

impl Seals {
    /// Whether every tag still has the version it had: one atomic load each, and one for all.
    pub fn intact(&self) -> bool {
        let mut seals = self.seals.iter();
        seals.all(|seal| seal.cell.current() == seal.stamp) && self.history.goes_on()
    }

    /// What has changed since, if anything has.
    pub fn broken(&self) -> Option<Broken<'_>> {
        let known = self.history.goes_on();
        let changed = self.seals.iter().filter_map(|seal| {
            let current = match known {
                true => seal.cell.current(),
                false => Stamp::UNKNOWN,
            };
            // Stamps are microseconds since the epoch (L3). What nobody knows changes at the end of days: just now, that is.
            let at = Timestamp::from_micros(current.get());
            // `current` was read first: what it tells of is seen in `hard`.
            // Of what nobody knows nobody knows that it is no more than softly changed.
            let soft = || current != Stamp::UNKNOWN && seal.cell.hard() <= seal.stamp;
            (current != seal.stamp).then(|| Broken {
                tag: seal.cell.tag(),
                at,
                soft: soft(),
            })
        });
        changed.reduce(|first, other| Broken {
            at: first.at.min(other.at),
            soft: first.soft && other.soft,
            ..first
        })
    }

    /// The first tag that has changed, or is about to. None of those that were merely lost: by nobody's change.
    pub(super) fn changed(&self) -> Option<&Tag> {
        let changed = |seal: &&Seal| {
            let current = seal.cell.current();
            let is_lost = current == Stamp::UNKNOWN && !seal.cell.is_waiting();
            current != seal.stamp && !is_lost
        };
        let first = self.seals.iter().find(changed);
        first
            .filter(|_| self.history.goes_on())
            .map(|seal| seal.cell.tag())
    }

    /// Whether nobody here knows the version of one of them.
    pub fn are_unknown(&self) -> bool {
        self.cells().any(|cell| cell.current() == Stamp::UNKNOWN)
    }

    /// The memory they take, in bytes: their own, and that of the cells that are there for their sake. A cell is shared by all
    /// that carry its tag. Of a tag of the app, or of what its rules find in requests, nobody knows whether others do:
    /// half of its cell is counted.
    pub fn weight(&self) -> usize {
        let is_shared = self.history.is_shared();
        let cells = self.iter().map(|(tag, _)| {
            let cell = weight_of(tag.as_str().len(), is_shared);
            match (tag.is_of_one_key(), tag.is_of_rules()) {
                (true, _) => cell,
                (false, true) => 0,
                (false, false) => cell / 2,
            }
        });
        allocated(size_of_val(&*self.seals)) + cells.sum::<usize>()
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &Held> {
        self.seals.iter().map(|seal| &seal.cell)
    }

    /// The tags and the versions the entry was stored under.
    pub fn iter(&self) -> impl Iterator<Item = (&Tag, Stamp)> {
        self.seals.iter().map(|seal| (seal.cell.tag(), seal.stamp))
    }
}
