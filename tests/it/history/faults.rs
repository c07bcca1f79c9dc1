//! What happens to servers, to the ways to them, and to sidecars: by chance, one thing after another, each in the record.

use std::time::Duration;

use fastrand::Rng;
use tagalong::clock::Clock;
use tokio::time::Instant;

use super::clients::World;
use super::fleet::Ending;
use super::registers::EDITIONS;
use crate::support::Cut;
use crate::support::Redis;
use crate::support::Sentinels;

/// How the one server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Killed,
}

/// One server, and a way to it for each sidecar.
pub(super) struct Alone {
    pub(super) redis: Redis,
    pub(super) ways: Vec<Cut>,
    state: State,
    /// Which ways are not open.
    broken: Vec<bool>,
}

/// What a way that is not open answers.
const ERRORS: [&str; 4] = [
    "-OOM command not allowed when used memory > 'maxmemory'.",
    "-READONLY You can't write against a read only replica.",
    "-LOADING Redis is loading the dataset in memory",
    "-NOSCRIPT No matching script. Please use EVAL.",
];

/// What a server may lose besides tags: each alone, as one that evicts does.
const KEYS: [&str; 4] = ["gen", "seq", "log", "epoch"];

/// How long all is well from time to time, so that something is stored that can be stale later.
const CALM: Duration = Duration::from_millis(2_000);

impl Alone {
    /// With as many ways.
    pub(super) async fn start(places: usize) -> Alone {
        let redis = Redis::start().await;
        let mut ways = Vec::new();
        for _ in 0..places {
            ways.push(Cut::before(redis.port()).await);
        }
        Alone {
            redis,
            broken: vec![false; ways.len()],
            ways,
            state: State::Running,
        }
    }

    /// Does one thing after another until then.
    pub(super) async fn harass(&mut self, world: &World, chance: &mut Rng, until: Instant) {
        while Instant::now() < until {
            self.step(world, chance).await;
            let pause = Duration::from_millis(chance.u64(50..700));
            tokio::time::sleep(pause).await;
        }
    }

    async fn step(&mut self, world: &World, chance: &mut Rng) {
        match chance.u8(0..24) {
            0..4 => self.break_way(world, chance).await,
            4..9 => self.heal_way(world, chance).await,
            9..11 => self.change_state(world, chance).await,
            11..14 => {
                self.heal(world).await;
                tokio::time::sleep(CALM).await;
            }
            14..16 => restart(world, chance).await,
            16..18 => set_clock(world, chance),
            18..20 => reload(world, chance),
            _ if self.state == State::Running => lose(world, &self.redis, chance).await,
            _ => self.revive(world).await,
        }
    }

    async fn break_way(&mut self, world: &World, chance: &mut Rng) {
        let place = chance.usize(0..self.ways.len());
        let way = &self.ways[place];
        self.broken[place] = true;
        let say = |kind: &'static str, what: &str| {
            let what = format!("the way of {place} {what}");
            world.record.fault(kind, what);
        };
        match chance.u8(0..6) {
            0 | 1 => {
                way.stall();
                say("way stalled", "is stalled");
            }
            2 => {
                way.cut().await;
                say("way cut", "is cut");
            }
            3 => {
                way.hold_replies();
                say("replies held back", "holds replies back");
            }
            4 => {
                let delay = Duration::from_millis(chance.u64(5..400));
                way.slow(delay);
                say("way slow", &format!("is slow by {delay:?}"));
            }
            _ => {
                let error = ERRORS[chance.usize(0..ERRORS.len())];
                way.answer_errors(Some(error));
                say("errors", &format!("answers {error}"));
            }
        }
    }

    async fn heal_way(&mut self, world: &World, chance: &mut Rng) {
        let place = chance.usize(0..self.ways.len());
        if std::mem::take(&mut self.broken[place]) {
            world
                .record
                .note_well(format!("the way of {place} is healed"));
            self.ways[place].heal().await;
        }
    }

    async fn change_state(&mut self, world: &World, chance: &mut Rng) {
        match self.state {
            State::Running if chance.bool() => {
                self.redis.pause();
                self.state = State::Paused;
                world.record.fault("server paused", "the server is paused");
            }
            State::Running => {
                self.redis.kill();
                self.state = State::Killed;
                world.record.fault("server killed", "the server is killed");
            }
            State::Paused | State::Killed => self.revive(world).await,
        }
    }

    async fn revive(&mut self, world: &World) {
        match self.state {
            State::Running => {}
            State::Paused => {
                world.record.note_well("the server goes on");
                self.redis.resume();
            }
            State::Killed => {
                world
                    .record
                    .note_well("the server is started with nothing in it");
                self.redis.restart_empty().await;
            }
        }
        self.state = State::Running;
    }

    /// All is well again.
    pub(super) async fn heal(&mut self, world: &World) {
        self.revive(world).await;
        for (way, broken) in self.ways.iter().zip(&mut self.broken) {
            *broken = false;
            way.heal().await;
        }
        world.record.note_well("all ways are healed");
    }
}

