//! The text of `tagalong.yaml`; see `tagalong_fuzz::config` for what must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tagalong_fuzz::config::check(input));
