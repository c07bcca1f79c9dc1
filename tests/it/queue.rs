//! The app has only so many exchanges at once; the next wait in a queue, which is bounded (F15, design.md §7).

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::task::yield_now;
use tokio::time::interval;

use crate::support::Answer;
use crate::support::Client;
use crate::support::Connection;
use crate::support::Held;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

/// A response that may be stored for long.
fn page(body: &str) -> Reply {
    reply(body).control("max-age=86400")
}

/// App, sidecar with these fields of `upstream:`, and a client.
async fn stage(upstream: &str) -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app).upstream(upstream).start().await;
    let client = sidecar.client();
    app.answer("/hit", page("hit"));
    client.get("/hit").await.is_miss();
    (app, sidecar, client)
}

/// Comes back when what was sent to the sidecar before has had its turn there, though the app takes nothing more.
async fn settled(client: &Client) {
    for _ in 0..5 {
        client.get("/hit").await.is_hit();
    }
}

/// A call that the app does not answer yet, begun by a client that waits.
async fn under_way(app: &Origin, client: &Client, path: &str) -> Held {
    let hold = app.hold(path);
    let asked = client.begin(get(path)).await;
    tokio::spawn(asked.answer());
    hold.arrived().await
}

#[track_caller]
fn is_refused(answer: &Answer, retry_after: &str) {
    answer
        .is_problem(503)
        .has_field("retry-after", retry_after)
        .says("REFUSED", &[("detail", "overloaded")]);
}

#[tokio::test]
async fn fifty_cold_urls_are_two_calls_at_a_time_in_the_order_they_came() {
    let (app, _sidecar, client) = stage("max_concurrent: 2").await;
    let paths: Vec<String> = (0..50).map(|n| format!("/cold/{n}")).collect();
    let mut holds: VecDeque<_> = paths.iter().map(|path| app.hold(path)).collect();
    let mut pending = Vec::new();
    for path in &paths {
        pending.push(client.begin(get(path)).await);
        settled(&client).await;
    }
    let mut called = VecDeque::new();
    let mut count = 0;
    while let Some(hold) = holds.pop_front() {
        if called.len() == 2 {
            let calls: usize = paths.iter().map(|path| app.calls(path)).sum();
            assert_eq!(calls, count);
            let first: Held = called.pop_front().unwrap();
            first.release(page("cold")).await;
        }
        called.push_back(hold.arrived().await);
        count += 1;
    }
    for held in called {
        held.release(page("cold")).await;
    }
    for pending in pending {
        pending.answer().await.is_miss().has_body("cold");
    }
}

#[tokio::test]
async fn who_finds_the_queue_full_is_told_at_once_when_to_come_again() {
    for (timeout, retry_after) in [("5s", "5"), ("2500ms", "3"), ("1ms", "1")] {
        let fields = format!("max_concurrent: 1, queue: 1, queue_timeout: {timeout}");
        let (app, _sidecar, client) = stage(&fields).await;
        let held = under_way(&app, &client, "/a").await;
        app.answer("/b", page("b"));
        let waiting = client.begin(get("/b")).await;
        settled(&client).await;
        is_refused(&client.get("/c").await, retry_after);
        is_refused(&client.post("/c").await, retry_after);
        held.release(page("a")).await;
        waiting.answer().await.is_miss().has_body("b");
        assert_eq!(app.calls("/c"), 0);
        client.get("/c").await.has_status(404);
    }
}

#[tokio::test]
async fn who_waits_too_long_is_refused_with_all_who_follow_it() {
    let (app, sidecar, client) = stage("max_concurrent: 1, queue: 1, queue_timeout: 5s").await;
    let held = under_way(&app, &client, "/a").await;
    let waiting = client.begin_many(3, &get("/b")).await;
    settled(&client).await;
    sidecar.wait(5);
    for waiting in waiting {
        is_refused(&waiting.answer().await, "5");
    }
    app.answer("/b", page("b"));
    let waiting = client.begin(get("/b")).await; // the place is free
    settled(&client).await;
    assert_eq!(app.calls("/b"), 0);
    held.release(page("a")).await;
    waiting.answer().await.is_miss();
}

