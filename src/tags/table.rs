//! Tag name → cell, in shards, so that fills on different tags do not wait for each other.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::tags::atomic::{AtomicU64, Ordering};
use crate::tags::cell::Cell;
use crate::tags::cell::Held;

const SHARDS: usize = 32;
/// A shard smaller than this is never swept: there is nothing to gain.
const SWEEP_FROM: usize = 256;

/// All tags that an entry carries or that were incremented lately.
#[derive(Debug)]
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
    /// Others give versions too: nothing is known of a tag because it is new here.
    shared: bool,
    /// The last change of all that have been forgotten.
    forgotten: AtomicU64,
    /// Keyed by chance, so that nobody can choose names that fall into one shard.
    hasher: RandomState,
}

/// Up to which change a cell that nobody holds can matter to no one.
pub(super) struct Forgettable {
    /// No running exchange began before this stamp.
    pub(super) plain: Stamp,
    /// The same for a tag whose versions the app counts: losing it would let an older version pass for the newest, so
    /// it is kept for as long as an entry could live.
    pub(super) counted: Stamp,
}

#[derive(Debug)]
struct Shard {
    /// Each under the name that it holds itself, so that the name is here once.
    cells: HashTable<Held>,
    /// Sweep when there are this many: twice what the last sweep left, so a tag is looked at a few times in its life.
    sweep_at: usize,
}

impl Table {
    pub(super) fn new(shared: bool) -> Table {
        let shard = || {
            Mutex::new(Shard {
                cells: HashTable::new(),
                sweep_at: SWEEP_FROM,
            })
        };
        Table {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            shared,
            forgotten: AtomicU64::new(Stamp::NEVER.get()),
            hasher: RandomState::new(),
        }
    }

    /// The cell of a tag, if there is one; looking creates nothing (L14).
    pub(super) fn find(&self, tag: &str) -> Option<Held> {
        let hash = self.hasher.hash_one(tag);
        self.shard(hash).find(hash, tag).cloned()
    }

    /// The cell of a tag, made if there is none. `forgettable` is asked only when a shard has grown.
    pub(super) fn cell(&self, tag: &Tag, forgettable: impl FnOnce() -> Forgettable) -> Held {
        let hash = self.hasher.hash_one(tag.as_str());
        let is_full = {
            let shard = self.shard(hash);
            if let Some(cell) = shard.find(hash, tag.as_str()) {
                return Held::clone(cell);
            }
            shard.cells.len() >= shard.sweep_at
        };
        // Without the lock: who writes holds another, and may want this one. What is true now is only more careful later.
        let forgettable = is_full.then(forgettable);
        let mut shard = self.shard(hash);
        if let Some(cell) = shard.find(hash, tag.as_str()) {
            return Held::clone(cell); // another has made it meanwhile
        }
        if let Some(forgettable) = forgettable {
            self.sweep_shard(&mut shard, &forgettable);
        }
        let cell = Held::new(match self.shared {
            true => Cell::unknown(tag.clone()),
            false => Cell::new(tag.clone()),
        });
        let made = Held::clone(&cell);
        shard.cells.insert_unique(hash, made, |it| self.hash_of(it));
        cell
    }

    /// Drops what nobody needs any more, in all shards (L10).
    pub(super) fn sweep(&self, forgettable: &Forgettable) {
        for shard in &self.shards {
            self.sweep_shard(&mut lock(shard), forgettable);
        }
    }

    fn sweep_shard(&self, shard: &mut Shard, forgettable: &Forgettable) {
        let last = shard.sweep(forgettable);
        // Under the lock: who has a new cell in place of a forgotten one knows of this.
        self.forgotten.fetch_max(last.get(), Ordering::AcqRel);
        // Many may have come at once, and gone.
        let kept = shard.sweep_at;
        shard.cells.shrink_to(kept, |it| self.hash_of(it));
    }

    fn hash_of(&self, cell: &Held) -> u64 {
        self.hasher.hash_one(cell.tag().as_str())
    }

    /// Another history begins for all of them (L3). To be called by who may write.
    pub(super) fn begin_anew(&self) {
        for shard in &self.shards {
            lock(shard).cells.iter().for_each(|cell| cell.begin_anew());
        }
    }

    /// A change after this has not been forgotten, of whichever tag.
    pub(super) fn forgotten(&self) -> Stamp {
        Stamp::from_raw(self.forgotten.load(Ordering::Acquire))
    }

    /// How many tags there are.
    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).cells.len())
            .sum()
    }

    /// By other bits of the hash than those that place a cell inside it.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let n = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        lock(
            self.shards
                .get(n)
                .expect("n is less than the number of shards"),
        )
    }
}

impl Shard {
    fn find(&self, hash: u64, tag: &str) -> Option<&Held> {
        self.cells.find(hash, |cell| cell.tag().as_str() == tag)
    }

    /// Drops cells that nobody holds and whose loss nobody can notice (L10); the last change of all of these.
    ///
    /// Cells are handed out under this lock only, so a count of one cannot grow meanwhile. It is looked at first: whoever has let go of
    /// a cell may have changed it before, and what is read after it shows that.
    fn sweep(&mut self, forgettable: &Forgettable) -> Stamp {
        let mut last = Stamp::NEVER;
        self.cells.retain(|cell| {
            let is_held = !cell.is_unique();
            let limit = if cell.app_version().is_some() {
                forgettable.counted
            } else {
                forgettable.plain
            };
            let changed = cell.changed();
            let stays = is_held || changed > limit || cell.is_waiting();
            if !stays {
                last = last.max(changed);
            }
            stays
        });
        self.sweep_at = (self.cells.len() * 2).max(SWEEP_FROM);
        last
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
