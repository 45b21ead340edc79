//! Which names of a definition are its own? Those that no other of its group had first. Without all of
//! them it is not served.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    kinds::DEFINITIONS,
    object,
    store::{Key, State},
};

/// Looks at all definitions of a group again, and answers those that changed.
pub(super) fn settle(state: &mut State, group: &str, at: &str) -> Vec<Value> {
    let mut changed = Vec::new();
    loop {
        let all = of_group(state, group);
        let next = all.iter().find_map(|it| settled(it, &all, at));
        let Some(definition) = next else { return changed };
        state.put(DEFINITIONS, definition.clone());
        changed.push(definition);
    }
}

/// The definitions of a group, the oldest first.
fn of_group(state: &State, group: &str) -> Vec<Value> {
    let table = state.tables.get(DEFINITIONS);
    let all = table.into_iter().flat_map(|it| it.objects.values()).map(|it| &*it.value);
    let mut all: Vec<Value> =
        all.filter(|it| object::text(it, "/spec/group") == group).cloned().collect();
    all.sort_by_key(|it| object::meta(it, "creationTimestamp").to_owned());
    all
}

/// The definition with the names that it may have, if that is news.
fn settled(definition: &Value, all: &[Value], at: &str) -> Option<Value> {
    let (asked, accepted) = (&definition["spec"]["names"], &definition["status"]["acceptedNames"]);
    if asked == accepted {
        return None;
    }
    let others = || {
        all.iter()
            .filter(|it| object::name(it) != object::name(definition))
            .map(|it| &it["status"]["acceptedNames"])
    };
    let mut words: BTreeSet<&str> = BTreeSet::new();
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    for names in others() {
        let text = |field: &str| names[field].as_str().unwrap_or_default();
        words.extend([text("plural"), text("singular")]);
        words.extend(object::strings(&names["shortNames"]));
        kinds.extend([text("kind"), text("listKind")]);
    }
    let (mut names, mut conflict) = (accepted.clone(), None);
    for (field, taken, reason) in [
        ("plural", &words, "PluralConflict"),
        ("singular", &words, "SingularConflict"),
        ("shortNames", &words, "ShortNamesConflict"),
        ("kind", &kinds, "KindConflict"),
        ("listKind", &kinds, "ListKindConflict"),
    ] {
        match conflicts(&asked[field], &accepted[field], taken) {
            Some(why) => conflict = Some((reason, why)),
            None => keep(&mut names, field, &asked[field]),
        }
    }
    keep(&mut names, "categories", &asked["categories"]);

    let mut next = definition.clone();
    next["status"]["acceptedNames"] = names;
    let is_established = is_true(definition, "Established");
    let (reason, message) = match &conflict {
        Some((reason, why)) => (*reason, why.as_str()),
        None => ("NoConflicts", "no conflicts found"),
    };
    let accepts = if conflict.is_none() { "True" } else { "False" };
    set(&mut next, ["NamesAccepted", accepts, reason, message], at);
    match (&conflict, is_established) {
        (_, true) => {}
        (None, false) => {
            let message = "the initial names have been accepted";
            set(&mut next, ["Established", "True", "InitialNamesAccepted", message], at);
        }
        (Some(_), false) => {
            let message = "not all names are accepted";
            set(&mut next, ["Established", "False", "NotAccepted", message], at);
        }
    }
    (next != *definition).then_some(next)
}

fn keep(names: &mut Value, field: &str, asked: &Value) {
    match asked {
        Value::Null => object::fields(names).remove(field),
        asked => object::fields(names).insert(field.to_owned(), asked.clone()),
    };
}

fn conflicts(asked: &Value, accepted: &Value, taken: &BTreeSet<&str>) -> Option<String> {
    let ours = object::strings(accepted);
    let wanted = match asked {
        Value::String(it) if accepted.as_str() != Some(it) => vec![it.as_str()],
        Value::Array(_) => object::strings(asked),
        _ => Vec::new(),
    };
    let used = wanted.into_iter().filter(|it| !ours.contains(it) && taken.contains(it));
    let used: Vec<String> = used.map(|it| format!("\"{it}\" is already in use")).collect();
    match used.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

pub(super) fn is_true(definition: &Value, condition: &str) -> bool {
    object::items(definition, "/status/conditions")
        .any(|it| it["type"] == condition && it["status"] == "True")
}

/// Sets a condition, whose time is that of the last change of its status.
pub(super) fn set(definition: &mut Value, [kind, status, reason, message]: [&str; 4], at: &str) {
    let mut condition = json!({
        "type": kind, "status": status, "lastTransitionTime": at, "reason": reason,
        "message": message,
    });
    let slot = &mut definition["status"]["conditions"];
    if !slot.is_array() {
        *slot = json!([]);
    }
    let Some(list) = slot.as_array_mut() else { return };
    match list.iter_mut().find(|it| it["type"] == kind) {
        Some(old) if old["status"] == status => {
            condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            *old = condition;
        }
        Some(old) => *old = condition,
        None => list.push(condition),
    }
}

/// When the last write of an object was, as it tells itself.
pub(super) fn last_write(object: &Value) -> String {
    let times =
        object::items(object, "/metadata/managedFields").filter_map(|it| it["time"].as_str());
    let own = ["creationTimestamp", "deletionTimestamp"].map(|it| object::meta(object, it));
    times.chain(own).max().unwrap_or_default().to_owned()
}

/// Where a definition is kept.
pub(super) fn key(group: &str, plural: &str) -> Key {
    Key::new("", &format!("{plural}.{group}"))
}
