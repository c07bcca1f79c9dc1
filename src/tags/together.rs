//! Tags that others share: what is asked of the store, and what is sent to it.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::metrics::SharedError;
use crate::metrics::Source;
use crate::model::outcome::Commit;
use crate::model::outcome::NoStore;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::tag::Tagged;
use crate::shared;
use crate::shared::Finding;
use crate::shared::Incremented;
use crate::shared::Link;
use crate::shared::Store;
use crate::tags::Cause;
use crate::tags::Changes;
use crate::tags::Seals;
use crate::tags::Tags;
use crate::tags::Writer;
use crate::tags::cell::Held;
use crate::tags::epoch::Epoch;
use crate::tags::mandate::Mandate;
use crate::tags::named;
use crate::tags::outbox::Wish;
use crate::tags::pulse::Pulse;
use crate::tags::recent;
use crate::tags::trouble::Trouble;

/// With whom tags are shared, and how.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// The store.
    pub store: Store,
    /// For how long what is known here is trusted when nothing is heard.
    pub max_lag: Duration,
    /// How many changes wait at most when the store cannot take them.
    pub outbox: usize,
    /// The epoch of the configuration.
    pub epoch: u64,
    /// What is counted.
    pub metrics: Metrics,
}

/// The way to the store.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) sharing: Sharing,
    /// `None` while there is no connection.
    pub(super) link: watch::Sender<Option<Link>>,
    pub(super) pulse: Pulse,
    pub(super) mandate: Mandate,
    /// The stamp of the last record of the log that has been applied.
    pub(super) read: watch::Sender<Stamp>,
    pub(super) epoch: Epoch,
    pub(super) findings: watch::Sender<Vec<Finding>>,
    /// There is no connection to the store, or none that lasts.
    pub(super) away: Trouble,
    /// There is one, and the store refuses what is asked of it.
    refuses: Trouble,
    /// Something waits to be sent.
    pub(super) arrived: Notify,
    /// Something that waited has left.
    left: Notify,
}

/// The most changes of one call of the store: it does nothing else meanwhile.
const AT_ONCE: usize = 500;

/// The most calls that are sent before the first is answered.
const IN_FLIGHT: usize = 64;

/// The pauses between attempts.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What has become of changes that were submitted together.
pub(super) struct Submitted(Option<Vec<Incremented>>);

impl Submitted {
    pub(super) fn commit(&self) -> Commit {
        match self.0 {
            Some(_) => Commit::Done,
            None => Commit::Deferred,
        }
    }

    /// Their stamp.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let landed = self.0.as_ref()?;
        landed.iter().filter_map(|it| it.stamp).max()
    }

    /// Their stamp, if nobody else has changed one of the tags since.
    pub(super) fn first_since(&self, before: Stamp) -> Option<Stamp> {
        let landed = self.0.as_ref()?;
        let first = landed.iter().all(|it| it.before <= before);
        landed
            .iter()
            .filter_map(|it| it.stamp)
            .min()
            .filter(|_| first)
    }
}

/// Tags that are known to all, so that a response may be sealed to their versions: held until then.
#[derive(Debug, Default)]
pub struct Registered {
    _cells: Vec<Held>,
}

