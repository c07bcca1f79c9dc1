//! Bodies: framing, cuts, early answers, back-pressure.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_whole_never_ends_clean() {
    bounded(async {
        for (name, answer, close) in [
            ("short", "Content-Length: 10\r\n\r\nfour", true),
            ("empty", "Content-Length: 10\r\n\r\n", true),
            (
                "no last chunk",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
                true,
            ),
            (
                "no final line",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n",
                true,
            ),
            (
                "cut chunk",
                "Transfer-Encoding: chunked\r\n\r\nff\r\nfour",
                true,
            ),
            (
                "no size",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nzz\r\n",
                false,
            ),
            (
                "no line end",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfourfour\r\n",
                false,
            ),
            (
                "huge chunk",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nfffffffffffffffff\r\n",
                false,
            ),
            ("silence", "Content-Length: 10\r\n\r\nfour", false),
            (
                "silent chunks",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
                false,
            ),
        ] {
            let origin = Origin::start().await;
            let mut config = origin.config();
            config.read_timeout = Duration::from_millis(500);
            let upstream = Upstream::new(config, Clock::System);
            let app = async {
                let mut app = origin.accept().await;
                app.head().await;
                app.write(format!("HTTP/1.1 200 OK\r\n{answer}")).await;
                if close {
                    app.stream.shutdown().await.unwrap();
                }
                app.closed().await;
            };
            let client = async {
                let response = upstream.ask(get("/")).await.unwrap();
                let mut body = response.into_body();
                let (data, _, end) = read(&mut body).await;
                assert!(end.is_err(), "{name}");
                assert!(b"four".starts_with(&data), "{name}: {data:?}");
                assert!(body.next().await.is_none(), "{name}: nothing follows");
            };
            tokio::join!(app, client);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_is_framed_by_what_it_is() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            let head = app.head().await;
            assert!(head.contains("Content-Length: 4\r\n"), "{head}");
            app.until(b"body").await;
            app.write(OK).await;
            let head = app.head().await;
            assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
            // An empty chunk in the middle must not look like the last one.
            assert_eq!(
                app.until(b"\r\n0\r\n\r\n").await,
                "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
            );
            app.write(OK).await;
            let head = app.head().await;
            assert!(head.contains("Content-Length: 0\r\n"), "{head}");
            app.write(OK).await;
            app
        };
        let client = async {
            for body in ["body".into(), chunks(&["a", "", "bc"]), Body::empty()] {
                let request = request(Method::POST, "/", body);
                assert_eq!(text(upstream.ask(request).await.unwrap()).await, "ok");
            }
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_never_takes_a_cut_request_for_a_whole_one() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            let rest = app.closed().await;
            assert_eq!(String::from_utf8(rest).unwrap(), "4\r\nhalf\r\n");
        };
        let client = async {
            let (sender, body) = channelled();
            sender.send(Ok("half".into())).unwrap();
            sender
                .send(Err(Cut::Short("the client left".into())))
                .unwrap();
            let error = upstream
                .ask(request(Method::POST, "/", body))
                .await
                .unwrap_err();
            assert_eq!(error.kind, UpstreamErrorKind::RequestBody);
        };
        tokio::join!(app, client);

        // The same while the response is already coming.
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
                .await;
            app.closed().await;
        };
        let client = async {
            let (sender, body) = channelled();
            let response = upstream
                .ask(request(Method::POST, "/", body))
                .await
                .unwrap();
            sender
                .send(Err(Cut::Short("the client left".into())))
                .unwrap();
            let (_, _, end) = read(&mut response.into_body()).await;
            assert!(end.is_err());
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_to_an_endless_upload_is_delivered() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            let head = app.head().await;
            assert!(head.starts_with("POST"), "{head}");
            // Nothing of the body is read, until the sidecar has hung up.
            app.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
                .await;
            app
        };
        let client = async {
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            let endless = stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
            let request = request(Method::POST, "/", streamed(endless));
            let response = upstream.ask(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(text(response).await, "big");
        };
        let (mut app, ()) = tokio::join!(app, client);
        app.closed().await;

        // An upload that neither ends nor goes on hangs nothing either.
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                .await;
            app.closed().await;
        };
        let (_sender, body) = channelled();
        let (response, ()) = tokio::join!(upstream.ask(request(Method::POST, "/", body)), app);
        assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn both_directions_flow_at_once() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            for line in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"] {
                app.until(line.as_bytes()).await;
                app.write(line).await;
            }
            // Both were whole, so the connection goes on.
            app.head().await;
            app.write(OK).await;
        };
        let client = async {
            let (sender, body) = channelled();
            let response = upstream
                .ask(request(Method::POST, "/", body))
                .await
                .unwrap();
            let mut body = response.into_body();
            for word in ["one", "two"] {
                sender.send(Ok(word.into())).unwrap();
                let Some(Ok(Chunk::Data(data))) = body.next().await else {
                    panic!("no {word}");
                };
                assert_eq!(data, word);
            }
            drop(sender);
            assert!(body.next().await.is_none());
            text(upstream.ask(get("/")).await.unwrap()).await;
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_app_back() {
    const TOTAL: usize = 100 * MIB;
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let sent = Arc::new(AtomicUsize::new(0));
        let (stalled, first_stall) = oneshot::channel();
        let counter = Arc::clone(&sent);
        let app = tokio::spawn(async move {
            let mut app = origin.accept().await;
            app.head().await;
            app.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {TOTAL}\r\n\r\n"
            ))
            .await;
            let block = vec![b'x'; 64 * 1024];
            let mut stalled = Some(stalled);
            while counter.load(Ordering::SeqCst) < TOTAL {
                let left = TOTAL - counter.load(Ordering::SeqCst);
                match app.stream.try_write(&block[..left.min(block.len())]) {
                    Ok(written) => _ = counter.fetch_add(written, Ordering::SeqCst),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        if let Some(stalled) = stalled.take() {
                            stalled.send(()).unwrap();
                        }
                        app.stream.writable().await.unwrap();
                    }
                }
            }
        });
        let mut body = upstream.ask(get("/")).await.unwrap().into_body();
        assert_eq!(body.exact_len(), Some(TOTAL as u64));
        first_stall.await.unwrap();
        let mut received = 0;
        while let Some(chunk) = body.next().await {
            let Chunk::Data(data) = chunk.unwrap() else {
                panic!("trailers")
            };
            received += data.len();
            // The kernel's buffers hold a few MiB; we hold one chunk.
            let ahead = sent.load(Ordering::SeqCst).saturating_sub(received);
            assert!(ahead < 32 * MIB, "{ahead} ahead after {received}");
        }
        assert_eq!(received, TOTAL);
        app.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_app_holds_the_upload_back() {
    const TOTAL: usize = 100 * MIB;
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let produced = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&produced);
        let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
        let frames = stream::iter(0..TOTAL / chunk.len()).map(move |_| {
            counter.fetch_add(chunk.len(), Ordering::SeqCst);
            Ok(Frame::data(chunk.clone()))
        });
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            let (mut taken, mut buffer) = (app.seen.len(), vec![0; MIB]);
            // Framing is on top of the content.
            while taken < TOTAL {
                taken += app.stream.read(&mut buffer).await.unwrap();
                let ahead = produced.load(Ordering::SeqCst).saturating_sub(taken);
                assert!(ahead < 32 * MIB, "{ahead} ahead after {taken}");
            }
            app.seen = buffer.split_off(MIB);
            app.write(OK).await;
            app
        };
        let upload = request(Method::PUT, "/", streamed(frames));
        let (_app, response) = tokio::join!(app, upstream.ask(upload));
        assert_eq!(response.unwrap().status(), StatusCode::OK);
        assert_eq!(produced.load(Ordering::SeqCst), TOTAL);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_body_breaks_the_exchange_off() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
                .await;
            app.closed().await;
        };
        let client = async { drop(upstream.ask(get("/")).await.unwrap()) };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_anywhere_is_never_whole() {
    bounded(async {
        let origin = Origin::start().await;
        let mut config = origin.config();
        config.retries = 0;
        let upstream = Upstream::new(config, Clock::System);
        for answer in [
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\ntwelve bytes",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nfour\r\n0B\r\nmore\r\nbytes\r\n0\r\nX: trailer\r\n\r\n",
        ] {
            for end in 0..=answer.len() {
                let app = async {
                    let mut app = origin.accept().await;
                    app.head().await;
                    // Byte by byte, so that every parser is left in the middle once.
                    for byte in &answer.as_bytes()[..end] {
                        app.write([*byte]).await;
                    }
                };
                let client = async {
                    match upstream.ask(get("/")).await {
                        Ok(response) => read(&mut response.into_body()).await.2.is_ok(),
                        Err(_) => false,
                    }
                };
                let ((), whole) = tokio::join!(app, client);
                assert_eq!(whole, end == answer.len(), "cut after {:?}", &answer[..end]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_short_body_is_whole_with_its_head_and_leaves_the_turn_to_others() {
    bounded(async {
        let origin = Origin::start().await;
        let config = Config {
            max_concurrent: 1,
            queue: 0,
            ..origin.config()
        };
        let upstream = Upstream::new(config, Clock::System);
        let app = async {
            let mut app = origin.accept().await;
            app.head().await;
            app.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
            app.head().await; // on the same connection
            app.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlo")
                .await;
            app
        };
        let client = async {
            let short = upstream.ask(get("/short")).await.unwrap();
            assert!(short.body().is_here());
            // Nobody has read it yet, and the only turn is free.
            let long = upstream.ask(get("/long")).await.unwrap();
            assert!(!long.body().is_here());
            let busy = failed(&upstream, get("/third")).await;
            assert_eq!(busy, UpstreamErrorKind::Busy);
            assert_eq!(text(short).await, "ok");
            long
        };
        let (mut app, long) = tokio::join!(app, client);
        let (rest, ()) = tokio::join!(text(long), app.write("ng"));
        assert_eq!(rest, "long");
    })
    .await;
}

#[tokio::test]
async fn a_short_request_is_sent_in_one_piece() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let app = async {
            let mut app = origin.accept().await;
            for body in ["12345", "5\r\n12345\r\n"] {
                let mut piece = vec![0; 4096];
                let len = app.stream.read(&mut piece).await.unwrap();
                let piece = String::from_utf8_lossy(&piece[..len]).into_owned();
                assert!(piece.contains(&format!("\r\n\r\n{body}")), "{piece:?}");
                app.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await;
            }
        };
        let client = async {
            for body in [Body::from("12345"), chunks(&["12345"])] {
                let request = request(Method::POST, "/", body);
                upstream.ask(request).await.unwrap();
            }
        };
        tokio::join!(app, client);
    })
    .await;
}

#[tokio::test]
async fn a_head_does_not_wait_for_a_body_that_is_not_there() {
    bounded(async {
        let origin = Origin::start().await;
        let upstream = origin.upstream();
        let (pieces, body) = channelled();
        let app = async {
            let mut app = origin.accept().await;
            let head = app.head().await;
            assert!(head.starts_with("POST "), "{head}");
            pieces.send(Ok(Bytes::from_static(b"later"))).unwrap(); // not before
            drop(pieces);
            app.until(b"0\r\n\r\n").await;
            app.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await;
        };
        let client = upstream.ask(request(Method::POST, "/", body));
        let ((), response) = tokio::join!(app, client);
        response.unwrap();
    })
    .await;
}
