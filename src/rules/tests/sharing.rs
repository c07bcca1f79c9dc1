//! What rules say of other sidecars: where responses are kept, when increments count, who fetches for whom.

use super::*;
use crate::model::mistake::Mistake;
use crate::yaml;

/// A rule with what is said of it: mistakes, or warnings.
type Built = Result<(Arc<Rule>, Vec<String>), Vec<String>>;

fn told(all: &[Mistake]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// The rule `{ id: a, … }`, and defaults, where this is shared.
fn built(store: SharedStore, defaults: &str, rule: &str) -> Built {
    let sharing = Sharing {
        store,
        ..Sharing::default()
    };
    let defaults = format!("{{ {defaults} }}");
    let written = yaml::read::<source::Defaults>("t.yaml", &defaults, &|_| false);
    let written = written.value.unwrap();
    let (defaults, mistakes) = Defaults::compile("t.yaml", written, Texts::none(), sharing, false);
    if !mistakes.is_empty() {
        return Err(told(&mistakes));
    }
    let mut warnings = told(defaults.warnings());
    let context = Context {
        defaults,
        sharing,
        ..Context::new("test")
    };
    let text = format!("rules: [{{ id: a, {rule} }}]");
    let files = [("r.yaml".to_owned(), text)];
    let rules = RuleSet::compile(&files, &context).map_err(|mistakes| told(&mistakes))?;
    warnings.extend(told(rules.warnings()));
    Ok((Arc::clone(&rules.rules()[0]), warnings))
}

use SharedStore::{Bodies, None as Alone, Tags as TagsOnly};

#[test]
fn a_store_that_is_asked_for_must_be_there() {
    let alone = "`redis` needs `store.redis` in the configuration";
    let tags = "`redis` needs bodies in the shared store, but `store.redis` of the configuration says `bodies: false`";
    let at_rule = |message: &str| Err(vec![format!("r.yaml:1:25: {message}")]);
    let in_defaults = |message: &str| Err(vec![format!("t.yaml:1:10: {message}")]);
    let redis = "store: redis";
    for (name, store, defaults, rule, expected) in [
        ("not said", Bodies, "", "", Ok(KeptIn::Default)),
        ("not said, alone", Alone, "", "", Ok(KeptIn::Default)),
        ("default", Alone, "", "store: default", Ok(KeptIn::Default)),
        ("memory", Alone, "", "store: memory", Ok(KeptIn::Memory)),
        ("redis", Bodies, "", redis, Ok(KeptIn::Redis)),
        ("redis, alone", Alone, "", redis, at_rule(alone)),
        ("redis without bodies", TagsOnly, "", redis, at_rule(tags)),
        ("the defaults'", Bodies, redis, "", Ok(KeptIn::Redis)),
        (
            "taken back",
            Bodies,
            redis,
            "store: default",
            Ok(KeptIn::Default),
        ),
        ("the defaults', alone", Alone, redis, "", in_defaults(alone)),
        (
            "the defaults', no bodies",
            TagsOnly,
            redis,
            "",
            in_defaults(tags),
        ),
    ] {
        let found = built(store, defaults, rule).map(|(rule, warnings)| {
            assert_eq!(warnings, [""; 0], "{name}");
            rule.kept_in
        });
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn fills_are_shared_where_others_can_have_the_body() {
    let alone = "`shared: true` means nothing without `store.redis` in the configuration: each sidecar fetches for itself";
    let tags = "`shared: true` means nothing while `store.redis` of the configuration says `bodies: false`: each sidecar fetches for itself";
    let memory = "`shared: true` means nothing with `store: memory`: no other sidecar could have what was fetched";
    let by_defaults = "`shared: true` means nothing with `store: memory` of `defaults`: no other sidecar could have what was fetched";
    let yes = "coalesce: { shared: true, lease: 9s }";
    let no = "coalesce: { shared: false }";
    let usual = Duration::from_secs(5);
    let long = Duration::from_secs(9);
    for (name, store, defaults, rule, shared, lease, said) in [
        ("not said", Bodies, "", "", false, usual, None),
        ("said", Bodies, "", yes, true, long, None),
        (
            "the usual lease",
            Bodies,
            "",
            "coalesce: { shared: true }",
            true,
            usual,
            None,
        ),
        ("by defaults", Bodies, yes, "", true, long, None),
        ("taken back", Bodies, yes, no, false, usual, None),
        (
            "a lease for it",
            Bodies,
            "coalesce: { shared: true }",
            "coalesce: { lease: 9s }",
            true,
            long,
            None,
        ),
        (
            "a lease in case",
            Bodies,
            "coalesce: { lease: 9s }",
            "",
            false,
            usual,
            None,
        ),
        (
            "that case",
            Bodies,
            "coalesce: { lease: 9s }",
            "coalesce: { shared: true }",
            true,
            long,
            None,
        ),
        (
            "in Redis alone",
            Bodies,
            "",
            "coalesce: { shared: true }, store: redis",
            true,
            usual,
            None,
        ),
        (
            "not in this rule",
            Bodies,
            yes,
            "store: memory",
            false,
            usual,
            None,
        ),
        (
            "alone",
            Alone,
            "",
            yes,
            false,
            usual,
            Some(("r.yaml:1:38", alone)),
        ),
        (
            "no bodies",
            TagsOnly,
            "",
            yes,
            false,
            usual,
            Some(("r.yaml:1:38", tags)),
        ),
        (
            "alone by defaults",
            Alone,
            yes,
            "",
            false,
            usual,
            Some(("t.yaml:1:23", alone)),
        ),
    ] {
        let (rule, warnings) = built(store, defaults, rule).unwrap();
        let coalesce = rule.refill.coalesce.unwrap();
        assert_eq!((coalesce.shared, coalesce.lease), (shared, lease), "{name}");
        let said = said.map(|(place, message)| format!("{place}: {message}"));
        assert_eq!(warnings, Vec::from_iter(said), "{name}");
    }
    let lease = "`lease` means nothing without `shared: true`";
    let bounds = "expected a duration from `100ms` to `10m`, found `";
    for (name, store, defaults, rule, expected) in [
        (
            "memory",
            Bodies,
            "",
            "store: memory, coalesce: { shared: true }",
            format!("r.yaml:1:53: {memory}"),
        ),
        (
            "memory, alone",
            Alone,
            "",
            "store: memory, coalesce: { shared: true }",
            format!("r.yaml:1:53: {memory}"),
        ),
        (
            "memory by defaults",
            Bodies,
            "store: memory",
            yes,
            format!("r.yaml:1:38: {by_defaults}"),
        ),
        (
            "lease alone",
            Bodies,
            "",
            "coalesce: { lease: 1s }",
            format!("r.yaml:1:37: {lease}"),
        ),
        (
            "lease and no",
            Bodies,
            "",
            "coalesce: { shared: false, lease: 1s }",
            format!("r.yaml:1:52: {lease}"),
        ),
        (
            "short",
            Bodies,
            "",
            "coalesce: { shared: true, lease: 99ms }",
            format!("r.yaml:1:51: {bounds}99ms`"),
        ),
        (
            "long",
            Bodies,
            "coalesce: { lease: 601 }",
            "",
            format!("t.yaml:1:22: {bounds}601s`"),
        ),
    ] {
        let found = built(store, defaults, rule).map(|(_, warnings)| warnings);
        assert_eq!(found, Err(vec![expected]), "{name}");
    }
    for lease in ["100ms", "10m"] {
        let rule = format!("coalesce: {{ shared: true, lease: {lease} }}");
        assert!(built(Bodies, "", &rule).is_ok(), "{lease}");
    }
    let (rule, warnings) = built(Bodies, yes, "coalesce: none").unwrap();
    assert_eq!((rule.refill.coalesce, warnings), (None, Vec::new()));
    let (_, warnings) = built(Alone, "", "cache: false, coalesce: { shared: true }").unwrap();
    assert_eq!(warnings.len(), 1, "one reason is enough: {warnings:?}");
}

#[test]
fn what_no_rule_matches_is_as_consistent_as_the_process() {
    for consistency in [Consistency::Bounded, Consistency::Strict] {
        let context = Context {
            sharing: Sharing {
                consistency,
                ..Sharing::default()
            },
            ..Context::new("test")
        };
        let rules = RuleSet::none(&context);
        assert_eq!(rules.unmatched.consistency, consistency);
    }
}
