//! Tagalong: a sidecar HTTP cache that forgets exactly the right responses.

pub mod app;
pub mod body;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod dialects;
pub mod fetch;
pub mod model;
pub mod policy;
pub mod proxy;
pub mod rules;
pub mod store;
pub mod tags;
pub mod telemetry;
pub mod upstream;
pub mod yaml;
