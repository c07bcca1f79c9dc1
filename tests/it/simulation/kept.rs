//! The reference's view of what must be in the store, and of what is due for no request. Where it cannot be sure, it says
//! nothing.

use std::time::Duration;

use tagalong::model::tag::Increment;
use tagalong::model::time::Timestamp;

use crate::simulation::app::{MAX_OBJECT, Which};
use crate::simulation::model::{Client, Model, Wish};
use crate::simulation::pages::{Page, anyhow};

/// More than looks at what is stored are apart, and than the versions of tags are ahead of a clock that was never set back.
const A_MOMENT: Duration = Duration::from_millis(200);

/// When the app was asked, and how many changes there had been.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub(crate) at: Timestamp,
    pub(crate) changes: u64,
}

/// Until when a response is fresh, and until when it is not asked for again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    pub(crate) fresh_until: Timestamp,
    pub(crate) soft_until: Option<Timestamp>,
    /// Every rule that it was fetched by has said so.
    pub(crate) is_soft: bool,
    /// For how many seconds more it may be served while it is fetched again.
    pub(crate) while_revalidate: u64,
}

/// A response that was put in the store.
#[derive(Debug)]
pub(crate) struct Kept {
    made: usize,
    asked: Timestamp,
    /// As many changes had been.
    changes: u64,
    /// `None`: it is not certain that it is there.
    life: Option<Life>,
    /// A request was answered with it.
    used: bool,
    refresh: Refreshing,
}

/// How far fetching it again for no request has come.
#[derive(Clone, Copy, Debug, Default)]
struct Refreshing {
    /// When one of its tags changed first.
    changed: Option<Timestamp>,
    /// By more than soft increments.
    hard: bool,
    /// By then it must be begun.
    due: Option<Timestamp>,
    running: bool,
    tried: bool,
    /// The pause after the last attempt.
    pause: Option<Duration>,
    /// The clock was behind the versions of tags: the time counts from when the change is seen.
    unseen: bool,
    /// By other rules it has another key: it may be left to requests by now.
    left: bool,
}

impl Kept {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.life.is_some_and(|life| now < life.fresh_until)
    }

    /// By when it must be fetched again for no request, if it must be.
    fn due(&self, page: &Page, now: Timestamp) -> Option<Timestamp> {
        let refresh = &self.refresh;
        let since = refresh.changed.filter(|_| refresh.hard && !refresh.left)?;
        let may = now <= since + Duration::from_secs(page.max_stale);
        self.refresh.due.filter(|_| may && self.is_fresh(now))
    }

    fn failed(&mut self, delay: Duration, now: Timestamp) {
        let pause = self.refresh.pause.map_or(delay, |pause| pause * 2);
        self.refresh.pause = Some(pause);
        self.refresh.due = Some(now + pause);
    }
}

impl Model {
    /// The response of a fill has ended whole, and is in the store unless something was in its way.
    pub(crate) fn stored(&mut self, exchange: u32, made: usize, asking: Asking, life: Life) {
        let own = self.flight(exchange).and_then(|flight| flight.own);
        let of = &self.app.made[made];
        let raced = of.from.iter().any(|&(tag, _)| {
            let change = self.last[tag].0;
            change > asking.changes && own != Some(change)
        });
        let is_sure = !raced && of.text.len() <= MAX_OBJECT;
        let there = self.kept.get(&of.of);
        let newer = there.is_some_and(|there| there.asked > asking.at && there.asked <= self.now);
        if newer && there.is_some_and(|there| self.is_intact(there)) {
            return; // a client wanted it anew
        }
        let kept = Kept {
            made,
            asked: asking.at,
            changes: self.changes,
            life: is_sure.then_some(life),
            used: false,
            refresh: Refreshing::default(),
        };
        self.kept.insert(of.of, kept);
    }

    /// What is stored may have been changed or have left.
    pub(crate) fn unsure(&mut self, of: Which) {
        if let Some(kept) = self.kept.get_mut(&of) {
            kept.life = None;
        }
    }

    /// What was served of a page until a fill was done may have left, as that brought something else.
    pub(super) fn may_have_left(&mut self, page: usize) {
        let mut kept = std::mem::take(&mut self.kept);
        for (of, kept) in &mut kept {
            if of.page == page && !self.is_intact(kept) {
                kept.life = None;
            }
        }
        self.kept = kept;
    }

    /// Something stored was found by a lookup.
    pub(crate) fn used(&mut self, made: usize) {
        let of = self.app.made[made].of;
        if let Some(kept) = self.kept.get_mut(&of).filter(|kept| kept.made == made) {
            kept.used = true;
        }
    }

    /// A lookup found nothing fresh; if that can only be as the store had no room, which a spacious one has: whether anybody had been
    /// answered with what was there.
    pub(crate) fn missed(&mut self, client: Client, spacious: bool) -> Option<bool> {
        let anew = matches!(client.wish, Wish::NoCache | Wish::MaxAgeZero);
        let soft = |life: Life| life.soft_until.is_some_and(|until| until <= self.now);
        let fresh = self.fresh(client.of);
        let fresh = fresh.filter(|kept| !anew && !kept.life.is_some_and(soft));
        let &Kept { made, used, .. } = fresh?;
        self.check(!spacious, || {
            format!("body {made} was stored and is fresh, and a client did not get it")
        });
        self.unsure(client.of);
        Some(used)
    }

    fn fresh(&self, of: Which) -> Option<&Kept> {
        let kept = self.kept.get(&of)?;
        (kept.is_fresh(self.now) && self.is_intact(kept)).then_some(kept)
    }

    fn is_intact(&self, kept: &Kept) -> bool {
        let mut from = self.app.made[kept.made].from.iter();
        from.all(|&(tag, _)| self.last[tag].0 <= kept.changes)
    }