/// A connection on which a request has begun.
async fn begun(client: &Client, text: &str) -> Connection {
    let mut connection = client.connect().await;
    connection.write(text).await;
    connection
}

#[tokio::test]
async fn slow_bodies_hold_no_turn() {
    for (name, fields) in [
        ("sent without being asked", ""),
        ("sent when asked to", "Expect: 100-continue\r\n"),
    ] {
        let (app, _sidecar, client) = stage("max_concurrent: 1, queue: 0").await;
        app.otherwise(|call| reply(call.body.clone()));
        let head = format!(
            "POST /slow HTTP/1.1\r\nHost: shop.example\r\n{fields}Content-Length: 8\r\n\r\n"
        );
        let mut slow = Vec::new();
        for _ in 0..20 {
            let mut connection = begun(&client, &head).await;
            if !fields.is_empty() {
                let interim = soon("100 Continue", connection.wire.head()).await;
                assert_eq!(interim.unwrap().expect("an answer").word(1), "100");
            }
            connection.write("half").await;
            slow.push(connection);
        }
        for n in 0..5 {
            client.get(&format!("/new/{n}")).await.has_status(200);
            client.ask(post("/form").body("a=b")).await.has_body("a=b");
        }
        assert_eq!(app.calls("/slow"), 0, "{name}");
        for mut connection in slow {
            connection.write("done").await;
            connection
                .answer()
                .await
                .has_status(200)
                .has_body("halfdone");
        }
    }
}

#[tokio::test]
async fn who_leaves_in_the_middle_of_a_body_has_asked_for_nothing() {
    let (app, sidecar, client) = stage("max_concurrent: 1, queue: 0").await;
    app.otherwise(|call| reply(call.body.clone()));
    for method in ["POST", "GET"] {
        let head =
            format!("{method} /left HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 8\r\n\r\n");
        drop(begun(&client, &format!("{head}half")).await);
        client.post("/after").await.has_status(200);
    }
    sidecar.shutdown().await; // when nothing runs any more
    assert_eq!(app.calls("/left"), 0);
}

#[tokio::test]
async fn bodies_on_their_way_leave_turns_to_requests_that_are_here() {
    let much = "x".repeat(64 << 10);
    for (name, fields, part) in [
        ("a large one", "Content-Length: 1000000", much.as_str()),
        (
            "of no declared length",
            "Transfer-Encoding: chunked",
            "1\r\nx\r\n",
        ),
    ] {
        let (app, sidecar, client) = stage("max_concurrent: 4, queue: 9, queue_timeout: 5s").await;
        app.otherwise(|call| reply(call.body.clone()));
        let holds: Vec<_> = (0..2).map(|_| app.hold("/up")).collect();
        let text = format!("PUT /up HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n\r\n{part}");
        let mut uploads = Vec::new();
        let mut held = Vec::new();
        for hold in holds {
            uploads.push(begun(&client, &text).await);
            held.push(hold.arrived().await);
        }
        let mut third = begun(&client, &text).await;
        for n in 0..5 {
            client.get(&format!("/new/{n}")).await.has_status(200);
            client.ask(post("/form").body("a=b")).await.has_body("a=b");
        }
        assert_eq!(app.calls("/up"), 2, "{name}");
        sidecar.wait(5); // it has waited since before those
        is_refused(&third.answer().await, "5");
        drop((uploads, held));
    }
}

