//! The JSON shapes of the calls.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::model::health;
use crate::model::health::Phase;

/// `GET /healthz`, and `GET /readyz` with the reasons.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// `ok`, `degraded`, `starting` or `draining`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Vec<Reason>>,
}

#[derive(Debug, Serialize)]
struct Reason {
    code: &'static str,
    message: String,
}

/// Why a call was not done (RFC 9457).
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) title: &'static str,
    pub(super) status: u16,
    pub(super) detail: &'static str,
}

impl Status {
    /// This process answers.
    pub(super) fn alive() -> Status {
        Status {
            status: "ok",
            reasons: None,
        }
    }

    /// Fit to serve, and what should be looked at.
    pub(super) fn of(health: health::Health) -> Status {
        let status = match health.phase {
            Phase::Starting => "starting",
            Phase::Draining => "draining",
            Phase::Serving if health.reasons.is_empty() => "ok",
            Phase::Serving => "degraded",
        };
        let reason = |it: health::Reason| Reason {
            code: it.code.word(),
            message: it.message.into_owned(),
        };
        Status {
            status,
            reasons: Some(health.reasons.into_iter().map(reason).collect()),
        }
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
