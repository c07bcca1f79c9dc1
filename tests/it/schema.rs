//! The schemas that editors check files by, held to the files themselves: what is right by one is right by the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

use tagalong::config::schema;
use tagalong::rules::{Context, RuleSet};

/// A file of this repository.
fn file(path: &str) -> String {
    fs::read_to_string(at(path)).expect("it is there")
}

fn at(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// YAML as the data it is to editors and validators, by the core schema of YAML 1.2; not read by the code under test.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an example is made of scalars, lists and maps"
)]
fn data(name: &str, text: &str) -> Value {
    let mut events = Parser::new_from_str(text).map(|event| event.expect(name).0);
    let mut value = Value::Object(serde_json::Map::new());
    while let Some(event) = events.next() {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            event => value = node(event, &mut events),
        }
    }
    value
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an example is made of scalars, lists and maps"
)]
fn node<'e>(event: Event<'e>, events: &mut impl Iterator<Item = Event<'e>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("its end") {
                    Event::SequenceEnd => return Value::Array(items),
                    event => items.push(node(event, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut fields = serde_json::Map::new();
            loop {
                let name = match events.next().expect("its end") {
                    Event::MappingEnd => return Value::Object(fields),
                    Event::Scalar(name, ..) => name.into_owned(),
                    other => panic!("{other:?} as a name"),
                };
                let event = events.next().expect("a value");
                fields.insert(name, node(event, events));
            }
        }
        other => panic!("{other:?} in an example"),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match text.parse::<serde_json::Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft202012::new(schema).expect("a schema")
}

/// What is wrong with a text by a schema.
fn wrong(schema: &Value, name: &str, text: &str) -> Vec<String> {
    let data = data(name, text);
    let validator = validator(schema);
    let errors = validator.iter_errors(&data);
    errors
        .map(|error| format!("{name}{}: {error}", error.instance_path()))
        .collect()
}

/// The code blocks of a document that begin with this line.
fn blocks(document: &str, first: &str) -> Vec<String> {
    let text = file(document);
    let parts: Vec<&str> = text.split("```").collect();
    let fenced = parts.iter().skip(1).step_by(2);
    let bodies = fenced.filter_map(|part| part.split_once('\n').map(|(_, body)| body));
    bodies
        .filter(|body| body.starts_with(first))
        .map(str::to_owned)
        .collect()
}

#[test]
fn schemas_are_schemas_of_their_draft() {
    for schema in [schema::config(), schema::rules()] {
        jsonschema::meta::validate(&schema).expect("a schema");
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
}

#[test]
fn every_example_is_right_by_its_schema() {
    let rules = schema::rules();
    let mut count = 0;
    for entry in fs::read_dir(at("rules")).expect("examples") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue; // what an example refers to
        }
        let text = fs::read_to_string(&path).expect("text");
        assert_eq!(wrong(&rules, &path.display().to_string(), &text), [""; 0]);
        count += 1;
    }
    assert!(count >= 8, "{count} examples");
    assert_eq!(
        wrong(&schema::config(), "tagalong.yaml", &file("tagalong.yaml")),
        [""; 0]
    );
}

#[test]
fn what_the_documentation_shows_whole_is_right_by_its_schema() {
    for (first, schema) in [
        ("# rules/", schema::rules()),
        ("# tagalong.yaml", schema::config()),
    ] {
        let blocks = blocks("docs/rules.md", first);
        assert!(!blocks.is_empty(), "{first}");
        for block in blocks {
            assert_eq!(wrong(&schema, first, &block), [""; 0]);
        }
    }
}

/// A scalar that is read as text need not be quoted.
#[test]
fn what_the_files_take_as_text_may_be_a_number_by_the_schema_too() {
    for text in [
        "rules: [{ id: 7, version: 3, group: 1, key_name: 2.5 }]",
        "rules: [{ id: a, skip_when: [{ query: nocache, equals: 1 }, { cookie: c, equals: true }] }]",
        "rules: [{ id: a, vary_on: { query: { params: [{ name: page, default: 1 }] } } }]",
        "rules: [{ id: a, tags: [{ name: api, constant: 1.5 }, { name: b, constant: 1e3 }] }]",
        "rules: [{ id: a, match: { methods: [POST] }, increments: [{ tags: [t], on_status: [201, 4xx] }] }]",
        "rules: [{ id: a, dimensions: { attrs: { size: '{query.size}' } }, changes: [{ rule: a, on_status: [201] }] }]",
    ] {
        assert_eq!(wrong(&schema::rules(), "rules", text), [""; 0]);
        let file = [("rules.yaml".to_owned(), text.to_owned())];
        RuleSet::compile(&file, &Context::new("shop")).expect(text);
    }
    for text in [
        "defaults: { version: 3, group: 1, skip_when: [{ header: x, equals: 0 }] }",
        "templates: { list: { tags: [{ name: api, constant: 0.5 }] } }",
    ] {
        assert_eq!(wrong(&schema::config(), "config", text), [""; 0]);
    }
}

