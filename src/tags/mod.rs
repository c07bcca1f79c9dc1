//! Tag versions: snapshot, seal, increment.
//!
//! Alone, the truth is a table of atomic cells in this process. An entry holds the cells of its tags and the stamps it
//! was stored under ([`Seals`]); a hit compares them, one atomic load per tag, and an increment is one store per tag,
//! whatever the number of entries.

mod atomic;
mod cell;
mod history;
mod sequence;
mod table;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use cell::Cell;
pub use history::Cause;
pub use sequence::Snapshot;

use crate::clock::Clock;
use crate::model::outcome::NoStore;
use crate::model::stamp::Stamp;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::Tagged;
use crate::model::time::Timestamp;
use crate::tags::history::History;
use crate::tags::sequence::Running;
use crate::tags::sequence::Sequence;
use crate::tags::table::Forgettable;
use crate::tags::table::Table;

/// How long a version that the app counts itself is remembered after nobody holds the tag: the default of `max_ttl`.
const LONGEST_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// The versions of all tags.
#[derive(Debug)]
pub struct Tags {
    table: Table,
    /// Held while a change is made, so that changes have one order and stamps never repeat (L2).
    writer: Mutex<Writer>,
    running: Running,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Writer {
    sequence: Sequence,
    /// The last stamp whose change is complete.
    applied: Stamp,
    history: History,
}

impl Tags {
    /// No tag has a version yet.
    pub fn new(clock: Clock) -> Tags {
        Tags {
            table: Table::new(),
            writer: Mutex::default(),
            running: Running::default(),
            clock,
        }
    }

    /// `s0`, to be taken before a byte goes to the app (L1).
    pub fn snapshot(&self) -> Snapshot {
        self.running.begin(|| self.applied())
    }

    /// The last stamp applied here.
    pub fn applied(&self) -> Stamp {
        self.write().applied
    }

    /// Gives each of these tags a version it never had (L2), as one atomic change; `by` says who asked.
    pub fn increment(&self, increments: &[Increment], by: &Arc<str>) -> Stamp {
        let changes = self.changes(increments);
        self.apply(&mut self.write(), &changes, by)
    }

    /// The same for a response that is to be stored itself, though it changes some of its own tags.
    pub fn increment_own(&self, increments: &[Increment], by: &Arc<str>, before: &Snapshot) -> Own {
        let changes = self.changes(increments);
        let mut writer = self.write();
        // Under the lock: nobody's change may come between this look and our own.
        let first = changes
            .iter()
            .all(|(cell, _)| cell.current() <= before.stamp());
        let stamp = self.apply(&mut writer, &changes, by);
        Own {
            stamp: first.then_some(stamp),
            cells: changes.into_iter().map(|(cell, _)| cell).collect(),
        }
    }

    /// The cells, and whether the change is a soft one.
    fn changes(&self, increments: &[Increment]) -> Vec<(Arc<Cell>, bool)> {
        let of = |increment: &Increment| (self.cell(&increment.tag), increment.soft);
        increments.iter().map(of).collect()
    }

    fn apply(&self, writer: &mut Writer, changes: &[(Arc<Cell>, bool)], by: &Arc<str>) -> Stamp {
        let at = self.clock.now();
        let stamp = writer.sequence.next(at);
        for (cell, soft) in changes {
            cell.increment(stamp, *soft);
            writer.history.note(
                cell.tag(),
                Cause {
                    at,
                    by: Arc::clone(by),
                },
            );
        }
        writer.applied = stamp;
        stamp
    }

