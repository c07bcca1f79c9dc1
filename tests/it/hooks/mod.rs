//! Others who are told by HTTP: of increments in batches (N11), of hits and misses one by one (O8).

mod cdns;
mod events;
mod increments;

use serde_json::Value;

use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
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

/// What a call said.
fn said(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("a call is JSON")
}

fn tags(call: &Value) -> Vec<String> {
    let tags = call["tags"].as_array().expect("a list of tags");
    let text = |tag: &Value| tag.as_str().expect("a text").to_owned();
    tags.iter().map(text).collect()
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
