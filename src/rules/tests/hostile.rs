//! Requests that nobody sends by mistake: planned without a panic, and each keyed by all that its rule names.

use std::collections::BTreeMap;
use std::fmt::Write;

use percent_encoding::percent_decode_str;

use super::*;

/// Every form of `vary_on`, a group, and tags of everything.
const RICH: [&str; 3] = [
    r"{ id: r, match: { path: '/r/(?P<p>[^/]*)(/.*)?' }, group: '{p}{query.a}{cookie.c}{header.x-a}', tags: ['T:{p}:{query.a}', 'U:{header.x-a}', 'V:{cookie.c}'], vary_on: { captures: [p], headers: [X-A, { name: Accept-Language, normalize: primary_lang, of: [en, de] }, { name: Accept-Encoding, normalize: encoding }, { name: X-T, normalize: lower_trim }], cookies: [c], query: { params: [{ name: d, default: '1' }], drop: ['u*'] } }, skip_when: [{ query: no, matches: 'a+' }, { cookie: no }, { header: X-No, equals: '1' }], dimensions: { attrs: { a: '{query.a}', c: '{cookie.c}' } } }",
    "{ id: w, match: { path: '/w/*', methods: [POST] }, increments: [{ tags: ['T:{query.a}', 'V:{cookie.c}', 'U:{header.x-a}'] }] }",
    "{ id: any, vary_on: { query: { mode: allow, params: [{ name: a }] } } }",
];

fn request(method: &str, target: &[u8], fields: &[(&str, &[u8])]) -> Option<Head> {
    let mut request = http::Request::builder().method(method).uri(target);
    request = request.header("host", "shop.example");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    Head::new(request.body(()).ok()?.into_parts().0, "http").ok()
}

#[test]
fn odd_requests_are_planned_and_told_apart() {
    let rules = rules(&RICH);
    let many = |text: &str, count: usize| -> String {
        let all: Vec<String> = (0..count).map(|n| format!("{text}{n}")).collect();
        all.join("&")
    };
    let mut seen = std::collections::HashMap::new();
    for (name, target, fields) in [
        ("plain", "/r/a".to_owned(), &[][..]),
        ("a percent sign alone", "/r/a%?a=%".into(), &[]),
        ("half an octet", "/r/a%2?a=%2".into(), &[]),
        ("no octet", "/r/%zz?a=%zz".into(), &[]),
        ("no UTF-8", "/r/%ff%fe?a=%ff".into(), &[]),
        ("more than UTF-8", "/r/%f4%90%80%80".into(), &[]),
        ("a slash written too long", "/r/%c0%af".into(), &[]),
        ("NUL", "/r/%00?a=%00".into(), &[]),
        ("two bytes for NUL", "/r/%c0%80?a=%c0%80".into(), &[]),
        ("line breaks", "/r/%0d%0aX-A:1?a=%0a".into(), &[]),
        (
            "10,000 parameters",
            format!("/r/a?{}", many("a", 10_000)),
            &[],
        ),
        (
            "thousands of one name",
            format!("/r/a?{}", many("a=", 9_000)),
            &[],
        ),
        (
            "a long query",
            format!("/r/a?a={}", "x".repeat(60_000)),
            &[],
        ),
        ("a long path", format!("/r/{}", "x".repeat(60_000)), &[]),
        (
            "dots upon dots",
            format!("/r{}/a", "/x/..".repeat(10_000)),
            &[],
        ),
        ("one cookie", "/r/a".into(), &[("cookie", &b"c=1"[..])]),
        ("it twice", "/r/a".into(), &[("cookie", b"c=1; c=1")]),
        (
            "on two lines",
            "/r/a".into(),
            &[("cookie", b"c=1"), ("cookie", b"c=2")],
        ),
        (
            "the other way round",
            "/r/a".into(),
            &[("cookie", b"c=2"), ("cookie", b"c=1")],
        ),
        (
            "a cookie in quotes",
            "/r/a".into(),
            &[("cookie", b"x=\"; c=1; \"")],
        ),
        (
            "a cookie that is no text",
            "/r/a".into(),
            &[("cookie", b"c=\xff\xfe")],
        ),
        (
            "a field that is no text",
            "/r/a".into(),
            &[("x-a", b"\xff\x80")],
        ),
        ("half a letter", "/r/a".into(), &[("x-a", b"\xc3")]),
        (
            "a field twice",
            "/r/a".into(),
            &[("x-a", b"1"), ("x-a", b"2")],
        ),
        ("a field with a comma", "/r/a".into(), &[("x-a", b"1, 2")]),
        ("an empty field", "/r/a".into(), &[("x-a", b"")]),
        ("a tab", "/r/a".into(), &[("x-t", b"\x41\tb")]),
    ] {
        let head = request("GET", target.as_bytes(), fields).unwrap_or_else(|| panic!("{name}"));
        let plan = rules.plan(&head, NOW);
        assert!(!plan.explain(&head).to_string().is_empty(), "{name}");
        let Plan::Lookup(query) = plan else {
            panic!("{name} is looked up");
        };
        assert_eq!(query.rule.id.as_deref(), Some("r"), "{name}");
        assert_eq!(seen.insert(query.base, name), None, "{name}");
    }
}

