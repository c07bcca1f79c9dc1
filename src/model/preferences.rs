//! What a client prefers: the members of `Accept` and its kind, with their weights (RFC 9110 §12.5).

use std::cmp::Reverse;
use std::ops::Range;

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderName};

/// The lines of a field, without the blanks around them.
pub fn lines<'a>(name: &HeaderName, request: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> {
    let lines = request.get_all(name).into_iter();
    lines.map(|line| line.as_bytes().trim_ascii())
}

/// The members of a list without quotes, empty ones too, without the blanks around them.
pub fn members<'a>(name: &HeaderName, request: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> {
    let members = lines(name, request).flat_map(|line| line.split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii)
}

/// The members of `Accept` and its kind (RFC 9110 §12.5), the most wanted first.
///
/// Those wanted alike stay in their order: the standard gives it no meaning, but apps take the first of them for the one
/// that is preferred (§12.5.4; Django does so with languages), and a client must not get what another would have
/// preferred. In `Accept-Encoding` that is nobody's matter: any coding that a client accepts alike will do.
#[derive(Debug)]
pub struct Preferences {
    /// What is preferred, one after the other, spelled as one way of spelling it.
    text: Vec<u8>,
    members: Vec<Preference>,
}

/// One of them, without its weight.
#[derive(Debug)]
struct Preference {
    /// Thousandths (RFC 9110 §12.4.2).
    weight: u16,
    /// Where in the text it stands, with its parameters, no blanks: lower case except for the parameters' values.
    range: Range<usize>,
}

impl Preferences {
    /// `None` if a member is malformed, or has quotes: then it may mean anything.
    pub fn of(name: &HeaderName, request: &HeaderMap) -> Option<Preferences> {
        let (mut text, mut found) = (Vec::new(), Vec::new());
        for member in members(name, request).filter(|member| !member.is_empty()) {
            found.push(Preference::parse(member, &mut text)?);
        }
        let spelled = |one: &Preference| text.get(one.range.clone()).unwrap_or_default();
        if *name == ACCEPT_ENCODING {
            found.sort_unstable_by(|a, b| {
                let by_name = || spelled(a).cmp(spelled(b));
                b.weight.cmp(&a.weight).then_with(by_name)
            });
        } else {
            found.sort_by_key(|one| Reverse(one.weight));
        }
        found.dedup_by(|a, b| a.weight == b.weight && spelled(a) == spelled(b));
        Some(Preferences {
            text,
            members: found,
        })
    }

    fn range(&self, member: &Preference) -> &[u8] {
        self.text.get(member.range.clone()).unwrap_or_default()
    }

    /// Each as it is spelled, lower case but for values of parameters, with its weight in thousandths (RFC 9110 §12.4.2).
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u16)> {
        let members = self.members.iter();
        members.map(|member| (self.range(member), member.weight))
    }

    /// The one of these language tags that is wanted most: for each range, the most wanted first, the tag itself, one that
    /// it is a prefix of (basic filtering, RFC 4647 §3.3.1), or what is left of it without its last subtags (lookup, §3.4).
    /// `None` if none of them is wanted.
    pub fn language<'l>(&self, tags: &'l [Box<str>]) -> Option<&'l str> {
        // Looked at once for each: a range may match what another refuses, again and again.
        let offered = tags.iter().map(|tag| &**tag);
        let offered: Vec<&str> = offered.filter(|tag| !self.refuses(tag)).collect();
        let mut wanted = self.iter().filter(|(_, weight)| *weight > 0);
        wanted.find_map(|(range, _)| in_range(range, &offered))
    }

    /// Whether the closest range that has this tag in it has no weight.
    fn refuses(&self, tag: &str) -> bool {
        let has = |range: &[u8]| range == b"*" || is_prefix(range, tag.as_bytes());
        let closest = self
            .iter()
            .filter(|(range, _)| has(range))
            .max_by_key(|(range, weight)| (*range != b"*", range.len(), *weight));
        closest.is_some_and(|(_, weight)| weight == 0)
    }

    /// The first of these content codings that is accepted, as itself or as any (RFC 9110 §12.5.3).
    pub fn coding<'c>(&self, codings: &'c [Box<str>]) -> Option<&'c str> {
        let weight = |wanted: &[u8]| {
            let named = self.iter().find(|(coding, _)| *coding == wanted);
            named.map(|(_, weight)| weight)
        };
        let any = weight(b"*").unwrap_or_default();
        let mut codings = codings.iter().map(|coding| &**coding);
        codings.find(|coding| weight(coding.as_bytes()).unwrap_or(any) > 0)
    }

    /// As short as they can be said.
    pub fn spelled(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.text.len() + 8 * self.members.len());
        for (n, member) in self.members.iter().enumerate() {
            if n > 0 {
                text.push(b',');
            }
            text.extend_from_slice(self.range(member));
            match member.weight {
                1000 => {}
                0 => text.extend_from_slice(b";q=0"),
                weight => {
                    text.extend_from_slice(b";q=0.");
                    let mut rest = weight;
                    for unit in [100, 10, 1] {
                        if rest > 0 {
                            text.push(b'0' + u8::try_from(rest / unit).unwrap_or_default());
                            rest %= unit;
                        }
                    }
                }
            }
        }
        text
    }
}

