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
