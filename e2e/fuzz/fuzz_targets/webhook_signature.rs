//! What is read of a call? A signature, and the body that it is of.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_core::webhook::fuzz::signature(input));
