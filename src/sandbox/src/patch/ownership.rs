//! Who owns which fields: `managedFields`, kept by every write.

mod repeated;

use serde_json::{Value, json};

pub(crate) use self::repeated::{claim, settle};
use crate::{
    api::Call,
    clock, object,
    patch::{
        blank,
        fields::FieldSet,
        reset,
        typed::{self, Difference},
    },
    refusal::{Cause, Result},
};

const APPLY: &str = "Apply";
const UPDATE: &str = "Update";

/// As many updaters have entries of their own; the oldest beyond them share one.
const UPDATERS: usize = 10;

/// Who they are from then on.
const ANCIENT: &str = "ancient-changes";

/// What the API itself writes has no owner.
const SYSTEM: [&str; 9] = [
    "f:name",
    "f:namespace",
    "f:creationTimestamp",
    "f:selfLink",
    "f:uid",
    "f:clusterName",
    "f:generation",
    "f:managedFields",
    "f:resourceVersion",
];

/// One entry of `managedFields`.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) manager: String,
    pub(crate) operation: &'static str,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
    /// When its fields last changed; nothing when only its claim has.
    pub(crate) time: Option<String>,
    pub(crate) fields: FieldSet,
}

impl Owner {
    fn parse(entry: &Value) -> Option<Self> {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let operation = match entry["operation"].as_str()? {
            APPLY => APPLY,
            UPDATE => UPDATE,
            _ => return None,
        };
        if entry["fieldsType"] != "FieldsV1" || text("apiVersion").is_empty() {
            return None;
        }
        let fields = match &entry["fieldsV1"] {
            Value::Null => FieldSet::default(),
            fields => FieldSet::parse(fields)?,
        };
        Some(Self {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: entry["time"].as_str().map(str::to_owned),
            fields,
        })
    }

    fn of(call: &Call, manager: &str, operation: &'static str) -> Self {
        Self {
            manager: manager.to_owned(),
            operation,
            api_version: call.target.api_version().into_owned(),
            subresource: call.target.subresource.clone(),
            time: None,
            fields: FieldSet::default(),
        }
    }

    /// Whoever applies.
    pub(crate) fn applier(call: &Call) -> Self {
        Self::of(call, &call.options.manager, APPLY)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            // An apply in another version is the same one's; an update is not.
            && (self.operation == APPLY || self.api_version == other.api_version)
    }

    fn is_updater(&self) -> bool {
        self.operation == UPDATE
    }

    /// How conflicts name it.
    pub(crate) fn title(&self) -> String {
        let mut title = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            title = format!("{title} with subresource {:?}", self.subresource);
        }
        if self.is_updater() {
            title = format!("{title} using {}", self.api_version);
        }
        title
    }

    fn json(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.json(),
        });
        if let Some(time) = &self.time {
            entry["time"] = time.as_str().into();
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }
}

/// The owners as an object states them, or nothing when one of its entries is none.
pub(crate) fn parse(managed: &Value) -> Option<Vec<Owner>> {
    managed.as_array().map_or(Some(Vec::new()), |it| it.iter().map(Owner::parse).collect())
}

pub(crate) fn write(object: &mut Value, mut owners: Vec<Owner>) {
    owners.sort_by(|one, other| {
        let key = |it: &Owner| {
            let (manager, version) = (it.manager.clone(), it.api_version.clone());
            (it.operation, it.time.clone(), manager, version, it.subresource.clone())
        };
        key(one).cmp(&key(other))
    });
    let list: Vec<Value> = owners.iter().map(Owner::json).collect();
    object::set_meta(object, "managedFields", (!list.is_empty()).then(|| list.into()));
}

/// Gives what an update changed to the one who changed it.
pub(crate) fn updated(call: &Call, old: Option<&Value>, object: &mut Value) -> Result<()> {
    if let Some(old) = old
        && is_timed(call)
        && repeated::updated(call, old, object)?
    {
        return Ok(());
    }
    let mut owners = stated(call, old, object);
    object::set_meta(object, "managedFields", None);
    // Who was rid of all owners has none until somebody applies.
    if owners.is_empty() && old.is_some() {
        return Ok(());
    }
    record(call, &call.options.manager, (old, object), &mut owners)?;
    share_oldest(&mut owners);
    write(object, owners);
    Ok(())
}

/// What stated owners may not be.
pub(crate) fn faults(object: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (index, entry) in object::items(object, "/metadata/managedFields").enumerate() {
        for (field, most) in [("manager", 128), ("subresource", 256)] {
            if entry[field].as_str().is_some_and(|it| it.len() > most) {
                let message = format!("Too long: may not be more than {most} bytes");
                let path = format!("metadata.managedFields[{index}].{field}");
                faults.push(Cause::new("FieldValueTooLong", path, message));
            }
        }
    }
    faults
}

