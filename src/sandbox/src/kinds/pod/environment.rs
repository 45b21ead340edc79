//! Environment variables: their names, and the one place where each value comes from.

use serde_json::Value;

use crate::kinds::{
    check::{Faults, Field},
    config,
};

const NAME: &str = "a valid environment variable name must consist only of printable ASCII \
    characters other than '='";
const SOURCES: [&str; 5] =
    ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
const NO_SOURCE: &str = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, \
    `secretKeyRef` or `fileKeyRef`";
const MANY_SOURCES: &str = "may not have more than one field specified at a time";
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

pub(super) fn validate(container: &Field<'_>, faults: &mut Faults) {
    for variable in container.each("env") {
        let name = variable.at("name");
        if name.text().is_empty() {
            faults.push(name.required(""));
        }
        name.ruled(name_fault, faults);
        let source = variable.at("valueFrom");
        if source.is_set() {
            value_from(&variable, &source, faults);
        }
    }
    let list = container.at("envFrom");
    for source in list.items() {
        whole(&list, &source, faults);
    }
}

fn name_fault(name: &str) -> Option<String> {
    let fits = name.bytes().all(|it| (0x20..0x7f).contains(&it) && it != b'=');
    (!fits).then(|| NAME.to_owned())
}

fn value_from(variable: &Field<'_>, source: &Field<'_>, faults: &mut Faults) {
    let mut count = 0;
    for field in SOURCES.map(|it| source.at(it)).iter().filter(|it| it.is_set()) {
        count += 1;
        match field.path.rsplit('.').next() {
            Some("fieldRef") => field_path(&field.at("fieldPath"), faults),
            Some("resourceFieldRef") => {
                let resource = field.at("resource");
                let known =
                    RESOURCES.contains(&resource.text()) || resource.text().contains(".hugepages-");
                if resource.text().is_empty() {
                    faults.push(resource.required(""));
                } else if !known {
                    faults.push(resource.unsupported(&RESOURCES));
                }
            }
            Some("configMapKeyRef" | "secretKeyRef") => key_of(field, faults),
            _ => {}
        }
    }
    if variable.value["value"].as_str().is_some_and(|it| !it.is_empty()) {
        faults.push(source.invalid_blank("may not be specified when `value` is not empty"));
    } else if count == 0 {
        faults.push(source.invalid_blank(NO_SOURCE));
    } else if count > 1 {
        faults.push(source.invalid_blank(MANY_SOURCES));
    }
}

fn field_path(field: &Field<'_>, faults: &mut Faults) {
    let path = field.text();
    if path.is_empty() {
        faults.push(field.required(""));
        return;
    }
    let of_map =
        ["metadata.labels['", "metadata.annotations['"].iter().any(|it| path.starts_with(it));
    if !of_map && !FIELDS.contains(&path) {
        let detail = format!("error converting fieldPath: field label not supported: {path}");
        faults.push(field.invalid(&detail));
    }
}

fn key_of(source: &Field<'_>, faults: &mut Faults) {
    let (name, key) = (source.at("name"), source.at("key"));
    if name.text().is_empty() {
        let detail = crate::validate::subdomain_fault("").unwrap_or_default();
        faults.push(name.invalid_text(&detail));
    }
    name.subdomain(faults);
    if key.text().is_empty() {
        faults.push(key.required(""));
    }
    key.ruled(config::key_rule, faults);
}

fn whole(list: &Field<'_>, source: &Field<'_>, faults: &mut Faults) {
    source.at("prefix").ruled(name_fault, faults);
    let refs = ["configMapRef", "secretRef"].map(|it| source.at(it));
    let mut count = 0;
    for reference in refs.iter().filter(|it| it.is_set()) {
        count += 1;
        reference.at("name").needed(faults);
        reference.at("name").subdomain(faults);
    }
    let blank = Field { value: &Value::Null, path: list.path.clone() };
    if count == 0 {
        let detail = "must specify one of: `configMapRef` or `secretRef`";
        faults.push(blank.invalid_blank(detail));
    } else if count > 1 {
        faults.push(blank.invalid_blank(MANY_SOURCES));
    }
}
