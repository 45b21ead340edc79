//! What does a server say first? Capabilities or refs, in any version of the protocol.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_git::fuzz::advertisement(input));
