//! Where the app is, as the configuration says it: parsed once, so that nothing later can be wrong about it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::uri::Authority;
use thiserror::Error;

/// The longest path a Unix socket's address holds on Linux, its final zero not counted.
const MAX_SOCKET_PATH: usize = 107;

/// The app's address: `http://host[:port]`, `https://host[:port]`, `h2c://host[:port]` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp {
        protocol: Protocol,
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

/// What is spoken on a connection to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3).
    H2c,
    /// TLS, and in it HTTP/2 or HTTP/1.1, whichever the app prefers (ALPN).
    Tls,
}

/// What a connection is made to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint<'a> {
    /// A name or an address (IPv6 without brackets), and a port.
    Tcp(&'a str, u16),
    /// A Unix socket.
    Unix(&'a Path),
}

/// Why a text is no address of an app. What it is, says who shows it: it may hold a secret, or span lines.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotATarget {
    /// Another scheme, or none.
    #[error(
        "expected `http://host[:port]`, `https://host[:port]`, `h2c://host[:port]` or `unix:/path`"
    )]
    Scheme,
    /// The rules say what is asked for, not the address.
    #[error("an upstream has no path, query or fragment: requests keep the path they came with")]
    Path,
    /// No host, user information, a port that is no number.
    #[error("expected a host with an optional port")]
    Host,
    /// Relative, empty or too long.
    #[error("expected `unix:` and the absolute path of a socket, at most 107 bytes")]
    Socket,
}

impl Target {
    pub(super) fn protocol(&self) -> Protocol {
        match &self.0 {
            Place::Tcp { protocol, .. } => *protocol,
            Place::Unix(_) => Protocol::Http1,
        }
    }

