//! Tag versions: snapshot, seal, increment.
//!
//! Alone, the truth is a table of atomic cells in this process. An entry holds the cells of its tags and the stamps it
//! was stored under ([`Seals`]); a hit compares them, one atomic load per tag, and an increment is one store per tag,
//! whatever the number of entries.
//!
//! With others, the truth is the shared store: its log of increments and a key per tag. The cells are a copy of what it says,
//! kept up to date by following the log (`follow`); a copy that may be out of date is not trusted (`pulse`). What changes goes
//! to the store first, through the `outbox`, in which it waits as long as the store cannot take it (L6).

mod atomic;
mod cell;
mod claims;
mod epoch;
mod follow;
mod heavy;
mod history;
mod landed;
mod mandate;
mod now;
mod outbox;
mod own;
mod pulse;
mod recent;
mod seals;
mod sequence;
mod table;
mod together;
mod token;
mod trouble;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

pub use cell::Cell;
pub use epoch::Told;
pub use follow::News;
pub use history::Cause;
pub use now::TagNow;
pub use own::Own;
pub use recent::Incremented;
pub use seals::Broken;
pub use seals::Seals;
pub use sequence::Snapshot;
pub use together::Registered;
pub use together::Sharing;
pub use token::NotAToken;
pub use token::Token;

use crate::clock::{Anchor, Clock};
use crate::metrics::Source;
use crate::model::outcome::Commit;
use crate::model::outcome::NoStore;
use crate::model::stamp::Stamp;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::Tagged;
use crate::shared::Change;
use crate::shared::Link;
use crate::tags::atomic::AtomicU64;
use crate::tags::cell::Held;
use crate::tags::claims::Claimable;
use crate::tags::claims::Claims;
use crate::tags::heavy::Heaviest;
use crate::tags::history::History;
use crate::tags::landed::Landed;
use crate::tags::outbox::Outbox;
use crate::tags::recent::Recent;
use crate::tags::seals::Era;
use crate::tags::seals::Seal;
use crate::tags::sequence::Running;
use crate::tags::sequence::Sequence;
use crate::tags::table::Forgettable;
use crate::tags::table::Table;
use crate::tags::together::Together;
use crate::tags::token::GivenOut;

/// How long a version that the app counts itself is remembered after nobody holds the tag: the default of `max_ttl`.
const LONGEST_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// The versions of all tags.
#[derive(Debug)]
pub struct Tags {
    table: Table,
    /// Held while a change is made, so that changes have one order and stamps never repeat (L2).
    writer: Mutex<Writer>,
    running: Running,
    given_out: Mutex<GivenOut>,
    /// The tags whose changes cost lookups most often. With a lock of its own: lookups do not wait for changes.
    costly: Mutex<Heaviest>,
    /// The number of the history that goes on, for who holds seals.
    era: Arc<AtomicU64>,
    clock: Clock,
    /// The beginning.
    anchor: Anchor,
    /// `None`: alone.
    together: Option<Together>,
}

#[derive(Debug, Default)]
struct Writer {
    /// Alone: where stamps come from.
    sequence: Sequence,
    /// The last stamp that is known to have been given: what happens from now on is later than its change.
    applied: Stamp,
    /// Which history of the store this is, as counted here: with another, no version means what it meant (L3).
    generation: u64,
    /// How the store calls it. Alone it is this process that is one, and nobody else's.
    history_name: Box<str>,
    /// The last stamp that had been given when it was first followed here.
    begun: Stamp,
    outbox: Outbox,
    claims: Claims,
    landed: Landed,
    history: History,
    recent: Recent,
    /// The tags that change most often, of those that somebody has named.
    changing: Heaviest,
    /// The same of the cache's own: each write has some, and they would leave no room for the others.
    changing_own: Heaviest,
}

/// When somebody came: what was changed before that counts for them.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The last stamp that was known to have been given.
    pub stamp: Stamp,
    /// There may have been changes without a stamp (L6).
    in_doubt: bool,
}

impl Arrival {
    /// With the snapshot.
    pub fn with(snapshot: &Snapshot) -> Arrival {
        let stamp = snapshot.stamp();
        let in_doubt = false;
        Arrival { stamp, in_doubt }
    }
}

