//! What will be done about a request, before anything is done.

use std::sync::Arc;

use http::{HeaderMap, Method, header};

use crate::model::key::{BaseKey, KeyFields};
use crate::model::outcome::{Bypass, Forward};
use crate::model::request::Head;
use crate::model::tag::Tag;
use crate::rules::{Authorization, MissingTagValue, Rule, RuleIncrement, RuleSet, Values, path};

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
}

/// A request that is not looked up.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The rule it falls under; its increments apply.
    pub rule: Arc<Rule>,
    /// Why: [`Forward::Method`] or [`Forward::Bypass`].
    pub why: Forward,
    /// How a GET of the same URL is looked up, for a request that may change what is there.
    pub changes: Option<Query>,
}

/// What the rule says of one exchange. Made when there is one: it costs a hit nothing.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The absolute URI of the request.
    pub uri: String,
    /// The rule's own tags, the implicit ones not among them.
    pub tags: Result<Vec<Tag>, MissingTagValue>,
    /// The tags of the rule's dimensions.
    pub dimensions: Vec<Tag>,
    /// The increments the rule declares.
    pub increments: Vec<RuleIncrement>,
    /// Where a GET of the URL is looked up; of a request that is not, only if it may change what is there.
    pub key: Option<BaseKey>,
    /// What the rule of such a GET says of a POST's response, which may answer GETs from then on; `None` for all others,
    /// and if that rule stores nothing.
    pub as_get: Option<Box<Matched>>,
}

impl RuleSet {
    /// What is to be done about a request with this head.
    pub fn plan(&self, head: &Head) -> Plan {
        let path = path::normalised(head.path());
        let rule = Arc::clone(self.rule_of(head.method(), head, &path));
        if let Some(why) = passes(&rule, head) {
            let changes = (!head.is_safe()).then(|| self.as_get(head, &path));
            return Plan::Pass(Pass { rule, why, changes });
        }
        Plan::Lookup(self.query(rule, head, &path))
    }

    /// How a GET of the request's URL with its fields is looked up.
    fn as_get(&self, head: &Head, path: &str) -> Query {
        let rule = Arc::clone(self.rule_of(&Method::GET, head, path));
        self.query(rule, &head.as_get(), path)
    }

    fn query(&self, rule: Arc<Rule>, head: &Head, path: &str) -> Query {
        let key = rule.key_fields(self, head, path);
        let base = key.base_key();
        Query { rule, key, base }
    }
}

/// Why the request is not looked up, if it is not. A cookie is no reason here: what is stored says whether it is for
/// sharing, and a rule may key on it (L12).
fn passes(rule: &Rule, head: &Head) -> Option<Forward> {
    if !matches!(*head.method(), Method::GET | Method::HEAD) {
        return Some(Forward::Method);
    }
    let found = OBSTACLES.iter().find(|it| (it.is_there)(rule, head));
    found.map(|it| Forward::Bypass(it.why))
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
        self.rule.logical_key(head)
    }

    /// What the rule says of the exchange that fills this key.
    pub fn matched(&self, head: &Head) -> Matched {
        Matched::of(&self.rule, head, Some(self.base))
    }
}

impl Pass {
    /// What the rule says of the exchange.
    pub fn matched(&self, head: &Head) -> Matched {
        let changes = self.changes.as_ref();
        let as_get = changes.filter(|query| *head.method() == Method::POST && query.rule.stores());
        Matched {
            as_get: as_get.map(|query| Box::new(query.matched(&head.as_get()))),
            ..Matched::of(&self.rule, head, changes.map(|query| query.base))
        }
    }
}

impl Matched {
    fn of(rule: &Arc<Rule>, head: &Head, key: Option<BaseKey>) -> Matched {
        let path = path::normalised(head.path());
        let values = Values {
            head,
            captures: rule.pattern.captures(&path),
        };
        Matched {
            rule: Arc::clone(rule),
            uri: head.absolute_uri(),
            tags: rule.tags.iter().map(|tag| tag.tag(&values)).collect(),
            dimensions: rule.dimension_tags(&values),
            increments: rule
                .increments
                .iter()
                .flat_map(|increments| increments.rendered(&values))
                .collect(),
            key,
            as_get: None,
        }
    }

    /// What its response would be stored by.
    pub fn storing(&self) -> &Matched {
        self.as_get.as_deref().unwrap_or(self)
    }

    /// The tags of the cache itself (design.md §4): everything, the rule if one matched, its dimensions, the URI; and the
    /// key, as requests for other spellings of the URI may share it.
    pub fn implicit_tags(&self) -> Vec<Tag> {
        let rule = self.rule.id.as_deref().map(Tag::rule);
        let key = self.key.map(Tag::base);
        [Tag::all()]
            .into_iter()
            .chain(rule)
            .chain(self.dimensions.iter().cloned())
            .chain([Tag::uri(&self.uri)])
            .chain(key)
            .collect()
    }
}
