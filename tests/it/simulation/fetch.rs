//! Fills and passed requests, run as `fetch` runs them. The reference is told of everything.
//!
//! `fetch` asks an app through sockets, so its order of steps is said here once more: `run` is `Fetch::run` and `asked`,
//! `settle` is `settle`, `passed` is `passed`, `signals` is `commit`. What is decided in them is decided by the same functions
//! of `policy` and of [`Fill`], and no step is here that is not there; ranges, upgrades, trailers and POST are left out, as
//! nobody here asks for them. Who changes the order there changes it here: nothing else keeps the two alike.

use futures_util::FutureExt;
use std::rc::Rc;
use std::sync::Arc;

use http::response::Parts;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, header};
use tagalong::body::Body;
use tagalong::cache::{Fill, Freshen, Keep, Refresh, Stored};
use tagalong::model::fields::Lines;
use tagalong::model::outcome::{Failure, NoStore};
use tagalong::model::request::Head;
use tagalong::model::tag::{TagLimits, Tagged};
use tagalong::policy::freshening::{self, HeadSays};
use tagalong::policy::{self, Declared, Signals, Times, Verdict};
use tagalong::rules::Matched;
use tokio::sync::oneshot;

use crate::simulation::app::{Asked, COUNTED, FORM, FORMS, MADE, MAX_OBJECT, Which};
use crate::simulation::exchange::{Answer, Answered};
use crate::simulation::kept::Asking;
use crate::simulation::model::{Client, For, Wish};
use crate::simulation::pages::{Page, pages};
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

/// The right to fetch something again for no request; it ends when this is dropped.
pub(crate) struct Refreshing(Rc<Sidecar>, Option<Refresh>, Which);

impl Drop for Refreshing {
    fn drop(&mut self) {
        drop(self.1.take());
        if self.0.model.borrow_mut().refresh_ended(self.2) {
            self.0.count("fill: refresh, in vain");
        }
    }
}

impl Sidecar {
    /// Does what is due for no request.
    pub(crate) fn by_schedule(self: &Rc<Self>) {
        let cache = self.cache();
        cache.increment_due().now_or_never().unwrap();
        if self.model.borrow_mut().repeated() > 0 {
            self.count("repeated");
        }
        let mut others = false;
        for refresh in cache.refreshes_due() {
            let Some(fill) = refresh.begin(self.rules()) else {
                others = true;
                continue;
            };
            let of = self.asked_for(&fill);
            let page = self.page(of.page); // by the rules in force
            let ahead = page.ahead.is_some();
            self.count(if ahead {
                "fill: ahead"
            } else {
                "fill: refresh"
            });
            let mut model = self.model.borrow_mut();
            model.refresh_begins(of, self.spacious);
            let nobody = model.client(of, page, Wish::Nothing);
            drop(model);
            let refreshing = Refreshing(Rc::clone(self), Some(refresh), of);
            self.fill(fill, nobody, For::Schedule, Some(refreshing));
        }
        let mut model = self.model.borrow_mut();
        model.schedule_ran(others, self.spacious);
    }

