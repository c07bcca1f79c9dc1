//! The store that all sidecars of an app share, Redis or Valkey: the only part that speaks to it.

mod config;

pub use crate::shared::config::{
    Address, Authorities, Config, Endpoint, NoCertificates, NotAnEndpoint, Tls, Topology,
};
