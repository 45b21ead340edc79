//! What is filled in where a Pod, or a template of one, says nothing.

use serde_json::{Map, Value, json};

use crate::object::{self, fill};

/// Defaults of a Pod's spec, in a Pod or in a template.
pub(super) fn fill_in(spec: &mut Map<String, Value>) {
    let mut default = |field: &str, value: Value| {
        let slot = spec.entry(field).or_insert(Value::Null);
        if slot.is_null() || *slot == "" {
            *slot = value;
        }
    };
    default("restartPolicy", "Always".into());
    default("dnsPolicy", "ClusterFirst".into());
    default("schedulerName", "default-scheduler".into());
    default("terminationGracePeriodSeconds", 30.into());
    default("securityContext", json!({}));
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|it| it < 0) {
        spec.insert("terminationGracePeriodSeconds".to_owned(), 1.into());
    }
    alias_account(spec);
    let on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            fill_in_container(container);
            for port in object::items_mut(container, "/ports").filter(|_| on_host) {
                let number = port["containerPort"].clone();
                fill(port, "hostPort", number);
            }
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        fill_in_volume(volume);
    }
    for toleration in
        spec.get_mut("tolerations").and_then(Value::as_array_mut).into_iter().flatten()
    {
        object::fields(toleration).retain(|_, value| *value != "");
    }
}

/// The account has an older name too, and either is enough.
fn alias_account(spec: &mut Map<String, Value>) {
    for (known, other) in
        [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")]
    {
        if let Some(account) = spec.get(known).filter(|it| *it != "").cloned() {
            spec.insert(other.to_owned(), account);
            return;
        }
        spec.remove(known);
    }
}

/// Defaults of the template of a workload.
pub(in crate::kinds) fn fill_in_template(workload: &mut Value) {
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
    request_limits(&mut container["resources"]);
    for port in object::items_mut(container, "/ports") {
        fill(port, "protocol", "TCP".into());
    }
    for variable in object::items_mut(container, "/env") {
        // An empty value is no value.
        object::fields(variable).retain(|key, value| !(key == "value" && *value == ""));
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            fill(field, "apiVersion", "v1".into());
        }
        if let Some(field) = variable.pointer_mut("/valueFrom/resourceFieldRef") {
            fill(field, "divisor", "0".into());
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[probe].is_object() {
            fill_in_probe(&mut container[probe]);
        }
    }
    for hook in ["/lifecycle/preStop", "/lifecycle/postStart"] {
        if let Some(hook) = container.pointer_mut(hook) {
            fill_in_handler(hook);
        }
    }
    object::fields(container).retain(|_, value| !value.is_null());
}

/// Who limits what it takes, and says no more, asks for as much.
fn request_limits(resources: &mut Value) {
    let Some(limits) = resources["limits"].as_object().cloned() else {
        object::fields(resources).retain(|_, value| !value.is_null());
        return;
    };
    let requests = object::section(resources, "requests");
    for (name, amount) in limits {
        requests.entry(name).or_insert(amount);
    }
    object::fields(resources).retain(|_, value| *value != json!({}));
}

fn fill_in_probe(probe: &mut Value) {
    for (field, number) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        if probe[field] == 0 {
            probe[field] = Value::Null;
        }
        fill(probe, field, number.into());
    }
    fill_in_handler(probe);
    if probe["grpc"].is_object() {
        fill(&mut probe["grpc"], "service", "".into());
    }
    object::fields(probe).retain(|_, value| !value.is_null());
}

fn fill_in_handler(handler: &mut Value) {
    if handler["httpGet"].is_object() {
        fill(&mut handler["httpGet"], "path", "/".into());
        fill(&mut handler["httpGet"], "scheme", "HTTP".into());
    }
    object::fields(handler).retain(|_, value| !value.is_null());
}

fn fill_in_volume(volume: &mut Value) {
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if volume[source].is_object() {
            fill(&mut volume[source], "defaultMode", 420.into());
        }
    }
    if volume["hostPath"].is_object() {
        fill(&mut volume["hostPath"], "type", "".into());
    }
    for source in object::items_mut(volume, "/projected/sources") {
        if source["serviceAccountToken"].is_object() {
            fill(&mut source["serviceAccountToken"], "expirationSeconds", 3600.into());
        }
        fill_in_files(source);
    }
    fill_in_files(volume);
    object::fields(volume).retain(|_, value| !value.is_null());
    let has_source = object::fields(volume).keys().any(|it| it != "name");
    if !has_source {
        volume["emptyDir"] = json!({});
    }
}

/// Files that tell of the Pod's own fields.
fn fill_in_files(source: &mut Value) {
    for file in object::items_mut(source, "/downwardAPI/items") {
        if let Some(field) = file.get_mut("fieldRef") {
            fill(field, "apiVersion", "v1".into());
        }
        if let Some(field) = file.get_mut("resourceFieldRef") {
            fill(field, "divisor", "0".into());
        }
    }
}
