//! The steps of a hit, each by itself, and the hit as a whole: what `benches/steps.rs` takes the time of and
//! `benches/instructions.rs` counts the instructions of.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tagalong::body::Body;
use tagalong::cache::{Cache, Fill, Keep, Lookup, Trust};
use tagalong::clock::Clock;
use tagalong::dialects::{self, Dialects};
use tagalong::model::key::KeyFields;
use tagalong::model::request::Head;
use tagalong::model::tag::TagLimits;
use tagalong::model::time::Timestamp;
use tagalong::policy::{self, Declared, Times, Verdict};
use tagalong::rules::{LiveRules, Plan, Query};
use tokio::runtime::Runtime;

use crate::app;
use crate::sidecar::{self, Client, Question, Sidecar};

/// Something to be measured: its name, and once more of it.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut()>,
}

/// The page that all of this is about; it falls under the default rule.
const PAGE: &str = "/products/1?page=2";

/// The page that is stored again and again.
const STORED: &str = "/products/2?page=2";

/// As a browser sends them.
const LINES: &str = "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    accept-language: de,en-US;q=0.7,en;q=0.3\r\naccept-encoding: gzip, deflate, br, zstd\r\n";

/// What a response says of itself.
const SAID: [(&str, &str); 4] = [
    ("content-type", "text/html; charset=utf-8"),
    ("etag", "\"v1\""),
    ("cache-control", "max-age=90000"),
    ("cache-tag", "product:1, category:7, products"),
];

const LIMITS: TagLimits = TagLimits {
    max_tags: 256,
    max_tag_bytes: 16 << 10,
};

/// A sidecar that has stored the page, with all that runs it.
struct Stage {
    runtime: Runtime,
    sidecar: Sidecar,
    cache: Cache,
    rules: LiveRules,
    head: Arc<Head>,
    query: Query,
}

impl Stage {
    fn new() -> Rc<Stage> {
        let runtime = sidecar::runtime();
        let app = app::start();
        let (sidecar, cache, rules) = runtime.block_on(async { Sidecar::new(app, "") });
        let head = head(PAGE, &[]);
        let query = query(&rules, &head);
        Rc::new(Stage {
            runtime,
            sidecar,
            cache,
            rules,
            head,
            query,
        })
    }

    /// A client, and a question that is answered from the store.
    fn asking(&self, lines: &str, status: &'static str) -> (Client, Question) {
        self.runtime.block_on(async {
            let mut client = self.sidecar.client();
            let lines = format!("{LINES}{lines}");
            let question = client.learn(PAGE, &lines, status, "hit").await;
            (client, question)
        })
    }
}

/// All of them. The first one does nothing: what it costs to be measured.
pub(crate) fn all() -> Vec<Step> {
    let stage = Stage::new();
    let hit = asked(&stage, "", "200 OK");
    let not_modified = asked(&stage, "if-none-match: \"v1\"\r\n", "304 Not Modified");
    let step = |name, run| Step { name, run };
    vec![
        step("nothing", Box::new(|| ())),
        step("plan", plan(&stage)),
        step("key", Box::new(key)),
        step("lookup", lookup(&stage)),
        step("parse", parse()),
        step("store", store(&stage)),
        step("hit", hit),
        step("304", not_modified),
    ]
}

fn query(rules: &LiveRules, head: &Head) -> Query {
    match rules.load().plan(head, Clock::System.now()) {
        Plan::Lookup(query) => query,
        Plan::Pass(_) => unreachable!("a GET is looked up"),
    }
}

/// The head of a request for this page, as a browser sends it; with these further fields.
fn head(page: &str, more: &[(&str, &str)]) -> Arc<Head> {
    let lines = LINES.lines().filter_map(|line| line.split_once(": "));
    let mut request = Request::get(page).header("host", "shop.example");
    for (name, value) in lines.chain(more.iter().copied()) {
        request = request.header(name, value);
    }
    let parts = request.body(()).expect("a request").into_parts().0;
    Arc::new(Head::new(parts, "http").expect("it is for a host"))
}

