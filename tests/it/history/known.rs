//! The checker held to what is known: it finds what a sidecar without a fence serves, and nothing where there is one.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tagalong::clock::Clock;
use tagalong::model::time::Timestamp;
use tokio::time::Instant;

use super::clients::Client;
use super::clients::World;
use super::fleet::Fleet;
use super::fleet::MAX_LAG;
use super::fleet::Sharing;
use super::fleet::max_lag;
use super::record::Record;
use super::registers::Moods;
use super::registers::Promise;
use super::registers::Register;
use super::registers::Registers;
use super::registers::Told;
use crate::support::Cut;
use crate::support::Redis;
use crate::support::soon;

/// One sidecar hears nothing of the store any more, while something is written through the other; what the checker says of what is
/// read then, until that must be right. The sidecars trust what they know for so long; the one's clock is set to there when it hears
/// nothing any more.
async fn unheard_of(trusted: Duration, clock: Timestamp) -> Result<(), String> {
    let app = Registers::start(Moods::Prompt, Rng::with_seed(0)).await;
    let redis = Redis::start().await;
    let way = Cut::before(redis.port()).await;
    let sharing = |url| Sharing {
        url,
        tags: max_lag(trusted),
        memory: None,
    };
    let urls = [redis.url(), way.url()].map(sharing);
    let world = World {
        fleet: Arc::new(Fleet::start(&app, urls.into()).await),
        record: Arc::new(Record::new(MAX_LAG)),
    };
    let register = Register {
        promise: Promise::Bounded,
        told: Told::Header,
        number: 0,
    };
    let mut client = Client::new(world.clone(), Rng::with_seed(0));
    let stored = async { while client.read(1, register).await != Ok(Some(true)) {} };
    soon("it to be stored", stored).await;
    way.stall();
    world.fleet.clock(1).set(clock);
    while world.record.counts().acknowledged == 0 {
        client.write(0, register).await?;
    }
    let enough = Instant::now() + MAX_LAG * 3 / 2;
    while Instant::now() < enough {
        client.read(1, register).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_sidecar_without_a_fence_is_found_out() {
    let now = Clock::System.now();
    let why = unheard_of(Duration::from_secs(3_600), now).await;
    let why = why.unwrap_err();
    assert!(why.starts_with("/bounded/header/0 was "), "{why}");
    assert!(why.contains("but 0 was read"), "{why}");
}

#[tokio::test]
async fn a_sidecar_with_a_fence_is_not() {
    let found = unheard_of(MAX_LAG, Clock::System.now()).await;
    assert_eq!(found, Ok(()));
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_no_fence_off() {
    let yesterday = Clock::System.now() - Duration::from_secs(86_400);
    let found = unheard_of(MAX_LAG, yesterday).await;
    assert_eq!(found, Ok(()));
}
