//! The purge interfaces of CDNs, faked as they are documented: one that can be called as it is, one with an adapter before it.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use serde_json::json;

use crate::hooks::SECRET;
use crate::hooks::VARIABLE;
use crate::hooks::many;
use crate::hooks::said;
use crate::hooks::tags;
use crate::hooks::telling;
use crate::hooks::until;
use crate::support::Call;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::Setup;
use crate::support::reply;

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
    fn purge_cache(&self, call: &Call) -> Reply {
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