    /// A tag has changed, and what depends on it is to be fetched again in time.
    pub(super) fn tag_changed(&mut self, tag: usize, soft: bool) {
        let (now, unseen) = (self.now, self.last[tag].1 > self.now);
        for (of, kept) in &mut self.kept {
            let from = &self.app.made[kept.made].from;
            let Some(delay) = anyhow(of.page).refreshed_after else {
                continue;
            };
            if from.iter().all(|&(other, _)| other != tag) {
                continue;
            }
            let refresh = &mut kept.refresh;
            refresh.changed.get_or_insert(now);
            refresh.hard |= !soft;
            if refresh.hard && !refresh.tried && !refresh.running {
                // What is ahead of the clock has its time from when it is first looked at, which may be as long from now.
                let looks = if unseen { 2 } else { 1 };
                let due = now + (Duration::from_secs(delay) + A_MOMENT) * looks;
                refresh.due = refresh.due.max(Some(due));
                refresh.unseen |= unseen;
            }
        }
    }

    /// The schedule fetches a page again.
    pub(crate) fn refresh_begins(&mut self, of: Which, spacious: bool) {
        let ahead = anyhow(of.page).ahead.map(Duration::from_secs);
        let is_early = self.fresh(of).is_some_and(|kept| {
            let ends = |life: Life| ahead.is_some_and(|ahead| life.fresh_until <= self.now + ahead);
            !kept.life.is_some_and(ends)
        });
        self.check(!is_early || !spacious, || {
            format!("{} is fetched again for no reason", anyhow(of.page).path)
        });
        if let Some(kept) = self.kept.get_mut(&of) {
            kept.refresh.due = None;
            kept.refresh.running = true;
        }
    }

    /// That has ended, however; true if it brought nothing: it is tried again after a pause.
    pub(crate) fn refresh_ended(&mut self, of: Which) -> bool {
        let now = self.now;
        let Some(delay) = anyhow(of.page).refreshed_after else {
            return false;
        };
        let kept = self.kept.get_mut(&of);
        let Some(kept) = kept.filter(|kept| kept.refresh.running) else {
            return false; // another has taken its place
        };
        kept.refresh.running = false;
        kept.refresh.tried = true;
        kept.failed(Duration::from_secs(delay), now);
        true
    }

    /// The schedule has begun what is due. `others`: it found that some need not be begun after all.
    pub(crate) fn schedule_ran(&mut self, others: bool, spacious: bool) {
        let now = self.now;
        let mut forgotten = None;
        for (of, kept) in &mut self.kept {
            let page = anyhow(of.page);
            let Some(delay) = page.refreshed_after.map(Duration::from_secs) else {
                continue;
            };
            if kept.refresh.hard && !kept.used {
                kept.life = None; // nobody uses it: it is not fetched again
            }
            let Some(due) = kept.due(page, now) else {
                continue;
            };
            if others {
                kept.failed(delay, now); // it may be among them, and somewhat early
            } else if due > now {
                continue;
            } else if std::mem::take(&mut kept.refresh.unseen) {
                kept.refresh.due = Some(now + delay + A_MOMENT);
            } else {
                forgotten = Some(page.path);
            }
        }
        self.check(forgotten.is_none() || !spacious, || {
            format!("{forgotten:?} is due to be fetched again, and was not")
        });
    }

    /// When there must be something to do for no request.
    pub(crate) fn next_due(&self, spacious: bool) -> Option<Timestamp> {
        let kept = self.kept.iter().filter(|_| spacious);
        let refreshes = kept.clone().filter_map(|(of, kept)| {
            let page = anyhow(of.page);
            let due = kept.due(page, self.now).filter(|_| kept.used);
            let is_ahead = !kept.refresh.left && self.fresh(*of).is_some();
            let round = page.ahead.filter(|_| is_ahead);
            let round = round.map(|secs| self.now + Duration::from_secs(secs));
            due.into_iter().chain(round).min()
        });
        let repeats = self.repeats.keys().map(|(at, _)| *at);
        refreshes.chain(repeats).min()
    }

    /// Notes which of these increments are to be repeated.
    pub(super) fn note_repeats(&mut self, increments: &[Increment]) {
        for increment in increments {
            if let Some(after) = increment.again {
                let again = None;
                let increment = increment.clone();
                let repeat = (self.now, Increment { again, ..increment });
                let number = self.changes * 1_000 + self.repeats.len() as u64; // in their order
                self.repeats.insert((self.now + after, number), repeat);
            }
        }
    }

    /// What is due of that has been repeated, and what was noted before the clock was set back.
    pub(crate) fn repeated(&mut self) -> usize {
        let mut times = 0;
        while let Some(first) = self.repeats.first_entry()
            && (first.key().0 <= self.now || first.get().0 > self.now)
        {
            let (_, increment) = first.remove();
            self.incremented(&[increment]);
            times += 1;
        }
        times
    }

    /// The clock is set back. What is stored may live longer for it, or may not.
    pub(crate) fn set_back(&mut self, to: Timestamp) {
        self.now = to;
        self.set_backs += 1;
        self.gone.clear();
        for kept in self.kept.values_mut() {
            kept.life = None;
        }
    }

    /// Other rules are in force. What is stored stays, where they make the same key, as it was stored: with the tags and the life
    /// that the old ones gave it. When it may be served though it has changed is for the new ones to say.
    pub(crate) fn reloaded(&mut self, pages: &[Page]) {
        self.behind.clear();
        self.gone.clear();
        for (of, kept) in &mut self.kept {
            kept.refresh.left |= pages[of.page].key != of.key;
        }
    }
}
