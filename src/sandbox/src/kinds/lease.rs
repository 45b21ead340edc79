//! Leases: who holds something, for how long. They are written more than anything else.

use serde_json::Value;

use crate::{
    kinds::{PLAIN, Rules, Trait},
    object,
    refusal::Cause,
};

pub(super) const RULES: Rules = Rules {
    traits: &[Trait::StatedVersion, Trait::CreatedByUpdate],
    fill_in: |object| {
        object::section(object, "spec");
    },
    validate: |object, _| validate(object),
    ..PLAIN
};

fn validate(object: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    let limits = [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ];
    for (field, least, detail) in limits {
        let value = &object["spec"][field];
        if value.as_i64().is_some_and(|it| it < least) {
            faults.push(Cause::invalid(format!("spec.{field}"), value, detail));
        }
    }
    faults
}
