//! Texts that every path must hold for a pattern to match it.

use regex_syntax::hir::{Dot, Hir, HirKind, Look};

use crate::model::glob::Glob;

/// Texts one of which at least occurs in whatever the pattern matches.
pub(super) type Clause = Vec<Box<str>>;

/// A slash alone is in every path.
const SHORTEST: usize = 2;
/// More alternatives are not worth the room.
const MOST_ALTERNATIVES: usize = 32;

/// The clauses of a glob: each of its texts, by itself.
pub(super) fn of_glob(glob: &Glob) -> Vec<Clause> {
    let parts = glob.parts().filter(|part| part.len() >= SHORTEST);
    parts.map(|part| vec![part.into()]).collect()
}

/// The clauses of a regex; of one that cannot be taken apart none, which only means that it is tried more often.
pub(super) fn of_regex(regex: &str) -> Vec<Clause> {
    let mut found = Vec::new();
    if let Ok(hir) = regex_syntax::parse(regex) {
        clauses(&hir, &mut found);
    }
    found
}

/// The one text that a regex matches, if there is but one.
pub(in crate::rules) fn exact(regex: &str) -> Option<Box<str>> {
    let hir = regex_syntax::parse(regex).ok()?;
    let mut text = Vec::new();
    spelled(&hir, &mut text).then_some(())?;
    String::from_utf8(text).ok().map(Into::into)
}

/// What a regex for a path asks for, as far as that can be told without it.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Shape {
    /// The glob that matches the same paths, if there is one.
    pub(in crate::rules) glob: Option<Glob>,
    /// What every path begins with that the regex matches.
    pub(in crate::rules) prefix: Box<str>,
}

/// What a regex, anchored at both ends, asks for.
pub(in crate::rules) fn shape(regex: &str) -> Shape {
    let mut parts = vec![Vec::new()];
    let whole = regex_syntax::parse(regex).is_ok_and(|hir| {
        let HirKind::Concat(all) = hir.kind() else {
            return false;
        };
        between_anchors(all).all(|part| outline(part, &mut parts))
    });
    let texts: Option<Vec<Box<str>>> = parts
        .into_iter()
        .map(|part| String::from_utf8(part).ok().map(Into::into))
        .collect();
    Shape {
        prefix: texts.iter().flatten().next().cloned().unwrap_or_default(),
        glob: texts.filter(|_| whole).map(Glob::of_parts),
    }
}

/// Without what holds at both ends anyway.
fn between_anchors(parts: &[Hir]) -> impl Iterator<Item = &Hir> {
    let is = |hir: &&Hir, look: Look| *hir.kind() == HirKind::Look(look);
    let starts = parts.iter().take_while(|it| is(it, Look::Start)).count();
    let ends = parts
        .iter()
        .rev()
        .take_while(|it| is(it, Look::End))
        .count();
    let inner = parts.len().saturating_sub(starts + ends);
    parts.iter().skip(starts).take(inner)
}

/// Adds the texts of a regex that are parted by `.*`; `false` if there is more to it than the texts so far.
fn outline(hir: &Hir, parts: &mut Vec<Vec<u8>>) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => {
            if let Some(last) = parts.last_mut() {
                last.extend_from_slice(&literal.0);
            }
            true
        }
        HirKind::Concat(all) => all.iter().all(|part| outline(part, parts)),
        HirKind::Capture(capture) => outline(&capture.sub, parts),
        // No path has a line break, which is all that a dot leaves out.
        HirKind::Repetition(it) if it.min == 0 && it.max.is_none() && is_dot(&it.sub) => {
            parts.push(Vec::new());
            true
        }
        HirKind::Empty => true,
        HirKind::Look(_) | HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => {
            false
        }
    }
}

fn is_dot(hir: &Hir) -> bool {
    let dot = Hir::dot(Dot::AnyCharExceptLF);
    *hir == dot || *hir == Hir::dot(Dot::AnyChar)
}

/// Adds the text of what matches only that, between its anchors.
fn spelled(hir: &Hir, text: &mut Vec<u8>) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => {
            text.extend_from_slice(&literal.0);
            true
        }
        HirKind::Concat(parts) => parts.iter().all(|part| spelled(part, text)),
        HirKind::Capture(capture) => spelled(&capture.sub, text),
        HirKind::Empty => true,
        // Whatever it asks for, nothing else than the text can match.
        HirKind::Look(_) => true,
        HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => false,
    }
}

