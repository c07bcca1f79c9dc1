use super::units::{Size, Span};
use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Shop {
    #[serde(default)]
    name: Option<Spanned<String>>,
    #[serde(default)]
    open: Option<bool>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    drain: Option<Span>,
    #[serde(default)]
    max: Option<Size>,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    shelves: Vec<Shelf>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Books,
    ToyCars,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Shelf {
    label: String,
    #[serde(default)]
    books: Vec<String>,
}

fn mistakes(text: &str) -> Vec<String> {
    read::<Shop>("f", text, &|path| {
        ["colour", "shelves[].lamp"].contains(&path)
    })
    .mistakes
    .iter()
    .map(ToString::to_string)
    .collect()
}

#[test]
fn a_right_file_is_read_with_places() {
    let text = "open: true\nname: 'a b'\nretries: 3\ndrain: 1.5s\nmax: 1KiB\nkind: toy_cars\nshelves:\n  - label: 1.10\n    books: [x, \"y\"]\n  - {label: b}\n";
    let reading = read::<Shop>("f", text, &|_| false);
    assert_eq!(reading.mistakes, []);
    let shop = reading.value.unwrap();
    let name = shop.name.unwrap();
    assert_eq!(
        (name.value.as_str(), name.place.line, name.place.column),
        ("a b", 2, 7)
    );
    assert_eq!(
        shop.drain,
        Some(Span(std::time::Duration::from_millis(1_500)))
    );
    assert_eq!(shop.max, Some(Size(1024)));
    assert_eq!(shop.kind, Some(Kind::ToyCars));
    let labels: Vec<_> = shop.shelves.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(labels, ["1.10", "b"], "numbers as texts stay as written");
}

#[test]
fn each_kind_of_mistake_names_place_text_and_expectation() {
    for (name, text, expected) in [
        ("empty file", "", &[][..]),
        ("comments alone", "# nothing\n", &[]),
        ("nothing after a name", "shelves:\n", &[]),
        (
            "text for a list",
            "shelves: tall",
            &["f:1:10: expected a list (`[a, b]`), found `tall`"],
        ),
        ("null for an option", "name: null\nopen: ~\n", &[]),
        ("quoted null is a text", "name: 'null'\n", &[]),
        (
            "not a bool",
            "open: yes\n",
            &["f:1:7: expected `true` or `false`, found `yes`"],
        ),
        (
            "not a number",
            "retries: -1\n",
            &["f:1:10: expected a whole number, found `-1`"],
        ),
        (
            "not a duration",
            "drain: soon",
            &[
                "f:1:8: expected a duration such as `250ms`, `30s`, `5m`, `1h` or `7d`, or a number of seconds, found `soon`",
            ],
        ),
        (
            "too long",
            "drain: 99999d",
            &["f:1:8: expected a duration of at most `3650d`, found `99999d`"],
        ),
        (
            "not a size",
            "max: [1]",
            &[
                "f:1:6: expected a size such as `64KiB`, `8MiB` or `1GiB`, or a number of bytes, found a list",
            ],
        ),
        (
            "not a variant",
            "kind: dvds",
            &["f:1:7: expected `books` or `toy_cars`, found `dvds`"],
        ),
        (
            "a map for a variant",
            "kind: {a: b}",
            &["f:1:7: expected `books` or `toy_cars`, found a map"],
        ),
        (
            "a list for a text",
            "name: [a]",
            &["f:1:7: expected a text, found a list"],
        ),
        (
            "a text for a map",
            "shelves: [tall]",
            &["f:1:11: expected a map (`name: value`), found `tall`"],
        ),
        (
            "a text for the whole",
            "hello",
            &["f:1:1: expected a map (`name: value`), found `hello`"],
        ),
        (
            "unknown",
            "shelves: [{label: a, hue: 1}]",
            &["f:1:22: unknown field `hue`, expected `label` or `books`"],
        ),
        (
            "later",
            "colour: red\nshelves: [{label: a, lamp: 1}]",
            &[
                "f:1:1: `colour` is not supported yet",
                "f:2:22: `lamp` is not supported yet",
            ],
        ),
        (
            "later elsewhere is unknown",
            "shelves: [{label: a, colour: 1}]",
            &["f:1:22: unknown field `colour`, expected `label` or `books`"],
        ),
        (
            "missing",
            "shelves:\n  - books: [a]\n",
            &["f:2:5: the field `label` is missing"],
        ),
        (
            "wrong, hence missing, told once",
            "shelves:\n  - label: [a]\n",
            &["f:2:12: expected a text, found a list"],
        ),
        (
            "twice",
            "open: true\nopen: false\n",
            &["f:2:1: `open` is given twice, first in line 1"],
        ),
        (
            "second document",
            "open: true\n---\nopen: false\n",
            &["f:2:1: expected one document, found a second one"],
        ),
        (
            "tag",
            "name: !secret x\n",
            &["f:1:7: YAML tags (`!…`) mean nothing here"],
        ),
        (
            "not YAML",
            "open: [true\n",
            &["f:2:1: this is not YAML: while parsing a flow sequence, expected ',' or ']'"],
        ),
        (
            "alias in its anchor",
            "shelves: &a [*a]\n",
            &["f:1:14: this alias stands inside its own anchor"],
        ),
        (
            "control characters",
            "kind: \"\\e[31m\"\n",
            &["f:1:7: expected `books` or `toy_cars`, found `\\u{1b}[31m`"],
        ),
    ] {
        assert_eq!(mistakes(text), expected, "{name}");
    }
}

#[test]
fn all_mistakes_come_at_once_in_order() {
    let text = "open: maybe\nretries: x\nhue: 1\nshelves:\n  - label: [a]\n    books: {}\n  - lable: b\n  - label: c\n    books: [d, [e], f, {g: h}]\n";
    let expected = [
        "f:1:7: expected `true` or `false`, found `maybe`",
        "f:2:10: expected a whole number, found `x`",
        "f:3:1: unknown field `hue`, expected `name`, `open`, `retries`, `drain`, `max`, `kind` or `shelves`",
        "f:5:12: expected a text, found a list",
        "f:6:12: expected a list (`[a, b]`), found a map",
        "f:7:5: the field `label` is missing",
        "f:7:5: unknown field `lable`: did you mean `label`?",
        "f:9:16: expected a text, found a list",
        "f:9:24: expected a text, found a map",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn what_is_right_survives_what_is_wrong() {
    let reading = read::<Shop>("f", "open: maybe\nretries: 3\n", &|_| false);
    let shop = reading.value.unwrap();
    assert_eq!((shop.open, shop.retries), (None, Some(3)));
}

#[test]
fn aliases_repeat_and_are_bounded() {
    let text = "shelves:\n  - &s {label: a}\n  - *s\n";
    assert_eq!(
        read::<Shop>("f", text, &|_| false)
            .value
            .unwrap()
            .shelves
            .len(),
        2
    );
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let before = format!("*a{}, ", n - 1).repeat(10);
        bomb.push_str(&format!("a{n}: &a{n} [{before}]\n"));
    }
    assert!(
        mistakes(&bomb)
            .iter()
            .any(|m| m.contains("more than 200000 values"))
    );
    let deep = "[".repeat(100_000);
    assert!(!mistakes(&deep).is_empty());
}

#[test]
fn the_number_of_mistakes_is_bounded() {
    let text: String = (0..500).map(|n| format!("x{n}: 1\n")).collect();
    assert_eq!(mistakes(&text).len(), MOST_MISTAKES);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\\n]{0,80}") {
        let _ = mistakes(&text);
    }

    #[test]
    fn yaml_like_text_is_read_or_refused(
        parts in proptest::collection::vec(prop_oneof![
            Just("shelves:"), Just("\n"), Just("  "), Just("- "), Just("label: "), Just("["), Just("]"), Just("{"),
            Just("}"), Just("&a "), Just("*a"), Just("? "), Just(": "), Just("|\n"), Just("'"), Just("\""), Just("!x "),
            Just("---\n"), Just("...\n"), Just("# c\n"), Just("<<: "), Just("\u{feff}"), Just("é"), Just("\t"),
        ], 0..24)
    ) {
        let _ = mistakes(&parts.concat());
    }
}

