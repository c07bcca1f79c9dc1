//! Calls of operators, of any bytes, and what must hold of what is answered and of what becomes of what is stored.
//!
//! The input is calls, a line `---` between two, as a person would write a seed: method and target; fields; an empty line; the body.
//! Who names no host names this machine, and a body that does not say what it is says that it is JSON, so that the fuzzer gets past
//! both. `@2` in a target stands for the key of an entry that is there at first, which nobody guesses. The sidecar has three values of the
//! app's own and some pages in its memory, shares nothing, and its app is away.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::percent_decode_str;
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
use tagalong::cache::Foreseen;
use tagalong::cache::Keep;
use tagalong::cache::Trust;
use tagalong::cache::objects::Found;
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
use tagalong::model::key::ComposedKey;
use tagalong::model::purge::PurgeGroup;
use tagalong::model::request::Head;
use tagalong::model::stamp::Stamp;
use tagalong::model::tag::Tag;
use tagalong::model::tag::TagLimits;
use tagalong::model::time::Timestamp;
use tagalong::model::units;
use tagalong::policy;
use tagalong::policy::Declared;
use tagalong::policy::Times;
use tagalong::policy::Verdict;
use tagalong::rules::Context;
use tagalong::rules::LiveRules;
use tagalong::rules::Plan;
use tagalong::rules::RuleSet;
use tagalong::upstream;
use tagalong::upstream::Upstream;
use tokio::runtime::Builder;

use super::fields::fields;

/// The most calls of one input.
const MOST_CALLS: usize = 4;

/// Everything listed is on one page.
const ALL: usize = 1_000;

const TAG_LIMITS: TagLimits = TagLimits {
    max_tags: 8,
    max_tag_bytes: 256,
};

/// When the calls are made.
const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

const RULES: &str = r"
rules:
  - id: page
    match: { path: '/page/*' }
    ttl: 60s
    max_ttl: 1h
    tags: ['Page:{query.id}', Pages]
    dimensions: { attrs: { size: '{query.size}', colour: '{query.colour}' } }
  - { id: constant, match: { path: '/constant/*' }, ttl: 60s, tags: [{ name: api, constant: 2 }, Pages] }
  - { id: stale, match: { path: '/stale/*' }, ttl: 60s, stale_while_revalidate: 30s, tags: ['Page:1'] }
  - { id: never, match: { path: /never }, cache: false }
";

/// They are compiled once: no call changes them but `PUT /v1/epoch`, which makes others of them.
static SET: LazyLock<RuleSet> = LazyLock::new(|| {
    let files = [("rules.yaml".to_owned(), RULES.to_owned())];
    RuleSet::compile(&files, &Context::new("fuzz")).expect("these are right")
});

/// What the rules allow a page of the rule `page`, and everything else.
const LONGEST_PAGE: Duration = Duration::from_secs(3_600);
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// What the app keeps here, with its tags.
const VALUES: [(&str, &str); 3] = [
    ("one", "Page:1, Pages"),
    ("two", "Page:2, Pages"),
    ("three", "Other, api"),
];

/// What was fetched of the app, with what the app says of it, and the size and the colour by which the rule `page` knows it.
const PAGES: [Page; 6] = [
    Page(
        "http://shop.example/page/1?id=1&size=s&colour=red",
        "Other",
        Some("s"),
        Some("red"),
    ),
    Page(
        "http://shop.example/page/2?id=2&size=m",
        "",
        Some("m"),
        None,
    ),
    Page(
        "http://shop.example/page/3?id=3&size=&colour=blue",
        "",
        Some(""),
        Some("blue"),
    ),
    Page("http://shop.example/constant/a", "", None, None),
    Page("https://shop.example/stale/a?b", "", None, None),
    Page("http://shop.example/other", "Other", None, None),
];

struct Page(
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
);

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let texts = texts(input);
    if texts.iter().all(|text| call(text, &[]).is_none()) {
        return;
    }
    alone(async {
        let stage = Stage::new().await;
        for text in texts {
            if let Some(call) = call(text, &stage.keys) {
                stage.made(&call).await;
            }
        }
    });
}

