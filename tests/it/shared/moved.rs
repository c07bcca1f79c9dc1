//! Sentinels have made another server the primary, and the one before does not know it: it takes increments and answers
//! reads as if nothing had happened, and nothing of that may count (L4, L6).

use super::BOUNDED;
use super::STRICT;
use super::says;
use super::sidecar;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Witness;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

/// Asks until it is a hit with this body.
async fn comes_to_hit(client: &Client, body: &str) {
    let hit = async {
        loop {
            let answer = client.get("/users/42").await;
            if answer.hits() && answer.text() == body {
                return;
            }
        }
    };
    soon(format!("a hit of `{body}`"), hit).await;
}

#[tokio::test]
async fn l04_what_a_replaced_primary_takes_is_not_acknowledged() {
    let (app, before, after) = (
        Origin::start().await,
        Redis::start().await,
        Redis::start().await,
    );
    let of_a = Witness::of(before.port()).await;
    let of_b = Witness::of(after.port()).await;
    let a = sidecar(&app, &of_a.url(), STRICT).await;
    let b = sidecar(&app, &of_b.url(), STRICT).await;
    app.answer(
        "/change",
        reply("").header("Cache-Tag-Increment", "User:42"),
    );
    says(&app, "old");
    comes_to_hit(&a.client(), "old").await;
    comes_to_hit(&b.client(), "old").await;

    of_a.names(after.port());
    says(&app, "new");
    let changed = a.client().ask(post("/change")).await;
    if changed.detail() == "increment-deferred" {
        comes_to_hit(&b.client(), "new").await;
    }
    b.client().get("/users/42").await.has_body("new");
}

#[tokio::test]
async fn l04_what_a_replaced_primary_says_is_not_believed() {
    let (app, before, after) = (
        Origin::start().await,
        Redis::start().await,
        Redis::start().await,
    );
    let of_a = Witness::of(before.port()).await;
    let of_b = Witness::of(after.port()).await;
    let a = sidecar(&app, &of_a.url(), STRICT).await;
    let b = sidecar(&app, &of_b.url(), STRICT).await;
    says(&app, "old");
    comes_to_hit(&a.client(), "old").await;
    of_a.names(after.port());
    says(&app, "new");
    b.inc("User:42").await;
    a.client().get("/users/42").await.has_body("new");
    comes_to_hit(&a.client(), "new").await;
}

#[tokio::test]
async fn n04_who_is_not_told_which_server_is_the_primary_trusts_none() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let witness = Witness::of(redis.port()).await;
    let a = sidecar(&app, &witness.url(), BOUNDED).await;
    let client = a.client();
    says(&app, "a");
    comes_to_hit(&client, "a").await;
    witness.is_silent();
    let fenced = async { while client.get("/users/42").await.hits() {} };
    soon("the fence", fenced).await;
    client.get("/users/42").await.is_bypass(Some("fenced"));
    witness.names(redis.port());
    comes_to_hit(&client, "a").await;
}
