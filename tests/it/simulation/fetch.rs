//! Fills and passed requests, run as `fetch` runs them. The reference is told of everything.

use std::rc::Rc;
use std::sync::Arc;

use http::response::Parts;
use http::{HeaderMap, Method, Response, StatusCode, header};
use tagalong::body::Body;
use tagalong::cache::{Fill, Freshen, Keep, Refresh, Stored};
use tagalong::model::outcome::{Failure, NoStore};
use tagalong::model::request::Head;
use tagalong::model::tag::{TagLimits, Tagged};
use tagalong::model::time::Timestamp;
use tagalong::policy::freshening::{self, HeadSays};
use tagalong::policy::{self, Declared, Signals, Times, Verdict};
use tagalong::rules::Matched;
use tokio::sync::oneshot;

use crate::simulation::app::{Asked, COUNTED, MADE, MAX_OBJECT, PAGES};
use crate::simulation::exchange::{Answer, Answered};
use crate::simulation::model::{Client, Wish};
use crate::simulation::sidecar::Sidecar;

const LIMITS: TagLimits = TagLimits {
    max_tags: 16,
    max_tag_bytes: 1_024,
};

/// An exchange's task; it ends when this is dropped.
pub(crate) struct Running(pub(crate) Rc<Sidecar>, pub(crate) u32);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.exchanges.borrow_mut().get_mut(&self.1) {
            exchange.done = true;
            exchange.task = None;
        }
        self.0.model.borrow_mut().ended(self.1);
    }
}

impl Sidecar {
    /// Fetches again what is due for no request.
    pub(crate) fn refresh(self: &Rc<Self>) {
        for refresh in self.cache.refreshes_due() {
            if let Some(fill) = refresh.begin() {
                let uri = &fill.matched().uri;
                let page = PAGES.iter().position(|page| uri.ends_with(page.path));
                let page = page.expect("it is a page");
                let nobody = self.model.borrow().client(page, Wish::Nothing);
                self.count("fill: refresh");
                self.fill(fill, nobody, true, false, Some(refresh));
            }
        }
    }

    pub(crate) fn fill(
        self: &Rc<Self>,
        fill: Fill,
        client: Client,
        from_stale: bool,
        since: bool,
        refresh: Option<Refresh>,
    ) {
        let (id, answered) = self.exchange(client.page, Asked::Get);
        let (grant, turn) = oneshot::channel();
        self.count("fill");
        self.model.borrow_mut().began(id, client, from_stale, since);
        let running = Running(Rc::clone(self), id);
        let task = self.tasks.spawn(async move {
            let sidecar = Rc::clone(&running.0);
            sidecar.run(id, fill, turn, answered).await;
            drop((running, refresh));
        });
        if let Some(exchange) = self.exchanges.borrow_mut().get_mut(&id) {
            exchange.task = Some(task);
            exchange.turn = Some(grant);
        }
        let at_once = self.rng.borrow_mut().u8(..4) > 0;
        if at_once {
            self.turn(id);
        }
    }

    async fn run(
        &self,
        id: u32,
        mut fill: Fill,
        turn: oneshot::Receiver<Result<(), Failure>>,
        answered: Answered,
    ) {
        let abandoned = Err(Failure::Abandoned);
        let turn = fill.unless_deserted(turn).await;
        self.count(if turn.is_some() {
            "fill: had its turn"
        } else {
            "fill: deserted"
        });
        if let Err(failure) = turn.map_or(abandoned, |turn| turn.unwrap_or(abandoned)) {
            return fill.fail(failure);
        }
        fill.set_out();
        self.model.borrow_mut().set_out(id);
        let conditions: HeaderMap = fill.conditions().into_iter().collect();
        self.set_out(id, as_asked(fill.head(), Some(&conditions)));
        let asked = self.clock.now();
        match answered.await.unwrap_or(Err(Failure::Abandoned)) {
            Err(failure) => fill.fail(failure),
            Ok(answer) => self.settle(id, fill, answer, asked).await,
        }
    }