/// How many calls of an input are done, and not refused.
pub fn done(input: &[u8]) -> usize {
    alone(async {
        let stage = Stage::new().await;
        let mut done = 0;
        for text in texts(input) {
            if let Some(call) = call(text, &stage.keys) {
                done += usize::from(stage.answer(&call).await.status().is_success());
            }
        }
        done
    })
}

/// On a runtime of its own, with which all that was begun ends.
fn alone<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// The calls, as they are written.
fn texts(input: &[u8]) -> Vec<&[u8]> {
    let mut texts = Vec::new();
    let mut rest = Some(input);
    while let Some(text) = rest.filter(|_| texts.len() < MOST_CALLS) {
        let end = text.windows(5).position(|window| window == b"\n---\n");
        let (one, more) = match end {
            Some(end) => (&text[..end], Some(&text[end + 5..])),
            None => (text, None),
        };
        texts.push(one);
        rest = more;
    }
    texts
}

/// The call that is written so, if it is one; `keys` are of the entries that are there at first.
fn call(text: &[u8], keys: &[ComposedKey]) -> Option<Request<Bytes>> {
    let end = text.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&text[..end], &text[end + 2..]),
        None => (text, &b""[..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let (method, target) = (first.next()?, first.next()?);
    let mut target = str::from_utf8(target).ok()?.to_owned();
    for (n, key) in keys.iter().enumerate() {
        target = target.replace(&format!("@{n}"), &key.to_string());
    }
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
    dialects: Arc<Dialects>,
    /// Of the entries that are there at first, in the order in which they are listed.
    keys: Vec<ComposedKey>,
    /// The tags of these.
    known: BTreeSet<Tag>,
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
    /// Of the tags of what was there at first.
    versions: BTreeMap<Tag, Option<u64>>,
    /// Of the pages, those that clients are answered with, and fresh.
    pages: BTreeMap<&'static str, ComposedKey>,
    /// Of the values that were there at first, those that the app still has.
    values: BTreeMap<&'static str, (ComposedKey, Bytes)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Stored {
    key: ComposedKey,
    logical: Arc<str>,
    rule: Option<Box<str>>,
    tags: Vec<(Tag, Stamp)>,
    status: Option<StatusCode>,
    created: Timestamp,
    fresh_until: Timestamp,
    expires: Timestamp,
    size: u64,
    vary: Vec<Box<str>>,
    state: cache::State,
}

impl Stored {
    fn carries(&self, wanted: impl Fn(&Tag) -> bool) -> bool {
        self.tags.iter().any(|(tag, _)| wanted(tag))
    }
}

/// Whether something happens to an entry or a tag.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Will {
    Not,
    May,
    Must,
}

impl Will {
    fn must_if(is_so: bool) -> Will {
        if is_so { Will::Must } else { Will::Not }
    }

    fn may_if(is_so: bool) -> Will {
        if is_so { Will::May } else { Will::Not }
    }
}

