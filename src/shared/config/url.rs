//! The URL of the shared store, read by hand: there may be several hosts in it, and of what is wrong nothing may be quoted.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::model::secret::Secret;
use crate::shared::config::{Address, Endpoint, Tls, Topology};

/// Why a text is no such URL. Nothing of it is quoted: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAnEndpoint {
    /// Another scheme, or none.
    #[error(
        "expected a URL with `redis://`, `rediss://`, `redis+unix://`, `redis+sentinel://`, `rediss+sentinel://`, `redis+cluster://` or `rediss+cluster://`"
    )]
    Scheme,
    /// No host, or what cannot be one; a port that is no number.
    #[error(
        "expected a host and, if need be, a port between 1 and 65535, as in `redis.example:6379` or `[::1]:6379`"
    )]
    Host,
    /// Several hosts, of which nobody says what they are to each other.
    #[error("expected one host; several are for `redis+sentinel://` and `redis+cluster://`")]
    Several,
    /// An `@` behind what looks like the end of the host.
    #[error(
        "expected `/`, `?`, `#` and `@` in user and password percent-encoded (`%2F`, `%3F`, `%23`, `%40`)"
    )]
    Unencoded,
    /// A `%` that begins no escape, or escapes that are no UTF-8.
    #[error("expected percent-encoded UTF-8, where a `%` itself is `%25`")]
    Escape,
    /// A user alone, who could not show that it is so.
    #[error("expected a password with the user, as in `user:password@` or `:password@`")]
    NoPassword,
    /// The same for the sentinels.
    #[error("expected `sentinel_password` with `sentinel_user`")]
    NoSentinelPassword,
    /// Relative, empty or too long.
    #[error(
        "expected the absolute path of a socket, at most 107 bytes, as in `redis+unix:///run/redis.sock`"
    )]
    Socket,
    /// Not a number, or more of a path.
    #[error("expected nothing but the number of a database behind the host, as in `/1`")]
    Db,
    /// Nothing, or what no sentinel takes.
    #[error(
        "expected the name of the service behind the sentinels, as in `redis+sentinel://host:26379/service`"
    )]
    Service,
    /// The path of a Cluster.
    #[error("expected nothing behind the hosts: a Cluster has one database only")]
    DbOfCluster,
    /// Parameters that mean nothing here, or twice the same.
    #[error("expected no parameters{}", .0)]
    Parameters(&'static str),
    /// What is never sent.
    #[error("expected no fragment (`#…`)")]
    Fragment,
}

/// Where servers listen if nothing else is said.
const PORT: u16 = 6379;
/// Where sentinels do.
const SENTINEL_PORT: u16 = 26379;
/// The longest path a Unix socket's address holds on Linux, its final zero not counted.
const MAX_SOCKET_PATH: usize = 107;

/// What the scheme of a URL says.
#[derive(Clone, Copy)]
enum Kind {
    Single,
    Unix,
    Sentinel,
    Cluster,
}

