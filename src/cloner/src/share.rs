//! Can the worker change what was cloned? It runs as another user, and in the same group.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Gives the group what the owner may do, for the directory and all below it. Links are not
/// followed.
pub(crate) fn with_group(directory: &Path) -> io::Result<()> {
    let mut waiting = Vec::<PathBuf>::new();
    for entry in fs::read_dir(directory)? {
        waiting.push(entry?.path());
    }
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_symlink() {
            continue;
        }
        let mode = metadata.permissions().mode();
        let shared = mode | ((mode & 0o700) >> 3);
        if shared != mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(shared))?;
        }
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
    }
    Ok(())
}