impl Stage {
    async fn new() -> Stage {
        let (clock, metrics) = (Clock::manual(NOW), Metrics::default());
        let rules = LiveRules::new(SET.counted(&metrics));
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
        let limits = fetch::Limits {
            max_object: sizes.max_object,
            tags: TAG_LIMITS,
            picked: sizes.max_object,
        };
        let away = "unix:/nowhere/app.sock".parse().expect("a place");
        let upstream = upstream::Config {
            retries: 0, // there is a pause before it
            ..upstream::Config::new(away)
        };
        let upstream = Upstream::new(upstream, clock.clone());
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
            dialects: Arc::clone(&dialects),
            tag_limits: TAG_LIMITS,
            max_object: sizes.max_object,
            namespace: "fuzz".to_owned(),
            sidecar: "fuzz".to_owned(),
            max_bytes: sizes.max_bytes,
        });
        let here = admin::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            tokens: Vec::new(),
        };
        let mut stage = Stage {
            calls: Calls::new(admin, &here),
            cache,
            rules,
            metrics,
            dialects,
            keys: Vec::new(),
            known: BTreeSet::new(),
        };
        for (name, tags) in VALUES {
            let put = Request::put(format!("/v1/objects/{name}"))
                .header(header::HOST, "localhost")
                .header("tagalong-cache-control", "max-age=60")
                .header("cache-tag", tags);
            let put = put.body(Bytes::from_static(b"value")).expect("a call");
            assert_eq!(stage.answer(&put).await.status(), StatusCode::CREATED);
        }
        for page in &PAGES {
            stage.fetched(page).await;
        }
        let entries = stage.state().await.entries;
        stage.keys = entries.iter().map(|it| it.key).collect();
        let tags = entries.into_iter().flat_map(|it| it.tags);
        stage.known = tags.map(|(tag, _)| tag).collect();
        assert_eq!(stage.keys.len(), VALUES.len() + PAGES.len());
        stage
    }

    /// Stores a page as `fetch` does what the app has answered.
    async fn fetched(&self, &Page(uri, tags, ..): &Page) {
        let rules = self.rules.load();
        let all = self.cache.anew(&rules, head(uri)).anew;
        let anew = all.into_iter().next().expect("it is looked up");
        let (mut fill, admitted) = anew.begin();
        fill.set_out();
        let answer = Response::builder().header("cache-control", "max-age=60");
        let answer = answer.header("cache-tag", tags).body(());
        let (mut parts, ()) = answer.expect("an answer").into_parts();
        let (head, matched) = (fill.head(), fill.matched());
        let declared = Declared::of(matched, head, &parts);
        let signals = policy::signals(&self.dialects, declared, head, &mut parts, TAG_LIMITS);
        let (sent, received) = (NOW, NOW);
        let times = Times { sent, received };
        let terms = &matched.rule.terms;
        let targeted = self.dialects.targeted();
        let verdict = policy::judge(terms, head, &parts, &signals, times, targeted);
        let Verdict::Store(store) = verdict else {
            panic!("{uri} is not stored: {verdict:?}");
        };
        let keep = Keep {
            store,
            targeted: Default::default(),
            tags: signals.with_implicit(matched.implicit_tags(head)),
        };
        let (status, response) = (parts.status, Response::from_parts(parts, "a page".into()));
        fill.store(response, status, keep).await;
        admitted.await.expect("it is stored");
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
        let entries = page.expect("a list").entries.into_iter();
        let entries = entries.map(|it| Stored {
            key: it.key,
            logical: it.logical,
            rule: it.rule,
            tags: it.tags,
            status: it.status,
            created: it.created,
            fresh_until: it.fresh_until,
            expires: it.expires,
            size: it.size,
            vary: it.vary,
            state: it.state,
        });
        let mut versions = BTreeMap::new();
        for tag in &self.known {
            let version = self.cache.tag(tag).await.version;
            versions.insert(tag.clone(), version.map(Stamp::get));
        }
        let mut values = BTreeMap::new();
        for (name, _) in VALUES {
            values.extend(self.value(name).await.map(|value| (name, value)));
        }
        let pages = PAGES.iter().map(|page| page.0);
        State {
            epoch: self.rules.load().epoch(),
            tags: self.metrics.tags.get(),
            increments: self.cache.increments(ALL).len(),
            entries: entries.collect(),
            versions,
            pages: pages
                .filter_map(|uri| Some((uri, self.answers(uri)?)))
                .collect(),
            values,
        }
    }

    /// The entry that a client is answered with, while it is fresh.
    fn answers(&self, uri: &str) -> Option<ComposedKey> {
        let head = head(uri);
        let Plan::Lookup(query) = self.rules.load().plan(&head, NOW) else {
            return None;
        };
        let found = self.cache.foresee(&query, &head, Trust::Full);
        let stored = self.cache.explain(&query, &head);
        (found == Foreseen::Stored(None)).then(|| stored.expect("it is stored").entry.key)
    }

    /// What the app has under this name.
    async fn value(&self, name: &str) -> Option<(ComposedKey, Bytes)> {
        let rules = self.rules.load();
        match self.cache.objects(&rules).get(name).await {
            Found::Object { key, body, .. } => Some((key, body)),
            Found::Nothing(_) => None,
        }
    }

    /// The last two records of what was done, the newest first.
    async fn records(&self) -> Vec<view::Audit> {
        let page: view::AuditPage = read(self.get("/v1/audit?limit=2").await.body());
        page.audit
    }

    /// Makes a call: its answer is right, and so is what it has changed.
    async fn made(&self, call: &Request<Bytes>) {
        let (before, written) = (self.state().await, self.records().await);
        let name = name_of(call);
        let value = match &name {
            Some(name) => self.value(name).await,
            None => None,
        };
        let is_call = call.uri().path().starts_with("/v1/");
        if is_call && !is_safe(call) {
            self.of_another_page(call).await;
        }
        let answer = self.answer(call).await;
        let status = answer.status();
        is_an_answer(call, &answer);
        let after = self.state().await;
        if !is_safe(call) && is_call && status.is_success() {
            self.did(call, &answer, &before, &after, value.is_some())
                .await;
        } else if let (StatusCode::CONFLICT, Some(name)) = (status, &name) {
            // The value that comes too late is not put; what it would have replaced may be gone.
            let new = self.put(call, name, &before, &after, false);
            assert_eq!(new, Vec::<&Stored>::new(), "{call:?} is refused");
        } else {
            // Looking changes nothing (L14), nor does what is refused.
            assert_eq!(after, before, "{call:?} is answered {status}");
        }
        self.is_written_down(call, status, &written).await;
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

    /// What a call has done that was to change something; `was_there`: the value that it names.
    async fn did(
        &self,
        call: &Request<Bytes>,
        answer: &Response<Bytes>,
        before: &State,
        after: &State,
        was_there: bool,
    ) {
        let (path, body) = (call.uri().path(), call.body());
        let name = name_of(call);
        match (call.method().as_str(), path) {
            ("POST", "/v1/tags/increment") => {
                let asked: view::IncrementRequest = asked(body);
                self.incremented(answer, before).await;
                only_what_carries(&asked.tags, asked.soft, before, after);
            }
            ("POST", "/v1/purge") => purged(&asked(body), &read(answer.body()), before, after),
            ("POST", "/v1/change") => changed(&asked(body), &read(answer.body()), before, after),
            ("POST", "/v1/refresh") => {
                let asked: view::RefreshRequest = asked(body);
                assert_eq!(after, before, "nobody answers");
                refreshed(&asked, &read(answer.body()), before);
            }
            ("PUT", "/v1/epoch") => {
                let asked: view::Epoch = asked(body);
                let told: view::Epoch = read(answer.body());
                assert_eq!((after.epoch, told.epoch), (asked.epoch, asked.epoch));
                raised(before, after);
            }
            ("PUT", _) => {
                let name = name.expect("a value has one");
                let replaces = answer.status() == StatusCode::NO_CONTENT;
                assert!(!replaces || was_there, "{call:?} has replaced nothing");
                if was_there && !replaces {
                    // What was there is outdated by what this tells of its tags.
                    let said = self.said(call);
                    let is_counted = said.iter().any(|(_, is_counted)| *is_counted);
                    assert!(is_counted, "{call:?} has replaced a value");
                }
                let new = self.put(call, &name, before, after, replaces);
                self.is_put(call, &name, &new).await;
            }
            ("DELETE", _) if name.is_some() => {
                let name = name.expect("a value has one");
                let told: view::Purged = read(answer.body());
                assert_eq!(told, view::Purged::counted(was_there.into()));
                let gone = self.get(&target(call)).await;
                assert_eq!(gone.status(), StatusCode::NOT_FOUND, "{call:?}");
                let own = Tag::object(&name);
                let goes = |it: &Stored| Will::must_if(it.carries(|tag| *tag == own));
                let new = only(false, before, after, goes, |tag| Will::must_if(*tag == own));
                assert_eq!(new, Vec::<&Stored>::new());
            }
            ("DELETE", _) => {
                let key = key_of(call).expect("an entry has one");
                let told: view::Purged = read(answer.body());
                let count = before.entries.iter().filter(|it| it.key == key).count();
                let most = count.max(1); // one that is of no use any more is not listed
                let found = told.purged.expect("it was looked for");
                assert!((count as u64..=most as u64).contains(&found), "{told:?}");
                let gone = self.get(&target(call)).await;
                assert_eq!(gone.status(), StatusCode::NOT_FOUND, "{call:?}");
                let goes = |it: &Stored| Will::must_if(it.key == key);
                let new = only(false, before, after, goes, |_| Will::Not);
                assert_eq!(new, Vec::<&Stored>::new());
            }
            ("PATCH", _) => {
                let asked: view::LifeRequest = asked(body);
                let key = key_of(call).expect("an entry has one");
                let now = self.get(&target(call)).await;
                // Those who look here in between are counted, too.
                let entry = |text| view::Entry {
                    hits: 0,
                    ..read(text)
                };
                assert_eq!(entry(now.body()), entry(answer.body()), "{call:?}");
                lives(&asked, key, &read(answer.body()), before, after);
            }
            (method, path) => panic!("what does {method} {path} change?"),
        }
    }

    /// What has become of the rest when a value was put, or came too late: what it replaces is gone, and so may be what carries a
    /// tag of which it tells a higher version. What is new.
    fn put<'s>(
        &self,
        call: &Request<Bytes>,
        name: &str,
        before: &'s State,
        after: &'s State,
        replaces: bool,
    ) -> Vec<&'s Stored> {
        let said = self.said(call);
        let counted = |tag: &Tag| said.iter().any(|(it, is_counted)| it == tag && *is_counted);
        let own = Tag::object(name);
        let to = |tag: &Tag| match *tag == own {
            true if replaces => Will::Must,
            is_own => Will::may_if(is_own || counted(tag)),
        };
        let goes = |it: &Stored| match it.carries(|tag| *tag == own) {
            true => to(&own),
            false => Will::may_if(it.carries(counted)),
        };
        only(false, before, after, goes, to)
    }

    /// The tags of a value, and whether it tells the app's own version of each.
    fn said(&self, call: &Request<Bytes>) -> Vec<(Tag, bool)> {
        let origin = || "http://localhost".to_owned();
        let said = self
            .dialects
            .take(origin, true, &mut call.headers().clone());
        let tags = said.tags.into_iter();
        tags.map(|it| (it.tag, it.version.is_some())).collect()
    }

    /// A value is there as it was put: its bytes, its tags, and a life with an end (L10).
    async fn is_put(&self, call: &Request<Bytes>, name: &str, new: &[&Stored]) {
        let got = self.get(&target(call)).await;
        assert_eq!(
            (got.status(), got.body()),
            (StatusCode::OK, call.body()),
            "{call:?}"
        );
        let [entry] = new else {
            panic!("{call:?} has made {new:?}");
        };
        assert_eq!(*entry.logical, *format!("object:{name}"));
        assert!(entry.carries(|tag| *tag == Tag::object(name)));
        let groups = |tag: &Tag| tag.as_str().starts_with("~group:"); // of the host that was called
        for (tag, _) in self.said(call) {
            assert!(groups(&tag) || entry.carries(|it| *it == tag), "{entry:?}");
        }
        assert!(NOW < entry.fresh_until && entry.fresh_until <= NOW + LONGEST);
    }

    /// Each tag has a version that is newer than all before it (L2), and that is what is told of it.
    async fn incremented(&self, answer: &Response<Bytes>, before: &State) {
        let told: view::Incremented = read(answer.body());
        assert_eq!(told.incremented, told.versions.len() as u64);
        let newest = before.versions.values().flatten().max().copied();
        for (tag, version) in &told.versions {
            assert!(Some(*version) > newest, "{tag} has {version}");
            let path = utf8_percent_encode(tag, NON_ALPHANUMERIC);
            let now: view::TagState = read(self.get(&format!("/v1/tags/{path}")).await.body());
            assert_eq!((&now.tag, now.version), (tag, Some(*version)));
        }
    }

    /// What was asked for is known afterwards, done or refused, and nothing else; values of the app's own are traffic.
    async fn is_written_down(
        &self,
        call: &Request<Bytes>,
        status: StatusCode,
        before: &[view::Audit],
    ) {
        let last = |records: &[view::Audit]| records.first().map(|it| it.id.clone());
        let now = self.records().await;
        let is_done = status.is_success() && name_of(call).is_none();
        let is_refused = matches!(status.as_u16(), 409 | 422)
            || status == StatusCode::NOT_FOUND
                && *call.method() == Method::PATCH
                && key_of(call).is_some();
        let is_call = call.uri().path().starts_with("/v1/") && !is_safe(call);
        if !(is_call && (is_done || is_refused)) {
            assert_eq!(last(&now), last(before), "{call:?} is answered {status}");
            return;
        }
        let [newest, rest @ ..] = &*now else {
            panic!("{call:?} is not written down");
        };
        assert_eq!(last(rest), last(before), "{call:?} is one call");
        assert_ne!(Some(&newest.id), last(before).as_ref());
        assert_eq!(newest.status, status.as_u16());
        let what = match (call.method().as_str(), call.uri().path()) {
            ("POST", "/v1/tags/increment") => "increment",
            ("POST", path) => path.trim_start_matches("/v1/"),
            ("PUT", "/v1/epoch") => "epoch",
            ("PUT", _) => "object-put",
            ("PATCH", _) => "entry-ttl",
            (_, path) if path.starts_with("/v1/objects/") => "object-delete",
            _ => "entry-delete",
        };
        assert_eq!(newest.what, what);
        if *call.method() == Method::POST && what != "reload" || what == "epoch" {
            let asked: Value = read(call.body());
            if asked.to_string().len() <= 1 << 10 {
                assert_eq!(newest.target, asked);
            }
        }
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

/// A GET of an absolute URI, as a client makes it.
fn head(uri: &str) -> Head {
    let (scheme, rest) = uri.split_once("://").expect("a scheme");
    let (host, _) = rest.split_once('/').expect("a path");
    let request = Request::get(&rest[host.len()..]).header(header::HOST, host);
    let parts = request.body(()).expect("a request").into_parts().0;
    let scheme = if scheme == "https" { "https" } else { "http" };
    Head::new(parts, scheme).expect("it is for a host")
}

/// The last part of the path below this, if the call is below it.
fn below(call: &Request<Bytes>, folder: &str) -> Option<String> {
    let name = call.uri().path().strip_prefix(folder)?;
    let name = percent_decode_str(name).decode_utf8().ok()?;
    Some(name.into_owned()).filter(|name| !name.is_empty())
}

/// The name of the value that a call is about.
fn name_of(call: &Request<Bytes>) -> Option<String> {
    below(call, "/v1/objects/")
}

/// The key of the entry that a call is about.
fn key_of(call: &Request<Bytes>) -> Option<ComposedKey> {
    ComposedKey::from_hex(&below(call, "/v1/entries/")?)
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

/// What has gone and which tags have new versions is what had to and what might, and all else is as it was: entries, pages, values and
/// tags. `soft`: what has gone may also be stale. What is new.
fn only<'s>(
    soft: bool,
    before: &'s State,
    after: &'s State,
    goes: impl Fn(&Stored) -> Will,
    rises: impl Fn(&Tag) -> Will,
) -> Vec<&'s Stored> {
    let will = |key: &ComposedKey| {
        let entry = before.entries.iter().find(|it| it.key == *key);
        entry.map_or(Will::May, &goes)
    };
    for one in &before.entries {
        let now = after.entries.iter().find(|it| it.key == one.key);
        let is_gone = now.is_none_or(|it| soft && it.state == cache::State::Stale);
        match goes(one) {
            Will::Not => assert_eq!(now, Some(one)),
            Will::May => assert!(is_gone || now == Some(one), "{one:?} is {now:?}"),
            Will::Must => assert!(is_gone, "{now:?} is still there"),
        }
    }
    for (uri, key) in &before.pages {
        let now = after.pages.get(uri);
        match will(key) {
            Will::Not => assert_eq!(now, Some(key), "{uri}"),
            Will::May => assert!(now.is_none_or(|now| now == key), "{uri}"),
            Will::Must => assert_eq!(now, None, "{uri}"),
        }
    }
    for (name, value) in &before.values {
        let now = after.values.get(name).filter(|now| now.0 == value.0);
        match will(&value.0) {
            Will::Not => assert_eq!(now, Some(value), "{name}"),
            Will::May => assert!(now.is_none_or(|now| now == value), "{name}"),
            Will::Must => assert_eq!(now, None, "{name}"),
        }
    }
    for (tag, version) in &before.versions {
        let now = &after.versions[tag];
        match rises(tag) {
            Will::Not => assert_eq!(now, version, "{tag}"),
            Will::May => assert!(now >= version, "{tag}: {version:?}, {now:?}"),
            Will::Must => assert!(now > version, "{tag}: {version:?}, {now:?}"),
        }
    }
    let pages = after.pages.keys();
    assert!(pages.into_iter().all(|uri| before.pages.contains_key(uri)));
    let is_new = |it: &&Stored| before.entries.iter().all(|old| old.key != it.key);
    after.entries.iter().filter(is_new).collect()
}

