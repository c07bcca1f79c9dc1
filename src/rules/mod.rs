//! What a request means: which rule it falls under, what its key is made of, which tags its response gets and what its
//! success changes. Pure: the same head at the same time gives the same plan, and `tagalong explain` prints the very plan that runs.
//!
//! ```text
//! rules/*.yaml --source--> as written --compile--> RuleSet --plan(head, now)--> Lookup(Query) | Pass(Pass)
//! ```

mod after;
mod body_tags;
mod brief;
mod changes;
mod compile;
mod condition;
mod cover;
mod dimensions;
mod draft;
mod explain;
mod fields;
mod increments;
mod index;
mod key;
mod live;
mod missing;
mod mode;
mod named;
mod normalize;
mod object;
mod path;
mod pattern;
mod plan;
mod pointer;
mod query;
mod read;
pub mod refill;
pub mod source;
mod statuses;
mod template;
mod terms;
mod token;

use std::sync::Arc;
use std::time::Duration;

use http::response::Parts;
use http::{Method, StatusCode};

use crate::model::hook::Hooks;
use crate::model::mistake::{Location, Mistake};
use crate::model::outcome::Failure;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;
use crate::model::request::Head;
use crate::model::tag::Tag;
use crate::model::tally::Tallies;
use crate::model::tally::Tally;
use crate::rules::body_tags::BodyTags;
use crate::rules::changes::Changes;
use crate::rules::condition::Condition;
use crate::rules::dimensions::Dimensions;
use crate::rules::fields::Fields;
use crate::rules::increments::Increments;
use crate::rules::index::Index;
use crate::rules::key::Key;
use crate::rules::pattern::Pattern;
use crate::rules::read::BodyFields;
use crate::rules::refill::Refill;
use crate::rules::template::{Template, Values};

pub use crate::rules::brief::Brief;
pub use crate::rules::compile::{
    Context, Defaults, SharedStore, Sharing, TagLists, Texts, Unmatched,
};
pub use crate::rules::dimensions::{Misfit, Scopes};
pub use crate::rules::draft::{Answer, Content};
pub use crate::rules::explain::Explanation;
pub use crate::rules::increments::RuleIncrement;
pub use crate::rules::live::LiveRules;
pub use crate::rules::missing::{MissingTagValue, Of};
pub use crate::rules::mode::{ClientControl, Mode, Shadow};
pub use crate::rules::normalize::Normalized;
pub use crate::rules::object::ObjectKey;
pub use crate::rules::plan::{Matched, Pass, Plan, Query, asks_to_upgrade};
pub use crate::rules::pointer::{Picked, Pointer};
pub use crate::rules::read::MOST_OF_BODY;
pub use crate::rules::source::{Consistency, KeptIn};
pub use crate::rules::statuses::StatusSet;
pub use crate::rules::terms::{Authorization, Cookies, Jitter, SetCookie, StatusTtl, Terms};
pub use crate::rules::token::{Claims, TokenError};

/// One route: what matches, what the key depends on, which tags, how long.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique over all files; `None` for the rule of requests that no rule matches.
    pub id: Option<Arc<str>>,
    /// Where it is written; `None` for the rule of requests that no rule matches.
    pub at: Option<Location>,
    /// Whether its responses may be stored at all.
    pub cache: bool,
    /// Whether they are served, or only compared with what the app answers.
    pub mode: Mode,
    /// On which terms they may be stored.
    pub terms: Terms,
    /// How they are fetched again, and who waits for that.
    pub refill: Refill,
    /// What clients may ask of the cache.
    pub client_control: ClientControl,
    /// Requests and responses that the store has nothing to do with.
    skip_when: Vec<Condition>,
    /// What a change means that a response to one of its requests reports: the rules that are in force with it.
    pub scopes: Arc<Scopes>,
    /// Who is told of hits and misses.
    pub hooks: Hooks,
    /// Where its responses are kept.
    pub kept_in: KeptIn,
    /// When an increment made elsewhere counts here.
    pub consistency: Consistency,
    /// What there is besides memory.
    shared_store: SharedStore,
    pattern: Pattern,
    key_name: Option<Arc<str>>,
    version: Option<Box<str>>,
    group: Option<Template>,
    /// In place of what `vary_on` picks.
    key: Option<Key>,
    /// Whether its requests change nothing, whatever their method.
    safe: bool,
    body: Option<BodyFields>,
    fields: Fields,
    tags: Vec<Template>,
    constants: Vec<Constant>,
    dimensions: Option<Dimensions>,
    body_tags: Vec<Arc<BodyTags>>,
    increments: Vec<Arc<Increments>>,
    changes: Vec<Arc<Changes>>,
    /// Who counts what becomes of its requests; `None` where nobody does.
    tally: Option<Arc<dyn Tally>>,
}

