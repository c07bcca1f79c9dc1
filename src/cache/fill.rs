//! One fetch per key, and everyone who waits for it.
//!
//! A fill belongs to nobody: it runs in its own task, and its first client follows it like the rest. It ends in one of
//! four ways, and being dropped (a panic, a cancelled task) is the fourth: [`Fill::store`], [`Fill::hand_over`],
//! [`Fill::fail`]. In each, every follower learns the outcome at once (L9).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Response;
use http::header;
use http::response::Parts;
use tokio::sync::{oneshot, watch};

use crate::body::Body;
use crate::body::Chunk;
use crate::body::Cut;
use crate::cache::Cache;
use crate::cache::Found;
use crate::cache::Lookup;
use crate::cache::Miss;
use crate::cache::Slot;
use crate::cache::Stored;
use crate::cache::spool::Spool;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::key::BaseKey;
use crate::model::key::KeyFields;
use crate::model::key::Variant;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::Forward;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::model::tag::Tagged;
use crate::policy;
use crate::policy::request::Wishes;
use crate::policy::vary;
use crate::rules::Matched;
use crate::rules::Query;
use crate::tags::Snapshot;

/// Fills under way, by the variant they will be stored under.
#[derive(Debug, Default)]
pub(super) struct Fills(Mutex<HashMap<Variant, Flight>>);

/// A fill as those see it who may join it.
#[derive(Clone, Debug)]
struct Flight {
    /// Tells one flight under a variant from the next.
    stage: watch::Receiver<Stage>,
    before: Stamp,
}

/// How far a fill is.
#[derive(Clone, Debug)]
enum Stage {
    /// The app was asked.
    Asked,
    /// The app's head is here, and its body is arriving.
    Shared(Arc<Shared>),
    /// The response is for its first client alone.
    Alone,
    Failed(Failure),
}

/// A response that every follower may read, if it is theirs to read.
#[derive(Debug)]
struct Shared {
    head: Parts,
    spool: Spool,
    end: End,
    /// The last stamp applied when the app was asked.
    before: Stamp,
    tags: Vec<Tagged>,
    /// `None` if it is not for the store.
    meta: Option<EntryMeta>,
    /// The values of the request fields that its `Vary` names.
    selected: KeyFields,
}

/// The right and the duty to fetch a response for the store. Only a lookup gives one out, and it is used up by how it ends.
#[derive(Debug)]
pub struct Fill {
    cache: Cache,
    base: BaseKey,
    /// The variants it is registered under: what the lookup found, and what the response's own `Vary` says.
    variants: Vec<Variant>,
    matched: Matched,
    head: Arc<Head>,
    before: Snapshot,
    stage: watch::Sender<Stage>,
    first: Option<oneshot::Sender<(Response<Body>, End)>>,
}

/// A share in a fill.
#[derive(Debug)]
pub struct Follower {
    stage: watch::Receiver<Stage>,
    why: Forward,
    arrived: Stamp,
    /// The first client's follower alone has one.
    own: Option<oneshot::Receiver<(Response<Body>, End)>>,
}

/// What became of a follower's wait.
#[derive(Debug)]
pub enum Followed {
    /// The response, and what to say of it.
    Response(Response<Body>, Outcome),
    /// The response is older than an increment this client came after: look up again, for a fill begun since.
    Again(Stamp),
    /// The response is for another client alone: ask the app for this one.
    Alone(Forward),
    /// The app gave no answer.
    Failed(Failure, Outcome),
}

impl Cache {
    /// Starts the fill of a variant, or joins the one under way.
    pub(super) fn begin_or_join(
        &self,
        query: &Query,
        head: &Head,
        variant: Variant,
        miss: Miss,
    ) -> Lookup {
        let why = miss.why;
        let matched = query.matched(head);
        let mut flights = self.0.fills.lock();
        let arrived = self.0.tags.applied();
        if let Some(flight) = flights
            .get(&variant)
            .filter(|flight| self.may_join(flight, &matched, miss))
        {
            return Lookup::Join(Follower {
                stage: flight.stage.clone(),
                why,
                arrived,
                own: None,
            });
        }
        // A fill that ended between our look into the store and this lock has left its response there.
        if !miss.anew
            && let Found::Stored(_, stored) = self.find(query.base, head)
        {
            let now = self.0.clock.now();
            if self
                .why_not(&stored, head, &Wishes::of(head.headers()), now)
                .is_none()
            {
                return Lookup::Hit(stored, now);
            }
        }
        let before = self.0.tags.snapshot();
        let (stage, watched) = watch::channel(Stage::Asked);
        let (first, own) = oneshot::channel();
        flights.insert(
            variant,
            Flight {
                stage: watched.clone(),
                before: before.stamp(),
            },
        );
        drop(flights);
        let follower = Follower {
            stage: watched,
            why,
            arrived,
            own: Some(own),
        };
        let fill = Fill {
            cache: self.clone(),
            base: query.base,
            variants: vec![variant],
            matched,
            head: Arc::new(head.clone()),
            before,
            stage,
            first: Some(first),
        };
        Lookup::Miss(fill, follower)
    }

