//! Patterns with `*`, for names: `utm_*`, `*.shop.example`.

use std::fmt;

/// A pattern in which each `*` stands for any run of characters, the empty one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Box<str>>);

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Glob {
        Glob(pattern.split('*').map(Into::into).collect())
    }

    /// The pattern that has these texts between its stars, whatever they hold.
    pub fn of_parts(parts: Vec<Box<str>>) -> Glob {
        Glob(parts)
    }

    /// Whether whatever matches `other` surely matches this too. It may say no where that is so all the same.
    pub fn covers(&self, other: &Glob) -> bool {
        // What no part of this holds can only be matched by a star of it, and then so can any text in its place.
        const ANY: &str = "\0";
        let clean = |glob: &Glob| glob.parts().all(|part| !part.contains(ANY));
        clean(self) && clean(other) && self.matches(&other.0.join(ANY))
    }

    /// The texts between its stars, in order; one alone if it has no star.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|part| &**part)
    }

    /// The one text that matches, if there is but one.
    pub fn exact(&self) -> Option<&str> {
        match &*self.0 {
            [text] => Some(text),
            _ => None,
        }
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, others)) = self.0.split_first() else {
            return text.is_empty();
        };
        let Some((last, middle)) = others.split_last() else {
            return text == &**first;
        };
        let Some(mut rest) = text
            .strip_prefix(&**first)
            .and_then(|rest| rest.strip_suffix(&**last))
        else {
            return false;
        };
        for part in middle {
            match rest.split_once(&**part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }
}

impl fmt::Display for Glob {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("*"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("gclid", "gclid", true),
            ("gclid", "gclid2", false),
            ("utm_*", "utm_source", true),
            ("utm_*", "utm_", true),
            ("utm_*", "xutm_", false),
            ("*", "", true),
            ("*.shop.example", "a.shop.example", true),
            ("*.shop.example", "evilshop.example", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("aa*aa", "aaa", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(text),
                expected,
                "{pattern} / {text}"
            );
        }
    }

    #[test]
    fn one_pattern_may_cover_another() {
        for (one, other, expected) in [
            ("*", "a*b", true),
            ("*", "", true),
            ("/a/*", "/a/b/*", true),
            ("/a/*", "/a/", true),
            ("/a/*", "/a*", false),
            ("/a/*", "/*", false),
            ("/*/c", "/a/*/c", true),
            ("/a", "/a", true),
            ("/a", "/b", false),
            ("*a*", "a", true),
            ("*a*", "*b*", false),
            ("a*a", "a", false),
        ] {
            let (one_, other_) = (Glob::new(one), Glob::new(other));
            assert_eq!(one_.covers(&other_), expected, "{one} / {other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_covered_matches(
            one in "[ab*]{0,5}",
            other in "[ab*]{0,5}",
            texts in prop::collection::vec("[ab]{0,6}", 20),
        ) {
            let (one, other) = (Glob::new(&one), Glob::new(&other));
            for text in texts.iter().filter(|text| one.covers(&other) && other.matches(text)) {
                prop_assert!(one.matches(text), "{:?} {:?} {}", one, other, text);
            }
        }
    }
}
