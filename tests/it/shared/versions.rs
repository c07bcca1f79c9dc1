//! Two versions that share a store while one is rolled out or taken back: what either writes the other understands, takes for
//! lost, or forgets everything for; never for something else.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::ADMIN;
use super::BOUNDED;
use super::calm;
use super::metric;
use super::operator::Operator;
use super::says;
use super::story::increments;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::RedisReply;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;
use crate::support::sidecars;
use crate::support::soon;

const SEQ: &str = "tagalong:{tagalong}:seq";
const LOG: &str = "tagalong:{tagalong}:log";

/// What begins the names of records of responses, and of their bytes.
const RECORDS: &str = "tagalong:1:tagalong:v:";
const BODIES: &str = "tagalong:1:tagalong:c:";

/// Where in both the version of the format stands, and which this one has (`store/codec`).
const VERSION: usize = 5;
const OURS: u8 = 1;

async fn sidecar(app: &Origin, redis: &Redis) -> Sidecar {
    let setup = Setup::new(app).real_time().redis(&redis.url());
    calm(setup.rules(BOUNDED)).config(ADMIN).start().await
}

/// The names that begin so.
async fn named(redis: &Redis, prefix: &str) -> Vec<String> {
    let mut keys = redis.keys().await;
    keys.retain(|key| key.starts_with(prefix));
    keys
}

/// The name that begins so, of which there is to be one.
async fn one(redis: &Redis, prefix: &str) -> String {
    let there = async {
        loop {
            let keys = named(redis, prefix).await;
            if let [key] = &keys[..] {
                break key.clone();
            }
        }
    };
    soon(format!("one {prefix}"), there).await
}

async fn bytes(redis: &Redis, key: &str) -> Vec<u8> {
    let answer = redis.command(&["GET", key]).await;
    let RedisReply::Text(bytes) = answer else {
        panic!("{key} is {answer:?}");
    };
    bytes.to_vec()
}

/// Has what is under this name written by another version: with fields and a checksum that are none here.
async fn of_version(redis: &Redis, key: &str, version: u8) -> Vec<u8> {
    let mut other = bytes(redis, key).await;
    assert_eq!(other[VERSION], OURS, "{key}");
    other[VERSION] = version;
    other.extend_from_slice(b"and what only the other one knows of");
    let command: [&[u8]; 4] = [b"SET", key.as_bytes(), &other, b"KEEPTTL"];
    redis.command(&command).await;
    other
}

#[tokio::test]
async fn a_response_of_another_version_is_a_miss_and_stays_until_another_takes_its_place() {
    for version in [OURS - 1, OURS + 1, u8::MAX] {
        for of_record in [true, false] {
            let name = format!("version {version}, of the record: {of_record}");
            let (app, redis) = (Origin::start().await, Redis::start().await);
            let a = sidecar(&app, &redis).await;
            says(&app, "theirs");
            a.client().get("/users/42").await.is_miss();
            let record = one(&redis, RECORDS).await;
            let body = one(&redis, BODIES).await;
            let key = if of_record { &record } else { &body };
            let theirs = of_version(&redis, key, version).await;

            let b = sidecar(&app, &redis).await;
            says(&app, "ours");
            let hold = app.hold("/users/42");
            let asked = b.client();
            let asking = asked.begin(crate::support::get("/users/42")).await;
            let held = hold.arrived().await;
            // To look does not change it: the other version goes on with it.
            assert_eq!(bytes(&redis, key).await, theirs, "{name}");
            held.release(reply("ours")).await;
            asking.answer().await.is_miss().has_body("ours");
            let foreign = "tagalong_store_foreign_total{kind=\"version\"}";
            assert!(metric(&b, foreign).await >= 1.0, "{name}");
            assert_eq!(metric(&b, "tagalong_log_gaps_total").await, 0.0, "{name}");

            // What is stored now is in its place, under the same names: the newest counts.
            let replaced = async { while bytes(&redis, key).await[VERSION] != OURS {} };
            soon(format!("ours in its place: {name}"), replaced).await;
            let c = sidecar(&app, &redis).await;
            c.client().get("/users/42").await.is_hit().has_body("ours");
            // Who has theirs in memory goes on with it: nothing has changed.
            a.client()
                .get("/users/42")
                .await
                .is_hit()
                .has_body("theirs");
        }
    }
}

#[tokio::test]
async fn a_pattern_forgets_what_another_version_has_stored_too() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis).await;
    says(&app, "old");
    a.client().get("/users/42").await.is_miss();
    let record = one(&redis, RECORDS).await;
    let theirs = of_version(&redis, &record, OURS + 1).await;
    let operator = Operator::of(&redis).await;
    // It may match or not: here, nobody can tell. To the other version it is a miss.
    assert!(operator.purge("*/users/42*").await.is_some());
    assert_eq!(named(&redis, RECORDS).await, Vec::<String>::new());
    // What does not concern responses is as it was, and the other version can still put its own there.
    let command: [&[u8]; 5] = [b"SET", record.as_bytes(), &theirs, b"PX", b"60000"];
    redis.command(&command).await;
    says(&app, "new");
    let told = async { while a.client().get("/users/42").await.text() != "new" {} };
    soon("the pattern", told).await;
}

