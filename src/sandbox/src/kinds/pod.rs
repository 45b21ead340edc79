//! Pods and the templates of pods: their defaults and what they must say.

mod change;
mod deletion;

use serde_json::{Map, Value, json};

pub(crate) use self::deletion::grace;
use crate::{
    object::{self, fill},
    refusal::Cause,
    validate,
};

/// Defaults of a pod's spec, in a pod or in a template.
pub(super) fn fill_in(spec: &mut Map<String, Value>) {
    let mut default = |field: &str, value: Value| {
        spec.entry(field).or_insert(value);
    };
    default("restartPolicy", "Always".into());
    default("dnsPolicy", "ClusterFirst".into());
    default("schedulerName", "default-scheduler".into());
    default("terminationGracePeriodSeconds", 30.into());
    default("securityContext", json!({}));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec.entry("serviceAccount").or_insert(account);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            fill_in_container(container);
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        fill_in_volume(volume);
    }
}

/// Defaults of the template of a workload.
pub(super) fn fill_in_template(workload: &mut Value) {
    let template = object::section(workload, "template");
    let metadata = template.entry("metadata").or_insert_with(|| json!({}));
    object::fields(metadata).retain(|key, _| key != "creationTimestamp");
    let spec = template.entry("spec").or_insert_with(|| json!({}));
    fill_in(object::fields(spec));
}

fn fill_in_container(container: &mut Value) {
    let image = object::text(container, "/image");
    let tag = image.rsplit('/').next().and_then(|it| it.split_once(':')).map(|(_, tag)| tag);
    let pull = if image.contains('@') || tag.is_some_and(|it| it != "latest") {
        "IfNotPresent"
    } else {
        "Always"
    };
    fill(container, "imagePullPolicy", pull.into());
    fill(container, "resources", json!({}));
    fill(container, "terminationMessagePath", "/dev/termination-log".into());
    fill(container, "terminationMessagePolicy", "File".into());
    for port in object::items_mut(container, "/ports") {
        fill(port, "protocol", "TCP".into());
    }
    for variable in object::items_mut(container, "/env") {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            fill(field, "apiVersion", "v1".into());
        }
    }
}

fn fill_in_volume(volume: &mut Value) {
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if volume[source].is_object() {
            fill(&mut volume[source], "defaultMode", 420.into());
        }
    }
    if object::fields(volume).len() == 1 {
        volume["emptyDir"] = json!({});
    }
}

pub(super) fn prepare_create(object: &mut Value) {
    object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
    object::section(object, "spec");
    fill(&mut object["spec"], "enableServiceLinks", true.into());
}

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = validate_spec(&object["spec"], "spec");
    let Some(old) = old else { return faults };
    faults.extend(change::containers(object, old));
    if !faults.is_empty() {
        return faults;
    }
    faults.extend(change::deadline(object, old));
    if faults.is_empty() && fixed(old) != fixed(object) {
        faults.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
                 `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` \
                 (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` \
                 (allow it to be set to 1 if it was previously negative)",
        ));
    }
    faults
}

/// The parts of a Pod's spec that never change.
fn fixed(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    for field in ["activeDeadlineSeconds", "tolerations", "nodeName"] {
        object::fields(&mut spec).remove(field);
    }
    for list in ["/containers", "/initContainers"] {
        for container in object::items_mut(&mut spec, list) {
            object::fields(container).remove("image");
        }
    }
    spec
}

/// Checks the template of a workload.
pub(super) fn validate_template(template: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    validate::labels(&template["metadata"]["labels"], &format!("{path}.labels"), &mut faults);
    faults.extend(validate_spec(&template["spec"], &format!("{path}.spec")));
    faults
}

fn validate_spec(spec: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    if object::items(spec, "/containers").next().is_none() {
        faults.push(Cause::required(format!("{path}.containers"), ""));
    }
    for list in ["initContainers", "containers"] {
        let mut names = Vec::new();
        for (index, container) in object::items(spec, &format!("/{list}")).enumerate() {
            let path = format!("{path}.{list}[{index}]");
            let name = object::text(container, "/name");
            if names.contains(&name) {
                let message = format!("Duplicate value: \"{name}\"");
                faults.push(Cause::new("FieldValueDuplicate", format!("{path}.name"), message));
            }
            names.push(name);
            faults.extend(validate_container(container, spec, &path));
        }
    }
    faults
}

fn validate_container(container: &Value, spec: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let name = &container["name"];
    match name.as_str().unwrap_or_default() {
        "" => faults.push(Cause::required(format!("{path}.name"), "")),
        text if !validate::is_label(text) => {
            let detail = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
                characters or '-', and must start and end with an alphanumeric character (e.g. \
                'my-name',  or '123-abc', regex used for validation is \
                '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
            faults.push(Cause::invalid(format!("{path}.name"), name, detail));
        }
        _ => {}
    }
    if object::text(container, "/image").is_empty() {
        faults.push(Cause::required(format!("{path}.image"), ""));
    }
    for (index, mount) in object::items(container, "/volumeMounts").enumerate() {
        let known = object::items(spec, "/volumes").any(|it| it["name"] == mount["name"]);
        if !known {
            let path = format!("{path}.volumeMounts[{index}].name");
            let message = format!("Not found: {}", mount["name"]);
            faults.push(Cause::new("FieldValueNotFound", path, message));
        }
    }
    faults
}
