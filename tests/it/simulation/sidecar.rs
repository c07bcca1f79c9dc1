//! The engine, driven as `proxy` and `fetch` drive it, without sockets: clients that look up, follow and read, and
//! exchanges whose answers come when the history says so. The reference is told of everything.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use futures_util::stream;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use tagalong::body::{Body, Chunk, Cut};
use tagalong::cache::{
    Cache, Config, Fill, Followed, Freshen, Keep, Lookup, Passing, Refresh, Stored,
};
use tagalong::clock::Clock;
use tagalong::dialects::{self, Dialects};
use tagalong::model::outcome::{End, Failure, NoStore, Outcome, Stale};
use tagalong::model::request::Head;
use tagalong::model::tag::{Increment, Tag, TagLimits, Tagged};
use tagalong::model::time::Timestamp;
use tagalong::policy::freshening::{self, HeadSays};
use tagalong::policy::{self, Declared, Signals, Times, Verdict};
use tagalong::rules::refill::OnTimeout;
use tagalong::rules::{Matched, Plan, Query, RuleSet};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::simulation::app::{Asked, COUNTED, Draft, MADE, MAX_OBJECT, PAGES, Page, TAGS};
use crate::simulation::executor::{Executor, TaskId};
use crate::simulation::model::{Client, Model, Trouble, Wish};

/// How often a request is looked up, as in `proxy`.
const LOOKUPS: usize = 2;
/// The store of a spacious history never evicts; that of the others holds a few entries.
const SPACIOUS: usize = 1 << 20;
const CRAMPED: usize = 4_000;

const LIMITS: TagLimits = TagLimits {
    max_tags: 16,
    max_tag_bytes: 1_024,
};

/// How often each kind of step and each outcome occurred.
pub(crate) type Seen = BTreeMap<String, u64>;

/// What does not change between histories.
pub(crate) struct Fixed {
    pub(crate) rules: RuleSet,
    pub(crate) dialects: Dialects,
}

impl Fixed {
    pub(crate) fn new() -> Fixed {
        let file = ("pages.yaml".to_owned(), Page::rules());
        let rules = RuleSet::compile("test", &[file], &tagalong::rules::Defaults::default());
        Fixed {
            rules: rules.expect("the rules are right"),
            dialects: Dialects::new(dialects::Config::default()),
        }
    }
}

/// The sidecar, its app, its clients, and what the reference makes of them.
pub(crate) struct Sidecar {
    pub(crate) cache: Cache,
    pub(crate) clock: Clock,
    fixed: Rc<Fixed>,
    pub(crate) spacious: bool,
    pub(crate) tasks: Executor,
    pub(crate) model: RefCell<Model>,
    pub(crate) exchanges: RefCell<BTreeMap<u32, Exchange>>,
    pub(crate) clients: RefCell<BTreeMap<u32, Present>>,
    next: Cell<u32>,
    pub(crate) rng: RefCell<Rng>,
    trace: Rc<RefCell<Vec<String>>>,
    pub(crate) seen: RefCell<Seen>,
}

/// A client that is here.
pub(crate) struct Present {
    pub(crate) page: usize,
    pub(crate) task: TaskId,
    /// Lets it take so many pieces of its body; `None`: it takes what comes.
    pub(crate) slow: Option<Arc<Semaphore>>,
}

/// An exchange with the app.
pub(crate) struct Exchange {
    pub(crate) page: usize,
    pub(crate) asked: Asked,
    /// The task of a fill, which can be ended where it stands while it runs.
    pub(crate) task: Option<TaskId>,
    /// Its task has ended; who has its body reads on.
    done: bool,
    /// Lets a fill ask the app.
    turn: Option<oneshot::Sender<Result<(), Failure>>>,
    /// The app has been asked.
    out: bool,
    /// What the app will answer, once it has read its data.
    pub(crate) draft: Option<Draft>,
    head: Option<oneshot::Sender<Result<Answer, Failure>>>,
    /// A piece, a cut, or the end.
    body: Option<mpsc::UnboundedSender<Option<Result<Chunk, Cut>>>>,
    /// What the app has not sent yet of its body.
    rest: Bytes,
    sent: usize,
}

impl Exchange {
    /// It waits for its turn with the app.
    pub(crate) fn is_queued(&self) -> bool {
        self.turn.is_some()
    }

    /// The app has been asked, and has not answered.
    pub(crate) fn is_asked(&self) -> bool {
        self.out && self.head.is_some()
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.head.is_none()
    }
}

/// What the app answered, and for how long it said it may be fresh.
struct Answer {
    response: Response<Body>,
    max_age: Option<Duration>,
}

