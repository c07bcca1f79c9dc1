//! Calls of operators, of any bytes, and what must hold of what is answered and of what becomes of what is stored.
//!
//! The input is calls, a line `---` between two, as a person would write a seed: method and target; fields; an empty line; the body.
//! Who names no host names this machine, and a body that does not say what it is says that it is JSON, so that the fuzzer gets past
//! both. The sidecar has three values of the app's own in its memory, shares nothing, and its app is away.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tagalong::admin;
use tagalong::admin::Admin;
use tagalong::admin::Calls;
use tagalong::admin::view;
use tagalong::audit::Audit;
use tagalong::cache;
use tagalong::cache::Cache;
use tagalong::cache::Filter;
use tagalong::clock::Clock;
use tagalong::dialects;
use tagalong::dialects::Dialects;
use tagalong::fetch;
use tagalong::fetch::Fetch;
use tagalong::metrics::Metrics;
use tagalong::model::glob::Glob;
use tagalong::model::health::Checkup;
use tagalong::model::health::Health;
use tagalong::model::health::Phase;
use tagalong::model::purge::PurgeGroup;
use tagalong::model::tag::Tag;
use tagalong::model::tag::TagLimits;
use tagalong::model::time::Timestamp;
use tagalong::rules::Context;
use tagalong::rules::LiveRules;
use tagalong::rules::RuleSet;
use tagalong::upstream;
use tagalong::upstream::Upstream;
use tokio::runtime::Builder;

use super::fields::fields;

/// The most calls of one input.
const MOST_CALLS: usize = 4;

/// Everything listed is on one page.
const ALL: usize = 1_000;

/// When the calls are made.
const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

const RULES: &str = r"
rules:
  - id: page
    match: { path: '/page/*' }
    ttl: 60s
    tags: ['Page:{query.id}', Pages]
    dimensions: { attrs: { size: '{query.size}', colour: '{query.colour}' } }
  - { id: constant, match: { path: '/constant/*' }, tags: [{ name: api, constant: 2 }] }
  - { id: never, match: { path: /never }, cache: false }
";

/// What the app keeps here, with its tags.
const VALUES: [(&str, &str); 3] = [
    ("one", "Page:1, Pages"),
    ("two", "Page:2, Pages"),
    ("three", "Other"),
];

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let calls = calls(input);
    if calls.is_empty() {
        return;
    }
    alone(async {
        let stage = Stage::new().await;
        for call in &calls {
            stage.made(call).await;
        }
    });
}

/// How many calls of an input are done, and not refused.
pub fn done(input: &[u8]) -> usize {
    let calls = calls(input);
    alone(async {
        let stage = Stage::new().await;
        let mut done = 0;
        for call in &calls {
            done += usize::from(stage.answer(call).await.status().is_success());
        }
        done
    })
}

/// On a runtime of its own, with which all that was begun ends.
fn alone<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

fn calls(input: &[u8]) -> Vec<Request<Bytes>> {
    let mut calls = Vec::new();
    let mut rest = Some(input);
    while let Some(text) = rest.filter(|_| calls.len() < MOST_CALLS) {
        let end = text.windows(5).position(|window| window == b"\n---\n");
        let (one, more) = match end {
            Some(end) => (&text[..end], Some(&text[end + 5..])),
            None => (text, None),
        };
        calls.extend(call(one));
        rest = more;
    }
    calls
}

