//! A share in somebody's fill: waits for the app's head, then reads the body as it arrives, if it is this client's to read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Response;
use http::StatusCode;
use http::header;
use http::response::Parts;
use tokio::sync::{oneshot, watch};

use crate::body::Body;
use crate::cache::Cache;
use crate::cache::Keep;
use crate::cache::Passing;
use crate::cache::Spare;
use crate::cache::Stored;
use crate::cache::spool::Spool;
use crate::model::key::KeyFields;
use crate::model::outcome::Bypass;
use crate::model::outcome::Commit;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::Forward;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;
use crate::model::outcome::Stale;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::policy::request::Wishes;
use crate::policy::vary;
use crate::rules::ClientControl;
use crate::tags::Arrival;
use crate::tags::Snapshot;

/// How far a fill is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The app was asked.
    Asked,
    /// The app's head is here, and its body is arriving.
    Shared(Arc<Shared>),
    /// Another sidecar has stored it meanwhile.
    Found(Arc<Stored>),
    /// The response is for its first client alone, for this reason; with its status.
    Alone(NoStore, StatusCode),
    /// The app gave no answer.
    Failed(Failure),
}

/// A response that every follower may read, if it is theirs to read.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) head: Parts,
    pub(super) spool: Spool,
    pub(super) answered: Answered,
    /// The last stamp applied when the app was asked.
    pub(super) before: Stamp,
    /// Keeps increments since then from being forgotten as long as a follower may compare with them; `None` when the
    /// body only passes through, and nobody new may read it.
    pub(super) alive: Mutex<Option<Arc<Snapshot>>>,
    /// Followers with a cookie may have it too (L12).
    pub(super) shareable: bool,
    /// `None` if it is not for the store.
    pub(super) keep: Option<Keep>,
    /// The values of the request fields that its `Vary` names.
    pub(super) selected: KeyFields,
}

/// What the app answered, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// The app's own status: 304 where what was stored is still right.
    pub(super) status: StatusCode,
    pub(super) end: End,
    /// What has become of what it changed.
    pub(super) commit: Commit,
}

impl Answered {
    fn outcome(self, why: Forward, hit_for_miss: bool) -> Outcome {
        let as_expected = matches!(self.end, End::NotStored(reason) if reason.is_its_own());
        let (why, end) = if hit_for_miss && as_expected {
            (Forward::Bypass(Bypass::HitForMiss), End::Passed)
        } else {
            (why, self.end)
        };
        let status = Some(self.status);
        let commit = self.commit;
        Outcome::Forwarded {
            why,
            status,
            end,
            commit,
        }
    }
}

/// A share in a fill.
#[derive(Debug)]
pub struct Follower {
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) why: Forward,
    pub(super) arrived: Arrival,
    /// What is stored, and may stand in for an error of the app.
    pub(super) spare: Option<Spare>,
    /// The first client's follower alone has one.
    pub(super) own: Option<oneshot::Receiver<(Response<Body>, Answered)>>,
    /// Nobody joins it, as the last response could not be stored.
    pub(super) hit_for_miss: bool,
    /// What its client may ask of the cache.
    pub(super) client_control: ClientControl,
}

/// What became of a follower's wait.
#[derive(Debug)]
pub enum Followed {
    /// The response, and what to say of it.
    Response(Response<Body>, Outcome),
    /// The app failed, and this may be served in its place.
    Stale(Arc<Stored>, Stale),
    /// Another sidecar has stored it meanwhile: it answers, or this client looks again.
    Found(Arc<Stored>, Passing),
    /// The response is not for this client, and the next may be: look up again, for a fill begun since that stamp if one
    /// is given, as what came is older than an increment this client came after. Or else pass.
    Again(Option<Stamp>, Passing),
    /// The response is for another client alone: ask the app for this one.
    Alone(Passing),
    /// The response was a long time coming, and this client waits no longer.
    Waited(Passing),
    /// The app gave no answer; and why it was asked.
    Failed(Failure, Forward),
}

