//! One request, spelled in several ways that mean the same: every one is planned alike, so that nobody gets a page of their own, or
//! passes by a rule, by spelling. Of paths that an app may resolve to the same, each has a key of its own, as the app may see a
//! difference, and one rule.
//!
//! The input is that of `plan`.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Uri;
use http::header;
use tagalong::model::key::BaseKey;
use tagalong::model::request::Head;
use tagalong::rules::Plan;

use super::plan;

/// Fields that are lists (RFC 9110 §5.3): on several lines or on one.
static LISTS: [HeaderName; 2] = [header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE];

/// The rule in which the order of parameters counts.
const IN_ORDER: &str = "ignore";

/// What is planned: the rule, and the key or why there is none.
type Told = (Option<Arc<str>>, Result<BaseKey, String>);

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let Some(head) = plan::head(input) else {
        return;
    };
    let planned = told(&head);
    for (how, other) in spellings(&head, planned.0.as_deref()) {
        assert_eq!(told(&other), planned, "{how}: {other:?}, for {head:?}");
    }
    let (rule, key) = planned;
    let why = key.err();
    for (how, other) in detours(&head) {
        let (other_rule, other_key) = told(&other);
        let found = (other_rule, other_key.err());
        assert_eq!(
            found,
            (rule.clone(), why.clone()),
            "{how}: {other:?}, for {head:?}"
        );
    }
}

/// In how many ways an input is spelled.
pub fn ways(input: &[u8]) -> usize {
    plan::head(input).map_or(0, |head| {
        spellings(&head, None).len() + detours(&head).len()
    })
}

fn told(head: &Head) -> Told {
    let plan = plan::planned(head);
    let rule = plan.rule().id.clone();
    match plan {
        Plan::Lookup(query) => (rule, Ok(query.base)),
        Plan::Pass(pass) => (rule, Err(format!("{:?}", pass.why))),
    }
}

fn spellings(head: &Head, rule: Option<&str>) -> Vec<(&'static str, Head)> {
    let mut all = vec![("fields in another order", backwards(head))];
    all.extend(absolute(head).map(|other| ("an absolute target", other)));
    all.extend(host(head, &head.host.to_uppercase()).map(|other| ("a host in capitals", other)));
    all.extend(with_port(head).map(|other| ("the scheme's own port", other)));
    all.extend(on_one_line(head).map(|other| ("lists on one line", other)));
    all.extend(cookies_apart(head).map(|other| ("cookies on lines of their own", other)));
    if rule != Some(IN_ORDER) {
        all.extend(parameters(head).map(|other| ("parameters in another order", other)));
    }
    all
}

/// Paths to the same place (RFC 3986 §5.2.4): what is gone into and left again, and where one stays.
fn detours(head: &Head) -> Vec<(&'static str, Head)> {
    let Some(rest) = head.path().strip_prefix('/') else {
        return Vec::new();
    };
    let ways = [
        ("a folder, and back", format!("/never/../{rest}")),
        ("the same, encoded", format!("/w/%2E%2e/{rest}")),
        ("half encoded", format!("/w/.%2e/{rest}")),
        ("a dot", format!("/./{rest}")),
        ("a dot, encoded", format!("/%2e/{rest}")),
        ("above all", format!("/../{rest}")),
    ];
    let at = |(how, path): (&'static str, String)| Some((how, at_path(head, &path)?));
    ways.into_iter().filter_map(at).collect()
}

fn at_path(head: &Head, path: &str) -> Option<Head> {
    let query = head.query().map(|query| format!("?{query}"));
    let target = format!("{path}{}", query.unwrap_or_default());
    at_target(head, &target)
}

/// The same with this path and query.
fn at_target(head: &Head, target: &str) -> Option<Head> {
    let mut uri = head.parts.uri.clone().into_parts();
    uri.path_and_query = Some(target.parse().ok()?);
    let uri = Uri::from_parts(uri).ok()?;
    other(head, |parts| parts.uri = uri)
}

/// The same with another target and other fields, if it can be said.
fn other(head: &Head, change: impl FnOnce(&mut http::request::Parts)) -> Option<Head> {
    let mut parts = head.parts.clone();
    change(&mut parts);
    Head::new(parts, head.scheme).ok()
}

/// Fields of different names have no order (RFC 9110 §5.3); those of one name keep theirs.
fn backwards(head: &Head) -> Head {
    let mut fields = HeaderMap::new();
    let mut names: Vec<_> = head.headers().keys().collect();
    names.reverse();
    for name in names {
        for value in head.headers().get_all(name) {
            fields.append(name, value.clone());
        }
    }
    other(head, |parts| parts.headers = fields).expect("it has the same host")
}

/// RFC 9112 §3.2.2.
fn absolute(head: &Head) -> Option<Head> {
    if head.parts.uri.authority().is_some() || head.host.is_empty() {
        return None;
    }
    let target = head.parts.uri.path_and_query()?;
    let uri = Uri::builder()
        .scheme(head.scheme)
        .authority(&*head.host)
        .path_and_query(target.clone());
    let uri = uri
        .build()
        .ok()
        .filter(|uri| uri.path_and_query() == Some(target))?;
    other(head, |parts| parts.uri = uri)
}

/// With this in `Host`, where that says which host is meant.
fn host(head: &Head, host: &str) -> Option<Head> {
    if head.parts.uri.authority().is_some() || head.host.is_empty() {
        return None;
    }
    let host = HeaderValue::from_str(host).ok()?;
    other(head, |parts| {
        parts.headers.insert(header::HOST, host);
    })
}

/// RFC 9110 §4.2.3.
fn with_port(head: &Head) -> Option<Head> {
    let port = if head.scheme == "https" { 443 } else { 80 };
    (!head.host.contains(':')).then(|| host(head, &format!("{}:{port}", head.host)))?
}

fn on_one_line(head: &Head) -> Option<Head> {
    let mut fields = head.headers().clone();
    for name in &LISTS {
        let lines: Vec<_> = fields
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        if lines.len() > 1 {
            let line = HeaderValue::from_bytes(&lines.join(&b", "[..])).ok()?;
            fields.insert(name, line);
        }
    }
    other(head, |parts| parts.headers = fields)
}

/// As HTTP/2 allows (RFC 9113 §8.2.3). What is no cookie may be read in many ways, and stands in the key as it came.
fn cookies_apart(head: &Head) -> Option<Head> {
    let mut fields = head.headers().clone();
    let lines: Vec<_> = fields.get_all(header::COOKIE).iter().cloned().collect();
    fields.remove(header::COOKIE);
    for line in lines {
        for cookie in line.to_str().ok()?.split("; ") {
            if !cookie.contains('=') || cookie.contains([';', ',', '"']) {
                return None;
            }
            fields.append(header::COOKIE, HeaderValue::from_str(cookie).ok()?);
        }
    }
    other(head, |parts| parts.headers = fields)
}

/// Parameters of different names, which no rule here but one keeps in order.
fn parameters(head: &Head) -> Option<Head> {
    let query = head.query().filter(|query| !query.contains(';'))?;
    let name = |piece: &str| {
        let name = piece
            .split('=')
            .next()
            .unwrap_or_default()
            .replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&name).decode_utf8();
        decoded.map_or_else(|_| name.clone(), String::from)
    };
    let mut pieces: Vec<_> = query.split('&').collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(name(piece)));
    at_target(head, &format!("{}?{}", head.path(), pieces.join("&")))
}
