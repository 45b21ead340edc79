//! Where does it go what is fetched to be looked at? Into a temporary directory that is removed
//! afterwards, and by the next process if this one does not live to do it.
//!
//! A living owner holds a lock on a file in its directory; the kernel lets go of it with the process.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// While it is made.
const UNFINISHED: &str = "ger-unfinished-";
/// Once its owner holds the lock.
const PREFIX: &str = "ger-files-";
const LOCK: &str = "lock";
const CONTENT: &str = "content";

/// An empty directory, removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    directory: PathBuf,
    content: PathBuf,
    _lock: File,
}

impl Scratch {
    pub(super) fn create() -> io::Result<Self> {
        Self::create_in(&std::env::temp_dir())
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(parent)?;
        let lock = File::create_new(unfinished.path().join(LOCK))?;
        lock.lock()?;
        fs::create_dir(unfinished.path().join(CONTENT))?;
        let name = unfinished.path().file_name().unwrap_or_default().to_string_lossy();
        let name = name.replacen(UNFINISHED, PREFIX, 1);
        let directory = parent.join(name);
        // Whoever finds it under this name finds it locked.
        fs::rename(unfinished.path(), &directory)?;
        let _ = unfinished.keep();
        let content = directory.join(CONTENT);
        Ok(Self { directory, content, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.content
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, "cannot remove a temporary directory");
        }
    }
}

/// Removes temporary directories whose owners are gone; says how many.
///
/// Called before the first hash; to call it again does no harm.
pub fn remove_leftovers() -> u64 {
    remove_leftovers_in(&std::env::temp_dir())
}

fn remove_leftovers_in(parent: &Path) -> u64 {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|it| it.file_name().to_string_lossy().starts_with(PREFIX));
    let removed = ours.filter(|it| remove_if_left(&it.path()).is_ok_and(|removed| removed));
    removed.count() as u64
}

/// The lock of a link or of somebody else's directory cannot be taken, and it stays.
fn remove_if_left(directory: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(directory)?.is_dir() {
        return Ok(false);
    }
    let lock = File::options().write(true).open(directory.join(LOCK))?;
    if lock.try_lock().is_err() {
        return Ok(false);
    }
    fs::remove_dir_all(directory)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Scratch::create_in(parent.path()).unwrap();
        let left = parent.path().join("ger-files-left");
        fs::create_dir_all(left.join(CONTENT).join("objects")).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let foreign = parent.path().join("ger-files-foreign");
        fs::create_dir(&foreign).unwrap();
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();

        let removed = remove_leftovers_in(parent.path());

        assert_eq!(removed, 1);
        assert!(!left.exists() && foreign.exists() && other.exists() && alive.path().exists());
    }

    #[test]
    fn nothing_remains_of_what_is_dropped() {
        let parent = tempfile::tempdir().unwrap();

        let scratch = Scratch::create_in(parent.path()).unwrap();
        fs::write(scratch.path().join("pack"), "x").unwrap();
        drop(scratch);

        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