#[tokio::test]
async fn a_body_that_drips_in_is_408_though_each_byte_comes_in_time() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config("limits: { client_body_timeout: 500ms }")
        .start()
        .await;
    app.otherwise(|call| reply(call.body.clone()));
    let connection = TcpStream::connect(sidecar.address()).await.unwrap();
    let (mut from, mut to) = connection.into_split();
    let head = "POST /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000\r\n\r\n";
    to.write_all(head.as_bytes()).await.unwrap();
    let dripping = async {
        let mut pace = interval(Duration::from_millis(10));
        while to.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
        pending().await // it has been closed, and what was said before that is to be read
    };
    let mut said = [0; 12];
    tokio::select! {
        read = soon("an answer", from.read_exact(&mut said)) => read.unwrap(),
        never = dripping => never,
    };
    assert_eq!(String::from_utf8_lossy(&said), "HTTP/1.1 408");
}

#[tokio::test]
async fn what_is_stored_is_served_stale_where_the_app_is_busy() {
    let (app, sidecar, client) = stage("max_concurrent: 1, queue: 0").await;
    app.answer("/s", reply("s").control("max-age=1, stale-if-error=60"));
    app.answer("/n", reply("n").control("max-age=1"));
    client.get("/s").await.is_miss();
    client.get("/n").await.is_miss();
    sidecar.wait(2);
    let held = under_way(&app, &client, "/a").await;
    let stale = client.get("/s").await;
    stale.is_stale("stale-if-error").has_body("s");
    is_refused(&client.get("/n").await, "5");
    held.release(page("a")).await;
    client.get("/s").await.is_expired();
}

#[tokio::test]
async fn a_turn_is_held_until_the_response_has_been_read() {
    for how in ["it ends", "the client leaves", "the app breaks off"] {
        let (app, _sidecar, client) = stage("max_concurrent: 1").await;
        let hold = app.hold("/a");
        let reader = client.begin(get("/a")).await;
        let endless = reply("half").control("no-store");
        let mut streaming = hold.arrived().await.begin(endless).await;
        let mut reader = reader.head().await;
        assert_eq!(reader.some().await.unwrap(), b"half", "{how}");
        app.answer("/b", page("b"));
        let waiting = client.begin(get("/b")).await;
        settled(&client).await;
        assert_eq!(app.calls("/b"), 0, "{how}");
        match how {
            "it ends" => {
                streaming.send(b" and half").await;
                streaming.end().await;
                reader.rest().await.is_whole();
            }
            "the client leaves" => {
                reader.leave();
                streaming.closed().await;
            }
            _ => {
                streaming.cut();
                reader.rest().await.is_cut();
            }
        }
        waiting.answer().await.is_miss();
    }
}

#[tokio::test]
async fn however_an_exchange_ends_its_turn_is_given_back() {
    let (app, _sidecar, client) = stage("max_concurrent: 1, queue: 0").await;
    for (name, status, answer) in [
        ("with content", 200, page("x")),
        ("in chunks", 200, page("x").chunked()),
        ("until close", 200, page("x").until_close()),
        ("without content", 204, reply("").status(204)),
        ("not modified", 304, reply("").status(304)),
        ("cut short", 200, page("x").cut()),
        ("reset", 502, Reply::reset()),
        ("closed", 502, Reply::hang_up()),
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let path = format!("/{method}/{name}").replace(' ', "-");
            app.answer(&path, answer.clone());
            let request = ask(method, &path).with("Content-Length", "0");
            let answer = client.ask(request).await;
            assert_eq!(answer.status, status, "{method} {name}:\n{answer}");
        }
    }
}

#[tokio::test]
async fn an_open_websocket_does_not_count() {
    let (app, _sidecar, client) = stage("max_concurrent: 1, queue: 0").await;
    let hold = app.hold("/socket");
    let request = get("/socket")
        .with("Connection", "upgrade")
        .with("Upgrade", "websocket");
    let pending = client.begin(request).await;
    let held = hold.arrived().await;
    is_refused(&client.get("/a").await, "5"); // it does until it is open
    let mut wire = held.switch("websocket").await;
    let mut open = pending.head().await;
    open.answer.has_status(101);
    app.answer("/a", page("a"));
    client.get("/a").await.is_miss();
    open.connection.write("ping").await;
    let ping = soon("the ping", wire.exactly(4)).await;
    assert_eq!(ping.unwrap(), b"ping");
}

