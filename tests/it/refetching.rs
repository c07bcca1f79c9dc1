//! Fetching again now, as an operator asks for it: what is fresh too, by address and by tag.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tagalong::body::Chunk;
use tagalong::cache;
use tagalong::cache::Cache;
use tagalong::cache::Followed;
use tagalong::cache::ListError;
use tagalong::cache::Lookup;
use tagalong::cache::Trust;
use tagalong::clock::Clock;
use tagalong::config::Config;
use tagalong::dialects::Dialects;
use tagalong::fetch;
use tagalong::fetch::Fetch;
use tagalong::fetch::Refreshed;
use tagalong::fetch::What;
use tagalong::model::request::Head;
use tagalong::model::tag::Tag;
use tagalong::model::tag::TagLimits;
use tagalong::model::time::Timestamp;
use tagalong::rules::Context;
use tagalong::rules::Plan;
use tagalong::rules::RuleSet;
use tagalong::upstream;
use tagalong::upstream::Upstream;

use crate::support::Origin;
use crate::support::Reply;
use crate::support::not_modified;
use crate::support::reply;
use crate::support::soon;

const RULES: &str = r#"
rules:
  - { id: own, match: { path: '/own/.*' }, vary_on: { headers: [X-User] }, ttl: 60s }
  - { id: kept, match: { path: '/kept/.*' }, vary_on: { headers: [X-Form] }, ttl: 60s, on_invalidate: { mode: refresh } }
  - { id: off, match: { path: '/off' }, cache: false }
  - { id: all, match: { path: '/.*' }, ttl: 60s }
"#;

/// The engine in front of an app, without a listener.
struct Engine {
    cache: Cache,
    fetch: Fetch,
    rules: RuleSet,
    clock: Clock,
}

impl Engine {
    fn new(app: &Origin) -> Engine {
        let clock = Clock::manual(Timestamp::from_secs(2_000_000_000));
        let sizes = cache::Config {
            max_bytes: 1 << 24,
            max_object: 1 << 20,
            max_variants: 64,
        };
        let cache = Cache::new(sizes, clock.clone());
        let target = app.url().parse().expect("an address");
        let upstream = Upstream::new(upstream::Config::new(target), clock.clone());
        let defaults = Config::default_for(app.url().parse().expect("an address"));
        let limits = fetch::Limits {
            max_object: 1 << 20,
            tags: TagLimits {
                max_tags: 256,
                max_tag_bytes: 1 << 14,
            },
            picked: 1 << 20,
            ahead: 1 << 20,
        };
        let dialects = Arc::new(Dialects::new(defaults.dialects));
        let fetch = Fetch::new(upstream, cache.clone(), dialects, clock.clone(), limits);
        let rules = [("rules.yaml".to_owned(), RULES.to_owned())];
        Engine {
            cache,
            fetch,
            rules: RuleSet::compile(&rules, &Context::new("test")).expect("rules"),
            clock,
        }
    }

    /// What a client gets, and whether that was stored.
    async fn get(&self, path: &str, fields: &[(&str, &str)]) -> (String, bool) {
        let head = head(path, fields);
        let Plan::Lookup(query) = self.rules.plan(&head, self.clock.now()) else {
            panic!("{path} is looked up");
        };
        let found = self.cache.lookup(&query, &head, None, Trust::Full);
        if let Lookup::Hit(stored, _) = &found {
            let text = String::from_utf8_lossy(&stored.entry.body);
            return (text.into_owned(), true);
        }
        let Lookup::Miss(fill, follower) = found else {
            panic!("{path}: {found:?}");
        };
        self.fetch.fill(fill, None);
        let followed = soon("an answer", follower.outcome(&self.cache, &head, None)).await;
        let Followed::Response(response, _) = followed else {
            panic!("{path}: {followed:?}");
        };
        let (mut body, mut text) = (response.into_body(), Vec::new());
        while let Some(Ok(Chunk::Data(some))) = soon("its body", body.next()).await {
            text.extend_from_slice(&some);
        }
        (String::from_utf8_lossy(&text).into_owned(), false)
    }

    async fn has(&self, path: &str, text: &str) {
        assert_eq!(self.get(path, &[]).await, (text.to_owned(), true), "{path}");
    }

    async fn refresh(&self, what: What, cursor: Option<&str>, limit: usize) -> Refreshed {
        let refreshed = self.fetch.refresh_now(&self.rules, what, cursor, limit);
        soon("the end of it", refreshed)
            .await
            .expect("a good cursor")
    }

