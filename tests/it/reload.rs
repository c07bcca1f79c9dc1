//! Rules that change while requests are answered: what comes into force, what stays, and who is told (story 30, O13).

use std::time::Duration;

use crate::support::Client;
use crate::support::Origin;
use crate::support::Process;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::get;
use crate::support::post;
use crate::support::reply;
use crate::support::stage;

const FILE: &str = "rules/rules.yaml";

fn version(version: &str) -> String {
    format!("\n  - {{ id: v, match: {{ path: /v }}, version: {version}, ttl: 1d }}\n")
}

const BROKEN: &str = "rules:\n  - id: v\n    colour: red\n    match: { path: /v }\n";

fn file(rules: &str) -> String {
    format!("rules:{rules}")
}

/// Waits until rules are in force in which `/probe` is not stored; they are to be written with [`PROBED`] among them.
async fn in_force(sidecar: &Sidecar) {
    let client = sidecar.client();
    let bypassed = async || client.get("/probe").await.detail() == "rule";
    sidecar.until("the new rules", bypassed).await;
}

const PROBED: &str = "\n  - { id: probe, match: { path: /probe }, cache: false }\n";

#[tokio::test]
async fn a_new_version_misses_once_and_a_broken_file_changes_nothing() {
    // 30.
    let (app, sidecar, client) = stage(&version("v1")).await;
    app.answer("/v", reply("one"));
    client.get("/v").await.is_miss();
    client.get("/v").await.is_hit();

    app.answer("/v", reply("two"));
    sidecar.write(FILE, &file(&version("v2")));
    let mut answers = Vec::new();
    let changed = async || {
        answers.push(client.get("/v").await);
        answers.last().is_some_and(|answer| !answer.hits())
    };
    sidecar.until("the second version", changed).await;
    let first = answers.last().expect("it was asked for");
    first.is_miss().has_body("two");
    client.get("/v").await.is_hit().has_body("two");

    sidecar.write(FILE, BROKEN);
    for _ in 0..4 {
        sidecar.clock.advance(Duration::from_millis(500));
        sidecar.settle().await;
        client.get("/v").await.is_hit().has_body("two");
    }

    sidecar.write(FILE, &file(&(version("v2") + PROBED)));
    in_force(&sidecar).await;
    client.get("/v").await.is_hit().has_body("two");
    assert_eq!(app.calls("/v"), 2);
}

#[tokio::test]
async fn a_request_has_the_rules_of_its_beginning_until_its_end() {
    let (app, sidecar, client) = stage(&version("v1")).await;
    let hold = app.hold("/v");
    let pending = client.begin(get("/v")).await;
    let held = hold.arrived().await;
    let joined = client.begin(get("/v")).await;
    sidecar.settle().await;

    let never = "\n  - { id: v, match: { path: /v }, cache: false }\n";
    sidecar.write(FILE, &file(&(PROBED.to_owned() + never)));
    in_force(&sidecar).await;
    held.release(reply("old")).await;
    pending.answer().await.is_miss().has_body("old");
    joined.answer().await.is_shared().has_body("old");

    app.answer("/v", reply("new"));
    client
        .get("/v")
        .await
        .is_bypass(Some("rule"))
        .has_body("new");
}

#[tokio::test]
async fn a_wait_for_another_is_as_long_as_the_rules_of_its_beginning_say() {
    let rule = |wait: &str| {
        format!(
            "\n  - {{ id: v, match: {{ path: /v }}, ttl: 1d, coalesce: {{ wait: {wait}, on_timeout: 503 }} }}\n"
        )
    };
    let (app, sidecar, client) = stage(&rule("1h")).await;
    let hold = app.hold("/v");
    let first = client.begin(get("/v")).await;
    let held = hold.arrived().await;
    let patient = client.begin(get("/v")).await;
    sidecar.settle().await;
    sidecar.write(FILE, &file(&(PROBED.to_owned() + &rule("1s"))));
    in_force(&sidecar).await;
    sidecar.wait(60);
    sidecar.settle().await;
    held.release(reply("a")).await;
    first.answer().await.is_miss();
    patient.answer().await.is_shared();
}