#[tokio::test]
async fn an_open_event_stream_does_not_count() {
    let (app, _sidecar, client) = stage("max_concurrent: 1, queue: 0").await;
    let mut open = Vec::new();
    for content_type in ["text/event-stream", "Text/Event-Stream; charset=utf-8"] {
        let hold = app.hold("/events");
        let pending = client.begin(get("/events")).await;
        let events = reply("")
            .header("Content-Type", content_type)
            .control("no-store");
        let mut streaming = hold.arrived().await.begin(events.chunked()).await;
        streaming.send(b"data: 1\n\n").await;
        let mut answer = pending.head().await;
        assert!(answer.some().await.is_some());
        open.push((answer, streaming));
    }
    app.answer("/a", reply("a"));
    client.get("/a").await.has_status(200).has_body("a");
}

#[tokio::test]
async fn a_get_that_is_abandoned_in_the_queue_never_reaches_the_app() {
    let (app, _sidecar, client) = stage("max_concurrent: 1, queue: 2").await;
    let held = under_way(&app, &client, "/a").await;
    let fill = client.begin(get("/fill")).await;
    let pass = client.begin(get("/pass").with("Authorization", "me")).await;
    settled(&client).await;
    is_refused(&client.get("/c").await, "5");
    fill.leave();
    pass.leave();
    settled(&client).await;
    // Their places are free, and who waits now comes after them.
    app.answer("/c", page("c"));
    app.answer("/fill", page("fill"));
    let others = [
        client.begin(get("/c")).await,
        client.begin(get("/fill")).await,
    ];
    settled(&client).await;
    held.release(page("a")).await;
    for other in others {
        other.answer().await.is_miss();
    }
    assert_eq!((app.calls("/pass"), app.calls("/fill")), (0, 1));
}

#[tokio::test]
async fn a_get_that_somebody_has_joined_goes_on_without_its_first_client() {
    let (app, _sidecar, client) = stage("max_concurrent: 1, queue: 1").await;
    let held = under_way(&app, &client, "/a").await;
    let first = client.begin(get("/b")).await;
    settled(&client).await;
    let second = client.begin(get("/b")).await;
    settled(&client).await;
    first.leave();
    settled(&client).await;
    app.answer("/b", page("b"));
    held.release(page("a")).await;
    second.answer().await.is_shared().has_body("b");
    client.get("/b").await.is_hit();
    assert_eq!(app.calls("/b"), 1);
}

#[tokio::test]
async fn a_post_that_is_abandoned_in_the_queue_reaches_the_app_and_its_increment_counts() {
    // L4.
    let (app, sidecar, client) = stage("max_concurrent: 1").await;
    app.answer("/page", page("page").header("Cache-Tag", "T"));
    client.get("/page").await.is_miss();
    let held = under_way(&app, &client, "/a").await;
    let hold = app.hold("/write");
    let writer = client.begin(post("/write").body("all of it")).await;
    settled(&client).await;
    writer.leave();
    settled(&client).await;
    held.release(page("a")).await;
    let mut write = hold.arrived().await;
    assert_eq!(write.body().await, b"all of it");
    let changed = reply("").header("Cache-Tag-Increment", "T");
    write.release(changed).await;
    sidecar.settle().await;
    client.get("/page").await.is_invalidated();
}

#[tokio::test]
async fn a_refresh_waits_for_its_turn_though_no_client_waits_for_it() {
    let (app, sidecar, client) = stage("max_concurrent: 1").await;
    let brief = |body: &str| reply(body).control("max-age=1, stale-while-revalidate=60");
    app.answer("/s", brief("old"));
    client.get("/s").await.is_miss();
    sidecar.wait(2);
    let held = under_way(&app, &client, "/a").await;
    let stale = client.get("/s").await;
    stale.is_stale("stale-while-revalidate").has_body("old");
    settled(&client).await;
    assert_eq!(app.calls("/s"), 1);
    app.answer("/s", brief("new"));
    held.release(page("a")).await;
    sidecar.settle().await;
    client.get("/s").await.is_hit().has_body("new");
}

