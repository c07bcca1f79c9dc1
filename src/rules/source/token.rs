//! As written: claims of JSON Web Tokens that the key holds.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::Spanned;
use crate::yaml::units::Span;

/// A claim of a token. A request whose token is not trusted is not looked up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimOn {
    /// The request header that holds the token, after `Bearer` in `Authorization`. Default: `Authorization`.
    #[serde(default)]
    pub header: Option<Spanned<String>>,
    /// The cookie that holds it, in place of a header.
    #[serde(default)]
    pub cookie: Option<Spanned<String>>,
    /// The name of the claim, such as `sub`; of one inside another a JSON pointer, such as `/realm/id`.
    pub claim: Spanned<String>,
    /// What makes a token trusted. Required: anyone could write one.
    #[serde(default)]
    pub verify: Option<Spanned<Verify>>,
}

/// What makes a token trusted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The file of a JWK Set (RFC 7517) with the keys that tokens are signed by, relative to this file.
    pub jwks_file: Spanned<String>,
    /// What `iss` must be. Default: anything.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What `aud` must name. Default: a token with an `aud` is not trusted.
    #[serde(default)]
    pub audience: Option<String>,
    /// How far the clocks of issuer and cache may be apart. Default: `60s`.
    #[serde(default)]
    pub leeway: Option<Spanned<Span>>,
}
