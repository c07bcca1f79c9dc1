//! Configuration → running parts, and back down again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::cache;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config;
use crate::config::Config;
use crate::config::Log;
use crate::config::Reload;
use crate::dialects::Dialects;
use crate::fetch;
use crate::fetch::Fetch;
use crate::hooks::Hooks;
use crate::proxy;
use crate::proxy::BindError;
use crate::proxy::Listen;
use crate::proxy::Listeners;
use crate::proxy::Proxy;
use crate::rules::LiveRules;
use crate::telemetry;
use crate::upstream::Upstream;

/// A running sidecar.
pub struct App {
    listening: Vec<Listen>,
    stop: watch::Sender<Option<Instant>>,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    /// What happens for no request.
    scheduled: JoinHandle<()>,
    /// `None`: there are no files.
    reloading: Option<Reloading>,
    cache: Cache,
    fetch: Fetch,
    hooks: Hooks,
    drain: Duration,
}

/// Keeps the rules in force to what the files say.
struct Reloading {
    asked: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Why the sidecar did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A place where it cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Begins to write the log of this process; `App::start` does not, because one process may run several sidecars (L15).
pub fn start_log(log: &Log) {
    telemetry::log::start(log.format);
}

/// How often entries that nobody can be answered with are dropped.
const SWEEP: Duration = Duration::from_secs(60);

/// How long what happens by schedule rests after a panic, so that one that comes again does not fill the log.
const PAUSE: Duration = Duration::from_secs(1);

impl App {
    /// Binds the listeners and begins to serve.
    ///
    /// # Errors
    ///
    /// See [`StartError`]; nothing is left running.
    pub async fn start(config: Config, clock: Clock) -> Result<App, StartError> {
        let listeners = Listeners::bind(&config.listen).await?;
        let listening = listeners.addresses();
        let drain = config.drain;
        config::warn(&config);
        let rules = LiveRules::new(config.rules.clone());
        let reloading = Reload::new(&config, rules.clone(), clock.clone()).map(Reloading::begin);

        let limits = config.limits;
        let dialects = Arc::new(Dialects::new(config.dialects));
        let sizes = cache::Config {
            max_bytes: config.store.max_bytes,
            max_object: limits.max_object,
            max_variants: limits.max_variants,
        };
        let hooks = Hooks::start(&config.namespace, config.increment_webhooks, &clock);
        let cache = Cache::watched(sizes, clock.clone(), hooks.watcher());
        let storable = fetch::Limits {
            max_object: limits.max_object,
            tags: limits.tags,
            picked: (config.store.max_bytes / 8).max(limits.max_object),
        };
        let retry_after = config.upstream.queue_timeout;
        let upstream = Upstream::new(config.upstream, clock.clone());
        let fetch = Fetch::new(
            upstream,
            cache.clone(),
            Arc::clone(&dialects),
            clock,
            storable,
        );
        let faced = proxy::Config {
            cache_status: config.cache_status,
            access_log: config.log.access,
            debug: config.debug,
            retry_after,
            max_head: limits.max_head,
            header_timeout: limits.client_header_timeout,
            body_timeout: limits.client_body_timeout,
            idle_timeout: limits.client_idle_timeout,
        };
        let in_force = rules.clone();
        let proxy = Proxy::new(
            rules,
            cache.clone(),
            fetch.clone(),
            dialects,
            hooks.events(),
            faced,
        );

        let (stop, stopped) = watch::channel(None);
        let serving = tokio::spawn(listeners.serve(proxy, stopped));
        let schedule = fetch.clone();
        let scheduled = tokio::spawn(async move {
            // An increment that waits to be repeated is lost with no panic (L6).
            while let Err(error) = AssertUnwindSafe(schedule.clone().by_schedule(in_force.clone()))
                .catch_unwind()
                .await
            {
                tracing::error!(?error, "what happens by schedule panicked, and begins anew");
                tokio::time::sleep(PAUSE).await;
            }
        });
        let swept = cache.clone();
        let sweeping = tokio::spawn(async move {
            let mut tick = tokio::time::interval(SWEEP);
            loop {
                tick.tick().await;
                swept.sweep();
            }
        });
        Ok(App {
            listening,
            stop,
            serving,
            sweeping,
            scheduled,
            reloading,
            cache,
            fetch,
            hooks,
            drain,
        })
    }

    /// Reads the files again, soon, whether or not they have changed. What comes of it is told in the log.
    pub fn reload(&self) {
        match &self.reloading {
            Some(reloading) => reloading.asked.notify_one(),
            None => tracing::info!("there are no files to be read again"),
        }
    }

    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[Listen] {
        &self.listening
    }

    /// Stops accepting, lets what runs finish for at most the configured `drain`, and returns; at once when idle.
    pub async fn shutdown(self) {
        let end = Instant::now() + self.drain;
        self.sweeping.abort();
        if let Some(reloading) = self.reloading {
            reloading.task.abort();
        }
        self.scheduled.abort(); // nobody can be answered much longer with what would be fetched
        self.stop.send_replace(Some(end));
        self.hooks.drain();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listeners ended badly");
        }
        if let Err(error) = self.scheduled.await
            && error.is_panic()
        {
            tracing::error!(%error, "what happens by schedule ended badly");
        }
        // Exchanges whose clients have left, and fills: their increments and entries count (L4).
        if timeout_at(end, self.fetch.finished()).await.is_err() {
            tracing::warn!(
                "some exchanges with the app were still running when the drain time was over"
            );
        }
        self.cache.increment_waiting();
        self.hooks.finish(end).await;
    }
}

impl Reloading {
    fn begin(reload: Reload) -> Reloading {
        let asked = Arc::new(Notify::new());
        let task = tokio::spawn(reload.watch(Arc::clone(&asked)));
        Reloading { asked, task }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::model::tag::Increment;
    use crate::model::tag::Tag;
    use crate::model::time::Timestamp;

    #[tokio::test]
    async fn l06_what_waits_to_be_repeated_is_applied_at_the_end_and_nobody_waits_for_it() {
        let config = Config {
            listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))],
            drain: Duration::from_secs(3_600),
            ..Config::default_for("http://127.0.0.1:9".parse().unwrap())
        };
        let clock = Clock::manual(Timestamp::from_secs(1_000_000));
        let app = App::start(config, clock).await.unwrap();
        let cache = app.cache.clone();
        let again = Increment {
            again: Some(Duration::from_secs(60)),
            ..Tag::parse("A").unwrap().into()
        };
        cache.increment(&[again], &"POST /x".into());
        assert!(cache.next_due().is_some());
        let stopped = tokio::time::timeout(Duration::from_secs(20), app.shutdown());
        stopped.await.expect("an idle one stops at once");
        assert_eq!(cache.next_due(), None);
    }
}