/// Cells and how they change.
type Changes = Vec<(Held, Change)>;

impl Tags {
    /// No tag has a version yet, and nobody else gives any.
    pub fn new(clock: Clock) -> Tags {
        Tags::of(clock, None)
    }

    /// The tags of a namespace that others share. Nothing is known, and nothing trusted, before [`Tags::follow`] runs.
    pub fn shared(clock: Clock, sharing: Sharing) -> Tags {
        let together = Together::new(sharing, &clock);
        Tags::of(clock, Some(together))
    }

    fn of(clock: Clock, together: Option<Together>) -> Tags {
        let alone = format!("{:032x}", clock.random());
        let writer = Writer {
            history_name: alone.into(),
            ..Writer::default()
        };
        Tags {
            table: Table::new(together.is_some()),
            writer: Mutex::new(writer),
            running: Running::default(),
            given_out: Mutex::default(),
            anchor: clock.anchor(),
            costly: Mutex::default(),
            era: Arc::default(),
            clock,
            together,
        }
    }

    /// `s0`, to be taken before a byte goes to the app (L1).
    pub fn snapshot(&self) -> Snapshot {
        self.running.begin(|| {
            let writer = self.write();
            (writer.applied, writer.generation)
        })
    }

    /// The last stamp that is known to have been given.
    pub fn applied(&self) -> Stamp {
        self.write().applied
    }

    /// Gives each of these tags a version it never had (L2), as one atomic change; `by` says who asked, and `source` by which
    /// way. `None`: the store could not take it in time, and it waits (L6).
    pub async fn increment(
        &self,
        increments: &[Increment],
        by: &Arc<str>,
        source: Source,
    ) -> Option<Stamp> {
        let changes = self.changes(increments);
        match &self.together {
            _ if changes.is_empty() => Some(self.applied()),
            None => Some(self.apply(&mut self.write(), &changes, by, source)),
            Some(together) => self.submit(together, changes, by, source).await.stamp(),
        }
    }

    /// The same for as many tags as somebody likes: with others so few at a time that they crowd nothing out that waits. The
    /// version of each. `None`: the store could not take them all in time, and the rest waits (L6).
    pub async fn increment_many(
        &self,
        increments: &[Increment],
        by: &Arc<str>,
        source: Source,
    ) -> Option<Vec<Stamp>> {
        let together = self.together.as_ref();
        let at_once = together.map_or(increments.len(), Together::at_once).max(1);
        let mut rest = increments;
        let mut stamps = Vec::with_capacity(increments.len());
        while !rest.is_empty() {
            let (some, later) = rest.split_at(at_once.min(rest.len()));
            rest = later;
            let Some(stamp) = self.increment(some, by, source).await else {
                self.increment(rest, by, source).await; // in vain too: what is left waits with them
                return None;
            };
            stamps.extend(some.iter().map(|_| stamp));
        }
        Some(stamps)
    }

    /// The same for what is to be stored itself, though it changes some of its own tags: with them as it leaves them, if nobody
    /// else has changed one since `before`; without that, whoever has.
    pub async fn increment_own(
        &self,
        increments: &[Increment],
        by: &Arc<str>,
        source: Source,
        before: Option<&Snapshot>,
    ) -> (Own, Commit) {
        let before = before.map_or(Stamp::UNKNOWN, Snapshot::stamp); // later than any
        let changes = self.changes(increments);
        let cells = changes.iter().map(|(cell, _)| Held::clone(cell)).collect();
        let Some(together) = &self.together else {
            let mut writer = self.write();
            // Under the lock: nobody's change may come between this look and our own.
            let unchanged = |(cell, _): &(Held, Change)| cell.changed() <= before;
            let first = changes.iter().all(unchanged);
            let stamp = self.apply(&mut writer, &changes, by, source);
            let stamp = first.then_some(stamp);
            return (Own { stamp, cells }, Commit::Done);
        };
        let submitted = self.submit(together, changes, by, source).await;
        let stamp = submitted.first_since(before);
        (Own { stamp, cells }, submitted.commit())
    }

