//! What the parts upstream and dialects are told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use http::uri::Authority;
use thiserror::Error;

/// Where the app is, and how long to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is.
    pub target: Target,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for the next bytes.
    pub read_timeout: Duration,
    /// Further tries of idempotent requests after a failed connection.
    pub retries: u32,
    /// The largest head of a response, in bytes.
    pub max_head: usize,
}

impl Upstream {
    /// The defaults, for an app that is there.
    pub fn new(target: Target) -> Upstream {
        Upstream {
            target,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(30),
            retries: 1,
            max_head: 64 << 10,
        }
    }
}

/// The address of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host with an optional port, and how it is spoken to.
    Host(Scheme, Authority),
    /// A Unix socket.
    Unix(PathBuf),
}

/// How an app is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP/1.1.
    Http,
    /// TLS, HTTP/2 or HTTP/1.1.
    Https,
    /// HTTP/2 without TLS.
    H2c,
}

/// The text is no address of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected `http://host[:port]`, `https://host[:port]`, `h2c://host[:port]` or `unix:/path`, without a path of the app"
)]
pub struct NotATarget;

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Target, NotATarget> {
        if let Some(path) = text.strip_prefix("unix:") {
            let absolute = path.starts_with('/').then(|| Target::Unix(path.into()));
            return absolute.ok_or(NotATarget);
        }
        let (scheme, rest) = text.split_once("://").ok_or(NotATarget)?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "h2c" => Scheme::H2c,
            _ => return Err(NotATarget),
        };
        let authority: Authority = rest
            .strip_suffix('/')
            .unwrap_or(rest)
            .parse()
            .map_err(|_| NotATarget)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(NotATarget);
        }
        Ok(Target::Host(scheme, authority))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host(Scheme::Http, host) => write!(f, "http://{host}"),
            Target::Host(Scheme::Https, host) => write!(f, "https://{host}"),
            Target::Host(Scheme::H2c, host) => write!(f, "h2c://{host}"),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The names of the header fields that are read, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialects {
    /// Fields that tag a response.
    pub tags: Vec<Field>,
    /// Fields that increment tags.
    pub increments: Vec<Field>,
    /// Fields that report changes of attributes.
    pub changes: Vec<HeaderName>,
    /// Fields that select a variant beyond `Vary`.
    pub vary: Vec<HeaderName>,
    /// Targeted cache control fields (RFC 9213), the strongest first.
    pub targeted: Vec<HeaderName>,
    /// Whom a group of RFC 9875 belongs to.
    pub groups: Groups,
    /// Whether the fields stay on responses to clients.
    pub expose: bool,
}

/// A field that holds tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: HeaderName,
    /// What separates its tags; `None`: what is usual for a field of that name.
    pub separator: Option<Separator>,
}

impl From<HeaderName> for Field {
    fn from(name: HeaderName) -> Field {
        Field {
            name,
            separator: None,
        }
    }
}

/// What separates the tags of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Separator(char);

/// Why a character separates no tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a separator is one ASCII punctuation mark, or a space")]
pub struct NotASeparator;

impl TryFrom<char> for Separator {
    type Error = NotASeparator;

    fn try_from(c: char) -> Result<Separator, NotASeparator> {
        if c.is_ascii_punctuation() || c == ' ' {
            Ok(Separator(c))
        } else {
            Err(NotASeparator)
        }
    }
}

/// Whom a group of RFC 9875 belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Groups {
    /// To the origin of the request, as the RFC says (§2.1).
    #[default]
    Origin,
    /// To all: group and tag names are one.
    Shared,
}

impl Default for Dialects {
    fn default() -> Dialects {
        fn names<T: From<HeaderName>, const N: usize>(names: [&'static str; N]) -> Vec<T> {
            let names = names.into_iter().map(HeaderName::from_static);
            names.map(T::from).collect()
        }
        Dialects {
            tags: names([
                "cache-tag",
                "cache-groups",
                "surrogate-key",
                "edge-cache-tag",
                "xkey",
                "x-magento-tags",
                "x-litespeed-tag",
            ]),
            increments: names([
                "cache-tag-increment",
                "cache-group-invalidation",
                "x-litespeed-purge",
            ]),
            changes: names(["cache-tag-change"]),
            vary: names(["x-litespeed-vary"]),
            targeted: names([
                "tagalong-cache-control",
                "cdn-cache-control",
                "surrogate-control",
                "x-litespeed-cache-control",
            ]),
            groups: Groups::Origin,
            expose: false,
        }
    }
}
