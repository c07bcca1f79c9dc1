//! The app: registers whose values are counted on by each write, under one lock, so that of two values it is known which is
//! older.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use fastrand::Rng;
use tokio::net::TcpListener;

use crate::support::Framing;
use crate::support::Head;
use crate::support::Reading;
use crate::support::Reply;
use crate::support::Wire;
use crate::support::reply;

/// A register: how it is told what it depends on, and what is promised to who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Register {
    pub(super) promise: Promise,
    pub(super) told: Told,
    pub(super) number: usize,
}

/// What is promised to who reads it (`consistency` of the rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Promise {
    /// No value that is older than one acknowledged before.
    Strict,
    /// No value that is older than one acknowledged `max_lag` before.
    Bounded,
}

/// How the sidecars come to know which responses a write changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Told {
    /// The app says so, in headers.
    Header,
    /// The rules say so; the app says nothing.
    Rule,
    /// Nobody says anything: what is written is what is read (RFC 9111 §4.4).
    Uri,
}

/// How many registers there are of each kind: few, so that they are written while they are read.
const OF_A_KIND: usize = 3;

/// How many editions of the rules there are: a reload puts one in the place of another.
pub(super) const EDITIONS: usize = 3;

/// The rules of a sidecar in front of it, in one of the editions; each keeps the same promises. They differ in lives, keys and
/// further tags, and there are tens of them that nothing falls under.
pub(super) fn rules(edition: usize) -> String {
    let more = match edition {
        0 => "ttl: 1h",
        1 => "ttl: 3s, version: v2",
        _ => "ttl: 10m",
    };
    let further = if edition == 2 { ", Further" } else { "" };
    let mut text = String::new();
    for n in 0..DECOYS {
        let host = format!("{n}.nobody.example");
        text += &format!(
            "  - {{ id: host-{n}, match: {{ hosts: [{host}], path: '/.*' }}, ttl: 1d }}\n"
        );
        text +=
            &format!("  - {{ id: path-{n}, match: {{ path: '/strict/rule/{n}/.+' }}, ttl: 1d }}\n");
    }
    let writes = [("strict", "Strict"), ("bounded", "Bounded")];
    for (path, tag) in writes {
        text += &format!(
            "  - {{ id: {path}-write, match: {{ path: '/{path}/rule/(?P<n>\\d+)/set', methods: [POST] }}, increments: [{{ tags: [\"{tag}:{{n}}\"], on_status: [\"2xx\"] }}] }}\n"
        );
    }
    text += &format!(
        r#"
  - {{ id: strict-read, match: {{ path: '/strict/rule/(?P<n>\d+)' }}, tags: ["Strict:{{n}}"{further}], consistency: strict, {more} }}
  - {{ id: bounded-read, match: {{ path: '/bounded/rule/(?P<n>\d+)' }}, tags: ["Bounded:{{n}}"{further}], {more} }}
  - {{ id: strict, match: {{ path: '/strict/.*' }}, consistency: strict, {more} }}
"#
    );
    text
}

/// How many rules of each kind there are for nothing.
const DECOYS: usize = 20;

impl Register {
    pub(super) fn all() -> Vec<Register> {
        let mut all = Vec::new();
        for promise in [Promise::Strict, Promise::Bounded] {
            for told in [Told::Header, Told::Rule, Told::Uri] {
                for number in 0..OF_A_KIND {
                    all.push(Register {
                        promise,
                        told,
                        number,
                    });
                }
            }
        }
        all
    }

    /// Where it is written, and how.
    pub(super) fn write(self) -> (&'static str, String) {
        match self.told {
            Told::Uri => ("PUT", self.to_string()),
            Told::Header | Told::Rule => ("POST", format!("{self}/set")),
        }
    }

    /// What a response says that carries this value.
    pub(super) fn text(self, value: u64) -> String {
        format!("{self}={value}")
    }

    /// The value that a response carries; `None` if it is of something else.
    pub(super) fn value(self, text: &str) -> Option<u64> {
        text.strip_prefix(&format!("{self}="))?.parse().ok()
    }

