//! The dashboard and the alerts that we hand out ask for metrics and labels that there are, and the page for operators says
//! what each alert means.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::Origin;
use crate::support::Setup;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).expect("it is there")
}

/// What `/metrics` of a sidecar tells: types by name.
async fn told() -> BTreeMap<String, String> {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config("admin: { listen: '127.0.0.1:0' }");
    let sidecar = setup.start().await;
    let text = sidecar.admin().get("/metrics").await.text();
    let types = text.lines().filter_map(|it| it.strip_prefix("# TYPE "));
    let types = types.filter_map(|it| it.split_once(' '));
    types
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// The labels of each metric, as docs/operations.md has them; that page is held to the metrics by another test.
fn labels() -> BTreeMap<String, Vec<String>> {
    let page = file("docs/operations.md");
    let rows = page.lines().filter(|line| line.starts_with("| `tagalong_"));
    let read = |row: &str| {
        let shown = row.split('`').nth(1).expect("a name").to_owned();
        match shown.trim_end_matches('}').split_once('{') {
            Some((name, labels)) => {
                let labels = labels.split(',').map(str::to_owned);
                (name.to_owned(), labels.collect())
            }
            None => (shown, Vec::new()),
        }
    };
    rows.map(read).collect()
}

/// What a query of Prometheus asks for: metrics with the labels that they are picked by, and labels it is grouped by.
#[derive(Debug, Default)]
struct Asked {
    metrics: Vec<(String, Vec<String>)>,
    groups: Vec<String>,
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The labels in front of their operators, such as `job` in `job=~"a,b",le="1"`.
fn matchers(inside: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = inside;
    while let Some((name, after)) = rest.split_once(['=', '!']) {
        names.push(name.trim_matches([' ', ',']).to_owned());
        let (_, value) = after.split_once('"').expect("a quoted value");
        rest = value.split_once('"').expect("its end").1;
    }
    names
}

fn asked(query: &str) -> Asked {
    let mut asked = Asked::default();
    let mut rest = query;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '"') {
        rest = &rest[at..];
        if let Some(text) = rest.strip_prefix('"') {
            rest = text.split_once('"').expect("its end").1;
            continue;
        }
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if word.starts_with("tagalong_") {
            let picked = match after.strip_prefix('{') {
                Some(inside) => {
                    // `${datasource}` and its like stand in no query.
                    let (inside, after) = inside.split_once('}').expect("its end");
                    rest = after;
                    matchers(inside)
                }
                None => Vec::new(),
            };
            asked.metrics.push((word.to_owned(), picked));
        } else if ["by", "on", "without", "ignoring"].contains(&word) {
            let (inside, after) = after
                .trim_start()
                .strip_prefix('(')
                .and_then(|it| it.split_once(')'))
                .expect("labels in parentheses");
            rest = after;
            asked
                .groups
                .extend(inside.split(',').map(|it| it.trim().to_owned()));
        }
    }
    asked
}

/// Every query of the dashboard: of panels, annotations and variables.
fn of_dashboard() -> Vec<String> {
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    let is_query = ["expr", "definition"].contains(&&**name);
                    match value.as_str().filter(|_| is_query) {
                        Some(query) => into.push(query.to_owned()),
                        None => collect(value, into),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|it| collect(it, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let json = serde_json::from_str(&file("helm/grafana/tagalong.json")).expect("JSON");
    let mut all = Vec::new();
    collect(&json, &mut all);
    all
}

/// Of the alerts, name and query; a query that goes over several lines is folded.
fn alerts() -> Vec<(String, String)> {
    let text = file("helm/prometheus/alerts.yaml");
    let blocks = text.split("- alert: ").skip(1);
    let read = |block: &str| {
        let name = block.lines().next().expect("a name").to_owned();
        let (_, after) = block.split_once("expr: ").expect("a query");
        let (query, _) = after.split_once("\n        for:").unwrap_or_else(|| {
            let query = after.split_once("\n        labels:");
            query.expect("more fields")
        });
        let lines = query.trim_start_matches(">-").lines();
        let lines = lines.map(|line| line.split(" #").next().unwrap_or(line).trim());
        (name, lines.collect::<Vec<_>>().join(" ").trim().to_owned())
    };
    blocks.map(read).collect()
}

/// The metric that a sample of this name is of.
fn metric<'a>(sample: &'a str, types: &BTreeMap<String, String>) -> &'a str {
    let of_histogram = ["_bucket", "_sum", "_count"].into_iter();
    let stem = of_histogram
        .filter_map(|end| sample.strip_suffix(end))
        .find(|stem| types.get(*stem).is_some_and(|kind| kind == "histogram"));
    stem.unwrap_or(sample)
}

#[tokio::test]
async fn all_metrics_and_labels_that_are_asked_for_are_there() {
    let (types, labels) = (told().await, labels());
    let alerts = alerts().into_iter().map(|(_, query)| query);
    let queries: Vec<String> = of_dashboard().into_iter().chain(alerts).collect();
    let mut seen = BTreeSet::new();
    for query in &queries {
        let opened = query.matches('(').count();
        assert_eq!(opened, query.matches(')').count(), "{query}");
        let asked = asked(query);
        // Those that whoever scrapes puts on each.
        let mut there = vec!["job".to_owned(), "instance".to_owned()];
        for (sample, picked) in &asked.metrics {
            let name = metric(sample, &types);
            let kind = types
                .get(name)
                .unwrap_or_else(|| panic!("{sample}: {query}"));
            assert!(
                kind != "histogram" || name != sample,
                "{sample} has parts: {query}"
            );
            let mut of_it = labels[name].clone();
            if sample.ends_with("_bucket") {
                of_it.push("le".to_owned());
            }
            there.extend(of_it);
            for label in picked {
                let known = there.contains(label);
                assert!(known, "{sample} has no label {label}: {query}");
            }
            seen.insert(name.to_owned());
        }
        for label in &asked.groups {
            assert!(there.contains(label), "no label {label}: {query}");
        }
        assert!(!asked.metrics.is_empty(), "{query}");
    }
    let unseen: Vec<_> = types.keys().filter(|name| !seen.contains(*name)).collect();
    assert!(unseen.is_empty(), "shown nowhere: {unseen:?}");
}

#[test]
fn a_query_that_asks_for_what_there_is_not_is_found_out() {
    let asked = asked(
        r#"sum by (le, rule) (rate(tagalong_a_total{rule=~"x|tagalong_b",job!="by (z)"}[5m])) > tagalong_c"#,
    );
    assert_eq!(asked.groups, ["le", "rule"]);
    let expected = [
        ("tagalong_a_total", vec!["rule", "job"]),
        ("tagalong_c", vec![]),
    ];
    let found = asked.metrics.iter();
    let found: Vec<_> = found
        .map(|(name, labels)| {
            (
                &**name,
                labels.iter().map(|it| &**it).collect::<Vec<&str>>(),
            )
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_alert_stands_in_the_page_for_operators() {
    let page = file("docs/operations.md");
    let rows = page.lines().filter(|line| line.starts_with("| `Tagalong"));
    let shown: Vec<&str> = rows
        .map(|row| row.split('`').nth(1).expect("a name"))
        .collect();
    let alerts = alerts();
    let names: Vec<&str> = alerts.iter().map(|(name, _)| &**name).collect();
    assert_eq!(shown, names);
    let text = file("helm/prometheus/alerts.yaml");
    let runbook = "runbook: docs/operations.md#alerts";
    assert_eq!(text.matches(runbook).count(), names.len());
    assert!(page.contains("\n## Alerts\n"));
    for field in ["summary: \"", "description: \"", "labels: { severity: "] {
        assert_eq!(text.matches(field).count(), names.len(), "{field}");
    }
}

#[test]
fn prometheus_takes_the_alerts_and_the_queries() {
    let check = |path: &Path| {
        Command::new("promtool")
            .args(["check", "rules"])
            .arg(path)
            .output()
    };
    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/prometheus/alerts.yaml");
    let Ok(output) = check(&alerts) else {
        eprintln!("skipped: there is no promtool (on Debian: the package prometheus)");
        return;
    };
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}", said(&output));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queries.yaml");
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    let queries = of_dashboard();
    let queries = queries.iter().filter(|it| !it.starts_with("label_values("));
    for (n, query) in queries.enumerate() {
        let query = query
            .replace("$__rate_interval", "5m")
            .replace("$__range", "1h");
        let query = serde_json::to_string(&query).expect("a text");
        rules.push_str(&format!(
            "      - record: query:{n}\n        expr: {query}\n"
        ));
    }
    std::fs::write(&path, rules).expect("room for a file");
    let output = check(&path).expect("it is there");
    assert!(output.status.success(), "{}", said(&output));
}
