//! Increments that wait to be repeated, for apps whose readers lag behind their writers (`;again=2`): pure, and tied to
//! neither a client nor a rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::tag::Increment;
use crate::model::tag::LONGEST_AGAIN;
use crate::model::time::Timestamp;

/// What waits, by when it is due.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// The number keeps those apart that are due at the same moment, in the order in which they came.
    waiting: BTreeMap<(Timestamp, u64), Repeat>,
    noted: u64,
    /// How many increments wait.
    len: usize,
    /// There was no room for more, and there has not been much since.
    is_full: bool,
}

/// Increments to be applied together once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    /// None of them is repeated again.
    pub(super) increments: Vec<Increment>,
    /// Who asked, and that it is the second time: `POST /users/42 (again)`.
    pub(super) by: Arc<str>,
    noted_at: Timestamp,
}

/// What has come of a wish to repeat increments, besides waiting.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// What no longer has room to wait: to be applied early rather than lost (L6).
    pub(super) early: Vec<Repeat>,
    /// That begins with these.
    pub(super) begins: bool,
    /// One was to be put off for longer than [`LONGEST_AGAIN`].
    pub(super) shortened: bool,
}

/// The most increments that wait: what is held in memory is bounded (L10).
const MOST_WAITING: usize = 10_000;

impl Repeats {
    /// Notes those of these increments, applied just now, that are to be repeated.
    pub(super) fn note(
        &mut self,
        increments: &[Increment],
        by: &Arc<str>,
        now: Timestamp,
    ) -> Noted {
        let mut together: BTreeMap<Duration, Vec<Increment>> = BTreeMap::new();
        let mut noted = Noted::default();
        for increment in increments {
            let Some(after) = increment.again.filter(|after| !after.is_zero()) else {
                continue;
            };
            noted.shortened |= after > LONGEST_AGAIN;
            let repeated = Increment {
                again: None,
                ..increment.clone()
            };
            let due = together.entry(after.min(LONGEST_AGAIN)).or_default();
            due.push(repeated);
        }
        if together.is_empty() {
            return noted; // the usual case, before a name is made
        }
        let by: Arc<str> = format!("{by} (again)").into();
        for (after, increments) in together {
            self.noted += 1;
            self.len += increments.len();
            let by = Arc::clone(&by);
            let repeat = Repeat {
                increments,
                by,
                noted_at: now,
            };
            self.waiting.insert((now + after, self.noted), repeat);
        }
        while self.len > MOST_WAITING {
            noted.begins |= !self.is_full;
            self.is_full = true;
            noted.early.extend(self.first());
        }
        self.is_full &= self.len > MOST_WAITING / 2;
        noted
    }

