//! What to watch: `GitRepo` in a namespace, `ClusterGitRepo` for all of them.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

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
    /// Where the repository is: `https://`, `http://`, `ssh://`, `git://` or `user@host:path`; without
    /// credentials.
    #[schemars(length(max = 2048), extend("x-kubernetes-validations" = rules::repo_uri()))]
    pub repo_uri: String,
    /// How the server's certificate is verified; `https` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// How we authenticate; absent means anonymously. An ssh address needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_config: Option<AuthConfig>,
    /// How long one check may take: `30s`, `2m`; from one second to ten minutes. A Job's clone has as
    /// long, and at least two minutes.
    #[serde(default = "default_timeout", deserialize_with = "timeout_or_default")]
    #[schemars(length(max = 64), extend("x-kubernetes-validations" = rules::timeout()))]
    pub timeout: String,
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
    /// Accept any certificate. Whoever is between us and the server can then change what runs; the
    /// condition `TlsVerified` of the triggers says so.
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
    /// always uses the trigger's, and the condition `SecretNamespaceIgnored` says when another is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

/// How we authenticate with the remote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthConfig {
    /// The way: `basic`, `token` and `githubApp` for http(s), `ssh` for ssh; `git://` knows none.
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
    /// An installation of a GitHub App: its key gets tokens that live for an hour.
    GithubApp,
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
    /// `ssh`: the key that holds the private key, OpenSSH or PEM; ed25519, ecdsa or rsa.
    #[schemars(length(max = 253))]
    pub private_key: String,
    /// `ssh`: the key that holds the private key's passphrase; the Secret may be without.
    #[schemars(length(max = 253))]
    pub passphrase: String,
    /// `ssh`: the key that holds the host keys, as a `known_hosts` file. Of a host that it names, it alone
    /// counts; the large public hosts are known without. The Secret may be without.
    #[schemars(length(max = 253))]
    pub known_hosts: String,
    /// `githubApp`: the key that holds the App's id, or its client id.
    #[schemars(length(max = 253))]
    pub app_id: String,
    /// `githubApp`: the key that holds the id of the App's installation.
    #[schemars(length(max = 253))]
    pub installation_id: String,
    /// `githubApp`: the key that holds the App's private key, PEM.
    #[schemars(length(max = 253))]
    pub app_private_key: String,
    /// `githubApp`: the key that holds the address of the API, `https://HOST/api/v3` for a GitHub
    /// Enterprise Server. The Secret may be without for github.com and hosts below ghe.com.
    #[schemars(length(max = 253))]
    pub api_url: String,
}

impl Default for AuthKeys {
    fn default() -> Self {
        Self {
            username: "username".to_owned(),
            password: "password".to_owned(),
            token: "token".to_owned(),
            private_key: "ssh-privatekey".to_owned(),
            passphrase: "passphrase".to_owned(),
            known_hosts: "known_hosts".to_owned(),
            app_id: "appId".to_owned(),
            installation_id: "installationId".to_owned(),
            app_private_key: "appPrivateKey".to_owned(),
            api_url: "apiUrl".to_owned(),
        }
    }
}

fn default_timeout() -> String {
    "30s".to_owned()
}

/// The default where the value is null.
fn timeout_or_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_else(default_timeout))
}

fn default_ca_key() -> String {
    "ca.crt".to_owned()
}
