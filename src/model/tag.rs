//! Tags: the names by which responses are forgotten.

use std::borrow::Borrow;
use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

use arcstr::ArcStr;
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::model::key::BaseKey;

/// The name of what a response depends on: `Name` (global) or `Name:instance`.
///
/// The text is opaque: two tags are the same when their bytes are. A leading `~` marks the implicit tags of the cache
/// itself, which apps and files cannot name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(ArcStr);

/// Why a text is not a tag that an app or a file may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TagError {
    /// There is no name.
    #[error("a tag needs a name")]
    Empty,
    /// It begins with `~`.
    #[error("tags that begin with `~` belong to the cache itself")]
    Reserved,
    /// It holds a separator, white space or a control character.
    #[error("`,`, `;`, `\"`, white space and control characters must be percent-encoded in a tag")]
    Separator,
    /// It is not UTF-8.
    #[error("a tag must be UTF-8")]
    NotUtf8,
}

/// What is longer than this is shortened in a tag of the cache's own, in bytes.
const LONG: usize = 256;

impl Tag {
    /// Reads a tag as an app or a file writes it.
    ///
    /// # Errors
    ///
    /// Says why the text is no tag; see [`TagError`].
    pub fn parse(text: &str) -> Result<Tag, TagError> {
        if text.is_empty() || text.starts_with(':') {
            return Err(TagError::Empty);
        }
        if text.starts_with('~') {
            return Err(TagError::Reserved);
        }
        let splits = |c: char| matches!(c, ',' | ';' | '"') || c.is_whitespace() || c.is_control();
        if text.contains(splits) {
            return Err(TagError::Separator);
        }
        Ok(Tag(text.into()))
    }

    /// Reads a tag back from where [`Tag::as_str`] was written, the cache's own too. What a newer version calls its own is
    /// taken as it is: two tags are the same when their bytes are.
    ///
    /// # Errors
    ///
    /// Says why no tag has this text; see [`TagError`].
    pub fn from_stored(text: &str) -> Result<Tag, TagError> {
        match text.strip_prefix('~') {
            Some("") => Err(TagError::Empty),
            Some(_) => Ok(Tag(text.into())),
            None => Tag::parse(text),
        }
    }

    /// The tag every entry carries: incrementing it forgets everything.
    pub fn all() -> Tag {
        Tag("~all".into())
    }

    /// The tag of every entry of a rule.
    pub fn rule(id: &str) -> Tag {
        Tag(format!("~rule:{id}").into())
    }

    /// The rule whose entries carry this tag, if it is one of [`Tag::rule`].
    pub fn rule_id(&self) -> Option<&str> {
        self.0.strip_prefix("~rule:")
    }

    /// The tag of every entry that was fetched from one absolute URI, whatever its variant. Of a long one the hash stands
    /// for what follows its beginning, so that clients do not choose how large the table of tags becomes.
    pub fn uri(uri: &str) -> Tag {
        Tag::shortened("~uri:", uri)
    }

    /// The URI whose entries carry this tag, if it is one of [`Tag::uri`] that says all of it.
    pub fn whole_uri(&self) -> Option<&str> {
        let uri = self.0.strip_prefix("~uri:")?;
        (uri.len() <= LONG).then_some(uri)
    }

    /// The tag of every entry under one base key.
    pub fn base(key: BaseKey) -> Tag {
        Tag(format!("~base:{key}").into())
    }

    /// The tag of the entries whose key is a field of this one: of `Book:1` for the key `Book:1>owner`.
    pub fn key(parent: &str) -> Tag {
        Tag::shortened("~key:", parent)
    }

    /// The tag of one of the app's own values, which a call keeps under this name.
    pub fn object(name: &str) -> Tag {
        Tag::shortened("~object:", name)
    }

