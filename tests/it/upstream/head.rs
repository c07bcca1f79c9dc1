//! Connections and heads: reuse, retries, what is malformed, what has no body.

use super::*;

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            for _ in 0..3 {
                let head = app.head().await;
                assert!(head.starts_with("GET /a%2Fb/../c?x=1&x=%20 HTTP/1.1\r\n"));
                assert!(head.contains("Host: shop.example\r\n"), "{head}");
                assert!(head.contains("x-two: 1\r\nx-two: \u{e9}\r\n"), "{head}");
                assert!(!head.to_lowercase().contains("content-length"), "{head}");
                assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
                app.write(
                    "HTTP/1.1 200 OK\r\nX-Two: 2\r\nContent-Length: 2\r\nx-two:   1 \r\n\r\nok",
                )
                .await;
            }
            app
        };
        let client = async {
            for _ in 0..3 {
                let mut request = get("http://ignored.example/a%2Fb/../c?x=1&x=%20");
                request.headers_mut().append("x-two", "1".parse().unwrap());
                let value = http::HeaderValue::from_bytes("\u{e9}".as_bytes()).unwrap();
                request.headers_mut().append("x-two", value);
                let response = upstream.ask(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                let fields: Vec<_> = response.headers().get_all("x-two").iter().collect();
                assert_eq!(fields, ["2", "1"]);
                assert_eq!(response.body().exact_len(), Some(2));
                assert_eq!(text(response).await, "ok");
            }
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_met_a_dead_pooled_connection_is_repeated_if_that_is_safe() {
    bounded(async {
        for (method, repeated) in [
            (Method::GET, true),
            (Method::DELETE, true),
            (Method::POST, false),
            (Method::PATCH, false),
        ] {
            let origin = Origin::start().await;
            let mut config = origin.config();
            config.retries = 0;
            let upstream = Upstream::new(config, Clock::System);
            let app = async {
                let mut app = origin.accept().await;
                app.head().await;
                app.write(OK).await;
                // The next one dies when its request is already on the way.
                app.head().await;
                drop(app);
                let mut app = origin.accept().await;
                let head = app.head().await;
                app.write(OK).await;
                head
            };
            let client = async {
                text(upstream.ask(get("/first")).await.unwrap()).await;
                let second = upstream
                    .ask(request(method.clone(), "/second", Body::empty()))
                    .await;
                if repeated {
                    text(second.unwrap()).await;
                } else {
                    assert_eq!(second.unwrap_err().kind, UpstreamErrorKind::Reset);
                    text(upstream.ask(get("/third")).await.unwrap()).await;
                }
            };
            let (head, ()) = tokio::join!(app, client);
            let expected = if repeated { "/second" } else { "/third" };
            assert!(head.contains(expected), "{method}: {head}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_connection_is_tried_again_for_idempotent_requests_only() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            for _ in 0..2 {
                drop(origin.accept().await);
                let mut app = origin.accept().await;
                let head = app.head().await;
                app.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                    .await;
                assert!(head.starts_with("GET"), "{head}");
            }
        };
        let client = async {
            text(upstream.ask(get("/")).await.unwrap()).await;
            let post = request(Method::POST, "/", "body");
            assert_eq!(failed(&upstream, post).await, UpstreamErrorKind::Reset);
            // Had the POST been tried again, the app would have seen it here.
            text(upstream.ask(get("/")).await.unwrap()).await;
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_away_is_a_failed_connection() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        drop(origin);
        let folder = tempfile::tempdir().unwrap();
        let socket = format!("unix:{}", folder.path().join("no.sock").display());
        let unknown = Upstream::new(
            Config::new("http://no-such-host.invalid".parse().unwrap()),
            Clock::System,
        );
        let absent = Upstream::new(Config::new(socket.parse().unwrap()), Clock::System);
        for upstream in [upstream, absent, unknown] {
            for request in [get("/"), request(Method::POST, "/", "body")] {
                let error = upstream.ask(request).await.unwrap_err();
                assert!(error.is_connect(), "{error}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_answer_has_a_kind() {
    use UpstreamErrorKind::{HeadTooLarge, Malformed, Reset, Timeout};
    bounded(async {
        let large = |bytes: usize| format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(bytes));
        for (name, answer, expected) in [
            ("nothing", String::new(), Reset),
            ("half a head", "HTTP/1.1 200 OK\r\nConte".into(), Reset),
            ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n".into(), Malformed),
            ("no version", "200 OK\r\n\r\n".into(), Malformed),
            ("no status", "HTTP/1.1 two OK\r\n\r\n".into(), Malformed),
            (
                "no field",
                "HTTP/1.1 200 OK\r\nx y\r\n\r\n".into(),
                Malformed,
            ),
            (
                "two lengths",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "length is a word",
                "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "negative length",
                "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "length too large",
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "unknown coding",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "upgrade nobody asked for",
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nxx".into(),
                Malformed,
            ),
            (
                "interim without end",
                "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000),
                Malformed,
            ),
            ("head over the limit", large(70_000), HeadTooLarge),
            ("head over the engine's limit", large(2 * MIB), HeadTooLarge),
        ] {
            let origin = Origin::start().await;
            let mut config = origin.config();
            config.retries = 0;
            let upstream = Upstream::new(config, Clock::System);
            let app = async {
                let mut app = origin.accept().await;
                app.head().await;
                // We may hang up before the last byte is written.
                app.stream.write_all(answer.as_bytes()).await.ok();
                app.stream.shutdown().await.ok();
                app.closed().await;
            };
            let (kind, ()) = tokio::join!(failed(&upstream, get("/")), app);
            assert_eq!(kind, expected, "{name}");
        }
        let origin = Origin::start().await;
        let mut config = origin.config();
        config.read_timeout = Duration::from_millis(50);
        let upstream = Upstream::new(config, Clock::System);
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.closed().await;
        };
        let (kind, _) = tokio::join!(failed(&upstream, get("/")), app);
        assert_eq!(kind, Timeout);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_not_clean_is_not_used_again() {
    bounded(async {
        for (name, method, answer, expected) in [
            ("extra bytes", Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", "ok"),
            ("body after HEAD", Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""),
            ("body after 204", Method::GET, "HTTP/1.1 204 No Content\r\n\r\nok", ""),
            ("body after 304", Method::GET, "HTTP/1.1 304 Not Modified\r\n\r\nok", ""),
            (
                "more than the last chunk",
                Method::GET,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200",
                "ok",
            ),
            (
                "close",
                Method::GET,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
                "ok",
            ),
            ("HTTP/1.0", Method::GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ] {
            let origin = Origin::start().await;
            let upstream = origin.upstream();
            let app = async {
                for _ in 0..2 {
                    let mut app = origin.accept().await;
                    app.head().await;
                    app.write(answer).await;
                    assert_eq!(app.closed().await, b"", "{name}");
                }
            };
            let client = async {
                for _ in 0..2 {
                    let request = request(method.clone(), "/", Body::empty());
                    let response = upstream.ask(request).await.unwrap();
                    assert_eq!(text(response).await, expected, "{name}");
                }
            };
            tokio::join!(app, client);
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_may_be_all_there_is() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let rows = [
            (Method::HEAD, "200 OK\r\nContent-Length: 1234", Some("1234")),
            (Method::GET, "204 No Content", None),
            (
                Method::GET,
                "304 Not Modified\r\nContent-Length: 1234",
                Some("1234"),
            ),
            (Method::GET, "200 OK\r\nContent-Length: 0", Some("0")),
            (Method::HEAD, "200 OK\r\nTransfer-Encoding: chunked", None),
        ];
        let app = async {
            // All of them over one connection: none leaves anything behind.
            let mut app = origin.accept().await;
            for (_, answer, _) in &rows {
                app.head().await;
                app.write(format!("HTTP/1.1 {answer}\r\n\r\n")).await;
            }
            app
        };
        let client = async {
            for (method, answer, length) in &rows {
                let request = request(method.clone(), "/", Body::empty());
                let response = upstream.ask(request).await.unwrap();
                assert!(response.body().is_empty(), "{answer}");
                let field = response.headers().get("content-length");
                assert_eq!(
                    field.map(|value| value.to_str().unwrap()),
                    *length,
                    "{answer}"
                );
            }
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_responses_are_skipped_and_a_close_ends_an_old_body() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
            )
            .await;
            app.write("HTTP/1.0 200 OK\r\nX: final\r\n\r\nuntil the ")
                .await;
            app.write("end").await;
        };
        let client = async {
            let response = upstream.ask(get("/")).await.unwrap();
            assert_eq!(response.headers().len(), 1);
            assert_eq!(response.body().exact_len(), None);
            assert_eq!(text(response).await, "until the end");
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc9112_6_3_an_unknown_coding_ends_where_the_app_closes() {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: ABC\r\nConnection: keep-alive\r\n\r\n";
    // It looks like a response of its own, and is what it is: content.
    const NESTED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let mut config = origin.config();
        config.read_timeout = Duration::from_millis(500);
        let impatient = Upstream::new(config, Clock::System);
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write(HEAD).await;
            app.write(NESTED).await;
            app.stream.shutdown().await.unwrap();
            // It never saw a second request.
            assert_eq!(app.closed().await, b"");
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
                .await;
            // An app that keeps the connection open has not said that this is all.
            let mut app = origin.accept().await;
            app.head().await;
            app.write(HEAD).await;
            app.write(NESTED).await;
            app.closed().await;
        };
        let client = async {
            let response = upstream.ask(get("/")).await.unwrap();
            assert!(!response.headers().contains_key("transfer-encoding"));
            assert_eq!(response.body().exact_len(), None);
            assert_eq!(text(response).await, NESTED);
            let response = upstream.ask(get("/")).await.unwrap();
            assert_eq!(text(response).await, "ok");
            let response = impatient.ask(get("/")).await.unwrap();
            let (data, _, end) = read(&mut response.into_body()).await;
            assert_eq!(data, NESTED.as_bytes());
            assert!(end.is_err(), "half a body was taken for the whole");
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_a_response_are_never_taken_for_the_next_one() {
    bounded(async {
        let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        for together in [true, false] {
            let origin = Origin::start().await;
            let upstream = origin.upstream();
            let (surplus, is_sent) = oneshot::channel();
            let (whole, is_read) = oneshot::channel();
            let app = async {
                let mut app = origin.accept().await;
                app.head().await;
                if together {
                    app.write(format!("{OK}{evil}")).await;
                    is_read.await.unwrap();
                } else {
                    app.write(OK).await;
                    is_read.await.unwrap();
                    app.write(evil).await;
                }
                // Hung up on as soon as it is seen, with no second request on it.
                assert_eq!(app.closed().await, b"", "together: {together}");
                surplus.send(()).unwrap();
                let mut app = origin.accept().await;
                app.head().await;
                app.write(OK).await;
                app
            };
            let client = async {
                assert_eq!(text(upstream.ask(get("/")).await.unwrap()).await, "ok");
                whole.send(()).unwrap();
                is_sent.await.unwrap();
                assert_eq!(text(upstream.ask(get("/")).await.unwrap()).await, "ok");
            };
            tokio::join!(app, client);
        }
    })
    .await;
}

#[tokio::test]
async fn a_unix_socket_is_as_good() {
    bounded(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let target = format!("unix:{}", path.display()).parse().unwrap();
        let upstream = Upstream::new(Config::new(target), Clock::System);
        let app = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut app = Connection {
                stream,
                seen: Vec::new(),
            };
            for _ in 0..2 {
                app.head().await;
                app.until(b"body").await;
                app.write(OK).await;
            }
            app
        };
        let client = async {
            for _ in 0..2 {
                let request = request(Method::POST, "/", "body");
                assert_eq!(text(upstream.ask(request).await.unwrap()).await, "ok");
            }
        };
        tokio::join!(app, client);
    })
    .await;
}
