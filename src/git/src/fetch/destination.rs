//! Where do the files go, and what remains when there are none? Nothing, on any failure.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::Error;

/// An empty directory that is emptied again unless it is kept.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    /// A mount point must stay.
    was_there: bool,
    is_kept: bool,
}

impl Destination {
    pub(super) fn prepare(path: &Path) -> Result<Self, Error> {
        let refused = |source| Error::Destination { source };
        let was_there = path.is_dir();
        fs::create_dir_all(path).map_err(refused)?;
        if fs::read_dir(path).map_err(refused)?.next().is_some() {
            return Err(refused(io::ErrorKind::DirectoryNotEmpty.into()));
        }
        let path = path.canonicalize().map_err(refused)?;
        Ok(Self { path, was_there, is_kept: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }

    fn clear(&self) -> io::Result<()> {
        if !self.was_there {
            return fs::remove_dir_all(&self.path);
        }
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = self.clear()
        {
            tracing::warn!(%error, "cannot remove what was fetched");
        }
    }
}
