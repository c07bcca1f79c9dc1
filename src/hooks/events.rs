//! Hits and misses, told one by one: lines in the log, and calls that are made once. What cannot be told in time is dropped: a
//! hook that hangs must not hold up anything else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::hooks::Stop;
use crate::hooks::call::Caller;
use crate::hooks::call::Failure;
use crate::model::hook::Hook;
use crate::model::hook::HookUrl;
use crate::model::hook::Level;
use crate::model::time::Timestamp;

/// Calls at once, of all hooks together.
const AT_ONCE: usize = 64;

/// How many more wait.
const MOST_WAITING: usize = 1_024;

/// The longest key that is told in full, in bytes: clients choose how long keys are, and what waits is held in memory (L10).
const LONGEST_KEY: usize = 4 * 1_024;

/// URLs whose connections are kept. More are named only by rules that are read again and again.
const MOST_CALLERS: usize = 64;

/// What became of a request that was looked up.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it was known.
    pub at: Timestamp,
    /// The rule's id.
    pub rule: Arc<str>,
    /// What its key is called when people speak of it. Of a very long one the beginning is told, and `…`.
    pub key: String,
    /// The word of its outcome.
    pub outcome: &'static str,
}

/// Where hits and misses are told. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Events {
    calls: mpsc::Sender<Call>,
    dropped: Arc<Mutex<u64>>,
}

#[derive(Debug)]
struct Call {
    hook: Arc<Hook>,
    event: Event,
}

/// What is sent: `{"namespace": "shop", "at": "2026-11-29T03:04:05.678Z", "rule": "books", "key": "…", "outcome": "hit"}`.
#[derive(Serialize)]
struct Told<'a> {
    namespace: &'a str,
    at: String,
    rule: &'a str,
    key: &'a str,
    outcome: &'a str,
}

/// The other end of [`Events`].
pub(super) struct Telling {
    namespace: Arc<str>,
    calls: mpsc::Receiver<Call>,
    callers: HashMap<HookUrl, Arc<Caller>>,
    /// How many calls of each URL have failed since one was taken.
    failed: HashMap<HookUrl, u64>,
    under_way: JoinSet<(HookUrl, Result<(), Failure>)>,
    clock: Clock,
}

/// A place to tell, and what is to run behind it.
pub(super) fn channel(namespace: Arc<str>, clock: &Clock) -> (Events, Telling) {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    let events = Events {
        calls: sender,
        dropped: Arc::default(),
    };
    let telling = Telling {
        namespace,
        calls: receiver,
        callers: HashMap::new(),
        failed: HashMap::new(),
        under_way: JoinSet::new(),
        clock: clock.clone(),
    };
    (events, telling)
}

impl Events {
    /// Tells a hook, without waiting for anything.
    pub fn tell(&self, hook: &Arc<Hook>, mut event: Event) {
        if event.key.len() > LONGEST_KEY {
            event
                .key
                .truncate(event.key.floor_char_boundary(LONGEST_KEY));
            event.key.push('…');
            event.key.shrink_to_fit();
        }
        if let Some(level) = hook.log {
            log(level, &event);
        }
        if hook.webhook.is_none() {
            return;
        }
        let hook = Arc::clone(hook);
        let sent = self.calls.try_send(Call { hook, event });
        let mut dropped = self.dropped();
        match sent {
            Ok(()) => {
                let before = std::mem::take(&mut *dropped);
                drop(dropped);
                if before > 0 {
                    tracing::warn!(dropped = before, "hooks are called again");
                }
            }
            Err(TrySendError::Full(_)) => {
                *dropped += 1;
                let is_first = *dropped == 1;
                drop(dropped);
                if is_first {
                    tracing::warn!(
                        "{AT_ONCE} calls of hooks are under way and {MOST_WAITING} wait: this one and those that follow are dropped until there is room"
                    );
                }
            }
            Err(TrySendError::Closed(_)) => {} // the process ends
        }
    }

    /// Says what has not been told when there is no more time for it.
    pub(super) fn give_up(&self) {
        let calls = self.calls.max_capacity() - self.calls.capacity();
        if calls > 0 {
            tracing::warn!(calls, "the drain time is over: hooks were not called");
        }
    }

    fn dropped(&self) -> MutexGuard<'_, u64> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(level: Level, event: &Event) {
    let Event {
        rule, key, outcome, ..
    } = event;
    let (rule, key) = (&**rule, key.as_str()); // as text they are quoted and escaped: the key comes from outside
    match level {
        Level::Debug => tracing::debug!(rule, key, outcome, "hook"),
        Level::Info => tracing::info!(rule, key, outcome, "hook"),
        Level::Warn => tracing::warn!(rule, key, outcome, "hook"),
    }
}

