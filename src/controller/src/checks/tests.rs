//! One request for all who may share it; credentials read again when they are refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ger_api::GitRepoSpec;
use ger_api::schedule_trigger::SourceKind;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use kube_sandbox::Sandbox;
use serde_json::json;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A remote in memory that lets in who holds its password.
#[derive(Default)]
struct Memory {
    password: Mutex<Option<String>>,
    requests: AtomicU64,
}

impl Remotes for Memory {
    fn resolve(
        &self,
        remote: Remote,
        _: Reference,
    ) -> BoxFuture<'static, Result<ger_git::Commit, ger_git::Error>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let wanted = self.password.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_in = match (&remote.auth, wanted) {
            (_, None) => true,
            (Auth::Basic { password, .. }, Some(wanted)) => password.expose() == wanted.as_bytes(),
            (Auth::None | Auth::Token(_), Some(_)) => false,
        };
        async move {
            // Long enough for others to ask meanwhile.
            tokio::time::sleep(Duration::from_millis(200)).await;
            if is_in {
                return Ok(ger_git::Commit::parse(COMMIT).unwrap());
            }
            let host = remote.uri.host().to_owned();
            Err(ger_git::Error::Status { host, status: 401, retry_after: None })
        }
        .boxed()
    }

    fn traffic(&self) -> BTreeMap<String, ger_git::Exchanged> {
        BTreeMap::new()
    }
}

/// A replica's checks against one remote and one cluster.
struct Ground {
    handle: Handle,
    remote: Arc<Memory>,
    client: Client,
}

impl Ground {
    fn new() -> Self {
        let remote = Arc::new(Memory::default());
        let settings = Settings { parallelism: 16, secrets_cache_time: Duration::from_mins(1) };
        let metrics = Metrics::new("test").unwrap();
        let sandbox = Sandbox::new("hub");
        Self {
            handle: Handle::new(&settings, Arc::clone(&remote) as Arc<dyn Remotes>, metrics),
            remote,
            client: Client::new(sandbox.router(), "default"),
        }
    }

    async fn head(&self, source: &Source) -> Result<Commit, Error> {
        let cluster = ClusterName::hub();
        let reference = Watched::default();
        let asked = Asked {
            cluster: &cluster,
            client: &self.client,
            namespace: "default",
            source,
            reference: &reference,
        };
        self.handle.head(asked).await
    }

    async fn set_secret(&self, password: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "default");
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "login" },
            "stringData": { "username": "me", "password": password },
        });
        secrets
            .patch("login", &PatchParams::apply("test").force(), &Patch::Apply(secret))
            .await
            .unwrap();
    }

    fn requests(&self) -> u64 {
        self.remote.requests.load(Ordering::SeqCst)
    }
}

fn open() -> Source {
    source(&json!({ "repoUri": "https://git.example.com/app" }))
}

fn locked() -> Source {
    source(&json!({
        "repoUri": "https://git.example.com/app",
        "authConfig": { "type": "basic", "secretRef": { "name": "login" } },
    }))
}

fn source(spec: &serde_json::Value) -> Source {
    let spec: GitRepoSpec = serde_json::from_value(spec.clone()).unwrap();
    Source::of(SourceKind::GitRepo, "app", &spec).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_triggers_that_ask_together_cost_one_request() {
    let ground = Ground::new();
    let source = open();

    let asking = (0..100).map(|_| ground.head(&source));
    let heads = futures::future::join_all(asking).await;

    assert!(heads.iter().all(|it| it.as_ref().is_ok_and(|it| it.as_str() == COMMIT)));
    // The first is sent at once; the others asked behind it and share the next.
    assert!(ground.requests() <= 2, "{} requests", ground.requests());
}

#[tokio::test(start_paused = true)]
async fn whoever_holds_another_secret_asks_for_himself() {
    let ground = Ground::new();
    ground.set_secret("right").await;
    *ground.remote.password.lock().unwrap() = Some("right".to_owned());

    let (with, without) = (locked(), open());
    let (with, without) = tokio::join!(ground.head(&with), ground.head(&without));

    assert!(with.is_ok());
    assert!(without.is_err_and(|it| it.reason() == "Unauthorized"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_read_again_before_it_counts() {
    let ground = Ground::new();
    ground.set_secret("old").await;
    *ground.remote.password.lock().unwrap() = Some("old".to_owned());
    assert!(ground.head(&locked()).await.is_ok());

    // Rotated on both sides, within the time that Secrets are kept.
    ground.set_secret("new").await;
    *ground.remote.password.lock().unwrap() = Some("new".to_owned());
    let before = ground.requests();

    assert!(ground.head(&locked()).await.is_ok());
    assert_eq!(ground.requests() - before, 2, "once with the old, once with the new");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named_and_nothing_secret_is() {
    let ground = Ground::new();
    let error = ground.head(&locked()).await.unwrap_err();
    assert_eq!(error.reason(), "CredentialsMissing");
    assert!(error.message().contains("login") && error.message().contains("default"));

    ground.set_secret("hunter2").await;
    *ground.remote.password.lock().unwrap() = Some("other".to_owned());
    let error = ground.head(&locked()).await.unwrap_err();
    assert_eq!(error.reason(), "Unauthorized");
    assert!(!format!("{error:?} {}", error.message()).contains("hunter2"));
}
