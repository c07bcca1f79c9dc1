//! What a request would mean now, and what is stored for it. It asks for the very plan and the very entry that the request would
//! meet; nothing is sent anywhere and nothing changes (L14).

use axum::extract::State;
use axum::response::Response;
use http::{Method, StatusCode, Uri};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::Admin;
use crate::admin::asked::Ask;
use crate::admin::problem::Problem;
use crate::admin::request::Field;
use crate::admin::request::arriving;
use crate::admin::view;
use crate::model::request::Head;

/// The request.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Asks {
    /// Its method. Default: GET.
    pub(super) method: Option<String>,
    /// Its URL, absolute; a path alone is one on localhost.
    pub(super) url: String,
    /// A field of it, as `Name: value`; may be given several times.
    #[serde(default)]
    pub(super) header: Vec<String>,
}

/// `GET /v1/explain`.
pub(super) async fn explain(
    State(admin): State<Admin>,
    Ask(asked): Ask<Pairs>,
) -> Result<Response, Problem> {
    let head = asked.head()?;
    let parts = admin.parts();
    let plan = parts.rules.load().plan(&head, parts.cache.now());
    Ok(view::json(StatusCode::OK, &view::Plan::of(&plan, &head)))
}

/// The query as it is written: of its fields one may be there several times.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn asks(self) -> Result<Asks, Problem> {
        let (mut method, mut url, mut header) = (None, None, Vec::new());
        for (name, value) in self.0 {
            let before = match &*name {
                "method" => method.replace(value),
                "url" => url.replace(value),
                "header" => {
                    header.push(value);
                    None
                }
                _ => {
                    return Err(malformed(&format!(
                        "unknown field `{name}`, expected `method`, `url` or `header`"
                    )));
                }
            };
            if before.is_some() {
                return Err(malformed(&format!("duplicate field `{name}`")));
            }
        }
        let url = url.ok_or_else(|| malformed("missing field `url`"))?;
        Ok(Asks {
            method,
            url,
            header,
        })
    }

    /// The head of the request.
    fn head(self) -> Result<Head, Problem> {
        let Asks {
            method,
            url,
            header,
        } = self.asks()?;
        let wrong =
            |field, why: &dyn std::fmt::Display| Problem::Wrong(format!("`{field}`: {why}."));
        let method = method.as_deref().unwrap_or("GET");
        let method: Method = method.parse().map_err(|error| wrong("method", &error))?;
        let url: Uri = url.parse().map_err(|error| wrong("url", &error))?;
        let field = |text: &String| {
            let Field(name, value) = text.parse().map_err(|error| wrong("header", &error))?;
            Ok((name, value))
        };
        let fields: Vec<_> = header.iter().map(field).collect::<Result<_, Problem>>()?;
        arriving(method, &url, fields).map_err(|error| wrong("url", &error))
    }
}

fn malformed(why: &str) -> Problem {
    Problem::Malformed(format!("The query: {why}."))
}
