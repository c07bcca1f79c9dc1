//! Others who are told by HTTP: of increments in batches (N11), of hits and misses one by one (O8).

mod cdns;
mod events;
mod increments;

use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

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

/// Where there is one subscriber alone, the first thread that comes to a line decides for all whether anybody wants it, by a
/// subscriber of its own, which most tests have not. So there is a second one.
static SECOND: LazyLock<tracing::Dispatch> = LazyLock::new(|| {
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    tracing::Dispatch::new(all.with_writer(std::io::sink).finish())
});

/// What is logged by the tasks of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn written(&self) -> tracing::subscriber::DefaultGuard {
        LazyLock::force(&SECOND);
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
