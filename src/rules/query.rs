//! The query in the key (rules.md §2 `vary_on.query`, K6–K8).
//!
//! A query is the list of its pieces between `&`, kept **as sent**: only names are decoded, to compare them with those
//! of the rule. So `?a`, `?a=`, `?a=0` and no `a` are four keys, and no decoding that an app does differently can make
//! two requests one.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::model::glob::Glob;
use crate::rules::source::{Multi, NormalizeParam, QueryMode};

/// Which parameters are in the key, and how.
#[derive(Clone, Debug)]
pub(super) struct QueryFields {
    pub(super) mode: QueryMode,
    /// The order of different names does not matter; that of one name's values does.
    pub(super) sort: bool,
    pub(super) params: Vec<Param>,
    pub(super) drop: Vec<Glob>,
}

/// A parameter that the rule names.
#[derive(Clone, Debug)]
pub(super) struct Param {
    pub(super) name: Box<str>,
    /// The piece that stands for its absence, `name=default`.
    pub(super) default: Option<Box<str>>,
    /// Which of several count, and in which order.
    pub(super) multi: Multi,
    /// What is left of its values.
    pub(super) normalize: Option<NormalizeParam>,
}

/// What stays as it is in a default: what RFC 3986 calls unreserved.
const IN_DEFAULT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A piece that the key holds, with its decoded name.
type Kept<'q> = (Cow<'q, str>, Cow<'q, str>);

impl Param {
    pub(super) fn new(
        name: &str,
        default: Option<&str>,
        multi: Multi,
        normalize: Option<NormalizeParam>,
    ) -> Param {
        let default = default.map(|value| match normalize {
            Some(NormalizeParam::LowerTrim) => piece(name, &lower_trim(value)),
            None => piece(name, value),
        });
        Param {
            name: name.into(),
            default: default.map(String::into_boxed_str),
            multi,
            normalize,
        }
    }

    /// What the key holds of a piece with this name. What apps may read differently stays as it was sent.
    fn normalized<'q>(&self, piece: &'q str) -> Cow<'q, str> {
        match (self.normalize, piece.split_once('=')) {
            (Some(NormalizeParam::LowerTrim), Some((_, value))) if is_plain(piece) => {
                Cow::Owned(self::piece(&self.name, &lower_trim(&decoded(value))))
            }
            (Some(NormalizeParam::LowerTrim) | None, _) => Cow::Borrowed(piece),
        }
    }

    /// Leaves of the pieces with its name what the rule says of them.
    fn narrow<'q>(&'q self, kept: &mut Vec<Kept<'q>>) {
        // Some apps split at `;`: such a piece may be another parameter.
        let is_mine = |(name, piece): &Kept<'_>| **name == *self.name && !piece.contains(';');
        if self.normalize.is_some() {
            for (_, piece) in kept.iter_mut().filter(|it| is_mine(it)) {
                *piece = Cow::Owned(self.normalized(piece).into_owned());
            }
        }
        match self.multi {
            Multi::Ordered => {}
            Multi::First => {
                let mut seen = false;
                kept.retain(|it| !is_mine(it) || !std::mem::replace(&mut seen, true));
            }
            Multi::Sorted => {
                let mine = kept.iter().filter(|it| is_mine(it));
                let mut sorted: Vec<_> = mine.map(|(_, piece)| piece.clone()).collect();
                sorted.sort_unstable();
                let places = kept.iter_mut().filter(|it| is_mine(it));
                for ((_, piece), next) in places.zip(sorted) {
                    *piece = next;
                }
            }
        }
        if let Some(default) = &self.default
            && !kept.iter().any(|(name, _)| **name == *self.name)
        {
            kept.push((Cow::Borrowed(&self.name), Cow::Borrowed(default)));
        }
    }
}

/// A piece made of a decoded name and value.
fn piece(name: &str, value: &str) -> String {
    let encode = |text| utf8_percent_encode(text, IN_DEFAULT);
    format!("{}={}", encode(name), encode(value))
}

fn lower_trim(value: &str) -> String {
    value.trim().to_lowercase()
}

impl Default for QueryFields {
    fn default() -> QueryFields {
        QueryFields {
            mode: QueryMode::All,
            sort: true,
            params: Vec::new(),
            drop: Vec::new(),
        }
    }
}

