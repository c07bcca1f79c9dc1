//! What the log of a namespace says: which tags changed, what was purged by pattern, which fetch for all has ended.
//!
//! A record is a list of fields and values:
//!
//! | field | value |
//! |---|---|
//! | `n`, `p` | its stamp; the stamp of the record before it, so that a gap shows |
//! | `b` | who asked, such as `POST /users/42`; at most 200 bytes |
//! | `h`, `s` | a tag that was incremented: hard, soft |
//! | `a`, then `v` | the version that the app gives a tag; the tag |
//! | `m` | a glob: everything whose logical key matches is forgotten; or, after a NUL, which no logical key has, a composed key, the variant under which it lies and its logical key, with spaces between: that one response is |
//! | `d` | the fetch of this variant has ended |
//! | `g` | the first record of a generation: its name |
//!
//! A field that this version does not know may stand for a change that it cannot make, and so may those that it knows where they
//! stand otherwise than here: the record is not understood, and whoever follows the log treats it as a gap.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number: the version that the tags have since.
    pub stamp: Stamp,
    /// That of the record before it.
    pub previous: Stamp,
    /// Who asked.
    pub by: Arc<str>,
    /// What has happened; `None`: it is not understood.
    pub what: Option<What>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Tags have changed.
    Changed(Vec<(Tag, Change)>),
    /// Everything is forgotten whose logical key matches, or one response, as it is written.
    Purged(Box<str>),
    /// The fetch for all of what lies under this variant, in hexadecimal digits, has ended.
    Ended(Box<str>),
    /// A generation begins.
    Begun,
}

/// How a tag changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is incremented.
    Hard,
    /// It is incremented, and what carries it may be served while one refresher works.
    Soft,
    /// The app gives it this version, higher than any before.
    Version(i64),
}

impl Record {
    /// Reads a record of its fields and values; `None` if it has not even a stamp.
    pub fn read(fields: &[Vec<u8>]) -> Option<Record> {
        let texts: Option<Vec<&str>> = fields
            .iter()
            .map(|it| std::str::from_utf8(it).ok())
            .collect();
        let texts = texts?;
        let (pairs, rest) = texts.as_chunks::<2>();
        let mut record = Record {
            stamp: Stamp::NEVER,
            previous: Stamp::NEVER,
            by: "".into(),
            what: None,
        };
        let mut changes = Vec::new();
        let mut happened = Vec::new();
        let mut version: Option<i64> = None;
        let mut understood = rest.is_empty();
        for &[name, value] in pairs {
            match name {
                "n" => record.stamp = Stamp::from_raw(value.parse().ok()?),
                "p" => record.previous = Stamp::from_raw(value.parse().ok()?),
                "b" => record.by = legible(value).into(),
                "h" => changes.push((Tag::from_stored(value).ok()?, Change::Hard)),
                "s" => changes.push((Tag::from_stored(value).ok()?, Change::Soft)),
                "a" => understood &= version.replace(value.parse().ok()?).is_none(),
                "v" => changes.push((
                    Tag::from_stored(value).ok()?,
                    Change::Version(version.take()?),
                )),
                "m" if is_glob(value) || OneResponse::parse(value).is_some() => {
                    happened.push(What::Purged(value.into()))
                }
                "d" => happened.push(What::Ended(value.into())),
                "g" => happened.push(What::Begun),
                _ => understood = false,
            }
        }
        if !changes.is_empty() {
            happened.push(What::Changed(changes));
        }
        understood &= version.is_none() && happened.len() == 1;
        record.what = happened.pop().filter(|_| understood);
        (record.stamp != Stamp::NEVER).then_some(record)
    }
}

/// One response, as it is named in place of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneResponse {
    /// Its identity.
    pub key: ComposedKey,
    /// Under which it lies, here and in all other sidecars.
    pub variant: Variant,
    /// Its logical key.
    pub logical: Arc<str>,
}

/// What a text begins with that is no glob: logical keys have no control characters, so such a glob would match nothing.
const ONE: char = '\0';

impl OneResponse {
    /// Reads what [`Display`](fmt::Display) has written.
    pub fn parse(text: &str) -> Option<OneResponse> {
        let (key, rest) = text.strip_prefix(ONE)?.split_once(' ')?;
        let (variant, logical) = rest.split_once(' ')?;
        Some(OneResponse {
            key: ComposedKey::from_hex(key)?,
            variant: Variant::from_hex(variant)?,
            logical: logical.into(),
        })
    }
}

