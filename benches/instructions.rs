//! The steps of a hit, so many times each, for callgrind to count: `make instructions`. Without callgrind it only shows that they
//! do what they say.
//!
//! Callgrind collects inside `counted_by_callgrind` and writes down what it has whenever that ends: once for each step, in the
//! order in which their names are printed, each with how often it ran.

#[path = "support/app.rs"]
mod app;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/steps.rs"]
mod steps;

use std::hint::black_box;

/// How often each step runs while it is counted. More would change the figures by less than a thousandth.
const TIMES: u32 = 200;

/// How often before that: what is allocated, looked up or built once is there then.
const FIRST: u32 = 20;

/// By this name callgrind knows when to count: alone, and never part of another function.
#[inline(never)]
fn counted_by_callgrind(run: &mut dyn FnMut()) {
    for _ in 0..TIMES {
        black_box(&mut *run)();
    }
}

fn main() {
    for step in steps::all() {
        let mut run = step.run;
        for _ in 0..FIRST {
            run();
        }
        counted_by_callgrind(&mut run);
        println!("{} {TIMES}", step.name);
    }
}
