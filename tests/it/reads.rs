//! Reads that come with a body: GraphQL, and searches that are POSTed.

use crate::support::Call;
use crate::support::Log;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::ask;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::soon;

const GRAPHQL: &str = r#"
  - id: graphql
    match: { methods: [POST], path: /graphql }
    safe: true
    vary_on: { body: { json: [/query, /variables, /operationName], max: 200 } }
    tags: [graph]
    ttl: 60s
"#;

fn text(call: &Call) -> String {
    String::from_utf8_lossy(&call.body).into_owned()
}

fn query(text: &str) -> crate::support::Ask {
    post("/graphql")
        .with("Content-Type", "application/json")
        .body(text)
}

#[tokio::test]
async fn a_posted_read_is_answered_from_the_store() {
    // K28.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, GRAPHQL).await;
    let client = sidecar.client();
    app.on("/graphql", |call| {
        reply(format!("{} {}", call.method, text(call)))
    });
    app.answer("/other", reply(""));

    let one = r#"{"query": "{ a }", "variables": {"n": 1}}"#;
    let first = client.ask(query(one)).await;
    first.is_miss().has_body(format!("POST {one}"));
    let again = r#"{"variables": {"n": 1}, "query": "{ a }", "id": 7}"#;
    let second = client.ask(query(again)).await;
    second.is_hit().has_body(format!("POST {one}"));
    for other in [
        r#"{"query": "{ b }", "variables": {"n": 1}}"#,
        r#"{"query": "{ a }", "variables": {"n": 2}}"#,
        r#"{"query": "{ a }"}"#,
        r#"{"query": "{ a }", "variables": {"n": 1}, "operationName": "x"}"#,
    ] {
        client
            .ask(query(other))
            .await
            .is_miss()
            .has_body(format!("POST {other}"));
        client.ask(query(other)).await.is_hit();
    }
    assert_eq!(app.calls("/graphql"), 5);
    sidecar.inc("graph").await;
    client.ask(query(one)).await.is_invalidated();
    client.ask(query(one)).await.is_hit();
}

#[tokio::test]
async fn a_body_that_is_too_long_or_unclear_goes_to_the_app_as_it_is() {
    // K28, L13.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, GRAPHQL).await;
    let client = sidecar.client();
    app.on("/graphql", |call| reply(call.body.clone()));
    let long = format!(r#"{{"query": "{}"}}"#, "x".repeat(300));
    for body in [
        long.as_str(),
        r#"{"variables": {}}"#,
        r#"[{"query": "{ a }"}]"#,
        r#"{"query": "{ a }", "query": "{ b }"}"#,
        "query=1",
        "",
    ] {
        for _ in 0..2 {
            let answer = client.ask(query(body)).await;
            answer.is_bypass(Some("request-body")).has_body(body);
        }
    }
    let body = r#"{"query": "{ a }"}"#;
    for (name, value) in [
        ("Content-Encoding", "x"),
        ("If-None-Match", "\"1\""),
        ("Range", "bytes=0-1"),
    ] {
        let answer = client.ask(query(body).with(name, value)).await;
        answer.is_bypass(Some("request-body")).has_body(body);
        assert_eq!(app.last("/graphql").field(name).as_deref(), Some(value));
    }
}

#[tokio::test]
async fn what_is_held_of_bodies_that_the_key_waits_for_is_bounded() {
    // L10. 3 MiB of room where the store is small, and three bytes of it for each.
    let log = Log::default();
    let _written = log.written();
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .config("store: { memory: { max_bytes: 1MiB } }\nlimits: { max_object: 64KiB }")
        .rules(&GRAPHQL.replace("max: 200", "max: 1MiB"))
        .start()
        .await;
    let client = sidecar.client();
    let short = query(r#"{"query": "{ a }"}"#);
    let hold = app.hold("/graphql");
    let crowd = client.begin_many(100, &short).await;
    hold.arrived().await.release(reply("a")).await;
    for pending in crowd {
        pending.answer().await.has_body("a");
    }
    assert_eq!(app.calls("/graphql"), 1, "there is room for a crowd");

    app.answer("/graphql", reply("b"));
    let long = format!(r#"{{"query": "{}"}}"#, "x".repeat(60_000));
    client.ask(query(&long)).await.is_miss();
    let mut slow = client.connect().await;
    let head = "POST /graphql HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nContent-Length: 1000001\r\n\r\n";
    slow.write(format!("{head}{}", "x".repeat(1_000_000))).await;
    let is_looked_up = async || {
        let answer = client.ask(query(&long)).await;
        let detail = answer
            .has_body("b")
            .cache_status()
            .unwrap()
            .remove("detail");
        detail.as_deref() != Some("request-body")
    };
    soon("no room", async { while is_looked_up().await {} }).await;
    client.ask(short).await.is_hit();
    let text = log.text();
    assert!(
        text.contains("There is no room for a body that the key needs"),
        "{text}"
    );
    slow.write("x").await;
    slow.answer().await.is_bypass(Some("request-body"));
    client.ask(query(&long)).await.is_hit();
}

#[tokio::test]
async fn a_read_changes_nothing_and_a_write_does() {
    let app = Origin::start().await;
    let rules = format!(
        "{GRAPHQL}  - {{ id: pages, match: {{ path: /graphql }}, ttl: 60s }}\n  - {{ id: search, match: {{ methods: [POST], path: /search }}, safe: true }}\n"
    );
    let sidecar = Sidecar::with_rules(&app, &rules).await;
    let client = sidecar.client();
    app.answer("/graphql", reply("a"));
    app.answer("/search", reply("s"));
    client.get("/graphql").await.is_miss();
    let body = r#"{"query": "{ a }"}"#;
    client.ask(query(body)).await.is_miss();
    client.get("/graphql").await.is_hit();
    client.get("/search").await.is_not_hit();
    client.ask(post("/search").body("q=1")).await.is_method();

    // Another method is no read: what is stored under the URI is forgotten, what was POSTed too.
    client.ask(ask("PUT", "/graphql")).await;
    client.get("/graphql").await.is_invalidated();
    client.ask(query(body)).await.is_invalidated();
}

#[tokio::test]
async fn many_that_read_the_same_wait_for_one() {
    // L9.
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, GRAPHQL).await;
    let client = sidecar.client();
    let hold = app.hold("/graphql");
    let body = r#"{"query": "{ a }"}"#;
    let first = client.begin(query(body)).await;
    let mut held = hold.arrived().await;
    assert_eq!(held.body().await, body.as_bytes());
    let others = client.begin_many(5, &query(body)).await;
    held.release(reply("a")).await;
    first.answer().await.is_miss().has_body("a");
    for other in others {
        let answer = other.answer().await;
        assert!(answer.hits() || answer.detail().is_empty());
        answer.has_body("a");
    }
    assert_eq!(app.calls("/graphql"), 1);
}

#[tokio::test]
async fn a_read_is_asked_for_anew_without_conditions() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app)
        .rules(GRAPHQL)
        .config("headers: { debug: { enabled: false } }")
        .start()
        .await;
    let client = sidecar.client();
    app.answer(
        "/graphql",
        reply("a")
            .etag("\"1\"")
            .control("max-age=1, stale-while-revalidate=0"),
    );
    let body = r#"{"query": "{ a }"}"#;
    let with_override = || query(body).with("X-HTTP-Method-Override", "DELETE");
    client.ask(with_override()).await.is_miss();
    assert_eq!(app.last("/graphql").field("x-http-method-override"), None);
    sidecar.clock.advance(std::time::Duration::from_secs(2));
    client.ask(query(body)).await.is_expired();
    let seen = app.last("/graphql");
    assert_eq!(seen.field("if-none-match"), None);
    assert_eq!(text(&seen), body);
    let get_is_another = client.ask(get("/graphql")).await;
    get_is_another.is_miss();
}

