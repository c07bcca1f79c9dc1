//! One tag's state: a few atomics that a hit reads without a lock.
//!
//! Writers hold the lock of [`Sequence`](crate::tags::sequence::Sequence), so they never meet; readers never wait. The
//! order of the stores is the whole protocol, and the `loom` test below walks every interleaving of it.

use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::tags::atomic::{AtomicI64, AtomicU64, Ordering};

/// A tag and its version.
#[derive(Debug)]
pub struct Cell {
    tag: Tag,
    /// The last change of any kind: what entries compare with.
    current: AtomicU64,
    /// The last increment.
    incremented: AtomicU64,
    /// The last change that was not a soft increment.
    hard: AtomicU64,
    /// The highest version the app itself gave (`;v=7`), or [`NO_VERSION`].
    app: AtomicI64,
}

/// No structured integer is this small (RFC 9651 §3.3.1: fifteen digits).
const NO_VERSION: i64 = i64::MIN;

impl Cell {
    /// A tag that was never incremented.
    pub(super) fn new(tag: Tag) -> Cell {
        Cell {
            tag,
            current: AtomicU64::new(Stamp::NEVER.get()),
            incremented: AtomicU64::new(Stamp::NEVER.get()),
            hard: AtomicU64::new(Stamp::NEVER.get()),
            app: AtomicI64::new(NO_VERSION),
        }
    }

    /// The tag.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The stamp of the last change: an increment, or a higher version given by the app.
    pub fn current(&self) -> Stamp {
        Stamp::from_raw(self.current.load(Ordering::Acquire))
    }

    /// The stamp of the last increment.
    pub fn incremented(&self) -> Stamp {
        Stamp::from_raw(self.incremented.load(Ordering::Acquire))
    }

    /// The stamp of the last change that was not a soft increment.
    pub fn hard(&self) -> Stamp {
        Stamp::from_raw(self.hard.load(Ordering::Acquire))
    }

    /// The highest version the app itself gave.
    pub fn app_version(&self) -> Option<i64> {
        Some(self.app.load(Ordering::Acquire)).filter(|&version| version != NO_VERSION)
    }

    /// Makes `stamp` the version. `current` goes last: who sees the new one sees the rest of the change too.
    pub(super) fn increment(&self, stamp: Stamp, soft: bool) {
        if !soft {
            self.hard.store(stamp.get(), Ordering::Release);
        }
        self.incremented.store(stamp.get(), Ordering::Release);
        self.current.store(stamp.get(), Ordering::Release);
    }

    /// Notes the app's own version; whether it is a higher one than any before, which then counts as a change.
    pub(super) fn raise(&self, version: i64, stamp: Stamp) -> bool {
        if self.app_version().is_some_and(|known| known >= version) {
            return false;
        }
        self.app.store(version, Ordering::Release);
        self.hard.store(stamp.get(), Ordering::Release);
        self.current.store(stamp.get(), Ordering::Release);
        true
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
