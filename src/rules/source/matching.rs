//! As written: which requests a rule is for.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::Spanned;

/// Which requests a rule is for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Hosts, `*` for any run of characters: `*.shop.example`. Without a port, any port. Default: any host.
    #[serde(default)]
    pub hosts: Option<Spanned<Vec<Spanned<String>>>>,
    /// Methods. What others than GET and HEAD get is stored only with `safe: true`. Default: `[GET, HEAD]`.
    #[serde(default)]
    pub methods: Option<Spanned<Vec<Spanned<String>>>>,
    /// The whole path: a glob in which `*` is any run of characters (`/users/*/profile`), or a regex with named
    /// captures (`/users/(?P<id>\d+)`). It is a regex if it holds `.*` or one of `\ ( ) [ ] { } | + ? ^ $`. Default: any path.
    #[serde(default)]
    pub path: Option<Spanned<String>>,
    /// Request headers, all of which must be there. Default: any.
    #[serde(default)]
    pub headers: Option<Spanned<Vec<HeaderMatch>>>,
}

/// A request header that must be there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// Its name.
    pub name: Spanned<String>,
    /// A regex for the whole value; that of several lines is what they say with `, ` between them. Default: any value.
    #[serde(default)]
    pub matches: Option<Spanned<String>>,
}