    /// Whether a client that comes now may wait for a fill begun before: not if one of the tags known already has
    /// changed since the app was asked (L1), and not if the client wants a response of its own time.
    fn may_join(&self, flight: &Flight, matched: &Matched, miss: Miss) -> bool {
        let implicit = matched.implicit_tags();
        let known = matched.tags.iter().flatten().chain(&implicit);
        !miss.anew
            && miss.since.is_none_or(|since| flight.before >= since)
            && !self.0.tags.changed_since(known, flight.before)
    }
}

impl Fills {
    fn lock(&self) -> MutexGuard<'_, HashMap<Variant, Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fill {
    /// The request to be sent, as its first client sent it.
    pub fn head(&self) -> &Arc<Head> {
        &self.head
    }

    /// What the rules say of it.
    pub fn matched(&self) -> &Matched {
        &self.matched
    }

    /// Shares the response with every follower as it arrives, and stores it when it is whole and nothing it depends on
    /// has changed since the app was asked.
    pub async fn store(mut self, response: Response<Body>, tags: Vec<Tagged>, meta: EntryMeta) {
        self.register_variant(&meta);
        // Now for the word in the head; what counts is the same question when the body has ended.
        let end = match self.cache.0.tags.seal(&tags, &self.before) {
            Ok(_) => End::Stored,
            Err(reason) => End::NotStored(reason),
        };
        self.share(response, tags, Some(meta), end).await;
    }

    /// Shares a response that is not stored: an error of the app that every follower would only get again (L9).
    pub async fn share_unstored(
        self,
        response: Response<Body>,
        tags: Vec<Tagged>,
        reason: NoStore,
    ) {
        self.share(response, tags, None, End::NotStored(reason))
            .await;
    }

    async fn share(
        mut self,
        response: Response<Body>,
        tags: Vec<Tagged>,
        meta: Option<EntryMeta>,
        end: End,
    ) {
        let (head, mut body) = response.into_parts();
        let exact = body.exact_len();
        let vary = meta
            .as_ref()
            .map(|meta| vary::selecting(&meta.vary, self.head.headers()));
        let shared = Arc::new(Shared {
            head,
            spool: Spool::new(exact),
            end,
            before: self.before.stamp(),
            tags,
            meta,
            selected: vary.unwrap_or_default(),
        });
        if exact != Some(0) {
            self.stage.send_replace(Stage::Shared(Arc::clone(&shared)));
        }
        let mut size = 0;
        let mut kept = true;
        loop {
            if !shared.spool.room().await {
                return; // nobody reads it and nobody will: dropping the body ends the exchange
            }
            let chunk = match body.next().await {
                Some(Ok(Chunk::Data(chunk))) => chunk,
                Some(Ok(Chunk::Trailers(_))) => continue, // may be discarded (RFC 9110 §6.5.1)
                Some(Err(cut)) => return shared.spool.end(Err(cut)),
                None => return self.finish(&shared, kept, Bytes::new()),
            };
            size += chunk.len() as u64;
            if kept && size > self.cache.0.max_object as u64 {
                kept = false;
                self.unregister();
                shared.spool.keep_no_longer();
            }
            if exact == Some(size) {
                // The last byte waits until the entry is stored: who has read all finds a hit when coming back.
                return match body.next().await {
                    None | Some(Ok(Chunk::Trailers(_))) => self.finish(&shared, kept, chunk),
                    Some(Ok(Chunk::Data(_))) => shared
                        .spool
                        .end(Err(Cut("more content than declared".into()))),
                    Some(Err(cut)) => shared.spool.end(Err(cut)),
                };
            }
            shared.spool.push(chunk);
        }
    }

    /// The body has ended whole: L1 once more, then put; then everyone may know that it has ended.
    fn finish(mut self, shared: &Arc<Shared>, kept: bool, last: Bytes) {
        if kept
            && shared.end == End::Stored
            && let Some(meta) = &shared.meta
        {
            self.admit(shared, meta, shared.spool.whole(&last));
        }
        self.unregister();
        if !last.is_empty() {
            shared.spool.push(last);
        }
        shared.spool.end(Ok(()));
        self.stage.send_replace(Stage::Shared(Arc::clone(shared)));
    }

    fn admit(&self, shared: &Shared, meta: &EntryMeta, body: Bytes) {
        let variant = *self
            .variants
            .last()
            .expect("a fill is registered under one variant at least");
        match self.cache.0.tags.seal(&shared.tags, &self.before) {
            Ok(seals) => {
                let entry = Entry {
                    status: shared.head.status,
                    headers: policy::storable_headers(&shared.head.headers),
                    body,
                    meta: meta.clone(),
                };
                self.cache.0.store.put(
                    variant,
                    Slot::Entry(Arc::new(Stored {
                        entry,
                        variant,
                        seals,
                    })),
                );
            }
            Err(reason) => tracing::debug!(
                uri = self.matched.uri,
                reason = reason.word(),
                "not stored after all"
            ),
        }
    }

