//! Apps behind TLS.

use std::convert::Infallible;
use std::process::{Command, Stdio};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};

use super::*;

/// Where [`a_trusted_app_is_spoken_to`] finds the app.
const APP: &str = "TAGALONG_TEST_APP";

/// An app for `localhost` that says which protocol it was asked in; its certificate, too.
async fn app() -> (u16, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
                    let version = format!("{:?}", request.version());
                    Ok::<_, Infallible>(Response::new(Body::from(version)))
                });
                let served = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                drop(served);
            });
        }
    });
    (port, cert.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_trusted_by_its_certificate_only() {
    bounded(async {
        let (port, certificate) = app().await;
        let upstream = Upstream::new(
            Config::new(format!("https://localhost:{port}").parse().unwrap()),
            Clock::System,
        );
        assert_eq!(
            failed(&upstream, get("/")).await,
            UpstreamErrorKind::Connect
        );

        // Roots of trust come from the environment, which belongs to a whole process: so this needs another one.
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, certificate).unwrap();
        let mut test = Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "upstream::tls::a_trusted_app_is_spoken_to"])
            .args(["--ignored", "--nocapture"])
            .env("SSL_CERT_FILE", roots)
            .env(APP, port.to_string())
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || test.output());
        let output = output.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{output:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "an_app_is_trusted_by_its_certificate_only runs it, in a process that trusts the app"]
async fn a_trusted_app_is_spoken_to() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test that runs this one says where the app is"
    )]
    let Some(port) = std::env::var_os(APP) else {
        return;
    };
    let port = port.into_string().unwrap();
    bounded(async {
        let to = |host: &str| {
            Upstream::new(
                Config::new(format!("https://{host}:{port}").parse().unwrap()),
                Clock::System,
            )
        };
        let upstream = to("localhost");
        for _ in 0..2 {
            assert_eq!(
                text(upstream.ask(get("/")).await.unwrap()).await,
                "HTTP/2.0"
            );
        }
        // HTTP/2 has no upgrade.
        let (_sender, body) = channelled();
        let request = upgrade::upgrade(body);
        assert_eq!(text(upstream.ask(request).await.unwrap()).await, "HTTP/1.1");
        // The same app under a name its certificate is not for.
        assert_eq!(
            failed(&to("127.0.0.1"), get("/")).await,
            UpstreamErrorKind::Connect
        );
    })
    .await;
}