    pub(crate) fn fill(
        self: &Rc<Self>,
        fill: Box<Fill>,
        client: Client,
        why: For,
        refreshing: Option<Refreshing>,
    ) {
        let (id, answered) = self.exchange(client.of, client.page, Asked::Get);
        let (grant, turn) = oneshot::channel();
        self.count("fill");
        self.model.borrow_mut().began(id, client, why);
        let running = Running(Rc::clone(self), id);
        let task = self.tasks.spawn(async move {
            let sidecar = Rc::clone(&running.0);
            sidecar.run(id, fill, turn, answered).await;
            drop((running, refreshing));
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
        mut fill: Box<Fill>,
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
        let asking = self.model.borrow_mut().set_out(id);
        let conditions: HeaderMap = fill.conditions().into_iter().collect();
        self.set_out(id, as_asked(fill.head(), Some(&conditions)));
        match answered.await.unwrap_or(Err(Failure::Abandoned)) {
            Err(failure) => fill.fail(failure),
            Ok(answer) => self.settle(id, fill, answer, asking).await,
        }
    }

    /// What becomes of a fill, now that the app has answered.
    async fn settle(&self, id: u32, fill: Box<Fill>, answer: Answer, asking: Asking) {
        let (of, by) = self.asked_about(id);
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
        let impersonal = policy::is_impersonal(&parts.headers, self.fixed.dialects.targeted());
        let mut verdict = self.judge(&parts, signals, fill.head(), fill.matched(), asking);
        if verdict.is_ok() && !fill.may_keep(parts.status) {
            verdict = Err(NoStore::Partial);
        } else if verdict.is_ok() && is_spared {
            self.count("fill: spared");
            verdict = Err(NoStore::UpstreamFailed);
        }
        let response = Response::from_parts(parts, body);
        let too_large = response
            .body()
            .exact_len()
            .is_some_and(|len| len > MAX_OBJECT as u64);
        match verdict {
            Ok(_) if too_large => {
                self.count("fill: too large");
                let mut model = self.model.borrow_mut();
                model.handed_over(id, of.page, status.is_success());
                drop(model);
                fill.hand_over(response, status, NoStore::TooLarge);
            }
            Ok(keep) => {
                let made = made(response.headers());
                let life = self.model.borrow_mut().lives(made, by, asking, max_age);
                self.model.borrow_mut().head(id, life);
                fill.store(response, status, keep).await;
                if self.exchanges.borrow()[&id].whole {
                    self.model.borrow_mut().stored(id, made, asking, life);
                }
            }
            Err(reason)
                if impersonal
                    && policy::is_for_all(
                        reason,
                        &fill.matched().rule.terms,
                        fill.head(),
                        &response,
                    ) =>
            {
                self.count("fill: error for all");
                fill.share_unstored(response, reason).await;
            }
            Err(reason) => {
                self.count("fill: handed over");
                if reason.is_its_own() {
                    let mut model = self.model.borrow_mut();
                    model.handed_over(id, of.page, status.is_success());
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
        asking: Asking,
        head: &Head,
        matched: &Matched,
        freshen: Option<Box<Freshen>>,
    ) -> Response<Body> {
        let (mut parts, body) = answer.response.into_parts();
        let signals = self.signals(id, &mut parts, head, matched);
        if let Some(freshen) = freshen {
            let stored = Arc::clone(freshen.stored());
            let (of, by) = self.asked_about(id);
            self.model.borrow_mut().unsure(of);
            match freshening::head_says(&stored.entry, &parts) {
                HeadSays::Nothing => {}
                HeadSays::Other => {
                    self.count("head: outdated");
                    freshen.outdated();
                }
                HeadSays::Same(_) => {
                    let (parts, signals) = renewed(&stored, &parts, signals);
                    let get = head.as_get();
                    if let Ok(keep) = self.judge(&parts, signals, &get, matched, asking) {
                        let mut model = self.model.borrow_mut();
                        model.lives(made(&parts.headers), by, asking, answer.max_age);
                        drop(model);
                        let kept = freshen.renew(&get, &parts, &keep).now_or_never().unwrap();
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
        let declared = Declared::of(matched, head, parts);
        let signals = policy::signals(&self.fixed.dialects, declared, head, parts, LIMITS);
        if !signals.increments.is_empty() {
            self.count("increment: in an answer");
            self.increment(&signals.increments);
        }
        for Tagged { version, .. } in &signals.observed {
            let version = version.and_then(|version| u32::try_from(version).ok());
            let version = version.expect("the app counts from zero");
            self.model.borrow_mut().observed(COUNTED, version, Some(id));
        }
        let _ = self
            .cache()
            .observe(&signals.observed, &"GET".into())
            .now_or_never();
        signals
    }

    fn judge(
        &self,
        parts: &Parts,
        signals: Signals,
        head: &Head,
        matched: &Matched,
        asking: Asking,
    ) -> Result<Keep, NoStore> {
        let times = Times {
            sent: asking.at,
            received: self.clock.now(),
        };
        let terms = &matched.rule.terms;
        let targeted = self.fixed.dialects.targeted();
        match policy::judge(terms, head, parts, &signals, times, targeted) {
            Verdict::Store(store) => Ok(Keep {
                store,
                targeted: HeaderMap::new(),
                tags: signals.with_implicit(matched.implicit_tags(head)),
            }),
            Verdict::Pass(reason) => Err(reason),
        }
    }

    /// What a fill is to bring, which by the rules in force is to be fetched again.
    fn asked_for(&self, fill: &Fill) -> Which {
        let uri = fill.head().absolute_uri();
        let is_it = |page: &&Page| *uri == format!("http://{}{}", page.host, page.path);
        let page = pages(0).iter().position(|page| is_it(&page));
        let form = fill.head().headers().get(FORM);
        let form = form.map_or(Some(0), |form| {
            FORMS.iter().position(|other| form == *other)
        });
        self.which(page.expect("it is a page"), form.expect("it is a form"))
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
pub(crate) fn made(headers: &impl Lines) -> usize {
    let name = HeaderName::from_static(MADE);
    let made = headers
        .line(&name)
        .and_then(|made| str::from_utf8(made).ok());
    made.and_then(|made| made.parse().ok())
        .expect("every body is named")
}