/// A work of so many steps for a request of so many bytes: what is made of it is no longer than it is, but for its names.
#[test]
fn what_a_request_is_made_into_grows_with_it_and_no_faster() {
    let rules = rules(&RICH);
    let size = |count: usize| {
        let query: Vec<String> = (0..count).map(|n| format!("u{n}&a={n}")).collect();
        let cookies: Vec<String> = (0..count).map(|n| format!("c={n}")).collect();
        let (query, cookies) = (query.join("&"), cookies.join("; "));
        let target = format!("/r/x?{query}");
        let fields = [("cookie", cookies.as_bytes())];
        let head = request("GET", target.as_bytes(), &fields).unwrap();
        let key = rules.plan(&head, NOW).explain(&head).to_string().len();
        (key, target.len() + cookies.len())
    };
    let (few, few_bytes) = size(100);
    let (many, many_bytes) = size(3_000);
    let growth = many_bytes.div_ceil(few_bytes);
    assert!(
        many <= few * growth * 2,
        "{few} of {few_bytes}, {many} of {many_bytes}"
    );
}

/// A rule of the next property, and what its key must hold of a request.
#[derive(Clone, Debug)]
struct Spec {
    host: bool,
    capture: bool,
    group: bool,
    query: u8,
    sort: bool,
    default: bool,
    drop: bool,
    header: bool,
    language: bool,
    cookie: bool,
}

fn spec() -> impl Strategy<Value = Spec> {
    (any::<[bool; 9]>(), 0_u8..4).prop_map(|(bits, query)| {
        let [
            host,
            capture,
            group,
            sort,
            default,
            drop,
            header,
            language,
            cookie,
        ] = bits;
        // A default means nothing where the key does not hold the parameter.
        let default = default && query < 2;
        Spec {
            host,
            capture,
            group,
            query,
            sort,
            default,
            drop,
            header,
            language,
            cookie,
        }
    })
}

impl Spec {
    fn rule(&self) -> String {
        let mut rule = "{ id: r, match: { path: '/(?P<p>[^/]*)(/.*)?' }".to_owned();
        if self.group {
            rule.push_str(", group: '{query.g}-{header.x-g}-{p}'");
        }
        let mode = ["all", "allow", "ignore", "none"][usize::from(self.query)];
        let default = if self.default { ", default: '1'" } else { "" };
        let drop = if self.drop { "['b*']" } else { "[]" };
        let mut headers = Vec::new();
        headers.extend(self.header.then_some("X-A"));
        headers.extend(
            self.language
                .then_some("{ name: Accept-Language, normalize: primary_lang, of: [en, de] }"),
        );
        write!(
            rule,
            ", vary_on: {{ host: {}, query: {{ mode: {mode}, sort: {}, params: [{{ name: a{default} }}], drop: {drop} }}, headers: [{}], cookies: [{}]{} }} }}",
            self.host,
            self.sort,
            headers.join(", "),
            if self.cookie { "c" } else { "" },
            if self.capture { ", captures: [p]" } else { "" },
        )
        .unwrap();
        rule
    }

    /// What the key must tell apart, told by other means than those of the key itself.
    fn keyed(&self, head: &Head) -> Vec<(&'static str, Vec<Vec<u8>>)> {
        let mut all = Vec::new();
        let lines = |name: &str| -> Vec<Vec<u8>> {
            let lines = head.headers().get_all(name).iter();
            lines.map(|line| line.as_bytes().to_vec()).collect()
        };
        let path = head.path();
        let capture = || {
            path.split('/')
                .nth(1)
                .unwrap_or_default()
                .as_bytes()
                .to_vec()
        };
        let has_dots = super::path::normalised(path) != path;
        if self.host {
            all.push(("host", vec![head.host.as_bytes().to_vec()]));
        }
        match self.capture {
            true if has_dots => all.push(("path", vec![path.as_bytes().to_vec()])),
            true => all.push(("capture", vec![capture()])),
            false => all.push(("path", vec![path.as_bytes().to_vec()])),
        }
        all.push(("query", self.query(head.query())));
        if self.group {
            let wanted =
                named(head.query()).filter(|(name, piece)| name == "g" || piece.contains(';'));
            all.push((
                "group query",
                wanted.map(|(_, piece)| piece.into()).collect(),
            ));
            all.push(("group header", lines("x-g")));
            if !has_dots {
                all.push(("group capture", vec![capture()]));
            }
        }
        if self.header {
            all.push(("header", lines("x-a")));
        }
        if self.language {
            // One of two, or neither: of the fields below each says clearly which.
            let said = lines("accept-language").concat();
            let first = ["de", "en"]
                .into_iter()
                .find(|it| said.starts_with(it.as_bytes()));
            all.push(("language", first.map(|it| it.into()).into_iter().collect()));
        }
        if self.cookie {
            let cookies = lines("cookie");
            let pairs = cookies
                .iter()
                .flat_map(|line| line.split(|byte| *byte == b';'));
            let pairs = pairs.map(|pair| pair.trim_ascii());
            all.push((
                "cookie",
                pairs
                    .filter_map(|pair| pair.strip_prefix(b"c="))
                    .map(Into::into)
                    .collect(),
            ));
        }
        all
    }

