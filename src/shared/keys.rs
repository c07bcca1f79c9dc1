//! The names of everything that a namespace has in the store.
//!
//! ```text
//! tagalong:{shop}:gen            "<generation> <server>"        which history this is, and whose
//! tagalong:{shop}:seq            "<last> <logged> <pattern>"    the last stamp given; that of the last record; of the last pattern
//! tagalong:{shop}:log            stream of records
//! tagalong:{shop}:epoch          the highest epoch ever set
//! tagalong:{shop}:audit          stream of what operators have done
//! tagalong:{shop}:tag:<tag>      "<current> <incremented> <hard> <app's version, or ->"
//! tagalong:{shop}:lease:<hex>    who fetches what, for all sidecars
//! tagalong:{shop}:awaited:<hex>  whether somebody waits for that
//! tagalong:1:shop:v:<hex>        what lies under a variant
//! tagalong:1:shop:c:<hex>        a response, under its composed key
//! ```
//!
//! What is in braces decides which node of a Cluster has a key: all that one script touches is together, responses are
//! spread. The number is the format of entries; those of another format are not looked at.
//!
//! Two versions of Tagalong share one store while one is rolled out, so these names and what stands under them are for good:
//! scripts come with their version, what they read and write does not. A tag of another form is unknown to an older version, a record
//! of the log of another form makes it forget everything; but a `gen` or `seq` of another form would make it begin a new history each
//! time, and so would the newer one: a version that needs that shares nothing with older ones, under names of its own. Responses of
//! another form have their own version in their bytes (`store/codec`), and keep the number: a purge by pattern through an older
//! version drops what it cannot read under it, and finds nothing under another.

use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::model::tag::Tag;

/// The names of a namespace's keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// `tagalong:{shop}:`.
    together: String,
    /// `tagalong:1:shop:`.
    spread: String,
}

/// What all names of all namespaces match, as a pattern of `SCAN`.
pub(super) const FAMILY: &str = "tagalong:*";

/// The digits of a variant, and of a composed key.
const HEX: usize = 32;

/// The format of stored entries: another number for each that older versions would misread.
const ENTRY_FORMAT: u32 = 1;

impl Keys {
    pub(super) fn new(namespace: &str) -> Keys {
        Keys {
            together: format!("tagalong:{{{namespace}}}:"),
            spread: format!("tagalong:{ENTRY_FORMAT}:{namespace}:"),
        }
    }

    pub(super) fn generation(&self) -> String {
        format!("{}gen", self.together)
    }

    pub(super) fn sequence(&self) -> String {
        format!("{}seq", self.together)
    }

    pub(super) fn log(&self) -> String {
        format!("{}log", self.together)
    }

    pub(super) fn epoch(&self) -> String {
        format!("{}epoch", self.together)
    }

    pub(super) fn audit(&self) -> String {
        format!("{}audit", self.together)
    }

    pub(super) fn tag(&self, tag: &Tag) -> String {
        format!("{}tag:{tag}", self.together)
    }

    pub(super) fn lease(&self, flight: Variant) -> String {
        format!("{}lease:{flight}", self.together)
    }

    /// Whether somebody waits for that.
    pub(super) fn awaited(&self, flight: Variant) -> String {
        format!("{}awaited:{flight}", self.together)
    }

    pub(super) fn variant(&self, variant: Variant) -> String {
        format!("{}v:{variant}", self.spread)
    }

    /// What all [`Keys::variant`], and those of no other namespace, match, as a pattern of `SCAN`.
    pub(super) fn every_variant(&self) -> String {
        let escaped: String = self
            .spread
            .chars()
            .flat_map(|c| {
                let special = matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-');
                special.then_some('\\').into_iter().chain([c])
            })
            .collect();
        format!("{escaped}v:{}", "?".repeat(HEX))
    }

    /// Whether this is the name of a key of this namespace.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        let spread = name.strip_prefix(self.spread.as_bytes());
        let digits =
            spread.and_then(|it| it.strip_prefix(b"v:").or_else(|| it.strip_prefix(b"c:")));
        let is_spread =
            digits.is_some_and(|it| it.len() == HEX && it.iter().all(u8::is_ascii_hexdigit));
        is_spread || name.starts_with(self.together.as_bytes())
    }

    pub(super) fn response(&self, key: ComposedKey) -> String {
        format!("{}c:{key}", self.spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_script_touches_is_on_one_node_and_namespaces_never_meet() {
        let (shop, other) = (Keys::new("shop"), Keys::new("shop:tag"));
        let tag = Tag::parse("User:42").unwrap();
        assert_eq!(shop.tag(&tag), "tagalong:{shop}:tag:User:42");
        let all = |keys: &Keys| {
            [
                keys.generation(),
                keys.sequence(),
                keys.log(),
                keys.epoch(),
                keys.audit(),
                keys.tag(&tag),
            ]
        };
        for key in all(&shop) {
            assert!(key.starts_with("tagalong:{shop}:"), "{key}");
            assert!(!all(&other).contains(&key));
        }
    }

    #[test]
    fn a_namespace_knows_its_own() {
        let (shop, other) = (Keys::new("shop"), Keys::new("shop:v"));
        let base = crate::model::key::KeyFields::new().base_key();
        let variant = base.only_variant();
        let response = variant.composed([].into_iter());
        let tag = Tag::parse("User:42").unwrap();
        for keys in [&shop, &other] {
            let all = [
                keys.generation(),
                keys.audit(),
                keys.tag(&tag),
                keys.lease(variant),
                keys.awaited(variant),
                keys.variant(variant),
                keys.response(response),
            ];
            for name in all {
                assert!(keys.has(name.as_bytes()), "{name}");
                let is_both = shop.has(name.as_bytes()) && other.has(name.as_bytes());
                assert!(!is_both, "{name}");
            }
        }
        for foreign in [
            "",
            "tagalong:",
            "session:1",
            "tagalong:1:shop:",
            "tagalong:1:shop:x:1",
        ] {
            assert!(!shop.has(foreign.as_bytes()), "{foreign}");
        }
    }

    #[test]
    fn a_namespace_is_no_pattern() {
        let keys = Keys::new("a*b[c]");
        let digits = "?".repeat(32);
        assert_eq!(
            keys.every_variant(),
            format!(r"tagalong:1:a\*b\[c\]:v:{digits}")
        );
        let variant = crate::model::key::KeyFields::new()
            .base_key()
            .only_variant();
        let one = Keys::new("shop").every_variant();
        assert_eq!(one.len(), Keys::new("shop").variant(variant).len());
        assert_ne!(one.len(), Keys::new("shop:v").variant(variant).len());
    }
}
