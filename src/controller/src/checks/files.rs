//! What are the watched files like? A commit's files never change: one look serves all who may look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_api::status::CheckedSource;
use ger_core::change::{FilesNeeded, Head, files_needed};
use ger_core::names::ClusterName;
use ger_core::plan::patterns_digest;
use ger_git::Error as Git;
use ger_git::{Auth, Commit, Hashing, Patterns, Reference, Remote, RepoUri, Tls, Want};
use tokio::time::Instant;

use super::coalesce::Coalescer;
use super::{Error, Files, Inner, Share};

/// A commit that others ask about later than this is old news.
const KEEP: Duration = Duration::from_mins(10);
/// Commits come without number; one that is forgotten is fetched again.
const MOST: usize = 1024;

/// So many failures in a row, at two minutes each, are two hours. The ledger counts them.
const FAILED_LONG: i64 = 64;

/// Whoever holds another secret looks for himself.
type Question = (RepoUri, Auth, Tls, Commit, Vec<String>, Hashing);
type Answer = Result<String, Error>;

/// Hashes that were made lately, and those that are being made.
#[derive(Debug)]
pub(super) struct Hashes {
    looking: Coalescer<Question, Answer>,
    kept: Mutex<HashMap<Question, (Instant, Answer)>>,
}

/// A look at the files of a repository.
#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) remote: Remote,
    pub(super) cluster: &'a ClusterName,
    /// Followed where a server gives no commit by its id.
    pub(super) way: Reference,
    /// The watched files, as patterns.
    pub(super) patterns: &'a [String],
    pub(super) record: Option<&'a CheckedSource>,
}

impl Hashes {
    pub(super) fn new() -> Self {
        Self { looking: Coalescer::new(), kept: Mutex::default() }
    }

    fn find(&self, question: &Question) -> Option<Answer> {
        let kept = self.lock();
        let (since, answer) = kept.get(question)?;
        (since.elapsed() < KEEP).then(|| answer.clone())
    }

    fn keep(&self, question: Question, answer: &Answer) {
        let mut kept = self.lock();
        if kept.len() >= MOST {
            kept.retain(|_, (since, _)| since.elapsed() < KEEP);
        }
        if kept.len() < MOST {
            kept.insert(question, (Instant::now(), answer.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, (Instant, Answer)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The head with what its files are like, as far as that must be known.
    pub(super) async fn look(
        self: &Arc<Self>,
        look: Look<'_>,
        mut head: Head,
    ) -> Result<Head, Error> {
        let (tag_object, digest) = (head.tag_object.as_ref(), patterns_digest(look.patterns));
        match files_needed(look.record, &head.commit, tag_object, Some(&digest)) {
            FilesNeeded::None => {}
            FilesNeeded::Known(hash) => head.files = Some(hash),
            FilesNeeded::Ours => head.files = Some(self.hash(&look, &head, Hashing::Ours).await?),
            FilesNeeded::OursAndOriginal => {
                head.files = Some(self.hash(&look, &head, Hashing::Ours).await?);
                head.original_files = match self.hash(&look, &head, Hashing::Original).await {
                    Ok(hash) => Some(hash),
                    // It needs all contents, which may be too much for ever: what cannot be compared
                    // is a change.
                    Err(Error::Files { source })
                        if !source.is_transient() || has_failed_long(look.record) =>
                    {
                        None
                    }
                    Err(error) => return Err(error),
                };
            }
        }
        Ok(head)
    }

    async fn hash(self: &Arc<Self>, look: &Look<'_>, head: &Head, hashing: Hashing) -> Answer {
        let commit = Commit::parse(head.commit.as_str());
        let commit = commit.map_err(|_| Error::Files { source: Arc::new(Git::Nothing) })?;
        let Remote { uri, auth, tls, .. } = look.remote.clone();
        let lines = look.patterns.to_vec();
        let question = (uri, auth, tls, commit.clone(), lines, hashing);
        let host = look.remote.uri.host();
        if let Some(answer) = self.hashes.find(&question) {
            self.count_shared(host, Share::Joined);
            return answer;
        }
        let _share = self.limits.enter_trees(look.cluster, host).await;
        // Somebody may have looked meanwhile.
        if let Some(answer) = self.hashes.find(&question) {
            self.count_shared(host, Share::Joined);
            return answer;
        }
        let patterns =
            Patterns::parse(look.patterns).map_err(|source| Error::Patterns { source })?;
        let want = Want { commit: Some(commit), reference: Some(look.way.clone()) };
        let files = Files { want, patterns, hashing };
        let (inner, remote, key) = (Arc::clone(self), look.remote.clone(), question.clone());
        // It may be joined while it is in flight too: the answer is the same for ever.
        let by = look.cluster.clone();
        let fetch = move |_| async move { inner.fetch((by, remote), files, key).await };
        let (answer, share) = self.hashes.looking.ask(question, fetch).await;
        self.count_shared(host, share);
        answer
    }

    async fn fetch(
        &self,
        (cluster, remote): (ClusterName, Remote),
        files: Files,
        question: Question,
    ) -> Answer {
        let caller = (remote.uri.host().to_owned(), remote.auth.clone());
        let _tree = self.limits.enter_tree(&cluster).await;
        let _slot = self.limits.enter(&cluster, &caller).await;
        self.stays_away(&caller)?;
        let way = files.want.reference.clone();
        let answer = self.remotes.path_hash(remote, files).await;
        self.note(&caller, "path-hash", answer.as_ref().err());
        match answer {
            Ok(found) if found.commit == question.3 => {
                let answer = Ok(found.hash);
                self.hashes.keep(question, &answer);
                answer
            }
            // By the way of the reference another commit may be found: that one is not the answer.
            Ok(_) => {
                let (host, commit) = (caller.0, question.3);
                let moved = way.map(|reference| Git::Moved { host, reference, commit });
                Err(Error::Files { source: Arc::new(moved.unwrap_or(Git::Nothing)) })
            }
            Err(source) => {
                let is_of_commit = is_of_commit(&source);
                let answer = Err(Error::Files { source: Arc::new(source) });
                if is_of_commit {
                    self.hashes.keep(question, &answer);
                }
                answer
            }
        }
    }
}

/// Whether the commit itself is why, which never changes: each further try would cost as much as may
/// be fetched, and find the same.
fn is_of_commit(error: &Git) -> bool {
    matches!(error, Git::Large { .. } | Git::Unsafe { .. })
}

/// Whether the source has failed for hours: what needed too long each time will need too long again.
fn has_failed_long(record: Option<&CheckedSource>) -> bool {
    record.is_some_and(|it| it.failures >= FAILED_LONG)
}
