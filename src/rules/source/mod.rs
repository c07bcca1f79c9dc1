//! Rule files as written (rules.md §2). Docstrings here are what editors show: the JSON Schema is made of these types.

mod refill;
mod statuses;

use schemars::JsonSchema;
use serde::Deserialize;

pub use refill::{Coalesce, IfError, OnInvalidate, OrNone, RefreshAhead};
pub use statuses::{StatusTtl, Statuses};

use crate::rules::refill::Revalidate;
use crate::rules::terms::{Authorization, Cookies, SetCookie};
use crate::yaml::Spanned;
use crate::yaml::one_value_for_now;
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
    /// Unique over all files. Default: the path as written.
    #[serde(default)]
    pub id: Option<Spanned<String>>,
    /// Which requests the rule is for; all that is given must hold.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// `false`: responses are never stored; increments are still honoured. Default: `true`.
    #[serde(default)]
    pub cache: Option<bool>,
    /// Default: the id. Rules that share it share entries.
    #[serde(default)]
    pub key_name: Option<Spanned<String>>,
    /// A part of the key; another one is another entry.
    #[serde(default)]
    pub version: Option<String>,
    /// A template that is part of the key, such as `{query.period}`.
    #[serde(default)]
    pub group: Option<Spanned<String>>,
    /// What the response depends on.
    #[serde(default)]
    pub vary_on: VaryOn,
    /// Tags of the response: templates such as `Dashboard` or `User:{user_id}`.
    #[serde(default)]
    pub tags: Option<Vec<Spanned<TagItem>>>,
    /// How long a response is fresh that says nothing of it itself; 0: not stored.
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
    /// What a successful request of this rule changes, without the app saying so.
    #[serde(default)]
    pub increments: Vec<Increments>,
}

/// Which requests a rule is for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Hosts, `*` for any run of characters: `*.shop.example`. Without a port, any port. Default: any host.
    #[serde(default)]
    pub hosts: Option<Spanned<Vec<Spanned<String>>>>,
    /// Methods. Default: GET and HEAD, the only ones whose responses are stored.
    #[serde(default)]
    pub methods: Option<Spanned<Vec<Spanned<String>>>>,
    /// The whole path: a glob in which `*` is any run of characters (`/users/*/profile`), or a regex with named
    /// captures (`/users/(?P<id>\d+)`). It is a regex if it holds `.*` or one of `\ ( ) [ ] { } | + ? ^ $`. Default: any path.
    #[serde(default)]
    pub path: Option<Spanned<String>>,
}

/// What a response depends on: the parts of the request that make its key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaryOn {
    /// The host. Default: `true`.
    #[serde(default)]
    pub host: Option<bool>,
    /// Captures of the path that stand for it. Default: the whole path.
    #[serde(default)]
    pub captures: Option<Spanned<Vec<Spanned<String>>>>,
    /// The query. Default: all of it, sorted.
    #[serde(default)]
    pub query: QueryOn,
    /// Request headers.
    #[serde(default)]
    pub headers: Option<Vec<Spanned<HeaderItem>>>,
    /// Cookies.
    #[serde(default)]
    pub cookies: Option<Vec<Spanned<String>>>,
}

/// Which query parameters are part of the key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryOn {
    /// Default: `all`.
    #[serde(default)]
    pub mode: Option<QueryMode>,
    /// Whether the order of different parameters is irrelevant. Default: `true`.
    #[serde(default)]
    pub sort: Option<bool>,
    /// The parameters that `allow` and `ignore` name, and those with a default.
    #[serde(default)]
    pub params: Option<Vec<Spanned<Param>>>,
    /// Parameters that no key holds, in every mode, `*` for any run of characters: `utm_*`.
    #[serde(default)]
    pub drop: Option<Vec<String>>,
}

/// Which query parameters are part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryMode {
    /// All of them.
    All,
    /// Only the named.
    Allow,
    /// All but the named.
    Ignore,
    /// None.
    None,
}

/// A query parameter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Absent is the same as this value.
    #[serde(default)]
    pub default: Option<String>,
}

/// Tags that a request changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Increments {
    /// Templates such as `User:{user_id}`.
    pub tags: Spanned<Vec<Spanned<TagItem>>>,
    /// Statuses of the response: `2xx`, `404`. Default: `2xx` and `3xx`.
    #[serde(default)]
    pub on_status: Option<Spanned<Vec<Spanned<String>>>>,
    /// How long after that they are incremented once more, for apps whose readers lag behind; at most `1d`.
    #[serde(default)]
    pub again: Option<Spanned<Span>>,
}

