//! Whether an object may be stored: its metadata, its schema, the rules of its kind.

use std::borrow::Cow;

use serde_json::Value;

use crate::{
    api::{Call, Owners, Target, read},
    audit::access::Verdict,
    auth::{self, Attributes, escalation},
    breakage::Breakage,
    kinds, object,
    patch::ownership,
    refusal::{Cause, Refusal, Result},
    registry::Version,
    schema::{self, Judged, Mode, Node, Rulebook, Stamp},
    store::{State, Stored},
    validate,
};

/// With one of these the CEL rules would be asked about what they cannot know.
const BLOCKING: [&str; 5] = [
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

impl Call {
    /// Holds a role or binding against what its writer may give.
    pub(super) fn judge_grants(
        &self,
        state: &mut State,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<()> {
        if state.authorization == auth::Mode::AlwaysAllow || self.is_broken(Breakage::FreeGrants) {
            return Ok(());
        }
        escalation::check(state, self, object, old)
    }

    /// Whoever creates by a PUT or an apply has to be allowed to create too, by that very name.
    pub(super) fn judge_creator(&self, state: &mut State) -> Result<()> {
        let Target { resource, name, namespace, .. } = &self.target;
        // A POST has no name in its path, and was asked before; the cluster itself is not asked.
        let Some(user) = self.options.user.as_deref().filter(|_| !name.is_empty()) else {
            return Ok(());
        };
        let asked = Attributes {
            verb: "create",
            namespace: namespace.as_deref().unwrap_or_default(),
            group: &resource.group,
            resource: &resource.plural,
            name,
            ..Attributes::default()
        };
        let open = state.authorization == auth::Mode::AlwaysAllow
            || user.is_master()
            || self.is_broken(Breakage::OpenDoors);
        let index = (!open).then(|| state.grants());
        let admitted = match index.filter(|it| !it.allows(user, &asked)) {
            Some(index) => Err(auth::refused(user, &asked, &index.decide(user, &asked).reason)),
            None => Ok(()),
        };
        state.accesses.note(&user.name, &asked, Verdict::of(&admitted));
        admitted
    }

    /// Holds an object against its schema and its kind's rules.
    pub(super) fn judge(&self, object: &Value, old: Option<&Value>) -> Result<()> {
        self.judge_all(object, (old, Judged::NotYet), Vec::new())
    }

    /// The same of an object that takes the place of another, whose metadata may be at fault already.
    pub(super) fn judge_change(
        &self,
        object: &Value,
        (old, existing): (&Value, &Stored),
        changes: Vec<Cause>,
    ) -> Result<()> {
        // They are judged once for all kinds and once by each.
        let twice = [changes.clone(), changes].concat();
        let when = if self.is_settled(existing) { Judged::Before } else { Judged::NotYet };
        self.judge_all(object, (Some(old), when), twice)
    }

    fn judge_all(
        &self,
        object: &Value,
        (old, when): (Option<&Value>, Judged),
        mut faults: Vec<Cause>,
    ) -> Result<()> {
        if self.is_broken(Breakage::MutableFields) {
            faults.clear();
        }
        if !self.is_broken(Breakage::AnyMetadata) {
            faults.extend(validate::metadata(object, self.resource()));
        }
        faults.extend(ownership::faults(object));
        if self.resource().is_custom() {
            faults.extend(self.custom_faults(self.target.version()?, object, (old, when)));
        }
        // Without a past nothing has changed.
        let old = old.filter(|_| !self.is_broken(Breakage::MutableFields));
        let opens = self.is_broken(Breakage::OpenSpec) || self.is_broken(Breakage::MutableFields);
        faults.extend(if self.target.subresource == "status" && !opens {
            kinds::validate_status(self.resource(), object, old)
        } else {
            kinds::validate(self.resource(), object, old)
        });
        if faults.is_empty() {
            return Ok(());
        }
        let name = object::name(object);
        Err(Refusal::invalid(&self.resource().kind_subject(name), &faults))
    }

    /// Whether nothing is wrong with an object of which the status alone has changed; the old one is all that
    /// is told of what was.
    pub(super) fn is_sound(&self, object: &Value, old: &Value) -> bool {
        let Ok(version) = self.target.version() else { return false };
        let fits = |node: &Node| {
            let (status, old) = (&object["status"], old.get("status"));
            of_status(status, old, node).is_empty() && schema::duplicates(status, node).is_empty()
        };
        let changed = ("status", old.get("status"));
        let is_allowed = |rules: &Rulebook| {
            rules.judge_field(object, changed, Judged::Before).is_some_and(|it| it.is_empty())
        };
        let is_custom = self.resource().is_custom();
        validate::metadata(object, self.resource()).is_empty()
            && ownership::faults(object).is_empty()
            && (!is_custom || version.schema.root().field("status").is_none_or(fits))
            && version.rules.as_ref().is_none_or(is_allowed)
            && kinds::validate_status(self.resource(), object, Some(old)).is_empty()
    }

    fn custom_faults(
        &self,
        version: &Version,
        object: &Value,
        (old, when): (Option<&Value>, Judged),
    ) -> Vec<Cause> {
        if self.is_broken(Breakage::AnyShape) {
            return Vec::new();
        }
        let root = version.schema.root();
        let mut faults = if self.target.subresource == "status" {
            // The rest is not this write's.
            let status = object.get("status").zip(root.field("status"));
            let old = old.and_then(|it| it.get("status"));
            status.map(|(it, node)| of_status(it, old, node)).unwrap_or_default()
        } else {
            schema::validate(object, old, root, "")
        };
        if old.is_none_or(|it| schema::duplicates(it, root).is_empty()) {
            faults.extend(schema::duplicates(object, root));
        }
        let rules = version.rules.as_ref().filter(|_| !self.is_broken(Breakage::SilentRules));
        let Some(rules) = rules else { return faults };
        if faults.iter().any(|it| BLOCKING.contains(&it.reason)) {
            let detail = "some validation rules were not checked because the object was invalid; \
                correct the existing errors to complete validation";
            faults.push(Cause::invalid("<nil>", &Value::Null, detail));
        } else {
            faults.extend(rules.judge(object, old, when));
        }
        faults
    }

    /// A stored object as today's schema reads it, which may know more or less than the one that
    /// the object was written under.
    pub(super) fn as_read<'a>(&self, stored: &'a Stored) -> Result<Cow<'a, Value>> {
        let version = self.target.version()?;
        if !self.resource().is_custom() || self.is_settled(stored) {
            return Ok(Cow::Borrowed(&stored.value));
        }
        let mut object = stored.value.clone();
        if self.resource().reshapes {
            read::reshape(&self.target, &mut object);
        }
        let root = version.schema.root();
        schema::prune(&mut object, root, Mode::Prune).map_err(Refusal::bad_request)?;
        schema::default(&mut object, root);
        Ok(Cow::Owned(object))
    }
}

impl Call {
    /// Whether an object was written under the very schema that this write is judged by.
    pub(super) fn is_settled(&self, stored: &Stored) -> bool {
        let version = self.target.version().ok();
        let stamp = version.map(|it| it.schema.stamp());
        !self.resource().reshapes && stamp == stored.settled_under
    }

    /// The schema that an object will have been written under, if it is as that has it.
    pub(super) fn settles(&self, owners: Owners) -> Option<Stamp> {
        let is_whole = owners == Owners::OfUpdate && self.options.broken.is_none();
        let version = self.target.version().ok().filter(|it| is_whole && it.shape.is_none())?;
        (!self.resource().reshapes).then(|| version.schema.stamp())
    }
}

/// A status is judged as if it were all there is, and its faults then stand in it.
fn of_status(status: &Value, old: Option<&Value>, node: &Node) -> Vec<Cause> {
    let mut faults = schema::validate(status, old, node, "");
    for fault in &mut faults {
        fault.field = match fault.field.as_str() {
            "<nil>" => "status".to_owned(),
            field => format!("status.{field}"),
        };
    }
    faults
}
