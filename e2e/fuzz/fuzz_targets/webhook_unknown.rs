//! What is read of a call? Whatever a caller sends of whom nothing is known.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_core::webhook::fuzz::unknown(input));