/// Gives owners the times that they had, when nothing but those has changed.
pub(crate) fn keep_times(old: &Value, object: &mut Value) {
    let same = |one: &Value, other: &Value| {
        let fields = |it: &Value| {
            let fields = ["manager", "operation", "apiVersion", "subresource", "fieldsV1"];
            fields.map(|field| it[field].clone())
        };
        fields(one) == fields(other)
    };
    let list = |object: &Value| object["metadata"].get("managedFields").cloned();
    let (Some(now), Some(before)) = (list(object), list(old)) else { return };
    let owners = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let (new, known) = (owners(&now), owners(&before));
    if new.len() != known.len() || !new.iter().all(|it| known.iter().any(|old| same(it, old))) {
        return;
    }
    object::set_meta(object, "managedFields", Some(before));
    if object != old {
        object::set_meta(object, "managedFields", Some(now));
    }
}

/// The owners before an update: whoever writes the object itself may state others.
fn stated(call: &Call, old: Option<&Value>, object: &Value) -> Vec<Owner> {
    let kept = || old.and_then(|it| parse(&it["metadata"]["managedFields"])).unwrap_or_default();
    let stated = &object["metadata"]["managedFields"];
    if !call.target.subresource.is_empty() {
        return kept();
    }
    match stated.as_array().map(Vec::as_slice) {
        None => kept(),
        Some([]) => Vec::new(),
        Some([one]) if *one == json!({}) => Vec::new(),
        _ if old.is_some_and(|it| it["metadata"]["managedFields"] == *stated) => kept(),
        _ => parse(stated).filter(|it| !it.is_empty()).unwrap_or_else(kept),
    }
}

/// Takes what a write changed from all, and gives it to the one who wrote.
pub(crate) fn record(
    call: &Call,
    manager: &str,
    (old, new): (Option<&Value>, &Value),
    owners: &mut Vec<Owner>,
) -> Result<()> {
    let difference = difference(call, old, new)?;
    let mut taken = difference.changed.clone();
    strip(&mut taken);
    owners.retain(|it| is_served(call, it));
    for owner in owners.iter_mut() {
        owner.fields.subtract(&difference.changed);
        owner.fields.subtract(&difference.removed);
    }
    if !taken.is_empty() {
        let mut mine = Owner::of(call, manager, UPDATE);
        let time = is_timed(call).then(|| clock::seconds(call.now));
        if let Some(known) = owners.iter_mut().find(|it| it.is_same(&mine)) {
            known.fields.add(&taken);
            known.time = time.or_else(|| known.time.take());
        } else {
            mine.fields = taken;
            mine.time = time;
            owners.push(mine);
        }
    }
    owners.retain(|it| !it.fields.is_empty());
    Ok(())
}

/// Whoever writes through the scale gets no time, as if the scale were another object.
pub(crate) fn is_timed(call: &Call) -> bool {
    call.target.subresource != "scale"
}

/// What distinguishes two states of an object, but for what this path does not write anyway.
pub(crate) fn difference(call: &Call, old: Option<&Value>, new: &Value) -> Result<Difference> {
    let node = call.target.version()?.schema.root();
    let mut difference = match old {
        Some(old) => typed::differ_but((old, new), node, ["metadata", "managedFields"]),
        None => typed::compare(Some(&blank::of(&call.target.resource)), Some(new), Some(node)),
    };
    let Difference { changed, removed } = &mut difference;
    reset::cut(&call.target, &mut [changed, removed])?;
    // The list of owners has none itself.
    changed.cut(&["f:metadata", "f:managedFields"]);
    removed.cut(&["f:metadata", "f:managedFields"]);
    Ok(difference)
}

/// Whether an owner's version is one that the kind still has.
pub(crate) fn is_served(call: &Call, owner: &Owner) -> bool {
    let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
    let resource = &call.target.resource;
    // Both groups of events, say, are one.
    group != resource.group || resource.version(version).is_some()
}

/// Takes out what the API writes itself.
pub(crate) fn strip(set: &mut FieldSet) {
    for name in ["f:apiVersion", "f:kind"] {
        set.children.remove(name);
    }
    let Some(metadata) = set.children.get_mut("f:metadata") else { return };
    metadata.here = false;
    for field in SYSTEM {
        metadata.children.remove(field);
    }
    if metadata.is_empty() {
        set.children.remove("f:metadata");
    }
}

/// Puts the oldest of too many updaters into one entry a version.
fn share_oldest(owners: &mut Vec<Owner>) {
    let count = owners.iter().filter(|it| it.is_updater()).count();
    let Some(mut surplus) = count.checked_sub(UPDATERS).filter(|it| *it > 0) else { return };
    let (mut updaters, appliers): (Vec<Owner>, Vec<Owner>) =
        std::mem::take(owners).into_iter().partition(Owner::is_updater);
    updaters.sort_by_key(|it| (it.time.clone(), it.manager.clone()));
    *owners = appliers;

    let mut kept: Vec<Owner> = Vec::new();
    for owner in updaters {
        let oldest = kept.iter_mut().find(|it| it.api_version == owner.api_version);
        match oldest.filter(|_| surplus > 0) {
            Some(shared) => {
                ANCIENT.clone_into(&mut shared.manager);
                shared.subresource.clear();
                shared.fields.add(&owner.fields);
                shared.time = owner.time;
                surplus -= 1;
            }
            None => kept.push(owner),
        }
    }
    owners.append(&mut kept);
}
