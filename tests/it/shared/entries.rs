//! Single responses in the store that all share: shown, forgotten, given another life.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tagalong::cache::Away;
use tagalong::cache::Filter;
use tagalong::cache::ListError;
use tagalong::cache::Listed;
use tagalong::cache::Lookup;
use tagalong::cache::State;
use tagalong::cache::Tier;
use tagalong::cache::Trust;
use tagalong::cache::objects::Object;
use tagalong::metrics::Metrics;
use tagalong::model::compress::Compress;
use tagalong::model::entry::Entry;
use tagalong::model::key::ComposedKey;
use tagalong::model::key::KeyFields;
use tagalong::model::request::Head;
use tagalong::model::tag::Tag;
use tagalong::rules::Context;
use tagalong::rules::Plan;
use tagalong::rules::RuleSet;
use tagalong::store;

use super::calm;
use super::operator::Operator;
use super::sidecar;
use crate::support::Cluster;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;
use crate::support::sidecars;
use crate::support::soon;

const RULES: &str = r#"
  - { id: p, match: { path: '/p/(?P<n>\d+)' }, key: "P:{n}", tags: ["P:{n}"], ttl: 60s }
"#;

/// All pages of a list.
async fn all(operator: &Operator, filter: &Filter, limit: usize) -> Vec<Listed> {
    let (mut entries, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = operator.cache.list(filter, cursor.as_deref(), limit).await;
        let page = page.expect("a page");
        entries.extend(page.entries);
        cursor = page.cursor;
        if cursor.is_none() {
            return entries;
        }
    }
}

async fn names(operator: &Operator) -> Vec<(String, Tier)> {
    let all = all(operator, &Filter::default(), 2).await;
    let mut names: Vec<_> = all
        .iter()
        .map(|it| (it.logical.to_string(), it.tier))
        .collect();
    names.sort_by(|one, other| one.0.cmp(&other.0));
    names
}

fn in_redis(names: &[&str]) -> Vec<(String, Tier)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), Tier::Redis))
        .collect()
}

/// Waits until the store has so many responses.
async fn until_kept(operator: &Operator, count: usize) {
    let filter = Filter::default();
    let there = async { while all(operator, &filter, 1_000).await.len() != count {} };
    soon("responses in the store", there).await;
}

/// By the rules in force of that operator.
async fn set_life(operator: &Operator, key: &ComposedKey, life: Duration) -> Option<Listed> {
    let rules = operator.rules.load();
    let listed = operator.cache.set_life(&rules, key, life).await;
    listed.expect("the store is told")
}

/// The response that is listed under this logical key.
async fn one(operator: &Operator, logical: &str) -> Listed {
    let listed = all(operator, &Filter::default(), 10).await;
    let mut named = listed.into_iter().filter(|it| &*it.logical == logical);
    named.next().expect("it is listed")
}

fn compiled(rules: &str) -> RuleSet {
    let rules = [("rules.yaml".to_owned(), format!("rules:{rules}"))];
    RuleSet::compile(&rules, &Context::new("tagalong")).expect("rules")
}

async fn stored(app: &Origin, sidecar: &Sidecar, paths: &[&str]) {
    for path in paths {
        app.answer(path, reply("old"));
        sidecar.client().get(path).await.is_miss();
    }
}

/// A store in which a sidecar has kept what the app answers under these paths, and an operator who has none of it.
struct Kept {
    app: Origin,
    redis: Redis,
    operator: Operator,
    _sidecar: Sidecar,
}

impl Kept {
    async fn of(paths: &[&str]) -> Kept {
        let (app, redis) = (Origin::start().await, Redis::start().await);
        let sidecar = sidecar(&app, &redis.url(), RULES).await;
        stored(&app, &sidecar, paths).await;
        let operator = Operator::of(&redis).await;
        until_kept(&operator, paths.len()).await;
        Kept {
            app,
            redis,
            operator,
            _sidecar: sidecar,
        }
    }

    /// The same of one response, with its key.
    async fn one() -> (Kept, ComposedKey) {
        let kept = Kept::of(&["/p/1"]).await;
        let key = one(&kept.operator, "P:1").await.key;
        (kept, key)
    }
}

