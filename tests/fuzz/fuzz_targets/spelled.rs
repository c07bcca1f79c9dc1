//! The head of one request, and the same in other words; see `tagalong_fuzz::spelled` for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::spelled::check(input));
