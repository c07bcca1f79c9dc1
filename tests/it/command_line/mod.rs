//! The command as scripts and people on call see it: what it prints, and its exit code.

mod asking;
mod defined;
mod running;
mod terminal;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::soon;

/// The command, whatever the environment of the tests says of sidecars.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagalong"));
    command
        .args(arguments)
        .env_remove("TAGALONG_ADMIN")
        .env_remove("TAGALONG_ADMIN_TOKEN")
        .stdin(Stdio::null());
    command
}

fn tagalong(arguments: &[&str]) -> Output {
    command(arguments).output().expect("tagalong starts")
}

/// What it does while this test's own servers answer it.
async fn output(mut command: Command) -> Output {
    let ended = tokio::task::spawn_blocking(move || command.output());
    let output = soon("tagalong to end", ended).await;
    output
        .expect("nothing panics there")
        .expect("tagalong starts")
}

/// The command, which asks the sidecar at `url`.
async fn ask(url: &str, arguments: &[&str]) -> Output {
    let mut command = command(arguments);
    command.env("TAGALONG_ADMIN", url);
    output(command).await
}

/// What it prints when it has done what it was asked.
#[track_caller]
fn done(output: &Output) -> String {
    let (out, err) = (out(output), err(output));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert_eq!(err, "");
    out
}

