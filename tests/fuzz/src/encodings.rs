//! What is written so that others read it, of any names and any content: it reads back as what was written, and no two that differ are
//! written alike (L7).
//!
//! The input is lines, each of them a name. As a whole it is also content, its first bytes the codings that it gets, and content that
//! only says that it is encoded.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use flate2::write::ZlibEncoder;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::header;
use http::response::Parts;
use percent_encoding::percent_decode_str;
use tagalong::dialects::Config;
use tagalong::dialects::Dialects;
use tagalong::dialects::Field;
use tagalong::dialects::Said;
use tagalong::dialects::Separator;
use tagalong::dialects::cache_status;
use tagalong::fetch;
use tagalong::model::change::Attribute;
use tagalong::model::change::Change;
use tagalong::model::key::ComposedKey;
use tagalong::model::key::KeyFields;
use tagalong::model::outcome::NoStore;
use tagalong::model::outcome::Outcome;
use tagalong::model::request::Head;
use tagalong::model::stamp::Stamp;
use tagalong::model::tag::Increment;
use tagalong::model::tag::Tag;
use tagalong::model::tag::Tagged;
use tagalong::model::time::Timestamp;
use tagalong::rules::Context;
use tagalong::rules::Matched;
use tagalong::rules::Picked;
use tagalong::rules::RuleSet;

/// More names than these are passed over: they take time, and reach nothing more. So many are held to the first.
const NAMES: usize = 10;
const PAIRS: usize = 3;

/// The most content that is decoded of what only says that it is encoded.
const MOST: usize = 1_000;

/// More than all codings add to what they cannot make shorter.
const ADDED: usize = 1_000;

const ORIGIN: &str = "http://shop.example";

/// A field of the app's own. Names are encoded so that this separator is in none of them.
const OWN: &str = "x-tags";
const OWN_SEPARATOR: char = '@';

/// The fields that tag a response with a plain list, and what separates its members.
const LISTS: &[(&str, &str)] = &[
    ("cache-tag", ","),
    ("surrogate-key", " "),
    ("xkey", " "),
    ("edge-cache-tag", ","),
    ("x-magento-tags", ","),
    ("x-litespeed-tag", ","),
    (OWN, "@"),
];

const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];

const RULES: &str = "
rules:
  - { id: list, tags_from_body: [{ json: '/items/*/id', tag: 'T:{value}', max: 200 }] }
";

static DIALECTS: LazyLock<Dialects> = LazyLock::new(|| {
    let mut config = Config::default();
    let own = Field {
        name: HeaderName::from_static(OWN),
        separator: Separator::try_from(OWN_SEPARATOR).ok(),
    };
    config.tags.push(own);
    Dialects::new(config)
});

static MATCHED: LazyLock<Matched> = LazyLock::new(|| {
    let files = [("rules.yaml".to_owned(), RULES.to_owned())];
    let rules = RuleSet::compile(&files, &Context::new("fuzz")).expect("these are right");
    let request = Request::get("/").header(header::HOST, "shop.example");
    let parts = request.body(()).expect("a request").into_parts().0;
    let head = Head::new(parts, "http").expect("it is for a host");
    rules.plan(&head, Timestamp::from_secs(0)).matched(&head)
});

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let names: Vec<&str> = text
        .split('\n')
        .filter(|name| !name.is_empty())
        .take(NAMES)
        .collect();
    lists_of_tags(&names);
    lists_of_increments(&names);
    groups(&names);
    changes(&names);
    cache_statuses(&names);
    let (first, few) = (
        names.first().copied().unwrap_or("a"),
        names.iter().take(PAIRS),
    );
    for name in few {
        tags_of_dimensions(first, name);
        keys(first, name);
    }
    contents(input);
    tags_in_bodies(input, &names);
}

/// A tag with this name for its instance.
fn tag(name: &str) -> Tag {
    let tag = Tag::parse(&format!("T:{}", Tag::encode(name))).expect("what is encoded is a tag's");
    let instance = tag.as_str().strip_prefix("T:").expect("as it was written");
    assert_eq!(decoded(instance), name.as_bytes(), "{tag}");
    tag
}

fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

