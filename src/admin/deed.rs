//! What changes something: it runs in a task of its own, so that it is done as a whole and written down though its caller has
//! left. What the app does all the time with its own values is counted instead.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::admin::access::Caller;
use crate::admin::problem::Problem;
use crate::admin::room::Place;
use crate::admin::view;
use crate::audit::Act;
use crate::audit::What;
use crate::metrics::ObjectChange;

/// Who has something done, and its place among the calls: held until it is done, whoever has left.
#[derive(Debug)]
pub(super) struct Actor {
    /// See [`Caller::name`].
    name: Arc<str>,
    /// See [`Caller::by`].
    pub(super) by: Arc<str>,
    place: Place,
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Actor, Problem> {
        let Caller { name, by, .. } = Caller::from_request_parts(head, state).await?;
        let place = head.extensions.get().cloned().ok_or(Problem::Broken)?;
        Ok(Actor { name, by, place })
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    status: StatusCode,
    /// The answer, as it is written down too; `null`: the status says it all.
    effect: Value,
}

impl Done {
    /// It is done, and this is the answer.
    pub(super) fn with(answer: &impl Serialize) -> Done {
        let effect = serde_json::to_value(answer);
        Done {
            status: StatusCode::OK,
            effect: effect.expect("texts, numbers and lists of them become JSON"),
        }
    }

    /// It is done, and this says it all.
    pub(super) fn silently(status: StatusCode) -> Done {
        Done {
            status,
            effect: Value::Null,
        }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        match self.effect.is_null() {
            true => self.status.into_response(),
            false => view::json(self.status, &self.effect),
        }
    }
}

impl Admin {
    /// Does what is asked for. Once begun it goes on, whoever has left; when the sidecar is about to end, nothing is begun.
    pub(super) async fn act(
        &self,
        actor: Actor,
        what: What,
        target: Value,
        doing: impl Future<Output = Result<Done, Problem>> + Send + 'static,
    ) -> Result<Done, Problem> {
        let admin = self.clone();
        let counted = self.0.deeds.token();
        // In this order: whoever waits for the last one knows of this one, or this one knows that it comes too late.
        if self.0.deeds.is_closed() {
            return Err(Problem::Stopping);
        }
        let task = tokio::spawn(async move {
            let done = whole(doing).await;
            match (done.is_ok(), object_change(what)) {
                (true, Some(change)) => admin.parts().metrics.object_changes.add(change),
                _ => admin.write_down(&actor.name, what, target, &done).await,
            }
            drop((actor.place, counted));
            done
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a call of the admin interface ended badly");
            Err(Problem::Broken)
        })
    }

    /// Begins nothing that changes something any more.
    pub fn drain(&self) {
        self.0.deeds.close();
    }

    /// Waits until all that was begun is done and written down, after [`Admin::drain`].
    pub async fn finished(&self) {
        self.0.deeds.wait().await;
    }

    async fn write_down(&self, who: &str, what: What, target: Value, done: &Result<Done, Problem>) {
        let (status, effect) = match done {
            Ok(done) => (done.status, done.effect.clone()),
            Err(problem) => (problem.status(), json!({ "problem": problem.detail() })),
        };
        let act = Act {
            who: who.into(),
            what,
            target,
            effect,
            status: status.as_u16(),
        };
        self.parts().audit.record(act).await;
    }
}

/// What is traffic rather than an operator's deed, and would leave no room for those.
fn object_change(what: What) -> Option<ObjectChange> {
    if what == What::ObjectPut {
        Some(ObjectChange::Put)
    } else if what == What::ObjectDelete {
        Some(ObjectChange::Delete)
    } else {
        None
    }
}

/// What comes of it, a mistake of ours too: whatever was begun is written down.
async fn whole(doing: impl Future<Output = Result<Done, Problem>>) -> Result<Done, Problem> {
    let done = AssertUnwindSafe(doing).catch_unwind().await;
    done.unwrap_or_else(|_| {
        tracing::error!("a call of the admin interface panicked"); // where, says the panic itself
        Err(Problem::Broken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_panics_comes_to_an_end_that_can_be_written_down() {
        let none = StatusCode::from_u16(99);
        let broken = whole(async move { Ok(Done::silently(none.expect("a status"))) }).await;
        assert_eq!(broken.err(), Some(Problem::Broken));
        let done = whole(async { Ok(Done::silently(StatusCode::CREATED)) }).await;
        assert_eq!(done.map(|it| it.status).ok(), Some(StatusCode::CREATED));
    }
}
