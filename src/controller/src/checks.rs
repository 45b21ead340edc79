//! What do the remotes say now? Sources → credentials → one request, shared by all who may share it.
//!
//! ```text
//! head ──▶ access (Secrets, kept 60 s) ──▶ coalesce (by URI, credential, TLS, reference)
//!   │                                          └──▶ limits (slots, pauses) ──▶ Remotes
//!   └── it moved, and files are watched ──▶ files (by commit and patterns) ──▶ Remotes
//! ```

mod access;
mod coalesce;
mod credentials;
mod error;
mod files;
mod hosts;
mod limits;
mod remotes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ger_api::schedule_trigger::Reference as Watched;
use ger_api::status::CheckedSource;
use ger_core::change::Head;
use ger_core::names::{ClusterName, Commit};
use ger_core::plan::{Source, SourceTls};
use ger_git::{Auth, Reference, Remote, RepoUri, Resolved, Tls};
use tokio::time::Instant;

pub use self::access::Placed;
use self::access::{Access, Read};
use self::coalesce::{Coalescer, Share};
pub(crate) use self::credentials::{Cache, Place, Values};
pub use self::error::{Error, Purpose};
use self::hosts::Hosts;
pub use self::limits::Weights;
use self::limits::{Caller, Limits};
pub use self::remotes::{Files, Remotes};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// Two questions with the same one have the same answer: all of it counts, the secret's value too.
type Question = (RepoUri, Auth, Tls, Reference);
type Answer = Result<Resolved, Error>;

/// Asks remotes for everybody in this replica. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    remotes: Arc<dyn Remotes>,
    /// Within a cluster, on its way to its share of the slots.
    in_cluster: Coalescer<(ClusterName, Question), Answer>,
    /// Over all clusters, on the way to the remote: no cluster waits here for another's share.
    over_all: Coalescer<Question, Answer>,
    hashes: files::Hashes,
    secrets: Cache,
    limits: Arc<Limits>,
    hosts: Hosts,
    clock: Clock,
    metrics: Metrics,
}

/// How checks are limited and what is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Checks of one cluster in flight at once; all clusters together have four times as many.
    pub parallelism: u8,
    /// Whose turn it is, where clusters wait for the same.
    pub weights: Weights,
    /// How long a Secret is kept.
    pub secrets_cache_time: Duration,
}

/// One source of a trigger, as it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub placed: Placed<'a>,
    pub reference: &'a Watched,
    /// gitignore patterns: the watched files.
    pub files: Option<&'a [String]>,
    /// What is on record of the source: its files need no second look.
    pub record: Option<&'a CheckedSource>,
}

