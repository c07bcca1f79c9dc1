//! Upgraded connections (RFC 9110 §7.8).

use super::*;

pub(super) fn upgrade(body: Body) -> Request<Body> {
    let mut request = request(Method::GET, "/chat", body);
    let headers = request.headers_mut();
    headers.insert("connection", "Upgrade".parse().unwrap());
    headers.insert("upgrade", "websocket".parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_connection_carries_raw_bytes_both_ways() {
    bounded(async {
        let origin = Origin::start().await;
        let mut config = origin.config();
        // A tunnel may be silent for longer than a response may.
        config.read_timeout = Duration::from_millis(20);
        let upstream = Upstream::new(config, Clock::System);
        let (silent_for_long, speak) = oneshot::channel();
        let app = async {
            let mut app = origin.accept().await;
            let head = app.head().await.to_lowercase();
            assert!(head.contains("connection: upgrade\r\n"), "{head}");
            assert!(head.contains("upgrade: websocket\r\n"), "{head}");
            assert!(!head.contains("transfer-encoding"), "{head}");
            // The first bytes of the new protocol come with the head.
            app.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
                .await;
            assert_eq!(app.until(b"ping").await, "ping");
            speak.await.unwrap();
            app.write("pong").await;
            // The client has ended its direction; ours goes on.
            assert_eq!(app.closed().await, b"bye");
            app.write("bye bye").await;
        };
        let client = async {
            let (sender, body) = channelled();
            let response = upstream.ask(upgrade(body)).await.unwrap();
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            assert_eq!(response.headers()["upgrade"], "websocket");
            assert_eq!(response.headers()["connection"], "Upgrade");
            let mut body = response.into_body();
            let expect = async |body: &mut Body, word: &str| {
                let mut seen = Vec::new();
                while seen.len() < word.len() {
                    let Some(Ok(Chunk::Data(data))) = body.next().await else {
                        panic!("no {word}");
                    };
                    seen.extend_from_slice(&data);
                }
                assert_eq!(seen, word.as_bytes());
            };
            expect(&mut body, "hello").await;
            sender.send(Ok("ping".into())).unwrap();
            let silence = tokio::time::timeout(Duration::from_millis(60), body.next()).await;
            assert!(silence.is_err(), "{silence:?}");
            silent_for_long.send(()).unwrap();
            expect(&mut body, "pong").await;
            sender.send(Ok("bye".into())).unwrap();
            drop(sender);
            let (rest, _, end) = read(&mut body).await;
            assert_eq!((rest.as_slice(), end), (&b"bye bye"[..], Ok(())));
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_response() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            for _ in 0..2 {
                app.head().await;
                app.write(OK).await;
            }
            app
        };
        let client = async {
            // What waits for the upgrade is never sent, and the connection serves on.
            let (_sender, body) = channelled();
            text(upstream.ask(upgrade(body)).await.unwrap()).await;
            text(upstream.ask(get("/")).await.unwrap()).await;
        };
        tokio::join!(app, client);
    })
    .await;
}
