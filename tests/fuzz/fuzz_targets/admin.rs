//! Calls of operators; see `tagalong_fuzz::admin` for their notation and for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::admin::check(input));
