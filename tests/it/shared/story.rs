//! What must hold wherever the store is, in a few lines.

use crate::support::Client;
use crate::support::Origin;
use crate::support::Sidecar;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

/// The same tag under both ways of being told.
pub(super) const BOTH: &str = "
  - { id: strict, match: { path: /strict }, tags: ['User:42'], ttl: 60s, consistency: strict }
  - { id: bounded, match: { path: /bounded }, tags: ['User:42'], ttl: 60s }
";

const PATHS: [&str; 2] = ["/strict", "/bounded"];

fn says(app: &Origin, body: &str) {
    for path in PATHS {
        app.answer(path, reply(body));
    }
}

/// Asks until it is stored, and is this; before, it may be anything.
async fn stores(client: &Client, path: &str, body: &str) {
    let stored = async {
        loop {
            let answer = client.get(path).await;
            if answer.hits() && answer.text() == body {
                break;
            }
        }
    };
    soon(format!("{path} to be stored, and {body}"), stored).await;
}

/// Increments it through this one, which may have to wait for the store.
pub(super) async fn increments(sidecar: &Sidecar, tags: &str) {
    let request = post("/inc").with("X-Increment", tags);
    sidecar.client().ask(request).await.has_status(200);
}

/// What one stores, and an increment through it, hold for the other.
pub(super) async fn story(app: &Origin, a: &Sidecar, b: &Sidecar) {
    let (one, other) = (a.client(), b.client());
    says(app, "old");
    increments(a, "User:42").await; // whatever was before
    for path in PATHS {
        stores(&one, path, "old").await;
        stores(&other, path, "old").await;
    }
    says(app, "new");
    a.inc("User:42").await;
    one.get("/bounded").await.has_body("new");
    other.get("/strict").await.has_body("new");
    one.get("/strict").await.has_body("new");
    for path in PATHS {
        stores(&one, path, "new").await;
        stores(&other, path, "new").await;
    }
}

/// The store is another by now: whatever both have stored of before is forgotten, and they go on.
pub(super) async fn nothing_old(app: &Origin, a: &Sidecar, b: &Sidecar) {
    let (one, other) = (a.client(), b.client());
    says(app, "newer");
    increments(a, "User:42").await;
    one.get("/bounded").await.has_body("newer");
    one.get("/strict").await.has_body("newer");
    for path in PATHS {
        stores(&other, path, "newer").await;
        stores(&one, path, "newer").await;
    }
    story(app, a, b).await;
}
