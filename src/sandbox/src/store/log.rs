//! What happened to the objects of one resource, in order, as far back as it is remembered.

use std::{collections::VecDeque, sync::Arc};

use crate::store::{Key, Stored};

/// A watcher further behind than this is told to list again. Real servers keep some minutes;
/// what matters to a client is that the end exists and is honest.
const REMEMBERED: usize = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Added,
    Modified,
    Deleted,
}

#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) kind: Kind,
    pub(crate) key: Key,
    /// As JSON alone: the log is long.
    pub(crate) object: Arc<Stored>,
    /// What it replaced: a selector may have matched that and not this, and old lists are
    /// rebuilt from it.
    pub(crate) before: Option<Arc<Stored>>,
}

impl Change {
    /// Whether what owns the object, or is owned by it, may have to follow.
    pub(super) fn matters(&self) -> bool {
        let before = self.before.as_ref().is_some_and(|it| it.facts.has_ties());
        self.kind == Kind::Deleted || before || self.object.facts.has_ties()
    }
}

#[derive(Debug)]
pub(crate) struct Log {
    changes: VecDeque<Arc<Change>>,
    /// Changes up to this revision are forgotten.
    compacted: u64,
    /// The last change that is forgotten.
    forgotten: u64,
    /// Of how many of the oldest nothing is kept as a value.
    packed: usize,
}

impl Log {
    pub(crate) fn starting_at(revision: u64) -> Self {
        Self {
            changes: VecDeque::new(),
            compacted: revision.saturating_sub(1),
            forgotten: 0,
            packed: 0,
        }
    }

    pub(crate) fn append(&mut self, change: Change) {
        self.changes.push_back(Arc::new(change));
        if self.changes.len() > REMEMBERED
            && let Some(oldest) = self.changes.pop_front()
        {
            self.compacted = oldest.revision;
            self.forgotten = oldest.revision;
            self.packed = self.packed.saturating_sub(1);
        }
    }

    /// The oldest change whose object may still be kept as a value, if there are more of those than
    /// `unpacked`.
    pub(crate) fn pack(&mut self, unpacked: usize) -> Option<Arc<Change>> {
        if self.changes.len().saturating_sub(self.packed) <= unpacked {
            return None;
        }
        let change = self.changes.get(self.packed)?;
        self.packed += 1;
        Some(Arc::clone(change))
    }

    /// Forgets all that happened up to a revision.
    pub(crate) fn compact(&mut self, revision: u64) {
        let last = self.changes.iter().take_while(|it| it.revision <= revision).last();
        self.forgotten = last.map_or(self.forgotten, |it| it.revision);
        self.lose(revision);
        self.compacted = self.compacted.max(revision);
    }

    /// The same, and forgets that too.
    pub(crate) fn lose(&mut self, revision: u64) {
        while self.changes.front().is_some_and(|it| it.revision <= revision) {
            self.changes.pop_front();
            self.packed = self.packed.saturating_sub(1);
        }
    }

    /// The last change that is remembered.
    pub(super) fn last(&self) -> Option<&Arc<Change>> {
        self.changes.back()
    }

    /// The revision before the last change.
    pub(crate) fn before_last(&self) -> Option<u64> {
        self.changes.back().map(|it| it.revision - 1)
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The changes after a revision, for a watch that is open: it outlives a compaction of what it has seen.
    pub(crate) fn since(
        &self,
        revision: u64,
    ) -> Option<impl DoubleEndedIterator<Item = &Arc<Change>> + use<'_>> {
        if revision < self.forgotten {
            return None;
        }
        let from = self.changes.partition_point(|it| it.revision <= revision);
        Some(self.changes.range(from..))
    }

    /// The changes after a revision, oldest first, or nothing when some of them are forgotten.
    pub(crate) fn after(
        &self,
        revision: u64,
    ) -> Option<impl DoubleEndedIterator<Item = &Arc<Change>> + use<'_>> {
        if revision < self.compacted {
            return None;
        }
        let from = self.changes.partition_point(|it| it.revision <= revision);
        Some(self.changes.range(from..))
    }
}
