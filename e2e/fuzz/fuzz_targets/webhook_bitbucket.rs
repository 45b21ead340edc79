//! What is read of a call? Bitbucket's payloads, Cloud's and Data Center's.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_core::webhook::fuzz::bitbucket(input));
