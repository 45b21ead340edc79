//! What does a check cost that clones? As the original does it: libgit2, depth 1, and every file.

use std::path::Path;
use std::time::Duration;

use git2::build::CheckoutBuilder;
use git2::{FetchOptions, Repository};

use crate::checks::batches;
use crate::process::Spent;
use crate::remotes::Remotes;

/// What one check takes of this process, which libgit2 is part of.
pub(crate) fn measure(remotes: &Remotes, time: Duration) -> anyhow::Result<Spent> {
    let url = remotes.files().uri.to_string();
    check(&url)?;
    Ok(batches(time, &|| check(&url).expect("it has just been cloned")))
}

fn check(url: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    clone(url, folder.path())?;
    Ok(folder.close()?)
}

fn clone(url: &str, folder: &Path) -> Result<(), git2::Error> {
    let repository = Repository::init(folder)?;
    let mut options = FetchOptions::new();
    options.depth(1);
    repository.remote("origin", url)?.fetch(&["main"], Some(&mut options), None)?;
    let commit = repository.revparse_single("origin/main")?;
    repository.checkout_tree(&commit, Some(CheckoutBuilder::new().force()))?;
    repository.set_head_detached(commit.id())
}
