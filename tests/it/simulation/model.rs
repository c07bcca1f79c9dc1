//! The reference: what a client may get, said as simply as possible. It knows what the app made from which data, what was
//! acknowledged when, and which fills run; it knows nothing of stamps, seals, stores and locks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tagalong::model::outcome::Stale;
use tagalong::model::tag::Increment;
use tagalong::model::time::Timestamp;

use crate::simulation::app::App;
use crate::simulation::app::MAX_OBJECT;
use crate::simulation::app::PerTag;
use crate::simulation::app::TAGS;
use crate::simulation::app::Which;
use crate::simulation::kept::Asking;
use crate::simulation::kept::Kept;
use crate::simulation::kept::Life;
use crate::simulation::pages::{EDITIONS, Page, pages};

/// How long after its life a response may be served while the app cannot be reached, where nothing is said of errors.
const DISCONNECTED_GRACE: u64 = 300;
/// How long a page that could not be stored is not waited for.
const HIT_FOR_MISS: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) app: App,
    /// What has been acknowledged.
    pub(crate) known: Known,
    pub(crate) now: Timestamp,
    /// The highest version that the app has given itself.
    told: u32,
    /// Changes that were acknowledged, counted; and which was the last of each tag, and when.
    pub(super) changes: u64,
    pub(super) last: [(u64, Timestamp); TAGS.len()],
    /// When the last of them was, by the versions that they gave.
    latest: Timestamp,
    /// The changes in their order: of which tag, when, and how often the clock had been set back.
    log: Vec<(usize, Timestamp, u32)>,
    /// How often the clock was set back.
    pub(super) set_backs: u32,
    /// By what was made: how long it lives at most, and how many changes there had been when the app was asked.
    lives: BTreeMap<usize, (Life, u64)>,
    /// By what was made: what is known of its change from when on.
    noticed: BTreeMap<usize, Noticed>,
    /// By page: what must be in the store, if anything.
    pub(super) kept: BTreeMap<Which, Kept>,
    /// By when they are due: increments to be repeated, with when they were noted.
    pub(super) repeats: BTreeMap<(Timestamp, u64), (Timestamp, Increment)>,
    /// By fill: what was served stale until that would be done.
    pub(super) behind: BTreeMap<u32, usize>,
    /// What is served so no longer, as such a fill brought another.
    pub(super) gone: BTreeSet<usize>,
    /// The fills that who comes may join.
    flights: Vec<Flight>,
    /// By page: until when nobody waits for another's response.
    unstorable: BTreeMap<usize, Timestamp>,
    /// Exchanges that have sent more than may be stored, and their pages.
    too_large: BTreeMap<u32, usize>,
    /// The first thing that must not happen.
    pub(crate) broken: Option<String>,
}

/// The oldest data that a response may be made from, per tag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// As of the last acknowledged increment that was not soft.
    hard: PerTag,
    /// As of the last acknowledged increment.
    any: PerTag,
}

/// Since when the data behind something stored is known to be old.
#[derive(Clone, Copy, Debug)]
struct Noticed {
    /// The time that it may be served counts from here on.
    since: Timestamp,
    /// Its first change was not before this; `None`: nobody knows.
    not_before: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Flight {
    exchange: u32,
    /// A page and its key.
    under: (usize, u8),
    /// What the rule says that it was begun by.
    by: &'static Page,
    /// How many changes came before the app was asked; until it is, none is too late.
    began: Option<u64>,
    /// The change that its own head brought: by the app's version of a tag.
    pub(super) own: Option<u64>,
    /// Until when what it brings is fresh, once the head is here.
    fresh_until: Option<Timestamp>,
    /// The engine may have a reason to let nobody join that the model does not follow up.
    doubtful: bool,
}

/// A client as far as the reference cares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) of: Which,
    /// What the rules say that were in force when it came.
    pub(crate) page: &'static Page,
    pub(crate) wish: Wish,
    /// What had been acknowledged when it came.
    pub(crate) arrived: Known,
    /// How many changes had been.
    pub(crate) changes: u64,
    /// How often the clock had been set back.
    set_backs: u32,
}

/// What a client asks of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    NoCache,
    MaxAgeZero,
    MaxStale,
    NoStore,
    OnlyIfCached,
}

