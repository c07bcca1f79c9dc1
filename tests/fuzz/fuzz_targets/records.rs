//! What the shared store holds besides responses; see `tagalong_fuzz::records` for the notation and for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::records::check(input));
