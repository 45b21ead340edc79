//! What do remotes say? Repositories in memory, behind the one seam that replicas ask through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ger_core::names::Commit;
use ger_git::{Auth, Error, Exchanged, Reference, Remote};
use git_events_runner::checks::Remotes;

/// The host of every repository.
pub const HOST: &str = "git.test";

/// An answer takes this long: long enough for others to ask meanwhile.
const LATENCY: Duration = Duration::from_millis(30);

/// How a repository fails to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is heard of it.
    Silent,
    /// It answers with this status, and may ask to be left alone.
    Status(u16, Option<Duration>),
}

/// A repository. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Repo {
    name: String,
    state: Arc<Mutex<State>>,
    commits: Arc<Mutex<u32>>,
}

#[derive(Debug, Default)]
struct State {
    branches: BTreeMap<String, Commit>,
    failure: Option<Failure>,
    slow_once: Option<Duration>,
    token: Option<String>,
    requests: u64,
}

impl Repo {
    /// What sources name it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn uri(&self) -> String {
        format!("https://{HOST}/{}.git", self.name)
    }

    /// A new commit on `main`.
    pub fn push(&self) -> Commit {
        self.push_to("main")
    }

    /// A new commit on a branch.
    pub fn push_to(&self, branch: &str) -> Commit {
        let commit = self.new_commit();
        self.lock().branches.insert(branch.to_owned(), commit.clone());
        commit
    }

    /// Where a branch is.
    pub fn head(&self, branch: &str) -> Option<Commit> {
        self.lock().branches.get(branch).cloned()
    }

    /// Moves `main` to a commit that was there before.
    pub fn rewind(&self, commit: &Commit) {
        self.lock().branches.insert("main".to_owned(), commit.clone());
    }

    /// Fails from now on.
    pub fn fail(&self, failure: Failure) {
        self.lock().failure = Some(failure);
    }

    /// Answers again.
    pub fn mend(&self) {
        self.lock().failure = None;
    }

    /// Delays one answer: it tells what was so when it was asked.
    pub fn slow_once(&self, delay: Duration) {
        self.lock().slow_once = Some(delay);
    }

    /// Answers only who shows this token.
    pub fn guard(&self, token: &str) {
        self.lock().token = Some(token.to_owned());
    }

    /// How often it was asked.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    fn new_commit(&self) -> Commit {
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        *commits += 1;
        Commit::parse(&format!("{:08x}", *commits).repeat(5)).expect("forty hex digits")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, remote: &Remote, reference: &Reference) -> Result<ger_git::Commit, Error> {
        let mut state = self.lock();
        state.requests += 1;
        let host = HOST.to_owned();
        match state.failure {
            Some(Failure::Silent) => return Err(Error::Slow { host, limit: remote.timeout }),
            Some(Failure::Status(status, retry_after)) => {
                return Err(Error::Status { host, status, retry_after });
            }
            None => {}
        }
        let shown = match &remote.auth {
            Auth::Token(token) => Some(token.expose()),
            Auth::None | Auth::Basic { .. } => None,
        };
        if state.token.as_ref().is_some_and(|it| shown != Some(it.as_bytes())) {
            return Err(Error::Status { host, status: 401, retry_after: None });
        }
        match reference {
            Reference::Commit(commit) => Ok(commit.clone()),
            Reference::Tag(_) => Err(Error::RefNotFound { reference: reference.clone() }),
            Reference::Branch(name) => {
                let commit = state.branches.get(name);
                let commit = commit.and_then(|it| ger_git::Commit::parse(it.as_str()).ok());
                commit.ok_or_else(|| Error::RefNotFound { reference: reference.clone() })
            }
        }
    }
}

/// Every repository there is. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Host {
    repos: Arc<Mutex<BTreeMap<String, Repo>>>,
    commits: Arc<Mutex<u32>>,
}

impl Host {
    /// The repository of that name, with one commit if it is new.
    pub fn repo(&self, name: &str) -> Repo {
        let mut repos = self.repos.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (state, commits) = (Arc::default(), Arc::clone(&self.commits));
            let repo = Repo { name: name.to_owned(), state, commits };
            repo.push();
            repo
        };
        repos.entry(name.to_owned()).or_insert_with(new).clone()
    }

    fn find(&self, remote: &Remote) -> Option<Repo> {
        let name = remote.uri.path().trim_start_matches('/').trim_end_matches(".git");
        self.repos.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Remotes for Host {
    fn resolve(
        &self,
        remote: Remote,
        reference: Reference,
    ) -> BoxFuture<'static, Result<ger_git::Commit, Error>> {
        let found = self.find(&remote);
        async move {
            let Some(repo) = found else {
                let host = HOST.to_owned();
                return Err(Error::Status { host, status: 404, retry_after: None });
            };
            let answer = repo.answer(&remote, &reference);
            let delay = repo.lock().slow_once.take().unwrap_or(LATENCY);
            if delay > remote.timeout {
                tokio::time::sleep(remote.timeout).await;
                return Err(Error::Slow { host: HOST.to_owned(), limit: remote.timeout });
            }
            tokio::time::sleep(delay).await;
            answer
        }
        .boxed()
    }

    fn traffic(&self) -> BTreeMap<String, Exchanged> {
        BTreeMap::new()
    }
}
