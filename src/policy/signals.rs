//! What a response says of tags: by its header fields, by the rule of its request, by its own URI.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::response::Parts;

use crate::dialects::Dialects;
use crate::dialects::Ignored;
use crate::model::change::Change;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::TagLimits;
use crate::model::tag::Tagged;
use crate::policy::uris;
use crate::rules::Misfit;
use crate::rules::MissingTagValue;
use crate::rules::Scopes;

/// What the rule of a request declares of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The rule's tags, or why one of them has no value.
    pub tags: Result<Vec<Tag>, NoStore>,
    /// Whether some of them stand in the body: a response without it, a 304, cannot name all.
    pub of_body: bool,
    /// Tags whose version stands in the rule: part of the key, and nothing else changes them.
    pub constants: Vec<Tag>,
    /// The tag of the key under which a GET of the request's URL is stored; of an unsafe request, which may change what is there.
    pub key: Option<Tag>,
    /// The increments that apply to the response.
    pub increments: Vec<Increment>,
    /// Those that do not, because a value is missing.
    pub skipped: Vec<MissingTagValue>,
    /// The changes that apply to the response.
    pub changes: Vec<Change>,
    /// Those of them that do something else than they say.
    pub misfits: Vec<Misfit>,
    /// What a change means.
    pub scopes: Arc<Scopes>,
}

/// What a response says of tags, each tag once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    /// What the response depends on: the rule's tags and the app's; or why it cannot be stored. The implicit ones join them when
    /// it is.
    pub tags: Result<Vec<Tagged>, NoStore>,
    /// The app named the tags; a 304 that does not leaves those of the stored response in force.
    pub named: bool,
    /// What has changed. No limit applies.
    pub increments: Vec<Increment>,
    /// The app's tags with versions of its own; they count whatever becomes of the response.
    pub observed: Vec<Tagged>,
    /// What was passed over in the header fields, for the log.
    pub ignored: Vec<Ignored>,
    /// Cookies that the response varies by (`X-LiteSpeed-Vary`), beside what its `Vary` names.
    pub cookies: Vec<Box<str>>,
    /// Changes that do something else than they say, for the log.
    pub misfits: Vec<Misfit>,
    /// Increments of the rule without a value, for the log.
    pub skipped: Vec<MissingTagValue>,
}

/// Collects what the response says, and takes our fields off its head.
///
/// This is for every response, of any method and status (design.md §4): nothing an app says of changes may be lost.
pub fn signals(
    dialects: &Dialects,
    declared: Declared,
    head: &Head,
    response: &mut Parts,
    limits: TagLimits,
) -> Signals {
    let safe = head.is_safe();
    let said = dialects.take(|| head.origin(), safe, &mut response.headers);

    let named = !said.tags.is_empty() && !declared.of_body;
    let observed = said.tags.iter().filter(|tagged| tagged.version.is_some());
    let observed = tags_once(observed.cloned());
    let known = match declared.tags {
        _ if said.varies => Err(NoStore::VaryUnknown),
        _ if said.unreadable => Err(NoStore::BadTag), // it would miss that tag's increments
        tags => tags,
    };
    let tags = known.and_then(|rule| {
        let named = rule.into_iter().map(Tagged::from).chain(said.tags);
        let named = named.filter(|it| !declared.constants.contains(&it.tag));
        within(limits, tags_once(named))
    });
    let uris = uris::changed(head, response);
    let key = declared.key.filter(|_| !uris.is_empty()); // the request's own URI is among them
    let uris = uris
        .iter()
        .map(|uri| Tag::uri(uri))
        .chain(key)
        .map(Increment::from);
    let mut changes = said.changes;
    changes.extend(declared.changes);
    let (changed, unfit) = changed(&declared.scopes, &changes);
    let mut misfits = declared.misfits;
    misfits.extend(unfit);
    Signals {
        tags,
        named,
        increments: increments_once(
            said.increments
                .into_iter()
                .chain(declared.increments)
                .chain(changed)
                .chain(uris),
        ),
        observed,
        ignored: said.ignored,
        cookies: said.cookies,
        misfits,
        skipped: declared.skipped,
    }
}

impl Signals {
    /// All that the response is stored under, the tags of the cache itself among them; none if it cannot be stored.
    pub fn with_implicit(self, implicit: Vec<Tag>) -> Vec<Tagged> {
        let tags = self.tags.into_iter().flatten();
        tags_once(tags.chain(implicit.into_iter().map(Tagged::from)))
    }

    /// Adds tags that stand in the body, or why it cannot be stored.
    pub(super) fn tag(&mut self, found: Result<Vec<Tag>, NoStore>, limits: TagLimits) {
        let tags = std::mem::replace(&mut self.tags, Err(NoStore::TooManyTags));
        self.tags = tags.and_then(|tags| {
            let found = found?.into_iter().map(Tagged::from);
            within(limits, tags_once(tags.into_iter().chain(found)))
        });
    }
}

/// What changes of attributes increment, and those that do not fit.
pub fn changed(scopes: &Scopes, changes: &[Change]) -> (Vec<Increment>, Vec<Misfit>) {
    let (mut increments, mut misfits) = (Vec::new(), Vec::new());
    for change in changes {
        let (tags, misfit) = scopes.tags_of(change);
        increments.extend(tags.into_iter().map(Increment::from));
        misfits.extend(misfit);
    }
    (increments, misfits)
}

/// More than the limits allow is never cut off: a page whose tags were cut could not be forgotten.
fn within(limits: TagLimits, tags: Vec<Tagged>) -> Result<Vec<Tagged>, NoStore> {
    let counted = || tags.iter().filter(|tagged| !tagged.tag.is_implicit());
    let bytes: usize = counted().map(|tagged| tagged.tag.as_str().len()).sum();
    if counted().count() > limits.max_tags || bytes > limits.max_tag_bytes {
        Err(NoStore::TooManyTags)
    } else {
        Ok(tags)
    }
}

/// Each tag once, where it came first, with the highest version given to it.
fn tags_once(tags: impl Iterator<Item = Tagged>) -> Vec<Tagged> {
    once(
        tags,
        |tagged| &tagged.tag,
        |first, other| {
            first.version = first.version.max(other.version);
        },
    )
}

/// Each tag once, where it came first: hard if any says so, repeated after the longest of the delays.
fn increments_once(increments: impl Iterator<Item = Increment>) -> Vec<Increment> {
    once(
        increments,
        |increment| &increment.tag,
        |first, other| {
            first.soft &= other.soft;
            first.again = first.again.max(other.again);
        },
    )
}

/// So few are compared one by one: that is less work than a map.
const FEW: usize = 16;

fn once<T>(items: impl Iterator<Item = T>, tag: fn(&T) -> &Tag, merge: fn(&mut T, &T)) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    let mut places = BTreeMap::new(); // of those beyond the few
    for item in items {
        let is_same = |it: &T| tag(it) == tag(&item);
        let place = kept.iter().take(FEW).position(is_same);
        let place = place.or_else(|| places.get(tag(&item)).copied());
        match place.and_then(|place| kept.get_mut(place)) {
            Some(first) => merge(first, &item),
            None => {
                if kept.len() >= FEW {
                    places.insert(tag(&item).clone(), kept.len());
                }
                kept.push(item);
            }
        }
    }
    kept
}