/// What carries one of these tags answers nobody any more, and all the rest does.
fn only_what_carries(names: &[String], soft: bool, before: &State, after: &State) {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let is_named = |tag: &Tag| names.contains(tag.as_str());
    let goes = |it: &Stored| Will::must_if(it.carries(is_named));
    let new = only(soft, before, after, goes, |tag| {
        Will::must_if(is_named(tag))
    });
    assert_eq!(new, Vec::<&Stored>::new(), "after {names:?}");
}

fn purged(asked: &view::PurgeRequest, told: &view::Purged, before: &State, after: &State) {
    let soft = asked.soft;
    let of = |tag: &str| only_what_carries(&[tag.to_owned()], soft, before, after);
    assert_eq!(told.purged.is_some(), asked.matching.is_some(), "{told:?}");
    assert_eq!(told.here.is_some(), asked.url.is_some(), "{told:?}");
    if let Some(tags) = &asked.tags {
        only_what_carries(tags, soft, before, after);
    } else if asked.all.is_some() || asked.group.as_deref() == Some("everything") {
        of("~all");
        assert!(after.pages.is_empty() && after.values.is_empty());
    } else if asked.group.is_some() {
        of("Pages");
    } else if let Some(rule) = &asked.rule {
        let goes = |it: &Stored| Will::must_if(it.rule.as_ref() == Some(&rule.as_str().into()));
        let rises = |tag: &Tag| Will::must_if(tag.rule_id() == Some(rule));
        let new = only(soft, before, after, goes, rises);
        assert_eq!(new, Vec::<&Stored>::new());
    } else if let Some(pattern) = &asked.matching {
        let glob = Glob::new(pattern);
        let goes = |it: &Stored| Will::must_if(glob.matches(&it.logical));
        let new = only(false, before, after, goes, |_| Will::Not);
        assert_eq!(new, Vec::<&Stored>::new());
        let there = before.entries.iter().filter(|it| glob.matches(&it.logical));
        assert!(told.purged >= Some(there.count() as u64), "{told:?}");
    } else {
        of_url(asked, told, before, after);
    }
}