fn headers(field: &'static str, lines: impl IntoIterator<Item = String>) -> HeaderMap {
    let line = |line: String| HeaderValue::from_bytes(line.as_bytes()).expect("a value");
    let name = HeaderName::from_static(field);
    lines
        .into_iter()
        .map(|it| (name.clone(), line(it)))
        .collect()
}

/// What is said by these fields, all of which are understood.
#[track_caller]
fn said(mut headers: HeaderMap) -> Said {
    let said = DIALECTS.take(|| ORIGIN.to_owned(), false, &mut headers);
    assert_eq!(said.ignored, [], "passed over");
    assert!(!said.unreadable && headers.is_empty(), "{headers:?}");
    said
}

/// A list on one line, on a line for each member, and with nothing between some separators.
fn spelled(field: &'static str, members: &[String], separator: &str) -> [HeaderMap; 3] {
    let loose = members.join(&format!(" {separator}\t{separator} "));
    let loose = format!("{separator} {loose} {separator}");
    [vec![members.join(separator)], members.to_vec(), vec![loose]]
        .map(|lines| headers(field, lines))
}

fn lists_of_tags(names: &[&str]) {
    let tags: Vec<Tag> = names.iter().map(|name| tag(name)).collect();
    let texts: Vec<String> = tags.iter().map(Tag::to_string).collect();
    for (field, separator) in LISTS {
        for headers in spelled(field, &texts, separator) {
            let read: Vec<Tag> = said(headers).tags.into_iter().map(|it| it.tag).collect();
            assert_eq!(read, tags, "{field}");
        }
    }
    let numbered = tags.iter().zip(-1_i64..);
    let (texts, versions): (Vec<String>, Vec<Tagged>) = numbered
        .map(|(tag, version)| {
            let text = format!("{tag}; v={version}");
            let (tag, version) = (tag.clone(), Some(version));
            (text, Tagged { tag, version })
        })
        .unzip();
    for headers in spelled("cache-tag", &texts, ",") {
        assert_eq!(said(headers).tags, versions);
    }
}

fn lists_of_increments(names: &[&str]) {
    let increment = |(n, name): (usize, &&str)| Increment {
        tag: tag(name),
        soft: n % 2 == 1,
        again: (n % 3 == 2).then(|| Duration::from_secs(n as u64)),
    };
    let increments: Vec<Increment> = names.iter().enumerate().map(increment).collect();
    let text = |it: &Increment| {
        let soft = if it.soft { ";soft" } else { "" };
        let again = it.again.map(|again| format!(";again={}", again.as_secs()));
        format!("{}{soft}{}", it.tag, again.unwrap_or_default())
    };
    let texts: Vec<String> = increments.iter().map(text).collect();
    for headers in spelled("cache-tag-increment", &texts, ",") {
        assert_eq!(said(headers).increments, increments);
    }

    let again = None;
    let increments: Vec<Increment> = increments
        .into_iter()
        .map(|it| Increment { again, ..it })
        .collect();
    let text = |it: &Increment| {
        let soft = if it.soft { "stale, " } else { "" };
        format!("{soft}tag={}", it.tag)
    };
    let texts: Vec<String> = increments.iter().map(text).collect();
    for headers in spelled("x-litespeed-purge", &texts, ";") {
        assert_eq!(said(headers).increments, increments);
    }
}

/// A string of RFC 9651 §3.3.3, if it can be one.
fn string(text: &str) -> Option<String> {
    let fits = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    fits.then(|| format!("\"{escaped}\""))
}

/// A display string of RFC 9651 §3.3.8.
fn display_string(text: &str) -> String {
    let shown: String = text
        .bytes()
        .map(|byte| match byte {
            b'%' | b'"' | ..=0x1f | 0x7f.. => format!("%{byte:02x}"),
            _ => char::from(byte).to_string(),
        })
        .collect();
    format!("%\"{shown}\"")
}