impl QueryFields {
    /// What of the query the key holds; `None` if nothing, which differs from an empty query.
    pub(super) fn keyed<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        if self.mode == QueryMode::None {
            return None;
        }
        let everything = self.mode == QueryMode::All && self.params.is_empty();
        if everything && self.drop.is_empty() && !(self.sort && query?.contains('&')) {
            return query.map(Cow::Borrowed);
        }
        let mut kept: Vec<Kept<'_>> = pieces(query)
            .filter(|(name, piece)| self.keeps(name, piece))
            .map(|(name, piece)| (name, Cow::Borrowed(piece)))
            .collect();
        for param in &self.params {
            param.narrow(&mut kept);
        }
        if self.sort {
            // By decoded name and stable: `%61=1&a=2` and `a=2&%61=1` are two values of one name in different order.
            kept.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        (!kept.is_empty()).then(|| {
            let pieces: Vec<&str> = kept.iter().map(|(_, piece)| &**piece).collect();
            Cow::Owned(pieces.join("&"))
        })
    }

    fn keeps(&self, name: &str, piece: &str) -> bool {
        // Some apps split at `;` too: what hides behind one must not leave the key.
        if piece.contains(';') {
            return true;
        }
        let named = || self.params.iter().any(|param| *param.name == *name);
        let chosen = match self.mode {
            QueryMode::All => true,
            QueryMode::Allow => named(),
            QueryMode::Ignore => !named(),
            QueryMode::None => false,
        };
        chosen && !self.drop.iter().any(|glob| glob.matches(name))
    }
}

/// Each piece between `&`, with its decoded name. No query has none; an empty one has one, which is empty.
fn pieces(query: Option<&str>) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|piece| {
            let name = piece.split_once('=').map_or(piece, |(name, _)| name);
            (decoded(name), piece)
        })
}

/// The pieces that an app may read as the parameter `wanted`, as sent: all of them, since apps differ in which counts.
pub(super) fn pieces_of<'q>(
    query: Option<&'q str>,
    wanted: &'q str,
) -> impl Iterator<Item = &'q str> {
    pieces(query)
        .filter(move |(name, piece)| name == wanted || piece.contains(';'))
        .map(|(_, piece)| piece)
}

/// The decoded values of the parameters of this name; empty for `?a` and `?a=`.
pub(super) fn values_of<'q>(
    query: Option<&'q str>,
    wanted: &str,
) -> impl Iterator<Item = Cow<'q, str>> {
    pieces(query)
        .filter(move |(name, _)| name == wanted)
        .map(|(_, piece)| decoded(piece.split_once('=').map_or("", |(_, value)| value)))
}

/// The first of them.
pub(super) fn value_of<'q>(query: Option<&'q str>, wanted: &str) -> Option<Cow<'q, str>> {
    values_of(query, wanted).next()
}

/// Whether every app reads a piece as the same name and value: it is encoded properly, and no `;` splits it.
pub(super) fn is_plain(piece: &str) -> bool {
    !piece.contains(';') && percent_decode_str(piece).decode_utf8().is_ok()
}

