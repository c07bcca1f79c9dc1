//! What the store says of tags.

use crate::model::stamp::Stamp;

/// The highest epoch there can be: 2⁵³ - 1. Scripts have no exact numbers beyond.
pub const HIGHEST_EPOCH: u64 = (1 << 53) - 1;

/// The state of a tag in the store: `<current> <incremented> <hard> <app's version, or ->`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagState {
    /// Its version: the stamp of its last change, or with which it became known.
    pub current: Stamp,
    /// Its last increment.
    pub incremented: Stamp,
    /// Its last change that was not a soft increment.
    pub hard: Stamp,
    /// The highest version that the app itself gave.
    pub app: Option<i64>,
}

impl TagState {
    /// `None` if it is not what our scripts write.
    pub fn parse(text: &[u8]) -> Option<TagState> {
        let mut parts = std::str::from_utf8(text).ok()?.split(' ');
        let mut stamp = || parts.next()?.parse().ok().map(Stamp::from_raw);
        let (current, incremented, hard) = (stamp()?, stamp()?, stamp()?);
        let app = match parts.next()? {
            "-" => None,
            version => Some(version.parse().ok()?),
        };
        let state = TagState {
            current,
            incremented,
            hard,
            app,
        };
        parts.next().is_none().then_some(state)
    }
}

/// What one look at the store has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The last stamp given.
    pub last: Stamp,
    /// The stamp of the last record of the log.
    pub logged: Stamp,
    /// The highest epoch ever set.
    pub epoch: u64,
    /// The tags asked for, in order; `None`: the store knows nothing of it.
    pub tags: Vec<Option<TagState>>,
}

/// The last stamp given and that of the last record: `<last> <logged> <pattern>`.
pub fn sequence(text: &[u8]) -> Option<(Stamp, Stamp)> {
    let mut parts = std::str::from_utf8(text).ok()?.split(' ');
    let mut stamp = || parts.next()?.parse().ok().map(Stamp::from_raw);
    Some((stamp()?, stamp()?))
}

/// The epoch; zero, which is less than any, if the store has lost it.
pub fn epoch(text: Option<&[u8]>) -> u64 {
    let text = text.and_then(|it| std::str::from_utf8(it).ok());
    let epoch = text.and_then(|it| it.parse().ok());
    epoch.filter(|it| *it <= HIGHEST_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_write_is_read_and_nothing_else() {
        let stamp = Stamp::from_raw;
        for (text, expected) in [
            ("9 5 3 -", Some((9, 5, 3, None))),
            ("9 5 3 -7", Some((9, 5, 3, Some(-7)))),
            ("9 5 3 12", Some((9, 5, 3, Some(12)))),
            ("", None),
            ("9 5 3", None),
            ("9 5 3 x", None),
            ("9 5 3 - more", None),
            ("-1 5 3 -", None),
        ] {
            let expected = expected.map(|(current, incremented, hard, app)| TagState {
                current: stamp(current),
                incremented: stamp(incremented),
                hard: stamp(hard),
                app,
            });
            assert_eq!(TagState::parse(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(sequence(b"7 5 3"), Some((stamp(7), stamp(5))));
        assert_eq!(sequence(b"7"), None);
        for (text, expected) in [
            (Some(&b"7"[..]), 7),
            (Some(b"9007199254740991"), HIGHEST_EPOCH),
            (Some(b"9007199254740992"), 0),
            (Some(b"-1"), 0),
            (Some(b"x"), 0),
            (None, 0),
        ] {
            assert_eq!(epoch(text), expected, "{text:?}");
        }
    }
}
