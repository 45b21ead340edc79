//! When somebody calls: `WebhookTrigger`.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nullable::or_default;
use crate::schedule_trigger::{ActionRef, ConcurrencyPolicy, Sources};
use crate::status::TriggerStatus;

/// Checks its sources when its URL is called.
#[expect(clippy::duplicated_attributes, reason = "each column has its own type and path")]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "git-events-runner.rs",
    version = "v1alpha1",
    kind = "WebhookTrigger",
    doc = "Checks its sources when its URL is called.",
    namespaced,
    shortname = "wt",
    category = "git-events",
    status = "TriggerStatus",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Last Run", type_ = "date", json_path = ".status.lastRun"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    crates(kube_core = "::kube_core"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTriggerSpec {
    /// What is watched.
    pub sources: Sources,
    /// Who may call, and how.
    pub webhook: Webhook,
    /// What runs when a source changed.
    pub action: ActionRef,
    /// While true, calls are refused and nothing runs.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub suspend: bool,
    /// What becomes of a run while an earlier one of its source is not finished.
    #[serde(default, deserialize_with = "or_default")]
    pub concurrency_policy: ConcurrencyPolicy,
}

/// How the trigger may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Allows the call that names no source and checks all.
    #[serde(default, deserialize_with = "or_default")]
    pub multi_source: bool,
    /// What a caller must know; absent means that anybody may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_config: Option<WebhookAuth>,
    /// The events that count, as the forge names them; others are answered and ignored. `push` when
    /// absent, which every forge's pushes of branches and tags are. A call that names no event counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(max = 128)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub events: Option<Vec<String>>,
    /// Whether a push to another reference than the watched one is answered and ignored. When absent:
    /// true, unless the type is `header`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_reference: Option<bool>,
}

/// What a caller must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAuth {
    /// How a caller shows it.
    #[serde(default, deserialize_with = "or_default", rename = "type")]
    pub kind: WebhookAuthKind,
    /// The Secret that holds what a caller must know.
    pub secret_ref: WebhookSecretRef,
    /// The key in the Secret. Keys that begin with it and a dot count too (`token`, `token.old`), so
    /// that a secret can be changed while both are in use.
    #[schemars(length(max = 1024))]
    pub key: String,
    /// For the type `header`: the header that is compared with the Secret's value; the configuration's
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub header: Option<String>,
}

/// How a caller shows what it knows.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum WebhookAuthKind {
    #[default]
    /// The Secret's value itself, in a header.
    Header,
    /// GitHub signs the body: `X-Hub-Signature-256`.
    Github,
    /// GitLab sends its secret token: `X-Gitlab-Token`.
    Gitlab,
    /// Gitea and Forgejo sign the body: `X-Gitea-Signature`.
    Gitea,
    /// Bitbucket, Cloud and Data Center, signs the body: `X-Hub-Signature`.
    Bitbucket,
}

/// A Secret of the trigger's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecretRef {
    /// The Secret's name.
    #[schemars(length(max = 1024))]
    pub name: String,
}