    /// Takes out what is due, in order; and what was noted before the clock was set back, as nobody knows how long ago that
    /// was.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Repeat> {
        let mut due = Vec::new();
        while self
            .waiting
            .first_key_value()
            .is_some_and(|(&(at, _), it)| at <= now || it.noted_at > now)
        {
            due.extend(self.first());
        }
        due
    }

    /// Takes out everything, due or not, in order.
    pub(super) fn all(&mut self) -> Vec<Repeat> {
        std::iter::from_fn(|| self.first()).collect()
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let (&(at, _), _) = self.waiting.first_key_value()?;
        Some(at)
    }

    fn first(&mut self) -> Option<Repeat> {
        let (_, repeat) = self.waiting.pop_first()?;
        self.len -= repeat.increments.len();
        Some(repeat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tag::Tag;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn after(name: &str, again: Option<u64>) -> Increment {
        Increment {
            again: again.map(Duration::from_secs),
            ..Tag::parse(name).unwrap().into()
        }
    }

    fn names(repeats: &[Repeat]) -> String {
        let names = |it: &Repeat| {
            let tags: Vec<&str> = it.increments.iter().map(|it| it.tag.as_str()).collect();
            tags.join("+")
        };
        repeats.iter().map(names).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_repeated_when() {
        let day = LONGEST_AGAIN.as_secs();
        for (name, increments, at, expected) in [
            ("not asked for", vec![after("A", None)], day, ""),
            ("zero is none", vec![after("A", Some(0))], day, ""),
            ("not yet", vec![after("A", Some(2))], 1, ""),
            ("due", vec![after("A", Some(2))], 2, "A"),
            ("overdue", vec![after("A", Some(2))], 60, "A"),
            (
                "one change stays one",
                vec![after("B", Some(2)), after("C", None), after("A", Some(2))],
                2,
                "B+A",
            ),
            (
                "in the order of their times",
                vec![
                    after("A", Some(3)),
                    after("B", Some(2)),
                    after("C", Some(4)),
                ],
                3,
                "B A",
            ),
            ("a day at most", vec![after("A", Some(day + 1))], day, "A"),
        ] {
            let mut repeats = Repeats::default();
            let noted = repeats.note(&increments, &"POST /x".into(), NOW);
            assert!(noted.early.is_empty(), "{name}");
            let due = repeats.due(NOW + Duration::from_secs(at));
            assert_eq!(names(&due), expected, "{name}");
            let again = repeats.due(NOW + Duration::from_secs(at));
            assert!(again.is_empty(), "{name}: once");
        }
    }

    #[test]
    fn who_asks_for_more_than_a_day_is_told() {
        let day = LONGEST_AGAIN.as_secs();
        for (after_secs, shortened) in [(day, false), (day + 1, true)] {
            let increments = [after("A", Some(after_secs))];
            let noted = Repeats::default().note(&increments, &"POST /x".into(), NOW);
            assert_eq!(noted.shortened, shortened, "{after_secs}");
        }
    }

    #[test]
    fn a_repeat_is_as_soft_as_the_first_and_the_last() {
        let mut repeats = Repeats::default();
        let soft = Increment {
            soft: true,
            ..after("A", Some(2))
        };
        repeats.note(std::slice::from_ref(&soft), &"POST /users/42".into(), NOW);
        let due = repeats.due(NOW + Duration::from_secs(2));
        let expected = Repeat {
            increments: vec![Increment {
                again: None,
                ..soft
            }],
            by: "POST /users/42 (again)".into(),
            noted_at: NOW,
        };
        assert_eq!(due, [expected]);
    }

    #[test]
    fn l06_a_clock_that_is_set_back_puts_no_repeat_off() {
        let mut repeats = Repeats::default();
        let by: Arc<str> = "POST /x".into();
        repeats.note(&[after("A", Some(2))], &by, NOW);
        let back = NOW - Duration::from_secs(600);
        repeats.note(&[after("B", Some(2))], &by, back);
        assert_eq!(names(&repeats.due(back)), "", "B is the first, and not due");
        let due = repeats.due(back + Duration::from_secs(2));
        assert_eq!(names(&due), "B A");
    }

    #[test]
    fn l10_what_has_no_room_to_wait_is_given_back_the_first_due_first() {
        let mut repeats = Repeats::default();
        let by: Arc<str> = "POST /x".into();
        let many: Vec<_> = (0..MOST_WAITING - 2)
            .map(|n| after(&format!("T:{n}"), Some(60)))
            .collect();
        assert!(repeats.note(&many, &by, NOW).early.is_empty());
        let two = [after("A", Some(1)), after("B", Some(2))];
        assert!(repeats.note(&two, &by, NOW).early.is_empty());
        let noted = repeats.note(&[after("C", Some(3))], &by, NOW);
        assert_eq!(names(&noted.early), "A");
        assert_eq!(repeats.next(), Some(NOW + Duration::from_secs(2)));

        let waiting: usize = repeats.all().iter().map(|it| it.increments.len()).sum();
        assert_eq!(waiting, MOST_WAITING);
        assert_eq!(repeats.next(), None);
        let noted = repeats.note(&[after("D", Some(1))], &by, NOW);
        assert!(noted.early.is_empty(), "there is room again");
    }

    #[test]
    fn l06_who_has_no_room_to_wait_is_told_once() {
        let mut repeats = Repeats::default();
        let by: Arc<str> = "POST /x".into();
        for n in 0..MOST_WAITING {
            repeats.note(&[after(&format!("T:{n}"), Some(60))], &by, NOW);
        }
        let two = [after("A", Some(90)), after("B", Some(90))];
        for begins in [true, false] {
            let noted = repeats.note(&two, &by, NOW);
            assert_eq!((noted.early.len(), noted.begins), (2, begins));
        }
    }
}
