//! Durations and sizes as people write them.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// What a text that is no duration should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a duration such as `250ms`, `30s`, `5m`, `1h` or `7d`, or a number of seconds")]
pub struct NotADuration;

/// What a text that is no size should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a size such as `64KiB`, `8MiB` or `1GiB`, or a number of bytes")]
pub struct NotASize;

/// Reads `250ms`, `30s`, `5m`, `1h`, `7d`, or a number of seconds, fractions allowed.
///
/// # Errors
///
/// Anything else, negative numbers too.
pub fn duration(text: &str) -> Result<Duration, NotADuration> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(NotADuration),
    };
    let number: f64 = number.parse().map_err(|_| NotADuration)?;
    // Whole microseconds: `0.1` and `100ms` are one duration.
    Duration::try_from_secs_f64(number * seconds)
        .map(|exact| {
            Duration::from_micros(
                exact
                    .as_nanos()
                    .div_ceil(1_000)
                    .try_into()
                    .unwrap_or(u64::MAX),
            )
        })
        .map_err(|_| NotADuration)
}

/// Reads `64KiB`, `8MiB`, `1GiB`, or a whole number of bytes.
///
/// # Errors
///
/// Anything else, and what does not fit this machine.
pub fn size(text: &str) -> Result<usize, NotASize> {
    let (number, unit) = split(text);
    let bytes: usize = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(NotASize),
    };
    let number: usize = number.parse().map_err(|_| NotASize)?;
    number.checked_mul(bytes).ok_or(NotASize)
}

/// A duration as people write it: in the largest unit that divides it, so that [`duration`] reads it back.
#[derive(Clone, Copy, Debug)]
pub struct Written(pub Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
        ];
        match units.iter().find(|(unit, _)| millis.is_multiple_of(*unit)) {
            Some((unit, name)) if millis > 0 => write!(f, "{}{name}", millis / unit),
            Some(_) => f.write_str("0s"),
            None => write!(f, "{millis}ms"),
        }
    }
}

/// A size as people write it: in the largest unit that divides it, so that [`size`] reads it back.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let fits = |power: &u32| self.0.trailing_zeros() >= *power && self.0 > 0;
        match units.iter().find(|(power, _)| fits(power)) {
            Some((power, name)) => write!(f, "{}{name}", self.0 >> power),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// The leading number, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("250ms", Ok(ms(250))),
            ("30s", Ok(ms(30_000))),
            ("30", Ok(ms(30_000))),
            ("0", Ok(ms(0))),
            ("0.5", Ok(ms(500))),
            ("1.5 h", Ok(ms(5_400_000))),
            ("5m", Ok(ms(300_000))),
            ("7d", Ok(ms(604_800_000))),
            ("-1", Err(NotADuration)),
            ("", Err(NotADuration)),
            ("s", Err(NotADuration)),
            ("1w", Err(NotADuration)),
            ("1e3s", Err(NotADuration)),
            ("inf", Err(NotADuration)),
            ("99999999999999999999999d", Err(NotADuration)),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }

    #[test]
    fn a_written_size_reads_back() {
        for text in ["0B", "1B", "1000B", "64KiB", "1536KiB", "8MiB", "3GiB"] {
            assert_eq!(Bytes(size(text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn a_written_duration_reads_back() {
        for text in [
            "0s", "250ms", "1500ms", "30s", "90s", "5m", "1h", "36h", "7d",
        ] {
            let read = duration(text).unwrap();
            assert_eq!(Written(read).to_string(), text);
        }
    }

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("64KiB", Ok(65_536)),
            ("8MiB", Ok(8_388_608)),
            ("1 GiB", Ok(1_073_741_824)),
            ("100", Ok(100)),
            ("1.5MiB", Err(NotASize)),
            ("8MB", Err(NotASize)),
            ("-1", Err(NotASize)),
            ("99999999999999GiB", Err(NotASize)),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