/// The app has one call, whose answer will have changed `T` before it is over.
async fn changing(app: &Origin, client: &Client) -> Held {
    under_way(app, client, "/change").await
}

#[tokio::test]
async fn an_increment_while_a_request_waits_does_not_keep_its_response_out() {
    // L1: what has changed before the app is asked is in its answer.
    let (app, _sidecar, client) = stage("max_concurrent: 1").await;
    let held = changing(&app, &client).await;
    let tagged = page("new").header("Cache-Tag", "T");
    app.answer("/get", tagged.clone());
    app.answer("/post", tagged.header("Content-Location", "/post"));
    let got = client.begin(get("/get")).await;
    let posted = client.begin(post("/post")).await;
    settled(&client).await;
    let change = reply("changed").header("Cache-Tag-Increment", "T");
    held.release(change).await;
    got.answer().await.is_miss();
    posted.answer().await.has_body("new");
    client.get("/get").await.is_hit();
    client.get("/post").await.is_hit();
}

#[tokio::test]
async fn who_comes_after_an_increment_joins_a_fill_that_still_waits_for_its_turn() {
    let app = Origin::start().await;
    let setup = Setup::new(&app).upstream("max_concurrent: 1");
    let rules = "  - { id: b, match: { path: /b }, tags: [T] }\n";
    let sidecar = setup.rules(rules).start().await;
    let client = sidecar.client();
    app.answer("/hit", page("hit"));
    client.get("/hit").await.is_miss();
    let held = changing(&app, &client).await;
    let first = client.begin(get("/b")).await;
    settled(&client).await;
    let change = reply("").header("Cache-Tag-Increment", "T");
    let streaming = held.begin(change).await;
    settled(&client).await;
    let second = client.begin(get("/b")).await;
    settled(&client).await;
    app.answer("/b", page("b"));
    streaming.end().await;
    first.answer().await.is_miss();
    second.answer().await.is_shared();
    client.get("/b").await.is_hit();
    assert_eq!(app.calls("/b"), 1);
}

/// How many calls an app has.
#[derive(Default)]
struct Calls {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

impl Calls {
    async fn one(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        self.all.fetch_add(1, Ordering::Relaxed);
        for _ in 0..4 {
            yield_now().await; // whoever else may ask does so now
        }
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An app that counts its calls and remembers none: its pages are for everyone, and a POST invalidates all of them.
async fn counting_app() -> (String, Arc<Calls>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(Calls::default());
    let counting = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(count(socket, Arc::clone(&counting)));
        }
    });
    (url, calls)
}

async fn count(socket: TcpStream, calls: Arc<Calls>) {
    const PAGE: &str =
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=86400\r\nContent-Length: 4\r\n\r\npage";
    const PURGED: &str = "HTTP/1.1 200 OK\r\nX-LiteSpeed-Purge: *\r\nContent-Length: 4\r\n\r\ndone";
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while socket.read_line(&mut head).await.is_ok_and(|read| read > 0) {
        if head.ends_with("\r\n\r\n") {
            calls.one().await;
            let answer = if head.starts_with("POST") {
                PURGED
            } else {
                PAGE
            };
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            head.clear();
        }
    }
}

