//! What does one object of an answer say? Each is decoded on its own: one that is not understood leaves
//! the others as they are. Managed fields are dropped first, for they are most of an object, and a list
//! holds hundreds at once.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::Value;

/// An object, or why it is not understood and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Understood<K>(pub(super) Result<K, InvalidObject>);

impl<'de, K: DeserializeOwned> Deserialize<'de> for Understood<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = Value::deserialize(deserializer)?;
        if let Some(Value::Object(meta)) = text.get_mut("metadata") {
            meta.remove("managedFields");
        }
        let error = match K::deserialize(&text) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(error) => error.to_string(),
        };
        // Without even that, it is no object, and the answer is none.
        let metadata = text.get_mut("metadata").map(Value::take).unwrap_or_default();
        let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        Ok(Self(Err(InvalidObject { error, metadata })))
    }
}

impl<K: Resource> Resource for Understood<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use ger_api::GitRepo;
    use serde_json::json;

    use super::*;

    fn read(text: &Value) -> serde_json::Result<Understood<GitRepo>> {
        serde_json::from_str(&text.to_string())
    }

    #[test]
    fn an_object_is_read_without_its_managed_fields() {
        let fields = json!([{ "manager": "kubectl", "fieldsV1": { "f:spec": {} } }]);
        let meta = json!({ "name": "app", "managedFields": fields });

        let read =
            read(&json!({ "metadata": meta, "spec": { "repoUri": "https://h/a" } })).unwrap();

        assert_eq!(read.meta().name.as_deref(), Some("app"));
        assert_eq!(read.meta().managed_fields, None);
        assert_eq!(read.0.unwrap().spec.repo_uri, "https://h/a");
    }

    #[test]
    fn one_that_is_not_understood_still_has_its_name() {
        let read = read(&json!({ "metadata": { "name": "app" }, "spec": {} })).unwrap();

        assert_eq!(read.meta().name.as_deref(), Some("app"));
        assert!(read.0.unwrap_err().error.contains("repoUri"));
    }

    #[test]
    fn what_has_no_metadata_is_no_object() {
        assert!(read(&json!({ "spec": {} })).is_err());
        assert!(read(&json!({ "metadata": "app" })).is_err());
    }
}
