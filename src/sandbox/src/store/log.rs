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

#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) kind: Kind,
    pub(crate) key: Key,
    pub(crate) object: Arc<Stored>,
    /// What it replaced: a selector may have matched that and not this, and old lists are
    /// rebuilt from it.
    pub(crate) before: Option<Arc<Stored>>,
}

#[derive(Debug)]
pub(crate) struct Log {
    changes: VecDeque<Change>,
    /// Changes up to this revision are forgotten.
    compacted: u64,
    /// How many of the oldest are packed.
    packed: usize,
}

impl Log {
    pub(crate) fn starting_at(revision: u64) -> Self {
        Self { changes: VecDeque::new(), compacted: revision.saturating_sub(1), packed: 0 }
    }

    pub(crate) fn append(&mut self, change: Change) {
        self.changes.push_back(change);
        if self.changes.len() > REMEMBERED
            && let Some(oldest) = self.changes.pop_front()
        {
            self.compacted = oldest.revision;
            self.packed = self.packed.saturating_sub(1);
        }
    }

    /// Packs the oldest change that is not packed yet, if there are more of those than `unpacked`: gives
    /// whose it was, what it held, and what it holds now.
    pub(crate) fn pack(&mut self, unpacked: usize) -> Option<(&Key, Arc<Stored>, Arc<Stored>)> {
        if self.changes.len().saturating_sub(self.packed) <= unpacked {
            return None;
        }
        let change = self.changes.get_mut(self.packed)?;
        self.packed += 1;
        let packed = change.object.packed();
        let was = std::mem::replace(&mut change.object, Arc::clone(&packed));
        Some((&change.key, was, packed))
    }

    /// Forgets all that happened up to a revision.
    pub(crate) fn compact(&mut self, revision: u64) {
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

    /// The revision before the last change.
    pub(crate) fn before_last(&self) -> Option<u64> {
        self.changes.back().map(|it| it.revision - 1)
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The changes after a revision, oldest first, or nothing when some of them are forgotten.
    pub(crate) fn after(
        &self,
        revision: u64,
    ) -> Option<impl DoubleEndedIterator<Item = &Change> + use<'_>> {
        if revision < self.compacted {
            return None;
        }
        let from = self.changes.partition_point(|it| it.revision <= revision);
        Some(self.changes.range(from..))
    }
}
