//! A walk in front of Datasette, an app that nobody here wrote: pages, JSON, CSV export, static files. Every answer is
//! compared with what Datasette says itself. docs/datasette.md shows the same walk by hand.
//!
//! It needs Python with venv, and PyPI on the first run; without them it says so and is skipped, except in CI.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;

use regex::bytes::Regex;

/// The version walked in front of; its bytes are compared, so it changes on purpose only.
const DATASETTE: &str = "datasette==0.65.5";

/// What Datasette does not say itself: how long its exports, static files and front page may be kept.
const RULES: &str = "rules: [{ id: everything, match: { path: '/.*' }, ttl: 60s }]";

const PRODUCTS: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('drop table if exists products')
db.execute('create table products (id integer primary key, name text, about text)')
db.executemany('insert into products (name, about) values (?, ?)',
               [(f'Téapot no. {n}', 'short, \"stout\" and <b>' * 10) for n in range(5000)])
db.commit()
";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An answer: status, fields as written, content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: String,
    fields: Vec<(String, String)>,
    content: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let named = self.fields.iter().find(|(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }

    fn cache_status(&self) -> &str {
        self.field("cache-status").unwrap_or("none")
    }

    /// The content without the times that Datasette measures, and the rows that it counts where that takes ten milliseconds at most:
    /// those of a table, and on the front page of all and of each.
    fn timeless(&self) -> Vec<u8> {
        static TIMES: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(
                r#""query_ms": [0-9.e-]+|Queries took [0-9.]+ms|<p>(Many|[0-9,]+) rows?</p>|[0-9,]+ rows in | title="[0-9]+ rows""#,
            )
            .expect("it is a pattern")
        });
        TIMES.replace_all(&self.content, &b""[..]).into_owned()
    }
}

/// Where to ask, and the `Host` to ask with: Datasette writes it into its pages.
#[derive(Clone, Copy)]
struct Site {
    at: SocketAddr,
    host: &'static str,
}

impl Site {
    /// The answer to a GET, whole or not at all.
    fn get(self, target: &str) -> Answer {
        let mut stream = TcpStream::connect(self.at).expect("it listens");
        let host = self.host;
        write!(
            stream,
            "GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )
        .expect("it reads the request");
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line of the head");
            line.trim_end().to_owned()
        };
        let status = line().split_once(' ').expect("a status line").1.to_owned();
        let mut fields = Vec::new();
        loop {
            let line = line();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer {
            status,
            fields,
            content: Vec::new(),
        };
        if answer.field("transfer-encoding") == Some("chunked") {
            answer.content = chunks(&mut reader);
        } else {
            reader
                .read_to_end(&mut answer.content)
                .expect("the content");
        }
        if let Some(length) = answer.field("content-length") {
            assert_eq!(length, answer.content.len().to_string(), "{target}");
        }
        answer
    }
}

/// Chunked content up to its last chunk; one that is cut short has none.
fn chunks(reader: &mut impl BufRead) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).expect("the size of a chunk");
        let size = u64::from_str_radix(size.trim(), 16).expect("a size in hexadecimal");
        let read = reader
            .take(size)
            .read_to_end(&mut content)
            .expect("a chunk");
        assert_eq!(read as u64, size, "a chunk was cut short");
        reader
            .read_line(&mut String::new())
            .expect("the end of a chunk");
        if size == 0 {
            return content;
        }
    }
}

/// Runs a command to its end; what went wrong, if it did.
fn done(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Datasette in an environment of its own, kept for the next run; none where it cannot be had.
fn installed(folder: &Path) -> Result<PathBuf, String> {
    let program = folder.join("bin/datasette");
    if !program.exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        done(Command::new(folder.join("bin/pip")).args(["install", "--quiet", DATASETTE]))?;
    }
    Ok(program)
}

/// A tagalong in front of `upstream`.
fn sidecar(upstream: SocketAddr, rules: &Path) -> (Running, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tagalong"))
        .args(["serve", "--listen", "127.0.0.1:0", "--upstream"])
        .arg(format!("http://{upstream}"))
        .arg("--rules")
        .arg(rules)
        .stdout(Stdio::piped())
        .spawn()
        .expect("tagalong starts");
    let said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let running = Running(child);
    let at = said
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, address) = line.split_once("listening on ")?;
            address.split(',').next()?.parse().ok()
        })
        .expect("it says where it listens");
    (running, at)
}

/// Datasette on a free port, answering.
fn datasette(program: &Path, database: &Path) -> (Running, SocketAddr) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = free.local_addr().expect("its address");
    drop(free);
    let mut child = Command::new(program)
        .arg(database)
        .args(["--setting", "default_cache_ttl", "60", "--port"])
        .arg(at.port().to_string())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("datasette starts");
    let said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let running = Running(child);
    let mut said = said.map_while(Result::ok);
    assert!(
        said.any(|line| line.contains("Uvicorn running on")),
        "datasette did not start"
    );
    // Its log must be read on, or it stops writing it.
    thread::spawn(move || said.for_each(drop));
    (running, at)
}

