//! Clients, served as `proxy` serves them: they look up, follow, read at their pace, and leave.

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, Request, Response, header};
use tagalong::body::{Body, Chunk};
use tagalong::cache::{Followed, Lookup, Passing, Stored, Trust};
use tagalong::model::outcome::{End, Failure, Outcome, Stale};
use tagalong::model::request::Head;
use tagalong::rules::refill::{Coalesce, OnTimeout};
use tagalong::rules::{Plan, Query};
use tokio::sync::{Semaphore, oneshot};

use crate::simulation::app::{FORM, FORMS, MADE, Which};
use crate::simulation::executor::TaskId;
use crate::simulation::fetch::{Running, as_asked, made};
use crate::simulation::model::{Client, For, Trouble, Wish};
use crate::simulation::sidecar::Sidecar;

/// How often a request is looked up, as in `proxy`.
const LOOKUPS: usize = 2;

/// A client that is here.
pub(crate) struct Present {
    pub(crate) page: usize,
    pub(crate) task: TaskId,
    /// Lets it take so many pieces of its body; `None`: it takes what comes.
    pub(crate) slow: Option<Arc<Semaphore>>,
}

/// A client's stay; it ends when this is dropped.
struct Here(Rc<Sidecar>, u32);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.clients.borrow_mut().remove(&self.1);
    }
}

impl Sidecar {
    /// A client comes, and is looked up for at once.
    pub(crate) fn ask(self: &Rc<Self>, of: Which, method: Method, wish: Wish, slow: bool) {
        let (id, page) = (self.number(), self.page(of.page));
        let mut request = Request::builder()
            .method(method.clone())
            .uri(page.path)
            .header(header::HOST, page.host);
        if of.form > 0 {
            request = request.header(FORM, FORMS[of.form]);
        }
        if let Some(field) = wish.field() {
            request = request.header(header::CACHE_CONTROL, field);
        }
        let parts = request.body(()).expect("it is valid").into_parts().0;
        let head = Arc::new(Head::new(parts, "http").expect("it has a host"));
        let Plan::Lookup(query) = self.rules().plan(&head, self.clock.now()) else {
            unreachable!("every page is looked up");
        };
        let client = self.model.borrow().client(of, page, wish);
        self.trace(format!("client {id}: {method} {of} {wish:?}"));
        let slow = slow.then(|| Arc::new(Semaphore::new(0)));
        let here = Here(Rc::clone(self), id);
        let task = self.tasks.spawn({
            let slow = slow.clone();
            async move {
                let sidecar = Rc::clone(&here.0);
                sidecar.client(id, client, head, query, slow).await;
                drop(here);
            }
        });
        self.clients.borrow_mut().insert(
            id,
            Present {
                page: of.page,
                task,
                slow,
            },
        );
        self.tasks.poll(task);
    }

    /// A client goes away.
    pub(crate) fn leave(&self, id: u32) {
        self.trace(format!("client {id} leaves"));
        let task = self.clients.borrow()[&id].task;
        self.tasks.cancel(task);
    }

    async fn client(
        self: &Rc<Self>,
        id: u32,
        client: Client,
        head: Arc<Head>,
        query: Query,
        slow: Option<Arc<Semaphore>>,
    ) {
        let (mut since, mut in_vain) = (None, None);
        let (cache, coalesce) = (self.cache(), query.rule.refill.coalesce);
        let mut gives_up = None;
        for _ in 0..LOOKUPS {
            let found = cache.lookup(&query, &head, since, Trust::Full);
            if !matches!(found, Lookup::Hit(..))
                && let Some(used) = self.model.borrow_mut().missed(client, self.spacious)
            {
                self.count(if used { "evicted" } else { "evicted: unused" });
                if client.page.varies {
                    self.count("evicted: one of several forms");
                }
            }
            let follower = match found {
                Lookup::Hit(stored, _) => return self.served(id, client, &stored, None, None),
                Lookup::Stale(stored, _, why, fill) => {
                    let made = made(&stored.entry.headers);
                    let mut model = self.model.borrow_mut();
                    model.refills(client, made, why, fill.is_some());
                    drop(model);
                    if let Some(fill) = fill {
                        self.fill(fill, client, For::Stale(made), None);
                    }
                    return self.served(id, client, &stored, Some(why), None);
                }
                Lookup::Miss(fill, follower) => {
                    let again = since.is_some();
                    self.fill(fill, client, For::Client { again }, None);
                    follower
                }
                Lookup::Join(follower) => {
                    self.trace(format!("client {id} waits for another's fill"));
                    self.count("joined");
                    self.model.borrow_mut().joined(client, since.is_some());
                    follower
                }
                Lookup::Pass(passing) => {
                    return self.pass(id, client, &head, &query, passing, slow).await;
                }
                Lookup::OnlyIfCached => return self.outcome(id, "only-if-cached"),
            };
            let now = self.clock.now();
            let left = |it: Coalesce| {
                gives_up
                    .get_or_insert(now + it.wait)
                    .since(now)
                    .min(it.wait)
            };
            let patience = coalesce.map(left);
            match follower.outcome(&cache, &head, patience).await {
                Followed::Response(response, outcome) => {
                    self.outcome(id, &name(outcome));
                    let collapsed = matches!(outcome, Outcome::Collapsed { .. });
                    return self.receive(client, response, collapsed, slow).await;
                }
                Followed::Found(..) => unreachable!("this cache is alone"),
                Followed::Stale(stored, why) => {
                    let trouble = Some(Trouble::Failed);
                    return self.served(id, client, &stored, Some(why), trouble);
                }
                Followed::Again(newer, passing) => {
                    self.trace(format!("client {id} looks again, since {newer:?}"));
                    self.count(if newer.is_some() {
                        "again: raced"
                    } else {
                        "again"
                    });
                    since = since.max(newer);
                    in_vain = Some(passing);
                }
                Followed::Alone(passing) => {
                    self.count("alone");
                    return self.pass(id, client, &head, &query, passing, slow).await;
                }
                Followed::Waited(passing) => {
                    let on_timeout = coalesce.unwrap_or_default().on_timeout;
                    let spare = passing.spare.as_ref();
                    match (on_timeout, cache.in_place_of_waiting(spare, &head)) {
                        (OnTimeout::Refuse, _) => return self.outcome(id, "refused: waited"),
                        (OnTimeout::Stale, Some((stored, why))) => {
                            let trouble = Some(Trouble::Waited);
                            return self.served(id, client, &stored, Some(why), trouble);
                        }
                        (OnTimeout::Stale | OnTimeout::Fetch, _) => {}
                    }
                    self.count("waited");
                    return self.pass(id, client, &head, &query, passing, slow).await;
                }
                Followed::Failed(failure, _) => {
                    return self.outcome(id, &format!("failed: {failure:?}"));
                }
            }
        }
        if let Some(passing) = in_vain {
            self.count("twice in vain");
            self.pass(id, client, &head, &query, passing, slow).await;
        }
    }

