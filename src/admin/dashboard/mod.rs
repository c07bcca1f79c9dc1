//! The page that shows all this, and what it is made of: files of this folder, built in. They hold no data and need no token; what
//! the page shows it asks for by the calls.

use axum::Router;
use axum::extract::Path;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};

use crate::admin::Admin;
use crate::admin::problem::Problem;

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Makes the table of what is built in.
macro_rules! assets {
    ($($name:literal: $kind:ident,)+) => {
        &[$(Asset { name: $name, kind: $kind, bytes: include_bytes!($name) },)+]
    };
}

/// What is below `/assets/`; the first one is `/`.
const ASSETS: &[Asset] = assets! {
    "index.html": HTML,
    "access.js": SCRIPT,
    "actions.js": SCRIPT,
    "api.js": SCRIPT,
    "app.js": SCRIPT,
    "audit.js": SCRIPT,
    "charts.js": SCRIPT,
    "dom.js": SCRIPT,
    "drawer.js": SCRIPT,
    "entries.js": SCRIPT,
    "explain.js": SCRIPT,
    "favicon.svg": IMAGE,
    "feed.js": SCRIPT,
    "format.js": SCRIPT,
    "overview.js": SCRIPT,
    "rules.js": SCRIPT,
    "series.js": SCRIPT,
    "sse.js": SCRIPT,
    "states.js": SCRIPT,
    "style.css": STYLE,
    "tags.js": SCRIPT,
    "theme.js": SCRIPT,
    "uPlot.LICENSE.txt": TEXT,
    "uPlot.iife.min.js": SCRIPT,
    "uPlot.min.css": STYLE,
};

pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/", get(page))
        .route("/assets/{name}", get(asset))
}

/// `GET /`.
async fn page(request: Request) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let page = ASSETS.first().ok_or(Problem::NoSuchCall)?;
    Ok(page.answer(&head))
}

/// `GET /assets/{name}`.
async fn asset(Path(name): Path<String>, request: Request) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    Ok(asset.ok_or(Problem::NoSuchCall)?.answer(&head))
}

impl Asset {
    /// The file, or that the browser has it: after an update it is another, so it is asked for each time.
    fn answer(&self, head: &Parts) -> Response {
        let tag = format!("\"{}\"", blake3::hash(self.bytes).to_hex());
        let known = head.headers.get_all(header::IF_NONE_MATCH).iter();
        let is_known = known
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(','))
            .any(|it| it.trim().trim_start_matches("W/") == tag);
        let mut response = match is_known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.bytes.into_response(),
        };
        for (name, value) in [
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_TYPE, self.kind),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_built_in_and_served_as_what_it_is() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/dashboard");
        let there: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".rs"))
            .collect();
        let built_in: BTreeSet<String> = ASSETS.iter().map(|it| it.name.to_owned()).collect();
        assert_eq!(there, built_in);
        for asset in ASSETS {
            let (_, ending) = asset.name.rsplit_once('.').unwrap();
            let expected = match ending {
                "html" => HTML,
                "js" => SCRIPT,
                "css" => STYLE,
                "svg" => IMAGE,
                "txt" => TEXT,
                other => panic!("{other} has no kind"),
            };
            assert_eq!(asset.kind, expected, "{}", asset.name);
        }
    }
}
