//! A rule file; see `tagalong_fuzz::rules` for its notation and for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::rules::check(input));
