//! What operators are told of the store that all share.

use serde_json::Value;
use serde_json::json;

use super::OPEN;
use super::calm;
use crate::support::Answer;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::reply;
use crate::support::soon;

const RULES: &str = r#"
  - { id: p, match: { path: '/p/(?P<n>\d+)' }, key: "P:{n}", tags: ["P:{n}"], ttl: 60s }
"#;

async fn sidecar(app: &Origin, redis: &Redis) -> Sidecar {
    let setup = Setup::new(app).real_time().redis(&redis.url()).rules(RULES);
    calm(setup).config(OPEN).start().await
}

async fn asked(sidecar: &Sidecar, call: &str) -> Value {
    let answer = sidecar.admin().get(call).await;
    answer.has_status(200);
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[tokio::test]
async fn o7_our_keys_are_counted_and_no_foreign_ones() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let foreign = ["session:1", "tagalong:", "tagalong:{other}:gen"];
    for key in foreign {
        redis.command(&["SET", key, "x"]).await;
    }
    let a = sidecar(&app, &redis).await;
    app.answer("/p/1", reply("one"));
    a.client().get("/p/1").await.is_miss();
    let counted = async {
        loop {
            let told = asked(&a, "/v1/stats").await["redis"].clone();
            let all: u64 = redis
                .command(&["DBSIZE"])
                .await
                .text()
                .parse()
                .expect("a number");
            let ours = all - foreign.len() as u64;
            if ours >= 5 && told["keys"] == ours {
                break told;
            }
        }
    };
    let told = soon("the keys to be counted", counted).await;
    assert_eq!(told["connected"], true);
    assert!(told["used_memory_bytes"].as_u64() > Some(100_000), "{told}");

    redis.kill();
    let away = async { while asked(&a, "/v1/stats").await["redis"]["connected"] != false {} };
    soon("the store to be missed", away).await;
    let told = asked(&a, "/v1/stats").await["redis"].clone();
    assert_eq!(told, json!({ "connected": false }));
}

#[tokio::test]
async fn o3_a_request_that_another_sidecar_has_the_answer_to_is_explained_so() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let (a, b) = (sidecar(&app, &redis).await, sidecar(&app, &redis).await);
    app.answer("/p/1", reply("one"));
    a.client().get("/p/1").await.is_miss();
    const CALL: &str = "/v1/explain?url=http://shop.example/p/1";
    let explained = async {
        loop {
            let explained = asked(&b, CALL).await;
            if explained["answer"]["outcome"] == "hit" {
                break explained;
            }
            assert_eq!(explained["answer"]["outcome"], "miss"); // it is on its way there
        }
    };
    let explained = soon("it to be in the store", explained).await;
    let why = &explained["answer"]["why"];
    assert_eq!(why, "It is stored in the shared store, and fresh.");
    assert_eq!(explained["stored"]["tier"], "redis");
    assert!(b.client().get("/p/1").await.hits());
    assert_eq!(app.calls("/p/1"), 1);
    let explained = asked(&b, CALL).await;
    assert_eq!(explained["stored"]["tier"], "memory", "{explained:#}");
    // Who insists on the app's word is not answered by others.
    let insisting = format!("{CALL}&header=cache-control:no-cache");
    assert_eq!(asked(&b, &insisting).await["answer"]["outcome"], "request");
}

/// Asks until it answers so: what one sidecar has done reaches another by the log.
async fn until(sidecar: &Sidecar, path: &str, status: u16) -> Answer {
    let asking = async {
        loop {
            let answer = sidecar.admin().get(path).await;
            if answer.status == status {
                break answer;
            }
        }
    };
    soon(&format!("{path} to be {status}"), asking).await
}

#[tokio::test]
async fn j16_a_value_put_through_one_sidecar_is_got_and_forgotten_through_another() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let (a, b) = (sidecar(&app, &redis).await, sidecar(&app, &redis).await);
    let put = ask("PUT", "/v1/objects/profile");
    let put = put.with("cache-tag", "User:42").body("Ann");
    let put = put.with("tagalong-cache-control", "max-age=60");
    a.admin().ask(put.clone()).await.has_status(201);
    until(&b, "/v1/objects/profile", 200).await.has_body("Ann");

    let increment = json!({ "tags": ["User:42"] }).to_string();
    let increment = ask("POST", "/v1/tags/increment").body(increment);
    let increment = increment.with("content-type", "application/json");
    b.admin().ask(increment.clone()).await.has_status(200);
    let missing = until(&a, "/v1/objects/profile", 404).await;
    let token = missing.field("tagalong-token").expect("a token");
    a.admin().ask(increment).await.has_status(200);
    let late = put.with("tagalong-token", &token);
    b.admin().ask(late).await.is_problem(409);
}

#[tokio::test]
async fn s09_what_one_sidecar_has_stored_is_listed_and_dropped_by_another_which_all_can_read_of() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let (a, b) = (sidecar(&app, &redis).await, sidecar(&app, &redis).await);
    app.answer("/p/1", reply("one"));
    a.client().get("/p/1").await.is_miss();
    let listed = async {
        loop {
            let page = asked(&b, "/v1/entries?tier=redis&tag=P:1").await;
            if let [entry] = page["entries"].as_array().expect("a list").as_slice() {
                break entry.clone();
            }
        }
    };
    let listed = soon("it to be listed", listed).await;
    assert_eq!(listed["logical_key"], "P:1", "{listed:#}");
    let key = listed["key"].as_str().expect("a key");
    let path = format!("/v1/entries/{key}");
    let dropped = b.admin().ask(ask("DELETE", &path)).await;
    dropped.has_status(200).has_body(r#"{"purged":1}"#);
    until(&a, &path, 404).await;
    assert!(!a.client().get("/p/1").await.hits());

    let said = async {
        loop {
            let audit = asked(&a, "/v1/audit").await;
            let record = audit["audit"][0].clone();
            if record != Value::Null {
                break record;
            }
        }
    };
    let said = soon("it to be in the audit", said).await;
    assert!(said.to_string().contains(key), "{said:#}");
}

#[tokio::test]
async fn l06_what_the_store_was_not_told_of_is_no_success() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis).await;
    redis.kill();
    let away = async { while asked(&a, "/v1/stats").await["redis"]["connected"] != false {} };
    soon("the store to be missed", away).await;
    let object = "/v1/objects/k";
    let entry = format!("/v1/entries/{}", "0".repeat(32));
    let mut done = Vec::new();
    for (method, path, body) in [
        ("POST", "/v1/tags/increment", r#"{"tags":["A"]}"#),
        ("POST", "/v1/purge", r#"{"tags":["A"]}"#),
        ("POST", "/v1/purge", r#"{"match":"P*"}"#),
        ("PUT", "/v1/epoch", r#"{"epoch":7}"#),
        ("PUT", object, "{}"),
        ("DELETE", object, ""),
        ("PATCH", &entry, r#"{"ttl":"1m"}"#),
        ("DELETE", &entry, ""),
    ] {
        let call = ask(method, path).with("content-type", "application/json");
        let call = call.with("tagalong-cache-control", "max-age=60");
        let answer = a.admin().ask(call.body(body)).await;
        if answer.status != 503 {
            done.push(format!("{method} {path} {body}: {answer}"));
        }
    }
    assert!(done.is_empty(), "{}", done.join("\n"));
    assert_eq!(asked(&a, "/v1/epoch").await["epoch"], 1);
}