/// For whom a fill begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Client {
        /// It has refused what it waited for.
        again: bool,
    },
    /// For those who come later, behind this stale answer.
    Stale(usize),
    Schedule,
}

/// Why something stored was looked at once more after the lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Failed,
    Waited,
}

impl Flight {
    /// Whether something has changed since, by another's doing, that by the rule of its beginning and by that of this client, its
    /// response depends on. What depends on more by one of them alone is not known to the other.
    fn is_outdated(&self, client: Client, last: &[(u64, Timestamp)]) -> bool {
        let mut tags = self.by.by_rule.iter();
        tags.any(|tag| client.page.by_rule.contains(tag) && self.is_older(last[*tag].0))
    }

    /// Whether it began before this change, which another brought.
    fn is_older(&self, change: u64) -> bool {
        self.began.is_some_and(|began| change > began) && self.own != Some(change)
    }
}

impl Wish {
    pub(crate) fn field(self) -> Option<&'static str> {
        match self {
            Wish::Nothing => None,
            Wish::NoCache => Some("no-cache"),
            Wish::MaxAgeZero => Some("max-age=0"),
            Wish::MaxStale => Some("max-stale=15"),
            Wish::NoStore => Some("no-store"),
            Wish::OnlyIfCached => Some("only-if-cached"),
        }
    }
}

