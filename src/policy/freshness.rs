//! How long a response is fresh, how old it arrives, and how it may be used when it is stale (RFC 9111 §4.2, rules.md §4).

use std::time::Duration;

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::response::Parts;
use http::{HeaderMap, StatusCode};

use crate::model::entry::StaleUse;
use crate::model::fields::Lines;
use crate::model::outcome::NoStore;
use crate::model::time::Timestamp;
use crate::policy::Times;
use crate::policy::directives::Control;
use crate::policy::directives::Scope;
use crate::policy::members::seconds;
use crate::rules::StatusTtl;
use crate::rules::Terms;

/// How long after it has expired a response may be served while the app cannot be reached, where neither it nor its rule
/// says anything of failures (RFC 9111 §4.2.4).
const DISCONNECTED_GRACE: Duration = Duration::from_secs(300);

/// The life of a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// Its age on arrival.
    pub(super) age: Duration,
    /// How long it is fresh, counted from when it was of age zero; zero: the app is asked each time.
    pub(super) lifetime: Duration,
    /// What it is good for after that.
    pub(super) stale: StaleUse,
}

/// The life of a response, if it is worth storing: it is fresh, or may be used stale, or the app can be asked whether it
/// is still right, for it `has_validator`.
///
/// # Errors
///
/// `NoFreshness` where nothing is said of its life, `AlreadyExpired` where that is over, `TooSlow` where it would not be if
/// the app had answered at once.
pub(super) fn life(
    control: &Control,
    response: &Parts,
    terms: &Terms,
    times: Times,
    has_validator: bool,
) -> Result<Life, NoStore> {
    if let Some(ttl) = forced(control, response.status, terms) {
        return Ok(forced_life(ttl, control, response, terms, times));
    }
    let said = explicit(control, response, times.received);
    let lifetime = lifetime(control, response, terms, times.received);
    let reason = match lifetime {
        None => NoStore::NoFreshness,
        Some(_) => NoStore::AlreadyExpired,
    };
    // RFC 9111 §3. A lifetime of zero is what a malformed one is read as, so it allows nothing.
    let says_so = said.is_some_and(|lifetime| !lifetime.is_zero());
    if !says_so && !may_imply(control, response.status, terms) {
        return Err(reason);
    }
    let mut life = match initial_age(&response.headers, times) {
        Some(age) if control.directives.no_cache != Scope::Everywhere => Life {
            age,
            lifetime: lifetime.unwrap_or_default(),
            stale: stale_use(control, terms),
        },
        // Without an age that can be relied on, nothing says how stale it is.
        age => Life {
            age: age.unwrap_or_default(),
            lifetime: Duration::ZERO,
            stale: StaleUse {
                forbidden: true,
                ..StaleUse::default()
            },
        },
    };
    // A window follows a lifetime: one that is given, or one of zero that is not just how something else is read.
    let directives = &control.directives;
    let zero = !directives.malformed && directives.s_maxage.or(directives.max_age).is_some();
    let has_lifetime = zero || lifetime.is_some_and(|lifetime| !lifetime.is_zero());
    if !has_lifetime {
        life.stale.while_revalidate = Duration::ZERO;
    }
    let window = life.stale.while_revalidate.max(life.stale.if_error);
    let end = life.lifetime.saturating_add(window);
    let over = !has_lifetime || life.age >= end;
    if !over || has_validator {
        return Ok(life);
    }
    let delay = times.received.since(times.sent);
    let is_slow = has_lifetime && life.age.saturating_sub(delay) < end;
    Err(if is_slow { NoStore::TooSlow } else { reason })
}

/// The life that the rule gives a response whatever that says, if it gives one: to those that its `ttl` would be for. A
/// status that `statuses` gives a time of its own keeps to that.
fn forced(control: &Control, status: StatusCode, terms: &Terms) -> Option<Duration> {
    let forced = terms.forced_ttl?;
    let applies = match terms.statuses.ttl(status) {
        Some(StatusTtl::Inherit) => true,
        Some(StatusTtl::For(_)) => false,
        None => may_guess(control, status),
    };
    applies.then(|| forced.min(terms.max_ttl))
}

/// It counts from when the response arrived, however old that says it is.
fn forced_life(
    ttl: Duration,
    control: &Control,
    response: &Parts,
    terms: &Terms,
    times: Times,
) -> Life {
    let age = initial_age(&response.headers, times).unwrap_or_default();
    Life {
        age,
        lifetime: age.saturating_add(ttl),
        stale: stale_use(control, terms),
    }
}

