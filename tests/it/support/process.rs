//! The product in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tokio::sync::mpsc;

use super::Client;
use super::soon;

/// `tagalong serve` in a process of its own, and what it says.
pub(crate) struct Process {
    pub(crate) child: Child,
    said: mpsc::UnboundedReceiver<String>,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Process {
        Process::with_log(arguments, Stdio::piped())
    }

    /// One whose log goes there.
    pub(crate) fn with_log(arguments: &[&str], log: Stdio) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tagalong"))
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("tagalong starts");
        let (say, said) = mpsc::unbounded_channel();
        let out = child.stdout.take().expect("it is piped");
        let out = Box::new(BufReader::new(out)) as Box<dyn BufRead + Send>;
        let err = child.stderr.take();
        let err = err.map(|err| Box::new(BufReader::new(err)) as Box<dyn BufRead + Send>);
        for lines in [Some(out), err].into_iter().flatten() {
            let say = say.clone();
            std::thread::spawn(move || {
                for line in lines.lines().map_while(Result::ok) {
                    say.send(line).ok();
                }
            });
        }
        Process { child, said }
    }

    /// The next line with this in it.
    pub(crate) async fn says(&mut self, what: &str) -> String {
        let found = async {
            loop {
                let line = self.said.recv().await.expect("it runs");
                if line.contains(what) {
                    return line;
                }
            }
        };
        soon(format!("`{what}` to be said"), found).await
    }

    pub(crate) async fn client(&mut self) -> Client {
        let line = self.says("listening on ").await;
        let address: SocketAddr = line
            .split_once("listening on ")
            .and_then(|(_, rest)| rest.split_once(','))
            .and_then(|(address, _)| address.parse().ok())
            .expect("an address");
        Client::tcp(address)
    }

    pub(crate) fn hang_up(&self) {
        let kill = Command::new("sh")
            .args(["-c", &format!("kill -HUP {}", self.child.id())])
            .status();
        assert!(kill.expect("there is a shell").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