    fn served(
        &self,
        id: u32,
        client: Client,
        stored: &Stored,
        stale: Option<Stale>,
        trouble: Option<Trouble>,
    ) {
        let word = stale.map_or("hit", Stale::word);
        self.outcome(id, word);
        let mut model = self.model.borrow_mut();
        let made = made(&stored.entry.headers);
        if !std::ptr::eq(model.app.made[made].by, client.page) {
            self.count("served: stored by other rules");
        }
        model.served(client, made, stale, trouble);
        model.read(client, made, &stored.entry.body, true);
    }

    fn outcome(&self, id: u32, word: &str) {
        self.trace(format!("client {id} gets: {word}"));
        self.count(format!("outcome: {word}"));
    }

    /// Asks the app for one client.
    async fn pass(
        self: &Rc<Self>,
        id: u32,
        client: Client,
        head: &Head,
        query: &Query,
        passing: Passing,
        slow: Option<Arc<Semaphore>>,
    ) {
        let (cache, asked) = (self.cache(), as_asked(head, None));
        let (exchange, answered) = self.exchange(client.of, client.page, asked.clone());
        self.set_out(exchange, asked);
        let (to_client, passed) = oneshot::channel();
        let sidecar = Rc::clone(self);
        let (matched, asked_by) = (query.matched(head), head.clone());
        let asking = self.model.borrow().asking();
        let freshen = passing.freshen;
        self.tasks.spawn(async move {
            let answered = answered.await.unwrap_or(Err(Failure::Abandoned));
            let response = answered.map(|answer| {
                sidecar.passed(exchange, answer, asking, &asked_by, &matched, freshen)
            });
            to_client.send(response).ok(); // the client may have left
            drop(Running(Rc::clone(&sidecar), exchange));
        });
        let response = passed.await.unwrap_or(Err(Failure::Abandoned));
        let spare = passing.spare.as_ref();
        let stands_in = match &response {
            Ok(response) => Ok(cache.in_place_of_error(response.status(), spare, head)),
            Err(failure) => cache.in_place_of(*failure, spare, head).map(Some),
        };
        match (stands_in, response) {
            (Ok(Some((stored, why))), _) => {
                self.served(id, client, &stored, Some(why), Some(Trouble::Failed));
            }
            (Ok(None), Ok(response)) => {
                self.outcome(id, &format!("passed: {:?}", passing.why));
                self.receive(client, response, false, slow).await;
            }
            (Err(failure), _) | (_, Err(failure)) => {
                self.outcome(id, &format!("failed: {failure:?}"));
            }
        }
    }

    /// A client takes its response.
    async fn receive(
        &self,
        client: Client,
        response: Response<Body>,
        collapsed: bool,
        slow: Option<Arc<Semaphore>>,
    ) {
        let (parts, mut body) = response.into_parts();
        if !parts.headers.contains_key(MADE) {
            return; // to HEAD
        }
        let made = made(&parts.headers);
        self.model.borrow_mut().answered(client, made, collapsed);
        let mut text = Vec::new();
        let whole = loop {
            if let Some(slow) = &slow
                && let Ok(turn) = slow.acquire().await
            {
                turn.forget();
            }
            match body.next().await {
                Some(Ok(Chunk::Data(data))) => text.extend_from_slice(&data),
                Some(Ok(Chunk::Trailers(_))) => {}
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        self.count(if whole { "body: whole" } else { "body: cut" });
        self.model.borrow_mut().read(client, made, &text, whole);
    }
}

/// What is counted of an outcome.
fn name(outcome: Outcome) -> String {
    match outcome {
        Outcome::Forwarded { why, end, .. } => {
            let end = match end {
                End::Stored => "stored",
                End::Revalidated => "revalidated",
                End::NotStored(reason) => reason.word(),
                End::Passed => "passed",
            };
            format!("{why:?}, {end}")
        }
        Outcome::Hit { .. } | Outcome::Collapsed { .. } | Outcome::Refused(_) | Outcome::Broken => {
            outcome.word().to_owned()
        }
    }
}
