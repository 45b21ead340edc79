//! What may the controller do in a cluster? The rules that the charts ship, and the objects that grant them.

#[cfg(test)]
mod tests;

use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};

/// The group of roles and bindings.
const GROUP: &str = "rbac.authorization.k8s.io";

/// What stands in the rules for the ConfigMap of a release.
const CONFIG_MAP: &str = "git-events-runner-config";

/// Which of the charts a cluster gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Where the controller runs.
    Hub,
    /// Where it only works.
    Spoke,
}

/// Where in a cluster rules hold: each has a file in a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// In every namespace, and on what has none.
    Everywhere,
    /// In the controller's own namespace on the hub.
    Home,
    /// Where Jobs may run.
    Jobs,
    /// Where credentials for Git may be.
    Secrets,
}

impl Area {
    pub const ALL: [Self; 4] = [Self::Everywhere, Self::Home, Self::Jobs, Self::Secrets];

    /// The name of its file in a chart, without the ending.
    pub fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Home => "home",
            Self::Jobs => "jobs",
            Self::Secrets => "secrets",
        }
    }
}

/// What the files of the hub's chart say.
const HUB: [(Area, &str); 4] = [
    (Area::Everywhere, include_str!("../../../charts/git-events-runner/rbac/everywhere.yaml")),
    (Area::Home, include_str!("../../../charts/git-events-runner/rbac/home.yaml")),
    (Area::Jobs, include_str!("../../../charts/git-events-runner/rbac/jobs.yaml")),
    (Area::Secrets, include_str!("../../../charts/git-events-runner/rbac/secrets.yaml")),
];

/// What the files of the spokes' chart say: the controller has no home there.
const SPOKE: [(Area, &str); 3] = [
    (
        Area::Everywhere,
        include_str!("../../../charts/git-events-runner-spoke/rbac/everywhere.yaml"),
    ),
    (Area::Jobs, include_str!("../../../charts/git-events-runner-spoke/rbac/jobs.yaml")),
    (Area::Secrets, include_str!("../../../charts/git-events-runner-spoke/rbac/secrets.yaml")),
];

/// The rules of a chart for an area, as the chart's file has them.
pub fn rules(place: Place, area: Area) -> Vec<PolicyRule> {
    let files: &[(Area, &str)] = match place {
        Place::Hub => &HUB,
        Place::Spoke => &SPOKE,
    };
    let text = files.iter().find(|(of, _)| *of == area).map_or("[]", |(_, text)| *text);
    serde_saphyr::from_str(text).expect("a test reads each of these files")
}

/// In which namespaces an area is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In all, those to come too.
    All,
    /// In these, and no others.
    Namespaces(Vec<String>),
}

/// The controller's account in a cluster, and where it may do what.
#[derive(Clone, Debug)]
pub struct Account {
    pub place: Place,
    pub namespace: String,
    pub name: String,
    pub jobs: Reach,
    pub secrets: Reach,
}

impl Account {
    /// Who it is to the API.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// The service account and all that grants it its rights, in the order in which it is to be applied.
    ///
    /// The names are those that the charts give.
    pub fn objects(&self) -> Vec<Value> {
        let metadata = json!({ "name": self.name, "namespace": self.namespace });
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata });
        let main = format!("{}-controller", self.name);
        let mut objects = vec![
            account,
            object("ClusterRole", &main, None, self.rules(&[Area::Everywhere])),
            self.binding(&main, ("ClusterRole", None)),
        ];
        for (area, reach) in [(Area::Secrets, &self.secrets), (Area::Jobs, &self.jobs)] {
            let name = format!("{main}-{}", area.name());
            let namespaces = match reach {
                Reach::All => vec![None],
                Reach::Namespaces(names) => names.iter().map(|it| Some(it.as_str())).collect(),
            };
            if namespaces.is_empty() {
                continue;
            }
            objects.push(object("ClusterRole", &name, None, self.rules(&[area])));
            let bind = |it: Option<&str>| self.binding(&name, ("ClusterRole", it));
            objects.extend(namespaces.into_iter().map(bind));
        }
        if self.place == Place::Hub {
            let home = Some(self.namespace.as_str());
            let own = self.rules(&[Area::Home, Area::Secrets, Area::Jobs]);
            objects.extend([object("Role", &main, home, own), self.binding(&main, ("Role", home))]);
        }
        objects
    }

    fn rules(&self, areas: &[Area]) -> Value {
        let each = areas.iter().flat_map(|area| rules(self.place, *area));
        let mut all: Vec<PolicyRule> = each.collect();
        let names = all.iter_mut().flat_map(|it| it.resource_names.iter_mut().flatten());
        for name in names.filter(|it| *it == CONFIG_MAP) {
            *name = format!("{}-config", self.name);
        }
        json!({ "rules": all })
    }

    /// Binds a role to the account, in one namespace or in all.
    fn binding(&self, role: &str, (kind, namespace): (&str, Option<&str>)) -> Value {
        let of = if namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
        let subject =
            json!({ "kind": "ServiceAccount", "name": self.name, "namespace": self.namespace });
        let rest = json!({
            "subjects": [subject],
            "roleRef": { "apiGroup": GROUP, "kind": kind, "name": role },
        });
        object(of, role, namespace, rest)
    }
}

fn object(kind: &str, name: &str, namespace: Option<&str>, rest: Value) -> Value {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": { "name": name },
    });
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    if let (Some(all), Value::Object(rest)) = (object.as_object_mut(), rest) {
        all.extend(rest);
    }
    object
}

/// Applies the account and its rights, owned by `manager`. Its namespaces must be there.
pub async fn grant(client: &Client, manager: &str, account: &Account) -> kube::Result<()> {
    for object in account.objects() {
        apply(client, manager, &object).await?;
    }
    Ok(())
}

/// Applies one object, whatever its kind.
pub(crate) async fn apply(client: &Client, manager: &str, object: &Value) -> kube::Result<()> {
    let params = PatchParams::apply(manager).force();
    let (api, name) = place(client, object);
    api.patch(name, &params, &Patch::Apply(object)).await.map(drop)
}

/// Where an object is, or would be: the objects of its kind, and its name.
pub(crate) fn place<'a>(client: &Client, object: &'a Value) -> (Api<DynamicObject>, &'a str) {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let version = text("/apiVersion");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
    let api = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    (api, name)
}
