//! What quotas and limit ranges may say; who keeps to them is another matter.

use serde_json::{Value, json};

use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
    quantity::Quantity,
    refusal::Cause,
    validate,
};

const NOT_STANDARD: &str = "must be a standard resource type or fully qualified";

/// What a quota may count without naming a group.
const COUNTED: [&str; 24] = [
    "cpu",
    "memory",
    "storage",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "services",
    "services.nodeports",
    "services.loadbalancers",
    "resourcequotas",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "hugepages-",
    "requests.hugepages-",
    "limits.hugepages-",
    "deviceclass.resource.k8s.io",
];

const WHOLE: [&str; 8] = [
    "pods",
    "services",
    "services.nodeports",
    "services.loadbalancers",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
];

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

/// Scopes that no object is in together.
const OPPOSED: [[&str; 2]; 2] =
    [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

pub(super) const QUOTA: Rules = Rules {
    traits: &[Trait::AnswersDeleted],
    fill_in: |object| {
        object::section(object, "spec");
        object::section(object, "status");
    },
    validate: |object, old| quota(object, old),
    ..PLAIN
};

pub(super) const LIMIT_RANGE: Rules = Rules {
    traits: &[Trait::CreatedByUpdate],
    fill_in: fill_in_limits,
    validate: |object, _| limits(object),
    ..PLAIN
};

fn quota(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    hard(&spec.at("hard"), &mut faults);
    scopes(&spec, &mut faults);
    let status = Field::of(object, "status");
    hard(&status.at("hard"), &mut faults);
    hard(&status.at("used"), &mut faults);
    if let Some(old) = old
        && old["spec"]["scopes"] != object["spec"]["scopes"]
    {
        faults.push(spec.at("scopes").invalid("field is immutable"));
    }
    faults
}

fn hard(list: &Field<'_>, faults: &mut Faults) {
    for (name, amount) in list.entries() {
        resource_name(name, &amount.path, faults);
        let is_counted = name.contains('/')
            || COUNTED.contains(&name)
            || name.trim_start_matches("requests.").starts_with("hugepages-");
        if !is_counted {
            let detail = "must be a standard resource for quota";
            faults.push(Cause::invalid(amount.path.as_str(), &name.into(), detail));
        }
        let Some(value) = Quantity::of(amount.value) else { continue };
        if value < Quantity::default() {
            faults.push(amount.invalid("must be greater than or equal to 0"));
        }
        if WHOLE.contains(&name) && !value.is_whole() {
            faults.push(amount.invalid("must be an integer"));
        }
    }
}

/// Resources outside Kubernetes' own are named with their domain.
fn resource_name(name: &str, path: &str, faults: &mut Faults) {
    for detail in validate::qualified_faults(name) {
        faults.push(Cause::invalid(path, &name.into(), &detail));
    }
    let is_standard = COUNTED.contains(&name) || name.contains("hugepages-");
    if !name.contains('/') && !is_standard {
        faults.push(Cause::invalid(path, &name.into(), NOT_STANDARD));
    }
}

fn scopes(spec: &Field<'_>, faults: &mut Faults) {
    let list = spec.at("scopes");
    let stated = object::strings(list.value);
    if stated.iter().any(|it| !SCOPES.contains(it)) {
        faults.push(list.invalid("unsupported scope"));
        return;
    }
    let hard = spec.value["hard"].as_object().into_iter().flatten();
    let of_pods = |name: &str| {
        matches!(name, "pods" | "cpu" | "memory" | "count/pods")
            || name.starts_with("requests.")
            || name.starts_with("limits.")
    };
    if !stated.is_empty() && hard.into_iter().any(|(name, _)| !of_pods(name)) {
        faults.push(list.invalid("unsupported scope applied to resource"));
    }
    if OPPOSED.iter().any(|it| it.iter().all(|scope| stated.contains(scope))) {
        faults.push(list.invalid("conflicting scopes"));
    }
    let terms = spec.at("scopeSelector").at("matchExpressions");
    for term in terms.items() {
        let values = Field { value: &term.value["values"], path: format!("{}.values", terms.path) };
        if matches!(term.at("operator").text(), "In" | "NotIn") && values.is_empty_list() {
            let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope \
                selector";
            faults.push(values.required(detail));
        }
    }
}

fn fill_in_limits(object: &mut Value) {
    object::section(object, "spec");
    fill(&mut object["spec"], "limits", Value::Null);
    for item in object::items_mut(object, "/spec/limits") {
        if item["type"] != "Container" {
            fill(item, "type", "".into());
            continue;
        }
        // What one bound says is the default of the next.
        inherit(item, "max", "default");
        inherit(item, "default", "defaultRequest");
        inherit(item, "min", "defaultRequest");
    }
}

fn inherit(item: &mut Value, from: &str, to: &str) {
    let Some(amounts) = item[from].as_object().cloned() else { return };
    for (name, amount) in amounts {
        object::section(item, to).entry(name).or_insert(amount);
    }
}

fn limits(object: &Value) -> Faults {
    let mut faults = Vec::new();
    let mut seen = Vec::new();
    for item in Field::of(object, "spec").each("limits") {
        let kind = item.at("type");
        limit_type(&kind, &mut faults);
        if seen.contains(&kind.text()) {
            faults.push(kind.duplicate());
        }
        seen.push(kind.text());
        let bounds = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
        if kind.text() == "Container" {
            for (name, amount) in bounds.iter().flat_map(|it| item.at(it).entries()) {
                container_resource(name, &amount.path, &mut faults);
            }
        } else if kind.text() == "Pod" {
            let set = ["default", "defaultRequest"].map(|it| item.at(it)).into_iter();
            let set = set.filter(Field::is_set);
            faults.extend(set.map(|it| it.forbidden("may not be specified when `type` is 'Pod'")));
        } else if kind.text() == "PersistentVolumeClaim"
            && item.value["min"]["storage"].is_null()
            && item.value["max"]["storage"].is_null()
        {
            let detail =
                "either minimum or maximum storage value is required, but neither was provided";
            faults.push(item.at("limits").required(detail));
        }
        order(&item, &mut faults);
    }
    faults
}

fn limit_type(kind: &Field<'_>, faults: &mut Faults) {
    let before = faults.len();
    kind.qualified(faults);
    let known = ["Pod", "Container", "PersistentVolumeClaim"].contains(&kind.text());
    if faults.len() == before && !known && !kind.text().contains('/') {
        faults.push(kind.invalid("must be a standard limit type or fully qualified"));
    }
}

/// A resource that a container can ask for.
pub(super) fn container_resource(name: &str, path: &str, faults: &mut Faults) {
    resource_name(name, path, faults);
    let is_standard =
        matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !name.contains('/') && !is_standard {
        let detail = "must be a standard resource for containers";
        faults.push(Cause::invalid(path, &name.into(), detail));
    }
}

/// The bounds of one resource have to be in order.
fn order(item: &Field<'_>, faults: &mut Faults) {
    let mut names: Vec<&str> = ["max", "min", "default", "defaultRequest"]
        .iter()
        .flat_map(|it| item.value[*it].as_object().into_iter().flatten())
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        // A bound, the one that must not be less, at whose field it is said, and the words.
        for (low, high, (field, shown), words) in [
            ("min", "max", ("min", "min"), ["min", "max"]),
            (
                "min",
                "defaultRequest",
                ("defaultRequest", "defaultRequest"),
                ["min", "default request"],
            ),
            (
                "defaultRequest",
                "max",
                ("defaultRequest", "defaultRequest"),
                ["default request", "max"],
            ),
            (
                "defaultRequest",
                "default",
                ("defaultRequest", "defaultRequest"),
                ["default request", "default limit"],
            ),
            ("min", "default", ("default", "min"), ["min", "default"]),
            ("default", "max", ("default", "max"), ["default", "max"]),
        ] {
            let amount = |bound: &str| Quantity::of(&item.value[bound][name]);
            let (Some(less), Some(more)) = (amount(low), amount(high)) else { continue };
            if less > more {
                let detail =
                    format!("{} value {less} is greater than {} value {more}", words[0], words[1]);
                let path = format!("{}.{field}[{name}]", item.path);
                faults.push(Cause::invalid(path, &item.value[shown][name], &detail));
            }
        }
    }
    for (name, ratio) in item.at("maxLimitRequestRatio").entries() {
        let Some(value) = Quantity::of(ratio.value).filter(|it| *it < Quantity::from(1)) else {
            continue;
        };
        let detail = format!("ratio {value} is less than 1");
        let path = format!("{}.maxLimitRequestRatio[{name}]", item.path);
        faults.push(Cause::invalid(path, &json!(value.to_string()), &detail));
    }
}