impl Follower {
    /// Waits for the app's head, and says what this client is to get. For another's response it waits no longer than
    /// `patience`, if there is such a limit.
    pub async fn outcome(
        mut self,
        cache: &Cache,
        head: &Head,
        patience: Option<Duration>,
    ) -> Followed {
        if let Some(own) = self.own.take()
            && let Ok((response, answered)) = own.await
        {
            if let Some(stale) = self.spared(answered.status, cache, head) {
                return stale;
            }
            return Followed::Response(response, answered.outcome(self.why, self.hit_for_miss));
        }
        let asked = |stage: &Stage| !matches!(stage, Stage::Asked);
        let head_is_here = self.stage.wait_for(asked);
        let stage = match patience {
            Some(limit) => cache.0.clock.within(limit, head_is_here).await,
            None => Some(head_is_here.await),
        };
        let Some(stage) = stage.map(|stage| stage.map(|stage| stage.clone())) else {
            return Followed::Waited(self.passing());
        };
        match stage.unwrap_or(Stage::Asked) {
            Stage::Failed(failure) => self.failed(failure, cache, head),
            Stage::Shared(shared) => self
                .spared(shared.answered.status, cache, head)
                .unwrap_or_else(|| self.share(&shared, cache, head)),
            Stage::Found(stored) => Followed::Found(stored, self.passing()),
            Stage::Alone(reason, status) => self
                .spared(status, cache, head)
                .unwrap_or_else(|| self.refused(reason, head)),
            Stage::Asked => self.failed(Failure::Abandoned, cache, head),
        }
    }

    /// What is stored, if the app's answer is an error (RFC 5861 §4) and this client may have that in its place.
    fn spared(&self, status: StatusCode, cache: &Cache, head: &Head) -> Option<Followed> {
        let found = cache.in_place_of_error(status, self.spare.as_ref(), head);
        found.map(|(stored, stale)| Followed::Stale(stored, stale))
    }

    /// The response was for its first client alone. What that one brought may be the reason, and this one does not.
    fn refused(&self, reason: NoStore, head: &Head) -> Followed {
        let field = reason.request_field();
        let may_share = field.is_some_and(|name| !head.headers().contains_key(name));
        if may_share {
            self.again(None)
        } else {
            self.alone()
        }
    }

    /// What its fill hands to its first client.
    ///
    /// # Errors
    ///
    /// The app gave no answer, or the fill was given up.
    pub async fn own(mut self) -> Result<(Response<Body>, End, Commit), Failure> {
        if let Some(own) = self.own.take()
            && let Ok((response, answered)) = own.await
        {
            return Ok((response, answered.end, answered.commit));
        }
        match *self.stage.borrow() {
            Stage::Failed(failure) => Err(failure),
            Stage::Asked | Stage::Shared(_) | Stage::Found(_) | Stage::Alone(..) => {
                Err(Failure::Abandoned)
            }
        }
    }

    fn share(&self, shared: &Shared, cache: &Cache, head: &Head) -> Followed {
        if !shared.shareable && has_cookie(head) {
            return self.alone(); // L12
        }
        if let Some(keep) = &shared.keep {
            let meta = keep.meta();
            if vary::selecting(&meta.vary, head.headers()) != shared.selected {
                return self.again(None); // now that it is known what varies
            }
            // What this client could not have out of the store is not its either (RFC 9111 §4).
            if !cache.may_share(meta, &Wishes::granted(head.headers(), self.client_control)) {
                return self.alone();
            }
        }
        let alive = shared.alive.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = alive.clone() else {
            return self.alone();
        };
        drop(alive);
        // L1: it may be older than an increment this client came after. An error's tags are not known.
        let tags = &cache.0.tags;
        let outdates = |keep: &Keep| tags.outdates(&keep.tags, shared.before);
        let outdated = || shared.keep.as_ref().is_none_or(outdates);
        if tags.missed(&before, self.arrived, outdated) {
            return self.again(Some(self.arrived.stamp));
        }
        match shared.spool.read() {
            Some(body) => {
                let mut response = Response::from_parts(shared.head.clone(), body);
                if let Some(keep) = &shared.keep {
                    let headers = response.headers_mut();
                    for name in &keep.store.without {
                        headers.remove(name);
                    }
                    // It is as old as for whoever asked first (RFC 9111 §4.2.3).
                    let age = keep.meta().age(cache.0.clock.now()).as_secs();
                    headers.insert(header::AGE, age.into());
                }
                Followed::Response(response, Outcome::Collapsed { why: self.why })
            }
            None => self.alone(), // its beginning has left
        }
    }

    fn failed(&self, failure: Failure, cache: &Cache, head: &Head) -> Followed {
        match cache.in_place_of(failure, self.spare.as_ref(), head) {
            Ok((stored, stale)) => Followed::Stale(stored, stale),
            Err(failure) => Followed::Failed(failure, self.why),
        }
    }

    fn alone(&self) -> Followed {
        Followed::Alone(self.passing())
    }

    fn again(&self, since: Option<Stamp>) -> Followed {
        Followed::Again(since, self.passing())
    }

    fn passing(&self) -> Passing {
        Passing {
            why: self.why,
            spare: self.spare.clone(),
            freshen: None,
        }
    }
}

fn has_cookie(head: &Head) -> bool {
    head.headers().contains_key(header::COOKIE)
}
