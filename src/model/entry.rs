//! A stored response, and what must be known of it to answer from it.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode, header};

use crate::model::allocated::allocated;
use crate::model::allocated::counted;
use crate::model::allocated::shared;
use crate::model::fields::Fields;
use crate::model::fields::Owner;
use crate::model::time::Timestamp;

/// A stored response: head, content, and what the cache knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The status.
    pub status: StatusCode,
    /// The fields that go to clients; those that belong to one connection, and those addressed to this cache, are gone.
    pub headers: Fields,
    /// The fields addressed to this cache alone, which clients do not get; a 304 that leaves them out leaves them in force.
    pub targeted: Option<Box<Fields>>,
    /// The content: all of it, or the part that `part` says.
    pub body: Bytes,
    /// Which part of the whole `body` is; `None`: all of it. Boxed: hardly any response is a part.
    pub part: Option<Box<Part>>,
    /// What the cache knows of it.
    pub meta: EntryMeta,
}

/// Where a stored part of a response lies in the whole (RFC 9111 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where its first byte is.
    pub first: u64,
    /// How long the whole is, where that is known.
    pub complete: Option<u64>,
    /// Its last byte is the last of the whole, so ranges counted from the end can be found in it.
    pub is_tail: bool,
}

/// How a response may be used that is no longer fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StaleUse {
    /// Not without asking the app (`must-revalidate`, `proxy-revalidate`, `s-maxage`, `no-cache`; RFC 9111 §4.2.4),
    /// whatever a client accepts. Only `s-maxage` leaves room for the times below, where the response names them itself.
    pub forbidden: bool,
    /// How long after it expires it may be served while it is fetched again (RFC 5861 §3).
    pub while_revalidate: Duration,
    /// How long after it expires it may be served when the app fails (RFC 5861 §4).
    pub if_error: Duration,
    /// How long after it expires it may be served when the app cannot be reached (RFC 9111 §4.2.4).
    pub if_disconnected: Duration,
}

/// What the cache knows of a stored response besides its head and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryMeta {
    /// When its head arrived here.
    pub received: Timestamp,
    /// When it was of age zero (RFC 9111 §4.2.3): `received` less the age it arrived with.
    pub born: Timestamp,
    /// How long after `born` it is fresh; zero: it is asked for each time, and stored for its validator.
    pub lifetime: Duration,
    /// Until when it is served without being fetched again, though it may be fresh for longer; `None`: as long as it is fresh.
    pub soft_until: Option<Timestamp>,
    /// Further conditions.
    pub conditions: Agreed,
}

/// On which conditions a stored response may be used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// How it may be used when it is no longer fresh.
    pub stale: StaleUse,
    /// The response says itself that it may be shared (`public`, `s-maxage`, a targeted field), or its rule does:
    /// requests with a cookie may be answered from it (L12).
    pub shareable: bool,
    /// What selects it among the responses under its key: the fields that its `Vary` names, sorted, then cookies that it
    /// names, each once.
    pub vary: Arc<[Selector]>,
}

/// A part of requests that selects among the responses under one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// A field, by `Vary`.
    Field(HeaderName),
    /// One cookie, by `X-LiteSpeed-Vary`.
    Cookie(Box<str>),
}

impl From<HeaderName> for Selector {
    fn from(name: HeaderName) -> Selector {
        Selector::Field(name)
    }
}

impl Selector {
    /// The memory that these take, in bytes. Of a field's name it is supposed that nobody else has it.
    pub fn weight(all: &Arc<[Selector]>) -> usize {
        let names = all.iter().map(|it| match it {
            Selector::Field(name) => shared(name.as_str().len()),
            Selector::Cookie(name) => allocated(name.len()),
        });
        counted(size_of_val(&**all)) + names.sum::<usize>()
    }

    /// Whether this field says which response it is.
    pub fn reads(&self, name: &HeaderName) -> bool {
        match self {
            Selector::Field(own) => own == name,
            Selector::Cookie(_) => *name == header::COOKIE,
        }
    }
}

/// Conditions in memory that entries share: with the copies of one, or with all that have the same.
#[derive(Clone, Debug)]
pub struct Agreed(Arc<(Owner, Conditions)>);

impl Agreed {
    /// The same conditions, for all that have them.
    pub(super) fn for_all(&self) -> Agreed {
        Agreed(Arc::new((Owner::All, Conditions::clone(self))))
    }

    /// Whether others hold them too.
    pub(super) fn are_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The memory they take, in bytes, where they are one entry's own.
    pub fn weight(&self) -> usize {
        match self.0.0 {
            Owner::One => counted(size_of_val(&*self.0)) + Selector::weight(&self.vary),
            Owner::All => 0,
        }
    }
}

impl From<Conditions> for Agreed {
    fn from(conditions: Conditions) -> Agreed {
        Agreed(Arc::new((Owner::One, conditions)))
    }
}

impl Deref for Agreed {
    type Target = Conditions;

    fn deref(&self) -> &Conditions {
        &self.0.1
    }
}

impl Borrow<Conditions> for Agreed {
    fn borrow(&self) -> &Conditions {
        self
    }
}

impl PartialEq for Agreed {
    fn eq(&self, other: &Agreed) -> bool {
        **self == **other
    }
}

impl Eq for Agreed {}

impl Hash for Agreed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Conditions::hash(self, state);
    }
}

impl Deref for EntryMeta {
    type Target = Conditions;

    fn deref(&self) -> &Conditions {
        &self.conditions
    }
}

impl DerefMut for EntryMeta {
    /// Its own conditions from here on.
    fn deref_mut(&mut self) -> &mut Conditions {
        let (owner, conditions) = Arc::make_mut(&mut self.conditions.0);
        *owner = Owner::One;
        conditions
    }
}

impl EntryMeta {
    /// Its age at `now` (RFC 9111 §4.2.3).
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.born)
    }

    /// Whether the app is asked before each use: nobody may wait for another's answer.
    pub fn is_asked_each_time(&self) -> bool {
        self.lifetime.is_zero() && self.stale.while_revalidate.is_zero()
    }

    /// The moment at which it stops being fresh.
    pub fn expires(&self) -> Timestamp {
        self.born + self.lifetime
    }

    /// The same, but fresh until then, whatever it came with. Its age stays what it is; of a soft life that is over nothing is left.
    pub fn fresh_until(&self, then: Timestamp, now: Timestamp) -> EntryMeta {
        let born = self.born.min(now); // the clock may have been set back
        EntryMeta {
            born,
            lifetime: then.since(born),
            soft_until: self.soft_until.filter(|until| *until > now),
            ..self.clone()
        }
    }

    /// Whole seconds until it expires, rounded down; negative after that.
    pub fn ttl(&self, now: Timestamp) -> i64 {
        let signed = |at: Timestamp| i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        signed(self.expires())
            .saturating_sub(signed(now))
            .div_euclid(1_000_000)
    }
}
