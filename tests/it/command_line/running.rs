//! The command and a running sidecar: what is asked for happens, and what is printed is what the admin interface says.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;
use tokio::sync::mpsc;

use super::ask;
use super::command;
use super::done;
use super::failed;
use super::out;
use super::output;
use crate::support::Client;
use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;
use crate::support::soon;

const RULES: &str = "
  - { id: page, match: { path: '/page/*' }, ttl: 60s, tags: [Page] }
  - id: products
    match: { path: /products }
    ttl: 60s
    vary_on: { query: { mode: allow, params: [{ name: colour }] } }
    dimensions: { mode: exact, attrs: { colour: '{query.colour}' } }
";

/// The first page, as clients name it.
const URL: &str = "http://shop.example/page/1";

/// A sidecar and the URL of its admin interface.
struct Stage {
    app: Origin,
    sidecar: Sidecar,
    client: Client,
    admin: Client,
    url: String,
}

impl Stage {
    async fn set() -> Stage {
        let app = Origin::start().await;
        for path in ["/page/1", "/page/2", "/products"] {
            app.answer(path, reply(path));
        }
        let setup = Setup::new(&app)
            .config("admin: { listen: '127.0.0.1:0' }\npurge_groups: { pages: { tags: [Page] } }");
        let sidecar = setup.rules(RULES).start().await;
        let url = format!("http://{}", sidecar.admin_address().expect("it has one"));
        Stage {
            client: sidecar.client(),
            admin: sidecar.admin(),
            app,
            sidecar,
            url,
        }
    }

    async fn ask(&self, arguments: &[&str]) -> String {
        done(&ask(&self.url, arguments).await)
    }

    /// What a command prints for machines.
    async fn json(&self, arguments: &[&str]) -> Value {
        let said = self.ask(&[arguments, &["--json"]].concat()).await;
        serde_json::from_str(&said).expect("one document")
    }

