//! The files, read now.

use axum::extract::State;
use serde_json::json;

use crate::admin::Admin;
use crate::admin::deed::Actor;
use crate::admin::deed::Done;
use crate::admin::problem::Problem;
use crate::admin::view::Reloaded;
use crate::audit::What;

/// `POST /v1/reload`.
pub(super) async fn reload(State(admin): State<Admin>, actor: Actor) -> Result<Done, Problem> {
    let doing = reloaded(admin.clone());
    admin.act(actor, What::Reload, json!({}), doing).await
}

async fn reloaded(admin: Admin) -> Result<Done, Problem> {
    let Some(files) = &admin.parts().files else {
        let detail = "The sidecar was started without files: there is nothing to be read.";
        return Err(Problem::Conflict(detail.to_owned()));
    };
    let read = files.reread().await.ok_or(Problem::Stopping)?;
    if !read.mistakes.is_empty() {
        let mistakes = read.mistakes.iter().map(ToString::to_string);
        return Err(Problem::Files(mistakes.collect()));
    }
    let rules = admin.parts().rules.load();
    Ok(Done::with(&Reloaded {
        rules: rules.rules().len() as u64,
        epoch: rules.epoch(),
    }))
}