fn call(text: &[u8]) -> Option<Request<Bytes>> {
    let end = text.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&text[..end], &text[end + 2..]),
        None => (text, &b""[..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let (method, target) = (first.next()?, first.next()?);
    let call = Request::builder().method(method).uri(target);
    let mut call = call.body(Bytes::copy_from_slice(body)).ok()?;
    let mut headers = fields(lines.take(64));
    headers
        .entry(header::HOST)
        .or_insert(HeaderValue::from_static("localhost"));
    if !body.is_empty() {
        let json = HeaderValue::from_static("application/json");
        headers.entry(header::CONTENT_TYPE).or_insert(json);
    }
    *call.headers_mut() = headers;
    Some(call)
}

/// A sidecar that calls are made to.
struct Stage {
    calls: Calls,
    cache: Cache,
    rules: LiveRules,
    metrics: Metrics,
}

/// What calls may change.
#[derive(Clone, Debug, PartialEq)]
struct State {
    epoch: u64,
    /// How many tags are known.
    tags: u64,
    /// How many increments there were.
    increments: usize,
    entries: Vec<Stored>,
}

#[derive(Clone, Debug, PartialEq)]
struct Stored {
    key: String,
    logical: Arc<str>,
    tags: Vec<Tag>,
    /// The newest version of them.
    newest: u64,
    fresh_until: Timestamp,
}

impl Stage {
    async fn new() -> Stage {
        let (clock, metrics) = (Clock::manual(NOW), Metrics::default());
        let files = [("rules.yaml".to_owned(), RULES.to_owned())];
        let rules = RuleSet::compile(&files, &Context::new("fuzz")).expect("these are right");
        let rules = LiveRules::new(rules.counted(&metrics));
        let sizes = cache::Config {
            max_bytes: 1 << 20,
            max_object: 64 << 10,
            max_variants: 8,
        };
        let others = cache::Others {
            metrics: metrics.clone(),
            ..cache::Others::default()
        };
        let cache = Cache::among(sizes, clock.clone(), others);
        let dialects = Arc::new(Dialects::new(dialects::Config::default()));
        let tag_limits = TagLimits {
            max_tags: 8,
            max_tag_bytes: 256,
        };
        let limits = fetch::Limits {
            max_object: sizes.max_object,
            tags: tag_limits,
            picked: sizes.max_object,
            ahead: sizes.max_object,
        };
        let away = "unix:/nowhere/app.sock".parse().expect("a place");
        let upstream = Upstream::new(upstream::Config::new(away), clock.clone());
        let of_fetch = Arc::clone(&dialects);
        let fetch = Fetch::new(upstream, cache.clone(), of_fetch, clock.clone(), limits);
        let menu = PurgeGroup::Tags(vec![Tag::parse("Pages").expect("a tag")]);
        let groups = [("menu", menu), ("everything", PurgeGroup::All)];
        let admin = Admin::new(admin::Parts {
            checkup: Arc::new(Well),
            cache: cache.clone(),
            fetch,
            metrics: metrics.clone(),
            rules: rules.clone(),
            files: None,
            purge_groups: groups.map(|(name, it)| (name.to_owned(), it)).into(),
            audit: Audit::new(clock, "fuzz", None),
            dialects,
            tag_limits,
            max_object: sizes.max_object,
            namespace: "fuzz".to_owned(),
            sidecar: "fuzz".to_owned(),
            max_bytes: sizes.max_bytes,
        });
        let here = admin::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            tokens: Vec::new(),
        };
        let stage = Stage {
            calls: Calls::new(admin, &here),
            cache,
            rules,
            metrics,
        };
        for (name, tags) in VALUES {
            let put = Request::put(format!("/v1/objects/{name}"))
                .header(header::HOST, "localhost")
                .header("tagalong-cache-control", "max-age=60")
                .header("cache-tag", tags);
            let put = put.body(Bytes::from_static(b"value")).expect("a call");
            assert_eq!(stage.answer(&put).await.status(), StatusCode::CREATED);
        }
        stage
    }

    async fn answer(&self, call: &Request<Bytes>) -> Response<Bytes> {
        let answer = self.calls.answer(call.clone()).await;
        answer.expect("an answer that is whole")
    }

    async fn get(&self, target: &str) -> Response<Bytes> {
        let call = Request::get(target).header(header::HOST, "localhost");
        let call = call.body(Bytes::new()).expect("a call");
        self.answer(&call).await
    }

    async fn state(&self) -> State {
        self.cache.measure();
        let page = self.cache.list(&Filter::default(), None, ALL).await;
        let page = page.expect("a list");
        let entries = page.entries.into_iter();
        State {
            epoch: self.rules.load().epoch(),
            tags: self.metrics.tags.get(),
            increments: self.cache.increments(ALL).len(),
            entries: entries
                .map(|it| Stored {
                    key: it.key.to_string(),
                    logical: it.logical,
                    newest: it
                        .tags
                        .iter()
                        .map(|(_, stamp)| stamp.get())
                        .max()
                        .unwrap_or(0),
                    tags: it.tags.into_iter().map(|(tag, _)| tag).collect(),
                    fresh_until: it.fresh_until,
                })
                .collect(),
        }
    }

    /// Makes a call: its answer is right, and so is what it has changed.
    async fn made(&self, call: &Request<Bytes>) {
        let before = self.state().await;
        let is_call = call.uri().path().starts_with("/v1/");
        if is_call && !is_safe(call) {
            self.of_another_page(call).await;
        }
        let answer = self.answer(call).await;
        let status = answer.status();
        is_an_answer(call, &answer);
        let after = self.state().await;
        // Looking changes nothing (L14); nor does what is refused, but for a value that was put too late.
        let is_put = call.uri().path().starts_with("/v1/objects/");
        let was_tried = is_put && status == StatusCode::CONFLICT;
        if is_safe(call) || !(status.is_success() || was_tried) {
            assert_eq!(after, before, "{call:?} is answered {status}");
        }
        if !is_safe(call) && is_call && status.is_success() {
            self.did(call, &answer, &before, &after).await;
        }
    }

    /// A page that a browser shows of somebody else's, or that has its own name point here, calls in vain.
    async fn of_another_page(&self, call: &Request<Bytes>) {
        for (field, value) in [
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://evil.example"),
            ("host", "evil.example"),
        ] {
            let mut call = call.clone();
            call.headers_mut()
                .insert(field, HeaderValue::from_static(value));
            let answer = self.answer(&call).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{call:?}");
        }
    }

    /// What a call has done that was to change something.
    async fn did(
        &self,
        call: &Request<Bytes>,
        answer: &Response<Bytes>,
        before: &State,
        after: &State,
    ) {
        let (path, body) = (call.uri().path(), call.body());
        match (call.method().as_str(), path) {
            ("POST", "/v1/tags/increment") => {
                let asked: view::IncrementRequest = asked(body);
                self.incremented(answer, before).await;
                only_what_carries(&asked.tags, asked.soft, before, after);
            }
            ("POST", "/v1/purge") => {
                let asked: view::PurgeRequest = asked(body);
                purged(&asked, before, after);
            }
            ("POST", "/v1/change") => {
                let _: view::ChangeRequest = asked(body);
                nothing_is_new(before, after);
            }
            ("POST", "/v1/refresh") => {
                let _: view::RefreshRequest = asked(body);
                assert_eq!(after, before, "nobody answers");
            }
            ("PUT", "/v1/epoch") => {
                let asked: view::Epoch = asked(body);
                assert_eq!(after.epoch, asked.epoch);
                assert!(before.epoch <= after.epoch);
            }
            ("PUT", _) => {
                let put = self.get(&target(call)).await;
                assert_eq!(put.status(), StatusCode::OK, "{call:?}");
                assert_eq!(put.body(), body);
                return; // traffic, which is counted
            }
            ("DELETE", path) if path.starts_with("/v1/objects/") => {
                let gone = self.get(&target(call)).await;
                assert_eq!(gone.status(), StatusCode::NOT_FOUND, "{call:?}");
                nothing_is_new(before, after);
                return;
            }
            ("DELETE", path) => {
                let key = path.rsplit('/').next().unwrap_or_default();
                let mut expected = before.entries.clone();
                expected.retain(|it| it.key != key);
                assert_eq!(after.entries, expected);
                return; // what was asked stands in its path
            }
            ("PATCH", _) => {
                let _: view::LifeRequest = asked(body);
                let keys = |state: &State| -> Vec<String> {
                    state.entries.iter().map(|it| it.key.clone()).collect()
                };
                assert_eq!(keys(after), keys(before));
                return;
            }
            (method, path) => panic!("what does {method} {path} change?"),
        }
        self.is_written_down(body).await;
    }

    /// Each tag has a version that is newer than all before it (L2), and that is what is told of it.
    async fn incremented(&self, answer: &Response<Bytes>, before: &State) {
        let told: view::Incremented = read(answer.body());
        assert_eq!(told.incremented, told.versions.len() as u64);
        let newest = before.entries.iter().map(|it| it.newest).max().unwrap_or(0);
        for (tag, version) in &told.versions {
            assert!(*version > newest, "{tag} has {version}, after {newest}");
            let path = utf8_percent_encode(tag, NON_ALPHANUMERIC);
            let now: view::TagState = read(self.get(&format!("/v1/tags/{path}")).await.body());
            assert_eq!((&now.tag, now.version), (tag, Some(*version)));
        }
    }

    /// Who has asked for what is known afterwards.
    async fn is_written_down(&self, body: &Bytes) {
        let page: view::AuditPage = read(self.get("/v1/audit?limit=1").await.body());
        let last = page.audit.first().expect("a record");
        let asked: Value = read(body);
        if asked.to_string().len() <= 1 << 10 {
            assert_eq!(last.target, asked);
        }
        assert_eq!(last.status, 200);
    }
}