/// The parts of a URL, still encoded.
struct Parts<'t> {
    kind: Kind,
    tls: bool,
    /// What stands before the last `@` of the authority.
    credentials: Option<&'t str>,
    hosts: &'t str,
    /// With the slash that begins it.
    path: &'t str,
    query: Option<&'t str>,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Result<Parts<'t>, NotAnEndpoint> {
        let (scheme, rest) = text.split_once(':').ok_or(NotAnEndpoint::Scheme)?;
        let (kind, tls) = kind(scheme).ok_or(NotAnEndpoint::Scheme)?;
        let rest = match (rest.strip_prefix("//"), kind) {
            (Some(rest), _) => rest,
            // As sockets are written everywhere else.
            (None, Kind::Unix) if rest.starts_with('/') => rest,
            (None, _) => return Err(NotAnEndpoint::Scheme),
        };
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if behind.contains('@') {
            return Err(NotAnEndpoint::Unencoded);
        }
        if behind.contains('#') {
            return Err(NotAnEndpoint::Fragment);
        }
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, _)) if credentials.contains('@') => {
                return Err(NotAnEndpoint::Unencoded);
            }
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (path, query) = match behind.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (behind, None),
        };
        Ok(Parts {
            kind,
            tls,
            credentials,
            hosts,
            path,
            query,
        })
    }

    /// User and password, if any are given: never a user alone.
    fn credentials(&self) -> Result<(Option<String>, Option<Secret>), NotAnEndpoint> {
        let Some(credentials) = self.credentials else {
            return Ok((None, None));
        };
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let user = Some(decoded(user)?).filter(|user| !user.is_empty());
        let password = secret(password)?.ok_or(NotAnEndpoint::NoPassword)?;
        Ok((user.map(Cow::into_owned), Some(password)))
    }

    /// Where the hosts are: one at least.
    fn addresses(&self, port: u16) -> Result<Vec<Address>, NotAnEndpoint> {
        let hosts = self.hosts.split(',');
        hosts.map(|host| address(host, port)).collect()
    }

    /// The values of these parameters, each given at most once and no others.
    fn parameters<const N: usize>(
        &self,
        names: [&str; N],
        but: &'static str,
    ) -> Result<[Option<&'t str>; N], NotAnEndpoint> {
        let mut values = [None; N];
        for pair in self.query.unwrap_or_default().split('&') {
            let Some((name, value)) = pair.split_once('=') else {
                match pair.is_empty() {
                    true => continue,
                    false => return Err(NotAnEndpoint::Parameters(but)),
                }
            };
            let mut known = names.iter().zip(&mut values);
            match known.find(|(known, _)| **known == name) {
                Some((_, found @ None)) => *found = Some(value),
                Some((_, Some(_))) | None => return Err(NotAnEndpoint::Parameters(but)),
            }
        }
        Ok(values)
    }
}

/// What a scheme says, in whatever letters: where, and whether TLS is spoken.
fn kind(scheme: &str) -> Option<(Kind, bool)> {
    let scheme = scheme.to_ascii_lowercase();
    if scheme == "unix" {
        return Some((Kind::Unix, false));
    }
    let rest = ["redis", "valkey"]
        .iter()
        .find_map(|name| scheme.strip_prefix(name))?;
    Some(match rest {
        "" => (Kind::Single, false),
        "s" => (Kind::Single, true),
        "+unix" => (Kind::Unix, false),
        "+sentinel" => (Kind::Sentinel, false),
        "s+sentinel" => (Kind::Sentinel, true),
        "+cluster" => (Kind::Cluster, false),
        "s+cluster" => (Kind::Cluster, true),
        _ => return None,
    })
}

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Endpoint, NotAnEndpoint> {
        let parts = Parts::of(text)?;
        let (user, password) = parts.credentials()?;
        let (topology, db) = match parts.kind {
            Kind::Single => single(&parts)?,
            Kind::Unix => socket(&parts)?,
            Kind::Sentinel => sentinel(&parts)?,
            Kind::Cluster => (cluster(&parts)?, 0),
        };
        Ok(Endpoint {
            topology,
            tls: parts.tls.then(Tls::default),
            user,
            password,
            db,
        })
    }
}

fn single(parts: &Parts<'_>) -> Result<(Topology, i64), NotAnEndpoint> {
    if parts.hosts.contains(',') {
        return Err(NotAnEndpoint::Several);
    }
    let address = address(parts.hosts, PORT)?;
    let [] = parts.parameters([], "")?;
    Ok((Topology::Single(address), path_db(parts.path)?))
}

fn socket(parts: &Parts<'_>) -> Result<(Topology, i64), NotAnEndpoint> {
    let path = decoded(parts.path)?;
    let fits = path.starts_with('/') && path.len() <= MAX_SOCKET_PATH && !path.contains('\0');
    if !fits || !parts.hosts.is_empty() {
        return Err(NotAnEndpoint::Socket);
    }
    let [db] = parts.parameters(["db"], " but one `db`")?;
    let address = Address::Unix(path.into_owned().into());
    Ok((Topology::Single(address), db.map_or(Ok(0), number)?))
}

