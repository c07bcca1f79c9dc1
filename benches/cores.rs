//! What two cores do to each other on the path of a hit: the same work on one core alone and on both at once. The second core
//! works on the same things or on others; what costs more then is what both write. In CPU time of each thread.
//!
//! A stand of its own for each thread is the measure of what the machine itself does to two cores at work.

#[path = "support/app.rs"]
mod app;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/time.rs"]
mod time;

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use criterion::measurement::Measurement;
use rustix::thread::{CpuSet, sched_setaffinity};
use tagalong::cache::{Cache, Lookup, Trust};
use tagalong::clock::Clock;
use tagalong::model::outcome::Outcome;
use tagalong::model::request::Head;
use tagalong::rules::{LiveRules, Plan, Query, Rule};
use tagalong::store::Uses;
use tokio::runtime::Runtime;

use crate::sidecar::Sidecar;
use crate::time::ThreadTime;

/// A rule for each thread, and its page under it. The last is for all that no other matches.
const RULES: &str =
    "rules:\n  - { id: a, match: { path: '/a/*' } }\n  - { id: b, match: { path: '/b/*' } }\n";

/// What the threads ask for: one page; two pages of one rule; a page and a rule each.
const SAME: [&str; 2] = ["/a/1", "/a/1"];
const PAGES: [&str; 2] = ["/a/1", "/a/2"];
const RULES_TOO: [&str; 2] = ["/a/1", "/b/1"];

/// How often each case is measured, alone and together by turns.
const ROUNDS: usize = 15;

/// How long each time.
const LONG: Duration = Duration::from_millis(60);

/// Between two looks at the clock.
const BATCH: u64 = 64;

const HIT: Outcome = Outcome::Hit {
    ttl: 60,
    stale: None,
};

type Work = Box<dyn FnMut()>;

/// What a thread does over and over, made in that thread, which is the first or the second.
struct Case {
    what: &'static str,
    who: &'static str,
    make: Box<dyn Fn(usize) -> Work + Send + Sync>,
}

fn case(
    what: &'static str,
    who: &'static str,
    make: impl Fn(usize) -> Work + Send + Sync + 'static,
) -> Case {
    let make = Box::new(make);
    Case { what, who, make }
}

/// A sidecar that has stored the pages. Its own runtime stands still: each thread has one for its client.
struct Stand {
    sidecar: Sidecar,
    cache: Cache,
    rules: LiveRules,
    _runtime: Runtime,
}

impl Stand {
    fn new(app: SocketAddr) -> Arc<Stand> {
        let runtime = sidecar::runtime();
        let (sidecar, cache, rules) = runtime.block_on(async { Sidecar::new(app, RULES) });
        runtime.block_on(async {
            let mut client = sidecar.client();
            for path in [SAME, PAGES, RULES_TOO].into_iter().flatten() {
                client.learn(path, "", "200 OK", "hit").await;
            }
        });
        Arc::new(Stand {
            sidecar,
            cache,
            rules,
            _runtime: runtime,
        })
    }

    /// Whole hits, of a client and a runtime of the thread's own.
    fn hits(self: &Arc<Self>, path: &str) -> Work {
        let runtime = sidecar::runtime();
        let (mut client, question) = runtime.block_on(async {
            let mut client = self.sidecar.client();
            let question = client.learn(path, "", "200 OK", "hit").await;
            (client, question)
        });
        Box::new(move || runtime.block_on(client.ask(&question)))
    }

    fn query(&self, path: &str) -> (Arc<Head>, Query) {
        let head = head(path);
        match self.rules.load().plan(&head, Clock::System.now()) {
            Plan::Lookup(query) => (head, query),
            Plan::Pass(_) => unreachable!("a GET is looked up"),
        }
    }

    fn lookups(self: &Arc<Self>, path: &str) -> Work {
        let ((head, query), stand) = (self.query(path), Arc::clone(self));
        Box::new(move || {
            let cache = &stand.cache;
            let found = cache.lookup(black_box(&query), &head, None, Trust::Full);
            assert!(matches!(found, Lookup::Hit(..)), "it is stored");
        })
    }

    fn plans(self: &Arc<Self>, path: &str) -> Work {
        let (head, stand, now) = (head(path), Arc::clone(self), Clock::System.now());
        Box::new(move || {
            let rules = stand.rules.load();
            black_box(rules.plan(black_box(&head), now));
        })
    }

    fn loads(self: &Arc<Self>) -> Work {
        let stand = Arc::clone(self);
        Box::new(move || {
            black_box(stand.rules.load());
        })
    }

    /// A look at the entry's tags, and nothing else of it.
    fn checks(self: &Arc<Self>, path: &str) -> Work {
        let (head, query) = self.query(path);
        let cache = &self.cache;
        let Lookup::Hit(stored, _) = cache.lookup(&query, &head, None, Trust::Full) else {
            unreachable!("it is stored");
        };
        // The versions are compared first, and nothing is written where they hold.
        let now = Clock::System.now();
        Box::new(move || {
            black_box(black_box(&stored).ttl(now));
        })
    }

    fn counts(self: &Arc<Self>, path: &str) -> Work {
        let rule: Arc<Rule> = self.query(path).1.rule;
        Box::new(move || rule.count(black_box(HIT), black_box(Duration::from_micros(7))))
    }

    fn clones(self: &Arc<Self>, path: &str) -> Work {
        let rule: Arc<Rule> = self.query(path).1.rule;
        Box::new(move || {
            black_box(Arc::clone(black_box(&rule)));
        })
    }
}

