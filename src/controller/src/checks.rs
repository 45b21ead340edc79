//! What do the remotes say now? Sources → credentials → one request, shared by all who may share it.
//!
//! ```text
//! head ──▶ credentials (Secret, kept 60 s) ──▶ coalesce (by URI, credential, TLS, reference)
//!                                                 └──▶ limits (slots, pauses) ──▶ Remotes
//! ```

mod coalesce;
mod credentials;
mod error;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use ger_api::schedule_trigger::Reference as Watched;
use ger_core::names::{ClusterName, Commit};
use ger_core::plan::{AuthKind, Source, SourceAuth};
use ger_git::{Auth, Reference, Remote, RepoUri, Tls};
use tokio::time::Instant;

use self::coalesce::{Coalescer, Share};
use self::credentials::{Cache, Place};
pub use self::error::Error;
use self::limits::Limits;
use crate::metrics::Metrics;

/// Where answers come from: the network, or a simulation's memory.
pub trait Remotes: Send + Sync {
    /// The commit that `reference` points at now.
    fn resolve(
        &self,
        remote: Remote,
        reference: Reference,
    ) -> BoxFuture<'static, Result<ger_git::Commit, ger_git::Error>>;

    /// What was exchanged so far, by host.
    fn traffic(&self) -> BTreeMap<String, ger_git::Exchanged>;
}

impl Remotes for ger_git::Client {
    fn resolve(
        &self,
        remote: Remote,
        reference: Reference,
    ) -> BoxFuture<'static, Result<ger_git::Commit, ger_git::Error>> {
        let client = self.clone();
        async move { Self::resolve(&client, &remote, &reference).await }.boxed()
    }

    fn traffic(&self) -> BTreeMap<String, ger_git::Exchanged> {
        Self::traffic(self).by_host()
    }
}

/// Two questions with the same one have the same answer: all of it counts, the secret's value too.
type Question = (RepoUri, Auth, Tls, Reference);
type Answer = Result<ger_git::Commit, Error>;

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
    secrets: Cache,
    limits: Arc<Limits>,
    metrics: Metrics,
}

/// How checks are limited and what is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Checks of one cluster in flight at once; all clusters together have four times as many.
    pub parallelism: u8,
    /// How long a Secret is kept.
    pub secrets_cache_time: Duration,
}