    async fn refresh_uri(&self, path: &str) -> Refreshed {
        let head = Arc::unwrap_or_clone(head(path, &[]));
        self.refresh(What::Uri(head), None, 100).await
    }

    async fn refresh_tag(&self, tag: &str) -> Refreshed {
        self.refresh(tagged(tag), None, 100).await
    }

    async fn increment(&self, tag: &str) {
        let tag = Tag::parse(tag).expect("a tag");
        self.cache.increment(&[tag.into()], &"POST /x".into()).await;
    }
}

fn head(path: &str, fields: &[(&str, &str)]) -> Arc<Head> {
    let mut request = http::Request::get(path).header("host", "shop.example");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let parts = request.body(()).expect("a request").into_parts().0;
    Arc::new(Head::new(parts, "http").expect("a host"))
}

fn tagged(tag: &str) -> What {
    What::Tags(vec![Tag::parse(tag).expect("a tag")])
}

fn with_tag(body: &str) -> Reply {
    reply(body).header("Cache-Tag", "T")
}

fn refreshed(refreshed: usize, failed: usize, skipped: usize) -> Refreshed {
    Refreshed {
        refreshed,
        failed,
        skipped,
        cursor: None,
    }
}

#[tokio::test]
async fn what_is_fresh_is_fetched_again_and_what_is_not_there_is_fetched() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    app.answer("/a", reply("old"));
    engine.get("/a", &[]).await;
    engine.has("/a", "old").await;
    app.answer("/a", reply("new"));
    assert_eq!(engine.refresh_uri("/a").await, refreshed(1, 0, 0));
    engine.has("/a", "new").await;
    assert_eq!(app.calls("/a"), 2);

    app.answer("/b", reply("b"));
    assert_eq!(engine.refresh_uri("/b").await, refreshed(1, 0, 0));
    engine.has("/b", "b").await;
    assert_eq!(engine.refresh_uri("/off").await, refreshed(0, 0, 1));
    assert_eq!(app.calls("/off"), 0, "nothing of it would be stored");
}

#[tokio::test]
async fn the_app_may_say_that_what_is_stored_is_still_right() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    app.answer("/a", reply("old").header("ETag", "\"1\""));
    engine.get("/a", &[]).await;
    engine.clock.advance(Duration::from_secs(50));
    app.answer("/a", not_modified());
    assert_eq!(engine.refresh_uri("/a").await, refreshed(1, 0, 0));
    let asked = app.last("/a").field("if-none-match");
    assert_eq!(asked.as_deref(), Some("\"1\""));
    engine.clock.advance(Duration::from_secs(50));
    engine.has("/a", "old").await;
}

#[tokio::test]
async fn l05_a_failure_leaves_what_is_stored_as_it_was() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    for (name, answer) in [
        ("an error", reply("down").status(500)),
        (
            "not to be stored",
            reply("x").header("Cache-Control", "no-store"),
        ),
    ] {
        app.answer("/a", with_tag("old"));
        engine.refresh_uri("/a").await;
        app.answer("/a", answer);
        assert_eq!(engine.refresh_uri("/a").await, refreshed(0, 1, 0), "{name}");
        engine.has("/a", "old").await;
        engine.increment("T").await;
        assert_eq!(engine.refresh_tag("T").await, refreshed(0, 1, 0), "{name}");
        app.answer("/a", with_tag("new"));
        let (text, hit) = engine.get("/a", &[]).await;
        assert_eq!(
            (&*text, hit),
            ("new", false),
            "{name}: nothing made it fresh"
        );
    }
}

#[tokio::test]
async fn l05_what_was_invalidated_is_fetched_whole_though_it_has_a_validator() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    for by_tag in [false, true] {
        app.answer("/a", with_tag("old").header("ETag", "\"1\""));
        engine.refresh_uri("/a").await;
        engine.has("/a", "old").await;
        engine.increment("T").await;
        app.answer("/a", with_tag("new"));
        let done = match by_tag {
            false => engine.refresh_uri("/a").await,
            true => engine.refresh_tag("T").await,
        };
        assert_eq!(done, refreshed(1, 0, 0), "by its tag: {by_tag}");
        assert_eq!(app.last("/a").field("if-none-match"), None);
        engine.has("/a", "new").await;
    }
}

