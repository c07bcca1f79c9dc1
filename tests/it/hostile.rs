//! Hostile bytes in heads and their fields, for ranges, in tokens, for plans, rule files and configurations, in calls of operators, from the shared store, and
//! in what is written for others: the corpora of the fuzzer, and random inputs, held to what must hold for any input.
//!
//! `make fuzz` goes on from here with inputs of its own.

use std::panic;
use std::path::Path;

use proptest::prelude::*;

use fuzz::admin;
use fuzz::codec;
use fuzz::config;
use fuzz::encodings;
use fuzz::fast_path;
use fuzz::headers;
use fuzz::plan;
use fuzz::ranges;
use fuzz::records;
use fuzz::rules;
use fuzz::spelled;
use fuzz::tokens;

#[path = "../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "the fuzzer's package, its other home, needs it public"
)]
mod fuzz;

/// Runs every file of a target's corpus; fails, naming the file, if one is too much.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let mut count = 0;
    for file in folder.read_dir().expect("the corpus is committed") {
        let path = file.expect("a readable folder").path();
        let input = std::fs::read(&path).expect("a readable file");
        if panic::catch_unwind(|| check(&input)).is_err() {
            panic!("{} breaks what must hold (see above)", path.display());
        }
        count += 1;
    }
    assert!(count >= 10, "{count} files in {}", folder.display());
}

#[test]
fn the_corpus_of_heads() {
    replay("headers", headers::check);
}

#[test]
fn the_corpus_of_the_fast_path() {
    replay("fast_path", fast_path::check);
    let plain = written("fast_path").into_iter();
    let plain = plain.filter(|(_, seed)| fast_path::is_plain(seed)).count();
    assert_eq!(plain, 10, "seeds that are plain");
}

#[test]
fn the_corpus_of_ranges() {
    replay("ranges", ranges::check);
}

#[test]
fn the_corpus_of_tokens() {
    replay("tokens", tokens::check);
}

#[test]
fn the_corpus_of_plans() {
    replay("plan", plan::check);
}

#[test]
fn the_corpus_of_other_spellings() {
    replay("spelled", spelled::check);
    let ways: usize = seeds("spelled")
        .iter()
        .map(|seed| spelled::ways(seed))
        .sum();
    assert!(ways > 60, "{ways} other spellings of all seeds");
}

#[test]
fn the_corpus_of_rule_files() {
    replay("rules", rules::check);
}

#[test]
fn the_corpus_of_calls() {
    replay("admin", admin::check);
    let done: usize = seeds("admin").iter().map(|seed| admin::done(seed)).sum();
    assert!(done > 60, "{done} calls of all seeds are done");
}

#[test]
fn the_corpus_of_records() {
    replay("records", records::check);
    let read = seeds("records").into_iter();
    let read = read.filter(|seed| records::is_read(seed)).count();
    assert!(read > 20, "{read} seeds are records");
}

#[test]
fn the_corpus_of_encodings() {
    replay("encodings", encodings::check);
}

#[test]
fn the_corpus_of_configurations() {
    replay("config", config::check);
    let right = seeds("config").into_iter();
    let right = right.filter(|seed| config::is_right(seed)).count();
    assert!(right >= 3, "{right} seeds are right");
}

#[test]
fn the_corpus_of_stored_bytes() {
    replay("codec", codec::check);
    // The seeds that are right, by their names, and no others.
    let right = written("codec").into_iter();
    let right = right.filter(|(_, seed)| codec::is_read(seed));
    let mut read: Vec<String> = right.map(|(name, _)| name).collect();
    read.sort();
    let expected = [
        "entry",
        "entry-empty",
        "entry-fields-apart",
        "entry-frame",
        "entry-frame-after-frame",
        "entry-frame-compressed",
        "entry-frame-wide-window",
        "entry-part",
        "entry-part-unknown-length",
        "entry-repeated-fields",
        "entry-stale",
        "entry-targeted",
        "entry-vary",
        "record",
        "record-bare",
        "record-varies",
        "record-varies-nothing",
    ];
    assert_eq!(read, expected);
}

