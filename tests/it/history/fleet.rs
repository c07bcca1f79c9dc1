//! The sidecars: each on threads of its own, so that it can end as abruptly as a process does.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use tagalong::clock::Clock;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use super::record::Life;
use super::registers::Registers;
use super::registers::rules;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::soon;

/// How a sidecar is configured that shares a store, besides its rules.
#[derive(Clone, Debug)]
pub(super) struct Sharing {
    /// Where it finds the store.
    pub(super) url: String,
    /// The items of `tags:`, as in a flow mapping.
    pub(super) tags: String,
    /// Bytes of memory for responses, if they are to be few.
    pub(super) memory: Option<usize>,
}

/// All sidecars in front of the app; each has its place.
pub(super) struct Fleet {
    app: String,
    places: Vec<Place>,
}

struct Place {
    sharing: Sharing,
    /// Of its machine, so to speak: who takes another's place has it too.
    clock: Clock,
    /// `None` while one takes the place of another.
    running: Mutex<Option<Running>>,
}

struct Running {
    life: Life,
    address: SocketAddr,
    sidecar: Sidecar,
    /// The last: what runs on it goes first.
    threads: Threads,
}

/// Ended without waiting for anything, as a process is that is killed.
struct Threads(Option<Runtime>);

/// How a sidecar ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As asked: what runs is finished, what waits is delivered, as far as there is time.
    Shutdown,
    /// Killed: what it was about to do is not done.
    Crash,
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}

impl Fleet {
    /// One for each of these.
    pub(super) async fn start(app: &Registers, sharing: Vec<Sharing>) -> Fleet {
        let place = |sharing| Place {
            sharing,
            clock: Clock::settable(),
            running: Mutex::new(None),
        };
        let fleet = Fleet {
            app: app.url(),
            places: sharing.into_iter().map(place).collect(),
        };
        for place in 0..fleet.len() {
            fleet.begin(Life { place, number: 0 }).await;
        }
        fleet
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Which one is at this place, and where it listens; `None` while one takes the place of another.
    pub(super) fn at(&self, place: usize) -> Option<(Life, SocketAddr)> {
        let running = self.places[place].running();
        running.as_ref().map(|it| (it.life, it.address))
    }

    /// Whether this one is still there.
    pub(super) fn lives(&self, life: Life) -> bool {
        self.at(life.place).is_some_and(|(now, _)| now == life)
    }

    /// Ends the one at this place and starts another.
    pub(super) async fn replace(&self, place: usize, ending: Ending) {
        let ended = self.places[place].running().take();
        let Running {
            life,
            sidecar,
            threads,
            ..
        } = ended.expect("only one takes its place at a time");
        if let (Ending::Shutdown, Some(runtime)) = (ending, &threads.0) {
            let stopped = soon("its end", runtime.spawn(sidecar.shutdown())).await;
            stopped.expect("it ends without a panic");
        }
        drop(threads);
        let number = life.number + 1;
        self.begin(Life { place, number }).await;
    }

    /// The clock of this place.
    pub(super) fn clock(&self, place: usize) -> &Clock {
        &self.places[place].clock
    }

    /// Puts this edition of the rules in force at this place, soon; nothing where one takes the place of another.
    pub(super) fn reload(&self, place: usize, edition: usize) {
        if let Some(running) = &*self.places[place].running() {
            let text = format!("rules:\n{}", rules(edition));
            running.sidecar.edit("rules/rules.yaml", |_| text);
        }
    }

    /// How many responses had to leave memory at this place in this life.
    pub(super) async fn evictions(&self, place: usize) -> usize {
        let admin = {
            let running = self.places[place].running();
            running.as_ref().expect("it runs").sidecar.admin()
        };
        let text = admin.get("/metrics").await.text().to_owned();
        let name = "tagalong_evictions_total{tier=\"memory\"} ";
        let said = text.lines().find_map(|line| line.strip_prefix(name));
        said.map_or(0, |said| said.parse().expect("a number"))
    }

    async fn begin(&self, life: Life) {
        let place = &self.places[life.place];
        let Sharing { url, tags, memory } = &place.sharing;
        let setup = Setup::in_front_of(&self.app)
            .clock(place.clock.clone())
            .config("drain: 1s")
            .config("admin: { listen: '127.0.0.1:0' }")
            .config(&format!("tags: {{ {tags} }}"))
            .redis(url)
            .redis_fields(TIMEOUT)
            .rules(&rules(0));
        let setup = match *memory {
            Some(bytes) => setup.memory(bytes).config("limits: { max_object: 1KiB }"),
            None => setup,
        };
        let threads = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("room for a thread");
        let started = soon("a sidecar", threads.spawn(setup.start())).await;
        let sidecar = started.expect("it starts");
        *place.running() = Some(Running {
            life,
            address: sidecar.address(),
            sidecar,
            threads: Threads(Some(threads)),
        });
    }
}

impl Place {
    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().expect("nobody panics holding it")
    }
}

/// How long the store may take: so long that a busy machine alone keeps nobody from storing something.
const TIMEOUT: &str = "timeout: 250ms";

/// The bound that is promised where nothing else is said.
pub(super) const MAX_LAG: Duration = Duration::from_secs(1);

/// `max_lag` as the configuration has it.
pub(super) fn max_lag(lag: Duration) -> String {
    format!("max_lag: {}ms", lag.as_millis())
}
