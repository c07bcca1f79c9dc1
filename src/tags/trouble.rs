//! Something is wrong with the store, and goes on to be: told in the log when it begins and when it is over, and shown in
//! between. What comes and goes quickly is one trouble.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Anchor, Clock};
use crate::metrics::SharedError;
use crate::shared::Error;

#[derive(Debug)]
pub(super) struct Trouble {
    going: Mutex<Option<Going>>,
    anchor: Anchor,
}

#[derive(Debug)]
struct Going {
    /// As it was the last time.
    why: Error,
    /// When that was.
    at: Duration,
    /// What has been told of it: each kind once.
    told: Vec<SharedError>,
}

/// It is over when it has not come again for so long.
const CALM: Duration = Duration::from_secs(1);

impl Trouble {
    pub(super) fn none(clock: &Clock) -> Trouble {
        Trouble {
            going: Mutex::default(),
            anchor: clock.anchor(),
        }
    }

    /// It has come, perhaps again; whether that is to be told.
    pub(super) fn note(&self, error: &Error) -> bool {
        let mut going = self.lock();
        let mut told = going.take().map(|it| it.told).unwrap_or_default();
        let is_new = !told.contains(&error.kind);
        if is_new {
            told.push(error.kind);
        }
        *going = Some(Going {
            why: error.clone(),
            at: self.anchor.elapsed(),
            told,
        });
        is_new
    }

    /// All goes well at this moment; whether that is to be told.
    pub(super) fn is_over(&self) -> bool {
        let mut going = self.lock();
        let calm = |it: &Going| self.anchor.elapsed().saturating_sub(it.at) >= CALM;
        let over = going.as_ref().is_some_and(calm);
        if over {
            *going = None;
        }
        over
    }

    /// What is wrong, as long as something is.
    pub(super) fn why(&self) -> Option<Error> {
        self.lock().as_ref().map(|it| it.why.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Going>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn it_is_told_once_until_it_is_over() {
        let clock = Clock::manual(Timestamp::from_secs(1_000));
        let trouble = Trouble::none(&clock);
        assert!(!trouble.is_over() && trouble.why().is_none());
        let (moved, other) = (Error::moved(), Error::made_up(SharedError::Oom, "full"));
        assert!(trouble.note(&moved));
        assert!(!trouble.note(&moved));
        assert!(trouble.note(&other), "another reason");
        assert!(!trouble.note(&moved) && !trouble.note(&other));
        assert_eq!(trouble.why().unwrap().to_string(), "full");
        assert!(!trouble.is_over(), "it may come again at once");
        clock.advance(CALM);
        assert!(trouble.is_over() && !trouble.is_over());
        assert!(trouble.why().is_none());
        assert!(trouble.note(&moved), "another one");
    }
}
