//! What happens to servers, to the ways to them, and to sidecars: by chance, one thing after another, each in the record.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::clients::World;
use super::fleet::Ending;
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
const CALM: Duration = Duration::from_millis(1_500);

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
        match chance.u8(0..20) {
            0..6 => self.break_way(world, chance).await,
            6..11 => self.heal_way(world, chance).await,
            11..13 => self.change_state(world, chance).await,
            13 => {
                self.heal(world).await;
                tokio::time::sleep(CALM).await;
            }
            14..16 => restart(world, chance).await,
            _ if self.state == State::Running => lose(world, &self.redis, chance).await,
            _ => self.revive(world).await,
        }
    }

    async fn break_way(&mut self, world: &World, chance: &mut Rng) {
        let place = chance.usize(0..self.ways.len());
        let way = &self.ways[place];
        self.broken[place] = true;
        let say = |what: &str| world.record.fault(format!("the way of {place} {what}"));
        match chance.u8(0..6) {
            0 | 1 => {
                way.stall();
                say("is stalled");
            }
            2 => {
                way.cut().await;
                say("is cut");
            }
            3 => {
                way.hold_replies();
                say("holds replies back");
            }
            4 => {
                let delay = Duration::from_millis(chance.u64(5..400));
                way.slow(delay);
                say(&format!("is slow by {delay:?}"));
            }
            _ => {
                let error = ERRORS[chance.usize(0..ERRORS.len())];
                way.answer_errors(Some(error));
                say(&format!("answers {error}"));
            }
        }
    }

    async fn heal_way(&mut self, world: &World, chance: &mut Rng) {
        let place = chance.usize(0..self.ways.len());
        if std::mem::take(&mut self.broken[place]) {
            world.record.fault(format!("the way of {place} is healed"));
            self.ways[place].heal().await;
        }
    }

    async fn change_state(&mut self, world: &World, chance: &mut Rng) {
        match self.state {
            State::Running if chance.bool() => {
                self.redis.pause();
                self.state = State::Paused;
                world.record.fault("the server is paused");
            }
            State::Running => {
                self.redis.kill();
                self.state = State::Killed;
                world.record.fault("the server is killed");
            }
            State::Paused | State::Killed => self.revive(world).await,
        }
    }

    async fn revive(&mut self, world: &World) {
        match self.state {
            State::Running => {}
            State::Paused => {
                world.record.fault("the server goes on");
                self.redis.resume();
            }
            State::Killed => {
                world
                    .record
                    .fault("the server is started with nothing in it");
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
        world.record.fault("all ways are healed");
    }
}

/// A server loses something, or everything.
async fn lose(world: &World, redis: &Redis, chance: &mut Rng) {
    match chance.u8(0..6) {
        0 => {
            redis.flush_all().await;
            world.record.fault("everything is flushed");
        }
        1 => {
            redis.forget_scripts().await;
            world.record.fault("the scripts are forgotten");
        }
        2 => {
            let key = KEYS[chance.usize(0..KEYS.len())];
            redis
                .command(&["DEL", &format!("tagalong:{{tagalong}}:{key}")])
                .await;
            world.record.fault(format!("`{key}` is lost"));
        }
        _ => {
            let share = chance.u8(1..=4);
            let keys = redis.keys().await;
            let tags = keys.iter().filter(|key| key.contains(":tag:"));
            let lost: Vec<&String> = tags.filter(|_| chance.u8(0..4) < share).collect();
            for key in &lost {
                redis.command(&["DEL", key.as_str()]).await;
            }
            world.record.fault(format!("{} tags are lost", lost.len()));
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
    world.record.fault(format!("{ending:?} of {place}"));
    world.fleet.replace(place, ending).await;
    world.record.fault(format!("another one is at {place}"));
}

/// A primary and its replica: sides are changed, and the primary dies with what the replica has not heard of.
pub(super) async fn fail_over(
    sentinels: &Sentinels,
    world: &World,
    chance: &mut Rng,
    until: Instant,
) {
    let length = until - Instant::now();
    // What one server may do, the primary may do too.
    harass_primary(sentinels, world, chance, until - length * 3 / 4).await;
    world.record.fault("the Sentinels are told to change sides");
    sentinels.failover().await;
    world.record.fault("the sides are changed");
    harass_primary(sentinels, world, chance, until - length / 2).await;
    let replica = sentinels.replica().await;
    replica.pause();
    world.record.fault("the replica is paused");
    let lagging = Duration::from_millis(chance.u64(300..1_500));
    tokio::time::sleep(lagging).await;
    sentinels.primary().await.kill();
    world.record.fault("the primary is killed");
    replica.resume();
    sentinels.kill_primary().await;
    world.record.fault("the replica is the primary");
    harass_primary(sentinels, world, chance, until).await;
}

async fn harass_primary(sentinels: &Sentinels, world: &World, chance: &mut Rng, until: Instant) {
    while Instant::now() < until {
        match chance.u8(0..4) {
            0 => lose(world, sentinels.primary().await, chance).await,
            1 => restart(world, chance).await,
            2 => {
                let primary = sentinels.primary().await;
                let pause = Duration::from_millis(chance.u64(50..1_500));
                primary.pause();
                world
                    .record
                    .fault(format!("the primary is paused for {pause:?}"));
                tokio::time::sleep(pause).await;
                primary.resume();
                world.record.fault("the primary goes on");
            }
            _ => tokio::time::sleep(CALM).await,
        }
        let pause = Duration::from_millis(chance.u64(50..700));
        tokio::time::sleep(pause).await;
    }
}
