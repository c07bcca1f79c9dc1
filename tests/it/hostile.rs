//! Hostile bytes in heads and their fields, for ranges, in tokens, for plans, rule files and configurations, from the shared store: the corpora of the fuzzer,
//! and random inputs, held to what must hold for any input.
//!
//! `make fuzz` goes on from here with inputs of its own.

use std::panic;
use std::path::Path;

use proptest::prelude::*;

use fuzz::codec;
use fuzz::config;
use fuzz::fast_path;
use fuzz::headers;
use fuzz::plan;
use fuzz::ranges;
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
    let plain = seeds("fast_path").into_iter();
    let plain = plain.filter(|seed| fast_path::is_plain(seed)).count();
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/codec");
    let mut read: Vec<String> = Vec::new();
    for file in folder.read_dir().expect("the corpus is committed") {
        let path = file.expect("a readable folder").path();
        if codec::is_read(&std::fs::read(&path).expect("a readable file")) {
            read.push(path.file_name().expect("a name").to_string_lossy().into());
        }
    }
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let files = folder.read_dir().expect("the corpus is committed");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        std::fs::read(file.expect("a readable folder").path()).expect("a readable file")
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
    #[test]
    fn random_stored_bytes(input in stored()) {
        codec::check(&input);
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
