//! What the store cannot take waits for it, in order, and is never lost in silence (L6).

use super::ADMIN;
use super::BOUNDED;
use super::metric;
use super::says;
use super::sidecar;
use crate::support::Cut;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

/// What the log says at the end of a process whose increments the store has not taken.
const LOST: &str = "increments are lost";

const LOG: &str = "tagalong:{tagalong}:log";

/// Behind a store that can be cut off, with these fields of the configuration.
async fn cuttable(app: &Origin, redis: &Redis, config: &str) -> (Cut, Sidecar) {
    let cut = Cut::before(redis.port()).await;
    let setup = Setup::new(app).real_time().redis(&cut.url());
    let setup = setup.rules(BOUNDED).config(ADMIN).config(config);
    (cut, setup.start().await)
}

/// A change that the store does not take.
async fn defer(sidecar: &Sidecar, path: &str) {
    let answer = sidecar.client().ask(post(path)).await;
    answer.has_status(200);
    assert_eq!(answer.detail(), "increment-deferred", "{path}");
}

/// Who asked for what stands in the log, in its order; of what was sent twice, the last.
async fn asked(redis: &Redis) -> Vec<String> {
    let log = redis.command(&["XRANGE", LOG, "-", "+"]).await;
    let mut all: Vec<String> = Vec::new();
    for record in log.list() {
        let fields = record.list()[1].texts();
        let mut pairs = fields.chunks(2);
        if let Some(pair) = pairs.find(|pair| pair[0] == "b") {
            all.retain(|earlier| *earlier != pair[1]);
            all.push(pair[1].clone());
        }
    }
    all
}

#[tokio::test]
async fn l06_what_waits_is_sent_before_the_end_when_the_store_comes_back() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let log = Log::default();
    let _written = log.written();
    let (cut, a) = cuttable(&app, &redis, "drain: 60s").await;
    let b = sidecar(&app, &redis.url(), BOUNDED).await;
    let reader = b.client();
    says(&app, "old");
    reader.get("/users/42").await.is_miss();
    reader.get("/users/42").await.is_hit();

    cut.stall();
    app.answer(
        "/change",
        reply("").header("Cache-Tag-Increment", "User:42"),
    );
    defer(&a, "/change").await;
    says(&app, "new");
    assert_eq!(asked(&redis).await, Vec::<String>::new());
    let mut end = std::pin::pin!(a.shutdown());
    // Its end waits for the store: a look at another store's answer is time enough for it to have ended.
    let ended = tokio::select! {
        biased;
        () = &mut end => true,
        _ = redis.info("server") => false,
    };
    assert!(!ended, "it must wait for the store");
    let healed = async {
        cut.heal().await;
        end.await;
    };
    soon("the end", healed).await;
    assert_eq!(asked(&redis).await, ["POST /change"]);
    assert!(!log.text().contains(LOST), "{}", log.text());
    let told = async { while reader.get("/users/42").await.text() != "new" {} };
    soon("the other one to be told", told).await;
}

#[tokio::test]
async fn l06_what_cannot_be_sent_before_the_end_is_named_in_the_log() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let log = Log::default();
    let _written = log.written();
    let (cut, a) = cuttable(&app, &redis, "drain: 100ms").await;
    let b = sidecar(&app, &redis.url(), BOUNDED).await;
    cut.stall();
    app.answer(
        "/change",
        reply("").header("Cache-Tag-Increment", "User:42, Mine"),
    );
    defer(&a, "/change").await;
    b.inc("Taken").await;
    b.shutdown().await;
    assert!(!log.text().contains(LOST), "{}", log.text());
    a.shutdown().await;
    let said = log.text();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(LOST)).collect();
    assert_eq!(lines.len(), 1, "{said}");
    let line = lines[0];
    assert!(line.contains("ERROR"), "{line}");
    for tag in ["User:42", "Mine", "~uri:"] {
        assert!(line.contains(tag), "{tag} in {line}");
    }
    assert!(!line.contains("Taken"), "{line}");
}

#[tokio::test]
async fn l06_too_many_for_the_outbox_means_that_everything_is_forgotten() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let (cut, a) = cuttable(&app, &redis, "tags: { outbox: { max: 3 } }").await;
    let b = sidecar(&app, &redis.url(), BOUNDED).await;
    let (writer, reader) = (a.client(), b.client());
    says(&app, "old");
    for client in [&writer, &reader] {
        // Not with the first request, where the machine is so busy that they are fenced.
        let stored = async { while !client.get("/users/42").await.has_body("old").hits() {} };
        soon("it to be stored", stored).await;
    }
    assert_eq!(metric(&a, "tagalong_outbox_overflows_total").await, 0.0);

    cut.stall();
    // None of them is a tag of the page.
    app.answer(
        "/change",
        reply("").header("Cache-Tag-Increment", "A, B, C"),
    );
    says(&app, "new");
    defer(&a, "/change").await;
    assert_eq!(metric(&a, "tagalong_outbox_overflows_total").await, 1.0);
    assert_eq!(metric(&a, "tagalong_outbox").await, 1.0, "`~all` alone");
    writer.get("/users/42").await.is_not_hit().has_body("new");
    cut.heal().await;
    for client in [&writer, &reader] {
        let told = async { while client.get("/users/42").await.text() != "new" {} };
        soon("everything to be forgotten", told).await;
        let stored = async { while !client.get("/users/42").await.has_body("new").hits() {} };
        soon("it to be stored again", stored).await;
    }
    assert_eq!(asked(&redis).await, ["overflow"]);
    assert_eq!(metric(&a, "tagalong_outbox").await, 0.0);
}

#[tokio::test]
async fn l06_what_waits_is_sent_in_the_order_in_which_it_was_asked_for() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let (cut, a) = cuttable(&app, &redis, "").await;
    app.otherwise(|_| reply("").header("Cache-Tag-Increment", "A"));
    // A store that refuses keeps its connection; one that is silent costs it.
    for round in 0..2 {
        match round {
            0 => cut.answer_errors(Some(
                "-OOM command not allowed when used memory > 'maxmemory'.",
            )),
            _ => cut.stall(),
        }
        let paths: Vec<String> = (0..10).map(|n| format!("/change/{round}/{n}")).collect();
        for path in &paths {
            defer(&a, path).await;
        }
        cut.heal().await;
        let expected: Vec<String> = paths.iter().map(|path| format!("POST {path}")).collect();
        let landed = async { while metric(&a, "tagalong_outbox").await > 0.0 {} };
        soon("all of them to be taken", landed).await;
        let all = asked(&redis).await;
        assert_eq!(all[all.len() - expected.len()..], expected);
    }
}
