//! Who is told of hits and misses: what a rule says of it, and the URLs that are called.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery};
use thiserror::Error;

use crate::model::outcome::LookedUp;

/// Who is told what became of a lookup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Of requests that the store has answered.
    pub on_hit: Option<Arc<Hook>>,
    /// Of requests that the app has answered, or was to answer.
    pub on_miss: Option<Arc<Hook>>,
}

impl Hooks {
    /// Whether anybody is told of anything.
    pub fn are_any(&self) -> bool {
        self.on_hit.is_some() || self.on_miss.is_some()
    }

    /// Who is told of this.
    pub fn of(&self, found: LookedUp) -> Option<&Arc<Hook>> {
        match found {
            LookedUp::Hit => self.on_hit.as_ref(),
            LookedUp::Miss => self.on_miss.as_ref(),
        }
    }
}

/// One who is told: a URL, the log, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Called for each.
    pub webhook: Option<HookUrl>,
    /// A line for each.
    pub log: Option<Level>,
}

/// How a line of the log is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `debug`.
    Debug,
    /// `info`.
    Info,
    /// `warn`.
    Warn,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
        })
    }
}

/// Where somebody is told by a POST: `http://host[:port]/path`, `https://…` or `h2c://…` (HTTP/2 without TLS). Shown without
/// its query, which may hold a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HookUrl {
    scheme: &'static str,
    authority: Authority,
    target: PathAndQuery,
}

/// Why a text is no such URL. It is not quoted: it may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAHookUrl {
    /// Relative, or for another protocol.
    #[error("expected a URL such as `http://host:9998/path`, with `http`, `https` or `h2c`")]
    Scheme,
    /// None, or one that cannot be one, such as a port that is no number.
    #[error("expected a URL with a host and, if need be, a port between 1 and 65535")]
    Host,
    /// `user:password@`.
    #[error("expected a URL without user information (`user:password@`)")]
    UserInfo,
    /// `#…`, which is never sent.
    #[error("expected a URL without a fragment (`#…`)")]
    Fragment,
    /// White space or what must be percent-encoded.
    #[error("expected the path and query of the URL to be ASCII, percent-encoded where need be")]
    Path,
}

impl HookUrl {
    const SCHEMES: [&str; 3] = ["http", "https", "h2c"];

    /// Its scheme, host and port, as an upstream is named.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// Its host, with the port if it names one: the value of `Host`.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// What is asked for there.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }
}

impl FromStr for HookUrl {
    type Err = NotAHookUrl;

    fn from_str(text: &str) -> Result<HookUrl, NotAHookUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAHookUrl::Scheme)?;
        let scheme = HookUrl::SCHEMES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(scheme))
            .ok_or(NotAHookUrl::Scheme)?;
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(NotAHookUrl::UserInfo);
        }
        if target.contains('#') {
            return Err(NotAHookUrl::Fragment);
        }
        let authority: Authority = authority
            .to_ascii_lowercase()
            .parse()
            .map_err(|_| NotAHookUrl::Host)?;
        let port = authority.as_str().strip_prefix(authority.host());
        let port = port.ok_or(NotAHookUrl::Host)?;
        let is_port = |port: &str| port.parse().is_ok_and(|port: u16| port != 0);
        if authority.host().is_empty()
            || !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        {
            return Err(NotAHookUrl::Host);
        }
        if !target.chars().all(|c| c.is_ascii_graphic()) {
            return Err(NotAHookUrl::Path);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        let target = format!("{slash}{target}");
        Ok(HookUrl {
            scheme,
            authority,
            target: target.parse().map_err(|_| NotAHookUrl::Path)?,
        })
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.path();
        write!(f, "{}://{}{path}", self.scheme, self.authority)?;
        match self.target.query() {
            Some(_) => f.write_str("?…"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_absolute_and_has_a_host() {
        for (name, text, expected) in [
            (
                "path",
                "http://127.0.0.1:9999/hit",
                Ok("http://127.0.0.1:9999/hit"),
            ),
            ("none", "http://h", Ok("http://h/")),
            ("TLS", "HTTPS://H/a/b", Ok("https://h/a/b")),
            ("HTTP/2", "h2c://h:1/", Ok("h2c://h:1/")),
            ("IPv6", "http://[::1]:9/x", Ok("http://[::1]:9/x")),
            (
                "query",
                "https://h/purge?token=sesame",
                Ok("https://h/purge?…"),
            ),
            ("query alone", "https://h?token=sesame", Ok("https://h/?…")),
            ("relative", "/hit", Err(NotAHookUrl::Scheme)),
            ("no scheme", "h/hit", Err(NotAHookUrl::Scheme)),
            ("other scheme", "ftp://h/", Err(NotAHookUrl::Scheme)),
            ("a socket", "unix:/run/hook.sock", Err(NotAHookUrl::Scheme)),
            ("no host", "http:///hit", Err(NotAHookUrl::Host)),
            ("port alone", "http://:80/", Err(NotAHookUrl::Host)),
            ("port", "http://h:0/", Err(NotAHookUrl::Host)),
            ("large port", "http://h:65536/", Err(NotAHookUrl::Host)),
            ("no port", "http://h:/", Err(NotAHookUrl::Host)),
            ("blank", "http://h h/", Err(NotAHookUrl::Host)),
            ("user", "http://u:sesame@h/", Err(NotAHookUrl::UserInfo)),
            ("at sign later", "http://h/a@b", Ok("http://h/a@b")),
            ("fragment", "http://h/#a", Err(NotAHookUrl::Fragment)),
            ("blank path", "http://h/a b", Err(NotAHookUrl::Path)),
            ("newline", "http://h/a\nb", Err(NotAHookUrl::Path)),
            ("Unicode", "http://h/é", Err(NotAHookUrl::Path)),
        ] {
            let url = text.parse::<HookUrl>();
            let shown = url.clone().map(|url| url.to_string());
            assert_eq!(shown, expected.map(str::to_owned), "{name}");
            let told = match url {
                Ok(url) => format!("{url:?}"),
                Err(why) => format!("{why} {why:?}"),
            };
            assert!(!told.contains("sesame"), "{name}: {told}");
        }
    }

    #[test]
    fn what_is_sent_is_the_whole_of_it() {
        let url: HookUrl = "https://H:8443?token=sesame&b".parse().unwrap();
        assert_eq!(url.origin(), "https://h:8443");
        assert_eq!(url.authority(), "h:8443");
        assert_eq!(url.target().as_str(), "/?token=sesame&b");
    }
}
