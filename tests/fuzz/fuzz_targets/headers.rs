//! The heads of one exchange; see `tagalong_fuzz::headers` for their notation and for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::headers::check(input));
