//! Who may import whom, and which part may name which engine: the table of style.md, checked against `src/`.
//!
//! It reads text. A `use` may group what it likes except the crate itself (`use crate::{` is a violation, and so is
//! `super::super`), comment lines and what follows `mod tests {` are dropped, and macros, re-exports and aliases are the
//! reviewer's.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What a part may import.
enum Imports {
    /// These parts, all of them in rows above.
    Only(&'static [&'static str]),
    /// Every part in a row above.
    Above,
}

/// A part (first folder or file stem below `src/`), what it may import, and the outside names it may use. An outside name
/// that stands in some row is closed to all rows without it; `*` at its end stands for any ending.
struct Row {
    part: &'static str,
    imports: Imports,
    names: &'static [&'static str],
}

const fn row(
    part: &'static str,
    imports: &'static [&'static str],
    names: &'static [&'static str],
) -> Row {
    Row {
        part,
        imports: Imports::Only(imports),
        names,
    }
}

/// The parts, each below those it may import.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("model", &[], &["arcstr", "triomphe"]),
    row("clock", &["model"], &["fastrand"]), // its `Timestamp`
    row("body", &[], &["http_body"]),
    row("yaml", &["model"], &["saphyr_parser"]),
    row("offload", &[], &["rustix"]), // its priority
    row("metrics", &["model"], &["std::sync::atomic", "prometheus_client"]),
    row("dialects", &["model"], &[]),
    row("rules", &["model", "yaml"], &["regex", "regex_syntax", "aho_corasick", "arc_swap", "ring", "base64"]),
    row("policy", &["model", "dialects", "rules"], &[]),
    row("shared", &["model", "clock", "metrics"], &["redis", "tokio_rustls"]), // whose certificates it trusts
    row("tags", &["model", "clock", "metrics", "shared"], &["std::sync::atomic", "loom", "hashbrown", "triomphe", "once_cell"]),
    row("store", &["model", "clock", "metrics", "shared"], &["std::sync::atomic", "zstd"]),
    row("audit", &["model", "clock", "shared"], &[]),
    // It makes the sockets that Pingora reads and writes, so that an upload and its response share one.
    row("upstream", &["model", "clock", "metrics", "body"], &["pingora*", "tokio::net"]),
    // Spans have their time from the clock, and go where they are collected over upstream's connections.
    row("telemetry", &["model", "clock", "metrics", "body", "upstream"], &["tracing_subscriber", "opentelemetry*"]),
    // Its `Clock`: others are told in batches of a time, and told again after a while.
    row("hooks", &["model", "clock", "metrics", "body", "upstream"], &[]),
    row("cache", &["model", "clock", "metrics", "body", "offload", "rules", "policy", "shared", "tags", "store"], &[]),
    // Trailers speak the dialects too, after the head has been judged.
    row("fetch", &["model", "clock", "metrics", "body", "dialects", "rules", "policy", "upstream", "telemetry", "cache"],
        &["flate2", "brotli_decompressor", "zstd"]),
    row("proxy",
        &["model", "clock", "metrics", "body", "dialects", "rules", "policy", "cache", "fetch", "hooks", "telemetry"],
        &["hyper*", "httparse", "http_body", "tokio_rustls", "ring", "x509_parser", "tokio::net"]), // the ring of rustls
    // Its `client` speaks TLS, with the cryptography that is here already.
    // Dialects and policy: values that the app puts here itself have tags and lives as responses have them.
    row("admin", &["model", "clock", "metrics", "dialects", "rules", "policy", "cache", "fetch", "audit"],
        &["hyper*", "axum", "tokio::net", "ureq", "rustls_native_certs", "tokio_rustls", "ring"]),
    Row { part: "config", imports: Imports::Above, names: &["std::fs", "std::env"] },
    Row { part: "app", imports: Imports::Above, names: &[] },
    row("demo", &["model", "config", "app"], &["axum", "tokio::net"]),
    // Files: the pages of `man --out`, and what `objects put` stores.
    row("cli", &["model", "clock", "rules", "config", "admin", "app", "demo"],
        &["clap", "clap_complete", "clap_mangen", "anyhow", "indicatif", "std::fs"]),
    row("main", &["cli"], &["rustix"]), // no huge pages
    row("lib", &[], &[]),
];

/// No I/O, no clock, no tasks, no logs.
const PURE: &[&str] = &["model", "yaml", "dialects", "rules", "policy"];

/// Open to every part but the pure ones.
const CLOSED_TO_PURE: &[&str] = &["tokio", "tracing"];

/// One thing that a file does and the table does not allow.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    /// Counted from one; zero where the whole file is meant.
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file, self.line, self.what)
    }
}

/// What is wrong with the table itself: a row imports one that is not above it.
fn cycles(table: &[Row]) -> Vec<String> {
    let mut above: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for Row { part, imports, .. } in table {
        if let Imports::Only(imports) = imports {
            let below = imports.iter().filter(|import| !above.contains(import));
            found.extend(
                below.map(|import| format!("{part} imports {import}, which is not above it")),
            );
        }
        above.push(part);
    }
    found
}

