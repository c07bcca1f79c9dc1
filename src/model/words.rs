//! Closed sets in which each thing has one word: in a header, a line of the log, a label of a metric.

use std::fmt;

/// One of a closed set, with a word for it.
pub trait Word: Copy + fmt::Debug + Send + Sync + 'static {
    /// All of them, in the order of the type.
    const ALL: &'static [Self];

    /// The word for it.
    fn word(self) -> &'static str;

    /// Its place in `ALL`.
    fn index(self) -> usize;
}

/// Gives each of an enum's variants its word. Named in the order of the enum; one that is left out does not compile.
macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal,)+ }) => {
        impl $type {
            /// The word for it: the `detail` of `Cache-Status` where it is one, the word of the log line, the metric label.
            pub fn word(self) -> &'static str {
                match self {
                    $($type::$variant => $word,)+
                }
            }
        }

        impl $crate::model::words::Word for $type {
            const ALL: &'static [$type] = &[$($type::$variant,)+];

            fn word(self) -> &'static str {
                $type::word(self)
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Kind;
    use crate::model::outcome::NoStore;

    fn in_order<W: Word>() {
        let mut seen = std::collections::BTreeSet::new();
        for (n, it) in W::ALL.iter().enumerate() {
            assert_eq!(it.index(), n, "{it:?}");
            assert!(seen.insert(it.word()), "{it:?} has a word of its own");
        }
    }

    #[test]
    fn words_stand_in_the_order_of_their_type() {
        in_order::<Kind>();
        in_order::<NoStore>();
    }
}
