//! JSON Web Tokens; see `tagalong_fuzz::tokens` for their notation and for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::tokens::check(input));