/// Everything that the source of one file does against the table.
fn violations(file: &str, source: &str) -> Vec<Violation> {
    let part = file
        .split('/')
        .next()
        .unwrap_or(file)
        .trim_end_matches(".rs");
    let found = |line, what| Violation {
        file: file.to_owned(),
        line,
        what,
    };
    let Some((at, row)) = TABLE.iter().enumerate().find(|(_, row)| row.part == part) else {
        return vec![found(0, format!("the part `{part}` has no row"))];
    };
    let may_import = |other: &str| {
        other == part
            || match row.imports {
                Imports::Only(imports) => imports.contains(&other),
                Imports::Above => TABLE.iter().take(at).any(|row| row.part == other),
            }
    };
    let mut list = Vec::new();
    for (line, text) in code(source) {
        let text = text.as_str();
        if text.contains("use crate::{") {
            list.push(found(
                line,
                "one `use crate::part::…` a line, not `use crate::{`".into(),
            ));
        }
        if text.contains("super::super") {
            list.push(found(line, "`super::super`".into()));
        }
        for other in named_parts(text).filter(|other| !may_import(other)) {
            list.push(found(line, format!("`{part}` may not import `{other}`")));
        }
        for name in closed_to(part, row) {
            if names(text, name) {
                list.push(found(line, format!("`{part}` may not name `{name}`")));
            }
        }
    }
    list.sort();
    list.dedup(); // a group of names is one violation
    list
}

/// The outside names that this part must not use.
fn closed_to<'a>(part: &str, row: &'a Row) -> impl Iterator<Item = &'static str> + use<'a> {
    let pure = PURE.contains(&part);
    let mut closed: Vec<&str> = TABLE.iter().flat_map(|row| row.names).copied().collect();
    closed.sort_unstable();
    closed.dedup();
    closed
        .into_iter()
        .filter(|name| !row.names.contains(name))
        .chain(CLOSED_TO_PURE.iter().copied().filter(move |_| pure))
}

/// The code in a source, a piece per line with its number; a `use` that goes over several lines, or groups names in
/// braces, becomes one piece for each name, all with the number of its first line.
fn code(source: &str) -> Vec<(usize, String)> {
    let mut pieces = Vec::new();
    let mut lines = source
        .lines()
        .zip(1..)
        .filter(|(text, _)| !text.trim_start().starts_with("//"))
        .take_while(|(text, _)| !text.trim_start().starts_with("mod tests {"));
    while let Some((text, line)) = lines.next() {
        let mut text = text.to_owned();
        if !is_use(&text) {
            pieces.push((line, text));
            continue;
        }
        while !text.contains(';') {
            let Some((more, _)) = lines.next() else { break };
            text.push_str(more.trim());
        }
        pieces.extend(ungrouped(&text).into_iter().map(|text| (line, text)));
    }
    pieces
}

fn is_use(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use "))
}

/// `use a::{b, c::{d, e}};` as `use a::b`, `use a::c::d`, `use a::c::e`. The crate itself stays grouped: that is forbidden.
fn ungrouped(text: &str) -> Vec<String> {
    let Some(open) = text.find('{').filter(|_| !text.contains("use crate::{")) else {
        return vec![text.to_owned()];
    };
    let (before, inside) = (&text[..open], &text[open + 1..]);
    let mut all = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let name = inside[start..at].trim();
                if !name.is_empty() {
                    all.extend(ungrouped(&format!("{before}{name}")));
                }
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    all
}

/// The parts of this crate that a piece of code names, from inside (`crate::`) or as the binary does (`tagalong::`).
fn named_parts(text: &str) -> impl Iterator<Item = &str> {
    ["crate::", "tagalong::"]
        .into_iter()
        .flat_map(move |root| text.match_indices(root).map(move |(at, _)| (at, root)))
        .filter(|(at, _)| !text[..*at].ends_with(is_ident))
        .map(|(at, root)| &text[at + root.len()..])
        .map(|rest| rest.split(|c| !is_ident(c)).next().unwrap_or_default())
        .filter(|part| !part.is_empty())
}

/// Whether a piece of code names an outside crate or module, `name` ending in `*` for any ending.
fn names(text: &str, name: &str) -> bool {
    let (stem, open) = match name.strip_suffix('*') {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    text.match_indices(stem).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + stem.len()..]);
        let begins = !before.ends_with(|c| is_ident(c) || c == '.') && !is_inner(before);
        let after = after.trim_start_matches(|c| open && is_ident(c));
        // A crate is named by a path into it, or by a `use` of itself or of something in it.
        begins && (after.starts_with("::") || (is_use(text) && !after.starts_with(is_ident)))
    })
}

