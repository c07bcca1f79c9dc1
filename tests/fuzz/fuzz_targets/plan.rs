//! The head of one request; see `tagalong_fuzz::plan` for its notation and for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::plan::check(input));