    /// Whether hardly any entry has it but those under one key: it is one of [`Tag::uri`], [`Tag::base`] or [`Tag::object`].
    pub fn is_of_one_key(&self) -> bool {
        let kinds = ["~uri:", "~base:", "~object:"];
        kinds.iter().any(|kind| self.0.starts_with(kind))
    }

    /// Whether every response carries it, or every one of a rule.
    pub fn is_of_rules(&self) -> bool {
        *self == Tag::all() || self.0.starts_with("~rule:")
    }

    /// Whether it is one of [`Tag::object`].
    pub fn is_of_object(&self) -> bool {
        self.0.starts_with("~object:")
    }

    /// The tag of a group of one origin (RFC 9875 §2.1: groups do not cross origins). Colons of the name are encoded: the
    /// group `8080:a` of one port is not the group `a` of another (L7).
    pub fn group(origin: &str, name: &str) -> Tag {
        let name = Tag::encode(name).to_string().replace(':', "%3A");
        Tag(format!("~group:{origin}:{name}").into())
    }

    /// The tag of the entries of a rule whose attributes have these values (rules.md §6), such as
    /// `~dim:foos:attr1=1,attr2`; `None`: the entry has none, and `,` is encoded in values. Without any attribute: of the
    /// entries whose attributes nobody knows. Of a long one the hash stands for what follows its beginning, as in
    /// [`Tag::uri`].
    pub fn dimension(rule: &str, values: &[(&str, Option<&str>)]) -> Tag {
        // A colon of the rule is encoded too: where the values begin is the same for everyone (L7).
        let rule = Tag::encode(rule).to_string().replace(':', "%3A");
        let value = |(name, value): &(&str, Option<&str>)| match value {
            Some(value) => format!("{name}={}", Tag::encode(value)),
            None => (*name).to_owned(),
        };
        let values: Vec<String> = values.iter().map(value).collect();
        Tag::shortened("~dim:", &format!("{rule}:{}", values.join(",")))
    }

    /// A tag of the cache's own.
    fn shortened(kind: &str, text: &str) -> Tag {
        match text.split_at_checked(text.floor_char_boundary(LONG)) {
            Some((beginning, rest)) if !rest.is_empty() => Tag(format!(
                "{kind}{beginning}…{}",
                blake3::hash(text.as_bytes()).to_hex()
            )
            .into()),
            _ => Tag(format!("{kind}{text}").into()),
        }
    }

    /// What others know it by, who are told that it was incremented: tags of apps and rules as they are, groups of an origin
    /// by their name alone, and [`Tag::all`]. `None`: others know nothing of it. A group whose name begins with `~` is none of
    /// the cache's own tags: that is percent-encoded.
    pub fn known_as(&self) -> Option<Arc<str>> {
        if !self.is_implicit() || *self == Tag::all() {
            return Some(self.as_str().into());
        }
        // Colons of the name are encoded.
        let (_, name) = self.0.strip_prefix("~group:")?.rsplit_once(':')?;
        let name = percent_decode_str(name).decode_utf8_lossy();
        let name = match name.strip_prefix('~') {
            Some(rest) => format!("%7E{rest}").into(),
            None => name,
        };
        (!name.is_empty()).then(|| name.into())
    }

    /// Whether this is one of the cache's own tags.
    pub fn is_implicit(&self) -> bool {
        self.0.starts_with('~')
    }

    /// `value` as it stands in the instance of a tag, so that it stays one tag in every dialect: `, ; " % @`, white
    /// space and control characters percent-encoded (rules.md §3), everything else as it is.
    pub fn encode(value: &str) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            for c in value.chars() {
                if matches!(c, ',' | ';' | '"' | '%' | '@') || c.is_whitespace() || c.is_control() {
                    let mut bytes = [0; 4];
                    for byte in c.encode_utf8(&mut bytes).bytes() {
                        write!(f, "%{byte:02X}")?;
                    }
                } else {
                    f.write_char(c)?;
                }
            }
            Ok(())
        })
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A tag as a response carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: Tag,
    /// The app's own version of it (`;v=7`), for apps that count themselves.
    pub version: Option<i64>,
}

