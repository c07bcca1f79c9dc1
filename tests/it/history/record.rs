//! What was written and read, when, and through which sidecar; and what of it must not be.
//!
//! A write is *acknowledged* when its answer arrives with 2xx and does not say `increment-deferred`. Who begins to read
//! after that gets its value or a newer one: at once where that is promised, `max_lag` later elsewhere. A write that is *deferred*
//! is nobody's yet, except through the sidecar that took it: there it counts at once (L6), as does an acknowledged one. What became
//! of a write that *failed* nobody knows: it asks for nothing.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;

use tokio::time::Instant;

use super::registers::Promise;
use super::registers::Register;

/// One life of a sidecar: which place it has, and how many had it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    pub(super) place: usize,
    pub(super) number: usize,
}

/// What somebody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A value: it was acknowledged.
    Wrote(u64),
    /// A value: the sidecar says that others do not know of it yet.
    Deferred(u64),
    /// A value out of the store, or not.
    Read { value: u64, hit: bool },
}

/// Something that was asked and answered.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) through: Life,
    pub(super) said: Said,
    /// What was said with it, for who reads of a failure.
    pub(super) status: String,
}

/// Everything that happened.
pub(super) struct Record {
    start: Instant,
    max_lag: Duration,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    registers: HashMap<Register, History>,
    faults: Vec<(Instant, String)>,
    /// How often each kind of those happened.
    kinds: BTreeMap<&'static str, usize>,
    counts: Counts,
}

/// What happened to one register.
#[derive(Default)]
struct History {
    events: Vec<Event>,
    /// What others must see.
    acknowledged: Newest,
    /// What must be seen through the same sidecar.
    here: HashMap<Life, Newest>,
}

/// Values, each newer than the one before, and when they began to count.
#[derive(Default)]
struct Newest(Vec<(Instant, u64)>);

/// How much there was of what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) reads: usize,
    pub(super) hits: usize,
    pub(super) acknowledged: usize,
    pub(super) deferred: usize,
    pub(super) failed: usize,
    /// The longest that anybody waited for an answer.
    pub(super) longest: Duration,
}

impl Newest {
    fn note(&mut self, at: Instant, value: u64) {
        if self.0.last().is_none_or(|(_, newest)| *newest < value) {
            self.0.push((at, value));
        }
    }

    /// The newest value that counted at that time.
    fn by(&self, at: Instant) -> Option<(Instant, u64)> {
        let later = self.0.partition_point(|(since, _)| *since <= at);
        self.0.get(later.checked_sub(1)?).copied()
    }
}

impl Record {
    /// Begins one, of sidecars that promise this.
    pub(super) fn new(max_lag: Duration) -> Record {
        Record {
            start: Instant::now(),
            max_lag,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics holding it")
    }

    pub(super) fn counts(&self) -> Counts {
        self.inner().counts
    }

    /// Something that was done to servers or sidecars: of which kind, and what exactly.
    pub(super) fn fault(&self, kind: &'static str, what: impl fmt::Display) {
        self.note_well(what);
        *self.inner().kinds.entry(kind).or_default() += 1;
    }

    /// Something that was done for them.
    pub(super) fn note_well(&self, what: impl fmt::Display) {
        let now = Instant::now();
        self.inner().faults.push((now, what.to_string()));
    }

    /// How often each kind of fault happened.
    pub(super) fn faults(&self) -> BTreeMap<&'static str, usize> {
        self.inner().kinds.clone()
    }

    /// Somebody got no answer, as the sidecar ended.
    pub(super) fn failed(&self) {
        self.inner().counts.failed += 1;
    }

    /// Notes an event.
    ///
    /// # Errors
    ///
    /// It breaks a promise: which, with all that has to do with it.
    pub(super) fn note(&self, register: Register, event: Event) -> Result<(), String> {
        let mut inner = self.inner();
        let counts = &mut inner.counts;
        match event.said {
            Said::Wrote(_) => counts.acknowledged += 1,
            Said::Deferred(_) => counts.deferred += 1,
            Said::Read { hit, .. } => {
                counts.reads += 1;
                counts.hits += usize::from(hit);
            }
        }
        counts.longest = counts.longest.max(event.ended - event.began);
        let history = inner.registers.entry(register).or_default();
        let (said, through, ended) = (event.said, event.through, event.ended);
        let owed = history.owed(&event, self.lag_of(register));
        history.events.push(event);
        match said {
            Said::Wrote(value) => {
                history.acknowledged.note(ended, value);
                history.here.entry(through).or_default().note(ended, value);
            }
            Said::Deferred(value) => history.here.entry(through).or_default().note(ended, value),
            Said::Read { value, .. } => {
                if let Some((since, least)) = owed.filter(|(_, least)| value < *least) {
                    let since = (since - self.start).as_secs_f64();
                    let text =
                        format!("{register} was {least} since {since:.6}, but {value} was read");
                    return Err(format!("{text}\n{}", self.told(&inner, register, ended)));
                }
            }
        }
        Ok(())
    }

    /// What happened to a register of late.
    pub(super) fn of(&self, register: Register) -> String {
        self.told(&self.inner(), register, Instant::now())
    }

    fn lag_of(&self, register: Register) -> Duration {
        match register.promise {
            Promise::Strict => Duration::ZERO,
            Promise::Bounded => self.max_lag,
        }
    }

