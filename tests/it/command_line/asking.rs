//! What the command sends to an admin interface, and what it makes of answers: those of a sidecar that is written down here, and
//! those that no sidecar gives.

use std::io::Read;
use std::process::{Output, Stdio};

use serde_json::Value;
use serde_json::json;

use super::ask;
use super::command;
use super::done;
use super::err;
use super::failed;
use super::out;
use super::output;
use crate::support::Origin;
use crate::support::Reply;
use crate::support::reply;
use crate::support::soon;
use crate::support::verbatim;

const AT: &str = "2026-11-29T03:04:05.678Z";

/// A name that would clear the screen, colour what follows, and turn it around.
const HOSTILE: &str = "\u{1b}[2J\u{9b}31m\u{202e}\r\nfree";

fn answer(content: &Value) -> Reply {
    reply(content.to_string()).header("Content-Type", "application/json")
}

fn problem(status: u16, title: &str, detail: &str) -> Reply {
    let content = json!({ "title": title, "status": status, "detail": detail });
    let kind = "application/problem+json";
    reply(content.to_string())
        .status(status)
        .header("Content-Type", kind)
}

fn entry(n: usize, name: &str) -> Value {
    json!({
        "key": format!("{n:032x}"), "logical_key": format!("GET http://shop/{name}"), "rule": name, "fields": { name: name },
        "tags": [{ "tag": name, "version": 7 }], "status": 200, "created": AT, "fresh_until": AT, "expires": AT, "hits": 3,
        "size_bytes": 2048, "tier": "memory", "vary": [name], "state": "fresh",
    })
}

fn increment(n: u64, name: &str) -> Value {
    json!({ "at": AT, "stamp": n, "tags": [name], "by": format!("POST /{name}"), "source": "response", "soft": false })
}

fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// Documents, a line each.
fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON on each line")
}

#[tokio::test]
async fn a_sidecar_that_is_away_is_one_line_that_names_it() {
    let free = Origin::start().await;
    let url = free.url();
    free.close().await;
    for arguments in [
        &["stats"][..],
        &["health"],
        &["entries"],
        &["purge", "--tag", "a"],
        &["increments", "--follow"],
        &["objects", "get", "a"],
        &["explain", "--live", "/a"],
    ] {
        let said = failed(&ask(&url, arguments).await, 1);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.contains(&format!("no sidecar answers at {url}:")),
            "{said}"
        );
    }
}

#[tokio::test]
async fn the_token_is_presented_to_the_sidecar_alone_and_shown_nowhere() {
    let (app, other) = (Origin::start().await, Origin::start().await);
    let with_token = async |arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("TAGALONG_ADMIN", app.url());
        command.env("TAGALONG_ADMIN_TOKEN", "sesame-0815 \n");
        // A proxy would see it.
        command
            .env("HTTP_PROXY", other.url())
            .env("ALL_PROXY", other.url());
        output(command).await
    };
    let silent = |said: &Output| {
        let said = out(said) + &err(said);
        assert!(!said.contains("sesame"), "{said}");
    };
    app.answer("/v1/epoch", answer(&json!({ "epoch": 3 })));
    let said = with_token(&["epoch"]).await;
    assert_eq!(done(&said), "3\n");
    let presented = app.last("/v1/epoch").field("authorization");
    assert_eq!(presented.as_deref(), Some("Bearer sesame-0815"));

    app.answer(
        "/v1/epoch",
        problem(401, "Unauthorized", "The token is wrong."),
    );
    let said = with_token(&["epoch"]).await;
    let line = "tagalong: The token is wrong.\n";
    assert_eq!(failed(&said, 1), line);
    silent(&said);
    // What stands in between may say it in its title alone.
    app.answer("/v1/epoch", problem(401, "Unauthorized", ""));
    let said = ask(&app.url(), &["epoch"]).await;
    let hint = failed(&said, 1);
    assert!(hint.starts_with("tagalong: Unauthorized"), "{hint}");
    assert!(hint.contains("TAGALONG_ADMIN_TOKEN"), "{hint}");

    app.answer(
        "/v1/epoch",
        reply("")
            .status(307)
            .header("Location", other.url() + "/v1/epoch"),
    );
    let said = with_token(&["epoch"]).await;
    failed(&said, 1);
    silent(&said);
    assert_eq!(other.connections(), 0);

    silent(&with_token(&["stats", "--help"]).await);
    let mut unfit = command(&["epoch"]);
    unfit.env("TAGALONG_ADMIN_TOKEN", "sesame\nopen");
    let said = output(unfit).await;
    assert!(failed(&said, 2).contains("TAGALONG_ADMIN_TOKEN"));
    silent(&said);
}

