//! The epoch in force: raising it forgets everything, for all sidecars of the namespace.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::admin::Admin;
use crate::admin::asked::Asked;
use crate::admin::deed::Actor;
use crate::admin::deed::Done;
use crate::admin::problem::Problem;
use crate::admin::view;
use crate::admin::view::Epoch;
use crate::audit::What;
use crate::cache;

/// `GET /v1/epoch`.
pub(super) async fn epoch(State(admin): State<Admin>) -> Response {
    let epoch = admin.parts().rules.load().epoch();
    view::json(StatusCode::OK, &Epoch { epoch })
}

/// `PUT /v1/epoch`.
pub(super) async fn put(
    State(admin): State<Admin>,
    actor: Actor,
    asked: Asked<Epoch>,
) -> Result<Done, Problem> {
    let doing = raised(admin.clone(), asked.wish);
    admin.act(actor, What::Epoch, asked.target, doing).await
}

async fn raised(admin: Admin, wish: Result<Epoch, Problem>) -> Result<Done, Problem> {
    let parts = admin.parts();
    match parts.cache.put_epoch(wish?.epoch, &parts.rules).await {
        cache::Epoch::Raised(epoch) | cache::Epoch::Same(epoch) => Ok(Done::with(&Epoch { epoch })),
        cache::Epoch::Lower { is } => Err(Problem::Conflict(format!(
            "The epoch is {is}, and never falls: a lower one would bring back what was forgotten."
        ))),
        cache::Epoch::TooHigh { most } => Err(Problem::Wrong(format!(
            "`epoch`: at most {most} is expected."
        ))),
        cache::Epoch::Away => Err(Problem::Deferred(
            "Nothing has changed here, and nobody knows whether the shared store has taken it: ask again.",
        )),
    }
}
