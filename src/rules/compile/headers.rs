//! Request headers in rules: which must be there (`match.headers`), and how much of which the key holds
//! (`vary_on.headers`).

use std::sync::Arc;

use http::{HeaderName, header};

use crate::rules::compile::Compiler;
use crate::rules::named::Named;
use crate::rules::normalize::{CODINGS, Normalized, To};
use crate::rules::pattern::HeaderPattern;
use crate::rules::source::{HeaderItem, HeaderMatch, HeaderOn, Normalize};
use crate::yaml::{Spanned, shown};

/// What is one client's own, and what is asked for whole: of these the key holds everything, or nothing.
const WHOLE: [HeaderName; 11] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("cookie2"),
    header::HOST,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
];

/// Each request is compared with all of them.
const MOST_VALUES: usize = 64;

impl Compiler<'_> {
    /// The headers of which the key holds all, and those of which it holds less.
    pub(super) fn headers(
        &mut self,
        written: &[Spanned<HeaderItem>],
    ) -> (Vec<Named<HeaderName>>, Arc<[Normalized]>) {
        let (mut whole, mut normalized) = (Vec::new(), Vec::new());
        let mut seen: Vec<HeaderName> = Vec::new();
        for item in written {
            let name = header_name(item.name());
            let Some(name) = self.checked(item.place, name) else {
                continue;
            };
            if seen.contains(&name) {
                let found = shown(item.name());
                self.wrong(item.place, format!("{found} is named twice"));
            }
            seen.push(name.clone());
            match &item.value {
                HeaderItem::Normalized(on) if on.normalize.is_some() || on.of.is_some() => {
                    let to = self.normalized(item, on, &name);
                    normalized.extend(to.map(|to| Normalized::new(name, to)));
                }
                HeaderItem::Name(_) | HeaderItem::Normalized(_) => whole.push(Named::header(name)),
            }
        }
        (whole, normalized.into())
    }

    fn normalized(
        &mut self,
        item: &Spanned<HeaderItem>,
        on: &HeaderOn,
        name: &HeaderName,
    ) -> Option<To> {
        if WHOLE.contains(name) {
            let found = shown(&on.name);
            self.wrong(
                item.place,
                format!("{found} cannot be normalised: what it says matters to the letter"),
            );
            return None;
        }
        match (on.normalize, &on.of) {
            (Some(Normalize::PrimaryLang), Some(of)) => Some(To::Language(self.values(
                of,
                "a language tag such as `de` or `de-AT`",
                is_language,
            ))),
            (Some(Normalize::PrimaryLang), None) if self.tainted => None,
            (Some(Normalize::PrimaryLang), None) => {
                self.wrong(
                    item.place,
                    "`primary_lang` needs the languages to choose from: `of: [en, de]`",
                );
                None
            }
            (Some(Normalize::Encoding), _) if *name != header::ACCEPT_ENCODING => {
                let found = shown(&on.name);
                self.wrong(
                    item.place,
                    format!("`encoding` is for `Accept-Encoding`, found {found}"),
                );
                None
            }
            (Some(Normalize::Encoding), Some(of)) => Some(To::Encoding(self.values(
                of,
                "a content coding such as `br`",
                is_coding,
            ))),
            (Some(Normalize::Encoding), None) => Some(To::Encoding(CODINGS.map(Box::from).into())),
            (Some(Normalize::LowerTrim), None) => Some(To::LowerTrim),
            (Some(Normalize::LowerTrim) | None, Some(of)) => {
                self.wrong(
                    of.place,
                    "`of` means nothing without `normalize: primary_lang` or `encoding`",
                );
                None
            }
            (None, None) => None,
        }
    }

    fn values(
        &mut self,
        written: &Spanned<Vec<Spanned<String>>>,
        what: &str,
        is_one: fn(&str) -> bool,
    ) -> Box<[Box<str>]> {
        self.some("one", written);
        if written.len() > MOST_VALUES {
            let found = written.len();
            self.wrong(
                written.place,
                format!("expected at most {MOST_VALUES}, found {found}"),
            );
        }
        for (n, text) in written.iter().enumerate() {
            let found = shown(text);
            if !is_one(text) {
                self.wrong(text.place, format!("expected {what}, found {found}"));
            }
            let mut before = written.iter().take(n);
            if before.any(|other| other.eq_ignore_ascii_case(text)) {
                self.wrong(text.place, format!("{found} is named twice"));
            }
        }
        written.iter().map(|text| text.as_str().into()).collect()
    }
}

impl Compiler<'_> {
    /// The headers that requests must have.
    pub(super) fn header_patterns(
        &mut self,
        written: &Option<Spanned<Vec<HeaderMatch>>>,
    ) -> Vec<HeaderPattern> {
        let Some(written) = written else {
            return Vec::new();
        };
        self.some("a header", written);
        let mut patterns = Vec::new();
        for header in &written.value {
            let name = header.name.parse().map_err(|_| no_name(&header.name));
            let Some(name) = self.checked(header.name.place, name) else {
                continue;
            };
            match &header.matches {
                None => patterns.push(HeaderPattern::any(name)),
                Some(text) => {
                    let pattern = HeaderPattern::parse(name, text);
                    patterns.extend(self.checked(text.place, pattern));
                }
            }
        }
        patterns
    }
}

fn no_name(text: &str) -> String {
    format!("expected the name of a header, found {}", shown(text))
}

pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    match text.parse::<HeaderName>() {
        // On its way to the app it gets the client's address, which no key holds.
        Ok(name) if name == "x-forwarded-for" => {
            Err("`X-Forwarded-For` differs for every client: nothing could be shared".to_owned())
        }
        Ok(name) => Ok(name),
        Err(_) => Err(no_name(text)),
    }
}

/// Subtags of one to eight letters and digits; the first is a language, of two letters at least (RFC 5646 §2.1).
fn is_language(text: &str) -> bool {
    let (language, _) = text.split_once('-').unwrap_or((text, ""));
    let fits = |subtag: &str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    language.len() >= 2
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && text.split('-').all(fits)
}

/// A coding in lower case, as those registered are (RFC 9110 §8.4.1). `identity` is what is left where none is accepted.
fn is_coding(text: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(fits) && text != "identity"
}
