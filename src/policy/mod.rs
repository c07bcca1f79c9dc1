//! What a response means: what it says of tags, and whether it may be stored (RFC 9111).
//!
//! Everything here is a function of heads and times that are given: no clock, no store, no sockets. Where the standard
//! leaves a choice, the answer is the one that stores less.

mod directives;
mod fields;
pub mod freshening;
mod freshness;
mod members;
mod privacy;
pub mod ranges;
pub mod request;
mod rule;
pub mod shadow;
mod signals;
mod surrogate;
mod uris;
pub mod validators;
pub mod vary;

use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, ETAG, LAST_MODIFIED, RANGE, SET_COOKIE, VARY,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};

pub use crate::policy::fields::drop_hop_by_hop;
pub use crate::policy::fields::storable_headers;
pub use crate::policy::privacy::spare_hidden_cookies;
pub use crate::policy::signals::Declared;
pub use crate::policy::signals::Signals;
pub use crate::policy::signals::changed;
pub use crate::policy::signals::signals;
pub use crate::policy::surrogate::CAPABILITY;

use crate::model::entry::Conditions;
use crate::model::entry::EntryMeta;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::policy::directives::Control;
use crate::policy::directives::Scope;
use crate::policy::ranges::ContentRange;
use crate::policy::request::Wishes;
use crate::rules::Cookies;
use crate::rules::SetCookie;
use crate::rules::Terms;

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
    /// It is, like this.
    Store(Store),
    /// It is not, for this reason.
    Pass(NoStore),
}

/// How a response is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// What the cache must know of it.
    pub meta: EntryMeta,
    /// The fields that are left out: those that a qualified `no-cache` or `private` names (RFC 9111 §5.2.2.4,
    /// §5.2.2.7), each once. The client whose request went to the app gets them.
    pub without: Vec<HeaderName>,
}

impl Store {
    /// Lets it expire earlier by as much as `chance`, a number from 0 to 1, makes of the rule's jitter. Never later, and its
    /// age stays what it is.
    pub fn spread(&mut self, terms: &Terms, chance: f64) {
        let EntryMeta {
            received,
            born,
            lifetime,
            ..
        } = &mut self.meta;
        let age = received.since(*born);
        let left = lifetime.saturating_sub(age);
        *lifetime -= left - terms.jitter.spread(left, chance);
    }
}

/// Judges a response to `head`, whose tags have been taken off by [`signals`] and whose other fields are as they came.
///
/// `targeted` names the targeted fields (RFC 9213), the strongest first. A response to POST is stored as if it were one
/// to GET for the same URI.
pub fn judge(
    terms: &Terms,
    head: &Head,
    response: &Parts,
    signals: &Signals,
    times: Times,
    targeted: &[HeaderName],
) -> Verdict {
    let control = Control::of(&response.headers, targeted);
    let method = match *head.method() {
        _ if head.brings_content() => Ok(()),
        Method::POST
            if stands_for_its_uri(head, response, times, &control)
                && privacy::asked_as_keyed(terms, head) =>
        {
            Ok(())
        }
        _ => Err(NoStore::Method),
    };
    match method.and_then(|()| store(terms, head, response, signals, times, &control)) {
        Ok(store) => Verdict::Store(store),
        Err(reason) => Verdict::Pass(reason),
    }
}

/// Whether what POST got is also what GET would get, for a time that it says itself (RFC 9110 §9.3.3).
fn stands_for_its_uri(head: &Head, response: &Parts, times: Times, control: &Control) -> bool {
    let lifetime = freshness::explicit(control, response, times.received);
    response.status.is_success()
        && lifetime.is_some_and(|lifetime| !lifetime.is_zero())
        && uris::is_of_its_own(head, response)
}

/// RFC 9111 §3, in its order; then the tags; then how long.
fn store(
    terms: &Terms,
    head: &Head,
    response: &Parts,
    signals: &Signals,
    times: Times,
    control: &Control,
) -> Result<Store, NoStore> {
    let said = &control.directives;
    understood(head, response, control)?;
    let no_store = said.no_store && !said.excuses_no_store;
    if no_store || Wishes::of(head.headers()).no_store {
        return Err(NoStore::NoStore);
    }
    privacy::check(terms, head, &response.headers, control)?;
    let vary = vary::names(&response.headers, &signals.cookies, |name| {
        privacy::selects_nothing(terms, head, name)
    })?;
    signals.tags.as_ref().map_err(|reason| *reason)?;

    let mut without = [said.no_cache.fields(), said.private.fields()].concat();
    if terms.set_cookie == SetCookie::Strip {
        without.push(SET_COOKIE);
    }
    without.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    without.dedup();
    let has_validator = validates(&response.headers, &without);
    let life = freshness::life(control, response, terms, times, has_validator)?;
    Ok(Store {
        meta: EntryMeta {
            received: times.received,
            born: times.received - life.age,
            lifetime: life.lifetime,
            soft_until: terms.soft_ttl.map(|soft| times.received + soft),
            conditions: Conditions {
                stale: life.stale,
                shareable: privacy::shares_with_cookies(terms, head, control),
                vary,
            }
            .into(),
        },
        without,
    })
}