/// What tokens say, in and out of place.
fn of_tokens() -> impl Strategy<Value = Vec<u8>> {
    let header = r#"(\{("alg":"(HS256|HS256|HS256|none|RS256)")?(,"kid":("x"|1|null))?(,"crit":\[\])?\}|[ -~]{0,8})"#;
    let member = r#""(sub|sub|exp|nbf|aud|iss)":("[a-z]{0,2}"|-?[0-9]{1,3}|2000000000|1\.5|null|\[\]|\{"a":1\})"#;
    let members = prop::collection::vec(member, 0..4);
    let anything =
        "(Bearer [a-zA-Z0-9_-]{0,8}\\.[a-zA-Z0-9_-]{0,8}\\.[a-zA-Z0-9_-]{0,8}|[ -~]{0,20})";
    (header, members, anything).prop_map(|(header, members, anything)| {
        format!("{header}\n{{{}}}\n{anything}", members.join(",")).into_bytes()
    })
}

/// Requests for ranges, and responses that are asked for them: whole, or a part that begins at a `first` byte.
fn of_ranges() -> impl Strategy<Value = Vec<u8>> {
    let sound = (0_u8..12, 0_u8..4).prop_map(|(first, more)| format!("{first}-{}", first + more));
    let member = prop_oneof![12 => sound, 1 => "-[0-9]", 1 => "[0-9]-", 1 => "[-, 0-9]{0,4}"];
    let set = prop::collection::vec(member, 0..5);
    let if_range = prop_oneof![4 => "", 1 => "if-range: (W/)?\"e\"\n"];
    let etag = "(etag: (W/)?\"e\"\n)?";
    let part = prop::option::of((0_usize..5, "(\\*|[0-9]|20|40)"));
    let content = prop::collection::vec(any::<u8>(), 1..20);
    (set, if_range, etag, part, content).prop_map(|(set, if_range, etag, part, content)| {
        let part = part.map(|(first, complete)| {
            let last = first + content.len() - 1;
            format!("content-range: bytes {first}-{last}/{complete}\n")
        });
        let range = format!("range: bytes={}\n", set.join(","));
        let head = format!("{range}{if_range}\n{etag}{}\n", part.unwrap_or_default());
        [head.as_bytes(), &content].concat()
    })
}

/// Heads made of the words that parsers look for, in and out of place.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let first = "(GET|GET|GET|HEAD|POST|SEARCH) /[a-b?]{0,3}( https)?( cookie)?( authorization)?( ttl=[0-9]{1,3})?";
    let name = "(cache-control|cache-control|expires|date|age|last-modified|etag|vary|set-cookie|pragma|cookie|authorization\
        |cdn-cache-control|tagalong-cache-control|surrogate-control|cache-tag|cache-groups|cache-group-invalidation\
        |cache-tag-increment|xkey|x-litespeed-purge|x-litespeed-vary|cache-status|if-none-match|connection)";
    let word = prop_oneof![
        4 => "(max-age|s-maxage|public|private|no-store|no-cache|must-understand|must-revalidate|stale-while-revalidate)",
        4 => "(=|,|, |;|\"|\\\\| |\\*|\\(|\\))",
        2 => "(60|0|-1|1e3|99999999999999999999|W/\"e\"|accept|x-forwarded-for|tag=a|stale,|~all|\\?1|hit)",
        2 => "(Sun, 06 Nov 1994 08:49:37 GMT|Sun, 06 Nov 1994 09:49:37 GMT|Sat, 05 Nov 1994 08:49:37 GMT)",
        1 => "[ -~é]{0,3}",
    ];
    let field = (name, prop::collection::vec(word, 0..6));
    let field = field.prop_map(|(name, words)| format!("{name}: {}\n", words.concat()));
    let fields = || prop::collection::vec(field.clone(), 0..5).prop_map(|fields| fields.concat());
    let status = "(200|200|200|206|304|404|500|599)";
    (first, fields(), status, fields()).prop_map(|(first, request, status, response)| {
        format!("{first}\n{request}\n{status}\n{response}").into_bytes()
    })
}

