//! The engine against a small reference: thousands of histories by chance, each out of one seed.
//!
//! A history is some dozens of steps: clients come, follow, read and leave; the app reads its data, answers late, fails
//! or is cut off; data changes, and increments are acknowledged at once, later, and again; time passes, and the clock is set back
//! and forward; the store drops what it has no room for; other rules come into force; the sidecar is killed and another one
//! starts. [`model`] knows what a client may get, and nothing of how the engine sees to it.
//!
//! `TAGALONG_SIM_SEEDS=100000` runs that many; `TAGALONG_SIM_SEED=7` runs one and prints all that happens in it.

mod app;
mod client;
mod exchange;
mod executor;
mod fetch;
mod history;
mod kept;
mod model;
mod pages;
mod sidecar;

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use fastrand::Rng;

use crate::simulation::history::History;
use crate::simulation::history::STEPS;
use crate::simulation::history::Step;
use crate::simulation::sidecar::Fixed;
use crate::simulation::sidecar::Seen;
use crate::simulation::sidecar::Sidecar;

/// How many histories run where nothing is said.
const SEEDS: u64 = 2_000;

/// Beyond those: one that broke a promise that nobody had given (what is ahead of the clock has its time from when it is looked at).
const ALSO: [u64; 1] = [2_181];

/// How many of the seeds that fail are listed.
const SHOWN: usize = 20;

/// What that many histories must have seen besides each kind of step: else they say little.
const MUST_OCCUR: [&str; 59] = [
    "again: raced",
    "alone",
    "body: cut",
    "body: whole",
    "clock: set while something is under way",
    "evicted",
    "evicted: one of several forms",
    "evictions",
    "fill: ahead",
    "fill: deserted",
    "fill: error for all",
    "fill: handed over",
    "fill: refresh",
    "fill: refresh, in vain",
    "fill: revalidated",
    "fill: spared",
    "fill: too large",
    "head: outdated",
    "head: renewed",
    "increment: in an answer",
    "joined",
    "outcome: Bypass(HitForMiss), passed",
    "outcome: Expired, raced",
    "outcome: Expired, revalidated",
    "outcome: Expired, stored",
    "outcome: Invalidated, raced",
    "outcome: Invalidated, stored",
    "outcome: Request, revalidated",
    "outcome: Request, stored",
    "outcome: UriMiss, no-freshness",
    "outcome: UriMiss, no-store",
    "outcome: UriMiss, old-version",
    "outcome: UriMiss, raced",
    "outcome: UriMiss, stored",
    "outcome: UriMiss, too-large",
    "outcome: VaryMiss, stored",
    "outcome: coalesce-timeout",
    "outcome: collapsed",
    "outcome: disconnected",
    "outcome: failed: Abandoned",
    "outcome: failed: Overloaded",
    "outcome: failed: TimedOut",
    "outcome: failed: Unreachable",
    "outcome: hit",
    "outcome: invalidated",
    "outcome: max-stale",
    "outcome: only-if-cached",
    "outcome: passed: Invalidated",
    "outcome: passed: UriMiss",
    "outcome: refused: waited",
    "outcome: soft-stale",
    "outcome: stale-if-error",
    "outcome: stale-while-revalidate",
    "reload: while a fill runs",
    "repeated",
    "restart: under way",
    "served: stored by other rules",
    "tags: dropped",
    "waited",
];

/// The steps that are nobody's wish.
const FAULTS: [Step; 10] = [
    Step::Cut,
    Step::Fail,
    Step::GiveUp,
    Step::Leave,
    Step::SetBack,
    Step::SetForward,
    Step::Press,
    Step::Sweep,
    Step::Reload,
    Step::Restart,
];

/// Everything that happened in a history, and how it ended.
struct Told {
    trace: Vec<String>,
    seen: Seen,
    end: Result<(), String>,
}

fn run(seed: u64, fixed: &Rc<Fixed>) -> Told {
    let trace = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::new(RefCell::new(Seen::new()));
    let told = (Rc::clone(&trace), Rc::clone(&seen));
    let end = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut rng = Rng::with_seed(seed);
        let sidecar = Rc::new(Sidecar::new(fixed, rng.fork(), told.0));
        let end = History::new(Rc::clone(&sidecar), rng).run();
        sidecar.tasks.clear();
        told.1.replace(sidecar.seen.take());
        end
    }));
    Told {
        trace: trace.take(),
        seen: seen.take(),
        end: end.unwrap_or_else(|_| Err("a panic, see above".into())),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the way to tell a test how much to do"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// What a run amounts to, in a line.
fn summary(seeds: u64, seen: &Seen) -> String {
    let all = |kind: &str| -> u64 {
        let of_kind = seen.iter().filter(|(what, _)| what.starts_with(kind));
        of_kind.map(|(_, times)| times).sum()
    };
    let faults = FAULTS.map(|fault| {
        let times = all(&format!("step: {fault:?}"));
        format!("{times} {fault:?}")
    });
    format!(
        "{seeds} histories, {} steps, {} answers; faults: {}, {} evictions",
        all("step: "),
        all("outcome: "),
        faults.join(", "),
        all("evictions")
    )
}

#[test]
fn no_history_breaks_what_the_cache_promises() {
    let fixed = Rc::new(Fixed::new());
    if let Some(seed) = number("TAGALONG_SIM_SEED") {
        let Told { trace, end, .. } = run(seed, &fixed);
        println!("{}", trace.join("\n"));
        return end.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    let seeds = number("TAGALONG_SIM_SEEDS").unwrap_or(SEEDS);
    let (mut seen, mut failed) = (Seen::new(), Vec::new());
    for seed in (0..seeds).chain(ALSO) {
        let told = run(seed, &fixed);
        if let Err(why) = told.end {
            if failed.is_empty() {
                println!("{}", told.trace.join("\n"));
            }
            failed.push((seed, why));
        }
        for (what, times) in told.seen {
            *seen.entry(what).or_default() += times;
        }
    }
    println!("{}", summary(seeds, &seen));
    for (what, times) in &seen {
        println!("{times:>8} {what}");
    }
    for (seed, why) in failed.iter().take(SHOWN) {
        println!("TAGALONG_SIM_SEED={seed}: {why}");
    }
    if let Some((seed, why)) = failed.first() {
        let all = failed.len();
        panic!("seed {seed}: {why} (its steps are above; {all} of {seeds} seeds fail)");
    }
    if seeds >= SEEDS {
        let steps = STEPS.map(|(_, step)| format!("step: {step:?}"));
        let must = MUST_OCCUR.iter().map(|what| (*what).to_owned());
        let never: Vec<_> = must
            .chain(steps)
            .filter(|what| !seen.contains_key(what))
            .collect();
        assert!(never.is_empty(), "never seen: {never:?}");
    }
}
