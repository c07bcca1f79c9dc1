//! Certificates made by the test that uses them, and clients that trust them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::CertifiedKey;
use rcgen::generate_simple_self_signed;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::version::TLS13;

/// A certificate, for `shop.example` where nothing else is said, signed by itself.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: String,
    der: CertificateDer<'static>,
}

/// What a client of such a server brings.
#[derive(Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

impl Certificate {
    pub(crate) fn new() -> Certificate {
        Certificate::of(&["shop.example"])
    }

    /// For a server of this machine.
    pub(crate) fn of_loopback() -> Certificate {
        Certificate::of(&["localhost", "127.0.0.1"])
    }

    fn of(names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = generate_simple_self_signed(names);
        let CertifiedKey { cert, signing_key } = made.expect("a name makes a certificate");
        Certificate {
            pem: cert.pem(),
            key: signing_key.serialize_pem(),
            der: cert.der().clone(),
        }
    }

    /// Trust in this certificate alone, offering these protocols (ALPN).
    pub(crate) fn trust(&self, protocols: &[&str]) -> Trust {
        self.trust_in(&[&TLS12, &TLS13], protocols)
    }

    /// As [`Certificate::trust`], in these versions of TLS.
    pub(crate) fn trust_in(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("it was just made");
        let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(versions)
            .expect("ring knows them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Trust(Arc::new(config))
    }
}

impl Trust {
    pub(crate) async fn connect(&self, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        self.connect_as("shop.example", to).await
    }

    /// Expects a certificate for this name or address.
    pub(crate) async fn connect_as(
        &self,
        name: &str,
        to: SocketAddr,
    ) -> io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(to).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).expect("it is a name");
        let connector = TlsConnector::from(Arc::clone(&self.0));
        connector.connect(name, socket).await
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}
