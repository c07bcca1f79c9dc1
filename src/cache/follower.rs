//! A share in somebody's fill: waits for the app's head, then reads the body as it arrives, if it is this client's to read.

use std::sync::{Arc, Mutex, PoisonError};

use http::Response;
use http::header;
use http::response::Parts;
use tokio::sync::{oneshot, watch};

use crate::body::Body;
use crate::cache::Cache;
use crate::cache::spool::Spool;
use crate::model::entry::EntryMeta;
use crate::model::key::KeyFields;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::Forward;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::model::tag::Tagged;
use crate::policy::vary;
use crate::tags::Snapshot;

/// How far a fill is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The app was asked.
    Asked,
    /// The app's head is here, and its body is arriving.
    Shared(Arc<Shared>),
    /// The response is for its first client alone, for this reason.
    Alone(NoStore),
    Failed(Failure),
}

/// A response that every follower may read, if it is theirs to read.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) head: Parts,
    pub(super) spool: Spool,
    pub(super) end: End,
    /// The last stamp applied when the app was asked.
    pub(super) before: Stamp,
    /// Keeps increments since then from being forgotten as long as a follower may compare with them; `None` when the
    /// body only passes through, and nobody new may read it.
    pub(super) alive: Mutex<Option<Arc<Snapshot>>>,
    pub(super) tags: Vec<Tagged>,
    /// Followers with a cookie may have it too (L12).
    pub(super) shareable: bool,
    /// `None` if it is not for the store.
    pub(super) meta: Option<EntryMeta>,
    /// The values of the request fields that its `Vary` names.
    pub(super) selected: KeyFields,
}

/// A share in a fill.
#[derive(Debug)]
pub struct Follower {
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) why: Forward,
    pub(super) arrived: Stamp,
    /// The first client's follower alone has one.
    pub(super) own: Option<oneshot::Receiver<(Response<Body>, End)>>,
}

/// What became of a follower's wait.
#[derive(Debug)]
pub enum Followed {
    /// The response, and what to say of it.
    Response(Response<Body>, Outcome),
    /// The response is older than an increment this client came after: look up again, for a fill begun since.
    Again(Option<Stamp>),
    /// The response is for another client alone: ask the app for this one.
    Alone(Forward),
    /// The app gave no answer.
    Failed(Failure, Outcome),
}

impl Follower {
    /// Waits for the app's head, and says what this client is to get.
    pub async fn outcome(mut self, cache: &Cache, head: &Head) -> Followed {
        if let Some(own) = self.own.take() {
            return match own.await {
                Ok((response, end)) => Followed::Response(
                    response,
                    Outcome::Forwarded {
                        why: self.why,
                        status: None,
                        end,
                    },
                ),
                Err(_) => self.failed(),
            };
        }
        let asked = |stage: &Stage| !matches!(stage, Stage::Asked);
        let stage = self.stage.wait_for(asked).await.map(|stage| stage.clone());
        match stage.unwrap_or(Stage::Asked) {
            Stage::Shared(shared) => self.share(&shared, cache, head),
            // The first client's cookie kept it from being shared: without one it may be.
            Stage::Alone(NoStore::Cookie) if !has_cookie(head) => Followed::Again(None),
            Stage::Alone(_) => Followed::Alone(self.why),
            Stage::Failed(_) | Stage::Asked => self.failed(),
        }
    }

    fn share(&self, shared: &Shared, cache: &Cache, head: &Head) -> Followed {
        if !shared.shareable && has_cookie(head) {
            return Followed::Alone(self.why); // L12
        }
        if let Some(meta) = &shared.meta
            && vary::selecting(&meta.vary, head.headers()) != shared.selected
        {
            return Followed::Again(None); // now that it is known what varies
        }
        if shared
            .alive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
        {
            return Followed::Alone(self.why);
        }
        // L1: it may be older than an increment this client came after. An error's tags are not known.
        let tags = shared.tags.iter().map(|tagged| &tagged.tag);
        let changed = || shared.meta.is_none() || cache.0.tags.changed_since(tags, shared.before);
        if self.arrived > shared.before && changed() {
            return Followed::Again(Some(self.arrived));
        }
        match shared.spool.read() {
            Some(body) => {
                let mut response = Response::from_parts(shared.head.clone(), body);
                if let Some(meta) = &shared.meta {
                    // It is as old as for whoever asked first (RFC 9111 §4.2.3).
                    let age = meta.age(cache.0.clock.now()).as_secs();
                    response.headers_mut().insert(header::AGE, age.into());
                }
                Followed::Response(response, Outcome::Collapsed { why: self.why })
            }
            None => Followed::Alone(self.why), // its beginning has left
        }
    }

    fn failed(&self) -> Followed {
        let failure = match *self.stage.borrow() {
            Stage::Failed(failure) => failure,
            Stage::Asked | Stage::Shared(_) | Stage::Alone(_) => Failure::Abandoned,
        };
        let end = End::NotStored(NoStore::UpstreamFailed);
        Followed::Failed(
            failure,
            Outcome::Forwarded {
                why: self.why,
                status: None,
                end,
            },
        )
    }
}

fn has_cookie(head: &Head) -> bool {
    head.headers().contains_key(header::COOKIE)
}
