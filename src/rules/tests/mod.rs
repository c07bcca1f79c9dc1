mod answers;
mod hostile;
mod keys;
mod sharing;

use std::time::Duration;

use super::*;
use crate::model::cookies;
use crate::model::outcome::{Bypass, Forward};
use crate::model::time::Timestamp;
use crate::rules::refill::{
    Coalesce, OnInvalidate, OnTimeout, RefreshAhead, Revalidate, WhenInvalidated,
};
use http::Method;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Head {
    let mut request = http::Request::builder()
        .method(method)
        .uri(target)
        .header("host", "shop.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap()
}

fn get(target: &str) -> Head {
    head("GET", target, &[])
}

/// A response with this status and these fields.
fn answer(status: u16, fields: &[(&str, &str)]) -> Parts {
    let mut response = http::Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap().into_parts().0
}

/// What is incremented after a response with this body, and what is not.
fn after(
    matched: &Matched,
    head: &Head,
    parts: &Parts,
    body: Option<&str>,
) -> (Vec<String>, Vec<String>) {
    let wanted = matched.wanted_to_change(head, parts);
    let body = body.map(|text| Picked::read(wanted, text.as_bytes()).unwrap());
    let read = body.as_ref().map_or(Content::Unreadable, Content::Picked);
    let (mut increments, mut skipped) = (Vec::new(), Vec::new());
    for body in [Content::Ahead, read] {
        let (more, missing) = matched.increments_after(head, &Answer { parts, body });
        increments.extend(more);
        skipped.extend(missing);
    }
    let texts = |it: &dyn ToString| it.to_string();
    (
        increments.iter().map(|it| texts(&it.tag)).collect(),
        skipped.iter().map(|it| texts(it)).collect(),
    )
}

/// Rules out of the lines of one rule each, in flow style.
fn rules(rules: &[&str]) -> RuleSet {
    let text: String = rules.iter().map(|rule| format!("  - {rule}\n")).collect();
    let files = [("rules.yaml".to_owned(), format!("rules:\n{text}"))];
    RuleSet::compile(&files, &Context::new("test")).unwrap()
}

fn key(rules: &RuleSet, head: &Head) -> crate::model::key::BaseKey {
    match rules.plan(head, NOW) {
        Plan::Lookup(query) => query.base,
        Plan::Pass(pass) => panic!("passed: {:?}", pass.why),
    }
}

#[test]
fn what_is_not_looked_up_says_why() {
    let rules = rules(&[
        "{ match: { path: /never }, cache: false }",
        "{ match: { path: /mine }, vary_on: { headers: [Authorization] } }",
        "{ match: { path: /ours }, group: '{header.authorization}' }",
    ]);
    let bypass = |why| Some(Forward::Bypass(why));
    let upgrade = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
    ];
    let h2c = [
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
    ];
    let token = [("authorization", "t1")];
    for (name, head, expected) in [
        ("GET", get("/a"), None),
        ("HEAD", head("HEAD", "/a", &[]), None),
        ("POST", head("POST", "/a", &[]), Some(Forward::Method)),
        ("unknown", head("BREW", "/a", &[]), Some(Forward::Method)),
        (
            "CONNECT",
            head("CONNECT", "a:443", &[]),
            Some(Forward::Method),
        ),
        ("by rule", get("/never"), bypass(Bypass::Rule)),
        (
            "upgrade",
            head("GET", "/a", &upgrade),
            bypass(Bypass::Upgrade),
        ),
        ("upgrade alone", head("GET", "/a", &upgrade[1..]), None),
        ("h2c", head("GET", "/a", &h2c), None),
        (
            "body",
            head("GET", "/a", &[("content-length", "3")]),
            bypass(Bypass::RequestBody),
        ),
        (
            "empty body",
            head("GET", "/a", &[("content-length", "0")]),
            None,
        ),
        (
            "chunked",
            head("GET", "/a", &[("transfer-encoding", "chunked")]),
            bypass(Bypass::RequestBody),
        ),
        (
            "credentials",
            head("GET", "/a", &token),
            bypass(Bypass::Authorization),
        ),
        ("keyed credentials", head("GET", "/mine", &token), None),
        ("grouped credentials", head("GET", "/ours", &token), None),
        ("cookie", head("GET", "/a", &[("cookie", "sid=1")]), None),
        ("range", head("GET", "/a", &[("range", "bytes=0-1")]), None),
    ] {
        let why = match rules.plan(&head, NOW) {
            Plan::Lookup(_) => None,
            Plan::Pass(pass) => Some(pass.why),
        };
        assert_eq!(why, expected, "{name}");
    }
}

#[test]
fn k29_the_first_rule_that_matches_wins() {
    let rules = rules(&[
        "{ id: hosts, match: { hosts: ['*.shop.example'] } }",
        "{ id: writes, match: { methods: [POST], path: /a } }",
        r"{ id: number, match: { path: '/(?P<n>\d+)' } }",
        "{ id: one, match: { path: /1 } }",
        "{ id: glob, match: { path: /users/*/profile } }",
    ]);
    for (head, expected) in [
        (head("GET", "http://a.shop.example/1", &[]), Some("hosts")),
        (get("http://evilshop.example/a"), None),
        (head("POST", "/a", &[]), Some("writes")),
        (get("/a"), None),
        (get("/1"), Some("number")),
        (get("/x/../1?q=1"), Some("number")),
        (get("/%31"), None),
        (get("/users/a%2Fb/profile"), Some("glob")),
    ] {
        let plan = rules.plan(&head, NOW);
        assert_eq!(
            plan.rule().id.as_deref(),
            expected,
            "{}",
            head.absolute_uri()
        );
    }
}