impl Together {
    pub(super) fn new(sharing: Sharing, clock: &Clock) -> Together {
        let epoch = sharing.epoch;
        let mandate = Mandate::new(&sharing.store, clock);
        Together {
            mandate,
            sharing,
            link: watch::Sender::new(None),
            pulse: Pulse::new(clock),
            read: watch::Sender::new(Stamp::NEVER),
            epoch: Epoch::of(epoch),
            findings: watch::Sender::new(Vec::new()),
            away: Trouble::none(clock),
            refuses: Trouble::none(clock),
            arrived: Notify::new(),
            left: Notify::new(),
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.sharing.metrics
    }

    /// So many changes were others'.
    pub(super) fn count_others(&self, changes: usize) {
        let increments = &self.metrics().increments;
        increments.add_many(Source::OtherSidecar, changes);
    }

    /// How many changes are made at once where there may be any number: what waits keeps room beside them.
    pub(super) fn at_once(&self) -> usize {
        (self.sharing.outbox / 2).clamp(1, AT_ONCE)
    }

    fn is_fenced(&self) -> bool {
        self.lag().is_none_or(|lag| lag > self.sharing.max_lag)
    }

    /// For how long nothing has been heard of the others, or of those who say which server has the tags.
    fn lag(&self) -> Option<Duration> {
        Some(self.pulse.lag()?.max(self.mandate.lag()?))
    }

    pub(super) fn link(&self) -> Option<Link> {
        self.link.borrow().clone()
    }

    /// Another server has the tags by now.
    pub(super) fn moved(&self, link: &Link) {
        self.failed(link, &shared::Error::moved());
    }

    /// Something went wrong with this link: counted, and another is made if that may help.
    pub(super) fn failed(&self, link: &Link, error: &shared::Error) {
        self.metrics().shared_errors.add(error.kind);
        if !error.ends_link() {
            if self.refuses.note(error) {
                tracing::warn!(%error, "the shared store refuses what is asked of it");
            }
            return;
        }
        let given_up = self.link.send_if_modified(|current| {
            let is_it = current.as_ref().is_some_and(|it| it.is(link));
            if is_it {
                *current = None;
            }
            is_it
        });
        if given_up {
            self.metrics().shared_connected.set(false);
            if self.away.note(error) {
                tracing::warn!(%error, "the connection to the shared store is given up");
            }
        }
    }

    /// No connection is to be had.
    pub(super) fn is_away(&self, error: &shared::Error) {
        self.metrics().shared_errors.add(error.kind);
        if self.away.note(error) {
            tracing::warn!(%error, "the shared store cannot be used");
        }
    }

    /// The log goes on.
    pub(super) fn is_heard(&self) {
        if self.away.is_over() {
            tracing::info!("the shared store is back");
        }
    }

    /// Something was written.
    fn accepts(&self) {
        if self.refuses.is_over() {
            tracing::info!("the shared store refuses nothing any more");
        }
    }

    /// Waits until it is certain that what this link leads to had the tags when it took increments; `false`: the link has been
    /// given up. They are not sent again meanwhile: each time would be another change to everybody else.
    async fn confirmed(&self, link: &Link) -> bool {
        let (mut pause, mut said) = (SHORTEST_PAUSE, false);
        while !self.mandate.confirms(link).await {
            if !self.link().is_some_and(|it| it.is(link)) {
                return false;
            }
            if !std::mem::replace(&mut said, true) {
                tracing::warn!(
                    "nobody says that the shared store which took increments still has the tags"
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        true
    }

    /// What is to be said of the store, once as long as it is so.
    pub(super) fn found(&self, findings: Vec<Finding>) {
        let before = self.findings.send_replace(findings.clone());
        let is_same = |one: &Finding, other: &Finding| discriminant(one) == discriminant(other);
        let is_new = |it: &&Finding| !before.iter().any(|other| is_same(it, other));
        for finding in findings.iter().filter(is_new) {
            match finding.code() {
                Some(_) => tracing::warn!("{finding}"),
                None => tracing::info!("{finding}"),
            }
        }
    }
}

impl Tags {
    /// Whether what is known here of tags is not to be trusted: nothing has been heard of the others for too long.
    pub fn is_fenced(&self) -> bool {
        self.together.as_ref().is_some_and(Together::is_fenced)
    }

    /// How many changes wait for the store.
    pub fn waiting(&self) -> usize {
        self.write().outbox.len()
    }

    /// For how long nothing has been heard of the others; `None`: nothing ever was, or there are none.
    pub fn lag(&self) -> Option<Duration> {
        self.together.as_ref().and_then(Together::lag)
    }

    /// The epoch is this at least, from now on for all who share the tags. Those who do are told as soon as the store can be.
    pub fn raise_epoch(&self, epoch: u64) {
        if let Some(together) = &self.together {
            together.epoch.raise(epoch);
        }
    }

    /// What is to be said of the store; empty as long as there is none, or no connection yet.
    pub fn findings(&self) -> Vec<Finding> {
        let together = self.together.as_ref();
        together.map_or_else(Vec::new, |it| it.findings.borrow().clone())
    }

    /// Why there is no connection to the store, or none that lasts.
    pub fn away(&self) -> Option<shared::Error> {
        self.together.as_ref().and_then(|it| it.away.why())
    }

    /// Why the store refuses what is asked of it.
    pub fn refused(&self) -> Option<shared::Error> {
        self.together.as_ref().and_then(|it| it.refuses.why())
    }

    /// Whether they are shared with nobody.
    pub fn is_alone(&self) -> bool {
        self.together.is_none()
    }

    /// The connection to the store, while there is one.
    pub fn link(&self) -> Option<Link> {
        self.together.as_ref().and_then(Together::link)
    }

    /// Something went wrong with a command to the store.
    pub fn failed(&self, link: &Link, error: &shared::Error) {
        if let Some(together) = &self.together {
            together.failed(link, error);
        }
    }

    /// Something went wrong with a response in the store: tags may be served all the same, unless the connection is lost.
    pub fn failed_with_response(&self, link: &Link, error: &shared::Error) {
        let Some(together) = &self.together else {
            return;
        };
        if error.kind == SharedError::Connection && link.has_bodies_here() {
            return together.failed(link, error);
        }
        together.metrics().shared_errors.add(error.kind);
        tracing::debug!(%error, "a response could not be shared");
    }

    /// Tells all that everything is forgotten whose logical key matches a pattern, and since which stamp. `None`: the store could
    /// not be told.
    pub async fn purge(&self, pattern: &str, by: &Arc<str>) -> Option<Stamp> {
        let Some(together) = &self.together else {
            let mut writer = self.write();
            let stamp = writer.sequence.next(self.clock.now());
            writer.applied = stamp;
            return Some(stamp);
        };
        let link = together.link()?;
        match link.purge(pattern, by).await {
            Ok(stamp) => {
                let mut writer = self.write();
                if writer.is_of(&link) {
                    writer.applied = writer.applied.max(stamp);
                }
                Some(stamp)
            }
            Err(error) => {
                together.failed(&link, &error);
                None
            }
        }
    }

    /// Nothing that happened up to this stamp concerns an exchange that runs, or will.
    pub fn oldest(&self) -> Stamp {
        self.running.oldest(|| self.applied())
    }

    /// Comes back when the tags may be trusted: when the store was reached for the first time. At once when alone.
    pub async fn in_touch(&self) {
        let Some(together) = &self.together else {
            return;
        };
        let mut read = together.read.subscribe();
        while self.is_fenced() && read.changed().await.is_ok() {}
    }

    /// Sends changes to the store, and waits for them: no longer than an operation may take, and not at all where nothing was
    /// heard of the store for a while.
    pub(super) async fn submit(
        &self,
        together: &Together,
        changes: Changes,
        by: &Arc<str>,
        source: Source,
    ) -> Submitted {
        let mut landed = Vec::new();
        let mut wishes = Vec::new();
        let mut overflows = false;
        let everything = self.cell(&Tag::all());
        {
            let mut writer = self.write();
            for some in changes.chunks(AT_ONCE) {
                let (wish, done) = Wish::new(some.to_vec(), Arc::clone(by), source);
                let most = together.sharing.outbox;
                landed.push(done);
                wishes.push(Arc::clone(&wish));
                overflows |= writer.outbox.push(wish, most, || Held::clone(&everything));
            }
            together.metrics().outbox.set(writer.outbox.len() as u64);
        }
        if overflows {
            together.metrics().outbox_overflows.add();
            tracing::error!(
                "too many increments wait for the shared store: everything stored is to be forgotten in their place"
            );
        }
        together.arrived.notify_one();
        let patience = match together.is_fenced() {
            true => Duration::ZERO,
            false => together.sharing.store.timeout(),
        };
        let all = async {
            join_all(landed)
                .await
                .into_iter()
                .collect::<Result<Vec<_>, _>>()
        };
        let landed = self.clock.within(patience, all).await;
        let landed = landed.and_then(Result::ok); // an error: they became a change of everything
        if landed.is_none() {
            together.metrics().increments_deferred.add();
            self.tell_of_waiting(&wishes);
        }
        Submitted(landed)
    }

    /// What waits is told of like what has landed: it counts here from now on, and its cause is asked for.
    fn tell_of_waiting(&self, wishes: &[Arc<Wish>]) {
        let at = self.clock.now();
        let mut writer = self.write();
        for wish in wishes.iter().filter(|wish| wish.is_open()) {
            let cause = Cause {
                at,
                by: Arc::clone(&wish.by),
                source: wish.source,
            };
            for (cell, _) in &wish.changes {
                writer.history.note(cell.tag(), cause.clone());
            }
            let told = recent::Incremented::of(named(&wish.changes), None, cause);
            let told = writer.recent.note(told);
            wish.told.get_or_init(|| told);
        }
    }

    /// Sends what waits, in order, for as long as this runs.
    pub(super) async fn deliver(&self, together: &Together) {
        let mut links = together.link.subscribe();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let wishes = self.write().outbox.first(IN_FLIGHT);
            if wishes.is_empty() {
                together.arrived.notified().await;
                continue;
            }
            let link = match links.wait_for(Option::is_some).await {
                Ok(link) => link.clone(),
                Err(_) => return, // nobody makes links any more
            };
            let Some(link) = link else { continue };
            let calls = wishes.iter().map(async |wish| {
                let changes: Vec<_> = wish
                    .changes
                    .iter()
                    .map(|(cell, it)| (cell.tag(), *it))
                    .collect();
                link.increment(&changes, &wish.by).await
            });
            let answers = join_all(calls).await;
            let mut failure = None;
            // A server that was replaced meanwhile has taken them in vain (L4).
            if answers.iter().any(Result::is_ok) && !together.confirmed(&link).await {
                continue; // they are sent to the one that has the tags by now
            }
            {
                let mut writer = self.write();
                for (wish, answer) in wishes.iter().zip(answers) {
                    match answer {
                        Ok(landed) if failure.is_none() => {
                            let others = land(together, &mut writer, wish, landed, &link);
                            together.count_others(others);
                        }
                        Ok(_) => {} // in order: it is sent once more
                        Err(error) => failure = failure.or(Some(error)),
                    }
                }
                together.metrics().outbox.set(writer.outbox.len() as u64);
            }
            together.left.notify_waiters();
            match failure {
                None => {
                    together.accepts();
                    pause = SHORTEST_PAUSE;
                }
                Some(error) => {
                    together.failed(&link, &error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Waits until nothing waits for the store any more.
    pub async fn flush(&self) {
        let Some(together) = &self.together else {
            return;
        };
        loop {
            let left = together.left.notified();
            if self.waiting() == 0 {
                return;
            }
            left.await;
        }
    }

    /// The tags that still wait for the store, each once.
    pub fn undelivered(&self) -> Vec<Tag> {
        let writer = self.write();
        let waiting = writer.outbox.iter().flat_map(|wish| &wish.changes);
        let mut tags: Vec<Tag> = waiting.map(|(cell, _)| cell.tag().clone()).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// Brings what is known here up to date with what had been committed when this was called: of all tags from the log, of
    /// those of this entry from the store itself too, in one round trip (L3). Whether that has worked, and the epoch is still the
    /// one under which it was looked up.
    pub async fn catch_up(&self, seals: Option<&Seals>, epoch: Option<u64>) -> bool {
        let Some(together) = &self.together else {
            return true;
        };
        if together.is_fenced() {
            return false;
        }
        let Some(link) = together.link() else {
            return false;
        };
        let generation = self.write().generation;
        let cells: Vec<&Held> = seals.map(|it| it.cells().collect()).unwrap_or_default();
        let tags: Vec<&Tag> = cells.iter().map(|cell| cell.tag()).collect();
        // Together: what a server says that was replaced meanwhile is worth nothing.
        let confirmed = together.mandate.confirms(&link);
        let confirmed = self
            .clock
            .within(together.sharing.store.timeout(), confirmed);
        let (read, confirmed) = tokio::join!(link.read(&tags), confirmed);
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                together.failed(&link, &error);
                return false;
            }
        };
        if confirmed != Some(true) {
            return false;
        }
        if epoch.is_some_and(|epoch| read.epoch > epoch) {
            return false; // the log's follower is about to hear of it
        }
        {
            let mut writer = self.write();
            if !writer.is_of(&link) || writer.generation != generation {
                return false;
            }
            for (cell, state) in cells.iter().zip(&read.tags) {
                match state {
                    Some(state) => cell.learn(state),
                    None => cell.lose(),
                }
            }
            writer.applied = writer.applied.max(read.last);
        }
        self.has_read(together, read.logged).await
    }

    /// Waits until the log has been read up to that record, no longer than an operation may take.
    async fn has_read(&self, together: &Together, stamp: Stamp) -> bool {
        let mut read = together.read.subscribe();
        let reached = read.wait_for(|read| *read >= stamp);
        let reached = self.clock.within(together.sharing.store.timeout(), reached);
        reached.await.is_some_and(|read| read.is_ok())
    }

    /// Makes the tags of a response known to all, for `life` at least, so that it can be sealed to their versions.
    ///
    /// # Errors
    ///
    /// The store cannot be asked: nothing is stored.
    pub async fn register(&self, tagged: &[Tagged], life: Duration) -> Result<Registered, NoStore> {
        let Some(together) = &self.together else {
            return Ok(Registered::default());
        };
        if together.is_fenced() {
            return Err(NoStore::Fenced);
        }
        let link = together.link().ok_or(NoStore::Fenced)?;
        let generation = self.write().generation;
        // In this order: from here on the log tells of changes, and then it is asked what they were before.
        let cells: Vec<Held> = tagged.iter().map(|it| self.cell(&it.tag)).collect();
        let tags: Vec<&Tag> = cells.iter().map(|cell| cell.tag()).collect();
        let registered = match link.register(&tags, life).await {
            Ok(registered) => {
                together.accepts();
                registered
            }
            Err(error) => {
                together.failed(&link, &error);
                return Err(NoStore::Fenced);
            }
        };
        {
            let writer = self.write();
            if !writer.is_of(&link) || writer.generation != generation {
                return Err(NoStore::Raced); // another history has begun
            }
            for (cell, state) in cells.iter().zip(&registered.tags) {
                cell.learn(state);
            }
        }
        match self.has_read(together, registered.once_read).await {
            true => Ok(Registered { _cells: cells }),
            false => {
                together.metrics().shared_errors.add(SharedError::Timeout);
                Err(NoStore::Fenced)
            }
        }
    }
}

/// The store has taken a change. How many changes the log has told of that are known by now to be others'.
fn land(
    together: &Together,
    writer: &mut Writer,
    wish: &Arc<Wish>,
    landed: Incremented,
    link: &Link,
) -> usize {
    if let Some(stamp) = landed.stamp
        && writer.is_of(link)
    {
        let cause = Cause::of(stamp, &wish.by, wish.source);
        for (cell, change) in &wish.changes {
            if !writer.change(cell, *change, stamp, &cause) {
                writer.history.correct(cell.tag(), &cause); // the log was faster
            }
        }
        let told = recent::Incremented::of(named(&wish.changes), Some(stamp), cause);
        match wish.told.get() {
            Some(waited) => writer.recent.settle(waited, told),
            None => {
                writer.recent.note(told);
            }
        }
        writer.applied = writer.applied.max(stamp);
        let now = together.pulse.elapsed();
        writer.landed.note(wish, now, together.sharing.outbox);
    }
    writer.outbox.remove(wish);
    wish.end(Some(landed));
    let stamp = landed.stamp.unwrap_or(Stamp::NEVER);
    let others = writer.claims.landed(stamp, writer.outbox.len() > 0);
    writer.told_by_others(others)
}