    /// What becomes of a fill, now that the app has answered.
    async fn settle(&self, id: u32, fill: Fill, answer: Answer, asked: Timestamp) {
        let page = self.exchanges.borrow()[&id].page;
        let Answer { response, max_age } = answer;
        let status = response.status();
        let (mut parts, mut body) = response.into_parts();
        let mut signals = self.signals(id, &mut parts, fill.head(), fill.matched());
        let is_spared = policy::is_error(status) && fill.has_spare();
        if let Some(stored) = fill
            .validates()
            .filter(|_| status == StatusCode::NOT_MODIFIED)
        {
            self.count("fill: revalidated");
            (parts, signals) = renewed(stored, &parts, signals);
            body = stored.entry.body.clone().into();
        }
        let mut verdict = self.judge(&parts, signals, fill.head(), fill.matched(), asked);
        if is_spared {
            self.count("fill: spared");
            verdict = verdict.and(Err(NoStore::UpstreamFailed));
        }
        if verdict.is_ok() {
            let made = made(&parts.headers);
            let mut model = self.model.borrow_mut();
            model.lives(made, asked, max_age);
            model.head(id, made);
        }
        let response = Response::from_parts(parts, body);
        let too_large = response
            .body()
            .exact_len()
            .is_some_and(|len| len > MAX_OBJECT as u64);
        match verdict {
            Ok(_) if too_large => {
                self.count("fill: too large");
                self.model.borrow_mut().unstorable(page);
                fill.hand_over(response, status, NoStore::TooLarge);
            }
            Ok(keep) => fill.store(response, status, keep).await,
            Err(reason @ (NoStore::NoFreshness | NoStore::UpstreamFailed))
                if status.is_server_error() =>
            {
                self.count("fill: error for all");
                fill.share_unstored(response, reason).await;
            }
            Err(reason) => {
                self.count("fill: handed over");
                if reason.is_its_own() {
                    self.model.borrow_mut().unstorable(page);
                }
                fill.hand_over(response, status, reason);
            }
        }
    }

    /// What becomes of an answer for one client.
    pub(crate) fn passed(
        &self,
        id: u32,
        answer: Answer,
        asked: Timestamp,
        head: &Head,
        matched: &Matched,
        freshen: Option<Box<Freshen>>,
    ) -> Response<Body> {
        let (mut parts, body) = answer.response.into_parts();
        let signals = self.signals(id, &mut parts, head, matched);
        if let Some(freshen) = freshen {
            let stored = Arc::clone(freshen.stored());
            match freshening::head_says(&stored.entry, &parts) {
                HeadSays::Nothing => {}
                HeadSays::Other => {
                    self.count("head: outdated");
                    freshen.outdated();
                }
                HeadSays::Same(_) => {
                    let (parts, signals) = renewed(&stored, &parts, signals);
                    let get = head.as_get();
                    if let Ok(keep) = self.judge(&parts, signals, &get, matched, asked) {
                        let mut model = self.model.borrow_mut();
                        model.lives(made(&parts.headers), asked, answer.max_age);
                        drop(model);
                        let kept = freshen.renew(&get, &parts, &keep);
                        self.count(if kept.is_ok() {
                            "head: renewed"
                        } else {
                            "head: raced"
                        });
                    }
                }
            }
        }
        Response::from_parts(parts, body)
    }

    /// What the answer says of tags; its changes are committed before anyone sees it (L4).
    fn signals(&self, id: u32, parts: &mut Parts, head: &Head, matched: &Matched) -> Signals {
        let declared = Declared::of(matched, parts.status);
        let signals = policy::signals(&self.fixed.dialects, declared, head, parts, LIMITS);
        for Tagged { version, .. } in &signals.observed {
            let version = version.and_then(|version| u32::try_from(version).ok());
            let version = version.expect("the app counts from zero");
            self.model.borrow_mut().observed(COUNTED, version, Some(id));
        }
        self.cache.observe(&signals.observed, &"GET".into());
        signals
    }

    fn judge(
        &self,
        parts: &Parts,
        signals: Signals,
        head: &Head,
        matched: &Matched,
        asked: Timestamp,
    ) -> Result<Keep, NoStore> {
        let times = Times {
            sent: asked,
            received: self.clock.now(),
        };
        let terms = &matched.rule.terms;
        let targeted = self.fixed.dialects.targeted();
        match policy::judge(terms, head, parts, &signals, times, targeted) {
            Verdict::Store(store) => Ok(Keep {
                store,
                targeted: HeaderMap::new(),
                tags: signals.tags.unwrap_or_default(),
            }),
            Verdict::Pass(reason) => Err(reason),
        }
    }
}

/// The stored head with what a 304 or a HEAD's answer says; where that names no tags, the old ones are in force.
fn renewed(stored: &Stored, parts: &Parts, mut signals: Signals) -> (Parts, Signals) {
    if !signals.named {
        signals.tags = signals.tags.map(|tags| stored.tags_with(tags));
    }
    (freshening::freshened(&stored.entry, parts), signals)
}

pub(crate) fn as_asked(head: &Head, conditions: Option<&HeaderMap>) -> Asked {
    let known = conditions.and_then(|fields| fields.get(header::IF_NONE_MATCH));
    match known.and_then(|known| known.to_str().ok()) {
        _ if head.method() == Method::HEAD => Asked::Head,
        Some(known) => Asked::Unless(known.to_owned()),
        None => Asked::Get,
    }
}

/// The place of a body among those that the app made.
pub(crate) fn made(headers: &HeaderMap) -> usize {
    let made = headers.get(MADE).and_then(|made| made.to_str().ok());
    made.and_then(|made| made.parse().ok())
        .expect("every body is named")
}
