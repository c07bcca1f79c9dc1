//! Tagalong: a sidecar HTTP cache that forgets exactly the right responses.

pub mod body;
pub mod clock;
pub mod dialects;
pub mod model;
pub mod tags;
pub mod rules;
pub mod yaml;
pub mod policy;
pub mod upstream;
