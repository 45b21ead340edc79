//! Who holds which rules: all roles and bindings, read once after each change of them.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    auth::{
        Attributes, Decision, RBAC, User,
        rules::{self, Rule},
        user,
    },
    object,
    store::{Key, State},
};

/// Where the rules of roles are that were met already.
type Roles = HashMap<(String, Key), Option<usize>>;

/// Who is meant in a binding, as users and groups are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    User(String),
    Group(String),
}

/// One subject of one binding: what it holds, and how that is told.
#[derive(Debug)]
struct Grant {
    /// Nothing when the role is not there.
    rules: Option<usize>,
    role: (String, String),
    told: String,
}

/// The bindings of a namespace, or of the cluster.
#[derive(Debug, Default)]
struct Bindings {
    grants: Vec<Grant>,
    of: HashMap<Who, Vec<usize>>,
}

/// All bindings with the rules of their roles.
#[derive(Debug, Default)]
pub(crate) struct Index {
    roles: Vec<Vec<Rule>>,
    cluster: Bindings,
    namespaces: HashMap<String, Bindings>,
}

impl Index {
    pub(crate) fn read(state: &State) -> Self {
        let mut index = Self::default();
        let mut known = Roles::new();
        for table in ["clusterrolebindings", "rolebindings"] {
            let table = state.tables.get(&format!("{table}.{RBAC}"));
            for (key, stored) in table.into_iter().flat_map(|it| &it.objects) {
                index.add((state, &mut known), key, &stored.value);
            }
        }
        index
    }

    fn add(&mut self, (state, known): (&State, &mut Roles), key: &Key, binding: &Value) {
        let kind = object::text(binding, "/roleRef/kind").to_owned();
        let name = object::text(binding, "/roleRef/name").to_owned();
        let home = if kind == "Role" { key.namespace() } else { "" };
        let id = (kind.clone(), Key::new(home, &name));
        let rules = *known.entry(id).or_insert_with_key(|(kind, key)| {
            let role = role(state, kind, key)?;
            self.roles.push(rules::of(&role));
            Some(self.roles.len() - 1)
        });
        let bindings = match key.namespace() {
            "" => &mut self.cluster,
            namespace => self.namespaces.entry(namespace.to_owned()).or_default(),
        };
        bindings.add(key, binding, (rules, (kind, name)));
    }

    fn grants<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a Grant> {
        let within = self.namespaces.get(namespace).filter(|_| !namespace.is_empty());
        [Some(&self.cluster), within].into_iter().flatten().flat_map(|it| it.held(user))
    }

    fn rules_of(&self, grant: &Grant) -> &[Rule] {
        grant.rules.and_then(|it| self.roles.get(it)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn allows(&self, user: &User, asked: &Attributes<'_>) -> bool {
        self.grants(user, asked.namespace)
            .any(|grant| self.rules_of(grant).iter().any(|it| it.allows(asked)))
    }

    pub(crate) fn decide(&self, user: &User, asked: &Attributes<'_>) -> Decision {
        let mut grants = self.grants(user, asked.namespace);
        let allowing = grants.find(|it| self.rules_of(it).iter().any(|it| it.allows(asked)));
        if let Some(grant) = allowing {
            return Decision { allowed: true, reason: format!("RBAC: allowed by {}", grant.told) };
        }
        let missing = self.missing(user, asked.namespace);
        let reason = match missing.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            many => format!("RBAC: [{}]", many.join(", ")),
        };
        Decision { allowed: false, reason }
    }

    /// What is wrong with the bindings of somebody: their roles are not there.
    pub(crate) fn missing(&self, user: &User, namespace: &str) -> Vec<String> {
        let dangling = self.grants(user, namespace).filter(|it| it.rules.is_none());
        let line = |grant: &Grant| {
            let (kind, name) = &grant.role;
            format!("{}.{RBAC} {name:?} not found", kind.to_lowercase())
        };
        let mut lines: Vec<String> = dangling.map(line).collect();
        lines.dedup();
        lines
    }

    /// All rules that somebody holds in a namespace.
    pub(crate) fn held(&self, user: &User, namespace: &str) -> Vec<&Rule> {
        self.grants(user, namespace).flat_map(|it| self.rules_of(it)).collect()
    }
}

impl Bindings {
    fn add(
        &mut self,
        key: &Key,
        binding: &Value,
        (rules, role): (Option<usize>, (String, String)),
    ) {
        let (kind, title) = match key.namespace() {
            "" => ("ClusterRoleBinding", key.name().to_owned()),
            namespace => ("RoleBinding", format!("{}/{namespace}", key.name())),
        };
        for subject in object::items(binding, "/subjects") {
            let Some((who, whom)) = who(subject, key.namespace()) else { continue };
            let told = format!("{kind} {title:?} of {} {:?} to {whom}", role.0, role.1);
            self.of.entry(who).or_default().push(self.grants.len());
            self.grants.push(Grant { rules, role: role.clone(), told });
        }
    }

    fn held<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Grant> {
        let of = |who: Who| self.of.get(&who).into_iter().flatten();
        let mut at: Vec<usize> = of(Who::User(user.name.clone())).copied().collect();
        for group in &user.groups {
            at.extend(of(Who::Group(group.clone())));
        }
        at.sort_unstable();
        at.dedup();
        at.into_iter().filter_map(|it| self.grants.get(it))
    }
}

/// Who a subject is, and how reasons name it.
fn who(subject: &Value, home: &str) -> Option<(Who, String)> {
    let name = object::text(subject, "/name");
    match object::text(subject, "/kind") {
        "User" => Some((Who::User(name.to_owned()), format!("User {name:?}"))),
        "Group" => Some((Who::Group(name.to_owned()), format!("Group {name:?}"))),
        "ServiceAccount" => {
            let stated = object::text(subject, "/namespace");
            let namespace = if stated.is_empty() { home } else { stated };
            let told = format!("ServiceAccount {:?}", format!("{name}/{namespace}"));
            (!namespace.is_empty()).then(|| (Who::User(user::account_name(namespace, name)), told))
        }
        _ => None,
    }
}

/// The role that a binding refers to.
pub(crate) fn role(state: &State, kind: &str, key: &Key) -> Option<Value> {
    let table = if kind == "Role" { "roles" } else { "clusterroles" };
    let stored = state.find(&format!("{table}.{RBAC}"), key)?;
    Some(Value::clone(&stored.value))
}
