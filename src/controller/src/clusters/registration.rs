//! What does a Secret that registers a cluster say? Three conventions, each switchable, one judgement.

use std::collections::BTreeMap;

use ger_core::names::ClusterName;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::claims::Rank;
use super::kubeconfig::{self, Refusal};
use super::session::{Access, Order};
use super::stores::Held;
use super::{Settings, argo, streams};
use crate::config::Form;

/// The keys of a native Secret that may hold the kubeconfig, in the order in which they count.
const KEYS: [&str; 2] = ["kubeconfig", "value"];

/// How Cluster API marks what belongs to a cluster: the label has the cluster's name.
const CAPI_CLUSTER: &str = "cluster.x-k8s.io/cluster-name";
const CAPI_TYPE: &str = "cluster.x-k8s.io/secret";
/// It has Secrets of that type and label that hold certificates, too.
const CAPI_SUFFIX: &str = "-kubeconfig";

/// Which Secrets a form looks at.
pub(super) fn selector(form: Form) -> &'static str {
    match form {
        Form::Native => "sigs.k8s.io/multicluster-runtime-kubeconfig=true",
        Form::ClusterApi => CAPI_CLUSTER,
        Form::ArgoCd => "argocd.argoproj.io/secret-type=cluster",
    }
}

/// Whether one of these Secrets registers a cluster.
pub(super) fn registers(form: Form, meta: &ObjectMeta) -> bool {
    let name = meta.name.as_deref().unwrap_or_default();
    form != Form::ClusterApi || name.ends_with(CAPI_SUFFIX)
}

type Data = BTreeMap<String, ByteString>;

/// A Secret that asks to be a cluster.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    namespace: String,
    pub(super) secret: String,
    uid: String,
    resource_version: String,
    created: Timestamp,
    form: Form,
    /// The cluster's name.
    pub(super) cluster: Result<ClusterName, Refusal>,
    access: Result<Access, Refusal>,
}

impl Registration {
    pub(super) fn of(secret: Secret, form: Form, settings: &Settings) -> Self {
        let data = secret.data.unwrap_or_default();
        let meta = secret.metadata;
        let name = match form {
            Form::Native => meta.name.clone(),
            Form::ClusterApi => meta.labels.as_ref().and_then(|it| it.get(CAPI_CLUSTER)).cloned(),
            Form::ArgoCd => data.get("name").map(|it| String::from_utf8_lossy(&it.0).into_owned()),
        };
        let target = match form {
            Form::Native => native(&data, settings),
            Form::ClusterApi if secret.type_.as_deref() != Some(CAPI_TYPE) => {
                Err(Refusal::Type { expected: CAPI_TYPE })
            }
            Form::ClusterApi => match data.get("value") {
                Some(it) => kubeconfig::parse(&it.0, settings),
                None => Err(Refusal::KeyMissing),
            },
            Form::ArgoCd => argo::parse(&data, settings),
        };
        Self {
            namespace: meta.namespace.unwrap_or_default(),
            secret: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
            created: meta.creation_timestamp.map_or(Timestamp::MIN, |it| it.0),
            form,
            cluster: parse(name.unwrap_or_default()),
            access: target.map(Access::Spoke),
        }
    }

    /// Which of two that register the same name has it: the least, in every replica.
    pub(super) fn precedence(&self) -> impl Ord + '_ {
        (self.created, self.form, &self.secret)
    }

    pub(super) fn about(&self) -> ObjectReference {
        streams::reference::<Secret>(&ObjectMeta {
            namespace: Some(self.namespace.clone()),
            name: Some(self.secret.clone()),
            uid: Some(self.uid.clone()),
            resource_version: Some(self.resource_version.clone()),
            ..Default::default()
        })
    }

    pub(super) fn order(&self, name: &ClusterName) -> Order {
        Order {
            about: self.about(),
            rank: Rank::Spoke { created: self.created, name: name.clone() },
            access: self.access.clone(),
        }
    }
}

fn parse(name: String) -> Result<ClusterName, Refusal> {
    ClusterName::parse_spoke(&name).map_err(|it| Refusal::Name { name, why: it.to_string() })
}

fn native(data: &Data, settings: &Settings) -> Result<kubeconfig::Target, Refusal> {
    let found = KEYS.iter().find_map(|it| data.get(*it)).ok_or(Refusal::KeyMissing)?;
    kubeconfig::parse(&found.0, settings)
}

impl Held for Registration {
    fn place(&self) -> (&str, &str) {
        (&self.namespace, &self.secret)
    }

    fn version(&self) -> (&str, &str) {
        (&self.uid, &self.resource_version)
    }

    fn bytes(&self) -> usize {
        // There are as many as clusters: they are not weighed.
        size_of::<Self>()
    }
}
