//! Who owns which fields: `managedFields`, kept by every write.

use serde_json::{Value, json};

use crate::{
    api::Call,
    clock, object,
    patch::fields::{self, FieldSet},
    refusal::Result,
};

pub(crate) const APPLY: &str = "Apply";
const UPDATE: &str = "Update";

/// One entry of `managedFields`.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) manager: String,
    pub(crate) operation: String,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
    pub(crate) time: String,
    pub(crate) fields: FieldSet,
}

impl Owner {
    fn parse(entry: &Value) -> Self {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: FieldSet::parse(&entry["fieldsV1"]),
        }
    }

    pub(crate) fn of(call: &Call, operation: &str) -> Self {
        Self {
            manager: call.options.manager.clone(),
            operation: operation.to_owned(),
            api_version: call.target.api_version(),
            subresource: call.target.subresource.clone(),
            time: clock::seconds(call.now),
            fields: FieldSet::default(),
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            // An apply in another version is the same one's; an update is not.
            && (self.operation == APPLY || self.api_version == other.api_version)
    }

    /// How conflicts name it.
    pub(crate) fn title(&self) -> String {
        let mut title = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            title = format!("{title} with subresource {:?}", self.subresource);
        }
        if self.operation == UPDATE {
            title = format!("{title} using {}", self.api_version);
        }
        title
    }

    fn json(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "time": self.time, "fieldsType": "FieldsV1", "fieldsV1": self.fields.json(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }
}

pub(crate) fn parse(object: &Value) -> Vec<Owner> {
    object::items(object, "/metadata/managedFields").map(Owner::parse).collect()
}

pub(crate) fn write(object: &mut Value, mut owners: Vec<Owner>) {
    owners.retain(|it| !it.fields.is_empty());
    owners.sort_by(|one, other| {
        let key = |it: &Owner| (it.operation.clone(), it.time.clone(), it.manager.clone());
        key(one).cmp(&key(other))
    });
    let list: Vec<Value> = owners.iter().map(Owner::json).collect();
    object::set_meta(object, "managedFields", (!list.is_empty()).then(|| list.into()));
}

/// Gives what an update changed to the one who changed it.
pub(crate) fn updated(call: &Call, old: Option<&Value>, object: &mut Value) -> Result<()> {
    let stated = object["metadata"]["managedFields"].clone();
    // An empty list is the one way to be rid of all owners; nothing at all leaves them.
    let is_reset = match stated.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => *one == json!({}),
        _ => false,
    };
    let before = old.map(|it| it["metadata"]["managedFields"].clone()).unwrap_or_default();
    let before = if is_reset { Value::Null } else { before };
    object::set_meta(object, "managedFields", (!before.is_null()).then_some(before));

    let node = call.target.version()?.schema.root();
    let difference = fields::difference(old, object, node);
    if difference.is_empty() {
        return Ok(());
    }
    let mine = Owner::of(call, UPDATE);
    let mut owners = parse(object);
    for owner in owners.iter_mut().filter(|it| !it.is_same(&mine)) {
        owner.fields.subtract(&difference.changed);
        owner.fields.subtract(&difference.removed);
    }
    if !owners.iter().any(|it| it.is_same(&mine)) {
        owners.push(mine.clone());
    }
    for owner in owners.iter_mut().filter(|it| it.is_same(&mine)) {
        owner.fields.add(&difference.changed);
        owner.fields.subtract(&difference.removed);
        owner.time.clone_from(&mine.time);
    }
    write(object, owners);
    Ok(())
}
