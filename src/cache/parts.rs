//! Stored parts of a response: what a new one adds to them, and how their rest is asked for (RFC 9111 §3.3, §3.4).

use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::cache::Stored;
use crate::model::entry::Conditions;
use crate::model::entry::Entry;
use crate::model::entry::EntryMeta;
use crate::model::entry::Part;
use crate::model::entry::StaleUse;
use crate::model::fields::Fields;
use crate::model::fields::Lines;
use crate::model::tag::Tagged;
use crate::policy::freshening;
use crate::policy::ranges;
use crate::policy::ranges::ContentRange;
use crate::policy::validators;

/// The content of a 206 is not what its `Content-Range` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAPart;

/// Which part of the whole the content of this response is; `None`: all of it.
pub(super) fn part(head: &Parts, len: u64) -> Result<Option<Part>, NotAPart> {
    if head.status != StatusCode::PARTIAL_CONTENT {
        return Ok(None);
    }
    let range = ContentRange::of(&head.headers).ok_or(NotAPart)?;
    let part = ranges::part(range, len).ok_or(NotAPart)?;
    if part.complete != range.complete && !head.headers.contains_key(header::CONTENT_LENGTH) {
        return Err(NotAPart); // shorter than it says, and nothing says that this is all
    }
    let is_all = part.first == 0 && part.complete == Some(len);
    Ok((!is_all).then_some(part))
}

/// What is put in the store for a new response where `stored` is: the response, or both parts in one; `None` where what
/// is stored is the whole or a longer part, which answers for more. `fresh` says whether `stored` still is, `newer`
/// whether it was asked for after the new one.
pub(super) fn joined(
    stored: &Stored,
    (fresh, newer): (bool, bool),
    new: Entry,
    tags: Vec<Tagged>,
    max_object: usize,
) -> Option<(Entry, Vec<Tagged>)> {
    let Some(part) = new.part.as_deref().copied() else {
        return Some((new, tags));
    };
    let old = &stored.entry;
    let Some(old_part) = old.part.as_deref().copied() else {
        return (!fresh).then_some((new, tags));
    };
    let both = ranges::combined(
        (&old.headers, old_part, &old.body),
        (&new.headers, part, &new.body),
    );
    match both.filter(|(_, body)| body.len() <= max_object) {
        Some((part, body)) => {
            let (before, after) = if newer { (&new, old) } else { (old, &new) };
            let entry = Entry {
                status: new.status,
                headers: Fields::of(&updated(&lines(&before.headers), &lines(&after.headers))),
                targeted: Fields::unless_none(&updated(&targeted(before), &targeted(after))),
                part: part.map(Box::new),
                body,
                meta: stricter((&old.meta, fresh), &new.meta, newer),
            };
            Some((entry, stored.tags_with(tags)))
        }
        // Of two that stay apart the longer one stays, while it is fresh and of the same response.
        None if fresh
            && old.body.len() > new.body.len()
            && validators::same_strong_validator(&old.headers, &new.headers) =>
        {
            None
        }
        None => Some((new, tags)),
    }
}

/// What holds for both: for sharing, or for use when stale, only as far as both are; and, while the old one is fresh, no
/// longer than that. After that the new one speaks for its life (RFC 9111 §3.4). The soft life is that of the one that was
/// asked for last: what it brought, with the same validator, says that the other is still right.
fn stricter((old, fresh): (&EntryMeta, bool), new: &EntryMeta, newer: bool) -> EntryMeta {
    let sooner = if fresh && old.expires() < new.expires() {
        old
    } else {
        new
    };
    let (one, other) = (&old.stale, &new.stale);
    let conditions = Conditions {
        shareable: old.shareable && new.shareable,
        vary: Arc::clone(&sooner.vary),
        stale: StaleUse {
            forbidden: one.forbidden || other.forbidden,
            while_revalidate: one.while_revalidate.min(other.while_revalidate),
            if_error: one.if_error.min(other.if_error),
            if_disconnected: one.if_disconnected.min(other.if_disconnected),
        },
    };
    EntryMeta {
        soft_until: if newer { old } else { new }.soft_until,
        conditions: conditions.into(),
        ..sooner.clone()
    }
}

fn lines(fields: &Fields) -> HeaderMap {
    fields.to_header_map(0)
}

fn targeted(entry: &Entry) -> HeaderMap {
    entry.targeted.as_deref().map(lines).unwrap_or_default()
}

/// The stored fields, with what the new response says in their place (RFC 9111 §3.4).
pub(super) fn updated(stored: &HeaderMap, new: &HeaderMap) -> HeaderMap {
    let mut headers = stored.clone();
    headers.extend(new.clone()); // takes the place of what is there
    headers
}

/// How the app is asked for what a stored beginning lacks (RFC 9111 §3.3); `None` if it is not a beginning, nobody knows
/// its length, or its validator says that the rest may not belong to it.
///
/// Where there is no validator at all the rest is asked for as well, as the public suite of HTTP caching expects: an app
/// that has stopped to know ranges answers with the whole. The rest itself could be joined to nothing, and the app is
/// asked again.
pub(super) fn rest(entry: &Entry) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let part = entry.part.as_deref()?;
    let len = entry.body.len() as u64;
    if part.first > 0 || part.complete.is_none_or(|complete| complete <= len) {
        return None;
    }
    let range = HeaderValue::try_from(format!("bytes={len}-")).ok()?;
    let unchanged = freshening::if_range(entry).map(|validator| (header::IF_RANGE, validator));
    let validated = [header::ETAG, header::LAST_MODIFIED];
    let is_weak = || validated.iter().any(|name| entry.headers.has(name));
    if unchanged.is_none() && is_weak() {
        return None;
    }
    let range = [(header::RANGE, range)];
    Some(range.into_iter().chain(unchanged).collect())
}

/// The whole, out of a stored beginning and a response that claims to be its rest: head, as if it had come from the app,
/// and content before the rest.
pub(super) fn completed(
    stored: &Entry,
    rest: &Parts,
    rest_len: Option<u64>,
) -> Option<(Parts, Bytes)> {
    let complete = stored.part.as_ref()?.complete?;
    let range = ContentRange::of(&rest.headers)?;
    let fits = range.first == stored.body.len() as u64
        && range.last + 1 == complete
        && range.complete.is_none_or(|said| said == complete)
        && rest_len == Some(complete - range.first);
    if rest.status != StatusCode::PARTIAL_CONTENT
        || !fits
        || !validators::same_strong_validator(&stored.headers, &rest.headers)
    {
        return None;
    }
    let mut head = rest.clone();
    head.status = StatusCode::OK;
    head.headers.remove(header::CONTENT_RANGE);
    head.headers.remove(header::CONTENT_LENGTH);
    ranges::drop_digests_of_content(&mut head.headers);
    let mut in_force = freshening::in_force(stored);
    in_force.remove(header::AGE); // freshness counts from the rest, as from a 304
    in_force.remove(header::DATE);
    head.headers = updated(&in_force, &head.headers);
    Some((head, stored.body.clone()))
}