/// What is stored of a URL is forgotten, however it is spelled, and nothing else; never a value of the app's own.
fn of_url(asked: &view::PurgeRequest, told: &view::Purged, before: &State, after: &State) {
    let uri = Tag::uri(asked.url.as_deref().expect("a URL"));
    let is_of_page = |tag: &Tag| tag.whole_uri().is_some() || tag.is_of_one_key();
    let goes = |it: &Stored| match it.carries(|tag| *tag == uri) {
        true => Will::Must,
        false => Will::may_if(it.carries(|tag| tag.whole_uri().is_some())),
    };
    let rises = |tag: &Tag| Will::may_if(is_of_page(tag));
    let new = only(asked.soft, before, after, goes, rises);
    assert_eq!(new, Vec::<&Stored>::new());
    let gone = before.pages.len() - after.pages.len();
    assert!(gone <= 1, "{asked:?} is one of {before:?}");
    assert!(told.here >= Some(gone as u64), "{told:?}");
}

/// Forgotten are the pages whose every attribute that has changed is the old value, or the new one, or none; without any attribute,
/// all of the rule (rules.md §6).
fn changed(asked: &view::ChangeRequest, told: &view::Changed, before: &State, after: &State) {
    let value =
        |side: &BTreeMap<String, Option<String>>, name: &str| side.get(name).cloned().flatten();
    let names: BTreeSet<&String> = asked.old.keys().chain(asked.new.keys()).collect();
    let mut changed = names.iter().map(|name| {
        (
            name.as_str(),
            value(&asked.old, name),
            value(&asked.new, name),
        )
    });
    let changed: Vec<_> = changed
        .by_ref()
        .filter(|(_, old, new)| old != new)
        .collect();
    let of = |it: &Stored| {
        PAGES
            .iter()
            .find(|page| it.carries(|tag| tag.whole_uri() == Some(page.0)))
    };
    let fits = |page: &Page, is_new: bool| {
        changed.iter().all(|(name, old, new)| {
            let shown = if *name == "size" { page.2 } else { page.3 };
            let side = if is_new { new } else { old };
            shown.is_none() || shown == side.as_deref()
        })
    };
    let is_nothing = changed.is_empty() && !names.is_empty();
    let goes = |it: &Stored| {
        let is_of_rule = it.rule.as_ref() == Some(&asked.rule.as_str().into());
        let shows = of(it).is_some_and(|page| fits(page, false) || fits(page, true));
        Will::must_if(is_of_rule && shows && !is_nothing)
    };
    let rises = |tag: &Tag| {
        let is_of_rule = tag.as_str().starts_with("~dim:") || tag.rule_id() == Some(&asked.rule);
        Will::may_if(is_of_rule && !is_nothing)
    };
    let new = only(false, before, after, goes, rises);
    assert_eq!(new, Vec::<&Stored>::new());
    assert_eq!(told.incremented == 0, is_nothing, "{asked:?}: {told:?}");
}