/// A final status (RFC 9111 §3) that is the whole of something, or one known part of it; with `must-understand`, one
/// whose meaning is known (§5.2.2.3).
fn understood(head: &Head, response: &Parts, control: &Control) -> Result<(), NoStore> {
    let status = response.status;
    let known = status.canonical_reason().is_some();
    match status {
        StatusCode::PARTIAL_CONTENT if !is_one_part(head, &response.headers) => {
            Err(NoStore::Partial)
        }
        StatusCode::NOT_MODIFIED => Err(NoStore::Status),
        _ if status.is_informational() || blames_the_client(status) => Err(NoStore::Status),
        _ if control.directives.must_understand && !known => Err(NoStore::Status),
        _ => Ok(()),
    }
}

/// Whether a status finds fault with what one client has sent besides what any key holds: its pace, its body, how long its head is.
/// Stored, whatever the app says of that, it would refuse everybody ("CPDoS", Nguyen, Lo Iacono and Federrath 2019).
fn blames_the_client(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        408 | 413 | 417 | 421 | 425 | 428 | 429 | 431
    )
}

/// How long a value may be used that the app puts here itself: the `max-age` of its `Tagalong-Cache-Control`. `None`: it says
/// none, or nothing that can be read.
pub fn life_of_value(headers: &HeaderMap) -> Option<Duration> {
    let field = HeaderName::from_static("tagalong-cache-control");
    let control = Control::of(headers, &[field]);
    let said = control.directives;
    let life = said.max_age.filter(|life| !life.is_zero());
    life.filter(|_| control.targeted && !said.no_store && !said.malformed)
}

/// Whether a response says of none of its fields that they are one client's own, or must be asked for each time: neither
/// `private` nor `no-cache`, in any form.
pub fn is_impersonal(response: &HeaderMap, targeted: &[HeaderName]) -> bool {
    [targeted, &[]].iter().all(|fields| {
        let said = Control::of(response, fields).directives;
        said.private == Scope::Nowhere && said.no_cache == Scope::Nowhere
    })
}

/// Whether a response that is not stored, for this reason, is an error of the app that is nobody's own: everyone who waits
/// would only get it again, one call after another (L9).
pub fn is_for_all<B>(reason: NoStore, terms: &Terms, head: &Head, response: &Response<B>) -> bool {
    // These are found after privacy has been looked at.
    let impersonal = matches!(
        reason,
        NoStore::NoFreshness | NoStore::AlreadyExpired | NoStore::TooSlow | NoStore::UpstreamFailed
    );
    // The app never saw a cookie that the rule ignores.
    let from_client = match terms.cookies {
        Cookies::Ignore => &[AUTHORIZATION][..],
        Cookies::KeyOrPublic => &[COOKIE, AUTHORIZATION],
    };
    let has = |headers: &HeaderMap, names: &[HeaderName]| {
        names.iter().any(|name| headers.contains_key(name))
    };
    response.status().is_server_error()
        && impersonal
        && !has(head.headers(), from_client)
        && !has(response.headers(), &[SET_COOKIE, VARY])
}

/// The statuses that `stale-if-error` is about (RFC 5861 §4).
pub fn is_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// Whether a status says nothing of the next response: the app failed, or found fault with this one request, such as what
/// it accepts or how often it comes.
pub fn is_of_the_moment(status: StatusCode) -> bool {
    let about_the_request = matches!(
        status.as_u16(),
        400 | 405 | 406 | 408 | 412..=417 | 421 | 422 | 425 | 428 | 429 | 431
    );
    status.is_server_error() || about_the_request
}

/// Whether a 206 holds one range, as it was asked for one, and says which (RFC 9110 §15.3.7.1).
fn is_one_part(head: &Head, response: &HeaderMap) -> bool {
    let asked = *head.method() == Method::GET && head.headers().contains_key(RANGE);
    asked && !is_multipart(response) && ContentRange::of(response).is_some()
}

fn is_multipart(response: &HeaderMap) -> bool {
    let mut types = response.get_all(CONTENT_TYPE).iter();
    types.any(|line| {
        let multipart = line.as_bytes().trim_ascii_start().get(..10);
        multipart.is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
    })
}

/// Whether the app can be asked if what is stored, without some of its fields, is still right (RFC 9111 §4.3.1).
fn validates(response: &HeaderMap, without: &[HeaderName]) -> bool {
    let kept = |name: &HeaderName| !without.contains(name);
    (kept(&ETAG) && response.contains_key(ETAG))
        || (kept(&LAST_MODIFIED) && freshness::last_modified(response).is_some())
}

#[cfg(test)]
mod tests;
