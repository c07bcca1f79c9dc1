//! Others who are told by HTTP: of increments in batches (N11), of hits and misses one by one (O8).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::Held;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::reply;
use crate::support::soon;

/// A variable that the test runner sets, as the secret.
const VARIABLE: &str = "CARGO_MANIFEST_DIR";
const SECRET: &str = env!("CARGO_MANIFEST_DIR");

/// An app, and a sidecar in front of it that tells `hook` of increments.
async fn telling(hook: &Origin, fields: &str) -> (Origin, Sidecar) {
    let app = Origin::start().await;
    let webhook = format!("{{ url: '{}/purge', {fields} }}", hook.url());
    let setup = Setup::new(&app).config(&format!("increment_webhooks: [{webhook}]"));
    let sidecar = setup.start().await;
    (app, sidecar)
}

/// An app, and a sidecar in front of it with these rules.
async fn ruled(rules: &str) -> (Origin, Sidecar) {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, rules).await;
    (app, sidecar)
}

/// What a call said.
fn said(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("a call is JSON")
}

fn tags(call: &Value) -> Vec<String> {
    let tags = call["tags"].as_array().expect("a list of tags");
    let text = |tag: &Value| tag.as_str().expect("a text").to_owned();
    tags.iter().map(text).collect()
}

/// The next call, taken; what it said.
async fn taken(held: Held) -> Value {
    answered(held, reply("")).await
}

async fn answered(mut held: Held, answer: Reply) -> Value {
    let body = held.body().await;
    held.release(answer).await;
    said(&body)
}

/// Tags `T:from` and so on, as a header names them.
fn many(numbers: std::ops::Range<usize>) -> String {
    let tags: Vec<String> = numbers.map(|n| format!("T:{n}")).collect();
    tags.join(", ")
}

/// Waits until that holds; no clock moves.
async fn until(what: &str, holds: impl Fn() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
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
        ("no HTTP", crate::support::verbatim("what?\r\n\r\n")),
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
    let hook = tokio::net::TcpListener::bind(nobody).await.unwrap();
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
    for (status, word) in [(400, "A"), (403, "B"), (302, "C")] {
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
async fn a_call_that_fails_for_good_is_given_up_and_said() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let (_, sidecar) = telling(&hook, "batch: 0").await;
    hook.answer("/purge", reply("").status(500));
    sidecar.inc("A, B").await;
    let given_up = "did not take increments: it will not hear of these tags";
    for tried in 1..9 {
        failed(&log, tried).await;
        sidecar.wait(PAUSE);
    }
    until("the end", || log.text().contains(given_up)).await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains(given_up)).unwrap();
    assert!(line.contains("tags=2") && line.contains("ERROR"), "{line}");
    assert_eq!(hook.calls("/purge"), 9);

    hook.answer("/purge", reply(""));
    sidecar.inc("C").await;
    until("the next", || hook.calls("/purge") == 10).await;
}

