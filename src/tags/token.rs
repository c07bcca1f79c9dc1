//! A snapshot that leaves the process: whoever is told that something is missing gets one, and what is computed from then on
//! is compared with it when it comes back (L1), through whichever sidecar of the same history.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::PoisonError;
use std::time::Duration;

use thiserror::Error;

use crate::model::outcome::NoStore;
use crate::model::stamp::Stamp;
use crate::model::time::Timestamp;
use crate::tags::Tags;
use crate::tags::sequence::Snapshot;

/// What was the last increment when somebody was told that something is missing: `<history>.<stamp>.<when>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// In which history: after a restart or a flush, stamps are others' (L3).
    history: Box<str>,
    stamp: Stamp,
    issued: Timestamp,
}

/// It is not what was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a token is what the 404 said in `Tagalong-Token`, as it is")]
pub struct NotAToken;

/// How long what a token stands for is remembered.
pub(super) const LIFE: Duration = Duration::from_secs(60);

/// Tokens that are given out within this time share what is remembered for them.
const TOGETHER: Duration = Duration::from_secs(1);

/// More than any history is called, in bytes.
const LONGEST_HISTORY: usize = 64;

/// What tokens stand for that may come back, so that no increment after them is forgotten.
#[derive(Debug, Default)]
pub(super) struct GivenOut(VecDeque<Given>);

#[derive(Debug)]
struct Given {
    at: Duration,
    until: Duration,
    _snapshot: Snapshot,
}

impl GivenOut {
    fn note(&mut self, snapshot: Snapshot, now: Duration) {
        self.forget(now);
        let until = now + LIFE;
        match self.0.back_mut() {
            // The earlier one looks back as far.
            Some(last) if now < last.at + TOGETHER => last.until = until,
            Some(_) | None => self.0.push_back(Given {
                at: now,
                until,
                _snapshot: snapshot,
            }),
        }
    }

    pub(super) fn forget(&mut self, now: Duration) {
        while self.0.front().is_some_and(|given| given.until < now) {
            self.0.pop_front();
        }
    }
}

impl Tags {
    /// A token of this moment.
    pub fn token(&self) -> Token {
        let snapshot = self.snapshot();
        let history = self.write().history_name.clone();
        let token = Token {
            history,
            stamp: snapshot.stamp(),
            issued: self.clock.now(),
        };
        self.given_out().note(snapshot, self.anchor.elapsed());
        token
    }

    /// The snapshot that a token stands for.
    ///
    /// # Errors
    ///
    /// [`NoStore::Raced`] if nobody knows here what has changed since: it is too old, or of another history, or from before
    /// this sidecar has followed it.
    pub fn since(&self, token: &Token) -> Result<Snapshot, NoStore> {
        let now = self.clock.now();
        if now.since(token.issued).max(token.issued.since(now)) > LIFE {
            return Err(NoStore::Raced);
        }
        let mut is_known = false;
        let snapshot = self.running.begin(|| {
            let writer = self.write();
            is_known = writer.history_name == token.history && writer.begun <= token.stamp;
            // When alone, nobody else gives stamps.
            is_known &= self.together.is_some() || token.stamp <= writer.applied;
            (token.stamp, writer.generation)
        });
        is_known.then_some(snapshot).ok_or(NoStore::Raced)
    }

