//! What will be done about a request, before anything is done.

use std::sync::Arc;

use http::response::Parts;
use http::{HeaderMap, Method, header};

use crate::model::change::Change;
use crate::model::key::{BaseKey, KeyFields};
use crate::model::outcome::{Bypass, Forward, NoStore};
use crate::model::request::Head;
use crate::model::tag::{Increment, Tag};
use crate::model::time::Timestamp;
use crate::rules::body_tags::RuleBodyTags;
use crate::rules::changes::RuleChange;
use crate::rules::{
    Answer, Authorization, Claims, Misfit, MissingTagValue, Picked, Pointer, Rule, RuleIncrement,
    RuleSet, TokenError, Values, path,
};

/// What is to be done about a request.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Look it up, and store the response if it may be.
    Lookup(Query),
    /// Let the app answer, and store nothing.
    Pass(Pass),
}

/// A request that is looked up.
#[derive(Clone, Debug)]
pub struct Query {
    /// The rule it falls under.
    pub rule: Arc<Rule>,
    /// What its key is made of.
    pub key: KeyFields,
    /// Their hash.
    pub base: BaseKey,
    /// What its tokens say, as far as the rule asks.
    pub claims: Claims,
    /// The epoch in its key.
    pub epoch: u64,
}

/// A request that is not looked up.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The rule it falls under; its increments apply.
    pub rule: Arc<Rule>,
    /// Why: [`Forward::Method`] or [`Forward::Bypass`].
    pub why: Forward,
    /// How a GET of the same URL is looked up, for a request that may change what is there.
    /// `None` also where its token is not trusted.
    pub changes: Option<Query>,
    /// What its tokens say, as far as the rule asks; or why they are not trusted.
    pub claims: Result<Claims, TokenError>,
}

/// What the rule says of one exchange. Made when there is one: it costs a hit nothing.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The rule's own tags, the implicit ones not among them.
    pub tags: Result<Vec<Tag>, MissingTagValue>,
    /// The tags of the rule's dimensions, and of the parents of its key.
    pub scope_tags: Vec<Tag>,
    /// The tags that stand in the body.
    pub body_tags: Vec<RuleBodyTags>,
    /// The increments the rule declares.
    pub increments: Vec<RuleIncrement>,
    /// The changes of attributes the rule declares.
    pub changes: Vec<RuleChange>,
    /// What the tokens of the request say: its logical key may be told by them.
    pub claims: Claims,
    /// Where a GET of the URL is looked up, and by which rule; of a request that is not, only if it may change what is there.
    pub key: Option<(Arc<Rule>, BaseKey)>,
    /// What the rule of such a GET says of a POST's response, which may answer GETs from then on; `None` for all others,
    /// and if that rule stores nothing.
    pub as_get: Option<Box<Matched>>,
}

impl RuleSet {
    /// What is to be done about a request with this head at `now`, which says whether its tokens are still valid.
    pub fn plan(&self, head: &Head, now: Timestamp) -> Plan {
        let path = path::normalised(head.path());
        let rule = Arc::clone(self.rule_of(head.method(), head, &path));
        let claims = rule.claims(head, now);
        match (passes(&rule, head), claims) {
            (None, Ok(claims)) => Plan::Lookup(self.query(rule, head, &path, claims)),
            (why, claims) => Plan::Pass(Pass {
                why: why.unwrap_or(Forward::Bypass(Bypass::Token)),
                changes: match head.is_safe() {
                    true => None,
                    false => self.as_get(head, &path, (&rule, &claims), now),
                },
                rule,
                claims,
            }),
        }
    }

    /// How a GET of the request's URL with its fields is looked up, if its tokens are trusted. What they say is known if it
    /// falls under the same rule.
    fn as_get(
        &self,
        head: &Head,
        path: &str,
        (own, known): (&Arc<Rule>, &Result<Claims, TokenError>),
        now: Timestamp,
    ) -> Option<Query> {
        let rule = Arc::clone(self.rule_of(&Method::GET, head, path));
        let claims = match Arc::ptr_eq(&rule, own) {
            true => known.clone(),
            false => rule.claims(head, now),
        };
        Some(self.query(rule, &head.as_get(), path, claims.ok()?))
    }

    fn query(&self, rule: Arc<Rule>, head: &Head, path: &str, claims: Claims) -> Query {
        let key = rule.key_fields(self, head, path, &claims);
        let base = key.base_key();
        Query {
            rule,
            key,
            base,
            claims,
            epoch: self.epoch,
        }
    }
}

