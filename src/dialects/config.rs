//! Which fields are read, by which grammar: the `headers` section of the configuration (rules.md §1).

use http::HeaderName;
use thiserror::Error;

/// The names of the fields, in the order in which they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Fields that tag a response.
    pub tags: Vec<Field>,
    /// Fields that increment tags.
    pub increments: Vec<Field>,
    /// Fields that report changes of attributes.
    pub changes: Vec<HeaderName>,
    /// Fields that select a variant beyond `Vary`.
    pub vary: Vec<HeaderName>,
    /// Targeted cache control fields (RFC 9213), the strongest first.
    pub targeted: Vec<HeaderName>,
    /// Whom a group of RFC 9875 belongs to.
    pub groups: Groups,
    /// Whether the fields stay on responses to clients.
    pub expose: bool,
}

/// A field that holds tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: HeaderName,
    /// What separates its tags; `None`: what is usual for a field of that name, and for an unknown one the grammar of
    /// `Cache-Tag` and `Cache-Tag-Increment`.
    pub separator: Option<Separator>,
}

impl From<HeaderName> for Field {
    fn from(name: HeaderName) -> Field {
        Field {
            name,
            separator: None,
        }
    }
}

/// What separates the tags of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Separator(char);

/// Why a character separates no tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a separator is one ASCII punctuation mark, or a space")]
pub struct NotASeparator;

impl TryFrom<char> for Separator {
    type Error = NotASeparator;

    fn try_from(c: char) -> Result<Separator, NotASeparator> {
        if c.is_ascii_punctuation() || c == ' ' {
            Ok(Separator(c))
        } else {
            Err(NotASeparator)
        }
    }
}

impl Separator {
    pub(super) const COMMA: Separator = Separator(',');
    pub(super) const SPACE: Separator = Separator(' ');

    /// Whether this byte ends a tag. A space stands for any white space, and for a comma too: no tag holds one, and it
    /// is what joins several lines of a field on the way (RFC 9110 §5.3).
    pub(super) fn splits(self, byte: u8) -> bool {
        match self.0 {
            ' ' => byte.is_ascii_whitespace() || byte == b',',
            c => u32::from(byte) == u32::from(c),
        }
    }
}

/// Whom a group of RFC 9875 belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Groups {
    /// To the origin of the request, as the RFC says (§2.1).
    #[default]
    Origin,
    /// To all: group and tag names are one.
    Shared,
}

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// Comma-separated tags with parameters: `Cache-Tag`, `Cache-Tag-Increment`.
    Annotated,
    /// Tags and nothing else.
    Plain(Separator),
    /// A structured list of strings (RFC 9875).
    Groups,
    /// `X-LiteSpeed-Purge`.
    LiteSpeedPurge,
}

impl Grammar {
    pub(super) fn of(field: &Field) -> Grammar {
        if let Some(separator) = field.separator {
            return Grammar::Plain(separator);
        }
        match field.name.as_str() {
            "cache-groups" | "cache-group-invalidation" => Grammar::Groups,
            "surrogate-key" | "xkey" => Grammar::Plain(Separator::SPACE),
            "edge-cache-tag" | "x-magento-tags" | "x-litespeed-tag" => {
                Grammar::Plain(Separator::COMMA)
            }
            "x-litespeed-purge" => Grammar::LiteSpeedPurge,
            _ => Grammar::Annotated,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        fn names<T: From<HeaderName>, const N: usize>(names: [&'static str; N]) -> Vec<T> {
            let names = names.into_iter().map(HeaderName::from_static);
            names.map(T::from).collect()
        }
        Config {
            tags: names([
                "cache-tag",
                "cache-groups",
                "surrogate-key",
                "edge-cache-tag",
                "xkey",
                "x-magento-tags",
                "x-litespeed-tag",
            ]),
            increments: names([
                "cache-tag-increment",
                "cache-group-invalidation",
                "x-litespeed-purge",
            ]),
            changes: names(["cache-tag-change"]),
            vary: names(["x-litespeed-vary"]),
            targeted: names([
                "tagalong-cache-control",
                "cdn-cache-control",
                "surrogate-control",
                "x-litespeed-cache-control",
            ]),
            groups: Groups::Origin,
            expose: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_is_a_punctuation_mark_or_a_space() {
        for (c, expected) in [
            (',', true),
            ('|', true),
            ('/', true),
            (' ', true),
            ('a', false),
            ('7', false),
            ('\n', false),
            ('·', false),
        ] {
            assert_eq!(Separator::try_from(c).is_ok(), expected, "{c:?}");
        }
    }
}
