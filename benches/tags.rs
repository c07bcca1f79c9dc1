//! What an increment costs, whatever depends on the tag; and what a hit pays for its tags.

use futures_util::FutureExt;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use tagalong::clock::Clock;
use tagalong::metrics::Source;
use tagalong::model::tag::{Increment, Tag, Tagged};
use tagalong::tags::{Registered, Seals, Tags};

/// `entries` entries, all with the tag `hot` and two of their own, as responses have them.
fn filled(entries: usize) -> (Tags, Vec<Seals>) {
    let tags = Tags::new(Clock::System);
    let named = |name: String| Tagged::from(Tag::parse(&name).expect("a tag"));
    let seals = (0..entries)
        .map(|n| {
            let carried = [
                named("hot".into()),
                named(format!("user:{n}")),
                named(format!("page:{n}")),
            ];
            tags.seal(&carried, &tags.snapshot(), &Registered::default())
                .expect("nothing races here")
        })
        .collect();
    (tags, seals)
}

fn increment(c: &mut Criterion) {
    let mut group = c.benchmark_group("increment of a tag with dependents");
    let by: Arc<str> = "POST /users/42".into();
    let hot = [Increment::from(Tag::parse("hot").expect("a tag"))];
    for entries in [1, 100, 10_000, 100_000] {
        let (tags, seals) = filled(entries);
        group.bench_function(BenchmarkId::from_parameter(entries), |b| {
            b.iter(|| {
                tags.increment(black_box(&hot), &by, Source::Response)
                    .now_or_never()
            });
        });
        assert!(
            seals.iter().all(|seals| !seals.intact()),
            "all of them were forgotten"
        );
    }
    group.finish();
}

fn check(c: &mut Criterion) {
    let (_tags, seals) = filled(1);
    let one = seals.first().expect("one entry");
    c.bench_function("a hit checks three tags", |b| {
        b.iter(|| black_box(one).intact())
    });
}

fn seal(c: &mut Criterion) {
    let (tags, _seals) = filled(10_000);
    let mut n = 0;
    c.bench_function("a fill seals three tags", |b| {
        b.iter_batched(
            || {
                n = (n + 1) % 10_000;
                [format!("user:{n}"), format!("page:{n}"), "hot".into()]
                    .map(|name| Tagged::from(Tag::parse(&name).expect("a tag")))
            },
            |carried| tags.seal(&carried, &tags.snapshot(), &Registered::default()),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, increment, check, seal);
criterion_main!(benches);
