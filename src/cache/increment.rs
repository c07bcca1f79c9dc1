//! Giving tags new versions, whoever asks, and what follows from it: others are told, and later there are repeats, and looks for
//! what was invalidated.

use std::sync::{Arc, MutexGuard, PoisonError};

use futures_util::future::join_all;

use crate::cache::Cache;
use crate::cache::again::Repeat;
use crate::cache::again::Repeats;
use crate::metrics::Source;
use crate::model::outcome::Commit;
use crate::model::stamp::Stamp;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::tag::Tagged;

impl Cache {
    /// Gives the tags new versions, before anyone sees the response that asked for it (L4). `by` is who asked, such as
    /// `POST /users/42`.
    pub async fn increment(&self, increments: &[Increment], by: &Arc<str>) -> Commit {
        if increments.is_empty() {
            return Commit::Done;
        }
        let source = Source::Response;
        let stamp = self.0.tags.increment(increments, by, source).await;
        self.incremented(increments, source, by).await;
        match stamp {
            Some(_) => Commit::Done,
            None => Commit::Deferred,
        }
    }

    /// The same for an operator, such as `POST /v1/purge (deploy)`: the version that each of the tags has by then. `None`: the
    /// shared store could not take it in time, and it waits (L6).
    pub async fn increment_by_operator(
        &self,
        increments: &[Increment],
        by: &Arc<str>,
    ) -> Option<Vec<Stamp>> {
        let source = Source::Admin;
        let stamps = self.0.tags.increment_many(increments, by, source).await;
        self.incremented(increments, source, by).await;
        stamps
    }

    /// Notes the versions of tags that the app itself counts.
    pub async fn observe(&self, tagged: &[Tagged], by: &Arc<str>) -> Commit {
        self.observe_from(tagged, by, Source::Response).await
    }

    /// The same, whichever way they are told.
    pub(super) async fn observe_from(
        &self,
        tagged: &[Tagged],
        by: &Arc<str>,
        source: Source,
    ) -> Commit {
        let (raised, commit) = self.0.tags.observe(tagged, by, source).await;
        if !raised.is_empty() {
            self.0.metrics.increments.add_many(source, raised.len());
            self.tell(&mut raised.into_iter());
            self.look_for_invalidated();
        }
        commit
    }

    fn tell(&self, tags: &mut dyn Iterator<Item = &Tag>) {
        if let Some(watcher) = &self.0.watcher {
            watcher.incremented(tags);
        }
    }

    /// What follows from every increment.
    fn follow_up(&self, increments: &[Increment], source: Source) {
        let counted = &self.0.metrics.increments;
        counted.add_many(source, increments.len());
        self.tell(&mut increments.iter().map(|it| &it.tag));
        self.look_for_invalidated();
    }

    /// What follows from increments that have been applied.
    pub(super) async fn incremented(
        &self,
        increments: &[Increment],
        source: Source,
        by: &Arc<str>,
    ) {
        self.follow_up(increments, source);
        if increments.iter().all(|it| it.again.is_none()) {
            return; // the usual case, without the lock
        }
        let (noted, is_sooner) = {
            let mut repeats = self.repeats();
            let before = repeats.next();
            let noted = repeats.note(increments, by, self.now());
            let is_sooner = repeats.next().is_some_and(|at| Some(at) != before);
            (noted, is_sooner)
        };
        if is_sooner {
            self.0.rescheduled.notify_one();
        }
        if noted.shortened {
            tracing::warn!(%by, "`again` puts an increment off for a day at most");
        }
        if noted.begins {
            tracing::warn!(%by, "too many increments wait to be repeated: those due first are repeated now");
        }
        self.repeat(noted.early).await;
    }

    /// Applies once more what is due for it.
    pub async fn increment_due(&self) {
        let due = { self.repeats().due(self.now()) };
        self.repeat(due).await;
    }

    /// Applies at once what still waits to be repeated: early, where it would be lost else (L6).
    pub async fn increment_waiting(&self) {
        let waiting = { self.repeats().all() };
        self.repeat(waiting).await;
    }

    /// What the store cannot take now waits for it.
    async fn repeat(&self, repeats: Vec<Repeat>) {
        // All at once: whatever becomes of this, each is on its way as soon as it has been taken out.
        let each = repeats.iter().map(async |it| {
            let source = Source::Repeat;
            self.0.tags.increment(&it.increments, &it.by, source).await;
            self.follow_up(&it.increments, source); // none of them is repeated again
        });
        join_all(each).await;
    }

    pub(super) fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.0
            .repeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
