//! What is stored is bounded in bytes (L10): by what it takes. Of every kind of response some are stored, and what the store counts is
//! held to what was allocated for them and not freed.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use tagalong::body::Body;
use tagalong::cache::{self, Cache, Keep, Lookup, Trust};
use tagalong::clock::Clock;
use tagalong::dialects::{self, Dialects};
use tagalong::metrics::Metrics;
use tagalong::model::request::Head;
use tagalong::model::tag::TagLimits;
use tagalong::policy::{self, Declared, Times, Verdict};
use tagalong::rules::{Context, Plan, RuleSet};

/// So many come before those that are counted: what all have alike is there then.
const FIRST: usize = 1_000;

/// So many are counted: of 1,000 what is taken wandered by 3 % from run to run, of these by half a percent.
const COUNTED: usize = 4_000;

/// Where the store says what it counts.
const COUNTED_BYTES: &str = "tagalong_store_bytes{tier=\"memory\"}";

/// What is counted may be so much less than what is taken, as a share.
const LESS: f64 = 0.10;

const LIMITS: TagLimits = TagLimits {
    max_tags: 256,
    max_tag_bytes: 16 << 10,
};

/// A rule that asks again for what was invalidated.
const REFRESHED: &str =
    "rules: [{ id: again, match: { path: '/again/*' }, on_invalidate: { mode: refresh } }]";

/// Responses that have something in common.
struct Kind {
    name: &'static str,
    /// Of the path of the first, without its number; the rule goes by it.
    path: &'static str,
    /// Of the body, in bytes.
    body: usize,
    /// The fields of the one with this number.
    fields: fn(usize) -> Vec<(String, String)>,
    /// Fields for this cache alone.
    targeted: &'static [(&'static str, &'static str)],
    /// What is counted may be so much more than what is taken, as a share: sizes are rounded up as the allocator of the program has
    /// them, and this one does not.
    more: f64,
}

const PLAIN: Kind = Kind {
    name: "1 KiB",
    path: "/page/",
    body: 1_024,
    fields: |_| Vec::new(),
    targeted: &[],
    more: 0.20,
};

const KINDS: [Kind; 8] = [
    PLAIN,
    Kind {
        name: "no body",
        body: 0,
        ..PLAIN
    },
    Kind {
        name: "16 KiB",
        body: 16 << 10,
        more: 0.03,
        ..PLAIN
    },
    Kind {
        name: "names of its own",
        body: 0,
        more: 0.40, // each is a piece of its own, and that of a name which everybody knows is counted, too
        fields: |n| {
            let field = |at: usize| (format!("x-own-{n}-{at}"), "1".to_owned());
            (0..20).map(field).collect()
        },
        ..PLAIN
    },
    Kind {
        name: "long values",
        body: 0,
        fields: |n| vec![("link".to_owned(), format!("<{n}{}>", "x".repeat(700)))],
        ..PLAIN
    },
    Kind {
        name: "fields for the cache alone",
        body: 0,
        targeted: &[("tagalong-cache-control", "max-age=60, stale-if-error=600")],
        ..PLAIN
    },
    Kind {
        name: "selected by fields of its own",
        body: 0,
        more: 1.00, // of the response and of the note which leads to it, as either may leave before the other
        fields: |n| {
            let names = (0..8).map(|at| format!("x-{n}-{at}"));
            vec![("vary".to_owned(), names.collect::<Vec<_>>().join(", "))]
        },
        ..PLAIN
    },
    Kind {
        name: "asked for again by nobody",
        path: "/again/a-path-that-is-as-long-as-clients-like-them-to-be/with-many-words-in-it/and?n=",
        body: 0,
        ..PLAIN
    },
];

#[test]
fn l10_what_is_counted_is_what_is_taken() {
    let mut wrong = Vec::new();
    for kind in &KINDS {
        let (taken, counted) = weighed(kind);
        let share = counted / taken - 1.0;
        if !(-LESS..kind.more).contains(&share) {
            let name = kind.name;
            wrong.push(format!("{name}: {taken:.0} taken, {counted:.0} counted"));
        }
    }
    assert!(wrong.is_empty(), "bytes each: {wrong:#?}");
}