#[test]
fn what_is_missing_at_the_end_is_missed_where_the_text_ends() {
    for (text, line, column) in [
        ("rules: {", 1, 9),
        ("rules: [\n  a,", 2, 5),
        ("rules: {\r\n", 2, 1),
        ("%\u{1}", 1, 3),
    ] {
        let reading = read::<HashMap<String, String>>("f", text, &|_| false);
        let place = reading.mistakes.last().and_then(|it| it.place);
        assert_eq!(place, Some(Place { line, column }), "{text:?}");
    }
}

#[test]
fn nothing_of_a_url_is_shown_behind_its_host() {
    for (text, expected) in [
        ("http://h", "`http://h`"),
        ("http://h:81/", "`http://h:81/`"),
        ("http://h/?t=SESAME", "`http://h/…`"),
        ("http://h?t=SESAME", "`http://h…`"),
        ("h2c://[::1]:81/SESAME", "`h2c://[::1]:81/…`"),
        ("http://me:SESAME@h/", "`http://…`"),
        ("http://me:SES/AME@h/", "`http://…`"),
        ("http:///SESAME", "`http:///…`"),
        ("see http://h/SESAME", "`see http://h/…`"),
        ("http://h SESAME", "`http://h…`"),
        ("/a/b", "`/a/b`"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}
