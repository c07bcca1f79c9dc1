//! Request fields as they come from the client: what belongs to its connection stays behind.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

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

/// Counts one server off the way of a request that asks about the way (RFC 9110 §7.6.2). Whether this is the last one on it, which answers.
pub(super) fn is_last_hop(method: &Method, headers: &mut HeaderMap) -> bool {
    if *method != Method::TRACE && *method != Method::OPTIONS {
        return false;
    }
    let left = headers.get(header::MAX_FORWARDS).and_then(|left| {
        let digits = left.to_str().ok()?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| is_number)
    });
    match left.map(|left| left.checked_sub(1)) {
        None => false, // as far as it goes
        Some(None) => true,
        Some(Some(left)) => {
            headers.insert(header::MAX_FORWARDS, left.into());
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_about_the_way_goes_as_far_as_it_says() {
        for (method, says, is_last, passed_on) in [
            (Method::OPTIONS, Some("3"), false, Some("2")),
            (Method::TRACE, Some("1"), false, Some("0")),
            (Method::OPTIONS, Some("0"), true, Some("0")),
            (Method::TRACE, Some("00"), true, Some("00")),
            (Method::OPTIONS, None, false, None),
            (Method::OPTIONS, Some("-1"), false, Some("-1")),
            (Method::OPTIONS, Some("+0"), false, Some("+0")),
            (Method::OPTIONS, Some("many"), false, Some("many")),
            (Method::GET, Some("0"), false, Some("0")),
            (Method::POST, Some("7"), false, Some("7")),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(says) = says {
                headers.insert(header::MAX_FORWARDS, HeaderValue::from_static(says));
            }
            assert_eq!(
                is_last_hop(&method, &mut headers),
                is_last,
                "{method} {says:?}"
            );
            let after = headers.get(header::MAX_FORWARDS);
            assert_eq!(
                after.map(HeaderValue::as_bytes),
                passed_on.map(str::as_bytes),
                "{method} {says:?}"
            );
        }
    }
}