/// Nobody answers: all that was asked for has failed, but for what cannot be asked for.
fn refreshed(asked: &view::RefreshRequest, told: &view::Refreshed, before: &State) {
    let tried = told.failed + told.skipped;
    assert_eq!(told.refreshed, 0);
    let Some(tags) = &asked.tags else {
        assert_eq!(tried, 1, "{asked:?}: {told:?}");
        return;
    };
    let is_named = |tag: &Tag| tags.iter().any(|it| *it == *tag.as_str());
    let there = before
        .entries
        .iter()
        .filter(|it| it.carries(is_named))
        .count() as u64;
    let most = asked.limit.unwrap_or(100) as u64;
    assert!(tried <= most, "{asked:?}: {told:?}");
    assert!(
        tried >= there || asked.cursor.is_some() || told.cursor.is_some(),
        "{told:?}"
    );
}

/// A higher epoch is another place: nothing of the lower one is found there.
fn raised(before: &State, after: &State) {
    let new = only(
        false,
        &State {
            pages: BTreeMap::new(),
            values: BTreeMap::new(),
            ..before.clone()
        },
        &State {
            pages: BTreeMap::new(),
            values: BTreeMap::new(),
            ..after.clone()
        },
        |_| Will::Not,
        |_| Will::Not,
    )
    .len();
    assert_eq!(new, 0);
    if before.epoch == after.epoch {
        assert_eq!(after, before);
    } else {
        assert!(before.epoch < after.epoch);
        assert!(after.pages.is_empty() && after.values.is_empty());
    }
}

