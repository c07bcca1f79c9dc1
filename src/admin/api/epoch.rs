//! The epoch in force.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::admin::Admin;
use crate::admin::view;
use crate::admin::view::Epoch;

/// `GET /v1/epoch`.
pub(super) async fn epoch(State(admin): State<Admin>) -> Response {
    let epoch = admin.parts().rules.load().epoch();
    view::json(StatusCode::OK, &Epoch { epoch })
}
