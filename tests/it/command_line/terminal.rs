//! The command on a terminal: it asks before it purges everything, and says how far it is beside what it prints.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use super::command;
use crate::support::Origin;
use crate::support::reply;
use crate::support::soon;

/// A terminal: what is typed there, and what is seen.
struct Terminal {
    ours: File,
    theirs: File,
}

impl Terminal {
    fn open() -> Terminal {
        let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("ours");
        unlockpt(&ours).expect("ours");
        let name = ptsname(&ours, Vec::new()).expect("it has a name");
        let name = name.to_str().expect("of ASCII letters");
        let theirs = OpenOptions::new().read(true).write(true).open(name);
        Terminal {
            ours: ours.into(),
            theirs: theirs.expect("the other end"),
        }
    }

    fn theirs(&self) -> Stdio {
        self.theirs.try_clone().expect("one more handle").into()
    }

    /// All that is seen until nobody writes there any more.
    fn seen(self) -> String {
        drop(self.theirs);
        let (mut ours, mut seen) = (self.ours, Vec::new());
        let mut some = [0; 1024];
        // Once the other end is closed, reading fails.
        while let Ok(n @ 1..) = ours.read(&mut some) {
            seen.extend(some.iter().take(n));
        }
        String::from_utf8(seen).expect("text")
    }
}

/// Runs it with standard input and error on a terminal where `typed` is typed.
async fn on_terminal(url: &str, arguments: &[&str], typed: &str) -> (ExitStatus, String, String) {
    let mut command = command(arguments);
    command.env("TAGALONG_ADMIN", url).env("TERM", "xterm");
    let typed = typed.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::open();
        terminal
            .ours
            .write_all(typed.as_bytes())
            .expect("room to type");
        command.stdin(terminal.theirs()).stderr(terminal.theirs());
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("tagalong starts");
        drop(command); // and its handles of the terminal
        let reading = std::thread::spawn(move || terminal.seen());
        let output = child.wait_with_output().expect("it ends");
        let seen = reading.join().expect("nothing panics there");
        (
            output.status,
            String::from_utf8(output.stdout).expect("text"),
            seen,
        )
    });
    soon("the command to end", run)
        .await
        .expect("nothing panics there")
}

#[tokio::test]
async fn a_purge_of_everything_is_asked_for_first() {
    let app = Origin::start().await;
    app.answer("/v1/purge", reply(json!({ "purged": null }).to_string()));
    for (arguments, typed, purged) in [
        (&["purge", "--all"][..], "\n", false),
        (&["purge", "--all"], "n\n", false),
        (&["purge", "--all"], "yes\n", true),
        (&["purge", "--match", "GET *"], "no\n", false),
        (&["purge", "--match", "GET *"], "y\n", true),
    ] {
        let before = app.calls("/v1/purge");
        let (status, _, seen) = on_terminal(&app.url(), arguments, typed).await;
        assert!(
            seen.contains("[y/N]") && seen.contains(&app.url()),
            "{seen}"
        );
        assert_eq!(status.code(), Some(if purged { 0 } else { 1 }), "{seen}");
        assert_eq!(
            app.calls("/v1/purge") - before,
            usize::from(purged),
            "{seen}"
        );
    }
    for arguments in [&["purge", "--all", "--yes"][..], &["purge", "--tag", "a"]] {
        let (status, _, seen) = on_terminal(&app.url(), arguments, "").await;
        assert!(!seen.contains("[y/N]"), "{seen}");
        assert_eq!(status.code(), Some(0), "{seen}");
    }
}

#[tokio::test]
async fn how_far_it_is_shows_on_terminals_beside_what_is_printed() {
    let app = Origin::start().await;
    app.on("/v1/refresh", |call| {
        let asked: serde_json::Value = serde_json::from_slice(&call.body).expect("JSON");
        let next = asked["cursor"].is_null().then_some("1");
        reply(json!({ "refreshed": 6_000, "failed": 0, "skipped": 0, "cursor": next }).to_string())
    });
    let (status, out, seen) = on_terminal(&app.url(), &["refresh", "--tag", "a"], "").await;
    assert_eq!(status.code(), Some(0), "{seen}");
    assert_eq!(out, "12,000 refreshed, 0 failed, 0 skipped\n");
    assert!(
        seen.contains("6,000 refreshed, 0 failed, 0 skipped …"),
        "{seen:?}"
    );
    let elsewhere = super::ask(&app.url(), &["refresh", "--tag", "a"]).await;
    assert_eq!(super::done(&elsewhere), out);
}