fn groups(names: &[&str]) {
    let named: Vec<(&str, String)> = names
        .iter()
        .filter_map(|name| Some((*name, string(name)?)))
        .collect();
    let of = |origin: &str| -> Vec<Tag> {
        let tags = named.iter().map(|(name, _)| Tag::group(origin, name));
        tags.collect()
    };
    let strings: Vec<String> = named.iter().map(|(_, string)| string.clone()).collect();
    for lines in [vec![strings.join(", ")], strings] {
        let read = said(headers("cache-groups", lines.clone())).tags;
        let read: Vec<Tag> = read.into_iter().map(|it| it.tag).collect();
        assert_eq!(read, of(ORIGIN));
        let changed = said(headers("cache-group-invalidation", lines)).increments;
        let changed: Vec<Tag> = changed.into_iter().map(|it| it.tag).collect();
        assert_eq!(changed, of(ORIGIN));
    }
    for (name, _) in &named {
        let known = Tag::group(ORIGIN, name).known_as();
        let expected = name.strip_prefix('~').map(|rest| format!("%7E{rest}"));
        assert_eq!(known.as_deref(), Some(expected.as_deref().unwrap_or(name)));
    }
    let other = format!("{ORIGIN}:8080");
    let differ: BTreeSet<&str> = named.iter().map(|(name, _)| *name).collect();
    let tags: BTreeSet<Tag> = of(ORIGIN).into_iter().chain(of(&other)).collect();
    assert_eq!(tags.len(), 2 * differ.len(), "two groups are one: {tags:?}");
}

fn changes(names: &[&str]) {
    let changes: Vec<(String, Change)> = names
        .windows(3)
        .map(|window| {
            let [rule, old, new] = [0, 1, 2].map(|n| *window.get(n).expect("three"));
            let (rule, text) = string(rule).map_or(("r", "r".to_owned()), |text| (rule, text));
            let old_text = string(old).unwrap_or_else(|| display_string(old));
            let new_text = display_string(new);
            let attribute = |name: &str, old: Option<&str>, new: Option<&str>| Attribute {
                name: name.into(),
                old: old.map(Into::into),
                new: new.map(Into::into),
            };
            let change = Change {
                rule: rule.into(),
                attributes: vec![
                    attribute("a", Some(old), Some(new)),
                    attribute("b", None, Some(old)),
                ],
            };
            let text = format!("{text};old.a={old_text};new.b={old_text};new.a={new_text}");
            (text, change)
        })
        .collect();
    let (texts, changes): (Vec<String>, Vec<Change>) = changes.into_iter().unzip();
    if !texts.is_empty() {
        let read = said(headers("cache-tag-change", [texts.join(", ")]));
        assert_eq!(read.changes, changes);
    }
}

/// What differs has another text.
#[track_caller]
fn differ<T: Debug + PartialEq, K: Debug + Ord>(all: impl IntoIterator<Item = (K, T)>) {
    let mut known: BTreeMap<K, T> = BTreeMap::new();
    for (written, meant) in all {
        if let Some(other) = known.get(&written) {
            assert_eq!(*other, meant, "written alike: {written:?}");
        }
        known.insert(written, meant);
    }
}

