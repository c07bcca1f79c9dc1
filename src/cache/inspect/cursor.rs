//! Where a list goes on. Its text is for nobody to read, and whoever makes one up learns nothing and breaks nothing.

use std::fmt;

use crate::cache::inspect::Tier;
use crate::model::key::Variant;
use crate::model::time::Timestamp;
use crate::shared::Scan;

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// When the list began.
    pub(super) began: Timestamp,
    pub(super) place: Place,
}

/// What of the store has been listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Of memory, what lies up to this key.
    Memory(Option<Variant>),
    /// All of memory, and of the shared store what the scan has come past.
    Redis(Scan),
}

impl Cursor {
    /// Where a list of this tier, or of both, begins.
    pub(super) fn begin(tier: Option<Tier>, now: Timestamp) -> Cursor {
        let place = match tier {
            Some(Tier::Redis) => Place::Redis(Scan::default()),
            Some(Tier::Memory) | None => Place::Memory(None),
        };
        Cursor { began: now, place }
    }

    /// Reads what was shown.
    pub(super) fn parse(text: &str) -> Option<Cursor> {
        let (began, place) = text.split_once('-')?;
        let is_number = began.bytes().all(|byte| byte.is_ascii_digit());
        let began = began.parse().ok().filter(|_| is_number)?;
        let place = match place.split_once('-')? {
            ("m", "") => Place::Memory(None),
            ("m", key) => Place::Memory(Some(Variant::from_hex(key)?)),
            ("r", scan) => Place::Redis(Scan::parse(scan)?),
            _ => return None,
        };
        let began = Timestamp::from_micros(began);
        Some(Cursor { began, place })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.began.as_micros())?;
        match self.place {
            Place::Memory(None) => f.write_str("m-"),
            Place::Memory(Some(key)) => write!(f, "m-{key}"),
            Place::Redis(scan) => write!(f, "r-{scan}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::KeyFields;

    #[test]
    fn a_place_is_read_as_it_is_shown_and_nothing_else_is() {
        let key = KeyFields::new().base_key().only_variant();
        for place in [
            Place::Memory(None),
            Place::Memory(Some(key)),
            Place::Redis(Scan::parse("1-7").unwrap()),
        ] {
            let began = Timestamp::from_micros(1_234_567);
            let cursor = Cursor { began, place };
            let text = cursor.to_string();
            assert_eq!(Cursor::parse(&text), Some(cursor), "{text}");
            for end in 0..text.len() {
                let cut = Cursor::parse(&text[..end]);
                assert_ne!(cut, Some(cursor), "{}", &text[..end]);
            }
        }
        for text in [
            "",
            "-",
            "m",
            "1",
            "1-",
            "1-m",
            "1-x-",
            "x-m-",
            "+1-m-",
            "1-m-0",
            "1-r-",
            "1-r-1",
            "1-r-x-y",
            "-m-",
            "1-m-é",
            "18446744073709551616-m-",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