#[tokio::test]
async fn l11_what_all_share_is_listed_and_nothing_that_is_foreign_or_over() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    stored(&app, &a, &["/p/1", "/p/2", "/p/3"]).await;
    let other = Setup::new(&app).real_time().redis(&redis.url());
    let other = other.config("namespace: 'tagalong:v'").rules(RULES);
    let other = calm(other).start().await;
    stored(&app, &other, &["/p/4"]).await;
    let digits = "0".repeat(32);
    for name in [format!("tagalong:1:tagalong:v:{digits}"), digits] {
        redis
            .command(&["SET", &name, "\u{f7}tag is no record"])
            .await;
    }
    let list = format!("tagalong:1:tagalong:v:{}", "f".repeat(32));
    redis.command(&["LPUSH", &list, "no record"]).await;
    let operator = Operator::of(&redis).await;
    until_kept(&operator, 3).await;
    assert_eq!(names(&operator).await, in_redis(&["P:1", "P:2", "P:3"]));

    app.answer("/change", reply("").header("Cache-Tag-Increment", "P:2"));
    a.client().get("/change").await;
    let before = redis.keys().await;
    assert_eq!(names(&operator).await, in_redis(&["P:1", "P:3"]));
    assert_eq!(redis.keys().await, before, "it makes nothing (L14)");

    let listed = all(&operator, &Filter::default(), 10).await;
    let one = listed.iter().find(|it| &*it.logical == "P:1").unwrap();
    assert_eq!(one.rule.as_deref(), Some("p"));
    assert_eq!((one.state, one.hits, one.status), (State::Fresh, 0, None));
    let tags: Vec<&str> = one.tags.iter().map(|(tag, _)| tag.as_str()).collect();
    assert!(
        tags.contains(&"P:1") && tags.contains(&"~rule:p"),
        "{tags:?}"
    );
    let shown = operator.cache.entry(&one.key).await;
    let shown = shown.expect("an answer").expect("it is stored");
    assert_eq!(shown.status.map(|it| it.as_u16()), Some(200));
    assert_eq!((shown.key, shown.tier), (one.key, Tier::Redis));
}

#[tokio::test]
async fn what_the_store_has_all_the_time_is_listed_once_whatever_comes_and_goes() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    let paths: Vec<String> = (0..300).map(|n| format!("/p/{n}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    stored(&app, &a, &paths).await;
    let operator = Operator::of(&redis).await;
    until_kept(&operator, 300).await;
    let (mut times, mut cursor) = (BTreeMap::<String, usize>::new(), None::<String>);
    for page in 0.. {
        let (filter, from) = (Filter::default(), cursor.as_deref());
        let listed = operator.cache.list(&filter, from, 7).await;
        let listed = listed.expect("a page");
        for entry in listed.entries {
            *times.entry(entry.logical.to_string()).or_default() += 1;
        }
        let (comes, goes) = (format!("/p/{}", 1_000 + page), format!("k:{}", page / 2));
        stored(&app, &a, &[&comes]).await;
        redis.command(&["SET", &format!("k:{page}"), "x"]).await;
        redis.command(&["DEL", &goes]).await;
        cursor = listed.cursor;
        if cursor.is_none() {
            break;
        }
    }
    for n in 0..300 {
        assert_eq!(times.get(&format!("P:{n}")), Some(&1), "{n}");
    }
}

#[tokio::test]
async fn what_memory_has_listed_the_store_does_not_list_again() {
    let kept = Kept::of(&["/p/1", "/p/2"]).await;
    let operator = &kept.operator;

    let rules = compiled(RULES);
    let request = http::Request::get("/p/1").header("host", "shop.example");
    let request = request.body(()).expect("a request").into_parts().0;
    let head = Arc::new(Head::new(request, "http").expect("a host"));
    let cache = &operator.cache;
    let Plan::Lookup(query) = rules.plan(&head, cache.now()) else {
        panic!("it is looked up");
    };
    let there = cache.explain_elsewhere(&query, &head).await;
    assert_eq!(there.expect("it is stored").logical.as_ref(), "P:1");
    let found = cache.lookup(&query, &head, None, Trust::Full);
    let Lookup::Miss(mut fill, _follower) = found else {
        panic!("{found:?}");
    };
    let found = fill.brought().await.expect("the other one has stored it");
    fill.found(found);

    let memory = ("P:1".to_owned(), Tier::Memory);
    let redis_alone = ("P:2".to_owned(), Tier::Redis);
    assert_eq!(names(operator).await, [memory, redis_alone]);
    for (tier, expected) in [(Tier::Memory, 1), (Tier::Redis, 2)] {
        let filter = Filter {
            tier: Some(tier),
            ..Filter::default()
        };
        assert_eq!(all(operator, &filter, 10).await.len(), expected);
    }
}

#[tokio::test]
async fn a_list_of_a_store_that_is_away_says_so() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    stored(&app, &a, &["/p/1"]).await;
    let operator = Operator::of(&redis).await;
    redis.kill();
    let filter = Filter {
        tier: Some(Tier::Redis),
        ..Filter::default()
    };
    let page = operator.cache.list(&filter, None, 10).await;
    assert_eq!(page.err(), Some(ListError::Away));
    let page = operator.cache.list(&Filter::default(), None, 10).await;
    assert!(page.is_ok(), "memory goes on");
}

