//! What do remotes say? Repositories in memory, behind the one seam that replicas ask through.

mod repo;
mod state;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ger_git::github_app::{self, App, Origin, Token, Wanted};
use ger_git::{Error, Exchanged, PathHash, Reference, Remote, Resolved, Secret, Tls};
use git_events_runner::checks::{Files, Remotes};
use jiff::Timestamp;

pub use self::repo::Repo;
pub use self::state::{Failure, HostKeyOf};

/// The host of every repository.
pub const HOST: &str = "git.test";

/// An answer takes this long: long enough for others to ask meanwhile.
const LATENCY: Duration = Duration::from_millis(30);

/// Every repository there is. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Host {
    repos: Arc<Mutex<BTreeMap<String, Repo>>>,
    commits: Arc<Mutex<u32>>,
    tokens: Arc<AtomicU64>,
    /// Until when the token is good that installations have now.
    token_ends: Arc<Mutex<Option<Timestamp>>>,
    gives_no_token: Arc<AtomicBool>,
}

impl Host {
    /// The repository of that name, with one commit if it is new.
    pub fn repo(&self, name: &str) -> Repo {
        let mut repos = self.repos.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Repo::new(name, Arc::clone(&self.commits));
        repos.entry(name.to_owned()).or_insert_with(new).clone()
    }

    fn find(&self, remote: &Remote) -> Result<Repo, Error> {
        let name = remote.uri.path().trim_start_matches('/').trim_end_matches(".git");
        let repos = self.repos.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || Error::Status { host: HOST.to_owned(), status: 404, retry_after: None };
        repos.get(name).cloned().ok_or_else(missing)
    }

    /// The token that installations of Apps have now.
    pub fn app_token(&self) -> String {
        format!("ghs_{}", self.tokens.load(Ordering::SeqCst))
    }

    /// From now on Apps are given no tokens; those that are kept are good to their end.
    pub fn give_no_tokens(&self) {
        self.gives_no_token.store(true, Ordering::SeqCst);
    }

    /// From now on Apps are given tokens again.
    pub fn give_tokens(&self) {
        self.gives_no_token.store(false, Ordering::SeqCst);
    }
}

impl Remotes for Host {
    fn resolve(
        &self,
        remote: Remote,
        reference: Reference,
    ) -> BoxFuture<'static, Result<Resolved, Error>> {
        let found = self.find(&remote);
        async move {
            let repo = found?;
            let answer = repo.answer(&remote, &reference);
            let delay = repo.delay().unwrap_or(LATENCY);
            if delay > remote.timeout {
                tokio::time::sleep(remote.timeout).await;
                return Err(Error::Slow { host: HOST.to_owned(), limit: remote.timeout });
            }
            tokio::time::sleep(delay).await;
            answer
        }
        .boxed()
    }

    fn path_hash(
        &self,
        remote: Remote,
        files: Files,
    ) -> BoxFuture<'static, Result<PathHash, Error>> {
        let found = self.find(&remote);
        async move {
            let answer = found?.hash(&remote, &files);
            tokio::time::sleep(LATENCY).await;
            answer
        }
        .boxed()
    }

    fn installation_token(
        &self,
        _: App,
        _: Tls,
        wanted: Wanted,
    ) -> BoxFuture<'static, Result<Token, Arc<github_app::Error>>> {
        let now = Secret::from(self.app_token());
        let mut ends = self.token_ends.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = wanted.now + wanted.lasting;
        let is_kept = ends.is_some_and(|it| it >= needed) && wanted.refused.as_ref() != Some(&now);
        let is_given = is_kept || !self.gives_no_token.load(Ordering::SeqCst);
        if is_given && !is_kept {
            self.tokens.fetch_add(1, Ordering::SeqCst);
            *ends = Some(wanted.now + Duration::from_hours(1));
        }
        let origin = if is_kept { Origin::Kept } else { Origin::Minted };
        let (value, expires_at) = (Secret::from(self.app_token()), ends.unwrap_or(wanted.now));
        async move {
            if !is_given {
                let (host, limit) = (HOST.to_owned(), wanted.timeout);
                return Err(Arc::new(github_app::Error::Slow { host, limit }));
            }
            Ok(Token { value, expires_at, origin })
        }
        .boxed()
    }

    fn traffic(&self) -> BTreeMap<String, Exchanged> {
        BTreeMap::new()
    }
}
