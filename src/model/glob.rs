//! Patterns with `*`, for names: `utm_*`, `*.shop.example`.

/// A pattern in which each `*` stands for any run of characters, the empty one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Box<str>>);

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Glob {
        Glob(pattern.split('*').map(Into::into).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