impl Rule {
    /// What holds for requests that no rule matches: RFC 9111 alone, the whole URL as key.
    fn unmatched(sharing: Sharing) -> Rule {
        Rule {
            id: None,
            at: None,
            cache: true,
            mode: Mode::default(),
            terms: Terms::default(),
            refill: Refill::default(),
            client_control: ClientControl::default(),
            skip_when: Vec::new(),
            kept_in: KeptIn::default(),
            consistency: sharing.consistency,
            shared_store: sharing.store,
            pattern: Pattern::default(),
            key_name: None,
            version: None,
            group: None,
            key: None,
            safe: false,
            body: None,
            fields: Fields::default(),
            tags: Vec::new(),
            constants: Vec::new(),
            dimensions: None,
            scopes: Arc::default(),
            body_tags: Vec::new(),
            hooks: Hooks::default(),
            increments: Vec::new(),
            changes: Vec::new(),
            tally: None,
        }
    }

    /// Counts a request that was answered; until the head of the answer it took so long.
    pub fn count(&self, outcome: Outcome, took: Duration) {
        if let Some(tally) = &self.tally {
            tally.request(outcome, took);
        }
    }

    /// Counts a response that was stored, or that made fresh what is stored.
    pub fn count_stored(&self) {
        if let Some(tally) = &self.tally {
            tally.stored();
        }
    }

    /// Counts an exchange with the app: its status or why there is none, and how long that took.
    pub fn count_asked(&self, answer: Result<StatusCode, Failure>, took: Duration) {
        if let Some(tally) = &self.tally {
            tally.asked(answer, took);
        }
    }

    /// Counts an answer of the app that differs from what would have been served.
    pub fn count_difference(&self) {
        if let Some(tally) = &self.tally {
            tally.differs();
        }
    }

    /// Counts a response that might have been stored and was not.
    pub fn count_not_stored(&self, reason: NoStore) {
        if let Some(tally) = &self.tally {
            tally.not_stored(reason);
        }
    }

    /// Whether anything is looked up or stored.
    pub fn stores(&self) -> bool {
        self.cache && self.mode != Mode::Bypass
    }

    /// Whether the store has nothing to do with a request, or with its response, once that is there.
    pub fn skips(&self, head: &Head, response: Option<&Parts>) -> bool {
        self.skip_when.iter().any(|it| it.holds(head, response))
    }

    /// The tags to which its file gives a version, so that nothing else can.
    pub fn constants(&self) -> impl Iterator<Item = &Tag> {
        self.constants.iter().map(|constant| &constant.tag)
    }

    /// Whether it may tag a response so that an increment changes that.
    fn may_tag(&self, tag: &Tag) -> bool {
        let of_bodies = self.body_tags.iter().map(|it| &it.tag);
        let mut all = self.tags.iter().chain(of_bodies);
        all.any(|it| it.may_be(tag.as_str()))
    }

    /// The templates that its key is made of, beside the fields.
    fn keyed_by(&self) -> impl Iterator<Item = &Template> {
        let key = self.key.iter().map(|key| &key.template);
        self.group.iter().chain(key)
    }

    /// The templates of what its responses are tagged with.
    fn tagged_by(&self) -> impl Iterator<Item = &Template> {
        let attrs = self.dimensions.iter().flat_map(|it| it.attrs.values());
        self.tags.iter().chain(attrs)
    }
}

/// A tag whose version stands in the rule: part of the key, and no increment changes it (K14).
#[derive(Clone, Debug)]
struct Constant {
    tag: Tag,
    version: Box<str>,
    /// The name of its key field.
    field: Box<str>,
}

/// The rule that has this tag as a constant, if no rule has it as anything else. The app may name it all the same.
fn constant_of<'r>(rules: impl Iterator<Item = &'r Rule> + Clone, tag: &Tag) -> Option<&'r Rule> {
    if rules.clone().any(|rule| rule.may_tag(tag)) {
        return None;
    }
    let mut all = rules;
    all.find(|rule| rule.constants().any(|it| it == tag))
}