/// A server loses something, or everything.
async fn lose(world: &World, redis: &Redis, chance: &mut Rng) {
    match chance.u8(0..6) {
        0 => {
            redis.flush_all().await;
            world.record.fault("flush", "everything is flushed");
        }
        1 => {
            redis.forget_scripts().await;
            world
                .record
                .fault("scripts forgotten", "the scripts are forgotten");
        }
        2 => {
            let key = KEYS[chance.usize(0..KEYS.len())];
            redis
                .command(&["DEL", &format!("tagalong:{{tagalong}}:{key}")])
                .await;
            world.record.fault("key lost", format!("`{key}` is lost"));
        }
        _ => {
            let share = chance.u8(1..=4);
            let keys = redis.keys().await;
            let tags = keys.iter().filter(|key| key.contains(":tag:"));
            let lost: Vec<&String> = tags.filter(|_| chance.u8(0..4) < share).collect();
            for key in &lost {
                redis.command(&["DEL", key.as_str()]).await;
            }
            let what = format!("{} tags are lost", lost.len());
            world.record.fault("tags lost", what);
        }
    }
}

/// A sidecar ends, and another takes its place.
async fn restart(world: &World, chance: &mut Rng) {
    let place = chance.usize(0..world.fleet.len());
    let ending = match chance.bool() {
        true => Ending::Shutdown,
        false => Ending::Crash,
    };
    let kind = match ending {
        Ending::Shutdown => "sidecar stopped",
        Ending::Crash => "sidecar killed",
    };
    world.record.fault(kind, format!("{ending:?} of {place}"));
    world.fleet.replace(place, ending).await;
    world.record.note_well(format!("another one is at {place}"));
}

/// By how much a clock is set, in milliseconds: less and more than `max_lag`, and more than responses live.
const STEPS: [u64; 5] = [300, 1_500, 30_000, 600_000, 86_400_000];

/// The clock of a sidecar's machine is set, back or forward, or right again.
fn set_clock(world: &World, chance: &mut Rng) {
    let place = chance.usize(0..world.fleet.len());
    let clock = world.fleet.clock(place);
    let by = Duration::from_millis(STEPS[chance.usize(0..STEPS.len())]);
    match chance.u8(0..5) {
        0 | 1 => {
            clock.set(clock.now() - by);
            let what = format!("the clock of {place} is set back by {by:?}");
            world.record.fault("clock set back", what);
        }
        2 | 3 => {
            clock.advance(by);
            let what = format!("the clock of {place} is set forward by {by:?}");
            world.record.fault("clock set forward", what);
        }
        _ => {
            clock.set(Clock::System.now());
            let what = format!("the clock of {place} is set right");
            world.record.fault("clock set right", what);
        }
    }
}

/// Other rules come into force at a sidecar, while others go on with theirs.
fn reload(world: &World, chance: &mut Rng) {
    let place = chance.usize(0..world.fleet.len());
    let edition = chance.usize(0..EDITIONS);
    world.fleet.reload(place, edition);
    let what = format!("the rules of {place} are edition {edition}");
    world.record.fault("reload", what);
}