    /// Gives the response to the first client alone; the others ask for themselves.
    pub fn hand_over(mut self, response: Response<Body>, reason: NoStore) {
        if let Some(first) = self.first.take() {
            // An error means that this client has left: its response is dropped, which ends the exchange.
            first.send((response, End::NotStored(reason))).ok();
        }
        self.stage.send_replace(Stage::Alone);
    }

    /// Tells every follower that the app gave no answer.
    pub fn fail(self, failure: Failure) {
        self.stage.send_replace(Stage::Failed(failure));
    }

    /// Lets requests for the response's variant find this fill, and those for others see that there are variants.
    fn register_variant(&mut self, meta: &EntryMeta) {
        if meta.vary.is_empty() {
            return;
        }
        let only = self.base.only_variant();
        let variant = self
            .base
            .variant(&vary::selecting(&meta.vary, self.head.headers()));
        self.cache
            .0
            .store
            .put(only, Slot::Varies(Arc::clone(&meta.vary)));
        if !self.variants.contains(&variant) {
            let flight = Flight {
                stage: self.stage.subscribe(),
                before: self.before.stamp(),
            };
            self.cache.0.fills.lock().insert(variant, flight);
            self.variants.push(variant);
        }
    }
}

impl Fill {
    /// From here on nobody joins.
    fn unregister(&mut self) {
        let mut flights = self.cache.0.fills.lock();
        for variant in &self.variants {
            // A newer fill may have taken the place.
            if flights
                .get(variant)
                .is_some_and(|flight| flight.stage.same_channel(&self.stage.subscribe()))
            {
                flights.remove(variant);
            }
        }
    }
}

impl Drop for Fill {
    /// However it ends, nobody waits for it any longer.
    fn drop(&mut self) {
        self.unregister();
        self.stage.send_if_modified(|stage| match stage {
            Stage::Asked => {
                *stage = Stage::Failed(Failure::Abandoned);
                true
            }
            Stage::Shared(shared) => {
                shared.spool.end(Err(Cut("the fill was given up".into()))); // unless it has ended
                false
            }
            Stage::Alone | Stage::Failed(_) => false,
        });
    }
}

impl Follower {
    /// Waits for the app's head, and says what this client is to get.
    pub async fn outcome(mut self, cache: &Cache, head: &Head) -> Followed {
        loop {
            let stage = self.stage.borrow_and_update().clone();
            match stage {
                Stage::Asked => {
                    // The sender says how it ended before it goes, so an error only means: look once more.
                    if self.stage.changed().await.is_err()
                        && matches!(*self.stage.borrow(), Stage::Asked)
                    {
                        return self.failed(Failure::Abandoned);
                    }
                }
                Stage::Shared(shared) => return self.share(&shared, cache, head),
                Stage::Alone => {
                    let Some(own) = self.own.take() else {
                        return Followed::Alone(self.why);
                    };
                    return match own.await {
                        Ok((response, end)) => {
                            Followed::Response(response, Outcome::Forwarded { why: self.why, end })
                        }
                        Err(_) => self.failed(Failure::Abandoned),
                    };
                }
                Stage::Failed(failure) => return self.failed(failure),
            }
        }
    }

    fn share(&self, shared: &Shared, cache: &Cache, head: &Head) -> Followed {
        let outcome = if self.own.is_some() {
            Outcome::Forwarded {
                why: self.why,
                end: shared.end,
            }
        } else {
            if let Some(meta) = &shared.meta {
                if !meta.shareable && head.headers().contains_key(header::COOKIE) {
                    return Followed::Alone(self.why); // L12
                }
                if vary::selecting(&meta.vary, head.headers()) != shared.selected {
                    return Followed::Again(Stamp::NEVER); // now that it is known what varies
                }
            }
            let tags = shared.tags.iter().map(|tagged| &tagged.tag);
            if self.arrived > shared.before && cache.0.tags.changed_since(tags, shared.before) {
                return Followed::Again(self.arrived); // L1: it may be older than an increment this client came after
            }
            Outcome::Collapsed { why: self.why }
        };
        match shared.spool.read() {
            Some(body) => {
                Followed::Response(Response::from_parts(shared.head.clone(), body), outcome)
            }
            None => Followed::Alone(self.why), // its beginning has left
        }
    }

    fn failed(&self, failure: Failure) -> Followed {
        let end = End::NotStored(NoStore::UpstreamFailed);
        Followed::Failed(failure, Outcome::Forwarded { why: self.why, end })
    }
}
