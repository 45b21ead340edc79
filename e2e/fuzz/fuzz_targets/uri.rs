//! Which remote is meant? An address as a tenant writes it.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_git::fuzz::uri(input));