/// So many clients, each on a connection of its own, ask for pages by turns until so many have been asked for.
async fn crowd(client: &Client, clients: usize, pages: impl Iterator<Item = usize>) -> Vec<Answer> {
    let pages: Vec<usize> = pages.collect();
    let pages = Arc::new(pages);
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (client, pages, next) = (client.clone(), Arc::clone(&pages), Arc::clone(&next));
        tasks.spawn(async move {
            let mut connection = client.connect().await;
            let mut answers = Vec::new();
            while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
                answers.push(connection.get(&format!("/page/{page}")).await);
            }
            answers
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

#[tokio::test]
async fn an_invalidation_of_ten_thousand_hot_pages_keeps_the_app_at_its_limit() {
    const PAGES: usize = 10_000;
    const CLIENTS: usize = 64;
    const LIMIT: usize = 8;
    // Each page is asked for by two clients.
    let asked = || (0..1_000).map(|n| n / 2);
    let (url, calls) = counting_app().await;
    let fields = format!("max_concurrent: {LIMIT}, queue: {}", CLIENTS - LIMIT);
    let sidecar = Setup::in_front_of(&url).upstream(&fields).start().await;
    let client = sidecar.client();
    let all = |status, answers: &[Answer]| answers.iter().all(|answer| answer.status == status);

    assert!(all(200, &crowd(&client, CLIENTS, 0..PAGES).await));
    assert_eq!(calls.all.swap(0, Ordering::Relaxed), PAGES);
    let hot = crowd(&client, CLIENTS, asked()).await;
    assert!(hot.iter().all(Answer::hits));

    client.post("/all").await.has_status(200);
    let answers = crowd(&client, CLIENTS, asked()).await;
    assert!(all(200, &answers), "there is a place for each of them");
    assert!(
        !answers
            .iter()
            .any(|answer| answer.field("cache-status").unwrap().contains("raced"))
    );
    assert_eq!(
        calls.all.swap(0, Ordering::Relaxed),
        1 + asked().count() / 2
    );

    client.post("/all").await.has_status(200);
    let answers = crowd(&client, 3 * CLIENTS, asked()).await;
    for answer in answers {
        if answer.status != 200 {
            is_refused(&answer, "5");
        }
    }
    assert_eq!(calls.most.load(Ordering::Relaxed), LIMIT);
}

const STALE: &str = "  - { id: p, match: { path: '/p/.*' }, tags: [P], ttl: 600s, on_invalidate: { mode: stale, max_stale: 60s } }\n";

/// Four turns, and three pages that are stored and invalidated.
async fn invalidated() -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let setup = Setup::new(&app).rules(STALE);
    let sidecar = setup.upstream("max_concurrent: 4, queue: 8").start().await;
    let client = sidecar.client();
    for n in 0..3 {
        let path = format!("/p/{n}");
        app.answer(&path, reply("old"));
        client.get(&path).await.is_miss();
    }
    sidecar.inc("P").await;
    (app, sidecar, client)
}

#[tokio::test]
async fn what_nobody_waits_for_leaves_turns_to_those_that_somebody_waits_for() {
    let (app, sidecar, client) = invalidated().await;
    let hold = app.hold("/p/0");
    client.get("/p/0").await.is_stale("invalidated");
    let held = hold.arrived().await;
    client.get("/p/1").await.is_stale("invalidated");
    client.get("/p/2").await.is_stale("invalidated");
    sidecar.settle().await;
    assert_eq!(
        [app.calls("/p/1"), app.calls("/p/2")],
        [1, 1],
        "one at a time"
    );
    app.answer("/a", reply("a"));
    client.get("/a").await.has_status(200).has_body("a");
    held.release(reply("new")).await;
    sidecar.settle().await;
    sidecar.settle().await;
    assert_eq!(
        [app.calls("/p/1"), app.calls("/p/2")],
        [2, 2],
        "one after the other"
    );
}

#[tokio::test]
async fn once_somebody_waits_for_it_a_fill_waits_for_its_turn_like_any_other() {
    let (app, sidecar, client) = invalidated().await;
    let hold = app.hold("/p/0");
    client.get("/p/0").await.is_stale("invalidated");
    let _held = hold.arrived().await;
    client.get("/p/1").await.is_stale("invalidated"); // its fill waits behind that
    sidecar.settle().await;
    assert_eq!(app.calls("/p/1"), 1);
    let hold = app.hold("/p/1");
    let fresh = get("/p/1").with("Cache-Control", "max-age=300");
    let pending = client.begin(fresh).await;
    hold.arrived().await.release(reply("new")).await;
    pending.answer().await.is_collapsed().has_body("new");
}
