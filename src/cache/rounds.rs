//! Which responses are fetched again for no request, and when (rules.md §5): decided from plain values.

use std::time::Duration;

use crate::cache::stored::Invalidated;
use crate::model::time::Timestamp;
use crate::rules::refill::OnInvalidate;
use crate::rules::refill::RefreshAhead;

/// What a round sees of a stored response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// How often it was used since it was stored.
    pub(super) uses: u64,
    pub(super) expires: Timestamp,
    pub(super) invalidated: Option<Invalidated>,
}

/// How far the refresh of a stored response has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trial {
    /// There has been none.
    #[default]
    None,
    /// It runs, or waits for its turn.
    Running,
    /// It failed, and is tried again then.
    Failed(Timestamp),
    /// There will be none any more: it failed for too long, or others went first.
    Over,
}

/// What is to be done about an invalidated response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Nothing, as things are.
    Never,
    /// Nothing before this moment.
    At(Timestamp),
    /// It may be fetched again for the first time, if others do not go first.
    Now,
    /// It is to be tried again.
    Again,
    /// Nothing any more.
    Over,
}

/// The shortest pause after a failure; each further one is twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// What is to be done about a response with `on_invalidate: refresh`.
pub(super) fn when(on: &OnInvalidate, seen: &Seen, trial: Trial, now: Timestamp) -> When {
    // After soft increments alone it is the next request's to fetch.
    let Some(it) = seen.invalidated.filter(|it| !it.soft) else {
        return When::Never;
    };
    let (due, taken) = match trial {
        Trial::None => (it.since + on.delay, When::Now),
        Trial::Failed(at) => (at, When::Again),
        Trial::Running | Trial::Over => return When::Never,
    };
    // Before the clock was set back, it was not served any more: no reason to wait.
    let due = if it.since > now { now } else { due };
    let end = it.since + on.max_stale;
    if now.max(due) > end {
        When::Over
    } else if now < due {
        When::At(due)
    } else if seen.uses == 0 || seen.expires <= now {
        When::Over
    } else {
        taken
    }
}

/// How long after a failure the next attempt comes.
pub(super) fn pause(on: &OnInvalidate, before: Option<Duration>) -> Duration {
    let shortest = on.delay.max(SHORTEST_PAUSE);
    before.map_or(shortest, |before| before.saturating_mul(2))
}

/// Whether a response is to be fetched again before it expires, as the next round would come too late.
pub(super) fn is_due_ahead(ahead: &RefreshAhead, seen: &Seen, now: Timestamp) -> bool {
    seen.invalidated.is_none()
        && seen.expires > now
        && seen.expires <= now + ahead.every
        && seen.uses >= u64::from(ahead.min_hits)
}

/// Splits what a round may take into those used most, at most `max` of them, and the rest.
pub(super) fn most_used<T>(mut found: Vec<(u64, T)>, max: usize) -> (Vec<T>, Vec<T>) {
    found.sort_by_key(|(uses, _)| std::cmp::Reverse(*uses));
    let passed_over = found.split_off(max.min(found.len()));
    let without_uses = |found: Vec<(u64, T)>| found.into_iter().map(|(_, it)| it).collect();
    (without_uses(found), without_uses(passed_over))
}

/// When to look for what increments have invalidated. An increment only notes a time: it costs the same whatever is
/// stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looks {
    /// The shortest delay after an increment at which a response is to be fetched again; `None`: there is no such response.
    shortest: Option<Duration>,
    next: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Looks are at least this far apart, however many increments there are.
const APART: Duration = Duration::from_millis(100);

impl Looks {
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// There is a response now that is to be fetched again this long after an increment.
    pub(super) fn with_delay(&mut self, delay: Duration) {
        self.shortest = Some(self.shortest.map_or(delay, |shortest| shortest.min(delay)));
    }

    /// Tags have changed; true if the next look is sooner for it.
    pub(super) fn note_change(&mut self, now: Timestamp) -> bool {
        self.shortest
            .is_some_and(|shortest| self.note(now + shortest, now))
    }

    /// There is something to look for at that time; true if the next look is sooner for it.
    pub(super) fn note(&mut self, at: Timestamp, now: Timestamp) -> bool {
        // Not where the clock has been set back.
        let last = self.last.filter(|&last| last <= now);
        let at = last.map_or(at, |last| at.max(last + APART));
        let is_sooner = self.next.is_none_or(|next| at < next);
        if is_sooner {
            self.next = Some(at);
        }
        is_sooner
    }

    /// Whether it is time to look. Changes that come from here on are for the next look.
    pub(super) fn begin(&mut self, now: Timestamp) -> bool {
        let is_due = self.next.is_some_and(|at| at <= now);
        if is_due {
            self.next = None;
            self.last = Some(now);
        }
        is_due
    }