    /// Notes the versions that the app itself gives; a higher one than before invalidates what carries a lower one. Which tags
    /// got one.
    pub fn observe<'t>(&self, tagged: &'t [Tagged], by: &Arc<str>) -> Vec<&'t Tag> {
        let mut raised = Vec::new();
        for Tagged { tag, version } in tagged {
            let Some(version) = *version else { continue };
            let cell = self.cell(tag);
            if cell.app_version().is_some_and(|known| known >= version) {
                continue; // the usual case, without the lock
            }
            let mut writer = self.write();
            let at = self.clock.now();
            let stamp = writer.sequence.next(at);
            if cell.raise(version, stamp) {
                raised.push(tag);
                writer.history.note(
                    tag,
                    Cause {
                        at,
                        by: Arc::clone(by),
                    },
                );
            }
            writer.applied = stamp;
        }
        raised
    }

    /// The version of a tag; `None` if it has none, and none is made by asking (L14).
    pub fn version(&self, tag: &str) -> Option<Stamp> {
        self.table
            .find(tag)
            .map(|cell| cell.current())
            .filter(|&stamp| stamp != Stamp::NEVER)
    }

    /// The last increment of a tag, while it is remembered.
    pub fn cause(&self, tag: &Tag) -> Option<Cause> {
        self.write().history.of(tag)
    }

    /// Seals a response to its tags' versions, if it was computed from nothing older than them (L1).
    ///
    /// # Errors
    ///
    /// [`NoStore::Raced`] if a tag changed after `before`; [`NoStore::OldVersion`] if the app rendered the response
    /// from a version of a tag that is not the newest it has told of.
    pub fn seal(&self, tagged: &[Tagged], before: &Snapshot) -> Result<Seals, NoStore> {
        self.seal_own(tagged, before, None)
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
    ) -> Result<Seals, NoStore> {
        let seal = |Tagged { tag, version }: &Tagged| {
            let cell = self.cell(tag);
            let before = match own.filter(|own| own.changed(&cell)) {
                Some(own) => own.stamp.ok_or(NoStore::Raced)?,
                None => before.stamp(),
            };
            let stamp = sealed(&cell, *version, before)?;
            Ok(Seal { cell, stamp })
        };
        tagged.iter().map(seal).collect::<Result<_, _>>().map(Seals)
    }

    /// Whether [`Tags::seal`] would refuse a response that carries these tags, and for which the app was asked at `before`.
    /// Makes no tag known (L14).
    pub fn outdates(&self, tagged: &[Tagged], before: Stamp) -> bool {
        let outdated = |Tagged { tag, version }: &Tagged| {
            let cell = self.table.find(tag.as_str());
            cell.is_some_and(|cell| sealed(&cell, *version, before).is_err())
        };
        tagged.iter().any(outdated)
    }

    /// Whether any of these tags changed after `stamp`.
    pub fn changed_since<'a>(&self, tags: impl IntoIterator<Item = &'a Tag>, stamp: Stamp) -> bool {
        let changed = |tag: &Tag| {
            self.table
                .find(tag.as_str())
                .is_some_and(|cell| cell.current() > stamp)
        };
        tags.into_iter().any(changed)
    }

    /// How many tags are known.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no tag is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cell(&self, tag: &Tag) -> Arc<Cell> {
        self.table.cell(tag, || {
            let plain = self.running.oldest(|| self.applied());
            let life_ago = Stamp::NEVER.next(self.clock.now() - LONGEST_LIFE);
            Forgettable {
                plain,
                counted: plain.min(life_ago),
            }
        })
    }

    fn write(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version of a tag that an entry is compared with, if the tag has not changed since `before`, or if the app made the
/// response from the newest of the versions that it gives the tag itself.
fn sealed(cell: &Cell, version: Option<i64>, before: Stamp) -> Result<Stamp, NoStore> {
    // First: a change after this line breaks the seal.
    let stamp = cell.current();
    match version {
        // The app counts: its version says what the response was made from; our stamp, what came from elsewhere.
        Some(version) if cell.app_version().is_some_and(|newest| newest > version) => {
            Err(NoStore::OldVersion)
        }
        Some(_) if cell.incremented() > before => Err(NoStore::Raced),
        None if stamp > before => Err(NoStore::Raced),
        Some(_) | None => Ok(stamp),
    }
}

/// What a response changed that is to be stored itself: as to these tags it is as new as its own change.
#[derive(Debug)]
pub struct Own {
    /// `None`: one of them had been changed by others since the app was asked.
    stamp: Option<Stamp>,
    cells: Vec<Arc<Cell>>,
}

impl Own {
    fn changed(&self, cell: &Arc<Cell>) -> bool {
        self.cells.iter().any(|own| Arc::ptr_eq(own, cell))
    }
}

/// The tags of an entry with the versions it was stored under.
#[derive(Clone, Debug)]
pub struct Seals(Box<[Seal]>);

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
struct Seal {
    cell: Arc<Cell>,
    stamp: Stamp,
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
            let at = Timestamp::from_micros(current.get()); // stamps are microseconds since the epoch (L3)
            // `current` was read first: what it tells of is seen in `hard`.
            let soft = || seal.cell.hard() <= seal.stamp;
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

    /// The tags and the versions the entry was stored under.
    pub fn iter(&self) -> impl Iterator<Item = (&Tag, Stamp)> {
        self.0.iter().map(|seal| (seal.cell.tag(), seal.stamp))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn tags() -> (Tags, Clock) {
        let clock = Clock::manual(Timestamp::from_secs(1_000));
        (Tags::new(clock.clone()), clock)
    }

    fn tag(name: &str) -> Tag {
        Tag::parse(name).unwrap()
    }

    fn at(name: &str, version: Option<i64>) -> Tagged {
        Tagged {
            tag: tag(name),
            version,
        }
    }

    fn me() -> Arc<str> {
        "POST /x".into()
    }

    #[test]
    fn l01_a_response_that_changes_its_own_tag_may_carry_it_unless_another_came_first() {
        let tags = Tags::new(Clock::manual(Timestamp::from_secs(1_000_000)));
        let by: Arc<str> = "POST /a".into();
        let (own_tag, other) = (Tag::parse("Own").unwrap(), Tag::parse("Other").unwrap());
        let carried = [Tagged::from(own_tag.clone()), Tagged::from(other.clone())];

        let before = tags.snapshot();
        let own = tags.increment_own(&[own_tag.clone().into()], &by, &before);
        assert_eq!(
            tags.seal(&carried, &before).unwrap_err(),
            NoStore::Raced,
            "as to anybody else's response"
        );
        let seals = tags.seal_own(&carried, &before, Some(&own)).unwrap();
        assert!(seals.intact());

        tags.increment(&[own_tag.clone().into()], &by);
        assert!(!seals.intact(), "a later change counts");
        let late = tags.seal_own(&carried, &before, Some(&own));
        assert_eq!(late.unwrap_err(), NoStore::Raced);

        let before = tags.snapshot();
        tags.increment(&[own_tag.clone().into()], &by);
        let own = tags.increment_own(&[own_tag.clone().into()], &by, &before);
        let second = tags.seal_own(&carried, &before, Some(&own));
        assert_eq!(second.unwrap_err(), NoStore::Raced, "another came first");

        let before = tags.snapshot();
        let own = tags.increment_own(&[own_tag.clone().into()], &by, &before);
        tags.increment(&[other.clone().into()], &by);
        let elsewhere = tags.seal_own(&carried, &before, Some(&own));
        assert_eq!(elsewhere.unwrap_err(), NoStore::Raced, "another tag");
    }

    #[test]
    fn an_increment_breaks_the_seals_of_its_tag_alone() {
        let (tags, _) = tags();
        let before = tags.snapshot();
        let both = tags.seal(&[at("A", None), at("B", None)], &before).unwrap();
        let other = tags.seal(&[at("C", None)], &before).unwrap();
        tags.increment(&[tag("B").into()], &me());
        assert!(!both.intact());
        assert_eq!(both.broken().map(|broken| broken.tag), Some(&tag("B")));
        assert!(other.intact());
    }

    #[test]
    fn a_seal_is_softly_broken_by_nothing_but_soft_increments() {
        let soft = |name: &str| Increment {
            soft: true,
            ..tag(name).into()
        };
        let hard = |name: &str| Increment::from(tag(name));
        for (name, changes, expected) in [
            ("soft", &[soft("A")][..], true),
            ("soft twice", &[soft("A"), soft("A")], true),
            ("two tags, soft", &[soft("A"), soft("B")], true),
            ("hard", &[hard("A")], false),
            ("soft, then hard", &[soft("A"), hard("A")], false),
            ("hard, then soft", &[hard("A"), soft("A")], false),
            ("one soft, another hard", &[soft("A"), hard("B")], false),
        ] {
            let (tags, clock) = tags();
            tags.increment(&[hard("A")], &me()); // before it is sealed: of no account
            let carried = [at("A", None), at("B", Some(1))];
            let seals = tags.seal(&carried, &tags.snapshot()).unwrap();
            assert_eq!(seals.broken(), None, "{name}");
            clock.advance(Duration::from_secs(5));
            for change in changes {
                tags.increment(std::slice::from_ref(change), &me());
            }
            let broken = seals.broken().unwrap();
            assert_eq!(broken.soft, expected, "{name}");
            assert_eq!(broken.at.as_secs(), 1_005, "{name}");
            assert_eq!(
                tags.seal(&carried, &tags.snapshot()).unwrap().broken(),
                None,
                "{name}: what is sealed after them"
            );
        }
        let (tags, _) = tags();
        let carried = [at("A", Some(1))];
        tags.observe(&carried, &me());
        let seals = tags.seal(&carried, &tags.snapshot()).unwrap();
        tags.observe(&[at("A", Some(2))], &me());
        assert!(
            !seals.broken().unwrap().soft,
            "a newer version of the app's"
        );
    }

    #[test]
    fn a_seal_has_been_broken_since_the_first_of_its_tags_changed() {
        for order in [["A", "B"], ["B", "A"]] {
            let (tags, clock) = tags();
            let carried = [at("A", None), at("B", None)];
            let seals = tags.seal(&carried, &tags.snapshot()).unwrap();
            for name in order {
                clock.advance(Duration::from_secs(5));
                tags.increment(&[tag(name).into()], &me());
            }
            assert_eq!(seals.broken().unwrap().at.as_secs(), 1_005, "{order:?}");
        }
    }

    #[test]
    fn l01_a_change_after_the_snapshot_refuses_the_seal() {
        let (tags, _) = tags();
        let before = tags.snapshot();
        tags.increment(&[tag("A").into()], &me());
        assert_eq!(
            tags.seal(&[at("A", None)], &before).unwrap_err(),
            NoStore::Raced
        );
        assert!(tags.seal(&[at("B", None)], &before).is_ok());
        assert!(
            tags.seal(&[at("A", None)], &tags.snapshot()).is_ok(),
            "asked after the change"
        );
    }

    #[test]
    fn l02_concurrent_increments_never_share_a_stamp() {
        let (tags, _) = tags();
        let tags = Arc::new(tags);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let tags = Arc::clone(&tags);
                thread::spawn(move || {
                    let increment = |_| {
                        let stamp = tags.increment(&[tag("A").into()], &me());
                        // Whoever is done has the change behind them, and no other change takes it back.
                        assert!(tags.version("A") >= Some(stamp));
                        assert!(tags.applied() >= stamp);
                        stamp
                    };
                    (0..2_000).map(increment).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut stamps: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        let greatest = stamps.iter().copied().max();
        stamps.sort_unstable();
        stamps.dedup();
        assert_eq!(stamps.len(), 8_000);
        assert_eq!(tags.version("A"), greatest);
    }

    #[test]
    fn l03_stamps_go_on_when_the_clock_steps_back() {
        let (tags, clock) = tags();
        let first = tags.increment(&[tag("A").into()], &me());
        clock.set(Timestamp::from_secs(1));
        assert!(tags.increment(&[tag("A").into()], &me()) > first);
    }

    #[test]
    fn l03_a_restart_repeats_no_stamp() {
        let (old, clock) = tags();
        let last = (0..100)
            .map(|_| old.increment(&[tag("A").into()], &me()))
            .last();
        clock.advance(Duration::from_millis(1));
        let restarted = Tags::new(clock);
        assert!(Some(restarted.increment(&[tag("A").into()], &me())) > last);
    }

    #[test]
    fn l14_asking_for_a_version_creates_nothing() {
        let (tags, _) = tags();
        assert_eq!(tags.version("A"), None);
        assert!(!tags.changed_since([&tag("A")], Stamp::NEVER));
        assert!(tags.is_empty());
    }

    #[test]
    fn the_apps_own_versions_and_increments_are_two_parts_of_one_state() {
        let (tags, _) = tags();
        tags.observe(&[at("U", Some(7))], &me());
        let seven = tags.seal(&[at("U", Some(7))], &tags.snapshot()).unwrap();
        tags.observe(&[at("U", Some(7))], &me());
        tags.observe(&[at("U", Some(6))], &me());
        assert!(
            seven.intact(),
            "neither the same nor a lower version is a change"
        );

        // A response with a higher version is not raced by its own telling.
        let before = tags.snapshot();
        tags.observe(&[at("U", Some(8))], &me());
        assert!(!seven.intact());
        assert!(tags.seal(&[at("U", Some(8))], &before).is_ok());
        assert_eq!(
            tags.seal(&[at("U", Some(7))], &before).unwrap_err(),
            NoStore::OldVersion
        );
        assert_eq!(
            tags.seal(&[at("U", None)], &before).unwrap_err(),
            NoStore::Raced,
            "who does not count cannot know"
        );

        // An increment from elsewhere does not stop the same version from being stored again.
        tags.increment(&[tag("U").into()], &me());
        assert_eq!(
            tags.seal(&[at("U", Some(8))], &before).unwrap_err(),
            NoStore::Raced
        );
        assert!(tags.seal(&[at("U", Some(8))], &tags.snapshot()).is_ok());
    }

    #[test]
    fn l10_tags_nobody_holds_are_forgotten_and_needed_ones_are_not() {
        let (tags, _) = tags();
        let seals = tags.seal(&[at("held", None)], &tags.snapshot()).unwrap();
        tags.observe(&[at("counted", Some(3))], &me());
        let running = tags.snapshot();
        tags.increment(&[tag("needed").into()], &me());
        for n in 0..100_000 {
            let _seen = tags.seal(&[at(&format!("gone:{n}"), None)], &tags.snapshot());
        }
        assert!(tags.len() < 40_000, "{} tags left", tags.len());
        assert!(seals.intact());
        assert_eq!(
            tags.seal(&[at("needed", None)], &running).unwrap_err(),
            NoStore::Raced
        );
        assert_eq!(
            tags.seal(&[at("counted", Some(2))], &running).unwrap_err(),
            NoStore::OldVersion
        );
        // L3: the cell that an entry holds is the one that later increments find.
        tags.increment(&[tag("held").into()], &me());
        assert!(!seals.intact());
    }

    #[test]
    fn l10_increments_that_no_exchange_looks_back_to_are_forgotten() {
        let (tags, _) = tags();
        drop(tags.snapshot());
        for n in 0..100_000 {
            tags.increment(&[tag(&format!("gone:{n}")).into()], &me());
        }
        assert!(tags.len() < 40_000, "{} tags left", tags.len());
    }

    #[test]
    fn l10_long_uris_that_clients_choose_are_not_what_is_remembered() {
        let (tags, _) = tags();
        let long = "x".repeat(8_000);
        for n in 0..20_000 {
            let uri = Tag::uri(&format!("http://a/{long}/{n}"));
            assert!(uri.as_str().len() < 400, "{uri}");
            tags.increment(&[uri.clone().into()], &me());
        }
        assert!(tags.len() < 10_000, "{} tags left", tags.len());
    }

    #[test]
    fn the_cause_of_a_change_is_remembered() {
        let (tags, clock) = tags();
        tags.increment(&[tag("A").into()], &me());
        assert_eq!(
            tags.cause(&tag("A")),
            Some(Cause {
                at: clock.now(),
                by: me()
            })
        );
        assert_eq!(tags.cause(&tag("B")), None);
    }
}