/// All rules in force, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct RuleSet {
    namespace: Box<str>,
    epoch: u64,
    /// As its key field has it.
    epoch_field: Box<str>,
    rules: Arc<[Arc<Rule>]>,
    /// Over all of them.
    index: Arc<Index>,
    unmatched: Arc<Rule>,
    warnings: Arc<[Mistake]>,
}

impl RuleSet {
    /// No rule: every request by RFC 9111 alone.
    pub fn none(context: &Context<'_>) -> RuleSet {
        RuleSet::new(context, Vec::new(), Vec::new())
    }

    fn new(context: &Context<'_>, rules: Vec<Rule>, warnings: Vec<Mistake>) -> RuleSet {
        let by_id = rules.iter();
        let by_id = by_id.filter_map(|rule| Some((rule.id.clone()?, rule.dimensions.as_ref())));
        let scopes = Arc::new(Scopes::of(by_id));
        let placed = |rule| {
            Arc::new(Rule {
                scopes: Arc::clone(&scopes),
                ..rule
            })
        };
        RuleSet {
            index: Arc::new(Index::new(rules.iter().map(|rule| &rule.pattern))),
            warnings: warnings.into(),
            namespace: context.namespace.clone(),
            epoch: context.epoch,
            epoch_field: context.epoch.to_string().into(),
            rules: rules.into_iter().map(placed).collect(),
            unmatched: placed(Rule {
                cache: context.unmatched == Unmatched::Rfc9111,
                ..Rule::unmatched(context.sharing)
            }),
        }
    }

    /// Whether to the rules a tag is nothing but a constant: what they tag with it no increment changes.
    pub fn is_constant(&self, tag: &Tag) -> bool {
        constant_of(self.rules.iter().map(|rule| &**rule), tag).is_some()
    }

    /// The same rules, which count by these tallies what becomes of their requests.
    pub fn counted(&self, by: &dyn Tallies) -> RuleSet {
        let id = |rule: &'_ Arc<Rule>| rule.id.clone().unwrap_or_default();
        let all = || self.rules.iter().chain([&self.unmatched]);
        let ids: Vec<Arc<str>> = all().map(id).collect();
        let names: Vec<&str> = ids.iter().map(|id| &**id).collect();
        let mut tallies = by.tallies(&names).into_iter();
        let mut counted = |rule: &Arc<Rule>| {
            Arc::new(Rule {
                tally: tallies.next(),
                ..Rule::clone(rule)
            })
        };
        RuleSet {
            rules: self.rules.iter().map(&mut counted).collect(),
            unmatched: counted(&self.unmatched),
            ..self.clone()
        }
    }

    /// The same rules under another epoch, as another set: by them, nothing is found of what was stored before.
    fn under(&self, epoch: u64) -> RuleSet {
        let scopes = Arc::new(Scopes::clone(&self.unmatched.scopes));
        let placed = |rule: &Arc<Rule>| {
            Arc::new(Rule {
                scopes: Arc::clone(&scopes),
                ..Rule::clone(rule)
            })
        };
        RuleSet {
            epoch,
            epoch_field: epoch.to_string().into(),
            rules: self.rules.iter().map(placed).collect(),
            unmatched: placed(&self.unmatched),
            ..self.clone()
        }
    }

    /// The number that is part of every key.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The rules, in the order in which they are tried.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rule of requests that none of these matches.
    pub fn unmatched(&self) -> &Rule {
        &self.unmatched
    }

    /// What a change means, reported by somebody who is no response of a rule.
    pub fn scopes(&self) -> &Scopes {
        &self.unmatched.scopes
    }

    /// Whether the rule is one of these, or the one of requests that none of these matches.
    pub fn has(&self, rule: &Rule) -> bool {
        Arc::ptr_eq(&self.unmatched.scopes, &rule.scopes) // each set has its own
    }

    /// What is allowed in their files and surely not meant, in the order of the files.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// The first rule that matches the request, made with this method, or the one of unmatched requests. `path` is
    /// normalised.
    fn rule_of(&self, method: &Method, head: &Head, path: &str) -> &Arc<Rule> {
        let matches = |n: usize| {
            let rule = self.rules.get(n);
            rule.is_some_and(|rule| rule.pattern.matches(method, head, path))
        };
        let first = self.index.first(&head.host, path, matches);
        let first = first.and_then(|n| self.rules.get(n));
        first.unwrap_or(&self.unmatched)
    }
}

#[cfg(test)]
mod tests;