/// What clients write, made of the words that parsers look for, in and out of place.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let line = "(GET|GET|HEAD|POST|get) {1,2}(/|/a|/b\\?c|\\*|http://a/|)( HTTP/1\\.1| HTTP/1\\.1| HTTP/1\\.0|)";
    let name =
        "(host|Host|connection|content-length|transfer-encoding|expect|upgrade|x|X-Y|cookie|)( |)";
    let value = "(a|keep-alive|close|0|3|chunked|100-continue|[ -~\t\u{e9}\u{0}]{0,4})";
    let end = || {
        prop::sample::select(vec![
            "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "",
        ])
    };
    let field = (name, "(:|: |:|)", value, end());
    let field = field.prop_map(|(name, colon, value, end)| [&name, &colon, &value, end].concat());
    let fields = prop::collection::vec(field, 0..4).prop_map(|fields| fields.concat());
    let one = (
        end(),
        line,
        end(),
        fields,
        end(),
        "(|||abc|GET / HTTP/1\\.1\n\n)",
    );
    let one = one.prop_map(|(before, line, end, fields, blank, after)| {
        [before, &line, end, &fields, blank, &after].concat()
    });
    prop::collection::vec(one, 1..4).prop_map(|all| all.concat().into_bytes())
}

/// Every seed of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let named = named(target).into_iter();
    named.map(|(_, seed)| seed).collect()
}

/// Those that somebody wrote, with their names; the fuzzer has found the others.
fn written(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut named = named(target);
    named.retain(|(name, _)| !name.starts_with("found-"));
    named
}

fn named(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let files = folder.read_dir().expect("the corpus is committed");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let file = file.expect("a readable folder");
        let name = file.file_name().to_string_lossy().into_owned();
        (name, std::fs::read(file.path()).expect("a readable file"))
    };
    files.map(read).collect()
}

/// Files of a target with a piece of them lost, and another in its place.
fn files(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let junk = "(\\{|\\}|\\[|\\]|:|: |, |- |\n|\r|\n  |\"|'|#|&a |\\*a|!!str |\\||%|\\(|é|[a-z0-9]|null|true|-1|60s){0,4}";
    let seed = prop::sample::select(seeds(target));
    (seed, any::<prop::sample::Index>(), 0_usize..40, junk).prop_map(|(seed, at, lost, junk)| {
        let at = at.index(seed.len() + 1);
        let after = seed.get(at + lost..).unwrap_or_default();
        [seed.get(..at).unwrap_or_default(), junk.as_bytes(), after].concat()
    })
}

/// Calls of operators, made of the words that they may have, in and out of place.
fn of_operators() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "null",
        "true",
        "1",
        "0",
        "-1",
        "1.5",
        "\"A\"",
        "\"Page:1\"",
        "\"~all\"",
        "\"a b\"",
        "[]",
        "[\"Pages\"]",
        "[\"Page:1\",\"Other\"]",
        "{}",
        "{\"size\":\"1\"}",
        "{\"size\":null}",
        "\"60s\"",
        "\"page\"",
        "\"menu\"",
        "\"*e*\"",
        "\"http://a/b?id=1\"",
        "\"",
        "{",
    ]);
    let name = "(tags|tags|soft|again|url|rule|group|match|all|limit|cursor|old|new|epoch|ttl|x)";
    let members = prop::collection::vec((name, word), 0..3);
    let members = members.prop_map(|members| {
        let member = |(name, value): &(String, &str)| format!("\"{name}\":{value}");
        let members: Vec<String> = members.iter().map(member).collect();
        format!("{{{}}}", members.join(","))
    });
    let call = "(POST /v1/(purge|purge|tags/increment|refresh|change|reload)|PUT /v1/epoch\
        |(PUT|DELETE|GET|GET) /v1/objects/(one|two|%20|[a-z%/]{0,3})|(GET|PATCH|DELETE) /v1/entries/[0-9a-f]{0,33}\
        |GET /v1/(stats|rules|tags|audit|increments|entries|epoch|events)(\\?((limit|cursor|tag|match|rule|tier)=[a-z0-9%*]{0,3}&?){0,2})?\
        |GET /v1/explain\\?(url|method|header)=[/a-z:%0-9]{0,5}(&url=/page/1\\?id=1)?|GET /v1/tags/[A-Z~:%0-9]{0,4}|[A-Z]{1,4} /[a-z/]{0,5})";
    let field = "(host|origin|content-type|tagalong-cache-control|tagalong-cache-control|cache-tag|tagalong-token|authorization)";
    let value = "(localhost|application/json|max-age=60|max-age=0|Page:1|A, B;v=2|a b|[ -~]{0,5})";
    let fields = prop::collection::vec((field, value), 0..3);
    let one = (call, fields, members).prop_map(|(call, fields, body)| {
        let field = |(name, value): &(String, String)| format!("\n{name}: {value}");
        let fields: String = fields.iter().map(field).collect();
        format!("{call}{fields}\n\n{body}")
    });
    prop::collection::vec(one, 1..3).prop_map(|calls| calls.join("\n---\n").into_bytes())
}

