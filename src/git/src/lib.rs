//! Asks git remotes what a reference points at, in one round trip, and fetches one commit.
//!
//! - [`Client`]: asynchronous and pooled. [`fetch()`], [`path_hash()`]: the same machinery, blocking.
//! - [`Remote`]: who is asked ([`RepoUri`]), as whom ([`Auth`]), and how it proves itself ([`Tls`]).
//! - [`Reference`], [`SemverRange`], [`Commit`], [`Patterns`]: parsed once, then trusted.
//! - [`github_app`]: tokens of GitHub Apps. [`contract`]: how a Job's cloner is told what to clone.
#![doc = ""]
#![doc = include_str!("../README.md")]
// What is read here comes from strangers. A test may panic: that is how it fails.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)
)]

mod advertisement;
#[cfg(feature = "backend")]
pub mod backend;
mod client;
mod commit;
pub mod contract;
mod error;
mod fetch;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod github_app;
mod known_hosts;
mod ls_refs;
mod path_hash;
mod patterns;
mod redirect;
mod reference;
mod remote;
mod semver;
mod traffic;
mod transport;
mod uri;

pub use self::semver::{BadRange, SemverRange};
pub use client::Client;
pub use commit::{Commit, NotACommit};
pub use error::{Error, Said};
pub use fetch::{FetchOptions, Fetched, GitFolder, Limits, Meter, Step, Want, fetch};
pub use known_hosts::{HostKey, KnownHosts, TooLong, Verdict};
pub use ls_refs::{Malformed, RemoteRef};
pub use path_hash::{HashOptions, Hashing, PathHash, path_hash, remove_leftovers};
pub use patterns::{BadPattern, Patterns};
pub use reference::{Reference, Resolved, Unusable};
pub use remote::{Auth, CaBundle, HostKeys, NotCertificates, Remote, Secret, SshKey, Tls};
pub use traffic::{Exchanged, Traffic};
pub use transport::ssh::BadKey;
pub use uri::{RepoUri, Scheme, UriError};

/// How we introduce ourselves to git servers.
const AGENT: &str = concat!("agent=git-events-runner/", env!("CARGO_PKG_VERSION"));
/// The same for HTTP. Some hosts answer clients only that look like git.
const USER_AGENT: &str = concat!("git/2.0 (git-events-runner/", env!("CARGO_PKG_VERSION"), ")");
