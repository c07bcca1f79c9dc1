//! Where the shared store is, as the configuration says it: parsed once, so that nothing later can be wrong about it. What is
//! wrong is told without any of the text, which may hold a password. Connects to nothing.

mod url;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thiserror::Error;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::model::secret::Secret;

pub use crate::shared::config::url::NotAnEndpoint;

/// What a sidecar is told of the shared store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How long it may take to answer one command; longer than zero.
    pub timeout: Duration,
}

/// Where the shared store is, and who we are there. One of (each with `valkey` for `redis`, too):
///
/// ```text
/// redis://[[user]:password@]host[:port][/db]
/// redis+unix://[[user]:password@]/path[?db=1]      or unix:///path, unix:/path
/// redis+sentinel://[[user]:password@]host[:port],…/service[/db][?sentinel_user=…&sentinel_password=…]
/// redis+cluster://[[user]:password@]host[:port],…
/// ```
///
/// `rediss`, `rediss+sentinel` and `rediss+cluster` speak TLS. User, password, service and path are percent-encoded UTF-8.
/// Shown without user and passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How many servers there are, and how they are found.
    pub topology: Topology,
    /// TLS to all of them, the sentinels too; `None`: none.
    pub tls: Option<Tls>,
    /// The user of the servers; never without a password.
    pub user: Option<String>,
    /// The password of the servers: UTF-8.
    pub password: Option<Secret>,
    /// The number of the database: 0 or more, 0 in a Cluster.
    pub db: i64,
}

/// How many servers there are, and how they are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One.
    Single(Address),
    /// One at a time, named by sentinels.
    Sentinel {
        /// Where the sentinels are: one at least, none of them a socket.
        sentinels: Vec<Address>,
        /// What the sentinels call the servers.
        service: String,
        /// The user of the sentinels themselves; never without a password.
        user: Option<String>,
        /// The password of the sentinels themselves: UTF-8.
        password: Option<Secret>,
    },
    /// Several, each with a part of the keys: where some of them are, one at least, none of them a socket.
    Cluster(Vec<Address>),
}

/// What a connection is made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name or an address (IPv6 without brackets), and a port.
    Tcp {
        /// In lower case.
        host: String,
        /// Not zero.
        port: u16,
    },
    /// An absolute path.
    Unix(PathBuf),
}

/// How TLS is spoken with the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who vouches for them; `None`: whom the system trusts.
    pub ca: Option<Authorities>,
}

/// Certificates of those who vouch for servers, as PEM: one at least, and each can be used.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities(Box<[u8]>);

/// Why a text is no such certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoCertificates {
    /// PEM without a certificate, or no PEM.
    #[error("expected certificates (PEM), found none")]
    None,
    /// Something between the lines of a certificate, or one that cannot vouch for others.
    #[error(
        "expected certificates (PEM) of those who vouch for the servers, found one that cannot be used"
    )]
    Bad,
}

/// What has a meaning in the path of a URL, or would be taken off its ends.
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'@');
/// The same of a part of the path.
const IN_PART: &AsciiSet = &IN_PATH.add(b'/');

impl Authorities {
    /// As PEM.
    pub fn pem(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Authorities {
    type Err = NoCertificates;

    fn from_str(pem: &str) -> Result<Authorities, NoCertificates> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| NoCertificates::Bad)?;
            store.add(certificate).map_err(|_| NoCertificates::Bad)?;
        }
        match store.is_empty() {
            true => Err(NoCertificates::None),
            false => Ok(Authorities(pem.as_bytes().into())),
        }
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities(…)") // long, and nobody reads it
    }
}

impl fmt::Display for Endpoint {
    /// As it may stand in the log: without user and passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls.is_some() { "s" } else { "" };
        match &self.topology {
            Topology::Single(Address::Unix(path)) => {
                let path = path.to_string_lossy();
                write!(f, "redis+unix://{}", utf8_percent_encode(&path, IN_PATH))?;
                return match self.db {
                    0 => Ok(()),
                    db => write!(f, "?db={db}"),
                };
            }
            Topology::Single(address) => write!(f, "redis{s}://{address}")?,
            Topology::Sentinel {
                sentinels, service, ..
            } => {
                write!(f, "redis{s}+sentinel://{}/", Listed(sentinels))?;
                utf8_percent_encode(service, IN_PART).fmt(f)?;
            }
            Topology::Cluster(addresses) => {
                write!(f, "redis{s}+cluster://{}", Listed(addresses))?;
            }
        }
        match self.db {
            0 => Ok(()),
            db => write!(f, "/{db}"),
        }
    }
}

impl fmt::Display for Address {
    /// As in a URL, with its port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// With commas between.
struct Listed<'a>(&'a [Address]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, address) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_vouches_for_servers_is_checked_before_it_is_needed() {
        let made = rcgen::generate_simple_self_signed(["redis.example".to_owned()]).unwrap();
        let pem = made.cert.pem();
        let two = format!("# the first\n{pem}{pem}");
        assert_eq!(two.parse::<Authorities>().unwrap().pem(), two.as_bytes());
        let key = made.signing_key.serialize_pem();
        let cut = pem.replace("MII", "");
        let label = "CERTIFICATE-----";
        for (name, text, expected) in [
            ("nothing", "", NoCertificates::None),
            ("no PEM", "sesame", NoCertificates::None),
            ("a key", &key, NoCertificates::None),
            ("cut", &cut, NoCertificates::Bad),
            (
                "no certificate in it",
                &format!("-----BEGIN {label}\nAAAA\n-----END {label}\n"),
                NoCertificates::Bad,
            ),
            ("one of two", &format!("{pem}{cut}"), NoCertificates::Bad),
        ] {
            assert_eq!(text.parse::<Authorities>(), Err(expected), "{name}");
        }
    }
}
