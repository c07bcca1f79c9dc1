//! Is it alive, is it fit to serve, and what has it counted.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::admin::Admin;
use crate::admin::access::Caller;
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

/// `GET /readyz`: 200 while requests are answered, whatever is wrong (L13); 503 while it starts or drains. What is wrong is for
/// who is trusted; a probe needs the status alone.
pub(super) async fn readyz(State(admin): State<Admin>, caller: Caller) -> Response {
    let health = admin.parts().checkup.health();
    let status = match health.phase {
        Phase::Serving => StatusCode::OK,
        Phase::Starting | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    let health = Health::from(health);
    match caller.is_trusted {
        true => view::json(status, &health),
        false => view::json(
            status,
            &Alive {
                status: health.status,
            },
        ),
    }
}

/// `GET /metrics`: all of them, in the text format of Prometheus.
pub(super) async fn metrics(State(admin): State<Admin>) -> Response {
    admin.parts().cache.measure();
    let kind = [(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)];
    (kind, admin.parts().metrics.text()).into_response()
}