/// What one of them takes and what is counted, in bytes.
fn weighed(kind: &Kind) -> (f64, f64) {
    let metrics = Metrics::default();
    let store = Store::new(&metrics);
    let counted = || {
        store.cache.measure();
        let text = metrics.text();
        let line = |line: &str| line.strip_prefix(COUNTED_BYTES)?.trim().parse().ok();
        let bytes: Option<f64> = text.lines().find_map(line);
        bytes.expect("it is told")
    };
    (0..FIRST).for_each(|n| store.put(kind, n));
    let before = counted();
    let taken = allocation_counter::measure(|| {
        (FIRST..FIRST + COUNTED).for_each(|n| store.put(kind, n));
    });
    let each = |bytes: f64| bytes / COUNTED as f64;
    (each(taken.bytes_current as f64), each(counted() - before))
}

/// A cache and what comes before it, without an app.
struct Store {
    cache: Cache,
    rules: RuleSet,
    dialects: Dialects,
}

impl Store {
    fn new(metrics: &Metrics) -> Store {
        let sizes = cache::Config {
            max_bytes: 1 << 30,
            max_object: 8 << 20,
            max_variants: 64,
        };
        let others = cache::Others {
            metrics: metrics.clone(),
            ..cache::Others::default()
        };
        let files = [("rules.yaml".to_owned(), REFRESHED.to_owned())];
        let rules = RuleSet::compile(&files, &Context::new("weighed")).expect("rules");
        Store {
            cache: Cache::among(sizes, Clock::System, others),
            rules: rules.counted(metrics),
            dialects: Dialects::new(dialects::Config::default()),
        }
    }

    /// Stores one, as `fetch` would.
    fn put(&self, kind: &Kind, number: usize) {
        let uri = format!("{}{number:06}", kind.path);
        let request = Request::get(uri).header("host", "shop.example").body(());
        let parts = request.expect("a request").into_parts().0;
        let head = Arc::new(Head::new(parts, "http").expect("it is for a host"));
        let Plan::Lookup(query) = self.rules.plan(&head, self.cache.now()) else {
            unreachable!("a GET is looked up");
        };
        let found = self.cache.lookup(&query, &head, None, Trust::Full);
        let Lookup::Miss(mut fill, _follower) = found else {
            unreachable!("each is another");
        };
        fill.set_out();
        let mut parts = Response::new(()).into_parts().0;
        let usual = [
            ("content-type", "text/html; charset=utf-8".to_owned()),
            ("etag", "\"v1\"".to_owned()),
            ("cache-control", "max-age=90000".to_owned()),
            (
                "cache-tag",
                format!("product:{number}, category:{}, products", number % 10),
            ),
        ];
        let usual = usual.map(|(name, value)| (name.to_owned(), value));
        for (name, value) in usual.into_iter().chain((kind.fields)(number)) {
            let name = HeaderName::try_from(name).expect("a name");
            parts.headers.append(name, value.parse().expect("a value"));
        }
        let declared = Declared::of(fill.matched(), &head, &parts);
        let signals = policy::signals(&self.dialects, declared, &head, &mut parts, LIMITS);
        let now = self.cache.now();
        let times = Times {
            sent: now,
            received: now,
        };
        let targeted = self.dialects.targeted();
        let terms = &fill.matched().rule.terms;
        let verdict = policy::judge(terms, &head, &parts, &signals, times, targeted);
        let Verdict::Store(store) = verdict else {
            unreachable!("it may be stored: {verdict:?}");
        };
        let field = |&(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let keep = Keep {
            store,
            targeted: kind.targeted.iter().map(field).collect::<HeaderMap>(),
            tags: signals.with_implicit(fill.matched().implicit_tags(&head)),
        };
        let body = Body::from(Bytes::from(vec![b'x'; kind.body]));
        let stored = fill.store(Response::from_parts(parts, body), StatusCode::OK, keep);
        stored.now_or_never().expect("nothing is waited for");
    }
}
