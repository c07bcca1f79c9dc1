//! As written: what holds for rules that do not say otherwise, in `tagalong.yaml`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rules::refill::Revalidate;
use crate::rules::source::scalar::Scalar;
use crate::rules::source::{
    ClaimOn, ClientControl, Coalesce, Condition, Consistency, HeaderItem, Hooks, KeptIn, Match,
    Mode, OnInvalidate, OrNone, QueryOn, RefreshAhead, Rule, Statuses, TagItem, Ttl, VaryOn,
};
use crate::rules::terms::{Authorization, Cookies, SetCookie};
use crate::yaml::Spanned;
use crate::yaml::units::{Share, Span};

/// Defaults for the fields of all rules, in `tagalong.yaml`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Which requests a rule is for.
    #[serde(default, rename = "match")]
    pub matches: DefaultMatch,
    /// Whether responses may be stored.
    #[serde(default)]
    pub cache: Option<Spanned<bool>>,
    /// Whether responses are served, only compared, or neither stored nor looked up.
    #[serde(default)]
    pub mode: Option<Spanned<Mode>>,
    /// A part of the key.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub version: Option<String>,
    /// A template that is part of the key.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub group: Option<Spanned<String>>,
    /// What responses depend on.
    #[serde(default)]
    pub vary_on: DefaultVaryOn,
    /// Tags of rules that name none.
    #[serde(default)]
    pub tags: Option<Vec<Spanned<TagItem>>>,
    /// How long a response is fresh that says nothing of it itself; `{ force: … }`: whatever it says.
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
    /// What clients may ask of the cache.
    #[serde(default)]
    pub client_control: ClientControl,
    /// Where responses are kept.
    #[serde(default)]
    pub store: Option<Spanned<KeptIn>>,
    /// When an increment made elsewhere counts here.
    #[serde(default)]
    pub consistency: Option<Consistency>,
    /// Requests and responses that the store has nothing to do with.
    #[serde(default)]
    pub skip_when: Option<Vec<Spanned<Condition>>>,
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
    /// Who is told of hits and misses.
    #[serde(default)]
    pub hooks: Hooks,
}

/// Defaults for `match`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultMatch {
    /// Methods of rules that name none.
    #[serde(default)]
    pub methods: Option<Spanned<Vec<Spanned<String>>>>,
}

/// Defaults for `vary_on`; captures are each rule's own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultVaryOn {
    /// Whether the host is part of the key.
    #[serde(default)]
    pub host: Option<bool>,
    /// Which of the query is part of the key.
    #[serde(default)]
    pub query: QueryOn,
    /// Request headers that are part of the key.
    #[serde(default)]
    pub headers: Option<Vec<Spanned<HeaderItem>>>,
    /// Cookies that are part of the key: of all cookies only these matter then.
    #[serde(default)]
    pub cookies: Option<Vec<Spanned<String>>>,
    /// Claims of verified tokens that are part of the key.
    #[serde(default)]
    pub jwt: Option<Spanned<Vec<Spanned<ClaimOn>>>>,
    /// Whether the response's own `Vary` selects.
    #[serde(default)]
    pub response_vary: Option<bool>,
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
            mode: defaults.mode,
            client_control: defaults.client_control,
            store: defaults.store,
            consistency: defaults.consistency,
            version: defaults.version,
            group: defaults.group,
            vary_on: VaryOn {
                host: defaults.vary_on.host,
                captures: None,
                query: defaults.vary_on.query,
                headers: defaults.vary_on.headers,
                cookies: defaults.vary_on.cookies,
                jwt: defaults.vary_on.jwt,
                response_vary: defaults.vary_on.response_vary,
                body: None,
            },
            tags: defaults.tags,
            ttl: defaults.ttl,
            max_ttl: defaults.max_ttl,
            stale_while_revalidate: defaults.stale_while_revalidate,
            stale_if_error: defaults.stale_if_error,
            cookies: defaults.cookies,
            authorization: defaults.authorization,
            set_cookie: defaults.set_cookie,
            skip_when: defaults.skip_when,
            soft_ttl: defaults.soft_ttl,
            revalidate: defaults.revalidate,
            jitter: defaults.jitter,
            statuses: defaults.statuses,
            coalesce: defaults.coalesce,
            hit_for_miss: defaults.hit_for_miss,
            on_invalidate: defaults.on_invalidate,
            refresh_ahead: defaults.refresh_ahead,
            hooks: defaults.hooks,
            ..Rule::default()
        }
    }
}
