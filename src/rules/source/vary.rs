//! As written: what a response depends on.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;

use crate::rules::source::ClaimOn;
use crate::rules::source::scalar::Scalar;
use crate::yaml::units::Size;
use crate::yaml::{Spanned, TextOrMap, text_or_map};

/// What a response depends on: the parts of the request that make its key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaryOn {
    /// Whether the host is part of the key. Default: `true`.
    #[serde(default)]
    pub host: Option<bool>,
    /// Captures of the path that take its place in the key. Default: the whole path.
    #[serde(default)]
    pub captures: Option<Spanned<Vec<Spanned<String>>>>,
    /// Which of the query is part of the key. Default: all of it, sorted.
    #[serde(default)]
    pub query: QueryOn,
    /// Request headers that are part of the key.
    #[serde(default)]
    pub headers: Option<Vec<Spanned<HeaderItem>>>,
    /// Cookies that are part of the key: of all cookies only these matter then.
    #[serde(default)]
    pub cookies: Option<Vec<Spanned<String>>>,
    /// Claims of verified tokens that are part of the key.
    #[serde(default)]
    pub jwt: Option<Spanned<Vec<Spanned<ClaimOn>>>>,
    /// `false`: the response's own `Vary` selects nothing, but for `*`, which keeps it out of the store. Default: `true`.
    #[serde(default)]
    pub response_vary: Option<bool>,
    /// The body of reads that have one (GraphQL, a search that is POSTed); needs `safe: true`.
    #[serde(default)]
    pub body: Option<Spanned<BodyOn>>,
}

/// What the key holds of a body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyOn {
    /// JSON pointers to what matters of it, such as `/query`; a body without the first of them is not looked up. Default: all
    /// of it, byte for byte.
    #[serde(default)]
    pub json: Option<Spanned<Vec<Spanned<String>>>>,
    /// A larger body goes to the app. Default: `64KiB`.
    #[serde(default)]
    pub max: Option<Spanned<Size>>,
}

/// Which query parameters are part of the key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryOn {
    /// Default: `all`.
    #[serde(default)]
    pub mode: Option<QueryMode>,
    /// Whether the order of different parameters is irrelevant. Default: `true`.
    #[serde(default)]
    pub sort: Option<bool>,
    /// The parameters that `allow` and `ignore` name, and those with a default.
    #[serde(default)]
    pub params: Option<Vec<Spanned<Param>>>,
    /// Parameters that no key holds, in every mode, `*` for any run of characters: `utm_*`.
    #[serde(default)]
    pub drop: Option<Vec<String>>,
}

/// Which query parameters are part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryMode {
    /// All of them.
    All,
    /// Only the named.
    Allow,
    /// All but the named.
    Ignore,
    /// None.
    None,
}

/// A query parameter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Absent is the same as this value.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub default: Option<String>,
    /// Which of several values count: `sorted`, their order does not; `ordered`, it does; `first`, the others do not.
    /// Default: `ordered`.
    #[serde(default)]
    pub multi: Option<Multi>,
    /// What is left of its values. Default: all, as sent.
    #[serde(default)]
    pub normalize: Option<NormalizeParam>,
}

/// Which of several values of a query parameter count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Multi {
    /// All, in any order.
    Sorted,
    /// All, in the order in which they were sent.
    #[default]
    Ordered,
    /// The first.
    First,
}

/// What is left of the values of a query parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NormalizeParam {
    /// Lower case, no blanks around it.
    LowerTrim,
}

/// A request header: its name, or with what is left of it in the key.
#[derive(Clone, Debug, JsonSchema)]
#[serde(untagged)]
pub enum HeaderItem {
    /// As it was sent.
    Name(String),
    /// Less than what was sent.
    Normalized(HeaderOn),
}

/// A request header of which the key holds less than it says; the app is asked with the same.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderOn {
    /// Its name.
    pub name: String,
    /// What is left of it. Default: all.
    #[serde(default)]
    pub normalize: Option<Normalize>,
    /// The languages that the app has, such as `[en, de]`; or the codings, by default `[zstd, br, gzip]`.
    #[serde(default)]
    pub of: Option<Spanned<Vec<Spanned<String>>>>,
}

/// What is left of a request header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// The one language of `of` that the client prefers most; absent if none.
    PrimaryLang,
    /// The first coding of `of` that the client accepts; `identity` if none.
    Encoding,
    /// Lower case, no blanks around it.
    LowerTrim,
}

impl HeaderItem {
    /// The name of the header.
    pub fn name(&self) -> &str {
        match self {
            HeaderItem::Name(name) => name,
            HeaderItem::Normalized(header) => &header.name,
        }
    }
}

impl TextOrMap for HeaderItem {
    type Map = HeaderOn;
    const EXPECTED: &'static str = "the name of a header, or `{ name: …, normalize: … }`";

    fn of_text(text: &str) -> Option<HeaderItem> {
        Some(HeaderItem::Name(text.to_owned()))
    }

    fn of_map(map: HeaderOn) -> HeaderItem {
        HeaderItem::Normalized(map)
    }
}

impl<'de> Deserialize<'de> for HeaderItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderItem, D::Error> {
        text_or_map(deserializer)
    }
}
