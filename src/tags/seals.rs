//! What an entry knows of its tags: their cells, and the versions it was stored under.

use std::sync::Arc;

use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::tags::cell::Cell;

/// The tags of an entry with the versions it was stored under.
#[derive(Clone, Debug)]
pub struct Seals(pub(super) Box<[Seal]>);

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
    pub(super) cell: Arc<Cell>,
    pub(super) stamp: Stamp,
}

impl Seals {
    /// Whether every tag still has the version it had: one atomic load each.
    pub fn intact(&self) -> bool {
        self.0.iter().all(|seal| seal.cell.current() == seal.stamp)
    }

    /// What has changed since, if anything has.
    pub fn broken(&self) -> Option<Broken<'_>> {
        let changed = self.0.iter().filter_map(|seal| {
            let current = seal.cell.current();
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

    /// Whether nobody here knows the version of one of them.
    pub fn are_unknown(&self) -> bool {
        self.cells().any(|cell| cell.current() == Stamp::UNKNOWN)
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &Arc<Cell>> {
        self.0.iter().map(|seal| &seal.cell)
    }

    /// The tags and the versions the entry was stored under.
    pub fn iter(&self) -> impl Iterator<Item = (&Tag, Stamp)> {
        self.0.iter().map(|seal| (seal.cell.tag(), seal.stamp))
    }
}
