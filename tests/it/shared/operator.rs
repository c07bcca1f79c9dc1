//! An operator's calls, by the engine alone.

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

use crate::support::Redis;
use crate::support::soon;

/// Tags that are shared with those of the sidecars.
pub(super) fn sharing(url: &str, bodies: bool, metrics: &Metrics) -> Sharing {
    let config = shared::Config {
        endpoint: url.parse().expect("a URL"),
        timeout: std::time::Duration::from_secs(2),
    };
    Sharing {
        store: shared::Store::new(config, "tagalong", bodies, Clock::System),
        max_lag: std::time::Duration::from_secs(5),
        outbox: 10,
        epoch: 1,
        metrics: metrics.clone(),
    }
}

/// Somebody who shares the store of the sidecars, and acts on it as an operator's call will.
pub(super) struct Operator {
    pub(super) cache: Cache,
    pub(super) rules: LiveRules,
    _touch: tokio::task::JoinHandle<()>,
}

impl Operator {
    pub(super) async fn of(redis: &Redis) -> Operator {
        Operator::at(&redis.url()).await
    }

    pub(super) async fn at(url: &str) -> Operator {
        Operator::sharing(url, true).await
    }

    /// Shares what tags are at, and no responses.
    pub(super) async fn without_bodies(redis: &Redis) -> Operator {
        Operator::sharing(&redis.url(), false).await
    }

    async fn sharing(url: &str, bodies: bool) -> Operator {
        let metrics = Metrics::default();
        let sharing = sharing(url, bodies, &metrics);
        let others = cache::Others {
            watcher: None,
            metrics,
            sharing: Some(sharing),
            compress: bodies.then_some(Compress::Zstd),
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
        let live = rules.clone();
        let touch = tokio::spawn(async move { touching.keep_in_touch(&live).await });
        soon("the store", cache.in_touch()).await;
        Operator {
            cache,
            rules,
            _touch: touch,
        }
    }

    pub(super) async fn purge(&self, glob: &str) -> Option<usize> {
        let by: Arc<str> = "POST /v1/purge".into();
        self.cache.purge_matching(&Glob::new(glob), &by).await
    }
}
