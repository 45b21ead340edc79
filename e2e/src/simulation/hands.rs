//! What do people and operators do to a cluster's objects? Requests with every right, that nothing befalls.

use http::Request;
use kube::Client;
use kube_sandbox::Sandbox;
use serde_json::{Value, json};

use super::forge;
use super::script::{Script, Sources, Times, Wish};
use super::yard::APPS;
use crate::fleet::HOME;

const OURS: &str = "/apis/git-events-runner.rs/v1alpha1";

/// Works on one cluster.
#[derive(Clone, Debug)]
pub(super) struct Hands {
    client: Hidden,
}

/// A client has nothing to show.
#[derive(Clone)]
pub(super) struct Hidden(pub(super) Client);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// An object by where it is, so that it can be made, changed and removed.
#[derive(Clone, Debug)]
pub(super) struct Place {
    collection: String,
    name: String,
}

impl Place {
    fn ours(plural: &str, name: &str) -> Self {
        let collection = if plural.starts_with("cluster") {
            format!("{OURS}/{plural}")
        } else {
            format!("{OURS}/namespaces/{APPS}/{plural}")
        };
        Self { collection, name: name.to_owned() }
    }

    pub(super) fn trigger(name: &str) -> Self {
        Self::ours("scheduletriggers", name)
    }

    pub(super) fn action() -> Self {
        Self::ours("actions", "run")
    }

    pub(super) fn source(kind: &str, repo: usize) -> Self {
        let plural = if kind == "GitRepo" { "gitrepos" } else { "clustergitrepos" };
        Self::ours(plural, &source_name(repo))
    }

    pub(super) fn secret(namespace: &str, name: &str) -> Self {
        let collection = format!("/api/v1/namespaces/{namespace}/secrets");
        Self { collection, name: name.to_owned() }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }
}

/// What a source is called.
pub(super) fn source_name(repo: usize) -> String {
    format!("repo-{repo}")
}

/// The Secret of a guarded repository.
pub(super) fn secret_name(repo: usize) -> String {
    format!("repo-{repo}-token")
}

impl Hands {
    pub(super) fn new(sandbox: &Sandbox) -> Self {
        Self { client: Hidden(Client::new(sandbox.client_router("people"), "default")) }
    }

    /// Makes an object; gives its uid.
    pub(super) async fn create(&self, place: &Place, mut object: Value) -> String {
        object["metadata"]["name"] = place.name.clone().into();
        let request = Request::post(&place.collection).header("content-type", "application/json");
        let request = request.body(object.to_string().into_bytes()).expect("a path and a body");
        let created: Value =
            self.client.0.request(request).await.expect("what a script makes is good and new");
        created["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
    }

    /// Changes an object that may be gone.
    pub(super) async fn merge(&self, place: &Place, patch: &Value) {
        let request =
            Request::patch(place.path()).header("content-type", "application/merge-patch+json");
        let request = request.body(patch.to_string().into_bytes()).expect("a path and a body");
        drop(self.client.0.request::<Value>(request).await);
    }

    /// Removes an object; gives its uid, if it was there.
    pub(super) async fn delete(&self, place: &Place) -> Option<String> {
        let get = Request::get(place.path()).body(Vec::new()).expect("a path");
        let known: Value = self.client.0.request(get).await.ok()?;
        let delete = Request::delete(place.path()).body(b"{}".to_vec()).expect("a path");
        drop(self.client.0.request_text(delete).await);
        known["metadata"]["uid"].as_str().map(str::to_owned)
    }
}

/// A trigger as its author writes it.
pub(super) fn trigger(wish: &Wish) -> Value {
    let Sources { kind, repos } = &wish.sources;
    let names: Vec<String> = repos.iter().map(|it| source_name(*it)).collect();
    json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "ScheduleTrigger",
        "metadata": {},
        "spec": {
            "sources": {
                "kind": kind, "names": names,
                "watchOn": {
                    "reference": { "branch": wish.branch },
                    "onChangeOnly": wish.fires == super::script::Fires::OnChange,
                },
            },
            "schedule": schedule(wish.times),
            "action": { "kind": "Action", "name": "run" },
        },
    })
}

/// A schedule as it is written; what it is not is null, so that it can be a patch.
pub(super) fn schedule(times: Times) -> Value {
    match times {
        Times::Every(interval) => {
            json!({ "interval": format!("{}s", interval.as_secs()), "cron": null })
        }
        Times::Minutes(minutes) => {
            json!({ "interval": null, "cron": format!("*/{minutes} * * * *") })
        }
    }
}

/// An Action that leaves everything to the configuration.
pub(super) fn action() -> Value {
    json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "Action",
        "metadata": {}, "spec": { "actionJob": {} },
    })
}

/// A source that leads to a repository.
pub(super) fn source(script: &Script, kind: &str, repo: usize) -> Value {
    let mut object = json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": kind,
        "metadata": {}, "spec": { "repoUri": forge::uri(repo) },
    });
    if script.repos[repo].is_guarded {
        object["spec"]["authConfig"] = auth(kind, repo);
    }
    object
}

/// How a source shows its token.
pub(super) fn auth(kind: &str, repo: usize) -> Value {
    let mut secret = json!({ "name": secret_name(repo) });
    if kind != "GitRepo" {
        secret["namespace"] = APPS.into();
    }
    json!({ "type": "token", "secretRef": secret })
}

/// A Secret with the token of a repository.
pub(super) fn token(value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {}, "stringData": { "token": value } })
}

/// The Secret by which a spoke is registered.
pub(super) fn registration(cluster: &str) -> (Place, Value) {
    let kubeconfig = crate::fleet::kubeconfig(cluster, &json!({ "token": "t" }));
    let object = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "labels": { "sigs.k8s.io/multicluster-runtime-kubeconfig": "true" } },
        "stringData": { "kubeconfig": kubeconfig },
    });
    (Place::secret(HOME, cluster), object)
}