fn tags_of_dimensions(one: &str, other: &str) {
    type Meant = (String, Vec<(&'static str, Option<String>)>);
    let text = |parts: &[&str]| parts.concat();
    let all: Vec<Meant> = vec![
        (text(&[one]), vec![]),
        (text(&[one, other]), vec![]),
        (text(&[one, ":a=", other]), vec![]),
        (text(&[one]), vec![("a", None)]),
        (text(&[one]), vec![("a", Some(text(&[])))]),
        (text(&[one]), vec![("a", Some(text(&[other])))]),
        (text(&[one]), vec![("a", Some(text(&[other]))), ("b", None)]),
        (text(&[one]), vec![("a", Some(text(&[other, ",b"])))]),
        (
            text(&[one]),
            vec![("a", Some(text(&[other, ",b="]))), ("b", None)],
        ),
        (text(&[one]), vec![("a", None), ("b", Some(text(&[other])))]),
        (text(&[one, ":"]), vec![("a", Some(text(&[other])))]),
    ];
    differ(all.into_iter().map(|(rule, values)| {
        let of: Vec<(&str, Option<&str>)> = values
            .iter()
            .map(|(name, value)| (*name, value.as_deref()))
            .collect();
        let tag = Tag::dimension(&rule, &of);
        assert!(tag.is_implicit());
        (tag, (rule, values))
    }));
}

fn keys(one: &str, other: &str) {
    type Meant = Vec<(String, Option<String>)>;
    let text = |parts: &[&str]| parts.concat();
    let all: Vec<Meant> = vec![
        vec![],
        vec![(text(&[one]), None)],
        vec![(text(&[one]), Some(text(&[])))],
        vec![(text(&[one]), Some(text(&[other])))],
        vec![(text(&[one, other]), None)],
        vec![(text(&[one, "=", other]), None)],
        vec![(text(&[one, "&", other]), None)],
        vec![(text(&[one]), None), (text(&[other]), None)],
        vec![(text(&[one]), Some(text(&[]))), (text(&[other]), None)],
        vec![(text(&[one]), Some(text(&["&", other])))],
        vec![(text(&[one, "="]), Some(text(&[other])))],
        vec![(text(&[one]), Some(text(&["=", other])))],
    ];
    let written: Vec<(KeyFields, Meant)> = all
        .into_iter()
        .map(|list| {
            let mut fields = KeyFields::new();
            for (name, value) in &list {
                fields.optional(name, value.as_deref());
            }
            let read: Meant = fields
                .iter()
                .map(|(name, value)| {
                    let value = value.map(|value| str::from_utf8(value).expect("text").to_owned());
                    (name.to_owned(), value)
                })
                .collect();
            assert_eq!(read, list);
            assert_eq!(shown(&fields.to_string()), list, "{fields}");
            (fields, list)
        })
        .collect();
    let keys = written.iter().map(|(fields, list)| {
        let base = fields.base_key();
        let composed = base
            .only_variant()
            .composed([(one, Stamp::from_raw(1))].into_iter());
        assert_eq!(ComposedKey::from_hex(&composed.to_string()), Some(composed));
        (composed.to_bytes(), list)
    });
    differ(keys);
    differ(
        written
            .iter()
            .map(|(fields, list)| (fields.to_string(), list)),
    );
}

/// The fields of a key as people are shown them.
fn shown(text: &str) -> Vec<(String, Option<String>)> {
    let text_of = |text: &str| String::from_utf8(decoded(text)).expect("text");
    let pieces = text.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| match piece.split_once('=') {
            Some((name, value)) => (text_of(name), Some(text_of(value))),
            None => (text_of(piece), None),
        })
        .collect()
}

fn cache_statuses(names: &[&str]) {
    let tags: Vec<Tag> = names.iter().map(|name| tag(name)).collect();
    let tags: Vec<(&Tag, Stamp)> = tags.iter().zip((1..).map(Stamp::from_raw)).collect();
    for name in names.iter().take(PAIRS) {
        let debug = cache_status::Debug {
            rule: Some(name),
            detail: Some(name),
            tags: &tags,
            ..cache_status::Debug::default()
        };
        let outcome = Outcome::Hit {
            ttl: 7,
            stale: None,
        };
        let line = cache_status::render_with(outcome, &debug);
        let list = sfv::Parser::new(line.as_bytes()).parse::<sfv::List>();
        let list = list.expect("a structured field");
        let [sfv::ListEntry::Item(item)] = &list[..] else {
            panic!("one member is expected: {line:?}");
        };
        let text = |name: &str| {
            let value = item.params.get(name).and_then(sfv::BareItem::as_string);
            value.expect("a string").as_str().to_owned()
        };
        for field in ["rule", "detail"] {
            assert_eq!(decoded(&text(field)), decoded(name), "{line:?}");
        }
        let told = text("tags");
        let told = told.split(' ').map(|it| {
            let (tag, stamp) = it.rsplit_once('@').expect("a tag and its version");
            (decoded(tag), stamp.parse().expect("a number"))
        });
        let told: Vec<(Vec<u8>, u64)> = told.collect();
        let meant = tags
            .iter()
            .map(|(tag, stamp)| (decoded(tag.as_str()), stamp.get()));
        assert_eq!(told, meant.collect::<Vec<_>>(), "{line:?}");
    }
}

/// A response whose content is encoded so.
fn response(codings: &str) -> Parts {
    let response = Response::builder().header(header::CONTENT_ENCODING, codings);
    response.body(()).expect("a response").into_parts().0
}

fn encoded(coding: &str, text: &[u8]) -> Vec<u8> {
    let written = "memory takes what is written";
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).expect(written);
            encoder.finish().expect(written)
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).expect(written);
            encoder.finish().expect(written)
        }
        "br" => brotli(text),
        "zstd" => zstd::encode_all(text, 1).expect(written),
        _ => text.to_vec(),
    }
}

