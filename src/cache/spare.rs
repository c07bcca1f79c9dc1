//! What is stored and may stand in where the app fails or keeps clients waiting: for how long, and why.

use std::sync::Arc;

use http::StatusCode;

use crate::cache::Cache;
use crate::cache::Stored;
use crate::model::outcome::Failure;
use crate::model::outcome::Stale;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::policy;
use crate::policy::request::Use;
use crate::policy::request::Wishes;
use crate::policy::request::on_failure;
use crate::policy::request::on_wait;
use crate::policy::request::usable;
use crate::rules::ClientControl;
use crate::rules::Rule;
use crate::rules::refill::OnInvalidate;

/// A stored response, and what its rule says of serving it after an increment of its tags.
#[derive(Clone, Debug)]
pub struct Spare {
    pub(super) stored: Arc<Stored>,
    on_invalidate: OnInvalidate,
    client_control: ClientControl,
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
        Spare {
            stored,
            on_invalidate: rule.refill.on_invalidate,
            client_control: rule.client_control,
        }
    }

    /// What the client of this request may ask of it.
    fn wishes(&self, head: &Head) -> Wishes {
        Wishes::granted(head.headers(), self.client_control)
    }

    /// Whether it is served, to who wishes for nothing in particular, only until it has been fetched again.
    pub(super) fn is_served_meanwhile(&self, now: Timestamp) -> bool {
        if !self.stored.seals.intact() {
            return self.is_served_invalidated(now);
        }
        let used = usable(&self.stored.entry.meta, &Wishes::default(), now);
        matches!(used, Use::Soft | Use::Stale(Stale::WhileRevalidate))
    }

    /// Whether it is served though one of its tags was incremented.
    pub(super) fn is_served_invalidated(&self, now: Timestamp) -> bool {
        let invalidated = self.stored.invalidated(now);
        invalidated.is_some_and(|it| it.is_served(&self.on_invalidate, true, now))
    }
}

impl Cache {
    /// Why it may be served to the client of this request, if it may.
    fn stands_in(&self, spare: &Spare, head: &Head, trouble: Trouble) -> Option<Stale> {
        self.serves(spare, head, &spare.wishes(head), trouble)
    }

    fn serves(
        &self,
        spare: &Spare,
        head: &Head,
        wishes: &Wishes,
        trouble: Trouble,
    ) -> Option<Stale> {
        let stored = &spare.stored;
        if !stored.holds(head) || !stored.is_for(head) {
            return None;
        }
        if self.0.tags.is_fenced() {
            return None; // an increment may forbid it that is not known here
        }
        if trouble == Trouble::Error && policy::is_error(stored.entry.status) {
            return None; // it is no better, and it would keep the new one from being remembered
        }
        let (meta, now) = (&stored.entry.meta, self.now());
        let stale = match trouble {
            Trouble::Error => on_failure(meta, wishes, false, now),
            Trouble::Disconnected => on_failure(meta, wishes, true, now),
            Trouble::Wait => on_wait(meta, wishes, now),
        };
        if stored.seals.intact() {
            stale
        } else {
            // As things are by now: a later increment may forbid what an earlier one allowed (L5).
            let served =
                !wishes.at(meta.age(now)).refuse_stale() && spare.is_served_invalidated(now);
            let stale = stale.filter(|_| served);
            stale.map(|_| Stale::Invalidated)
        }
    }

    /// Whether it may be served where the app answers with an error (RFC 5861 §4): to the client of this request, or to one
    /// that wishes for nothing in particular.
    pub(super) fn spares_an_error(&self, spare: Option<&Spare>, head: &Head) -> bool {
        spare.is_some_and(|spare| {
            let wishes = [spare.wishes(head), Wishes::default()];
            let serves = |wishes| self.serves(spare, head, wishes, Trouble::Error).is_some();
            wishes.iter().any(serves)
        })
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
            None if failure.is_no_connection()
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
