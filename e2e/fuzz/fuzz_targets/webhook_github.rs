//! What is read of a call? GitHub's payloads.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_core::webhook::fuzz::github(input));