/// Which rule, which key.
fn plan(stage: &Rc<Stage>) -> Box<dyn FnMut()> {
    let (stage, now) = (Rc::clone(stage), Clock::System.now());
    let rules = stage.rules.load();
    Box::new(move || {
        black_box(rules.plan(black_box(&stage.head), now));
    })
}

/// The fields of a plain key, and their hash.
fn key() {
    let mut fields = KeyFields::with_room(160);
    for (name, value) in [
        ("namespace", "tagalong"),
        ("epoch", "0"),
        ("method", "GET"),
        ("scheme", "http"),
        ("host", "shop.example"),
        ("path", "/products/1"),
        ("query", "page=2"),
    ] {
        fields.field(name, black_box(value));
    }
    black_box(fields.base_key().only_variant());
}

/// What is stored, whether it is fresh, and whether its tags have changed: three of the app's, and those of the cache itself.
fn lookup(stage: &Rc<Stage>) -> Box<dyn FnMut()> {
    let stage = Rc::clone(stage);
    Box::new(move || {
        let cache = &stage.cache;
        let found = cache.lookup(black_box(&stage.query), &stage.head, None, Trust::Full);
        assert!(matches!(found, Lookup::Hit(..)), "it is stored");
    })
}

/// What a response says of tags, and for how long it is fresh; a copy of its head included.
fn parse() -> Box<dyn FnMut()> {
    let dialects = Dialects::new(dialects::Config::default());
    let headers = said();
    Box::new(move || {
        let mut headers = black_box(&headers).clone();
        let said = dialects.take(|| "http://shop.example".to_owned(), true, &mut headers);
        assert_eq!(said.tags.len(), 3);
        black_box(policy::is_impersonal(&headers, dialects.targeted()));
    })
}

/// A fill without the app: lookup by a client that wants a new response, what that says, judgement, sealed tags, put.
fn store(stage: &Rc<Stage>) -> Box<dyn FnMut()> {
    let stage = Rc::clone(stage);
    let head = head(STORED, &[("cache-control", "no-cache")]);
    let query = query(&stage.rules, &head);
    let dialects = Dialects::new(dialects::Config::default());
    let body = Bytes::from(vec![b'x'; 1_024]);
    Box::new(move || {
        let cache = &stage.cache;
        let found = cache.lookup(&query, black_box(&head), None, Trust::Full);
        let Lookup::Miss(mut fill, follower) = found else {
            unreachable!("the client wants a new one");
        };
        fill.set_out();
        let mut response = Response::new(Body::from(body.clone()));
        *response.headers_mut() = said();
        let (response, keep) = judged(&dialects, &fill, response, cache.now());
        let stored = fill.store(response, StatusCode::OK, keep).now_or_never();
        stored.expect("nothing is waited for");
        drop(follower);
    })
}

/// What is kept of a response, as `fetch` comes to it.
fn judged(
    dialects: &Dialects,
    fill: &Fill,
    response: Response<Body>,
    now: Timestamp,
) -> (Response<Body>, Keep) {
    let (mut parts, body) = response.into_parts();
    let (head, matched) = (fill.head(), fill.matched());
    let declared = Declared::of(matched, head, &parts);
    let signals = policy::signals(dialects, declared, head, &mut parts, LIMITS);
    let times = Times {
        sent: now,
        received: now,
    };
    let (terms, targeted) = (&matched.rule.terms, dialects.targeted());
    let verdict = policy::judge(terms, head, &parts, &signals, times, targeted);
    let Verdict::Store(store) = verdict else {
        unreachable!("it may be stored: {verdict:?}");
    };
    let keep = Keep {
        store,
        targeted: HeaderMap::new(),
        tags: signals.with_implicit(matched.implicit_tags(head)),
    };
    (Response::from_parts(parts, body), keep)
}

fn said() -> HeaderMap {
    let field = |(name, value)| {
        let name = http::HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    SAID.into_iter().map(field).collect()
}

/// The whole way: hyper reads the request, all of the proxy, hyper writes the answer; and the client, which copies both.
fn asked(stage: &Rc<Stage>, lines: &str, status: &'static str) -> Box<dyn FnMut()> {
    let (mut client, question) = stage.asking(lines, status);
    let stage = Rc::clone(stage);
    Box::new(move || stage.runtime.block_on(client.ask(&question)))
}
