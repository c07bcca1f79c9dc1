//! Configuration → running parts, and back down again.

use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::admin;
use crate::admin::Admin;
use crate::audit::Audit;
use crate::audit::LinkSource;
use crate::cache;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config;
use crate::config::Config;
use crate::config::Log;
use crate::config::Reload;
use crate::config::Rereader;
use crate::dialects::Dialects;
use crate::fetch;
use crate::fetch::Fetch;
use crate::hooks::Hooks;
use crate::metrics::Metrics;
use crate::model::health::Checkup;
use crate::model::health::Health;
use crate::model::health::Phase;
use crate::model::health::Reason;
use crate::model::reread::Files;
use crate::proxy;
use crate::proxy::BindError;
use crate::proxy::Listen;
use crate::proxy::Listeners;
use crate::proxy::Proxy;
use crate::rules::LiveRules;
use crate::shared::Store;
use crate::tags::Sharing;
use crate::telemetry;
use crate::telemetry::trace::Traces;
use crate::upstream::Load;
use crate::upstream::Upstream;

/// A running sidecar.
pub struct App {
    listening: Vec<Listen>,
    /// Whether requests are answered, for who asks.
    phase: watch::Sender<Phase>,
    /// `None`: the configuration has no admin interface.
    admin: Option<Operated>,
    stop: watch::Sender<Option<Instant>>,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    /// What happens for no request.
    scheduled: JoinHandle<()>,
    /// What is heard of others, and told to them.
    touching: JoinHandle<()>,
    /// `None`: there are no files.
    reloading: Option<Reloading>,
    cache: Cache,
    fetch: Fetch,
    hooks: Hooks,
    traces: Traces,
    metrics: Metrics,
    drain: Duration,
}

/// The admin interface.
struct Operated {
    address: SocketAddr,
    calls: Admin,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    audit: Audit,
}

/// What a part says that should be looked at; nothing: all is well with it. Must not wait.
type Check = Box<dyn Fn() -> Vec<Reason> + Send + Sync>;

/// How the sidecar is, as its parts say.
struct Checks {
    phase: watch::Receiver<Phase>,
    parts: Vec<Check>,
}

/// Keeps the rules in force to what the files say.
struct Reloading {
    files: Rereader,
    task: JoinHandle<()>,
}

/// Why the sidecar did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A place where it cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The place where the admin interface cannot listen.
    #[error(transparent)]
    Admin(#[from] admin::BindError),
}

/// Begins to write the log of this process; `App::start` does not, because one process may run several sidecars (L15).
pub fn start_log(log: &Log) {
    telemetry::log::start(log.format);
}

/// How often entries that nobody can be answered with are dropped.
const SWEEP: Duration = Duration::from_secs(60);

