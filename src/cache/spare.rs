//! What is stored and may stand in where the app fails or keeps clients waiting: for how long, and why.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::cache::Cache;
use crate::cache::Stored;
use crate::model::outcome::Failure;
use crate::model::outcome::Stale;
use crate::model::request::Head;
use crate::policy;
use crate::policy::request::Wishes;
use crate::policy::request::on_failure;
use crate::policy::request::on_wait;
use crate::rules::Rule;
use crate::rules::refill::WhenInvalidated;

/// A stored response, and what its rule says of serving it after an increment of its tags.
#[derive(Clone, Debug)]
pub struct Spare {
    pub(super) stored: Arc<Stored>,
    /// How long after the increment; `None`: not at all (L5).
    invalidated: Option<Duration>,
}

/// What has befallen a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The app answered with an error, or with nothing that makes sense.
    Error,
    /// The app cannot be reached.
    Disconnected,
    /// Another request's answer is a long time coming.
    Wait,
}

impl Spare {
    pub(super) fn of(rule: &Rule, stored: Arc<Stored>) -> Spare {
        let on = &rule.refill.on_invalidate;
        let softly = stored.invalidated().is_some_and(|it| it.soft);
        let served = on.stale_if_error || on.mode != WhenInvalidated::Miss || softly;
        Spare {
            stored,
            invalidated: served.then_some(on.max_stale),
        }
    }
}

impl Cache {
    /// Why it may be served to the client of this request, if it may.
    fn stands_in(&self, spare: &Spare, head: &Head, trouble: Trouble) -> Option<Stale> {
        let stored = &spare.stored;
        if !stored.holds(head) || !stored.is_for(head) {
            return None;
        }
        let (meta, now) = (&stored.entry.meta, self.now());
        let wishes = Wishes::of(head.headers());
        let stale = match trouble {
            Trouble::Error => on_failure(meta, &wishes, false, now),
            Trouble::Disconnected => on_failure(meta, &wishes, true, now),
            Trouble::Wait => on_wait(meta, &wishes),
        };
        let Some(invalidated) = stored.invalidated() else {
            return stale;
        };
        let within = |max_stale: Duration| now.since(invalidated.since) <= max_stale;
        let served = spare.invalidated.is_some_and(within);
        stale.filter(|_| served).map(|_| Stale::Invalidated)
    }

    /// Whether it may be served where the app answers with an error (RFC 5861 §4).
    pub(super) fn spares_an_error(&self, spare: Option<&Spare>, head: &Head) -> bool {
        spare.is_some_and(|spare| self.stands_in(spare, head, Trouble::Error).is_some())
    }

    /// What may be served where the app gave this status, which is an error (RFC 5861 §4).
    pub fn in_place_of_error(
        &self,
        status: StatusCode,
        spare: Option<&Spare>,
        head: &Head,
    ) -> Option<(Arc<Stored>, Stale)> {
        let spare = spare.filter(|_| policy::is_error(status))?;
        let stale = self.stands_in(spare, head, Trouble::Error)?;
        Some((Arc::clone(&spare.stored), stale))
    }

    /// What may be served where the app gave no answer.
    ///
    /// # Errors
    ///
    /// The failure to tell: 504 where what is stored must not be served unasked (RFC 9111 §5.2.2.2).
    pub fn in_place_of(
        &self,
        failure: Failure,
        spare: Option<&Spare>,
        head: &Head,
    ) -> Result<(Arc<Stored>, Stale), Failure> {
        let Some(spare) = spare.filter(|_| failure.is_the_apps()) else {
            return Err(failure);
        };
        let trouble = if failure.is_disconnection() {
            Trouble::Disconnected
        } else {
            Trouble::Error
        };
        match self.stands_in(spare, head, trouble) {
            Some(stale) => Ok((Arc::clone(&spare.stored), stale)),
            None if failure == Failure::Unreachable
                && spare.stored.seals.intact()
                && spare.stored.entry.meta.stale.forbidden =>
            {
                Err(Failure::Unvalidated)
            }
            None => Err(failure),
        }
    }

    /// What may be served where another request's answer is a long time coming.
    pub fn in_place_of_waiting(
        &self,
        spare: Option<&Spare>,
        head: &Head,
    ) -> Option<(Arc<Stored>, Stale)> {
        let spare = spare?;
        let stale = self.stands_in(spare, head, Trouble::Wait)?;
        Some((Arc::clone(&spare.stored), stale))
    }
}
