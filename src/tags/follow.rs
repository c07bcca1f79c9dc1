//! Following the log of increments: what the others change is applied here; what cannot be followed is not trusted.
//!
//! Each record names the one before it. So nothing is missed unnoticed, whatever has become of the log meanwhile: where a
//! record is missing, and where the store has another history than before (flushed, another server, a replica in the
//! primary's place), everything that is known here is forgotten at once (L3).

use std::time::Duration;

use crate::model::stamp::Stamp;
use crate::shared::Beginning;
use crate::shared::Heard;
use crate::shared::Link;
use crate::shared::Position;
use crate::shared::Record;
use crate::shared::What;
use crate::tags::Tags;
use crate::tags::Writer;
use crate::tags::together::LONGEST_PAUSE;
use crate::tags::together::SHORTEST_PAUSE;
use crate::tags::together::Together;

/// What the log has told that concerns more than tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Tags have changed.
    Changed,
    /// Everything is to be forgotten whose logical key matches, as of that stamp.
    Purged(Stamp, Box<str>),
    /// The fetch for all sidecars of what lies under this variant has ended.
    Ended(Box<str>),
    /// Everything that is known here is forgotten.
    Begun,
}

/// Where a follower is.
#[derive(Debug)]
struct Place {
    link: Link,
    position: Position,
    /// The log has a record with this stamp at least.
    owed: Stamp,
}

/// The log does not go on where it was left.
#[derive(Debug)]
struct Gap;

/// How often what belongs to the namespace as a whole is renewed.
const RENEW: Duration = Duration::from_secs(3_600);

/// How often it is asked whether another server has the tags by now, where others decide that.
const MOVES: Duration = Duration::from_secs(1);

/// A heartbeat is this part of the longest trusted silence.
const BEATS: u32 = 4;

impl Tags {
    /// Keeps in touch with the store for as long as this runs: never ends by itself when tags are shared. What the log tells is
    /// passed on to `tell`, which must not wait.
    pub async fn follow(&self, tell: impl Fn(News)) {
        let Some(together) = &self.together else {
            return;
        };
        tokio::join!(
            self.listen(together, &tell),
            self.deliver(together),
            watch_moves(together),
            renew(together),
        );
    }

    /// Connects, reads the log, and begins again whenever something is wrong.
    async fn listen(&self, together: &Together, tell: &impl Fn(News)) {
        let mut pause = SHORTEST_PAUSE;
        let mut known: Option<Place> = None;
        loop {
            let (link, beginning) = match self.connect(together).await {
                Ok(it) => it,
                Err(()) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            let goes_on = known.filter(|place| place.link.generation() == link.generation());
            let mut place = Place {
                position: match &goes_on {
                    Some(place) => place.position.clone(),
                    None => beginning.position.clone(),
                },
                owed: beginning.logged,
                link: link.clone(),
            };
            if goes_on.is_none() {
                self.begin(together, &beginning);
                tell(News::Begun);
            }
            together.found(beginning.findings);
            together.epoch.send_if_modified(|epoch| {
                let is_new = *epoch < beginning.epoch;
                *epoch = beginning.epoch.max(*epoch);
                is_new
            });
            together.link.send_replace(Some(link));
            together.metrics().shared_connected.set(true);
            let followed = self.read_on(together, &mut place, tell, &mut pause).await;
            known = match followed {
                Ok(()) => Some(place),
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
        let sharing = &together.sharing;
        let epoch = *together.epoch.borrow();
        let linked = sharing.store.link(self.applied(), epoch).await;
        linked.map_err(|error| {
            together.metrics().shared_errors.add(error.kind);
            tracing::warn!(%error, "the shared store cannot be reached");
        })
    }

    /// Another history begins: nothing that is known here means anything in it (L3).
    fn begin(&self, together: &Together, beginning: &Beginning) {
        {
            let mut writer = self.write();
            if writer.generation > 0 {
                together.metrics().generations.add();
                tracing::warn!("the shared store has begun anew: everything stored is forgotten");
            }
            writer.begin(&beginning.generation, beginning.last);
            self.table.begin_anew();
        }
        together.read.send_replace(beginning.logged);
    }

    /// Reads the log for as long as the link holds.
    async fn read_on(
        &self,
        together: &Together,
        place: &mut Place,
        tell: &impl Fn(News),
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
                    patience = together.sharing.max_lag / BEATS;
                    let all = heard.all;
                    self.hear(together, place, heard, tell)?;
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
    fn hear(
        &self,
        together: &Together,
        place: &mut Place,
        heard: Heard,
        tell: &impl Fn(News),
    ) -> Result<(), Gap> {
        let mut read = *together.read.borrow();
        if heard.records.is_empty() && read < place.owed {
            return Err(Gap); // what was there has left the log unread
        }
        for record in heard.records {
            let record = record.ok_or(Gap)?;
            if record.stamp <= read {
                continue;
            }
            if record.previous != read {
                return Err(Gap);
            }
            read = record.stamp;
            if let Some(news) = self.heard(together, record)? {
                tell(news);
            }
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
                let cells: Vec<_> = changes
                    .into_iter()
                    .map(|(tag, change)| (self.cell(&tag), change))
                    .collect();
                let mut writer = self.write();
                let mut new = 0;
                for (cell, change) in cells {
                    new += usize::from(writer.change(&cell, change, stamp, &by));
                }
                writer.applied = writer.applied.max(stamp);
                let under_way = writer.outbox.len() > 0;
                let others = writer.claims.heard(stamp, new, under_way);
                drop(writer);
                together.count_others(others);
                (new > 0).then_some(News::Changed)
            }
            What::Purged(pattern) => Some(News::Purged(stamp, pattern)),
            What::Ended(flight) => Some(News::Ended(flight)),
            What::Begun => None,
        };
        let mut writer = self.write();
        writer.applied = writer.applied.max(stamp);
        Ok(news)
    }
}

impl Place {
    fn link_is_given_up(&self, together: &Together) -> bool {
        together.link().is_none_or(|link| !link.is(&self.link))
    }
}

impl Writer {
    fn begin(&mut self, history: &str, last: Stamp) {
        self.generation += 1;
        self.history_name = history.into();
        self.applied = last;
    }

    /// Whether what this link says is of the history that is followed here.
    pub(super) fn is_of(&self, link: &Link) -> bool {
        *self.history_name == *link.generation()
    }
}

/// Gives up a link when others have decided that another server has the tags: the old one may not have heard of that.
async fn watch_moves(together: &Together) {
    let sharing = &together.sharing;
    if !sharing.store.may_move() {
        return;
    }
    loop {
        tokio::time::sleep(MOVES.min(sharing.max_lag)).await;
        let Some(link) = together.link() else {
            continue;
        };
        match sharing.store.is_current(&link).await {
            Ok(true) => {}
            Ok(false) => together.moved(&link),
            Err(error) => tracing::debug!(%error, "nobody says which server has the tags"),
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