#[test]
fn requests_share_a_key_or_do_not() {
    let cookies = "{ match: { path: /c }, vary_on: { cookies: [sid] } }";
    let headers = "{ match: { path: /h }, vary_on: { headers: [X-Device] } }";
    let captures = r"{ match: { path: '/u/(?P<id>[^/]+)' }, vary_on: { captures: [id] } }";
    let optional = "{ match: { path: '/o(/(?P<page>[^/]*))?' }, vary_on: { captures: [page] } }";
    let group = "{ match: { path: /g }, group: '{query.p}', vary_on: { query: { mode: none } } }";
    let hostless = "{ match: { path: /s }, vary_on: { host: false } }";
    let device = |value| head("GET", "/h", &[("x-device", value)]);
    let sid = |cookie| head("GET", "/c", &[("cookie", cookie)]);
    let rules = rules(&[cookies, headers, captures, optional, group, hostless]);
    for (name, one, other, shared) in [
        ("HEAD from GET", get("/x"), head("HEAD", "/x", &[]), true),
        ("host", get("/x"), get("http://b.example/x"), false),
        (
            "host, if it does not matter",
            get("/s"),
            get("http://b.example/s"),
            true,
        ),
        ("x5 encoded slash", get("/a%2Fb"), get("/a/b"), false),
        ("x5 dot segments", get("/a/../b"), get("/b"), false),
        ("l07 empty query", get("/x"), get("/x?"), false),
        ("l07 no value, empty", get("/x?a"), get("/x?a="), false),
        ("k7 order", get("/x?y=1&x=1"), get("/x?x=1&y=1"), true),
        ("k8 zero, null", get("/x?a=0"), get("/x?a=null"), false),
        ("k17 glued", get("/x?a=1_b_2"), get("/x?a=1&b=2"), false),
        ("cookie", sid("sid=1"), sid("sid=2"), false),
        ("other cookie", sid("a=1; sid=1"), sid("sid=1; a=2"), true),
        ("no cookie, empty", get("/c"), sid("sid="), false),
        ("two cookies", sid("sid=1"), sid("sid=1; sid=2"), false),
        (
            "quoted cookies",
            sid("sid=\"a;b\""),
            sid("sid=\"a;c\""),
            false,
        ),
        ("bare cookie", get("/c"), sid("sid"), false),
        ("header", device("a"), device("b"), false),
        ("no header, empty", get("/h"), device(""), false),
        (
            "header lines",
            head("GET", "/h", &[("x-device", "a"), ("x-device", "b")]),
            device("a, b"),
            false,
        ),
        (
            "other header",
            head("GET", "/h", &[("x-other", "a")]),
            get("/h"),
            true,
        ),
        ("capture", get("/u/1"), get("/u/2"), false),
        ("capture as sent", get("/u/a%2Fb"), get("/u/a%2fb"), false),
        (
            "capture of a path with dots",
            get("/u/1"),
            get("/u/../u/1"),
            false,
        ),
        ("capture absent, empty", get("/o"), get("/o/"), false),
        ("group", get("/g?p=w"), get("/g?p=m"), false),
        ("group absent, empty", get("/g"), get("/g?p="), false),
        ("group given twice", get("/g?p=w"), get("/g?p=w&p=m"), false),
        ("not in the group", get("/g?p=w"), get("/g?p=w&q=1"), true),
    ] {
        assert_eq!(key(&rules, &one) == key(&rules, &other), shared, "{name}");
    }
}

#[test]
fn k10_to_k13_names_versions_groups_and_namespaces_are_in_the_key() {
    let named = |more: &str| rules(&[&format!("{{ id: a, match: {{ path: /x }}{more} }}")]);
    let base = key(&named(""), &get("/x"));
    for (name, other, shared) in [
        ("the same again", named(""), true),
        ("the id is the key name", named(", key_name: a"), true),
        ("key name", named(", key_name: b"), false),
        ("version", named(", version: v1"), false),
        ("empty version", named(", version: ''"), false),
        ("constant group", named(", group: w"), false),
        ("tags do not matter", named(", tags: [T], ttl: 1h"), true),
        ("no rule", RuleSet::none(&Context::new("test")), false),
    ] {
        assert_eq!(key(&other, &get("/x")) == base, shared, "{name}");
    }
    let (a, b) = (
        RuleSet::none(&Context::new("a")),
        RuleSet::none(&Context::new("b")),
    );
    assert_ne!(key(&a, &get("/x")), key(&b, &get("/x")));
}

#[test]
fn rules_with_one_key_name_share_entries() {
    let rules = rules(&[
        r"{ id: a, key_name: user, match: { path: '/a/(?P<id>\d+)' }, vary_on: { captures: [id] } }",
        r"{ id: b, key_name: user, match: { path: '/b/(?P<id>\d+)' }, vary_on: { captures: [id] } }",
    ]);
    assert_eq!(key(&rules, &get("/a/1")), key(&rules, &get("/b/1")));
    assert_ne!(key(&rules, &get("/a/1")), key(&rules, &get("/b/2")));
}

