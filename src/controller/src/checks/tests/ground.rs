//! A replica's checks against one remote in memory and one cluster.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, FutureExt as _};
use ger_api::GitRepoSpec;
use ger_api::schedule_trigger::SourceKind;
use ger_git::github_app::{self, App, Origin, Token, Wanted};
use ger_git::{Exchanged, Hashing, PathHash};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use kube_sandbox::Sandbox;
use serde_json::{Value, json};

use super::*;

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(super) const NOW: &str = "2026-03-01T12:00:00Z";

/// A remote in memory that lets in who holds its password.
pub(super) struct Memory {
    state: Mutex<State>,
    requests: AtomicU64,
    hashes: AtomicU64,
    minted: AtomicU64,
}

pub(super) struct State {
    pub(super) password: Option<String>,
    pub(super) resolved: Resolved,
    /// In place of every answer: a status, and how long to stay away.
    pub(super) status: Option<(u16, Option<Duration>)>,
    /// In place of a hash.
    pub(super) too_large: bool,
    /// Hashes of this kind do not come in time.
    pub(super) slow: Option<Hashing>,
    /// How long a hash takes.
    pub(super) tree_time: Duration,
    /// The remotes that were asked.
    pub(super) seen: Vec<Remote>,
}

impl Memory {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(state: &State, remote: &Remote) -> Result<Resolved, ger_git::Error> {
    let host = remote.uri.host().to_owned();
    if let Some((status, retry_after)) = state.status {
        return Err(ger_git::Error::Status { host, status, retry_after });
    }
    let is_in = match (&remote.auth, &state.password) {
        (_, None) => true,
        (Auth::Basic { password, .. }, Some(wanted)) => password.expose() == wanted.as_bytes(),
        (Auth::None | Auth::Token(_) | Auth::Ssh(_), Some(_)) => false,
    };
    if is_in {
        return Ok(state.resolved.clone());
    }
    Err(ger_git::Error::Status { host, status: 401, retry_after: None })
}

impl Remotes for Memory {
    fn resolve(
        &self,
        remote: Remote,
        _: Reference,
    ) -> BoxFuture<'static, Result<Resolved, ger_git::Error>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let answer = answer(&self.lock(), &remote);
        self.lock().seen.push(remote);
        async move {
            // Long enough for others to ask meanwhile.
            tokio::time::sleep(Duration::from_millis(200)).await;
            answer
        }
        .boxed()
    }

    fn path_hash(
        &self,
        remote: Remote,
        files: Files,
    ) -> BoxFuture<'static, Result<PathHash, ger_git::Error>> {
        self.hashes.fetch_add(1, Ordering::SeqCst);
        let answer = answer(&self.lock(), &remote);
        let State { too_large, tree_time, .. } = *self.lock();
        let is_slow = self.lock().slow == Some(files.hashing);
        async move {
            tokio::time::sleep(tree_time).await;
            if is_slow {
                let host = remote.uri.host().to_owned();
                return Err(ger_git::Error::Slow { host, limit: tree_time });
            }
            let commit = answer?.commit;
            if too_large {
                return Err(ger_git::Error::Large { what: "entries", most: 200_000 });
            }
            let digest = ger_core::plan::patterns_digest(files.patterns.lines());
            let hash = match files.hashing {
                Hashing::Ours => format!("t1-{digest}-{}", "a".repeat(64)),
                Hashing::Original => "b".repeat(64),
            };
            Ok(PathHash { hash, matched: 1, commit })
        }
        .boxed()
    }

    fn installation_token(
        &self,
        _: App,
        _: Tls,
        wanted: Wanted,
    ) -> BoxFuture<'static, Result<Token, Arc<github_app::Error>>> {
        let minted = &self.minted;
        let value = |n: u64| ger_git::Secret::from(format!("ghs_{n}"));
        let kept = value(minted.load(Ordering::SeqCst));
        let is_kept = minted.load(Ordering::SeqCst) > 0 && wanted.refused.as_ref() != Some(&kept);
        let origin = if is_kept { Origin::Kept } else { Origin::Minted };
        let value = if is_kept { kept } else { value(minted.fetch_add(1, Ordering::SeqCst) + 1) };
        let expires_at: Timestamp = wanted.now + Duration::from_hours(1);
        async move { Ok(Token { value, expires_at, origin }) }.boxed()
    }

    fn traffic(&self) -> BTreeMap<String, Exchanged> {
        BTreeMap::new()
    }
}

