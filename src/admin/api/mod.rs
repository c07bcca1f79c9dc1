//! What can be called, and what each call answers.

mod audit;
mod change;
mod entries;
mod entry;
mod epoch;
mod events;
mod explain;
mod increments;
mod objects;
mod purge;
mod refresh;
mod reload;
mod rules;
mod stats;
mod system;
mod tags;

use std::sync::Arc;
use std::sync::OnceLock;

use axum::Extension;
use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn_with_state, map_response_with_state};
use axum::response::Response;
use axum::routing::{delete, get, patch, post, put};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::sync::watch;

use crate::admin::Admin;
use crate::admin::Config;
use crate::admin::access;
use crate::admin::access::Access;
use crate::admin::call::{Call, Content};
use crate::admin::dashboard;
use crate::admin::openapi;
use crate::admin::problem::Problem;
use crate::admin::room;
use crate::admin::room::Room;
use crate::admin::view;
use crate::metrics::Metrics;

/// `/openapi.json`, made when somebody asks for it first: that takes longer than all else here.
#[derive(Clone, Default)]
struct Document(Arc<OnceLock<Bytes>>);

/// Whether we are being stopped.
#[derive(Clone, Debug)]
struct Stop(watch::Receiver<bool>);

/// All calls.
fn calls() -> Vec<Call> {
    const NO_STORE: &str = "The shared store could not be told; the tags wait for it.";
    const NOTHING: &str = "Nothing that could answer a request is stored under this key.";
    let metrics = Content::of(Metrics::CONTENT_TYPE);
    let json = Content::of("application/json");
    vec![
        Call::new("get", "/healthz", get(system::healthz), "Whether this process answers")
            .open()
            .answers::<view::Alive>("It does."),
        Call::new("get", "/readyz", get(system::readyz), "Whether requests are answered, and what should be looked at; a word alone without a token where others reach the listener")
            .open()
            .answers::<view::Health>("They are, whatever is wrong.")
            .answers_also::<view::Health>(503, "It starts, or has been told to stop."),
        Call::new("get", "/metrics", get(system::metrics), "What is counted and measured, in the text format of Prometheus")
            .open()
            .answers_with(200, "All of it.", Some(metrics)),
        Call::new("get", "/openapi.json", get(document), "This description")
            .open()
            .answers_with(200, "OpenAPI 3.1.", Some(json)),
        Call::new("get", "/v1/stats", get(stats::stats), "The sidecar in numbers")
            .answers::<view::Stats>("Since the start."),
        Call::new("get", "/v1/rules", get(rules::rules), "The rules in force, what was counted for each, and what is wrong with the files")
            .answers::<view::Rules>("In the order in which they are tried."),
        Call::new("get", "/v1/explain", get(explain::explain), "What a request would mean now, and what is stored for it; nothing changes, and the app is not asked")
            .asks::<explain::Asks>()
            .answers::<view::Explained>("The plan, the answer, and why.")
            .refuses(422, "The URL or a field cannot be part of a request."),
        Call::new("get", "/v1/entries", get(entries::entries), "What is stored and can answer, page by page")
            .asks::<entries::Asks>()
            .within(room::LONG)
            .answers::<view::Entries>("A page.")
            .refuses(503, entries::SILENT),
        Call::new("get", "/v1/entries/{key}", get(entries::entry), "One stored response")
            .within(room::LONG)
            .answers::<view::Entry>("The response.")
            .refuses(404, NOTHING)
            .refuses(503, entries::SILENT),
        Call::new("patch", "/v1/entries/{key}", patch(entry::set_life), "Give one stored response another life, here and in the shared store")
            .takes::<view::LifeRequest>()
            .within(room::LONG)
            .answers::<view::Entry>("With its new life, which is no longer than its rule and a week allow.")
            .refuses(404, NOTHING)
            .refuses(503, "The shared store could not be told: what it has keeps its life."),
        Call::new("delete", "/v1/entries/{key}", delete(entry::forget), "Forget one stored response, everywhere")
            .within(room::LONG)
            .answers::<view::Purged>("How many there were, one or none.")
            .refuses(503, purge::NOT_FORGOTTEN),
        Call::new("get", "/v1/tags", get(tags::tags), "The tags that matter most since the start")
            .answers::<view::Tags>("The most first; counts of many tags are estimates."),
        Call::new("get", "/v1/tags/{tag}", get(tags::tag), "A tag as it is now; looking creates nothing")
            .answers::<view::TagState>("Its version is `null` where nobody has named it."),
        Call::new("get", "/v1/increments", get(increments::increments), "What was incremented last")
            .asks::<increments::Asks>()
            .answers::<view::Increments>("Newest first."),
        Call::new("post", "/v1/tags/increment", post(tags::increment).get(tags::tag_of_that_name), "Give tags new versions: what is stored with them is not used any more, at constant cost")
            .takes::<view::IncrementRequest>()
            .answers::<view::Incremented>("Committed: every sidecar knows, at once or within its `max_lag`.")
            .refuses(503, NO_STORE),
        Call::new("get", "/v1/objects/{key}", get(objects::object), "A value that the app keeps here itself")
            .answers_with(200, "The value, with its own `Content-Type`, its `Age`, and its identity as `Tagalong-Key`.", Some(Content::of("*/*")))
            .refuses(404, "Nothing is stored under this key; `Tagalong-Token` is what a `PUT` presents that puts what is computed from now on."),
        Call::new("put", "/v1/objects/{key}", put(objects::put), "Keep a value of the app's own")
            .reads(objects::FIELDS)
            .takes_bytes(Content::of("application/octet-stream"))
            .answers_with(201, "There was none.", None)
            .answers_with(204, "There was one.", None)
            .refuses(409, "One of its tags was incremented since the token was given, or nobody knows.")
            .refuses(503, "The shared store cannot be asked."),
        Call::new("delete", "/v1/objects/{key}", delete(objects::delete), "Delete a value of the app's own, everywhere")
            .answers::<view::Purged>("How many there were, one or none.")
            .refuses(503, NO_STORE),
        Call::new("post", "/v1/purge", post(purge::purge), "Forget responses; exactly one of the fields says which")
            .takes::<view::PurgeRequest>()
            .within(room::LONG)
            .answers::<view::Purged>("Forgotten: nobody is answered with them from now on.")
            .refuses(503, "The shared store could not be told; the tags wait for it. With `match` nothing is sure to be forgotten, and nothing waits: call again."),
        Call::new("post", "/v1/refresh", post(refresh::refresh), "Fetch again now, fresh or not; what has begun goes on though the caller leaves")
            .takes::<view::RefreshRequest>()
            .within(room::LONG)
            .answers::<view::Refreshed>("What could not be fetched again is as it was."),
        Call::new("post", "/v1/change", post(change::change), "Say that something has changed that responses of a rule are filtered by")
            .takes::<view::ChangeRequest>()
            .answers::<view::Changed>("What shows the old values or the new ones is forgotten.")
            .refuses(503, NO_STORE),
        Call::new("get", "/v1/epoch", get(epoch::epoch), "The epoch in force")
            .answers::<view::Epoch>("What was stored under a lower one is not found."),
        Call::new("put", "/v1/epoch", put(epoch::put), "Raise the epoch: everything is forgotten at once, by all sidecars")
            .takes::<view::Epoch>()
            .answers::<view::Epoch>("It is in force.")
            .refuses(409, "It is higher, and never falls.")
            .refuses(503, "Nothing has changed here, and nobody knows whether the shared store has taken it: ask again."),
        Call::new("get", "/v1/audit", get(audit::audit), "Who has changed what, of all sidecars of the namespace; refused calls too")
            .asks::<audit::Asks>()
            .answers::<view::AuditPage>("Newest first."),
        Call::new("post", "/v1/reload", post(reload::reload), "Read the files now")
            .answers::<view::Reloaded>("What they say is in force.")
            .refuses(409, "The sidecar was started without files.")
            .refuses(422, "The files are wrong, and the rules from before stay in force: `mistakes` says what and where."),
        Call::new("get", "/v1/events", get(events::events), "What happens, as it happens: server-sent events `stats` (as of `/v1/stats`, at once and then every second), `increment` (as of `/v1/increments`), `audit` (as of `/v1/audit`) and `lagged` (how many were missed)")
            .answers_with(200, "Until the sidecar stops.", Some(Content::of("text/event-stream"))),
    ]
}

