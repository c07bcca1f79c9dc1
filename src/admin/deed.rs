//! What changes something: it runs in a task of its own, so that it is done as a whole and written down though its caller has
//! left.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::admin::access::Caller;
use crate::admin::problem::Problem;
use crate::admin::view;
use crate::audit::Act;
use crate::audit::What;

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
        match self.effect {
            Value::Null => self.status.into_response(),
            effect => view::json(self.status, &effect),
        }
    }
}

impl Admin {
    /// Does what is asked for. Once begun it goes on, whoever has left.
    pub(super) async fn act(
        &self,
        caller: Caller,
        what: What,
        target: Value,
        doing: impl Future<Output = Result<Done, Problem>> + Send + 'static,
    ) -> Result<Done, Problem> {
        let admin = self.clone();
        let task = self.0.deeds.spawn(async move {
            let done = doing.await;
            admin.write_down(&caller, what, target, &done).await;
            done
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a call of the admin interface ended badly");
            Err(Problem::Broken)
        })
    }

    async fn write_down(
        &self,
        caller: &Caller,
        what: What,
        target: Value,
        done: &Result<Done, Problem>,
    ) {
        let (status, effect) = match done {
            Ok(done) => (done.status, done.effect.clone()),
            Err(problem) => (problem.status(), json!({ "problem": problem.detail() })),
        };
        let act = Act {
            who: (&*caller.name).into(),
            what,
            target,
            effect,
            status: status.as_u16(),
        };
        self.parts().audit.record(act).await;
    }
}
