//! Answers: from an entry, or from a failure. The only map from error to status.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::body::Body;
use crate::cache::Stored;
use crate::dialects::cache_status;
use crate::dialects::cache_status::CACHE_STATUS;
use crate::model::entry::Entry;
use crate::model::outcome::Failure;
use crate::model::outcome::Outcome;
use crate::model::outcome::Stale;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::policy::ranges;
use crate::policy::ranges::Selected;
use crate::policy::ranges::Slice;
use crate::policy::validators;

/// Why a request is answered as it is, without its being looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unasked {
    /// It does not say for which host it is.
    Host(crate::model::request::HostError),
    /// Its target is a host and nothing else, which is CONNECT's alone (RFC 9112 §3.2.3).
    Target,
    /// Its length is said in two ways (RFC 9112 §6.3): one of them may be for somebody behind us.
    Framing,
    /// Its body comes in a coding besides `chunked` (RFC 9112 §6.1).
    Coding,
    /// CONNECT asks for a tunnel, and this is no forward proxy.
    Connect,
    /// It asks about the way (OPTIONS, TRACE), and only as far as here (RFC 9110 §7.6.2).
    LastHop(Method),
    /// The client has left in the middle of it, so that nobody hears the answer.
    Cut,
}

/// The fields of a 304 (RFC 9110 §15.4.5), and what the caches behind us did (RFC 9211 §2).
static NOT_MODIFIED: [HeaderName; 7] = [
    header::CACHE_CONTROL,
    CACHE_STATUS,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::VARY,
];

/// So many fields of ours join those of a stored response: `Age`, `Cache-Status`, and one of a range or a rule.
const OWN_FIELDS: usize = 3;

/// What of a stored response answers a request.
#[derive(Debug)]
pub(super) enum Form {
    /// All of it.
    Whole,
    /// What a client is told that has it already: of its fields [those of a 304](in_not_modified).
    NotModified,
    /// The ranges that were asked for, or that there are none.
    Ranges(Box<Response<Body>>),
}

/// What of a stored response answers this request.
pub(super) fn form(head: &Head, entry: &Entry) -> Form {
    if validators::not_modified(head.headers(), entry.status, &entry.headers) {
        return Form::NotModified;
    }
    match ranges_of(head, entry) {
        Some(response) => Form::Ranges(Box::new(response)),
        None => Form::Whole,
    }
}

/// A stored response, a part of it, or 304 if the client has it; with what became of the request. `stale` says why it
/// may be served though it is not fresh.
pub(super) fn hit(
    head: &Head,
    stored: &Stored,
    stale: Option<Stale>,
    now: Timestamp,
) -> (Response<Body>, Outcome) {
    as_form(form(head, &stored.entry), head, stored, stale, now)
}

/// The same, where it is known already what of it answers the request.
pub(super) fn as_form(
    form: Form,
    head: &Head,
    stored: &Stored,
    stale: Option<Stale>,
    now: Timestamp,
) -> (Response<Body>, Outcome) {
    let entry = &stored.entry;
    let mut response = match form {
        Form::Whole => whole(head, entry),
        Form::NotModified => not_modified(entry.headers.header_values()),
        Form::Ranges(response) => *response,
    };
    let age = entry.meta.age(now).as_secs();
    response.headers_mut().insert(header::AGE, seconds(age));
    let ttl = match stale {
        None => entry.meta.ttl(now),
        Some(_) => stored.ttl(now),
    };
    (response, Outcome::Hit { ttl, stale })
}

/// With one allocation, where `HeaderValue::from` makes two.
fn seconds(number: u64) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    HeaderValue::from_str(digits.format(number)).expect("digits are printable ASCII")
}

fn whole(head: &Head, entry: &Entry) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = entry.status;
    *response.headers_mut() = entry.headers.to_header_map(OWN_FIELDS);
    if *head.method() == Method::HEAD && entry.status != StatusCode::NO_CONTENT {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, entry.body.len().into());
    } else {
        *response.body_mut() = entry.body.clone().into();
    }
    response
}