    /// What happened to a register of late, and what was done to servers and sidecars meanwhile.
    fn told(&self, inner: &Inner, register: Register, until: Instant) -> String {
        const SHOWN: Duration = Duration::from_secs(10);
        let at = |moment: Instant| (moment - self.start).as_secs_f64();
        let mut lines: Vec<(Instant, String)> = Vec::new();
        for (moment, what) in &inner.faults {
            lines.push((*moment, format!("{:10.6}  -- {what}", at(*moment))));
        }
        let events = inner.registers.get(&register);
        for event in events.iter().flat_map(|history| &history.events) {
            if event.ended + SHOWN < until {
                continue;
            }
            let Event {
                began,
                ended,
                through: Life { place, number },
                said,
                status,
            } = event;
            let (from, to) = (at(*began), at(*ended));
            let line = format!(
                "{to:10.6}  {said:?} through {place}.{number}, asked at {from:.6}: {status}"
            );
            lines.push((*ended, line));
        }
        lines.sort_by_key(|(moment, _)| *moment);
        let mut text = String::new();
        for (_, line) in lines {
            writeln!(text, "{line}").expect("a text takes it");
        }
        text
    }
}

impl History {
    /// The oldest value that may be read, and since when.
    fn owed(&self, read: &Event, lag: Duration) -> Option<(Instant, u64)> {
        let by = read.began.checked_sub(lag)?;
        let by_all = self.acknowledged.by(by);
        let here = self.here.get(&read.through);
        let here = here.and_then(|newest| newest.by(read.began));
        [by_all, here]
            .into_iter()
            .flatten()
            .max_by_key(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::registers::Told;

    const LAG: Duration = Duration::from_secs(1);

    /// A history told in lines of `<place> <began> <ended> <what> <value>`, the times in seconds; where it breaks a promise.
    fn told(promise: Promise, lines: &[(usize, f64, f64, &str, u64)]) -> Result<(), String> {
        let record = Record::new(LAG);
        let register = Register {
            promise,
            told: Told::Header,
            number: 0,
        };
        let start = record.start;
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        for (place, began, ended, what, value) in lines {
            let said = match *what {
                "writes" => Said::Wrote(*value),
                "defers" => Said::Deferred(*value),
                "reads" => Said::Read {
                    value: *value,
                    hit: true,
                },
                _ => panic!("{what}?"),
            };
            let event = Event {
                began: at(*began),
                ended: at(*ended),
                through: Life {
                    place: *place,
                    number: 0,
                },
                said,
                status: String::new(),
            };
            record.note(register, event)?;
        }
        Ok(())
    }

    #[test]
    fn a_stale_read_is_found_and_what_may_be_is_not() {
        use Promise::Bounded;
        use Promise::Strict;
        type Line = (usize, f64, f64, &'static str, u64);
        let rows: [(&str, Promise, &[Line], bool); 11] = [
            (
                "read after the acknowledgement",
                Strict,
                &[(0, 0.0, 0.1, "writes", 1), (1, 0.2, 0.3, "reads", 0)],
                false,
            ),
            (
                "read before it",
                Strict,
                &[(0, 0.0, 0.3, "writes", 1), (1, 0.2, 0.4, "reads", 0)],
                true,
            ),
            (
                "within the bound",
                Bounded,
                &[(0, 0.0, 0.1, "writes", 1), (1, 1.0, 1.2, "reads", 0)],
                true,
            ),
            (
                "beyond the bound",
                Bounded,
                &[(0, 0.0, 0.1, "writes", 1), (1, 1.11, 1.2, "reads", 0)],
                false,
            ),
            (
                "within the bound, but through the same sidecar",
                Bounded,
                &[(0, 0.0, 0.1, "writes", 1), (0, 0.2, 0.3, "reads", 0)],
                false,
            ),
            (
                "of two writes the older one",
                Bounded,
                &[
                    (0, 0.0, 0.1, "writes", 1),
                    (0, 0.9, 1.0, "writes", 2),
                    (1, 1.5, 1.6, "reads", 1),
                ],
                true,
            ),
            (
                "neither of two writes",
                Bounded,
                &[
                    (0, 0.0, 0.1, "writes", 1),
                    (0, 0.9, 1.0, "writes", 2),
                    (1, 1.5, 1.6, "reads", 0),
                ],
                false,
            ),
            (
                "deferred elsewhere",
                Strict,
                &[(0, 0.0, 0.1, "defers", 1), (1, 9.0, 9.1, "reads", 0)],
                true,
            ),
            (
                "deferred here",
                Bounded,
                &[(0, 0.0, 0.1, "defers", 1), (0, 0.2, 0.3, "reads", 0)],
                false,
            ),
            (
                "an older one acknowledged after a newer one",
                Strict,
                &[
                    (0, 0.0, 0.1, "writes", 2),
                    (1, 0.0, 0.2, "writes", 1),
                    (2, 0.3, 0.4, "reads", 1),
                ],
                false,
            ),
            (
                "a newer one that nobody has acknowledged",
                Strict,
                &[(0, 0.0, 0.1, "writes", 1), (1, 0.2, 0.3, "reads", 5)],
                true,
            ),
        ];
        for (name, promise, lines, fine) in rows {
            let found = told(promise, lines);
            assert_eq!(found.is_ok(), fine, "{name}: {found:?}");
        }
    }

    #[test]
    fn what_is_found_is_told_with_what_led_to_it() {
        let lines = [(0, 0.0, 0.1, "writes", 1), (1, 0.2, 0.3, "reads", 0)];
        let why = told(Promise::Strict, &lines).unwrap_err();
        assert!(
            why.starts_with("/strict/header/0 was 1 since 0.100000, but 0 was read"),
            "{why}"
        );
        assert!(why.contains("Wrote(1) through 0.0"), "{why}");
    }
}