#[tokio::test]
async fn a_read_is_fetched_again_behind_a_stale_answer_without_conditions() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, GRAPHQL).await;
    let client = sidecar.client();
    let control = "max-age=1, stale-while-revalidate=60";
    app.answer("/graphql", reply("a").etag("\"1\"").control(control));
    let body = r#"{"query": "{ a }"}"#;
    client.ask(query(body)).await.is_miss();
    sidecar.clock.advance(std::time::Duration::from_secs(2));
    let hold = app.hold("/graphql");
    client
        .ask(query(body))
        .await
        .is_stale("stale-while-revalidate");
    let held = hold.arrived().await;
    assert_eq!(held.call.field("if-none-match"), None);
    assert_eq!(held.call.method, "POST");
    held.release(reply("b")).await;
}

#[tokio::test]
async fn no_request_of_a_safe_rule_says_that_it_is_another() {
    let app = Origin::start().await;
    let sidecar = Sidecar::with_rules(&app, GRAPHQL).await;
    let client = sidecar.client();
    app.answer("/graphql", reply("a"));
    let ask = query("no JSON").with("X-HTTP-Method-Override", "DELETE");
    client.ask(ask).await.is_bypass(Some("request-body"));
    assert_eq!(app.last("/graphql").field("x-http-method-override"), None);
}

#[tokio::test]
async fn a_read_that_is_not_looked_up_says_why() {
    let app = Origin::start().await;
    let off = GRAPHQL
        .replace("graphql", "off")
        .replace("    safe", "    cache: false\n    safe");
    let sidecar = Sidecar::with_rules(&app, &format!("{GRAPHQL}{off}")).await;
    let client = sidecar.client();
    app.answer("/graphql", reply("a"));
    app.answer("/off", reply("a"));
    let body = r#"{"query": "{ a }"}"#;
    let known = query(body).with("Authorization", "Bearer x");
    client.ask(known).await.is_bypass(Some("authorization"));
    assert_eq!(text(&app.last("/graphql")), body);
    let off = post("/off").body(body);
    client.ask(off).await.is_bypass(Some("rule"));
    assert_eq!(text(&app.last("/off")), body);
}