/// All calls, for those who may make them.
pub(super) fn router(admin: Admin, config: &Config, stop: watch::Receiver<bool>) -> Router {
    let access = Arc::new(Access::new(config));
    let counted = admin.parts().metrics.clone();
    let mut router = Router::new();
    for call in calls() {
        router = router.route(call.path, call.answered());
    }
    let room = Arc::new(Room::default());
    router
        .merge(dashboard::router())
        .fallback(async || Problem::NoSuchCall)
        .method_not_allowed_fallback(async || Problem::Method)
        .with_state(admin)
        .layer(Extension(Document::default()))
        .layer(Extension(Stop(stop)))
        .layer(Extension(Arc::clone(&room)))
        .layer(from_fn_with_state(room, room::with_room))
        // Before it is known which call it is: who may not call learns nothing.
        .layer(from_fn_with_state(access, access::admit))
        .layer(map_response_with_state(counted, guarded))
}

/// An answer that may be long: made aside, as megabytes of JSON keep a worker busy that answers requests too.
async fn list<T: Serialize>(
    admin: &Admin,
    make: impl FnOnce() -> T + Send + 'static,
) -> Result<Response, Problem> {
    let cache = &admin.parts().cache;
    let made = cache.offload(move |_| view::json(StatusCode::OK, &make()));
    made.await.ok_or(Problem::Broken)
}

/// `GET /openapi.json`.
async fn document(Extension(Document(text)): Extension<Document>) -> Response {
    let text = text.get_or_init(|| openapi::document(&calls()).to_string().into());
    let mut response = Response::new(text.clone().into());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What a page from here may do: nothing but what stands beside it.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What holds for every answer: it is of this moment unless it says otherwise, it is what it says it is, and no page of another
/// origin reads it, frames it or is told of it.
async fn guarded(State(metrics): State<Metrics>, mut response: Response) -> Response {
    const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (CORP, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::from_static(CONTENT_POLICY);
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(policy);
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    metrics.admin_calls.add(response.status().into());
    response
}