/// One entry lives for so long from now on, as far as its rule allows, and says so; nothing else of it changes, and nothing of others.
/// What was stale is no fresher (L5).
fn lives(
    asked: &view::LifeRequest,
    key: ComposedKey,
    told: &view::Entry,
    before: &State,
    after: &State,
) {
    let of = |state: &State| state.entries.iter().find(|it| it.key == key).cloned();
    let mut expected = of(before).expect("it was there");
    let longest = match expected.rule.as_deref() {
        Some("page") => LONGEST_PAGE,
        Some(_) | None => LONGEST,
    };
    let life = units::duration(&asked.ttl).expect("a time").min(longest);
    let now = of(after).expect("it is still there");
    expected.fresh_until = NOW + life.max(Duration::from_micros(1));
    assert!(now.expires >= now.fresh_until);
    expected.expires = now.expires;
    assert_eq!(now, expected);
    assert_eq!(told.key, key.to_string());
    assert_eq!(told.fresh_until, expected.fresh_until.into());
    let goes = |it: &Stored| Will::may_if(it.key == key);
    let others = State {
        entries: after
            .entries
            .iter()
            .filter(|it| it.key != key)
            .cloned()
            .collect(),
        ..after.clone()
    };
    let new = only(false, before, &others, goes, |_| Will::Not).len();
    assert_eq!(new, 0);
    assert_eq!(
        (&after.pages, &after.values),
        (&before.pages, &before.values)
    );
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