impl Model {
    pub(super) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(what());
        }
    }

    /// An increment of these tags has been acknowledged. What the app committed before it counts.
    pub(crate) fn incremented(&mut self, increments: &[Increment]) {
        for increment in increments {
            let place = TAGS.iter().position(|tag| *tag == increment.tag.as_str());
            let tag = place.expect("there are no other tags");
            self.changed(tag, self.app.data[tag], increment.soft);
        }
        self.note_repeats(increments);
    }

    /// The app has told of a version that it counts itself, maybe by the answer of an exchange.
    pub(crate) fn observed(&mut self, tag: usize, version: u32, by: Option<u32>) {
        if self.told >= version {
            return;
        }
        self.told = version;
        let before = self.last[tag].0;
        self.changed(tag, version, false);
        let own = self.changes;
        if let Some(flight) = by.and_then(|by| self.flight(by))
            && flight.began.is_some_and(|began| before <= began)
        {
            flight.own = Some(own);
        }
    }

    fn changed(&mut self, tag: usize, data: u32, soft: bool) {
        let Known { hard, any } = &mut self.known;
        any[tag] = data.max(any[tag]);
        if !soft {
            hard[tag] = data.max(hard[tag]);
        }
        self.counted(tag);
        self.last[tag] = (self.changes, self.latest);
        self.tag_changed(tag, soft);
    }

    /// Something has changed that no page depends on.
    pub(crate) fn something_else_changed(&mut self) {
        self.counted(TAGS.len());
    }

    fn counted(&mut self, tag: usize) {
        self.changes += 1;
        self.log.push((tag, self.now, self.set_backs));
        // Versions never go back, whatever the clock does.
        self.latest = self.latest.max(self.now);
    }

    /// When something that was made changed first, if the clock has not been set back since.
    fn first_change(&self, made: usize) -> Option<Timestamp> {
        let (_, asked) = self.lives.get(&made)?;
        let from = &self.app.made[made].from;
        let since = self.log.get(usize::try_from(*asked).ok()?..)?.iter();
        let mut changes = since.filter(|(tag, ..)| from.iter().any(|(other, _)| other == tag));
        let &(_, at, set_backs) = changes.next()?;
        (set_backs == self.set_backs).then_some(at)
    }

    pub(crate) fn client(&self, of: Which, page: &'static Page, wish: Wish) -> Client {
        Client {
            of,
            page,
            wish,
            arrived: self.known,
            changes: self.changes,
            set_backs: self.set_backs,
        }
    }

    /// What was made is fresh from when the app was asked for it, by the rule that it was asked by; an answer that says that it
    /// still holds renews that.
    pub(crate) fn lives(
        &mut self,
        made: usize,
        page: &Page,
        asking: Asking,
        max_age: Option<Duration>,
    ) -> Life {
        let life = max_age.unwrap_or(Duration::from_secs(page.ttl));
        let soft = page.soft_ttl.map(Duration::from_secs);
        let life = Life {
            fresh_until: asking.at.min(self.now) + life,
            soft_until: soft.map(|soft| self.now + soft),
            is_soft: soft.is_some(),
            while_revalidate: page.while_revalidate,
        };
        let (longest, _) = self.lives.entry(made).or_insert((life, asking.changes));
        longest.fresh_until = longest.fresh_until.max(life.fresh_until);
        longest.soft_until = longest.soft_until.max(life.soft_until);
        longest.is_soft &= life.is_soft;
        longest.while_revalidate = longest.while_revalidate.max(life.while_revalidate);
        self.behind.retain(|_, behind| *behind != made); // another fill made it fresh
        self.gone.remove(&made);
        life
    }

    /// A client has read a body to its end, or to where it was cut.
    pub(crate) fn read(&mut self, client: Client, made: usize, text: &[u8], whole: bool) {
        let of = &self.app.made[made];
        let same = if whole {
            of.text == text
        } else {
            of.text.starts_with(text)
        };
        let same = same && of.of == client.of;
        self.check(same, || {
            format!("a client got what the app never made: body {made}, whole: {whole}")
        });
    }

    /// A client gets what is stored: fresh, or stale for a reason; at once, or after some trouble.
    pub(crate) fn served(
        &mut self,
        client: Client,
        made: usize,
        stale: Option<Stale>,
        trouble: Option<Trouble>,
    ) {
        let page = client.page;
        let from = self.app.made[made].from.clone();
        let (now, known) = (self.now, self.known);
        if trouble.is_none() {
            self.used(made);
        }
        let older = |than: PerTag| from.iter().any(|&(tag, version)| version < than[tag]);
        let Life {
            fresh_until,
            soft_until,
            is_soft,
            while_revalidate,
        } = self.lives.get(&made).copied().unwrap_or_default().0;
        let over = |secs: u64| now > fresh_until + Duration::from_secs(secs);
        let failed = trouble == Some(Trouble::Failed);

        // What was too old when a client came may be fresh and of no age by the clock, should the app fail.
        let younger = trouble.is_some() && client.set_backs != self.set_backs;
        let refused = match client.wish {
            Wish::NoCache => true,
            Wish::MaxAgeZero => stale.is_some() && !younger,
            Wish::Nothing | Wish::MaxStale | Wish::NoStore | Wish::OnlyIfCached => false,
        };
        self.check(!refused, || {
            format!("a client that wants it anew got what is stored: {made}, {stale:?}")
        });
        let fits = match stale {
            None => now < fresh_until && trouble.is_none(),
            Some(Stale::Soft) => now < fresh_until && (soft_until.is_some() || younger),
            Some(Stale::WhileRevalidate) => {
                trouble.is_none() && while_revalidate > 0 && !over(while_revalidate)
            }
            Some(Stale::IfError) => failed && page.if_error.is_some_and(|window| !over(window)),
            Some(Stale::Disconnected) => {
                failed && !over(page.if_error.unwrap_or(DISCONNECTED_GRACE))
            }
            Some(Stale::MaxStale) => client.wish == Wish::MaxStale && !over(15),
            Some(Stale::Waited) => trouble == Some(Trouble::Waited) && page.stale_on_timeout,
            Some(Stale::Invalidated) => true, // see below
        };
        self.check(fits, || {
            format!("body {made} was served as {stale:?} after {trouble:?}, fresh until {fresh_until}, now {now}")
        });
        self.check(self.app.made[made].text.len() <= MAX_OBJECT, || {
            format!("body {made} was stored, and is larger than what may be")
        });
        let is_due = stale.is_none() && is_soft && soft_until.is_some_and(|until| now >= until);
        self.check(!is_due, || {
            format!("body {made} was a fresh hit past its soft life")
        });
        let meanwhile = matches!(
            stale,
            Some(Stale::Soft | Stale::WhileRevalidate | Stale::Invalidated)
        );
        let is_gone = meanwhile && trouble.is_none() && self.gone.contains(&made);
        self.check(!is_gone, || {
            format!("body {made} was served as {stale:?} after the fill behind it brought another")
        });
        if !older(known.any) {
            return;
        }
        self.check(stale == Some(Stale::Invalidated), || {
            format!(
                "body {made} was served as {stale:?} after an acknowledged increment: {from:?}, {known:?}"
            )
        });
        // Who waited may have come before the increment.
        let hard = match trouble {
            None => known.hard,
            Some(_) => client.arrived.hard,
        };
        let allowed = page.serves_old || (failed && page.serves_old_on_error);
        self.check(!older(hard) || allowed, || {
            format!("the rule of body {made} does not let it be served after an increment")
        });
        let since = from
            .iter()
            .filter(|&&(tag, version)| version < known.any[tag])
            .map(|&(tag, _)| self.last[tag].1)
            .min();
        // Who has waited may hold what another has taken the place of, and of which nobody has noticed anything.
        let not_before = self.first_change(made).filter(|_| trouble.is_none());
        let Noticed { since, not_before } = *self.noticed.entry(made).or_insert(Noticed {
            since: since.unwrap_or_default().min(now),
            not_before,
        });
        let unknown = trouble.is_none() && not_before.is_some_and(|at| at > now);
        self.check(!unknown, || {
            format!("body {made} was served though the clock is set back to before its increment")
        });
        self.check(
            now.since(since) <= Duration::from_secs(page.max_stale),
            || {
                format!("body {made} was served later after an increment than max_stale: since {since}, now {now}")
            },
        );
    }

    /// A client gets what the app answered to it, or to another who asked for the same.
    pub(crate) fn answered(&mut self, client: Client, made: usize, collapsed: bool) {
        let arrived = client.arrived.any;
        let from = self.app.made[made].from.clone();
        let is_new = from.iter().all(|&(tag, version)| version >= arrived[tag]);
        self.check(is_new, || {
            format!("a client got body {made}, made from older data than an increment that it came after: {from:?}, {arrived:?}")
        });
        let own = matches!(client.wish, Wish::NoCache | Wish::MaxAgeZero);
        self.check(!(collapsed && own), || {
            format!("a client that wants it anew got another's: body {made}")
        });
    }

    /// A client gets something stale at once; `begins`: and a fill begins that fetches it again.
    pub(crate) fn refills(&mut self, client: Client, made: usize, stale: Stale, begins: bool) {
        let page = client.page;
        let life = self.lives.get(&made).copied().unwrap_or_default().0;
        let by_schedule = page.refreshed_after.is_some() && self.now < life.fresh_until;
        let for_later = !matches!(client.wish, Wish::NoStore | Wish::OnlyIfCached);
        let needs = match stale {
            Stale::WhileRevalidate | Stale::Soft => for_later,
            Stale::Invalidated => for_later && !by_schedule,
            Stale::IfError | Stale::Disconnected | Stale::MaxStale | Stale::Waited => false,
        };
        let under_way = self.flights.iter().any(|flight| {
            let outdated = flight.is_outdated(client, &self.last);
            flight.under == client.of.under() && (flight.doubtful || !outdated)
        });
        self.check(!needs || begins || under_way, || {
            format!("body {made} was served as {stale:?}, and nobody fetches it again")
        });
    }

    /// A fill has brought what cannot be stored for a reason of its own; `is_new`: what was served until then is no longer.
    pub(crate) fn handed_over(&mut self, exchange: u32, page: usize, is_new: bool) {
        self.unstorable(page);
        if is_new {
            self.gone.extend(self.behind.get(&exchange));
        }
    }

    /// A fill has begun.
    pub(crate) fn began(&mut self, exchange: u32, client: Client, why: For) {
        let page = client.page;
        let (from_stale, since) = match why {
            For::Client { again } => (false, again),
            For::Stale(made) => {
                self.behind.insert(exchange, made);
                (true, false)
            }
            For::Schedule => (true, false),
        };
        if !page.coalesces && !from_stale {
            return; // nobody joins
        }
        let (page_of, under) = (client.of.page, client.of.under());
        let noted = self.unstorable.get(&page_of);
        let noted = noted.is_some_and(|until| *until > self.now);
        let sending = || self.too_large.values().any(|page| *page == page_of);
        // It is not known before its head which form a fill brings.
        let unstorable = page.varies || (!from_stale && (noted || sending()));
        let own = matches!(client.wish, Wish::NoCache | Wish::MaxAgeZero);
        let last = self.last;
        let (beside, mut others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.flights)
            .into_iter()
            .partition(|other| other.under == under);
        for mut other in beside {
            // What is stored may carry those of other rules.
            let mut tags = (0..EDITIONS).flat_map(|edition| pages(edition)[page_of].tags());
            let changed = tags.any(|tag| other.is_older(last[tag].0));
            let refused = since && other.began.is_some_and(|began| client.changes > began);
            let is_old = other.fresh_until.is_some_and(|until| until <= self.now);
            let explained = changed || refused || is_old || own || unstorable || other.doubtful;
            self.check(explained, || {
                let path = page.path;
                format!(
                    "a second fill of {path}, {exchange} beside {}",
                    other.exchange
                )
            });
            if unstorable || other.doubtful {
                other.doubtful = true;
                others.push(other);
            } // else the new one has taken its place
        }
        others.push(Flight {
            exchange,
            under,
            by: page,
            began: None,
            own: None,
            fresh_until: None,
            doubtful: unstorable,
        });
        self.flights = others;
    }

    /// A client waits for the fill of its page; `since`: it has refused one that was older than what it came after.
    pub(crate) fn joined(&mut self, client: Client, since: bool) {
        let path = client.page.path;
        self.check(client.wish != Wish::NoCache, || {
            format!("a client that wants {path} anew waits for another's")
        });
        let mut flights = self.flights.iter();
        let flight = flights.rfind(|flight| flight.under == client.of.under());
        let Some(flight) = flight else {
            return self.check(false, || {
                format!("a client waits for {path}, and no fill runs")
            });
        };
        let outdated = flight.is_outdated(client, &self.last);
        let refused = since && flight.began.is_some_and(|began| began < client.changes);
        let outdated = (outdated || refused) && !flight.doubtful;
        self.check(!outdated, || {
            format!(
                "a client waits for a fill of {path} that is older than an increment it came after"
            )
        });
    }

    /// The app is asked for a fill.
    pub(crate) fn set_out(&mut self, exchange: u32) -> Asking {
        let asking = self.asking();
        if let Some(flight) = self.flight(exchange) {
            flight.began = Some(asking.changes);
        }
        asking
    }

    pub(crate) fn asking(&self) -> Asking {
        Asking {
            at: self.now,
            changes: self.changes,
        }
    }

    /// The head of an answer for a fill is here, and says how long it lives.
    pub(crate) fn head(&mut self, exchange: u32, life: Life) {
        if let Some(flight) = self.flight(exchange) {
            flight.fresh_until = Some(life.fresh_until);
        }
    }

    /// So much of a fill's body has been sent; `spacious`: bodies under way have all the room they need.
    pub(crate) fn sent(&mut self, exchange: u32, page: usize, bytes: usize, spacious: bool) {
        if bytes > MAX_OBJECT {
            self.too_large.insert(exchange, page);
            self.may_have_left(page);
        }
        if let Some(flight) = self.flight(exchange) {
            flight.doubtful |= bytes > MAX_OBJECT || !spacious;
        }
    }

    /// The answer for a page cannot be stored for a reason of its own.
    fn unstorable(&mut self, page: usize) {
        self.unstorable.insert(page, self.now + HIT_FOR_MISS);
        self.may_have_left(page);
    }

    /// An exchange has ended, in whatever way.
    pub(crate) fn ended(&mut self, exchange: u32) {
        if let Some(page) = self.too_large.remove(&exchange) {
            self.unstorable(page); // since some moment up to now
        }
        self.flights.retain(|flight| flight.exchange != exchange);
        self.behind.remove(&exchange);
    }

    /// Another sidecar is in its place, which knows nothing and is asked by new clients alone.
    pub(crate) fn restarted(&mut self) {
        let Model {
            app,
            known,
            now,
            changes,
            last,
            log,
            set_backs,
            broken,
            ..
        } = std::mem::take(self);
        *self = Model {
            app,
            known,
            now,
            changes,
            // Its versions begin with its clock.
            last: last.map(|(change, _)| (change, Timestamp::default())),
            log,
            set_backs,
            broken,
            ..Model::default()
        };
    }

    pub(super) fn flight(&mut self, exchange: u32) -> Option<&mut Flight> {
        self.flights
            .iter_mut()
            .find(|flight| flight.exchange == exchange)
    }
}
