//! Why a call was not done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a call was not done (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What the status says in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong, and what is expected, in sentences.
    pub detail: String,
    /// Of `POST /v1/reload`: what is wrong with the files, each as `file:line:col: …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<String>,
}

impl Problem {
    /// What is wrong, for people; what stands between us and a sidecar may say it in its title alone.
    pub fn sentence(&self) -> &str {
        match self.detail.is_empty() {
            true => &self.title,
            false => &self.detail,
        }
    }
}
