use proptest::prelude::*;

use super::*;

fn headers(fields: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let value = HeaderValue::from_bytes(value).unwrap();
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

fn take(config: Config, safe: bool, fields: &[(&'static str, &[u8])]) -> Said {
    Dialects::new(config).take(
        || "https://shop.example".to_owned(),
        safe,
        &mut headers(fields),
    )
}

/// What was said, as text: `User:42;v=7`, `+User:42;soft;again=2`, `?why`.
fn shown(said: &Said) -> String {
    let tags = said.tags.iter().map(|tagged| match tagged.version {
        Some(version) => format!("{};v={version}", tagged.tag),
        None => tagged.tag.to_string(),
    });
    let increments = said.increments.iter().map(|increment| {
        let soft = if increment.soft { ";soft" } else { "" };
        let again = increment.again.map(|again| format!(";again={again:?}"));
        format!("+{}{soft}{}", increment.tag, again.unwrap_or_default())
    });
    let ignored = said.ignored.iter().map(|ignored| {
        let word = match ignored.why {
            Why::Tag(TagError::Empty) => "empty",
            Why::Tag(TagError::Reserved) => "reserved",
            Why::Tag(TagError::Separator) => "separator",
            Why::Tag(TagError::NotUtf8) => "not-utf8",
            Why::Parameter => "parameter",
            Why::Structured => "structured",
            Why::Changes => "changes",
            Why::Attribute => "attribute",
            Why::SafeMethod => "safe",
            Why::Vary => "vary",
            Why::Private => "private",
        };
        format!("?{word}")
    });
    let all: Vec<String> = tags.chain(increments).chain(ignored).collect();
    all.join(" ")
}

#[test]
fn each_tag_dialect_has_its_grammar() {
    for (name, field, lines, expected) in [
        (
            "Cache-Tag",
            "cache-tag",
            &["User:42, Dashboard"][..],
            "User:42 Dashboard",
        ),
        ("no blanks", "cache-tag", &["a,b"], "a b"),
        ("several lines", "cache-tag", &["a", "b, c"], "a b c"),
        ("empty members", "cache-tag", &[", a,, ,b,"], "a b"),
        (
            "version",
            "cache-tag",
            &["User:42;v=7, B; v=-1"],
            "User:42;v=7 B;v=-1",
        ),
        (
            "version is a word: the tag counts",
            "cache-tag",
            &["A;v=x"],
            "A ?parameter",
        ),
        (
            "version too great",
            "cache-tag",
            &["A;v=9223372036854775808"],
            "A ?parameter",
        ),
        (
            "version of fifteen digits",
            "cache-tag",
            &["A;v=999999999999999, B;v=-999999999999999"],
            "A;v=999999999999999 B;v=-999999999999999",
        ),
        (
            "version of sixteen digits: the tag counts",
            "cache-tag",
            &["A;v=1000000000000000, B;v=0000000000000001"],
            "A B ?parameter ?parameter",
        ),
        (
            "unknown parameter: the tag counts",
            "cache-tag",
            &["A;soft"],
            "A ?parameter",
        ),
        ("parameter alone", "cache-tag", &[";v=1"], "?empty"),
        ("reserved", "cache-tag", &["~all, a"], "a ?reserved"),
        ("quoted", "cache-tag", &["\"a\", b"], "b ?separator"),
        (
            "white space within",
            "cache-tag",
            &["a b, c"],
            "c ?separator",
        ),
        (
            "Cache-Groups",
            "cache-groups",
            &["\"a\", \"b c\""],
            "~group:https://shop.example:a ~group:https://shop.example:b%20c",
        ),
        (
            "Surrogate-Key",
            "surrogate-key",
            &["a User:42  c"],
            "a User:42 c",
        ),
        (
            "Surrogate-Key, lines joined on the way",
            "surrogate-key",
            &["a b, c"],
            "a b c",
        ),
        (
            "Surrogate-Key, several lines",
            "surrogate-key",
            &["a b", "c"],
            "a b c",
        ),
        ("Surrogate-Key, tab", "surrogate-key", &["a\tb"], "a b"),
        ("xkey", "xkey", &["a b", "c"], "a b c"),
        ("Edge-Cache-Tag", "edge-cache-tag", &["a, b"], "a b"),
        (
            "X-Magento-Tags",
            "x-magento-tags",
            &["cat_p,cat_p_1"],
            "cat_p cat_p_1",
        ),
        ("X-LiteSpeed-Tag", "x-litespeed-tag", &["a,b"], "a b"),
        (
            "no parameters in a plain list",
            "edge-cache-tag",
            &["a;v=1, b"],
            "b ?separator",
        ),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| (field, line.as_bytes())).collect();
        assert_eq!(
            shown(&take(Config::default(), true, &lines)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn each_increment_dialect_has_its_grammar() {
    for (name, field, lines, expected) in [
        (
            "Cache-Tag-Increment",
            "cache-tag-increment",
            &["User:42, B"][..],
            "+User:42 +B",
        ),
        ("several lines", "cache-tag-increment", &["a", "b"], "+a +b"),
        (
            "soft, again",
            "cache-tag-increment",
            &["A;soft, B;again=2, C; again=3; soft"],
            "+A;soft +B;again=2s +C;soft;again=3s",
        ),
        (
            "again is a word: the increment counts",
            "cache-tag-increment",
            &["A;again=x, B;again=-1"],
            "+A +B ?parameter ?parameter",
        ),
        (
            "unknown parameter",
            "cache-tag-increment",
            &["A;hard"],
            "+A ?parameter",
        ),
        ("reserved", "cache-tag-increment", &["~all"], "?reserved"),
        (
            "Cache-Group-Invalidation",
            "cache-group-invalidation",
            &["\"a\""],
            "+~group:https://shop.example:a",
        ),
        (
            "LiteSpeed, by tag",
            "x-litespeed-purge",
            &["tag=a, tag=b"],
            "+a +b",
        ),
        (
            "LiteSpeed, tag= left out",
            "x-litespeed-purge",
            &["a, tag=b"],
            "+a +b",
        ),
        (
            "LiteSpeed, everything",
            "x-litespeed-purge",
            &["*"],
            "+~all",
        ),
        (
            "LiteSpeed, all tags",
            "x-litespeed-purge",
            &["public, tag=*"],
            "+~all",
        ),
        (
            "LiteSpeed, stale",
            "x-litespeed-purge",
            &["stale, tag=a, tag=b"],
            "+a;soft +b;soft",
        ),
        (
            "LiteSpeed, stale everything",
            "x-litespeed-purge",
            &["stale,*"],
            "+~all;soft",
        ),
        (
            "LiteSpeed, public",
            "x-litespeed-purge",
            &["public, tag=a"],
            "+a",
        ),
        (
            "LiteSpeed, private tags",
            "x-litespeed-purge",
            &["private, tag=a"],
            "+a",
        ),
        (
            "LiteSpeed, private everything",
            "x-litespeed-purge",
            &["private, *"],
            "?private",
        ),
        (
            "LiteSpeed, two parts",
            "x-litespeed-purge",
            &["public, stale, tag=a; private, tag=b"],
            "+a;soft +b",
        ),
        (
            "LiteSpeed, URL",
            "x-litespeed-purge",
            &["/a/b.php?x=1, tag=c"],
            "+~uri:https://shop.example/a/b.php?x=1 +c",
        ),
        (
            "LiteSpeed, reserved",
            "x-litespeed-purge",
            &["tag=~all"],
            "?reserved",
        ),
        (
            "LiteSpeed, empty",
            "x-litespeed-purge",
            &["tag=, ,;;"],
            "?empty",
        ),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| (field, line.as_bytes())).collect();
        assert_eq!(
            shown(&take(Config::default(), false, &lines)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn rfc9875_groups() {
    let many: Vec<String> = (0..40).map(|n| format!("\"{n:040}\"")).collect();
    let many = many.join(",");
    for (name, safe, field, lines, tags, increments, ignored) in [
        (
            "§2 a list of strings",
            true,
            "cache-groups",
            &["\"a\", \"b\""][..],
            2,
            0,
            0,
        ),
        (
            "§2 on any response",
            false,
            "cache-groups",
            &["\"a\""],
            1,
            0,
            0,
        ),
        (
            "§2 unknown parameters are ignored",
            true,
            "cache-groups",
            &["\"a\";x=1;y"],
            1,
            0,
            0,
        ),
        (
            "§2 at least 32 groups of 32 characters",
            true,
            "cache-groups",
            &[&many],
            40,
            0,
            0,
        ),
        (
            "RFC 9651 §4.2 several lines are one list",
            true,
            "cache-groups",
            &["\"a\"", "\"b\""],
            2,
            0,
            0,
        ),
        (
            "a token is no string: the field counts for nothing",
            true,
            "cache-groups",
            &["\"a\", b"],
            0,
            0,
            1,
        ),
        (
            "an inner list is no string",
            true,
            "cache-groups",
            &["(\"a\")"],
            0,
            0,
            1,
        ),
        (
            "malformed on one line",
            true,
            "cache-groups",
            &["\"a\"", "\"b"],
            0,
            0,
            1,
        ),
        ("empty", true, "cache-groups", &[""], 0, 0, 0),
        (
            "§3 invalidation on an unsafe method",
            false,
            "cache-group-invalidation",
            &["\"a\";x"],
            0,
            1,
            0,
        ),
        (
            "§3 invalidation is ignored on a safe method",
            true,
            "cache-group-invalidation",
            &["\"a\""],
            0,
            0,
            1,
        ),
        (
            "§3 at least 32 groups of 32 characters",
            false,
            "cache-group-invalidation",
            &[&many],
            0,
            40,
            0,
        ),
        (
            "§3 malformed",
            false,
            "cache-group-invalidation",
            &["a"],
            0,
            0,
            1,
        ),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| (field, line.as_bytes())).collect();
        let said = take(Config::default(), safe, &lines);
        let counts = (said.tags.len(), said.increments.len(), said.ignored.len());
        assert_eq!(counts, (tags, increments, ignored), "{name}");
    }
}

#[test]
fn a_group_belongs_to_its_origin_unless_groups_are_shared() {
    let dialects = |groups| {
        Dialects::new(Config {
            groups,
            ..Config::default()
        })
    };
    let group = |dialects: &Dialects, origin: &str, field: &[u8]| {
        let said = dialects.take(
            || origin.to_owned(),
            true,
            &mut headers(&[("cache-groups", field)]),
        );
        said.tags[0].tag.to_string()
    };
    let (own, shared) = (dialects(Groups::Origin), dialects(Groups::Shared));
    assert_ne!(
        group(&own, "https://a.example", b"\"g\""),
        group(&own, "https://b.example", b"\"g\"")
    );
    assert_ne!(
        group(&own, "https://a.example", b"\"g\""),
        group(&own, "http://a.example", b"\"g\"")
    );
    assert_ne!(
        group(&own, "https://a.example", b"\"g\""),
        group(&own, "https://a.example", b"\"G\"")
    );
    assert_eq!(
        group(&shared, "https://a.example", b"\"User:42\""),
        "User:42"
    );
    // No name reaches a tag of the cache itself.
    assert_eq!(
        group(&shared, "https://a.example", b"\"~all\""),
        "~group:https://a.example:~all"
    );
}

#[test]
fn names_of_ones_own_are_read_by_their_separator() {
    let own = |name, separator: Option<char>| Field {
        name: HeaderName::from_static(name),
        separator: separator.map(|c| Separator::try_from(c).unwrap()),
    };
    let config = || Config {
        tags: vec![
            own("cdn-tag", Some('/')),
            own("my-tag", None),
            own("surrogate-key", Some('|')),
        ],
        increments: vec![own("my-purge", Some(' ')), own("my-increment", None)],
        ..Config::default()
    };
    for (name, field, value, expected) in [
        ("a separator", "cdn-tag", "A/B", "A B"),
        ("none: like Cache-Tag", "my-tag", "A;v=1, B", "A;v=1 B"),
        (
            "a known name with a separator",
            "surrogate-key",
            "a|b",
            "a b",
        ),
        ("increments", "my-purge", "a b", "+a +b"),
        (
            "none: like Cache-Tag-Increment",
            "my-increment",
            "a;soft",
            "+a;soft",
        ),
        ("no longer configured", "cache-tag", "a", ""),
    ] {
        assert_eq!(
            shown(&take(config(), false, &[(field, value.as_bytes())])),
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_tag_that_is_not_utf8_is_passed_over_alone() {
    let said = take(
        Config::default(),
        true,
        &[("cache-tag", b"a, \xff\xfe, Caf\xc3\xa9")],
    );
    assert_eq!(shown(&said), "a Café ?not-utf8");
    assert_eq!(said.ignored[0].text, "\\xff\\xfe");
}

const OURS: [(&str, &[u8]); 13] = [
    ("cache-tag", b"a"),
    ("cache-groups", b"\"a\""),
    ("surrogate-key", b"a"),
    ("edge-cache-tag", b"a"),
    ("xkey", b"a"),
    ("x-magento-tags", b"a"),
    ("x-litespeed-tag", b"a"),
    ("cache-tag-increment", b"a"),
    ("cache-group-invalidation", b"\"a\""),
    ("x-litespeed-purge", b"*"),
    ("cache-tag-change", b"a"),
    ("x-litespeed-vary", b"cookie=a"),
    ("etag", b"\"kept\""),
];

#[test]
fn our_fields_are_taken_off_unless_exposed() {
    for (expose, left) in [(false, 1), (true, OURS.len())] {
        let dialects = Dialects::new(Config {
            expose,
            ..Config::default()
        });
        let mut headers = headers(&OURS);
        let said = dialects.take(|| "http://a.example".to_owned(), false, &mut headers);
        assert_eq!((said.tags.len(), said.increments.len()), (7, 3));
        assert_eq!(headers.len(), left);
        assert!(headers.contains_key("etag"));
    }
}

#[test]
fn what_is_ours_and_not_understood_is_told() {
    let said = take(
        Config::default(),
        false,
        &[("x-litespeed-vary", b"cookie=a")],
    );
    let cookies: Vec<&str> = said.cookies.iter().map(|name| &**name).collect();
    assert_eq!(cookies, ["a"]);
    assert_eq!((shown(&said).as_str(), said.varies), ("", false));
    for odd in [
        "value=mobile",
        "cookie=",
        "cookie=a b",
        "cookie",
        "",
        "cookie=a, x",
        "=a",
    ] {
        let said = take(
            Config::default(),
            false,
            &[("x-litespeed-vary", odd.as_bytes())],
        );
        assert!(said.varies && !said.ignored.is_empty(), "{odd}");
    }
    let said = take(
        Config::default(),
        false,
        &[("x-litespeed-vary", b"Cookie=b , cookie=a,,cookie=b")],
    );
    let cookies: Vec<&str> = said.cookies.iter().map(|name| &**name).collect();
    assert_eq!((cookies, said.varies), (vec!["a", "b"], false));
    let said = take(Config::default(), false, &[]);
    assert_eq!((shown(&said).as_str(), said.varies), ("", false));
}

/// Changes as text: `foos size=1>2 brand=>x`, a side without a value after nothing.
fn changes(lines: &[&str]) -> String {
    let fields: Vec<(&str, &[u8])> = lines
        .iter()
        .map(|line| ("cache-tag-change", line.as_bytes()))
        .collect();
    let said = take(Config::default(), true, &fields);
    assert!(!said.unreadable, "no tag of the response is concerned");
    let change = |change: &Change| {
        let attributes = change.attributes.iter().map(|it| {
            let side =
                |value: &Option<String>| value.as_ref().map_or("-".into(), |it| format!("'{it}'"));
            format!(" {}={}>{}", it.name, side(&it.old), side(&it.new))
        });
        format!("{}{}", change.rule, attributes.collect::<String>())
    };
    let changes: Vec<String> = said.changes.iter().map(change).collect();
    let ignored = shown(&said);
    [changes.join(", "), ignored].join(" ").trim().to_owned()
}

#[test]
fn changes_name_a_rule_and_values_of_attributes() {
    for (name, lines, expected) in [
        ("nothing", &[][..], ""),
        ("an empty line", &[""], ""),
        ("a rule", &["foos"], "foos"),
        ("a rule as a string", &["\"a b\""], "a b"),
        (
            "both values",
            &["foos;old.attr1=\"1\";new.attr1=\"2\""],
            "foos attr1='1'>'2'",
        ),
        (
            "one value",
            &["foos;new.attr3=\"2.2\", foos;old.a=\"x\""],
            "foos attr3=->'2.2', foos a='x'>-",
        ),
        ("empty is a value", &["foos;old.a=\"\""], "foos a=''>-"),
        (
            "of any kind",
            &["f;new.a=1;new.b=1.50;new.c=?0;new.d;new.e=red;new.f=%\"caf%c3%a9\""],
            "f a=->'1' b=->'1.5' c=->'false' d=->'true' e=->'red' f=->'café'",
        ),
        ("dots in names", &["f;old.a.b=1;new.a.b=2"], "f a.b='1'>'2'"),
        ("the last of several", &["f;old.a=1;old.a=2"], "f a='2'>-"),
        ("several lines", &["a;old.x=1", "b, c"], "a x='1'>-, b, c"),
        (
            "no text: the whole rule",
            &["f;old.a=1;new.a=@1;new.b=:YQ==:"],
            "f ?attribute ?attribute",
        ),
        (
            "an unknown parameter: the whole rule",
            &["f;old.a=1;v=2"],
            "f ?attribute",
        ),
        (
            "an attribute without a name",
            &["f;old.=1;old=1"],
            "f ?attribute ?attribute",
        ),
        ("a number", &["a, 7"], "?changes"),
        ("a list", &["a, (b c)"], "?changes"),
        ("malformed", &["a;old.x=", "b"], "?changes"),
        ("no key", &["a;Old.x=1"], "?changes"),
        ("not ASCII", &["a;old.x=\"é\""], "?changes"),
    ] {
        assert_eq!(changes(lines), expected, "{name}");
    }
}

#[test]
fn a_client_says_nothing_of_tags() {
    for expose in [false, true] {
        let dialects = Dialects::new(Config {
            expose,
            ..Config::default()
        });
        let mut headers = headers(&OURS);
        for name in dialects.targeted() {
            headers.append(name, HeaderValue::from_static("max-age=1"));
        }
        dialects.drop_from_client(&mut headers);
        assert_eq!(headers.len(), 1, "{headers:?}");
    }
}

#[test]
fn rfc9213_a_targeted_field_goes_on_unless_it_is_for_us_alone() {
    let fields: [(&str, &[u8]); 4] = [
        ("tagalong-cache-control", b"max-age=1"),
        ("cdn-cache-control", b"max-age=1"),
        ("surrogate-control", b"max-age=1"),
        ("x-litespeed-cache-control", b"max-age=1"),
    ];
    for (expose, expected) in [(false, 1), (true, 4)] {
        let dialects = Dialects::new(Config {
            expose,
            ..Config::default()
        });
        let mut headers = headers(&fields);
        dialects.take_targeted(&mut headers);
        assert!(headers.contains_key("cdn-cache-control"));
        assert_eq!(headers.len(), expected);
    }
}

#[test]
fn long_lists_are_read_to_the_end_and_notes_are_bounded() {
    let tags: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
    let said = take(
        Config::default(),
        false,
        &[("cache-tag-increment", tags.join(",").as_bytes())],
    );
    assert_eq!(said.increments.len(), 10_000);

    let said = take(
        Config::default(),
        false,
        &[("cache-tag", "~x,".repeat(20_000).as_bytes())],
    );
    assert_eq!(
        (said.tags.len(), said.ignored.len()),
        (0, Said::MAX_IGNORED)
    );
}

#[test]
fn a_tag_that_cannot_be_read_counts_behind_any_number_of_other_notes() {
    let noise = ";x".repeat(Said::MAX_IGNORED);
    for (name, field, value, unreadable) in [
        ("noise alone", "cache-tag", format!("a{noise}"), false),
        (
            "a tag behind it",
            "cache-tag",
            format!("a{noise}, b c"),
            true,
        ),
        (
            "an increment",
            "cache-tag-increment",
            format!("a{noise}, b c"),
            false,
        ),
        (
            "an increment alone",
            "cache-tag-increment",
            "b c".into(),
            false,
        ),
    ] {
        let said = take(Config::default(), false, &[(field, value.as_bytes())]);
        assert_eq!(said.unreadable, unreadable, "{name}");
    }
}

fn field_value() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        "[a-c~*:/=\",; \\\\()?@-]{0,3}".prop_map(String::into_bytes),
        Just(b"tag=".to_vec()),
        Just(b";v=".to_vec()),
        Just(b";soft".to_vec()),
        Just(b";again=1".to_vec()),
        Just(b"private,".to_vec()),
        Just(b"stale,".to_vec()),
        proptest::collection::vec(0x80_u8..=0xff, 0..3),
    ];
    proptest::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_the_app_sends_no_tag_of_the_cache_itself_is_named(
        values in proptest::collection::vec((0..OURS.len(), field_value()), 0..6),
        safe: bool,
        shared: bool,
    ) {
        let mut headers = HeaderMap::new();
        for (field, value) in &values {
            headers.append(OURS[*field].0, HeaderValue::from_bytes(value).unwrap());
        }
        let groups = if shared { Groups::Shared } else { Groups::Origin };
        let dialects = Dialects::new(Config { groups, ..Config::default() });
        let said = dialects.take(|| "http://a.example".to_owned(), safe, &mut headers);
        let increments = said.increments.iter().map(|increment| &increment.tag);
        for tag in said.tags.iter().map(|tagged| &tagged.tag).chain(increments) {
            let ours = ["~group:http://a.example:", "~uri:http://a.example/"];
            let known = *tag == Tag::all() || ours.iter().any(|prefix| tag.as_str().starts_with(prefix));
            prop_assert!(!tag.is_implicit() || known, "{tag}");
        }
    }

    #[test]
    fn a_list_is_read_as_it_was_written(tags in proptest::collection::vec("[A-Za-z][A-Za-z0-9:%._-]{0,12}", 0..20)) {
        let said = take(Config::default(), true, &[("cache-tag", tags.join(", ").as_bytes()), ("xkey", tags.join(" ").as_bytes())]);
        let read: Vec<_> = said.tags.iter().map(|tagged| tagged.tag.to_string()).collect();
        prop_assert_eq!(read, [tags.clone(), tags].concat());
    }
}