/// A brotli stream of uncompressed metablocks (RFC 7932 §9.2).
fn brotli(text: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (n, block) in text.chunks(1 << 16).enumerate() {
        let len = u32::try_from(block.len() - 1).expect("at most 16 bits");
        // WBITS 16 (1 bit, once); ISLAST 0, MNIBBLES 4 (00), MLEN - 1 (16 bits), ISUNCOMPRESSED 1.
        let head = match n {
            0 => len << 4 | 1 << 20,
            _ => len << 3 | 1 << 19,
        };
        stream.extend_from_slice(&head.to_le_bytes()[..3]);
        stream.extend_from_slice(block);
    }
    match stream.is_empty() {
        true => vec![6],                       // WBITS 16, ISLAST, ISLASTEMPTY
        false => [&stream[..], &[3]].concat(), // ISLAST, ISLASTEMPTY
    }
}

/// Up to three codings, by the first bytes.
fn codings(input: &[u8]) -> Vec<&'static str> {
    let chosen = input
        .iter()
        .take(3)
        .map(|byte| usize::from(*byte) % CODINGS.len());
    chosen.map(|n| CODINGS[n]).collect()
}

fn contents(input: &[u8]) {
    let codings = codings(input);
    let most = input.len() + ADDED;
    let all = codings
        .iter()
        .fold(input.to_vec(), |text, coding| encoded(coding, &text));
    let parts = response(&codings.join(", "));
    let whole = Ok(Bytes::copy_from_slice(input));
    assert_eq!(
        fetch::content(&parts, all.into(), most),
        whole,
        "{codings:?}"
    );

    for coding in CODINGS {
        let (parts, one) = (response(coding), encoded(coding, input));
        if let Some(less) = input.len().checked_sub(1) {
            let read = fetch::content(&parts, one.clone().into(), less);
            if coding != "identity" {
                assert_eq!(read, Err(NoStore::TooLarge), "{coding}");
            }
        }
        if coding != "identity" {
            for cut in [one.len() - 1, one.len() / 2] {
                let read = fetch::content(&parts, one[..cut].to_vec().into(), most);
                let is_whole = read == whole;
                assert!(
                    is_whole || read.is_err(),
                    "{coding}, cut at {cut}: {read:?}"
                );
            }
        }
        let read = || fetch::content(&parts, Bytes::copy_from_slice(input), MOST);
        match read() {
            Ok(text) => assert!(text.len() <= MOST || coding == "identity"),
            Err(why) => assert!(
                matches!(why, NoStore::TooLarge | NoStore::UnreadableBody),
                "{why:?}"
            ),
        }
        assert_eq!(read(), read());
    }
}

fn tags_in_bodies(input: &[u8], names: &[&str]) {
    let codings = codings(input);
    let parts = response(&codings.join(", "));
    let items: Vec<_> = names
        .iter()
        .map(|name| serde_json::json!({ "id": name }))
        .collect();
    let body = serde_json::json!({ "items": items })
        .to_string()
        .into_bytes();
    let most = body.len() + ADDED;
    let sent = codings
        .iter()
        .fold(body, |text, coding| encoded(coding, &text));
    let text = fetch::content(&parts, sent.into(), most).expect("as it was encoded");
    let picked = Picked::read(MATCHED.wanted_to_store(&parts), &text).expect("it is JSON");
    let tags = MATCHED.tags_in(&parts, &Ok(picked));
    assert_eq!(tags, Ok(names.iter().map(|name| tag(name)).collect()));

    // What anybody reads as JSON is read.
    let picked = Picked::read(MATCHED.wanted_to_store(&parts), input);
    if serde_json::from_slice::<serde_json::Value>(input).is_ok() {
        assert!(picked.is_ok(), "{picked:?}");
    }
    if let Ok(picked) = picked {
        let tags = MATCHED.tags_in(&parts, &Ok(picked)).unwrap_or_default();
        assert!(
            tags.iter()
                .all(|tag| Tag::parse(tag.as_str()).as_ref() == Ok(tag))
        );
    }
}
