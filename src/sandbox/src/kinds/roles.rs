//! Roles and bindings: who may be given what, as far as one object can tell.

use serde_json::Value;

use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
    refusal::Cause,
    validate,
};

const GROUP: &str = "rbac.authorization.k8s.io";

const PLAIN_ROLE: Rules =
    Rules { traits: &[Trait::CreatedByUpdate], name: validate::segment_fault, ..PLAIN };

pub(super) const ROLE: Rules = Rules {
    fill_in: fill_in_role,
    validate: |object, _| rules(object, Scope::Namespace),
    ..PLAIN_ROLE
};

pub(super) const CLUSTER_ROLE: Rules = Rules {
    fill_in: fill_in_role,
    validate: |object, _| rules(object, Scope::Cluster),
    ..PLAIN_ROLE
};

pub(super) const BINDING: Rules = Rules {
    fill_in: fill_in_binding,
    validate: |object, old| binding(object, old, Scope::Namespace),
    ..PLAIN_ROLE
};

pub(super) const CLUSTER_BINDING: Rules = Rules {
    fill_in: fill_in_binding,
    validate: |object, old| binding(object, old, Scope::Cluster),
    ..PLAIN_ROLE
};

/// How far a role or binding reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Namespace,
    Cluster,
}

fn fill_in_role(object: &mut Value) {
    fill(object, "rules", Value::Null);
}

fn fill_in_binding(object: &mut Value) {
    object::section(object, "roleRef");
    if object["roleRef"]["apiGroup"] == "" {
        object["roleRef"]["apiGroup"] = GROUP.into();
    }
    fill(&mut object["roleRef"], "apiGroup", GROUP.into());
    for subject in object::items_mut(object, "/subjects") {
        if subject["apiGroup"] == "" {
            object::fields(subject).remove("apiGroup");
        }
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            fill(subject, "apiGroup", GROUP.into());
        }
    }
}

fn rules(object: &Value, scope: Scope) -> Faults {
    let mut faults = Vec::new();
    for rule in Field::of(object, "rules").items() {
        validate_rule(&rule, scope, &mut faults);
    }
    let aggregation = Field::of(object, "aggregationRule");
    if aggregation.is_set() {
        let selectors = aggregation.at("clusterRoleSelectors");
        if selectors.is_empty_list() {
            let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            faults.push(selectors.required(detail));
        }
        for selector in selectors.items() {
            let before = faults.len();
            selector.selector(&mut faults);
            if faults.len() > before {
                let path = selector.path.as_str();
                faults.push(Cause::invalid(path, &Value::Null, "invalid label selector."));
            }
        }
    }
    faults
}

fn validate_rule(rule: &Field<'_>, scope: Scope, faults: &mut Faults) {
    let verbs = rule.at("verbs");
    if verbs.is_empty_list() {
        faults.push(verbs.required("verbs must contain at least one value"));
    }
    let (urls, groups, resources) =
        (rule.at("nonResourceURLs"), rule.at("apiGroups"), rule.at("resources"));
    if !urls.is_empty_list() {
        if scope == Scope::Namespace {
            faults.push(urls.invalid("namespaced rules cannot apply to non-resource URLs"));
        }
        let is_mixed = [&groups, &resources, &rule.at("resourceNames")];
        if is_mixed.iter().any(|it| !it.is_empty_list()) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            faults.push(urls.invalid(detail));
        }
        return;
    }
    if groups.is_empty_list() {
        faults.push(groups.required("resource rules must supply at least one api group"));
    }
    if resources.is_empty_list() {
        faults.push(resources.required("resource rules must supply at least one resource"));
    }
}

fn binding(object: &Value, old: Option<&Value>, scope: Scope) -> Faults {
    let mut faults = Vec::new();
    let role = Field::of(object, "roleRef");
    role.at("apiGroup").one_of(&[GROUP], &mut faults);
    let known: &[&str] = match scope {
        Scope::Namespace => &["Role", "ClusterRole"],
        Scope::Cluster => &["ClusterRole"],
    };
    role.at("kind").one_of(known, &mut faults);
    role.at("name").needed(&mut faults);
    role.at("name").ruled(validate::segment_fault, &mut faults);
    for subject in Field::of(object, "subjects").items() {
        validate_subject(&subject, scope, &mut faults);
    }
    if old.is_some_and(|it| it["roleRef"] != object["roleRef"]) {
        let shown = format!(
            "{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}",
            role.value["apiGroup"], role.value["kind"], role.value["name"]
        );
        let message = format!("Invalid value: {shown}: cannot change roleRef");
        faults.push(Cause::new("FieldValueInvalid", "roleRef", message));
    }
    faults
}

fn validate_subject(subject: &Field<'_>, scope: Scope, faults: &mut Faults) {
    subject.at("name").needed(faults);
    let (kind, group) = (subject.at("kind"), subject.at("apiGroup"));
    match kind.text() {
        "ServiceAccount" => {
            subject.at("name").subdomain(faults);
            group.maybe_one_of(&[""], faults);
            if scope == Scope::Cluster {
                subject.at("namespace").needed(faults);
            }
        }
        "User" | "Group" => group.one_of(&[GROUP], faults),
        _ => faults.push(kind.unsupported(&["ServiceAccount", "User", "Group"])),
    }
}
