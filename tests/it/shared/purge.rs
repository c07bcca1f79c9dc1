//! Forgetting by pattern (story 22): here, elsewhere, in the store, and what is still under way.

use std::sync::Arc;

use tagalong::cache;
use tagalong::cache::Cache;
use tagalong::clock::Clock;
use tagalong::config::Config;
use tagalong::metrics::Metrics;
use tagalong::model::compress::Compress;
use tagalong::model::glob::Glob;
use tagalong::rules::LiveRules;
use tagalong::shared;
use tagalong::tags::Sharing;

use super::calm;
use super::sidecar;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::get;
use crate::support::reply;
use crate::support::sidecars;
use crate::support::soon;

const RULES: &str = r#"
  - { id: p, match: { path: '/p/(?P<n>\d+)' }, key: "PATTERN:{n}", ttl: 60s }
  - { id: q, match: { path: '/q/(?P<n>\d+)' }, key: "ANOTHER:{n}", ttl: 60s }
"#;

/// Somebody who shares the store of the sidecars, and acts on it as an operator's call will.
pub(super) struct Operator {
    pub(super) cache: Cache,
    _touch: tokio::task::JoinHandle<()>,
}

impl Operator {
    pub(super) async fn of(redis: &Redis) -> Operator {
        Operator::at(&redis.url()).await
    }

    pub(super) async fn at(url: &str) -> Operator {
        let config = shared::Config {
            endpoint: url.parse().expect("a URL"),
            timeout: std::time::Duration::from_secs(2),
        };
        let metrics = Metrics::default();
        let sharing = Sharing {
            store: shared::Store::new(config, "tagalong", true, Clock::System),
            max_lag: std::time::Duration::from_secs(5),
            outbox: 10,
            epoch: 1,
            metrics: metrics.clone(),
        };
        let others = cache::Others {
            watcher: None,
            metrics,
            sharing: Some(sharing),
            compress: Some(Compress::Zstd),
        };
        let sizes = cache::Config {
            max_bytes: 1 << 20,
            max_object: 1 << 16,
            max_variants: 64,
        };
        let cache = Cache::among(sizes, Clock::System, others);
        let touching = cache.clone();
        let defaults = Config::default_for("http://127.0.0.1:9".parse().expect("a URL"));
        let rules = LiveRules::new(defaults.rules);
        let touch = tokio::spawn(async move { touching.keep_in_touch(&rules).await });
        soon("the store", cache.in_touch()).await;
        Operator {
            cache,
            _touch: touch,
        }
    }

    async fn purge(&self, glob: &str) -> Option<usize> {
        let by: Arc<str> = "POST /v1/purge".into();
        self.cache.purge_matching(&Glob::new(glob), &by).await
    }
}

#[tokio::test]
async fn l11_a_pattern_forgets_what_it_matches_everywhere_and_nothing_else() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    redis.command(&["SET", "session:abc", "x"]).await;
    let [a, b] = sidecars(&app, |setup| calm(setup.redis(&redis.url()).rules(RULES))).await;
    for path in ["/p/1", "/p/2", "/q/3"] {
        app.answer(path, reply("old"));
        a.client().get(path).await.is_miss();
        let client = b.client();
        let shared = async { while !client.get(path).await.has_body("old").hits() {} };
        soon("the other one to have it", shared).await;
    }
    let operator = Operator::of(&redis).await;
    app.answer("/p/1", reply("new"));
    app.answer("/p/2", reply("new"));
    assert_eq!(operator.purge("PATTERN*").await, Some(2));
    for sidecar in [&a, &b] {
        for path in ["/p/1", "/p/2"] {
            let client = sidecar.client();
            let told = async { while client.get(path).await.text() != "new" {} };
            soon("it to be told", told).await;
        }
        sidecar.client().get("/q/3").await.is_hit().has_body("old");
    }
    let calls = app.calls("/q/3");
    assert!(operator.purge("*").await.is_some());
    let fresh = sidecar(&app, &redis.url(), RULES).await;
    fresh.client().get("/q/3").await.is_miss();
    assert_eq!(app.calls("/q/3"), calls + 1);
    assert_eq!(redis.command(&["GET", "session:abc"]).await.text(), "x");
}

#[tokio::test]
async fn l01_what_was_under_way_when_a_pattern_came_is_not_stored() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    let operator = Operator::of(&redis).await;
    let client = a.client();
    for (glob, kept) in [("PATTERN*", false), ("ANOTHER*", true)] {
        let hold = app.hold("/p/1");
        let first = client.begin(get("/p/1")).await;
        let held = hold.arrived().await;
        assert_eq!(operator.purge(glob).await, Some(0));
        app.answer("/p/1", reply("new"));
        held.release(reply("old")).await;
        first.answer().await.has_body("old");
        let second = client.get("/p/1").await;
        second.has_body(if kept { "old" } else { "new" });
        operator.purge("*").await;
        let forgotten = async { while client.get("/p/1").await.hits() {} };
        soon("it to be forgotten", forgotten).await;
        operator.purge("*").await;
    }
}