/// Why the request is not looked up, if it is not. A cookie is no reason here: what is stored says whether it is for
/// sharing, and a rule may key on it (L12).
fn passes(rule: &Rule, head: &Head) -> Option<Forward> {
    let by_body = !matches!(*head.method(), Method::GET | Method::HEAD);
    if by_body && !rule.reads_bodies() {
        return Some(Forward::Method);
    }
    let is_keyed = !by_body || head.read.is_some();
    let found = obstacle(rule, head, by_body);
    let found = found.or((!is_keyed).then_some(Bypass::RequestBody));
    found.map(Forward::Bypass)
}

/// What keeps the request from being looked up; `by_body`: apart from its body.
pub(super) fn obstacle(rule: &Rule, head: &Head, by_body: bool) -> Option<Bypass> {
    let mut counts = OBSTACLES
        .iter()
        .filter(|it| !by_body || it.why != Bypass::RequestBody);
    let found = counts.find(|it| (it.is_there)(rule, head));
    found.map(|it| it.why)
}

/// Something that keeps a request from being looked up whose method allows it.
pub(super) struct Obstacle {
    pub(super) why: Bypass,
    is_there: fn(&Rule, &Head) -> bool,
}

/// All of them, in the order in which they are looked for.
pub(super) const OBSTACLES: [Obstacle; 5] = [
    Obstacle {
        why: Bypass::Rule,
        is_there: |rule, _| !rule.stores(),
    },
    Obstacle {
        why: Bypass::Upgrade,
        is_there: |_, head| asks_to_upgrade(head.headers()),
    },
    Obstacle {
        why: Bypass::RequestBody,
        is_there: |_, head| has_body(head.headers()),
    },
    Obstacle {
        why: Bypass::Authorization,
        is_there: |rule, head| {
            let bypasses = rule.terms.authorization == Authorization::Bypass;
            bypasses && head.headers().contains_key(header::AUTHORIZATION)
        },
    },
    Obstacle {
        why: Bypass::Skip,
        is_there: |rule, head| rule.skips(head, None),
    },
];

/// Whether the client asks for another protocol (RFC 9110 §7.8): `Upgrade`, named in `Connection`. `h2c` is not one
/// (RFC 9113 §3.1 took it back), and some clients ask for it on every request.
pub fn asks_to_upgrade(headers: &HeaderMap) -> bool {
    let names = |field, wanted: fn(&str) -> bool| {
        headers
            .get_all(field)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .any(|item| wanted(item.trim()))
    };
    names(header::CONNECTION, |item| {
        item.eq_ignore_ascii_case("upgrade")
    }) && names(header::UPGRADE, |item| {
        !item.is_empty() && !item.eq_ignore_ascii_case("h2c")
    })
}

/// Whether the head announces a body; the key does not hold it.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get_all(header::CONTENT_LENGTH)
            .iter()
            .any(|length| length.as_bytes() != b"0")
}

impl Plan {
    /// The rule the request falls under.
    pub fn rule(&self) -> &Arc<Rule> {
        match self {
            Plan::Lookup(query) => &query.rule,
            Plan::Pass(pass) => &pass.rule,
        }
    }

    /// What the rule says of the exchange, should there be one.
    pub fn matched(&self, head: &Head) -> Matched {
        match self {
            Plan::Lookup(query) => query.matched(head),
            Plan::Pass(pass) => pass.matched(head),
        }
    }
}

impl Query {
    /// What its key is called when people speak of it (design.md §1). `head` is that of the request.
    pub fn logical_key(&self, head: &Head) -> String {
        self.rule.logical_key(head, &self.claims)
    }

    /// What the rule says of the exchange that fills this key.
    pub fn matched(&self, head: &Head) -> Matched {
        Matched::of(&self.rule, head, &self.claims, Some(self))
    }

    /// The tag of all that is stored under its key.
    pub fn key_tag(&self, head: &Head) -> Tag {
        self.rule.key_tag(head, self.base)
    }
}

impl Pass {
    /// What the rule says of the exchange.
    pub fn matched(&self, head: &Head) -> Matched {
        let changes = self.changes.as_ref();
        let none = Claims::default();
        let claims = self.claims.as_ref().unwrap_or(&none);
        let as_get = changes.filter(|query| *head.method() == Method::POST && query.rule.stores());
        Matched {
            as_get: as_get.map(|query| Box::new(query.matched(&head.as_get()))),
            ..Matched::of(&self.rule, head, claims, changes)
        }
    }
}

