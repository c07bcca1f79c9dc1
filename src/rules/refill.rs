//! What a rule says of fetching again: who waits for whom, and what is served meanwhile. Says nothing of how that is done.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// What the rule of a request says of fetching its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refill {
    /// What is done once the soft life of a response is over.
    pub revalidate: Revalidate,
    /// How requests wait for a response that another fetches already; `None`: they do not.
    pub coalesce: Option<Coalesce>,
    /// How long nobody waits for a response after one could not be stored for its own reasons; zero: they always wait.
    pub hit_for_miss: Duration,
    /// What becomes of a response one of whose tags was incremented.
    pub on_invalidate: OnInvalidate,
    /// Fetching again what is about to expire and is in use.
    pub refresh_ahead: Option<RefreshAhead>,
}

/// What is done once the soft life of a response is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Revalidate {
    /// It is served, and fetched again behind that.
    #[default]
    Background,
    /// It is fetched again first; should the app fail, it is served.
    Sync,
}

/// How requests wait for a response that another fetches already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coalesce {
    /// The longest wait for its head.
    pub wait: Duration,
    /// What a request gets that has waited so long.
    pub on_timeout: OnTimeout,
    /// Whether requests wait for those of other sidecars, too: only where all of them keep the body in a shared store.
    pub shared: bool,
    /// How long the sidecar that fetches may be silent before another takes its place; 100 ms at least.
    pub lease: Duration,
}

/// What a request gets that has waited too long for another's response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// A response of its own.
    #[default]
    Fetch,
    /// What is stored though it has expired; a response of its own if nothing is.
    Stale,
    /// 503.
    #[serde(rename = "503")]
    Refuse,
}

/// What becomes of a response one of whose tags was incremented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnInvalidate {
    /// What the next request gets.
    pub mode: WhenInvalidated,
    /// With `refresh`: how long after the increment it is fetched again.
    pub delay: Duration,
    /// How long after the increment it may be served.
    pub max_stale: Duration,
    /// With `refresh`: how many responses are fetched again at a time.
    pub max_entries: usize,
    /// Whether it is served where the app fails.
    pub stale_if_error: bool,
}

/// What a request gets when a tag of what is stored for it was incremented (rules.md §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenInvalidated {
    /// A new response.
    #[default]
    Miss,
    /// The old one, while one request's fill fetches it again.
    Stale,
    /// The old one; it is fetched again after `delay`, whether requests come or not.
    Refresh,
}

/// Fetching again what is about to expire and is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshAhead {
    /// How often what is about to expire is looked for.
    pub every: Duration,
    /// How many responses are fetched again each time.
    pub max: usize,
    /// How often a response must have been used since it was stored.
    pub min_hits: u32,
}

impl Default for Refill {
    /// What holds where no rule matched (rules.md §2).
    fn default() -> Refill {
        Refill {
            revalidate: Revalidate::default(),
            coalesce: Some(Coalesce::default()),
            hit_for_miss: Duration::from_secs(10),
            on_invalidate: OnInvalidate::default(),
            refresh_ahead: None,
        }
    }
}

impl Default for Coalesce {
    fn default() -> Coalesce {
        Coalesce {
            wait: Duration::from_secs(10),
            on_timeout: OnTimeout::default(),
            shared: false,
            lease: Duration::from_secs(5),
        }
    }
}

impl Default for OnInvalidate {
    fn default() -> OnInvalidate {
        OnInvalidate {
            mode: WhenInvalidated::default(),
            delay: Duration::ZERO,
            max_stale: Duration::from_secs(60),
            max_entries: 100,
            stale_if_error: false,
        }
    }
}

impl Default for RefreshAhead {
    fn default() -> RefreshAhead {
        RefreshAhead {
            every: Duration::from_secs(30),
            max: 50,
            min_hits: 2,
        }
    }
}

impl Refill {
    /// Whether responses are fetched again that no request waits for: nobody's credentials are kept for that.
    pub fn refreshes(&self) -> bool {
        self.on_invalidate.mode == WhenInvalidated::Refresh || self.refresh_ahead.is_some()
    }
}
