//! Tagalong: a sidecar HTTP cache that forgets exactly the right responses.

pub mod body;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod model;
pub mod rules;
pub mod yaml;