#[tokio::test]
async fn a_store_that_is_away_is_not_one_that_has_nothing() {
    let redis = Redis::start().await;
    let operator = Operator::of(&redis).await;
    let (cache, absent) = (&operator.cache, ComposedKey::from_bytes([7; 16]));
    let (rules, by) = (operator.rules.load(), "DELETE /v1/entries".into());
    let minute = Duration::from_secs(60);
    for (is_away, no_entry, no_life, purged) in [
        (false, Ok(None), Ok(None), Some(0)),
        (true, Err(Away), Err(Away), None),
    ] {
        if is_away {
            redis.kill();
        }
        let key = |listed: Option<Listed>| listed.map(|it| it.key);
        assert_eq!(cache.entry(&absent).await.map(key), no_entry);
        let life = cache.set_life(&rules, &absent, minute).await;
        assert_eq!(life.map(key), no_life);
        assert_eq!(cache.purge_entry(&absent, &by).await, purged);
    }
}

#[tokio::test]
async fn of_what_nobody_has_the_log_says_nothing() {
    let (kept, there) = Kept::one().await;
    let (redis, operator) = (&kept.redis, &kept.operator);
    let by: Arc<str> = "DELETE /v1/entries".into();
    for (key, said) in [(ComposedKey::from_bytes([7; 16]), false), (there, true)] {
        let log = "tagalong:{tagalong}:log";
        let before = redis.command(&["XLEN", log]).await.text();
        let purged = operator.cache.purge_entry(&key, &by).await;
        assert_eq!(purged, Some(said.into()));
        let after = redis.command(&["XLEN", log]).await.text();
        assert_eq!(before != after, said, "{key}");
    }
}

#[tokio::test]
async fn another_life_for_what_has_left_does_nothing_to_what_is_newer_under_its_key() {
    let (kept, key) = Kept::one().await;
    let operator = &kept.operator;
    let (link, now) = (
        operator.cache.link().expect("the store"),
        operator.cache.now(),
    );
    let second = store::Shared::new(Compress::Zstd, 1 << 16, Metrics::default());
    let found = second.find(&link, key).await.expect("an answer");
    let found = found.expect("it is stored");
    let old = second.entry(&link, &found.pointer, now).await;
    let old = old.expect("an answer").expect("it is stored");
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
    let mut newer = Entry {
        body: "new".into(),
        ..old
    };
    newer.meta.lifetime += Duration::from_secs(1);
    let mut pointer = found.pointer.clone();
    pointer.stored = pointer.stored + Duration::from_secs(1);
    (pointer.at_first, pointer.expires) = (newer.meta.expires(), newer.meta.expires());
    let (variant, whole) = (found.variant, Arc::new(Whole(newer.clone())));
    second.drop(&link, variant, key).await.expect("an answer");
    let put = second.put(&link, variant, pointer.clone(), whole, minute);
    put.await.expect("it is stored");
    let mut as_of_old = found.pointer.clone();
    let given = second.give_life(&link, found, now + hour, hour).await;
    assert!(!given.expect("an answer"), "the record is another");
    // Nor to who has read the older record, with its other life, just before.
    as_of_old.expires = now + hour;
    for pointer in [pointer, as_of_old] {
        let left = second.entry(&link, &pointer, now).await;
        let left = left.expect("an answer").expect("it is stored");
        assert_eq!(left, newer);
    }
}

struct Whole(Entry);