fn head(path: &str) -> Arc<Head> {
    let request = http::Request::get(path).header("host", "shop.example");
    let parts = request.body(()).expect("a request").into_parts().0;
    Arc::new(Head::new(parts, "http").expect("it is for a host"))
}

/// One of the two, for the first and the second thread.
fn of<T: Copy>(two: [T; 2], thread: usize) -> T {
    *two.get(thread).expect("there are two threads")
}

fn cases() -> Vec<Case> {
    let app = app::start();
    let stands = [Stand::new(app), Stand::new(app)];
    let stand = stands.first().expect("two");
    let mut all = Vec::new();
    let whole = stands.clone();
    all.push(case("a whole hit", "a sidecar each", move |thread| {
        let own = whole.get(thread).expect("two");
        own.hits(of(RULES_TOO, thread))
    }));
    for (who, paths) in [
        ("other entries and rules", RULES_TOO),
        ("other entries of one rule", PAGES),
        ("the same entry", SAME),
    ] {
        let stand = Arc::clone(stand);
        let make = move |thread| stand.hits(of(paths, thread));
        all.push(case("a whole hit", who, make));
    }
    for (who, paths) in [("other rules", RULES_TOO), ("the same rule", SAME)] {
        let planned = Arc::clone(stand);
        let make = move |thread| planned.plans(of(paths, thread));
        all.push(case("rules loaded, plan", who, make));
    }
    let loaded = Arc::clone(stand);
    all.push(case("rules loaded", "the same set", move |_| {
        loaded.loads()
    }));
    for (who, paths) in [("other rules", RULES_TOO), ("the same rule", SAME)] {
        let cloned = Arc::clone(stand);
        let make = move |thread| cloned.clones(of(paths, thread));
        all.push(case("the count of a rule's users", who, make));
    }
    for (who, paths) in [("other entries", RULES_TOO), ("the same entry", SAME)] {
        let looked = Arc::clone(stand);
        let make = move |thread| looked.lookups(of(paths, thread));
        all.push(case("lookup", who, make));
    }
    let checked = Arc::clone(stand);
    let make = move |thread| checked.checks(of(SAME, thread));
    all.push(case("tags and life of an entry", "the same entry", make));
    for (who, paths) in [("other rules", RULES_TOO), ("the same rule", SAME)] {
        let counted = Arc::clone(stand);
        let make = move |thread| counted.counts(of(paths, thread));
        all.push(case("counters of a hit", who, make));
    }
    let shared = Arc::new(Uses::default());
    all.push(case("one addition", "the same number", move |_| {
        let uses = Arc::clone(&shared);
        Box::new(move || uses.note())
    }));
    all.push(case("one addition", "a number each", |_| {
        let uses = Box::new(Uses::default());
        Box::new(move || uses.note())
    }));
    all
}

fn main() {
    let cases = cases();
    println!("| what | on both cores | alone, ns | together, ns | ratio | lowest–highest |");
    println!("|---|---|---|---|---|---|");
    for case in &cases {
        let rounds = (0..ROUNDS).map(|_| [run(case, 1), run(case, 2)]);
        let rounds: Vec<[f64; 2]> = rounds.collect();
        let alone = median(rounds.iter().map(|[alone, _]| *alone).collect());
        let together = median(rounds.iter().map(|[_, both]| *both).collect());
        let mut ratios: Vec<f64> = rounds.iter().map(|[alone, both]| both / alone).collect();
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (ratios.first().copied(), ratios.last().copied());
        println!(
            "| {} | {} | {alone:.1} | {together:.1} | {:.2} | {:.2}–{:.2} |",
            case.what,
            case.who,
            median(ratios),
            low.unwrap_or_default(),
            high.unwrap_or_default(),
        );
    }
}

/// Nanoseconds of CPU that each takes with so many threads at work, each on a core of its own; of the slower one.
fn run(case: &Case, threads: usize) -> f64 {
    let start = Barrier::new(threads);
    let working = AtomicU64::new(threads as u64);
    let all: Vec<f64> = thread::scope(|scope| {
        let each = |thread| {
            let (start, working) = (&start, &working);
            scope.spawn(move || work(case, thread, start, working))
        };
        let running: Vec<_> = (0..threads).map(each).collect();
        let ended = running.into_iter().map(|it| it.join().expect("it ends"));
        ended.collect()
    });
    all.into_iter().fold(0.0, f64::max)
}

/// Works for a while, and then on until all have: nobody's last bit is measured with nobody beside it.
fn work(case: &Case, thread: usize, start: &Barrier, working: &AtomicU64) -> f64 {
    let mut core = CpuSet::new();
    core.set(thread);
    sched_setaffinity(None, &core).expect("there are two cores");
    let mut run = (case.make)(thread);
    let mut batch = || (0..BATCH).for_each(|_| run());
    batch();
    start.wait();
    let ran = ThreadTime::default();
    let (began, clock) = (ran.start(), Clock::System.anchor());
    let mut batches = 0_u64;
    while clock.elapsed() < LONG {
        batch();
        batches += 1;
    }
    let took = ran.end(began);
    working.fetch_sub(1, Ordering::Relaxed);
    while working.load(Ordering::Relaxed) > 0 {
        batch();
    }
    took.as_secs_f64() * 1e9 / (batches * BATCH) as f64
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or_default()
}