fn clauses(hir: &Hir, found: &mut Vec<Clause>) {
    match hir.kind() {
        HirKind::Literal(literal) => {
            if let Ok(text) = str::from_utf8(&literal.0)
                && text.len() >= SHORTEST
            {
                found.push(vec![text.into()]);
            }
        }
        HirKind::Concat(parts) => parts.iter().for_each(|part| clauses(part, found)),
        HirKind::Capture(capture) => clauses(&capture.sub, found),
        HirKind::Repetition(repetition) if repetition.min > 0 => clauses(&repetition.sub, found),
        HirKind::Alternation(branches) => found.extend(either(branches)),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => {}
    }
}

/// A clause of all branches: the longest of each.
fn either(branches: &[Hir]) -> Option<Clause> {
    let mut all = Clause::new();
    for branch in branches {
        let mut found = Vec::new();
        clauses(branch, &mut found);
        let shortest = |clause: &Clause| clause.iter().map(|text| text.len()).min();
        all.extend(found.into_iter().max_by_key(shortest)?);
        if all.len() > MOST_ALTERNATIVES {
            return None;
        }
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_regex_cannot_match_without() {
        for (regex, expected) in [
            (r"\A(?:/users/(?P<id>\d+))\z", &["/users/"][..]),
            (
                r"\A(?:/shop/(?P<id>\d+)/reviews)\z",
                &["/shop/", "/reviews"],
            ),
            (r"\A(?:/(en|de)/shop)\z", &["de|en", "/shop"]),
            (r"\A(?:/(?:ab)+c)\z", &["ab"]),
            (r"\A(?:/(?:ab)*cd)\z", &["cd"]),
            (r"\A(?:/(?:ab|.))\z", &[]),
            (r"\A(?:(?i)/about)\z", &[]),
            (r"\A(?:/(?:(ab|cd)e|fg))\z", &["ab|cd|fg"]),
            (r"\A(?:.*)\z", &[]),
            ("(", &[]),
        ] {
            let found: Vec<String> = of_regex(regex).iter().map(|it| it.join("|")).collect();
            assert_eq!(found, expected, "{regex}");
        }
    }

    #[test]
    fn a_regex_may_spell_one_text() {
        for (regex, expected) in [
            (r"\A(?:/favicon\.ico)\z", Some("/favicon.ico")),
            (r"\A(?:/a(?P<x>b)c)\z", Some("/abc")),
            (r"\A(?:/a(?:))\z", Some("/a")),
            (r"\A(?:/a|/b)\z", None),
            (r"\A(?:/a?)\z", None),
            (r"\A(?:/[ab])\z", None),
        ] {
            assert_eq!(exact(regex).as_deref(), expected, "{regex}");
        }
    }

    #[test]
    fn a_regex_may_be_a_glob_and_begins_with_its_texts() {
        for (regex, glob, prefix) in [
            (r"\A(?:/e/.*)\z", Some("/e/*"), "/e/"),
            (r"\A(?:/e/(?P<r>.*)/x)\z", Some("/e/*/x"), "/e/"),
            (r"\A(?:.*)\z", Some("*"), ""),
            (r"\A(?:/a\.b)\z", Some("/a.b"), "/a.b"),
            (r"\A(?:/e/.+)\z", None, "/e/"),
            (r"\A(?:/u/(?P<id>\d+)/x)\z", None, "/u/"),
            (r"\A(?:/a|/b)\z", None, ""),
            (r"\A(?:(?:/ab)?c)\z", None, ""),
            (r"\A(?:/a\b.*)\z", None, "/a"),
            (r"\A(?:^/a/.*$)\z", Some("/a/*"), "/a/"),
            (r"\A(?:/a^.*)\z", None, "/a"),
            (r"\A(?:(?i)/about)\z", None, "/"),
            ("(", None, ""),
        ] {
            let Shape {
                glob: found,
                prefix: begins,
            } = shape(regex);
            assert_eq!(found, glob.map(Glob::new), "{regex}");
            assert_eq!(&*begins, prefix, "{regex}");
        }
    }
}