#[derive(Debug)]
struct Well;

impl Checkup for Well {
    fn health(&self) -> Health {
        Health {
            phase: Phase::Serving,
            reasons: Vec::new(),
        }
    }
}

fn is_safe(call: &Request<Bytes>) -> bool {
    call.method().is_safe()
}

/// Path and query.
fn target(call: &Request<Bytes>) -> String {
    let target = call.uri().path_and_query();
    target.map_or_else(String::new, ToString::to_string)
}

/// What a body says; it says the same when it is written anew.
#[track_caller]
fn asked<T: DeserializeOwned + Serialize + PartialEq + Debug>(body: &Bytes) -> T {
    let asked: T = read(body);
    let text = serde_json::to_vec(&asked).expect("what was read is written");
    assert_eq!(read::<T>(&text), asked);
    asked
}

#[track_caller]
fn read<T: DeserializeOwned>(text: &[u8]) -> T {
    let read = serde_json::from_slice(text);
    read.unwrap_or_else(|error| panic!("{error}: {}", text.escape_ascii()))
}

/// What carries one of these tags answers nobody any more, and all the rest does.
fn only_what_carries(names: &[String], soft: bool, before: &State, after: &State) {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let carries = |it: &Stored| it.tags.iter().any(|tag| names.contains(tag.as_str()));
    let mut expected = before.entries.clone();
    expected.retain(|it| !carries(it));
    let mut kept = after.entries.clone();
    if soft {
        kept.retain(|it| !carries(it));
    }
    assert_eq!(kept, expected, "after {names:?}");
}

