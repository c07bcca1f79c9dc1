//! As written: what clients may ask of the cache.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::Spanned;
use crate::yaml::units::Span;

/// What the `Cache-Control` of requests brings about.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientControl {
    /// `false`: nothing, but that the response to a request with `no-store` is not stored. Default: `true`.
    #[serde(default)]
    pub honor: Option<bool>,
    /// A response that is younger is served though the client asks for a fresher one. Default: 0.
    #[serde(default)]
    pub min_age: Option<Spanned<Span>>,
}

impl ClientControl {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        let ClientControl { honor, min_age } = self;
        honor.is_none() && min_age.is_none()
    }
}
