//! What it costs to plan a request, by how many rules there are and which of them matches. In CPU time of the thread: what
//! else runs on the machine does not count.

#[path = "support/time.rs"]
mod time;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use tagalong::model::request::Head;
use tagalong::model::time::Timestamp;
use tagalong::rules::{Context, RuleSet};

use crate::time::ThreadTime;

/// None of the tokens here is verified by the time.
const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

/// The `n`th rule of a set: kinds by turns, as sets of rules have them.
fn rule(n: usize) -> String {
    match n % 5 {
        0 => format!("  - {{ id: r{n}, match: {{ path: '/area{n}/list' }} }}\n"),
        1 => format!("  - {{ id: r{n}, match: {{ path: '/area{n}/*' }} }}\n"),
        2 => format!(
            "  - {{ id: r{n}, match: {{ path: '/area{n}/(?P<id>\\d+)' }}, vary_on: {{ captures: [id] }} }}\n"
        ),
        3 => format!("  - {{ id: r{n}, match: {{ path: '/(?P<lang>[a-z]+)/area{n}(/.*)?' }} }}\n"),
        _ => format!(
            "  - {{ id: r{n}, match: {{ path: '/products/*', hosts: ['shop{n}.example'] }} }}\n"
        ),
    }
}

/// A request that the `n`th rule matches.
fn request(n: usize) -> Head {
    let (host, path) = match n % 5 {
        0 => ("shop.example", format!("/area{n}/list")),
        1 => ("shop.example", format!("/area{n}/some/thing")),
        2 => ("shop.example", format!("/area{n}/4211")),
        3 => ("shop.example", format!("/en/area{n}/things")),
        _ => (&*format!("shop{n}.example"), "/products/4211".to_owned()),
    };
    head(host, &path)
}

fn head(host: &str, path: &str) -> Head {
    let request = Request::get(path)
        .header("host", host)
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header(
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )
        .header("accept-language", "de,en-US;q=0.7,en;q=0.3")
        .header("accept-encoding", "gzip, deflate, br, zstd");
    let parts = request.body(()).expect("a request").into_parts().0;
    Head::new(parts, "http").expect("it is for a host")
}

/// A set of so many rules, of which the one at `first` is the `n`th of its kind: the same request, so that sets are compared
/// and not kinds of rules.
fn rules(count: usize, at: usize, n: usize) -> RuleSet {
    let others = (1_000..).filter(|other| *other != n);
    let mut text: Vec<String> = others.take(count - 1).map(rule).collect();
    text.insert(at, rule(n));
    let files = [(
        "rules.yaml".to_owned(),
        format!("rules:\n{}", text.concat()),
    )];
    RuleSet::compile(&files, &Context::new("bench")).expect("rules")
}

fn plan(c: &mut Criterion<ThreadTime>) {
    const KINDS: [&str; 5] = [
        "exact path",
        "glob",
        "captures",
        "text behind a capture",
        "host",
    ];
    for (n, kind) in KINDS.iter().enumerate() {
        let mut group = c.benchmark_group(format!("plan, {kind}"));
        let matched = request(n);
        let unmatched = head("other.example", "/nothing/like/it");
        for count in [1, 10, 1_000] {
            for (place, at) in [("first", 0), ("middle", count / 2), ("last", count - 1)] {
                if count == 1 && at == 0 && place != "first" {
                    continue;
                }
                let set = rules(count, at, n);
                let id = format!("r{n}");
                assert_eq!(set.plan(&matched, NOW).rule().id.as_deref(), Some(&*id));
                group.bench_function(format!("{count} rules, {place}"), |b| {
                    b.iter(|| set.plan(black_box(&matched), NOW));
                });
            }
            let set = rules(count, 0, n);
            assert_eq!(set.plan(&unmatched, NOW).rule().id, None);
            group.bench_function(format!("{count} rules, none"), |b| {
                b.iter(|| set.plan(black_box(&unmatched), NOW));
            });
        }
        group.finish();
    }
}

/// A query of so many parameters, of which the rule names some, drops some and has a default for one.
fn parameters(c: &mut Criterion<ThreadTime>) {
    let rule = "rules:\n  - { id: q, vary_on: { query: { params: [{ name: p7 }, { name: z, default: '1' }], drop: ['utm_*'] } } }\n";
    let files = [("rules.yaml".to_owned(), rule.to_owned())];
    let set = RuleSet::compile(&files, &Context::new("bench")).expect("rules");
    let mut group = c.benchmark_group("plan, parameters in the query");
    for count in [10, 100, 1_000, 10_000] {
        let query: Vec<String> = (0..count).rev().map(|n| format!("p{n}")).collect();
        let head = head("shop.example", &format!("/q?{}", query.join("&")));
        group.throughput(Throughput::Elements(count));
        group.bench_function(count.to_string(), |b| {
            b.iter(|| set.plan(black_box(&head), NOW))
        });
    }
    group.finish();
}

fn load(c: &mut Criterion<ThreadTime>) {
    let text: String = (0..1_000).map(rule).collect();
    let files = [("rules.yaml".to_owned(), format!("rules:\n{text}"))];
    let context = Context::new("bench");
    let mut group = c.benchmark_group("load");
    group.sample_size(10);
    group.bench_function("1000 rules", |b| {
        b.iter(|| RuleSet::compile(black_box(&files), &context).expect("rules"));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ThreadTime::default());
    targets = plan, parameters, load
}
criterion_main!(benches);
