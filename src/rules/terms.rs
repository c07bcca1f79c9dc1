//! What a rule says of storing responses: the terms on which `policy` judges them. Says nothing of how they are judged.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
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
    /// How long responses with some statuses are fresh that do not say so themselves.
    pub statuses: Statuses,
    /// How long after it arrived a response is fetched again though it is fresh; `None`: never.
    pub soft_ttl: Option<Duration>,
    /// Up to which part of its life, by chance, a response expires earlier.
    pub jitter: Jitter,
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
            statuses: Statuses::default(),
            soft_ttl: None,
            jitter: Jitter::default(),
            stale_while_revalidate: None,
            stale_if_error: None,
            cookies: Cookies::default(),
            keys_on_cookie: false,
            set_cookie: SetCookie::default(),
            authorization: Authorization::default(),
        }
    }
}

/// How long responses with some statuses are fresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    codes: BTreeMap<u16, StatusTtl>,
    /// By first digit.
    classes: BTreeMap<u16, StatusTtl>,
}

/// How long a response with some status is fresh that does not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusTtl {
    /// As any other of the rule.
    Inherit,
    /// So long; zero: it is not stored.
    For(Duration),
}

impl Statuses {
    /// Adds a status (`404`) or a class (`5xx`), in place of what was said of it before.
    ///
    /// # Errors
    ///
    /// What was expected instead. 206 and 304 are about other responses, which are stored by their own status.
    pub(super) fn add(&mut self, text: &str, ttl: StatusTtl) -> Result<(), &'static str> {
        const EXPECTED: &str = "expected a final status such as `404` or `5xx`";
        let class = text
            .strip_suffix("xx")
            .and_then(|class| class.parse().ok())
            .filter(|class| (2..=5).contains(class));
        let code = || text.parse().ok().filter(|code| (200..600).contains(code));
        match (class, code()) {
            (Some(class), _) => self.classes.insert(class, ttl),
            (None, Some(206 | 304)) => {
                return Err(
                    "expected a status that is stored by itself, which 206 and 304 are not",
                );
            }
            (None, Some(code)) => self.codes.insert(code, ttl),
            (None, None) => return Err(EXPECTED),
        };
        Ok(())
    }

    /// What was added, as it is written: statuses, then classes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (String, StatusTtl)> {
        let codes = self
            .codes
            .iter()
            .map(|(code, ttl)| (code.to_string(), *ttl));
        let classes = self.classes.iter();
        codes.chain(classes.map(|(class, ttl)| (format!("{class}xx"), *ttl)))
    }

    /// What is said of a status: by itself, or of its class.
    pub fn ttl(&self, status: StatusCode) -> Option<StatusTtl> {
        let code = status.as_u16();
        let found = self.codes.get(&code).or(self.classes.get(&(code / 100)));
        found.copied()
    }
}

/// Up to which part of its life, by chance, a response expires earlier: many that were stored together do not all expire
/// together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter {
    /// In parts of a million.
    millionths: u32,
}

impl Jitter {
    /// A share of 0 to 1.
    pub(super) fn of(share: f64) -> Jitter {
        let millionths = (share.clamp(0.0, 1.0) * 1e6).round();
        Jitter {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is between 0 and a million"
            )]
            millionths: millionths as u32,
        }
    }

    /// In percent.
    pub(super) fn percent(self) -> f64 {
        f64::from(self.millionths) / 1e4
    }

    /// What is left of a life: never more than it was, `chance` (0 to 1) decides how much less.
    pub fn spread(self, life: Duration, chance: f64) -> Duration {
        let less = f64::from(self.millionths) / 1e6 * chance.clamp(0.0, 1.0);
        life.mul_f64(1.0 - less).min(life)
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