    pub(super) fn given_out(&self) -> std::sync::MutexGuard<'_, GivenOut> {
        self.given_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (history, stamp) = (&self.history, self.stamp);
        write!(f, "{history}.{stamp}.{}", self.issued.as_micros())
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Token, NotAToken> {
        let mut parts = text.rsplitn(3, '.');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (issued, stamp) = (number().ok_or(NotAToken)?, number().ok_or(NotAToken)?);
        let history = parts.next().ok_or(NotAToken)?;
        if history.is_empty() || history.len() > LONGEST_HISTORY {
            return Err(NotAToken);
        }
        Ok(Token {
            history: history.into(),
            stamp: Stamp::from_raw(stamp),
            issued: Timestamp::from_micros(issued),
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::clock::Clock;
    use crate::metrics::Source;
    use crate::model::tag::Tag;
    use crate::model::tag::Tagged;
    use crate::tags::Registered;

    const SECOND: Duration = Duration::from_secs(1);

    fn tags() -> (Tags, Clock) {
        let clock = Clock::manual(Timestamp::from_secs(1_000));
        (Tags::new(clock.clone()), clock)
    }

    fn tag(name: &str) -> Tag {
        Tag::parse(name).unwrap()
    }

    fn increment(tags: &Tags, name: &str) {
        let (increments, by) = ([tag(name).into()], "POST /x".into());
        let done = tags.increment(&increments, &by, Source::Response);
        done.now_or_never().unwrap().unwrap();
    }

    fn seal(tags: &Tags, token: &Token, name: &str) -> Result<(), NoStore> {
        let before = tags.since(token)?;
        let carried = [Tagged::from(tag(name))];
        tags.seal(&carried, &before, &Registered::default())
            .map(|_| ())
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let (tags, _) = tags();
        increment(&tags, "A");
        let token = tags.token();
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        let long = format!("{}.1.2", "x".repeat(LONGEST_HISTORY + 1));
        for text in [
            "", "a", "a.1", "a.1.", ".1.2", "a.x.2", "a.-1.2", "a.1.2.x", &long,
        ] {
            assert_eq!(text.parse::<Token>(), Err(NotAToken), "{text}");
        }
    }

    #[test]
    fn l01_a_token_from_before_an_increment_of_a_tag_seals_it_no_more() {
        let (tags, _) = tags();
        let before = tags.token();
        increment(&tags, "A");
        let after = tags.token();
        assert_eq!(seal(&tags, &before, "A"), Err(NoStore::Raced));
        assert_eq!(seal(&tags, &before, "B"), Ok(()), "another tag");
        assert_eq!(seal(&tags, &after, "A"), Ok(()), "a later token");
    }

    #[test]
    fn l03_a_token_of_another_life_or_of_the_future_is_worth_nothing() {
        let (tags, clock) = tags();
        increment(&tags, "A");
        let token = tags.token();
        let restarted = Tags::new(clock.clone());
        increment(&restarted, "A");
        assert_eq!(seal(&restarted, &token, "B"), Err(NoStore::Raced));
        let stamp = Stamp::from_raw(token.stamp.get() + 1);
        let later = Token {
            stamp,
            ..token.clone()
        };
        assert_eq!(seal(&tags, &later, "B"), Err(NoStore::Raced));
        clock.advance(LIFE);
        assert_eq!(seal(&tags, &token, "B"), Ok(()));
        clock.advance(Duration::from_micros(1));
        assert_eq!(seal(&tags, &token, "B"), Err(NoStore::Raced), "too old");
        clock.set(Timestamp::from_secs(900));
        assert_eq!(seal(&tags, &token, "B"), Err(NoStore::Raced), "set back");
    }

    /// So many increments of other tags that what nobody holds is forgotten.
    fn increment_others(tags: &Tags) {
        for n in 0..16_000 {
            increment(tags, &format!("Other:{n}"));
        }
    }

    #[test]
    fn l01_no_change_is_forgotten_that_a_token_looks_back_to() {
        let (tags, clock) = tags();
        let tokens = [(); 3].map(|()| {
            let token = tags.token();
            clock.advance(SECOND / 4);
            token
        });
        increment(&tags, "A");
        increment_others(&tags);
        for token in &tokens {
            assert_eq!(seal(&tags, token, "A"), Err(NoStore::Raced));
            assert_eq!(seal(&tags, token, "B"), Ok(()), "nothing was forgotten");
        }
        // L10: and no longer than they live.
        clock.advance(LIFE + SECOND);
        for _ in 0..3 {
            increment_others(&tags);
        }
        assert!(tags.len() < 30_000, "{} tags left", tags.len());
    }

    #[test]
    fn l01_a_token_from_before_what_is_forgotten_seals_nothing() {
        let (tags, _) = tags();
        increment(&tags, "Z");
        // As another sidecar of the same history gave it out: nothing is remembered for it here.
        let history = tags.write().history_name.clone();
        let token = Token {
            history,
            stamp: tags.applied(),
            issued: tags.clock.now(),
        };
        increment(&tags, "A");
        increment_others(&tags);
        assert_eq!(tags.version("A"), None, "it is forgotten");
        for name in ["A", "B"] {
            assert_eq!(seal(&tags, &token, name), Err(NoStore::Raced), "{name}");
        }
        assert_eq!(seal(&tags, &tags.token(), "A"), Ok(()));
    }
}
