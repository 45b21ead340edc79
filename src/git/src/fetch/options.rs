//! What may be asked of a fetch, what may it take, and what does it tell on its way?

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Commit, Reference};

/// What to fetch. The commit where it is named, else what the reference points at. A range of versions
/// leads nowhere here: [`Client::resolve`](crate::Client::resolve) finds the commit first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Want {
    /// Exactly this commit.
    pub commit: Option<Commit>,
    /// The way to it: asked for when the server gives no commit by its id.
    pub reference: Option<Reference>,
}

/// What becomes of `.git`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GitFolder {
    /// The files alone remain.
    #[default]
    Remove,
    /// A shallow repository with a detached `HEAD` remains.
    Keep,
}

/// What one source may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the server may send.
    pub received: u64,
    /// Bytes of all files together.
    pub written: u64,
    /// Bytes of one object, which is held in memory.
    pub object: u64,
    /// Files and directories.
    pub entries: u64,
}

impl Default for Limits {
    /// A working copy of the Linux kernel is 1.5 GB in 95,000 files: twice that, and one Job's
    /// `emptyDir` still holds it. The large hosts take no object of more than 100 MB.
    fn default() -> Self {
        Self { received: 1 << 30, written: 3 << 30, object: 256 << 20, entries: 200_000 }
    }
}

/// How far a fetch has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This is asked for: a commit's id, or a ref.
    Asking {
        /// What is asked for.
        what: String,
    },
    /// The server refuses to give a commit by its id; its reference is asked for instead.
    NotById,
    /// The reference is elsewhere; the commit is looked for in so many generations before it.
    Deepening {
        /// The generations.
        depth: u32,
    },
    /// The commit is here.
    Received {
        /// Its id.
        commit: Commit,
    },
    /// Nothing in it is refused.
    Judged {
        /// Files and directories.
        entries: u64,
        /// Bytes of all files.
        bytes: u64,
    },
    /// The files are written.
    Written,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking { what } => write!(f, "asking for {what}"),
            Self::NotById => f.write_str("the server gives no commit by its id"),
            Self::Deepening { depth } => write!(f, "looking through {depth} generations"),
            Self::Received { commit } => write!(f, "received {commit}"),
            Self::Judged { entries, bytes } => write!(f, "{entries} entries, {bytes} bytes"),
            Self::Written => f.write_str("checked out"),
        }
    }
}

/// What has come so far, for whoever looks on from another thread.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    bytes: AtomicU64,
    objects: AtomicU64,
}

impl Meter {
    /// Bytes that the server sent.
    pub fn bytes(&self) -> u64 {
        self.counters.bytes.load(Ordering::Relaxed)
    }

    /// Objects that came or are on their way.
    pub fn objects(&self) -> u64 {
        self.counters.objects.load(Ordering::Relaxed)
    }

    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.counters.bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_objects(&self, objects: u64) {
        self.counters.objects.fetch_add(objects, Ordering::Relaxed);
    }
}

/// How to fetch.
#[derive(Clone)]
pub struct FetchOptions<'a> {
    /// What becomes of `.git`.
    pub git_folder: GitFolder,
    /// What the source may take.
    pub limits: Limits,
    /// Told at each step.
    pub on_step: &'a dyn Fn(&Step),
    /// Counts what comes.
    pub meter: Meter,
}

impl Default for FetchOptions<'_> {
    fn default() -> Self {
        Self {
            git_folder: GitFolder::Remove,
            limits: Limits::default(),
            on_step: &|_| {},
            meter: Meter::default(),
        }
    }
}

impl fmt::Debug for FetchOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FetchOptions");
        shown.field("git_folder", &self.git_folder).field("limits", &self.limits);
        shown.finish_non_exhaustive()
    }
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The commit that is checked out.
    pub commit: Commit,
    /// Submodules that the commit names; their directories are left empty.
    pub submodules: u64,
    /// Files that only point at a content kept by Git LFS; they are left as they are.
    pub lfs_pointers: u64,
}
