//! What happens, by chance: one history out of one seed.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use http::Method;
use tagalong::model::outcome::Failure;
use tokio::sync::Semaphore;

use crate::simulation::app::{COUNTED, FORMS, TAGS, increment};
use crate::simulation::client::Present;
use crate::simulation::exchange::Exchange;
use crate::simulation::model::Wish;
use crate::simulation::pages::{MANY, anyhow};
use crate::simulation::sidecar::Sidecar;

/// What may happen next, and how often it does beside the others.
pub(crate) const STEPS: [(u32, Step); 22] = [
    (30, Step::Ask),
    (12, Step::Turn),
    (7, Step::Read),
    (20, Step::Answer),
    (9, Step::Send),
    (20, Step::End),
    (2, Step::Cut),
    (3, Step::Fail),
    (2, Step::GiveUp),
    (3, Step::Leave),
    (5, Step::Take),
    (8, Step::Write),
    (8, Step::Acknowledge),
    (1, Step::Tell),
    (12, Step::Wait),
    (1, Step::SetBack),
    (1, Step::SetForward),
    (2, Step::Press),
    (2, Step::Reload),
    (1, Step::Restart),
    (2, Step::Sweep),
    (6, Step::Schedule),
];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Clients ask for a page.
    Ask,
    /// A fill that waits for its turn asks the app.
    Turn,
    /// The app reads its data for an exchange.
    Read,
    /// The app sends a head.
    Answer,
    /// The app sends a piece of a body.
    Send,
    /// The app sends the rest of a body.
    End,
    /// A body is cut.
    Cut,
    /// An exchange fails before its head.
    Fail,
    /// A fill is dropped.
    GiveUp,
    /// A client leaves.
    Leave,
    /// A slow client takes a piece of its body.
    Take,
    /// The app commits a change of its data; the increment comes at once or later.
    Write,
    /// An increment of something written before.
    Acknowledge,
    /// The app tells of a version that it counts itself.
    Tell,
    /// Time passes.
    Wait,
    /// The clock is set back.
    SetBack,
    /// The clock is set forward.
    SetForward,
    /// The store needs room for much else.
    Press,
    /// Other rules come into force.
    Reload,
    /// The sidecar is killed, and another one takes its place.
    Restart,
    /// The cache drops what is of no use.
    Sweep,
    /// What is due for no request is done.
    Schedule,
}

/// One history under way.
pub(crate) struct History {
    sidecar: Rc<Sidecar>,
    rng: Rng,
    /// The pages that it is about.
    pages: Vec<usize>,
    /// It is about what happens for no request.
    by_schedule: bool,
    /// Much is lost at once, now and then.
    is_harsh: bool,
    /// Changes of data whose increments have not been acknowledged.
    written: Vec<usize>,
}

impl History {
    pub(crate) fn new(sidecar: Rc<Sidecar>, mut rng: Rng) -> History {
        // Of those with a rule for many, all that matters happens with few of them.
        let among = if rng.u8(..4) == 0 {
            MANY
        } else {
            0..MANY.start
        };
        let pages = (0..rng.usize(1..=3)).map(|_| rng.usize(among.clone()));
        let mut pages: Vec<_> = pages.collect();
        // Where there is little room, what has several forms has most to lose.
        if !sidecar.spacious && rng.u8(..4) == 0 {
            let varied = (0..MANY.start).find(|page| anyhow(*page).varies);
            pages = vec![varied.expect("there is one")];
        }
        // What happens by schedule takes several steps that fit: there it gets more of them.
        let by_schedule = rng.u8(..4) == 0;
        if by_schedule {
            let scheduled = |page: &usize| {
                let page = anyhow(*page);
                page.refreshed_after.is_some() || page.ahead.is_some()
            };
            let scheduled: Vec<_> = (0..MANY.start).filter(scheduled).collect();
            pages = vec![*rng.choice(&scheduled).expect("there are some")];
        }
        History {
            pages,
            by_schedule,
            is_harsh: rng.u8(..3) == 0,
            sidecar,
            rng,
            written: Vec::new(),
        }
    }

    /// Lets things happen, and at last all that has begun come to its end.
    ///
    /// # Errors
    ///
    /// What happened that must not.
    pub(crate) fn run(mut self) -> Result<(), String> {
        for _ in 0..self.rng.usize(20..100) {
            let step = self.choose();
            self.sidecar.count(format!("step: {step:?}"));
            self.step(step);
            if self.rng.u8(..4) > 0 {
                self.settle()?;
            } else {
                for _ in 0..self.rng.u8(..3) {
                    self.sidecar.tasks.poll_any(&self.sidecar.rng);
                }
            }
            self.verdict()?;
        }
        self.end()
    }

    fn verdict(&self) -> Result<(), String> {
        let broken = self.sidecar.model.borrow().broken.clone();
        broken.map_or(Ok(()), Err)
    }

