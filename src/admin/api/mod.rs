//! What can be called, and what each call answers.

mod system;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, header};

use crate::admin::Admin;
use crate::admin::Config;
use crate::admin::access;
use crate::admin::access::Access;
use crate::admin::problem::Problem;

/// All calls, for those who may make them.
pub(super) fn router(admin: Admin, config: &Config) -> Router {
    let access = Arc::new(Access::new(config));
    Router::new()
        .route("/healthz", get(system::healthz))
        .route("/readyz", get(system::readyz))
        .route("/metrics", get(system::metrics))
        .fallback(async || Problem::NoSuchCall)
        .method_not_allowed_fallback(async || Problem::Method)
        .with_state(admin)
        // Before it is known which call it is: who may not call learns nothing.
        .layer(from_fn_with_state(access, access::admit))
        .layer(map_response(guarded))
}

/// What holds for every answer: it is of this moment, it is what it says it is, and no page of another origin reads it.
async fn guarded(mut response: Response) -> Response {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