type Answered = oneshot::Receiver<Result<Answer, Failure>>;

impl Sidecar {
    pub(crate) fn new(fixed: &Rc<Fixed>, mut rng: Rng, trace: Rc<RefCell<Vec<String>>>) -> Sidecar {
        let start = Timestamp::from_secs(1_000_000);
        let clock = Clock::manual(start);
        let spacious = rng.u8(..3) > 0;
        let config = Config {
            max_bytes: if spacious { SPACIOUS } else { CRAMPED },
            max_object: MAX_OBJECT,
        };
        let mut model = Model::default();
        model.now = start;
        Sidecar {
            cache: Cache::new(config, clock.clone()),
            clock,
            fixed: Rc::clone(fixed),
            spacious,
            tasks: Executor::default(),
            model: RefCell::new(model),
            exchanges: RefCell::default(),
            clients: RefCell::default(),
            next: Cell::new(0),
            rng: RefCell::new(rng),
            trace,
            seen: RefCell::default(),
        }
    }

    pub(crate) fn trace(&self, line: String) {
        self.trace.borrow_mut().push(line);
    }

    pub(crate) fn count(&self, what: impl Into<String>) {
        *self.seen.borrow_mut().entry(what.into()).or_default() += 1;
    }

    fn number(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }
}

/// What the history makes happen.
impl Sidecar {
    /// A client comes, and is looked up for at once.
    pub(crate) fn ask(self: &Rc<Self>, page: usize, method: Method, wish: Wish, slow: bool) {
        let id = self.number();
        let mut request = Request::builder()
            .method(method.clone())
            .uri(PAGES[page].path)
            .header(header::HOST, "shop.example");
        if let Some(field) = wish.field() {
            request = request.header(header::CACHE_CONTROL, field);
        }
        let parts = request.body(()).expect("it is valid").into_parts().0;
        let head = Head::new(parts, "http").expect("it has a host");
        let Plan::Lookup(query) = self.fixed.rules.plan(&head) else {
            unreachable!("every page is looked up");
        };
        let client = self.model.borrow().client(page, wish);
        self.trace(format!(
            "client {id}: {method} {} {wish:?}",
            PAGES[page].path
        ));
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
        self.clients
            .borrow_mut()
            .insert(id, Present { page, task, slow });
        self.tasks.poll(task);
    }

    /// The app reads its data for an exchange.
    pub(crate) fn read(&self, id: u32) {
        let mut exchanges = self.exchanges.borrow_mut();
        let Some(exchange) = exchanges.get_mut(&id) else {
            return;
        };
        let mut model = self.model.borrow_mut();
        let app = &mut model.app;
        let draft = app.read(exchange.page, &exchange.asked, &mut self.rng.borrow_mut());
        self.trace(format!(
            "app reads for exchange {id}: data {:?}, {} {:?}, {} bytes",
            app.data,
            draft.status,
            draft.headers,
            draft.text.len()
        ));
        exchange.draft = Some(draft);
    }

    /// A fill may ask the app now.
    pub(crate) fn turn(&self, id: u32) {
        self.trace(format!("it is the turn of exchange {id}"));
        let mut exchanges = self.exchanges.borrow_mut();
        let exchange = exchanges.get_mut(&id).expect("it was there");
        if let Some(turn) = exchange.turn.take() {
            turn.send(Ok(())).ok(); // the fill may have been given up
        }
    }

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

    /// The app sends the head of its answer.
    pub(crate) fn answer(&self, id: u32) {
        if self.exchanges.borrow()[&id].draft.is_none() {
            self.read(id);
        }
        let mut exchanges = self.exchanges.borrow_mut();
        let exchange = exchanges.get_mut(&id).expect("it was there");
        let draft = exchange.draft.take().expect("it was read");
        let mut response = Response::builder().status(draft.status);
        for (name, value) in &draft.headers {
            response = response.header(*name, value);
        }
        let body = if draft.text.is_empty() {
            Body::empty()
        } else {
            let (sender, receiver) = mpsc::unbounded_channel();
            exchange.body = Some(sender);
            let chunks = stream::unfold(receiver, async |mut receiver| {
                let gone = || Some(Err(Cut("the app is gone".into())));
                let piece = receiver.recv().await.unwrap_or_else(gone)?;
                Some((piece, receiver))
            });
            Body::chunks(chunks, draft.exact.then_some(draft.text.len() as u64))
        };
        exchange.rest = draft.text;
        let answer = Answer {
            response: response.body(body).expect("its fields are valid"),
            max_age: draft.max_age,
        };
        self.trace(format!("app sends the head of exchange {id}"));
        if let Some(head) = exchange.head.take() {
            head.send(Ok(answer)).ok(); // who asked may have left
        }
    }