impl From<Tag> for Tagged {
    fn from(tag: Tag) -> Tagged {
        Tagged { tag, version: None }
    }
}

/// The longest that a second increment may be put off: readers of an app do not lag behind for days, and what waits is
/// held in memory.
pub const LONGEST_AGAIN: std::time::Duration = std::time::Duration::from_secs(86_400);

/// A wish to give a tag a new version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment {
    /// The tag.
    pub tag: Tag,
    /// Old responses may be served while one refresher works.
    pub soft: bool,
    /// A second increment this much later.
    pub again: Option<std::time::Duration>,
}

impl From<Tag> for Increment {
    fn from(tag: Tag) -> Increment {
        Increment {
            tag,
            soft: false,
            again: None,
        }
    }
}

/// How many tags, and how many bytes of them, one response may carry and still be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagLimits {
    /// The most tags, implicit ones not counted.
    pub max_tags: usize,
    /// The most bytes of all tags together, implicit ones not counted.
    pub max_tag_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_is_a_name_with_an_optional_instance() {
        for (name, text, expected) in [
            ("global", "Dashboard", Ok("Dashboard")),
            ("instance", "User:42", Ok("User:42")),
            ("empty instance", "User:", Ok("User:")),
            ("several colons", "U:1:Role:a", Ok("U:1:Role:a")),
            ("slash", "books/list", Ok("books/list")),
            ("unicode", "Café:ü", Ok("Café:ü")),
            ("encoded comma", "User:%2C", Ok("User:%2C")),
            ("empty", "", Err(TagError::Empty)),
            ("no name", ":42", Err(TagError::Empty)),
            ("implicit", "~all", Err(TagError::Reserved)),
            ("comma", "a,b", Err(TagError::Separator)),
            ("space", "a b", Err(TagError::Separator)),
            ("quote", "a\"b", Err(TagError::Separator)),
            ("newline", "a\nb", Err(TagError::Separator)),
            ("nul", "a\0b", Err(TagError::Separator)),
        ] {
            let parsed = Tag::parse(text);
            assert_eq!(
                parsed.as_ref().map(Tag::as_str),
                expected.as_ref().copied(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_stored_tag_is_read_back_and_nothing_else_is() {
        let values = [("attr1", Some("1, \"2\"")), ("attr2", None)];
        for tag in [
            Tag::parse("User:42").unwrap(),
            Tag::all(),
            Tag::rule("a rule"),
            Tag::uri("http://a/b?c=d,e;f"),
            Tag::uri(&"x".repeat(300)),
            Tag::base(crate::model::key::KeyFields::new().base_key()),
            Tag::key("Book:1, 2"),
            Tag::group("http://[::1]:8080", "a b"),
            Tag::dimension("foos", &values),
        ] {
            assert_eq!(Tag::from_stored(tag.as_str()), Ok(tag));
        }
        for (text, expected) in [
            ("", TagError::Empty),
            ("~", TagError::Empty),
            (":42", TagError::Empty),
            ("a,b", TagError::Separator),
            ("a b", TagError::Separator),
        ] {
            assert_eq!(Tag::from_stored(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn long_uris_have_short_tags_that_differ() {
        let uri = |end: &str| Tag::uri(&format!("http://a/{}{end}", "é".repeat(60_000)));
        assert_ne!(uri("1"), uri("2"));
        assert!(uri("1").as_str().len() < 400);
        assert_eq!(Tag::uri("http://a/b").as_str(), "~uri:http://a/b");
        assert_eq!(Tag::uri("http://a/b").whole_uri(), Some("http://a/b"));
        assert_eq!(uri("1").whole_uri(), None);
        let just = format!("http://a/{}", "x".repeat(LONG - 9));
        assert_eq!(Tag::uri(&just).whole_uri(), Some(&*just));
        assert_eq!(Tag::uri(&format!("{just}x")).whole_uri(), None);
        assert_eq!(Tag::rule("a").rule_id(), Some("a"));
        assert_eq!(Tag::rule("a").whole_uri(), None);
        assert_eq!(Tag::uri("http://a/b").rule_id(), None);
    }

    #[test]
    fn rfc9875_2_1_a_group_of_one_origin_is_none_of_another() {
        for (one, other) in [
            (("http://a", "x"), ("https://a", "x")),
            (("http://a", "x"), ("http://a:8080", "x")),
            (("http://a", "8080:x"), ("http://a:8080", "x")),
            (("http://a", ":8080:x"), ("http://a:8080", ":x")),
            (("http://[::1]", "x"), ("http://[:", ":1]:x")),
            (("http://a", "x:y"), ("http://a", "x%3Ay")),
        ] {
            assert_ne!(Tag::group(one.0, one.1), Tag::group(other.0, other.1));
        }
    }

    #[test]
    fn others_are_told_names_that_they_know() {
        let group = |name: &str| Tag::group("http://[::1]:8080", name);
        for (tag, expected) in [
            (Tag::parse("User:42").unwrap(), Some("User:42")),
            (Tag::all(), Some("~all")),
            (Tag::rule("books"), None),
            (Tag::uri("http://a/b"), None),
            (
                Tag::base(crate::model::key::KeyFields::new().base_key()),
                None,
            ),
            (Tag::dimension("foos", &[("a", Some("1"))]), None),
            (group("books"), Some("books")),
            (group("a:b, 50%3A"), Some("a:b, 50%3A")),
            (group("~all"), Some("%7Eall")),
            (group(""), None),
        ] {
            assert_eq!(tag.known_as().as_deref(), expected, "{tag}");
        }
    }

    /// A rule, and attributes with their values.
    type Dimension = (String, Vec<(String, Option<String>)>);

    fn dimension() -> impl Strategy<Value = Dimension> {
        let value = proptest::option::of("[a=,:%~…]{0,3}|x{300}|x{299}y");
        let values = proptest::collection::btree_map("[ab.]{1,2}", value, 0..3);
        ("[a:,=%…]{1,3}", values).prop_map(|(rule, values)| (rule, values.into_iter().collect()))
    }

    fn tag_of((rule, values): &Dimension) -> Tag {
        let values: Vec<_> = values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        Tag::dimension(rule, &values)
    }

    proptest! {
        #[test]
        fn l07_other_attributes_or_values_have_another_tag(one in dimension(), other in dimension()) {
            prop_assert_eq!(one == other, tag_of(&one) == tag_of(&other));
            prop_assert!(tag_of(&one).as_str().len() < 400);
        }
    }

    #[test]
    fn an_attribute_without_a_value_has_not_the_empty_one() {
        let tag = |values: &[(&str, Option<&str>)]| Tag::dimension("foos", values).to_string();
        assert_eq!(tag(&[("a", Some("1")), ("b", None)]), "~dim:foos:a=1,b");
        assert_eq!(tag(&[("a", Some(""))]), "~dim:foos:a=");
        assert_eq!(tag(&[("a", Some("x,b"))]), "~dim:foos:a=x%2Cb");
        assert_eq!(tag(&[]), "~dim:foos:");
    }

    #[test]
    fn what_separates_tags_is_encoded_in_an_instance() {
        for (value, expected) in [
            ("42", "42"),
            ("a,b", "a%2Cb"),
            ("%2C", "%252C"),
            ("a b;c@d\"", "a%20b%3Bc%40d%22"),
            ("tab\t", "tab%09"),
            ("Café", "Café"),
            ("wide\u{3000}space", "wide%E3%80%80space"),
        ] {
            assert_eq!(Tag::encode(value).to_string(), expected);
        }
    }
}
