//! What do remotes say, and what did they say at any time? Repositories that move by the script, behind the
//! one seam that replicas ask through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ger_git::github_app::{self, App, Token, Wanted};
use ger_git::{Auth, Commit, Error, Exchanged, PathHash, Reference, Remote, Resolved, Tls};
use git_events_runner::checks::{Files, Remotes};

use super::chance::Chance;
use super::door::Door;
use super::script::{BRANCHES, Failing, Remote as What, Repo};
use super::timeline::{At, Timeline};

/// All repositories.
#[derive(Debug)]
pub(super) struct Forge {
    timeline: Arc<Timeline>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    repos: Vec<Kept>,
    commits: u32,
    asked: u64,
}

#[derive(Debug)]
struct Kept {
    lag: Duration,
    branches: BTreeMap<&'static str, Vec<Shown>>,
    token: Option<String>,
    tokens: u32,
    slow: Option<Duration>,
    failing: Option<Failing>,
}

/// What a branch is from a time on, or that it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) from: At,
    pub(super) commit: Option<String>,
}

/// The URI of a repository. Each has a host of its own: where one of a host says 429, the others are left alone too.
pub(super) fn uri(repo: usize) -> String {
    format!("https://git-{repo}.test/repo-{repo}.git")
}

fn host(remote: &Remote) -> String {
    remote.uri.host().to_owned()
}

