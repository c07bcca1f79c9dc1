//! What must hold for any input, apart from the fuzzer: `tests/it/hostile.rs` holds the corpus and random inputs to the
//! same functions.

pub mod admin;
pub mod codec;
pub mod config;
pub mod encodings;
pub mod fast_path;
mod fields;
pub mod headers;
mod mistakes;
pub mod plan;
pub mod ranges;
pub mod records;
pub mod rules;
pub mod spelled;
pub mod tokens;
