//! Rule files as written (rules.md §2). Docstrings here are what editors show: the JSON Schema is made of these types.

mod client;
mod condition;
mod defaults;
mod dimensions;
mod hooks;
mod matching;
mod mode;
mod refill;
mod scalar;
mod statuses;
mod store;
mod tags;
mod templates;
mod token;
mod ttl;
mod vary;

use schemars::JsonSchema;
use serde::Deserialize;

pub use client::ClientControl;
pub use condition::{Condition, OneOrMore};
pub use defaults::{DefaultMatch, DefaultVaryOn, Defaults};
pub use dimensions::{Attrs, Changes, DimensionMode, Dimensions};
pub use hooks::{Hook, Hooks, LogLevel};
pub use matching::{HeaderMatch, Match};
pub use mode::{Mode, Shadow};
pub use refill::{Coalesce, IfError, OnInvalidate, OrNone, RefreshAhead};
pub use statuses::{StatusTtl, Statuses};
pub use store::{Consistency, KeptIn};
pub use tags::{BodyTags, Constant, Increments, TagItem};
pub use templates::{TagList, Use};
pub use token::{ClaimOn, Verify};
pub use ttl::{Force, Ttl};
pub use vary::{
    BodyOn, HeaderItem, HeaderOn, Multi, Normalize, NormalizeParam, Param, QueryMode, QueryOn,
    VaryOn,
};

use crate::rules::refill::Revalidate;
use crate::rules::source::scalar::Scalar;
use crate::rules::terms::{Authorization, Cookies, SetCookie};
use crate::yaml::Spanned;
use crate::yaml::units::{Share, Span};

/// A rule file, `rules/*.yaml`: files in name order, rules in file order, the first that matches wins.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The rules.
    #[serde(default)]
    pub rules: Vec<Spanned<Rule>>,
}

/// One route: what matches, what the key depends on, which tags, how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique over all files. Default: the path as written.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub id: Option<Spanned<String>>,
    /// Which requests the rule is for; all that is given must hold.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// `false`: responses are never stored; increments are still honoured. Default: `true`.
    #[serde(default)]
    pub cache: Option<Spanned<bool>>,
    /// `live`; `shadow`: responses are looked up and stored, but the app answers, and what it answers is compared with what
    /// would have been served; `bypass`: neither. Increments are honoured in each. Default: `live`.
    #[serde(default)]
    pub mode: Option<Spanned<Mode>>,
    /// A part of the key: rules that share it share entries. Default: the id.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub key_name: Option<Spanned<String>>,
    /// A part of the key; another one is another entry.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub version: Option<String>,
    /// A template that is part of the key, such as `{query.period}`.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub group: Option<Spanned<String>>,
    /// What the response depends on.
    #[serde(default)]
    pub vary_on: VaryOn,
    /// `true`: requests of this rule change nothing, whatever their method. Default: `false`.
    #[serde(default)]
    pub safe: Option<Spanned<bool>>,
    /// A template that takes the place of what `vary_on` picks, such as `Book:{id}`. With a `>`, as in `Book:{id}>owner`, it is a
    /// field of what comes before it: incrementing `~key:Book:1` forgets all fields of `Book:1`.
    #[serde(default)]
    pub key: Option<Spanned<String>>,
    /// Tags of the response: templates such as `Dashboard` or `User:{user_id}`; or `{ name: api, constant: 2 }`, which no
    /// increment changes.
    #[serde(default)]
    pub tags: Option<Vec<Spanned<TagItem>>>,
    /// A list of tags of `tagalong.yaml`, beside those of `tags`.
    #[serde(default, rename = "use")]
    pub uses: Option<Use>,
    /// Tags that stand in the body, which must be JSON: it is read whole before the client has its beginning.
    #[serde(default)]
    pub tags_from_body: Vec<BodyTags>,
    /// How long a response is fresh that says nothing of it itself; 0: not stored. `{ force: … }`: whatever it says.
    #[serde(default)]
    pub ttl: Option<Ttl>,
    /// The cap on whatever is said about freshness. Default: `7d`.
    #[serde(default)]
    pub max_ttl: Option<Span>,
    /// How long a response is served as it is; then it is fetched again, as `revalidate` says, until its life is over.
    #[serde(default)]
    pub soft_ttl: Option<Span>,
    /// After `soft_ttl`: served and fetched again behind that (`background`), or fetched again first (`sync`). Default:
    /// `background`.
    #[serde(default)]
    pub revalidate: Option<Revalidate>,
    /// How long after it has expired a response that says nothing of it itself may be served while it is fetched again
    /// (RFC 5861); 0: never.
    #[serde(default)]
    pub stale_while_revalidate: Option<Span>,
    /// How long after it has expired a response that says nothing of it itself may be served where the app fails
    /// (RFC 5861); 0: never.
    #[serde(default)]
    pub stale_if_error: Option<Span>,
    /// Up to this share of its life, by chance, a response expires earlier: 0.1 is 10 %. Default: 0.
    #[serde(default)]
    pub jitter: Option<Share>,
    /// By status (`404`) or class (`5xx`): `inherit`, or how long a response is fresh that says nothing of it itself.
    /// Those not named are stored as RFC 9111 says.
    #[serde(default)]
    pub statuses: Option<Statuses>,
    /// What the cookies of requests mean. Default: `key_or_public`.
    #[serde(default)]
    pub cookies: Option<Spanned<Cookies>>,
    /// What becomes of requests with an `Authorization` header. Default: `key` where the key holds that header anyway,
    /// else `bypass`.
    #[serde(default)]
    pub authorization: Option<Authorization>,
    /// What clients may ask of the cache.
    #[serde(default)]
    pub client_control: ClientControl,
    /// Requests and responses that the store has nothing to do with: each for which one of these holds.
    #[serde(default)]
    pub skip_when: Option<Vec<Spanned<Condition>>>,
    /// What becomes of responses that set cookies. Default: `never_store`.
    #[serde(default)]
    pub set_cookie: Option<SetCookie>,
    /// How requests wait for a response that another fetches already; `none`: each is fetched for itself. Default:
    /// `{ wait: 10s, on_timeout: fetch }`.
    #[serde(default)]
    pub coalesce: Option<OrNone<Coalesce>>,
    /// How long nobody waits for another's response after one could not be stored for its own reasons; 0: they always
    /// wait. Default: `10s`.
    #[serde(default)]
    pub hit_for_miss: Option<Span>,
    /// What becomes of a response one of whose tags was incremented.
    #[serde(default)]
    pub on_invalidate: OnInvalidate,
    /// Fetching again what is about to expire and is in use. Default: `none`.
    #[serde(default)]
    pub refresh_ahead: Option<Spanned<OrNone<RefreshAhead>>>,
    /// The attributes that responses are filtered by, so that a change of an object forgets only those that may show it.
    #[serde(default)]
    pub dimensions: Option<Dimensions>,
    /// Where responses are kept. Default: `default`.
    #[serde(default)]
    pub store: Option<Spanned<KeptIn>>,
    /// When an increment made by another sidecar counts here. Default: as `tags.consistency` of the configuration says.
    #[serde(default)]
    pub consistency: Option<Consistency>,
    /// What a successful request of this rule changes, without the app saying so.
    #[serde(default)]
    pub increments: Vec<Increments>,
    /// What a successful request of this rule changes of the attributes that the responses of another are filtered by.
    #[serde(default)]
    pub changes: Vec<Changes>,
    /// Who is told of hits and misses.
    #[serde(default)]
    pub hooks: Hooks,
}
