//! What the pages show works: each YAML block in README.md and docs/ that is a rule file or a configuration is checked by
//! the command that they tell people to use.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http::StatusCode;
use tagalong::metrics::Metrics;
use tagalong::model::health::Code;
use tagalong::model::outcome::NoStore;
use tagalong::model::outcome::Outcome;
use tagalong::model::tally::Tallies;

/// The fenced YAML blocks of a page, with the line each begins on.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line == "```yaml" {
            let inside = lines
                .by_ref()
                .map(|(line, _)| line)
                .take_while(|line| *line != "```");
            found.push((number, inside.map(|line| format!("{line}\n")).collect()));
        }
    }
    found
}

/// The first key of a block.
fn first_key(block: &str) -> &str {
    let mut lines = block
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .next()
        .and_then(|line| line.split(':').next())
        .unwrap_or_default()
}

#[test]
fn every_rule_file_and_configuration_shown_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut checked = 0;
    for page in [
        "README.md",
        "docs/dashboard.md",
        "docs/rules.md",
        "docs/headers.md",
        "docs/command-line.md",
        "docs/operations.md",
        "docs/sharing.md",
        "docs/frameworks.md",
        "clients/node/README.md",
        "docs/migrating/README.md",
        "docs/migrating/django-cache.md",
        "docs/migrating/relaycache.md",
        "docs/migrating/django-cacheme.md",
    ] {
        let text = std::fs::read_to_string(root.join(page)).expect("the page is there");
        let blocks = blocks(&text);
        // Rules may use what the configuration of the same page says.
        let mut shown = blocks.iter().map(|(_, block)| block);
        let whole = shown.find(|block| block.contains("\ntemplates:"));
        for (line, block) in &blocks {
            let folder = tempfile::tempdir().expect("a folder");
            let rules = folder.path().join("rules");
            std::fs::create_dir(&rules).expect("a folder");
            // The keys that rules with tokens name.
            std::fs::copy(root.join("rules/jwks.json"), rules.join("jwks.json")).expect("a file");
            let mut check = Command::new(env!("CARGO_BIN_EXE_tagalong"));
            check.arg("check").env_remove("TAGALONG_DEBUG_SECRET");
            check.env("CDN_TOKEN", "Bearer shown"); // the pages name these
            check.env("TAGALONG_ADMIN_TOKEN", "shown");
            check.env("OTLP_TOKEN", "Bearer shown");
            let file = folder.path().join("tagalong.yaml");
            let is_rules = first_key(block) == "rules" && block.contains("- id:");
            if is_rules {
                std::fs::write(rules.join("shown.yaml"), block).expect("a file");
            }
            match (is_rules, whole) {
                (true, None) => {
                    check.arg("--rules").arg(&rules);
                }
                (true, Some(whole)) => {
                    std::fs::write(&file, whole).expect("a file");
                    check.arg("--config").arg(&file);
                }
                (false, _) => {
                    std::fs::write(&file, block).expect("a file");
                    check.arg("--config").arg(&file);
                }
            }
            let output = check.output().expect("tagalong starts");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{page}:{line}\n{said}");
            checked += 1;
        }
    }
    assert!(checked > 0, "the pages show no YAML any more");
}

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