impl Forge {
    pub(super) fn new(repos: &[Repo], timeline: &Arc<Timeline>, seed: u64) -> Self {
        let mut state =
            State { chance: Chance::of(seed, "forge"), repos: Vec::new(), commits: 0, asked: 0 };
        for (number, repo) in repos.iter().enumerate() {
            let mut branches = BTreeMap::new();
            for branch in BRANCHES {
                let commit = Some(state.new_commit());
                branches.insert(branch, vec![Shown { from: At::ZERO, commit }]);
            }
            let token = repo.is_guarded.then(|| format!("token-{number}-0"));
            let (slow, failing) = (None, None);
            state.repos.push(Kept { lag: repo.lag, branches, token, tokens: 0, slow, failing });
        }
        Self { timeline: Arc::clone(timeline), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> u64 {
        self.lock().asked
    }

    /// The token that a repository takes.
    pub(super) fn token(&self, repo: usize) -> Option<String> {
        self.lock().repos[repo].token.clone()
    }

    /// All that a branch ever was.
    pub(super) fn history(&self, repo: usize, branch: &str) -> Vec<Shown> {
        self.lock().repos[repo].branches.get(branch).cloned().unwrap_or_default()
    }

    /// Lets something happen to a repository.
    pub(super) fn happen(&self, repo: usize, what: What) {
        let now = self.timeline.now();
        let mut state = self.lock();
        match what {
            What::Push(branch) => {
                let commit = state.new_commit();
                state.repos[repo].show(branch, now, Some(commit));
            }
            What::Rewind(branch, by) => {
                let kept = &mut state.repos[repo];
                let older = kept.older(branch, by);
                kept.show(branch, now, older);
            }
            What::Delete(branch) => state.repos[repo].show(branch, now, None),
            What::Restore(branch) => {
                let kept = &mut state.repos[repo];
                let last = kept.older(branch, 0);
                kept.show(branch, now, last);
            }
            What::Slow(by) => state.repos[repo].slow = Some(by),
            What::Quick => state.repos[repo].slow = None,
            What::Fail(how) => state.repos[repo].failing = Some(how),
            What::Recover => state.repos[repo].failing = None,
            What::Guard => {
                let kept = &mut state.repos[repo];
                kept.tokens += 1;
                kept.token = Some(format!("token-{repo}-{}", kept.tokens));
            }
            What::Reveal => {}
        }
        let head = |branch| state.repos[repo].head(branch).unwrap_or("none").to_owned();
        let (main, dev) = (head(BRANCHES[0]), head(BRANCHES[1]));
        drop(state);
        self.timeline.tell(format!("repo-{repo}: {what:?}; main is {main:.8}, dev is {dev:.8}"));
    }

    /// What is answered to a question, and after what time.
    fn answer(
        &self,
        remote: &Remote,
        reference: &Reference,
    ) -> (Duration, Result<Resolved, Error>) {
        let now = self.timeline.now();
        let number = remote.uri.path().trim_start_matches("/repo-").trim_end_matches(".git");
        let mut state = self.lock();
        let State { chance, repos, asked, .. } = &mut *state;
        *asked += 1;
        let quick = chance.between(Duration::from_millis(5)..Duration::from_millis(80));
        let missing = || Error::Status { host: host(remote), status: 404, retry_after: None };
        let Some(kept) = number.parse::<usize>().ok().and_then(|it| repos.get(it)) else {
            return (quick, Err(missing()));
        };
        let delay = kept.slow.unwrap_or(quick);
        if kept.failing == Some(Failing::Silent) || delay > remote.timeout {
            let slow = Error::Slow { host: host(remote), limit: remote.timeout };
            return (remote.timeout, Err(slow));
        }
        let answer = kept.fails(remote).and_then(|()| kept.resolve(now, reference, chance));
        self.timeline.pass(format!("repo-{number} is asked for {reference:?}: {answer:?}"));
        (delay, answer)
    }
}

impl State {
    fn new_commit(&mut self) -> String {
        self.commits += 1;
        format!("{:08x}", self.commits).repeat(5)
    }
}

impl Kept {
    fn show(&mut self, branch: &'static str, from: At, commit: Option<String>) {
        let shown = self.branches.entry(branch).or_default();
        if shown.last().is_none_or(|it| it.commit != commit) {
            shown.push(Shown { from, commit });
        }
    }

    fn head(&self, branch: &str) -> Option<&str> {
        self.branches.get(branch)?.last()?.commit.as_deref()
    }

    /// The commit of a branch before so many others; the first, if there were not so many.
    fn older(&self, branch: &str, by: usize) -> Option<String> {
        let shown = self.branches.get(branch)?;
        let commits: Vec<&String> = shown.iter().filter_map(|it| it.commit.as_ref()).collect();
        let index = commits.len().checked_sub(1)?.saturating_sub(by);
        commits.get(index).map(|it| (*it).clone())
    }

    fn fails(&self, remote: &Remote) -> Result<(), Error> {
        let host = host(remote);
        match self.failing {
            None | Some(Failing::Silent) => {}
            Some(Failing::Status(status)) => {
                return Err(Error::Status { host, status, retry_after: None });
            }
            Some(Failing::Busy(wait)) => {
                return Err(Error::Status { host, status: 429, retry_after: Some(wait) });
            }
        }
        let shown = match &remote.auth {
            Auth::Token(token) => Some(token.expose()),
            Auth::Basic { .. } | Auth::None | Auth::Ssh(_) => None,
        };
        if self.token.as_ref().is_none_or(|it| shown == Some(it.as_bytes())) {
            return Ok(());
        }
        Err(Error::Status { host, status: 401, retry_after: None })
    }

    fn resolve(
        &self,
        now: At,
        reference: &Reference,
        chance: &mut Chance,
    ) -> Result<Resolved, Error> {
        let not_found = || Error::RefNotFound { reference: reference.clone() };
        let Reference::Branch(name) = reference else { return Err(not_found()) };
        let shown = self.branches.get(name.as_str()).ok_or_else(not_found)?;
        let is_late = chance.percent(50);
        let newest = shown.len().saturating_sub(1);
        let at = if is_late && self.lags(shown, now) { newest.saturating_sub(1) } else { newest };
        let commit = shown.get(at).and_then(|it| it.commit.as_deref()).ok_or_else(not_found)?;
        Commit::parse(commit).map(Resolved::from).map_err(|_| not_found())
    }

    /// Whether a mirror still shows what was before: only what was there for so long that everybody has
    /// seen it. Nobody can tell a mirror that lags from a branch that was set back otherwise.
    fn lags(&self, shown: &[Shown], now: At) -> bool {
        const LONG: Duration = Duration::from_mins(20);

        let [.., before, last] = shown else { return false };
        let (lasted, since) =
            (last.from.saturating_sub(before.from), now.saturating_sub(last.from));
        since < self.lag && lasted > LONG
    }
}

/// The way of one replica to all remotes: what freezes it holds up answers too.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) forge: Arc<Forge>,
    pub(super) door: Door,
}

impl Remotes for Way {
    fn resolve(
        &self,
        remote: Remote,
        reference: Reference,
    ) -> BoxFuture<'static, Result<Resolved, Error>> {
        let (forge, door) = (Arc::clone(&self.forge), self.door.clone());
        async move {
            door.awake().await;
            let (delay, answer) = forge.answer(&remote, &reference);
            tokio::time::sleep(delay).await;
            door.awake().await;
            answer
        }
        .boxed()
    }

    fn path_hash(&self, _: Remote, _: Files) -> BoxFuture<'static, Result<PathHash, Error>> {
        // No trigger of a script watches files.
        std::future::ready(Err(Error::Nothing)).boxed()
    }

    fn installation_token(
        &self,
        _: App,
        _: Tls,
        wanted: Wanted,
    ) -> BoxFuture<'static, Result<Token, Arc<github_app::Error>>> {
        let (host, limit) = ("app.test".to_owned(), wanted.timeout);
        std::future::ready(Err(Arc::new(github_app::Error::Slow { host, limit }))).boxed()
    }

    fn traffic(&self) -> BTreeMap<String, Exchanged> {
        BTreeMap::new()
    }
}
