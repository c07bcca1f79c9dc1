//! The simulated sidecar: the engine, its clock, who is here, what is under way, and what the reference makes of it.

use futures_util::FutureExt;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tagalong::cache::{Cache, Config};
use tagalong::clock::Clock;
use tagalong::dialects::{self, Dialects};
use tagalong::model::tag::{Increment, Tag, Tagged};
use tagalong::model::time::Timestamp;
use tagalong::rules::{Context, RuleSet};

use crate::simulation::app::{COUNTED, MAX_OBJECT, Page, TAGS, spelled};
use crate::simulation::client::Present;
use crate::simulation::exchange::Exchange;
use crate::simulation::executor::Executor;
use crate::simulation::model::Model;

/// The store of a spacious history never evicts; that of the others holds one or two entries.
const SPACIOUS: usize = 1 << 20;
const CRAMPED: usize = 2_500;

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
        let rules = RuleSet::compile(&[file], &Context::new("test"));
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
    pub(crate) fixed: Rc<Fixed>,
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

impl Sidecar {
    pub(crate) fn new(fixed: &Rc<Fixed>, mut rng: Rng, trace: Rc<RefCell<Vec<String>>>) -> Sidecar {
        let start = Timestamp::from_secs(1_000_000);
        let clock = Clock::manual(start);
        let spacious = rng.u8(..3) > 0;
        let config = Config {
            max_bytes: if spacious { SPACIOUS } else { CRAMPED },
            max_object: MAX_OBJECT,
            max_variants: 64,
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

    pub(crate) fn number(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// These increments are committed and acknowledged.
    pub(crate) fn increment(&self, increments: &[Increment]) {
        let named: Vec<_> = increments.iter().map(spelled).collect();
        self.trace(format!("increment of {}", named.join(", ")));
        let _ = self
            .cache
            .increment(increments, &"POST /touch".into())
            .now_or_never();
        self.model.borrow_mut().incremented(increments);
    }

    /// The app tells of the version that it gives the tag it counts.
    pub(crate) fn observe(&self) {
        let version = self.model.borrow().app.data[COUNTED];
        self.trace(format!("the app tells of N;v={version}"));
        let tagged = Tagged {
            tag: Tag::parse(TAGS[COUNTED]).expect("it is a tag"),
            version: Some(version.into()),
        };
        let _ = self
            .cache
            .observe(&[tagged], &"GET /touch".into())
            .now_or_never();
        self.model.borrow_mut().observed(COUNTED, version, None);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.trace(format!("{by:?} pass"));
        self.clock.advance(by);
        self.model.borrow_mut().now = self.clock.now();
    }

    pub(crate) fn set_back(&self, by: Duration) {
        self.trace(format!("the clock is set back by {by:?}"));
        self.clock.set(self.clock.now() - by);
        self.model.borrow_mut().set_back(self.clock.now());
    }
}
