//! Which of the names that are known was meant by one that is not.

/// The known name that is the least away from this one, if any is so near that it was surely meant. Neither case nor `-` for `_`
/// counts.
pub(super) fn nearest<'n>(written: &str, known: &[&'n str]) -> Option<&'n str> {
    let letters = |name: &str| -> Vec<char> {
        let lower = name.chars().flat_map(char::to_lowercase);
        lower.map(|c| if c == '-' { '_' } else { c }).collect()
    };
    let written = letters(written);
    // `token` for `token_env` or `token_file`: who has written half of a name is better served with all of them.
    let is_half = |name: &&str| {
        let letters = letters(name);
        letters
            .strip_prefix(written.as_slice())
            .is_some_and(|rest| rest.first() == Some(&'_'))
    };
    if known.iter().any(is_half) {
        return None;
    }
    let near = known.iter().filter_map(|name| {
        let (written, letters) = differing(&written, &letters(name));
        let most = written.len().max(letters.len()) / 3;
        // Each letter more is a change: the others are not looked at where there are too many of those, as in a text without end.
        if written.len().abs_diff(letters.len()) > most {
            return None;
        }
        let changes = changes(&written, &letters);
        (changes <= most).then_some((changes, *name))
    });
    let mut near: Vec<_> = near.collect();
    near.sort_by_key(|(changes, _)| *changes);
    match near.as_slice() {
        [(first, _), (second, _), ..] if first == second => None, // nobody knows which
        [(_, name), ..] => Some(name),
        [] => None,
    }
}

/// Two names without the words that they share at both ends: `min_ttl` is no slip of the pen for `max_ttl`, however long `_ttl` is.
fn differing(one: &[char], other: &[char]) -> (Vec<char>, Vec<char>) {
    let words = |name| <[char]>::split(name, |c| *c == '_').collect::<Vec<_>>();
    let (one, other) = (words(one), words(other));
    let (mut one, mut other) = (one.as_slice(), other.as_slice());
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other)
        && a == b
    {
        (one, other) = (one_rest, other_rest);
    }
    while let ([one_rest @ .., a], [other_rest @ .., b]) = (one, other)
        && a == b
    {
        (one, other) = (one_rest, other_rest);
    }
    (one.join(&'_'), other.join(&'_'))
}

/// How many letters are to be put in, taken out, replaced, or swapped with their neighbour, to make one of the other (the optimal
/// string alignment distance).
fn changes(from: &[char], to: &[char]) -> usize {
    // Of the letters of `from` before the current one, and of those before that: how far each beginning of `to` is away.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let mut above = row.clone();
    let mut last = None;
    for (taken, letter) in from.iter().enumerate() {
        let before = std::mem::replace(&mut above, row);
        row = vec![taken + 1];
        let mut left = taken + 1;
        let mut last_other = None;
        let pairs = above.iter().zip(above.iter().skip(1));
        for (at, (other, (diagonal, up))) in to.iter().zip(pairs).enumerate() {
            let mut fewest = (diagonal + usize::from(letter != other))
                .min(up + 1)
                .min(left + 1);
            if last == Some(other) && last_other == Some(letter) {
                let swapped = at.checked_sub(1).and_then(|at| before.get(at));
                fewest = fewest.min(swapped.map_or(usize::MAX, |swapped| swapped + 1));
            }
            row.push(fewest);
            left = fewest;
            last_other = Some(other);
        }
        last = Some(letter);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_surely_meant_is_found_and_nothing_else() {
        let known = [
            "ttl",
            "maxi",
            "maxo",
            "max_ttl",
            "match",
            "methods",
            "on_status",
            "id",
        ];
        for (name, written, expected) in [
            ("another letter", "tll", Some("ttl")),
            ("swapped", "mehtods", Some("methods")),
            ("swapped, short", "tlt", Some("ttl")),
            ("missing", "mach", Some("match")),
            ("too many", "matchh", Some("match")),
            ("capitals", "TTL", Some("ttl")),
            ("camels", "maxTtl", Some("max_ttl")),
            ("a hyphen", "max-ttl", Some("max_ttl")),
            ("half of it", "status", None),
            ("another word of two", "min_ttl", None),
            ("another word behind", "max_age", None),
            ("a word less", "ttl_max", None),
            ("two that are as near", "maxt", None),
            ("the nearer of two", "method", Some("methods")),
            ("the first half of it", "on", None),
            ("the first half of one, near another", "max", None),
            ("another word", "colour", None),
            ("as short as the others", "if", None),
            ("nothing", "", None),
            ("as long as three of them", "ttlttlttl", None),
        ] {
            assert_eq!(nearest(written, &known), expected, "{name}");
        }
        assert_eq!(nearest("ttl", &[]), None, "nothing is known");
    }

    proptest! {
        #[test]
        fn changes_are_as_many_from_either_side_and_none_between_the_same(
            one in "[abé]{0,6}", other in "[abé]{0,6}"
        ) {
            let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
            let found = changes(&one, &other);
            prop_assert_eq!(found, changes(&other, &one));
            prop_assert_eq!(found == 0, one == other);
            prop_assert!(found <= one.len().max(other.len()));
            prop_assert!(found >= one.len().abs_diff(other.len()));
        }
    }
}