/// `text` decoded as forms encode it, `+` for a space. What does not decode to UTF-8 stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Cow::Owned(decoded.into_owned()),
        Err(_) => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn fields(
        mode: QueryMode,
        sort: bool,
        params: &[(&str, Option<&str>)],
        drop: &[&str],
    ) -> QueryFields {
        QueryFields {
            mode,
            sort,
            params: params
                .iter()
                .map(|(name, default)| Param::new(name, *default, Multi::Ordered, None))
                .collect(),
            drop: drop.iter().map(|glob| Glob::new(glob)).collect(),
        }
    }

    #[test]
    fn k6_to_k8_what_of_the_query_is_keyed() {
        use QueryMode::{All, Allow, Ignore, None as Nothing};
        let all = || fields(All, true, &[], &[]);
        let uid = |mode| fields(mode, true, &[("uid", None)], &[]);
        let junk = || fields(All, true, &[], &["utm_*", "gclid"]);
        let filter = |mode| fields(mode, true, &[("f", Some("a b"))], &[]);
        for (name, fields, query, expected) in [
            ("no query", all(), None, None),
            ("empty query", all(), Some(""), Some("")),
            ("no value", all(), Some("a"), Some("a")),
            ("empty value", all(), Some("a="), Some("a=")),
            ("zero", all(), Some("a=0"), Some("a=0")),
            ("null", all(), Some("a=null"), Some("a=null")),
            ("sorted", all(), Some("y=1&x=1"), Some("x=1&y=1")),
            (
                "one name keeps its order",
                all(),
                Some("b=2&a=1&b=1"),
                Some("a=1&b=2&b=1"),
            ),
            (
                "one name in two spellings",
                all(),
                Some("a=2&%61=1"),
                Some("a=2&%61=1"),
            ),
            ("empty pieces", all(), Some("b&&a"), Some("&a&b")),
            (
                "unsorted",
                fields(All, false, &[], &[]),
                Some("y=1&x=1"),
                Some("y=1&x=1"),
            ),
            ("allowed", uid(Allow), Some("uid=2&x=9"), Some("uid=2")),
            ("allowed, absent", uid(Allow), Some("x=9"), None),
            ("allowed, empty", uid(Allow), Some("uid="), Some("uid=")),
            (
                "allowed, twice",
                uid(Allow),
                Some("uid=1&uid=2"),
                Some("uid=1&uid=2"),
            ),
            (
                "allowed, encoded name",
                uid(Allow),
                Some("u%69d=1"),
                Some("u%69d=1"),
            ),
            ("allowed, no query", uid(Allow), None, None),
            (
                "allowed, semicolon",
                uid(Allow),
                Some("x=1;uid=2"),
                Some("x=1;uid=2"),
            ),
            ("ignored", uid(Ignore), Some("uid=2&x=9"), Some("x=9")),
            ("ignored alone", uid(Ignore), Some("uid=2"), None),
            ("none", uid(Nothing), Some("uid=2&x=9"), None),
            ("dropped", junk(), Some("utm_a=1&x=1&gclid=z"), Some("x=1")),
            ("dropped, encoded name", junk(), Some("%75tm_a=1"), None),
            ("dropped alone is no query", junk(), Some("utm_a=1"), None),
            (
                "dropped, semicolon",
                junk(),
                Some("utm_a=1;x=2"),
                Some("utm_a=1;x=2"),
            ),
            ("default, no query", filter(All), None, Some("f=a%20b")),
            (
                "default given",
                filter(All),
                Some("f=a%20b"),
                Some("f=a%20b"),
            ),
            (
                "default, others",
                filter(All),
                Some("z=1"),
                Some("f=a%20b&z=1"),
            ),
            (
                "default allowed",
                filter(Allow),
                Some("z=1"),
                Some("f=a%20b"),
            ),
            (
                "default, empty given",
                filter(Allow),
                Some("f="),
                Some("f="),
            ),
        ] {
            assert_eq!(fields.keyed(query).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn k7_and_k9_what_of_the_values_is_keyed() {
        use Multi::{First, Ordered, Sorted};
        const LOWER: Option<NormalizeParam> = Some(NormalizeParam::LowerTrim);
        let one = |default, multi, normalize| QueryFields {
            params: vec![Param::new("q", default, multi, normalize)],
            ..fields(QueryMode::All, true, &[], &[])
        };
        let sorted = || one(None, Sorted, None);
        let first = || one(None, First, None);
        let lower = || one(Some(" All "), Ordered, LOWER);
        for (name, fields, query, expected) in [
            ("sorted", sorted(), "q=2&a=1&q=1", Some("a=1&q=1&q=2")),
            (
                "sorted, empties stay",
                sorted(),
                "q=&q&q=1",
                Some("q&q=&q=1"),
            ),
            (
                "sorted, twice the same",
                sorted(),
                "q=1&q=1",
                Some("q=1&q=1"),
            ),
            (
                "sorted, others keep order",
                sorted(),
                "a=2&a=1",
                Some("a=2&a=1"),
            ),
            (
                "sorted, spellings",
                sorted(),
                "q=2&%71=1",
                Some("%71=1&q=2"),
            ),
            ("first", first(), "q=2&a=1&q=1", Some("a=1&q=2")),
            ("first is empty", first(), "q=&q=1", Some("q=")),
            (
                "first, semicolons",
                first(),
                "q=1&q=2;q=3",
                Some("q=1&q=2;q=3"),
            ),
            ("lower", lower(), "q=%20Rust", Some("q=rust")),
            ("lower, plus", lower(), "q=+A+b+", Some("q=a%20b")),
            ("lower, wide", lower(), "q=%C3%84", Some("q=%C3%A4")),
            (
                "lower, structure stays",
                lower(),
                "q=A%26q=%3DB",
                Some("q=a%26q%3D%3Db"),
            ),
            ("lower, no value", lower(), "q", Some("q")),
            ("lower, spelt oddly", lower(), "%71=A", Some("q=a")),
            ("lower, no text", lower(), "q=%FF%41", Some("q=%FF%41")),
            ("lower, semicolons", lower(), "q=A;b", Some("q=A;b")),
            ("lower, others stay", lower(), "p=A", Some("p=A&q=all")),
            (
                "lower and sorted",
                one(None, Sorted, LOWER),
                "q=B&q=a",
                Some("q=a&q=b"),
            ),
        ] {
            assert_eq!(fields.keyed(Some(query)).as_deref(), expected, "{name}");
        }
        let unsorted = QueryFields {
            sort: false,
            ..sorted()
        };
        let keyed = unsorted.keyed(Some("q=2&z=1&q=1&a=1"));
        assert_eq!(keyed.as_deref(), Some("q=1&z=1&q=2&a=1"));
    }

    #[test]
    fn values_for_templates_are_decoded() {
        for (name, query, expected) in [
            ("plain", "a=1&r=x", Some("x")),
            ("encoded", "r=%C3%BC+b", Some("ü b")),
            ("first", "r=1&r=2", Some("1")),
            ("empty", "r=", Some("")),
            ("no value", "r", Some("")),
            ("absent", "q=1", None),
            ("not UTF-8", "r=%FF", Some("%FF")),
            ("equals signs", "r=a=b", Some("a=b")),
        ] {
            assert_eq!(value_of(Some(query), "r").as_deref(), expected, "{name}");
        }
    }

    /// What an app can see of a query: for each name, its values in order. Spellings and values stay as sent.
    fn seen(query: Option<&str>) -> Option<BTreeMap<String, Vec<&str>>> {
        let query = query?;
        let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, piece) in pieces(Some(query)) {
            seen.entry(name.into_owned()).or_default().push(piece);
        }
        Some(seen)
    }

    proptest! {
        #[test]
        fn l07_only_equal_queries_share_a_key(
            a in proptest::option::of("(a|b|%61|=|&|;|0|\\+){0,8}"),
            b in proptest::option::of("(a|b|%61|=|&|;|0|\\+){0,8}"),
        ) {
            let (a, b) = (a.as_deref(), b.as_deref());
            let sorted = fields(QueryMode::All, true, &[], &[]);
            prop_assert_eq!(sorted.keyed(a) == sorted.keyed(b), seen(a) == seen(b));
            let plain = fields(QueryMode::All, false, &[], &[]);
            prop_assert_eq!(plain.keyed(a) == plain.keyed(b), a == b);
        }

        #[test]
        fn l07_only_the_order_of_sorted_values_is_lost(
            a in "(a|b|%61|=|&|;|0|\\+){0,8}",
            b in "(a|b|%61|=|&|;|0|\\+){0,8}",
        ) {
            let by_name = |query| {
                let mut seen = seen(Some(query)).unwrap_or_default();
                seen.iter_mut().filter(|(name, _)| *name == "a").for_each(|(_, values)| {
                    // A piece that some apps split is not moved.
                    if values.iter().all(|value| !value.contains(';')) {
                        values.sort_unstable();
                    }
                });
                seen
            };
            let mut sorted = fields(QueryMode::All, true, &[], &[]);
            sorted.params = vec![Param::new("a", None, Multi::Sorted, None)];
            let same_key = sorted.keyed(Some(&a)) == sorted.keyed(Some(&b));
            if same_key && !a.contains(';') {
                prop_assert_eq!(by_name(&a), by_name(&b));
            }
            if by_name(&a) == by_name(&b) {
                prop_assert!(same_key);
            }
        }

        #[test]
        fn l07_only_the_order_of_different_names_is_lost(
            (a, b) in proptest::collection::vec("(a|b|%61)(=0|=|=1)?", 0..5)
                .prop_flat_map(|pieces| (Just(pieces.join("&")), Just(pieces).prop_shuffle()))
                .prop_map(|(a, b)| (a, b.join("&"))),
        ) {
            let sorted = fields(QueryMode::All, true, &[], &[]);
            let same = seen(Some(&a)) == seen(Some(&b));
            prop_assert_eq!(sorted.keyed(Some(&a)) == sorted.keyed(Some(&b)), same);
        }

        #[test]
        fn l07_only_equal_named_parameters_share_a_key(
            a in "(a|b|%61|=|&|0){0,8}",
            b in "(a|b|%61|=|&|0){0,8}",
        ) {
            let allow = fields(QueryMode::Allow, true, &[("a", None)], &[]);
            let of = |query| pieces_of(Some(query), "a").map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(allow.keyed(Some(&a)) == allow.keyed(Some(&b)), of(&a) == of(&b));
        }
    }
}