    /// The app gives no answer.
    pub(crate) fn fail(&self, id: u32, failure: Failure) {
        self.trace(format!("exchange {id} fails: {failure:?}"));
        let mut exchanges = self.exchanges.borrow_mut();
        let exchange = exchanges.get_mut(&id).expect("it was there");
        if let Some(turn) = exchange.turn.take() {
            turn.send(Err(failure)).ok();
        } else if let Some(head) = exchange.head.take() {
            head.send(Err(failure)).ok();
        }
    }

    /// The app sends a piece of the body, or all that is left, and then its end.
    pub(crate) fn send(&self, id: u32, all: bool) {
        let mut exchanges = self.exchanges.borrow_mut();
        let exchange = exchanges.get_mut(&id).expect("it was there");
        let len = exchange.rest.len();
        let some = if all || len < 2 {
            len
        } else {
            self.rng.borrow_mut().usize(1..len)
        };
        let chunk = exchange.rest.split_to(some);
        exchange.sent += chunk.len();
        self.trace(format!(
            "app sends {some} bytes for exchange {id}, {} are left",
            exchange.rest.len()
        ));
        let Some(body) = &exchange.body else { return };
        if !chunk.is_empty() {
            body.send(Some(Ok(Chunk::Data(chunk)))).ok();
        }
        if all {
            body.send(None).ok();
            exchange.body = None;
        }
        let (page, sent) = (exchange.page, exchange.sent);
        self.model.borrow_mut().sent(id, page, sent, self.spacious);
    }

    /// The app's connection breaks.
    pub(crate) fn cut(&self, id: u32) {
        self.trace(format!("the body of exchange {id} is cut"));
        let mut exchanges = self.exchanges.borrow_mut();
        let exchange = exchanges.get_mut(&id).expect("it was there");
        if let Some(body) = exchange.body.take() {
            body.send(Some(Err(Cut("reset".into())))).ok();
        }
    }

    /// A fill is given up where it stands.
    pub(crate) fn give_up(&self, id: u32) {
        self.trace(format!("exchange {id} is given up"));
        let task = self.exchanges.borrow()[&id].task;
        if let Some(task) = task {
            self.tasks.cancel(task);
        }
    }

    /// A client goes away.
    pub(crate) fn leave(&self, id: u32) {
        self.trace(format!("client {id} leaves"));
        let task = self.clients.borrow()[&id].task;
        self.tasks.cancel(task);
    }

    /// An increment of these tags, each soft or not, is committed and acknowledged.
    pub(crate) fn increment(&self, tags: &[(usize, bool)]) {
        let named: Vec<_> = tags
            .iter()
            .map(|&(tag, soft)| format!("{}{}", TAGS[tag], if soft { ";soft" } else { "" }))
            .collect();
        self.trace(format!("increment of {}", named.join(", ")));
        let increments: Vec<_> = tags
            .iter()
            .map(|&(tag, soft)| Increment {
                soft,
                ..tag_of(tag).into()
            })
            .collect();
        self.cache.increment(&increments, &"POST /touch".into());
        self.model.borrow_mut().incremented(tags);
    }

    /// The app tells of the version that it gives the tag it counts.
    pub(crate) fn observe(&self) {
        let version = self.model.borrow().app.data[COUNTED];
        self.trace(format!("the app tells of N;v={version}"));
        let tagged = Tagged {
            tag: tag_of(COUNTED),
            version: Some(version.into()),
        };
        self.cache.observe(&[tagged], &"GET /touch".into());
        self.model.borrow_mut().observed(COUNTED, version, None);
    }

    /// Forgets exchanges that have nothing left to say to anyone.
    pub(crate) fn tidy(&self) {
        let is_read = |it: &Exchange| it.body.as_ref().is_some_and(|body| !body.is_closed());
        self.exchanges
            .borrow_mut()
            .retain(|_, it| !it.done || is_read(it));
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.trace(format!("{by:?} pass"));
        self.clock.advance(by);
        self.model.borrow_mut().now = self.clock.now();
    }
}

/// A client's stay; it ends when this is dropped.
struct Here(Rc<Sidecar>, u32);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.clients.borrow_mut().remove(&self.1);
    }
}

