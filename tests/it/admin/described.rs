//! `/openapi.json` and what is there have the same calls (O22).

use std::collections::BTreeSet;

use super::*;

/// Those of rules.md §7, and those that came to them.
const CALLS: &[&str] = &[
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /v1/stats",
    "GET /v1/rules",
    "GET /v1/explain",
    "GET /v1/entries",
    "GET /v1/entries/{key}",
    "PATCH /v1/entries/{key}",
    "DELETE /v1/entries/{key}",
    "GET /v1/objects/{key}",
    "PUT /v1/objects/{key}",
    "DELETE /v1/objects/{key}",
    "POST /v1/refresh",
    "GET /v1/tags",
    "GET /v1/tags/{tag}",
    "POST /v1/tags/increment",
    "GET /v1/increments",
    "POST /v1/purge",
    "POST /v1/change",
    "GET /v1/epoch",
    "PUT /v1/epoch",
    "GET /v1/audit",
    "POST /v1/reload",
    "GET /v1/events",
];

fn described(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    let calls = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("calls").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    calls.collect()
}

#[tokio::test]
async fn o22_every_call_is_described_and_every_description_is_a_call() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    let answer = admin.get("/openapi.json").await;
    let document = json(&answer);
    assert_eq!(document["openapi"], "3.1.0");
    let expected: BTreeSet<String> = CALLS.iter().map(|call| (*call).to_owned()).collect();
    assert_eq!(described(&document), expected);
    for call in CALLS {
        let (method, path) = call.split_once(' ').expect("a method and a path");
        let path = path
            .replace("{key}", "00000000000000000000000000000000")
            .replace("{tag}", "T");
        if path == "/v1/events" {
            continue; // it does not end; `events` calls it
        }
        let answer = admin.ask(ask(method, &path).body("")).await;
        assert!(
            !answer.text().contains("There is no such call"),
            "{call}: {answer}"
        );
        assert_ne!(answer.status, 405, "{call}: {answer}");
        let item = &document["paths"][call.split_once(' ').expect("a path").1];
        let responses = &item[method.to_lowercase()]["responses"];
        let status = answer.status.to_string();
        assert!(
            responses.get(&status).is_some(),
            "{call} does not describe {status}"
        );
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let (_app, _sidecar, admin) = stage(RULES).await;
    let document = json(&admin.get("/openapi.json").await);
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1);
    let mut count = 0;
    for reference in references {
        let pointer = reference.split('"').next().expect("it ends");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        count += 1;
    }
    assert!(count > 20, "{count}");
    // Every shape and every field says what it is.
    for (name, shape) in document["components"]["schemas"]
        .as_object()
        .expect("shapes")
    {
        assert!(shape["description"].is_string(), "{name} says nothing");
        let fields = shape["properties"].as_object().into_iter().flatten();
        for (field, schema) in fields {
            let says = schema["description"].is_string();
            assert!(says, "{name}.{field} says nothing: {schema}");
        }
    }
}
