//! What does a reference point at? One POST over a kept connection, whoever answers.
//!
//! ```text
//! ls_refs ── http, v2: one POST ──▶ refs        (client/requests.rs)
//!    │  └── not v2? GET info/refs ──▶ refs      remembered by host (client/learned.rs)
//!    └───── git://, ssh: a stream ──▶ refs      (client/conversation.rs)
//! ```

mod conversation;
mod learned;
mod requests;

use std::sync::Arc;

use tokio::time::timeout;

use self::{
    conversation::Early,
    learned::Learned,
    requests::{Asked, Requests},
};
use crate::{
    Error, Malformed, Reference, Remote, RemoteRef, Resolved, Scheme, Tls, Traffic,
    github_app::{self, App, Token, Tokens, Wanted},
    ls_refs::{All, Best, Keep, One, TAGS},
    transport::{git, pool::Pool, ssh::Sessions, stream::Version},
};

/// Asks remotes. Cheap to clone; clones share connections and counters.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: Pool,
    sessions: Sessions,
    traffic: Traffic,
    learned: Learned,
    tokens: Tokens,
}

/// What is asked of a remote, and where the answer goes.
#[derive(Debug)]
struct Question<'a, K> {
    remote: &'a Remote,
    prefixes: &'a [String],
    /// Still empty: what is left of a broken answer is thrown away.
    keep: &'a K,
}

