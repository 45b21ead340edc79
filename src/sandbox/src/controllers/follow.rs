//! What has happened since a controller looked last? Told by the logs of the tables, so that nobody reads
//! everything after each write.

use std::sync::Arc;

use crate::store::{State, log::Change};

/// How far a controller has looked.
#[derive(Debug, Default)]
pub(super) struct Follow {
    seen: Option<u64>,
}

impl Follow {
    /// The changes of some tables since the last look, each with its table; nothing at all when there was
    /// no look yet, or when one of the logs does not go back that far: everything is to be looked at then.
    pub(super) fn news<'a>(
        &mut self,
        state: &State,
        tables: impl IntoIterator<Item = &'a str>,
    ) -> Option<Vec<(&'a str, Arc<Change>)>> {
        let since = self.seen.replace(state.revision)?;
        let mut news = Vec::new();
        if since == state.revision {
            return Some(news);
        }
        for name in tables {
            let Some(table) = state.tables.get(name) else { continue };
            news.extend(table.log.after(since)?.map(|it| (name, Arc::clone(it))));
        }
        Some(news)
    }
}