    fn tag(self) -> String {
        format!("{:?}:{}", self.promise, self.number + 100)
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let promise = match self.promise {
            Promise::Strict => "strict",
            Promise::Bounded => "bounded",
        };
        let told = match self.told {
            Told::Header => "header",
            Told::Rule => "rule",
            Told::Uri => "uri",
        };
        write!(f, "/{promise}/{told}/{}", self.number)
    }
}

/// The app. It stops with the test's runtime.
pub(super) struct Registers {
    address: SocketAddr,
}

/// What all its connections share.
struct App {
    values: Mutex<HashMap<Register, u64>>,
    moods: Moods,
}

/// How long the app takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moods {
    /// At once, always.
    Prompt,
    /// By chance long enough for much to happen between its look at the data and the answer's arrival.
    Various,
}

impl Registers {
    pub(super) async fn start(moods: Moods, mut chance: Rng) -> Registers {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has one");
        let values = Mutex::default();
        let app = Arc::new(App { values, moods });
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).expect("an open socket takes it");
                let talk = Arc::clone(&app).converse(Wire::new(socket), chance.fork());
                tokio::spawn(talk);
            }
        });
        Registers { address }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl App {
    async fn converse(self: Arc<App>, mut wire: Wire, mut chance: Rng) {
        while let Ok(Some(head)) = wire.head().await {
            let mut body = Reading::new(head.fields.framing(Framing::Length(0)));
            body.rest(&mut wire).await;
            let reply = self.answer(&head, &mut chance);
            // What it says is what was so before it took its time.
            let wait = match self.moods {
                Moods::Prompt => Duration::ZERO,
                Moods::Various => time_taken(&mut chance),
            };
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            match reply.write(wire, false).await {
                Ok(Some(open)) => wire = open,
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn answer(&self, head: &Head, chance: &mut Rng) -> Reply {
        let (method, target) = (head.word(0), head.word(1));
        let mut all = Register::all().into_iter();
        if let Some(register) = all.find(|it| it.write() == (method, target.to_owned())) {
            let value = {
                let mut values = self.values.lock().expect("nobody panics holding it");
                let value = values.entry(register).or_default();
                *value += 1;
                *value
            };
            let written = reply(register.text(value));
            return match register.told {
                Told::Header => written.header("Cache-Tag-Increment", register.tag()),
                Told::Rule | Told::Uri => written,
            };
        }
        let mut all = Register::all().into_iter();
        let Some(register) = all.find(|it| method == "GET" && it.to_string() == target) else {
            return reply("no such register").status(404);
        };
        let values = self.values.lock().expect("nobody panics holding it");
        let value = values.get(&register).copied().unwrap_or_default();
        drop(values);
        let etag = format!("\"{value}\"");
        let known = head.fields.get("if-none-match");
        let read = match known.is_some_and(|known| known == etag) {
            true => reply("").status(304),
            false => reply(register.text(value)),
        };
        // Some need to be validated soon, so that what a 304 makes fresh again is read too.
        let control = match chance.u8(0..10) {
            0 => "max-age=1",
            _ => "max-age=3600",
        };
        let read = read.etag(&etag).control(control);
        match register.told {
            Told::Header => read.header("Cache-Tag", register.tag()),
            Told::Rule | Told::Uri => read,
        }
    }
}

fn time_taken(chance: &mut Rng) -> Duration {
    Duration::from_millis(match chance.u8(0..100) {
        0..75 => 0,
        75..95 => chance.u64(1..50),
        _ => chance.u64(50..1_500),
    })
}

#[cfg(test)]
mod tests {
    use tagalong::rules::Context;
    use tagalong::rules::RuleSet;

    use super::*;

    /// A wrong one would leave the one before in force, and nothing would be reloaded.
    #[test]
    fn every_edition_of_the_rules_is_right() {
        for edition in 0..EDITIONS {
            let file = (
                "rules.yaml".to_owned(),
                format!("rules:\n{}", rules(edition)),
            );
            let compiled = RuleSet::compile(&[file], &Context::new("test"));
            let count = compiled.map(|it| it.rules().len());
            assert_eq!(count, Ok(2 * DECOYS + 5), "{edition}");
        }
    }
}