/// How an access is wanted.
#[derive(Clone, Debug, Default)]
struct Lasting {
    /// How long it must be good for, if it ends at all.
    time: Duration,
    /// The minted token that a remote has refused.
    refused: Option<ger_git::Secret>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub fn new(
        settings: &Settings,
        remotes: Arc<dyn Remotes>,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let inner = Inner {
            remotes,
            in_cluster: Coalescer::new(),
            over_all: Coalescer::new(),
            hashes: files::Hashes::new(),
            secrets: Cache::new(settings.secrets_cache_time),
            limits: Arc::new(Limits::new(settings.parallelism, &settings.weights)),
            hosts: Hosts::default(),
            clock,
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What the source's reference points at: an answer to a request sent after this call.
    ///
    /// The watched files are looked at only where the record does not tell what they are like. A
    /// refused credential is read again and tried once more before it counts.
    pub async fn head(&self, asked: Asked<'_>) -> Result<Head, Error> {
        let reference = reference(asked.reference)?;
        let uri = RepoUri::parse(&asked.placed.source.uri);
        let uri = uri.map_err(|source| Error::Uri { source })?;
        let (resolved, access) = self.resolve(asked.placed, &uri, &reference).await?;
        let head = Head {
            tag_object: resolved.tag_object.as_ref().map(commit).transpose()?,
            tag: resolved.tag.clone(),
            ..Head::from(commit(&resolved.commit)?)
        };
        let Some(patterns) = asked.files else { return Ok(head) };
        let look = files::Look {
            remote: remote(&uri, &access, asked.placed.source),
            cluster: asked.placed.cluster,
            // The tag that was chosen leads to the commit where a range leads nowhere.
            way: resolved.tag.as_deref().map_or(Ok(reference), tag)?,
            patterns,
            record: asked.record,
        };
        Box::pin(self.inner.look(look, head)).await
    }

    /// A token for a source whose credentials are a GitHub App: a new one if the one that is there
    /// ends before `lasting` is over.
    pub async fn minted(
        &self,
        placed: Placed<'_>,
        lasting: Duration,
    ) -> Result<Vec<(&'static str, ger_git::Secret)>, Error> {
        let uri = RepoUri::parse(&placed.source.uri).map_err(|source| Error::Uri { source })?;
        let lasting = Lasting { time: lasting, refused: None };
        let first = self.inner.access(placed, &uri, &lasting, &mut Read::new()).await?;
        Ok(match first.auth {
            Auth::Basic { username, password } => {
                vec![("username", username), ("password", password)]
            }
            Auth::None | Auth::Token(_) | Auth::Ssh(_) => Vec::new(),
        })
    }

    /// What was exchanged with remotes so far, by host.
    pub fn traffic(&self) -> BTreeMap<String, ger_git::Exchanged> {
        self.inner.remotes.traffic()
    }

    /// How many hosts, by credential, are left alone now.
    pub fn paused(&self) -> usize {
        self.inner.limits.pauses.count(Instant::now())
    }

    /// What a reference points at, and the access that was good for it.
    async fn resolve(
        &self,
        placed: Placed<'_>,
        uri: &RepoUri,
        reference: &Reference,
    ) -> Result<(Resolved, Access), Error> {
        let mut read = Read::new();
        let (error, access) =
            match self.inner.access(placed, uri, &Lasting::default(), &mut read).await {
                Ok(access) => match self.ask(placed, uri, &access, reference).await {
                    Ok(resolved) => return Ok((resolved, access)),
                    Err(error) => (error, Some(access)),
                },
                Err(error) => (error, None),
            };
        let has_own_roots = matches!(placed.source.tls, SourceTls::VerifyWith(_));
        let is_doubted = error.doubts_secrets() || (has_own_roots && error.doubts_certificates());
        if !is_doubted || read.is_empty() {
            return Err(error);
        }
        for (place, values) in &read {
            self.inner.secrets.forget(place, values);
        }
        let again = Lasting { refused: refused(access.as_ref(), &error), ..Lasting::default() };
        let renewed = self.inner.access(placed, uri, &again, &mut Read::new()).await?;
        // What was refused is not shown a second time.
        if access.is_some_and(|it| it == renewed) {
            return Err(error);
        }
        let resolved = self.ask(placed, uri, &renewed, reference).await?;
        Ok((resolved, renewed))
    }

    async fn ask(
        &self,
        placed: Placed<'_>,
        uri: &RepoUri,
        access: &Access,
        reference: &Reference,
    ) -> Answer {
        let host = uri.host().to_owned();
        let remote = remote(uri, access, placed.source);
        let question = (uri.clone(), access.auth.clone(), access.tls.clone(), reference.clone());
        let (inner, cluster) = (Arc::clone(&self.inner), placed.cluster.clone());
        let key = (cluster.clone(), question.clone());
        let reference = reference.clone();
        let request = move |departure: coalesce::Departure| async move {
            let _share = inner.limits.enter_share(&cluster, &host).await;
            // From here on another cluster's request may be the one that goes out.
            departure.sent();
            let sender = Arc::clone(&inner);
            let by = cluster.clone();
            let send = move |departure| async move {
                sender.send((by, remote), reference, departure).await
            };
            let (answer, share) = inner.over_all.ask(question, send).await;
            inner.count_shared(&host, share);
            answer
        };
        let (answer, share) = self.inner.in_cluster.ask(key, request).await;
        self.inner.count_shared(uri.host(), share);
        answer
    }
}

impl Inner {
    /// One request, once there is a slot for it and the remote wants to hear from us.
    async fn send(
        &self,
        (cluster, remote): (ClusterName, Remote),
        reference: Reference,
        departure: coalesce::Departure,
    ) -> Answer {
        let caller = (remote.uri.host().to_owned(), remote.auth.clone());
        let _slot = self.limits.enter(&cluster, &caller).await;
        self.stays_away(&caller)?;
        departure.sent();
        let answer = self.remotes.resolve(remote, reference).await;
        self.note(&caller, "ls-refs", answer.as_ref().err());
        answer.map_err(|source| Error::Remote { source: Arc::new(source) })
    }

    fn stays_away(&self, caller: &Caller) -> Result<(), Error> {
        match self.limits.pauses.left(caller, Instant::now()) {
            Some(left) => Err(Error::Paused { host: caller.0.clone(), left }),
            None => Ok(()),
        }
    }

    fn count_shared(&self, host: &str, share: Share) {
        if share == Share::Joined {
            self.metrics.git_coalesced_total.with_label_values(&[self.hosts.label(host)]).inc();
        }
    }

    fn note(&self, caller: &Caller, operation: &str, error: Option<&ger_git::Error>) {
        let result = if error.is_none() { "ok" } else { "error" };
        let labels = [self.hosts.label(&caller.0), operation, result];
        self.metrics.git_requests_total.with_label_values(&labels).inc();
        let pauses = &self.limits.pauses;
        match error {
            None => pauses.forgive(caller, Instant::now()),
            Some(ger_git::Error::Status { status: 429, retry_after, .. }) => {
                pauses.strike(caller, *retry_after, Instant::now());
            }
            Some(error) => {
                if let Some(wait) = error.retry_after() {
                    pauses.strike(caller, Some(wait), Instant::now());
                }
            }
        }
    }
}

/// The minted token that git refused. A token that could not be minted was refused by nobody.
fn refused(access: Option<&Access>, error: &Error) -> Option<ger_git::Secret> {
    let is_refused = matches!(error, Error::Remote { source } if source.is_auth());
    match &access?.auth {
        Auth::Basic { password, .. } if is_refused => Some(password.clone()),
        Auth::None | Auth::Basic { .. } | Auth::Token(_) | Auth::Ssh(_) => None,
    }
}

fn remote(uri: &RepoUri, access: &Access, source: &Source) -> Remote {
    let Access { auth, tls } = access;
    Remote { uri: uri.clone(), auth: auth.clone(), tls: tls.clone(), timeout: source.timeout }
}

fn commit(commit: &ger_git::Commit) -> Result<Commit, Error> {
    Commit::parse(commit.as_str()).map_err(|source| Error::NoCommit { source })
}

fn tag(name: &str) -> Result<Reference, Error> {
    Reference::tag(name).map_err(|source| Error::Reference { source })
}

/// The watched reference, as git names it.
pub fn reference(watched: &Watched) -> Result<Reference, Error> {
    match watched {
        Watched::Branch(name) => Reference::branch(name),
        Watched::Tag(name) => Reference::tag(name),
        Watched::Commit(id) => Reference::commit(id),
        Watched::Semver(range) => Reference::semver(range),
    }
    .map_err(|source| Error::Reference { source })
}