/// How long the response is fresh, counted from when it was of age zero; `None` if nothing says so.
///
/// In this order: what it says itself, the rule's `statuses`, the rule's `ttl`, a tenth of the time since `Last-Modified`;
/// the rule's `max_ttl` caps them all.
fn lifetime(
    control: &Control,
    response: &Parts,
    terms: &Terms,
    received: Timestamp,
) -> Option<Duration> {
    let guess = || {
        let date = date(&response.headers, received);
        let modified = last_modified(&response.headers)?;
        (modified < date).then(|| date.since(modified) / 10)
    };
    let implied = || match terms.statuses.ttl(response.status) {
        Some(StatusTtl::For(ttl)) => Some(ttl),
        Some(StatusTtl::Inherit) => terms.ttl.or_else(guess),
        None => may_guess(control, response.status).then(|| terms.ttl.or_else(guess))?,
    };
    let lifetime = explicit(control, response, received).or_else(implied)?;
    Some(lifetime.min(terms.max_ttl))
}

/// How long the response itself says that it is fresh: `s-maxage`, `max-age`, `Expires` (the last not beside a targeted
/// field).
pub(super) fn explicit(
    control: &Control,
    response: &Parts,
    received: Timestamp,
) -> Option<Duration> {
    let said = &control.directives;
    said.s_maxage.or(said.max_age).or_else(|| {
        let expires = (!control.targeted).then(|| expires(&response.headers))??;
        Some(expires.since(date(&response.headers, received)))
    })
}

/// Whether a response that does not say how long it is fresh may be stored: the rule says so of its status, or it may be
/// guessed; and the rule does not say zero.
fn may_imply(control: &Control, status: StatusCode, terms: &Terms) -> bool {
    let by_rule = terms.ttl != Some(Duration::ZERO);
    match terms.statuses.ttl(status) {
        Some(StatusTtl::For(ttl)) => !ttl.is_zero(),
        Some(StatusTtl::Inherit) => by_rule,
        None => by_rule && may_guess(control, status),
    }
}

/// Whether a response that does not say how long it is fresh may be stored, and its lifetime guessed: RFC 9111 §3 and
/// §4.2.2, which leave that to no other status.
fn may_guess(control: &Control, status: StatusCode) -> bool {
    cacheable_by_default(status) || control.directives.public
}

/// How the response may be used after its lifetime.
///
/// `s-maxage` forbids it as `proxy-revalidate` does (RFC 9111 §5.2.2.10), but where the same response also names a window
/// (RFC 5861), it means that window. Nothing else does away with a ban, and a rule's windows are for responses that say
/// nothing. The rule's `max_ttl` caps windows too (L10).
fn stale_use(control: &Control, terms: &Terms) -> StaleUse {
    let said = &control.directives;
    let named = |window: Option<Duration>| window.unwrap_or_default().min(terms.max_ttl);
    let banned =
        said.must_revalidate || said.proxy_revalidate || said.no_cache == Scope::Everywhere;
    if banned {
        return StaleUse {
            forbidden: true,
            ..StaleUse::default()
        };
    }
    if said.s_maxage.is_some() {
        return StaleUse {
            forbidden: true,
            while_revalidate: named(said.stale_while_revalidate),
            if_error: named(said.stale_if_error),
            if_disconnected: named(said.stale_if_error),
        };
    }
    let while_revalidate = said.stale_while_revalidate.or(terms.stale_while_revalidate);
    let if_error = said.stale_if_error.or(terms.stale_if_error);
    StaleUse {
        forbidden: false,
        while_revalidate: named(while_revalidate),
        if_error: named(if_error),
        if_disconnected: named(if_error.or(Some(DISCONNECTED_GRACE))),
    }
}

/// The age of a response on arrival: RFC 9111 §4.2.3, `corrected_initial_age`; `None` if its `Age` says nothing that can
/// be relied on.
fn initial_age(headers: &HeaderMap, times: Times) -> Option<Duration> {
    // A date has whole seconds, so what is less than one says nothing.
    let apparent = times.received.since(date(headers, times.received));
    let apparent = Duration::from_secs(apparent.as_secs());
    let delay = times.received.since(times.sent);
    Some(apparent.max(age(headers)?.saturating_add(delay)))
}

/// `Last-Modified`, if it stands once and is a date.
pub(super) fn last_modified(headers: &HeaderMap) -> Option<Timestamp> {
    headers.only(&LAST_MODIFIED).and_then(http_date)
}

