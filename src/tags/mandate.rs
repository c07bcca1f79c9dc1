//! Whether the server that is followed still has the tags, where others decide that.
//!
//! A primary that has been replaced may not know it, and goes on as if nothing had happened: what it takes is lost, and what its
//! successor takes it never hears of. Nobody follows the successor before most Sentinels name it. So what most of
//! them still say *after* something was done holds for all that was done until then: increments count only with that, what a strict
//! rule reads is believed only with that, and who has not been told so for `max_lag` is as fenced as who has heard nothing.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::shared::Link;
use crate::shared::Store;
use crate::tags::pulse::Moment;
use crate::tags::pulse::Pulse;

/// What others say of the server that is followed.
#[derive(Debug)]
pub(super) struct Mandate {
    /// Whether they are to be asked: nobody decides about a server that is alone.
    needed: bool,
    /// When they were last asked and said that it has the tags.
    confirmed: Pulse,
    /// How many have wanted to know so far.
    wanted: watch::Sender<u64>,
    /// How many of these have been answered, and the link whose server has the tags.
    answered: watch::Sender<(u64, Option<Link>)>,
}

impl Mandate {
    pub(super) fn new(store: &Store, clock: &Clock) -> Mandate {
        Mandate {
            needed: store.is_decided_by_sentinels(),
            confirmed: Pulse::new(clock),
            wanted: watch::Sender::new(0),
            answered: watch::Sender::new((0, None)),
        }
    }

    /// For how long nobody has said so; nothing where nobody has to.
    pub(super) fn lag(&self) -> Option<Duration> {
        match self.needed {
            true => self.confirmed.lag(),
            false => Some(Duration::ZERO),
        }
    }

    /// This moment, for [`Mandate::note`].
    pub(super) fn now(&self) -> Moment {
        self.confirmed.now()
    }

    /// Asked after that moment, they said that the server has the tags.
    pub(super) fn note(&self, moment: Moment) {
        self.confirmed.note(moment);
    }

    /// Whether the server of this link has the tags still, as others say who are asked after this was called.
    pub(super) async fn confirms(&self, link: &Link) -> bool {
        if !self.needed {
            return true;
        }
        let mut answers = self.answered.subscribe();
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            number = *wanted;
        });
        let answer = answers.wait_for(|(answered, _)| *answered >= number).await;
        answer.is_ok_and(|answer| answer.1.as_ref().is_some_and(|it| it.is(link)))
    }

    /// Who wants to be confirmed, until the next call.
    pub(super) fn questions(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    /// Answers so many.
    pub(super) fn answer(&self, number: u64, link: Option<Link>) {
        self.answered.send_replace((number, link));
    }
}