impl Preference {
    fn parse(member: &[u8], text: &mut Vec<u8>) -> Option<Preference> {
        let last = member.iter().rposition(|byte| *byte == b';');
        let last = last.and_then(|at| member.split_at_checked(at));
        let (range, weight) = match last {
            Some((range, [_, last @ ..])) if is_weight(last.trim_ascii()) => {
                (range, thousandths(last.trim_ascii().get(2..)?)?)
            }
            _ => (member, 1000),
        };
        let start = text.len();
        for (n, part) in range.split(|byte| *byte == b';').enumerate() {
            let part = part.trim_ascii();
            let malformed = |byte: &u8| !byte.is_ascii_graphic() || *byte == b'"';
            if part.is_empty() || part.iter().any(malformed) || is_weight(part) {
                return None;
            }
            if n > 0 {
                text.push(b';');
            }
            lower_case(part, text);
        }
        Some(Preference {
            weight,
            range: start..text.len(),
        })
    }
}

/// The language tag that is meant by a range, which is in lower case.
fn in_range<'l>(range: &[u8], tags: &[&'l str]) -> Option<&'l str> {
    let find = |is: &dyn Fn(&[u8]) -> bool| tags.iter().find(|tag| is(tag.as_bytes())).copied();
    if range == b"*" {
        return tags.first().copied();
    }
    let mut wider = range;
    find(&|tag| tag.eq_ignore_ascii_case(range))
        .or_else(|| find(&|tag| is_prefix(range, tag)))
        .or_else(|| {
            while let Some(end) = wider.iter().rposition(|byte| *byte == b'-') {
                (wider, _) = wider.split_at(end);
                if let Some(tag) = find(&|tag| tag.eq_ignore_ascii_case(wider)) {
                    return Some(tag);
                }
            }
            None
        })
}

/// Whether the range is the tag, or its first subtags.
fn is_prefix(range: &[u8], tag: &[u8]) -> bool {
    let (start, rest) = tag.split_at(range.len().min(tag.len()));
    start.eq_ignore_ascii_case(range) && matches!(rest, [] | [b'-', ..])
}

fn is_weight(part: &[u8]) -> bool {
    part.get(..2)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"q="))
}

/// `qvalue` (RFC 9110 §12.4.2).
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole] | [whole, b'.'] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] => (whole, fraction),
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = fraction.iter().chain(b"000").take(3);
    let fraction = padded.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        b'0' => Some(fraction),
        b'1' if fraction == 0 => Some(1000),
        _ => None,
    }
}

