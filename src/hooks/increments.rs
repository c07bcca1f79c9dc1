//! Others who are told of increments: a CDN, a search index. Each has tags that wait, a task that tells it of them, and no
//! part in what becomes of the others.
//!
//! What is told is not lost lightly: a call that fails is made again, with growing pauses, before the next one. It is lost
//! when too many tags wait, when it is refused, or with the process; each of these is said in the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::hooks::Stop;
use crate::hooks::Webhook;
use crate::hooks::batch::Batch;
use crate::hooks::batch::MOST_WAITING;
use crate::hooks::call::Caller;
use crate::hooks::call::Failure;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::model::watcher::Watcher;

/// How often a call is made before its tags are given up, should others wait that there may soon be no room for: for about
/// two minutes, more if each takes its time to fail.
const TRIES: u32 = 9;

/// The pause after the first failure; each that follows is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// No pause is longer, whatever is asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// All who are told.
#[derive(Debug)]
pub(super) struct Increments {
    lines: Vec<Arc<Line>>,
    clock: Clock,
}

/// One who is told.
#[derive(Debug)]
pub(super) struct Line {
    namespace: Arc<str>,
    caller: Caller,
    max: usize,
    state: Mutex<State>,
    /// The first tag of a batch has come.
    begins: Notify,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    batch: Batch,
    /// How many tags are being told.
    under_way: usize,
    /// How many have been dropped since there was no room for more, and not much since.
    dropped: usize,
}

/// What is sent: `{"namespace": "shop", "at": "2026-11-29T03:04:05.678Z", "tags": ["User:42"]}`.
#[derive(Serialize)]
struct Told<'a> {
    namespace: &'a str,
    /// When the call was first made: the tags had been incremented by then.
    at: String,
    tags: Vec<&'a str>,
}

/// What a task has to do.
enum Step {
    Tell(Vec<Arc<str>>, Timestamp),
    /// Until then, or until tags come.
    Wait(Option<Timestamp>),
}

impl Increments {
    pub(super) fn new(namespace: &Arc<str>, webhooks: Vec<Webhook>, clock: &Clock) -> Increments {
        let line = |webhook: Webhook| {
            Arc::new(Line {
                namespace: Arc::clone(namespace),
                caller: Caller::new(webhook.url, webhook.headers, clock.clone()),
                max: webhook.max.max(1),
                state: Mutex::new(State {
                    batch: Batch::new(webhook.batch),
                    under_way: 0,
                    dropped: 0,
                }),
                begins: Notify::new(),
                clock: clock.clone(),
            })
        };
        Increments {
            lines: webhooks.into_iter().map(line).collect(),
            clock: clock.clone(),
        }
    }

    pub(super) fn lines(&self) -> &[Arc<Line>] {
        &self.lines
    }
}

impl Watcher for Increments {
    /// A look into a set for each tag and each who is told; nothing here waits for a task or a socket.
    fn incremented(&self, tags: &mut dyn Iterator<Item = &Tag>) {
        let names: Vec<Arc<str>> = tags.filter_map(Tag::known_as).collect();
        if names.is_empty() {
            return;
        }
        let now = self.clock.now();
        for line in &self.lines {
            line.collect(&names, now);
        }
    }
}

impl Line {
    fn collect(&self, names: &[Arc<str>], now: Timestamp) {
        let mut state = self.state();
        let collected = state.batch.collect(names, now);
        let is_first = state.dropped == 0 && collected.dropped > 0;
        state.dropped += collected.dropped;
        drop(state);
        if collected.begins {
            self.begins.notify_one();
        }
        if is_first {
            let (dropped, url) = (collected.dropped, &self.caller.url);
            tracing::error!(
                webhook = %url, dropped,
                "{MOST_WAITING} incremented tags wait to be told: these and those that follow are dropped until there is room, and this webhook will not hear of them"
            );
        }
    }