#[test]
fn datasette_works_behind_the_sidecar_and_is_asked_once() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("datasette");
    let program = match installed(&folder) {
        Ok(program) => program,
        #[expect(clippy::disallowed_methods, reason = "CI skips no test")]
        Err(why) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {DATASETTE} cannot be installed: {why}");
            return;
        }
        Err(why) => panic!("{DATASETTE} cannot be installed: {why}"),
    };
    let work = tempfile::tempdir().expect("a folder");
    let database = work.path().join("shop.db");
    done(
        Command::new("python3")
            .args(["-c", PRODUCTS])
            .arg(&database),
    )
    .expect("SQLite writes");
    let [none, rules] = ["none", "rules"].map(|name| work.path().join(name));
    for folder in [&none, &rules] {
        std::fs::create_dir(folder).expect("a folder");
    }
    std::fs::write(rules.join("all.yaml"), RULES).expect("a file");

    let (_datasette, app) = datasette(&program, &database);
    let (_without, without_rules) = sidecar(app, &none);
    let (_with, with_rules) = sidecar(app, &rules);

    let site = |at| Site {
        at,
        host: "data.example",
    };
    // What Datasette's own headers allow: `Cache-Control: max-age` on pages and JSON, nothing on the rest.
    for (name, target, stored) in [
        ("front page", "/", false),
        ("database", "/shop", true),
        ("table", "/shop/products", true),
        ("row", "/shop/products/42", true),
        (
            "unicode",
            "/shop/products?name__contains=T%C3%A9apot+no.+42",
            true,
        ),
        ("table as JSON", "/shop/products.json?_size=1000", true),
        (
            "SQL as JSON",
            "/shop.json?sql=select+count(*)+from+products",
            true,
        ),
        ("CSV", "/shop/products.csv", false),
        ("CSV, streamed", "/shop/products.csv?_stream=on", false),
        ("static file", "/-/static/app.css", false),
        ("redirect", "/shop/", false),
    ] {
        let direct = site(app).get(target);
        let first = site(without_rules).get(target);
        let second = site(without_rules).get(target);
        same(name, &direct, &first);
        same(name, &direct, &second);
        let (miss, hit) = (first.cache_status(), second.cache_status());
        if stored {
            assert_eq!(miss, "tagalong; fwd=uri-miss; stored", "{name}");
            assert!(hit.starts_with("tagalong; hit; ttl="), "{name}: {hit}");
            assert_eq!(first.content, second.content, "{name}");
        } else {
            assert!(
                miss.starts_with("tagalong; fwd=uri-miss; detail="),
                "{name}: {miss}"
            );
            let known = "tagalong; fwd=bypass; detail=hit-for-miss";
            assert_eq!(hit, known, "{name}");
        }
    }
    // And what a rule with a `ttl` adds.
    for (name, target) in [
        ("front page", "/"),
        ("CSV, streamed", "/shop/products.csv?_stream=on"),
        ("static file", "/-/static/app.css"),
    ] {
        let direct = site(app).get(target);
        let first = site(with_rules).get(target);
        let second = site(with_rules).get(target);
        same(name, &direct, &first);
        assert_eq!(
            first.cache_status(),
            "tagalong; fwd=uri-miss; stored",
            "{name}"
        );
        let hit = second.cache_status();
        assert!(hit.starts_with("tagalong; hit; ttl="), "{name}: {hit}");
        assert_eq!(first.content, second.content, "{name}");
    }
    let rows = site(with_rules)
        .get("/shop/products.csv?_stream=on")
        .content;
    assert_eq!(
        rows.split(|byte| *byte == b'\n').count(),
        5002,
        "a head, the rows, the end"
    );

    let crowd: Vec<_> = (0..8)
        .map(|_| thread::spawn(move || site(with_rules).get("/shop/products?_size=500")))
        .collect();
    let direct = site(app).get("/shop/products?_size=500");
    for reader in crowd {
        same("crowd", &direct, &reader.join().expect("an answer"));
    }
    same(
        "not found",
        &site(app).get("/nowhere"),
        &site(with_rules).get("/nowhere"),
    );
}

/// The sidecar's answer is Datasette's: status, content, and the fields that describe it.
fn same(name: &str, direct: &Answer, answer: &Answer) {
    assert_eq!(direct.status, answer.status, "{name}");
    for field in ["content-type", "location", "link", "vary", "cache-control"] {
        assert_eq!(direct.field(field), answer.field(field), "{name}: {field}");
    }
    assert!(
        direct.timeless() == answer.timeless(),
        "{name}: the content differs: {} bytes from Datasette, {} through the sidecar",
        direct.content.len(),
        answer.content.len()
    );
}
