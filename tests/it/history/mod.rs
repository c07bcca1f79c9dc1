//! Many sidecars, one truth, whatever happens: clients read and write registers through all of them while Redis is stopped,
//! paused, killed, flushed, failed over and cut off from some, their own clocks are set back and forward, other rules come into
//! force at some, and one has room for hardly any response, all by chance; and no read through any sidecar may return a value that
//! is older than the last write acknowledged before the read began, beyond `max_lag` where it is bounded, and not at
//! all where it is strict.
//!
//! `HISTORY_SECONDS=3600` runs for so long, in rounds of a minute, each with new servers; `HISTORY_SEED=7` begins with the round
//! of that seed. What happens to servers and sidecars is the same each time with the same seed, and about at the same time; who wins which race
//! is not. [`record`] says what may be read.

mod clients;
mod faults;
mod fleet;
mod known;
mod record;
mod registers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::clients::Client;
use self::clients::World;
use self::faults::Alone;
use self::faults::Named;
use self::fleet::Fleet;
use self::fleet::MAX_LAG;
use self::fleet::Sharing;
use self::fleet::max_lag;
use self::record::Counts;
use self::record::Record;
use self::registers::Moods;
use self::registers::Register;
use self::registers::Registers;

/// How many sidecars.
const PLACES: usize = 3;

/// How many clients.
const CLIENTS: usize = 24;

/// The longest round: its record is kept whole.
const ROUND: Duration = Duration::from_secs(60);

/// How long a sidecar may take to be of use again once all is well.
const RECOVERY: Duration = Duration::from_secs(10);

/// What part of all reads must have been hits: who stores nothing is never stale.
const HITS: usize = 15;

/// The place that has hardly any memory for responses, and how much: for a third of them.
const CRAMPED: (usize, usize) = (1, 10_000);

/// One that shares the store at each of these. The last has room for hardly anything that waits, so that too much does.
fn sharing(urls: impl IntoIterator<Item = String>) -> Vec<Sharing> {
    let one = |(place, url)| {
        let room = if place + 1 == PLACES { 3 } else { 10_000 };
        let tags = format!("{}, outbox: {{ max: {room} }}", max_lag(MAX_LAG));
        let (cramped, bytes) = CRAMPED;
        let memory = (place == cramped).then_some(bytes);
        Sharing { url, tags, memory }
    };
    urls.into_iter().enumerate().map(one).collect()
}

/// Clients that ask until something is wrong or `happens` has happened; then every sidecar must be of use again.
async fn watched(
    world: &World,
    chance: &mut Rng,
    happens: impl Future<Output = ()>,
) -> Result<Happened, String> {
    let (stop, told) = watch::channel(false);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let client = Client::new(world.clone(), chance.fork());
        clients.spawn(client.run(told.clone()));
    }
    tokio::select! {
        () = happens => {}
        Some(ended) = clients.join_next() => ended.expect("a client does not panic")?,
    }
    stop.send_replace(true);
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client does not panic")?;
    }
    let mut client = Client::new(world.clone(), chance.fork());
    for place in 0..world.fleet.len() {
        for register in Register::all() {
            let hits = async {
                while client.read(place, register).await? != Some(true) {}
                Ok::<_, String>(())
            };
            match tokio::time::timeout(RECOVERY, hits).await {
                Ok(found) => found?,
                Err(_) => {
                    let said = world.record.of(register);
                    return Err(format!("no hit of {register} at {place}\n{said}"));
                }
            }
        }
    }
    let evictions = world.fleet.evictions(CRAMPED.0).await;
    Ok((world.record.counts(), world.record.faults(), evictions))
}

/// What happened in a round: to clients, to servers and sidecars, and how many responses left the cramped one in its last life.
type Happened = (Counts, BTreeMap<&'static str, usize>, usize);

/// One server, with a way to it for each sidecar.
async fn alone(seed: u64, length: Duration) -> Result<Happened, String> {
    let mut chance = Rng::with_seed(seed);
    let app = Registers::start(Moods::Various, chance.fork()).await;
    let mut alone = Alone::start(PLACES).await;
    let urls: Vec<String> = alone.ways.iter().map(|way| way.url()).collect();
    let world = World {
        fleet: Arc::new(Fleet::start(&app, sharing(urls)).await),
        record: Arc::new(Record::new(MAX_LAG)),
    };
    let mut faults = chance.fork();
    let happens = async {
        alone
            .harass(&world, &mut faults, Instant::now() + length)
            .await;
        alone.heal(&world).await;
    };
    watched(&world, &mut chance, happens).await
}

/// A primary and a replica, and Sentinels who say which is which.
async fn with_sentinels(seed: u64, length: Duration) -> Result<Happened, String> {
    let mut chance = Rng::with_seed(seed);
    let app = Registers::start(Moods::Various, chance.fork()).await;
    let named = Named::start(PLACES).await;
    let world = World {
        fleet: Arc::new(Fleet::start(&app, sharing(named.urls())).await),
        record: Arc::new(Record::new(MAX_LAG)),
    };
    let mut faults = chance.fork();
    let until = Instant::now() + length;
    let happens = named.harass(&world, &mut faults, until);
    watched(&world, &mut chance, happens).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the way to tell a test how much to do"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// Runs rounds for as long as it is told to, or one of this length.
async fn rounds(
    what: &str,
    usual: Duration,
    round: impl AsyncFn(u64, Duration) -> Result<Happened, String>,
) {
    let told = number("HISTORY_SECONDS").map(Duration::from_secs);
    let end = Instant::now() + told.unwrap_or(usual);
    let (mut all, mut checked, mut acknowledged) = (BTreeMap::new(), 0, 0);
    let mut seed = number("HISTORY_SEED").unwrap_or_else(|| Rng::new().u64(0..1_000_000));
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let length = left.min(ROUND).max(usual.min(ROUND));
        println!("{what}: HISTORY_SEED={seed}, {length:?}");
        match round(seed, length).await {
            Err(why) => panic!("{what}: HISTORY_SEED={seed}: {why}"),
            Ok((counts, faults, evictions)) => {
                println!("{what}: {counts:?}, {evictions} evictions");
                let Counts { reads, hits, .. } = counts;
                assert!(hits * 100 >= reads * HITS, "too few hits to say much");
                let is_enough = counts.acknowledged > 0 && counts.deferred > 0;
                assert!(is_enough, "too little to say much");
                assert!(evictions > 0, "there was room for all");
                checked += reads;
                acknowledged += counts.acknowledged + counts.deferred;
                for (kind, times) in faults {
                    *all.entry(kind).or_insert(0) += times;
                }
            }
        }
        if Instant::now() >= end {
            let times: usize = all.values().sum();
            let kinds = all.iter().map(|(kind, times)| format!("{times} {kind}"));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            println!(
                "{what}: {acknowledged} writes, {checked} reads checked, {times} faults: {kinds}"
            );
            return;
        }
        seed += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_promised_whatever_happens_to_the_server() {
    rounds("one server", Duration::from_secs(35), alone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_promised_whatever_happens_to_primary_and_replica() {
    rounds("Sentinels", Duration::from_secs(20), with_sentinels).await;
}
