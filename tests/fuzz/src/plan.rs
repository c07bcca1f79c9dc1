//! Heads of requests, of any bytes, and what must hold of what is planned for them.
//!
//! The input is lines: method and target, ` https` behind them if it came that way; then the request's fields.

use std::sync::LazyLock;

use http::Request;
use tagalong::model::request::Head;
use tagalong::model::time::Timestamp;
use tagalong::rules::Context;
use tagalong::rules::Plan;
use tagalong::rules::RuleSet;

use super::fields::fields;

/// None of the tokens here is verified by the time.
const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

/// A rule for each thing that rules do with requests.
const RULES: &str = r"
rules:
  - id: rich
    match: { path: '/r/(?P<p>[^/]*)(/.*)?' }
    group: '{p}{query.a}{cookie.c}{header.x-a}'
    tags: ['T:{p}:{query.a}', 'U:{header.x-a}', 'V:{cookie.c}', 'W:{host}:{method}']
    vary_on:
      captures: [p]
      headers:
        - X-A
        - { name: Accept-Language, normalize: primary_lang, of: [en, de] }
        - { name: Accept-Encoding, normalize: encoding }
        - { name: X-T, normalize: lower_trim }
      cookies: [c]
      query: { params: [{ name: d, default: '1' }], drop: ['u*'] }
    skip_when: [{ query: no, matches: 'a+' }, { cookie: no }, { header: X-No, equals: '1' }]
    dimensions: { attrs: { a: '{query.a}', c: '{cookie.c}' } }
  - id: write
    match: { path: '/w/*', methods: [POST, PUT] }
    increments: [{ tags: ['T:{query.a}', 'V:{cookie.c}', 'U:{header.x-a}'] }]
  - { id: allow, match: { path: '/a/*' }, vary_on: { query: { mode: allow, params: [{ name: a }] } }, authorization: key }
  - { id: ignore, match: { path: '/i/*' }, vary_on: { host: false, query: { mode: ignore, sort: false, params: [{ name: a }] } }, cookies: ignore }
  - { id: none, match: { path: '*.css' }, vary_on: { query: { mode: none } }, authorization: rfc9111 }
  - { id: mobile, match: { hosts: ['m.*'], headers: [{ name: X-Api, matches: 'v\d+' }] } }
  - { id: never, match: { path: /never }, cache: false }
  - { id: keyed, match: { path: '/k/(?P<a>[^/]*)/(?P<b>.*)' }, key: 'K:{a}>{b}{query.a}', tags: [{ name: api, constant: 2 }], safe: true }
";

static SET: LazyLock<RuleSet> = LazyLock::new(|| {
    let files = [("rules.yaml".to_owned(), RULES.to_owned())];
    RuleSet::compile(&files, &Context::new("fuzz")).expect("these are right")
});

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let Some(head) = head(input) else {
        return; // hyper lets no such request in
    };
    let plan = planned(&head);
    let said = plan.explain(&head).to_string();
    assert!(said.starts_with("rule: ") && said.ends_with('\n'), "{said}");
    assert_eq!(said, SET.plan(&head, NOW).explain(&head).to_string());
    assert!(plan.rule().id.is_none() || SET.rules().iter().any(|it| it.id == plan.rule().id));
    let matched = plan.matched(&head);
    assert!(matched.implicit_tags(&head).len() >= 2);
    match &plan {
        Plan::Lookup(query) => {
            assert!(
                head.is_safe(),
                "what may change things is not answered from the store"
            );
            assert_eq!(query.base, query.key.base_key());
            assert_eq!(matched.key.map(|(_, base)| base), Some(query.base));
            a_key_holds_where_it_is_for(query, &head);
        }
        Plan::Pass(pass) => assert_eq!(pass.changes.is_some(), !head.is_safe()),
    }
}

/// Every key has a scheme and the four that keep apps, epochs and methods apart; whatever they say, it reads back.
fn a_key_holds_where_it_is_for(query: &tagalong::rules::Query, head: &Head) {
    let field = |wanted: &str| {
        let mut fields = query.key.iter();
        fields
            .find(|(name, _)| *name == wanted)
            .and_then(|(_, value)| value)
    };
    assert_eq!(field("namespace"), Some(&b"fuzz"[..]));
    assert_eq!(field("scheme"), Some(head.scheme.as_bytes()));
    assert_eq!(field("method"), Some(&b"GET"[..]));
    let names = query
        .key
        .iter()
        .map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len));
    let said = head.path().len() + head.query().map_or(0, str::len);
    let fields: usize = head
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    // Each part of a request is in a key a few times at most: in its own field, the group's, and whole where it is unclear.
    assert!(
        names.sum::<usize>() <= 1_000 + 6 * (said + fields),
        "a key longer than its request"
    );
}

/// What the rules here say of it.
pub(super) fn planned(head: &Head) -> Plan {
    SET.plan(head, NOW)
}

pub(super) fn head(input: &[u8]) -> Option<Head> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.split(|byte| *byte == b' ');
    let (method, target) = (first.next()?, first.next()?);
    let scheme = match first.next() {
        Some(b"https") => "https",
        Some(_) | None => "http",
    };
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(())
        .ok()?;
    *request.headers_mut() = fields(lines.take(100));
    Head::new(request.into_parts().0, scheme).ok()
}
