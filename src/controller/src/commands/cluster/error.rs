//! What keeps an operator's command from being done, and what to do then?

use std::path::PathBuf;
use std::time::Duration;

/// Why a command ended early. It names objects, and holds no credential.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the kubeconfig{}", at(.path.as_ref()))]
    Kubeconfig { path: Option<PathBuf>, source: Box<kube::config::KubeconfigError> },

    #[error("the kubeconfig has no context {context:?}; see: kubectl config get-contexts")]
    NoContext { context: String },

    #[error("the kubeconfig says no server for the context {context:?}")]
    NoServer { context: String },

    #[error(
        "the context {context:?} turns certificate verification off, and the hub would refuse it; give its \
         certificate-authority-data instead"
    )]
    Unverified { context: String },

    #[error("cannot read the certificate authority {path}")]
    Authority { path: PathBuf, source: std::io::Error },

    #[error("cannot make a client for the context {context:?}")]
    Client { context: String, source: Box<crate::clusters::Error> },

    #[error("{context:?} is the hub itself, which needs not be added: it is the cluster `hub`")]
    IsHub { context: String },

    #[error(
        "{context:?} is not the cluster that the hub calls {name}: name the context of that one; or, if {context:?} \
         has taken its place, let the hub forget it first: git-events-runner cluster remove {name}"
    )]
    Another { context: String, name: String },

    #[error(
        "{context:?} is on the hub already, by the name {name}; let the hub forget that first: git-events-runner \
         cluster remove {name}"
    )]
    Known { context: String, name: String },

    #[error("cannot {what}")]
    Request { what: String, source: Box<kube::Error> },

    #[error(
        "the hub has a Secret {namespace}/{name} that is no cluster's; take another name, or remove it"
    )]
    NotOurs { namespace: String, name: String },

    #[error(
        "{name} is not on the hub, in the namespace {namespace}; see: git-events-runner cluster list"
    )]
    Unknown { namespace: String, name: String },

    #[error("the spoke gave no token within {limit:?}; does its controller manager run?")]
    NoToken { limit: Duration },

    #[error("cannot write a kubeconfig")]
    Write { source: Box<serde_saphyr::ser_error::Error> },

    #[error(
        "no replica said anything of {name} within {limit:?}; it is registered, and is taken once a \
         controller runs in the hub's namespace {namespace}"
    )]
    Silence { name: String, namespace: String, limit: Duration },

    #[error("the hub's replicas do not work with {name} ({reason}): {message}")]
    NotReady { name: String, reason: String, message: String },
}

fn at(path: Option<&PathBuf>) -> String {
    path.map(|it| format!(" {}", it.display())).unwrap_or_default()
}

/// Says of a request what it was for.
pub(super) fn cannot(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
    let what = what.into();
    |source| Error::Request { what, source: Box::new(source) }
}