#[tokio::test]
async fn l06_what_is_collected_is_told_before_the_end() {
    let hook = Origin::start().await;
    let (app, sidecar) = telling(&hook, "batch: 1h, max: 1").await;
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

const HOOKED: &str = "  - id: page
    match: { path: '/page*' }
    ttl: 10s
    tags: [Page]
    stale_while_revalidate: 60s
    skip_when: [{ query: skip }]
    hooks: { on_hit: { webhook: 'URL/hit?token=x' }, on_miss: { webhook: 'URL/miss', log: warn } }
";

/// What the calls of a path said that have come as a whole.
fn called_whole(hook: &Origin, path: &str) -> Vec<Value> {
    let calls = hook.seen(path);
    let whole = calls.iter().filter(|call| !call.body.is_empty());
    whole.map(|call| said(&call.body)).collect()
}

/// Waits until that many calls have come to a path, and gives what they said.
async fn called(hook: &Origin, path: &str, count: usize) -> Vec<Value> {
    until("the calls", || called_whole(hook, path).len() >= count).await;
    called_whole(hook, path)
}

#[tokio::test]
async fn o8_a_miss_and_a_hit_are_told_once_each() {
    let log = Log::default();
    let _guard = log.written();
    let hook = Origin::start().await;
    let (app, sidecar) = ruled(&HOOKED.replace("URL", &hook.url())).await;
    let client = sidecar.client();
    app.answer("/page", reply("one"));

    client.get("/page?a=1").await.is_miss();
    let missed = called(&hook, "/miss", 1).await;
    let key = "key_name=page&host=shop.example&path=/page&query=a%3D1";
    let expected = |outcome: &str, at: &str| json!({ "namespace": "tagalong", "at": at, "rule": "page", "key": key, "outcome": outcome });
    assert_eq!(missed[0], expected("miss", "2033-05-18T03:33:20.000Z"));
    assert!(log.text().contains("outcome=\"miss\""), "{}", log.text());

    client.get("/page?a=1").await.is_hit();
    let hits = called(&hook, "/hit", 1).await;
    assert_eq!(hits[0], expected("hit", "2033-05-18T03:33:20.000Z"));
    assert_eq!(hook.last("/hit").target, "/hit?token=x");

    sidecar.wait(11);
    client
        .get("/page?a=1")
        .await
        .is_stale("stale-while-revalidate");
    let hits = called(&hook, "/hit", 2).await;
    assert_eq!(hits[1], expected("stale", "2033-05-18T03:33:31.000Z"));

    client.get("/page?skip=1").await.is_bypass(Some("skip"));
    client.post("/page?a=1").await.is_method();
    client.get("/elsewhere").await.has_status(404);
    sidecar.settle().await;
    assert_eq!((hook.calls("/hit"), hook.calls("/miss")), (2, 1));
}

#[tokio::test]
async fn who_waits_for_anothers_answer_has_missed_too() {
    let hook = Origin::start().await;
    let (app, sidecar) = ruled(&HOOKED.replace("URL", &hook.url())).await;
    let client = sidecar.client();
    let hold = app.hold("/page");
    let first = client.begin(get("/page")).await;
    let held = hold.arrived().await;
    let second = client.begin(get("/page")).await;
    sidecar.settle().await;
    held.release(reply("one")).await;
    first.answer().await.is_miss();
    second.answer().await.is_shared();
    let mut outcomes: Vec<_> = called(&hook, "/miss", 2)
        .await
        .iter()
        .map(|event| event["outcome"].as_str().unwrap().to_owned())
        .collect();
    outcomes.sort();
    assert_eq!(outcomes, ["collapsed", "miss"]);
    sidecar.inc("Page").await;
    client.get("/page").await.is_invalidated();
    assert_eq!(called(&hook, "/miss", 3).await[2]["outcome"], "invalidated");
    assert_eq!(hook.calls("/hit"), 0);
}

#[tokio::test]
async fn o8_hooks_that_hang_hold_nothing_up() {
    let hook = Origin::start().await;
    let (app, sidecar) = ruled(&HOOKED.replace("URL", &hook.url())).await;
    let client = sidecar.client();
    app.answer("/page", reply("one"));
    hook.answer("/hit", Reply::silent());
    hook.answer("/miss", Reply::silent());
    client.get("/page").await.is_miss();
    // Its clock stands still, so that all of these hang; and there are more than may wait.
    let mut connection = client.connect().await;
    for _ in 0..1_200 {
        connection.get("/page").await.is_hit();
    }
    let calls = || hook.calls("/hit") + hook.calls("/miss");
    until("as many calls as there may be at once", || calls() >= 64).await;
    connection.get("/page").await.is_hit();
    assert_eq!(calls(), 64);
}

#[tokio::test]
async fn hooks_of_defaults_hold_for_rules_that_say_nothing() {
    let hook = Origin::start().await;
    let app = Origin::start().await;
    let defaults = format!(
        "defaults: {{ hooks: {{ on_miss: {{ webhook: '{}/miss' }} }} }}",
        hook.url()
    );
    let sidecar = Setup::new(&app)
        .config(&defaults)
        .rules("  - { id: told, match: { path: /told } }\n  - { id: not, match: { path: /not }, hooks: { on_miss: none } }\n")
        .start()
        .await;
    let client = sidecar.client();
    client.get("/not").await.has_status(404);
    client.get("/of/no/rule").await.has_status(404);
    client.get("/told").await.has_status(404);
    assert_eq!(called(&hook, "/miss", 1).await[0]["rule"], "told");
    sidecar.settle().await;
    assert_eq!(hook.calls("/miss"), 1);
}

#[tokio::test]
async fn hooks_change_with_their_rules() {
    let hook = Origin::start().await;
    let (app, sidecar) = ruled("  - { id: page, match: { path: '/page*' } }\n").await;
    let client = sidecar.client();
    app.answer("/page", reply("one").control("max-age=3600"));
    client.get("/page").await.is_miss();
    let rules = HOOKED.replace("URL", &hook.url());
    sidecar.write("rules/rules.yaml", &format!("rules:\n{rules}"));
    let told = async || {
        client.get("/page").await.has_status(200);
        hook.calls("/hit") > 0
    };
    sidecar.until("the hooks", told).await;
}

/// What the faked CDN has, by tag.
#[derive(Clone, Default)]
struct Cdn(Arc<Mutex<Vec<String>>>);

impl Cdn {
    fn with(tags: &[&str]) -> Cdn {
        let tags = tags.iter().map(|tag| (*tag).to_owned());
        Cdn(Arc::new(Mutex::new(tags.collect())))
    }

    fn has(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn purge(&self, tags: &[String]) {
        self.0.lock().unwrap().retain(|tag| !tags.contains(tag));
    }

    /// As <https://developers.cloudflare.com/api/> describes `POST /zones/{zone_id}/purge_cache`: a bearer token, JSON with
    /// `tags`, at most 30 of them.
    fn purge_cache(&self, call: &crate::support::Call) -> Reply {
        let is_json = call.field("content-type").as_deref() == Some("application/json");
        if call.field("authorization").as_deref() != Some("Bearer sesame") || !is_json {
            return reply(r#"{"success":false}"#).status(403);
        }
        let tags = tags(&said(&call.body));
        if tags.is_empty() || tags.len() > 30 {
            return reply(r#"{"success":false}"#).status(400);
        }
        self.purge(&tags);
        reply(r#"{"success":true,"errors":[],"messages":[],"result":{"id":"z"}}"#)
    }

    /// As <https://www.fastly.com/documentation/reference/api/purging/> describes `POST /service/{id}/purge`: `Fastly-Key`, JSON
    /// with `surrogate_keys`, at most 256 of them.
    fn bulk_purge(&self, key: Option<&str>, body: &Value) -> Reply {
        let keys = body["surrogate_keys"].as_array();
        let keys = keys.map(|keys| keys.iter().map(|key| key.as_str().unwrap().to_owned()));
        match keys.map(Vec::from_iter) {
            Some(keys) if key == Some(SECRET) && keys.len() <= 256 => {
                self.purge(&keys);
                reply("{}")
            }
            Some(_) | None => reply("").status(400),
        }
    }
}

#[tokio::test]
async fn n11_one_increment_also_purges_a_cdn_that_takes_tags_as_json() {
    let cdn = Cdn::with(&["T:1", "T:39", "Other"]);
    let cloud = Origin::start().await;
    let purging = cdn.clone();
    cloud.on("/client/v4/zones/z1/purge_cache", move |call| {
        purging.purge_cache(call)
    });
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "Bearer sesame\n").unwrap();
    let app = Origin::start().await;
    let webhook = format!(
        "increment_webhooks: [{{ url: '{}/client/v4/zones/z1/purge_cache', header_file: {{ Authorization: '{}' }} }}]",
        cloud.url(),
        token.display()
    );
    let sidecar = Setup::new(&app).config(&webhook).start().await;
    sidecar.inc(&many(0..40)).await;
    sidecar.wait(1);
    until("the purge", || cdn.has() == ["Other"]).await;
    assert_eq!(cloud.calls("/client/v4/zones/z1/purge_cache"), 2);
}

#[tokio::test]
async fn n11_another_cdn_needs_a_few_lines_between() {
    let cdn = Cdn::with(&["T:1", "T:39", "Other"]);
    let between = Origin::start().await;
    let purging = cdn.clone();
    // The adapter: another name for the list, another header for the token; its answer is passed back.
    between.on("/purge", move |call| {
        let body = json!({ "surrogate_keys": said(&call.body)["tags"] });
        purging.bulk_purge(call.field("fastly-key").as_deref(), &body)
    });
    let fields = format!("max: 256, header_env: {{ Fastly-Key: {VARIABLE} }}");
    let (_, sidecar) = telling(&between, &fields).await;
    sidecar.inc(&many(0..40)).await;
    sidecar.wait(1);
    until("the purge", || cdn.has() == ["Other"]).await;
    assert_eq!(between.calls("/purge"), 1);
}

/// What is logged by the tasks of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn written(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}
