//! How long a response is fresh, and how old it arrives (RFC 9111 §4.2, rules.md §4).

use std::time::Duration;

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::model::time::Timestamp;
use crate::policy::Times;
use crate::policy::directives::Control;
use crate::rules::Terms;

/// How long the response is fresh, counted from when it was of age zero; `None` if nothing says so.
///
/// In this order: `s-maxage`, `max-age`, `Expires` (the last not beside a targeted field), the rule's `ttl`, a tenth of
/// the time since `Last-Modified`; the rule's `max_ttl` caps them all.
pub(super) fn lifetime(
    control: &Control,
    response: &Parts,
    terms: &Terms,
    received: Timestamp,
) -> Option<Duration> {
    let said = &control.directives;
    let date = date(&response.headers, received);
    let explicit = said.s_maxage.or(said.max_age).or_else(|| {
        let expires = (!control.targeted).then(|| expires(&response.headers))??;
        Some(expires.since(date))
    });
    // RFC 9111 §4.2.2: for other statuses nobody may guess.
    let may_guess = cacheable_by_default(response.status) || said.public;
    let guess = || {
        let modified = only(&response.headers, &LAST_MODIFIED).and_then(http_date)?;
        (modified < date).then(|| date.since(modified) / 10)
    };
    let implied = || may_guess.then(|| terms.ttl.or_else(guess))?;
    let lifetime = explicit.or_else(implied)?;
    Some(lifetime.min(terms.max_ttl))
}

/// The age of a response on arrival: RFC 9111 §4.2.3, `corrected_initial_age`.
pub(super) fn initial_age(headers: &HeaderMap, times: Times) -> Duration {
    // A date has whole seconds, so what is less than one says nothing.
    let apparent = times.received.since(date(headers, times.received));
    let apparent = Duration::from_secs(apparent.as_secs());
    let delay = times.received.since(times.sent);
    apparent.max(age(headers).saturating_add(delay))
}

/// `Date`; without a valid one the time of arrival (RFC 9110 §6.6.1).
fn date(headers: &HeaderMap, received: Timestamp) -> Timestamp {
    let date = only(headers, &DATE).and_then(http_date);
    date.unwrap_or(received)
}

/// `Age`: of several members the first counts, an invalid one is ignored (RFC 9111 §5.1).
fn age(headers: &HeaderMap) -> Duration {
    let seconds = || {
        let line = headers.get(AGE)?.to_str().ok()?;
        let first = line.split(',').next()?.trim();
        let digits = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
        // RFC 9111 §1.2.2: whatever is too great is 2^31 seconds.
        digits.then(|| first.parse::<u64>().unwrap_or(u64::MAX).min(1 << 31))
    };
    Duration::from_secs(seconds().unwrap_or_default())
}

/// `Expires`; an invalid one, `0` above all, is long past, and so are several that differ (RFC 9111 §4.2.1, §5.3).
fn expires(headers: &HeaderMap) -> Option<Timestamp> {
    let first = headers.get(EXPIRES)?;
    let agree = headers.get_all(EXPIRES).iter().all(|line| line == first);
    let at = agree.then(|| http_date(first)).flatten();
    Some(at.unwrap_or_default())
}

/// The value of a field that stands once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// A date in one of the three forms of RFC 9110 §5.6.7.
pub(super) fn http_date(value: &HeaderValue) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    Some(date.into())
}

