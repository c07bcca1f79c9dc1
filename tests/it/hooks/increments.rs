//! Increments that others are told of: batches, failures, the end of the process.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::hooks::SECRET;
use crate::hooks::VARIABLE;
use crate::hooks::called_whole;
use crate::hooks::many;
use crate::hooks::said;
use crate::hooks::tags;
use crate::hooks::telling;
use crate::hooks::until;
use crate::support::Held;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;
use crate::support::soon;
use crate::support::verbatim;

/// The next call, taken; what it said.
async fn taken(held: Held) -> Value {
    answered(held, reply("")).await
}

async fn answered(mut held: Held, answer: Reply) -> Value {
    let body = held.body().await;
    held.release(answer).await;
    said(&body)
}

/// Waits until a call has failed for the n-th time. Its pause has begun then: tests have one thread.
async fn failed(log: &Log, tried: usize) {
    let said = format!("tried={tried} ");
    until("a call to fail", || log.text().contains(&said)).await;
}

/// Longer than any pause.
const PAUSE: u64 = 60;

#[tokio::test]
async fn n11_forty_tags_are_two_calls_with_the_header_and_every_tag_once() {
    let hook = Origin::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "from a file\n").unwrap();
    let fields = format!(
        "batch: 1s, max: 30, header_env: {{ Authorization: {VARIABLE} }}, header_file: {{ Fastly-Key: '{}' }}",
        file.display()
    );
    let (_, sidecar) = telling(&hook, &fields).await;
    let (one, two) = (hook.hold("/purge"), hook.hold("/purge"));

    sidecar.inc(&many(0..40)).await;
    sidecar.inc(&many(10..20)).await; // they wait already
    sidecar.settle().await;
    assert_eq!(hook.connections(), 0, "the second is not over");
    sidecar.wait(1);

    let mut named = Vec::new();
    for (hold, count) in [(one, 30), (two, 11)] {
        let held = hold.arrived().await;
        let call = held.call.clone();
        assert_eq!((call.method.as_str(), call.path()), ("POST", "/purge"));
        for (name, value) in [
            ("authorization", SECRET),
            ("fastly-key", "from a file"),
            ("content-type", "application/json"),
            ("host", &hook.address().to_string()),
        ] {
            assert_eq!(call.field(name).as_deref(), Some(value), "{name}");
        }
        let said = taken(held).await;
        assert_eq!(said["namespace"], "tagalong");
        assert_eq!(said["at"], "2033-05-18T03:33:21.000Z");
        assert_eq!(said.as_object().unwrap().len(), 3, "{said}");
        assert_eq!(tags(&said).len(), count);
        named.extend(tags(&said));
    }
    let expected = many(0..40);
    let expected: Vec<&str> = expected.split(", ").chain(["settled"]).collect();
    assert_eq!(named, expected, "in the order in which they came");
    sidecar.settle().await;
    assert_eq!(hook.calls("/purge"), 2);
    assert_eq!(hook.connections(), 1, "it is used again");
}

#[tokio::test]
async fn what_is_told_is_what_apps_and_rules_name() {
    let hook = Origin::start().await;
    let (app, sidecar) = telling(&hook, "").await;
    let client = sidecar.client();
    let hold = hook.hold("/purge");
    app.answer(
        "/all",
        reply("")
            .header("Cache-Tag-Increment", "User:42;again=2, User:43;soft")
            .header("Cache-Group-Invalidation", "\"books\", \"~all\"")
            .header("X-LiteSpeed-Purge", "tag=Lite"),
    );
    client.post("/all").await.has_status(200);
    app.answer("/everything", reply("").header("X-LiteSpeed-Purge", "*"));
    client.post("/everything").await.has_status(200);
    // The app counts itself: a higher version is an increment.
    for version in [7, 7, 8] {
        let tag = format!("Counted;v={version}");
        app.answer("/counted", reply("").header("Cache-Tag", tag));
        client.get("/counted").await.has_status(200);
    }
    sidecar.wait(1);
    let named = tags(&taken(hold.arrived().await).await);
    let named: BTreeSet<&str> = named.iter().map(String::as_str).collect();
    let expected = [
        "User:42", "User:43", "books", "%7Eall", "Lite", "~all", "Counted",
    ];
    assert_eq!(named, BTreeSet::from(expected), "no implicit tags");

    // What is repeated is told once more.
    let hold = hook.hold("/purge");
    sidecar.wait(2);
    soon("the repeat", async {
        while hook.calls("/purge") < 2 {
            client.get("/counted").await;
            sidecar.clock.advance(Duration::from_millis(100));
        }
    })
    .await;
    assert_eq!(tags(&taken(hold.arrived().await).await), ["User:42"]);
}