/// The ranges of a stored response that the client asks for (RFC 9110 §14), if it asks for any.
fn ranges_of(head: &Head, entry: &Entry) -> Option<Response<Body>> {
    let (method, request) = (head.method(), head.headers());
    let len = entry.body.len() as u64;
    let slices = match entry.part.as_deref() {
        Some(part) => ranges::within(method, request, &entry.headers, *part, len)?,
        None if entry.status != StatusCode::OK => return None,
        None => match ranges::selected(method, request, &entry.headers, len) {
            Selected::Whole => return None,
            Selected::Unsatisfiable => return Some(unsatisfiable(len)),
            Selected::Ranges(slices) => slices,
        },
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    *response.headers_mut() = entry.headers.to_header_map(OWN_FIELDS);
    let headers = response.headers_mut();
    ranges::drop_digests_of_content(headers);
    if let [slice] = &*slices {
        headers.insert(header::CONTENT_RANGE, slice.at.into());
        *response.body_mut() = entry.body.slice(slice.bytes.clone()).into();
    } else {
        let own = headers.remove(header::CONTENT_TYPE);
        let (content_type, body) = ranges::multipart(&slices, own.as_ref(), &entry.body);
        headers.insert(header::CONTENT_TYPE, content_type);
        *response.body_mut() = body.into();
    }
    Some(response)
}

fn unsatisfiable(len: u64) -> Response<Body> {
    let mut response = problem(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "The response is shorter than the range that was asked for.",
    );
    let complete = ranges::unsatisfied(len);
    response
        .headers_mut()
        .insert(header::CONTENT_RANGE, complete);
    response
}

/// A response fresh from the app, the range of it that the client asks for, or 304 if the client has it already.
pub(super) fn fetched(head: &Head, response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if headers.contains_key(header::SET_COOKIE) {
        return response; // no answer of our own may hide it
    }
    if validators::not_modified(head.headers(), response.status(), headers) {
        return not_modified(headers.iter().map(|(name, value)| (name, value.clone())));
    }
    if response.status() == StatusCode::OK {
        return range_of(head, response);
    }
    response
}

/// One range of a body on its way, whose length is known; several are not worth waiting for, and the whole will do.
fn range_of(head: &Head, response: Response<Body>) -> Response<Body> {
    let Some(len) = response.body().exact_len() else {
        return response;
    };
    match ranges::selected(head.method(), head.headers(), response.headers(), len) {
        Selected::Whole => response,
        Selected::Unsatisfiable => unsatisfiable(len),
        Selected::Ranges(slices) => match &*slices {
            [Slice { at, .. }] => {
                let (mut parts, body) = response.into_parts();
                parts.status = StatusCode::PARTIAL_CONTENT;
                parts.headers.remove(header::CONTENT_LENGTH);
                ranges::drop_digests_of_content(&mut parts.headers);
                parts.headers.insert(header::CONTENT_RANGE, (*at).into());
                Response::from_parts(parts, body.slice(at.first, at.last - at.first + 1))
            }
            _ => response,
        },
    }
}

/// `lines`: all of the whole response's.
fn not_modified<'n>(lines: impl Iterator<Item = (&'n HeaderName, HeaderValue)>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for (name, value) in lines.filter(|(name, _)| in_not_modified(name)) {
        response.headers_mut().append(name, value);
    }
    response
}

/// Whether a field of the whole response is one of the 304, too.
pub(super) fn in_not_modified(name: &HeaderName) -> bool {
    NOT_MODIFIED.contains(name)
}

/// The app gave no answer. `retry_after` is how long it takes until whoever waits for the app now has had a turn.
pub(super) fn failure(failure: Failure, retry_after: Duration) -> Response<Body> {
    let status = match failure {
        Failure::Unreachable | Failure::Closed | Failure::Malformed | Failure::Abandoned => {
            StatusCode::BAD_GATEWAY
        }
        Failure::TimedOut | Failure::Unvalidated => StatusCode::GATEWAY_TIMEOUT,
        Failure::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Failure::RequestCut => StatusCode::BAD_REQUEST,
        Failure::RequestLate => StatusCode::REQUEST_TIMEOUT,
    };
    let mut response = problem(status, failure.sentence());
    let headers = response.headers_mut();
    if failure == Failure::Overloaded {
        let seconds = whole_seconds(retry_after);
        headers.insert(header::RETRY_AFTER, seconds.into());
    } else if failure == Failure::RequestLate {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close")); // RFC 9110 §15.5.9
    }
    response
}

/// As `Retry-After` counts (RFC 9110 §10.2.3): rounded up, so one at least.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The client wanted a stored response or none, and none is stored (RFC 9111 §5.2.1.7).
pub(super) fn only_if_cached() -> Response<Body> {
    problem(
        StatusCode::GATEWAY_TIMEOUT,
        "Nothing is stored for this request, and it allows nothing else.",
    )
}

/// The client waited for another's response for as long as its rule says.
pub(super) fn waited() -> Response<Body> {
    let mut response = problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "The app is taking a long time; please try again in a moment.",
    );
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, soon);
    response
}

/// A request that is not looked at; its connection is closed.
pub(super) fn unasked(why: Unasked) -> Response<Body> {
    let mut response = match why {
        Unasked::Host(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        Unasked::Target => problem(
            StatusCode::BAD_REQUEST,
            "the request's target is a host without a path",
        ),
        Unasked::Framing => problem(
            StatusCode::BAD_REQUEST,
            "the request has Content-Length and Transfer-Encoding",
        ),
        Unasked::Coding => problem(
            StatusCode::NOT_IMPLEMENTED,
            "no transfer coding but chunked is understood",
        ),
        Unasked::Connect => problem(
            StatusCode::NOT_IMPLEMENTED,
            "CONNECT is for forward proxies",
        ),
        Unasked::LastHop(method) => last_hop(&method),
        Unasked::Cut => problem(StatusCode::BAD_REQUEST, Failure::RequestCut.sentence()),
    };
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What is for us and not for the app. A TRACE is not reflected: what clients may not read (cookies, credentials) would be in its body.
fn last_hop(method: &Method) -> Response<Body> {
    let mut response = match *method == Method::OPTIONS {
        true => Response::new(Body::empty()),
        false => problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "no request is reflected here",
        ),
    };
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(header::ALLOW, methods);
    response
}

/// We have made a mistake. What of the request has been read is unknown, so its connection is closed.
pub(super) fn broken() -> Response<Body> {
    let mut response = problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The cache has made a mistake; its log says which.",
    );
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
