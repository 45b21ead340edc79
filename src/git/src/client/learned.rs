//! What is known of remotes from earlier answers? Which hosts speak no v2, and which repositories
//! have long ids: so that a check is one request there too.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{RepoUri, ls_refs::ObjectFormat};

/// Servers get upgraded; asked in the old way they answer too, only slower.
const OLDER_FOR: Duration = Duration::from_hours(1);
/// Remotes are named by tenants; one that is forgotten costs one or two requests more.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Learned {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Hosts that do not answer v2, and when they were found out.
    older: HashMap<String, Instant>,
    /// Repositories whose ids are made with sha256. Nearly all others are the other kind.
    long: HashSet<RepoUri>,
}

/// How a remote is best asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) is_older: bool,
    pub(super) format: ObjectFormat,
}

impl Learned {
    pub(super) fn about(&self, uri: &RepoUri) -> Known {
        let mut state = self.state();
        state.older.retain(|_, since| since.elapsed() < OLDER_FOR);
        let is_long = !state.long.is_empty() && state.long.contains(uri);
        let format = if is_long { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 };
        Known { is_older: state.older.contains_key(uri.host()), format }
    }

    pub(super) fn remember_older(&self, host: &str) {
        let mut state = self.state();
        if state.older.len() >= MOST {
            state.older.clear();
        }
        state.older.insert(host.to_owned(), Instant::now());
    }

    /// It answers v2, with ids of this kind.
    pub(super) fn remember_newer(&self, uri: &RepoUri, format: ObjectFormat) {
        let mut state = self.state();
        state.older.remove(uri.host());
        if format == ObjectFormat::Sha1 {
            state.long.remove(uri);
            return;
        }
        if state.long.len() >= MOST && !state.long.contains(uri) {
            state.long.clear();
        }
        state.long.insert(uri.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(n: usize) -> RepoUri {
        RepoUri::parse(&format!("https://h{n}/a")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_host_is_tried_again_after_an_hour_or_once_it_answers() {
        let learned = Learned::default();

        learned.remember_older("h1");
        assert!(learned.about(&uri(1)).is_older && !learned.about(&uri(2)).is_older);

        tokio::time::advance(OLDER_FOR).await;
        assert!(!learned.about(&uri(1)).is_older);

        learned.remember_older("h1");
        learned.remember_newer(&uri(1), ObjectFormat::Sha1);
        assert!(!learned.about(&uri(1)).is_older);
    }

    #[test]
    fn a_repository_that_is_made_anew_may_have_the_other_hash() {
        let learned = Learned::default();

        learned.remember_newer(&uri(1), ObjectFormat::Sha256);
        assert_eq!(learned.about(&uri(1)).format, ObjectFormat::Sha256);
        assert_eq!(learned.about(&uri(2)).format, ObjectFormat::Sha1);

        learned.remember_newer(&uri(1), ObjectFormat::Sha1);
        assert_eq!(learned.about(&uri(1)).format, ObjectFormat::Sha1);
    }

    #[tokio::test]
    async fn remotes_without_number_take_bounded_memory() {
        let learned = Learned::default();

        for n in 0..3 * MOST {
            learned.remember_older(uri(n).host());
            learned.remember_newer(&uri(n), ObjectFormat::Sha256);
        }

        let state = learned.state();
        assert!(state.older.len() <= MOST && state.long.len() <= MOST);
    }
}