#[tokio::test]
async fn each_webhook_is_told_by_itself() {
    let (hook, other) = (Origin::start().await, Origin::start().await);
    let app = Origin::start().await;
    let webhooks = format!(
        "increment_webhooks:\n  - {{ url: '{}/purge', batch: 0 }}\n  - {{ url: '{}?token=x', batch: 5s }}",
        hook.url(),
        other.url()
    );
    let sidecar = Setup::new(&app).config(&webhooks).start().await;
    let (hangs, hold) = (hook.hold("/purge"), other.hold("/"));
    sidecar.inc("A").await;
    let hanging = hangs.arrived().await;
    sidecar.inc("B").await;
    sidecar.wait(5);
    let held = hold.arrived().await;
    assert_eq!(held.call.target, "/?token=x");
    assert_eq!(tags(&taken(held).await), ["A", "B"]);
    drop(hanging);
}

#[tokio::test]
async fn a_webhook_may_speak_http2() {
    let hook = Origin::start().await;
    let speaks_both = Sidecar::plain(&hook).await;
    let wire = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = Origin::start().await;
    let webhook = |at: SocketAddr| {
        format!("{{ url: 'h2c://{at}/purge', batch: 0, header_env: {{ X-Key: {VARIABLE} }} }}")
    };
    let (one, other) = (speaks_both.address(), wire.local_addr().unwrap());
    let webhooks = format!("increment_webhooks: [{}, {}]", webhook(one), webhook(other));
    let sidecar = Setup::new(&app).config(&webhooks).start().await;
    let hold = hook.hold("/purge");
    sidecar.inc("A").await;
    let held = hold.arrived().await;
    assert_eq!(held.call.field("x-key").as_deref(), Some(SECRET));
    assert_eq!(tags(&taken(held).await), ["A"]);

    let (mut socket, _) = soon("the other call", wire.accept()).await.unwrap();
    let mut preface = [0; 24];
    let read = socket.read_exact(&mut preface);
    soon("its first bytes", read).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

#[tokio::test]
async fn n11_a_webhook_that_hangs_holds_nothing_up() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let (app, sidecar) = telling(&hook, "batch: 0").await;
    let client = sidecar.client();
    app.answer(
        "/a",
        reply("a").control("max-age=600").header("Cache-Tag", "A"),
    );
    let hold = hook.hold("/purge");
    sidecar.inc("A").await;
    let held = hold.arrived().await;

    // Its clock stands still: no time-out of ours lets these through.
    for _ in 0..20 {
        client.get("/a").await.has_body("a");
        client.get("/a").await.is_hit();
        sidecar.inc("A").await;
    }
    assert_eq!(hook.calls("/purge"), 1);

    let again = hook.hold("/purge");
    sidecar.wait(5);
    failed(&log, 1).await;
    assert!(log.text().contains("no answer within 5s"), "{}", log.text());
    sidecar.wait(PAUSE);
    held.closed().await;
    assert_eq!(tags(&taken(again.arrived().await).await), ["A"]);
}

