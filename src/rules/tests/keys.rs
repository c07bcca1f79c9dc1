//! What is in a key, and what it is called.

use super::*;

#[test]
fn k16_another_epoch_is_another_key_for_everything() {
    let of = |epoch| {
        RuleSet::none(&Context {
            epoch,
            ..Context::new("test")
        })
    };
    let key = |epoch| key(&of(epoch), &get("/x"));
    assert_eq!(key(1), key(1));
    assert!(key(1) != key(2) && key(1) != key(0) && key(1) != key(11));
}

#[test]
fn k29_what_no_rule_matches_passes_where_the_configuration_says_so() {
    let text = "rules: [{ match: { path: /a } }, { id: write, match: { path: /a, methods: [POST] }, increments: [{ tags: [T] }] }]";
    let files = [("r.yaml".to_owned(), text.to_owned())];
    let context = Context {
        unmatched: Unmatched::Bypass,
        ..Context::new("test")
    };
    let rules = RuleSet::compile(&files, &context).unwrap();
    let bypass = Some(Forward::Bypass(Bypass::Rule));
    for (name, head, expected, increments) in [
        ("matched", get("/a"), None, 0),
        ("unmatched", get("/b"), bypass, 0),
        ("HEAD", head("HEAD", "/b", &[]), bypass, 0),
        ("a write", head("POST", "/a", &[]), Some(Forward::Method), 1),
        (
            "an unmatched write",
            head("POST", "/b", &[]),
            Some(Forward::Method),
            0,
        ),
    ] {
        let plan = rules.plan(&head, NOW);
        assert_eq!(plan.matched(&head).increments.len(), increments, "{name}");
        let why = match plan {
            Plan::Lookup(_) => None,
            Plan::Pass(pass) => Some(pass.why),
        };
        assert_eq!(why, expected, "{name}");
    }
}

#[test]
fn a_logical_key_is_the_key_name_and_what_vary_on_picks() {
    let rules = rules(&[
        r"{ id: a, match: { path: '/u/(?P<id>[^/]*)' }, version: v1, group: '{query.g}', vary_on: { captures: [id], query: { mode: allow, params: [{ name: q }] }, headers: [X-A], cookies: [c] } }",
        "{ id: b&c, match: { path: /b }, vary_on: { host: false, query: { mode: none } } }",
    ]);
    for (target, expected) in [
        (
            "/u/1?q=a%20b&q=c&g=1",
            "key_name=a&host=shop.example&capture.id=1&query=q%3Da%2520b%26q%3Dc&header.x-a=1&cookie.c",
        ),
        ("/b?x=1", "key_name=b%26c&path=/b"),
        ("/other?x=1", "host=shop.example&path=/other&query=x%3D1"),
        ("/other", "host=shop.example&path=/other"),
    ] {
        let head = head("GET", target, &[("x-a", "1")]);
        let Plan::Lookup(query) = rules.plan(&head, NOW) else {
            panic!("{target}");
        };
        assert_eq!(query.logical_key(&head), expected, "{target}");
    }
}

/// What a request is called, and whether anything is missing in it.
fn named(rules: &RuleSet, target: &str) -> (String, bool) {
    let head = get(target);
    let Plan::Lookup(query) = rules.plan(&head, NOW) else {
        panic!("{target}");
    };
    (query.logical_key(&head), query.matched(&head).tags.is_err())
}

#[test]
fn k20_a_key_of_its_own_is_called_by_its_text() {
    let rules = rules(&[
        r"{ id: top, match: { path: '/top/(?P<slug>[^/]*)' }, key: 'books_top:{slug}' }",
        r"{ id: two, match: { path: '/two/(?P<a>[^/]*)/(?P<b>[^/]*)' }, key: '{a}:{b}' }",
        r"{ id: q, match: { path: '/q.*' }, key: 'q:{query.q}', tags: [T] }",
    ]);
    for (target, expected, missing) in [
        ("/top/x", "books_top:x", false),
        ("/top/x?y=1", "books_top:x", false),
        ("/top/", "books_top:", false),
        ("/top/a%2Cb%3Ec", "books_top:a%2Cb%3Ec", false),
        ("/two/1:2/3", "1:2:3", false),
        ("/two/1/2:3", "1:2:3", false),
        ("/q?q=", "q:", false),
        ("/q", "q:{query.q}", true),
    ] {
        assert_eq!(
            named(&rules, target),
            (expected.to_owned(), missing),
            "{target}"
        );
    }
    let same = |a: &str, b: &str| key(&rules, &get(a)) == key(&rules, &get(b));
    assert!(same("/top/x", "/top/x?y=1"));
    assert!(!same("/two/1:2/3", "/two/1/2:3")); // L7
    assert!(!same("/top/x", "/top/%78")); // an app may tell them apart
    assert!(!same("/top/x", "/top/y/../x")); // X5
    assert!(!same("/q?q=", "/q"));
    assert!(!same("/q?q=1", "/q?q=1&q=2"));
}

