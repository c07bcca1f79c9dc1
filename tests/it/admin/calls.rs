//! What each call does.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::support::soon;

const BOOKS: &str = "
  - id: book
    match: { path: '/books/(?<id>[0-9]+)' }
    ttl: 60s
    tags: ['Book:{id}', Books]
  - id: list
    match: { path: /books }
    ttl: 60s
    vary_on: { query: { mode: allow, params: [{ name: shelf }, { name: lang }] } }
    dimensions:
      attrs: { shelf: '{query.shelf}', lang: '{query.lang}' }
  - { id: fixed, match: { path: /fixed }, ttl: 60s, tags: [{ name: Version, constant: '7' }] }
";

const GROUPS: &str = "admin: { listen: '127.0.0.1:0' }\npurge_groups: { books: { tags: [Books] }, everything: { all: true } }";

/// App, sidecar, its client, and a client of its admin interface.
async fn shop() -> (Origin, Sidecar, Client, Client) {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config(GROUPS).rules(BOOKS);
    let sidecar = setup.start().await;
    for path in [
        "/books/1",
        "/books/2",
        "/books",
        "/books?shelf=a",
        "/books?shelf=b",
    ] {
        app.answer(path, reply(path));
    }
    app.answer("/other", reply("other").control("max-age=60"));
    app.answer("/fixed", reply("fixed"));
    let (client, admin) = (sidecar.client(), sidecar.admin());
    (app, sidecar, client, admin)
}

async fn purge(admin: &Client, what: Value) -> Value {
    done(admin, "/v1/purge", what).await["purged"].clone()
}

