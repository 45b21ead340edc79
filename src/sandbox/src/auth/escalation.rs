//! Nobody gives away what they do not have: roles and bindings are held against their writers.

use serde_json::Value;

use crate::{
    api::Call,
    auth::{
        Attributes, RBAC, User,
        index::{self, Index},
        rules::{self, Rule},
    },
    object,
    refusal::{Refusal, Result},
    store::{Key, State},
};

/// Judges a write of a role or binding; of anything else, and by a master, nothing is asked.
pub(crate) fn check(
    state: &mut State,
    call: &Call,
    object: &Value,
    old: Option<&Value>,
) -> Result<()> {
    let resource = &call.target.resource;
    let Some(user) = &call.options.user else { return Ok(()) };
    if resource.group != RBAC || user.is_master() || old.is_some_and(|it| is_upkeep(it, object)) {
        return Ok(());
    }
    let index = state.grants();
    let name = object::name(object);
    let namespace = call.target.namespace.as_deref().unwrap_or_default();
    let asked = |verb, resource, name| Attributes {
        verb,
        namespace,
        group: RBAC,
        resource,
        name,
        ..Attributes::default()
    };
    let wanted = if resource.plural.ends_with("bindings") {
        let kind = object::text(object, "/roleRef/kind");
        let role = object::text(object, "/roleRef/name");
        let roles = if kind == "Role" { "roles" } else { "clusterroles" };
        if index.allows(user, &asked("bind", roles, role)) {
            return Ok(());
        }
        let home = if kind == "Role" { namespace } else { "" };
        let found = index::role(state, kind, &Key::new(home, role));
        // The role's name under the binding's resource: so it is told.
        let missing = || Refusal::not_found(&resource.subject(role));
        rules::of(&found.ok_or_else(missing)?)
    } else {
        let named = if old.is_some() { name } else { "" };
        if index.allows(user, &asked("escalate", &resource.plural, named)) {
            return Ok(());
        }
        rules::of(object)
    };
    confirm(&index, (user, namespace), &wanted)
        .map_err(|why| Refusal::forbidden(&resource.subject(name), &why))
}

fn confirm(index: &Index, (user, namespace): (&User, &str), wanted: &[Rule]) -> Result<(), String> {
    let missing = rules::uncovered(&index.held(user, namespace), wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = missing.iter().map(Rule::shown).collect();
    let mut why = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        rules::quoted(&user.groups),
        lines.join("\n")
    );
    let errors = index.missing(user, namespace);
    if !errors.is_empty() {
        why.push_str("; resolution errors: [");
        why.push_str(&errors.join(", "));
        why.push(']');
    }
    Err(why)
}

/// Whether only that changes which lets the collector end an object.
fn is_upkeep(old: &Value, new: &Value) -> bool {
    let bare = |it: &Value| {
        let mut it = it.clone();
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
            object::set_meta(&mut it, field, None);
        }
        it
    };
    let upkept = |it: &Value| {
        let metadata = &it["metadata"];
        (metadata["ownerReferences"].clone(), metadata["finalizers"].clone())
    };
    upkept(old) != upkept(new) && bare(old) == bare(new)
}