#[tokio::test]
async fn what_its_rule_still_keys_alike_stays_stored() {
    let other = "\n  - { id: other, match: { path: /other }, ttl: 1d, tags: [O] }\n";
    let (app, sidecar, client) = stage(&(version("v1") + other)).await;
    app.answer("/v", reply("a"));
    app.answer("/other", reply("b"));
    client.get("/v").await.is_miss();
    client.get("/other").await.is_miss();
    let other = other.replace("ttl: 1d", "ttl: 2d, stale_if_error: 1h");
    sidecar.write(FILE, &file(&(PROBED.to_owned() + &other + &version("v2"))));
    in_force(&sidecar).await;
    client.get("/other").await.is_hit();
    client.get("/v").await.is_miss();
    sidecar.inc("O").await;
    client.get("/other").await.is_invalidated();
}

#[tokio::test]
async fn defaults_of_the_configuration_come_into_force() {
    // O13: `defaults: { ttl: 5s }` acts on rules without `ttl`.
    let app = Origin::start().await;
    let rules = "\n  - { id: v, match: { path: /v } }\n";
    let setup = Setup::new(&app).rules(rules);
    let (path, _) = setup.write();
    let written = std::fs::read_to_string(path).expect("it was written");
    let sidecar = setup.start().await;
    let client = sidecar.client();
    app.answer("/v", reply("a"));
    client.get("/v").await.is_unstored("no-freshness");
    sidecar.write(
        "tagalong.yaml",
        &format!("{written}\ndefaults: {{ ttl: 5s }}\n"),
    );
    sidecar.write(FILE, &file(&(PROBED.to_owned() + rules)));
    in_force(&sidecar).await;
    sidecar.forget_hit_for_miss();
    client.get("/v").await.is_miss();
    client.get("/v").await.is_hit();
    sidecar.wait(5);
    client.get("/v").await.is_expired();
}

#[tokio::test]
async fn what_waits_to_be_repeated_outlives_the_rule_that_asked_for_it() {
    // I9.
    let list = "\n  - { id: list, match: { path: /list }, tags: [L], ttl: 1d }\n";
    let write = "\n  - { id: write, match: { path: /write, methods: [POST] }, increments: [{ tags: [L], again: 1h }] }\n";
    let (app, sidecar, client) = stage(&(list.to_owned() + write)).await;
    app.answer("/list", reply("a"));
    app.answer("/write", reply(""));
    client.get("/list").await.is_miss();
    client.ask(post("/write")).await.is_method();
    client.get("/list").await.is_invalidated();
    sidecar.write(FILE, &file(&(list.to_owned() + PROBED)));
    in_force(&sidecar).await;
    client.get("/list").await.is_hit();
    sidecar.wait(3_600);
    let repeated = async || client.get("/list").await.detail() == "invalidated";
    sidecar.until("the second increment", repeated).await;
}

/// A sidecar with this rule for `/r`, whose response has been used, after these have come into force in its place.
async fn replaced(fields: &str, by: &str) -> (Origin, Sidecar, Client) {
    let rule = |fields: &str| format!("\n  - {{ id: r, match: {{ path: /r }}, {fields} }}\n");
    let (app, sidecar, client) = stage(&rule(fields)).await;
    app.answer("/r", reply("a"));
    client.get("/r").await.is_miss();
    client.get("/r").await.is_hit();
    let by = if by.is_empty() {
        String::new()
    } else {
        rule(by)
    };
    sidecar.write(FILE, &file(&(PROBED.to_owned() + &by)));
    in_force(&sidecar).await;
    (app, sidecar, client)
}

const AHEAD: &str = "ttl: 60s, refresh_ahead: { every: 20s, min_hits: 1 }";
const REFRESH: &str =
    "ttl: 1h, tags: [R], on_invalidate: { mode: refresh, delay: 10s, max_stale: 60s }";

