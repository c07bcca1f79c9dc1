//! What must hold for any input, apart from the fuzzer: `tests/it/hostile.rs` holds the corpus and random heads to the
//! same functions.

pub mod headers;
