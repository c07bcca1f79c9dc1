//! What operators are told of the store that all share.

use serde_json::Value;

use super::OPEN;
use super::calm;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::Sidecar;
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
    assert_eq!(told, serde_json::json!({ "connected": false }));
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
