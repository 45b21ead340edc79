//! Is it safe to write this tree? Every path, link and size is judged before the first file.
//!
//! A few kilobytes of pack can name billions of paths, so the walk counts as it goes and nothing
//! is built from a tree that it did not see the end of.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use gix::{
    ObjectId, Repository,
    bstr::{BStr, BString, ByteSlice as _},
    object::tree::EntryKind,
    validate::path::component::{self, Mode},
};

use super::{
    Limits, links,
    twins::{self, Twins},
};
use crate::{Error, Said, ls_refs::sanitise};

/// What Linux takes as a path, less the room for the destination's own.
const LONGEST_PATH: usize = 3072;
/// What Linux takes as a link's target.
const LONGEST_TARGET: u64 = 4096;
/// What all paths together may take, while they are judged.
const MOST_PATH_BYTES: u64 = 64 << 20;

/// How a file begins whose content Git LFS keeps elsewhere.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1";
/// Such a file has no more bytes.
const LONGEST_POINTER: u64 = 1024;

/// What is in the tree.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) submodules: u64,
    pub(super) lfs_pointers: u64,
    links: BTreeMap<BString, BString>,
}

/// Walks the tree to its end, or to the first thing in it that is refused.
pub(super) fn judge(
    repository: &Repository,
    root: ObjectId,
    limits: &Limits,
    interrupt: &AtomicBool,
) -> Result<Content, Error> {
    let mut walk = Walk {
        repository,
        limits,
        interrupt,
        content: Content::default(),
        twins: Twins::default(),
        path_bytes: 0,
    };
    let mut waiting = vec![(BString::default(), root)];
    while let Some((path, id)) = waiting.pop() {
        walk.directory(path.as_bstr(), id, &mut waiting)?;
    }
    let content = walk.content;
    for (path, target) in &content.links {
        if links::leads_out(path.as_bstr(), target.as_bstr(), &content.links) {
            return Err(refused(path.as_bstr(), "is a link that points out of the repository"));
        }
    }
    Ok(content)
}

struct Walk<'a> {
    repository: &'a Repository,
    limits: &'a Limits,
    interrupt: &'a AtomicBool,
    content: Content,
    twins: Twins,
    path_bytes: u64,
}

impl Walk<'_> {
    fn directory(
        &mut self,
        path: &BStr,
        id: ObjectId,
        waiting: &mut Vec<(BString, ObjectId)>,
    ) -> Result<(), Error> {
        let tree = self
            .repository
            .find_tree(id)
            .map_err(|it| Error::Checkout { source: Said::of(&it) })?;
        for entry in tree.iter() {
            let entry = entry.map_err(|it| Error::Checkout { source: Said::of(&it) })?;
            let path = self.enter(path, entry.filename(), entry.kind())?;
            let id = entry.object_id();
            match entry.kind() {
                EntryKind::Tree => waiting.push((path, id)),
                EntryKind::Commit => {
                    self.content.submodules = self.content.submodules.saturating_add(1);
                }
                EntryKind::Blob | EntryKind::BlobExecutable => self.file(id)?,
                EntryKind::Link => self.link(path, id)?,
            }
        }
        Ok(())
    }

    /// Counts one more entry, and gives its path if that is one to be written.
    fn enter(&mut self, directory: &BStr, name: &BStr, kind: EntryKind) -> Result<BString, Error> {
        self.content.entries = self.content.entries.saturating_add(1);
        let most = self.limits.entries;
        // An interrupted walk has judged nothing; who interrupts knows why.
        let is_stopped = self.interrupt.load(Ordering::Relaxed);
        if self.content.entries > most || is_stopped {
            return Err(Error::Large { what: "files", most });
        }
        let mut path = directory.to_owned();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if path.len() > LONGEST_PATH {
            return Err(refused(path.as_bstr(), "is longer than a path may be"));
        }
        self.path_bytes = self.path_bytes.saturating_add(path.len() as u64);
        if self.path_bytes > MOST_PATH_BYTES {
            return Err(Error::Large { what: "bytes in its paths", most: MOST_PATH_BYTES });
        }
        let mode = (kind == EntryKind::Link).then_some(Mode::Symlink);
        let options =
            component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
        gix::validate::path::component(name, mode, options)
            .map_err(|_| refused(path.as_bstr(), "is not a name that may be written"))?;
        let twin = if kind == EntryKind::Link { twins::Kind::Link } else { twins::Kind::Other };
        if !self.twins.admit(path.as_bstr(), twin) {
            return Err(refused(path.as_bstr(), "and a link have one name on some file systems"));
        }
        Ok(path)
    }

    /// Counts the bytes of a file that will be written, once for each time it is.
    fn weigh(&mut self, id: ObjectId) -> Result<u64, Error> {
        let header = self.repository.find_header(id);
        let size = header.map_err(|it| Error::Checkout { source: Said::of(&it) })?.size();
        self.content.bytes = self.content.bytes.saturating_add(size);
        let most = self.limits.written;
        if self.content.bytes > most {
            return Err(Error::Large { what: "bytes in its files", most });
        }
        Ok(size)
    }

    fn file(&mut self, id: ObjectId) -> Result<(), Error> {
        let size = self.weigh(id)?;
        if (LFS.len() as u64..LONGEST_POINTER).contains(&size) {
            let blob = self.repository.find_object(id);
            let blob = blob.map_err(|it| Error::Checkout { source: Said::of(&it) })?;
            let is_pointer = blob.data.starts_with(LFS);
            let count = &mut self.content.lfs_pointers;
            *count = count.saturating_add(u64::from(is_pointer));
        }
        Ok(())
    }

    fn link(&mut self, path: BString, id: ObjectId) -> Result<(), Error> {
        if self.weigh(id)? > LONGEST_TARGET {
            return Err(refused(path.as_bstr(), "is a link with a target longer than a path"));
        }
        let blob = self.repository.find_object(id);
        let blob = blob.map_err(|it| Error::Checkout { source: Said::of(&it) })?;
        self.content.links.insert(path, BString::from(blob.data.as_slice()));
        Ok(())
    }
}

fn refused(path: &BStr, reason: &'static str) -> Error {
    Error::Unsafe { path: sanitise(path), reason }
}
