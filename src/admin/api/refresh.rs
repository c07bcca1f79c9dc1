//! Fetching again now, fresh or not.

use axum::extract::State;

use crate::admin::Admin;
use crate::admin::api::purge::get_of;
use crate::admin::api::purge::one_of;
use crate::admin::api::tags;
use crate::admin::asked::Asked;
use crate::admin::asked::limit;
use crate::admin::deed::Actor;
use crate::admin::deed::Done;
use crate::admin::problem::Problem;
use crate::admin::view::RefreshRequest;
use crate::admin::view::Refreshed;
use crate::audit;
use crate::fetch::What;

/// How many are fetched if nothing is said.
const USUAL: usize = 100;

/// The most of one call: the app is asked for each.
const MOST: usize = 10_000;

/// `POST /v1/refresh`.
pub(super) async fn refresh(
    State(admin): State<Admin>,
    actor: Actor,
    asked: Asked<RefreshRequest>,
) -> Result<Done, Problem> {
    let doing = refreshed(admin.clone(), asked.wish);
    admin
        .act(actor, audit::What::Refresh, asked.target, doing)
        .await
}

async fn refreshed(admin: Admin, wish: Result<RefreshRequest, Problem>) -> Result<Done, Problem> {
    let wish = wish?;
    let limit = limit(wish.limit, USUAL, MOST).map_err(Problem::Wrong)?;
    let what = what(&wish)?;
    let parts = admin.parts();
    let rules = parts.rules.load();
    let cursor = wish.cursor.as_deref();
    let refreshed = parts.fetch.refresh_now(&rules, what, cursor, limit).await;
    let refreshed = refreshed.map_err(|error| Problem::Wrong(format!("`cursor`: {error}.")))?;
    Ok(Done::with(&Refreshed {
        refreshed: refreshed.refreshed as u64,
        failed: refreshed.failed as u64,
        skipped: refreshed.skipped as u64,
        cursor: refreshed.cursor,
    }))
}

fn what(wish: &RefreshRequest) -> Result<What, Problem> {
    let RefreshRequest {
        url, tags: named, ..
    } = wish;
    one_of(&[("url", url.is_some()), ("tags", named.is_some())]).map_err(Problem::Wrong)?;
    match (url, named) {
        (Some(url), _) => get_of(url).map(What::Uri).map_err(Problem::Wrong),
        (None, named) => {
            let tags = tags::all_named(named.as_deref().unwrap_or_default());
            tags.map(What::Tags)
        }
    }
}
