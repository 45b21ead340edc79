//! What is read of a call? The path of a webhook.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_core::webhook::fuzz::path(input));
