//! The simulated sidecar: the engine, its clock, who is here, what is under way, and what the reference makes of it.

use futures_util::FutureExt;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tagalong::cache::objects::Object;
use tagalong::cache::{Cache, Config, Others};
use tagalong::clock::Clock;
use tagalong::dialects::{self, Dialects};
use tagalong::metrics::Metrics;
use tagalong::model::tag::{Increment, Tag, Tagged};
use tagalong::model::time::Timestamp;
use tagalong::rules::{Context, RuleSet};

use crate::simulation::app::{COUNTED, MAX_OBJECT, TAGS, Which, spelled};
use crate::simulation::client::Present;
use crate::simulation::exchange::Exchange;
use crate::simulation::executor::Executor;
use crate::simulation::model::Model;
use crate::simulation::pages::{self, EDITIONS, Page, pages};

/// The store of a spacious history never evicts; that of the others holds hardly one entry, one or two, or a few.
const SPACIOUS: usize = 1 << 20;
const CRAMPED: [usize; 3] = [1_100, 2_500, 6_000];

/// How many values of the app's own press on the store at once, and how large each is.
const PRESSING: usize = 8;
const PRESSURE: usize = 300;

/// As many rule sets of each edition: what comes into force again is not what was in force before.
const SETS: usize = 2 * EDITIONS;

/// How often each kind of step and each outcome occurred.
pub(crate) type Seen = BTreeMap<String, u64>;

/// What does not change between histories.
pub(crate) struct Fixed {
    /// By edition, and then those of all editions once more.
    rules: [RuleSet; SETS],
    pub(crate) dialects: Dialects,
}

impl Fixed {
    pub(crate) fn new() -> Fixed {
        Fixed {
            rules: std::array::from_fn(|set| {
                let file = ("pages.yaml".to_owned(), pages::rules(set % EDITIONS));
                let rules = RuleSet::compile(&[file], &Context::new("test"));
                rules.expect("the rules are right")
            }),
            dialects: Dialects::new(dialects::Config::default()),
        }
    }
}

/// The sidecar, its app, its clients, and what the reference makes of them.
pub(crate) struct Sidecar {
    cache: RefCell<Cache>,
    config: Config,
    metrics: RefCell<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) fixed: Rc<Fixed>,
    /// Which of [`Fixed::rules`] are in force.
    set: Cell<usize>,
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
        let cramped = *rng.choice(&CRAMPED).expect("there are some");
        let config = Config {
            max_bytes: if spacious { SPACIOUS } else { cramped },
            max_object: MAX_OBJECT,
            max_variants: 64,
        };
        let mut model = Model::default();
        model.now = start;
        let (cache, metrics) = empty(config, &clock);
        Sidecar {
            cache: RefCell::new(cache),
            config,
            metrics: RefCell::new(metrics),
            clock,
            set: Cell::new(0),
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
        self.count_many(what, 1);
    }

    fn count_many(&self, what: impl Into<String>, times: u64) {
        if times > 0 {
            *self.seen.borrow_mut().entry(what.into()).or_default() += times;
        }
    }

    pub(crate) fn cache(&self) -> Cache {
        self.cache.borrow().clone()
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> &RuleSet {
        &self.fixed.rules[self.set.get()]
    }

    /// What they say of a page.
    pub(crate) fn page(&self, page: usize) -> &'static Page {
        &pages(self.set.get() % EDITIONS)[page]
    }

    /// A page, in a form, under the key that they make of that.
    pub(crate) fn which(&self, page: usize, form: usize) -> Which {
        let key = self.page(page).key;
        Which { page, form, key }
    }

    pub(crate) fn number(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }

    /// These increments are committed and acknowledged.
    pub(crate) fn increment(&self, increments: &[Increment]) {
        let named: Vec<_> = increments.iter().map(spelled).collect();
        self.trace(format!("increment of {}", named.join(", ")));
        let _ = self
            .cache()
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
            .cache()
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
        self.count_many("clock: set while something is under way", self.is_busy());
        self.model.borrow_mut().set_back(self.clock.now());
    }

    /// The clock is set forward: as if so much time had passed, but at once.
    pub(crate) fn set_forward(&self, by: Duration) {
        self.count_many("clock: set while something is under way", self.is_busy());
        self.advance(by);
    }

    fn is_busy(&self) -> u64 {
        let is_busy = !self.exchanges.borrow().is_empty();
        is_busy.into()
    }

    /// Other rules come into force; what has been begun by the old ones goes on by them.
    pub(crate) fn reload(&self) {
        let others = (0..SETS).filter(|set| *set != self.set.get());
        let others: Vec<_> = others.collect();
        let set = *self.rng.borrow_mut().choice(&others).expect("some");
        self.trace(format!("other rules: edition {}", set % EDITIONS));
        let under_way = self.exchanges.borrow().values().any(|it| it.task.is_some());
        self.count_many("reload: while a fill runs", under_way.into());
        self.set.set(set);
        self.model.borrow_mut().reloaded(pages(set % EDITIONS));
    }

    /// The process is killed, and another one starts: nothing is left of what was in memory, nor of what was under way.
    pub(crate) fn restart(&self) {
        self.trace("the sidecar is killed, and another one starts".into());
        let under_way = !self.exchanges.borrow().is_empty();
        self.count_many("restart: under way", under_way.into());
        self.tasks.clear();
        self.exchanges.borrow_mut().clear();
        self.note_evictions();
        let (cache, metrics) = empty(self.config, &self.clock);
        self.cache.replace(cache);
        self.metrics.replace(metrics);
        self.model.borrow_mut().restarted();
    }

    /// Values of the app's own come, for which others have to leave where there is little room.
    pub(crate) fn press(&self) {
        self.trace("values of the app's own press on the store".into());
        let (cache, number) = (self.cache(), self.number());
        for n in 0..PRESSING {
            let tag = Tag::parse(&format!("P:{number}-{n}")).expect("it is a tag");
            let object = Object {
                content_type: None,
                body: ".".repeat(PRESSURE).into(),
                tags: vec![tag.into()],
                life: Duration::from_secs(60),
            };
            let objects = cache.objects(self.rules());
            let name = format!("pressing {n}");
            let by = "PUT".into();
            let put = objects.put(&name, object, None, &by);
            let put = put.now_or_never().expect("nobody else is asked");
            put.expect("nothing changes meanwhile");
            self.model.borrow_mut().something_else_changed(); // one that is replaced has changed
        }
    }

    /// Drops what is of no use to anybody, tags that nothing carries any more among it.
    pub(crate) fn sweep(&self) {
        self.trace("sweep".into());
        let (before, ()) = (self.tags(), self.cache().sweep());
        self.count_many("tags: dropped", before.saturating_sub(self.tags()));
    }

    fn tags(&self) -> u64 {
        self.cache().measure();
        self.metrics.borrow().tags.get()
    }

    /// Counts what had to leave the store.
    pub(crate) fn note_evictions(&self) {
        let metrics = self.metrics.borrow();
        let left = metrics.evictions.each().map(|(_, left)| left).sum();
        self.count_many("evictions", left);
    }
}

fn empty(config: Config, clock: &Clock) -> (Cache, Metrics) {
    let metrics = Metrics::default();
    let others = Others {
        metrics: metrics.clone(),
        ..Others::default()
    };
    (Cache::among(config, clock.clone(), others), metrics)
}
