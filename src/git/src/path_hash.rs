//! Have the watched files of a repository changed? A hash over their paths, modes and object ids
//! answers, and needs none of their contents.
//!
//! ```text
//! fetch/pull.rs: trees alone, if the server can ──▶ walk.rs: what is selected ──▶ t1-…
//! ```

mod scratch;
mod walk;

use std::{sync::Once, time::Duration};

use tokio::sync::Semaphore;

use crate::{
    Client, Commit, Error, Limits, Patterns, Remote, Traffic, Want,
    fetch::{
        Meter,
        pack::{Blobs, Store},
        pull::{self, Pull},
    },
    transport::budget::Budget,
};
use scratch::Scratch;

pub use scratch::remove_leftovers;

/// Each holds a pack on disk.
const MOST_AT_ONCE: usize = 4;
/// For one source.
const LONGEST: Duration = Duration::from_mins(2);

static SLOTS: Semaphore = Semaphore::const_new(MOST_AT_ONCE);
static SWEPT: Once = Once::new();

/// By which rules files are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Hashing {
    /// Path, mode and object id of each file, link and submodule.
    #[default]
    Ours,
    /// What the original git-events-runner put into `fileHash`: the contents alone, which must all be
    /// fetched.
    Original,
}

/// How to hash.
#[derive(Debug, Clone)]
pub struct HashOptions {
    /// By which rules.
    pub hashing: Hashing,
    /// What the source may take. `written` are the bytes that are hashed.
    pub limits: Limits,
    /// Where it is counted.
    pub traffic: Traffic,
}

impl Default for HashOptions {
    /// Less than a clone may take: this runs where all triggers are watched.
    fn default() -> Self {
        let limits =
            Limits { received: 256 << 20, written: 1 << 30, object: 128 << 20, entries: 200_000 };
        Self { hashing: Hashing::Ours, limits, traffic: Traffic::default() }
    }
}

/// What the watched files are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathHash {
    /// `t1-<digest of the patterns>-<digest of the files>`; by [`Hashing::Original`] 64 hex digits.
    pub hash: String,
    /// Files that the patterns select.
    pub matched: u64,
    /// The commit that was looked at.
    pub commit: Commit,
}

/// Hashes what `patterns` select in a commit. Blocks, for no longer than the remote's timeout.
///
/// What is fetched goes into a temporary directory that is gone afterwards.
pub fn path_hash(
    remote: &Remote,
    want: &Want,
    patterns: &Patterns,
    options: &HashOptions,
) -> Result<PathHash, Error> {
    SWEPT.call_once(|| {
        remove_leftovers();
    });
    let scratch = Scratch::create().map_err(|source| Error::Destination { source })?;
    let budget = Budget::of(remote, options.limits.received, Meter::default());
    pull::guarded(remote, budget, options.traffic.clone(), |way, interrupt| {
        let blobs = match options.hashing {
            Hashing::Ours => Blobs::Unwanted,
            Hashing::Original => Blobs::Wanted,
        };
        let mut store = Store::bare(scratch.path(), options.limits, blobs);
        let pull = Pull { way, interrupt, on_step: &|_| {} };
        let commit = pull.receive(&mut store, want)?;
        let walk = walk::Walk::new(store.repository()?, &options.limits, interrupt);
        let (hash, matched) = match options.hashing {
            Hashing::Ours => {
                let (digest, matched) = walk.ours(commit.tree, patterns)?;
                (format!("t1-{}-{digest}", patterns.digest()), matched)
            }
            Hashing::Original => walk.original(commit.tree, patterns)?,
        };
        Ok(PathHash { hash, matched, commit: commit.name })
    })
}

impl Client {
    /// Hashes what `patterns` select in a commit, by [`path_hash`] on a thread for work that blocks.
    ///
    /// Four at a time in the whole process, each within the remote's timeout and two minutes. It counts
    /// in [`traffic`](Self::traffic).
    pub async fn path_hash(
        &self,
        remote: &Remote,
        want: &Want,
        patterns: &Patterns,
        hashing: Hashing,
    ) -> Result<PathHash, Error> {
        let slot = SLOTS.acquire().await.map_err(|_| Error::Worker)?;
        let remote = Remote { timeout: remote.timeout.min(LONGEST), ..remote.clone() };
        let (want, patterns) = (want.clone(), patterns.clone());
        let traffic = self.traffic().clone();
        let options = HashOptions { hashing, traffic, ..HashOptions::default() };
        tokio::task::spawn_blocking(move || {
            // Held until the disk is free again, whether or not somebody still waits.
            let _slot = slot;
            path_hash(&remote, &want, &patterns, &options)
        })
        .await
        .map_err(|_| Error::Worker)?
    }
}