#[test]
fn what_is_wrong_is_wrong_by_the_schema_too() {
    for (name, text) in [
        ("unknown field", "rules: [{ id: a, colour: red }]"),
        ("no list", "rules: { id: a }"),
        ("no duration", "rules: [{ id: a, ttl: soon }]"),
        ("a negative one", "rules: [{ id: a, ttl: -1 }]"),
        ("no number", "rules: [{ id: a, jitter: much }]"),
        ("more than all", "rules: [{ id: a, jitter: 1.5 }]"),
        ("another mode", "rules: [{ id: a, mode: dead }]"),
        (
            "another query mode",
            "rules: [{ id: a, vary_on: { query: { mode: some } } }]",
        ),
        (
            "a header without a name",
            "rules: [{ id: a, match: { headers: [{ matches: x }] } }]",
        ),
        (
            "a parameter without a name",
            "rules: [{ id: a, vary_on: { query: { params: [{ default: x }] } } }]",
        ),
        (
            "an increment without tags",
            "rules: [{ id: a, increments: [{ on_status: [2xx] }] }]",
        ),
        ("a list of tags that is none", "rules: [{ id: a, tags: T }]"),
    ] {
        assert_ne!(wrong(&schema::rules(), name, text), [""; 0], "{name}");
    }
    for (name, text) in [
        ("unknown field", "colour: red"),
        ("unknown field below", "store: { memory: { max_bites: 1 } }"),
        ("no size", "store: { memory: { max_bytes: much } }"),
        ("no list", "listen: '127.0.0.1:80'"),
        (
            "TLS without a key",
            "listen: [{ addr: '0.0.0.0:1', tls: { cert_file: a } }]",
        ),
        ("another format", "log: { format: xml }"),
        ("what no default is", "defaults: { id: a }"),
    ] {
        assert_ne!(wrong(&schema::config(), name, text), [""; 0], "{name}");
    }
}

/// The dotted paths of all fields of a schema, `[]` for the items of a list.
fn fields(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(schema, schema, "", 0, &mut found);
    found
}

fn walk(root: &Value, node: &Value, path: &str, depth: usize, found: &mut BTreeSet<String>) {
    assert!(depth < 40, "{path}: a schema that contains itself");
    if let Some(reference) = node["$ref"].as_str() {
        let pointer = reference
            .strip_prefix('#')
            .expect("a place in the same schema");
        let target = root.pointer(pointer).expect("it is there");
        walk(root, target, path, depth + 1, found);
    }
    for branches in ["anyOf", "oneOf", "allOf"] {
        for branch in node[branches].as_array().into_iter().flatten() {
            walk(root, branch, path, depth + 1, found);
        }
    }
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        walk(root, field, &path, depth + 1, found);
        found.insert(path);
    }
    if node["items"].is_object() {
        walk(root, &node["items"], &format!("{path}[]"), depth + 1, found);
    }
}

#[test]
fn every_field_of_the_schemas_is_documented() {
    let document = file("docs/rules.md");
    let rules = fields(&schema::rules());
    let config = fields(&schema::config());
    assert!(
        rules.contains("rules[].vary_on.query.params[].default"),
        "{rules:?}"
    );
    assert!(config.contains("listen[].tls.key_file"), "{config:?}");
    let undocumented = rules.iter().chain(&config).filter(|path| {
        let name = path.rsplit('.').next().unwrap_or(path);
        !document.contains(&format!("{name}:"))
            && !document.contains(&format!("`{name}`"))
            && !document.contains(&format!(".{name}`"))
    });
    assert_eq!(undocumented.collect::<Vec<_>>(), [""; 0]);
}