/// What it says when it could not.
#[track_caller]
fn failed(output: &Output, code: i32) -> String {
    let (out, err) = (out(output), err(output));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(!err.contains("panicked"), "{err}");
    err
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

const SHOP: &str = r"
rules:
  - id: product
    match: { path: '/products/(?P<id>\d+)' }
    tags: ['product:{id}']
    ttl: 1h
";

#[test]
fn exit_codes_tell_usage_from_failure() {
    let bad = folder(&[("bad.yaml", "rules: [{ id: 7x, colour: red }]")]);
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let occupied = occupied.local_addr().expect("its address").to_string();
    let own = format!("http://{occupied}");
    let upstream = ["--upstream", "http://127.0.0.1:9"];
    for (name, arguments, code) in [
        ("no command", &[][..], 2),
        ("unknown command", &["fly"], 2),
        ("unknown flag", &["serve", "--fast"], 2),
        ("version", &["--version"], 0),
        ("help", &["serve", "--help"], 0),
        ("not a URL", &["serve", "--upstream", "127.0.0.1:8000:x"], 2),
        (
            "not an address",
            &["serve", upstream[0], upstream[1], "--listen", "here"],
            2,
        ),
        (
            "occupied",
            &["serve", upstream[0], upstream[1], "--listen", &occupied],
            1,
        ),
        (
            "no such file",
            &["check", "--config", "/nowhere/tagalong.yaml"],
            2,
        ),
        ("nothing to check", &["check"], 2),
        // Where it did listen, it could not: that would be 1.
        (
            "its own app",
            &["serve", "--upstream", &own, "--listen", &occupied],
            2,
        ),
        ("no such folder", &["check", "--rules", "/nowhere"], 2),
        (
            "bad rules",
            &[
                "serve",
                upstream[0],
                upstream[1],
                "--rules",
                text(bad.path()),
            ],
            2,
        ),
        ("bad field", &["explain", "/a", "-H", "no colon"], 2),
        ("bad scheme", &["explain", "ftp://a.example/"], 1),
        ("nothing to purge", &["purge"], 2),
        ("two things to purge", &["purge", "--all", "--tag", "a"], 2),
        (
            "soft, which match is not",
            &["purge", "--match", "*", "--soft"],
            2,
        ),
        ("everything, unasked", &["purge", "--all"], 2),
        ("nothing to refresh", &["refresh"], 2),
        ("no tag", &["tags", "get"], 2),
        ("no tag to increment", &["tags", "increment"], 2),
        ("no rule", &["change", "--old", "a=1"], 2),
        (
            "an attribute twice",
            &["change", "--rule", "r", "--old", "a=1", "a=2"],
            2,
        ),
        (
            "no duration",
            &["entry", "ttl", "6f1ed002ab5595859014ebf0951522d9", "soon"],
            2,
        ),
        ("no number", &["entries", "--limit", "many"], 2),
        ("none at all", &["audit", "--limit", "0"], 2),
        ("no tier", &["entries", "--tier", "disk"], 2),
        ("no life", &["objects", "put", "a"], 2),
        (
            "half a second",
            &["objects", "put", "a", "--max-age", "500ms"],
            2,
        ),
        ("no URL", &["stats", "--admin", "127.0.0.1:9080"], 2),
        (
            "a secret among the arguments",
            &["stats", "--admin", "http://me:sesame@127.0.0.1:9"],
            2,
        ),
        (
            "live, and files",
            &["explain", "--live", "--rules", ".", "/a"],
            2,
        ),
        ("no such shell", &["completions", "tcl"], 2),
        (
            "nobody there",
            &["stats", "--admin", "http://127.0.0.1:9"],
            1,
        ),
        (
            "nobody to purge",
            &["purge", "--tag", "a", "--admin", "http://127.0.0.1:9"],
            1,
        ),
    ] {
        let output = tagalong(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{name}: {}{}",
            out(&output),
            err(&output)
        );
        let said = out(&output) + &err(&output);
        assert!(!said.contains("sesame"), "{name}: {said}");
    }
}

#[test]
fn a_secret_in_the_environment_is_not_printed() {
    let mut command = command(&["stats"]);
    command.env("TAGALONG_ADMIN", "http://me:sesame@127.0.0.1:9");
    let said = failed(&command.output().expect("tagalong starts"), 2);
    let line = "tagalong: --admin or TAGALONG_ADMIN: expected a URL without user and password; a token is read from the \
        environment\n";
    assert_eq!(said, line);
    // What asks nobody has nothing to do with it.
    let rules = folder(&[("shop.yaml", SHOP)]);
    let mut command = self::command(&["explain", "--rules", text(rules.path()), "/products/42"]);
    command.env("TAGALONG_ADMIN", "http://me:sesame@127.0.0.1:9");
    done(&command.output().expect("tagalong starts"));
}

#[test]
fn check_tells_every_mistake_of_every_file_at_once() {
    let rules = folder(&[
        (
            "a.yaml",
            "rules:\n  - id: a\n    colour: red\n    ttl: soon\n",
        ),
        (
            "b.yaml",
            "rules:\n  - id: a\n    match: { path: '/(' }\n  - id: b\n    tags: ['{nobody}']\n",
        ),
    ]);
    let output = tagalong(&["check", "--rules", text(rules.path())]);
    assert_eq!(output.status.code(), Some(2));
    let said = err(&output);
    for place in [
        "a.yaml:3:5:",
        "a.yaml:4:10:",
        "b.yaml:2:9:",
        "b.yaml:3:",
        "b.yaml:5:",
    ] {
        assert!(said.contains(place), "{place} is missing in\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn check_tells_machines_too() {
    let bad = folder(&[("a.yaml", "rules:\n  - id: a\n    ttl: soon\n")]);
    let good = folder(&[("shop.yaml", SHOP)]);
    let checked = |rules: &TempDir| {
        let output = tagalong(&["check", "--json", "--rules", text(rules.path())]);
        let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
        (output.status.code(), json)
    };
    let (code, json) = checked(&bad);
    assert_eq!(code, Some(2));
    let mistake = &json["mistakes"][0];
    assert!(
        mistake["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("a.yaml")),
        "{json}"
    );
    assert_eq!(
        (&mistake["line"], &mistake["column"]),
        (&3.into(), &10.into()),
        "{json}"
    );
    let (code, json) = checked(&good);
    assert_eq!(code, Some(0));
    assert_eq!(json["rules"][0]["id"], "product", "{json}");
}

#[test]
fn check_sums_up_what_is_in_force() {
    let rules = folder(&[("shop.yaml", SHOP)]);
    let output = tagalong(&["check", "--rules", text(rules.path())]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let said = out(&output);
    assert!(
        said.contains("product") && said.contains("1 rule"),
        "{said}"
    );
}

#[test]
fn check_shows_who_is_told_and_what_purge_groups_stand_for_but_no_secret() {
    let config = "
increment_webhooks: [{ url: 'http://cdn/purge?token=sesame', batch: 250ms, header_env: { Authorization: CARGO_MANIFEST_DIR } }]
purge_groups: { books: { tags: [books, book_listings] }, all: { all: true } }
";
    let files = folder(&[("tagalong.yaml", config)]);
    let file = files.path().join("tagalong.yaml");
    let checked = |json: &[&str]| {
        let output = tagalong(&[&["check", "--config", text(&file)], json].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    let said = checked(&[]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "increment webhook http://cdn/purge?…, for 250ms together, at most 30 tags a call",
        "purge group all everything",
        "purge group books books, book_listings",
    ] {
        let mut lines = said.lines();
        assert!(lines.any(|it| words(it) == line), "{line} in\n{said}");
    }
    let json = checked(&["--json"]);
    assert!(
        !json.contains("sesame") && !json.contains(env!("CARGO_MANIFEST_DIR")),
        "{json}"
    );
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let groups = r#"{"all": {"all": true}, "books": {"tags": ["books", "book_listings"]}}"#;
    let groups: serde_json::Value = serde_json::from_str(groups).expect("JSON");
    assert_eq!(json["purge_groups"], groups);
    assert_eq!(json["increment_webhooks"][0]["batch"], 0.25);
}

#[test]
fn explain_prints_the_plan_of_a_request() {
    let rules = folder(&[("shop.yaml", SHOP)]);
    let explain = |arguments: &[&str]| {
        let output = tagalong(&[&["explain", "--rules", text(rules.path())], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    let plan = explain(&["http://shop.example/products/42"]);
    for part in ["product", "product:42", "shop.example", "/products/42"] {
        assert!(plan.contains(part), "{part} is missing in\n{plan}");
    }
    let plan = explain(&["-H", "Authorization: Bearer x", "/products/42"]);
    assert!(
        plan.contains("credentials") && !plan.contains("Bearer"),
        "{plan}"
    );
    let plan = explain(&["--json", "/products/42"]);
    let json: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(json["rule"], "product", "{plan}");
}

#[test]
fn explain_reads_keys_as_the_server_does_and_shows_claims() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tagalong.yaml");
    let explain = |arguments: &[&str], token: &str| {
        let field = format!("Authorization: Bearer {token}");
        let asked = ["explain", "--config", config, "-H", &field, "/my/orders"];
        let output = tagalong(&[&asked, arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    // Signed by the private key of RFC 8037, appendix A.1; without an end.
    let good = "eyJhbGciOiJFZERTQSIsImtpZCI6InJmYzgwMzctYTIifQ.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJhdWQiOiJzaG9wIiwic3ViIjoiNDIifQ._zKJ14HLVSuaANVyenaNzHFy0aHGAhI9_MiZeCotg_OSjXmRf4cfAFbMlx6UpEnw5gynU1hscf3V5sIPYVoHCQ";
    let plan = explain(&[], good);
    for part in [
        "jwt.sub = \"42\"",
        "Orders:42",
        "issuer = https://login.example",
    ] {
        assert!(plan.contains(part), "{part} is missing in\n{plan}");
    }
    let why = "because its token is not trusted: no key fits its signature";
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let plan = explain(&[], &forged);
    assert!(plan.contains(why) && !plan.contains(&forged), "{plan}");
    let plan = explain(&["--json"], &forged);
    let json: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(json["why"], "token", "{plan}");
    assert_eq!(json["token"], "no key fits its signature", "{plan}");
    let plan = explain(&["--json"], good);
    let json: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    let fields = json["fields"].as_array().expect("fields");
    let claim = serde_json::json!({ "name": "jwt.sub", "value": "\"42\"" });
    assert!(fields.contains(&claim), "{plan}");
}

#[test]
fn schemas_are_json_schemas() {
    for kind in ["config", "rules"] {
        let output = tagalong(&["schema", kind]);
        let schema: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
        assert!(
            schema["$schema"].is_string() && schema["properties"].is_object(),
            "{kind}"
        );
    }
}

#[test]
fn serve_says_where_and_ends_well_when_asked() {
    let files = folder(&[("t.yaml", "admin: { listen: '127.0.0.1:0' }")]);
    let config = files.path().join("t.yaml");
    let mut process = Command::new(env!("CARGO_BIN_EXE_tagalong"))
        .args([
            "serve",
            "--config",
            text(&config),
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "http://127.0.0.1:9",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tagalong starts");
    let said = process.stdout.take().expect("it is piped");
    let mut said = BufReader::new(said).lines().map_while(Result::ok);
    let first = said.next().unwrap_or_default();
    assert!(
        first.contains("listening on 127.0.0.1:") && first.contains("127.0.0.1:9"),
        "{first}"
    );
    let second = said.next().unwrap_or_default();
    let admin = "admin interface on http://127.0.0.1:";
    assert!(second.contains(admin), "{second}");
    let asked = Command::new("sh")
        .args(["-c", &format!("kill -TERM {}", process.id())])
        .status();
    assert!(asked.expect("there is a shell").success());
    assert_eq!(process.wait().expect("it ends").code(), Some(0));
}

/// A sidecar without a file, whose admin interface is wherever there is room; with what it says until it is reached, and where.
struct Served(std::process::Child, String);

impl Served {
    fn at(admin: &str, token: Option<&str>) -> Served {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", admin];
        let mut process = command(&arguments)
            .envs(token.map(|token| ("TAGALONG_ADMIN_TOKEN", token)))
            .stdout(Stdio::piped())
            .spawn()
            .expect("tagalong starts");
        let said = process.stdout.take().expect("it is piped");
        let mut said = BufReader::new(said).lines().map_while(Result::ok);
        let place =
            said.find_map(|line| Some(line.split_once("admin interface on ")?.1.to_owned()));
        let place = place.expect("it says where");
        let (_, port) = place.rsplit_once(':').expect("a port");
        Served(process, format!("http://127.0.0.1:{port}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn an_option_opens_the_admin_interface_and_where_others_reach_it_wants_a_token() {
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "0.0.0.0:0",
    ];
    let said = failed(&output(command(&arguments)).await, 2);
    assert!(said.contains("TAGALONG_ADMIN_TOKEN"), "{said}");
    let mut unfit = command(&arguments);
    unfit.env("TAGALONG_ADMIN_TOKEN", "sesame open");
    let said = failed(&output(unfit).await, 2);
    assert!(
        said.contains("`TAGALONG_ADMIN_TOKEN`: expected a token of letters"),
        "{said}"
    );
    assert!(!said.contains("sesame"), "{said}");
    let mut here = command(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "here"]);
    here.env("TAGALONG_ADMIN_TOKEN", "sesame");
    failed(&output(here).await, 2);

    let open = Served::at("127.0.0.1:0", None);
    assert!(done(&ask(&open.1, &["health"]).await).starts_with("ok"));
    let guarded = Served::at("0.0.0.0:0", Some("sesame"));
    let said = failed(&ask(&guarded.1, &["stats"]).await, 1);
    assert!(said.contains("An admin token is expected"), "{said}");
    let mut with_token = command(&["stats", "--admin", &guarded.1]);
    with_token.env("TAGALONG_ADMIN_TOKEN", "sesame");
    done(&output(with_token).await);
}

#[tokio::test]
async fn a_token_that_is_set_and_empty_is_a_mistake_and_not_none() {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin-listen"];
    for arguments in [
        &[serve.as_slice(), &["127.0.0.1:0"]].concat()[..],
        &[serve.as_slice(), &["0.0.0.0:0"]].concat(),
        &["stats"],
    ] {
        for token in ["", " \n"] {
            let process = command(arguments)
                .env("TAGALONG_ADMIN_TOKEN", token)
                .stderr(Stdio::piped())
                .spawn()
                .expect("tagalong starts");
            // One that serves would not end by itself.
            let mut process = Served(process, String::new());
            let ended = soon("it to end", async {
                loop {
                    if let Some(status) = process.0.try_wait().expect("it is ours") {
                        break status;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
            let code = ended.await.code();
            let err = process.0.stderr.take().expect("it is piped");
            let said = std::io::read_to_string(err).expect("text");
            assert_eq!(code, Some(2), "{arguments:?} {token:?}: {said}");
            let expected = "`TAGALONG_ADMIN_TOKEN`: expected a secret, found an empty text";
            assert!(said.contains(expected), "{arguments:?} {token:?}: {said}");
        }
    }
}

#[test]
fn a_file_in_place_of_a_folder_is_said_to_be_one() {
    let rules = folder(&[("shop.yaml", SHOP)]);
    let file = rules.path().join("shop.yaml");
    let said = failed(&tagalong(&["check", "--rules", text(&file)]), 2);
    let expected = "shop.yaml: expected a folder of rule files (`*.yaml`), found a file: name the folder that it is in\n";
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_hides_no_mistake_of_another() {
    let files = folder(&[
        ("a.yaml", "rules: [{ id: a, colour: red }]"),
        ("c.yaml", "rules: [{ id: c, ttl: soon }]"),
    ]);
    std::fs::write(files.path().join("b.yaml"), b"rules: [] # caf\xe9").expect("a file");
    let checked = tagalong(&["check", "--rules", text(files.path())]);
    assert_eq!(checked.status.code(), Some(2));
    let said = format!("{}{}", out(&checked), err(&checked));
    for file in ["a.yaml:1:", "b.yaml: ", "c.yaml:1:"] {
        assert!(said.contains(file), "{file} is missing in:\n{said}");
    }
}
