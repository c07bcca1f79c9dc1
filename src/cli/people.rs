//! Numbers, sizes and times for people.

use std::time::Duration;

use crate::admin::view::Time;
use crate::clock::Clock;
use crate::model::printable::printable;
use crate::model::time::Timestamp;

/// `12,000`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 tag`, `12,000 tags`.
pub(super) fn many(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ if noun.ends_with('y') => format!("{} {}ies", count(number), noun.trim_end_matches('y')),
        _ => format!("{} {noun}s", count(number)),
    }
}

/// `1.5 KiB`, to two digits or three.
pub(super) fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = number as f64;
    let mut shown = None;
    for unit in units {
        if size < 1_000.0 {
            break;
        }
        size /= 1_024.0;
        shown = Some(unit);
    }
    match shown {
        None => format!("{number} B"),
        Some(unit) if size < 9.95 => format!("{size:.1} {unit}"),
        Some(unit) => format!("{size:.0} {unit}"),
    }
}

/// `250 ms`, `3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`: what is smaller is left out.
pub(super) fn span(span: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = span.as_secs();
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return format!("{} ms", span.as_millis());
    };
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in UNITS.iter().skip(first).take(2) {
        let whole = left / unit;
        left %= unit;
        if whole > 0 {
            parts.push(format!("{whole} {name}"));
        }
    }
    parts.join(" ")
}

/// The same of a number of seconds; nonsense is nothing.
pub(super) fn seconds(number: f64) -> String {
    span(Duration::try_from_secs_f64(number).unwrap_or_default())
}

/// `87.5%`, or nothing of nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => String::new(),
        _ => format!("{:.1}%", part as f64 * 100.0 / whole as f64),
    }
}

/// `2026-11-29 03:04:05Z`; what is no moment is shown as it is.
pub(super) fn moment(time: &Time) -> String {
    match Timestamp::from_rfc3339(&time.0) {
        None => printable(&time.0).into_owned(),
        Some(at) => {
            let exact = at.rfc3339().to_string();
            let (to_the_second, _) = exact.split_once('.').unwrap_or((&exact, ""));
            format!("{}Z", to_the_second.replace('T', " "))
        }
    }
}

/// How long it is until then, or nothing.
pub(super) fn left(until: &Time) -> String {
    let now = Clock::System.now();
    match Timestamp::from_rfc3339(&until.0) {
        Some(until) if until > now => span(until.since(now)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_on_the_eye() {
        for (number, counted, sized) in [
            (0, "0", "0 B"),
            (999, "999", "999 B"),
            (1_000, "1,000", "1.0 KiB"),
            (12_000, "12,000", "12 KiB"),
            (1_048_576, "1,048,576", "1.0 MiB"),
            (268_435_456, "268,435,456", "256 MiB"),
            (u64::MAX, "18,446,744,073,709,551,615", "16 EiB"),
        ] {
            assert_eq!(
                (count(number).as_str(), bytes(number).as_str()),
                (counted, sized)
            );
        }
        assert_eq!(many(1, "tag"), "1 tag");
        assert_eq!(many(0, "entry"), "0 entries");
        assert_eq!((share(7, 8).as_str(), share(0, 0).as_str()), ("87.5%", ""));
    }

    #[test]
    fn times_are_told_to_their_second_unit() {
        for (number, expected) in [
            (0.0, "0 ms"),
            (0.25, "250 ms"),
            (3.9, "3 s"),
            (250.0, "4 min 10 s"),
            (240.0, "4 min"),
            (7_530.0, "2 h 5 min"),
            (86_401.0, "1 d"),
            (273_600.0, "3 d 4 h"),
            (-1.0, "0 ms"),
            (f64::NAN, "0 ms"),
        ] {
            assert_eq!(seconds(number), expected, "{number}");
        }
        let at = Time("2026-11-29T03:04:05.678Z".into());
        assert_eq!(moment(&at), "2026-11-29 03:04:05Z");
        assert_eq!(left(&at), "");
        assert_eq!(moment(&Time("soon".into())), "soon");
    }
}