fn sentinel(parts: &Parts<'_>) -> Result<(Topology, i64), NotAnEndpoint> {
    let path = parts.path.strip_prefix('/').unwrap_or_default();
    let (service, db) = match path.find('/') {
        Some(slash) => path.split_at(slash),
        None => (path, ""),
    };
    let service = decoded(service)?;
    if service.is_empty() || service.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(NotAnEndpoint::Service);
    }
    let names = ["sentinel_user", "sentinel_password"];
    let but = " but one `sentinel_user` and one `sentinel_password`";
    let [user, password] = parts.parameters(names, but)?;
    let user = user.map(decoded).transpose()?;
    let user = user.filter(|user| !user.is_empty());
    let password = secret(password.unwrap_or_default())?;
    if user.is_some() && password.is_none() {
        return Err(NotAnEndpoint::NoSentinelPassword);
    }
    let topology = Topology::Sentinel {
        sentinels: parts.addresses(SENTINEL_PORT)?,
        service: service.into_owned(),
        user: user.map(Cow::into_owned),
        password,
    };
    Ok((topology, path_db(db)?))
}

fn cluster(parts: &Parts<'_>) -> Result<Topology, NotAnEndpoint> {
    if !matches!(parts.path, "" | "/") {
        return Err(NotAnEndpoint::DbOfCluster);
    }
    let [] = parts.parameters([], "")?;
    Ok(Topology::Cluster(parts.addresses(PORT)?))
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn address(text: &str, port: u16) -> Result<Address, NotAnEndpoint> {
    let (host, behind) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or(NotAnEndpoint::Host)?;
            let ip: Ipv6Addr = host.parse().map_err(|_| NotAnEndpoint::Host)?;
            (ip.to_string(), behind)
        }
        None => {
            let (host, behind) = text.split_at(text.find(':').unwrap_or(text.len()));
            let odd = |c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c);
            if host.is_empty() || host.contains(odd) {
                return Err(NotAnEndpoint::Host);
            }
            (host.to_ascii_lowercase(), behind)
        }
    };
    let port = match behind {
        "" => port,
        behind => {
            let digits = behind.strip_prefix(':').filter(|it| is_number(it));
            let port = digits.and_then(|digits| digits.parse().ok());
            port.filter(|port| *port != 0).ok_or(NotAnEndpoint::Host)?
        }
    };
    Ok(Address::Tcp { host, port })
}

/// The database that a path names: nothing, a slash, or a slash and a number.
fn path_db(path: &str) -> Result<i64, NotAnEndpoint> {
    match path.strip_prefix('/').unwrap_or(path) {
        "" => Ok(0),
        text => number(text),
    }
}

fn number(text: &str) -> Result<i64, NotAnEndpoint> {
    let number = text.parse().ok().filter(|_| is_number(text));
    number.ok_or(NotAnEndpoint::Db)
}

/// Digits alone: no sign.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn secret(text: &str) -> Result<Option<Secret>, NotAnEndpoint> {
    Ok(Secret::new(decoded(text)?.as_bytes()))
}