impl AsRef<Entry> for Whole {
    fn as_ref(&self) -> &Entry {
        &self.0
    }
}

#[tokio::test]
async fn l10_the_rule_bounds_the_life_of_what_the_store_alone_has() {
    let (kept, key) = Kept::one().await;
    let operator = &kept.operator;
    let week = Duration::from_secs(7 * 86_400);
    let bounded = r"
  - { id: p, match: { path: '/p/.*' }, max_ttl: 2h }
";
    for (rules, most) in [
        (bounded, 7_200),
        ("\n  - { id: other, match: { path: /other } }\n", 7 * 86_400),
    ] {
        let rules = compiled(rules);
        let listed = operator.cache.set_life(&rules, &key, week).await;
        let listed = listed.expect("the store is told").expect("it is stored");
        let life = listed.fresh_until.since(operator.cache.now());
        let most = Duration::from_secs(most);
        assert!(
            life <= most && life > most - Duration::from_secs(60),
            "{life:?}"
        );
    }
}

#[tokio::test]
async fn l05_what_was_invalidated_has_no_other_life_in_the_store_either() {
    let (kept, key) = Kept::one().await;
    let operator = &kept.operator;
    let increments = [Tag::parse("P:1").expect("a tag").into()];
    let by = "POST /v1/tags/increment".into();
    let committed = operator.cache.increment_by_operator(&increments, &by);
    assert!(committed.await.is_some());
    let hour = Duration::from_secs(3_600);
    assert!(set_life(operator, &key, hour).await.is_none());
    let shown = operator.cache.entry(&key).await.expect("an answer");
    assert!(shown.is_none(), "{shown:?}");
}

#[tokio::test]
async fn a_variant_promises_no_life_beyond_what_leads_to_it() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis.url(), RULES).await;
    app.answer("/p/1", reply("hallo").header("Vary", "Accept-Language"));
    let client = a.client();
    let german = client.get_with("/p/1", "Accept-Language", "de").await;
    german.is_miss();
    let operator = Operator::of(&redis).await;
    until_kept(&operator, 1).await;
    let german = one(&operator, "P:1").await;
    let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
    let longer = set_life(&operator, &german.key, hour).await;
    let longer = longer.expect("it is stored").fresh_until;
    assert!(longer > german.fresh_until + hour / 2);
    let longest = set_life(&operator, &german.key, 3 * day).await;
    let longest = longest.expect("it is stored").fresh_until;
    assert!(longest <= german.created + day && longest > german.created + day / 2);
}

#[tokio::test]
async fn what_is_prolonged_is_never_shortened() {
    let redis = Redis::start().await;
    let operator = Operator::of(&redis).await;
    let link = operator.cache.link().expect("the store");
    let variant = KeyFields::new().base_key().only_variant();
    let name = format!("tagalong:1:tagalong:v:{variant}");
    for (life, least) in [(60, 50), (600, 550), (60, 550)] {
        let life = Duration::from_secs(life);
        if least == 50 {
            let put = link.put_record(variant, b"x", life).await;
            put.expect("an answer");
        }
        let prolonged = link.prolong_record(variant, life).await;
        prolonged.expect("an answer");
        let left = redis.command(&["TTL", &name]).await.text();
        let left: u64 = left.parse().expect("it has a life");
        assert!(left > least, "{left}");
    }
}

#[tokio::test]
async fn s09_one_response_is_forgotten_by_all_and_its_siblings_by_nobody() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let [a, b] = sidecars(&app, |setup| calm(setup.redis(&redis.url()).rules(RULES))).await;
    stored(&app, &a, &["/p/1", "/p/2"]).await;
    for path in ["/p/1", "/p/2"] {
        let client = b.client();
        let shared = async { while !client.get(path).await.has_body("old").hits() {} };
        soon("the other one to have it", shared).await;
    }
    let operator = Operator::of(&redis).await;
    let listed = all(&operator, &Filter::default(), 10).await;
    let one = listed.iter().find(|it| &*it.logical == "P:1").unwrap();
    app.answer("/p/1", reply("new"));
    let by: Arc<str> = "DELETE /v1/entries".into();
    for expected in [1, 0] {
        let purged = operator.cache.purge_entry(&one.key, &by).await;
        assert_eq!(purged, Some(expected));
    }
    for sidecar in [&a, &b] {
        let client = sidecar.client();
        let told = async { while client.get("/p/1").await.text() != "new" {} };
        soon("it to be told", told).await;
        client.get("/p/2").await.is_hit().has_body("old");
    }
    assert_eq!(app.calls("/p/2"), 1);
}