impl Client {
    /// Makes a client with no connections yet.
    pub fn new() -> Result<Self, Error> {
        let traffic = Traffic::default();
        let pool = Pool::new(traffic.clone())?;
        let (learned, tokens) = (Learned::default(), Tokens::default());
        let sessions = Sessions::default();
        let inner = Inner { pool, sessions, traffic, learned, tokens };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What was sent and received so far, by host.
    pub fn traffic(&self) -> &Traffic {
        &self.inner.traffic
    }

    /// A token of a GitHub App's installation: a kept one, while it lasts as long as is wanted.
    pub async fn installation_token(
        &self,
        app: &App,
        tls: &Tls,
        wanted: &Wanted,
    ) -> Result<Token, Arc<github_app::Error>> {
        let Inner { pool, traffic, tokens, .. } = &*self.inner;
        tokens.get((pool, traffic), app, tls, wanted).await
    }

    /// The refs whose full names begin with one of `prefixes`; all refs without any.
    ///
    /// Takes no longer than the remote's timeout, and never keeps more than was asked for.
    pub async fn ls_refs(
        &self,
        remote: &Remote,
        prefixes: &[String],
    ) -> Result<Vec<RemoteRef>, Error> {
        let kept = self.ask(&Question { remote, prefixes, keep: &All::below(prefixes) }).await?;
        Ok(kept.refs)
    }

    /// What a reference points at now: a commit, to which tags are followed.
    ///
    /// A commit answers for itself, without a request. Of many tags only the best one is kept.
    pub async fn resolve(&self, remote: &Remote, reference: &Reference) -> Result<Resolved, Error> {
        let not_found = || Error::RefNotFound { reference: reference.clone() };
        let found = match (reference, reference.full_name()) {
            (Reference::Commit(commit), _) => return Ok(Resolved::from(commit.clone())),
            (Reference::Semver(range), _) => {
                let prefixes = [TAGS.to_owned()];
                let question = Question { remote, prefixes: &prefixes, keep: &Best::of(range) };
                self.ask(&question).await?.found().map(|(one, tag)| (one, Some(tag)))
            }
            (_, Some(name)) => {
                let prefixes = std::slice::from_ref(&name);
                let question = Question { remote, prefixes, keep: &One::named(&name) };
                self.ask(&question).await?.found.map(|one| (one, None))
            }
            (_, None) => return Err(Error::Nothing),
        };
        let (found, tag) = found.ok_or_else(not_found)?;
        Ok(match found.peeled {
            Some(commit) => Resolved { commit, tag_object: Some(found.oid), tag },
            None => Resolved { commit: found.oid, tag_object: None, tag },
        })
    }

    async fn ask<K: Keep + Clone + Send + Sync>(
        &self,
        question: &Question<'_, K>,
    ) -> Result<K, Error> {
        let remote = question.remote;
        let slow = || Error::Slow { host: remote.uri.host().to_owned(), limit: remote.timeout };
        let asking = Box::pin(self.ask_by_any_way(question));
        timeout(remote.timeout, asking).await.map_err(|_| slow())?
    }

    async fn ask_by_any_way<K: Keep + Clone + Send + Sync>(
        &self,
        question: &Question<'_, K>,
    ) -> Result<K, Error> {
        let remote = question.remote;
        match remote.uri.scheme() {
            Scheme::Http | Scheme::Https => self.ask_any_version(question).await,
            Scheme::Git | Scheme::Ssh => self.ask_over_stream(question).await,
        }
    }

    /// At once where v2 was spoken before, without waiting for the server to say so again; where that
    /// comes to nothing, and everywhere else, one step after the other.
    async fn ask_over_stream<K: Keep + Clone>(
        &self,
        question: &Question<'_, K>,
    ) -> Result<K, Error> {
        let Inner { sessions, traffic, learned, .. } = &*self.inner;
        let remote = question.remote;
        let is_ssh = remote.uri.scheme() == Scheme::Ssh;
        if let Some(format) = learned.over_stream(&remote.uri) {
            let body = conversation::whole(question.prefixes, format)?;
            let opened = if is_ssh {
                sessions.ask(remote, &body, traffic).await
            } else {
                git::ask(remote, &body, traffic).await
            };
            match conversation::hear(&mut *opened?, question, format).await {
                Early::Heard((kept, Some(_))) => return Ok(kept),
                Early::Refused(error) => return Err(error),
                Early::Heard((kept, None)) => {
                    learned.forget_stream(&remote.uri);
                    return Ok(kept);
                }
                Early::Unlike => learned.forget_stream(&remote.uri),
            }
        }
        let mut stream = if is_ssh {
            sessions.open(remote, Version::Two, traffic).await?
        } else {
            git::open(remote, Version::Two, traffic).await?
        };
        let (kept, format) = conversation::ask(&mut *stream, question).await?;
        if let Some(format) = format {
            learned.remember_stream(&remote.uri, format);
        }
        Ok(kept)
    }

    /// Over http: in v2, with the hash that the repository is known to have, then with the other
    /// one; then in the oldest way.
    async fn ask_any_version<K: Keep + Clone + Send + Sync>(
        &self,
        question: &Question<'_, K>,
    ) -> Result<K, Error> {
        let uri = &question.remote.uri;
        let requests = Requests::to(&self.inner, question.remote)?;
        let known = self.inner.learned.about(uri);
        let mut refused = None;
        if known.is_older {
            match requests.ask_older(question).await {
                // It was upgraded, or only another repository of this host is served in the old way.
                Err(error @ (Error::Older { .. } | Error::Answer { .. })) => refused = Some(error),
                outcome => return outcome,
            }
        }
        for format in [known.format, known.format.other()] {
            match requests.ask(question, format).await? {
                Asked::Answered(kept) if format == known.format && !known.is_older => {
                    return Ok(kept);
                }
                Asked::Answered(kept) => {
                    self.inner.learned.remember_newer(uri, format);
                    return Ok(kept);
                }
                Asked::BrokeOff => {}
                Asked::NotTaken => break,
            }
        }
        if let Some(error) = refused {
            return Err(error);
        }
        let kept = requests.ask_older(question).await?;
        self.inner.learned.remember_older(uri.host());
        Ok(kept)
    }
}

/// What a broken answer means where there is no other way to ask.
fn judge(host: &str, malformed: Malformed) -> Error {
    let host = host.to_owned();
    match malformed {
        Malformed::Refused { message } => Error::Remote { host, message },
        source => Error::Answer { host, source },
    }
}

/// The same for what a server says first: it may well be no git server.
fn judge_first(host: &str, malformed: Malformed) -> Error {
    match malformed {
        source @ (Malformed::Truncated { lines: 0 }
        | Malformed::Line { line: 1 }
        | Malformed::Record { line: 1 }
        | Malformed::Dumb
        | Malformed::Version) => Error::Older { host: host.to_owned(), source },
        other => judge(host, other),
    }
}
