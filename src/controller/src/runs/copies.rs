//! How do secrets of other namespaces, and tokens that are minted, get to a Job? In a Secret that the
//! Job owns: it goes with it.

use std::collections::BTreeMap;
use std::time::Duration;

use ger_core::job::{self, CopyPart, SecretCopy};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::PostParams;

use super::error::Error;
use super::jobs::Made;
use crate::checks::{self, Placed};

type Data = BTreeMap<String, ByteString>;

/// What is copied, for which Job.
pub(super) struct Copied<'a> {
    pub(super) copy: &'a SecretCopy,
    pub(super) job_uid: &'a str,
    /// A minted token must be good for as long.
    pub(super) lasting: Duration,
}

/// Writes the copy as its sources are now. Gives what hinders it.
pub(super) async fn make(
    checks: &checks::Handle,
    placed: Placed<'_>,
    copied: &Copied<'_>,
) -> Result<Option<Made>, Error> {
    let mut data = Data::new();
    for part in &copied.copy.parts {
        let values = match part {
            CopyPart::Keys { .. } => keys(placed, copied, part).await?,
            CopyPart::Minted => minted(checks, placed, copied.lasting).await,
        };
        match values {
            Ok(values) => data.extend(values),
            Err(made) => return Ok(Some(made)),
        }
    }
    write(placed, copied, data).await
}

/// A token of the App, never its key.
async fn minted(
    checks: &checks::Handle,
    placed: Placed<'_>,
    lasting: Duration,
) -> Result<Data, Made> {
    let values = checks.minted(placed, lasting).await;
    let values = values.map_err(|it| Made::blocked(it.reason(), it.message()))?;
    let value = |it: ger_git::Secret| ByteString(it.expose().to_vec());
    Ok(values.into_iter().map(|(file, it)| (file.to_owned(), value(it))).collect())
}

/// The wanted keys of a Secret, and no others.
async fn keys(
    placed: Placed<'_>,
    copied: &Copied<'_>,
    part: &CopyPart,
) -> Result<Result<Data, Made>, Error> {
    let CopyPart::Keys { from_namespace, from_name, keys, optional_keys } = part else {
        return Ok(Ok(Data::new()));
    };
    let from: Api<Secret> = Api::namespaced(placed.client.clone(), from_namespace);
    let read = from.get_opt(from_name).await.map_err(|it| cannot(copied, it))?;
    let missing = |message: String| Ok(Err(Made::blocked("CredentialsMissing", message)));
    let Some(secret) = read else {
        return missing(format!(
            "the Secret {from_name} is not in namespace {from_namespace}; create it"
        ));
    };
    let mut values = secret.data.unwrap_or_default();
    let mut data = Data::new();
    for key in keys {
        let Some(value) = values.get(&key.key) else {
            let key = &key.key;
            return missing(format!("the Secret {from_name} has no key {key}; add it"));
        };
        data.insert(key.file.to_owned(), value.clone());
    }
    for key in optional_keys {
        data.extend(values.remove(&key.key).map(|it| (key.file.to_owned(), it)));
    }
    Ok(Ok(data))
}

async fn write(placed: Placed<'_>, copied: &Copied<'_>, data: Data) -> Result<Option<Made>, Error> {
    let name = &copied.copy.name;
    let mut owned = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(placed.namespace.to_owned()),
            labels: Some([(job::MANAGED_BY.to_owned(), job::MANAGER.to_owned())].into()),
            owner_references: Some(vec![OwnerReference {
                api_version: "batch/v1".to_owned(),
                kind: "Job".to_owned(),
                name: name.clone(),
                uid: copied.job_uid.to_owned(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..Secret::default()
    };
    let to: Api<Secret> = Api::namespaced(placed.client.clone(), placed.namespace);
    match to.create(&PostParams::default(), &owned).await {
        Ok(_) => return Ok(None),
        Err(kube::Error::Api(answer)) if answer.is_already_exists() => {}
        Err(source) => return Err(cannot(copied, source)),
    }
    let there = to.get_opt(name).await.map_err(|it| cannot(copied, it))?;
    let is_ours = |it: &Secret| {
        let labels = it.metadata.labels.as_ref();
        labels.and_then(|it| it.get(job::MANAGED_BY)).is_some_and(|it| it == job::MANAGER)
    };
    if there.as_ref().is_some_and(|it| !is_ours(it)) {
        let message = format!("a Secret {name} is there that is not this run's: remove it");
        return Ok(Some(Made::Refused { message }));
    }
    owned.metadata.resource_version = there.and_then(|it| it.metadata.resource_version);
    to.replace(name, &PostParams::default(), &owned).await.map_err(|it| cannot(copied, it))?;
    Ok(None)
}

fn cannot(copied: &Copied<'_>, source: kube::Error) -> Error {
    Error::CopyCredentials { job: copied.copy.name.clone(), source: Box::new(source) }
}
