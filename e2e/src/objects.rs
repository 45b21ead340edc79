//! What do people write? Manifests of our kinds, built a field at a time.

use ger_core::names::TriggerKind;
use serde_json::{Map, Value, json};

use crate::remotes::Repo;

/// Where a story's objects are, unless it says otherwise.
pub const APPS: &str = "apps";
/// The Action that triggers run, unless they say otherwise.
pub const ACTION: &str = "run";

const API: &str = "git-events-runner.rs/v1alpha1";

/// A trigger and what it needs: its GitRepo and its Action.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub(crate) kind: TriggerKind,
    pub(crate) name: String,
    pub(crate) namespace: String,
    spec: Value,
    annotations: Map<String, Value>,
    needs: Vec<Value>,
}

/// A trigger that looks every 10 s.
pub fn trigger(name: &str) -> Trigger {
    let spec = json!({
        "sources": { "kind": "GitRepo", "names": [] },
        "schedule": { "interval": "10s" },
        "action": { "kind": "Action", "name": ACTION },
    });
    of_kind(TriggerKind::Schedule, name, spec)
}

/// A trigger that is called, by anybody.
pub fn hook(name: &str) -> Trigger {
    let spec = json!({
        "sources": { "kind": "GitRepo", "names": [] },
        "webhook": {},
        "action": { "kind": "Action", "name": ACTION },
    });
    of_kind(TriggerKind::Webhook, name, spec)
}

fn of_kind(kind: TriggerKind, name: &str, spec: Value) -> Trigger {
    let (name, namespace) = (name.to_owned(), APPS.to_owned());
    let (annotations, needs) = (Map::new(), vec![action(ACTION)]);
    Trigger { kind, name, namespace, spec, annotations, needs }
}

impl Trigger {
    /// Must be said before what it watches.
    pub fn within(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        for object in &mut self.needs {
            object["metadata"]["namespace"] = namespace.into();
        }
        self
    }

    pub fn every(mut self, interval: &str) -> Self {
        self.spec["schedule"] = json!({ "interval": interval });
        self
    }

    pub fn cron(mut self, cron: &str) -> Self {
        self.spec["schedule"] = json!({ "cron": cron });
        self
    }

    /// Watches a repository through a GitRepo of its name.
    pub fn watching(mut self, repo: &Repo) -> Self {
        let mut object = git_repo(repo);
        object["metadata"]["namespace"] = self.namespace.clone().into();
        self.needs.push(object);
        self.named(repo.name())
    }

    /// Names a source that is there, or is not.
    pub fn named(mut self, source: &str) -> Self {
        if let Some(names) = self.spec["sources"]["names"].as_array_mut() {
            names.push(source.into());
        }
        self
    }

    /// Watches sources of the whole cluster.
    pub fn of_cluster(mut self) -> Self {
        self.spec["sources"]["kind"] = "ClusterGitRepo".into();
        self
    }

    pub fn branch(mut self, name: &str) -> Self {
        self.spec["sources"]["watchOn"]["reference"] = json!({ "branch": name });
        self
    }

    pub fn tag(mut self, name: &str) -> Self {
        self.spec["sources"]["watchOn"]["reference"] = json!({ "tag": name });
        self
    }

    /// Watches the highest tag of a range.
    pub fn semver(mut self, range: &str) -> Self {
        self.spec["sources"]["watchOn"]["reference"] = json!({ "semver": range });
        self
    }

    /// Runs at every firing.
    pub fn always(mut self) -> Self {
        self.spec["sources"]["watchOn"]["onChangeOnly"] = false.into();
        self
    }

    pub fn files(mut self, patterns: &[&str]) -> Self {
        self.spec["sources"]["watchOn"]["files"] = json!(patterns);
        self
    }

    /// Lets in who shows the value of the key `token` of a Secret, which is not made.
    pub fn known_by(mut self, kind: &str, secret: &str) -> Self {
        self.spec["webhook"]["authConfig"] = json!({
            "type": kind, "secretRef": { "name": secret }, "key": "token",
        });
        self
    }

    /// Sets a field of `webhook`.
    pub fn webhook(mut self, field: &str, value: Value) -> Self {
        self.spec["webhook"][field] = value;
        self
    }

    pub fn suspended(mut self) -> Self {
        self.spec["suspend"] = true.into();
        self
    }

    /// Anything else of its spec.
    pub fn with(mut self, spec: &Value) -> Self {
        for (key, value) in spec.as_object().into_iter().flatten() {
            self.spec[key] = value.clone();
        }
        self
    }

    /// `Allow`, `Forbid`, `Replace` or `Queue`.
    pub fn concurrency(mut self, policy: &str) -> Self {
        self.spec["concurrencyPolicy"] = policy.into();
        self
    }

    /// So many runs that succeeded, and so many that failed.
    pub fn remembering(mut self, succeeded: u32, failed: u32) -> Self {
        self.spec["successfulRunsHistoryLimit"] = succeeded.into();
        self.spec["failedRunsHistoryLimit"] = failed.into();
        self
    }

    /// Runs another Action, which is not made.
    pub fn running(mut self, action: &str) -> Self {
        self.spec["action"]["name"] = action.into();
        self.needs.retain(|it| it["kind"] != "Action");
        self
    }

    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(format!("git-events-runner.rs/{key}"), value.into());
        self
    }

    /// Without the GitRepo and the Action.
    pub fn alone(mut self) -> Self {
        self.needs.clear();
        self
    }

    /// Everything, in the order in which it is applied.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let metadata = json!({
            "name": self.name, "namespace": self.namespace, "annotations": self.annotations,
        });
        let trigger = json!({
            "apiVersion": API, "kind": self.kind.as_str(), "metadata": metadata, "spec": self.spec,
        });
        self.needs.iter().cloned().chain([trigger]).collect()
    }
}

/// An Action that leaves everything to the configuration.
pub fn action(name: &str) -> Value {
    json!({
        "apiVersion": API, "kind": "Action",
        "metadata": { "name": name, "namespace": APPS }, "spec": { "actionJob": {} },
    })
}

/// A GitRepo of the repository's name.
pub fn git_repo(repo: &Repo) -> Value {
    json!({
        "apiVersion": API, "kind": "GitRepo",
        "metadata": { "name": repo.name(), "namespace": APPS },
        "spec": { "repoUri": repo.uri() },
    })
}

/// The same, with a token from a Secret.
pub fn guarded_git_repo(repo: &Repo, secret: &str) -> Value {
    let mut object = git_repo(repo);
    object["spec"]["authConfig"] = json!({ "type": "token", "secretRef": { "name": secret } });
    object
}

/// The same over ssh, with a key from a Secret.
pub fn ssh_git_repo(repo: &Repo, secret: &str) -> Value {
    let mut object = git_repo(repo);
    object["spec"]["repoUri"] = repo.ssh_uri().into();
    object["spec"]["authConfig"] = json!({ "type": "ssh", "secretRef": { "name": secret } });
    object
}

/// A Secret with one value.
pub fn secret(name: &str, key: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "namespace": APPS }, "stringData": { key: value },
    })
}

/// An account for the Pods of Jobs.
pub fn service_account(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": name, "namespace": namespace },
    })
}
