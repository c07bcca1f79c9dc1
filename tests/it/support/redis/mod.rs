//! Real servers for the tests that share a store: Redis alone, with Sentinels, as a Cluster, and what can go wrong between
//! it and a sidecar. Each keeps its files in a folder of its own, saves nothing, and ends with the test that started it.

use std::fmt::Display;
use std::time::Duration;

use super::within;

mod cluster;
mod cut;
mod port;
mod process;
mod resp;
mod room;
mod sentinels;
mod server;
mod witness;

pub(crate) use cluster::Cluster;
pub(crate) use cut::Cut;
pub(crate) use resp::Reply;
pub(crate) use sentinels::Sentinels;
pub(crate) use server::Redis;
pub(crate) use witness::Witness;

/// How long servers may take to agree among themselves: an election that fails begins anew after seconds.
const AGREEMENT: Duration = Duration::from_secs(60);

/// Asks until it is so. What another process does is no event in this one; the rest between two questions only leaves it
/// the processor.
async fn until(limit: Duration, what: impl Display, mut so: impl AsyncFnMut() -> bool) {
    let asks = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(limit, what, asks).await;
}

/// Asks until servers agree; an error says where they do not, which a test that fails shows.
async fn until_agreed(who: &str, mut agreed: impl AsyncFnMut() -> Result<(), String>) {
    let mut why = String::new();
    let asks = async {
        while let Err(not) = agreed().await {
            why = not;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(AGREEMENT, asks).await.is_err() {
        panic!("waited {AGREEMENT:?} for {who} to agree: {why}");
    }
}