impl fmt::Display for OneResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OneResponse {
            key,
            variant,
            logical,
        } = self;
        write!(f, "{ONE}{key} {variant} {logical}")
    }
}

/// Whether others would take such a text for a glob.
pub fn is_glob(text: &str) -> bool {
    !text.starts_with(ONE)
}

/// More of a name than this is told to nobody, in bytes.
const LONGEST_NAME: usize = 200;

/// A name of who asked as it is told to others, and taken from them: short, and without what moves a cursor.
pub(super) fn legible(by: &str) -> Cow<'_, str> {
    let short = by.get(..by.floor_char_boundary(LONGEST_NAME));
    let short = short.unwrap_or_default();
    match short.contains(char::is_control) {
        true => short.chars().filter(|c| !c.is_control()).collect(),
        false => Cow::Borrowed(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Record> {
        let fields: Vec<_> = text.split('|').map(|it| it.as_bytes().to_vec()).collect();
        Record::read(&fields)
    }

    fn tag(text: &str) -> Tag {
        Tag::from_stored(text).unwrap()
    }

    #[test]
    fn records_say_what_has_changed() {
        let record = read("n|7|p|5|b|POST /x|h|User:42|s|~all|a|-3|v|Row:1").unwrap();
        let expected = Record {
            stamp: Stamp::from_raw(7),
            previous: Stamp::from_raw(5),
            by: "POST /x".into(),
            what: Some(What::Changed(vec![
                (tag("User:42"), Change::Hard),
                (tag("~all"), Change::Soft),
                (tag("Row:1"), Change::Version(-3)),
            ])),
        };
        assert_eq!(record, expected);
        let one = format!("\0{} {} a=1 b", "0".repeat(32), "f".repeat(32));
        let named = OneResponse::parse(&one).unwrap();
        assert_eq!((&*named.logical, named.to_string()), ("a=1 b", one.clone()));
        for (text, what) in [
            ("n|7|p|5|m|Users:1>*", What::Purged("Users:1>*".into())),
            ("n|7|p|5|d|00ff", What::Ended("00ff".into())),
            ("n|7|p|0|g|abc", What::Begun),
            (
                &format!("n|7|p|5|b|x|m|{one}"),
                What::Purged(one.as_str().into()),
            ),
        ] {
            assert_eq!(read(text).unwrap().what, Some(what), "{text}");
        }
    }

    #[test]
    fn who_asked_is_named_legibly() {
        let long = format!("POST /{}é", "x".repeat(193));
        for (name, by, expected) in [
            (
                "as it is",
                "POST /users/42 (again)",
                "POST /users/42 (again)",
            ),
            (
                "nothing that moves a cursor",
                "POST /\u{1b}[2J\r\nx\u{85}",
                "POST /[2Jx",
            ),
            ("no more than fits", &long, &long[..199]),
        ] {
            let record = read(&format!("n|7|p|5|b|{by}|h|A")).unwrap();
            assert_eq!((&*record.by, &*legible(by)), (expected, expected), "{name}");
        }
    }

    #[test]
    fn what_another_version_says_is_not_taken_for_something_else() {
        for text in [
            "n|7|p|5|b|x",
            "n|7|p|5|h|A|z|whatever",
            "n|7|p|5|h|A|m|*",
            "n|7|p|5|h|A|odd",
            // Fields that are known, where they would say more than is understood.
            "n|7|p|5|m|a*|m|b*",
            "n|7|p|5|m|*|d|00ff",
            "n|7|p|5|d|00ff|m|*",
            "n|7|p|0|g|abc|m|*",
            "n|7|p|5|a|3|h|A",
            "n|7|p|5|a|3|a|4|v|A",
            "n|7|p|5|m|\0whatever",
            "n|7|p|5|m|\0",
        ] {
            assert_eq!(read(text).unwrap().what, None, "{text}");
        }
        for text in [
            "",
            "b|x",
            "n|x|p|5",
            "n|0|p|0|h|A",
            "n|7|p|5|v|A",
            "n|7|p|5|h|",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Record::read(&[vec![0xff]]), None);
    }
}
