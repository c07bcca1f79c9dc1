//! The members of fields that are written like `Cache-Control` (RFC 9111 §5.2): names with or without an argument, between
//! commas. Says how they are written, not what they mean.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// A directive as written: name, and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) argument: Argument<'a>,
    /// What stands behind a semicolon, where the field has such.
    pub(super) parameter: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    /// There is none.
    None,
    /// A token.
    Token(&'a [u8]),
    /// What stands between quotes, escapes as they are.
    Quoted(&'a [u8]),
    /// Something else.
    Malformed,
    /// Something else, with a quote in it.
    Unbalanced,
}

impl Member<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    pub(super) fn has_argument(&self) -> bool {
        self.argument != Argument::None
    }

    /// The argument as seconds (RFC 9111 §1.2.2), as a token or, leniently, quoted (§5.2).
    pub(super) fn seconds(&self) -> Option<Duration> {
        match self.argument {
            Argument::Token(digits) | Argument::Quoted(digits) => seconds(digits),
            Argument::None | Argument::Malformed | Argument::Unbalanced => None,
        }
    }
}

/// A whole number of seconds, without a sign.
pub(super) fn seconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = std::str::from_utf8(digits).ok()?.parse();
    Some(capped(seconds.unwrap_or(u64::MAX)))
}

/// RFC 9111 §1.2.2: whatever is too great is 2^31 seconds.
pub(super) fn capped(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(1 << 31))
}

/// The members of a `Cache-Control`-like field, line by line.
pub(super) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Member<'a>> {
    in_lines(headers, name, false)
}

/// The same of a field whose members may have a parameter, `max-age=60;name`.
pub(super) fn members_with_parameters<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Member<'a>> {
    in_lines(headers, name, true)
}

fn in_lines<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    parameters: bool,
) -> impl Iterator<Item = Member<'a>> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(move |line| {
        let mut rest = line.as_bytes();
        std::iter::from_fn(move || next_member(&mut rest, parameters))
    })
}

fn next_member<'a>(rest: &mut &'a [u8], parameters: bool) -> Option<Member<'a>> {
    let start = rest
        .iter()
        .position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
    let text = rest.get(start..)?;
    let end = text.iter().position(|byte| !is_tchar(*byte));
    let (name, after) = text.split_at(end.unwrap_or(text.len()));
    if let Some((value, after)) = after.strip_prefix(b"=\"").and_then(quoted) {
        let (behind, after) = split_at(after, b',');
        let parameter = match behind.trim_ascii() {
            b"" => Some(None),
            [b';', text @ ..] if parameters && !text.contains(&b'"') => Some(Some(text)),
            _ => None,
        };
        if let Some(parameter) = parameter {
            *rest = after;
            return Some(Member {
                name,
                argument: Argument::Quoted(value),
                parameter: parameter.map(<[u8]>::trim_ascii),
            });
        }
    }
    let (text, after) = split_at(after, b',');
    *rest = after;
    let (argument, parameter) = match text.iter().position(|byte| *byte == b';') {
        Some(at) if parameters && !text.contains(&b'"') => {
            let (argument, parameter) = text.split_at(at);
            (argument, parameter.get(1..))
        }
        _ => (text, None),
    };
    let argument = match argument.trim_ascii_end() {
        b"" => Argument::None,
        [b'=', token @ ..] if is_token(token) => Argument::Token(token),
        text if text.contains(&b'"') => Argument::Unbalanced,
        _ => Argument::Malformed,
    };
    Some(Member {
        name,
        argument,
        parameter: parameter.map(<[u8]>::trim_ascii),
    })
}

/// What stands before the first such byte, if there is one, and the rest.
fn split_at(text: &[u8], byte: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| *b == byte);
    text.split_at(end.unwrap_or(text.len()))
}

/// The content of a quoted string, escapes as they are, and what follows it.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    let (value, after) = text.split_at(end);
    Some((value, after.strip_prefix(b"\"")?))
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_tchar(*byte))
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::CACHE_CONTROL;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_and_every_member_takes_some(line in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'='), Just(b';'), Just(b'\\'), Just(b'a'), 0x20_u8..=0xff], 0..64)) {
            let line: Vec<u8> = line.into_iter().filter(|byte| *byte != 0x7f).collect();
            let mut headers = HeaderMap::new();
            headers.append(CACHE_CONTROL, HeaderValue::from_bytes(&line).unwrap());
            prop_assert!(members(&headers, &CACHE_CONTROL).count() <= line.len());
            prop_assert!(members_with_parameters(&headers, &CACHE_CONTROL).count() <= line.len());
        }
    }
}
