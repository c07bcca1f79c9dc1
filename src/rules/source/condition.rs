//! As written: what must hold of a request or its response.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::Spanned;

/// Something about a request or its response: one of its fields, and what is expected of it. With neither `equals` nor
/// `matches` it is enough that the field is there.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// A header of the request.
    #[serde(default)]
    pub header: Option<Spanned<String>>,
    /// A parameter of the query.
    #[serde(default)]
    pub query: Option<Spanned<String>>,
    /// A cookie of the request.
    #[serde(default)]
    pub cookie: Option<Spanned<String>>,
    /// A header of the response.
    #[serde(default)]
    pub response_header: Option<Spanned<String>>,
    /// The status of the response: `404`, or a class such as `5xx`.
    #[serde(default)]
    pub response_status: Option<Spanned<String>>,
    /// The value is this.
    #[serde(default)]
    pub equals: Option<Spanned<String>>,
    /// The whole value matches this regex.
    #[serde(default)]
    pub matches: Option<Spanned<String>>,
}
