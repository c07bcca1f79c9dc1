//! One fetch for the store, whoever waits for it.
//!
//! A fill belongs to nobody: it runs in its own task, and its first client follows it like the rest. It ends in one of
//! four ways: [`Fill::store`], [`Fill::share_unstored`], [`Fill::hand_over`], [`Fill::fail`]; being dropped (a panic, a
//! cancelled task) is the fifth. In each, every follower learns the outcome at once (L9).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use http::Response;
use http::header;
use tokio::sync::{oneshot, watch};

use crate::body::Body;
use crate::body::Chunk;
use crate::body::Cut;
use crate::cache::Cache;
use crate::cache::Slot;
use crate::cache::Stored;
use crate::cache::flights::Flight;
use crate::cache::follower::Follower;
use crate::cache::follower::Shared;
use crate::cache::follower::Stage;
use crate::cache::spool::Spool;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::key::BaseKey;
use crate::model::key::Variant;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::Forward;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::model::tag::Tagged;
use crate::model::time::Timestamp;
use crate::policy;
use crate::policy::vary;
use crate::rules::Cookies;
use crate::rules::Matched;
use crate::rules::Query;
use crate::rules::SetCookie;
use crate::tags::Seals;
use crate::tags::Snapshot;

/// The right and the duty to fetch a response for the store. Only a lookup gives one out, and it is used up by how it ends.
#[derive(Debug)]
pub struct Fill {
    cache: Cache,
    base: BaseKey,
    /// The variants it is registered under: what the lookup found, and what the response's own `Vary` says.
    variants: Vec<Variant>,
    matched: Matched,
    head: Arc<Head>,
    /// What it compares with (L1); given up with the right to store, as tags are remembered for it.
    before: Option<Arc<Snapshot>>,
    /// When it began.
    asked: Timestamp,
    stage: watch::Sender<Stage>,
    first: Option<oneshot::Sender<(Response<Body>, End)>>,
    /// The `Set-Cookie` fields that the first client alone gets (`set_cookie: strip`).
    set_cookies: Vec<HeaderValue>,
}