/// Adds a record to the log as another version would: in order, and as one change of the store.
async fn says_more(redis: &Redis, more: &[&str]) {
    let state = redis.command(&["GET", SEQ]).await.text();
    let stamps: Vec<u64> = state
        .split(' ')
        .map(|it| it.parse().expect("a stamp"))
        .collect();
    let &[last, logged, pattern] = &stamps[..] else {
        panic!("{state}");
    };
    let (next, logged) = ((last + 1).to_string(), logged.to_string());
    let sequence = format!("{next} {next} {pattern}");
    let record = ["XADD", LOG, "*", "n", &next, "p", &logged];
    let record = [&record[..], more].concat();
    let mut connection = redis.connect().await;
    for command in [
        &["MULTI"][..],
        &["SET", SEQ, &sequence, "KEEPTTL"],
        &record,
        &["EXEC"],
    ] {
        let answer = connection.ask(command).await.expect("it answers");
        assert!(!matches!(answer, RedisReply::Error(_)), "{answer:?}");
    }
}

#[tokio::test]
async fn l03_a_record_of_a_later_version_is_never_taken_for_less_than_it_says() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let rules = |setup: Setup| calm(setup.redis(&redis.url()).rules(BOUNDED)).config(ADMIN);
    let both: [Sidecar; 2] = sidecars(&app, rules).await;
    let records: [(&str, &[&str]); 7] = [
        ("a field that is not known", &["z", "User:42"]),
        ("one beside an increment", &["h", "Other", "z", "User:42"]),
        ("two patterns", &["m", "*users/42*", "m", "*users/43*"]),
        ("a pattern and an end", &["m", "*users/42*", "d", "00ff"]),
        ("another kind of pattern", &["m", "\0? *users/42*"]),
        ("a version of no tag", &["h", "Other", "a", "7"]),
        ("a version that is no number", &["a", "7.1", "v", "User:42"]),
    ];
    for (gaps, (name, record)) in records.into_iter().enumerate() {
        let (old, new) = (format!("before {name}"), format!("after {name}"));
        says(&app, &old);
        increments(&both[0], "User:42").await;
        for one in &both {
            let client = one.client();
            let stored = async {
                loop {
                    let answer = client.get("/users/42").await;
                    if answer.hits() && answer.text() == old {
                        break;
                    }
                }
            };
            soon(format!("it to be stored: {name}"), stored).await;
        }
        says(&app, &new);
        says_more(&redis, record).await;
        for one in &both {
            let client = one.client();
            let told = async { while client.get("/users/42").await.text() != new {} };
            soon(format!("everything to be forgotten: {name}"), told).await;
            let counted = metric(one, "tagalong_log_gaps_total").await;
            assert_eq!(counted, (gaps + 1) as f64, "{name}");
        }
    }
    // What follows is understood: they go on, and with each other.
    says(&app, "newest");
    increments(&both[0], "User:42").await; // deferred, if it is still beginning anew
    let client = both[1].client();
    let told = async { while client.get("/users/42").await.text() != "newest" {} };
    soon("an increment of this version", told).await;
}

