//! The store that all sidecars of an app share, Redis or Valkey: the only part that speaks to it.
//!
//! The truth about tags is a log of increments and a key per tag, which scripts change together ([`Link`]). What it means is
//! for `tags` and `cache` to say; here is how it is asked for, and what can go wrong ([`Error`]).

mod audit;
mod bodies;
mod config;
mod connect;
mod error;
mod findings;
mod keys;
mod lease;
mod link;
mod record;
mod responses;
mod sentinels;
mod state;
mod usage;

pub use crate::shared::bodies::{Batch, Scan};
pub use crate::shared::config::{
    Address, Authorities, Config, Endpoint, NoCertificates, NotAnEndpoint, Tls, Topology,
};
pub use crate::shared::error::Error;
pub use crate::shared::findings::Finding;
pub use crate::shared::lease::{Asked, Lease};
pub use crate::shared::link::{Beginning, Heard, Incremented, Link, Position, Registered, Store};
pub use crate::shared::record::{Change, OneResponse, Record, What, is_glob};
pub use crate::shared::state::{HIGHEST_EPOCH, Read, TagState, epoch, sequence};
