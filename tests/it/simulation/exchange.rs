//! Exchanges with the simulated app, whose answers come when the history says so.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use tagalong::body::{Body, Chunk, Cut};
use tagalong::model::outcome::Failure;
use tokio::sync::{mpsc, oneshot};

use crate::simulation::app::{Asked, Draft, Which};
use crate::simulation::executor::TaskId;
use crate::simulation::pages::Page;
use crate::simulation::sidecar::Sidecar;

/// An exchange with the app.
pub(crate) struct Exchange {
    pub(crate) of: Which,
    /// By what its rule says of that.
    pub(crate) page: &'static Page,
    pub(crate) asked: Asked,
    /// The task of a fill, which can be ended where it stands while it runs.
    pub(crate) task: Option<TaskId>,
    /// Its task has ended; who has its body reads on.
    pub(crate) done: bool,
    /// Lets a fill ask the app.
    pub(crate) turn: Option<oneshot::Sender<Result<(), Failure>>>,
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
    /// The app has sent all of its answer.
    pub(crate) whole: bool,
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
pub(crate) struct Answer {
    pub(crate) response: Response<Body>,
    pub(crate) max_age: Option<Duration>,
}

pub(crate) type Answered = oneshot::Receiver<Result<Answer, Failure>>;

impl Sidecar {
    /// An exchange that is to ask the app.
    pub(crate) fn exchange(&self, of: Which, page: &'static Page, asked: Asked) -> (u32, Answered) {
        let id = self.number();
        self.trace(format!("exchange {id} for {of}"));
        let (head, answered) = oneshot::channel();
        let exchange = Exchange {
            of,
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
            whole: false,
        };
        self.exchanges.borrow_mut().insert(id, exchange);
        (id, answered)
    }

    /// What an exchange is about, and what its rule says of that.
    pub(crate) fn asked_about(&self, id: u32) -> (Which, &'static Page) {
        let exchange = &self.exchanges.borrow()[&id];
        (exchange.of, exchange.page)
    }

    /// The app is asked; now and then it reads its data at once.
    pub(crate) fn set_out(&self, id: u32, asked: Asked) {
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

    /// The app reads its data for an exchange.
    pub(crate) fn read(&self, id: u32) {
        let mut exchanges = self.exchanges.borrow_mut();
        let Some(exchange) = exchanges.get_mut(&id) else {
            return;
        };
        let mut model = self.model.borrow_mut();
        let app = &mut model.app;
        let Exchange {
            of, page, asked, ..
        } = exchange;
        let draft = app.read(*of, page, asked, &mut self.rng.borrow_mut());
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
        exchange.whole = draft.text.is_empty();
        let body = if exchange.whole {
            Body::empty()
        } else {
            let (sender, receiver) = mpsc::unbounded_channel();
            exchange.body = Some(sender);
            let chunks = stream::unfold(receiver, async |mut receiver| {
                let gone = || Some(Err(Cut::Short("the app is gone".into())));
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
            exchange.whole = true;
        }
        let (page, sent) = (exchange.of.page, exchange.sent);
        self.model.borrow_mut().sent(id, page, sent, self.spacious);
    }

    /// The app's connection breaks.
    pub(crate) fn cut(&self, id: u32) {
        self.trace(format!("the body of exchange {id} is cut"));
        let mut exchanges = self.exchanges.borrow_mut();
        let exchange = exchanges.get_mut(&id).expect("it was there");
        if let Some(body) = exchange.body.take() {
            body.send(Some(Err(Cut::Short("reset".into())))).ok();
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

    /// Forgets exchanges that have nothing left to say to anyone.
    pub(crate) fn tidy(&self) {
        let is_read = |it: &Exchange| it.body.as_ref().is_some_and(|body| !body.is_closed());
        self.exchanges
            .borrow_mut()
            .retain(|_, it| !it.done || is_read(it));
    }
}
