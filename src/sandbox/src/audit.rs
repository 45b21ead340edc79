//! Who wrote what: the record tests ask when they count what really happened.

use std::collections::VecDeque;

use jiff::Timestamp;

/// Older entries fall out: enough for any story, small enough for a long `dev`.
const REMEMBERED: usize = 100_000;

/// One write as the API answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, by the cluster's clock.
    pub at: Timestamp,
    /// Who asked: a name given with the router, a token's name, or a user agent.
    pub client: String,
    /// As whom: the user that the API took the client for, or whom it impersonated.
    pub user: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core.
    pub group: String,
    /// The plural, such as `jobs`.
    pub resource: String,
    /// `status` and the like; empty for the object itself.
    pub subresource: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Empty when the object got no name.
    pub name: String,
    /// Empty when nothing was found or made.
    pub uid: String,
    /// The HTTP code of the answer.
    pub code: u16,
}

#[derive(Debug, Default)]
pub(crate) struct Audit {
    entries: VecDeque<AuditEntry>,
}

impl Audit {
    pub(crate) fn record(&mut self, entry: AuditEntry) {
        if self.entries.len() >= REMEMBERED {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &AuditEntry> {
        self.entries.iter()
    }
}
