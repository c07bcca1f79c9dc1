//! The JSON shapes of the calls, one noun a file: what is answered and what is asked, for the handlers, for the command line that
//! reads the answers, and for `/openapi.json`, whose descriptions these docstrings are.
//!
//! What does not apply is absent, not `null`, unless its docstring says so. Lengths of time are seconds (`_seconds`), sizes are
//! bytes (`_bytes`), versions are whole numbers. A field that a request must not have is refused.

mod audit;
mod change;
mod counts;
mod entry;
mod epoch;
mod explained;
mod health;
mod increment;
mod plan;
mod problem;
mod purge;
mod refresh;
mod reload;
mod rule;
mod stats;
mod tag;

use std::fmt;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use audit::Audit;
pub use audit::AuditPage;
pub use change::ChangeRequest;
pub use change::Changed;
pub use counts::Counts;
pub use counts::Histogram;
pub use entry::Entries;
pub use entry::Entry;
pub use entry::LifeRequest;
pub use entry::State;
pub use entry::Tier;
pub use entry::Versioned;
pub use epoch::Epoch;
pub use explained::Answer;
pub use explained::Explained;
pub use explained::Invalidation;
pub use explained::Stored;
pub use health::Alive;
pub use health::Health;
pub use health::Reason;
pub use health::Word;
pub use increment::IncrementEvent;
pub use increment::IncrementRequest;
pub use increment::Incremented;
pub use increment::Increments;
pub use increment::Lagged;
pub use plan::Field;
pub use plan::Plan;
pub use plan::PlannedIncrement;
pub use plan::PlannedTags;
pub use plan::What;
pub use problem::Problem;
pub use purge::PurgeRequest;
pub use purge::Purged;
pub use refresh::RefreshRequest;
pub use refresh::Refreshed;
pub use reload::Reloaded;
pub use rule::LastReload;
pub use rule::Mode;
pub use rule::Rule;
pub use rule::Rules;
pub use stats::Latency;
pub use stats::MemoryStore;
pub use stats::RedisStore;
pub use stats::RuleCounts;
pub use stats::Stats;
pub use tag::Cause;
pub use tag::IncrementedTag;
pub use tag::MissedTag;
pub use tag::Source;
pub use tag::TagState;
pub use tag::Tags;

use crate::model::time::Timestamp;

/// A moment, as RFC 3339 has it, in UTC and to the millisecond: `2026-11-29T03:04:05.678Z`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "date-time"))]
pub struct Time(pub String);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Time {
        Time(at.rfc3339().to_string())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An answer with this content.
pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Response {
    let text = serde_json::to_vec(content).expect("texts, numbers and lists of them become JSON");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
