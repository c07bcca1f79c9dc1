//! What a request pays for being counted and measured: what `proxy` does for each, with and without counters behind it. The
//! app's side costs the same again, and a millisecond besides.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, Request, Uri};
use tagalong::clock::Clock;
use tagalong::metrics::Metrics;
use tagalong::model::outcome::Outcome;
use tagalong::model::request::Head;
use tagalong::rules::{Context, Rule, RuleSet};
use tagalong::telemetry::access::Seen;
use tagalong::telemetry::trace::{Step, Traces};

const HIT: Outcome = Outcome::Hit {
    ttl: 60,
    stale: None,
};

const RULES: &str = "rules:\n  - { id: page, match: { path: '/page/*' }, ttl: 60s }\n";

fn rules() -> RuleSet {
    let files = [("rules.yaml".to_owned(), RULES.to_owned())];
    RuleSet::compile(&files, &Context::new("bench")).expect("rules")
}

fn only(rules: &RuleSet) -> Arc<Rule> {
    Arc::clone(rules.rules().first().expect("there is one"))
}

fn head() -> Head {
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::from_static("/page/1");
    let host = http::HeaderValue::from_static("shop.example");
    request.headers_mut().insert(http::header::HOST, host);
    Head::new(request.into_parts().0, "http").expect("a host")
}

fn hit(c: &mut Criterion) {
    let mut group = c.benchmark_group("a hit");
    let (counted, uncounted) = (rules().counted(&Metrics::default()), rules());
    let (counted, uncounted) = (only(&counted), only(&uncounted));
    let clock = Clock::System;
    group.bench_function("clock read twice", |b| {
        b.iter(|| black_box(clock.anchor()).elapsed());
    });
    group.bench_function("counted and measured", |b| {
        b.iter(|| {
            let began = black_box(&clock).anchor();
            counted.count(black_box(HIT), began.elapsed());
        });
    });
    group.bench_function("neither", |b| {
        b.iter(|| uncounted.count(black_box(HIT), black_box(Duration::from_micros(70))));
    });
    let (head, traces) = (head(), Traces::default());
    group.bench_function("no log and no traces", |b| {
        b.iter(|| {
            let seen = Seen::of(black_box(&head), false);
            let mut span = black_box(&traces).request(&head, None);
            let place = span.place();
            drop(place.span(Step::Plan));
            drop(place.span(Step::Lookup));
            span.answered(http::StatusCode::OK);
            span.became("page", HIT);
            seen.log(HIT, http::StatusCode::OK, "page", Duration::ZERO, &span);
        });
    });
    group.finish();
}

/// Two threads count the same: what they pay for sharing the counters.
fn contended(c: &mut Criterion) {
    let rules = rules().counted(&Metrics::default());
    let rule = only(&rules);
    c.bench_function("counted, while another thread counts the same", |b| {
        let (stop, other) = (Arc::new(()), Arc::clone(&rule));
        let running = Arc::downgrade(&stop);
        let thread = std::thread::spawn(move || {
            while running.strong_count() > 0 {
                other.count(black_box(HIT), Duration::from_micros(70));
            }
        });
        b.iter(|| rule.count(black_box(HIT), black_box(Duration::from_micros(70))));
        drop(stop);
        thread.join().expect("it ends");
    });
}

fn told(c: &mut Criterion) {
    let metrics = Metrics::default();
    let text: String = (0..100)
        .map(|n| format!("  - {{ id: r{n}, match: {{ path: /r{n} }}, ttl: 60s }}\n"))
        .collect();
    let files = [("rules.yaml".to_owned(), format!("rules:\n{text}"))];
    let set = RuleSet::compile(&files, &Context::new("bench")).expect("rules");
    let set = set.counted(&metrics);
    for rule in set.rules() {
        rule.count(HIT, Duration::from_micros(70));
    }
    c.bench_function("/metrics of a hundred rules", |b| b.iter(|| metrics.text()));
}

criterion_group!(benches, hit, contended, told);
criterion_main!(benches);