#[tokio::test]
async fn what_is_no_sidecar_is_told_and_never_believed() {
    for (name, strange, code) in [
        ("another server", reply("<html>hello</html>"), 1),
        ("half an answer", answer(&json!({ "epoch": "three" })), 1),
        ("a gateway", reply("bad gateway").status(502), 1),
        (
            "a redirection",
            reply("").status(302).header("Location", "/"),
            1,
        ),
        ("no HTTP", verbatim("SSH-2.0-OpenSSH_9.9\r\n"), 1),
        ("nothing", Reply::hang_up(), 1),
        ("cut off", answer(&json!({ "epoch": 3 })).cut(), 1),
    ] {
        let app = Origin::start().await;
        app.otherwise(move |_| strange.clone());
        for json in [&[][..], &["--json"]] {
            let said = ask(&app.url(), &[&["epoch", "raise", "4"], json].concat()).await;
            // As JSON it is handed on as it is.
            if name != "half an answer" || json.is_empty() {
                let line = failed(&said, code);
                assert!(line.contains(&app.url()), "{name}: {line}");
                assert_eq!(line.lines().count(), 1, "{name}: {line}");
                assert_eq!(out(&said), "", "{name}");
            }
        }
    }
}

#[tokio::test]
async fn names_go_there_whole_and_encoded() {
    let app = Origin::start().await;
    let tag = "a/../b?c=d&e#f g%41ü+\"";
    let encoded = "a%2F..%2Fb%3Fc%3Dd%26e%23f%20g%2541%C3%BC%2B%22";
    app.otherwise(|_| answer(&json!({ "tag": "a", "version": null })));
    done(&ask(&app.url(), &["tags", "get", tag]).await);
    assert_eq!(app.last(&format!("/v1/tags/{encoded}")).n, 1);

    app.otherwise(|_| answer(&json!({ "entries": [], "cursor": null })));
    let asked = [
        "entries", "--rule", "", "--tag", tag, "--match", "GET *", "--tier", "redis", "--limit",
        "5",
    ];
    done(&ask(&app.url(), &asked).await);
    let call = app.last("/v1/entries");
    for (name, expected) in [
        ("rule", ""),
        ("tag", encoded),
        ("match", "GET%20%2A"),
        ("tier", "redis"),
        ("limit", "5"),
    ] {
        assert_eq!(call.query(name), expected, "{}", call.target);
    }

    // Below a path, where something in front has put it.
    app.otherwise(|_| answer(&json!({ "epoch": 3 })));
    done(&ask(&format!("{}/shop/", app.url()), &["epoch"]).await);
    assert_eq!(app.last("/shop/v1/epoch").n, 1);
}

