//! The demo as a newcomer meets it: the printed lines are run as they are printed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tagalong::demo;

/// `tagalong demo` on a free port, until the test ends.
struct Demo {
    process: Child,
    said: Vec<String>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Demo {
    fn start() -> Demo {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tagalong"))
            .args(["demo", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tagalong starts");
        let mut said = Vec::new();
        for line in BufReader::new(process.stdout.take().expect("it is piped")).lines() {
            let line = line.expect("text");
            let last = line.starts_with("Ctrl-C");
            said.push(line);
            if last {
                break;
            }
        }
        Demo { process, said }
    }

    /// The lines to try.
    fn lines(&self) -> Vec<&str> {
        let lines = self.said.iter().map(String::as_str);
        lines.filter(|line| line.starts_with("curl ")).collect()
    }

    fn url(&self) -> &str {
        let words = self.said.iter().flat_map(|line| line.split(' '));
        let mut urls = words.filter(|word| word.starts_with("http://"));
        urls.next().expect("it says where it is")
    }
}

#[test]
fn the_dashboard_is_where_it_says_and_knows_what_was_asked_for() {
    if without_curl() {
        return;
    }
    let demo = Demo::start();
    let said = demo.said.iter().find(|line| line.starts_with("All of it"));
    let (_, dashboard) = said
        .and_then(|line| line.rsplit_once(' '))
        .expect("it says where");
    assert!(shell(&format!("curl -s {dashboard}")).contains("<title>tagalong"));
    for line in &demo.lines()[..2] {
        shell(line);
    }
    let stats = shell(&format!("curl -s {dashboard}v1/stats"));
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!(stats["totals"]["hits"], 1, "{stats}");
    assert_eq!(stats["totals"]["misses"], 1, "{stats}");
}

/// What a line of shell prints.
fn shell(line: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", line])
        .output()
        .expect("there is a shell");
    String::from_utf8_lossy(&output.stdout).to_lowercase()
}

fn without_curl() -> bool {
    let missing = Command::new("curl").arg("--version").output().is_err();
    if missing {
        eprintln!("skipped: there is no curl");
    }
    missing
}

#[test]
fn the_three_lines_show_a_miss_a_hit_and_an_invalidation() {
    if without_curl() {
        return;
    }
    let demo = Demo::start();
    let lines = demo.lines();
    assert_eq!(lines.len(), 3, "{:?}", demo.said);
    for (line, status, stock) in [
        (
            lines[0],
            "cache-status: tagalong; fwd=uri-miss; stored\r\n",
            "100 in stock",
        ),
        (
            lines[1],
            "cache-status: tagalong; hit; ttl=",
            "100 in stock",
        ),
        (
            lines[2],
            "cache-status: tagalong; fwd=stale; stored; detail=invalidated\r\n",
            "99 in stock",
        ),
    ] {
        let printed = shell(line);
        assert!(printed.contains(status), "{line}\n{printed}");
        assert!(printed.contains(stock), "{line}\n{printed}");
        assert!(printed.contains("took 0."), "{line}\n{printed}");
    }
}

#[test]
fn pages_are_shared_and_the_cart_is_not() {
    if without_curl() {
        return;
    }
    let demo = Demo::start();
    let url = demo.url();
    let with_cart = |path| shell(&format!("curl -si -b cart=1x2 {url}{path}"));
    assert!(with_cart("/products/2").contains("fwd=uri-miss; stored"));
    assert!(with_cart("/products/2?utm_source=mail").contains("tagalong; hit"));
    let cart = with_cart("/cart");
    assert!(cart.contains("<td>teapot</td><td>2</td>"), "{cart}");
    assert!(
        !cart.contains("; stored") && !with_cart("/cart").contains("; hit"),
        "{cart}"
    );
    assert!(!cart.contains("cache-tag"), "{cart}");
}

#[tokio::test]
async fn a_taken_port_is_no_obstacle() {
    // Ours or somebody else's: from here on the port is taken.
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let demo = demo::start(None).await.expect("there are other ports");
    assert_ne!(demo.url(), "http://127.0.0.1:8080");
    let said = demo.to_string();
    let second = said.lines().nth(1).unwrap_or_default();
    let told = second.starts_with("Port 8080 is taken") || second.starts_with("Ports 8080 and ");
    assert!(told, "{said}");
    demo.shutdown().await;
}
