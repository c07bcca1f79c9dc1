//! Where a sidecar's admin interface is.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;
use thiserror::Error;

/// The URL below which the calls of a sidecar are: `http://127.0.0.1:9080`, or with a path where something in front has put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Without a slash at its end.
    url: Box<str>,
    tls: bool,
}

/// What a text that is no such URL should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotABase {
    /// Something else, or something else as well.
    #[error(
        "expected the URL of an admin interface, such as `http://127.0.0.1:9080`, without a query"
    )]
    Url,
    /// It would be shown with every error.
    #[error("expected a URL without user and password; a token is read from the environment")]
    Credentials,
}

impl Base {
    /// Whether it is reached by TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for Base {
    type Err = NotABase;

    fn from_str(text: &str) -> Result<Base, NotABase> {
        let url: Uri = text.parse().map_err(|_| NotABase::Url)?;
        let authority = url.authority().ok_or(NotABase::Url)?;
        if authority.as_str().contains('@') {
            return Err(NotABase::Credentials);
        }
        let tls = url.scheme() == Some(&Scheme::HTTPS);
        let known = tls || url.scheme() == Some(&Scheme::HTTP);
        if !known || authority.host().is_empty() || text.contains(['?', '#']) {
            return Err(NotABase::Url);
        }
        Ok(Base {
            url: text.trim_end_matches('/').into(),
            tls,
        })
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_url_without_secrets() {
        for (text, expected) in [
            ("http://127.0.0.1:9080", Ok("http://127.0.0.1:9080")),
            ("http://[::1]:9080/", Ok("http://[::1]:9080")),
            ("https://ops.example/shop/", Ok("https://ops.example/shop")),
            ("http://me:sesame@host", Err(NotABase::Credentials)),
            ("127.0.0.1:9080", Err(NotABase::Url)),
            ("unix:/run/admin", Err(NotABase::Url)),
            ("ftp://host", Err(NotABase::Url)),
            ("http://", Err(NotABase::Url)),
            ("http://host/?a=b", Err(NotABase::Url)),
            ("http://host/#a", Err(NotABase::Url)),
            ("/v1", Err(NotABase::Url)),
            ("", Err(NotABase::Url)),
        ] {
            let base = text.parse::<Base>().map(|base| base.to_string());
            assert_eq!(base, expected.map(str::to_owned), "{text}");
        }
    }
}
