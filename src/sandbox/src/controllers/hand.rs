//! How a controller writes: through the API's own operations, and on record under its name.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{
        Call, Options, Target, Written, create,
        delete::{self, Deletion},
        update,
    },
    audit::Act,
    object,
    refusal::Result,
    registry::Resource,
    store::{State, Stored},
};

/// All controllers live in one program, which owns the fields they write.
const MANAGER: &str = "kube-controller-manager";

/// A controller at work under the store's lock.
pub(crate) struct Hand<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) now: Timestamp,
    /// Who is on record.
    pub(crate) client: &'static str,
}

impl Hand<'_> {
    pub(crate) fn resource(&self, group: &str, plural: &str) -> Option<Arc<Resource>> {
        self.state.registry.find(group, plural)
    }

    /// Creates an object in the namespace that it names.
    pub(crate) fn create(&mut self, resource: &Arc<Resource>, body: Value) -> Result<Arc<Stored>> {
        let call = self.call(resource, &body, "");
        let created = create::create(self.state, &call, body);
        self.record("create", &call, &created);
        created.map(|it| it.object)
    }

    /// Puts an object in the place of what it was made from.
    pub(crate) fn update(
        &mut self,
        resource: &Arc<Resource>,
        object: Value,
        subresource: &str,
    ) -> Result<Arc<Stored>> {
        let call = self.call(resource, &object, subresource);
        let updated = update::update(self.state, &call, object);
        self.record("update", &call, &updated);
        updated.map(|it| it.object)
    }

    /// Deletes an object, if it is still the same one.
    pub(crate) fn delete(
        &mut self,
        resource: &Arc<Resource>,
        object: &Value,
        deletion: &Deletion,
    ) -> Result<Arc<Stored>> {
        let call = self.call(resource, object, "");
        let deleted = delete::delete(self.state, &call, deletion);
        self.record("delete", &call, &deleted);
        deleted.map(|it| it.object)
    }

    fn call(&self, resource: &Arc<Resource>, object: &Value, subresource: &str) -> Call {
        let version = resource.versions.first().map(|it| it.name.clone()).unwrap_or_default();
        let namespace = object::meta(object, "namespace").to_owned();
        let target = Target {
            resource: Arc::clone(resource),
            version,
            namespace: resource.namespaced.then_some(namespace),
            name: object::name(object).to_owned(),
            subresource: subresource.to_owned(),
        };
        Call { target, options: Options::of_manager(MANAGER), now: self.now }
    }

    fn record(&mut self, verb: &str, call: &Call, outcome: &Result<Written>) {
        let (name, uid, code) = match outcome {
            Ok(written) => {
                let object = &*written.object.value;
                (object::name(object), object::uid(object), written.code)
            }
            Err(refusal) => (call.target.name.as_str(), "", refusal.code),
        };
        self.state.audit.record(&Act {
            at: self.now,
            client: self.client,
            user: "system:kube-controller-manager",
            verb,
            target: &call.target,
            name,
            uid,
            code,
        });
    }
}
