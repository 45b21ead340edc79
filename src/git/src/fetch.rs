//! How does a commit get into a directory? Shallow, judged before a file is written, and without
//! running anything that the repository names: no hooks, no filters, no configuration.
//!
//! ```text
//! pull.rs: ask ──▶ pack.rs: receive ──▶ tree.rs: judge all of it ──▶ checkout.rs: write
//! ```

mod checkout;
mod destination;
mod links;
mod options;
pub(crate) mod pack;
pub(crate) mod pull;
mod tree;
mod twins;

use std::path::Path;

pub use options::{FetchOptions, Fetched, GitFolder, Limits, Meter, Step, Want};

use crate::{Error, Remote, Traffic, transport::budget::Budget};
use pack::{Blobs, Store};
use pull::Pull;

/// Fetches one commit into `destination`, an empty or absent directory. Blocks.
///
/// On an error the directory is as it was before. Takes no longer than the remote's timeout.
pub fn fetch(
    remote: &Remote,
    want: &Want,
    destination: &Path,
    options: &FetchOptions<'_>,
) -> Result<Fetched, Error> {
    let directory = destination::Destination::prepare(destination)?;
    let budget = Budget::of(remote, options.limits.received, options.meter.clone());
    let fetched = pull::guarded(remote, budget, Traffic::default(), |way, interrupt| {
        let pull = Pull { way, interrupt, on_step: options.on_step };
        write(&pull, want, directory.path(), options)
    })?;
    directory.keep();
    Ok(fetched)
}

fn write(
    pull: &Pull<'_>,
    want: &Want,
    directory: &Path,
    options: &FetchOptions<'_>,
) -> Result<Fetched, Error> {
    let mut store = Store::with_files(directory, options.limits, Blobs::Wanted);
    let commit = pull.receive(&mut store, want)?;
    pull.tell(&Step::Received { commit: commit.name.clone() });

    let repository = store.repository()?;
    let found = tree::judge(repository, commit.tree, &options.limits, pull.interrupt)?;
    pull.tell(&Step::Judged { entries: found.entries, bytes: found.bytes });

    checkout::write(repository, commit.tree, pull.interrupt)?;
    match options.git_folder {
        GitFolder::Keep => checkout::detach_head(repository, &commit.name)?,
        GitFolder::Remove => checkout::remove_git_folder(repository)?,
    }
    pull.tell(&Step::Written);
    Ok(Fetched {
        commit: commit.name,
        submodules: found.submodules,
        lfs_pointers: found.lfs_pointers,
    })
}
