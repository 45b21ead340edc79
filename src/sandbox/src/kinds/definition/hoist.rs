//! Where does a fault of a definition stand? What all versions have in common, Kubernetes holds once,
//! above them, and its causes name that place.

use serde_json::Value;

use crate::{object, schema::structural::shown};

/// What may be the same in all versions: where each version says it, and where it is held in common.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Schema,
    Subresources,
    Columns,
    Selectable,
}

impl Part {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Subresources => "subresources",
            Self::Columns => "additionalPrinterColumns",
            Self::Selectable => "selectableFields",
        }
    }

    fn common(self) -> &'static str {
        match self {
            Self::Schema => "validation",
            other => other.key(),
        }
    }

    pub(super) fn is_common(self, spec: &Value) -> bool {
        let mut all = object::items(spec, "/versions").map(|it| present(&it[self.key()]));
        let first = all.next();
        all.all(|it| Some(it) == first)
    }

    /// What each version says, with its index and the path of a fault, what is common but once.
    pub(super) fn each(self, spec: &Value) -> Vec<(usize, &Value, String)> {
        let all = object::items(spec, "/versions").enumerate();
        if self.is_common(spec) {
            let path = format!("spec.{}", self.common());
            return all.take(1).map(|(at, it)| (at, &it[self.key()], path.clone())).collect();
        }
        let path = |at: usize| format!("spec.versions[{at}].{}", self.key());
        all.map(|(at, it)| (at, &it[self.key()], path(at))).collect()
    }
}

/// Nothing and an empty list say the same.
fn present(value: &Value) -> Option<&Value> {
    let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    (!is_empty).then_some(value)
}

/// The versions as Kubernetes shows them in a cause.
pub(super) fn shown(spec: &Value) -> String {
    let versions = object::items(spec, "/versions").map(|it| version(spec, it));
    format!("[{}]", versions.collect::<Vec<String>>().join(","))
}

fn version(spec: &Value, version: &Value) -> String {
    let own = |part: Part| (!part.is_common(spec)).then(|| &version[part.key()]);
    let flag = |field: &str| version[field] == true;
    let schema = match own(Part::Schema).and_then(|it| it.get("openAPIV3Schema")) {
        Some(it) => format!("{{\"OpenAPIV3Schema\":{}}}", shown::schema(it)),
        None => "null".to_owned(),
    };
    let subresources = own(Part::Subresources).filter(|it| it.is_object()).map(subresources);
    let columns = own(Part::Columns).and_then(Value::as_array);
    let columns = columns.map(|it| each(it.iter().map(shown::column)));
    let selectable = own(Part::Selectable)
        .and_then(Value::as_array)
        .map(|list| each(list.iter().map(|it| format!("{{\"JSONPath\":{}}}", it["jsonPath"]))));
    let none = || "null".to_owned();
    format!(
        "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":{},\
         \"Schema\":{schema},\"Subresources\":{},\"AdditionalPrinterColumns\":{},\
         \"SelectableFields\":{}}}",
        Value::from(version["name"].as_str().unwrap_or_default()),
        flag("served"),
        flag("storage"),
        flag("deprecated"),
        version["deprecationWarning"],
        subresources.unwrap_or_else(none),
        columns.unwrap_or_else(none),
        selectable.unwrap_or_else(none),
    )
}

fn subresources(stated: &Value) -> String {
    let scale = match &stated["scale"] {
        scale @ Value::Object(_) => format!(
            "{{\"SpecReplicasPath\":{},\"StatusReplicasPath\":{},\"LabelSelectorPath\":{}}}",
            scale["specReplicasPath"], scale["statusReplicasPath"], scale["labelSelectorPath"]
        ),
        _ => "null".to_owned(),
    };
    format!("{{\"Status\":{},\"Scale\":{scale}}}", stated["status"])
}

fn each(parts: impl Iterator<Item = String>) -> String {
    format!("[{}]", parts.collect::<Vec<String>>().join(","))
}
