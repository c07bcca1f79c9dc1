//! Who has asked for what change, when, and what came of it: the last records, never edited.
//!
//! They are kept in memory, and with a shared store in a stream of its own too, so that any sidecar shows those of all. What the
//! store could not take stays in memory, is told in the log, and is sent again before the next one is, before somebody reads, or at
//! the end. What leaves memory before that is counted, and told in the log when the store is back.

mod kept;
mod record;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::broadcast;

pub use record::Act;
pub use record::Record;
pub use record::What;

use crate::audit::kept::Kept;
use crate::clock::Clock;
use crate::shared;
use crate::shared::Link;

/// Where the connection to the shared store is to be had, while there is one.
pub type LinkSource = Arc<dyn Fn() -> Option<Link> + Send + Sync>;

/// The records. Clones are the same.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    kept: Mutex<Kept>,
    feed: broadcast::Sender<Arc<Record>>,
    clock: Clock,
    sidecar: Box<str>,
    link: Option<LinkSource>,
    /// Held while what waits is sent: each once, in order.
    sending: tokio::sync::Mutex<()>,
}

/// Some of the records, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// These.
    pub records: Vec<Arc<Record>>,
    /// Where to go on; `None`: these were the last.
    pub cursor: Option<String>,
}

/// No page ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the cursor is what the page before said, as it is")]
pub struct BadCursor;

/// How many records who watches may be behind, before it misses some.
const BEHIND: usize = 256;

/// The pauses between attempts at the end.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Audit {
    /// No records yet, of the sidecar with this name. `link`: where all sidecars' are, if there is such a place.
    pub fn new(clock: Clock, sidecar: &str, link: Option<LinkSource>) -> Audit {
        Audit(Arc::new(Inner {
            kept: Mutex::default(),
            feed: broadcast::Sender::new(BEHIND),
            clock,
            sidecar: sidecar.into(),
            link,
            sending: tokio::sync::Mutex::default(),
        }))
    }

    /// Records what somebody has done, for good; sent to the store before this comes back, if that answers.
    pub async fn record(&self, act: Act) -> Arc<Record> {
        let inner = &self.0;
        let record = Record::of(act, &inner.sidecar, &inner.clock);
        let record = Arc::new(record);
        // First: whoever waits for this may leave.
        self.kept().add(Arc::clone(&record), inner.link.is_some());
        inner.feed.send(Arc::clone(&record)).ok(); // an error means that nobody watches
        match self.link() {
            Some(link) => {
                self.send(&link).await;
            }
            None if inner.link.is_some() => {
                tracing::warn!(
                    "the shared store is away: what was done is recorded here until it is back"
                );
            }
            None => {}
        }
        record
    }

    /// Waits until the store has what was recorded here, or says that it will not have it. At once when there is none.
    pub async fn flush(&self) {
        let mut pause = SHORTEST_PAUSE;
        while self.0.link.is_some() && self.kept().waiting() > 0 {
            let sent = match self.link() {
                Some(link) => match self.deliver(&link).await {
                    Ok(()) => true,
                    Err(error) if error.is_final() => return untold(&error),
                    Err(_) => false, // what is lost in the end is told then
                },
                None => false,
            };
            if !sent {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Says in the log how many records the store has not taken, as they end with this process.
    pub fn report_unsent(&self) {
        let count = {
            let mut kept = self.kept();
            kept.waiting() + kept.take_lost()
        };
        if count > 0 {
            tracing::error!(
                count,
                "records of what was done are lost: the shared store could not take them before the end"
            );
        }
    }

    /// Those of this sidecar to come. Who takes them too slowly misses some, and holds nobody up.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Record>> {
        self.0.feed.subscribe()
    }

    /// Some records after that cursor: of all sidecars, if the store answers, else of this one.
    ///
    /// # Errors
    ///
    /// There is no such cursor.
    pub async fn page(&self, cursor: Option<&str>, limit: usize) -> Result<Page, BadCursor> {
        let from = cursor.map(Cursor::parse).transpose()?;
        if let (None | Some(Cursor::Shared(_)), Some(link)) = (from, self.link())
            && self.send(&link).await
        {
            let before = match from {
                Some(Cursor::Shared(place)) => Some(place),
                Some(Cursor::Kept(_)) | None => None,
            };
            match link.audited(before, limit).await {
                Ok((found, more)) => {
                    let cursor = found.last().filter(|_| more);
                    let cursor = cursor.map(|(place, _)| place.clone());
                    let mut seen = HashSet::new();
                    let records = found
                        .iter()
                        .filter_map(|(_, text)| Record::read(text))
                        // Sent twice, as nobody knew whether it had arrived.
                        .filter(|record| seen.insert(record.id.clone()))
                        .map(Arc::new)
                        .collect();
                    return Ok(Page { records, cursor });
                }
                Err(error) => untold(&error),
            }
        }
        Ok(self.kept().page(from, limit))
    }

    fn link(&self) -> Option<Link> {
        self.0.link.as_ref().and_then(|link| link())
    }

    /// Sends what waits; whether nothing does any more.
    async fn send(&self, link: &Link) -> bool {
        let sent = self.deliver(link).await;
        sent.map_err(|error| untold(&error)).is_ok()
    }

    async fn deliver(&self, link: &Link) -> Result<(), shared::Error> {
        let _one_at_a_time = self.0.sending.lock().await;
        loop {
            let Some(record) = self.kept().first_waiting() else {
                break;
            };
            link.audit(&record.written()).await?;
            self.kept().is_sent(&record);
        }
        let lost = self.kept().take_lost();
        if lost > 0 {
            tracing::error!(
                count = lost,
                "records of what was done are lost: more waited for the shared store than are kept"
            );
        }
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It stays here.
fn untold(error: &shared::Error) {
    tracing::warn!(%error, "the shared store does not take part in the audit: this sidecar's records are kept here alone");
}

/// Where a page ended.
#[derive(Clone, Copy, Debug)]
enum Cursor<'a> {
    /// In the store, after what has this place.
    Shared(&'a str),
    /// Here, after the record with this name.
    Kept(&'a str),
}

/// What cursors begin with that lead on here.
const KEPT: char = 'm';

impl Cursor<'_> {
    fn parse(text: &str) -> Result<Cursor<'_>, BadCursor> {
        if let Some(id) = text.strip_prefix(KEPT) {
            return Ok(Cursor::Kept(id));
        }
        let is_number = |text: &str| text.parse::<u64>().is_ok();
        match text.split_once('-') {
            Some((millis, nth)) if is_number(millis) && is_number(nth) => Ok(Cursor::Shared(text)),
            Some(_) | None => Err(BadCursor),
        }
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Audit").field(&self.0.sidecar).finish()
    }
}

#[cfg(test)]
mod tests;
