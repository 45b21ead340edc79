//! How do the files get out of the pack? By gix, after the tree was judged, and with no program's
//! help.

use std::{fs, sync::atomic::AtomicBool};

use gix::{
    ObjectId, Repository,
    progress::Discard,
    worktree::{stack::state::attributes::Source, state},
};

use crate::{Commit, Error, Said, error::no_room};

/// Writes the files of `tree`, and the index that belongs to them.
pub(super) fn write(
    repository: &Repository,
    tree: ObjectId,
    interrupt: &AtomicBool,
) -> Result<(), Error> {
    let conflicts =
        write_files(repository, tree, interrupt).map_err(|source| match no_room(&source) {
            Some(source) => Error::Destination { source },
            None => Error::Checkout { source: Said::of(&source) },
        })?;
    match conflicts {
        0 => Ok(()),
        _ => Err(Error::Unsafe {
            path: "a path".to_owned(),
            reason: "is another one's twin on this file system",
        }),
    }
}

/// The number of files that could not be written because another one is in their place.
fn write_files(
    repository: &Repository,
    tree: ObjectId,
    interrupt: &AtomicBool,
) -> Result<usize, gix::Error> {
    let mut index = repository.index_from_tree(&tree)?;
    let mut options = repository.checkout_options(Source::IdMapping)?;
    options.destination_is_initially_empty = true;
    let directory = repository.workdir().unwrap_or_else(|| repository.path());
    let outcome = state::checkout(
        &mut index,
        directory,
        repository.objects.clone().into_arc().map_err(gix::Error::from_error)?,
        &Discard,
        &Discard,
        interrupt,
        options,
    )?;
    index.write(gix::index::write::Options::default())?;
    let conflicts = outcome.collisions.len().saturating_add(outcome.errors.len());
    Ok(conflicts)
}

/// Lets `git log` and `git status` see the commit.
pub(super) fn detach_head(repository: &Repository, commit: &Commit) -> Result<(), Error> {
    fs::write(repository.path().join("HEAD"), format!("{commit}\n"))
        .map_err(|source| Error::Destination { source })
}

/// Leaves the files alone.
pub(super) fn remove_git_folder(repository: &Repository) -> Result<(), Error> {
    fs::remove_dir_all(repository.path()).map_err(|source| Error::Destination { source })
}
