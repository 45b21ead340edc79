//! Asks git remotes what a reference points at, in one round trip, and fetches one commit.
//!
//! - [`Client::resolve`] and [`Client::ls_refs`]: asynchronous, pooled, one POST a check.
//! - [`fetch`]: blocking; one commit into a directory, whatever the repository would like to do.
//! - [`contract`]: how a Job's cloner is told what to clone.
//! - [`RepoUri`], [`Reference`], [`Commit`]: parsed once, then trusted.
// What is read here comes from strangers. A test may panic: that is how it fails.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)
)]

#[cfg(feature = "backend")]
pub mod backend;
mod client;
mod commit;
pub mod contract;
mod error;
mod fetch;
mod ls_refs;
mod redirect;
mod reference;
mod remote;
mod traffic;
mod transport;
mod uri;

pub use client::Client;
pub use commit::{Commit, NotACommit};
pub use error::{Error, Said};
pub use fetch::{FetchOptions, Fetched, GitFolder, Limits, Step, Want, fetch};
pub use ls_refs::{Malformed, RemoteRef};
pub use reference::{Reference, Unusable};
pub use remote::{Auth, Remote, Secret, Tls};
pub use traffic::{Exchanged, Traffic};
pub use uri::{RepoUri, Scheme, UriError};

/// How we introduce ourselves to git servers.
const AGENT: &str = concat!("agent=git-events-runner/", env!("CARGO_PKG_VERSION"));
/// The same for HTTP. Some hosts answer clients only that look like git.
const USER_AGENT: &str = concat!("git/2.0 (git-events-runner/", env!("CARGO_PKG_VERSION"), ")");