#[tokio::test]
async fn a_call_that_fails_is_made_again_before_the_next() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let (_, sidecar) = telling(&hook, "batch: 0").await;
    let failures = [
        ("refused", reply("").status(503)),
        ("limited", reply("").status(429).header("Retry-After", "7")),
        ("closed", Reply::hang_up()),
        ("reset", Reply::reset()),
        ("no HTTP", verbatim("what?\r\n\r\n")),
    ];
    let count = failures.len();
    let answers = Arc::new(Mutex::new(Vec::from(failures)));
    let script = Arc::clone(&answers);
    hook.on("/purge", move |_| {
        let next = script.lock().unwrap().pop();
        next.map_or_else(|| reply("{}"), |(_, answer)| answer)
    });
    sidecar.inc("A").await;
    failed(&log, 1).await;
    sidecar.inc("B").await;
    for tried in 1..=count {
        failed(&log, tried).await;
        sidecar.wait(PAUSE);
    }
    until("all calls", || {
        called_whole(&hook, "/purge").len() == count + 2
    })
    .await;

    let calls = called_whole(&hook, "/purge");
    for call in &calls[..=count] {
        assert_eq!(*call, calls[0], "the same call, word for word");
        assert_eq!(tags(call), ["A"]);
    }
    assert_eq!(tags(&calls[count + 1]), ["B"]);
    assert!(answers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_webhook_that_is_not_there_is_called_when_it_is() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let app = Origin::start().await;
    let config = format!("increment_webhooks: [{{ url: 'http://{nobody}/purge', batch: 0 }}]");
    let sidecar = Setup::new(&app).config(&config).start().await;
    let log = Log::default();
    let _guard = log.written();
    sidecar.inc("A").await;
    failed(&log, 1).await;
    // Now it is.
    let hook = TcpListener::bind(nobody).await.unwrap();
    sidecar.wait(PAUSE);
    soon("the call", hook.accept()).await.unwrap();
}

#[tokio::test]
async fn a_call_that_is_refused_is_not_made_again_and_no_secret_is_told() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let app = Origin::start().await;
    let config = format!(
        "increment_webhooks: [{{ url: '{}/purge?token=sesame', batch: 0, header_env: {{ Authorization: {VARIABLE} }} }}]",
        hook.url()
    );
    let sidecar = Setup::new(&app).config(&config).start().await;
    for (status, word) in [(400, "A"), (410, "B"), (302, "C")] {
        hook.answer(
            "/purge",
            reply("no").status(status).header("Location", "/elsewhere"),
        );
        sidecar.inc(word).await;
        let said = format!("it answered {status}");
        until(&said, || log.text().contains(&said)).await;
    }
    sidecar.wait(600);
    sidecar.settle().await;
    let named: Vec<_> = hook
        .seen("/purge")
        .iter()
        .flat_map(|call| tags(&said(&call.body)))
        .filter(|tag| tag != "settled")
        .collect();
    assert_eq!(named, ["A", "B", "C"]);
    assert_eq!(hook.calls("/elsewhere"), 0);
    let text = log.text();
    assert!(text.contains("/purge?…"), "{text}");
    assert!(!text.contains("sesame") && !text.contains(SECRET), "{text}");
}

#[tokio::test]
async fn a_call_that_fails_is_made_again_for_as_long_as_there_is_room() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let (_, sidecar) = telling(&hook, "batch: 0").await;
    hook.answer("/purge", reply("").status(401));
    sidecar.inc("A").await;
    for tried in 1..12 {
        failed(&log, tried).await;
        sidecar.wait(PAUSE);
    }
    hook.answer("/purge", reply(""));
    sidecar.wait(PAUSE);
    until("the end", || log.text().contains("had not taken before")).await;
}

