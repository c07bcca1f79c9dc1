//! How the sidecar is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::health;
use crate::model::health::Phase;

/// This process answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alive {
    /// Always `ok` of `/healthz`; of `/readyz`, asked without a token where others reach it, how it is.
    pub status: Word,
}

/// How the sidecar is, and what should be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// How it is, in one word.
    pub status: Word,
    /// What is not as it should be, though requests are answered.
    pub reasons: Vec<Reason>,
}

/// How a sidecar is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// All is well.
    Ok,
    /// Requests are answered, and something should be looked at.
    Degraded,
    /// No request is answered yet.
    Starting,
    /// It has been told to stop.
    Draining,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// For machines: the same for as long as it is this, such as `store-away`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

impl From<health::Health> for Health {
    fn from(health: health::Health) -> Health {
        let status = match health.phase {
            Phase::Starting => Word::Starting,
            Phase::Draining => Word::Draining,
            Phase::Serving if health.reasons.is_empty() => Word::Ok,
            Phase::Serving => Word::Degraded,
        };
        let reason = |it: health::Reason| Reason {
            code: it.code.word().to_owned(),
            message: it.message.into_owned(),
        };
        Health {
            status,
            reasons: health.reasons.into_iter().map(reason).collect(),
        }
    }
}
