//! Heads on the fast path; see `tagalong_fuzz::fast_path` for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::fast_path::check(input));
