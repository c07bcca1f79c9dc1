//! The path that patterns see: dot segments removed, nothing decoded (rules.md §2, X5).

use std::borrow::Cow;

/// `path` without `.` and `..` segments (RFC 3986 §5.2.4), percent-encoded dots counting as dots.
///
/// Nothing else changes: `%2F` is no slash, and a doubled slash stays. So what an app resolves to `/b` cannot hide from
/// the rule for `/b`; the key is made of the raw path all the same.
pub(super) fn normalised(path: &str) -> Cow<'_, str> {
    let Some(rest) = path.strip_prefix('/') else {
        return Cow::Borrowed(path);
    };
    // Most paths have no segment that begins like one.
    let begins = |pair: &[u8]| matches!(pair, [b'/', b'.' | b'%']);
    let may_have = path.as_bytes().windows(2).any(begins);
    if !may_have || !rest.split('/').any(|segment| dots(segment).is_some()) {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match dots(segment) {
            None => kept.push(segment),
            Some(count) => {
                if count == 2 {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
        }
    }
    Cow::Owned(format!("/{}", kept.join("/")))
}

/// One or two, if the segment is nothing but that many dots.
fn dots(segment: &str) -> Option<usize> {
    let mut rest = segment;
    let mut count = 0;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').or_else(|| {
            let (head, tail) = rest.split_at_checked(3)?;
            head.eq_ignore_ascii_case("%2e").then_some(tail)
        })?;
        count += 1;
    }
    matches!(count, 1 | 2).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dot_segments_go_and_nothing_else_changes() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/./b", "/a/b"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/../../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a/%2e/b", "/a/b"),
            ("/a%2F..%2Fb", "/a%2F..%2Fb"),
            ("/a/...", "/a/..."),
            ("/.hidden", "/.hidden"),
            ("/a//b", "/a//b"),
            ("/a//../b", "/a/b"),
            ("*", "*"),
            ("/%2", "/%2"),
        ] {
            assert_eq!(normalised(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(path in "(/|\\.|%2e|%2E|a|é|%){0,12}") {
            let once = normalised(&path).into_owned();
            prop_assert_eq!(normalised(&once), once.as_str());
        }
    }
}
