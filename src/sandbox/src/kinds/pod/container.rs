//! Containers: named once, with an image, ports, and places for the Pod's volumes.

use serde_json::Value;

use crate::{
    kinds::{
        check::{Faults, Field, port_name_faults},
        pod::{environment, probe, resources, volume::Volumes},
    },
    refusal::Cause,
};

/// The containers of a Pod, of each kind.
const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

pub(super) fn validate_all(spec: &Field<'_>, volumes: &Volumes<'_>, faults: &mut Faults) {
    if spec.at("containers").is_empty_list() {
        faults.push(spec.at("containers").required(""));
    }
    let mut names: Vec<&str> = Vec::new();
    let on_host = spec.value["hostNetwork"] == true;
    let mut taken = Vec::new();
    for list in LISTS {
        for container in spec.each(list) {
            let name = container.at("name");
            container_name(&name, &mut names, faults);
            validate(&container, list, volumes, faults);
            for port in container.each("ports") {
                host_port(&port, &mut taken, faults);
            }
            container.each("ports").filter(|_| on_host).for_each(|it| same_port(&it, faults));
        }
    }
}

fn container_name<'a>(name: &Field<'a>, names: &mut Vec<&'a str>, faults: &mut Faults) {
    if name.text().is_empty() {
        faults.push(name.required(""));
        return;
    }
    name.label(faults);
    if names.contains(&name.text()) {
        faults.push(name.duplicate());
    }
    names.push(name.text());
}

fn validate(container: &Field<'_>, list: &str, volumes: &Volumes<'_>, faults: &mut Faults) {
    let image = container.at("image");
    image.needed(faults);
    if image.text().trim() != image.text() {
        faults.push(image.invalid("must not have leading or trailing whitespace"));
    }
    let restarts = container.value["restartPolicy"] == "Always";
    let is_passing = list == "initContainers" && !restarts;
    if is_passing {
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            let field = container.at(field);
            if field.is_set() {
                let detail = "may not be set for init containers without restartPolicy=Always";
                faults.push(field.forbidden(detail));
            }
        }
    } else {
        probe::validate_all(container, faults);
    }
    ports(container, faults);
    environment::validate(container, faults);
    mounts(container, volumes, faults);
    container.at("imagePullPolicy").one_of(&["Always", "IfNotPresent", "Never"], faults);
    resources::validate(&container.at("resources"), faults);
    container.at("terminationMessagePolicy").one_of(&["File", "FallbackToLogsOnError"], faults);
    let context = container.at("securityContext");
    for field in ["runAsUser", "runAsGroup"].map(|it| context.at(it)) {
        identity(&field, faults);
    }
}

/// A user or group by its number.
pub(super) fn identity(field: &Field<'_>, faults: &mut Faults) {
    let fits = |it: i64| (0..=i64::from(i32::MAX)).contains(&it);
    if field.value.as_i64().is_some_and(|it| !fits(it)) {
        faults.push(field.invalid("must be between 0 and 2147483647, inclusive"));
    }
}

fn ports(container: &Field<'_>, faults: &mut Faults) {
    let mut names = Vec::new();
    for port in container.each("ports") {
        let name = port.at("name");
        if !name.text().is_empty() {
            let wrong = port_name_faults(name.text());
            if wrong.is_empty() && names.contains(&name.text()) {
                faults.push(name.duplicate());
            }
            names.push(name.text());
            faults.extend(wrong.into_iter().map(|it| name.invalid(it)));
        }
        let number = port.at("containerPort");
        match number.value.as_i64() {
            None | Some(0) => faults.push(number.required("")),
            Some(_) => number.port(faults),
        }
        let host = port.at("hostPort");
        if host.value.as_i64().is_some_and(|it| it != 0) {
            host.port(faults);
        }
        port.at("protocol").one_of(&["SCTP", "TCP", "UDP"], faults);
    }
}

/// On the host's network a port is the host's.
fn same_port(port: &Field<'_>, faults: &mut Faults) {
    let host = port.at("hostPort");
    let is_set = host.value.as_i64().is_some_and(|it| it != 0);
    if is_set && *host.value != port.value["containerPort"] {
        faults.push(host.invalid("must match `containerPort` when `hostNetwork` is true"));
    }
}

fn host_port(port: &Field<'_>, taken: &mut Vec<String>, faults: &mut Faults) {
    let host = port.at("hostPort");
    let number = host.value.as_i64().unwrap_or_default();
    if number == 0 {
        return;
    }
    let text = |field: &str| port.value[field].as_str().unwrap_or_default();
    let key = format!("{}/{}/{number}", text("protocol"), text("hostIP"));
    if taken.contains(&key) {
        let message = format!("Duplicate value: \"{key}\"");
        faults.push(Cause::new("FieldValueDuplicate", host.path.as_str(), message));
    }
    taken.push(key);
}

fn mounts(container: &Field<'_>, volumes: &Volumes<'_>, faults: &mut Faults) {
    let mut places: Vec<&str> = Vec::new();
    for mount in container.each("volumeMounts") {
        let (name, place) = (mount.at("name"), mount.at("mountPath"));
        name.needed(faults);
        if !volumes.contains(&name.text()) {
            let message = format!("Not found: {}", Value::from(name.text()));
            faults.push(Cause::new("FieldValueNotFound", name.path.as_str(), message));
        }
        place.needed(faults);
        if places.contains(&place.text()) {
            faults.push(place.invalid("must be unique"));
        }
        places.push(place.text());
        let part = mount.value["subPath"].as_str().unwrap_or_default();
        if let Some(detail) = inner_path_fault(part) {
            let path = format!("{}.volumeMounts.subPath", container.path);
            faults.push(Cause::invalid(path, &part.into(), detail));
        }
    }
}

/// A path that has to stay inside where it begins.
pub(super) fn inner_path_fault(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("must be a relative path");
    }
    path.split('/').any(|it| it == "..").then_some("must not contain '..'")
}