pub(super) struct Ground {
    pub(super) handle: Handle,
    pub(super) remote: Arc<Memory>,
    pub(super) client: Client,
    pub(super) metrics: Metrics,
}

impl Ground {
    pub(super) fn new() -> Self {
        let state = State {
            password: None,
            resolved: ger_git::Commit::parse(COMMIT).unwrap().into(),
            status: None,
            too_large: false,
            slow: None,
            tree_time: Duration::from_millis(200),
            seen: Vec::new(),
        };
        let remote = Arc::new(Memory {
            state: Mutex::new(state),
            requests: AtomicU64::new(0),
            hashes: AtomicU64::new(0),
            minted: AtomicU64::new(0),
        });
        let settings = Settings {
            parallelism: 16,
            weights: Weights::default(),
            secrets_cache_time: Duration::from_mins(1),
        };
        let metrics = Metrics::new("test").unwrap();
        let sandbox = Sandbox::new("hub");
        let clock = Clock::virtual_from(NOW.parse().unwrap());
        let remotes = Arc::clone(&remote) as Arc<dyn Remotes>;
        Self {
            handle: Handle::new(&settings, remotes, clock, metrics.clone()),
            remote,
            client: Client::new(sandbox.router(), "default"),
            metrics,
        }
    }

    pub(super) async fn head(&self, source: &Source) -> Result<Head, Error> {
        self.head_with(source, None, None).await
    }

    pub(super) async fn head_with(
        &self,
        source: &Source,
        files: Option<&[String]>,
        record: Option<&CheckedSource>,
    ) -> Result<Head, Error> {
        self.head_in(&ClusterName::hub(), source, files, record).await
    }

    pub(super) async fn head_in(
        &self,
        cluster: &ClusterName,
        source: &Source,
        files: Option<&[String]>,
        record: Option<&CheckedSource>,
    ) -> Result<Head, Error> {
        let reference = Watched::default();
        let placed = Placed { cluster, client: &self.client, namespace: "default", source };
        self.handle.head(Asked { placed, reference: &reference, files, record }).await
    }

    pub(super) async fn set_login(&self, password: &str) {
        self.set_secret("login", &json!({ "username": "me", "password": password })).await;
    }

    pub(super) async fn set_secret(&self, name: &str, values: &Value) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "default");
        let encode = |it: &Value| {
            let text = it.as_str().unwrap_or_default();
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
        };
        let values = values.as_object().unwrap().iter().filter(|(_, it)| !it.is_null());
        let data: BTreeMap<&String, String> = values.map(|(key, it)| (key, encode(it))).collect();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "data": data,
        });
        let params = PatchParams::apply("test").force();
        secrets.patch(name, &params, &Patch::Apply(secret)).await.unwrap();
    }

    /// Lets in only who shows this password.
    pub(super) fn lock(&self, password: &str) {
        self.remote.lock().password = Some(password.to_owned());
    }

    /// The remotes that were asked since the last time.
    pub(super) fn seen(&self) -> Vec<Remote> {
        std::mem::take(&mut self.remote.lock().seen)
    }

    pub(super) fn requests(&self) -> u64 {
        self.remote.requests.load(Ordering::SeqCst)
    }

    pub(super) fn hashes(&self) -> u64 {
        self.remote.hashes.load(Ordering::SeqCst)
    }

    pub(super) fn minted(&self) -> u64 {
        self.remote.minted.load(Ordering::SeqCst)
    }
}

pub(super) fn open() -> Source {
    source(&json!({ "repoUri": "https://git.example.com/app" }))
}

pub(super) fn locked() -> Source {
    source(&json!({
        "repoUri": "https://git.example.com/app",
        "authConfig": { "type": "basic", "secretRef": { "name": "login" } },
    }))
}

pub(super) fn source(spec: &Value) -> Source {
    let spec: GitRepoSpec = serde_json::from_value(spec.clone()).unwrap();
    Source::of(SourceKind::GitRepo, "app", &spec).unwrap()
}