#[test]
fn tags_are_rendered_and_never_become_global() {
    let tags = |template: &str, head: &Head| {
        let rule = format!("{{ match: {{ path: '/u/(?P<id>[^/]*)' }}, tags: ['{template}'] }}");
        let matched = rules(&[&rule]).plan(head, NOW).matched(head);
        matched
            .tags
            .map(|tags| {
                tags.iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .map_err(|missing| missing.to_string())
    };
    let cookie = head("GET", "/u/1", &[("cookie", "a=b"), ("x-org", "5")]);
    let missing = |placeholder: &str, template: &str| {
        Err(format!(
            "`{{{placeholder}}}` of `{template}` has no value in this request"
        ))
    };
    for (template, head, expected) in [
        ("Dashboard", get("/u/1"), Ok("Dashboard".to_owned())),
        ("User:{id}", get("/u/42"), Ok("User:42".to_owned())),
        ("User:{id}", get("/u/a%2Cb"), Ok("User:a%2Cb".to_owned())),
        ("User:{id}", get("/u/%252C"), Ok("User:%252C".to_owned())),
        ("User:{id}", get("/u/"), Ok("User:".to_owned())),
        ("User:{id}", get("/u/%FF"), Ok("User:%25FF".to_owned())),
        (
            "U:{id}:R:{query.r}",
            get("/u/1?r=a+b"),
            Ok("U:1:R:a%20b".to_owned()),
        ),
        ("Role:{query.r}", get("/u/1?r="), Ok("Role:".to_owned())),
        (
            "Role:{query.r}",
            get("/u/1"),
            missing("query.r", "Role:{query.r}"),
        ),
        (
            "C:{cookie.a}:{header.X-Org}",
            cookie,
            Ok("C:b:5".to_owned()),
        ),
        (
            "C:{cookie.a}",
            get("/u/1"),
            missing("cookie.a", "C:{cookie.a}"),
        ),
        (
            "H:{header.X-Org}",
            get("/u/1"),
            missing("header.x-org", "H:{header.X-Org}"),
        ),
        (
            "{host}:{method}",
            get("/u/1"),
            Ok("shop.example:GET".to_owned()),
        ),
        ("{id}", get("/u/"), missing("id", "{id}")),
        ("{id}", get("/u/~all"), missing("id", "{id}")),
    ] {
        assert_eq!(tags(template, &head), expected, "{template}");
    }
}

#[test]
fn an_increment_without_a_value_does_not_hold_back_the_others() {
    let rules = rules(&[
        r"{ match: { methods: [POST], path: '/u/(?P<id>\d+)' }, increments: [{ tags: ['User:{id}', 'R:{query.r}', list], on_status: [2xx, '404'] }] }",
    ]);
    let post = head("POST", "/u/42", &[]);
    let matched = rules.plan(&post, NOW).matched(&post);
    let (found, skipped) = after(&matched, &post, &answer(200, &[]), None);
    assert_eq!(found, ["User:42", "list"]);
    assert_eq!(
        skipped,
        ["`{query.r}` of `R:{query.r}` has no value in this request"]
    );
    assert_eq!(after(&matched, &post, &answer(404, &[]), None).0.len(), 2);
    assert_eq!(after(&matched, &post, &answer(302, &[]), None).0.len(), 0);
}

#[test]
fn what_is_found_under_one_key_has_its_tag_in_whichever_spelling_it_was_asked_for() {
    let rules = rules(&[
        "{ id: some, match: { path: /some }, vary_on: { query: { mode: allow, params: [{ name: p }] } } }",
        "{ id: none, match: { path: /none }, vary_on: { query: { mode: none } } }",
        "{ id: part, match: { path: '/part/(?P<n>[0-9]+).*' }, vary_on: { captures: [n] } }",
    ]);
    let of = |target| {
        let head = get(target);
        let Plan::Lookup(query) = rules.plan(&head, NOW) else {
            panic!("a GET is looked up")
        };
        let (tag, tags) = (
            query.key_tag(&head),
            query.matched(&head).implicit_tags(&head),
        );
        assert!(tags.contains(&tag), "{target}: {tags:?}");
        (query.base, tag, tags.len())
    };
    for (one, other, expected) in [
        (
            "/a?x=1&y=2",
            "/a?y=2&x=1",
            "~uri:http://shop.example/a?x=1&y=2",
        ),
        (
            "/some?p=1",
            "/some?q=3&p=1",
            "~uri:http://shop.example/some?p=1",
        ),
        ("/none", "/none?q=3", "~uri:http://shop.example/none"),
        ("/part/1/a", "/part/1/b", "~base:"),
    ] {
        let (one, other) = (of(one), of(other));
        assert_eq!((one.0, &one.1), (other.0, &other.1), "{expected}");
        let text = one.1.as_str();
        match expected {
            "~base:" => assert!(text.starts_with(expected), "{text}"),
            uri => assert_eq!(text, uri),
        }
    }
    assert_ne!(of("/a?x=1").1, of("/a?x=2").1);
    assert_eq!(
        of("/a?x=1").2 + 1,
        of("/a?y=2&x=1").2,
        "its URI and its key"
    );
}

#[test]
fn the_cache_has_tags_of_its_own() {
    let rules = rules(&["{ id: x, match: { path: /x } }"]);
    let of = |target| {
        let head = get(target);
        let tags = rules.plan(&head, NOW).matched(&head).implicit_tags(&head);
        tags.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        of("/x?a=1"),
        ["~all", "~rule:x", "~uri:http://shop.example/x?a=1"]
    );
    assert_eq!(of("/y"), ["~all", "~uri:http://shop.example/y"]);
}

#[test]
fn defaults_hold_where_a_rule_says_nothing() {
    let written = crate::yaml::read::<source::Defaults>(
        "tagalong.yaml",
        "{ match: { methods: [GET, POST] }, cache: false, version: v1, group: '{query.g}', ttl: 60s, max_ttl: 1h, tags: [All], vary_on: { host: false, query: { mode: none }, headers: [X-A], cookies: [sid] } }",
        &|_| false,
    );
    let (defaults, mistakes) = Defaults::compile(
        "tagalong.yaml",
        written.value.unwrap(),
        Texts::none(),
        Sharing::default(),
        false,
    );
    assert_eq!(mistakes, []);
    let text = "rules: [{ id: bare }, { id: own, cache: true, ttl: 1s, tags: [], vary_on: { host: true, query: { sort: false }, cookies: [] } }]";
    let files = [("r.yaml".to_owned(), text.to_owned())];
    let rules = RuleSet::compile(&files, &with(defaults)).unwrap();
    let [bare, own] = rules.rules() else {
        panic!("two rules");
    };
    assert_eq!(
        (bare.cache, bare.terms.ttl, bare.terms.max_ttl),
        (
            false,
            Some(Duration::from_secs(60)),
            Duration::from_secs(3600)
        )
    );
    assert_eq!(bare.pattern.methods, [Method::GET, Method::POST]);
    assert!(bare.terms.keys_on_cookie && !own.terms.keys_on_cookie && own.cache && own.fields.host);
    assert_eq!((bare.tags.len(), own.tags.len()), (1, 0));
    assert_eq!(own.terms.ttl, Some(Duration::from_secs(1)));
    assert_eq!(
        (own.fields.query.mode, own.fields.query.sort),
        (source::QueryMode::None, false)
    );
    assert_eq!(own.fields.headers.len(), 1);
    assert!(
        rules.unmatched.cache,
        "what no rule matches follows RFC 9111 alone"
    );
}

fn with(defaults: Defaults) -> Context<'static> {
    Context {
        defaults,
        ..Context::new("test")
    }
}

fn compiled(defaults: &str, rules: &str) -> Result<Vec<Arc<Rule>>, Vec<String>> {
    let written = crate::yaml::read::<source::Defaults>("tagalong.yaml", defaults, &|_| false);
    let (defaults, mistakes) = Defaults::compile(
        "tagalong.yaml",
        written.value.unwrap(),
        Texts::none(),
        Sharing::default(),
        false,
    );
    assert_eq!(mistakes, []);
    let files = [("r.yaml".to_owned(), rules.to_owned())];
    RuleSet::compile(&files, &with(defaults))
        .map(|rules| rules.rules().to_vec())
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

#[test]
fn terms_come_from_the_rule_or_else_from_the_defaults() {
    let secs = |n| Some(Duration::from_secs(n));
    let defaults = "{ stale_while_revalidate: 1s, stale_if_error: 2s, cookies: ignore, authorization: rfc9111, set_cookie: strip }";
    let rules = "rules: [{ id: bare }, { id: own, stale_while_revalidate: 0, stale_if_error: 5m, cookies: key_or_public, authorization: bypass, set_cookie: store }]";
    let rules = compiled(defaults, rules).unwrap();
    let [bare, own] = &*rules else {
        panic!("two rules");
    };
    let inherited = Terms {
        stale_while_revalidate: secs(1),
        stale_if_error: secs(2),
        cookies: Cookies::Ignore,
        authorization: Authorization::Rfc9111,
        set_cookie: SetCookie::Strip,
        ..Terms::default()
    };
    assert_eq!(bare.terms, inherited);
    let written = Terms {
        stale_while_revalidate: secs(0),
        stale_if_error: secs(300),
        set_cookie: SetCookie::Store,
        ..Terms::default()
    };
    assert_eq!(own.terms, written);
}

#[test]
fn the_key_holds_credentials_where_the_rule_says_key_and_says_key_where_it_holds_them() {
    let by_header = "vary_on: { headers: [authorization] }";
    let by_group = "group: '{header.Authorization}'";
    for (name, defaults, rule, expected, fields) in [
        ("nothing", "", "", Authorization::Bypass, 0),
        ("key", "", "authorization: key", Authorization::Key, 1),
        ("a default", "authorization: key", "", Authorization::Key, 1),
        ("by a header", "", by_header, Authorization::Key, 1),
        (
            "by a header of the defaults",
            by_header,
            "",
            Authorization::Key,
            1,
        ),
        ("by the group", "", by_group, Authorization::Key, 0),
        (
            "a header of the defaults, replaced",
            by_header,
            "vary_on: { headers: [] }",
            Authorization::Bypass,
            0,
        ),
        (
            "a default, taken back",
            "authorization: key",
            "authorization: bypass",
            Authorization::Bypass,
            0,
        ),
        (
            "a default beside a header",
            "authorization: rfc9111",
            by_header,
            Authorization::Key,
            1,
        ),
        (
            "the rule's own word beside its header",
            "",
            "authorization: rfc9111, vary_on: { headers: [Authorization] }",
            Authorization::Rfc9111,
            1,
        ),
    ] {
        let rules = format!("rules: [{{ id: a, {rule} }}]");
        let rules = compiled(&format!("{{ {defaults} }}"), &rules).unwrap();
        let found = (rules[0].terms.authorization, rules[0].fields.headers.len());
        assert_eq!(found, (expected, fields), "{name}");
    }
}

#[test]
fn credentials_in_the_key_differ_and_absent_ones_are_not_empty() {
    let rules = compiled("{}", "rules: [{ id: a, authorization: key }]").unwrap();
    let key = |values: &[&str]| {
        let fields: Vec<_> = values
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        let none = RuleSet::none(&Context::new("test"));
        rules[0]
            .key_fields(&none, &head("GET", "/", &fields), "/", &Claims::default())
            .base_key()
    };
    let keys = [
        key(&[]),
        key(&[""]),
        key(&["t1"]),
        key(&["t2"]),
        key(&["t1", "t2"]),
        key(&["t1, t2"]),
    ];
    for (n, one) in keys.iter().enumerate() {
        assert!(!keys[..n].contains(one), "{n}");
    }
    assert_eq!(key(&["t1"]), key(&["t1"]));
}

#[test]
fn cookies_named_by_the_defaults_or_ignored_by_them_are_told_at_the_rule() {
    for (name, defaults, rule, expected) in [
        (
            "ignored by the defaults",
            "cookies: ignore",
            "vary_on: { cookies: [sid] }",
            Err(
                "r.yaml:1:39: this names a cookie, but `cookies: ignore` of `defaults` keeps cookies from the app, so nothing stored can depend on one",
            ),
        ),
        (
            "named by the defaults",
            "vary_on: { cookies: [sid] }",
            "cookies: ignore",
            Err(
                "r.yaml:1:27: `ignore` keeps cookies from the app, so nothing stored can depend on one, but `defaults` name one",
            ),
        ),
        (
            "named in a tag of the defaults",
            "tags: ['User:{cookie.user}']",
            "cookies: ignore",
            Err(
                "r.yaml:1:27: `ignore` keeps cookies from the app, so nothing stored can depend on one, but `defaults` name one",
            ),
        ),
        (
            "taken back",
            "cookies: ignore",
            "cookies: key_or_public, vary_on: { cookies: [sid] }",
            Ok(true),
        ),
        (
            "none of them",
            "vary_on: { cookies: [sid] }",
            "cookies: ignore, vary_on: { cookies: [] }",
            Ok(false),
        ),
    ] {
        let rules = format!("rules: [{{ id: a, {rule} }}]");
        let found = compiled(&format!("{{ {defaults} }}"), &rules);
        let found = found.map(|rules| rules[0].terms.keys_on_cookie);
        let expected = expected.map_err(|message: &str| vec![message.to_owned()]);
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn refills_come_field_by_field_from_the_rule_the_defaults_and_what_is_built_in() {
    let secs = Duration::from_secs;
    let all = "revalidate: sync, coalesce: { wait: 2s, on_timeout: stale }, hit_for_miss: 3s, \
        on_invalidate: { mode: refresh, delay: 4s, max_stale: 5s, max_entries: 6, if_error: stale }, \
        refresh_ahead: { every: 7s, max: 8, min_hits: 9 }";
    let said = || Refill {
        revalidate: Revalidate::Sync,
        coalesce: Some(Coalesce {
            wait: secs(2),
            on_timeout: OnTimeout::Stale,
            ..Coalesce::default()
        }),
        hit_for_miss: secs(3),
        on_invalidate: OnInvalidate {
            mode: WhenInvalidated::Refresh,
            delay: secs(4),
            max_stale: secs(5),
            max_entries: 6,
            stale_if_error: true,
        },
        refresh_ahead: Some(RefreshAhead {
            every: secs(7),
            max: 8,
            min_hits: 9,
        }),
    };
    let usual = Refill::default;
    let waits = |wait, on_timeout| Refill {
        coalesce: Some(Coalesce {
            wait: secs(wait),
            on_timeout,
            ..Coalesce::default()
        }),
        ..usual()
    };
    for (name, defaults, rule, expected) in [
        ("nothing", "", "", usual()),
        ("the rule's", "", all, said()),
        ("the defaults'", all, "", said()),
        (
            "taken back",
            all,
            "revalidate: background, coalesce: { wait: 10s, on_timeout: fetch }, hit_for_miss: 10s, \
                on_invalidate: { mode: miss, max_stale: 60s, if_error: error }, refresh_ahead: none",
            Refill {
                on_invalidate: OnInvalidate {
                    delay: secs(4),
                    max_entries: 6,
                    ..OnInvalidate::default()
                },
                ..usual()
            },
        ),
        (
            "no coalescing",
            all,
            "coalesce: none",
            Refill {
                coalesce: None,
                ..said()
            },
        ),
        (
            "coalescing again, as is built in",
            "coalesce: none",
            "coalesce: {}",
            usual(),
        ),
        (
            "no coalescing by default",
            "coalesce: none",
            "",
            Refill {
                coalesce: None,
                ..usual()
            },
        ),
        (
            "half of each",
            "coalesce: { wait: 2s }",
            "coalesce: { on_timeout: 503 }",
            waits(2, OnTimeout::Refuse),
        ),
        (
            "a status in quotes",
            "",
            "coalesce: { on_timeout: '503' }",
            waits(10, OnTimeout::Refuse),
        ),
        (
            "never waits long",
            "",
            "coalesce: { wait: 0, on_timeout: fetch }",
            waits(0, OnTimeout::Fetch),
        ),
        (
            "hit for miss off",
            "",
            "hit_for_miss: 0",
            Refill {
                hit_for_miss: Duration::ZERO,
                ..usual()
            },
        ),
        (
            "the mode alone",
            "on_invalidate: { delay: 4s, max_stale: 5s, max_entries: 6, if_error: stale }",
            "on_invalidate: { mode: refresh }",
            Refill {
                on_invalidate: said().on_invalidate,
                ..usual()
            },
        ),
        (
            "stale, for longer",
            "on_invalidate: { mode: stale }",
            "on_invalidate: { max_stale: 5m }",
            Refill {
                on_invalidate: OnInvalidate {
                    mode: WhenInvalidated::Stale,
                    max_stale: secs(300),
                    ..OnInvalidate::default()
                },
                ..usual()
            },
        ),
        (
            "a field of refresh_ahead",
            "refresh_ahead: { every: 7s, max: 8 }",
            "refresh_ahead: { max: 0 }",
            Refill {
                refresh_ahead: Some(RefreshAhead {
                    every: secs(7),
                    max: 0,
                    min_hits: 2,
                }),
                ..usual()
            },
        ),
        (
            "nothing after the name",
            "on_invalidate: { mode: stale }, coalesce: , refresh_ahead: ",
            "on_invalidate: , coalesce: , refresh_ahead: ",
            Refill {
                on_invalidate: OnInvalidate {
                    mode: WhenInvalidated::Stale,
                    ..OnInvalidate::default()
                },
                ..usual()
            },
        ),
    ] {
        let rules = format!("rules: [{{ id: a, {rule} }}]");
        let rules = compiled(&format!("{{ {defaults} }}"), &rules).unwrap();
        assert_eq!(rules[0].refill, expected, "{name}");
    }
    assert_eq!(
        RuleSet::none(&Context::new("test")).unmatched.refill,
        Refill::default(),
        "where no rule matches"
    );
}

#[test]
fn lives_come_field_by_field_from_the_rule_the_defaults_and_what_is_built_in() {
    let secs = Duration::from_secs;
    let statuses = |said: &[(&str, StatusTtl)]| {
        let mut statuses = terms::Statuses::default();
        for (status, ttl) in said {
            statuses.add(status, *ttl).unwrap();
        }
        statuses
    };
    let defaults = "soft_ttl: 1m, jitter: 0.1, statuses: { 404: 10s, '5xx': 0 }";
    let inherited = || Terms {
        soft_ttl: Some(secs(60)),
        jitter: terms::Jitter::of(0.1),
        statuses: statuses(&[
            ("404", StatusTtl::For(secs(10))),
            ("5xx", StatusTtl::For(secs(0))),
        ]),
        ..Terms::default()
    };
    for (name, rule, expected) in [
        ("nothing", "", inherited()),
        (
            "another soft life",
            "soft_ttl: 0",
            Terms {
                soft_ttl: Some(secs(0)),
                ..inherited()
            },
        ),
        (
            "no jitter",
            "jitter: 0",
            Terms {
                jitter: terms::Jitter::default(),
                ..inherited()
            },
        ),
        (
            "all of it",
            "jitter: 1.0",
            Terms {
                jitter: terms::Jitter::of(1.0),
                ..inherited()
            },
        ),
        (
            "other statuses take the place of all",
            "statuses: { 200: inherit }",
            Terms {
                statuses: statuses(&[("200", StatusTtl::Inherit)]),
                ..inherited()
            },
        ),
        (
            "no statuses",
            "statuses: {}",
            Terms {
                statuses: statuses(&[]),
                ..inherited()
            },
        ),
    ] {
        let rules = format!("rules: [{{ id: a, {rule} }}]");
        let rules = compiled(&format!("{{ {defaults} }}"), &rules).unwrap();
        assert_eq!(rules[0].terms, expected, "{name}");
    }
}

#[test]
fn what_cannot_be_refreshed_is_told_at_the_rule_whoever_says_so() {
    let needs = |what: &str, whose: &str, instead: &str, of: &str| {
        let instead = match instead {
            "" => String::new(),
            instead => format!(": say `{instead}` here"),
        };
        Err(format!(
            "`{what}`{whose} fetches without anybody's credentials or cookies, none being kept, but {of}{instead}"
        ))
    };
    let key = "the key of this rule holds some";
    let tag = "a tag of this rule is made of some";
    let refresh = "on_invalidate: { mode: refresh }";
    let (own, of_defaults) = ("", " of `defaults`");
    let instead = "on_invalidate: { mode: miss }";
    for (name, defaults, rule, expected) in [
        (
            "both by the rule",
            "",
            "authorization: key, on_invalidate: { mode: refresh }",
            needs("mode: refresh", own, "", key),
        ),
        (
            "the key by the defaults",
            "authorization: key",
            refresh,
            needs("mode: refresh", own, "", key),
        ),
        (
            "the mode by the defaults",
            refresh,
            "authorization: key",
            needs("mode: refresh", of_defaults, instead, key),
        ),
        (
            "both by the defaults",
            "vary_on: { cookies: [sid] }, refresh_ahead: {}",
            "",
            needs("refresh_ahead", of_defaults, "refresh_ahead: none", key),
        ),
        (
            "only its numbers by the rule",
            refresh,
            "on_invalidate: { max_stale: 5m }, group: '{cookie.a}'",
            needs("mode: refresh", of_defaults, instead, key),
        ),
        (
            "a header of the defaults",
            "vary_on: { headers: [AUTHORIZATION] }",
            "refresh_ahead: { every: 1m }",
            needs("refresh_ahead", own, "", key),
        ),
        (
            "a tag of the defaults",
            "tags: ['U:{header.Authorization}']",
            refresh,
            needs("mode: refresh", own, "", tag),
        ),
        (
            "taken back: the mode",
            refresh,
            "on_invalidate: { mode: stale }, vary_on: { cookies: [sid] }",
            Ok(()),
        ),
        (
            "taken back: refresh_ahead",
            "refresh_ahead: {}",
            "refresh_ahead: none, vary_on: { cookies: [sid] }",
            Ok(()),
        ),
        (
            "taken back: the key",
            "vary_on: { cookies: [sid], headers: [Authorization] }",
            "refresh_ahead: {}, vary_on: { cookies: [], headers: [] }",
            Ok(()),
        ),
        (
            "other headers",
            refresh,
            "vary_on: { headers: [X-Device, Accept-Language] }, tags: ['D:{header.X-Device}'], refresh_ahead: {}",
            Ok(()),
        ),
        (
            "credentials by RFC 9111",
            refresh,
            "authorization: rfc9111, cookies: ignore",
            Ok(()),
        ),
        (
            "never stored",
            refresh,
            "cache: false, vary_on: { cookies: [sid] }",
            Ok(()),
        ),
    ] {
        let rules = format!("rules: [{{ id: a, {rule} }}]");
        let found = compiled(&format!("{{ {defaults} }}"), &rules).map(|_| ());
        let found = found.map_err(|mistakes| {
            let [mistake] = &*mistakes else {
                panic!("{name}: {mistakes:?}");
            };
            let (_, message) = mistake.split_once(": ").unwrap();
            message.to_owned()
        });
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_refresh_that_comes_too_late_is_told_where_it_is_said() {
    let late = |column: usize, delay: &str, max_stale: &str| {
        let expected = format!(
            "r.yaml:1:{column}: expected `delay` ({delay}) to be shorter than `max_stale` ({max_stale}), after which nothing old is left to serve"
        );
        Err(vec![expected])
    };
    for (name, defaults, rule, expected) in [
        (
            "both by the rule",
            "",
            "mode: refresh, delay: 6s, max_stale: 5s",
            late(57, "6s", "5s"),
        ),
        (
            "as long",
            "",
            "mode: refresh, delay: 60s",
            late(57, "1m", "1m"),
        ),
        (
            "the delay by the defaults",
            "mode: refresh, delay: 6s",
            "max_stale: 6s",
            late(46, "6s", "6s"),
        ),
        (
            "both by the defaults",
            "delay: 6s, max_stale: 5s",
            "mode: refresh",
            late(41, "6s", "5s"),
        ),
        ("just in time", "", "mode: refresh, delay: 59999ms", Ok(())),
        (
            "no refresh",
            "delay: 6s, max_stale: 5s",
            "mode: stale",
            Ok(()),
        ),
    ] {
        let rules = format!("rules: [{{ id: a, on_invalidate: {{ {rule} }} }}]");
        let defaults = format!("{{ on_invalidate: {{ {defaults} }} }}");
        assert_eq!(compiled(&defaults, &rules).map(|_| ()), expected, "{name}");
    }

    let written = crate::yaml::read::<source::Defaults>(
        "tagalong.yaml",
        "on_invalidate: { mode: refresh, delay: 90s }",
        &|_| false,
    );
    let (_, mistakes) = Defaults::compile(
        "tagalong.yaml",
        written.value.unwrap(),
        Texts::none(),
        Sharing::default(),
        false,
    );
    let told: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "tagalong.yaml:1:40: expected `delay` (90s) to be shorter than `max_stale` (1m), after which nothing old is left to serve"
        ],
        "in the defaults themselves"
    );
}

#[test]
fn what_could_not_be_read_of_a_refill_is_told_once() {
    for (name, defaults, rule, expected) in [
        (
            "the mode",
            "",
            "on_invalidate: { mode: refesh, delay: 5s }",
            "r.yaml:1:41: expected `miss`, `stale` or `refresh`, found `refesh`",
        ),
        (
            "the mode over that of the defaults",
            "on_invalidate: { mode: refresh }",
            "on_invalidate: { mode: mis }, vary_on: { cookies: [a] }",
            "r.yaml:1:41: expected `miss`, `stale` or `refresh`, found `mis`",
        ),
        (
            "how long",
            "",
            "on_invalidate: { mode: refresh, delay: 2m, max_stale: 5x }",
            "r.yaml:1:72: expected a duration such as `250ms`, `30s`, `5m`, `1h` or `7d`, or a number of seconds, found `5x`",
        ),
    ] {
        let rules = format!("rules: [{{ id: a, {rule} }}]");
        let found = compiled(&format!("{{ {defaults} }}"), &rules).unwrap_err();
        assert_eq!(found, [expected], "{name}");
    }
}

#[test]
fn increments_of_a_rule_are_repeated_as_it_says() {
    let rules = rules(&[
        "{ id: w, match: { methods: [POST] }, increments: [{ tags: [A, B], again: 1d }, { tags: [C], again: 1ms }, { tags: [D] }] }",
    ]);
    let post = head("POST", "/", &[]);
    let answer = answer(200, &[]);
    let answer = Answer {
        parts: &answer,
        body: Content::Ahead,
    };
    let (increments, _) = rules
        .plan(&post, NOW)
        .matched(&post)
        .increments_after(&post, &answer);
    let told: Vec<_> = increments
        .into_iter()
        .map(|it| (it.tag.to_string(), it.again, it.soft))
        .collect();
    let again = |name: &str, millis: Option<u64>| {
        (name.to_owned(), millis.map(Duration::from_millis), false)
    };
    assert_eq!(
        told,
        [
            again("A", Some(86_400_000)),
            again("B", Some(86_400_000)),
            again("C", Some(1)),
            again("D", None)
        ]
    );
}

/// What a request says, as far as the rule of the next property keys on it.
fn keyed(head: &Head) -> impl PartialEq + use<> {
    let pieces: Vec<String> = query::pieces_of(head.query(), "a")
        .map(str::to_owned)
        .collect();
    let device: Vec<_> = head.headers().get_all("x-device").iter().cloned().collect();
    let sid: Vec<Vec<u8>> = cookies::values_of(head.headers(), "sid")
        .map(<[u8]>::to_vec)
        .collect();
    (
        head.host.clone(),
        head.path().to_owned(),
        pieces,
        device,
        sid,
    )
}

fn any_head() -> impl Strategy<Value = Head> {
    let target = "/(a|b|/|%2F|\\.\\.|%2e){0,4}(\\?(a|b|=|&|1){0,6})?";
    let device = proptest::collection::vec("[ab,]{0,2}", 0..3);
    let cookie = proptest::option::of("(sid|a|=1|=2|; ){0,5}");
    (target, device, cookie, "[ab]\\.example").prop_map(|(target, device, cookie, host)| {
        let mut request = http::Request::builder().uri(target).header("host", host);
        for value in device {
            request = request.header("x-device", value);
        }
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap()
    })
}

proptest! {
    #[test]
    fn l07_requests_share_a_key_only_if_their_keyed_fields_are_equal(one in any_head(), other in any_head()) {
        let rules = rules(&["{ id: r, vary_on: { query: { mode: allow, params: [{ name: a }] }, headers: [X-Device], cookies: [sid] } }"]);
        if key(&rules, &one) == key(&rules, &other) {
            prop_assert!(keyed(&one) == keyed(&other));
        }
        let again = one.clone();
        prop_assert_eq!(key(&rules, &one), key(&rules, &again));
    }

    #[test]
    fn no_request_stops_a_plan(
        target in proptest::collection::vec(any::<u8>(), 0..40),
        value in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let target = [b"/", &*target].concat();
        let request = http::Request::builder().uri(&*target).header("host", "a").header("cookie", &*value).header("x-a", &*value);
        if let Ok(request) = request.body(()) {
            let head = Head::new(request.into_parts().0, "http").unwrap();
            let rules = rules(&[
                "{ id: r, match: { path: '/(?P<p>.*)' }, group: '{p}{query.a}{cookie.c}', tags: ['{p}:{header.x-a}', '{cookie.c}'], vary_on: { captures: [p], headers: [x-a], cookies: [c], query: { drop: ['u*'] } } }",
            ]);
            let plan = rules.plan(&head, NOW);
            prop_assert!(!plan.explain(&head).to_string().is_empty());
        }
    }

    #[test]
    fn no_file_stops_the_compiler(cut in 0usize..600, at in 0usize..600, junk in "[ -~\\n]{0,4}") {
        let text = r#"rules:
  - id: user-profile
    match: { hosts: ["*.shop.example"], methods: [GET], path: '/users/(?P<user_id>\d+)/profile' }
    key_name: user_profile
    group: "{query.period}"
    vary_on:
      captures: [user_id]
      query: { mode: allow, params: [{ name: filter_type, default: "all" }], drop: ["utm_*"] }
      headers: [X-Device]
      cookies: [sessionid]
    tags: ["Dashboard", "User:{user_id}"]
    ttl: 1h
    increments: [{ tags: ["User:{user_id}"], on_status: ["2xx"] }]
"#;
        let mut text = text[..text.floor_char_boundary(cut.min(text.len()))].to_owned();
        text.insert_str(at.min(text.len()), &junk);
        let files = [("r.yaml".to_owned(), text)];
        if let Err(mistakes) = RuleSet::compile(&files, &Context::new("test")) {
            prop_assert!(!mistakes.is_empty());
        }
    }
}