    /// Lets everything go on that can. Whoever waits then, waits for the app.
    fn settle(&self) -> Result<(), String> {
        for polls in 0.. {
            if !self.sidecar.tasks.poll_any(&self.sidecar.rng) {
                break;
            }
            if polls == 100_000 {
                return Err("tasks wake each other without end".into());
            }
        }
        self.verdict()?;
        self.schedule()?;
        self.sidecar.tidy();
        let exchanges = self.sidecar.exchanges.borrow();
        let clients = self.sidecar.clients.borrow();
        let hung = clients.iter().find(|(_, client)| {
            client.slow.is_none() && exchanges.values().all(|it| it.of.page != client.page)
        });
        match hung {
            Some((id, _)) => Err(format!(
                "client {id} waits, and no exchange for its page runs"
            )),
            None => Ok(()),
        }
    }

    /// Whoever sleeps until there is something to do for no request must not sleep too long.
    fn schedule(&self) -> Result<(), String> {
        let due = self.sidecar.model.borrow().next_due(self.sidecar.spacious);
        let wakes = self.sidecar.cache().next_due();
        match due {
            Some(due) if wakes.is_none_or(|wakes| wakes > due) => Err(format!(
                "something is due for no request at {due:?}, and the cache says {wakes:?}"
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn choose(&mut self) -> Step {
        let all: u32 = STEPS.iter().map(|(weight, _)| weight).sum();
        let mut n = self.rng.u32(..all);
        for (weight, step) in STEPS {
            match n.checked_sub(weight) {
                Some(left) => n = left,
                // Each time what is stored is gone, one way or the other: most needs more steps than are left between.
                None if !self.is_harsh && matches!(step, Step::Restart | Step::SetForward) => {
                    return Step::Ask;
                }
                None => return step,
            }
        }
        unreachable!("the weights add up")
    }

    fn step(&mut self, step: Step) {
        let sidecar = Rc::clone(&self.sidecar);
        match step {
            Step::Ask => self.ask(),
            Step::Turn => {
                if let Some(id) = self.exchange(Exchange::is_queued) {
                    sidecar.turn(id);
                }
            }
            Step::Read => {
                if let Some(id) = self.exchange(|it| it.is_asked() && it.draft.is_none()) {
                    sidecar.read(id);
                }
            }
            Step::Answer => {
                if let Some(id) = self.exchange(Exchange::is_asked) {
                    sidecar.answer(id);
                }
            }
            Step::Send | Step::End => {
                if let Some(id) = self.exchange(|it| it.is_answered()) {
                    sidecar.send(id, matches!(step, Step::End));
                }
            }
            Step::Cut => {
                if let Some(id) = self.exchange(|it| it.is_answered()) {
                    sidecar.cut(id);
                }
            }
            Step::Fail => {
                if let Some(id) = self.exchange(|it| it.is_queued() || it.is_asked()) {
                    let failure = self.failure();
                    sidecar.fail(id, failure);
                }
            }
            Step::GiveUp => {
                if let Some(id) = self.exchange(|it| it.task.is_some()) {
                    sidecar.give_up(id);
                }
            }
            Step::Leave => {
                if let Some(id) = self.client(|_| true) {
                    sidecar.leave(id);
                }
            }
            Step::Take => {
                if let Some(id) = self.client(|it| it.slow.is_some())
                    && let Some(client) = sidecar.clients.borrow().get(&id)
                    && let Some(slow) = &client.slow
                {
                    slow.add_permits(1);
                }
            }
            Step::Write => self.write(),
            Step::Acknowledge => {
                if !self.written.is_empty() {
                    let tag = self
                        .written
                        .swap_remove(self.rng.usize(..self.written.len()));
                    self.increment(tag);
                }
            }
            Step::Tell => sidecar.observe(),
            Step::Wait => {
                let millis = [500, 1_000, 3_000, 7_000, 15_000, 40_000];
                let longest = if self.by_schedule { 4 } else { millis.len() };
                let millis = millis[self.rng.usize(..longest)];
                sidecar.advance(Duration::from_millis(millis));
                if self.by_schedule || self.rng.bool() {
                    sidecar.by_schedule();
                }
            }
            Step::SetBack => {
                let secs = *self
                    .rng
                    .choice(&[2, 20, 600, 7_200])
                    .expect("there are some");
                sidecar.set_back(Duration::from_secs(secs));
            }
            Step::SetForward => {
                let secs = *self
                    .rng
                    .choice(&[60, 600, 7_200, 8 * 86_400])
                    .expect("there are some");
                sidecar.set_forward(Duration::from_secs(secs));
            }
            Step::Press => sidecar.press(),
            Step::Reload => sidecar.reload(),
            Step::Restart => sidecar.restart(),
            Step::Sweep => sidecar.sweep(),
            Step::Schedule => sidecar.by_schedule(),
        }
    }

    fn ask(&mut self) {
        let page = *self.rng.choice(&self.pages).expect("there are some");
        for _ in 0..self.rng.u8(1..=2) {
            let head = self.rng.u8(..10) == 0 && !self.by_schedule;
            let method = if head { Method::HEAD } else { Method::GET };
            let wish = match self.rng.u8(..24) {
                _ if self.by_schedule => Wish::Nothing,
                _ if head && self.rng.bool() => Wish::NoCache,
                0 | 1 => Wish::NoCache,
                2 => Wish::MaxAgeZero,
                3 => Wish::MaxStale,
                4 => Wish::NoStore,
                5 => Wish::OnlyIfCached,
                _ => Wish::Nothing,
            };
            let slow = self.rng.u8(..8) == 0;
            let varies = anyhow(page).varies;
            let form = if varies {
                self.rng.usize(..FORMS.len())
            } else {
                0
            };
            let of = self.sidecar.which(page, form);
            self.sidecar.ask(of, method, wish, slow);
        }
    }

    fn write(&mut self) {
        let pages = &self.pages;
        let page = self
            .sidecar
            .page(*self.rng.choice(pages).expect("there are some"));
        let tags: Vec<_> = page.tags().collect();
        let tag = *self
            .rng
            .choice(&tags)
            .expect("every page depends on something");
        let mut model = self.sidecar.model.borrow_mut();
        model.app.data[tag] += 1;
        let data = model.app.data[tag];
        drop(model);
        self.sidecar
            .trace(format!("the app commits {}={data}", TAGS[tag]));
        match self.rng.u8(..10) {
            0..6 => self.increment(tag),
            _ if tag == COUNTED => {} // its answers tell
            _ => self.written.push(tag),
        }
    }

    fn increment(&mut self, tag: usize) {
        let soft = self.rng.u8(..3) == 0;
        let mut increments = vec![increment(tag, soft, &mut self.rng)];
        if self.rng.u8(..5) == 0 {
            let other = self.rng.usize(..TAGS.len());
            if other != tag {
                let soft = self.rng.bool();
                increments.push(increment(other, soft, &mut self.rng));
            }
        }
        self.sidecar.increment(&increments);
    }

    fn failure(&mut self) -> Failure {
        let failures = [
            Failure::Unreachable,
            Failure::Malformed,
            Failure::TimedOut,
            Failure::Overloaded,
        ];
        *self.rng.choice(&failures).expect("there are some")
    }

    /// One of the exchanges that fit.
    fn exchange(&mut self, which: impl Fn(&Exchange) -> bool) -> Option<u32> {
        self.sidecar.tidy();
        let exchanges = self.sidecar.exchanges.borrow();
        let fit = exchanges.iter().filter(|(_, exchange)| which(exchange));
        let fit: Vec<_> = fit.map(|(id, _)| *id).collect();
        self.rng.choice(&fit).copied()
    }

    /// One of the clients that fit.
    fn client(&mut self, which: impl Fn(&Present) -> bool) -> Option<u32> {
        let clients = self.sidecar.clients.borrow();
        let fit = clients.iter().filter(|(_, client)| which(client));
        let fit: Vec<_> = fit.map(|(id, _)| *id).collect();
        self.rng.choice(&fit).copied()
    }

    /// Whatever has begun ends, one way or another; then nobody may wait.
    fn end(mut self) -> Result<(), String> {
        self.sidecar.trace("the end: all exchanges end".into());
        for client in self.sidecar.clients.borrow().values() {
            if let Some(slow) = &client.slow {
                slow.add_permits(Semaphore::MAX_PERMITS / 2);
            }
        }
        while let Some(id) = self.exchange(|_| true) {
            self.settle()?;
            let exchanges = self.sidecar.exchanges.borrow();
            let Some(exchange) = exchanges.get(&id) else {
                continue;
            };
            let (is_answered, is_fill) = (exchange.is_answered(), exchange.task.is_some());
            let is_queued = exchange.is_queued();
            drop(exchanges);
            match self.rng.u8(..10) {
                0 if is_fill => self.sidecar.give_up(id),
                1 if is_answered => self.sidecar.cut(id),
                1 => {
                    let failure = self.failure();
                    self.sidecar.fail(id, failure);
                }
                _ if is_queued => self.sidecar.turn(id),
                _ if is_answered => self.sidecar.send(id, true),
                _ => self.sidecar.answer(id),
            }
            self.settle()?;
        }
        self.settle()?;
        let clients = self.sidecar.clients.borrow();
        if let Some((id, _)) = clients.iter().next() {
            return Err(format!("client {id} waits for ever"));
        }
        if !self.sidecar.tasks.is_idle() {
            return Err("a task never ends".into());
        }
        self.sidecar.note_evictions();
        Ok(())
    }
}
