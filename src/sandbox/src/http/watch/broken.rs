//! How does a watch tell its story in a cluster that breaks the rules of watches?

use super::Watch;
use crate::{
    breakage::{Breakage, Broken},
    store::log::{Change, Kind},
};

impl Watch {
    /// How often a change is told: once.
    pub(super) fn tellings(&self, change: &Change, broken: Broken) -> usize {
        if broken.is_none() {
            return 1;
        }
        let leaves = change.kind != Kind::Deleted && !change.object.matches(&self.selector);
        let lost = broken.has(Breakage::LostEvents) && change.revision.is_multiple_of(3)
            || broken.has(Breakage::SilentLeaving) && leaves;
        if lost { 0 } else { 1 + usize::from(broken.has(Breakage::RepeatedEvents)) }
    }

    /// Takes away what says that everything from before is told.
    pub(super) fn break_beginning(&mut self, broken: Broken) {
        if broken.has(Breakage::EndlessBeginnings) {
            self.queue.retain(|it| !it.starts_with(br#"{"type":"BOOKMARK""#));
        }
    }
}