/// What stands in the shared store besides responses, in and out of place.
fn of_records() -> impl Strategy<Value = Vec<u8>> {
    let name = "(n|n|p|b|h|h|s|a|v|m|d|g|z|)";
    let value = "(7|5|-3|18446744073709551615|User:42|~all|a b|\\*|[ -~é]{0,4})";
    let pair = (name, value).prop_map(|(name, value)| format!("{name}\n{value}"));
    let pairs = prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("\n"));
    let end = "(|||\n|\nodd)";
    let record = (any::<bool>(), pairs, end).prop_map(|(begins, pairs, end)| {
        let begin = if begins { "n\n7\np\n5\n" } else { "" };
        format!("{begin}{pairs}{end}").into_bytes()
    });
    let numbers = "[-+0-9]{1,4}( [-+0-9]{1,3}){0,4}".prop_map(String::into_bytes);
    prop_oneof![4 => record, 1 => numbers, 2 => files("records")]
}

/// Names of everything, and content that is encoded.
fn of_names() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::collection::vec("([a-c]{1,2}|[ -~]{1,4}|\\PC{1,3}|.{1,3})", 0..6);
    let names = names.prop_map(|names| names.join("\n").into_bytes());
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![3 => names, 1 => bytes, 2 => files("encodings")]
}

/// Stored bytes with a piece of them lost, and another in its place.
fn stored() -> impl Strategy<Value = Vec<u8>> {
    let seed = prop::sample::select(seeds("codec"));
    let piece = prop::collection::vec(prop_oneof![any::<u8>(), 0..4_u8, Just(0xff)], 0..9);
    let at = any::<prop::sample::Index>();
    (seed, at, 0_usize..9, piece).prop_map(|(seed, at, lost, piece)| {
        let at = at.index(seed.len() + 1);
        let after = seed.get(at + lost..).unwrap_or_default();
        [seed.get(..at).unwrap_or_default(), &piece, after].concat()
    })
}

proptest! {
    // Each has a sidecar made for it.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_calls(input in of_operators()) {
        admin::check(&input);
    }
}

proptest! {
    #[test]
    fn random_stored_bytes(input in stored()) {
        codec::check(&input);
    }

    #[test]
    fn random_records(input in of_records()) {
        records::check(&input);
    }

    #[test]
    fn random_names(input in of_names()) {
        encodings::check(&input);
    }

    #[test]
    fn random_streams_on_the_fast_path(input in streams()) {
        fast_path::check(&input);
    }

    #[test]
    fn random_rule_files(input in files("rules")) {
        rules::check(&input);
    }

    #[test]
    fn random_configurations(input in files("config")) {
        config::check(&input);
    }

    #[test]
    fn random_heads(input in heads()) {
        headers::check(&input);
    }

    #[test]
    fn random_ranges(input in of_ranges()) {
        ranges::check(&input);
    }

    #[test]
    fn random_bytes(input in prop::collection::vec(any::<u8>(), 0..200)) {
        headers::check(&input);
        ranges::check(&input);
        tokens::check(&input);
        plan::check(&[b"GET /r/", &*input].concat());
        rules::check(&input);
        codec::check(&input);
        codec::check(&[b"E\0", &*input].concat());
        codec::check(&[b"R\x01", &*input].concat());
        records::check(&input);
        encodings::check(&input);
    }

    #[test]
    fn random_tokens(input in of_tokens()) {
        tokens::check(&input);
    }

    #[test]
    fn random_requests(
        method in "(GET|GET|HEAD|POST|OPTIONS)",
        path in "/(r|w|a|i|x)/([a-c/.;]|%2[eEfF]|%[f0]{2}){0,8}(\\.css)?",
        query in "(\\?((a|d|u|no|%61)?(=|;|&|1|%ff){0,3}&?){0,5})?( https)?",
        fields in prop::collection::vec(
            ("(x-a|x-t|x-no|x-api|cookie|cookie|authorization|accept-language|accept-encoding)", "[ -~é]{0,12}"),
            0..6,
        ),
    ) {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let input = format!("{method} {path}{query}\nhost: shop.example\n{fields}");
        plan::check(input.as_bytes());
        spelled::check(input.as_bytes());
    }
}