#[tokio::test]
async fn o6_numbers_are_those_of_the_requests_before() {
    let (_app, sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    client.get("/books/1").await.is_hit();
    client.get("/other").await.is_miss();
    let stats = told(&admin, "/v1/stats").await;
    let rule = &stats["rules"][0];
    assert_eq!(rule["rule"], "book", "{stats:#}");
    for (field, expected) in [
        ("requests", 2),
        ("hits", 1),
        ("misses", 1),
        ("stored", 1),
        ("loads", 1),
    ] {
        assert_eq!(rule[field], expected, "{field} of {rule:#}");
    }
    assert_eq!(rule["outcomes"], json!({ "hit": 1, "miss": 1 }));
    assert_eq!(rule["not_stored"], json!({}));
    assert_eq!(stats["rules"][3]["rule"], "");
    assert_eq!(stats["rules"][3]["misses"], 1);
    assert_eq!(stats["totals"]["requests"], 3);
    assert_eq!(stats["totals"]["misses"], 2);
    assert_eq!(stats["memory"]["entries"], 2);
    assert_eq!(stats["memory"]["max_bytes"], 256 << 20);
    assert_eq!(stats["latency"]["hit"]["count"], 1);
    assert_eq!(stats["latency"]["miss"]["count"], 2);
    assert_eq!(stats["latency"]["upstream"]["count"], 2);
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(stats["health"], json!({ "status": "ok", "reasons": [] }));
    assert_eq!(
        (&stats["fenced"], &stats["outbox"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(stats.get("redis"), None, "O7: there is none");
    assert_eq!(stats["since"], "2033-05-18T03:33:20.000Z");
    sidecar.wait(90);
    assert_eq!(
        told(&admin, "/v1/stats").await["now"],
        "2033-05-18T03:34:50.000Z"
    );
}

#[tokio::test]
async fn o5_rules_are_told_with_their_counts_and_what_is_wrong_with_the_files() {
    let (_app, sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    let rules = told(&admin, "/v1/rules").await;
    let book = &rules["rules"][0];
    assert_eq!(book["rule"], "book", "{rules:#}");
    assert_eq!(book["mode"], "live");
    assert_eq!(book["match"], "GET|HEAD /books/(?<id>[0-9]+)");
    assert_eq!(book["tags"], json!(["Book:{id}", "Books"]));
    assert_eq!(book["life"], "1m");
    assert_eq!(book["counts"]["misses"], 1);
    assert!(
        book["place"]
            .as_str()
            .expect("a place")
            .contains("rules.yaml:"),
        "{book}"
    );
    assert_eq!(book["entries"], 1);
    assert!(
        book["entries_bytes"].as_u64().expect("a size") > 100,
        "{book}"
    );
    let last = rules["rules"]
        .as_array()
        .expect("rules")
        .last()
        .expect("one")
        .clone();
    assert_eq!(last["rule"], "");
    assert_eq!(last.get("place"), None);
    assert_eq!(rules["reload"]["failed"], false);

    sidecar.write("rules/rules.yaml", "rules: [{ id: book, colour: red }]");
    let answer = admin.ask(post("/v1/reload")).await;
    answer.is_problem(422);
    let rules = told(&admin, "/v1/rules").await;
    assert_eq!(rules["reload"]["failed"], true);
    let mistake = rules["reload"]["mistakes"][0].as_str().expect("a mistake");
    assert!(
        mistake.contains("rules.yaml:1:") && mistake.contains("colour"),
        "{mistake}"
    );
    assert_eq!(
        rules["rules"].as_array().expect("rules").len(),
        4,
        "those from before"
    );
}

#[tokio::test]
async fn o13_files_are_read_at_once_and_what_is_wrong_is_the_answer() {
    let (app, sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    sidecar.write(
        "rules/rules.yaml",
        "rules:\n  - id: book\n    colour: red\n  - { id: ok, ttl: never }\n",
    );
    let answer = admin.ask(post("/v1/reload")).await;
    answer.is_problem(422);
    let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let mistakes = problem["mistakes"].as_array().expect("mistakes");
    assert_eq!(mistakes.len(), 2, "{problem:#}");
    assert!(
        mistakes[0]
            .as_str()
            .expect("a text")
            .contains("rules.yaml:3:5: "),
        "{problem:#}"
    );
    client.get("/books/1").await.is_hit();

    sidecar.write(
        "rules/rules.yaml",
        "rules: [{ id: book, match: { path: /books/1 }, version: v2, ttl: 60s }]",
    );
    let answer = admin.ask(post("/v1/reload")).await;
    answer.has_status(200);
    assert_eq!(json(&answer), json!({ "rules": 1, "epoch": 1 }));
    // In force when it is answered.
    client.get("/books/1").await.is_miss();
    drop(app);
}

#[tokio::test]
async fn without_files_there_is_nothing_to_be_read() {
    let app = Origin::start().await;
    let sidecar = Setup::new(&app).config(OPEN).start().await;
    // This one has a file, and no rules.
    let answer = sidecar.admin().ask(post("/v1/reload")).await;
    answer.has_status(200);
}

#[tokio::test]
async fn each_way_to_purge_forgets_what_it_says_and_no_more() {
    let (_app, sidecar, client, admin) = shop().await;
    let all = ["/books/1", "/books/2", "/books?shelf=a", "/other"];
    for (what, forgotten) in [
        (
            json!({ "url": "http://shop.example/books/1" }),
            &["/books/1"][..],
        ),
        (
            json!({ "url": "HTTP://SHOP.example:80/books/1" }),
            &["/books/1"],
        ),
        (
            json!({ "url": "http://shop.example/books?shelf=a" }),
            &["/books?shelf=a"],
        ),
        (
            json!({ "url": "http://shop.example/books?utm=x&shelf=a" }),
            &["/books?shelf=a"],
        ),
        (json!({ "url": "https://shop.example/other" }), &[]),
        (json!({ "rule": "list" }), &["/books?shelf=a"]),
        (json!({ "group": "books" }), &["/books/1", "/books/2"]),
        (json!({ "group": "everything" }), &all),
        (json!({ "tags": ["Book:2"] }), &["/books/2"]),
        (
            json!({ "tags": ["Book:2", "Book:1", "Book:1"] }),
            &["/books/1", "/books/2"],
        ),
        (json!({ "tags": ["~rule:list"] }), &["/books?shelf=a"]),
        (json!({ "all": true }), &all),
    ] {
        for path in all {
            client.get(path).await;
            client.get(path).await.is_hit();
        }
        assert_eq!(purge(&admin, what.clone()).await, Value::Null, "{what}");
        for path in all {
            let answer = client.get(path).await;
            match forgotten.contains(&path) {
                true => answer.is_invalidated(),
                false => answer.is_hit(),
            };
        }
    }
    assert_eq!(purge(&admin, json!({ "match": "*books*" })).await, 3);
    client.get("/books/1").await.is_miss();
    client.get("/other").await.is_hit();
    drop(sidecar);
}

#[tokio::test]
async fn a_purge_of_a_url_says_what_memory_had_for_it() {
    let (app, sidecar, client, admin) = shop().await;
    let here =
        async |url: &str| done(&admin, "/v1/purge", json!({ "url": url })).await["here"].clone();
    let url = "http://shop.example/books/1";
    assert_eq!(here(url).await, 0, "nothing was asked for");
    client.get("/books/1").await.is_miss();
    assert_eq!(
        here("https://shop.example/books/1").await,
        0,
        "another scheme"
    );
    client.get("/books/1").await.is_hit();
    assert_eq!(here(url).await, 1);
    assert_eq!(here(url).await, 0, "it is forgotten");
    client.get("/books/1").await.is_invalidated();
    sidecar.wait(61);
    assert_eq!(here(url).await, 0, "it has expired");
    // Several that `Vary` tells apart.
    app.otherwise(|_| {
        reply("in a language")
            .header("Vary", "Accept-Language")
            .control("max-age=60")
    });
    for language in ["de", "en"] {
        let asked = get("/languages").with("accept-language", language);
        client.ask(asked).await.has_status(200);
    }
    assert_eq!(here("http://shop.example/languages").await, 2);
    // Nobody looks for what others may have.
    let tags = done(&admin, "/v1/purge", json!({ "tags": ["Book:1"] })).await;
    assert_eq!(tags.get("here"), None);
}

#[tokio::test]
async fn a_soft_purge_serves_while_one_fetches_again() {
    let (_app, _sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    purge(&admin, json!({ "rule": "book", "soft": true })).await;
    client.get("/books/1").await.is_stale("invalidated");
}

/// The tags of a list.
fn names(tags: &Value) -> BTreeSet<&str> {
    let tags = tags.as_array().expect("a list");
    tags.iter().filter_map(|it| it["tag"].as_str()).collect()
}

#[tokio::test]
async fn increments_are_committed_when_they_are_answered_and_constants_are_told() {
    let (_app, sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    client.get("/fixed").await.is_miss();
    let increment = json!({ "tags": ["Book:1", "Version", "Nobody"] });
    let answer = done(&admin, "/v1/tags/increment", increment).await;
    assert_eq!(answer["incremented"], 3, "{answer}");
    assert_eq!(answer["ignored"], json!(["Version"]));
    let versions = &answer["versions"];
    assert_eq!(versions["Book:1"], versions["Nobody"]);
    client.get("/books/1").await.is_invalidated();
    client.get("/fixed").await.is_hit();

    let state = told(&admin, "/v1/tags/Book:1").await;
    assert_eq!(state["version"], versions["Book:1"]);
    assert_eq!(
        state["incremented"]["by"],
        "POST /v1/tags/increment (local)"
    );
    assert_eq!(state["incremented"]["source"], "admin");
    assert_eq!(
        told(&admin, "/v1/tags/Unheard").await,
        json!({ "tag": "Unheard", "version": null })
    );
    assert_eq!(
        told(&admin, "/v1/tags/increment").await["version"],
        Value::Null
    );

    let recent = told(&admin, "/v1/increments?limit=1").await;
    let recent = &recent["increments"][0];
    assert_eq!(
        recent["tags"],
        json!(["Book:1", "Nobody", "Version"]),
        "{recent}"
    );
    assert_eq!(recent["stamp"], versions["Book:1"]);
    assert_eq!(
        (&recent["soft"], &recent["source"]),
        (&json!(false), &json!("admin"))
    );

    let tags = told(&admin, "/v1/tags").await;
    let missed = &tags["missed"][0];
    assert_eq!(
        (&missed["tag"], &missed["count"]),
        (&json!("Book:1"), &json!(1)),
        "{tags:#}"
    );
    assert_eq!(
        names(&tags["incremented"]),
        ["Book:1", "Nobody", "Version"].into()
    );
    assert_eq!(names(&tags["incremented_own"]), [].into());
    // A write increments the tags of its own URL, which are shown apart.
    sidecar.inc("Book:2").await;
    let tags = told(&admin, "/v1/tags").await;
    assert_eq!(
        names(&tags["incremented"]),
        ["Book:1", "Book:2", "Nobody", "Version"].into()
    );
    let own = names(&tags["incremented_own"]);
    assert!(own.iter().any(|tag| tag.starts_with("~uri:")), "{own:?}");
    assert!(own.iter().all(|tag| tag.starts_with('~')), "{own:?}");
}

#[tokio::test]
async fn looking_creates_nothing() {
    // L14.
    let (app, _sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    let before = told(&admin, "/v1/stats").await;
    for n in 0..50 {
        told(&admin, &format!("/v1/tags/T:{n}")).await;
        told(
            &admin,
            &format!("/v1/explain?url=http://shop.example/books/{n}"),
        )
        .await;
        told(&admin, &format!("/v1/entries?tag=T:{n}")).await;
    }
    assert_eq!(told(&admin, "/v1/stats").await, before);
    assert_eq!(app.calls("/books/1"), 1);
    assert_eq!(app.calls("/books/2"), 0);
}

#[tokio::test]
async fn a_change_forgets_what_shows_the_old_values_or_the_new() {
    let (_app, _sidecar, client, admin) = shop().await;
    for path in ["/books?shelf=a", "/books?shelf=b", "/books"] {
        client.get(path).await.is_miss();
    }
    let change = json!({ "rule": "list", "old": { "shelf": "a" }, "new": { "shelf": "c" } });
    let changed = done(&admin, "/v1/change", change).await;
    assert!(
        changed["incremented"].as_u64().expect("a number") >= 2,
        "{changed}"
    );
    client.get("/books?shelf=a").await.is_invalidated();
    client.get("/books?shelf=b").await.is_hit();
    client.get("/books").await.is_invalidated(); // it shows every shelf
    let same = json!({ "rule": "list", "old": { "shelf": "b" }, "new": { "shelf": "b" } });
    assert_eq!(
        done(&admin, "/v1/change", same).await,
        json!({ "incremented": 0 })
    );
    client.get("/books?shelf=b").await.is_hit();
    let misspelt = json!({ "rule": "list", "old": { "shelve": "b" }, "new": { "shelve": "b" } });
    let why = refused(&admin, 422, "/v1/change", misspelt).await;
    assert_eq!(
        why,
        "`shelve` is none of the dimensions of the rule `list`."
    );
    client.get("/books?shelf=b").await.is_hit();
    done(&admin, "/v1/change", json!({ "rule": "list" })).await;
    client.get("/books?shelf=b").await.is_invalidated();
}

#[tokio::test]
async fn o4_what_is_stored_is_listed_page_by_page_with_all_that_is_known() {
    let (_app, sidecar, client, admin) = shop().await;
    for path in ["/books/1", "/books/2", "/books?shelf=a", "/other"] {
        client.get(path).await.is_miss();
    }
    client.get("/books/1").await.is_hit();
    let of = async |query: &str| {
        let page = told(&admin, &format!("/v1/entries{query}")).await;
        assert_eq!(page["cursor"], Value::Null, "{page:#}");
        page["entries"].as_array().expect("entries").clone()
    };
    assert_eq!(of("").await.len(), 4);
    for (query, count) in [
        ("?rule=book", 2),
        ("?rule=", 1),
        ("?tag=Books", 2),
        ("?tag=Book:2", 1),
        ("?rule=list&tag=Books", 0),
        ("?match=*shelf*", 1),
        ("?tier=memory", 4),
        ("?tier=redis", 0),
    ] {
        assert_eq!(of(query).await.len(), count, "{query}");
    }
    let one = of("?tag=Book:1").await.remove(0);
    assert_eq!(one["rule"], "book", "{one:#}");
    assert_eq!(one["hits"], 1);
    assert_eq!(
        (&one["status"], &one["state"], &one["tier"]),
        (&json!(200), &json!("fresh"), &json!("memory"))
    );
    assert_eq!(one["created"], "2033-05-18T03:33:20.000Z");
    assert_eq!(one["fresh_until"], "2033-05-18T03:34:20.000Z");
    assert!(one["size_bytes"].as_u64().expect("a size") > 100);
    let tags: Vec<&str> = one["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .filter_map(|it| it["tag"].as_str())
        .collect();
    for tag in [
        "Book:1",
        "Books",
        "~rule:book",
        "~uri:http://shop.example/books/1",
        "~all",
    ] {
        assert!(tags.contains(&tag), "{tag} in {tags:?}");
    }
    let key = one["key"].as_str().expect("a key");
    assert_eq!(told(&admin, &format!("/v1/entries/{key}")).await, one);

    let mut seen = BTreeSet::new();
    let mut query = "?limit=1".to_owned();
    loop {
        let page = told(&admin, &format!("/v1/entries{query}")).await;
        for entry in page["entries"].as_array().expect("entries") {
            assert!(seen.insert(entry["key"].to_string()), "{entry}");
        }
        match page["cursor"].as_str() {
            Some(cursor) => query = format!("?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 4);

    // What is over is not listed.
    purge(&admin, json!({ "tags": ["Book:1"] })).await;
    assert_eq!(of("?tag=Books").await.len(), 1);
    admin
        .get(&format!("/v1/entries/{key}"))
        .await
        .is_problem(404);
    sidecar.wait(61);
    assert_eq!(of("").await.len(), 0);
}

#[tokio::test]
async fn the_epoch_in_force_is_told() {
    let (_app, _sidecar, _client, admin) = shop().await;
    assert_eq!(told(&admin, "/v1/epoch").await, json!({ "epoch": 1 }));
}

#[tokio::test]
async fn k16_the_epoch_rises_by_a_call_and_never_falls() {
    let (_app, _sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    let put = async |epoch: u64| {
        let body = json!({ "epoch": epoch });
        admin.ask(with_json("PUT", "/v1/epoch", &body)).await
    };
    assert_eq!(json(put(7).await.has_status(200)), json!({ "epoch": 7 }));
    client.get("/books/1").await.is_miss();
    put(7).await.has_status(200);
    client.get("/books/1").await.is_hit();
    put(6).await.is_problem(409);
    put(u64::MAX).await.is_problem(422);
    assert_eq!(told(&admin, "/v1/epoch").await, json!({ "epoch": 7 }));
}

#[tokio::test]
async fn o9_a_number_is_written_down_as_it_was_sent() {
    // Found by the fuzzer: it was 9.007199254745476e19.
    let (_app, _sidecar, _client, admin) = shop().await;
    let put = ask("PUT", "/v1/epoch").with("Content-Type", "application/json");
    let put = put.body(r#"{"epoch": 9.007199254745475e19}"#);
    admin.ask(put).await.is_problem(422);
    let page = admin.get("/v1/audit").await.text();
    assert!(page.contains("9.007199254745475e"), "{page}");
}

#[tokio::test]
async fn what_is_a_constant_to_one_rule_is_incremented_for_all_that_tag_with_it_otherwise() {
    const RULES: &str = "
  - { id: fixed, match: { path: /fixed }, ttl: 60s, tags: [{ name: api, constant: 2 }, { name: 'v:1', constant: 1 }] }
  - { id: other, match: { path: /other }, ttl: 60s }
  - { id: open, match: { path: '/open/(?<n>[0-9]+)' }, ttl: 60s, tags: ['v:{n}'] }
";
    let (app, sidecar, admin) = stage(RULES).await;
    let client = sidecar.client();
    app.answer("/fixed", reply("fixed"));
    app.answer("/other", reply("other").header("Cache-Tag", "api"));
    app.answer("/open/1", reply("open"));
    for (call, tag, ignored, forgotten) in [
        ("/v1/tags/increment", "api", true, "/other"),
        ("/v1/purge", "api", true, "/other"),
        ("/v1/tags/increment", "v:1", false, "/open/1"),
        ("/v1/purge", "v:1", false, "/open/1"),
    ] {
        for path in ["/fixed", forgotten] {
            client.get(path).await;
            client.get(path).await.is_hit();
        }
        let answer = done(&admin, call, json!({ "tags": [tag] })).await;
        let told = answer.get("ignored").is_some_and(|it| *it == json!([tag]));
        assert_eq!(told, ignored, "{answer}");
        client.get("/fixed").await.is_hit();
        client.get(forgotten).await.is_invalidated();
    }
}

#[tokio::test]
async fn o9_what_operators_do_is_written_down_once_and_stays() {
    let (_app, _sidecar, _client, admin) = shop().await;
    purge(&admin, json!({ "rule": "book" })).await;
    refused(&admin, 422, "/v1/purge", json!({ "rule": "nope" })).await;
    // What the app does with its own values is no operator's deed, unless it goes wrong.
    let token = admin.get("/v1/objects/a").await;
    let token = token.field("tagalong-token").expect("a token").to_owned();
    admin.ask(value("a", "A", "one")).await.has_status(201);
    let deleted = admin.ask(ask("DELETE", "/v1/objects/a").body("")).await;
    deleted.has_status(200);
    let late = value("a", "A", "a secret").with("tagalong-token", &token);
    admin.ask(late).await.is_problem(409);
    let samples = metrics(&admin).await;
    for (change, count) in [("put", 1.0), ("delete", 1.0)] {
        let name = format!(r#"tagalong_object_changes_total{{change="{change}"}}"#);
        assert_eq!(samples.get(&name), Some(&count), "{change}");
    }
    let page = told(&admin, "/v1/audit").await;
    let records = page["audit"].as_array().expect("records");
    assert_eq!(records.len(), 3, "{page:#}");
    let [put, wrong, right] = &records[..] else {
        panic!("three records, not {page:#}");
    };
    assert_eq!(right["what"], "purge");
    assert_eq!(right["who"], "local");
    assert_eq!(right["at"], "2033-05-18T03:33:20.000Z");
    assert_eq!(right["target"], json!({ "rule": "book" }));
    assert_eq!(
        (&right["effect"], &right["status"]),
        (&json!({ "purged": null }), &json!(200))
    );
    assert_eq!(wrong["status"], 422);
    assert!(
        wrong["effect"]["problem"]
            .as_str()
            .expect("a text")
            .contains("`rule`"),
        "{wrong}"
    );
    assert_eq!(
        (&put["what"], &put["status"]),
        (&json!("object-put"), &json!(409))
    );
    assert_eq!(put["target"], json!({ "key": "a", "bytes": 8 }));
    assert!(!page.to_string().contains("a secret"), "{page}");

    // By pages, and nothing changes it.
    let first = told(&admin, "/v1/audit?limit=2").await;
    let cursor = first["cursor"].as_str().expect("a cursor");
    let second = told(&admin, &format!("/v1/audit?limit=2&cursor={cursor}")).await;
    assert_eq!(second["audit"], json!([right]));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        admin
            .ask(ask(method, "/v1/audit").body(""))
            .await
            .is_problem(405);
    }
    assert_eq!(told(&admin, "/v1/audit").await, page);
    admin.get("/v1/audit?cursor=x").await.is_problem(400);
}

#[tokio::test]
async fn o3_a_request_is_explained_with_its_plan_and_what_is_stored_and_why_it_is_not_used() {
    let (app, sidecar, client, admin) = shop().await;
    const CALL: &str = "/v1/explain?url=http://shop.example/books/1";
    let explained = told(&admin, CALL).await;
    assert_eq!(explained["plan"]["rule"], "book", "{explained:#}");
    assert_eq!(explained["plan"]["plan"], "lookup");
    assert_eq!(explained["answer"]["outcome"], "miss");
    assert_eq!(explained["answer"]["why"], "Nothing is stored for it here.");
    assert_eq!(explained.get("stored"), None);
    assert_eq!(app.calls("/books/1"), 0);

    client.get("/books/1").await.is_miss();
    let explained = told(&admin, CALL).await;
    assert_eq!(explained["answer"]["outcome"], "hit", "{explained:#}");
    let stored = &explained["stored"];
    assert_eq!(
        (&stored["state"], &stored["hits"]),
        (&json!("fresh"), &json!(0))
    );
    assert_eq!(stored.get("invalidated"), None);
    let entry = told(&admin, "/v1/entries").await["entries"][0].clone();
    assert_eq!(*stored, entry);

    sidecar.inc("Book:1").await;
    sidecar.wait(3);
    let explained = told(&admin, CALL).await;
    assert_eq!(explained["answer"]["outcome"], "invalidated");
    let why = explained["answer"]["why"].as_str().expect("a sentence");
    assert_eq!(why, "Book:1 incremented 3s ago by POST /inc.");
    let invalidated = &explained["stored"]["invalidated"];
    assert_eq!(explained["stored"]["state"], "invalidated");
    assert_eq!(
        (&invalidated["tag"], &invalidated["by"]),
        (&json!("Book:1"), &json!("POST /inc"))
    );
    assert_eq!(
        (&invalidated["source"], &invalidated["ago_seconds"]),
        (&json!("response"), &json!(3.0))
    );
    let states = explained["tags"].as_array().expect("tags");
    let book = states
        .iter()
        .find(|it| it["tag"] == "Book:1")
        .expect("it is one of them");
    assert_eq!(book["incremented"]["by"], "POST /inc");

    client.get("/books/1").await.is_invalidated();
    sidecar.wait(61);
    assert_eq!(told(&admin, CALL).await["answer"]["outcome"], "expired");
}

#[tokio::test]
async fn what_is_fetched_anew_waits_for_its_turn_though_no_client_waits_for_it() {
    let app = Origin::start().await;
    let setup = Setup::new(&app).config(GROUPS).rules(BOOKS);
    let sidecar = setup.upstream("max_concurrent: 1").start().await;
    let (client, admin) = (sidecar.client(), sidecar.admin());
    app.answer("/books/1", reply("old"));
    client.get("/books/1").await.is_miss();
    app.answer("/books/1", reply("new"));
    let hold = app.hold("/slow");
    let slow = client.begin(get("/slow")).await;
    let held = hold.arrived().await;
    let anew = json!({ "url": "http://shop.example/books/1" });
    let anew = admin.begin(with_json("POST", "/v1/refresh", &anew)).await;
    let waits = async { while told(&admin, "/v1/stats").await["upstream_queue"] != 1 {} };
    soon("it to wait for its turn", waits).await;
    held.release(reply("slow")).await;
    slow.answer().await.has_body("slow");
    let answer = anew.answer().await;
    assert_eq!(json(&answer)["refreshed"], 1, "{answer}");
    client.get("/books/1").await.is_hit().has_body("new");
}

/// The sentence that explains what would become of a GET.
async fn why(admin: &Client, url: &str) -> String {
    let explained = told(admin, &format!("/v1/explain?url={url}")).await;
    let why = explained["answer"]["why"].as_str().expect("a sentence");
    why.to_owned()
}

#[tokio::test]
async fn an_answer_that_was_not_stored_is_told_with_its_reason_until_one_is() {
    let (app, sidecar, client, admin) = shop().await;
    let url = "http://shop.example/books/1";
    app.answer("/books/1", reply("mine").header("Set-Cookie", "a=b"));
    client.get("/books/1").await.is_unstored("set-cookie");
    let reason = "was not stored: it sets a cookie (`set-cookie`).";
    let said = why(&admin, url).await;
    assert!(
        said.starts_with(&format!("The app's last answer, 0s ago, {reason}")),
        "{said}"
    );
    sidecar.wait(60); // nobody waits behind it for so long
    let expected =
        format!("Nothing is stored for it here. The app's last answer, 60s ago, {reason}");
    assert_eq!(why(&admin, url).await, expected);
    // Reasons that are not the answer's own are told as well.
    let hold = app.hold("/books/2");
    let raced = client.begin(get("/books/2")).await;
    let held = hold.arrived().await;
    sidecar.inc("Book:2").await;
    held.release(reply("old")).await;
    raced.answer().await.is_unstored("raced");
    let said = why(&admin, "http://shop.example/books/2").await;
    assert!(
        said.contains("incremented while it was fetched (`raced`)"),
        "{said}"
    );

    app.answer("/books/1", reply("all's"));
    client.get("/books/1").await.is_miss();
    sidecar.wait(61);
    assert_eq!(why(&admin, url).await, "What is stored has expired.");
    sidecar.inc("Book:1").await;
    let said = why(&admin, url).await;
    assert!(!said.contains("not stored"), "{said}");
}

#[tokio::test]
async fn what_is_stored_for_another_host_or_scheme_is_told() {
    let (_app, _sidecar, client, admin) = shop().await;
    for (host, path) in [
        ("shop.example", "/books?shelf=a"),
        ("127.0.0.1:8080", "/books?shelf=a"),
        ("other.example", "/books/1"),
    ] {
        client.ask(get(path).with("host", host)).await.is_miss();
    }
    for (url, expected) in [
        (
            "https://shop.example/books?shelf=a",
            Some("http://127.0.0.1:8080, http://shop.example:"),
        ),
        (
            "http://shop/books?shelf=a",
            Some("http://127.0.0.1:8080, http://shop.example:"),
        ),
        ("http://shop.example/books/1", Some("http://other.example:")),
        ("http://other.example/books?shelf=b", None), // another query
        ("http://other.example/1", None),             // the end of a path
    ] {
        let url = url.replace('?', "%3F").replace('=', "%3D");
        let said = why(&admin, &url).await;
        let found = said.split_once("Under this path something is stored for ");
        let found = found.map(|(_, origins)| origins.split(" scheme").next().unwrap_or_default());
        assert_eq!(found, expected, "{url}: {said}");
    }
}

#[tokio::test]
async fn what_is_foreseen_is_what_happens() {
    let (app, _sidecar, client, admin) = shop().await;
    app.answer(
        "/cookie",
        reply("mine")
            .header("Set-Cookie", "a=b")
            .control("max-age=60"),
    );
    for (method, path, fields) in [
        ("GET", "/books/1", vec![]),
        ("GET", "/books/1", vec![]),
        ("GET", "/books/1", vec![("cache-control", "no-cache")]),
        ("GET", "/books/1", vec![("authorization", "Basic%20eA==")]),
        ("POST", "/books/2", vec![]),
        ("GET", "/cookie", vec![]),
        ("GET", "/cookie", vec![]), // as the first one could not be stored, nobody waits for it
        ("GET", "/books/2", vec![("cache-control", "only-if-cached")]),
        ("GET", "/books/1", vec![("cache-control", "only-if-cached")]),
        ("HEAD", "/books/2", vec![]),
        ("HEAD", "/books/1", vec![]),
    ] {
        let fielded: String = fields
            .iter()
            .map(|(name, value)| format!("&header={name}:{value}"))
            .collect();
        let call = format!("/v1/explain?method={method}&url=http://shop.example{path}{fielded}");
        let foreseen = told(&admin, &call).await["answer"]["outcome"].clone();
        let before = told(&admin, "/v1/stats").await["totals"]["outcomes"].clone();
        let asked = fields
            .iter()
            .fold(ask(method, path), |asked, (name, value)| {
                asked.with(name, value)
            });
        client.ask(asked.body("")).await;
        let after = told(&admin, "/v1/stats").await["totals"]["outcomes"].clone();
        let outcomes = after.as_object().expect("outcomes").iter();
        let happened: Vec<&String> = outcomes
            .filter(|(word, count)| {
                **count != before.get(word.as_str()).cloned().unwrap_or(json!(0))
            })
            .map(|(word, _)| word)
            .collect();
        assert_eq!(happened, [foreseen.as_str().expect("a word")], "{call}");
    }
}

#[tokio::test]
async fn one_entry_gets_another_life_or_is_forgotten_and_others_stay() {
    let (_app, sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    client.get("/books/2").await.is_miss();
    let page = told(&admin, "/v1/entries?tag=Book:1").await;
    let key = page["entries"][0]["key"]
        .as_str()
        .expect("a key")
        .to_owned();
    let path = format!("/v1/entries/{key}");
    let longer = with_json("PATCH", &path, &json!({ "ttl": "5m" }));
    let answer = admin.ask(longer).await;
    answer.has_status(200);
    assert_eq!(json(&answer)["fresh_until"], "2033-05-18T03:38:20.000Z");
    sidecar.wait(100);
    client.get("/books/1").await.is_hit();
    client.get("/books/2").await.is_expired();
    for (ttl, expected) in [
        (json!("0"), "`ttl`: a time longer than 0 is expected."),
        (json!("never"), "`ttl`: expected a duration"),
        (json!(60), "`ttl`: invalid type"),
    ] {
        let answer = admin
            .ask(with_json("PATCH", &path, &json!({ "ttl": ttl })))
            .await;
        answer.is_problem(422);
        assert!(answer.text().contains(expected), "{answer}");
    }
    let answer = admin.ask(ask("DELETE", &path)).await;
    answer.has_status(200);
    assert_eq!(json(&answer), json!({ "purged": 1 }));
    client.get("/books/2").await.is_hit();
    client.get("/books/1").await.is_miss();
    let none = "/v1/entries/00000000000000000000000000000000";
    assert_eq!(
        json(&admin.ask(ask("DELETE", none)).await),
        json!({ "purged": 0 })
    );
    admin
        .ask(with_json("PATCH", none, &json!({ "ttl": "1m" })))
        .await
        .is_problem(404);
    admin.get(none).await.is_problem(404);
}

#[tokio::test]
async fn what_is_asked_for_is_fetched_again_though_it_is_fresh() {
    let (app, _sidecar, client, admin) = shop().await;
    client.get("/books/1").await.is_miss();
    client.get("/books/2").await.is_miss();
    app.answer("/books/1", reply("new"));
    let refreshed = done(
        &admin,
        "/v1/refresh",
        json!({ "url": "http://shop.example/books/1" }),
    )
    .await;
    assert_eq!(
        refreshed,
        json!({ "refreshed": 1, "failed": 0, "skipped": 0, "cursor": null })
    );
    client.get("/books/1").await.is_hit().has_body("new");
    app.answer("/books/2", reply("newer"));
    let refreshed = done(&admin, "/v1/refresh", json!({ "tags": ["Books"] })).await;
    assert_eq!(refreshed["refreshed"], 2, "{refreshed}");
    client.get("/books/2").await.is_hit().has_body("newer");
    app.answer("/books/1", reply("down").status(500));
    let failed = done(&admin, "/v1/refresh", json!({ "tags": ["Book:1"] })).await;
    assert_eq!(failed["failed"], 1, "{failed}");
    client.get("/books/1").await.is_hit().has_body("new");
    for (body, expected) in [
        (json!({}), "Exactly one of `url`, `tags` is expected"),
        (json!({ "tags": ["Books"], "limit": 0 }), "`limit`"),
        (json!({ "tags": ["Books"], "cursor": "x" }), "`cursor`"),
        (json!({ "url": "/books/1" }), "`url`: an absolute one"),
    ] {
        let detail = refused(&admin, 422, "/v1/refresh", body).await;
        assert!(detail.contains(expected), "{detail}");
    }
}

#[tokio::test]
async fn no_more_than_eight_are_fetched_again_at_once_for_all_operators_and_none_once_it_stops() {
    let rules = "
  - { id: page, match: { path: '/page/*' }, ttl: 60s, tags: [Page] }
  - { id: late, match: { path: '/late/*' }, ttl: 60s, tags: [Late] }
";
    let (app, sidecar, admin) = stage(rules).await;
    let late = ["/late/1", "/late/2"];
    for path in late {
        app.answer(path, reply("old"));
        sidecar.client().get(path).await.is_miss();
    }
    let refresh = async |what: Value| {
        let call = with_json("POST", "/v1/refresh", &what);
        sidecar.admin().begin(call).await
    };
    let mut running = Vec::new();
    for n in 1..=8 {
        let path = format!("/page/{n}");
        let hold = app.hold(&path);
        let call = refresh(json!({ "url": format!("http://shop.example{path}") })).await;
        running.push((call, hold.arrived().await));
    }
    let last = refresh(json!({ "tags": ["Late"] })).await;
    sidecar.settle().await;
    assert_eq!(late.map(|path| app.calls(path)), [1, 1]);

    let stopped = tokio::spawn(sidecar.shutdown());
    let draining = async { while json(&admin.get("/readyz").await)["status"] != "draining" {} };
    crate::support::soon("it to drain", draining).await;
    for (call, held) in running {
        held.release(reply("new")).await;
        let refreshed = call.answer().await;
        assert_eq!(json(&refreshed)["refreshed"], 1, "{refreshed}");
    }
    let answer = last.answer().await;
    assert_eq!(
        json(&answer),
        json!({ "refreshed": 0, "failed": 2, "skipped": 0, "cursor": null })
    );
    crate::support::soon("the end", stopped)
        .await
        .expect("it ends well");
    assert_eq!(late.map(|path| app.calls(path)), [1, 1]);
}

fn value(key: &str, tags: &str, body: &str) -> Ask {
    let put = ask("PUT", &format!("/v1/objects/{key}")).body(body);
    put.with("cache-tag", tags)
        .with("tagalong-cache-control", "max-age=60")
}

#[tokio::test]
async fn j16_a_value_is_kept_until_its_tags_change_and_none_is_kept_that_was_overtaken() {
    let (_app, sidecar, _client, admin) = shop().await;
    let put = value("a", "A", "one").with("content-type", "text/html");
    admin.ask(put).await.has_status(201).has_body("");
    let found = admin.get("/v1/objects/a").await;
    found
        .has_status(200)
        .has_body("one")
        .has_field("content-type", "text/html")
        .has_field("age", "0")
        .has_field("content-security-policy", "default-src 'none'; sandbox");
    assert_eq!(found.field("tagalong-key").map(|key| key.len()), Some(32));
    admin.ask(value("a", "A", "two")).await.has_status(204);
    admin.get("/v1/objects/a").await.has_body("two");

    done(&admin, "/v1/tags/increment", json!({ "tags": ["A"] })).await;
    let missing = admin.get("/v1/objects/a").await;
    missing.is_problem(404);
    let token = missing.field("tagalong-token").expect("a token");
    admin
        .ask(value("a", "A", "three").with("tagalong-token", &token))
        .await
        .has_status(201);
    admin.get("/v1/objects/a").await.has_body("three");

    let token = admin
        .get("/v1/objects/b")
        .await
        .field("tagalong-token")
        .expect("a token");
    sidecar.inc("B").await;
    let late = value("b", "A, B", "old").with("tagalong-token", &token);
    admin.ask(late).await.is_problem(409); // L1
    admin.get("/v1/objects/b").await.is_problem(404);

    let deleted = admin.ask(ask("DELETE", "/v1/objects/a")).await;
    assert_eq!(json(&deleted), json!({ "purged": 1 }));
    admin.get("/v1/objects/a").await.is_problem(404);
    let deleted = admin.ask(ask("DELETE", "/v1/objects/a")).await;
    assert_eq!(json(&deleted), json!({ "purged": 0 }));
}

#[tokio::test]
async fn l08_an_empty_value_is_kept_like_any_other() {
    let (_app, _sidecar, _client, admin) = shop().await;
    admin.ask(value("a", "A", "")).await.has_status(201);
    let found = admin.get("/v1/objects/a").await;
    found.has_status(200).has_body("");
    let deleted = admin.ask(ask("DELETE", "/v1/objects/a")).await;
    assert_eq!(json(&deleted), json!({ "purged": 1 }));
}

#[tokio::test]
async fn a_value_that_says_something_wrong_is_not_kept() {
    let (_app, _sidecar, _client, admin) = shop().await;
    let bare = || ask("PUT", "/v1/objects/a").body("x");
    for (asked, status, expected) in [
        (
            bare(),
            422,
            "`Tagalong-Cache-Control`: a life such as `max-age=60` is expected.",
        ),
        (
            bare().with("cache-control", "max-age=60"),
            422,
            "Tagalong-Cache-Control",
        ),
        (
            bare().with("tagalong-cache-control", "max-age=0"),
            422,
            "Tagalong-Cache-Control",
        ),
        (
            bare().with("tagalong-cache-control", "max-age=x"),
            422,
            "Tagalong-Cache-Control",
        ),
        (
            bare().with("tagalong-cache-control", "no-store, max-age=60"),
            422,
            "Tagalong-Cache-Control",
        ),
        (
            value("a", "A, ~all", "x"),
            422,
            "A tag cannot be read: cache-tag",
        ),
        (
            value("a", "A", "x").with("tagalong-token", "x"),
            422,
            "`Tagalong-Token`",
        ),
    ] {
        let answer = admin.ask(asked).await;
        answer.is_problem(status);
        assert!(answer.text().contains(expected), "{expected}: {answer}");
        admin.get("/v1/objects/a").await.is_problem(404);
    }

    // It is not read to its end.
    let mut large = admin.connect().await;
    let head =
        "PUT /v1/objects/a HTTP/1.1\r\nHost: localhost\r\nTagalong-Cache-Control: max-age=60\r\n";
    large
        .write(format!("{head}Content-Length: {}\r\n\r\n", (8 << 20) + 1))
        .await;
    let answer = String::from_utf8(large.closed().await).expect("a problem");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(
        answer.contains("A body of at most 8388608 bytes"),
        "{answer}"
    );
    admin.get("/v1/objects/a").await.is_problem(404);
}
