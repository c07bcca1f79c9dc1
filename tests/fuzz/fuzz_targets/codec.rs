//! Bytes from the shared store; see `tagalong_fuzz::codec` for their notation and for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::codec::check(input));
