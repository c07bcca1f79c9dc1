//! The harness: a scripted app, a client that sees every byte, and the sidecar between them. Nothing here sleeps: a test
//! waits for an event, and every wait ends in a failure that names the event if it does not come.

use std::fmt::Display;
use std::time::Duration;

mod answer;
mod certificate;
mod client;
mod log;
mod origin;
mod process;
mod redis;
mod reply;
mod sidecar;
mod wire;

pub(crate) use answer::Answer;
pub(crate) use certificate::Certificate;
pub(crate) use client::Ask;
pub(crate) use client::Client;
pub(crate) use client::Connection;
pub(crate) use client::Open;
pub(crate) use client::Pending;
pub(crate) use client::ask;
pub(crate) use client::content;
pub(crate) use client::get;
pub(crate) use client::post;
pub(crate) use log::Log;
pub(crate) use origin::Call;
pub(crate) use origin::Held;
pub(crate) use origin::Origin;
pub(crate) use process::Process;
pub(crate) use redis::Cluster;
pub(crate) use redis::Cut;
pub(crate) use redis::Redis;
pub(crate) use redis::Reply as RedisReply;
pub(crate) use redis::Sentinels;
pub(crate) use redis::Witness;
pub(crate) use reply::Reply;
pub(crate) use reply::chunk;
pub(crate) use reply::not_modified;
pub(crate) use reply::reply;
pub(crate) use reply::verbatim;
pub(crate) use sidecar::Setup;
pub(crate) use sidecar::Sidecar;
pub(crate) use sidecar::date;
pub(crate) use sidecar::sidecars;
pub(crate) use sidecar::stage;
pub(crate) use wire::End;
pub(crate) use wire::Framing;
pub(crate) use wire::Head;
pub(crate) use wire::Reading;
pub(crate) use wire::Wire;

/// How long a test waits for an event before it fails; far longer than anything takes, so that a busy machine is no bug.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must happen; fails, naming it, when it does not.
pub(crate) async fn soon<T>(what: impl Display, event: impl Future<Output = T>) -> T {
    within(PATIENCE, what, event).await
}

/// As [`soon`], for what may take longer or less long.
async fn within<T>(limit: Duration, what: impl Display, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, event).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} for: {what}"),
    }
}