/// As `proxy` does it.
impl Sidecar {
    async fn client(
        self: &Rc<Self>,
        id: u32,
        client: Client,
        head: Head,
        query: Query,
        slow: Option<Arc<Semaphore>>,
    ) {
        let (mut since, mut in_vain) = (None, None);
        let patience = query.rule.refill.coalesce.map(|it| it.wait);
        let gives_up = patience.map(|wait| self.clock.now() + wait);
        for _ in 0..LOOKUPS {
            let follower = match self.cache.lookup(&query, &head, since) {
                Lookup::Hit(stored, _) => return self.served(id, client, &stored, None, None),
                Lookup::Stale(stored, _, why, fill) => {
                    if let Some(fill) = fill {
                        self.fill(*fill, client, true, false, None);
                    }
                    return self.served(id, client, &stored, Some(why), None);
                }
                Lookup::Miss(fill, follower) => {
                    self.fill(*fill, client, false, since.is_some(), None);
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
            let left = gives_up.map(|at| at.since(self.clock.now()));
            match follower.outcome(&self.cache, &head, left).await {
                Followed::Response(response, outcome) => {
                    self.outcome(id, &name(outcome));
                    let collapsed = matches!(outcome, Outcome::Collapsed { .. });
                    return self.receive(client, response, collapsed, slow).await;
                }
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
                    let on_timeout = query.rule.refill.coalesce.unwrap_or_default().on_timeout;
                    let spare = passing.spare.as_ref();
                    match (on_timeout, self.cache.in_place_of_waiting(spare, &head)) {
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
        let asked = as_asked(head, None);
        let (exchange, answered) = self.exchange(client.page, asked.clone());
        self.set_out(exchange, asked);
        let (to_client, passed) = oneshot::channel();
        let sidecar = Rc::clone(self);
        let (matched, asking) = (query.matched(head), head.clone());
        let freshen = passing.freshen;
        self.tasks.spawn(async move {
            let asked = sidecar.clock.now();
            let answered = answered.await.unwrap_or(Err(Failure::Abandoned));
            let response = answered
                .map(|answer| sidecar.passed(exchange, answer, asked, &asking, &matched, freshen));
            to_client.send(response).ok(); // the client may have left
            drop(Running(Rc::clone(&sidecar), exchange));
        });
        let response = passed.await.unwrap_or(Err(Failure::Abandoned));
        let spare = passing.spare.as_ref();
        let stands_in = match &response {
            Ok(response) => Ok(self.cache.in_place_of_error(response.status(), spare, head)),
            Err(failure) => self.cache.in_place_of(*failure, spare, head).map(Some),
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

/// An exchange's task; it ends when this is dropped.
struct Running(Rc<Sidecar>, u32);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.exchanges.borrow_mut().get_mut(&self.1) {
            exchange.done = true;
            exchange.task = None;
        }
        self.0.model.borrow_mut().ended(self.1);
    }
}

/// As `fetch` does it.
impl Sidecar {
    /// An exchange that is to ask the app.
    fn exchange(&self, page: usize, asked: Asked) -> (u32, Answered) {
        let id = self.number();
        self.trace(format!("exchange {id} for {}", PAGES[page].path));
        let (head, answered) = oneshot::channel();
        let exchange = Exchange {
            page,
            asked,
            task: None,
            done: false,
            turn: None,
            out: false,
            draft: None,
            head: Some(head),
            body: None,
            rest: Bytes::new(),
            sent: 0,
        };
        self.exchanges.borrow_mut().insert(id, exchange);
        (id, answered)
    }

    /// The app is asked; now and then it reads its data at once.
    fn set_out(&self, id: u32, asked: Asked) {
        self.trace(format!("exchange {id} asks the app: {asked:?}"));
        if let Some(exchange) = self.exchanges.borrow_mut().get_mut(&id) {
            exchange.asked = asked;
            exchange.out = true;
        }
        let at_once = self.rng.borrow_mut().bool();
        if at_once {
            self.read(id);
        }
    }

    fn fill(
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
    fn passed(
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

fn as_asked(head: &Head, conditions: Option<&HeaderMap>) -> Asked {
    let known = conditions.and_then(|fields| fields.get(header::IF_NONE_MATCH));
    match known.and_then(|known| known.to_str().ok()) {
        _ if head.method() == Method::HEAD => Asked::Head,
        Some(known) => Asked::Unless(known.to_owned()),
        None => Asked::Get,
    }
}

fn tag_of(tag: usize) -> Tag {
    Tag::parse(TAGS[tag]).expect("it is a tag")
}

/// The place of a body among those that the app made.
fn made(headers: &HeaderMap) -> usize {
    let made = headers.get(MADE).and_then(|made| made.to_str().ok());
    made.and_then(|made| made.parse().ok())
        .expect("every body is named")
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
        Outcome::Hit { .. } | Outcome::Collapsed { .. } | Outcome::Refused(_) => {
            outcome.word().to_owned()
        }
    }
}
