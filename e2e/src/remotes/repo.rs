//! What happens to a repository? Pushes, tags, and what keeps it from answering.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_core::names::Commit;
use ger_git::{Error, PathHash, Reference, Remote, Resolved};
use git_events_runner::checks::Files;

use super::HOST;
use super::state::{Failure, HostKeyOf, State};

/// A repository. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Repo {
    name: String,
    state: Arc<Mutex<State>>,
    commits: Arc<Mutex<u32>>,
}

impl Repo {
    pub(super) fn new(name: &str, commits: Arc<Mutex<u32>>) -> Self {
        let repo = Self { name: name.to_owned(), state: Arc::default(), commits };
        repo.push();
        repo
    }

    /// What sources name it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn uri(&self) -> String {
        format!("https://{HOST}/{}.git", self.name)
    }

    pub fn ssh_uri(&self) -> String {
        format!("ssh://git@{HOST}/{}.git", self.name)
    }

    /// A new commit on `main` that changes no file.
    pub fn push(&self) -> Commit {
        self.push_to("main")
    }

    /// A new commit on a branch that changes no file.
    pub fn push_to(&self, branch: &str) -> Commit {
        self.commit(branch, None)
    }

    /// A new commit on `main` that writes one file.
    pub fn write(&self, path: &str, content: &str) -> Commit {
        self.commit("main", Some((path, content)))
    }

    fn commit(&self, branch: &str, change: Option<(&str, &str)>) -> Commit {
        let commit = self.new_commit();
        let mut state = self.lock();
        let before = state.branches.get(branch).and_then(|it| state.trees.get(it));
        let mut tree = before.cloned().unwrap_or_default();
        tree.extend(change.map(|(path, content)| (path.to_owned(), content.to_owned())));
        state.trees.insert(commit.clone(), tree);
        state.branches.insert(branch.to_owned(), commit.clone());
        commit
    }

    /// Sets a tag on a new commit.
    pub fn tag(&self, name: &str) -> Commit {
        let commit = self.push();
        self.lock().tags.insert(name.to_owned(), (commit.clone(), None));
        commit
    }

    /// Sets an annotated tag on a new commit; gives the commit and the tag's own object.
    pub fn annotate(&self, name: &str) -> (Commit, Commit) {
        let (commit, object) = (self.push(), self.new_commit());
        self.lock().tags.insert(name.to_owned(), (commit.clone(), Some(object.clone())));
        (commit, object)
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

    /// Answers only who shows this token, or this password.
    pub fn guard(&self, token: &str) {
        self.lock().token = Some(token.to_owned());
    }

    /// Shows this key to whoever comes by ssh.
    pub fn show(&self, host_key: HostKeyOf) {
        self.lock().host_key = Some(host_key);
    }

    /// How often it was asked.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// How often its files were looked at.
    pub fn looks(&self) -> u64 {
        self.lock().looks
    }

    pub(super) fn delay(&self) -> Option<Duration> {
        self.lock().slow_once.take()
    }

    pub(super) fn answer(&self, remote: &Remote, reference: &Reference) -> Result<Resolved, Error> {
        self.lock().answer(remote, reference)
    }

    pub(super) fn hash(&self, remote: &Remote, files: &Files) -> Result<PathHash, Error> {
        self.lock().hash(remote, files)
    }

    /// The hash of the files that the original would have made, and recorded.
    pub fn original_hash(&self, patterns: &[&str]) -> String {
        let patterns: Vec<String> = patterns.iter().map(|it| (*it).to_owned()).collect();
        let files = Files {
            want: ger_git::Want {
                commit: self.head("main").and_then(|it| ger_git::Commit::parse(it.as_str()).ok()),
                reference: None,
            },
            patterns: ger_git::Patterns::parse(&patterns).expect("patterns that can be followed"),
            hashing: ger_git::Hashing::Original,
        };
        let uri = ger_git::RepoUri::parse(&self.uri()).expect("our own URI");
        let hashed = self.hash(&Remote::new(uri), &files);
        self.lock().looks -= 1;
        hashed.expect("it answers").hash
    }

    fn new_commit(&self) -> Commit {
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        *commits += 1;
        Commit::parse(&format!("{:08x}", *commits).repeat(5)).expect("forty hex digits")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
