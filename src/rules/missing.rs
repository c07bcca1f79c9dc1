//! Values that are missing, or that nobody knows.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A placeholder of a rule's tag has no value for this request: the response is not stored under it, the increment skipped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{{{placeholder}}}` of `{template}` {of}")]
pub struct MissingTagValue {
    /// The template as written.
    pub template: Arc<str>,
    /// The placeholder, without its braces.
    pub placeholder: Box<str>,
    /// What is the matter with it.
    pub of: Of,
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Of::Request => "has no value in this request",
            Of::Response => "has no value in this response",
            Of::Unclear => "has several values in this request, or one that is no text",
        })
    }
}

/// What is the matter with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// It is not in the request.
    Request,
    /// It is not in the response.
    Response,
    /// The request has several, of which nobody knows which one an app takes, or one that is no text.
    Unclear,
}
