//! How do manifests get into a sandbox? Applied server-side, whatever their kinds.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::world::{CLUSTERS, World};

/// Who applies, in `managedFields`.
const MANAGER: &str = "dev";
/// CRDs are served this soon, or something is wrong.
const ESTABLISHED: Duration = Duration::from_secs(10);

/// Installs our CRDs and waits until they are served.
pub(super) async fn install_crds(client: &Client) -> kube::Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply(MANAGER).force();
    for crd in ger_api::crd::all() {
        let name = crd.metadata.name.clone().unwrap_or_default();
        crds.patch(&name, &params, &Patch::Apply(&crd)).await?;
        let established = kube::runtime::wait::conditions::is_crd_established();
        let waiting = kube::runtime::wait::await_condition(crds.clone(), &name, established);
        // One that is not served makes itself felt at the next request.
        drop(tokio::time::timeout(ESTABLISHED, waiting).await);
    }
    Ok(())
}

/// Creates a namespace, if it is not there.
pub(super) async fn create_namespace(client: &Client, name: &str) -> kube::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name },
    });
    namespaces.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(namespace)).await?;
    Ok(())
}

/// Applies one object, and its namespace before it.
pub(super) async fn apply(client: &Client, object: &Value) -> anyhow::Result<String> {
    let text =
        |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    if kind.is_empty() || name.is_empty() {
        bail!("a manifest needs `kind` and `metadata.name`");
    }
    let version = text("/apiVersion");
    let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
    let gvk = GroupVersionKind::gvk(group, version, &kind);
    let (resource, capabilities) = pinned_kind(client, &gvk)
        .await
        .with_context(|| format!("the cluster has no kind {kind} in {}", gvk.api_version()))?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = text("/metadata/namespace");
            let namespace = if namespace.is_empty() { "default".to_owned() } else { namespace };
            create_namespace(client, &namespace).await?;
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    let mut object = object.clone();
    drop_nulls(&mut object);
    api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object))
        .await
        .with_context(|| format!("{kind} {name} is refused"))?;
    Ok(format!("{kind}/{name}"))
}

/// A server-side apply takes no nulls; where `kubectl apply` sends them, the server drops them.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, it| !it.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Applies a person's own manifests: files to the hub, those in a cluster's folder to that cluster.
pub(super) async fn apply_folder(world: &World, folder: &Path) -> anyhow::Result<()> {
    let mut applied = 0;
    for (site, folder) in std::iter::once(("hub", folder.to_owned()))
        .chain(CLUSTERS.into_iter().map(|it| (it, folder.join(it))))
    {
        let client = world.site(site).admin();
        for file in yaml_files(&folder)? {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let objects: Vec<Value> = serde_saphyr::from_multiple(&text)
                .with_context(|| format!("{} is not YAML", file.display()))?;
            for object in objects.iter().filter(|it| !it.is_null()) {
                let name =
                    apply(&client, object).await.with_context(|| file.display().to_string())?;
                super::say(&format!("applied {name} to {site}\n"));
                applied += 1;
            }
        }
    }
    if applied == 0 {
        bail!(
            "no manifest found: put *.yaml files into {}, or into hub, edge-1, edge-2 in it",
            folder.display()
        );
    }
    Ok(())
}

fn yaml_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let is_yaml =
            path.extension().is_some_and(|it| it == "yaml" || it == "yml" || it == "json");
        if is_yaml && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use kube::api::ListParams;
    use kube_sandbox::Sandbox;

    use super::*;

    /// Manifests of the original have them.
    #[tokio::test]
    async fn a_manifest_may_have_nulls() {
        let client = Client::new(Sandbox::new("hub").router(), "default");
        install_crds(&client).await.unwrap();
        let manifest = json!({
            "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "Action",
            "metadata": { "name": "print", "namespace": "demo" },
            "spec": { "actionJob": null, "sourceOverride": null },
        });

        let applied = apply(&client, &manifest).await.unwrap();

        assert_eq!(applied, "Action/print");
        let actions: Api<ger_api::Action> = Api::namespaced(client, "demo");
        assert_eq!(actions.list(&ListParams::default()).await.unwrap().items.len(), 1);
    }
}
