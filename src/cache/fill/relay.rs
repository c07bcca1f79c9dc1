//! The body of a fill's response on its way: from the app into the spool, from which every follower reads; and what becomes
//! of it if it outgrows the store, is cut, or nobody reads it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Response;
use http::StatusCode;

use crate::body::Body;
use crate::body::Chunk;
use crate::body::Cut;
use crate::cache::Fill;
use crate::cache::Keep;
use crate::cache::follower::Answered;
use crate::cache::follower::Shared;
use crate::cache::follower::Stage;
use crate::cache::spool::Spool;
use crate::model::outcome::End;
use crate::model::outcome::NoStore;
use crate::policy::vary;
use crate::rules::Cookies;

impl Fill {
    pub(super) async fn share(
        mut self,
        response: Response<Body>,
        answered: Answered,
        keep: Option<Keep>,
    ) {
        let (head, mut body) = response.into_parts();
        let exact = body.exact_len();
        let selected = keep
            .as_ref()
            .map(|keep| vary::selecting(&keep.meta().vary, self.head.headers()));
        let shareable = match &keep {
            Some(keep) => keep.meta().shareable,
            None => self.matched.rule.terms.cookies == Cookies::Ignore,
        };
        let shared = Arc::new(Shared {
            head,
            spool: Spool::new(exact, self.cache.0.fills.held.clone()),
            answered,
            before: self.began(),
            alive: Mutex::new(self.before.clone()),
            keep,
            shareable,
            selected: selected.unwrap_or_default(),
        });
        if !self.is_for_store(answered.end) {
            self.lease = None; // nobody need wait for that
        }
        if exact != Some(0) {
            self.announce(&shared);
        }
        let mut size = 0;
        loop {
            let next = async {
                shared.spool.room().await;
                body.next().await
            };
            let next = tokio::select! {
                biased;
                next = next => next,
                // Dropping the body ends the exchange.
                () = self.unwanted(&shared.spool), if !self.is_for_store(answered.end) => return,
            };
            let chunk = match next {
                Some(Ok(Chunk::Data(chunk))) => chunk,
                Some(Ok(Chunk::Trailers(_))) => continue, // may be discarded (RFC 9110 §6.5.1)
                Some(Err(cut)) => return self.cut(&shared, cut),
                None if exact.is_none_or(|exact| exact == size) => {
                    return self.finish(&shared, Bytes::new()).await;
                }
                None => {
                    return self.cut(&shared, Cut::Short("less content than declared".into()));
                }
            };
            size += chunk.len() as u64;
            // What a 304 makes fresh is in the store already.
            let is_stored = answered.status == StatusCode::NOT_MODIFIED;
            let fits = size <= self.cache.0.max_object as u64;
            if self.before.is_some() && !is_stored && !(fits && shared.spool.hold(&chunk)) {
                if self.is_for_store(answered.end) {
                    self.count_not_stored(NoStore::TooLarge);
                }
                self.keep_no_longer(&shared, size);
            }
            if exact == Some(size) {
                // The last byte waits until the entry is stored: who has read all finds a hit when coming back.
                return match body.next().await {
                    None | Some(Ok(Chunk::Trailers(_))) => self.finish(&shared, chunk).await,
                    Some(Ok(Chunk::Data(_))) => {
                        self.cut(&shared, Cut::Short("more content than declared".into()))
                    }
                    Some(Err(cut)) => self.cut(&shared, cut),
                };
            }
            shared.spool.push(chunk);
        }
    }

    /// Whether it will be stored, as far as is known.
    fn is_for_store(&self, end: End) -> bool {
        matches!(end, End::Stored | End::Revalidated) && self.before.is_some()
    }

    /// Comes back when nobody reads the body, and nobody will any more.
    async fn unwanted(&self, spool: &Spool) {
        loop {
            self.stage.closed().await; // who waited for the head has it
            spool.unread().await;
            let mut flights = self.cache.0.fills.lock(); // now nobody joins
            // In this order: who stops waiting reads already.
            if self.stage.receiver_count() == 0 && !spool.is_read() {
                return self.leave(&mut flights);
            }
        }
    }

    /// From here on the body only passes through: nobody joins, nothing is stored, nothing is remembered for it.
    fn keep_no_longer(&mut self, shared: &Shared, size: u64) {
        if size > self.cache.0.max_object as u64 {
            self.note_unstorable(NoStore::TooLarge, shared.head.status, self.cache.now());
        }
        self.unregister();
        self.lease = None;
        self.before = None;
        *shared.alive.lock().unwrap_or_else(PoisonError::into_inner) = None;
        shared.spool.keep_no_longer();
    }

    /// The body ended before it was whole.
    fn cut(mut self, shared: &Shared, cut: Cut) {
        if self.is_for_store(shared.answered.end) {
            self.count_not_stored(NoStore::UpstreamFailed);
        }
        self.unregister();
        self.under_way = None;
        shared.spool.end(Err(cut));
    }

    /// The head is for everyone to see. The first client's body is read from here on, so that it misses nothing.
    fn announce(&mut self, shared: &Arc<Shared>) {
        if let (Some(first), Some(body)) = (self.first.take(), shared.spool.read()) {
            let response = Response::from_parts(shared.head.clone(), body);
            first.send((response, shared.answered)).ok(); // an error means that this client has left
        }
        self.stage.send_replace(Stage::Shared(Arc::clone(shared)));
    }

    /// The body has ended whole: L1 once more, then put; then everyone may know that it has ended.
    async fn finish(mut self, shared: &Arc<Shared>, last: Bytes) {
        let mut admitted = None;
        if self.is_for_store(shared.answered.end)
            && let Some(keep) = &shared.keep
        {
            let body = match self.validates() {
                Some(stored) if shared.answered.status == StatusCode::NOT_MODIFIED => {
                    stored.entry.body.clone() // the same content: nothing to copy
                }
                Some(_) | None => shared.spool.whole(&last),
            };
            match self.admit(&shared.head, keep, body).await {
                Ok(stored) => {
                    if stored.is_some() {
                        self.matched.rule.count_stored();
                    }
                    admitted = stored;
                    if let Some(operator) = self.admitted.take() {
                        operator.send(()).ok(); // an error means that nobody waits
                    }
                }
                Err(reason) => {
                    self.count_not_stored(reason);
                    tracing::debug!(
                        uri = self.head.logged_uri(),
                        reason = reason.word(),
                        "not stored after all"
                    );
                }
            }
        }
        self.unregister();
        self.under_way = None;
        if !last.is_empty() {
            shared.spool.push(last);
        }
        shared.spool.end(Ok(()));
        self.announce(shared);
        if let Some(stored) = admitted {
            self.put_elsewhere(&stored).await; // its own clients need not wait for that
        }
    }
}