/// Defaults for the fields of all rules, in `tagalong.yaml`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Which requests a rule is for.
    #[serde(default, rename = "match")]
    pub matches: DefaultMatch,
    /// Whether responses may be stored.
    #[serde(default)]
    pub cache: Option<bool>,
    /// A part of the key.
    #[serde(default)]
    pub version: Option<String>,
    /// A template that is part of the key.
    #[serde(default)]
    pub group: Option<Spanned<String>>,
    /// What responses depend on.
    #[serde(default)]
    pub vary_on: DefaultVaryOn,
    /// Tags of rules that name none.
    #[serde(default)]
    pub tags: Option<Vec<Spanned<TagItem>>>,
    /// How long a response is fresh that says nothing of it itself.
    #[serde(default)]
    pub ttl: Option<Ttl>,
    /// The cap on whatever is said about freshness.
    #[serde(default)]
    pub max_ttl: Option<Span>,
    /// How long a response is served as it is, before it is fetched again.
    #[serde(default)]
    pub soft_ttl: Option<Span>,
    /// What is done after `soft_ttl`.
    #[serde(default)]
    pub revalidate: Option<Revalidate>,
    /// How long after it has expired a response that says nothing of it itself may be served while it is fetched again.
    #[serde(default)]
    pub stale_while_revalidate: Option<Span>,
    /// How long after it has expired a response that says nothing of it itself may be served where the app fails.
    #[serde(default)]
    pub stale_if_error: Option<Span>,
    /// Up to this share of its life, by chance, a response expires earlier.
    #[serde(default)]
    pub jitter: Option<Share>,
    /// By status or class: how long a response is fresh that says nothing of it itself.
    #[serde(default)]
    pub statuses: Option<Statuses>,
    /// What the cookies of requests mean.
    #[serde(default)]
    pub cookies: Option<Spanned<Cookies>>,
    /// What becomes of requests with an `Authorization` header.
    #[serde(default)]
    pub authorization: Option<Authorization>,
    /// What becomes of responses that set cookies.
    #[serde(default)]
    pub set_cookie: Option<SetCookie>,
    /// How requests wait for a response that another fetches already.
    #[serde(default)]
    pub coalesce: Option<OrNone<Coalesce>>,
    /// How long nobody waits for another's response after one could not be stored for its own reasons.
    #[serde(default)]
    pub hit_for_miss: Option<Span>,
    /// What becomes of a response one of whose tags was incremented.
    #[serde(default)]
    pub on_invalidate: OnInvalidate,
    /// Fetching again what is about to expire and is in use.
    #[serde(default)]
    pub refresh_ahead: Option<Spanned<OrNone<RefreshAhead>>>,
}

/// Defaults for `match`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultMatch {
    /// Methods.
    #[serde(default)]
    pub methods: Option<Spanned<Vec<Spanned<String>>>>,
}

/// Defaults for `vary_on`; captures are each rule's own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultVaryOn {
    /// The host.
    #[serde(default)]
    pub host: Option<bool>,
    /// The query.
    #[serde(default)]
    pub query: QueryOn,
    /// Request headers.
    #[serde(default)]
    pub headers: Option<Vec<Spanned<HeaderItem>>>,
    /// Cookies.
    #[serde(default)]
    pub cookies: Option<Vec<Spanned<String>>>,
}

impl From<Defaults> for Rule {
    /// The defaults as a rule that matches nothing in particular.
    fn from(defaults: Defaults) -> Rule {
        Rule {
            matches: Match {
                methods: defaults.matches.methods,
                ..Match::default()
            },
            cache: defaults.cache,
            version: defaults.version,
            group: defaults.group,
            vary_on: VaryOn {
                host: defaults.vary_on.host,
                captures: None,
                query: defaults.vary_on.query,
                headers: defaults.vary_on.headers,
                cookies: defaults.vary_on.cookies,
            },
            tags: defaults.tags,
            ttl: defaults.ttl,
            max_ttl: defaults.max_ttl,
            stale_while_revalidate: defaults.stale_while_revalidate,
            stale_if_error: defaults.stale_if_error,
            cookies: defaults.cookies,
            authorization: defaults.authorization,
            set_cookie: defaults.set_cookie,
            soft_ttl: defaults.soft_ttl,
            revalidate: defaults.revalidate,
            jitter: defaults.jitter,
            statuses: defaults.statuses,
            coalesce: defaults.coalesce,
            hit_for_miss: defaults.hit_for_miss,
            on_invalidate: defaults.on_invalidate,
            refresh_ahead: defaults.refresh_ahead,
            ..Rule::default()
        }
    }
}

/// Whether rules.md has a field at this dotted path of a rule that is not supported yet.
pub fn is_later(path: &str) -> bool {
    LATER.contains(&path)
}

const LATER: &[&str] = &[
    "match.headers",
    "mode",
    "vary_on.query.params[].multi",
    "vary_on.query.params[].normalize",
    "vary_on.jwt",
    "vary_on.response_vary",
    "vary_on.body",
    "safe",
    "key",
    "use",
    "tags_from_body",
    "client_control",
    "skip_when",
    "coalesce.shared",
    "coalesce.lease",
    "store",
    "consistency",
    "increments[].when",
    "changes",
    "dimensions",
    "hooks",
];

one_value_for_now!(
    /// A tag template.
    pub struct TagItem(String),
    "{ name: …, constant: … }"
);
one_value_for_now!(
    /// The name of a request header.
    pub struct HeaderItem(String),
    "{ name: …, normalize: … }"
);
one_value_for_now!(
    /// How long a response is fresh that says nothing of it itself.
    pub struct Ttl(Span),
    "ttl: { force: … }"
);
