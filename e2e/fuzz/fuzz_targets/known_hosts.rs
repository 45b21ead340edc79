//! Is this the server that it says it is? A tenant's known_hosts, and a host to look for.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_git::fuzz::known_hosts(input));
