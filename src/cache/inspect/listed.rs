//! A stored response as people are shown it.

use std::sync::Arc;

use http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::cache::Stored;
use crate::cache::stored::Slot;
use crate::cache::stored::kept_until;
use crate::model::entry::Entry;
use crate::model::entry::Selector;
use crate::model::key::ComposedKey;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::policy::freshening;
use crate::policy::request::Use;
use crate::policy::request::Wishes;
use crate::policy::request::on_failure;
use crate::policy::request::usable;
use crate::store::Weigh;
use crate::store::codec::Pointer;

/// Where a response is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// In this process.
    Memory,
    /// In the store that all sidecars share.
    Redis,
}

impl Tier {
    /// The tier of this name.
    pub fn parse(word: &str) -> Option<Tier> {
        let mut all = [Tier::Memory, Tier::Redis].into_iter();
        all.find(|tier| tier.word() == word)
    }

    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Tier::Memory => "memory",
            Tier::Redis => "redis",
        }
    }
}

/// What a stored response is good for, to a client that wishes for nothing in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It answers.
    Fresh,
    /// It may answer, while it is fetched again or where the app fails.
    Stale,
    /// Its life is over: it is kept to say so, or to be asked about.
    Expired,
    /// One of its tags has another version.
    Invalidated,
}

impl State {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::Stale => "stale",
            State::Expired => "expired",
            State::Invalidated => "invalidated",
        }
    }

    fn of(stored: &Stored, now: Timestamp) -> State {
        let (meta, wishes) = (&stored.entry.meta, Wishes::default());
        match usable(meta, &wishes, now) {
            _ if !stored.seals.intact() => State::Invalidated,
            Use::Fresh => State::Fresh,
            Use::Soft | Use::Stale(_) => State::Stale,
            Use::Expired | Use::Unwanted => match on_failure(meta, &wishes, false, now) {
                Some(_) => State::Stale,
                None => State::Expired,
            },
        }
    }
}

/// A stored response as people are shown it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its full identity.
    pub key: ComposedKey,
    /// What people call its base key.
    pub logical: Arc<str>,
    /// The rule that stored it; `None`: none matched.
    pub rule: Option<Box<str>>,
    /// Its tags with the versions it was stored under, the implicit ones too.
    pub tags: Vec<(Tag, Stamp)>,
    /// `None`: nobody has looked, as it lies in the shared store.
    pub status: Option<StatusCode>,
    /// When the app was asked for it.
    pub created: Timestamp,
    /// When it stops being fresh.
    pub fresh_until: Timestamp,
    /// When it leaves for good; sooner if a tag of it is incremented, or room is needed.
    pub expires: Timestamp,
    /// How many requests were answered with it here.
    pub hits: u64,
    /// Its bytes, where it is kept.
    pub size: u64,
    /// Where that is.
    pub tier: Tier,
    /// What selects it among the responses under its base key: request fields, and cookies as `cookie=<name>`. Empty also
    /// where nobody has looked.
    pub vary: Vec<Box<str>>,
    /// What it is good for.
    pub state: State,
}

impl Listed {
    /// One of this process.
    pub(in crate::cache) fn here(stored: &Arc<Stored>, now: Timestamp) -> Listed {
        let meta = &stored.entry.meta;
        let has_validator = freshening::has_validator(&stored.entry);
        let kept = kept_until(meta, has_validator);
        let forgotten = stored.seen_invalidated(now);
        let forgotten = forgotten.map(|it| it.since + stored.after_increment());
        Listed {
            key: stored.composed_key(),
            logical: Arc::clone(&stored.logical),
            rule: stored.rule().map(Into::into),
            tags: stored
                .tags()
                .map(|(tag, stamp)| (tag.clone(), stamp))
                .collect(),
            status: Some(stored.entry.status),
            created: stored.asked,
            fresh_until: meta.expires(),
            expires: forgotten.map_or(kept, |at| at.min(kept)),
            hits: stored.uses.count(),
            size: Slot::Entry(Arc::clone(stored)).weight(),
            tier: Tier::Memory,
            vary: selectors(&meta.vary),
            state: State::of(stored, now),
        }
    }

    /// One of the shared store, by its record. It is kept there for as long as it is fresh.
    pub(in crate::cache) fn elsewhere(pointer: Pointer) -> Listed {
        Listed {
            key: pointer.key,
            logical: pointer.logical.into(),
            rule: pointer.rule.map(Into::into),
            tags: pointer.tags,
            status: None,
            created: pointer.stored,
            fresh_until: pointer.expires,
            expires: pointer.expires,
            hits: 0,
            size: pointer.size,
            tier: Tier::Redis,
            vary: Vec::new(),
            state: State::Fresh,
        }
    }

    /// With what only its bytes tell.
    pub(in crate::cache) fn with(self, entry: &Entry) -> Listed {
        Listed {
            status: Some(entry.status),
            vary: selectors(&entry.meta.vary),
            ..self
        }
    }

    /// The key fields that have a value, as its logical key shows them. A key by a template shows none.
    pub fn fields(&self) -> Vec<(String, String)> {
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let fields = self.logical.split('&');
        let fields = fields.filter_map(|field| field.split_once('='));
        fields
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect()
    }
}

impl Stored {
    /// The rule that stored it, if one did.
    pub(in crate::cache) fn rule(&self) -> Option<&str> {
        let mut tags = self.tags();
        tags.find_map(|(tag, _)| tag.rule_id())
    }

    /// Whether it is to be shown where nobody asks for what is over: clients may be answered with it.
    pub(super) fn is_listed(&self, now: Timestamp) -> bool {
        let is_of_use = matches!(State::of(self, now), State::Fresh | State::Stale);
        is_of_use && !self.is_given_back(now)
    }
}

fn selectors(vary: &[Selector]) -> Vec<Box<str>> {
    let name = |selector: &Selector| match selector {
        Selector::Field(name) => name.as_str().into(),
        Selector::Cookie(name) => format!("cookie={name}").into(),
    };
    vary.iter().map(name).collect()
}