/// How long what goes on all the time rests after a panic, so that one that comes again does not fill the log.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the start waits for the shared store.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs what goes on all the time; after a panic, anew.
fn supervised<F>(what: &'static str, begin: impl Fn() -> F + Send + 'static) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send,
{
    tokio::spawn(async move {
        while let Err(error) = AssertUnwindSafe(begin()).catch_unwind().await {
            tracing::error!(?error, "{what} panicked, and begins anew");
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// With whom tags are shared, if with anybody.
fn sharing(config: &Config, metrics: &Metrics, clock: &Clock) -> Option<Sharing> {
    let redis = config.store.redis.as_ref()?;
    Some(Sharing {
        store: Store::new(
            redis.shared.clone(),
            &config.namespace,
            redis.bodies,
            clock.clone(),
        ),
        max_lag: config.tags.max_lag,
        outbox: config.tags.outbox_max,
        epoch: config.rules.epoch(),
        metrics: metrics.clone(),
    })
}

impl App {
    /// Binds the listeners and begins to serve.
    ///
    /// # Errors
    ///
    /// See [`StartError`]; nothing is left running.
    pub async fn start(config: Config, clock: Clock) -> Result<App, StartError> {
        let listeners = Listeners::bind(&config.listen).await?;
        let listening = listeners.addresses();
        let operators = match &config.admin {
            Some(admin) => Some(admin::Listener::bind(admin.clone()).await?),
            None => None,
        };
        let metrics = Metrics::default();
        let phase = watch::Sender::new(Phase::Starting);
        let mut checks = Checks::new(phase.subscribe());
        let drain = config.drain;
        config::warn(&config, clock.now());
        let rules = LiveRules::new(config.rules.counted(&metrics));
        let reload = Reload::new(&config, rules.clone(), metrics.clone(), clock.clone());
        if let Some(reload) = &reload {
            let refused = reload.refused();
            checks.ask(move || refused.borrow().iter().cloned().collect());
        }

        let limits = config.limits;
        let sharing = sharing(&config, &metrics, &clock);
        let compress = config.store.redis.as_ref();
        let compress = compress.filter(|it| it.bodies).map(|it| it.compress);
        let dialects = Arc::new(Dialects::new(config.dialects));
        let sizes = cache::Config {
            max_bytes: config.store.max_bytes,
            max_object: limits.max_object,
            max_variants: limits.max_variants,
        };
        let hooks = Hooks::start(&config.namespace, config.increment_webhooks, &clock);
        let others = cache::Others {
            watcher: hooks.watcher(),
            metrics: metrics.clone(),
            sharing,
            compress,
        };
        let cache = Cache::among(sizes, clock.clone(), others);
        let reloading = reload.map(|reload| Reloading::begin(reload, cache.clone()));
        let (touched, in_force) = (cache.clone(), rules.clone());
        let touching = supervised("keeping in touch with the shared store", move || {
            let (cache, rules) = (touched.clone(), in_force.clone());
            async move { cache.keep_in_touch(&rules).await }
        });
        let asked = cache.clone();
        checks.ask(move || asked.health());
        let storable = fetch::Limits {
            max_object: limits.max_object,
            tags: limits.tags,
            picked: (config.store.max_bytes / 8).max(limits.max_object),
            ahead: config.store.max_bytes / 16,
        };
        let retry_after = config.upstream.queue_timeout;
        let traces = config
            .telemetry
            .map(|it| Traces::start(it, &clock, &metrics));
        let traces = traces.unwrap_or_default();
        let load = Load {
            running: metrics.upstream_exchanges.clone(),
            waiting: metrics.upstream_queue.clone(),
        };
        let upstream = Upstream::measured(config.upstream, clock.clone(), load);
        let fetch = Fetch::new(
            upstream,
            cache.clone(),
            Arc::clone(&dialects),
            clock.clone(),
            storable,
        );
        let faced = proxy::Config {
            cache_status: config.cache_status,
            access_log: config.log.access,
            fast_path: config.fast_path,
            traces: traces.clone(),
            debug: config.debug,
            retry_after,
            max_head: limits.max_head,
            header_timeout: limits.client_header_timeout,
            body_timeout: limits.client_body_timeout,
            idle_timeout: limits.client_idle_timeout,
        };
        let admin = operators.map(|listener| {
            let files = reloading.as_ref().map(|it| it.files.clone());
            let sidecar = config::this_process();
            let linked = cache.clone();
            let link = config.store.redis.as_ref();
            let link = link.map(|_| Arc::new(move || linked.link()) as LinkSource);
            let audit = Audit::new(clock, &sidecar, link);
            let admin = Admin::new(admin::Parts {
                checkup: Arc::new(checks),
                cache: cache.clone(),
                fetch: fetch.clone(),
                metrics: metrics.clone(),
                rules: rules.clone(),
                files: files.map(|files| Arc::new(files) as Arc<dyn Files>),
                purge_groups: config.purge_groups,
                dialects: Arc::clone(&dialects),
                tag_limits: limits.tags,
                max_object: limits.max_object,
                namespace: config.namespace,
                audit: audit.clone(),
                sidecar,
                max_bytes: config.store.max_bytes,
            });
            Operated::begin(listener, admin, audit)
        });
        let in_force = rules.clone();
        let proxy = Proxy::new(
            rules,
            cache.clone(),
            fetch.clone(),
            dialects,
            hooks.events(),
            faced,
        );

        // The first requests are better served with the store than without; but they are served.
        if timeout(PATIENCE, cache.in_touch()).await.is_err() {
            tracing::warn!("the shared store is not there yet: requests go to the app until it is");
        }
        let (stop, stopped) = watch::channel(None);
        let serving = tokio::spawn(listeners.serve(proxy, stopped));
        let schedule = fetch.clone();
        // An increment that waits to be repeated is lost with no panic (L6).
        let scheduled = supervised("what happens by schedule", move || {
            schedule.clone().by_schedule(in_force.clone())
        });
        let swept = cache.clone();
        let sweeping = supervised("the sweep", move || {
            let swept = swept.clone();
            async move {
                let mut tick = tokio::time::interval(SWEEP);
                loop {
                    tick.tick().await;
                    swept.sweep();
                }
            }
        });
        phase.send_replace(Phase::Serving);
        Ok(App {
            listening,
            phase,
            admin,
            stop,
            serving,
            sweeping,
            scheduled,
            touching,
            reloading,
            cache,
            fetch,
            hooks,
            traces,
            metrics,
            drain,
        })
    }

    /// Has every panic of this process told in the log and counted as this sidecar's; `App::start` does not, because one process may
    /// run several sidecars (L15).
    pub fn tell_panics(&self) {
        let metrics = self.metrics.clone();
        telemetry::log::tell_panics(move || metrics.panics.add());
    }

    /// Reads the files again, soon, whether or not they have changed. What comes of it is told in the log.
    pub fn reload(&self) {
        match &self.reloading {
            Some(reloading) => reloading.files.ask(),
            None => tracing::info!("there are no files to be read again"),
        }
    }

    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[Listen] {
        &self.listening
    }

    /// Where the admin interface listens, if there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// Stops accepting, lets what runs finish for at most the configured `drain`, and returns; at once when idle.
    pub async fn shutdown(self) {
        let end = Instant::now() + self.drain;
        self.phase.send_replace(Phase::Draining);
        self.sweeping.abort();
        if let Some(reloading) = self.reloading {
            reloading.task.abort();
        }
        self.scheduled.abort(); // nobody can be answered much longer with what would be fetched
        self.fetch.drain();
        self.stop.send_replace(Some(end));
        self.hooks.drain();
        if let Some(admin) = &self.admin {
            admin.calls.drain(); // it tells on, and changes nothing more
        }
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listeners ended badly");
        }
        if let Err(error) = self.scheduled.await
            && error.is_panic()
        {
            tracing::error!(%error, "what happens by schedule ended badly");
        }
        if let Some(admin) = &self.admin
            && timeout_at(end, admin.calls.finished()).await.is_err()
        {
            tracing::warn!(
                "some calls of operators were still under way when the drain time was over"
            );
        }
        // Exchanges whose clients have left, and fills: their increments and entries count (L4).
        if timeout_at(end, self.fetch.finished()).await.is_err() {
            tracing::warn!(
                "some exchanges with the app were still running when the drain time was over"
            );
        }
        let delivered = async {
            self.cache.increment_waiting().await;
            self.cache.flush().await;
        };
        let told = async {
            if let Some(admin) = &self.admin {
                admin.audit.flush().await;
            }
        };
        let delivered = async { tokio::join!(delivered, told) };
        timeout_at(end, delivered).await.ok(); // what is left is told
        self.cache.report_undelivered();
        self.touching.abort();
        self.hooks.finish(end).await;
        let left = end.saturating_duration_since(Instant::now());
        self.traces.finish(left).await;
        if let Some(admin) = self.admin {
            admin.end().await; // the last: until now it has told that we drain
        }
    }
}

impl Operated {
    fn begin(listener: admin::Listener, admin: Admin, audit: Audit) -> Operated {
        let (stop, stopped) = watch::channel(false);
        Operated {
            address: listener.address(),
            stop,
            calls: admin.clone(),
            serving: tokio::spawn(listener.serve(admin, stopped)),
            audit,
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the admin interface ended badly");
        }
        self.audit.report_unsent();
    }
}

impl Checks {
    fn new(phase: watch::Receiver<Phase>) -> Checks {
        Checks {
            phase,
            parts: Vec::new(),
        }
    }

    /// One more part is asked how it is.
    fn ask(&mut self, part: impl Fn() -> Vec<Reason> + Send + Sync + 'static) {
        self.parts.push(Box::new(part));
    }
}

impl Checkup for Checks {
    fn health(&self) -> Health {
        Health {
            phase: *self.phase.borrow(),
            reasons: self.parts.iter().flat_map(|part| part()).collect(),
        }
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checks")
    }
}

impl Reloading {
    fn begin(reload: Reload, cache: Cache) -> Reloading {
        let mut epoch = reload.epoch();
        let (files, watch) = reload.begin();
        let task = tokio::spawn(async move {
            let told = async {
                while epoch.changed().await.is_ok() {
                    cache.raise_epoch(*epoch.borrow_and_update());
                }
            };
            tokio::join!(watch, told);
        });
        Reloading { files, task }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;
    use std::sync::Mutex;

    use super::*;
    use crate::config::Certificate;
    use crate::model::mistake::Location;
    use crate::model::tag::Increment;
    use crate::model::tag::Tag;
    use crate::model::time::Timestamp;
    use crate::proxy::Life;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_certificate_that_has_expired_is_said_at_the_start() {
        let day = |text| Timestamp::from_rfc3339(text).unwrap();
        let expired = Certificate {
            at: Location {
                file: "t.yaml".into(),
                place: Default::default(),
            },
            path: "c.pem".to_owned(),
            life: Life {
                from: day("2026-01-02T00:00:00Z"),
                until: day("2026-03-02T00:00:00Z"),
            },
        };
        let config = Config {
            listen: vec![Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))],
            certificates: vec![expired],
            ..Config::default_for("http://127.0.0.1:9".parse().unwrap())
        };
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        let _written = tracing::subscriber::set_default(subscriber);
        let clock = Clock::manual(day("2026-03-03T00:00:00Z"));
        App::start(config, clock).await.unwrap().shutdown().await;
        let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let expected = "the certificate in `c.pem` has expired: it was valid until Mon, 02 Mar 2026 00:00:00 GMT";
        assert!(said.contains(expected), "{said}");
    }

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
        cache.increment(&[again], &"POST /x".into()).await;
        assert!(cache.next_due().is_some());
        let stopped = tokio::time::timeout(Duration::from_secs(20), app.shutdown());
        stopped.await.expect("an idle one stops at once");
        assert_eq!(cache.next_due(), None);
    }
}