/// `Date`; without a valid one the time of arrival (RFC 9110 §6.6.1).
fn date(headers: &HeaderMap, received: Timestamp) -> Timestamp {
    let date = headers.only(&DATE).and_then(http_date);
    date.unwrap_or(received)
}

/// `Age`; zero if it is not there, `None` if it is invalid.
///
/// RFC 9111 §5.1 lets a recipient use the first of several members, and §4.2.1 encourages it to take a response with
/// invalid freshness information for stale. The line between the two is drawn where caches are tested for it: digits
/// and commas alone, the first member there. So `0,7200` is used, while `0, 0` and two lines (which are the same, RFC 9110
/// §5.3) are not. No reason but agreement makes a blank matter; too strict only asks the app once more.
fn age(headers: &HeaderMap) -> Option<Duration> {
    let lines: Vec<&[u8]> = headers.get_all(AGE).iter().map(AsRef::as_ref).collect();
    if lines.is_empty() {
        return Some(Duration::ZERO);
    }
    let value = lines.join(&b", "[..]);
    if !value
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b',')
    {
        return None;
    }
    seconds(value.split(|byte| *byte == b',').next()?)
}

/// `Expires`; an invalid one, `0` above all, is long past, and so are several that differ (RFC 9111 §4.2.1, §5.3).
fn expires(headers: &HeaderMap) -> Option<Timestamp> {
    let first = headers.get(EXPIRES)?;
    let agree = headers.get_all(EXPIRES).iter().all(|line| line == first);
    let at = agree.then(|| http_date(first.as_bytes())).flatten();
    Some(at.unwrap_or_default())
}