    /// Tells what is due, each time when it is due; ends when nothing comes any more and everything has been told.
    pub(super) async fn run(self: Arc<Line>, mut stopped: watch::Receiver<Stop>) {
        loop {
            let stop = *stopped.borrow_and_update();
            match self.step(stop != Stop::NotYet) {
                Step::Tell(names, at) => {
                    self.tell(&names, at, &mut stopped.clone()).await;
                    self.told();
                }
                Step::Wait(_) if stop == Stop::Ends => return,
                Step::Wait(due) => tokio::select! {
                    () = self.begins.notified() => {}
                    () = self.until(due) => {}
                    changed = stopped.changed() => if changed.is_err() { return },
                },
            }
        }
    }

    fn step(&self, stops: bool) -> Step {
        let now = self.clock.now();
        let mut state = self.state();
        if stops {
            state.batch.close();
        }
        let names = state.batch.take(self.max, now);
        state.under_way = names.len();
        if names.is_empty() {
            return Step::Wait(state.batch.next(now));
        }
        Step::Tell(names, now)
    }

    async fn until(&self, due: Option<Timestamp>) {
        match due {
            Some(due) => self.clock.sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    async fn tell(&self, names: &[Arc<str>], at: Timestamp, stopped: &mut watch::Receiver<Stop>) {
        let told = Told {
            namespace: &self.namespace,
            at: at.rfc3339().to_string(),
            tags: names.iter().map(|name| &**name).collect(),
        };
        let (webhook, tags) = (&self.caller.url, names.len());
        let json = match serde_json::to_vec(&told) {
            Ok(json) => Bytes::from(json),
            Err(error) => {
                // Never: it is made of texts.
                tracing::error!(%webhook, tags, %error, "increments could not be put into words");
                return;
            }
        };
        for tried in 1_u32.. {
            let failure = match self.caller.post(json.clone()).await {
                Ok(()) if tried == 1 => return,
                Ok(()) => {
                    tracing::info!(%webhook, tags, tried, "the webhook has taken what it had not taken before");
                    return;
                }
                Err(failure) => failure,
            };
            if !failure.may_pass() {
                tracing::error!(%webhook, tags, %failure, "the webhook refused increments: it will not hear of these tags");
                return;
            }
            if tried >= TRIES && self.is_short_of_room() {
                tracing::error!(%webhook, tags, tried, %failure, "the webhook did not take increments: it will not hear of these tags");
                return;
            }
            if tried == 1 {
                tracing::warn!(%webhook, tags, tried, %failure, "the webhook did not take increments; they are told again");
            } else {
                tracing::debug!(%webhook, tags, tried, %failure, "the webhook did not take increments again");
            }
            tokio::select! {
                () = self.clock.sleep_until(self.clock.now() + self.pause(tried, &failure)) => {}
                // There may be no other time; once, then the pauses go on.
                Ok(()) = stopped.changed() => {}
            }
        }
    }

    /// Whether other tags may soon be dropped for those that it does not take.
    fn is_short_of_room(&self) -> bool {
        self.state().batch.len() > MOST_WAITING / 2
    }

    /// How long it is left alone after so many failures, a little by chance: many sidecars of one app fail together.
    fn pause(&self, tried: u32, failure: &Failure) -> Duration {
        let doubled = 2_u32.saturating_pow(tried.saturating_sub(1));
        let pause = FIRST_PAUSE.saturating_mul(doubled).max(failure.rest());
        pause
            .min(LONGEST_PAUSE)
            .mul_f64(1.0 - self.clock.chance() / 4.0)
    }

    fn told(&self) {
        let mut state = self.state();
        state.under_way = 0;
        if state.dropped == 0 || state.batch.len() > MOST_WAITING / 2 {
            return;
        }
        let dropped = std::mem::take(&mut state.dropped);
        drop(state);
        tracing::error!(webhook = %self.caller.url, dropped, "there is room again for incremented tags; the webhook has not heard of so many");
    }

    /// Says what has not been told when there is no more time for it.
    pub(super) fn give_up(&self) {
        let state = self.state();
        let tags = state.batch.len() + state.under_way;
        drop(state);
        if tags > 0 {
            tracing::warn!(webhook = %self.caller.url, tags, "the drain time is over: the webhook has not heard of so many incremented tags");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