    /// What the interface itself says.
    async fn api(&self, path: &str) -> Value {
        let answer = self.admin.get(path).await;
        answer.has_status(200);
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Stores one, and says under which key.
    async fn stored(&self, path: &str) -> String {
        self.client.get(path).await.is_miss();
        self.client.get(path).await.is_hit();
        let entries = self
            .ask(&["entries", "--json", "--match", &format!("*{path}")])
            .await;
        let entry: Value = serde_json::from_str(&entries).expect("one entry");
        entry["key"].as_str().expect("its key").to_owned()
    }
}

#[tokio::test]
async fn what_is_printed_for_machines_is_what_the_interface_says() {
    let stage = Stage::set().await;
    let key = stage.stored("/page/1").await;
    stage.sidecar.inc("Page").await;
    let key_2 = stage.stored("/page/2").await;
    assert_ne!(key, key_2);
    let at_key = format!("/v1/entries/{key_2}");
    for (arguments, path) in [
        (&["stats"][..], "/v1/stats"),
        (&["rules"], "/v1/rules"),
        (&["health"], "/readyz"),
        (&["epoch"], "/v1/epoch"),
        (&["epoch", "get"], "/v1/epoch"),
        (&["tags", "get", "Page"], "/v1/tags/Page"),
        (&["tags", "get", "Nobody"], "/v1/tags/Nobody"),
        (&["tags", "top"], "/v1/tags"),
        (&["entry", "get", &key_2], &at_key),
        (
            &["explain", "--live", "http://shop/page/1"],
            "/v1/explain?method=GET&url=http%3A%2F%2Fshop%2Fpage%2F1",
        ),
    ] {
        assert_eq!(
            stage.json(arguments).await,
            stage.api(path).await,
            "{arguments:?}"
        );
        assert!(!stage.ask(arguments).await.is_empty(), "{arguments:?}");
    }
    let openapi: Value = serde_json::from_str(&stage.ask(&["openapi"]).await).expect("JSON");
    assert_eq!(openapi, stage.api("/openapi.json").await);
    for (command, path, list) in [
        ("entries", "/v1/entries", "entries"),
        ("increments", "/v1/increments", "increments"),
    ] {
        let said = stage.ask(&[command, "--json"]).await;
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let page = stage.api(path).await;
        assert_eq!(Some(&lines), page[list].as_array(), "{command}");
        assert!(!lines.is_empty(), "{command}");
        let table = stage.ask(&[command]).await;
        assert_eq!(table.lines().count(), 1 + lines.len(), "{table}");
    }
}

#[tokio::test]
async fn an_explanation_names_the_write_that_invalidated() {
    let stage = Stage::set().await;
    stage.stored("/page/1").await;
    let explain = async || stage.ask(&["explain", "--live", URL]).await;
    let said = explain().await;
    assert!(said.starts_with("answer: hit: "), "{said}");
    stage.sidecar.inc("Page").await;
    stage.sidecar.wait(3);
    let said = explain().await;
    assert!(said.starts_with("answer: invalidated: "), "{said}");
    let sentence = "Page was incremented 3 s ago by POST /inc";
    assert!(said.contains(sentence), "{said}");
    assert_eq!(stage.app.calls("/page/1"), 1, "the app is not asked");
    // What the head of a call cannot hold, and what no URL can.
    for length in [20_000, 70_000] {
        let field = format!("Cookie: {}", "a".repeat(length));
        let asked = ["explain", "--live", "-H", &field, URL];
        let said = failed(&ask(&stage.url, &asked).await, 1);
        assert!(said.contains("16 KiB"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_purge_forgets_what_is_named_and_no_more() {
    let stage = Stage::set().await;
    for target in [
        &["--url", URL][..],
        &["--rule", "page"],
        &["--group", "pages"],
        &["--tag", "Nobody", "Page"],
        &["--match", "*/page/1"],
        &["--all", "--yes"],
    ] {
        stage.client.get("/page/1").await;
        stage.client.get("/page/1").await.is_hit();
        stage.client.get("/products").await;
        stage.client.get("/products").await.is_hit();
        let said = stage.ask(&[&["purge"], target].concat()).await;
        assert!(said.starts_with("purged"), "{target:?}: {said}");
        stage.client.get("/page/1").await.is_not_hit();
        let spared = target.first() != Some(&"--all");
        assert_eq!(
            stage.client.get("/products").await.hits(),
            spared,
            "{target:?}"
        );
    }
    let said = ask(&stage.url, &["purge", "--rule", "nobody"]).await;
    let said = failed(&said, 1);
    let sentence = "tagalong: `rule`: there is none of this name; there are page, products.\n";
    assert_eq!(said, sentence);
}

#[tokio::test]
async fn tags_and_attributes_are_incremented() {
    let stage = Stage::set().await;
    stage.stored("/page/1").await;
    let said = stage.json(&["tags", "increment", "Page", "Other"]).await;
    assert_eq!(said["incremented"], 2, "{said}");
    let page = stage.api("/v1/tags/Page").await;
    assert_eq!(page["version"], said["versions"]["Page"]);
    stage.client.get("/page/1").await.is_invalidated();

    for colour in ["red", "green"] {
        let path = format!("/products?colour={colour}");
        stage.client.get(&path).await.is_miss();
    }
    let said = stage
        .ask(&[
            "change",
            "--rule",
            "products",
            "--old",
            "colour=red",
            "--new",
            "colour=blue",
        ])
        .await;
    assert!(said.starts_with("incremented "), "{said}");
    stage
        .client
        .get("/products?colour=red")
        .await
        .is_invalidated();
    stage.client.get("/products?colour=green").await.is_hit();
    let wrong = ask(
        &stage.url,
        &["change", "--rule", "products", "--old", "taste=sweet"],
    )
    .await;
    failed(&wrong, 1);
}

#[tokio::test]
async fn an_entry_is_given_another_life_and_forgotten() {
    let stage = Stage::set().await;
    let key = stage.stored("/page/1").await;
    let said = stage.json(&["entry", "ttl", &key, "5s"]).await;
    assert_eq!(said, stage.api(&format!("/v1/entries/{key}")).await);
    stage.client.get("/page/1").await.is_hit();
    stage.sidecar.wait(6);
    stage.client.get("/page/1").await.is_not_hit();

    let key = stage.stored("/page/2").await;
    assert_eq!(
        stage.ask(&["entry", "delete", &key]).await,
        "purged 1 response\n"
    );
    stage.client.get("/page/2").await.is_not_hit();
    let none = "0".repeat(32);
    failed(&ask(&stage.url, &["entry", "get", &none]).await, 1);
}

#[tokio::test]
async fn what_is_stored_is_fetched_again() {
    let stage = Stage::set().await;
    stage.stored("/page/1").await;
    let said = stage.ask(&["refresh", "--url", URL]).await;
    assert_eq!(said, "1 refreshed, 0 failed, 0 skipped\n");
    assert_eq!(stage.app.calls("/page/1"), 2);
    let said = stage.json(&["refresh", "--tag", "Page"]).await;
    assert_eq!(said["refreshed"], 1, "{said}");
    assert_eq!(stage.app.calls("/page/1"), 3);
    stage.client.get("/page/1").await.is_hit();
    stage.app.answer("/page/1", reply("").status(500));
    let said = ask(&stage.url, &["refresh", "--tag", "Page"]).await;
    failed(&said, 1);
    assert_eq!(out(&said), "0 refreshed, 1 failed, 0 skipped\n");
}

#[tokio::test]
async fn the_epoch_rises_and_never_falls() {
    let stage = Stage::set().await;
    stage.stored("/page/1").await;
    let before: u64 = stage
        .ask(&["epoch"])
        .await
        .trim()
        .parse()
        .expect("a number");
    assert_eq!(
        stage.ask(&["epoch", "raise"]).await,
        format!("{}\n", before + 1)
    );
    stage.client.get("/page/1").await.is_not_hit();
    let said = failed(&ask(&stage.url, &["epoch", "raise", "0"]).await, 1);
    assert!(said.contains("never falls"), "{said}");
    let to = (before + 7).to_string();
    assert_eq!(stage.ask(&["epoch", "raise", &to]).await, format!("{to}\n"));
}

#[tokio::test]
async fn files_are_read_when_they_are_right() {
    let stage = Stage::set().await;
    stage.sidecar.write(
        "rules/rules.yaml",
        "rules:\n  - { id: a, ttl: soon }\n  - { id: b, colour: red }\n",
    );
    let said = failed(&ask(&stage.url, &["reload"]).await, 1);
    for mistake in ["rules.yaml:2:", "rules.yaml:3:"] {
        assert!(said.contains(mistake), "{mistake} is not in\n{said}");
    }
    let said = stage.ask(&["rules"]).await;
    assert!(
        said.contains("rules.yaml:2:") && said.contains("page"),
        "{said}"
    );
    stage
        .sidecar
        .write("rules/rules.yaml", "rules:\n  - { id: a, ttl: 1m }\n");
    let said = stage.ask(&["reload"]).await;
    assert!(said.starts_with("1 rule in force"), "{said}");
}

#[tokio::test]
async fn objects_come_back_as_they_were_stored_unless_a_tag_was_incremented() {
    let stage = Stage::set().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report");
    let bytes: Vec<u8> = (0..=255).collect();
    std::fs::write(&file, &bytes).expect("a file");
    let put = |key: &'static str, token: Option<String>| {
        let mut arguments = vec![
            "objects",
            "put",
            key,
            "--max-age",
            "60",
            "--tag",
            "Report:7",
            "--file",
            super::text(&file),
        ];
        let token = token.unwrap_or_default();
        if !token.is_empty() {
            arguments.extend(["--token", &token]);
        }
        let mut command = command(&arguments);
        command.env("TAGALONG_ADMIN", &stage.url);
        output(command)
    };
    let token = async || {
        let said = failed(&ask(&stage.url, &["objects", "get", "report"]).await, 1);
        let (_, token) = said.split_once("token: ").expect("a token");
        token.trim().to_owned()
    };
    let early = token().await;
    stage.ask(&["tags", "increment", "Report:7"]).await;
    let said = failed(&put("report", Some(early)).await, 1);
    assert!(said.contains("compute it anew"), "{said}");
    assert_eq!(done(&put("report", Some(token().await)).await), "stored\n");
    assert_eq!(done(&put("report", None).await), "replaced\n");
    let got = ask(&stage.url, &["objects", "get", "report"]).await;
    assert_eq!((got.status.code(), got.stdout), (Some(0), bytes));
    let said = stage.ask(&["objects", "delete", "report", "--json"]).await;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["purged"], 1, "{said}");
    token().await;
}

#[tokio::test]
async fn increments_are_followed_as_they_come() {
    let stage = Stage::set().await;
    stage.sidecar.inc("Before").await;
    let mut follow = command(&["increments", "--follow"]);
    follow
        .env("TAGALONG_ADMIN", &stage.url)
        .stdout(Stdio::piped());
    let mut child = follow
        .stderr(Stdio::piped())
        .spawn()
        .expect("tagalong starts");
    let (say, mut said) = mpsc::unbounded_channel();
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .try_for_each(|line| say.send(line))
    });
    let mut told = async |tag: &str| {
        while !soon(tag, said.recv()).await.expect("it runs").contains(tag) {}
    };
    told("Before").await;
    stage.sidecar.inc("After").await;
    told("After").await;
    stage.ask(&["tags", "increment", "Asked"]).await;
    told("Asked").await;
    stage.sidecar.shutdown().await;
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let ended = soon("it to end", ended)
        .await
        .expect("nothing panics there")
        .expect("it ends");
    failed(&ended, 1);
}

#[tokio::test]
async fn who_has_the_token_may_ask_and_is_named() {
    let app = Origin::start().await;
    let setup = Setup::new(&app).file("token", "sesame\n");
    let sidecar = setup
        .config("admin: { listen: '127.0.0.1:0', token_file: token }")
        .start()
        .await;
    let url = format!("http://{}", sidecar.admin_address().expect("it has one"));
    let said = failed(&ask(&url, &["stats"]).await, 1);
    assert!(
        said.contains("An admin token is expected") && said.contains("TAGALONG_ADMIN_TOKEN"),
        "{said}"
    );
    let with_token = async |arguments: &[&str]| {
        let mut command = command(arguments);
        command
            .env("TAGALONG_ADMIN", &url)
            .env("TAGALONG_ADMIN_TOKEN", "sesame");
        done(&output(command).await)
    };
    with_token(&["tags", "increment", "A"]).await;
    let said = with_token(&["tags", "get", "A"]).await;
    assert!(
        said.contains("by POST /v1/tags/increment (admin)"),
        "{said}"
    );
}

#[tokio::test]
async fn who_has_changed_what_is_listed_the_newest_first() {
    let stage = Stage::set().await;
    stage.ask(&["purge", "--rule", "page"]).await;
    failed(&ask(&stage.url, &["purge", "--rule", "nobody"]).await, 1);
    stage.ask(&["tags", "increment", "A"]).await;
    let said = stage.ask(&["audit", "--json"]).await;
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let page = stage.api("/v1/audit").await;
    assert_eq!(Some(&lines), page["audit"].as_array());
    let told: Vec<_> = lines
        .iter()
        .map(|it| (&it["who"], &it["what"], &it["status"]))
        .collect();
    let (local, purge) = (&"local".into(), &"purge".into());
    let expected = [
        (local, &"increment".into(), &200.into()),
        (local, purge, &422.into()),
        (local, purge, &200.into()),
    ];
    assert_eq!(told, expected, "{said}");
    let table = stage.ask(&["audit", "--limit", "2"]).await;
    assert_eq!(table.lines().count(), 3, "{table}");
}