impl Fill {
    /// A fill, its first client's share in it, and what others see of it.
    pub(super) fn begin(
        cache: &Cache,
        query: &Query,
        head: &Head,
        variant: Variant,
        matched: Matched,
        why: Forward,
    ) -> (Fill, Follower, Flight) {
        let before = cache.0.tags.snapshot();
        let arrived = before.stamp();
        let (stage, watched) = watch::channel(Stage::Asked);
        let (first, own) = oneshot::channel();
        let flight = Flight {
            stage: watched.clone(),
            before: arrived,
        };
        let follower = Follower {
            stage: watched,
            why,
            arrived,
            own: Some(own),
        };
        let fill = Fill {
            cache: cache.clone(),
            base: query.base,
            variants: vec![variant],
            matched,
            head: Arc::new(head.clone()),
            before: Some(Arc::new(before)),
            asked: cache.0.clock.now(),
            stage,
            first: Some(first),
            set_cookies: Vec::new(),
        };
        (fill, follower, flight)
    }

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
        let end = match self.seal(&tags) {
            Ok(_) => End::Stored,
            Err(reason) => End::NotStored(reason),
        };
        self.share(response, tags, Some(meta), end).await;
    }

    /// Shares a response that is not stored: an error of the app that every follower would only get again (L9).
    pub async fn share_unstored(self, response: Response<Body>, reason: NoStore) {
        self.share(response, Vec::new(), None, End::NotStored(reason))
            .await;
    }

    async fn share(
        mut self,
        response: Response<Body>,
        tags: Vec<Tagged>,
        meta: Option<EntryMeta>,
        end: End,
    ) {
        let (mut head, mut body) = response.into_parts();
        if self.matched.rule.terms.set_cookie == SetCookie::Strip
            && let header::Entry::Occupied(set_cookies) = head.headers.entry(header::SET_COOKIE)
        {
            self.set_cookies = set_cookies.remove_entry_mult().1.collect();
        }
        let exact = body.exact_len();
        let vary = meta
            .as_ref()
            .map(|meta| vary::selecting(&meta.vary, self.head.headers()));
        let shared = Arc::new(Shared {
            head,
            spool: Spool::new(exact, self.cache.0.fills.held.clone()),
            end,
            before: self.began(),
            alive: Mutex::new(self.before.clone()),
            tags,
            shareable: match &meta {
                Some(meta) => meta.shareable,
                None => self.matched.rule.terms.cookies == Cookies::Ignore,
            },
            meta,
            selected: vary.unwrap_or_default(),
        });
        if exact != Some(0) {
            self.announce(&shared);
        }
        let mut size = 0;
        while shared.spool.room().await {
            let chunk = match body.next().await {
                Some(Ok(Chunk::Data(chunk))) => chunk,
                Some(Ok(Chunk::Trailers(_))) => continue, // may be discarded (RFC 9110 §6.5.1)
                Some(Err(cut)) => return self.cut(&shared, cut),
                None if exact.is_none_or(|exact| exact == size) => {
                    return self.finish(&shared, Bytes::new());
                }
                None => {
                    return self.cut(&shared, Cut("less content than declared".into()));
                }
            };
            size += chunk.len() as u64;
            if self.before.is_some() && !shared.spool.hold(chunk.len(), self.cache.0.max_object) {
                self.keep_no_longer(&shared);
            }
            if exact == Some(size) {
                // The last byte waits until the entry is stored: who has read all finds a hit when coming back.
                return match body.next().await {
                    None | Some(Ok(Chunk::Trailers(_))) => self.finish(&shared, chunk),
                    Some(Ok(Chunk::Data(_))) => {
                        self.cut(&shared, Cut("more content than declared".into()))
                    }
                    Some(Err(cut)) => self.cut(&shared, cut),
                };
            }
            shared.spool.push(chunk);
        }
        // Nobody reads it and nobody will: dropping the body ends the exchange.
    }

    /// From here on the body only passes through: nobody joins, nothing is stored, nothing is remembered for it.
    fn keep_no_longer(&mut self, shared: &Shared) {
        self.unregister();
        self.before = None;
        *shared.alive.lock().unwrap_or_else(PoisonError::into_inner) = None;
        shared.spool.keep_no_longer();
    }

    /// The body ended before it was whole.
    fn cut(mut self, shared: &Shared, cut: Cut) {
        self.unregister();
        shared.spool.end(Err(cut));
    }

    /// The head is for everyone to see. The first client's body is read from here on, so that it misses nothing.
    fn announce(&mut self, shared: &Arc<Shared>) {
        if let (Some(first), Some(body)) = (self.first.take(), shared.spool.read()) {
            let mut response = Response::from_parts(shared.head.clone(), body);
            for value in self.set_cookies.drain(..) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
            first.send((response, shared.end)).ok(); // an error means that this client has left
        }
        self.stage.send_replace(Stage::Shared(Arc::clone(shared)));
    }

    /// The body has ended whole: L1 once more, then put; then everyone may know that it has ended.
    fn finish(mut self, shared: &Arc<Shared>, last: Bytes) {
        if shared.end == End::Stored
            && self.before.is_some()
            && let Some(meta) = &shared.meta
        {
            self.admit(shared, meta, shared.spool.whole(&last));
        }
        self.unregister();
        if !last.is_empty() {
            shared.spool.push(last);
        }
        shared.spool.end(Ok(()));
        self.announce(shared);
    }

    fn admit(&self, shared: &Shared, meta: &EntryMeta, body: Bytes) {
        let variant = *self
            .variants
            .last()
            .expect("a fill is registered under one variant at least");
        match self.seal(&shared.tags) {
            Ok(_) if self.is_overtaken(variant) => {}
            Ok(seals) => {
                let headers = policy::storable_headers(&shared.head.headers);
                let entry = Entry {
                    status: shared.head.status,
                    headers,
                    targeted: http::HeaderMap::new(),
                    body,
                    part: None,
                    meta: meta.clone(),
                };
                let stored = Stored {
                    entry,
                    asked: self.asked,
                    variant,
                    seals,
                };
                self.cache
                    .0
                    .store
                    .put(variant, Slot::Entry(Arc::new(stored)));
            }
            Err(reason) => {
                tracing::debug!(
                    uri = self.matched.uri,
                    reason = reason.word(),
                    "not stored after all"
                );
            }
        }
    }

    /// Whether what is stored was asked for after this fill began, as a client did that wanted it anew.
    fn is_overtaken(&self, variant: Variant) -> bool {
        match self.cache.0.store.get(&variant) {
            Some(Slot::Entry(stored)) => stored.asked > self.asked && stored.seals.intact(),
            Some(Slot::Varies { .. }) | None => false,
        }
    }

    /// L1: the tags as they are, if none of them has changed since the app was asked.
    fn seal(&self, tags: &[Tagged]) -> Result<Seals, NoStore> {
        let before = self.before.as_ref().ok_or(NoStore::TooLarge)?;
        self.cache.0.tags.seal(tags, before)
    }

    /// The last stamp applied when the app was asked.
    fn began(&self) -> Stamp {
        self.before
            .as_ref()
            .map_or(Stamp::NEVER, |before| before.stamp())
    }

    /// Gives the response to the first client alone; the others ask for themselves.
    pub fn hand_over(mut self, response: Response<Body>, reason: NoStore) {
        self.unregister(); // before anyone looks again
        if let Some(first) = self.first.take() {
            // An error means that this client has left: its response is dropped, which ends the exchange.
            first.send((response, End::NotStored(reason))).ok();
        }
        self.stage.send_replace(Stage::Alone(reason));
    }

    /// Tells every follower that the app gave no answer.
    pub fn fail(mut self, failure: Failure) {
        self.unregister();
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
        let until = match self.cache.0.store.get(&only) {
            Some(Slot::Varies { until, .. }) => until.max(meta.expires()),
            Some(Slot::Entry(_)) | None => meta.expires(),
        };
        self.cache.0.store.put(
            only,
            Slot::Varies {
                fields: Arc::clone(&meta.vary),
                until,
            },
        );
        if !self.variants.contains(&variant) {
            let flight = Flight {
                stage: self.stage.subscribe(),
                before: self.began(),
            };
            let mut flights = self.cache.0.fills.lock();
            if flights
                .get(&variant)
                .is_none_or(|other| other.before <= flight.before)
            {
                flights.insert(variant, flight);
            }
            self.variants.push(variant);
        }
    }

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
            Stage::Alone(_) | Stage::Failed(_) => false,
        });
    }
}
