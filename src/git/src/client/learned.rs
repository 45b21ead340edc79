//! What is known of remotes from earlier answers? Which hosts speak no v2, or do so over streams, and
//! which repositories have long ids: so that a check is one request there too.

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
    /// Hosts that answered v2 over a stream: they need not say again what they can before they are asked.
    streams: HashSet<String>,
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

    /// With which ids a repository answers v2 over a stream, where its host is known to do so.
    pub(super) fn over_stream(&self, uri: &RepoUri) -> Option<ObjectFormat> {
        let speaks = self.state().streams.contains(uri.host());
        speaks.then(|| self.about(uri).format)
    }

    /// It answered v2 over a stream, with ids of this kind.
    pub(super) fn remember_stream(&self, uri: &RepoUri, format: ObjectFormat) {
        let mut state = self.state();
        if state.streams.len() >= MOST {
            state.streams.clear();
        }
        state.streams.insert(uri.host().to_owned());
        state.remember_format(uri, format);
    }

    /// Over a stream it did not answer as was remembered.
    pub(super) fn forget_stream(&self, uri: &RepoUri) {
        self.state().streams.remove(uri.host());
    }

    /// It answers v2, with ids of this kind.
    pub(super) fn remember_newer(&self, uri: &RepoUri, format: ObjectFormat) {
        let mut state = self.state();
        state.older.remove(uri.host());
        state.remember_format(uri, format);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember_format(&mut self, uri: &RepoUri, format: ObjectFormat) {
        if format == ObjectFormat::Sha1 {
            self.long.remove(uri);
            return;
        }
        if self.long.len() >= MOST && !self.long.contains(uri) {
            self.long.clear();
        }
        self.long.insert(uri.clone());
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

    #[test]
    fn a_host_that_answered_over_a_stream_is_asked_at_once_until_it_disappoints() {
        let learned = Learned::default();
        assert_eq!(learned.over_stream(&uri(1)), None);

        learned.remember_stream(&uri(1), ObjectFormat::Sha256);
        assert_eq!(learned.over_stream(&uri(1)), Some(ObjectFormat::Sha256));

        learned.forget_stream(&uri(1));
        assert_eq!(learned.over_stream(&uri(1)), None);
        assert_eq!(learned.about(&uri(1)).format, ObjectFormat::Sha256);
    }

    #[tokio::test]
    async fn remotes_without_number_take_bounded_memory() {
        let learned = Learned::default();

        for n in 0..3 * MOST {
            learned.remember_older(uri(n).host());
            learned.remember_newer(&uri(n), ObjectFormat::Sha256);
            learned.remember_stream(&uri(n), ObjectFormat::Sha1);
        }

        let state = learned.state();
        assert!(state.older.len() <= MOST && state.long.len() <= MOST);
        assert!(state.streams.len() <= MOST);
    }
}
