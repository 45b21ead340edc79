//! What to watch: `GitRepo` in a namespace, `ClusterGitRepo` for all of them.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nullable::or_default;
use crate::rules;

/// A Git repository that triggers of the same namespace may watch.
#[expect(clippy::duplicated_attributes, reason = "each column has its own type and path")]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "git-events-runner.rs",
    version = "v1alpha1",
    kind = "GitRepo",
    doc = "A Git repository that triggers of the same namespace may watch.",
    namespaced,
    shortname = "gr",
    category = "git-events",
    printcolumn(name = "URI", type_ = "string", json_path = ".spec.repoUri"),
    printcolumn(name = "Auth", type_ = "string", json_path = ".spec.authConfig.type"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    crates(kube_core = "::kube_core"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::repo()))]
pub struct GitRepoSpec {
    /// Where the repository is: `https://`, `http://`, `ssh://` or `user@host:path`.
    #[schemars(length(max = 2048), extend("x-kubernetes-validations" = rules::repo_uri()))]
    pub repo_uri: String,
    /// How the server's certificate is verified; `https` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// How we authenticate; absent means anonymously.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_config: Option<AuthConfig>,
}

/// A Git repository that triggers of every namespace may watch.
#[expect(clippy::duplicated_attributes, reason = "each column has its own type and path")]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "git-events-runner.rs",
    version = "v1alpha1",
    kind = "ClusterGitRepo",
    doc = "A Git repository that triggers of every namespace may watch.",
    shortname = "cgr",
    category = "git-events",
    printcolumn(name = "URI", type_ = "string", json_path = ".spec.repoUri"),
    printcolumn(name = "Auth", type_ = "string", json_path = ".spec.authConfig.type"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    crates(kube_core = "::kube_core"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::repo()))]
pub struct ClusterGitRepoSpec {
    /// The same fields as a `GitRepo` has; here a Secret's `namespace` counts.
    #[serde(flatten)]
    pub repo: GitRepoSpec,
}

/// How the server's certificate is verified.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsConfig {
    /// Accept any certificate. Whoever is between us and the server can then change what runs.
    #[serde(default, deserialize_with = "or_default")]
    pub no_verify_ssl: bool,
    /// Certificates that are trusted beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<CaCert>,
}

/// Where a PEM bundle of trusted certificates is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaCert {
    /// The Secret that holds the bundle.
    pub secret_ref: SecretRef,
    /// The key in the Secret: PEM, one or more certificates.
    #[serde(default = "default_ca_key")]
    #[schemars(length(max = 253))]
    pub key: String,
}

/// A Secret, by name; `namespace` counts for a `ClusterGitRepo` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The Secret's namespace, for a `ClusterGitRepo`; the trigger's when absent. A `GitRepo`
    /// always uses the trigger's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

/// How we authenticate with the remote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthConfig {
    /// The way: `basic` and `token` for http(s), `ssh` for ssh.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// The Secret that holds the credentials.
    pub secret_ref: SecretRef,
    /// Which keys of the Secret hold what.
    #[serde(default, deserialize_with = "or_default")]
    pub keys: AuthKeys,
}

/// The ways to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuthKind {
    /// `Authorization: Basic …` from a user name and a password.
    Basic,
    /// The Secret's value is sent verbatim as `Authorization`.
    Token,
    /// A private key.
    Ssh,
}

/// Names of the keys in the credentials Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthKeys {
    /// `basic`: the key that holds the user name.
    #[schemars(length(max = 253))]
    pub username: String,
    /// `basic`: the key that holds the password.
    #[schemars(length(max = 253))]
    pub password: String,
    /// `token`: the key whose value is sent verbatim as the `Authorization` header.
    #[schemars(length(max = 253))]
    pub token: String,
    /// `ssh`: the key that holds the private key, OpenSSH or PEM.
    #[schemars(length(max = 253))]
    pub private_key: String,
}

impl Default for AuthKeys {
    fn default() -> Self {
        Self {
            username: "username".to_owned(),
            password: "password".to_owned(),
            token: "token".to_owned(),
            private_key: "ssh-privatekey".to_owned(),
        }
    }
}

fn default_ca_key() -> String {
    "ca.crt".to_owned()
}
