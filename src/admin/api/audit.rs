//! Who has done what.

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::Admin;
use crate::admin::api::list;
use crate::admin::asked::Ask;
use crate::admin::asked::limit;
use crate::admin::problem::Problem;
use crate::admin::view;
use crate::admin::view::AuditPage;
use crate::audit::Record;

/// Which records are told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asks {
    /// How many at most. Default: 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
    /// Where to go on: what the page before said.
    cursor: Option<String>,
}

/// `GET /v1/audit`.
pub(super) async fn audit(
    State(admin): State<Admin>,
    Ask(asked): Ask<Asks>,
) -> Result<Response, Problem> {
    let limit = limit(asked.limit, 100, 1_000).map_err(Problem::Malformed)?;
    let page = admin.parts().audit.page(asked.cursor.as_deref(), limit);
    let page = page
        .await
        .map_err(|error| Problem::Malformed(format!("`cursor`: {error}.")))?;
    list(&admin, move || AuditPage {
        audit: page
            .records
            .iter()
            .map(|it| view::Audit::from(&**it))
            .collect(),
        cursor: page.cursor,
    })
    .await
}

impl From<&Record> for view::Audit {
    fn from(record: &Record) -> view::Audit {
        view::Audit {
            id: record.id.to_string(),
            at: record.at.into(),
            who: record.who.to_string(),
            sidecar: record.sidecar.to_string(),
            what: record.what.to_string(),
            target: record.target.clone(),
            effect: record.effect.clone(),
            status: record.status,
        }
    }
}
