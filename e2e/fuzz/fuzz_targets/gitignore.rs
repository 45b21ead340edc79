//! Which files are watched? A tenant's patterns, and a repository's paths.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ger_git::fuzz::gitignore(input));
