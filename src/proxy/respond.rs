//! Answers: from an entry, or from a failure. The only map from error to status.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::body::Body;
use crate::cache::Stored;
use crate::dialects::cache_status;
use crate::dialects::cache_status::CACHE_STATUS;
use crate::model::outcome::Failure;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::policy::validators;

/// Why a request was not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadRequest {
    /// It does not say for which host it is.
    Host(crate::model::request::HostError),
    /// Its length is said in two ways (RFC 9112 §6.3): one of them may be for somebody behind us.
    Framing,
    /// Its body comes in a coding besides `chunked` (RFC 9112 §6.1).
    Coding,
    /// CONNECT asks for a tunnel, and this is no forward proxy.
    Connect,
}

/// The fields of a 304 (RFC 9110 §15.4.5), and what the caches behind us did (RFC 9211 §2).
const NOT_MODIFIED: [HeaderName; 7] = [
    header::CACHE_CONTROL,
    CACHE_STATUS,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::VARY,
];

/// A stored response, or 304 if the client has it.
pub(super) fn hit(head: &Head, stored: &Stored, now: Timestamp) -> Response<Body> {
    let entry = &stored.entry;
    let mut response = if validators::not_modified(head.headers(), entry.status, &entry.headers) {
        not_modified(&entry.headers)
    } else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = entry.status;
        *response.headers_mut() = entry.headers.clone();
        if *head.method() == Method::HEAD && entry.status != StatusCode::NO_CONTENT {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, entry.body.len().into());
        } else {
            *response.body_mut() = entry.body.clone().into();
        }
        response
    };
    response
        .headers_mut()
        .insert(header::AGE, entry.meta.age(now).as_secs().into());
    response
}

/// A response fresh from the app, or 304 if the client has it already.
pub(super) fn fetched(head: &Head, response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let known = validators::not_modified(head.headers(), response.status(), headers);
    if known && !headers.contains_key(header::SET_COOKIE) {
        return not_modified(headers);
    }
    response
}

fn not_modified(headers: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for name in &NOT_MODIFIED {
        for value in headers.get_all(name) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

/// The app gave no answer.
pub(super) fn failure(failure: Failure) -> Response<Body> {
    let status = match failure {
        Failure::Unreachable | Failure::Malformed | Failure::Abandoned => StatusCode::BAD_GATEWAY,
        Failure::TimedOut | Failure::Unvalidated => StatusCode::GATEWAY_TIMEOUT,
        Failure::RequestCut => StatusCode::BAD_REQUEST,
    };
    problem(status, failure.sentence())
}

/// The client wanted a stored response or none, and none is stored (RFC 9111 §5.2.1.7).
pub(super) fn only_if_cached() -> Response<Body> {
    problem(
        StatusCode::GATEWAY_TIMEOUT,
        "Nothing is stored for this request, and it allows nothing else.",
    )
}

/// A request that is not looked at; its connection is closed.
pub(super) fn bad_request(why: BadRequest) -> Response<Body> {
    let mut response = match why {
        BadRequest::Host(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        BadRequest::Framing => problem(
            StatusCode::BAD_REQUEST,
            "the request has Content-Length and Transfer-Encoding",
        ),
        BadRequest::Coding => problem(
            StatusCode::NOT_IMPLEMENTED,
            "no transfer coding but chunked is understood",
        ),
        BadRequest::Connect => problem(
            StatusCode::NOT_IMPLEMENTED,
            "CONNECT is for forward proxies",
        ),
    };
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A small JSON body that says what is wrong (RFC 9457).
fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail });
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Says what became of the request (RFC 9211 §2: caches append, the nearest to the client comes last).
pub(super) fn stamp(mut response: Response<Body>, value: HeaderValue) -> Response<Body> {
    cache_status::append(response.headers_mut(), value);
    response
}
