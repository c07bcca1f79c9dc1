//! What only those may see who know the secret: keys, tags, versions, and who incremented what.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cache::Cache;
use crate::cache::Explanation;
use crate::dialects::cache_status;
use crate::model::outcome::End;
use crate::model::outcome::Forward;
use crate::model::outcome::Outcome;
use crate::model::request::Head;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::rules::Plan;

/// The request field that holds the secret; it never goes to the app.
const TAGALONG_DEBUG: HeaderName = HeaderName::from_static("tagalong-debug");

/// Who may see keys, tags and versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DebugConfig {
    /// Everyone.
    pub enabled: bool,
    /// Whoever sends it as `Tagalong-Debug`.
    pub secret: Option<Secret>,
}

impl DebugConfig {
    /// Whether this client may see more; takes the secret off the head.
    pub(super) fn asked_by(&self, headers: &mut HeaderMap) -> bool {
        let given = headers.remove(TAGALONG_DEBUG);
        let knows = |secret: &Secret| {
            given
                .as_ref()
                .map(HeaderValue::as_bytes)
                .is_some_and(|given| secret.is(given))
        };
        self.enabled || self.secret.as_ref().is_some_and(knows)
    }
}

/// What was there for a request before it was answered.
pub(super) struct Debugged {
    rule: Option<String>,
    stored: Option<Explanation>,
}

impl Debugged {
    pub(super) fn of(plan: &Plan, head: &Head, cache: &Cache) -> Debugged {
        let (rule, stored) = match plan {
            Plan::Lookup(query) => (&query.rule, cache.explain(query, head)),
            Plan::Pass(pass) => (&pass.rule, None),
        };
        Debugged {
            rule: rule.id.as_deref().map(str::to_owned),
            stored,
        }
    }

    /// The outcome, and what lies behind it.
    pub(super) fn cache_status(&self, outcome: Outcome, now: Timestamp) -> HeaderValue {
        let invalidated = matches!(
            outcome,
            Outcome::Forwarded {
                why: Forward::Invalidated,
                ..
            }
        );
        let stored = self.stored.as_ref();
        let invalidated = stored
            .filter(|_| invalidated)
            .and_then(|stored| stored.why_invalidated(now));
        // Why its successor is not stored stays in front.
        let not_stored = match outcome {
            Outcome::Forwarded {
                end: End::NotStored(reason),
                ..
            } => Some(reason.word()),
            Outcome::Hit { .. }
            | Outcome::Forwarded { .. }
            | Outcome::Collapsed { .. }
            | Outcome::Refused(_)
            | Outcome::Broken => None,
        };
        let detail = match (not_stored, invalidated) {
            (Some(reason), Some(why)) => Some(format!("{reason}; {why}")),
            (_, why) => why,
        };
        let tags: Vec<_> = stored
            .iter()
            .flat_map(|stored| &stored.entry.tags)
            .map(|(tag, stamp)| (tag, *stamp))
            .collect();
        let debug = cache_status::Debug {
            key: stored.map(|stored| stored.entry.key),
            rule: self.rule.as_deref(),
            tags: &tags,
            detail: detail.as_deref(),
        };
        cache_status::render_with(outcome, &debug)
    }
}
