//! Those who read and write: each asks one thing after another, of whichever sidecar.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::fleet::Fleet;
use super::record::Event;
use super::record::Life;
use super::record::Record;
use super::record::Said;
use super::registers::Register;
use crate::support::End;
use crate::support::Framing;
use crate::support::Reading;
use crate::support::Wire;
use crate::support::soon;

/// What all clients have to do with.
#[derive(Clone)]
pub(super) struct World {
    pub(super) fleet: Arc<Fleet>,
    pub(super) record: Arc<Record>,
}

/// One client, with its connections.
pub(super) struct Client {
    world: World,
    chance: Rng,
    wires: HashMap<usize, (Life, Wire)>,
    /// The last value that it read of each.
    known: HashMap<Register, u64>,
}

/// An answer as far as it matters here.
struct Answer {
    code: String,
    status: String,
    etag: String,
    text: String,
}

impl Client {
    pub(super) fn new(world: World, chance: Rng) -> Client {
        Client {
            world,
            chance,
            wires: HashMap::new(),
            known: HashMap::new(),
        }
    }

    /// Asks until told to stop.
    ///
    /// # Errors
    ///
    /// A promise was broken.
    pub(super) async fn run(mut self, stop: watch::Receiver<bool>) -> Result<(), String> {
        let all = Register::all();
        while !*stop.borrow() {
            let place = self.chance.usize(0..self.world.fleet.len());
            let register = all[self.chance.usize(0..all.len())];
            match self.chance.u8(0..100) {
                0..2 => self.write(place, register).await?,
                2..7 => {
                    // A writer that looks at once, through another.
                    self.write(place, register).await?;
                    let other = self.chance.usize(0..self.world.fleet.len());
                    self.read(other, register).await?;
                }
                _ => {
                    self.read(place, register).await?;
                }
            }
            let pause = Duration::from_micros(self.chance.u64(0..8_000));
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Writes; what became of that is in the record.
    pub(super) async fn write(&mut self, place: usize, register: Register) -> Result<(), String> {
        let (method, target) = register.write();
        let began = Instant::now();
        let fields = "Content-Length: 0\r\n";
        let Some((through, answer)) = self.ask(place, method, &target, fields).await? else {
            return Ok(());
        };
        let Some(value) = register
            .value(&answer.text)
            .filter(|_| answer.code == "200")
        else {
            return self.odd(through, &answer);
        };
        let said = match answer.status.contains("increment-deferred") {
            true => Said::Deferred(value),
            false => Said::Wrote(value),
        };
        self.note(register, began, through, said, answer)
    }

    /// Reads; whether that was a hit, if there was an answer.
    pub(super) async fn read(
        &mut self,
        place: usize,
        register: Register,
    ) -> Result<Option<bool>, String> {
        let began = Instant::now();
        let known = self.known.get(&register).copied();
        let known = known.filter(|_| self.chance.u8(0..4) == 0);
        let fields = known.map_or_else(String::new, |known| {
            format!("If-None-Match: \"{known}\"\r\n")
        });
        let asked = self
            .ask(place, "GET", &register.to_string(), &fields)
            .await?;
        let Some((through, answer)) = asked else {
            return Ok(None);
        };
        let value = match answer.code.as_str() {
            "200" => register.value(&answer.text),
            "304" => answer.etag.trim_matches('"').parse().ok(),
            _ => None,
        };
        let Some(value) = value else {
            self.odd(through, &answer)?;
            return Ok(None);
        };
        self.known.insert(register, value);
        let hit = answer.status.contains("; hit");
        let said = Said::Read { value, hit };
        self.note(register, began, through, said, answer)?;
        Ok(Some(hit))
    }

    fn note(
        &self,
        register: Register,
        began: Instant,
        through: Life,
        said: Said,
        answer: Answer,
    ) -> Result<(), String> {
        let event = Event {
            began,
            ended: Instant::now(),
            through,
            said,
            status: format!("{} {}", answer.code, answer.status),
        };
        self.world.record.note(register, event)
    }

    /// Nothing that happens to the store may show in anything else (L13).
    fn odd(&self, through: Life, answer: &Answer) -> Result<(), String> {
        if !self.world.fleet.lives(through) {
            self.world.record.failed();
            return Ok(());
        }
        let Answer {
            code, status, text, ..
        } = answer;
        Err(format!("{through:?} answers {code} {status}: {text}"))
    }

    /// Asks the sidecar at this place; `None` if it ended meanwhile.
    async fn ask(
        &mut self,
        place: usize,
        method: &str,
        target: &str,
        fields: &str,
    ) -> Result<Option<(Life, Answer)>, String> {
        let Some((life, address)) = self.world.fleet.at(place) else {
            return Ok(None);
        };
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: registers.example\r\n{fields}\r\n");
        let known = self.wires.remove(&place).filter(|(it, _)| *it == life);
        let wire = known.map(|(_, wire)| wire);
        let what = format!("an answer to {method} {target} through {life:?}");
        match soon(what, exchange(address, wire, &request)).await {
            Ok((wire, answer)) => {
                self.wires.insert(place, (life, wire));
                Ok(Some((life, answer)))
            }
            Err(error) if self.world.fleet.lives(life) => {
                Err(format!("{method} {target} through {life:?}: {error}"))
            }
            Err(_) => {
                self.world.record.failed();
                Ok(None)
            }
        }
    }
}

async fn exchange(
    address: SocketAddr,
    wire: Option<Wire>,
    request: &str,
) -> io::Result<(Wire, Answer)> {
    let mut wire = match wire {
        Some(wire) => wire,
        None => {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            Wire::new(socket)
        }
    };
    wire.write(request.as_bytes()).await?;
    let head = wire.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let field = |name: &str| head.fields.get(name).unwrap_or_default();
    let code = head.word(1).to_owned();
    let mut text = Vec::new();
    if code != "304" {
        let mut body = Reading::new(head.fields.framing(Framing::UntilClose));
        text = body.rest(&mut wire).await;
        if let Some(End::Cut(why)) = body.end {
            return Err(io::Error::other(why));
        }
    }
    let answer = Answer {
        code,
        status: field("cache-status"),
        etag: field("etag"),
        text: String::from_utf8_lossy(&text).into_owned(),
    };
    Ok((wire, answer))
}
