//! Request fields as they come from the client: what belongs to its connection stays behind.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::policy;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The scheme the client used: what the proxy in front of us says of it, as the key holds the scheme, or else our own.
pub(super) fn scheme(headers: &HeaderMap, own: &'static str) -> &'static str {
    match headers.get(X_FORWARDED_PROTO).map(HeaderValue::as_bytes) {
        Some(b"https") => "https",
        Some(b"http") => "http",
        _ => own,
    }
}

/// Leaves what is meant for more than the client's connection (RFC 9110 §7.6.1). It comes before anything is decided
/// from the fields: else what `Connection` lists would count here and be missing at the app. `upgrades`: the request asks
/// for another protocol, and those two fields say so.
pub(super) fn keep_end_to_end(headers: &mut HeaderMap, upgrades: bool) {
    let protocol = headers.get(header::UPGRADE).filter(|_| upgrades).cloned();
    policy::drop_hop_by_hop(headers);
    if let Some(protocol) = protocol {
        headers.insert(header::UPGRADE, protocol);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}
