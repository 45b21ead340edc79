//! Where do the sample repositories live? On a real git server on this machine, pushable over
//! http; the tests of `ger-git` talk to the same one.

pub(crate) use ger_git::backend::Server as GitServer;
