//! How is a cluster reached by somebody's own kubeconfig, and what of it may the hub know?

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{Cluster, Kubeconfig};
use kube::{Api, Client};

use super::error::{Error, cannot};
use crate::clusters;

/// A cluster, by an administrator's rights.
pub(super) struct Access {
    pub(super) client: Client,
    pub(super) place: At,
    pub(super) context: String,
}

/// Where an API server is, and how it is known: nothing of who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) server: String,
    /// PEM, in base64.
    pub(super) authority: Option<String>,
    pub(super) tls_server_name: Option<String>,
}

/// Opens a context of a file, or of kubectl's own files; the current one where none is named.
pub(super) async fn open(file: Option<&Path>, context: Option<&str>) -> Result<Access, Error> {
    let unread =
        |source| Error::Kubeconfig { path: file.map(Path::to_owned), source: Box::new(source) };
    let mut kubeconfig = match file {
        Some(path) => Kubeconfig::read_from(path).map_err(unread)?,
        None => Kubeconfig::read().map_err(unread)?,
    };
    let context = context.or(kubeconfig.current_context.as_deref()).unwrap_or_default().to_owned();
    kubeconfig.current_context = Some(context.clone());
    let place = at(&kubeconfig, &context)?;
    let settings = clusters::Settings::new("");
    let clients = clusters::trusted_clients(kubeconfig, &settings).await;
    let clients = clients
        .map_err(|source| Error::Client { context: context.clone(), source: Box::new(source) })?;
    Ok(Access { client: clients.requests, place, context })
}

fn at(kubeconfig: &Kubeconfig, context: &str) -> Result<At, Error> {
    let missing = || Error::NoContext { context: context.to_owned() };
    let found = kubeconfig.contexts.iter().find(|it| it.name == context).ok_or_else(missing)?;
    let named = found.context.as_ref().ok_or_else(missing)?.cluster.clone();
    let cluster = kubeconfig.clusters.iter().find(|it| it.name == named);
    let cluster = cluster.and_then(|it| it.cluster.as_ref());
    let unserved = || Error::NoServer { context: context.to_owned() };
    let cluster = cluster.ok_or_else(unserved)?;
    if cluster.insecure_skip_tls_verify == Some(true) {
        return Err(Error::Unverified { context: context.to_owned() });
    }
    Ok(At {
        server: cluster.server.clone().ok_or_else(unserved)?,
        authority: authority(cluster)?,
        tls_server_name: cluster.tls_server_name.clone(),
    })
}

/// A file is read here: on the hub there is none.
fn authority(cluster: &Cluster) -> Result<Option<String>, Error> {
    if let Some(data) = &cluster.certificate_authority_data {
        return Ok(Some(data.clone()));
    }
    let Some(path) = &cluster.certificate_authority else { return Ok(None) };
    let pem =
        std::fs::read(path).map_err(|source| Error::Authority { path: path.into(), source })?;
    Ok(Some(STANDARD.encode(pem)))
}

/// Which cluster it is: no two have the same.
pub(super) async fn uid(access: &Access) -> Result<String, Error> {
    let namespaces: Api<Namespace> = Api::all(access.client.clone());
    let found = namespaces.get("kube-system").await;
    let found = found.map_err(cannot(format!("ask {:?} which cluster it is", access.context)))?;
    Ok(found.metadata.uid.unwrap_or_default())
}
