//! Following the log of increments: what the others change is applied here; what cannot be followed is not trusted.
//!
//! Each record names the one before it. So nothing is missed unnoticed, whatever has become of the log meanwhile: where a
//! record is missing, and where the store has another history than before (flushed, another server, a replica in the
//! primary's place), everything that is known here is forgotten at once (L3).

use std::mem;
use std::time::Duration;

use crate::metrics::Source;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::shared::Beginning;
use crate::shared::Change;
use crate::shared::Heard;
use crate::shared::Link;
use crate::shared::Position;
use crate::shared::Record;
use crate::shared::What;
use crate::tags::Cause;
use crate::tags::Changes;
use crate::tags::Incremented;
use crate::tags::Tags;
use crate::tags::Writer;
use crate::tags::atomic::Ordering;
use crate::tags::cell::Held;
use crate::tags::claims::Claimable;
use crate::tags::epoch;
use crate::tags::landed::Again;
use crate::tags::named;
use crate::tags::outbox::Wish;
use crate::tags::together::LONGEST_PAUSE;
use crate::tags::together::SHORTEST_PAUSE;
use crate::tags::together::Together;

/// What the log has told that concerns more than tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Tags have changed.
    Changed,
    /// Everything is to be forgotten whose logical key matches one of these, as of its stamp.
    Purged(Vec<(Stamp, Box<str>)>),
    /// The fetch for all sidecars of what lies under this variant has ended.
    Ended(Box<str>),
    /// Everything that is known here is forgotten.
    Begun,
    /// The store holds a higher epoch than any known before.
    Epoch(u64),
}

/// Where a follower is.
#[derive(Debug)]
struct Place {
    link: Link,
    position: Position,
    /// The log has a record with this stamp at least.
    owed: Stamp,
}

/// Where a follower was when its link was given up; that one's connections are closed by then.
#[derive(Debug)]
struct Left {
    generation: Box<str>,
    position: Position,
}

/// The log does not go on where it was left.
#[derive(Debug)]
struct Gap;

/// How often what belongs to the namespace as a whole is renewed.
const RENEW: Duration = Duration::from_secs(3_600);

/// How often it is asked whether another server of a Cluster has the tags by now.
const MOVES: Duration = Duration::from_secs(1);

/// A heartbeat is this part of the longest trusted silence.
const BEATS: u32 = 4;

/// The longest time between two of them, whatever is trusted: so long it takes to notice that nothing comes any more.
const SLOWEST_BEAT: Duration = Duration::from_secs(5);

impl Tags {
    /// Keeps in touch with the store for as long as this runs: never ends by itself when tags are shared. What the log tells is
    /// passed on to `tell`, and what follows counts once that has come back: it must not take long.
    pub async fn follow<F: Future<Output = ()>>(&self, tell: impl Fn(News) -> F) {
        let Some(together) = &self.together else {
            return;
        };
        let heard = |stored| {
            let is_news = together.epoch.hear(stored);
            let told = is_news.then(|| tell(News::Epoch(stored)));
            async move {
                if let Some(told) = told {
                    told.await;
                }
            }
        };
        tokio::join!(
            self.listen(together, &tell),
            self.deliver(together),
            epoch::tell(together, &heard),
            watch_moves(together),
            renew(together),
        );
    }

