//! What the store has taken lately. A server that another has replaced may have gone on taking changes for a while, and a
//! replica in its place may not have heard of the last ones: with another history they are sent again, to whom they are news
//! (L3, L4).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::tags::outbox::Wish;

#[derive(Debug, Default)]
pub(super) struct Landed {
    /// By when they were taken.
    all: VecDeque<(Duration, Arc<Wish>)>,
    /// How many changes that are.
    len: usize,
    /// One was dropped before its time, taken then.
    dropped: Option<Duration>,
}

/// For so long: far longer than a sidecar goes on with a server that others have left.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What is to be sent again.
#[derive(Debug)]
pub(super) enum Again {
    These(Vec<Arc<Wish>>),
    /// They were too many: as if everything had changed.
    Everything,
}

impl Landed {
    /// The store has taken one, `now`, or at an earlier time if it was sent again. No more changes than `most` are remembered.
    pub(super) fn note(&mut self, wish: &Arc<Wish>, now: Duration, most: usize) {
        self.forget_before(now);
        self.len += wish.changes.len();
        let at = wish.landed_at.unwrap_or(now);
        self.all.push_back((at, Arc::clone(wish)));
        while self.len > most
            && let Some((at, wish)) = self.all.pop_front()
        {
            self.len -= wish.changes.len();
            self.dropped = self.dropped.max(Some(at));
        }
    }

    /// Takes them all out, in order.
    pub(super) fn take(&mut self, now: Duration) -> Again {
        self.forget_before(now);
        let Landed { all, dropped, .. } = std::mem::take(self);
        match dropped {
            Some(_) => Again::Everything,
            None => Again::These(
                all.into_iter()
                    .map(|(at, wish)| wish.once_more(at))
                    .collect(),
            ),
        }
    }

    fn forget_before(&mut self, now: Duration) {
        let is_old = |at: Duration| now.saturating_sub(at) > REMEMBERED;
        while let Some((at, _)) = self.all.front()
            && is_old(*at)
            && let Some((_, wish)) = self.all.pop_front()
        {
            self.len -= wish.changes.len();
        }
        self.dropped = self.dropped.filter(|at| !is_old(*at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Source;
    use crate::model::tag::Tag;
    use crate::shared::Change;
    use crate::tags::cell::Cell;
    use crate::tags::cell::Held;

    fn wish(names: &[&str]) -> Arc<Wish> {
        let changes = names.iter().map(|name| {
            let cell = Held::new(Cell::new(Tag::parse(name).unwrap()));
            (cell, Change::Hard)
        });
        Wish::new(changes.collect(), "POST /x".into(), Source::Response).0
    }

    fn names(again: &Again) -> Vec<String> {
        let Again::These(wishes) = again else {
            return vec!["everything".into()];
        };
        let changes = wishes.iter().flat_map(|wish| &wish.changes);
        changes.map(|(cell, _)| cell.tag().to_string()).collect()
    }

    #[test]
    fn what_was_taken_lately_is_sent_again() {
        let at = Duration::from_secs;
        let mut landed = Landed::default();
        landed.note(&wish(&["A"]), at(10), 10);
        landed.note(&wish(&["B", "C"]), at(60), 10);
        let again = landed.take(at(71));
        assert_eq!(names(&again), ["B", "C"], "A is too old");
        let none: [&str; 0] = [];
        assert_eq!(names(&landed.take(at(71))), none);
        let Again::These(wishes) = again else {
            unreachable!()
        };
        landed.note(&wishes[0], at(72), 10);
        assert_eq!(names(&landed.take(at(120))), ["B", "C"]);
        landed.note(&wishes[0], at(72), 10);
        assert_eq!(names(&landed.take(at(121))), none, "it grows no younger");
    }

    #[test]
    fn too_many_are_everything() {
        let at = Duration::from_secs;
        let mut landed = Landed::default();
        landed.note(&wish(&["A", "B"]), at(10), 3);
        landed.note(&wish(&["C", "D"]), at(20), 3);
        assert_eq!(names(&landed.take(at(70))), ["everything"]);
        landed.note(&wish(&["A", "B"]), at(10), 3);
        landed.note(&wish(&["C", "D"]), at(20), 3);
        assert_eq!(names(&landed.take(at(71))), ["C", "D"]);
    }
}
