//! Texts that every path must hold for a pattern to match it.

use regex_syntax::hir::{Hir, HirKind};

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
}