/// What the store holds, in the order of the names: stamps by their order, what differs each time by what it is.
async fn dumped(redis: &Redis) -> String {
    let mut text = String::new();
    let mut held: Vec<(String, Vec<String>)> = Vec::new();
    for key in redis.keys().await {
        let values = match redis.command(&["TYPE", &key]).await.text().as_str() {
            "string" if key.starts_with("tagalong:1:") => {
                let bytes = bytes(redis, &key).await;
                let (magic, rest) = bytes.split_at(4);
                let kind = char::from(rest[0]);
                vec![format!("{magic:02x?} {kind} {}", rest[1])]
            }
            "string" => vec![redis.command(&["GET", &key]).await.text()],
            "stream" => {
                let range = redis.command(&["XRANGE", &key, "-", "+"]).await;
                let fields = |record: &RedisReply| record.list()[1].texts().join("|");
                range.list().iter().map(fields).collect()
            }
            other => panic!("{key} is a {other}"),
        };
        held.push((key, values));
    }
    // Stamps are numbers in the order of their making.
    let stamp = |word: &str| {
        word.parse::<u64>()
            .ok()
            .filter(|it| *it > 1_000_000_000_000)
    };
    let words = |text: &str| -> Vec<String> {
        let parts = text.split([' ', '|']);
        parts.map(str::to_owned).collect()
    };
    let all = held.iter().flat_map(|(_, values)| values);
    let mut stamps: Vec<u64> = all
        .flat_map(|it| words(it))
        .filter_map(|it| stamp(&it))
        .collect();
    stamps.sort_unstable();
    stamps.dedup();
    let known: BTreeMap<String, String> = stamps
        .iter()
        .enumerate()
        .map(|(n, stamp)| (stamp.to_string(), format!("#{n}")))
        .collect();
    let is_hex = |word: &str| word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let told = |word: &str| match known.get(word) {
        Some(stamp) => stamp.clone(),
        None if is_hex(word) => "<hex>".into(),
        None => word.replace('\0', "<NUL>"),
    };
    let told_all = |text: &str| {
        let mut told_text = String::new();
        let mut word = String::new();
        for c in text.chars().chain([' ']) {
            if matches!(c, ' ' | '|' | ':' | '.' | '\0') {
                told_text += &told(&word);
                told_text += &told(&c.to_string());
                word.clear();
            } else {
                word.push(c);
            }
        }
        told_text.trim_end().to_owned()
    };
    for (key, values) in held {
        let key = told_all(&key);
        for value in values {
            writeln!(text, "{key} = {}", told_all(&value)).expect("text has room");
        }
    }
    text
}

/// Whoever has to change this has changed what versions understand of each other: see `shared/keys`, `shared/record` and
/// `store/codec` for what may change, and what becomes of those that share the store then.
#[tokio::test]
async fn this_is_what_the_store_holds_for_all_versions() {
    let (app, redis) = (Origin::start().await, Redis::start().await);
    let a = sidecar(&app, &redis).await;
    let client = a.client();
    says(&app, "x");
    client.get("/users/42").await.is_miss();
    one(&redis, BODIES).await;
    a.inc("Hard:1, Soft:1;soft").await;
    app.answer(
        "/counted",
        reply("x")
            .header("Cache-Tag", "Row:1;v=-7")
            .control("no-store"),
    );
    client.get("/counted").await;
    let operator = Operator::of(&redis).await;
    assert_eq!(operator.purge("nothing*").await, Some(0));
    let key = {
        let body = one(&redis, BODIES).await;
        let hex = body.strip_prefix(BODIES).expect("it begins so");
        tagalong::model::key::ComposedKey::from_hex(hex).expect("a key")
    };
    let by = "POST /v1/purge".into();
    assert_eq!(operator.cache.purge_entry(&key, &by).await, Some(1));
    // It hears of the purge soon, and not at once.
    let forgotten = async { while client.get("/users/42").await.hits() {} };
    soon("it to be forgotten", forgotten).await;
    one(&redis, BODIES).await;
    one(&redis, RECORDS).await;
    assert_eq!(dumped(&redis).await, HELD);
}

const HELD: &str = "\
tagalong:1:tagalong:c:<hex> = [f7, 74, 61, 67] E 1
tagalong:1:tagalong:v:<hex> = [f7, 74, 61, 67] R 1
tagalong:{tagalong}:epoch = 1
tagalong:{tagalong}:gen = <hex> <hex>.<hex>
tagalong:{tagalong}:log = n|#0|p|0|g|<hex>
tagalong:{tagalong}:log = n|#2|p|#0|b|POST /inc|h|Hard:1|s|Soft:1|h|~uri:http://shop.example/inc
tagalong:{tagalong}:log = n|#3|p|#2|b|GET /counted|a|-7|v|Row:1
tagalong:{tagalong}:log = n|#4|p|#3|b|POST /v1/purge|m|nothing*
tagalong:{tagalong}:log = n|#5|p|#4|b|POST /v1/purge|m|nothing*
tagalong:{tagalong}:log = n|#6|p|#5|b|POST /v1/purge|m|<NUL><hex> <hex> key_name=users&host=shop.example&path=/users/42
tagalong:{tagalong}:log = n|#7|p|#6|b|POST /v1/purge|m|<NUL><hex> <hex> key_name=users&host=shop.example&path=/users/42
tagalong:{tagalong}:seq = #7 #7 #7
tagalong:{tagalong}:tag:Hard:1 = #2 #2 #2 -
tagalong:{tagalong}:tag:Row:1 = #3 0 #3 -7
tagalong:{tagalong}:tag:Soft:1 = #2 #2 0 -
tagalong:{tagalong}:tag:User:42 = #1 0 0 -
tagalong:{tagalong}:tag:~all = #1 0 0 -
tagalong:{tagalong}:tag:~rule:users = #1 0 0 -
tagalong:{tagalong}:tag:~uri:http://shop.example/inc = #2 #2 #2 -
tagalong:{tagalong}:tag:~uri:http://shop.example/users/42 = #1 0 0 -
";