/// A primary and its replica, Sentinels who say which is which, and a way to these for each sidecar.
pub(super) struct Named {
    sentinels: Sentinels,
    /// To each of the Sentinels.
    ways: Vec<Vec<Cut>>,
}

impl Named {
    /// With ways for as many sidecars.
    pub(super) async fn start(places: usize) -> Named {
        let sentinels = Sentinels::start().await;
        let mut ways = Vec::new();
        for _ in 0..places {
            let mut each = Vec::new();
            for port in sentinels.ports() {
                each.push(Cut::before(port).await);
            }
            ways.push(each);
        }
        Named { sentinels, ways }
    }

    /// Where each sidecar finds the store.
    pub(super) fn urls(&self) -> Vec<String> {
        let each = self.ways.iter();
        each.map(|ways| {
            let ways = ways.iter().map(|way| way.url().replace("redis://", ""));
            self.sentinels.url_by(&ways.collect::<Vec<_>>())
        })
        .collect()
    }

    /// The sides are changed, and later the primary dies with what the replica has not heard of; before, between and after,
    /// what one server may do, the primary does too.
    pub(super) async fn harass(&self, world: &World, chance: &mut Rng, until: Instant) {
        let (sentinels, record) = (&self.sentinels, &world.record);
        let length = until - Instant::now();
        self.harass_primary(world, chance, until - length * 3 / 4)
            .await;
        record.fault("sides changed", "the Sentinels are told to change sides");
        sentinels.failover().await;
        record.note_well("the sides are changed");
        self.harass_primary(world, chance, until - length / 2).await;
        let replica = sentinels.replica().await;
        replica.pause();
        record.fault("replica paused", "the replica is paused");
        let lagging = Duration::from_millis(chance.u64(300..1_500));
        tokio::time::sleep(lagging).await;
        sentinels.primary().await.kill();
        record.fault("primary killed", "the primary is killed");
        replica.resume();
        sentinels.kill_primary().await;
        record.note_well("the replica is the primary");
        self.harass_primary(world, chance, until).await;
        for way in self.ways.iter().flatten() {
            way.heal().await;
        }
        record.note_well("all ways are healed");
    }

    async fn harass_primary(&self, world: &World, chance: &mut Rng, until: Instant) {
        let record = &world.record;
        while Instant::now() < until {
            match chance.u8(0..8) {
                0 => lose(world, self.sentinels.primary().await, chance).await,
                1 => restart(world, chance).await,
                5 => set_clock(world, chance),
                6 => reload(world, chance),
                2 => {
                    let primary = self.sentinels.primary().await;
                    let pause = Duration::from_millis(chance.u64(50..1_500));
                    primary.pause();
                    let what = format!("the primary is paused for {pause:?}");
                    record.fault("primary paused", what);
                    tokio::time::sleep(pause).await;
                    primary.resume();
                    record.note_well("the primary goes on");
                }
                3 => {
                    let place = chance.usize(0..self.ways.len());
                    for way in &self.ways[place] {
                        match chance.u8(0..4) {
                            0 => way.cut().await,
                            1 => way.slow(Duration::from_millis(chance.u64(5..400))),
                            _ => way.stall(),
                        }
                    }
                    let what = format!("the ways of {place} to the Sentinels are broken");
                    record.fault("ways to the Sentinels broken", what);
                }
                4 => {
                    let place = chance.usize(0..self.ways.len());
                    for way in &self.ways[place] {
                        way.heal().await;
                    }
                    let what = format!("the ways of {place} to the Sentinels are healed");
                    record.note_well(what);
                }
                _ => {
                    for way in self.ways.iter().flatten() {
                        way.heal().await;
                    }
                    record.note_well("all ways are healed");
                    tokio::time::sleep(CALM).await;
                }
            }
            let pause = Duration::from_millis(chance.u64(50..700));
            tokio::time::sleep(pause).await;
        }
    }
}
