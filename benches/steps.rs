//! What the steps of a hit take, each by itself, and what all of it takes without a kernel between: `instructions` counts the
//! same.

#[path = "support/app.rs"]
mod app;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/steps.rs"]
mod steps;
#[path = "support/time.rs"]
mod time;

use criterion::{Criterion, criterion_group, criterion_main};

use crate::time::ThreadTime;

fn each(c: &mut Criterion<ThreadTime>) {
    for step in steps::all() {
        let mut run = step.run;
        c.bench_function(step.name, |b| b.iter(&mut run));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ThreadTime::default());
    targets = each
}
criterion_main!(benches);