/// Without its escapes. A `%` that begins none is no text at all: it may be a password that was not encoded.
fn decoded(text: &str) -> Result<Cow<'_, str>, NotAnEndpoint> {
    let escapes = text.split('%').skip(1);
    let is_hex = |escape: &str| {
        let digits = escape.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !escapes.into_iter().all(is_hex) {
        return Err(NotAnEndpoint::Escape);
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_err(|_| NotAnEndpoint::Escape)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that a URL says, its passwords too.
    fn said(text: &str) -> Result<String, NotAnEndpoint> {
        let endpoint: Endpoint = text.parse()?;
        let told = |user: &Option<String>, password: &Option<Secret>| {
            let password = password.as_ref().map(Secret::reveal);
            let password = password.map(|it| String::from_utf8(it.to_vec()).unwrap());
            match (user, password) {
                (None, None) => String::new(),
                (user, password) => format!(
                    " as {}/{}",
                    user.as_deref().unwrap_or("-"),
                    password.as_deref().unwrap_or("-")
                ),
            }
        };
        let sentinels = match &endpoint.topology {
            Topology::Sentinel { user, password, .. } => told(user, password),
            Topology::Single(_) | Topology::Cluster(_) => String::new(),
        };
        let servers = told(&endpoint.user, &endpoint.password);
        let at_sentinels = match &*sentinels {
            "" => String::new(),
            some => format!(", at the sentinels{some}"),
        };
        Ok(format!("{endpoint}{servers}{at_sentinels}"))
    }

    #[test]
    fn each_form_of_url_says_where_the_store_is() {
        for (text, expected) in [
            ("redis://h", "redis://h:6379"),
            ("redis://h:1", "redis://h:1"),
            ("REDIS://H.Example:65535/", "redis://h.example:65535"),
            ("redis://127.0.0.1:6380/15", "redis://127.0.0.1:6380/15"),
            ("redis://h/0", "redis://h:6379"),
            ("redis://[::1]", "redis://[::1]:6379"),
            ("redis://[2001:DB8::0:1]:7/2", "redis://[2001:db8::1]:7/2"),
            ("redis://h?", "redis://h:6379"),
            ("rediss://h", "rediss://h:6379"),
            ("valkey://h", "redis://h:6379"),
            ("valkeys://h", "rediss://h:6379"),
            ("redis://:sesame@h", "redis://h:6379 as -/sesame"),
            ("redis://ann:sesame@h:1/2", "redis://h:1/2 as ann/sesame"),
            ("redis://a%3Ab:%40%2f%25@h", "redis://h:6379 as a:b/@/%"),
            ("redis://ann:p:w:@h", "redis://h:6379 as ann/p:w:"),
            ("redis://:p%C3%A9+@h", "redis://h:6379 as -/p\u{e9}+"),
            ("redis+unix:///run/r.sock", "redis+unix:///run/r.sock"),
            ("valkey+unix:///run/r.sock", "redis+unix:///run/r.sock"),
            ("unix:///run/r.sock?db=1", "redis+unix:///run/r.sock?db=1"),
            ("unix:/run/r.sock?db=0", "redis+unix:///run/r.sock"),
            (
                "redis+unix://ann:sesame@/r%3f%20%25.sock?db=3",
                "redis+unix:///r%3F%20%25.sock?db=3 as ann/sesame",
            ),
            ("redis+sentinel://a/shop", "redis+sentinel://a:26379/shop"),
            (
                "rediss+sentinel://ann:sesame@a:1,[::1],b/my%2fshop/4",
                "rediss+sentinel://a:1,[::1]:26379,b:26379/my%2Fshop/4 as ann/sesame",
            ),
            (
                "valkey+sentinel://a/s?sentinel_password=open%20sesame",
                "redis+sentinel://a:26379/s, at the sentinels as -/open sesame",
            ),
            (
                "redis+sentinel://:pw@a/s/?sentinel_user=sam&sentinel_password=sesame&",
                "redis+sentinel://a:26379/s as -/pw, at the sentinels as sam/sesame",
            ),
            ("redis+cluster://a", "redis+cluster://a:6379"),
            (
                "valkeys+cluster://ann:sesame@a:1,b:2,[::1]/",
                "rediss+cluster://a:1,b:2,[::1]:6379 as ann/sesame",
            ),
        ] {
            assert_eq!(said(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_a_word_of_it() {
        use NotAnEndpoint as Not;
        for (text, expected) in [
            ("", Not::Scheme),
            ("sesame", Not::Scheme),
            ("h:6379", Not::Scheme),
            ("redis:h", Not::Scheme),
            ("redis:/:sesame@h", Not::Scheme),
            ("http://h", Not::Scheme),
            ("rediss+unix:///r", Not::Scheme),
            ("redis+tls://h", Not::Scheme),
            ("unixs:///r", Not::Scheme),
            ("redis://", Not::Host),
            ("redis://:6379", Not::Host),
            ("redis://h:0", Not::Host),
            ("redis://h:", Not::Host),
            ("redis://h:+1", Not::Host),
            ("redis://h:65536", Not::Host),
            ("redis://h:1:2", Not::Host),
            ("redis://h h", Not::Host),
            ("redis://h\u{e9}", Not::Host),
            ("redis://::1", Not::Host),
            ("redis://[::1", Not::Host),
            ("redis://[::1]1", Not::Host),
            ("redis://[h]", Not::Host),
            ("redis://[::1%25eth0]", Not::Host),
            ("redis://a,b", Not::Several),
            ("redis://h/one", Not::Db),
            ("redis://h/-1", Not::Db),
            ("redis://h/+1", Not::Db),
            ("redis://h/1/2", Not::Db),
            ("redis://h/9223372036854775808", Not::Db),
            ("redis://h?db=1", Not::Parameters("")),
            ("redis://h?sesame", Not::Parameters("")),
            ("redis://h#sesame", Not::Fragment),
            ("redis://sesame@h", Not::NoPassword),
            ("redis://sesame:@h", Not::NoPassword),
            ("redis://@h", Not::NoPassword),
            ("redis://:@h", Not::NoPassword),
            ("redis://ann:ses/ame@h", Not::Unencoded),
            ("redis://ann:ses#ame@h", Not::Unencoded),
            ("redis://ann:ses?ame@h", Not::Unencoded),
            ("redis://ann:ses@me@h", Not::Unencoded),
            ("redis://ann:100%@h", Not::Escape),
            ("redis://ann:1%0@h", Not::Escape),
            ("redis://ann:%zzame@h", Not::Escape),
            ("redis://ann:%+1@h", Not::Escape),
            ("redis://ann:%ff@h", Not::Escape),
            ("redis://a%f:sesame@h", Not::Escape),
            ("redis+unix://", Not::Socket),
            ("redis+unix://run/r.sock", Not::Socket),
            ("redis+unix:r.sock", Not::Scheme),
            ("unix:///a%00b", Not::Socket),
            ("unix:///a?db=1&db=1", Not::Parameters(" but one `db`")),
            ("unix:///a?db=", Not::Db),
            ("unix:///a?db=x", Not::Db),
            ("redis+sentinel://a", Not::Service),
            ("redis+sentinel://a/", Not::Service),
            ("redis+sentinel://a//1", Not::Service),
            ("redis+sentinel://a/s%0d%0a", Not::Service),
            ("redis+sentinel:///s", Not::Host),
            ("redis+sentinel://a,/s", Not::Host),
            ("redis+sentinel://a/s/x", Not::Db),
            (
                "redis+sentinel://a/s?sentinel_user=sam",
                Not::NoSentinelPassword,
            ),
            (
                "redis+sentinel://a/s?password=sesame",
                Not::Parameters(" but one `sentinel_user` and one `sentinel_password`"),
            ),
            (
                "redis+sentinel://a/s?sentinel_password=sesame&sentinel_password=sesame",
                Not::Parameters(" but one `sentinel_user` and one `sentinel_password`"),
            ),
            ("redis+sentinel://a/s?sentinel_password=%", Not::Escape),
            ("redis+cluster://", Not::Host),
            ("redis+cluster://a,,b", Not::Host),
            ("redis+cluster://a/1", Not::DbOfCluster),
            ("redis+cluster://a?x=1", Not::Parameters("")),
        ] {
            let why = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(why, expected, "{text}");
            let told = format!("{why} {why:?}");
            assert!(!told.contains("sesame"), "{text}: {told}");
        }
        let longest = format!("unix:/{}", "a".repeat(MAX_SOCKET_PATH - 1));
        assert!(longest.parse::<Endpoint>().is_ok());
        let longer = format!("{longest}a").parse::<Endpoint>();
        assert_eq!(longer, Err(NotAnEndpoint::Socket));
    }

    #[test]
    fn nothing_that_is_shown_holds_a_password() {
        for text in [
            "rediss://ann:sesame@h",
            "unix://:sesame@/r",
            "redis+sentinel://ann:sesame@a/s?sentinel_user=sam&sentinel_password=sesame",
            "redis+cluster://ann:sesame@a,b",
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            let shown = format!("{endpoint} {endpoint:?}");
            assert!(!shown.contains("sesame"), "{shown}");
            assert!(!endpoint.to_string().contains("ann"), "{endpoint}");
        }
    }

    proptest! {
        #[test]
        fn no_text_stops_the_parser(text in "\\PC{0,40}") {
            prop_assert_eq!(text.parse::<Endpoint>(), text.parse());
        }

        #[test]
        fn what_is_shown_says_the_same_place(
            scheme in "(redis|valkey)(s?(\\+(sentinel|cluster))?|\\+unix)",
            rest in "[a-z:@/?%#0-9,=\\[\\]_. ]{0,24}",
        ) {
            if let Ok(endpoint) = format!("{scheme}://{rest}").parse::<Endpoint>() {
                let shown = endpoint.to_string();
                let again: Endpoint = shown.parse().map_err(|why| {
                    TestCaseError::fail(format!("{rest}: {shown}: {why}"))
                })?;
                prop_assert_eq!(again.to_string(), shown);
                prop_assert_eq!(again.db, endpoint.db);
                prop_assert_eq!(again.tls, endpoint.tls);
            }
        }
    }
}