#[tokio::test]
async fn s10_another_life_is_so_for_whoever_finds_it_in_the_store() {
    let kept = Kept::of(&["/p/1", "/p/2"]).await;
    let (app, redis, operator) = (&kept.app, &kept.redis, &kept.operator);
    let listed = all(operator, &Filter::default(), 10).await;
    let one = listed.iter().find(|it| &*it.logical == "P:1").unwrap();
    let hour = Duration::from_secs(3_600);
    let longer = set_life(operator, &one.key, hour).await;
    let longer = longer.expect("it is stored");
    assert!(longer.fresh_until.since(one.fresh_until) > Duration::from_secs(3_000));
    let b = sidecar(app, &redis.url(), RULES).await;
    for (path, least) in [("/p/1", 3_000), ("/p/2", 0)] {
        let answer = b.client().get(path).await;
        let ttl = answer.is_hit().ttl();
        assert!(ttl > least && ttl <= least + 600, "{path}: {ttl}");
    }
    let brief = Duration::from_millis(1);
    let briefer = set_life(operator, &one.key, brief).await;
    assert!(briefer.is_some());
    until_kept(operator, 1).await; // it expires then
    let c = sidecar(app, &redis.url(), RULES).await;
    c.client().get("/p/1").await.is_miss();
    assert_eq!(app.calls("/p/2"), 1);
}

#[tokio::test]
async fn of_what_memory_has_too_the_store_is_asked_for_that_one_alone() {
    let redis = Redis::start().await;
    let operator = Operator::of(&redis).await;
    let (hour, rules) = (Duration::from_secs(3_600), operator.rules.load());
    let object = Object {
        content_type: None,
        body: "x".into(),
        tags: Vec::new(),
        life: Duration::from_secs(60),
    };
    let objects = operator.cache.objects(&rules);
    let put = objects.put("k", object, None, &"PUT".into()).await;
    assert!(put.is_ok(), "{put:?}");
    let filter = Filter {
        tier: Some(Tier::Redis),
        ..Filter::default()
    };
    let before = all(&operator, &filter, 10).await;
    let asked = redis.command_stats().await.get("scan").copied();
    let key = before.first().expect("it is shared").key;
    let here = set_life(&operator, &key, hour).await.expect("it is here");
    assert_eq!(here.tier, Tier::Memory);
    assert_eq!(redis.command_stats().await.get("scan").copied(), asked);
    let after = all(&operator, &filter, 10).await;
    let longer = after.first().expect("it is shared").fresh_until;
    assert!(longer > before.first().expect("it was").fresh_until + hour / 2);
}

#[tokio::test]
async fn all_nodes_of_a_cluster_are_listed_and_changed() {
    let (app, cluster) = (Origin::start().await, Cluster::start().await);
    let a = sidecar(&app, &cluster.url(), RULES).await;
    let paths: Vec<String> = (0..30).map(|n| format!("/p/{n}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    stored(&app, &a, &paths).await;
    let operator = Operator::at(&cluster.url()).await;
    until_kept(&operator, 30).await;
    let listed = all(&operator, &Filter::default(), 4).await;
    let names: BTreeSet<String> = listed.iter().map(|it| it.logical.to_string()).collect();
    assert_eq!((listed.len(), names.len()), (30, 30));

    let (hour, by) = (Duration::from_secs(3_600), "DELETE /v1/entries".into());
    let (forgotten, others) = listed.split_at(10);
    for one in forgotten {
        let purged = operator.cache.purge_entry(&one.key, &by).await;
        assert_eq!(purged, Some(1), "{}", one.logical);
    }
    for one in others {
        let longer = set_life(&operator, &one.key, hour).await;
        let longer = longer.expect("it is stored").fresh_until;
        assert!(longer > one.fresh_until + hour / 2, "{}", one.logical);
    }
    let mut left: Vec<_> = all(&operator, &Filter::default(), 4).await;
    left.retain(|it| it.fresh_until > it.created + hour / 2);
    assert_eq!(left.len(), 20);
}
