//! One tag's state: a few atomics that a hit reads without a lock.
//!
//! Writers hold the lock of all tags, so they never meet; readers never wait. The
//! order of the stores is the whole protocol, and the `loom` test below walks every interleaving of them, with changes that are there
//! from the beginning: how `OnceBox` hands them to other threads, loom does not see.

use once_cell::race::OnceBox;

use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::shared::TagState;
use crate::tags::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// A tag and its version. Nearly all tags of a store never change: what there is to say of the changes of one has room when there is
/// something to say.
#[derive(Debug)]
pub struct Cell {
    tag: Tag,
    /// The version, which entries compare with; [`Stamp::UNKNOWN`] as long as something keeps it from being known.
    current: AtomicU64,
    /// Made before `current` says anything but [`Stamp::NEVER`].
    changes: OnceBox<Changes>,
}

/// A cell that many hold. Their count is the only one: std's would be one more word in each.
pub(super) type Held = triomphe::Arc<Cell>;

/// What is known of the changes of a tag.
#[derive(Debug)]
struct Changes {
    /// The version as far as it is known. Writers' own.
    version: AtomicU64,
    /// Increments that wait to be committed, and [`LOST`]. Writers' own.
    unsettled: AtomicU32,
    /// The last increment.
    incremented: AtomicU64,
    /// The last change that was not a soft increment.
    hard: AtomicU64,
    /// The highest version the app itself gave (`;v=7`), or [`NO_VERSION`].
    app: AtomicI64,
}

/// No structured integer is this small (RFC 9651 §3.3.1: fifteen digits).
const NO_VERSION: i64 = i64::MIN;

/// What the store knows of the tag is not known here, or no longer.
const LOST: u32 = 1 << 31;

/// The memory that what is known of the changes of one tag takes, in bytes.
pub(super) const CHANGES: usize = size_of::<Changes>();

impl Changes {
    /// Nothing has happened.
    fn none() -> Changes {
        Changes {
            version: AtomicU64::new(Stamp::NEVER.get()),
            unsettled: AtomicU32::new(0),
            incremented: AtomicU64::new(Stamp::NEVER.get()),
            hard: AtomicU64::new(Stamp::NEVER.get()),
            app: AtomicI64::new(NO_VERSION),
        }
    }
}

impl Cell {
    /// A tag that was never incremented.
    pub(super) fn new(tag: Tag) -> Cell {
        let cell = Cell {
            tag,
            current: AtomicU64::new(Stamp::NEVER.get()),
            changes: OnceBox::new(),
        };
        if cfg!(feature = "loom") {
            cell.changes(); // how `OnceBox` hands them to other threads, loom does not see
        }
        cell
    }

    /// Those of a tag that changes, or of which something is not known.
    fn changes(&self) -> &Changes {
        self.changes.get_or_init(|| Box::new(Changes::none()))
    }

    /// A tag of which the store may know more than we do.
    pub(super) fn unknown(tag: Tag) -> Cell {
        let cell = Cell::new(tag);
        cell.lose();
        cell
    }

    /// The tag.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// Its version: the stamp of the last change (an increment, or a higher version given by the app), or that with which it
    /// became known to all.
    pub fn current(&self) -> Stamp {
        Stamp::from_raw(self.current.load(Ordering::Acquire))
    }

    /// The stamp of the last increment.
    pub fn incremented(&self) -> Stamp {
        self.stamp(|it| &it.incremented)
    }

    /// The stamp of the last change that was not a soft increment.
    pub fn hard(&self) -> Stamp {
        self.stamp(|it| &it.hard)
    }

    fn stamp(&self, of: impl FnOnce(&Changes) -> &AtomicU64) -> Stamp {
        let changes = self.changes.get();
        changes.map_or(Stamp::NEVER, |it| {
            Stamp::from_raw(of(it).load(Ordering::Acquire))
        })
    }

    /// The stamp of the last change of any kind.
    pub fn changed(&self) -> Stamp {
        self.incremented().max(self.hard())
    }

    /// The highest version the app itself gave.
    pub fn app_version(&self) -> Option<i64> {
        let version = self.changes.get()?.app.load(Ordering::Acquire);
        Some(version).filter(|&version| version != NO_VERSION)
    }

    /// Whether a change of it still waits to be committed.
    pub fn is_waiting(&self) -> bool {
        let changes = self.changes.get();
        changes.is_some_and(|it| it.unsettled.load(Ordering::Acquire) & !LOST > 0)
    }

    /// Makes `stamp` the version. `current` goes last: who sees the new one sees the rest of the change too.
    pub(super) fn increment(&self, stamp: Stamp, soft: bool) {
        if !soft {
            raise(&self.changes().hard, stamp);
        }
        raise(&self.changes().incremented, stamp);
        self.settle(stamp);
    }

