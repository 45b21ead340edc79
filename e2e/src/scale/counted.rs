//! How many requests are sent, by verb? Counted on their way from a replica to the clusters; and how many
//! questions to remotes, which are answered at once from memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ger_core::names::ClusterName;
use ger_git::github_app::{self, App, Token, Wanted};
use ger_git::{Commit, Error as GitError, Exchanged, PathHash, Reference, Remote, Resolved, Tls};
use git_events_runner::checks::{Files, Remotes};
use git_events_runner::clusters::{Clients, Connect, Error, Target};
use http::{Method, Request};
use kube::Client;
use kube::client::Body;

use crate::measure::monotonic;

/// What every branch is at.
pub(super) const COMMIT: &str = "7c3f1a9e5b2d4086c1e7f3a2b9d8540617e2c3f4";

/// Requests so far, by verb. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Requests {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn so_far(&self) -> BTreeMap<&'static str, u64> {
        self.lock().clone()
    }

    pub(super) fn count(&self, request: &Request<Body>) {
        *self.lock().entry(verb(request)).or_default() += 1;
    }

    /// The same clients, whose requests are counted.
    pub(super) fn around(&self, clients: &Clients) -> Clients {
        Clients { requests: self.client(&clients.requests), watches: self.client(&clients.watches) }
    }

    fn client(&self, client: &Client) -> Client {
        let (counts, inner) = (self.clone(), client.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            counts.count(&request);
            let inner = inner.clone();
            async move { inner.send(request).await }
        });
        Client::new(service, client.default_namespace())
    }
}

/// What Kubernetes calls a request.
fn verb(request: &Request<Body>) -> &'static str {
    let uri = request.uri();
    match *request.method() {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ if uri.query().is_some_and(|it| it.contains("watch=")) => "watch",
        _ if is_collection(uri.path()) => "list",
        _ => "get",
    }
}

fn is_collection(path: &str) -> bool {
    let mut words = path.trim_matches('/').split('/');
    let skipped = if words.next() == Some("api") { 1 } else { 2 };
    let words: Vec<&str> = words.skip(skipped).collect();
    match words.as_slice() {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest.len() == 1,
        rest => rest.len() == 1,
    }
}

/// Connects to spokes by clients that are counted.
pub(super) struct Counted<C> {
    pub(super) inner: C,
    pub(super) requests: Requests,
}

impl<C: Connect> Connect for Counted<C> {
    fn connect<'a>(
        &'a self,
        cluster: &'a ClusterName,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Clients, Error>> {
        let connecting = self.inner.connect(cluster, target);
        async move { connecting.await.map(|it| self.requests.around(&it)) }.boxed()
    }
}

/// Remotes in memory: nothing of git is measured here. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    count: u64,
    /// Which remotes were asked when, by the machine's clock, since somebody wanted to know.
    noted: Option<Vec<(String, f64)>>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn asked(&self) -> u64 {
        self.lock().count
    }

    /// Who was asked since the last call, in seconds of the machine's clock. Nothing is noted before the first.
    pub(super) fn noted(&self) -> Vec<(String, f64)> {
        self.lock().noted.replace(Vec::new()).unwrap_or_default()
    }
}

impl Remotes for Memory {
    fn resolve(
        &self,
        remote: Remote,
        _: Reference,
    ) -> BoxFuture<'static, Result<Resolved, GitError>> {
        let mut asked = self.lock();
        asked.count += 1;
        if let Some(noted) = &mut asked.noted {
            noted.push((remote.uri.path().to_owned(), monotonic().as_secs_f64()));
        }
        let commit = Commit::parse(COMMIT).expect("it is a commit");
        std::future::ready(Ok(Resolved::from(commit))).boxed()
    }

    fn path_hash(&self, _: Remote, _: Files) -> BoxFuture<'static, Result<PathHash, GitError>> {
        // No trigger here watches files.
        std::future::ready(Err(GitError::Nothing)).boxed()
    }

    fn installation_token(
        &self,
        _: App,
        _: Tls,
        wanted: Wanted,
    ) -> BoxFuture<'static, Result<Token, Arc<github_app::Error>>> {
        let (host, limit) = ("nobody".to_owned(), wanted.timeout);
        std::future::ready(Err(Arc::new(github_app::Error::Slow { host, limit }))).boxed()
    }

    fn traffic(&self) -> BTreeMap<String, Exchanged> {
        BTreeMap::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_verb_that_the_api_gives_it() {
        let asked = |method: Method, uri: &str| {
            verb(&Request::builder().method(method).uri(uri).body(Body::empty()).unwrap())
        };

        assert_eq!(asked(Method::GET, "/api/v1/namespaces/kube-system"), "get");
        assert_eq!(asked(Method::GET, "/api/v1/namespaces/a/secrets"), "list");
        assert_eq!(asked(Method::GET, "/api/v1/namespaces/a/secrets/b"), "get");
        assert_eq!(asked(Method::GET, "/apis/batch/v1/jobs?limit=5"), "list");
        assert_eq!(asked(Method::GET, "/apis/batch/v1/jobs?watch=true"), "watch");
        assert_eq!(asked(Method::PUT, "/apis/batch/v1/namespaces/a/jobs/b/status"), "update");
    }
}
