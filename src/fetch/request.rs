//! The request that goes to the app.
//!
//! What only the app may say (tags, increments) never gets here. What apps trust though no key holds it stays behind: with
//! it, one client could choose what another is served (design.md §8).

use std::net::IpAddr;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use crate::body::Body;
use crate::model::request::Head;
use crate::policy;
use crate::rules::Cookies;
use crate::rules::Rule;

/// Whether it is a field that apps commonly build pages from and that no key holds unless a rule says so.
fn is_unkeyed(name: &str) -> bool {
    matches!(
        name,
        "forwarded"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-prefix"
            | "x-forwarded-scheme"
            | "x-forwarded-server"
            | "x-forwarded-ssl"
            | "x-host"
            | "x-original-host"
            | "x-original-url"
            | "x-rewrite-url"
            | "front-end-https"
            | "surrogate-capability"
    )
}
/// The same for fields that turn a method into another; only requests that could be stored lose them.
fn overrides_method(name: &str) -> bool {
    matches!(
        name,
        "x-http-method" | "x-http-method-override" | "x-method-override"
    )
}
/// Fields that make the answer a part of the response, or none of it: what is to be stored is fetched whole.
static CONDITIONS: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
];

/// Fields that are ours to say, or the connection's.
static MEANT_OTHERWISE: [HeaderName; 4] = [
    X_FORWARDED_FOR,
    X_FORWARDED_PROTO,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
];

/// Cookies, and the field that announced those of RFC 2965. A map of fields folds their case, so there is no other spelling.
const COOKIES: [HeaderName; 2] = [header::COOKIE, HeaderName::from_static("cookie2")];

/// So many fields of ours join those of a client.
const OWN_FIELDS: usize = 6;

/// So many bytes most addresses have at most.
const LONG_ADDRESS: usize = 40;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Says that `Surrogate-Control` is understood here (Edge Architecture Specification §2.1): some apps send it only to
/// those who do. Ours is the last of several.
const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");

/// The request as it goes to the app.
pub(super) fn for_upstream(
    head: &Head,
    rule: &Rule,
    peer: Option<IpAddr>,
    body: Body,
) -> Request<Body> {
    let lookup = head.brings_content() || *head.method() == Method::HEAD || head.safe;
    let unkeyed = |name: &str| is_unkeyed(name) || (lookup && overrides_method(name));
    // Servers that fold `_` into `-`, as CGI does, read `X_Forwarded_Host` as `X-Forwarded-Host`, `Transfer_Encoding` as what frames a
    // body, and `Accept_Language` as what the response may vary on, which nobody here does.
    let misleading = |name: &str| {
        unkeyed(name)
            || rule.keys_on_header(name) // the key holds the other spelling alone
            || MEANT_OTHERWISE.iter().chain(&CONDITIONS).any(|it| it == name)
    };
    let is_dropped = |name: &str| match name.contains('_') {
        true if lookup => !rule.keys_on_header(name),
        true => misleading(&name.replace('_', "-")),
        false => unkeyed(name) && !rule.keys_on_header(name),
    };
    let fields = head.headers();
    // More than a map can have at once is more than it has names.
    let room = HeaderMap::try_with_capacity(fields.keys_len() + OWN_FIELDS);
    let mut headers: HeaderMap = room.unwrap_or_default();
    headers.insert(header::HOST, text(&head.host));
    for (name, value) in fields {
        // `Expect` is met here: the body is read ahead, or when the app wants it.
        let is_ours = *name == header::HOST || *name == header::EXPECT;
        if !is_ours && !is_dropped(name.as_str()) {
            headers.append(name, value.clone());
        }
    }
    if *head.method() == Method::HEAD {
        // It says what a GET would bring (RFC 9110 §9.3.2), and that is asked for without.
        drop_ignored_cookies(&mut headers, rule);
        ask_as_keyed(&mut headers, head, rule);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(head.scheme));
    if let Some(peer) = peer {
        let before = headers.get_all(X_FORWARDED_FOR).iter();
        let before = before.filter_map(|value| value.to_str().ok());
        let mut chain = String::with_capacity(LONG_ADDRESS);
        for address in before {
            chain.push_str(address);
            chain.push_str(", ");
        }
        push_address(&mut chain, peer);
        headers.insert(X_FORWARDED_FOR, text(&chain));
    }
    headers.append(header::VIA, HeaderValue::from_static("1.1 tagalong"));
    let capability = HeaderValue::from_static(policy::CAPABILITY);
    headers.append(SURROGATE_CAPABILITY, capability);

    let mut request = Request::new(body);
    *request.method_mut() = head.method().clone();
    *request.uri_mut() = target(&head.parts.uri).into();
    *request.headers_mut() = headers;
    request
}

/// What is asked for, as the client wrote it. An absolute URI may have a query and no path (RFC 9110 §4.2.3): that of `/` is meant, and
/// looked up.
fn target(uri: &Uri) -> PathAndQuery {
    let target = uri.path_and_query();
    let query = target.and_then(|it| it.as_str().strip_prefix('?'));
    let of_root = query.and_then(|query| format!("/?{query}").parse().ok());
    of_root
        .or_else(|| target.cloned())
        .unwrap_or(PathAndQuery::from_static("/"))
}

/// The request for a response that is to be stored: whole, asked for without conditions, and, where the rule ignores
/// cookies, without any: what the app answers is for everyone (L12). Of a field that the rule normalises it says what the
/// key holds.
pub(super) fn for_fill(head: &Head, rule: &Rule, peer: Option<IpAddr>) -> Request<Body> {
    let body = head.read.as_ref().map(|read| read.body.clone().into());
    let mut request = for_upstream(head, rule, peer, body.unwrap_or_default());
    drop_where(request.headers_mut(), |name| CONDITIONS.contains(name));
    drop_ignored_cookies(request.headers_mut(), rule);
    ask_as_keyed(request.headers_mut(), head, rule);
    request
}

/// What the key holds of a field is all that the app sees of it: else what one client says would be stored for others.
fn ask_as_keyed(headers: &mut HeaderMap, head: &Head, rule: &Rule) {
    for field in &*rule.terms.asked_as {
        // Servers that fold `_` into `-` would read it, too.
        drop_where(headers, |name| reads_as(name.as_str(), field.name.as_str()));
        let value = field.value(head.headers());
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_bytes(&value)) {
            headers.insert(&field.name, value);
        }
    }
}

/// Whether a server that folds `_` into `-` takes one name for the other.
fn reads_as(name: &str, other: &str) -> bool {
    let folded = name
        .bytes()
        .map(|byte| if byte == b'_' { b'-' } else { byte });
    name.len() == other.len() && folded.eq(other.bytes())
}

/// Drops the fields with such names: the few that a request has are looked at, not the many that it might have.
fn drop_where(headers: &mut HeaderMap, is_dropped: impl Fn(&HeaderName) -> bool) {
    let dropped = headers.keys().filter(|name| is_dropped(name));
    let dropped: Vec<HeaderName> = dropped.cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
}

fn drop_ignored_cookies(headers: &mut HeaderMap, rule: &Rule) {
    if rule.terms.cookies == Cookies::Ignore {
        drop_where(headers, |name| COOKIES.contains(name));
    }
}

/// Adds it as it is written; the short way for most of them.
fn push_address(chain: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (n, octet) in address.octets().into_iter().enumerate() {
                if n > 0 {
                    chain.push('.');
                }
                chain.push_str(itoa::Buffer::new().format(octet));
            }
        }
        IpAddr::V6(address) => chain.push_str(&address.to_string()),
    }
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}