impl Telling {
    /// Makes the calls, a few at once; ends when it is `stopped` and all have been made.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<Stop>) {
        loop {
            let has_room = self.under_way.len() < AT_ONCE;
            tokio::select! {
                Some(ended) = self.under_way.join_next() => self.ended(ended),
                call = self.calls.recv(), if has_room => match call {
                    Some(call) => self.begin(call),
                    None => break,
                },
                // An error says that nobody tells anything more.
                _ = stopped.wait_for(|stop| *stop == Stop::Ends), if !self.calls.is_closed() => {
                    self.calls.close();
                }
            }
        }
        while let Some(ended) = self.under_way.join_next().await {
            self.ended(ended);
        }
    }

    fn begin(&mut self, Call { hook, event }: Call) {
        let Some(url) = &hook.webhook else { return };
        let told = Told {
            namespace: &self.namespace,
            at: event.at.rfc3339().to_string(),
            rule: &event.rule,
            key: &event.key,
            outcome: event.outcome,
        };
        let json = match serde_json::to_vec(&told) {
            Ok(json) => Bytes::from(json),
            Err(error) => {
                // Never: it is made of texts.
                tracing::error!(webhook = %url, %error, "a hook's call could not be put into words");
                return;
            }
        };
        let caller = self.caller(url);
        self.under_way.spawn(async move {
            let ended = caller.post(json).await;
            (caller.url.clone(), ended)
        });
    }

    fn caller(&mut self, url: &HookUrl) -> Arc<Caller> {
        if self.callers.len() >= MOST_CALLERS && !self.callers.contains_key(url) {
            self.callers.clear();
            self.failed.clear();
        }
        let make = || Caller::new(url.clone(), HeaderMap::new(), self.clock.clone());
        let caller = self.callers.entry(url.clone());
        Arc::clone(caller.or_insert_with(|| Arc::new(make())))
    }

    /// Of calls that fail in a row only the first is told.
    fn ended(&mut self, ended: Result<(HookUrl, Result<(), Failure>), JoinError>) {
        let (webhook, ended) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "calling a hook ended badly");
                return;
            }
        };
        let Err(failure) = ended else {
            if let Some(failed) = self.failed.remove(&webhook) {
                tracing::info!(%webhook, failed, "the hook takes calls again");
            }
            return;
        };
        let failed = self.failed.entry(webhook.clone()).or_default();
        *failed += 1;
        if *failed == 1 {
            tracing::warn!(%webhook, %failure, "the hook did not take a call; that those that follow fail too is not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            at: Timestamp::from_secs(1),
            rule: "r".into(),
            key: "k".into(),
            outcome: "hit",
        }
    }

    fn hook(webhook: Option<&str>) -> Arc<Hook> {
        Arc::new(Hook {
            webhook: webhook.map(|url| url.parse().unwrap()),
            log: Some(Level::Debug),
        })
    }

    #[test]
    fn what_there_is_no_room_for_is_dropped_and_counted_until_there_is() {
        let (events, mut telling) = channel("shop".into(), &Clock::System);
        let hook = hook(Some("http://127.0.0.1:9/"));
        for _ in 0..MOST_WAITING + 3 {
            events.tell(&hook, event());
        }
        assert_eq!(*events.dropped(), 3);
        telling.calls.try_recv().unwrap();
        events.tell(&hook, event());
        assert_eq!(*events.dropped(), 0);
        events.tell(&hook, event());
        assert_eq!(*events.dropped(), 1);
    }

    #[test]
    fn l10_keys_are_told_only_so_far() {
        let (events, mut telling) = channel("shop".into(), &Clock::System);
        let hook = hook(Some("http://127.0.0.1:9/"));
        for (len, expected) in [(4_096, 4_096), (4_097, 4_096 + 3), (60_000, 4_096 + 3)] {
            let key = "k".repeat(len);
            events.tell(&hook, Event { key, ..event() });
            let told = telling.calls.try_recv().unwrap().event.key;
            assert_eq!(told.len(), expected, "{len}");
        }
    }

    #[test]
    fn a_line_in_the_log_is_no_call() {
        let (events, mut telling) = channel("shop".into(), &Clock::System);
        events.tell(&hook(None), event());
        assert!(telling.calls.try_recv().is_err());
    }

    #[test]
    fn connections_are_kept_for_so_many_urls() {
        let (_events, mut telling) = channel("shop".into(), &Clock::System);
        for n in 0..=MOST_CALLERS {
            telling.caller(&format!("http://h/{n}").parse().unwrap());
            assert!(telling.callers.len() <= MOST_CALLERS);
        }
    }
}
