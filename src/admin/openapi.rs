//! The calls, described: OpenAPI 3.1, of the very list that the router is made of and of the types that are read and written.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::admin::call::{Answer, Call, Content, Shape};
use crate::admin::view;

/// What a call may be refused for besides what it says itself.
const TOKEN: &str = "No right token was presented.";
const ORIGIN: &str = "The call names another host, or comes from a page of another origin.";
const MALFORMED: &str = "The path, the query or the body cannot be read.";
const TOO_LARGE: &str = "The body is too large.";
const MEDIA_TYPE: &str = "The body is not JSON, or does not say so.";
const WRONG: &str = "A field is wrong; the detail says which, and what is expected.";
const BUSY: &str =
    "As many calls are answered as are at once, it took too long, or the sidecar is being stopped.";

const ABOUT: &str = "What operators of a Tagalong sidecar may ask and do. Moments are RFC 3339 in UTC, lengths of time in answers are seconds, sizes \
are bytes. What does not apply is absent, not null, unless it says so. A field that a body must not have is refused.";

/// The document.
pub(super) fn document(calls: &[Call]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for call in calls {
        let path = paths.entry(call.path).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(call.method.to_owned(), operation(call, &mut schemas));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tagalong admin interface",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "One of `admin.token_env`, `admin.token_file` and `admin.tokens`. Where the files name none, callers on this machine need none.",
            } },
        },
    })
}

fn operation(call: &Call, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": name(call),
        "summary": call.does,
        "responses": responses(call, schemas),
        "security": match call.needs_token {
            true => json!([{ "token": [] }]),
            false => json!([{ "token": [] }, {}]),
        },
    });
    let parameters = parameters(call, schemas);
    let parameters = Some(parameters).filter(|it| !it.is_empty());
    let body = call.body.as_ref().map(|body| {
        json!({
            "required": true,
            "content": content(body, schemas),
        })
    });
    if let Value::Object(operation) = &mut operation {
        operation.extend(parameters.map(|it| ("parameters".to_owned(), it.into())));
        operation.extend(body.map(|it| ("requestBody".to_owned(), it)));
    }
    operation
}

/// `get-v1-entries-key`.
fn name(call: &Call) -> String {
    let words = call.path.split(['/', '{', '}', '.']);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    [&[call.method], &words[..]].concat().join("-")
}

fn parameters(call: &Call, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let segments = call.path.split('/');
    let named = segments.filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    let named = named.map(|name| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": "Percent-encoded where it has characters that a path segment has not.",
            "schema": { "type": "string", "minLength": 1 },
        })
    });
    let fields = call.fields.iter().map(|field| {
        json!({
            "name": field.name,
            "in": "header",
            "required": field.is_required,
            "description": field.says,
            "schema": { "type": "string" },
        })
    });
    let fixed: Vec<Value> = named.chain(fields).collect();
    [fixed, queried(call.query, schemas)].concat()
}

/// A parameter for each field of the shape.
fn queried(query: Option<Shape>, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let Some(shape) = query else {
        return Vec::new();
    };
    let shape = shape(schemas).to_value();
    let required = shape.get("required").and_then(Value::as_array);
    let required = required.cloned().unwrap_or_default();
    let fields = shape.get("properties").and_then(Value::as_object);
    let fields = fields.cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let schema_of = schema.as_object_mut();
        let says = schema_of.and_then(|it| it.remove("description"));
        json!({
            "required": required.contains(&json!(name)),
            "name": name,
            "in": "query",
            "description": says,
            "schema": schema,
        })
    };
    fields.into_iter().map(parameter).collect()
}

fn responses(call: &Call, schemas: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for Answer {
        status,
        says,
        content: it,
    } in &call.answers
    {
        let content = it.as_ref().map(|it| content(it, schemas));
        let response = match content {
            Some(content) => json!({ "description": says, "content": content }),
            None => json!({ "description": says }),
        };
        responses.insert(status.to_string(), response);
    }
    let problem = schemas.subschema_for::<view::Problem>();
    for (status, says) in problems(call) {
        let added = responses.entry(status.to_string());
        added.or_insert_with(|| {
            json!({
                "description": says,
                "content": { "application/problem+json": { "schema": problem } },
            })
        });
    }
    responses.into()
}

/// What a call may be refused for: by itself, then as every call of its kind.
fn problems(call: &Call) -> Vec<(u16, &'static str)> {
    let mut problems = call.problems.clone();
    problems.extend([(403, ORIGIN), (401, TOKEN)]);
    if !matches!(call.path, "/healthz" | "/readyz") {
        problems.push((503, BUSY));
    }
    if call.query.is_some() || call.path.contains('{') {
        problems.push((400, MALFORMED));
    }
    if call.body.is_some() {
        problems.extend([(400, MALFORMED), (413, TOO_LARGE), (422, WRONG)]);
    }
    if call.body.is_some_and(|body| body.shape.is_some()) {
        problems.push((415, MEDIA_TYPE));
    }
    problems
}

fn content(content: &Content, schemas: &mut SchemaGenerator) -> Value {
    let Content { kind, shape } = content;
    match shape {
        Some(shape) => json!({ (*kind): { "schema": shape(schemas) } }),
        None => json!({ (*kind): {} }),
    }
}
