//! Telling others by HTTP, through Pingora like everything that is sent: of increments in batches, of hits and misses one by
//! one. Nobody waits for it: who has something to tell leaves it here and goes on, and what there is no room for is dropped,
//! and said in the log.
//!
//! ```text
//! Cache::increment -- Watcher --> Batch of each webhook --(batch is over)--> POST { tags }, until it is taken
//! Proxy::handle -------- Events --> queue --(64 at once)--> POST { rule, key, outcome }, once
//! ```
//!
//! It knows neither rules nor responses.

mod batch;
mod call;
mod events;
mod increments;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::timeout_at;

pub use events::Event;
pub use events::Events;

use crate::clock::Clock;
use crate::hooks::increments::Increments;
use crate::model::hook::HookUrl;
use crate::model::watcher::Watcher;

/// Somebody who is told of increments.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Where.
    pub url: HookUrl,
    /// How long tags are collected, from the first one on.
    pub batch: Duration,
    /// The most tags of one call; at least one.
    pub max: usize,
    /// Fields of each call. Those that are secret are marked as sensitive.
    pub headers: HeaderMap,
}

/// What tells others, with its tasks. Dropped, it tells nobody anything more.
#[derive(Debug)]
pub struct Hooks {
    /// `None`: nobody wants to know of increments.
    increments: Option<Arc<Increments>>,
    events: Events,
    stop: watch::Sender<Stop>,
    tasks: JoinSet<()>,
}

/// How far the process is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It runs.
    NotYet,
    /// It lets what runs finish: what was collected is told at once, and what comes still.
    Drains,
    /// Nothing comes any more.
    Ends,
}

impl Hooks {
    /// Begins to tell these of increments, and whom rules name of hits and misses. Needs a runtime.
    pub fn start(namespace: &str, webhooks: Vec<Webhook>, clock: &Clock) -> Hooks {
        let namespace: Arc<str> = namespace.into();
        let (stop, stopped) = watch::channel(Stop::NotYet);
        let mut tasks = JoinSet::new();
        let (events, telling) = events::channel(Arc::clone(&namespace), clock);
        tasks.spawn(telling.run(stopped.clone()));
        let increments = (!webhooks.is_empty()).then(|| {
            let increments = Increments::new(&namespace, webhooks, clock);
            for line in increments.lines() {
                tasks.spawn(Arc::clone(line).run(stopped.clone()));
            }
            Arc::new(increments)
        });
        Hooks {
            increments,
            events,
            stop,
            tasks,
        }
    }

    /// Who is to be told of increments; `None` if nobody wants to know.
    pub fn watcher(&self) -> Option<Arc<dyn Watcher>> {
        let increments = Arc::clone(self.increments.as_ref()?);
        Some(increments)
    }

    /// Where hits and misses are told.
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// Tells from now on what was collected at once: the process is about to end.
    pub fn drain(&self) {
        self.stop.send_replace(Stop::Drains);
    }

    /// Tells what is still to be told, until `end` at most; what is left then is said in the log.
    pub async fn finish(mut self, end: Instant) {
        self.stop.send_replace(Stop::Ends);
        let finished = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "telling others ended badly");
                }
            }
        };
        if timeout_at(end, finished).await.is_ok() {
            return;
        }
        self.tasks.abort_all();
        for line in self.increments.iter().flat_map(|it| it.lines()) {
            line.give_up();
        }
        self.events.give_up();
    }
}