#[tokio::test]
async fn what_is_collected_is_told_when_the_drain_begins() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let app = Origin::start().await;
    let webhook = format!(
        "increment_webhooks: [{{ url: '{}/purge', batch: 1h }}]",
        hook.url()
    );
    let setup = Setup::new(&app).config(&webhook).config("drain: 2s");
    let sidecar = setup.start().await;
    let (open, told) = (app.hold("/slow"), hook.hold("/purge"));
    let client = sidecar.client();
    let pending = client.begin(crate::support::get("/slow")).await;
    let held = open.arrived().await;
    sidecar.inc("A").await;
    let stopping = tokio::spawn(sidecar.shutdown());
    // The request is still open.
    assert_eq!(tags(&taken(told.arrived().await).await), ["A"]);
    held.release(reply("")).await;
    pending.answer().await;
    stopping.await.unwrap();
    assert!(
        !log.text().contains("the drain time is over"),
        "{}",
        log.text()
    );
}

#[tokio::test]
async fn a_call_that_fails_for_good_is_given_up_where_others_wait() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let (_, sidecar) = telling(&hook, "batch: 0, max: 2").await;
    hook.answer("/purge", reply("").status(500));
    sidecar.inc("A, B").await;
    failed(&log, 1).await;
    for n in 0..6 {
        sidecar.inc(&many(n * 1_000..(n + 1) * 1_000)).await;
    }
    let given_up = "did not take increments: it will not hear of these tags";
    for tried in 1..9 {
        failed(&log, tried).await;
        sidecar.wait(PAUSE);
    }
    until("the end", || log.text().contains(given_up)).await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains(given_up)).unwrap();
    assert!(line.contains("tags=2") && line.contains("ERROR"), "{line}");
}

#[tokio::test]
async fn l06_what_is_collected_is_told_before_the_end() {
    let hook = Origin::start().await;
    let (app, sidecar) = telling(&hook, "batch: 1h, max: 1").await;
    hook.answer("/purge", reply(""));
    app.answer(
        "/again",
        reply("").header("Cache-Tag-Increment", "A, B;again=60"),
    );
    sidecar.client().post("/again").await.has_status(200);
    sidecar.shutdown().await;
    let calls = hook.seen("/purge");
    let named: Vec<_> = calls.iter().flat_map(|it| tags(&said(&it.body))).collect();
    assert_eq!(named, ["A", "B"]);
}

#[tokio::test]
async fn a_stop_waits_for_a_webhook_no_longer_than_the_drain() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let app = Origin::start().await;
    let webhook = format!(
        "increment_webhooks: [{{ url: '{}/purge', batch: 0, max: 2 }}]",
        hook.url()
    );
    let setup = Setup::new(&app).config(&webhook).config("drain: 100ms");
    let sidecar = setup.start().await;
    let hold = hook.hold("/purge");
    sidecar.inc("A, B, C, D, E").await;
    let held = hold.arrived().await;
    sidecar.shutdown().await;
    let text = log.text();
    let line = text
        .lines()
        .find(|line| line.contains("the drain time is over"));
    let line = line.expect("it says what was not told");
    assert!(line.contains("WARN") && line.contains("tags=5"), "{line}");
    drop(held);
}

#[tokio::test]
async fn l10_more_tags_than_there_is_room_for_are_dropped_and_said_once() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let (_, sidecar) = telling(&hook, "batch: 1s, max: 6000").await;
    hook.answer("/purge", reply(""));
    for n in 0..13 {
        sidecar.inc(&many(n * 1_000..(n + 1) * 1_000)).await;
    }
    let said_first = "these and those that follow are dropped";
    assert_eq!(log.text().matches(said_first).count(), 1);
    sidecar.wait(1);
    until("the calls", || log.text().contains("there is room again")).await;
    let text = log.text();
    let line = text
        .lines()
        .find(|it| it.contains("there is room again"))
        .unwrap();
    assert!(
        line.contains("dropped=3000") && line.contains("ERROR"),
        "{line}"
    );
    until("both calls", || hook.calls("/purge") == 2).await;
}
