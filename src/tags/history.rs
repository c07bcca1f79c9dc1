//! Who incremented what last: for explanations only, never for decisions.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::metrics::Source;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;

/// How many tags are remembered; the longest unincremented one is forgotten first.
const REMEMBERED: usize = 4_096;

/// The last increment of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// When.
    pub at: Timestamp,
    /// The request whose response or rule asked for it, such as `POST /users/42`.
    pub by: Arc<str>,
    /// By which way.
    pub source: Source,
}

impl Cause {
    /// Of the changes with this stamp, which is the microseconds since the epoch (L3).
    pub(super) fn of(stamp: Stamp, by: &Arc<str>, source: Source) -> Cause {
        Cause {
            at: Timestamp::from_micros(stamp.get()),
            by: Arc::clone(by),
            source,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct History {
    last: HashMap<Tag, (u64, Cause)>,
    order: VecDeque<(u64, Tag)>,
    count: u64,
}

impl History {
    pub(super) fn note(&mut self, tag: &Tag, cause: Cause) {
        self.count += 1;
        self.last.insert(tag.clone(), (self.count, cause));
        self.order.push_back((self.count, tag.clone()));
        if self.order.len() > REMEMBERED
            && let Some((count, oldest)) = self.order.pop_front()
            && self
                .last
                .get(&oldest)
                .is_some_and(|(latest, _)| *latest == count)
        {
            self.last.remove(&oldest);
        }
    }

    /// The last increment of a tag was the one of that moment, which has become known twice: whose it is says this cause.
    pub(super) fn correct(&mut self, tag: &Tag, cause: &Cause) {
        if let Some((_, last)) = self.last.get_mut(tag)
            && last.at == cause.at
        {
            *last = cause.clone();
        }
    }

    pub(super) fn of(&self, tag: &Tag) -> Option<Cause> {
        self.last.get(tag).map(|(_, cause)| cause.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_increment_of_a_tag_is_remembered_and_the_memory_is_bounded() {
        let tag = |n: usize| Tag::parse(&format!("T:{n}")).unwrap();
        let cause = |by: &str| Cause {
            at: Timestamp::from_secs(1),
            by: by.into(),
            source: Source::Response,
        };
        let mut history = History::default();
        history.note(&tag(0), cause("first"));
        history.note(&tag(0), cause("second"));
        assert_eq!(history.of(&tag(0)), Some(cause("second")));
        for n in 1..REMEMBERED {
            history.note(&tag(n), cause("other"));
        }
        assert_eq!(
            history.of(&tag(0)),
            Some(cause("second")),
            "its latest is not the oldest yet"
        );
        history.note(&tag(REMEMBERED), cause("other"));
        assert_eq!(history.of(&tag(0)), None);
        assert_eq!(history.last.len(), REMEMBERED);
        assert_eq!(history.order.len(), REMEMBERED);
    }
}
