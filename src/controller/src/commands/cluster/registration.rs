//! How does the hub know a spoke? A Secret with a label, and a kubeconfig in it that holds no more than it must.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::access::At;
use super::error::{Error, cannot};
use super::{ACCOUNT, MANAGED_BY, MANAGER};
use crate::rights::Account;

/// The label by which replicas know a spoke.
const LABEL: &str = "sigs.k8s.io/multicluster-runtime-kubeconfig";
/// When the token ends.
const EXPIRES: &str = "git-events-runner.rs/token-expires";
/// Which cluster it is, by the uid of its `kube-system`: a name or a context may come to mean another.
const CLUSTER: &str = "git-events-runner.rs/cluster-uid";

/// The Secrets of the hub's spokes.
pub(super) struct Registrations {
    api: Api<Secret>,
    namespace: String,
}

impl Registrations {
    pub(super) fn new(hub: &Client, namespace: &str) -> Self {
        let api = Api::namespaced(hub.clone(), namespace);
        Self { api, namespace: namespace.to_owned() }
    }

    /// The spoke's Secret, if there is one. One of that name that is no spoke's is an error.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Secret>, Error> {
        let found = self.api.get_opt(name).await;
        let found = found.map_err(cannot(format!("read the Secret {name} of the hub")))?;
        match found {
            Some(secret) if secret.labels().get(LABEL).map(String::as_str) != Some("true") => {
                Err(Error::NotOurs { namespace: self.namespace.clone(), name: name.to_owned() })
            }
            found => Ok(found),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<Secret>, Error> {
        let params = ListParams::default().labels(&format!("{LABEL}=true"));
        let listed = self.api.list(&params).await;
        Ok(listed.map_err(cannot("list the Secrets of the hub"))?.items)
    }

    /// The Secrets of the same cluster by other names.
    pub(super) async fn others(&self, name: &str, cluster: &str) -> Result<Vec<Secret>, Error> {
        let mut all = self.list().await?;
        all.retain(|it| it.name_any() != name && uid(it) == Some(cluster));
        Ok(all)
    }

    /// Writes it, and says whether that changed anything that replicas read.
    pub(super) async fn write(
        &self,
        secret: &Value,
        before: Option<&Secret>,
    ) -> Result<bool, Error> {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams::apply(MANAGER).force();
        let written = self.api.patch(name, &params, &Patch::Apply(secret)).await;
        let written = written.map_err(cannot(format!("write the Secret {name} of the hub")))?;
        Ok(before.is_none_or(|it| it.data != written.data))
    }

    /// Deletes it; false if it was not there.
    pub(super) async fn delete(&self, name: &str) -> Result<bool, Error> {
        if self.find(name).await?.is_none() {
            return Ok(false);
        }
        let deleted = self.api.delete(name, &DeleteParams::default()).await;
        deleted.map_err(cannot(format!("delete the Secret {name} of the hub")))?;
        Ok(true)
    }
}

/// The Secret of a spoke.
pub(super) fn secret(
    (namespace, name): (&str, &str),
    account: &Account,
    cluster: &str,
    kubeconfig: &str,
    expires: Option<Timestamp>,
) -> Value {
    let mut annotations = BTreeMap::from([
        (ACCOUNT, format!("{}/{}", account.namespace, account.name)),
        (CLUSTER, cluster.to_owned()),
    ]);
    annotations.extend(expires.map(|it| (EXPIRES, it.to_string())));
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": { LABEL: "true", MANAGED_BY.0: MANAGED_BY.1 },
            "annotations": annotations,
        },
        "data": { "kubeconfig": STANDARD.encode(kubeconfig) },
    })
}

/// A kubeconfig with the server, its authority and a token, and nothing else.
pub(super) fn kubeconfig(name: &str, at: &At, token: &str) -> Result<String, Error> {
    let mut cluster = json!({ "server": at.server });
    if let Some(authority) = &at.authority {
        cluster["certificate-authority-data"] = authority.as_str().into();
    }
    if let Some(server) = &at.tls_server_name {
        cluster["tls-server-name"] = server.as_str().into();
    }
    let whole = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{ "name": name, "cluster": cluster }],
        "users": [{ "name": name, "user": { "token": token } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
    });
    serde_saphyr::to_string(&whole).map_err(|source| Error::Write { source: Box::new(source) })
}

/// The kubeconfig in a spoke's Secret.
pub(super) fn held(secret: &Secret) -> Option<Vec<u8>> {
    let data = secret.data.as_ref()?;
    ["kubeconfig", "value"].iter().find_map(|it| data.get(*it)).map(|it| it.0.clone())
}

/// When the spoke's token ends, if it does.
pub(super) fn expires(secret: &Secret) -> Option<Timestamp> {
    secret.annotations().get(EXPIRES)?.parse().ok()
}

/// The token that is in use; nothing new is minted for it.
pub(super) fn token(secret: &Secret) -> Option<String> {
    let read = read(secret)?;
    read["users"][0]["user"]["token"].as_str().map(str::to_owned)
}

/// Where the hub's replicas reach the spoke.
pub(super) fn place(secret: &Secret) -> Option<At> {
    let read = read(secret)?;
    let cluster = &read["clusters"][0]["cluster"];
    let field = |name: &str| cluster[name].as_str().map(str::to_owned);
    Some(At {
        server: field("server")?,
        authority: field("certificate-authority-data"),
        tls_server_name: field("tls-server-name"),
    })
}

/// Which cluster it was when `add` wrote it.
pub(super) fn uid(secret: &Secret) -> Option<&str> {
    secret.annotations().get(CLUSTER).map(String::as_str)
}

/// A context that leads to another cluster than the Secret's is an error.
pub(super) fn is_of(secret: &Secret, context: &str, cluster: &str) -> Result<(), Error> {
    match uid(secret) {
        Some(uid) if uid != cluster => {
            Err(Error::Another { context: context.to_owned(), name: secret.name_any() })
        }
        _ => Ok(()),
    }
}

/// As whom the hub acts there: namespace and name, if `add` has written it.
pub(super) fn account(secret: &Secret) -> Option<(String, String)> {
    let (namespace, name) = secret.annotations().get(ACCOUNT)?.split_once('/')?;
    Some((namespace.to_owned(), name.to_owned()))
}

fn read(secret: &Secret) -> Option<Value> {
    serde_saphyr::from_str(std::str::from_utf8(&held(secret)?).ok()?).ok()
}
