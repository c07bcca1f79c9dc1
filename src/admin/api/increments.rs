//! What was incremented last.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::Admin;
use crate::admin::api::list;
use crate::admin::asked::Ask;
use crate::admin::asked::limit;
use crate::admin::problem::Problem;
use crate::admin::view::IncrementEvent;
use crate::admin::view::Increments;
use crate::cache::Incremented;
use crate::model::stamp::Stamp;

/// How many are told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asks {
    /// How many at most. Default: 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// `GET /v1/increments`.
pub(super) async fn increments(
    State(admin): State<Admin>,
    Ask(asked): Ask<Asks>,
) -> Result<Response, Problem> {
    let limit = limit(asked.limit, 100, 1_000).map_err(Problem::Malformed)?;
    let recent = admin.parts().cache.increments(limit);
    list(&admin, move || {
        let increments = recent.iter().map(|it| IncrementEvent::from(&**it));
        Increments {
            increments: increments.collect(),
        }
    })
    .await
}

impl From<&Incremented> for IncrementEvent {
    fn from(it: &Incremented) -> IncrementEvent {
        IncrementEvent {
            at: it.at.into(),
            stamp: it.stamp.map(Stamp::get),
            tags: it.tags.iter().map(ToString::to_string).collect(),
            more: Some(it.more as u64).filter(|more| *more > 0),
            by: it.by.to_string(),
            source: it.source.into(),
            soft: it.soft,
        }
    }
}