/// The statuses that are cacheable without being told so (RFC 9110 §15.1).
fn cacheable_by_default(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW: u64 = 784_111_777;

    fn response(status: u16, fields: &[(&'static str, &str)]) -> Parts {
        let mut response = http::Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn rfc9111_4_2_1_where_the_lifetime_comes_from() {
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 09:49:37 GMT";
        let earlier = "Sat, 05 Nov 1994 08:49:37 GMT";
        let cc = |value| ("cache-control", value);
        let cdn = |value| ("cdn-cache-control", value);
        let expires = ("expires", later);
        let date = ("date", now);
        let modified = ("last-modified", earlier);
        for (name, status, ttl, fields, expected) in [
            ("nothing", 200, None, &[][..], None),
            (
                "s-maxage over max-age",
                200,
                None,
                &[cc("max-age=9, s-maxage=5")],
                Some(5),
            ),
            (
                "max-age over Expires",
                200,
                None,
                &[cc("max-age=9"), expires],
                Some(9),
            ),
            (
                "malformed max-age over Expires",
                200,
                None,
                &[cc("max-age=x"), expires],
                Some(0),
            ),
            (
                "Expires less Date",
                200,
                None,
                &[expires, ("date", earlier)],
                Some(25 * HOUR),
            ),
            (
                "Expires, no Date: less the arrival",
                200,
                None,
                &[expires],
                Some(HOUR),
            ),
            (
                "Expires, invalid Date: less the arrival",
                200,
                None,
                &[expires, ("date", "x")],
                Some(HOUR),
            ),
            (
                "Expires before Date",
                200,
                None,
                &[date, ("expires", earlier)],
                Some(0),
            ),
            ("Expires: 0", 200, None, &[date, ("expires", "0")], Some(0)),
            (
                "Expires, RFC 850",
                200,
                None,
                &[date, ("expires", "Sunday, 06-Nov-94 09:49:37 GMT")],
                Some(HOUR),
            ),
            (
                "Expires, asctime",
                200,
                None,
                &[date, ("expires", "Sun Nov  6 09:49:37 1994")],
                Some(HOUR),
            ),
            (
                "Expires twice alike",
                200,
                None,
                &[date, expires, expires],
                Some(HOUR),
            ),
            (
                "Expires twice, differing",
                200,
                None,
                &[date, expires, ("expires", now)],
                Some(0),
            ),
            (
                "targeted over Cache-Control",
                200,
                None,
                &[cdn("max-age=3"), cc("max-age=9")],
                Some(3),
            ),
            (
                "targeted: Expires counts for nothing",
                200,
                None,
                &[cdn("public"), expires],
                None,
            ),
            (
                "the response over the rule",
                200,
                Some(7),
                &[cc("max-age=9")],
                Some(9),
            ),
            (
                "Expires over the rule",
                200,
                Some(7),
                &[date, expires],
                Some(HOUR),
            ),
            ("the rule when nothing is said", 200, Some(7), &[], Some(7)),
            (
                "the rule over the heuristic",
                200,
                Some(7),
                &[date, modified],
                Some(7),
            ),
            (
                "the rule says zero",
                200,
                Some(0),
                &[date, modified],
                Some(0),
            ),
            ("the rule, 404", 404, Some(7), &[], Some(7)),
            ("the rule, 500: not its business", 500, Some(7), &[], None),
            (
                "the rule, 500 and public",
                500,
                Some(7),
                &[cc("public")],
                Some(7),
            ),
            ("500 that says so", 500, None, &[cc("max-age=9")], Some(9)),
            (
                "§4.2.2 a tenth of the time since",
                200,
                None,
                &[date, modified],
                Some(24 * HOUR / 10),
            ),
            (
                "§4.2.2 not for every status",
                302,
                None,
                &[date, modified],
                None,
            ),
            (
                "§4.2.2 unless public",
                302,
                None,
                &[date, modified, cc("public")],
                Some(24 * HOUR / 10),
            ),
            (
                "§4.2.2 modified in the future",
                200,
                None,
                &[date, ("last-modified", later)],
                None,
            ),
            (
                "§4.2.2 no date",
                200,
                None,
                &[date, ("last-modified", "yesterday")],
                None,
            ),
            (
                "capped",
                200,
                None,
                &[cc("max-age=99999999")],
                Some(7 * 24 * HOUR),
            ),
            (
                "the rule's is capped",
                200,
                Some(99_999_999),
                &[],
                Some(7 * 24 * HOUR),
            ),
        ] {
            let terms = Terms {
                ttl: ttl.map(Duration::from_secs),
                ..Terms::default()
            };
            let response = response(status, fields);
            let control = Control::of(
                &response.headers,
                &[HeaderName::from_static("cdn-cache-control")],
            );
            let got = lifetime(&control, &response, &terms, Timestamp::from_secs(NOW));
            assert_eq!(got, expected.map(Duration::from_secs), "{name}");
        }
    }

    #[test]
    fn rfc9111_4_2_3_the_age_on_arrival() {
        for (name, fields, delay, expected) in [
            ("none", &[][..], 0, 0),
            ("the delay", &[], 2, 2),
            ("Age", &[("age", "50")], 0, 50),
            ("Age and the delay", &[("age", "50")], 2, 52),
            (
                "apparent",
                &[("date", "Sun, 06 Nov 1994 08:48:37 GMT")],
                2,
                60,
            ),
            (
                "the greater of both",
                &[("date", "Sun, 06 Nov 1994 08:48:37 GMT"), ("age", "70")],
                2,
                72,
            ),
            (
                "Date in the future",
                &[("date", "Sun, 06 Nov 1994 09:48:37 GMT")],
                2,
                2,
            ),
            ("Date invalid", &[("date", "now")], 2, 2),
            ("§5.1 the first of a list", &[("age", "50, 90")], 0, 50),
            (
                "§5.1 the first of several lines",
                &[("age", "50"), ("age", "90")],
                0,
                50,
            ),
            ("§5.1 not a number", &[("age", "abc")], 0, 0),
            ("§5.1 negative", &[("age", "-5")], 0, 0),
            ("§5.1 fraction", &[("age", "5.5")], 0, 0),
            (
                "§1.2.2 too great",
                &[("age", "99999999999999999999")],
                0,
                1 << 31,
            ),
        ] {
            let times = Times {
                sent: Timestamp::from_secs(NOW - delay),
                received: Timestamp::from_secs(NOW),
            };
            let age = initial_age(&response(200, fields).headers, times);
            assert_eq!(age, Duration::from_secs(expected), "{name}");
        }
    }
}
