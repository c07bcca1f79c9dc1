//! What a rule says of storing responses: the terms on which `policy` judges them. Says nothing of how they are judged.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// The cap on whatever is said about freshness, unless a rule has another (L10).
const MAX_TTL: Duration = Duration::from_secs(7 * 86_400);

/// What the rule of a request says of storing its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a response is fresh that does not say so itself; zero: it is not stored.
    pub ttl: Option<Duration>,
    /// The cap on whatever is said about freshness.
    pub max_ttl: Duration,
    /// How long after it has expired a response that does not say so itself may be served while it is fetched again
    /// (RFC 5861 §3). Zero: never, which is another thing than nothing said.
    pub stale_while_revalidate: Option<Duration>,
    /// How long after it has expired a response that does not say so itself may be served where the app fails (RFC 5861
    /// §4). Zero: never, which is another thing than nothing said.
    pub stale_if_error: Option<Duration>,
    /// What cookies of requests mean (L12).
    pub cookies: Cookies,
    /// The key holds a cookie, so that what it stores is not shared across its values (L12).
    pub keys_on_cookie: bool,
    /// What becomes of responses that set cookies (L12).
    pub set_cookie: SetCookie,
    /// What becomes of requests with credentials (L12).
    pub authorization: Authorization,
}

impl Default for Terms {
    /// What holds where no rule matched (rules.md §2).
    fn default() -> Terms {
        Terms {
            ttl: None,
            max_ttl: MAX_TTL,
            stale_while_revalidate: None,
            stale_if_error: None,
            cookies: Cookies::default(),
            keys_on_cookie: false,
            set_cookie: SetCookie::default(),
            authorization: Authorization::default(),
        }
    }
}

/// What the cookies of requests mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// They go to the app. What it answers to a request with a cookie is stored, and such a request is answered from the
    /// store, only if the key holds a cookie or the response says that it may be shared (`public`, `s-maxage`, a
    /// targeted header).
    #[default]
    KeyOrPublic,
    /// They never matter: what is stored answers every request, whatever its cookies. A response that is meant for the
    /// store is asked for without them, so it can show nobody's own page; a `Vary: Cookie` on it selects nothing. Requests
    /// that only pass through keep theirs, HEAD excepted: it says what a GET would bring.
    Ignore,
}

/// What becomes of responses that set cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetCookie {
    /// They are not stored.
    #[default]
    NeverStore,
    /// They are stored without `Set-Cookie`. The client whose request went to the app gets its cookie; those who waited
    /// for the same answer, or come later, do not.
    Strip,
    /// They are stored as they are, as RFC 9111 alone would: everyone gets the same cookie.
    Store,
}

/// What becomes of requests with an `Authorization` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// They go to the app, and what it answers is not stored.
    #[default]
    Bypass,
    /// The header is part of the key: one entry per credential, and one for requests without.
    Key,
    /// They are looked up like any other, and may be answered with what was stored for others. What the app answers to
    /// them is stored, for everyone, only if it says `public`, `s-maxage` or `must-revalidate` (RFC 9111 §3.5).
    Rfc9111,
}