    pub(super) fn scheme(&self) -> &'static str {
        match &self.0 {
            Place::Tcp { protocol, .. } => protocol.scheme(),
            Place::Unix(_) => "unix",
        }
    }

    pub(super) fn endpoint(&self) -> Endpoint<'_> {
        match &self.0 {
            Place::Tcp { host, port, .. } => Endpoint::Tcp(unbracketed(host), *port),
            Place::Unix(path) => Endpoint::Unix(path),
        }
    }

    /// The name the app's certificate must be for.
    pub(super) fn server_name(&self) -> &str {
        match &self.0 {
            Place::Tcp { host, .. } => unbracketed(host),
            Place::Unix(_) => "",
        }
    }

    /// Whether who connects to it reaches who listens at this address. Of names only `localhost` is known.
    pub fn leads_to(&self, listener: SocketAddr) -> bool {
        let Place::Tcp { host, port, .. } = &self.0 else {
            return false;
        };
        let (there, own) = (unbracketed(host), listener.ip());
        let is_there = match there.parse::<IpAddr>() {
            // Who listens at `[::]` hears IPv4 as well, who listens at `0.0.0.0` no IPv6. Who asks for either asks this machine.
            Ok(ip) => {
                let ip = match ip.to_canonical() {
                    IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                    IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                    ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
                };
                ip == own
                    || (own.is_unspecified() && ip.is_loopback() && (own.is_ipv6() || ip.is_ipv4()))
            }
            Err(_) if there.eq_ignore_ascii_case("localhost") => {
                own.is_loopback() || own.is_unspecified()
            }
            Err(_) => false,
        };
        is_there && *port == listener.port()
    }

    /// Whether it is this unix socket.
    pub fn is_socket(&self, path: &Path) -> bool {
        matches!(&self.0, Place::Unix(own) if own == path)
    }

    /// `Host` for a request that has none.
    pub(super) fn authority(&self) -> String {
        match &self.0 {
            Place::Tcp {
                protocol,
                host,
                port,
            } if *port == protocol.default_port() => host.clone(),
            Place::Tcp { host, port, .. } => format!("{host}:{port}"),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl Protocol {
    fn scheme(self) -> &'static str {
        match self {
            Protocol::Http1 => "http",
            Protocol::H2c => "h2c",
            Protocol::Tls => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Protocol::Http1 | Protocol::H2c => 80,
            Protocol::Tls => 443,
        }
    }
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Target, NotATarget> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = path.starts_with('/') && path.len() <= MAX_SOCKET_PATH;
            return if fits && !path.contains('\0') {
                Ok(Target(Place::Unix(path.into())))
            } else {
                Err(NotATarget::Socket)
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or(NotATarget::Scheme)?;
        let protocol = [Protocol::Http1, Protocol::H2c, Protocol::Tls]
            .into_iter()
            .find(|protocol| scheme.eq_ignore_ascii_case(protocol.scheme()))
            .ok_or(NotATarget::Scheme)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") {
            return Err(NotATarget::Path);
        }
        let parsed: Authority = authority.parse().map_err(|_| NotATarget::Host)?;
        let port = match authority.strip_prefix(parsed.host()) {
            Some("") => protocol.default_port(),
            // `@` before the host or anything but a number after it is no port.
            Some(port) => port
                .strip_prefix(':')
                .and_then(|port| port.parse().ok())
                .filter(|port| *port != 0)
                .ok_or(NotATarget::Host)?,
            None => return Err(NotATarget::Host),
        };
        if parsed.host().is_empty() {
            return Err(NotATarget::Host);
        }
        Ok(Target(Place::Tcp {
            protocol,
            host: parsed.host().to_ascii_lowercase(),
            port,
        }))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Tcp { protocol, .. } => {
                write!(f, "{}://{}", protocol.scheme(), self.authority())
            }
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_listens_is_found_by_address_and_by_the_name_of_this_machine() {
        for (target, listener, leads_there) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://localhost:8080", "127.0.0.1:8080", true),
            ("http://LOCALHOST:8080", "[::1]:8080", true),
            ("http://127.0.0.1:8080", "0.0.0.0:8080", true),
            ("h2c://[::1]:8080", "[::]:8080", true),
            ("http://10.0.0.7:8080", "10.0.0.7:8080", true),
            ("http://127.0.0.1:8000", "127.0.0.1:8080", false),
            ("http://127.0.0.1:8080", "[::]:8080", true),
            ("http://[::1]:8080", "0.0.0.0:8080", false),
            ("http://127.0.0.2:8080", "127.0.0.1:8080", false),
            ("http://10.0.0.8:8080", "0.0.0.0:8080", false),
            ("http://localhost:8080", "10.0.0.7:8080", false),
            ("http://app:8080", "0.0.0.0:8080", false),
            ("unix:/run/app.sock", "127.0.0.1:8080", false),
        ] {
            let parsed: Target = target.parse().unwrap();
            let found = parsed.leads_to(listener.parse().unwrap());
            assert_eq!(found, leads_there, "{target} {listener}");
        }
        let socket: Target = "unix:/run/app.sock".parse().unwrap();
        assert!(socket.is_socket(Path::new("/run/app.sock")));
        assert!(!socket.is_socket(Path::new("/run/other.sock")));
    }

    #[test]
    fn targets_are_a_scheme_and_a_place() {
        for (name, text, expected) in [
            (
                "plain",
                "http://127.0.0.1:8000",
                Ok("http://127.0.0.1:8000"),
            ),
            ("default port", "http://app:80", Ok("http://app")),
            ("no port", "http://App", Ok("http://app")),
            ("bare slash", "http://app/", Ok("http://app")),
            ("tls", "https://app:443", Ok("https://app")),
            (
                "tls, other port",
                "HTTPS://app:8443",
                Ok("https://app:8443"),
            ),
            ("prior knowledge", "h2c://app:8000", Ok("h2c://app:8000")),
            ("IPv6", "http://[::1]:8000", Ok("http://[::1]:8000")),
            ("socket", "unix:/run/app.sock", Ok("unix:/run/app.sock")),
            ("path", "http://app/api", Err(NotATarget::Path)),
            ("query", "http://app?x", Err(NotATarget::Path)),
            ("fragment", "http://app/#x", Err(NotATarget::Path)),
            ("no host", "http://:80", Err(NotATarget::Host)),
            ("nothing", "http://", Err(NotATarget::Host)),
            ("user", "http://me@app", Err(NotATarget::Host)),
            ("port 0", "http://app:0", Err(NotATarget::Host)),
            ("port too large", "http://app:65536", Err(NotATarget::Host)),
            ("port is a word", "http://app:http", Err(NotATarget::Host)),
            ("empty port", "http://app:", Err(NotATarget::Host)),
            ("blank", "http://a b", Err(NotATarget::Host)),
            ("other scheme", "ftp://app", Err(NotATarget::Scheme)),
            ("no scheme", "app:8000", Err(NotATarget::Scheme)),
            ("empty", "", Err(NotATarget::Scheme)),
            ("relative socket", "unix:app.sock", Err(NotATarget::Socket)),
            ("no socket", "unix:", Err(NotATarget::Socket)),
        ] {
            let got = text.parse::<Target>().map(|target| target.to_string());
            assert_eq!(got, expected.map(str::to_owned), "{name}");
        }
        let long = format!("unix:/{}", "x".repeat(MAX_SOCKET_PATH));
        assert!(long.parse::<Target>().is_err(), "long socket");
    }

    #[test]
    fn brackets_are_for_the_authority_only() {
        let target: Target = "https://[::1]".parse().unwrap();
        assert_eq!(target.authority(), "[::1]");
        assert_eq!(target.server_name(), "::1");
        assert!(matches!(target.endpoint(), Endpoint::Tcp("::1", 443)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(http|https|h2c|unix)?(://|:)?[ -~]{0,24}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
            }
        }
    }
}