    fn changes(&self, increments: &[Increment]) -> Changes {
        let of = |increment: &Increment| {
            let change = match increment.soft {
                true => Change::Soft,
                false => Change::Hard,
            };
            (self.cell(&increment.tag), change)
        };
        increments.iter().map(of).collect()
    }

    /// Alone: the change is made with this.
    fn apply(
        &self,
        writer: &mut Writer,
        changes: &[(Held, Change)],
        by: &Arc<str>,
        source: Source,
    ) -> Stamp {
        let at = self.clock.now();
        let stamp = writer.sequence.next(at);
        let cause = Cause::of(stamp, by, source);
        for (cell, change) in changes {
            writer.change(cell, *change, stamp, &cause);
        }
        writer.applied = stamp;
        let told = Incremented::of(named(changes), Some(stamp), cause);
        writer.recent.note(told);
        stamp
    }

    /// Notes the versions that the app itself gives; a higher one than before invalidates what carries a lower one. Which tags
    /// got one.
    pub async fn observe<'t>(
        &self,
        tagged: &'t [Tagged],
        by: &Arc<str>,
        source: Source,
    ) -> (Vec<&'t Tag>, Commit) {
        let mut raised = Vec::new();
        let mut changes = Vec::new();
        for Tagged { tag, version } in tagged {
            let Some(version) = *version else { continue };
            let cell = self.cell(tag);
            if cell.app_version().is_some_and(|known| known >= version) {
                continue; // the usual case, without the lock
            }
            match &self.together {
                Some(_) => {
                    raised.push(tag);
                    changes.push((cell, Change::Version(version)));
                }
                None => {
                    let mut writer = self.write();
                    let stamp = writer.sequence.next(self.clock.now());
                    let cause = Cause::of(stamp, by, source);
                    let change = Change::Version(version);
                    if writer.change(&cell, change, stamp, &cause) {
                        raised.push(tag);
                        let told = Incremented::of([(tag, change)].into_iter(), Some(stamp), cause);
                        writer.recent.note(told);
                    }
                    writer.applied = stamp;
                }
            }
        }
        let commit = match &self.together {
            Some(together) if !changes.is_empty() => {
                self.submit(together, changes, by, source).await.commit()
            }
            Some(_) | None => Commit::Done,
        };
        (raised, commit)
    }

    /// The version of a tag as far as it is known here; `None` if it has none, and none is made by asking (L14).
    pub fn version(&self, tag: &str) -> Option<Stamp> {
        self.table
            .find(tag)
            .map(|cell| cell.current())
            .filter(|&stamp| stamp != Stamp::NEVER && stamp != Stamp::UNKNOWN)
    }

    /// The last increment of a tag, while it is remembered.
    pub fn cause(&self, tag: &Tag) -> Option<Cause> {
        self.write().history.of(tag)
    }

    /// The last increments, the newest first, whoever asked for them.
    pub fn recent(&self, limit: usize) -> Vec<Arc<Incremented>> {
        self.write().recent.last(limit)
    }

    /// Those to come. Who takes them too slowly misses some, and holds nobody up.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Incremented>> {
        self.write().recent.watch()
    }

    /// The tags that have changed most often since the beginning, with how often: those that somebody has named.
    pub fn changing(&self) -> Vec<(Tag, u64, Option<Cause>)> {
        self.most(|writer| &writer.changing)
    }

    /// The same of the cache's own.
    pub fn changing_own(&self) -> Vec<(Tag, u64, Option<Cause>)> {
        self.most(|writer| &writer.changing_own)
    }

    fn most(&self, of: impl Fn(&Writer) -> &Heaviest) -> Vec<(Tag, u64, Option<Cause>)> {
        let writer = self.write();
        let all = of(&writer).all().into_iter();
        let with_cause = |(tag, count): (Tag, u64)| {
            let cause = writer.history.of(&tag);
            (tag, count, cause)
        };
        all.map(with_cause).collect()
    }

    /// A lookup has found something stored, and cannot use it for the change of one of its tags.
    pub fn note_missed(&self, seals: &Seals) {
        if let Some(tag) = seals.changed() {
            self.costly().note(tag);
        }
    }

    /// The tags whose changes lookups have met most often since the beginning, with how often.
    pub fn costing(&self) -> Vec<(Tag, u64)> {
        self.costly().all()
    }

    fn costly(&self) -> std::sync::MutexGuard<'_, Heaviest> {
        self.costly.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals a response to its tags' versions, if it was computed from nothing older than them (L1).
    ///
    /// # Errors
    ///
    /// [`NoStore::Raced`] if a tag changed after `before`, or is about to; [`NoStore::OldVersion`] if the app rendered the
    /// response from a version of a tag that is not the newest it has told of; [`NoStore::Fenced`] if a tag's version is
    /// not known.
    pub fn seal(
        &self,
        tagged: &[Tagged],
        before: &Snapshot,
        registered: &Registered,
    ) -> Result<Seals, NoStore> {
        self.seal_own(tagged, before, None, registered)
    }

    /// The same for a response that changed some of its own tags.
    ///
    /// # Errors
    ///
    /// As for [`Tags::seal`]; changes that are the response's own do not count.
    pub fn seal_own(
        &self,
        tagged: &[Tagged],
        before: &Snapshot,
        own: Option<&Own>,
        _registered: &Registered,
    ) -> Result<Seals, NoStore> {
        let seal = |Tagged { tag, version }: &Tagged| {
            let cell = self.cell(tag);
            // First: a change after this line breaks the seal.
            let stamp = cell.current();
            is_current(&cell, *version, since(&cell, before, own)?)?;
            if stamp == Stamp::UNKNOWN {
                return Err(NoStore::Fenced);
            }
            Ok(Seal { cell, stamp })
        };
        let seals = tagged.iter().map(seal).collect::<Result<_, _>>();
        // Once the cells are held, no change of them is forgotten any more.
        if self.table.forgotten() > before.stamp() {
            return Err(NoStore::Raced);
        }
        // Last: what began in another history cannot be compared with this one's versions (L3).
        if self.write().generation != before.generation() {
            return Err(NoStore::Raced);
        }
        let history = Era::new(before.generation(), &self.era);
        seals.map(|seals| Seals { seals, history })
    }

    /// The seals of a response that somebody else has sealed to these versions in the history that this link follows; `None` if
    /// it is not followed here. From here on changes of its tags show.
    pub fn seals_of(&self, tags: &[(Tag, Stamp)], link: &Link) -> Option<Seals> {
        let generation = {
            let writer = self.write();
            writer.is_of(link).then_some(writer.generation)
        };
        let history = Era::new(generation?, &self.era);
        let seal = |(tag, stamp): &(Tag, Stamp)| Seal {
            cell: self.cell(tag),
            stamp: *stamp,
        };
        Some(Seals {
            seals: tags.iter().map(seal).collect(),
            history,
        })
    }

    /// Whether [`Tags::seal_own`] would refuse the response as things are: nothing is asked of others, and tags of which
    /// nothing is known are taken for unchanged.
    ///
    /// # Errors
    ///
    /// Why it would be refused.
    pub fn foresee(
        &self,
        tagged: &[Tagged],
        before: &Snapshot,
        own: Option<&Own>,
    ) -> Result<(), NoStore> {
        if self.is_fenced() {
            return Err(NoStore::Fenced);
        }
        tagged.iter().try_for_each(|Tagged { tag, version }| {
            let cell = self.table.find(tag.as_str());
            cell.map_or(Ok(()), |cell| {
                is_current(&cell, *version, since(&cell, before, own)?)
            })
        })
    }

    /// Whether [`Tags::seal`] would refuse a response that carries these tags, and for which the app was asked at `before`.
    /// Makes no tag known (L14).
    pub fn outdates(&self, tagged: &[Tagged], before: Stamp) -> bool {
        let outdated = |Tagged { tag, version }: &Tagged| {
            let cell = self.table.find(tag.as_str());
            cell.is_some_and(|cell| is_current(&cell, *version, before).is_err())
        };
        tagged.iter().any(outdated)
    }

    /// Whether any of these tags changed after `stamp`, or is about to.
    pub fn changed_since<'a>(&self, tags: impl IntoIterator<Item = &'a Tag>, stamp: Stamp) -> bool {
        let changed = |tag: &Tag| {
            self.table
                .find(tag.as_str())
                .is_some_and(|cell| cell.changed() > stamp || cell.is_waiting())
        };
        tags.into_iter().any(changed)
    }

    /// This moment, for who asks later what had been changed by then.
    pub fn arrival(&self) -> Arrival {
        let writer = self.write(); // one look: what lands meanwhile is seen as either
        Arrival {
            stamp: writer.applied,
            in_doubt: writer.outbox.len() > 0,
        }
    }

    /// The moment, now past, at which that was the last stamp.
    pub fn arrival_at(&self, stamp: Stamp) -> Arrival {
        let in_doubt = self.together.is_some();
        Arrival { stamp, in_doubt }
    }

    /// Whether what began with this snapshot is older than something that was changed before that arrival, as far as the
    /// snapshot and `outdated` tell: whether one of its tags has changed since, or is about to.
    pub fn missed(
        &self,
        before: &Snapshot,
        arrival: Arrival,
        outdated: impl FnOnce() -> bool,
    ) -> bool {
        // In another history nobody knows what changed in the last one (L3).
        let another = || self.write().generation != before.generation();
        (arrival.stamp > before.stamp() || arrival.in_doubt) && (another() || outdated())
    }

    /// How many tags are known.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no tag is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether others have them too.
    pub fn are_shared(&self) -> bool {
        self.together.is_some()
    }

    /// Drops the tags that nobody needs any more (L10).
    pub fn sweep(&self) {
        self.table.sweep(&self.forgettable());
    }

    fn cell(&self, tag: &Tag) -> Held {
        self.table.cell(tag, || self.forgettable())
    }

    fn forgettable(&self) -> Forgettable {
        self.given_out().forget(self.anchor.elapsed());
        let mut plain = self.running.oldest(|| self.applied());
        if self.are_shared() {
            // Another may have given out a token, and what is put with it comes here.
            plain = plain.min(Stamp::NEVER.next(self.clock.now() - token::LIFE));
        }
        let life_ago = Stamp::NEVER.next(self.clock.now() - LONGEST_LIFE);
        Forgettable {
            plain,
            counted: plain.min(life_ago),
        }
    }

    fn write(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Changes a cell; whether there was anything to change.
    fn change(&mut self, cell: &Cell, change: Change, stamp: Stamp, cause: &Cause) -> bool {
        let is_new = match change {
            Change::Version(version) => cell.raise(version, stamp),
            Change::Hard | Change::Soft => {
                let is_new = cell.incremented() < stamp;
                cell.increment(stamp, change == Change::Soft);
                is_new
            }
        };
        if is_new {
            self.history.note(cell.tag(), cause.clone());
            let most = match cell.tag().is_implicit() {
                true => &mut self.changing_own,
                false => &mut self.changing,
            };
            most.note(cell.tag());
        }
        is_new
    }

    /// These were others' changes; how many.
    fn told_by_others(&mut self, records: Vec<Claimable>) -> usize {
        let told = |record: Claimable| {
            self.recent.note(record.told);
            record.changes
        };
        records.into_iter().map(told).sum()
    }
}

/// The tags that change, and how.
fn named(changes: &[(Held, Change)]) -> impl ExactSizeIterator<Item = (&Tag, Change)> {
    changes.iter().map(|(cell, change)| (cell.tag(), *change))
}

/// Since when a tag of a response must not have changed.
fn since(cell: &Held, before: &Snapshot, own: Option<&Own>) -> Result<Stamp, NoStore> {
    match own.filter(|own| own.changed(cell)) {
        Some(own) => own.stamp.ok_or(NoStore::Raced),
        None => Ok(before.stamp()),
    }
}

/// Whether a tag has not changed since `before`, or the app made the response from the newest of the versions that it gives
/// the tag itself.
fn is_current(cell: &Cell, version: Option<i64>, before: Stamp) -> Result<(), NoStore> {
    if cell.is_waiting() {
        return Err(NoStore::Raced);
    }
    match version {
        // The app counts: its version says what the response was made from; our stamp, what came from elsewhere.
        Some(version) if cell.app_version().is_some_and(|newest| newest > version) => {
            Err(NoStore::OldVersion)
        }
        Some(_) if cell.incremented() > before => Err(NoStore::Raced),
        None if cell.changed() > before => Err(NoStore::Raced),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
