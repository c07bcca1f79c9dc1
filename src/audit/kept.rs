//! The records that this sidecar keeps itself: its own, the last ones.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audit::Cursor;
use crate::audit::KEPT;
use crate::audit::Page;
use crate::audit::Record;

/// How many.
const MOST: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The newest last.
    records: VecDeque<Arc<Record>>,
    /// How many of these, the newest, wait for the store.
    waiting: usize,
    /// How many have left that waited for it.
    lost: usize,
}

impl Kept {
    /// One more; whether it waits for the store.
    pub(super) fn add(&mut self, record: Arc<Record>, waits: bool) {
        self.records.push_back(record);
        self.waiting += usize::from(waits);
        if self.records.len() > MOST {
            self.records.pop_front();
            self.lost += self.waiting.saturating_sub(MOST);
            self.waiting = self.waiting.min(MOST);
        }
    }

    /// The first of those that wait.
    pub(super) fn first_waiting(&self) -> Option<Arc<Record>> {
        let sent = self.records.len() - self.waiting;
        self.records.get(sent).cloned()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many have left that waited; they are told of once.
    pub(super) fn take_lost(&mut self) -> usize {
        std::mem::take(&mut self.lost)
    }

    /// That one is in the store.
    pub(super) fn is_sent(&mut self, record: &Arc<Record>) {
        // Not if it has left meanwhile.
        if self
            .first_waiting()
            .is_some_and(|it| Arc::ptr_eq(&it, record))
        {
            self.waiting -= 1;
        }
    }

    /// Some, the newest first.
    pub(super) fn page(&self, from: Option<Cursor<'_>>, limit: usize) -> Page {
        let older = match from {
            None => self.records.len(),
            Some(Cursor::Kept(id)) => {
                let place = self.records.iter().position(|it| *it.id == *id);
                place.unwrap_or(0) // it has left, and so have all before it
            }
            // The store has the time of a record in its place, in milliseconds.
            Some(Cursor::Shared(place)) => {
                let millis = place.split_once('-').map(|(millis, _)| millis.parse());
                let before = millis.and_then(Result::ok).unwrap_or(0);
                self.records
                    .partition_point(|it| it.at.as_micros() / 1_000 < before)
            }
        };
        let rest = self.records.iter().take(older).rev();
        let records: Vec<_> = rest.take(limit).cloned().collect();
        let last = records.last().filter(|_| records.len() < older);
        let cursor = last.map(|last| format!("{KEPT}{}", last.id));
        Page { records, cursor }
    }
}