fn nothing_is_new(before: &State, after: &State) {
    let is_old = |it: &Stored| before.entries.contains(it);
    assert!(after.entries.iter().all(is_old), "{before:?}, {after:?}");
}

fn purged(asked: &view::PurgeRequest, before: &State, after: &State) {
    let soft = asked.soft;
    let of = |tag: &str| only_what_carries(&[tag.to_owned()], soft, before, after);
    if let Some(tags) = &asked.tags {
        only_what_carries(tags, soft, before, after);
    } else if asked.all.is_some() || asked.group.as_deref() == Some("everything") {
        of("~all");
    } else if asked.group.is_some() {
        of("Pages");
    } else if let Some(rule) = &asked.rule {
        of(&format!("~rule:{rule}"));
    } else if let Some(pattern) = &asked.matching {
        let glob = Glob::new(pattern);
        let mut expected = before.entries.clone();
        expected.retain(|it| !glob.matches(&it.logical));
        assert_eq!(after.entries, expected, "after {pattern:?}");
    } else {
        nothing_is_new(before, after);
    }
}

/// Whatever is called, the answer is of this moment, is what it says it is, and no mistake of ours.
fn is_an_answer(call: &Request<Bytes>, answer: &Response<Bytes>) {
    let (status, headers) = (answer.status(), answer.headers());
    assert!(!status.is_server_error(), "{call:?}: {answer:?}");
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(field("x-content-type-options"), Some("nosniff"));
    assert_eq!(field("cross-origin-resource-policy"), Some("same-origin"));
    assert!(field("content-security-policy").is_some());
    assert!(field("cache-control").is_some());
    if *call.method() == Method::HEAD {
        return;
    }
    if !status.is_success() {
        assert_eq!(
            field("content-type"),
            Some("application/problem+json"),
            "{call:?}: {answer:?}"
        );
        let problem: view::Problem = is_of(answer.body());
        assert_eq!(problem.status, status.as_u16());
        assert!(!problem.title.is_empty() && !problem.detail.is_empty());
        return;
    }
    let (path, body) = (call.uri().path(), answer.body());
    match (call.method().as_str(), path) {
        ("GET", "/v1/stats") => has::<view::Stats>(body),
        ("GET", "/v1/rules") => has::<view::Rules>(body),
        ("GET", "/v1/explain") => has::<view::Explained>(body),
        ("GET", "/v1/entries") => has::<view::Entries>(body),
        ("GET", "/v1/tags") => has::<view::Tags>(body),
        ("GET", "/v1/increments") => has::<view::Increments>(body),
        ("GET", "/v1/audit") => has::<view::AuditPage>(body),
        ("GET" | "PUT", "/v1/epoch") => has::<view::Epoch>(body),
        ("POST", "/v1/tags/increment") => has::<view::Incremented>(body),
        ("POST", "/v1/purge") => has::<view::Purged>(body),
        ("POST", "/v1/refresh") => has::<view::Refreshed>(body),
        ("POST", "/v1/change") => has::<view::Changed>(body),
        ("GET" | "PATCH", path) if path.starts_with("/v1/entries/") => has::<view::Entry>(body),
        ("GET", path) if path.starts_with("/v1/tags/") => has::<view::TagState>(body),
        ("DELETE", path) if path.starts_with("/v1/") => has::<view::Purged>(body),
        _ => {}
    }
}

fn has<T: DeserializeOwned + Serialize>(text: &[u8]) {
    is_of::<T>(text);
}

/// An answer of this shape: nothing of it is lost on who reads it.
#[track_caller]
fn is_of<T: DeserializeOwned + Serialize>(text: &[u8]) -> T {
    let answer: T = read(text);
    let whole: Value = read(text);
    let again = serde_json::to_value(&answer).expect("what was read is written");
    assert_eq!(again, whole);
    answer
}
