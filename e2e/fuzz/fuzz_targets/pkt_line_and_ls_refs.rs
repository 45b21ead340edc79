//! Which refs are there? An answer to ls-refs, in pieces, from whoever claims to be git.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_git::fuzz::pkt_line_and_ls_refs(input));