/// One source of a trigger, as it is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub cluster: &'a ClusterName,
    pub client: &'a kube::Client,
    /// The trigger's: its Secrets are there unless the source names another.
    pub namespace: &'a str,
    pub source: &'a Source,
    pub reference: &'a Watched,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Handle {
    pub fn new(settings: &Settings, remotes: Arc<dyn Remotes>, metrics: Metrics) -> Self {
        let inner = Inner {
            remotes,
            in_cluster: Coalescer::new(),
            over_all: Coalescer::new(),
            secrets: Cache::new(settings.secrets_cache_time),
            limits: Arc::new(Limits::new(settings.parallelism)),
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The commit that the source's reference points at: an answer to a request sent after this call.
    ///
    /// A refused credential is read again and tried once more before it counts.
    pub async fn head(&self, asked: Asked<'_>) -> Result<Commit, Error> {
        let answer = match self.ask(asked).await {
            Err(Error::Remote { source }) if source.is_auth() && asked.source.auth.is_some() => {
                if let Some(place) = place(asked) {
                    self.inner.secrets.forget(&place);
                }
                self.ask(asked).await
            }
            answer => answer,
        }?;
        Commit::parse(answer.as_str()).map_err(|source| Error::NoCommit { source })
    }

    /// What was exchanged with remotes so far, by host.
    pub fn traffic(&self) -> BTreeMap<String, ger_git::Exchanged> {
        self.inner.remotes.traffic()
    }

    async fn ask(&self, asked: Asked<'_>) -> Answer {
        let reference = reference(asked.reference)?;
        let uri = RepoUri::parse(&asked.source.uri).map_err(|source| Error::Uri { source })?;
        let auth = self.auth(asked).await?;
        let tls = if asked.source.skip_tls_verify { Tls::SkipVerify } else { Tls::Verify };
        let host = uri.host().to_owned();
        let asked_host = host.clone();

        let question = (uri.clone(), auth.clone(), tls, reference.clone());
        let remote = Remote { auth, tls, ..Remote::new(uri) };
        let (inner, cluster) = (Arc::clone(&self.inner), asked.cluster.clone());
        let key = (cluster.clone(), question.clone());
        let request = move |departure: coalesce::Departure| async move {
            let _share = inner.limits.enter_share(&cluster).await;
            // From here on another cluster's request may be the one that goes out.
            departure.sent();
            let sender = Arc::clone(&inner);
            let send =
                move |departure| async move { sender.send(remote, reference, departure).await };
            let (answer, share) = inner.over_all.ask(question, send).await;
            inner.count_shared(&host, share);
            answer
        };
        let (answer, share) = self.inner.in_cluster.ask(key, request).await;
        self.inner.count_shared(&asked_host, share);
        answer
    }

    /// What the source's Secret makes of us.
    async fn auth(&self, asked: Asked<'_>) -> Result<Auth, Error> {
        let (Some(auth), Some(place)) = (&asked.source.auth, place(asked)) else {
            return Ok(Auth::None);
        };
        let values = self.inner.secrets.values(asked.client, &place).await?;
        let value = |file: &str| value(&values, auth, file);
        Ok(match auth.kind {
            AuthKind::Basic => {
                Auth::Basic { username: value("username")?, password: value("password")? }
            }
            AuthKind::Token => Auth::Token(value("token")?),
        })
    }
}

impl Inner {
    /// One request, once there is a slot for it and the remote wants to hear from us.
    async fn send(
        &self,
        remote: Remote,
        reference: Reference,
        departure: coalesce::Departure,
    ) -> Answer {
        let _slot = self.limits.enter().await;
        let (host, auth) = (remote.uri.host().to_owned(), remote.auth.clone());
        if let Some(left) = self.limits.paused(&host, &auth, Instant::now()) {
            return Err(Error::Paused { host, left });
        }
        departure.sent();
        let answer = self.remotes.resolve(remote, reference).await;
        self.note(&host, &auth, &answer);
        answer.map_err(|source| Error::Remote { source: Arc::new(source) })
    }

    fn count_shared(&self, host: &str, share: Share) {
        if share == Share::Joined {
            self.metrics.git_coalesced_total.with_label_values(&[host]).inc();
        }
    }

    fn note(&self, host: &str, auth: &Auth, answer: &Result<ger_git::Commit, ger_git::Error>) {
        let result = if answer.is_ok() { "ok" } else { "error" };
        self.metrics.git_requests_total.with_label_values(&[host, "ls-refs", result]).inc();
        if let Some(wait) = answer.as_ref().err().and_then(ger_git::Error::retry_after) {
            self.limits.pause(host, auth, wait, Instant::now());
        }
    }
}

/// Where the source's Secret is: in the trigger's namespace, unless the source names another.
fn place(asked: Asked<'_>) -> Option<Place> {
    let auth = asked.source.auth.as_ref()?;
    let namespace = auth.namespace.as_deref().unwrap_or(asked.namespace);
    Some(Place {
        cluster: asked.cluster.clone(),
        namespace: namespace.to_owned(),
        name: auth.secret.clone(),
    })
}

/// What the Secret holds under the key that the source gives `file`.
fn value(
    values: &BTreeMap<String, ger_git::Secret>,
    auth: &SourceAuth,
    file: &str,
) -> Result<ger_git::Secret, Error> {
    let key = auth.key(file).unwrap_or(file);
    let missing = || Error::NoKey { secret: auth.secret.clone(), key: key.to_owned() };
    values.get(key).cloned().ok_or_else(missing)
}

/// The watched reference, as git names it.
pub fn reference(watched: &Watched) -> Result<Reference, Error> {
    match watched {
        Watched::Branch(name) => Reference::branch(name),
        Watched::Tag(name) => Reference::tag(name),
        Watched::Commit(id) => Reference::commit(id),
    }
    .map_err(|source| Error::Reference { source })
}
