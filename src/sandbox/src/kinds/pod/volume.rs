//! Volumes: named once, each from one source that says what it needs.

use crate::{
    kinds::{
        check::{Faults, Field},
        config,
        pod::container::inner_path_fault,
    },
    quantity::Quantity,
};

/// The names of a Pod's volumes.
pub(super) type Volumes<'a> = Vec<&'a str>;

/// What a source cannot do without.
const NEEDED: [(&str, &str); 6] = [
    ("secret", "secretName"),
    ("configMap", "name"),
    ("persistentVolumeClaim", "claimName"),
    ("hostPath", "path"),
    ("csi", "driver"),
    ("nfs", "server"),
];

pub(super) fn validate<'a>(spec: &Field<'a>, faults: &mut Faults) -> Volumes<'a> {
    let mut names: Volumes<'a> = Vec::new();
    for volume in spec.each("volumes") {
        let name = volume.at("name");
        sources(&volume, faults);
        if name.text().is_empty() {
            faults.push(name.required(""));
            continue;
        }
        name.label(faults);
        if names.contains(&name.text()) {
            faults.push(name.duplicate());
        }
        names.push(name.text());
    }
    names
}

fn sources(volume: &Field<'_>, faults: &mut Faults) {
    let mut stated: Vec<&str> = volume
        .value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .filter(|it| *it != "name")
        .collect();
    // The empty directory is the first that is looked at.
    stated.sort_by_key(|it| *it != "emptyDir");
    for extra in stated.iter().skip(1) {
        faults.push(volume.at(extra).forbidden("may not specify more than 1 volume type"));
    }
    let Some(kind) = stated.first() else { return };
    let source = volume.at(kind);
    if let Some((_, field)) = NEEDED.iter().find(|(it, _)| it == kind) {
        source.at(field).needed(faults);
    }
    if matches!(*kind, "secret" | "configMap" | "projected" | "downwardAPI") {
        mode(&source.at("defaultMode"), faults);
        source.each("items").for_each(|it| file(&it, faults));
    }
    let limit = source.at("sizeLimit");
    if *kind == "emptyDir" && Quantity::of(limit.value).is_some_and(|it| it < Quantity::default()) {
        faults.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
    }
}

fn mode(mode: &Field<'_>, faults: &mut Faults) {
    if mode.value.as_i64().is_some_and(|it| !(0..=0o777).contains(&it)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        faults.push(mode.invalid(detail));
    }
}

fn file(item: &Field<'_>, faults: &mut Faults) {
    let (key, path) = (item.at("key"), item.at("path"));
    let is_field = item.at("fieldRef").is_set() || item.at("resourceFieldRef").is_set();
    if !is_field {
        key.needed(faults);
        key.ruled(config::key_rule, faults);
    }
    path.needed(faults);
    path.ruled(|it| inner_path_fault(it).map(str::to_owned), faults);
    mode(&item.at("mode"), faults);
}