impl Matched {
    fn of(rule: &Arc<Rule>, head: &Head, claims: &Claims, query: Option<&Query>) -> Matched {
        let path = path::normalised(head.path());
        let values = Values {
            head,
            captures: rule.pattern.captures(&path),
            claims,
        };
        Matched {
            rule: Arc::clone(rule),
            tags: match rule.key.as_ref().and_then(|key| key.missing(&values)) {
                None => rule.tags.iter().map(|tag| tag.tag(&values)).collect(),
                Some(missing) => Err(missing),
            },
            scope_tags: match &rule.key {
                None => rule.dimension_tags(&values),
                Some(key) => [rule.dimension_tags(&values), key.parent_tags(&values)].concat(),
            },
            body_tags: map(&rule.body_tags, |it| RuleBodyTags::of(it, &values)),
            increments: map(&rule.increments, |it| RuleIncrement::of(it, &values)),
            changes: map(&rule.changes, |it| RuleChange::of(it, &values)),
            claims: claims.clone(),
            key: query.map(|query| (Arc::clone(&query.rule), query.base)),
            as_get: None,
        }
    }

    /// What people call the key under which a response to this request is stored (design.md §1), which is one to GET.
    pub fn logical_key(&self, head: &Head) -> String {
        self.rule.logical_key(&head.as_get(), &self.claims)
    }

    /// The places that increments and changes want of the body of such a response.
    pub fn wanted_to_change(&self, head: &Head, response: &Parts) -> Vec<&Pointer> {
        let increments = self.increments.iter();
        let increments = increments.filter(|it| it.of.after.holds(head, response));
        let changes = self.changes.iter();
        let changes = changes.filter(|it| it.of.after.holds(head, response));
        increments
            .flat_map(RuleIncrement::pointers)
            .chain(changes.flat_map(RuleChange::pointers))
            .collect()
    }

    /// The places at which tags of such a response stand in its body.
    pub fn wanted_to_store(&self, response: &Parts) -> Vec<&Pointer> {
        let tags = self.tags_of_body(response);
        tags.map(|tags| &tags.of.pointer).collect()
    }

    /// The tags that are wanted of the body of such a response, if it is one: an error shows no items.
    fn tags_of_body(&self, response: &Parts) -> impl Iterator<Item = &RuleBodyTags> {
        let wanted = response.status.is_success();
        self.storing().body_tags.iter().filter(move |_| wanted)
    }

    /// What is incremented after such a response, as far as it is the turn of that, and what is not because a value is
    /// missing.
    pub fn increments_after(
        &self,
        head: &Head,
        answer: &Answer<'_>,
    ) -> (Vec<Increment>, Vec<MissingTagValue>) {
        let (mut increments, mut skipped) = (Vec::new(), Vec::new());
        let declared = self.increments.iter();
        for declared in declared.filter(|it| it.of.after.holds(head, answer.parts)) {
            for increment in declared.increments(answer) {
                match increment {
                    Ok(increment) => increments.push(increment),
                    Err(missing) => skipped.push(missing),
                }
            }
        }
        (increments, skipped)
    }

    /// What changes after such a response, and what changes more than it says.
    pub fn changes_after(&self, head: &Head, answer: &Answer<'_>) -> (Vec<Change>, Vec<Misfit>) {
        let declared = self.changes.iter();
        let applies = declared.filter(|it| it.of.after.holds(head, answer.parts));
        let applies = applies.filter(|it| answer.has_turn(it.pointers()));
        let (changes, misfits): (Vec<_>, Vec<_>) = applies.map(|it| it.change(answer)).unzip();
        (changes, misfits.into_iter().flatten().collect())
    }

    /// The tags that stand in the body of such a response.
    ///
    /// # Errors
    ///
    /// Why it cannot be stored.
    pub fn tags_in(
        &self,
        response: &Parts,
        body: &Result<Picked, NoStore>,
    ) -> Result<Vec<Tag>, NoStore> {
        let mut tags = Vec::new();
        for declared in self.tags_of_body(response) {
            let body = body.as_ref().map_err(|reason| *reason)?;
            tags.extend(declared.tags(body)?);
        }
        Ok(tags)
    }

    /// What its response would be stored by.
    pub fn storing(&self) -> &Matched {
        self.as_get.as_deref().unwrap_or(self)
    }

    /// The tag of all that is stored where a GET of the URL is looked up.
    pub fn key_tag(&self, head: &Head) -> Option<Tag> {
        let key = self.key.as_ref();
        key.map(|(rule, base)| rule.key_tag(head, *base))
    }

    /// The tags of the cache itself (design.md §4): everything, the rule if one matched, its dimensions and the parents
    /// of its key, the URI; and the key, as requests for other spellings of the URI may share it, where that is another.
    pub fn implicit_tags(&self, head: &Head) -> Vec<Tag> {
        let rule = self.rule.id.as_deref().map(Tag::rule);
        let uri = Tag::uri(&head.absolute_uri());
        let key = self.key_tag(head).filter(|tag| *tag != uri);
        [Tag::all()]
            .into_iter()
            .chain(rule)
            .chain(self.scope_tags.iter().cloned())
            .chain([uri])
            .chain(key)
            .collect()
    }
}

fn map<T, U>(items: &[T], f: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(f).collect()
}