#[tokio::test]
async fn requests_are_what_the_interface_expects() {
    let app = Origin::start().await;
    app.otherwise(|call| {
        answer(&match call.path() {
            "/v1/purge" => json!({ "purged": null }),
            "/v1/tags/increment" => {
                json!({ "incremented": 1, "versions": { "a": 9 }, "ignored": ["lang"] })
            }
            "/v1/change" => json!({ "incremented": 4 }),
            "/v1/refresh" => json!({ "refreshed": 1, "failed": 0, "skipped": 0, "cursor": null }),
            "/v1/reload" => json!({ "rules": 2, "epoch": 3 }),
            "/v1/epoch" => json!({ "epoch": 3 }),
            _ => entry(1, "a"),
        })
    });
    let key = "6f1ed002ab5595859014ebf0951522d9";
    let at_key = format!("/v1/entries/{key}");
    for (arguments, method, path, body) in [
        (
            &["purge", "--url", "http://shop/a"][..],
            "POST",
            "/v1/purge",
            json!({ "url": "http://shop/a" }),
        ),
        (
            &["purge", "--rule", "product", "--soft"],
            "POST",
            "/v1/purge",
            json!({ "rule": "product", "soft": true }),
        ),
        (
            &["purge", "--group", "books"],
            "POST",
            "/v1/purge",
            json!({ "group": "books" }),
        ),
        (
            &["purge", "--tag", "a", "b", "--tag", "c"],
            "POST",
            "/v1/purge",
            json!({ "tags": ["a", "b", "c"] }),
        ),
        (
            &["purge", "--match", "GET *"],
            "POST",
            "/v1/purge",
            json!({ "match": "GET *" }),
        ),
        (
            &["purge", "--all", "--yes"],
            "POST",
            "/v1/purge",
            json!({ "all": true }),
        ),
        (
            &["tags", "increment", "a", "lang"],
            "POST",
            "/v1/tags/increment",
            json!({ "tags": ["a", "lang"] }),
        ),
        (
            &["tags", "increment", "a", "--soft", "--again", "2s"],
            "POST",
            "/v1/tags/increment",
            json!({ "tags": ["a"], "soft": true, "again": "2s" }),
        ),
        (
            &[
                "change", "--rule", "r", "--old", "a=1=2", "b=", "--new", "a",
            ],
            "POST",
            "/v1/change",
            json!({ "rule": "r", "old": { "a": "1=2", "b": "" }, "new": { "a": null } }),
        ),
        (
            &["refresh", "--url", "http://shop/a"],
            "POST",
            "/v1/refresh",
            json!({ "url": "http://shop/a", "limit": 100 }),
        ),
        (&["reload"], "POST", "/v1/reload", json!({})),
        (
            &["epoch", "raise"],
            "PUT",
            "/v1/epoch",
            json!({ "epoch": 4 }),
        ),
        (
            &["epoch", "raise", "9"],
            "PUT",
            "/v1/epoch",
            json!({ "epoch": 9 }),
        ),
        (
            &["entry", "ttl", key, "60s"],
            "PATCH",
            &at_key,
            json!({ "ttl": "60s" }),
        ),
    ] {
        done(&ask(&app.url(), arguments).await);
        let call = app.last(path);
        assert_eq!(call.method, method, "{arguments:?}");
        let kind = call.field("content-type");
        assert_eq!(kind.as_deref(), Some("application/json"), "{arguments:?}");
        let sent: Value = serde_json::from_slice(&call.body).expect("JSON");
        assert_eq!(sent, body, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_all_its_mistakes() {
    let app = Origin::start().await;
    let content = json!({
        "title": "Unprocessable Content", "status": 422, "detail": "The files are wrong.",
        "mistakes": ["rules/a.yaml:3:5: expected a duration", format!("rules/b.yaml:1:1: {HOSTILE}")],
    });
    app.answer("/v1/reload", reply(content.to_string()).status(422));
    let said = failed(&ask(&app.url(), &["reload"]).await, 1);
    let expected = "tagalong: The files are wrong.
  rules/a.yaml:3:5: expected a duration
  rules/b.yaml:1:1: \\u{1b}[2J\\u{9b}31m\\u{202e}\\u{d}\\u{a}free\n";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn hostile_names_are_shown_and_not_obeyed() {
    let app = Origin::start().await;
    let cause = json!({ "at": HOSTILE, "ago_seconds": 3.2, "by": HOSTILE, "source": "response" });
    let state = json!({ "tag": HOSTILE, "version": 7, "incremented": cause });
    let mut stored = entry(1, HOSTILE);
    stored["state"] = json!("invalidated");
    stored["invalidated"] =
        json!({ "tag": HOSTILE, "at": AT, "ago_seconds": 3.2, "by": HOSTILE, "source": "admin" });
    let plan = json!({
        "rule": HOSTILE, "plan": "lookup", "fields": [{ "name": HOSTILE, "value": HOSTILE }], "logical_key": HOSTILE,
        "base_key": HOSTILE, "tags": [HOSTILE], "increments": [{ "on_status": HOSTILE, "tags": { "missing": HOSTILE } }],
    });
    let counts = json!({
        "requests": 9, "hits": 1, "stale": 0, "misses": 5, "collapsed": 0, "bypass": 3, "refused": 0, "stored": 1,
        "not_stored": { HOSTILE: 2 }, "outcomes": {}, "load_seconds": 0.5, "loads": 3,
    });
    let none = json!({ "count": 0, "sum_seconds": 0.0, "buckets": [] });
    let mut of_rule = counts.clone();
    of_rule["rule"] = json!(HOSTILE);
    let rule = json!({
        "rule": HOSTILE, "mode": "live", "place": HOSTILE, "match": HOSTILE, "key": HOSTILE, "tags": [HOSTILE], "life": HOSTILE,
        "counts": counts, "entries": 1, "entries_bytes": 9,
    });
    let reload = json!({ "at": HOSTILE, "failed": true, "mistakes": [HOSTILE] });
    let health =
        json!({ "status": "degraded", "reasons": [{ "code": HOSTILE, "message": HOSTILE }] });
    let audit = json!({
        "id": "1", "at": AT, "who": HOSTILE, "sidecar": HOSTILE, "what": "purge", "target": { HOSTILE: HOSTILE },
        "effect": { "problem": HOSTILE }, "status": 422,
    });
    let answers = [
        (
            "/v1/entries",
            json!({ "entries": [entry(1, HOSTILE)], "cursor": null }),
        ),
        ("/v1/entries/a", entry(1, HOSTILE)),
        ("/v1/tags/a", state.clone()),
        (
            "/v1/tags",
            json!({
                "tags": 1, "incremented": [{ "tag": HOSTILE, "count": 2, "last": cause }],
                "incremented_own": [{ "tag": HOSTILE, "count": 2, "last": cause }],
                "missed": [{ "tag": HOSTILE, "count": 2 }],
            }),
        ),
        (
            "/v1/tags/increment",
            json!({ "incremented": 1, "versions": { HOSTILE: 8 }, "ignored": [HOSTILE] }),
        ),
        (
            "/v1/increments",
            json!({ "increments": [increment(7, HOSTILE)] }),
        ),
        (
            "/v1/explain",
            json!({ "plan": plan, "answer": { "outcome": HOSTILE, "why": HOSTILE }, "stored": stored, "tags": [state] }),
        ),
        (
            "/v1/rules",
            json!({ "epoch": 3, "reload": reload, "rules": [rule] }),
        ),
        ("/readyz", health.clone()),
        ("/v1/audit", json!({ "audit": [audit], "cursor": null })),
        ("/openapi.json", json!({ "info": HOSTILE })),
        (
            "/v1/stats",
            json!({
                "version": HOSTILE, "namespace": HOSTILE, "sidecar": HOSTILE, "since": HOSTILE, "now": AT, "epoch": 3,
                "health": health, "totals": counts, "rules": [of_rule],
                "memory": { "entries": 1, "bytes": 2, "max_bytes": 3, "evictions": 4 }, "redis": { "connected": true, "keys": 5 },
                "tags": 1, "increments": { HOSTILE: 2 }, "fills_in_flight": 0, "upstream_queue": 0, "outbox": 0, "fenced": false,
                "log_lag_seconds": 0.1, "latency": { "hit": none, "miss": none, "upstream": none },
            }),
        ),
    ];
    for (path, content) in &answers {
        app.answer(path, answer(content));
    }
    let missing = json!({ "title": HOSTILE, "status": 404, "detail": HOSTILE });
    app.answer("/v1/objects/a", reply(missing.to_string()).status(404));
    app.answer("/v1/purge", problem(422, HOSTILE, HOSTILE));
    for arguments in [
        &["entries"][..],
        &["entry", "get", "a"],
        &["tags", "get", "a"],
        &["tags", "top"],
        &["tags", "increment", "a"],
        &["increments"],
        &["explain", "--live", "/a"],
        &["rules"],
        &["health"],
        &["audit"],
        &["openapi"],
        &["stats"],
        &["purge", "--tag", HOSTILE],
    ] {
        for json in [&[][..], &["--json"]] {
            if !json.is_empty() && arguments == ["openapi"] {
                continue;
            }
            let said = ask(&app.url(), &[arguments, json].concat()).await;
            let said = format!("{}{}", out(&said), err(&said));
            assert!(said.contains("free"), "{arguments:?} says nothing:\n{said}");
            let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!said.contains(obeyed), "{arguments:?}: {said:?}");
            let forged = said.lines().any(|line| line.starts_with("free"));
            assert!(!forged, "{arguments:?}: {said}");
        }
    }
    // As JSON it is what the sidecar said, to the letter.
    let paths = [
        (&["entry", "get", "a"][..], "/v1/entries/a"),
        (&["tags", "get", "a"], "/v1/tags/a"),
        (&["tags", "top"], "/v1/tags"),
        (&["explain", "--live", "/a"], "/v1/explain"),
        (&["rules"], "/v1/rules"),
        (&["stats"], "/v1/stats"),
    ];
    for (arguments, path) in paths {
        let said = done(&ask(&app.url(), &[arguments, &["--json"]].concat()).await);
        let (_, expected) = answers
            .iter()
            .find(|(other, _)| *other == path)
            .expect("it is there");
        assert_eq!(
            &serde_json::from_str::<Value>(&said).expect("JSON"),
            expected
        );
    }
}

#[tokio::test]
async fn an_explanation_says_who_incremented_what_and_when() {
    let app = Origin::start().await;
    let cause =
        json!({ "at": AT, "ago_seconds": 3.2, "by": "POST /users/42", "source": "response" });
    let mut stored = entry(1, "users");
    stored["state"] = json!("invalidated");
    stored["tags"] = json!([{ "tag": "User:42", "version": 7 }, { "tag": "Never", "version": 0 }]);
    stored["invalidated"] = json!({ "tag": "User:42", "at": AT, "ago_seconds": 3.2, "by": "POST /users/42", "source": "response" });
    let plan = json!({ "rule": "users", "plan": "pass", "why": "method", "tags": ["User:42"], "increments": [] });
    let content = json!({
        "plan": plan, "answer": { "outcome": "invalidated", "why": "A tag has a new version." }, "stored": stored,
        "tags": [{ "tag": "User:42", "version": 8, "incremented": cause }, { "tag": "Never", "version": null }, { "tag": "New", "version": 9 }],
    });
    app.answer("/v1/explain", answer(&content));
    let asked = [
        "explain",
        "--live",
        "-X",
        "PUT",
        "-H",
        "X-A: b",
        "-H",
        "X-A: c",
        "http://shop/users/42?a=b",
    ];
    let said = done(&ask(&app.url(), &asked).await);
    for part in [
        "User:42 was incremented 3 s ago by POST /users/42",
        "answer: invalidated: A tag has a new version.",
        "plan: pass to the app (`method`)\n",
        "tag      stored with  version now  last increment\n",
        "User:42  7            8            3 s ago by POST /users/42\n",
        "Never    -            -            -\n",
        "New      (not on it)  9            -\n",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    let target = app.last("/v1/explain").target;
    let expected = "/v1/explain?method=PUT&url=http%3A%2F%2Fshop%2Fusers%2F42%3Fa%3Db&header=x-a%3A%20b&header=x-a%3A%20c";
    assert_eq!(target, expected);
}

/// Three pages of two entries each.
async fn three_pages() -> Origin {
    let app = Origin::start().await;
    app.on("/v1/entries", |call| {
        let page: usize = call.query("cursor").parse().unwrap_or(0);
        let entries = [2 * page, 2 * page + 1].map(|n| entry(n, "a"));
        let next = (page < 2).then(|| (page + 1).to_string());
        answer(&json!({ "entries": entries, "cursor": next }))
    });
    app
}

#[tokio::test]
async fn entries_are_those_of_all_pages() {
    let app = three_pages().await;
    let said = done(&ask(&app.url(), &["entries"]).await);
    assert_eq!(said.lines().count(), 7, "{said}");
    assert!(said.starts_with("key "), "{said}");
    assert!(said.contains("2.0 KiB"), "{said}");
    let said = done(&ask(&app.url(), &["entries", "--json"]).await);
    let expected: Vec<Value> = (0..6).map(|n| entry(n, "a")).collect();
    assert_eq!(lines(&said), expected);
    let said = done(&ask(&app.url(), &["entries", "--limit", "2"]).await);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert_eq!(app.last("/v1/entries").query("limit"), "2");
    // A page may have more than were asked for.
    let said = done(&ask(&app.url(), &["entries", "--limit", "3"]).await);
    assert_eq!(said.lines().count(), 4, "{said}");
    let said = done(&ask(&app.url(), &["entries", "--limit", "1", "--json"]).await);
    assert_eq!(lines(&said), [entry(0, "a")]);
}

#[tokio::test]
async fn whoever_has_seen_enough_hears_no_complaint() {
    let app = Origin::start().await;
    // Without end.
    app.on("/v1/entries", |_| {
        let entries: Vec<Value> = (0..1000).map(|n| entry(n, "a")).collect();
        answer(&json!({ "entries": entries, "cursor": "more" }))
    });
    let mut command = command(&["entries"]);
    command.env("TAGALONG_ADMIN", app.url());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("tagalong starts");
        let mut some = [0; 64];
        let mut out = child.stdout.take().expect("it is piped");
        out.read_exact(&mut some).expect("a first page");
        drop(out);
        child.wait_with_output().expect("it ends")
    });
    let output = soon("it to end", ended)
        .await
        .expect("nothing panics there");
    assert_eq!(err(&output), "");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_refresh_goes_on_to_the_end_and_sums_up() {
    let app = Origin::start().await;
    app.on("/v1/refresh", |call| {
        let asked: Value = serde_json::from_slice(&call.body).expect("JSON");
        let (failed, next) = match asked["cursor"].as_str() {
            None => (0, Some("1")),
            Some("1") => (2, Some("2")),
            Some(_) => (0, None),
        };
        answer(&json!({ "refreshed": 100, "failed": failed, "skipped": 1, "cursor": next }))
    });
    let said = ask(&app.url(), &["refresh", "--tag", "Products"]).await;
    let line = "tagalong: the app did not answer as it should for 2 responses\n";
    assert_eq!(failed(&said, 1), line);
    assert_eq!(out(&said), "300 refreshed, 2 failed, 3 skipped\n");
    let said = ask(
        &app.url(),
        &["refresh", "--tag", "Products", "--json", "--limit", "101"],
    )
    .await;
    let sum = json!({ "refreshed": 100, "failed": 0, "skipped": 1, "cursor": "1" });
    assert_eq!(lines(&done(&said)), [sum]);
}

#[tokio::test]
async fn following_tells_each_increment_once_and_ends_with_the_sidecar() {
    let app = Origin::start().await;
    app.answer(
        "/v1/increments",
        answer(&json!({ "increments": [increment(2, "b"), increment(1, "a")] })),
    );
    for json in [&[][..], &["--json"]] {
        let hold = app.hold("/v1/events");
        let url = app.url();
        let arguments = [&["increments", "--follow"], json].concat();
        let following = tokio::spawn(async move { ask(&url, &arguments).await });
        let stream = reply("").header("Content-Type", "text/event-stream");
        let mut events = hold.arrived().await.begin(stream).await;
        // What came while it asked for what there was comes in both.
        let told = [
            ": here\n\n".to_owned(),
            event("increment", &increment(2, "b")),
            event("stats", &json!({})),
            event("increment", &increment(3, "c")),
            event("lagged", &json!({ "missed": 12_000 })),
            event("increment", &increment(4, "d")),
        ];
        events.send(told.concat().as_bytes()).await;
        events.end().await;
        let said = soon("the command to end", following)
            .await
            .expect("nothing panics there");
        let complaints = failed(&said, 1);
        assert!(complaints.contains("missed 12,000 events"), "{complaints}");
        assert!(complaints.contains("it has stopped"), "{complaints}");
        let said = out(&said);
        if json.is_empty() {
            let by: Vec<&str> = said
                .lines()
                .skip(1)
                .filter_map(|line| line.split_whitespace().last())
                .collect();
            assert_eq!(by, ["a", "b", "c", "d"], "{said}");
        } else {
            let expected =
                [(1, "a"), (2, "b"), (3, "c"), (4, "d")].map(|(n, name)| increment(n, name));
            assert_eq!(lines(&said), expected);
        }
    }
}

#[tokio::test]
async fn health_fails_where_no_request_is_answered() {
    let app = Origin::start().await;
    app.answer("/readyz", answer(&json!({ "status": "ok" })));
    assert_eq!(done(&ask(&app.url(), &["health"]).await), "ok\n");
    let reasons = json!([{ "code": "fenced", "message": "Nothing was heard." }]);
    app.answer(
        "/readyz",
        answer(&json!({ "status": "degraded", "reasons": reasons })),
    );
    let said = done(&ask(&app.url(), &["health"]).await);
    assert_eq!(said, "degraded\n  fenced: Nothing was heard.\n");
    app.answer(
        "/readyz",
        answer(&json!({ "status": "draining", "reasons": [] })).status(503),
    );
    let said = ask(&app.url(), &["health"]).await;
    failed(&said, 1);
    assert_eq!(out(&said), "draining\n");
}

#[tokio::test]
async fn objects_are_bytes_with_fields() {
    let app = Origin::start().await;
    let bytes: Vec<u8> = (0..=255).collect();
    app.answer(
        "/v1/objects/report%3A7",
        reply(bytes.clone()).header("Content-Type", "image/png"),
    );
    let got = ask(&app.url(), &["objects", "get", "report:7"]).await;
    assert_eq!(got.status.code(), Some(0));
    assert_eq!(got.stdout, bytes);

    app.answer(
        "/v1/objects/none",
        problem(404, "Not Found", "Nothing.").header("Tagalong-Token", "T1"),
    );
    let said = failed(&ask(&app.url(), &["objects", "get", "none"]).await, 1);
    assert_eq!(said, "tagalong: nothing is stored as none; token: T1\n");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bytes");
    std::fs::write(&file, &bytes).expect("a file");
    app.answer("/v1/objects/new", reply("").status(201));
    let put = [
        "objects",
        "put",
        "new",
        "--max-age",
        "1h",
        "--tag",
        "a",
        "b",
        "--type",
        "image/png",
        "--token",
        "T1",
        "--file",
    ];
    let said = ask(&app.url(), &[&put, &[super::text(&file)][..]].concat()).await;
    assert_eq!(done(&said), "stored\n");
    let call = app.last("/v1/objects/new");
    assert_eq!((call.method.as_str(), &call.body), ("PUT", &bytes));
    for (name, expected) in [
        ("content-type", "image/png"),
        ("cache-tag", "a, b"),
        ("tagalong-cache-control", "max-age=3600"),
        ("tagalong-token", "T1"),
    ] {
        assert_eq!(call.field(name).as_deref(), Some(expected), "{name}");
    }
    app.answer(
        "/v1/objects/old",
        problem(409, "Conflict", "A tag was incremented."),
    );
    let said = failed(
        &ask(&app.url(), &["objects", "put", "old", "--max-age", "60"]).await,
        1,
    );
    assert_eq!(said, "tagalong: A tag was incremented.\n");
    assert_eq!(app.last("/v1/objects/old").field("cache-tag"), None);
}
