//! Request headers of which the key holds less than they say (`vary_on.headers[].normalize`): which of some languages or
//! codings is wanted, or the text without its case.
//!
//! What the key does not hold the app must not see either where its answer is for everyone: it is asked with the very
//! value that the key has.

use std::borrow::Cow;

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderName};

use crate::model::preferences::{Preferences, lines};

/// A request header of which the key holds less than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// Its name.
    pub name: HeaderName,
    /// The name of its key field.
    pub(super) field: Box<str>,
    pub(super) to: To,
}

/// What is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// The language tag of these that is wanted most, as it is spelled here.
    Language(Box<[Box<str>]>),
    /// The first coding of these that is accepted, else `identity`.
    Encoding(Box<[Box<str>]>),
    /// Its lines as one, without the blanks around and in lower case.
    LowerTrim,
}

/// What is offered where a rule names no codings, the densest first.
pub(super) const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// What a client accepts that accepts nothing else (RFC 9110 §12.5.3).
const IDENTITY: &str = "identity";

impl Normalized {
    pub(super) fn new(name: HeaderName, to: To) -> Normalized {
        let field = format!("header.{name}").into();
        Normalized { name, field, to }
    }

    /// What the request says, for the key and for the app; `None`: what it says is nothing, and is the same as no such
    /// header.
    pub fn value<'v>(&'v self, request: &HeaderMap) -> Option<Cow<'v, [u8]>> {
        match &self.to {
            To::Language(tags) => {
                let tag = Preferences::of(&self.name, request)?.language(tags)?;
                Some(Cow::Borrowed(tag.as_bytes()))
            }
            To::Encoding(codings) => {
                let preferences = Preferences::of(&ACCEPT_ENCODING, request);
                let coding = preferences.as_ref().and_then(|it| it.coding(codings));
                Some(Cow::Borrowed(coding.unwrap_or(IDENTITY).as_bytes()))
            }
            To::LowerTrim => {
                let lines: Vec<&[u8]> = lines(&self.name, request).collect();
                let text = lines.join(&b", "[..]);
                (!lines.is_empty()).then(|| Cow::Owned(text.trim_ascii().to_ascii_lowercase()))
            }
        }
    }

    /// Whether the request says it in these very words, so that an app that saw them saw what the key holds.
    pub fn is_said_by(&self, request: &HeaderMap) -> bool {
        let mut said = request.get_all(&self.name).into_iter();
        let (first, more) = (said.next().map(|line| line.as_bytes()), said.next());
        more.is_none() && first == self.value(request).as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::ACCEPT_LANGUAGE;

    fn request(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn k27_what_is_left_of_a_header() {
        let language = || To::Language(["en", "de-AT"].map(Box::from).into());
        let encoding = || To::Encoding(CODINGS.map(Box::from).into());
        let device = HeaderName::from_static("x-device");
        for (name, field, to, lines, expected, as_said) in [
            (
                "a language",
                ACCEPT_LANGUAGE,
                language(),
                &["de-at, en;q=0.9"][..],
                Some("de-AT"),
                false,
            ),
            (
                "on several lines",
                ACCEPT_LANGUAGE,
                language(),
                &["fr", "en"],
                Some("en"),
                false,
            ),
            (
                "none of these",
                ACCEPT_LANGUAGE,
                language(),
                &["fr"],
                None,
                false,
            ),
            ("no language", ACCEPT_LANGUAGE, language(), &[], None, true),
            (
                "malformed",
                ACCEPT_LANGUAGE,
                language(),
                &["en;q=7"],
                None,
                false,
            ),
            (
                "the language itself",
                ACCEPT_LANGUAGE,
                language(),
                &["en"],
                Some("en"),
                true,
            ),
            (
                "a coding",
                ACCEPT_ENCODING,
                encoding(),
                &["gzip, br"],
                Some("br"),
                false,
            ),
            (
                "no coding of these",
                ACCEPT_ENCODING,
                encoding(),
                &["deflate"],
                Some("identity"),
                false,
            ),
            (
                "no coding",
                ACCEPT_ENCODING,
                encoding(),
                &[],
                Some("identity"),
                false,
            ),
            (
                "a text",
                device.clone(),
                To::LowerTrim,
                &["  Mobile, A"],
                Some("mobile, a"),
                false,
            ),
            (
                "on two lines",
                device.clone(),
                To::LowerTrim,
                &["A", " b "],
                Some("a, b"),
                false,
            ),
            (
                "empty",
                device.clone(),
                To::LowerTrim,
                &[""],
                Some(""),
                true,
            ),
            ("absent", device, To::LowerTrim, &[], None, true),
        ] {
            let headers = request(&field, lines);
            let header = Normalized::new(field, to);
            let value = header.value(&headers);
            assert_eq!(value.as_deref(), expected.map(str::as_bytes), "{name}");
            assert_eq!(header.is_said_by(&headers), as_said, "{name}");
        }
    }
}