#[tokio::test]
async fn what_is_fetched_ahead_is_fetched_by_the_rules_in_force() {
    let (app, sidecar, client) = replaced(AHEAD, &format!("{AHEAD}, tags: [T]")).await;
    let hold = app.hold("/r");
    sidecar.wait(50);
    hold.arrived().await.release(reply("b")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("b");
    sidecar.inc("T").await;
    app.answer("/r", reply("c"));
    client.get("/r").await.is_invalidated().has_body("c");
}

#[tokio::test]
async fn what_is_fetched_after_an_increment_is_fetched_by_the_rules_in_force() {
    let (app, sidecar, client) =
        replaced(REFRESH, &REFRESH.replace("tags: [R]", "tags: [R, T]")).await;
    sidecar.inc("R").await;
    let hold = app.hold("/r");
    sidecar.wait(10);
    hold.arrived().await.release(reply("b")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("b");
    sidecar.inc("T").await;
    client.get("/r").await.is_stale("invalidated").has_body("b");
}

#[tokio::test]
async fn what_the_rules_in_force_do_not_want_fetched_again_is_not() {
    for (name, fields, by) in [
        ("not ahead any more", AHEAD, "ttl: 60s, tags: [T]"),
        ("another key", AHEAD, &*format!("{AHEAD}, version: v2")),
        ("not stored any more", AHEAD, "cache: false"),
        (
            "a tag that has no value",
            AHEAD,
            &*format!("{AHEAD}, tags: ['{{header.x-a}}']"),
        ),
        ("no rule", AHEAD, ""),
        (
            "not after increments any more",
            REFRESH,
            "ttl: 1h, tags: [R]",
        ),
        ("no rule after an increment", REFRESH, ""),
    ] {
        let (app, sidecar, _client) = replaced(fields, by).await;
        sidecar.inc("R").await;
        for _ in 0..10 {
            sidecar.wait(5);
            sidecar.settle().await;
        }
        assert_eq!(app.calls("/r"), 1, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_fetched_again_any_more_is_the_next_requests_to_fetch() {
    // A rule that refreshes again finds what it had let go.
    let (app, sidecar, client) = replaced(REFRESH, "ttl: 1h, tags: [R]").await;
    sidecar.inc("R").await;
    sidecar.wait(10);
    sidecar.settle().await;
    let rule = format!("\n  - {{ id: r, match: {{ path: /r }}, {REFRESH} }}\n");
    sidecar.write(FILE, &file(&rule));
    let stored = async || client.get("/probe").await.detail() != "rule";
    sidecar.until("the first rules", stored).await;
    let hold = app.hold("/r");
    client.get("/r").await.is_stale("invalidated").has_body("a");
    hold.arrived().await.release(reply("b")).await;
    sidecar.settle().await;
    client.get("/r").await.is_hit().has_body("b");
}

#[tokio::test]
async fn who_reads_the_log_is_told_what_is_wrong_and_what_is_in_force() {
    // 30, in a process of its own.
    let app = Origin::start().await;
    app.answer("/v", reply("a"));
    let setup = Setup::new(&app).rules(&version("v1"));
    let (config, rules) = setup.write();
    let rules = rules.join("rules.yaml");
    let write = |text: &str| std::fs::write(&rules, text).expect("room for a file");
    let config = config.display().to_string();
    let mut process = Process::start(&["--config", &config]);
    let client = process.client().await;
    client.get("/v").await.is_miss();

    write(&file(&version("v2")));
    process.says("these rules are in force").await;
    client.get("/v").await.is_miss();

    write(BROKEN);
    let mistake = process.says("colour").await;
    assert!(
        mistake.contains("ERROR") && mistake.contains("rules.yaml:3:5: "),
        "{mistake}"
    );
    process.says("stay in force").await;
    client.get("/v").await.is_hit();
    process.hang_up();
    process.says("colour").await;
    client.get("/v").await.is_hit();

    write(&file(&version("v2")));
    process.says("these rules are in force").await;
    client.get("/v").await.is_hit();
    process.hang_up();
    process.says("these rules are in force").await;
}

#[tokio::test]
async fn a_sidecar_without_files_says_that_there_are_none() {
    let upstream = [
        "--upstream",
        "http://127.0.0.1:9",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut process = Process::start(&upstream);
    process.client().await;
    process.hang_up();
    process.says("no files to be read again").await;
}
