//! Lists of tags: `Cache-Tag` and `Cache-Tag-Increment` with their parameters, and the plain lists of other caches.
//!
//! A tag whose parameter is wrong still counts: a tag or an increment too many costs a miss, one too few keeps an old
//! response alive.

use std::time::Duration;

use crate::dialects::Lines;
use crate::dialects::Said;
use crate::dialects::Separator;
use crate::dialects::Why;
use crate::model::tag::Increment;
use crate::model::tag::Tagged;

/// `User:42;v=7, Dashboard`: tags, each with the app's own version where it counts itself.
pub(super) fn annotated_tags(lines: Lines, said: &mut Said) {
    for (text, parameters) in annotated(lines) {
        let Some(tag) = said.tag(lines.name, text) else {
            continue;
        };
        let mut tagged = Tagged::from(tag);
        for parameter in parameters {
            match parameter.strip_prefix(b"v=").and_then(number) {
                Some(version) => tagged.version = Some(version),
                None => said.ignore(lines.name, parameter, Why::Parameter),
            }
        }
        said.tags.push(tagged);
    }
}

/// `User:42;soft, Dashboard;again=2`: increments, soft ones, and ones that are repeated so many seconds later.
pub(super) fn annotated_increments(lines: Lines, said: &mut Said) {
    for (text, parameters) in annotated(lines) {
        let Some(tag) = said.tag(lines.name, text) else {
            continue;
        };
        let mut increment = Increment::from(tag);
        for parameter in parameters {
            let again = parameter.strip_prefix(b"again=").and_then(number::<u32>);
            match (parameter, again) {
                (b"soft", _) => increment.soft = true,
                (_, Some(seconds)) => {
                    increment.again = Some(Duration::from_secs(seconds.into()));
                }
                (_, None) => said.ignore(lines.name, parameter, Why::Parameter),
            }
        }
        said.increments.push(increment);
    }
}

/// Tags and nothing else.
pub(super) fn plain_tags(lines: Lines, separator: Separator, said: &mut Said) {
    for text in pieces(lines, separator) {
        if let Some(tag) = said.tag(lines.name, text) {
            said.tags.push(tag.into());
        }
    }
}

/// Tags that have changed and nothing else.
pub(super) fn plain_increments(lines: Lines, separator: Separator, said: &mut Said) {
    for text in pieces(lines, separator) {
        if let Some(tag) = said.tag(lines.name, text) {
            said.increments.push(tag.into());
        }
    }
}

/// What stands between separators, on all lines; empty members are nothing (RFC 9110 §5.6.1.2).
fn pieces(lines: Lines<'_>, separator: Separator) -> impl Iterator<Item = &[u8]> {
    let bytes = lines.iter().map(|line| line.as_bytes());
    bytes
        .flat_map(move |line| line.split(move |byte| separator.splits(*byte)))
        .map(<[u8]>::trim_ascii)
        .filter(|piece| !piece.is_empty())
}

/// Comma-separated members, each with what follows its semicolons.
fn annotated<'a>(
    lines: Lines<'a>,
) -> impl Iterator<Item = (&'a [u8], impl Iterator<Item = &'a [u8]>)> {
    pieces(lines, Separator::COMMA).map(|piece| {
        let mut parts = piece.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let tag = parts.next().unwrap_or_default();
        (tag, parts.filter(|part| !part.is_empty()))
    })
}

/// A number of at most fifteen digits (RFC 9651 §3.3.1).
fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let fits = digits.len() <= 15;
    std::str::from_utf8(text)
        .ok()
        .filter(|_| fits)?
        .parse()
        .ok()
}
