//! Names and content that others read; see `tagalong_fuzz::encodings` for the notation and for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::encodings::check(input));