/// Whether what follows `before` is the inside of some path: `crate::redis` is not the crate `redis`. A path from the
/// root (`::redis`) is.
fn is_inner(before: &str) -> bool {
    before
        .strip_suffix("::")
        .is_some_and(|path| path.ends_with(is_ident))
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("src/ can be read") {
        let path = entry.expect("src/ can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_part_imports_and_names_only_what_its_row_grants() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found: Vec<String> = sources(&src)
        .iter()
        .flat_map(|path| {
            let source = fs::read_to_string(path).expect("sources can be read");
            let file = path.strip_prefix(&src).expect("it was found there");
            violations(&file.to_string_lossy(), &source)
        })
        .map(|violation| violation.to_string())
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_row_imports_one_that_is_not_above_it() {
    assert_eq!(cycles(TABLE), Vec::<String>::new());
    let made_up = [row("a", &["b"], &[]), row("b", &["a"], &[])];
    assert_eq!(cycles(&made_up), ["a imports b, which is not above it"]);
}

#[test]
fn a_violating_source_is_reported_whole() {
    let source = "\
//! A made-up file: `crate::store` in a comment is nothing.
use std::sync::Arc;
use crate::store::Store;
use crate::model::tag::Tag;
use crate::{cache, upstream};
use super::super::tags;
use tokio::{sync::Mutex, net::{TcpListener, TcpStream}};
use std::sync::{
    Arc,
    atomic::AtomicU64,
};
fn f() { pingora_core::f(); crate::upstream::send(); }
#[cfg(test)]
mod tests {
    use crate::upstream::Upstream;
}
";
    let found: Vec<(usize, String)> = violations("dialects/made_up.rs", source)
        .into_iter()
        .map(|violation| (violation.line, violation.what))
        .collect();
    let expected = [
        (3, "`dialects` may not import `store`"),
        (5, "one `use crate::part::…` a line, not `use crate::{`"),
        (6, "`super::super`"),
        (7, "`dialects` may not name `tokio`"),
        (7, "`dialects` may not name `tokio::net`"),
        (8, "`dialects` may not name `std::sync::atomic`"),
        (12, "`dialects` may not import `upstream`"),
        (12, "`dialects` may not name `pingora*`"),
    ];
    for (line, what) in expected {
        assert!(
            found.contains(&(line, what.to_owned())),
            "{line}: {what} is not in\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn an_engine_is_its_parts_alone() {
    for (file, source, expected) in [
        ("proxy/listen.rs", "use hyper_util::rt::TokioIo;", None),
        ("admin/mod.rs", "let _ = hyper::body::Bytes::new();", None),
        (
            "cache/mod.rs",
            "use hyper::Request;",
            Some("`cache` may not name `hyper*`"),
        ),
        (
            "proxy/mod.rs",
            "use pingora::connectors;",
            Some("`proxy` may not name `pingora*`"),
        ),
        ("upstream/mod.rs", "use pingora::connectors;", None),
        (
            "cache/mod.rs",
            "use tokio::net::TcpStream;",
            Some("`cache` may not name `tokio::net`"),
        ),
        ("upstream/mod.rs", "use tokio::time::sleep;", None),
        (
            "proxy/mod.rs",
            "use crate::upstream::Upstream;",
            Some("`proxy` may not import `upstream`"),
        ),
        (
            "proxy/mod.rs",
            "use crate::store::Entry;",
            Some("`proxy` may not import `store`"),
        ),
        (
            "cache/mod.rs",
            "use std::fs;",
            Some("`cache` may not name `std::fs`"),
        ),
        ("config/files.rs", "use std::fs;", None),
        (
            "config/mod.rs",
            "use crate::app::App;",
            Some("`config` may not import `app`"),
        ),
        ("cli/mod.rs", "use clap::Parser;", None),
        (
            "demo/mod.rs",
            "use clap::Parser;",
            Some("`demo` may not name `clap`"),
        ),
        ("demo/mod.rs", "use axum::Router;", None),
        ("main.rs", "fn main() { tagalong::cli::run() }", None),
        (
            "main.rs",
            "fn main() { tagalong::app::run() }",
            Some("`main` may not import `app`"),
        ),
        (
            "rules/plan.rs",
            "use tracing::info;",
            Some("`rules` may not name `tracing`"),
        ),
        ("tags/mod.rs", "use std::sync::atomic::AtomicU64;", None),
        ("rules/mod.rs", "use crate::rules::regex::Pattern;", None),
        ("rules/mod.rs", "let redis = self.redis; // a field", None),
        (
            "store/mod.rs",
            "use ::redis::Client;",
            Some("`store` may not name `redis`"),
        ),
        ("misc.rs", "fn f() {}", Some("the part `misc` has no row")),
    ] {
        let found = violations(file, source);
        let found = found.first().map(|violation| violation.what.as_str());
        assert_eq!(found, expected, "{file}: {source}");
    }
}
