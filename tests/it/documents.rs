//! The page for operators has what there is: each metric, each reason of /readyz. What else the pages show is run by tests/docs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use tagalong::metrics::Metrics;
use tagalong::model::health::Code;
use tagalong::model::outcome::NoStore;
use tagalong::model::outcome::Outcome;
use tagalong::model::tally::Tallies;

/// Each metric as the table of docs/operations.md has it: name with labels, type, what it says.
fn metrics() -> Vec<String> {
    let metrics = Metrics::default();
    let rule = metrics.tallies(&["books"]).remove(0);
    let hit = Outcome::Hit {
        ttl: 1,
        stale: None,
    };
    let took = Duration::from_millis(1);
    rule.request(hit, took);
    rule.not_stored(NoStore::Private);
    rule.stored();
    rule.asked(Ok(StatusCode::OK), took);
    rule.differs();
    let text = metrics.text();
    let mut labels = BTreeMap::new();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = sample.split_once(['{', ' ']).expect("a name and more");
        let rest = rest.split_once('}').map(|(labels, _)| labels);
        let names = rest.iter().flat_map(|labels| labels.split(','));
        let names = names.map(|label| label.split('=').next().unwrap_or_default());
        labels.insert(name, names.collect::<Vec<_>>().join(","));
    }
    let after = |prefix: &'static str| {
        let lines = text.lines();
        lines.filter_map(move |line| line.strip_prefix(prefix)?.split_once(' '))
    };
    let types: BTreeMap<&str, &str> = after("# TYPE ").collect();
    let row = |(name, help): (&str, &str)| {
        let sample = match types[name] {
            "histogram" => format!("{name}_count"), // a bucket has one more label, on which nobody has a say
            _ => name.to_owned(),
        };
        let labels = match labels[&*sample].as_str() {
            "" => String::new(),
            names => format!("{{{names}}}"),
        };
        format!("| `{name}{labels}` | {} | {help} |", types[name])
    };
    after("# HELP ").map(row).collect()
}

#[test]
fn every_reason_of_readyz_stands_in_the_page_for_operators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operations.md")).expect("it is there");
    let mut lines = page.lines();
    lines
        .find(|line| line.starts_with("| code in `reasons` |"))
        .expect("a table");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let shown: Vec<&str> = rows
        .map(|row| row.split('`').nth(1).expect("a code"))
        .collect();
    assert_eq!(shown, Code::ALL.map(Code::word));
}

#[test]
fn every_metric_stands_in_the_page_for_operators_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operations.md")).expect("it is there");
    let mut shown: Vec<&str> = page.lines().collect();
    shown.retain(|line| line.starts_with("| `tagalong_"));
    shown.sort_unstable();
    let mut found = metrics();
    found.sort_unstable();
    assert!(found.len() > 15);
    assert_eq!(shown, found, "the table should be\n{}", found.join("\n"));
}