/// Adds a range or a parameter. What a parameter's value says may depend on its case (RFC 9110 §8.3.1).
fn lower_case(part: &[u8], text: &mut Vec<u8>) {
    let end = part.iter().position(|byte| *byte == b'=');
    let (name, value) = part.split_at(end.unwrap_or(part.len()));
    text.extend(name.iter().map(u8::to_ascii_lowercase));
    text.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::ACCEPT_LANGUAGE;

    fn preferences(name: HeaderName, text: &str) -> Option<Preferences> {
        let mut headers = HeaderMap::new();
        headers.insert(&name, HeaderValue::from_str(text).unwrap());
        Preferences::of(&name, &headers)
    }

    #[test]
    fn rfc4647_the_language_that_is_wanted_most() {
        for (name, accept, offered, expected) in [
            ("exact", "de", &["en", "de"][..], Some("de")),
            ("by weight", "en;q=0.5, de;q=0.8", &["en", "de"], Some("de")),
            ("by order", "de, en", &["en", "de"], Some("de")),
            ("in any case", "DE", &["De"], Some("De")),
            ("§3.4 lookup", "de-AT", &["en", "de"], Some("de")),
            (
                "§3.4 step by step",
                "zh-Hant-TW-x-a",
                &["zh", "zh-Hant"],
                Some("zh-Hant"),
            ),
            (
                "§3.3.1 filtering",
                "en",
                &["de", "en-GB", "en-US"],
                Some("en-GB"),
            ),
            (
                "what is asked for before what is wider",
                "zh-Hant",
                &["zh", "zh-Hant-TW"],
                Some("zh-Hant-TW"),
            ),
            (
                "another subtag is another language",
                "de-AT",
                &["de-CH"],
                None,
            ),
            ("no prefix of letters", "d", &["de"], None),
            (
                "the wider range of a wanted one before others",
                "de-AT, en;q=0.9",
                &["en", "de"],
                Some("de"),
            ),
            ("anything", "fr, *;q=0.5", &["en", "de"], Some("en")),
            ("anything but", "*, en;q=0", &["en", "de"], Some("de")),
            ("refused", "de;q=0", &["de"], None),
            ("refused wholly", "de-AT, de;q=0", &["de"], None),
            (
                "refused but for one",
                "de;q=0, de-AT",
                &["de", "de-AT"],
                Some("de-AT"),
            ),
            ("none of these", "fr, it", &["en", "de"], None),
            ("nothing", "", &["en"], None),
        ] {
            let offered: Vec<Box<str>> = offered.iter().map(|tag| Box::from(*tag)).collect();
            let preferences = preferences(ACCEPT_LANGUAGE, accept).unwrap();
            assert_eq!(preferences.language(&offered), expected, "{name}");
        }
        assert!(preferences(ACCEPT_LANGUAGE, "de;q=2").is_none());
    }

    #[test]
    fn rfc9110_12_5_3_the_first_coding_that_is_accepted() {
        for (name, accept, expected) in [
            ("one", "gzip", Some("gzip")),
            ("the first offered", "gzip, br", Some("br")),
            (
                "the weight does not matter",
                "gzip, br;q=0.1, zstd;q=0.001",
                Some("zstd"),
            ),
            ("refused", "zstd;q=0, br;q=0.000, gzip", Some("gzip")),
            ("in any case", "BR", Some("br")),
            ("anything", "*", Some("zstd")),
            ("anything but", "*, zstd;q=0", Some("br")),
            ("nothing else", "gzip, *;q=0", Some("gzip")),
            ("identity", "identity", None),
            ("another", "deflate", None),
            ("empty", "", None),
        ] {
            let offered = ["zstd", "br", "gzip"].map(Box::from);
            let preferences = preferences(ACCEPT_ENCODING, accept).unwrap();
            assert_eq!(preferences.coding(&offered), expected, "{name}");
        }
    }

    #[test]
    fn x_a_long_list_of_languages_is_read_in_no_time() {
        let offered: Vec<Box<str>> = (0..64).map(|n| format!("en-x{n}").into()).collect();
        let mut accept = "en-y, ".repeat(10_000);
        accept.push_str("en;q=0, *;q=0");
        let preferences = preferences(ACCEPT_LANGUAGE, &accept).unwrap();
        assert_eq!(preferences.language(&offered), None);
    }
}