#[test]
fn k21_a_field_carries_the_tags_of_its_parents() {
    let rules = rules(&[
        r"{ id: owner, match: { path: '/books/(?P<id>[^/]+)/owner' }, key: 'Book:{id}>owner' }",
        r"{ id: deep, match: { path: '/a/(?P<x>[^/]+)/(?P<n>\d+)' }, key: 'A>{x}>{n}' }",
        r"{ id: none, match: { path: '/b' }, key: 'Book:1' }",
    ]);
    for (target, expected) in [
        ("/books/1/owner", &["~key:Book:1"][..]),
        ("/books/1%3E2/owner", &["~key:Book:1%3E2"]), // no structure of its own
        ("/a/b/1", &["~key:A", "~key:A>b"]),
        ("/b", &[]),
    ] {
        let head = get(target);
        let matched = rules.plan(&head, NOW).matched(&head);
        let tags: Vec<String> = matched
            .implicit_tags(&head)
            .iter()
            .map(ToString::to_string)
            .collect();
        let parents: Vec<&str> = tags
            .iter()
            .map(String::as_str)
            .filter(|tag| tag.starts_with("~key:"))
            .collect();
        assert_eq!(parents, expected, "{target}");
    }
}

#[test]
fn k14_a_constant_is_in_the_key_and_no_tag() {
    let of = |version| {
        rules(&[&format!(
            "{{ id: c, match: {{ path: /c }}, tags: [{{ name: api, constant: {version} }}, Plain] }}"
        )])
    };
    let (two, three) = (of("2"), of("3"));
    assert!(key(&two, &get("/c")) == key(&of("2"), &get("/c")));
    assert!(key(&two, &get("/c")) != key(&three, &get("/c")));
    let matched = two.plan(&get("/c"), NOW).matched(&get("/c"));
    let tags: Vec<String> = matched
        .tags
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(tags, ["Plain"]);
    let constants: Vec<String> = matched.rule.constants().map(ToString::to_string).collect();
    assert_eq!(constants, ["api"]);
}

#[test]
fn k29_headers_are_matched_wholly_and_on_all_lines() {
    let rules = rules(&[
        r"{ id: any, match: { path: /any, headers: [{ name: X-Api }] } }",
        r"{ id: one, match: { headers: [{ name: X-Api, matches: 'v\d+' }] } }",
        r"{ id: two, match: { headers: [{ name: x-api, matches: 'v1, v\d' }, { name: X-B }] } }",
        r"{ id: either, match: { headers: [{ name: X-Api, matches: 'a|b' }] } }",
    ]);
    for (name, target, headers, expected) in [
        ("one", "/", &[("x-api", "v12")][..], Some("one")),
        ("absent", "/", &[], None),
        ("more before", "/", &[("x-api", "xv12")], None),
        ("more behind", "/", &[("x-api", "v12x")], None),
        ("either", "/", &[("x-api", "b")], Some("either")),
        ("either and more", "/", &[("x-api", "bc")], None),
        ("case", "/", &[("x-api", "V12")], None),
        (
            "lines",
            "/",
            &[("x-api", "v1"), ("x-api", "v2"), ("x-b", "")],
            Some("two"),
        ),
        ("one of two", "/", &[("x-api", "v1"), ("x-api", "v2")], None),
        ("anything", "/any", &[("x-api", "")], Some("any")),
        ("anything but nothing", "/any", &[], None),
    ] {
        let plan = rules.plan(&head("GET", target, headers), NOW);
        assert_eq!(plan.rule().id.as_deref(), expected, "{name}");
    }
    let mut odd = get("/any");
    let value = http::HeaderValue::from_bytes(b"\xff").unwrap();
    odd.parts.headers.insert("x-api", value);
    assert_eq!(rules.plan(&odd, NOW).rule().id.as_deref(), Some("any"));
}

/// Values of headers that mean something to somebody.
fn said() -> impl Strategy<Value = Vec<String>> {
    let value = "(en|de|de-AT|fr|[*]|br|gzip|a|A|[,; ]|;q=0|;q=0[.]5|\"){0,6}";
    proptest::collection::vec(value, 0..3)
}

proptest! {
    #[test]
    fn l07_requests_share_a_key_only_if_what_is_left_of_their_headers_is_equal(a in said(), b in said()) {
        let rules = rules(&["{ id: a, vary_on: { headers: [{ name: Accept-Language, normalize: primary_lang, of: [en, de] }, { name: Accept-Encoding, normalize: encoding }, { name: X-A, normalize: lower_trim }] } }"]);
        let of = |values: &[String]| {
            let names = ["accept-language", "accept-encoding", "x-a"];
            let fields: Vec<_> = values
                .iter()
                .flat_map(|value| names.map(|name| (name, value.as_str())))
                .collect();
            let head = head("GET", "/", &fields);
            let left: Vec<_> = rules.rules()[0]
                .terms
                .asked_as
                .iter()
                .map(|field| field.value(head.headers()).map(std::borrow::Cow::into_owned))
                .collect();
            (key(&rules, &head), left)
        };
        let (one, other) = (of(&a), of(&b));
        prop_assert_eq!(one.0 == other.0, one.1 == other.1);
    }
}
