//! What is made in a spoke, and what is taken away from it again?

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::{Error, cannot};
use super::{ACCOUNT, MANAGED_BY, MANAGER, Say};
use crate::rights::{self, Account};

/// Who keeps an object that Helm has installed.
const HELM: &str = "meta.helm.sh/release-name";
/// Definitions are served this soon.
const ESTABLISHED: std::time::Duration = std::time::Duration::from_secs(30);

/// All that is applied in a spoke, in this order; tokens come later.
pub(super) fn objects(account: &Account) -> Vec<Value> {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": account.namespace },
    });
    let mut objects = vec![namespace];
    objects.extend(account.objects());
    for object in objects.iter_mut().skip(1) {
        object["metadata"]["labels"] =
            json!({ MANAGED_BY.0: MANAGED_BY.1, ACCOUNT: labelled(account) });
    }
    objects
}

/// How the account is named in a label, in which there are no colons.
pub(super) fn labelled(account: &Account) -> String {
    let whole = format!("{}.{}", account.namespace, account.name);
    whole.chars().take(63).collect::<String>().trim_end_matches(['.', '-']).to_owned()
}

/// Makes it all, or mends it, and takes away rights that are no longer meant. What Helm keeps is left to it.
pub(super) async fn prepare(client: &Client, account: &Account, say: Say<'_>) -> Result<(), Error> {
    define(client, say).await?;
    let objects = objects(account);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let known = namespaces.get_opt(&account.namespace).await;
    let known = known.map_err(cannot(format!("read the namespace {}", account.namespace)))?;
    // One that is there belongs to somebody: it stays as it is.
    for object in objects.iter().skip(usize::from(known.is_some())) {
        let what =
            || format!("apply {} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
        let (api, name) = rights::place(client, object);
        let known = api.get_opt(name).await.map_err(cannot(what()))?;
        if known.is_some_and(|it| it.annotations().contains_key(HELM)) {
            continue;
        }
        rights::apply(client, MANAGER, object).await.map_err(cannot(what()))?;
    }
    say(&format!("account: {}, with its rights", account.user()));
    prune(client, account, &objects).await
}

/// Installs our definitions, but for those that a release of Helm keeps.
async fn define(client: &Client, say: Say<'_>) -> Result<(), Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply(MANAGER).force();
    for definition in ger_api::crd::all() {
        let name = definition.name_any();
        let what = || format!("install the definition {name}");
        let known = definitions.get_opt(&name).await.map_err(cannot(what()))?;
        if let Some(release) = known.as_ref().and_then(|it| it.annotations().get(HELM)) {
            say(&format!("definition {name}: left to the release {release} of Helm"));
            continue;
        }
        let applied = definitions.patch(&name, &params, &Patch::Apply(&definition)).await;
        applied.map_err(cannot(what()))?;
        let served = await_condition(definitions.clone(), &name, conditions::is_crd_established());
        // One that is not served makes itself felt at the next request.
        drop(tokio::time::timeout(ESTABLISHED, served).await);
    }
    say("definitions: installed");
    Ok(())
}

/// Takes away what was bound for the account and is not among the objects.
async fn prune(client: &Client, account: &Account, wanted: &[Value]) -> Result<(), Error> {
    let is_wanted = |kind: &str, namespace: Option<String>, name: &str| {
        wanted.iter().any(|it| {
            let meta = &it["metadata"];
            text(&it["kind"]) == kind
                && text(&meta["name"]) == name
                && meta["namespace"].as_str() == namespace.as_deref()
        })
    };
    let bound = of_account::<RoleBinding>(client, account).await?;
    for it in bound.iter().filter(|it| !is_wanted("RoleBinding", it.namespace(), &it.name_any())) {
        let namespace = it.namespace().unwrap_or_default();
        let api: Api<RoleBinding> = Api::namespaced(client.clone(), &namespace);
        delete(&api, &it.name_any()).await?;
    }
    let bound = of_account::<ClusterRoleBinding>(client, account).await?;
    for it in bound.iter().filter(|it| !is_wanted("ClusterRoleBinding", None, &it.name_any())) {
        delete(&Api::<ClusterRoleBinding>::all(client.clone()), &it.name_any()).await?;
    }
    let roles = of_account::<ClusterRole>(client, account).await?;
    for it in roles.iter().filter(|it| !is_wanted("ClusterRole", None, &it.name_any())) {
        delete(&Api::<ClusterRole>::all(client.clone()), &it.name_any()).await?;
    }
    Ok(())
}

/// Takes the account away with its rights and tokens. Definitions stay, and all that users made.
pub(super) async fn clear(client: &Client, account: &Account) -> Result<(), Error> {
    revoke(client, account, None).await?;
    prune(client, account, &[]).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &account.namespace);
    if of_account_in(&accounts, account).await?.iter().any(|it| it.name_any() == account.name) {
        delete(&accounts, &account.name).await?;
    }
    Ok(())
}

/// Deletes the Secrets to which tokens of the account are bound, but for one: they end with it.
pub(super) async fn revoke(
    client: &Client,
    account: &Account,
    but: Option<&str>,
) -> Result<(), Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &account.namespace);
    for secret in of_account_in(&secrets, account).await? {
        let name = secret.name_any();
        if Some(name.as_str()) != but {
            delete(&secrets, &name).await?;
        }
    }
    Ok(())
}

async fn of_account<K>(client: &Client, account: &Account) -> Result<Vec<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    of_account_in(&Api::<K>::all(client.clone()), account).await
}

async fn of_account_in<K>(api: &Api<K>, account: &Account) -> Result<Vec<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let params = ListParams::default().labels(&format!(
        "{}={},{ACCOUNT}={}",
        MANAGED_BY.0,
        MANAGED_BY.1,
        labelled(account)
    ));
    let listed = api.list(&params).await;
    Ok(listed.map_err(cannot(format!("list {}", K::plural(&()))))?.items)
}

/// Deletes an object, unless it is gone already.
async fn delete<K>(api: &Api<K>, name: &str) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::background()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        Err(source) => Err(cannot(format!("delete {} {name}", K::kind(&())))(source)),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
