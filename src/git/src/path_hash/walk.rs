//! Which files of a tree are watched, and what are they like? Trees are read one at a time, and
//! only those that may hold a watched file.

use std::sync::atomic::{AtomicBool, Ordering};

use gix::{
    ObjectId, Repository,
    bstr::{BStr, BString, ByteSlice as _},
    object::tree::EntryKind,
};
use sha2::{Digest as _, Sha256};

use crate::{Error, Limits, Patterns, Said};

/// What all paths together may take.
const MOST_PATH_BYTES: u64 = 32 << 20;

/// A walk under way.
pub(super) struct Walk<'a> {
    repository: &'a Repository,
    limits: &'a Limits,
    interrupt: &'a AtomicBool,
    entries: u64,
    path_bytes: u64,
}

/// Something in a tree.
struct Entry {
    path: BString,
    kind: EntryKind,
    id: ObjectId,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        repository: &'a Repository,
        limits: &'a Limits,
        interrupt: &'a AtomicBool,
    ) -> Self {
        Self { repository, limits, interrupt, entries: 0, path_bytes: 0 }
    }

    /// The digest of path, mode and id of what is selected, and how much that is.
    ///
    /// Git sorts trees so that a walk in their order is one in the order of paths.
    pub(super) fn ours(
        mut self,
        root: ObjectId,
        patterns: &Patterns,
    ) -> Result<(String, u64), Error> {
        let mut digest = Sha256::new();
        let mut matched = 0_u64;
        let mut ahead = self.read(BStr::new(""), root)?;
        ahead.reverse();
        while let Some(entry) = ahead.pop() {
            if entry.kind == EntryKind::Tree {
                ahead.extend(self.below(&entry, patterns)?.into_iter().rev());
            } else if patterns.selects(&entry.path) {
                matched = matched.saturating_add(1);
                // No path holds a NUL, so no two lists of files read the same.
                digest.update(entry.path.as_slice());
                digest.update([0]);
                digest.update(entry.kind.as_octal_str());
                digest.update([0]);
                digest.update(entry.id.as_slice());
            }
        }
        Ok((hex::encode(digest.finalize()), matched))
    }

    /// What is in a directory, if any of it may be watched.
    fn below(&mut self, entry: &Entry, patterns: &Patterns) -> Result<Vec<Entry>, Error> {
        if !patterns.enters(&entry.path) {
            return Ok(Vec::new());
        }
        self.read(entry.path.as_bstr(), entry.id)
    }

    /// What the original computes: the digest of the contents' digests, in the order in which it
    /// walked a directory, of regular files alone.
    pub(super) fn original(
        mut self,
        root: ObjectId,
        patterns: &Patterns,
    ) -> Result<(String, u64), Error> {
        let mut digest = Sha256::new();
        let (mut matched, mut bytes) = (0_u64, 0_u64);
        let mut ahead = self.read_by_name(BStr::new(""), root)?;
        while let Some(entry) = ahead.pop() {
            match entry.kind {
                EntryKind::Tree if patterns.original_enters(&entry.path) => {
                    ahead.extend(self.read_by_name(entry.path.as_bstr(), entry.id)?);
                }
                EntryKind::Blob | EntryKind::BlobExecutable
                    if patterns.original_selects(&entry.path) =>
                {
                    matched = matched.saturating_add(1);
                    let content = self.content(entry.id, &mut bytes)?;
                    digest.update(Sha256::digest(content));
                }
                _ => {}
            }
        }
        Ok((hex::encode(digest.finalize()), matched))
    }

    /// Last first, by name alone: git sorts directories as if a slash ended their names.
    fn read_by_name(&mut self, path: &BStr, id: ObjectId) -> Result<Vec<Entry>, Error> {
        let mut entries = self.read(path, id)?;
        entries.sort_by(|a, b| b.path.cmp(&a.path));
        Ok(entries)
    }

    fn read(&mut self, directory: &BStr, id: ObjectId) -> Result<Vec<Entry>, Error> {
        let unreadable = |it: gix::Error| Error::Checkout { source: Said::of(&it) };
        let tree = self.repository.find_tree(id).map_err(unreadable)?;
        let mut entries = Vec::new();
        for entry in tree.iter() {
            let entry = entry.map_err(unreadable)?;
            let mut path = directory.to_owned();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(entry.filename());
            self.count(path.len())?;
            entries.push(Entry { path, kind: entry.kind(), id: entry.object_id() });
        }
        Ok(entries)
    }

    /// Counts one more entry. A few kilobytes of pack can name billions.
    fn count(&mut self, path_bytes: usize) -> Result<(), Error> {
        self.entries = self.entries.saturating_add(1);
        self.path_bytes = self.path_bytes.saturating_add(path_bytes as u64);
        // An interrupted walk has hashed nothing; who interrupts knows why.
        let is_stopped = self.interrupt.load(Ordering::Relaxed);
        if self.entries > self.limits.entries || is_stopped {
            return Err(Error::Large { what: "files", most: self.limits.entries });
        }
        if self.path_bytes > MOST_PATH_BYTES {
            return Err(Error::Large { what: "bytes in its paths", most: MOST_PATH_BYTES });
        }
        Ok(())
    }

    fn content(&self, id: ObjectId, bytes: &mut u64) -> Result<Vec<u8>, Error> {
        let unreadable = |it: gix::Error| Error::Checkout { source: Said::of(&it) };
        let size = self.repository.find_header(id).map_err(unreadable)?.size();
        *bytes = bytes.saturating_add(size);
        let most = self.limits.written;
        if *bytes > most || self.interrupt.load(Ordering::Relaxed) {
            return Err(Error::Large { what: "bytes in its files", most });
        }
        let mut blob = self.repository.find_object(id).map_err(unreadable)?;
        Ok(std::mem::take(&mut blob.data))
    }
}