    /// The pieces that are kept: where their order does not matter in that of their names.
    fn query(&self, query: Option<&str>) -> Vec<Vec<u8>> {
        let keeps = |name: &str, piece: &str| {
            let chosen = match self.query {
                0 => true,
                1 => name == "a",
                2 => name != "a",
                _ => false,
            };
            piece.contains(';') || (chosen && !(self.drop && name.starts_with('b')))
        };
        if self.query == 3 {
            return Vec::new();
        }
        let mut kept: Vec<(String, String)> = named(query)
            .filter(|(name, piece)| keeps(name, piece))
            .collect();
        if self.default && !kept.iter().any(|(name, _)| name == "a") {
            kept.push(("a".into(), "a=1".into()));
        }
        if !self.sort {
            return kept.into_iter().map(|(_, piece)| piece.into()).collect();
        }
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, piece) in kept {
            by_name.entry(name).or_default().push(piece);
        }
        by_name.into_values().flatten().map(Into::into).collect()
    }
}

/// Each piece of a query with its name.
fn named(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|piece| {
            let name = piece.split('=').next().unwrap_or_default();
            let plain = percent_decode_str(name).decode_utf8();
            let name = plain.map_or_else(|_| name.to_owned(), |it| it.into_owned());
            (name, piece.to_owned())
        })
}

fn some_request() -> impl Strategy<Value = Head> {
    let target = "/(x|y|%2F)?(/(z|\\.\\.|%2e))?(\\?((a|b|bb|g|c|%61|%ff)(=|=1|=2|;a=2)?&?){0,3})?";
    let field = |values: &'static str| prop::collection::vec(values, 0..2);
    let cookie = prop::option::of("(c=1|c=2|d=1)(; (c=1|c=2|d=1))?");
    let language = prop::option::of("(de|en|fr)");
    let host = "[ab]\\.example";
    (
        target,
        host,
        field("[12]?"),
        field("[12]?"),
        cookie,
        language,
    )
        .prop_map(|(target, host, x_a, x_g, cookie, language)| {
            let mut request = http::Request::builder().uri(target).header("host", host);
            for value in x_a {
                request = request.header("x-a", value);
            }
            for value in x_g {
                request = request.header("x-g", value);
            }
            for (name, value) in [("cookie", cookie), ("accept-language", language)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn l07_requests_share_a_key_exactly_if_what_their_rule_names_is_equal(
        spec in spec(),
        requests in prop::collection::vec(some_request(), 24),
    ) {
        let rules = rules(&[&spec.rule()]);
        let mut keys: BTreeMap<String, (Vec<_>, String)> = BTreeMap::new();
        let mut by_fields = std::collections::HashMap::new();
        for head in &requests {
            let (key, fields) = (key(&rules, head).to_string(), spec.keyed(head));
            let shown = format!("{} {:?}", head.absolute_uri(), head.headers());
            if let Some((others, other)) = keys.get(&key) {
                prop_assert_eq!(others, &fields, "{} and {} share a key under {}", other, shown, spec.rule());
            }
            if let Some(other) = by_fields.insert(fields.clone(), key.clone()) {
                prop_assert_eq!(&other, &key, "{} has another key under {}", shown, spec.rule());
            }
            keys.insert(key, (fields, shown));
        }
    }

    #[test]
    fn any_bytes_are_planned(
        target in prop::collection::vec(any::<u8>(), 0..60),
        field in prop::collection::vec(any::<u8>(), 0..60),
        method in "(GET|HEAD|POST|OPTIONS)",
    ) {
        let rules = rules(&RICH);
        for prefix in ["/r/", "/w/", "/", "/r/a?a=", "/w/a?a="] {
            let target = [prefix.as_bytes(), &target].concat();
            let fields = ["x-a", "x-t", "accept-language", "accept-encoding", "cookie", "authorization"];
            let fields = fields.map(|name| (name, &*field));
            if let Some(head) = request(&method, &target, &fields) {
                prop_assert!(!rules.plan(&head, NOW).explain(&head).to_string().is_empty());
            }
        }
    }
}
