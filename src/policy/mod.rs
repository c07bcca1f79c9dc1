//! What a response means: what it says of tags, and whether it may be stored (RFC 9111).
//!
//! Everything here is a function of heads and times that are given: no clock, no store, no sockets. Where the standard
//! leaves a choice, the answer is the one that stores less.

mod directives;
mod fields;
pub mod freshening;
mod freshness;
mod privacy;
pub mod ranges;
pub mod request;
mod rule;
mod signals;
mod uris;
pub mod validators;
pub mod vary;

use std::time::Duration;

use http::response::Parts;
use http::{HeaderName, Method, StatusCode};

pub use crate::policy::fields::drop_hop_by_hop;
pub use crate::policy::fields::storable_headers;
pub use crate::policy::signals::Declared;
pub use crate::policy::signals::Signals;
pub use crate::policy::signals::signals;

use crate::model::entry::EntryMeta;
use crate::model::entry::StaleUse;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::policy::directives::Control;
use crate::policy::request::Wishes;

/// What the rule of a request says of storing its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a response is fresh that does not say so itself; zero: not at all.
    pub ttl: Option<Duration>,
    /// The cap on whatever is said.
    pub max_ttl: Duration,
    /// The key holds the cookie, so responses to requests with one are not mixed up (L12).
    pub keys_on_cookie: bool,
    /// The key holds the credentials (L12).
    pub keys_on_authorization: bool,
}

impl Default for Terms {
    /// What holds where no rule matched (rules.md §2).
    fn default() -> Terms {
        Terms {
            ttl: None,
            max_ttl: Duration::from_secs(7 * 86_400),
            keys_on_cookie: false,
            keys_on_authorization: false,
        }
    }
}

/// When an exchange began and when its head was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Before the first byte went to the app.
    pub sent: Timestamp,
    /// When the head had arrived.
    pub received: Timestamp,
}

/// Whether a response is meant for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is, with this beside it.
    Store(EntryMeta),
    /// It is not, for this reason.
    Pass(NoStore),
}

/// Judges a response to `head`, whose tags have been taken off by [`signals`] and whose other fields are as they came.
///
/// `targeted` names the targeted fields (RFC 9213), the strongest first.
pub fn judge(
    terms: &Terms,
    head: &Head,
    response: &Parts,
    signals: &Signals,
    times: Times,
    targeted: &[HeaderName],
) -> Verdict {
    let control = Control::of(&response.headers, targeted);
    match meta(terms, head, response, signals, times, &control) {
        Ok(meta) => Verdict::Store(meta),
        Err(reason) => Verdict::Pass(reason),
    }
}

/// RFC 9111 §3, in its order; then the tags; then how long.
fn meta(
    terms: &Terms,
    head: &Head,
    response: &Parts,
    signals: &Signals,
    times: Times,
    control: &Control,
) -> Result<EntryMeta, NoStore> {
    if *head.method() != Method::GET {
        return Err(NoStore::Method);
    }
    understood(response.status, control)?;
    if control.directives.no_store || Wishes::of(head.headers()).no_store {
        return Err(NoStore::NoStore);
    }
    privacy::check(terms, head, &response.headers, control)?;
    let vary = vary::names(&response.headers)?;
    signals.tags.as_ref().map_err(|reason| *reason)?;

    let lifetime = freshness::lifetime(control, response, terms, times.received);
    let lifetime = lifetime.ok_or(NoStore::NoFreshness)?;
    let age = freshness::initial_age(&response.headers, times);
    // What may not be used without asking the app has no life of its own.
    if control.directives.no_cache || lifetime <= age {
        return Err(NoStore::AlreadyExpired);
    }
    Ok(EntryMeta {
        received: times.received,
        born: times.received - age,
        lifetime,
        stale: StaleUse::default(),
        shareable: control.shares() || terms.keys_on_cookie,
        vary,
    })
}

/// A final status (RFC 9111 §3) that is the whole of something; with `must-understand`, one whose meaning is known
/// (§5.2.2.3).
fn understood(status: StatusCode, control: &Control) -> Result<(), NoStore> {
    let known = status.canonical_reason().is_some();
    match status {
        StatusCode::PARTIAL_CONTENT => Err(NoStore::Partial),
        StatusCode::NOT_MODIFIED => Err(NoStore::Status),
        _ if status.is_informational() => Err(NoStore::Status),
        _ if control.directives.must_understand && !known => Err(NoStore::Status),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
