//! Is it alive, is it fit to serve, and what has it counted.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::admin::Admin;
use crate::admin::view;
use crate::admin::view::Alive;
use crate::admin::view::Health;
use crate::admin::view::Word;
use crate::metrics::Metrics;
use crate::model::health::Phase;

/// `GET /healthz`: this process answers. What else is wrong is no reason to end it.
pub(super) async fn healthz() -> Response {
    view::json(StatusCode::OK, &Alive { status: Word::Ok })
}

/// `GET /readyz`: 200 while requests are answered, whatever is wrong (L13); 503 while it starts or drains.
pub(super) async fn readyz(State(admin): State<Admin>) -> Response {
    let health = admin.0.checkup.health();
    let status = match health.phase {
        Phase::Serving => StatusCode::OK,
        Phase::Starting | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    view::json(status, &Health::from(health))
}

/// `GET /metrics`: all of them, in the text format of Prometheus.
pub(super) async fn metrics(State(admin): State<Admin>) -> Response {
    admin.0.cache.measure();
    let kind = [(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)];
    (kind, admin.0.metrics.text()).into_response()
}