    /// Connects, reads the log, and begins again whenever something is wrong.
    async fn listen<F: Future<Output = ()>>(&self, together: &Together, tell: &impl Fn(News) -> F) {
        let mut pause = SHORTEST_PAUSE;
        let mut left: Option<Left> = None;
        loop {
            let asked = together.pulse.now();
            let (link, beginning) = match self.connect(together).await {
                Ok(it) => it,
                Err(()) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            let goes_on = left.filter(|left| *left.generation == *link.generation());
            let is_another = goes_on.is_none();
            let mut place = Place {
                position: match goes_on {
                    Some(left) => left.position,
                    None => beginning.position.clone(),
                },
                owed: beginning.logged,
                link: link.clone(),
            };
            if is_another {
                self.begin(together, &beginning);
                tell(News::Begun).await;
            }
            together.found(beginning.findings);
            if together.epoch.hear(beginning.epoch) {
                tell(News::Epoch(beginning.epoch)).await;
            }
            if *together.read.borrow() == beginning.logged {
                // There is nothing to read: the first record may be long in coming.
                together.pulse.note(asked);
            }
            together.link.send_replace(Some(link));
            together.read.send_modify(|_| {}); // after the link and the pulse: who waits for it looks at both
            together.metrics().shared_connected.set(true);
            let followed = self.read_on(together, &mut place, tell, &mut pause).await;
            left = match followed {
                Ok(()) => Some(place.left()),
                Err(Gap) => {
                    together.metrics().log_gaps.add();
                    tracing::warn!(
                        "the log of increments has a gap: everything stored here is forgotten"
                    );
                    together.pulse.stop();
                    together.link.send_replace(None);
                    None
                }
            };
        }
    }

    async fn connect(&self, together: &Together) -> Result<(Link, Beginning), ()> {
        let (sharing, mandate) = (&together.sharing, &together.mandate);
        let epoch = together.epoch.highest();
        let asked = mandate.now();
        let linked = sharing.store.link(self.applied(), epoch).await;
        linked
            .inspect(|_| mandate.note(asked))
            .map_err(|error| together.is_away(&error))
    }

    /// Another history begins: nothing that is known here means anything in it (L3).
    fn begin(&self, together: &Together, beginning: &Beginning) {
        let everything = self.cell(&Tag::all());
        {
            let mut writer = self.write();
            let is_other = *writer.history_name != *beginning.generation;
            if writer.generation > 0 {
                together.metrics().generations.add();
                tracing::warn!("the shared store has begun anew: everything stored is forgotten");
            }
            writer.begin(&beginning.generation, beginning.last);
            // First: nothing that is sealed lives on while the cells are told one by one.
            self.era.store(writer.generation, Ordering::Release);
            self.table.begin_anew();
            if is_other {
                writer.send_again(together, &everything);
            }
        }
        together.read.send_replace(beginning.logged);
        together.arrived.notify_one();
    }

    /// Reads the log for as long as the link holds.
    async fn read_on<F: Future<Output = ()>>(
        &self,
        together: &Together,
        place: &mut Place,
        tell: &impl Fn(News) -> F,
        pause: &mut Duration,
    ) -> Result<(), Gap> {
        let mut links = together.link.subscribe();
        // The first time nothing is waited for: what there is to be read is there, and until it is read nothing is trusted.
        let mut patience = Duration::ZERO;
        loop {
            let asked = together.pulse.now();
            let heard = tokio::select! {
                biased;
                heard = place.link.follow(&place.position, patience) => heard,
                _ = links.wait_for(|link| link.as_ref().is_none_or(|it| !it.is(&place.link))) => return Ok(()),
            };
            match heard {
                Ok(heard) => {
                    together.is_heard();
                    patience = beat(together.sharing.max_lag);
                    let all = heard.all;
                    self.hear(together, place, heard, tell).await?;
                    if all {
                        together.pulse.note(asked);
                        *pause = SHORTEST_PAUSE;
                    }
                    // After the pulse: who waits for either looks at both.
                    together.read.send_modify(|_| {});
                }
                Err(error) => {
                    together.failed(&place.link, &error);
                    if place.link_is_given_up(together) {
                        return Ok(());
                    }
                    tokio::time::sleep(*pause).await;
                    *pause = (*pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Applies what the log says.
    async fn hear<F: Future<Output = ()>>(
        &self,
        together: &Together,
        place: &mut Place,
        heard: Heard,
        tell: &impl Fn(News) -> F,
    ) -> Result<(), Gap> {
        // Before the pulse: what is planned once this was heard is planned under it.
        if together.epoch.hear(heard.epoch) {
            tell(News::Epoch(heard.epoch)).await;
        }
        let mut read = *together.read.borrow();
        if heard.records.is_empty() && read < place.owed {
            return Err(Gap); // what was there has left the log unread
        }
        let mut purged = Vec::new(); // all at once: each may take a pass over what is stored
        for record in heard.records {
            let record = record.ok_or(Gap)?;
            if record.stamp <= read {
                continue;
            }
            if record.previous != read {
                return Err(Gap);
            }
            read = record.stamp;
            match self.heard(together, record)? {
                Some(News::Purged(more)) => purged.extend(more),
                // Whoever waited for it looks at what is stored.
                Some(ended @ News::Ended(_)) => {
                    if !purged.is_empty() {
                        tell(News::Purged(mem::take(&mut purged))).await;
                    }
                    tell(ended).await;
                }
                Some(news) => tell(news).await,
                None => {}
            }
        }
        // Before the pulse: until it is done, what came before it does not count as applied.
        if !purged.is_empty() {
            tell(News::Purged(purged)).await;
        }
        place.position = heard.position;
        place.owed = heard.logged;
        together.read.send_replace(read);
        Ok(())
    }

    fn heard(&self, together: &Together, record: Record) -> Result<Option<News>, Gap> {
        let Record {
            stamp, by, what, ..
        } = record;
        let news = match what.ok_or(Gap)? {
            What::Changed(changes) => {
                let cells: Changes = changes
                    .into_iter()
                    .map(|(tag, change)| (self.cell(&tag), change))
                    .collect();
                let cause = Cause::of(stamp, &by, Source::OtherSidecar);
                let mut writer = self.write();
                let mut new = 0;
                for (cell, change) in &cells {
                    new += usize::from(writer.change(cell, *change, stamp, &cause));
                }
                writer.applied = writer.applied.max(stamp);
                let under_way = writer.outbox.len() > 0;
                let record = Claimable {
                    stamp,
                    changes: new,
                    told: Incremented::of(named(&cells), Some(stamp), cause),
                };
                let others = writer.claims.heard(record, under_way);
                let others = writer.told_by_others(others);
                drop(writer);
                together.count_others(others);
                (new > 0).then_some(News::Changed)
            }
            What::Purged(pattern) => Some(News::Purged(vec![(stamp, pattern)])),
            What::Ended(flight) => Some(News::Ended(flight)),
            What::Begun => None,
        };
        let mut writer = self.write();
        writer.applied = writer.applied.max(stamp);
        Ok(news)
    }
}

impl Place {
    fn left(self) -> Left {
        Left {
            generation: self.link.generation().into(),
            position: self.position,
        }
    }

    fn link_is_given_up(&self, together: &Together) -> bool {
        together.link().is_none_or(|link| !link.is(&self.link))
    }
}

impl Writer {
    fn begin(&mut self, history: &str, last: Stamp) {
        self.generation += 1;
        self.history_name = history.into();
        self.begun = last;
        self.applied = last;
    }

    /// What was taken lately may have been taken by a server that others had left: they have not heard of it.
    fn send_again(&mut self, together: &Together, everything: &Held) {
        let most = together.sharing.outbox;
        let wishes = match self.landed.take(together.pulse.elapsed()) {
            Again::These(wishes) => wishes,
            Again::Everything => {
                let changes = vec![(Held::clone(everything), Change::Hard)];
                vec![Wish::new(changes, "sent again".into(), Source::Repeat).0]
            }
        };
        for wish in wishes {
            if self.outbox.push(wish, most, || Held::clone(everything)) {
                together.metrics().outbox_overflows.add();
            }
        }
        together.metrics().outbox.set(self.outbox.len() as u64);
    }

    /// Whether what this link says is of the history that is followed here.
    pub(super) fn is_of(&self, link: &Link) -> bool {
        *self.history_name == *link.generation()
    }
}

fn beat(max_lag: Duration) -> Duration {
    (max_lag / BEATS).min(SLOWEST_BEAT)
}

/// Gives up a link when others have decided that another server has the tags: the old one may not have heard of that. Answers
/// who wants to know whether they have.
async fn watch_moves(together: &Together) {
    let (sharing, mandate) = (&together.sharing, &together.mandate);
    if !sharing.store.may_move() {
        return;
    }
    let usual = match sharing.store.is_decided_by_sentinels() {
        true => beat(sharing.max_lag),
        false => MOVES.min(sharing.max_lag),
    };
    let mut questions = mandate.questions();
    loop {
        let number = *questions.borrow_and_update();
        let asked = mandate.now();
        let mut confirmed = None;
        if let Some(link) = together.link() {
            match sharing.store.is_current(&link).await {
                Ok(true) => {
                    mandate.note(asked);
                    confirmed = Some(link);
                }
                Ok(false) => together.moved(&link),
                Err(error) => tracing::debug!(%error, "nobody says which server has the tags"),
            }
        }
        mandate.answer(number, confirmed);
        // An error means that it is time.
        if let Ok(asked) = tokio::time::timeout(usual, questions.changed()).await
            && asked.is_err()
        {
            return; // nobody is there to ask
        }
    }
}

async fn renew(together: &Together) {
    loop {
        tokio::time::sleep(RENEW).await;
        if let Some(link) = together.link()
            && let Err(error) = link.renew().await
        {
            together.failed(&link, &error);
        }
    }
}
