//! A stored response, and what must be known of it to answer from it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};

use crate::model::time::Timestamp;

/// A stored response: head, content, and what the cache knows of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The status.
    pub status: StatusCode,
    /// The fields that go to clients; those that belong to one connection, and those addressed to this cache, are gone.
    pub headers: HeaderMap,
    /// The whole content.
    pub body: Bytes,
    /// What the cache knows of it.
    pub meta: EntryMeta,
}

/// What the cache knows of a stored response besides its head and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryMeta {
    /// When its head arrived here.
    pub received: Timestamp,
    /// When it was of age zero (RFC 9111 §4.2.3): `received` less the age it arrived with.
    pub born: Timestamp,
    /// How long after `born` it is fresh.
    pub lifetime: Duration,
    /// The response says itself that it may be shared (`public`, `s-maxage`, a targeted field), or its rule does:
    /// requests with a cookie may be answered from it (L12).
    pub shareable: bool,
    /// The request fields that its `Vary` names, lower case, sorted, each once; empty without `Vary`.
    pub vary: Arc<[HeaderName]>,
}

impl EntryMeta {
    /// Its age at `now` (RFC 9111 §4.2.3).
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.born)
    }

    /// The moment at which it stops being fresh.
    pub fn expires(&self) -> Timestamp {
        self.born + self.lifetime
    }

    /// Whole seconds until it expires, rounded down; negative after that.
    pub fn ttl(&self, now: Timestamp) -> i64 {
        let signed = |at: Timestamp| i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        signed(self.expires())
            .saturating_sub(signed(now))
            .div_euclid(1_000_000)
    }
}