    /// Notes the app's own version; whether it is a higher one than any before, which then counts as a change.
    pub(super) fn raise(&self, version: i64, stamp: Stamp) -> bool {
        if self.app_version().is_some_and(|known| known >= version) {
            return false;
        }
        self.changes().app.store(version, Ordering::Release);
        raise(&self.changes().hard, stamp);
        self.settle(stamp);
        true
    }

    /// Notes what the store knows. What is known here already may be newer.
    pub(super) fn learn(&self, state: &TagState) {
        if let Some(version) = state.app {
            self.changes().app.store(
                version.max(self.changes().app.load(Ordering::Acquire)),
                Ordering::Release,
            );
        }
        raise(&self.changes().hard, state.hard);
        raise(&self.changes().incremented, state.incremented);
        let unsettled = self.changes().unsettled.load(Ordering::Acquire);
        self.changes()
            .unsettled
            .store(unsettled & !LOST, Ordering::Release);
        raise(&self.changes().version, state.current);
        self.publish();
    }

    /// One more change of it waits to be committed: until then it has no version (L6).
    pub(super) fn begin_waiting(&self) {
        let unsettled = self.changes().unsettled.load(Ordering::Acquire);
        self.changes()
            .unsettled
            .store(unsettled + 1, Ordering::Release);
        self.publish();
    }

    /// One less, after [`Cell::increment`] or [`Cell::raise`].
    pub(super) fn end_waiting(&self) {
        let unsettled = self.changes().unsettled.load(Ordering::Acquire);
        if unsettled & !LOST > 0 {
            self.changes()
                .unsettled
                .store(unsettled - 1, Ordering::Release);
        }
        self.publish();
    }

    /// The store knows nothing of it (L3).
    pub(super) fn lose(&self) {
        let unsettled = self.changes().unsettled.load(Ordering::Acquire);
        self.changes()
            .unsettled
            .store(unsettled | LOST, Ordering::Release);
        self.publish();
    }

    /// Another history begins: its stamps are none of the last one's (L3). What the app counts stays, and what waits.
    pub(super) fn begin_anew(&self) {
        self.lose();
        for stamp in [
            &self.changes().version,
            &self.changes().incremented,
            &self.changes().hard,
        ] {
            stamp.store(Stamp::NEVER.get(), Ordering::Release);
        }
    }

    /// A change that was not known before says what the version is.
    fn settle(&self, stamp: Stamp) {
        if self.changes().version.load(Ordering::Acquire) < stamp.get() {
            self.changes().version.store(stamp.get(), Ordering::Release);
            let unsettled = self.changes().unsettled.load(Ordering::Acquire);
            self.changes()
                .unsettled
                .store(unsettled & !LOST, Ordering::Release);
        }
        self.publish();
    }

    fn publish(&self) {
        let known = self.changes().unsettled.load(Ordering::Acquire) == 0;
        let version = self.changes().version.load(Ordering::Acquire);
        let current = if known { version } else { Stamp::UNKNOWN.get() };
        self.current.store(current, Ordering::Release);
    }
}

/// Stamps never go back, in whichever order they become known.
fn raise(to: &AtomicU64, stamp: Stamp) {
    if to.load(Ordering::Acquire) < stamp.get() {
        to.store(stamp.get(), Ordering::Release);
    }
}

#[cfg(all(test, feature = "loom"))]
mod tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Whoever sees a change's stamp in `current` sees all of that change.
    #[test]
    fn a_reader_never_sees_half_a_change() {
        loom::model(|| {
            let cell = Arc::new(Cell::new(Tag::parse("T").unwrap()));
            let writer = {
                let cell = Arc::clone(&cell);
                thread::spawn(move || {
                    cell.increment(Stamp::from_raw(4), true);
                    cell.increment(Stamp::from_raw(5), false);
                    cell.raise(7, Stamp::from_raw(6));
                })
            };
            let current = cell.current().get();
            if current >= 4 {
                assert!(cell.incremented().get() >= 4);
            }
            if current >= 5 {
                assert_eq!(cell.incremented().get(), 5);
                assert!(cell.hard().get() >= 5);
            }
            if current >= 6 {
                assert_eq!(cell.hard().get(), 6);
                assert_eq!(cell.app_version(), Some(7));
            }
            writer.join().unwrap();
            assert_eq!(cell.current().get(), 6);
        });
    }

    /// An entry sealed under what `current` said before a change is never valid after it.
    #[test]
    fn a_seal_taken_before_an_increment_is_broken_by_it() {
        loom::model(|| {
            let cell = Arc::new(Cell::new(Tag::parse("T").unwrap()));
            let writer = {
                let cell = Arc::clone(&cell);
                thread::spawn(move || cell.increment(Stamp::from_raw(5), false))
            };
            let sealed = cell.current();
            let raced = cell.incremented() > Stamp::NEVER;
            writer.join().unwrap();
            if !raced {
                // Either the entry is refused as raced, or its seal is the old stamp.
                assert_ne!(sealed, cell.current());
            }
        });
    }
}