#[tokio::test]
async fn what_carries_a_tag_is_fetched_unless_it_is_somebodys_own() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    let by_language = |body: &str| with_tag(body).header("Vary", "Accept-Language");
    let german = [("accept-language", "de")];
    let user = [("x-user", "me")];
    let form = [("x-form", "1")];
    for path in ["/a", "/b", "/fails", "/own/1", "/own/2", "/kept/1"] {
        app.answer(path, with_tag("old"));
    }
    app.answer("/other", reply("old"));
    app.answer("/language", by_language("old"));
    for path in ["/a", "/b", "/fails", "/other", "/own/2"] {
        engine.get(path, &[]).await;
    }
    engine.get("/own/1", &user).await;
    engine.get("/kept/1", &form).await;
    engine.get("/language", &german).await;
    engine.increment("T").await; // what was invalidated is fetched too

    for path in ["/a", "/b", "/own/1", "/own/2", "/kept/1"] {
        app.answer(path, with_tag("new"));
    }
    app.answer("/fails", reply("down").status(503));
    assert_eq!(engine.refresh_tag("T").await, refreshed(4, 1, 2));
    for path in ["/a", "/b", "/own/2"] {
        engine.has(path, "new").await;
    }
    engine.has("/other", "old").await;
    assert_eq!(engine.get("/kept/1", &form).await, ("new".into(), true));
    let asked = app.last("/kept/1").field("x-form");
    assert_eq!(asked.as_deref(), Some("1"), "it has what selects it");
    for path in ["/own/1", "/language", "/other"] {
        assert_eq!(app.calls(path), 1, "{path}");
    }
    assert_eq!(engine.refresh_tag("Unknown").await, refreshed(0, 0, 0));
}

#[tokio::test]
async fn a_tag_of_many_is_fetched_by_pages_each_response_once() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    let paths: Vec<String> = (0..11).map(|n| format!("/{n}")).collect();
    for path in &paths {
        app.answer(path, with_tag("x"));
        engine.get(path, &[]).await;
    }
    let (mut cursor, mut counts) = (None::<String>, Vec::new());
    loop {
        let page = engine.refresh(tagged("T"), cursor.as_deref(), 4).await;
        counts.push(page.refreshed);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(counts, [4, 4, 3]);
    for path in &paths {
        assert_eq!(app.calls(path), 2, "{path}");
    }
    let refused = engine
        .fetch
        .refresh_now(&engine.rules, tagged("T"), Some("x"), 4);
    assert_eq!(refused.await, Err(ListError::Cursor));
}

#[tokio::test]
async fn no_more_than_eight_are_fetched_at_once() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    let paths: Vec<String> = (0..12).map(|n| format!("/{n}")).collect();
    for path in &paths {
        app.answer(path, with_tag("old"));
        engine.get(path, &[]).await;
    }
    let mut arriving: FuturesUnordered<_> =
        paths.iter().map(|path| app.hold(path).arrived()).collect();
    let calls = || paths.iter().map(|path| app.calls(path)).sum::<usize>() - paths.len();
    let running = async {
        let mut held = Vec::new();
        for running in 1..=paths.len() {
            let arrived = soon("the next call", arriving.next()).await;
            held.push(arrived.expect("there are more"));
            if running >= 8 {
                assert_eq!(calls(), running, "no more than that");
                held.remove(0).release(with_tag("new")).await;
            }
        }
        for held in held {
            held.release(with_tag("new")).await;
        }
    };
    let (done, ()) = tokio::join!(engine.refresh_tag("T"), running);
    assert_eq!(done, refreshed(12, 0, 0));
}

#[tokio::test]
async fn what_has_begun_goes_on_though_nobody_waits_for_it() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    app.answer("/a", reply("old"));
    engine.get("/a", &[]).await;
    let hold = app.hold("/a");
    let held = {
        let refreshing = engine.refresh_uri("/a");
        tokio::select! {
            done = refreshing => panic!("{done:?} before the app has answered"),
            held = hold.arrived() => held,
        }
    };
    engine.has("/a", "old").await;
    held.release(reply("new")).await;
    soon("the end of it", engine.fetch.finished()).await;
    engine.has("/a", "new").await;
}

#[tokio::test]
async fn an_answer_that_was_asked_for_before_is_not_taken_for_a_new_one() {
    let app = Origin::start().await;
    let engine = Engine::new(&app);
    let (before, client) = (app.hold("/a"), engine.get("/a", &[]));
    let operator = async {
        let before = before.arrived().await;
        app.answer("/a", reply("new"));
        engine.clock.advance(Duration::from_secs(1));
        let done = engine.refresh_uri("/a").await;
        before.release(reply("old")).await;
        done
    };
    let (answered, done) = tokio::join!(client, operator);
    assert_eq!(answered, ("old".into(), false));
    assert_eq!(done, refreshed(1, 0, 0));
    engine.has("/a", "new").await;
}
