//! TLS towards clients: 1.2 and 1.3, HTTP chosen by ALPN. What a listener shows is read from PEM once, at start.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ParsedCertificate, ServerConfig};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use tokio_rustls::rustls::{Error as RustlsError, InconsistentKeys};
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::ASN1Time;

use crate::model::time::Timestamp;

/// A server's certificate, followed by those that vouch for it.
pub struct Certificates(Vec<CertificateDer<'static>>);

/// From when a certificate holds, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Before this nobody takes it.
    pub from: Timestamp,
    /// After this nobody does.
    pub until: Timestamp,
}

/// The private key of a server; never printed.
pub struct PrivateKey(Arc<dyn SigningKey>);

/// Everything a listener needs to speak TLS. Clones share it.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    /// What clients are shown.
    certificates: Arc<[CertificateDer<'static>]>,
}

/// The same certificate has the same key.
impl PartialEq for Tls {
    fn eq(&self, other: &Tls) -> bool {
        self.certificates == other.certificates
    }
}

/// Why a text is no certificate, no key, or the two do not belong together. Says nothing of what the text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TlsError {
    /// PEM without a certificate, or no PEM.
    #[error("expected a certificate (PEM), found none")]
    NoCertificate,
    /// Something between the lines of a certificate.
    #[error("expected a certificate (PEM), found one that cannot be read")]
    BadCertificate,
    /// PEM without a key, or no PEM; keys that want a passphrase have another label.
    #[error("expected a private key without a passphrase (PEM), found none")]
    NoKey,
    /// Something between the lines of a key, or an algorithm we do not sign with.
    #[error("expected an RSA, ECDSA or Ed25519 key (PEM), found one that cannot be used")]
    BadKey,
    /// The key is another's.
    #[error("expected the key of the certificate, found that of another")]
    Mismatch,
}

/// Protocols we offer, the preferred one first (RFC 7301 §3.2; RFC 9113 §3.2).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

impl FromStr for Certificates {
    type Err = TlsError;

    fn from_str(pem: &str) -> Result<Certificates, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let chain = chain.map_err(|_| TlsError::BadCertificate)?;
        let own = chain.first().ok_or(TlsError::NoCertificate)?;
        ParsedCertificate::try_from(own).map_err(|_| TlsError::BadCertificate)?;
        Ok(Certificates(chain))
    }
}

impl Certificates {
    /// From when they hold, all of them, and until when; `None`: that cannot be read.
    pub fn life(&self) -> Option<Life> {
        let lives = self.0.iter().map(|it| {
            let (_, read) = x509_parser::parse_x509_certificate(it).ok()?;
            let life = read.validity();
            Some(Life {
                from: moment(life.not_before),
                until: moment(life.not_after),
            })
        });
        lives.reduce(|one, other| {
            let (one, other) = (one?, other?);
            Some(Life {
                from: one.from.max(other.from),
                until: one.until.min(other.until),
            })
        })?
    }
}

/// One before the epoch is the epoch.
fn moment(time: ASN1Time) -> Timestamp {
    Timestamp::from_secs(u64::try_from(time.timestamp()).unwrap_or_default())
}

impl FromStr for PrivateKey {
    type Err = TlsError;

    fn from_str(pem: &str) -> Result<PrivateKey, TlsError> {
        let mut keys = PrivateKeyDer::pem_slice_iter(pem.as_bytes());
        let key = keys.next().ok_or(TlsError::NoKey)?;
        let key = key.map_err(|_| TlsError::BadKey)?;
        let key = ring::default_provider().key_provider.load_private_key(key);
        key.map(PrivateKey).map_err(|_| TlsError::BadKey)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)") // there is a key in it
    }
}

impl Tls {
    /// TLS with this certificate and its key.
    ///
    /// # Errors
    ///
    /// [`TlsError::Mismatch`].
    pub fn new(certificates: Certificates, key: PrivateKey) -> Result<Tls, TlsError> {
        let shown = certificates.0.clone().into();
        let certified = CertifiedKey::new(certificates.0, key.0);
        match certified.keys_match() {
            Ok(()) | Err(RustlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(TlsError::Mismatch),
        }
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring has ciphers and groups for TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        Ok(Tls {
            server: Arc::new(config),
            certificates: shown,
        })
    }

    /// Agrees with a client on the rest, within `limit`.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        match tokio::time::timeout(limit, acceptor.accept(stream)).await {
            Ok(shaken) => shaken,
            Err(late) => Err(late.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::CertificateParams;
    use rcgen::KeyPair;
    use rcgen::date_time_ymd;

    use super::*;
    use crate::proxy::Listen;

    #[test]
    fn a_chain_holds_as_long_as_each_of_it() {
        let made = |from, until| {
            let mut params = CertificateParams::new(["shop.example".to_owned()]).unwrap();
            (params.not_before, params.not_after) = (from, until);
            let key = KeyPair::generate().unwrap();
            params.self_signed(&key).unwrap().pem()
        };
        let (early, late) = (date_time_ymd(2026, 1, 2), date_time_ymd(2027, 1, 2));
        let own = made(date_time_ymd(1950, 1, 1), late);
        let other = made(early, date_time_ymd(4096, 1, 1));
        let life = |pem: &str| pem.parse::<Certificates>().ok().unwrap().life().unwrap();
        let day = |text: &str| Timestamp::from_rfc3339(text).unwrap();
        let (early, late) = (day("2026-01-02T00:00:00Z"), day("2027-01-02T00:00:00Z"));
        let (from, until) = (Timestamp::from_secs(0), late);
        assert_eq!(life(&own), Life { from, until });
        let (from, until) = (early, late);
        assert_eq!(life(&format!("{own}{other}")), Life { from, until });
    }

    #[test]
    fn a_listener_is_shown_without_its_key() {
        let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem().parse().ok().unwrap();
        let tls = Tls::new(made.cert.pem().parse().ok().unwrap(), key).unwrap();
        let listen = Listen::Tls(([127, 0, 0, 1], 8443).into(), tls);
        assert_eq!(listen.to_string(), "https://127.0.0.1:8443");
        assert_eq!(format!("{listen:?}"), "Tls(127.0.0.1:8443, Tls(…))");
    }
}