    /// The look is over; these are the shortest delay there is by now, and the next moment at which something is due.
    pub(super) fn end(
        &mut self,
        shortest: Option<Duration>,
        next: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.shortest = shortest;
        if let Some(next) = next {
            self.note(next, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::refill::WhenInvalidated;

    /// Seconds after the increment.
    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000 + seconds)
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn on() -> OnInvalidate {
        OnInvalidate {
            mode: WhenInvalidated::Refresh,
            delay: secs(5),
            max_stale: secs(60),
            ..OnInvalidate::default()
        }
    }

    #[test]
    fn what_is_done_about_an_invalidated_response() {
        let hard = Invalidated {
            since: at(0),
            soft: false,
        };
        let soft = Invalidated { soft: true, ..hard };
        let seen = Seen {
            uses: 1,
            expires: at(600),
            invalidated: Some(hard),
        };
        let failed = |seconds| Trial::Failed(at(seconds));
        for (name, seen, trial, now, expected) in [
            ("before the delay", seen, Trial::None, 4, When::At(at(5))),
            ("after the delay", seen, Trial::None, 5, When::Now),
            ("at the end", seen, Trial::None, 60, When::Now),
            ("after the end", seen, Trial::None, 61, When::Over),
            (
                "intact",
                Seen {
                    invalidated: None,
                    ..seen
                },
                Trial::None,
                5,
                When::Never,
            ),
            (
                "softly",
                Seen {
                    invalidated: Some(soft),
                    ..seen
                },
                Trial::None,
                5,
                When::Never,
            ),
            (
                "unused",
                Seen { uses: 0, ..seen },
                Trial::None,
                5,
                When::Over,
            ),
            (
                "unused so far",
                Seen { uses: 0, ..seen },
                Trial::None,
                4,
                When::At(at(5)),
            ),
            (
                "expired",
                Seen {
                    expires: at(5),
                    ..seen
                },
                Trial::None,
                5,
                When::Over,
            ),
            ("running", seen, Trial::Running, 5, When::Never),
            ("over", seen, Trial::Over, 5, When::Never),
            ("failed", seen, failed(10), 9, When::At(at(10))),
            ("failed, due", seen, failed(10), 10, When::Again),
            ("failed for good", seen, failed(61), 30, When::Over),
        ] {
            assert_eq!(when(&on(), &seen, trial, at(now)), expected, "{name}");
        }
    }

    #[test]
    fn pauses_double_from_the_delay_or_a_second() {
        for (delay, expected) in [(0, [1, 2, 4]), (5, [5, 10, 20])] {
            let on = OnInvalidate {
                delay: secs(delay),
                ..on()
            };
            let mut before = None;
            for expected in expected {
                before = Some(pause(&on, before));
                assert_eq!(before, Some(secs(expected)));
            }
        }
    }

    #[test]
    fn what_is_fetched_again_ahead_of_its_end() {
        let ahead = RefreshAhead {
            every: secs(10),
            max: 1,
            min_hits: 2,
        };
        for (name, expires, uses, invalidated, expected) in [
            ("before the next round", 9, 2, false, true),
            ("just at the next round", 10, 2, false, true),
            ("after the next round", 11, 9, false, false),
            ("expired", 0, 9, false, false),
            ("used too little", 9, 1, false, false),
            ("invalidated", 9, 9, true, false),
        ] {
            let seen = Seen {
                uses,
                expires: at(expires),
                invalidated: invalidated.then_some(Invalidated {
                    since: at(0),
                    soft: false,
                }),
            };
            assert_eq!(is_due_ahead(&ahead, &seen, at(0)), expected, "{name}");
        }
    }

    #[test]
    fn those_used_most_go_first() {
        let found = || vec![(1, "a"), (3, "b"), (2, "c")];
        for (max, taken, passed_over) in [
            (0, vec![], vec!["b", "c", "a"]),
            (2, vec!["b", "c"], vec!["a"]),
            (9, vec!["b", "c", "a"], vec![]),
        ] {
            assert_eq!(most_used(found(), max), (taken, passed_over), "{max}");
        }
    }

    #[test]
    fn looks_come_after_the_shortest_delay_and_are_apart() {
        let ms = |ms: u64| at(0) + Duration::from_millis(ms);
        let mut looks = Looks::default();
        assert!(!looks.note_change(ms(0)), "nothing to look for");
        assert_eq!(looks.next(), None);

        looks.with_delay(Duration::from_millis(50));
        looks.with_delay(secs(5));
        assert!(looks.note_change(ms(0)));
        assert!(!looks.note_change(ms(10)), "the first counts");
        assert_eq!(looks.next(), Some(ms(50)));
        assert!(!looks.begin(ms(49)));
        assert!(looks.begin(ms(50)));

        assert!(looks.note_change(ms(60)), "while it looks");
        assert_eq!(looks.next(), Some(ms(150)), "not at 110");
        looks.end(Some(secs(5)), Some(ms(5_000)), ms(60));
        assert_eq!(looks.next(), Some(ms(150)));
        assert!(looks.begin(ms(200)));
        looks.end(Some(secs(5)), Some(ms(5_000)), ms(200));
        assert_eq!(looks.next(), Some(ms(5_000)), "what was seen on the way");
        looks.end(None, None, ms(200));
        assert!(!looks.note_change(ms(300)), "nothing is left");
    }

    #[test]
    fn a_clock_set_back_puts_no_look_off() {
        let mut looks = Looks::default();
        looks.with_delay(secs(1));
        looks.note_change(at(3_600));
        assert!(looks.begin(at(3_601)));
        assert!(looks.note_change(at(0)));
        assert_eq!(looks.next(), Some(at(1)));
    }
}
