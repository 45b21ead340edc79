//! Pods and the templates of Pods: what they say of themselves when they come to be.

mod affinity;
mod change;
mod container;
mod defaults;
mod deletion;
mod environment;
mod probe;
mod resources;
mod spec;
mod volume;

use serde_json::{Value, json};

pub(crate) use self::deletion::grace;
pub(super) use self::{
    defaults::fill_in_template,
    spec::{restart_policy, validate_template},
};
use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
    quantity::Quantity,
    store::State,
    validate,
};

pub(super) const RULES: Rules = Rules {
    traits: &[Trait::Generation, Trait::AnswersDeleted],
    fill_in: |object| defaults::fill_in(object::section(object, "spec")),
    create,
    update: |old, object| change::keep(old, object),
    validate: validate_pod,
    warn: |object| dotted_name(object, "the Pod's hostname"),
    ..PLAIN
};

fn create(_: &mut State, object: &mut Value) {
    object::section(object, "spec");
    fill(&mut object["spec"], "enableServiceLinks", true.into());
    object["status"] = json!({"phase": "Pending", "qosClass": quality(&object["spec"])});
}

/// How well a Pod is kept when memory is short: by what its containers say of what they need.
fn quality(spec: &Value) -> &'static str {
    let mut is_guaranteed = true;
    let mut is_best_effort = true;
    let containers =
        object::items(spec, "/containers").chain(object::items(spec, "/initContainers"));
    for container in containers {
        for resource in ["cpu", "memory"] {
            let amount = |kind: &str| {
                Quantity::of(&container["resources"][kind][resource]).filter(|it| !it.is_zero())
            };
            let (request, limit) = (amount("requests"), amount("limits"));
            is_best_effort &= request.is_none() && limit.is_none();
            is_guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (is_best_effort, is_guaranteed) {
        (true, _) => "BestEffort",
        (_, true) => "Guaranteed",
        _ => "Burstable",
    }
}

/// A name with dots, or one too long, is no host's.
pub(super) fn dotted_name(object: &Value, use_of_it: &str) -> Vec<String> {
    let name = object::name(object);
    let fault = validate::label_fault(name).filter(|_| validate::is_subdomain(name));
    fault
        .map(|it| {
            format!(
                "metadata.name: this is used in {use_of_it}, which can result in surprising \
                 behavior; a DNS label is recommended: [{it}]"
            )
        })
        .into_iter()
        .collect()
}

fn validate_pod(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    if let Some(old) = old {
        change::validate(object, old, &mut faults);
        return faults;
    }
    spec::validate(&spec, &mut faults);
    if !spec.at("ephemeralContainers").is_empty_list() {
        faults.push(spec.at("ephemeralContainers").forbidden("cannot be set on create"));
    }
    faults
}
