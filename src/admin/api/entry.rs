//! The life and the end of one stored response.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde_json::json;

use crate::admin::Admin;
use crate::admin::api::entries::nothing;
use crate::admin::api::entries::of_text;
use crate::admin::api::purge::NOT_FORGOTTEN;
use crate::admin::asked::Asked;
use crate::admin::asked::Named;
use crate::admin::deed::Actor;
use crate::admin::deed::Done;
use crate::admin::problem::Problem;
use crate::admin::view::Entry;
use crate::admin::view::LifeRequest;
use crate::admin::view::Purged;
use crate::audit::What;
use crate::cache::Away;
use crate::model::units;

/// `PATCH /v1/entries/{key}`.
pub(super) async fn set_life(
    State(admin): State<Admin>,
    actor: Actor,
    Named(key): Named,
    asked: Asked<LifeRequest>,
) -> Result<Done, Problem> {
    let of = of_text(&key)?;
    let target = json!({ "key": key, "asked": asked.target });
    let doing = {
        let admin = admin.clone();
        async move {
            let life = life(&asked.wish?).map_err(Problem::Wrong)?;
            let rules = admin.parts().rules.load();
            let found = admin.parts().cache.set_life(&rules, &of, life).await;
            let found = found.map_err(|Away| {
                Problem::Deferred(
                    "The shared store could not be told: what it has keeps its life; try again.",
                )
            })?;
            Ok(Done::with(&Entry::from(&found.ok_or_else(nothing)?)))
        }
    };
    admin.act(actor, What::EntryTtl, target, doing).await
}

fn life(wish: &LifeRequest) -> Result<Duration, String> {
    match units::duration(&wish.ttl) {
        Ok(Duration::ZERO) => Err("`ttl`: a time longer than 0 is expected.".to_owned()),
        Ok(life) => Ok(life),
        Err(error) => Err(format!("`ttl`: {error}.")),
    }
}

/// `DELETE /v1/entries/{key}`.
pub(super) async fn forget(
    State(admin): State<Admin>,
    actor: Actor,
    Named(key): Named,
) -> Result<Done, Problem> {
    let of = of_text(&key)?;
    let by = Arc::clone(&actor.by);
    let doing = {
        let admin = admin.clone();
        async move {
            let purged = admin.parts().cache.purge_entry(&of, &by).await;
            let purged = purged.ok_or(Problem::Deferred(NOT_FORGOTTEN))?;
            Ok(Done::with(&Purged::counted(purged)))
        }
    };
    let target = json!({ "key": key });
    admin.act(actor, What::EntryDelete, target, doing).await
}