/// A date in one of the three forms of RFC 9110 §5.6.7.
pub(super) fn http_date(value: &[u8]) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()?;
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
    use http::HeaderName;

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
            ("none", &[][..], 0, Some(0)),
            ("the delay", &[], 2, Some(2)),
            ("Age", &[("age", "50")], 0, Some(50)),
            ("Age and the delay", &[("age", "50")], 2, Some(52)),
            (
                "apparent",
                &[("date", "Sun, 06 Nov 1994 08:48:37 GMT")],
                2,
                Some(60),
            ),
            (
                "the greater of both",
                &[("date", "Sun, 06 Nov 1994 08:48:37 GMT"), ("age", "70")],
                2,
                Some(72),
            ),
            (
                "Date in the future",
                &[("date", "Sun, 06 Nov 1994 09:48:37 GMT")],
                2,
                Some(2),
            ),
            ("Date invalid", &[("date", "now")], 2, Some(2)),
            ("§5.1 the first of a list", &[("age", "50,90")], 0, Some(50)),
            ("§5.1 and nothing more", &[("age", "0,")], 0, Some(0)),
            ("§4.2.1 a list with a blank", &[("age", "0, 0")], 0, None),
            (
                "RFC 9110 §5.3 several lines",
                &[("age", "0"), ("age", "0")],
                0,
                None,
            ),
            ("§4.2.1 an empty first", &[("age", ",50")], 0, None),
            ("§4.2.1 empty", &[("age", "")], 0, None),
            ("§4.2.1 not a number", &[("age", "abc")], 0, None),
            ("§4.2.1 negative", &[("age", "-5")], 0, None),
            ("§4.2.1 a sign", &[("age", "+5")], 0, None),
            ("§4.2.1 fraction", &[("age", "5.5")], 0, None),
            ("§4.2.1 a parameter", &[("age", "5;a=1")], 0, None),
            ("§4.2.1 a later one is none", &[("age", "5,x")], 0, None),
            (
                "§1.2.2 too great",
                &[("age", "99999999999999999999")],
                0,
                Some(1 << 31),
            ),
        ] {
            let times = Times {
                sent: Timestamp::from_secs(NOW - delay),
                received: Timestamp::from_secs(NOW),
            };
            let age = initial_age(&response(200, fields).headers, times);
            assert_eq!(age, expected.map(Duration::from_secs), "{name}");
        }
    }

    #[test]
    fn rfc9111_4_2_4_and_rfc5861_how_a_stale_response_may_be_used() {
        let grace = DISCONNECTED_GRACE.as_secs();
        let rule = (Some(7), Some(8));
        let none = (None, None);
        let cc = |value| ("cache-control", value);
        let cdn = |value| ("cdn-cache-control", value);
        // While it is revalidated, if the app fails, if it cannot be reached; `None`: forbidden.
        for (name, rule, fields, expected) in [
            (
                "§4.2.4 nothing said",
                none,
                &[cc("max-age=1")][..],
                Some((0, 0, grace)),
            ),
            ("the rule", rule, &[cc("max-age=1")], Some((7, 8, 8))),
            ("the rule, zero", (None, Some(0)), &[], Some((0, 0, 0))),
            (
                "RFC 5861 §3",
                none,
                &[cc("stale-while-revalidate=5")],
                Some((5, 0, grace)),
            ),
            (
                "RFC 5861 §4",
                none,
                &[cc("stale-if-error=5")],
                Some((0, 5, 5)),
            ),
            (
                "the response over the rule",
                rule,
                &[cc("stale-while-revalidate=5, stale-if-error=6")],
                Some((5, 6, 6)),
            ),
            (
                "RFC 5861 malformed: none, whatever the rule says",
                rule,
                &[cc("stale-while-revalidate=x, stale-if-error")],
                Some((0, 0, 0)),
            ),
            ("§5.2.2.2", rule, &[cc("must-revalidate")], None),
            ("§5.2.2.2 malformed", rule, &[cc("must-revalidate=1")], None),
            ("§5.2.2.8", rule, &[cc("proxy-revalidate")], None),
            ("§5.2.2.10", rule, &[cc("s-maxage=1")], None),
            ("§5.2.2.10 malformed", rule, &[cc("s-maxage=x")], None),
            ("§5.2.2.4", rule, &[cc("no-cache")], None),
            (
                "§5.2.2.4 qualified",
                rule,
                &[cc("no-cache=\"a\"")],
                Some((7, 8, 8)),
            ),
            (
                "§5.2.2.10 beside RFC 5861 §3",
                rule,
                &[cc("s-maxage=1, stale-while-revalidate=5")],
                Some((5, 0, 0)),
            ),
            (
                "§5.2.2.10 beside RFC 5861 §4",
                rule,
                &[cc("s-maxage=1, stale-if-error=5")],
                Some((0, 5, 5)),
            ),
            (
                "§5.2.2.10 beside a malformed window",
                rule,
                &[cc("s-maxage=1, stale-if-error=x")],
                None,
            ),
            (
                "§5.2.2.10 beside a window of zero",
                rule,
                &[cc("s-maxage=1, stale-while-revalidate=0")],
                None,
            ),
            (
                "§5.2.2.2 over RFC 5861",
                none,
                &[cc("must-revalidate, stale-while-revalidate=5")],
                None,
            ),
            (
                "§5.2.2.8 over RFC 5861",
                none,
                &[cc("proxy-revalidate, s-maxage=1, stale-if-error=5")],
                None,
            ),
            (
                "§5.2.2.4 over RFC 5861",
                none,
                &[cc("no-cache, stale-if-error=5")],
                None,
            ),
            (
                "RFC 9213 §2.2 in the field that counts",
                none,
                &[cdn("max-age=1"), cc("must-revalidate, s-maxage=1")],
                Some((0, 0, grace)),
            ),
            (
                "RFC 9213 §2.2 and there",
                rule,
                &[cdn("must-revalidate"), cc("max-age=1")],
                None,
            ),
        ] {
            let terms = Terms {
                stale_while_revalidate: rule.0.map(Duration::from_secs),
                stale_if_error: rule.1.map(Duration::from_secs),
                ..Terms::default()
            };
            let headers = response(200, fields).headers;
            let control = Control::of(&headers, &[HeaderName::from_static("cdn-cache-control")]);
            let expected = match expected {
                None => StaleUse {
                    forbidden: true,
                    ..StaleUse::default()
                },
                Some((revalidate, error, disconnected)) => StaleUse {
                    forbidden: control.directives.s_maxage.is_some(),
                    while_revalidate: Duration::from_secs(revalidate),
                    if_error: Duration::from_secs(error),
                    if_disconnected: Duration::from_secs(disconnected),
                },
            };
            assert_eq!(stale_use(&control, &terms), expected, "{name}");
        }
    }

    #[test]
    fn l10_a_window_is_no_longer_than_the_longest_life() {
        let fields = [(
            "cache-control",
            "max-age=1, stale-while-revalidate=99999999, stale-if-error=99999999",
        )];
        let control = Control::of(&response(200, &fields).headers, &[]);
        let terms = Terms {
            max_ttl: Duration::from_secs(60),
            ..Terms::default()
        };
        let stale = stale_use(&control, &terms);
        assert_eq!(stale.while_revalidate, terms.max_ttl);
        assert_eq!(stale.if_error, terms.max_ttl);
        assert_eq!(stale.if_disconnected, terms.max_ttl);
    }
}
