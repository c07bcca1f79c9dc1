//! Moments and spans, as plain numbers: nothing here reads a clock.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment: microseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// One more than these, so that no moment takes no room of its own.
    micros_and_one: NonZeroU64,
}

impl Timestamp {
    /// The moment this many microseconds after the Unix epoch.
    pub const fn from_micros(micros: u64) -> Timestamp {
        let micros_and_one = NonZeroU64::MIN.saturating_add(micros);
        Timestamp { micros_and_one }
    }

    /// The moment this many seconds after the Unix epoch.
    pub const fn from_secs(secs: u64) -> Timestamp {
        Timestamp::from_micros(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.micros_and_one.get() - 1
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.as_micros() / 1_000_000
    }

    /// As RFC 3339 has it, in UTC and to the millisecond: `2026-11-29T03:04:05.678Z`.
    pub fn rfc3339(self) -> impl fmt::Display {
        let (days, second) = (self.as_secs() / 86_400, self.as_secs() % 86_400);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let milli = self.as_micros() / 1_000 % 1_000;
        let (year, month, day) = civil(days);
        fmt::from_fn(move |f| {
            write!(
                f,
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
            )
        })
    }

    /// Reads what [`Timestamp::rfc3339`] writes, with or without a fraction of a second; `None`: it is something else, or before
    /// the epoch.
    pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(time, ':')?;
        let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && year < 10_000;
        if !fits || hour > 23 || minute > 59 || second > 60 || fraction.len() > 9 {
            return None;
        }
        let days = days_since_epoch(year, month, day)?;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        let [fraction] = numbers(&format!("{fraction:0<6.6}"), '.')?;
        Some(Timestamp::from_micros(seconds * 1_000_000 + fraction))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.as_micros().saturating_sub(earlier.as_micros()))
    }
}

impl Default for Timestamp {
    /// The Unix epoch.
    fn default() -> Timestamp {
        Timestamp::from_micros(0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.as_micros()).finish()
    }
}

impl From<SystemTime> for Timestamp {
    /// A moment before the epoch becomes the epoch.
    fn from(time: SystemTime) -> Timestamp {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(at.as_micros())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    /// Saturates at the end of time.
    fn add(self, span: Duration) -> Timestamp {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Timestamp::from_micros(self.as_micros().saturating_add(micros))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    /// Saturates at the epoch.
    fn sub(self, span: Duration) -> Timestamp {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Timestamp::from_micros(self.as_micros().saturating_sub(micros))
    }
}

impl fmt::Display for Timestamp {
    /// An HTTP date, for people and for header fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        httpdate::HttpDate::from(SystemTime::from(*self)).fmt(f)
    }
}

/// Year, month and day so many days after 1970-01-01, by the Gregorian calendar. Years begin with March here: the day that
/// is there every four years is their last one.
fn civil(days: u64) -> (u64, u64, u64) {
    const FOUR_CENTURIES: u64 = 146_097;
    let days = days + 719_468; // since 0000-03-01
    let (era, day) = (days / FOUR_CENTURIES, days % FOUR_CENTURIES);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // March is 0
    let day = day - (153 * month + 2) / 5 + 1;
    let year = year + era * 400;
    match month {
        0..10 => (year, month + 3, day),
        _ => (year + 1, month - 9, day),
    }
}

/// The inverse of [`civil`]; `None`: before the epoch.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    // January and February are of the year before here.
    let (year, month) = match month {
        ..=2 => (year.checked_sub(1)?, month + 9),
        _ => (year, month - 3),
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

/// So many numbers, written with digits alone.
fn numbers<const N: usize>(text: &str, between: char) -> Option<[u64; N]> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| part.parse().ok().filter(|_| digits(part));
    let all: Option<Vec<u64>> = text.split(between).map(number).collect();
    all?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_the_date_that_http_says() {
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (2_000_000_000_123_456, "2033-05-18T03:33:20.123Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(at.rfc3339().to_string(), expected);
        }
        // Every day of four centuries, against another's calendar.
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        for day in 0..146_097 {
            let at = Timestamp::from_secs(day * 86_400 + 1);
            let (http, ours) = (at.to_string(), at.rfc3339().to_string());
            let month = MONTHS.find(&http[8..11]).unwrap() / 3 + 1;
            let expected = format!("{}-{month:02}-{}", &http[12..16], &http[5..7]);
            assert_eq!(ours[..10], expected, "{http}");
            assert_eq!(Timestamp::from_rfc3339(&ours), Some(at), "{ours}");
        }
    }

    #[test]
    fn rfc3339_is_read_as_it_is_written() {
        for (text, expected) in [
            ("2033-05-18T03:33:20.123Z", Some(2_000_000_000_123_000)),
            ("2033-05-18T03:33:20Z", Some(2_000_000_000_000_000)),
            ("2033-05-18T03:33:20.5Z", Some(2_000_000_000_500_000)),
            ("1970-01-01T00:00:00.000001999Z", Some(1)),
            ("1969-12-31T23:59:59Z", None),
            ("0000-01-01T00:00:00Z", None),
            ("2033-13-18T03:33:20Z", None),
            ("2033-05-18T24:33:20Z", None),
            ("2033-05-18T03:33:20+00:00", None),
            ("2033-05-18 03:33:20Z", None),
            ("2033-05-18T03:33Z", None),
            ("+2033-05-18T03:33:20Z", None),
            ("2033-05-18T03:33:20.ü23Z", None),
            ("99999999999999999999-05-18T03:33:20Z", None),
            ("18446744073709551615-05-18T03:33:20Z", None),
            ("", None),
        ] {
            let expected = expected.map(Timestamp::from_micros);
            assert_eq!(Timestamp::from_rfc3339(text), expected, "{text}");
        }
    }
}
