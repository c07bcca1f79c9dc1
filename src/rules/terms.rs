//! What a rule says of storing responses: the terms on which `policy` judges them. Says nothing of how they are judged.

use std::time::Duration;

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
    /// The key holds a cookie, so that what it stores is not shared across its values (L12).
    pub keys_on_cookie: bool,
    /// The key holds `Authorization` (L12).
    pub keys_on_authorization: bool,
}

impl Default for Terms {
    /// What holds where no rule matched (rules.md §2).
    fn default() -> Terms {
        Terms {
            ttl: None,
            max_ttl: MAX_TTL,
            stale_while_revalidate: None,
            stale_if_error: None,
            keys_on_cookie: false,
            keys_on_authorization: false,
        }
    }
}
