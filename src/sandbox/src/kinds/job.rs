//! Jobs: their defaults, the labels of their Pods, and what cannot change any more.

mod changes;
mod cron;
mod failures;
mod indexes;
mod rules;
mod status;
mod success;

use serde_json::{Value, json};

pub(super) use self::cron::CRON_JOB;
use crate::{
    kinds::{PLAIN, Rules, Trait, pod},
    object::{self, fill},
};

const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
const NAME_LABEL: &str = "batch.kubernetes.io/job-name";

pub(super) const RULES: Rules = Rules {
    traits: &[Trait::Generation, Trait::Orphans, Trait::StatusApart],
    fill_in,
    create: |_, object| prepare_create(object),
    validate: rules::validate,
    validate_status: Some(status::validate),
    warn: |object| pod::dotted_name(object, "Pod names and hostnames"),
    ..PLAIN
};

fn fill_in(object: &mut Value) {
    object::section(object, "spec");
    object::section(object, "status");
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object()
        && object["metadata"]["labels"].as_object().is_none_or(serde_json::Map::is_empty)
    {
        object::set_meta(object, "labels", Some(labels));
    }
    fill_in_spec(&mut object["spec"]);
}

fn fill_in_spec(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        spec["completions"] = 1.into();
    }
    fill(spec, "parallelism", 1.into());
    let per_index = !spec["backoffLimitPerIndex"].is_null();
    fill(spec, "backoffLimit", if per_index { i32::MAX.into() } else { 6.into() });
    fill(spec, "completionMode", "NonIndexed".into());
    fill(spec, "suspend", false.into());
    fill(spec, "manualSelector", false.into());
    let replacement =
        if spec["podFailurePolicy"].is_object() { "Failed" } else { "TerminatingOrFailed" };
    fill(spec, "podReplacementPolicy", replacement.into());
    for rule in object::items_mut(spec, "/podFailurePolicy/rules") {
        for pattern in object::items_mut(rule, "/onPodConditions") {
            fill(pattern, "status", "True".into());
        }
    }
    pod::fill_in_template(spec);
}

/// The selector and labels that tie Pods to their Job.
fn prepare_create(object: &mut Value) {
    object["status"] = json!({});
    if object["spec"]["manualSelector"] == true {
        return;
    }
    let (name, uid) = (object::name(object).to_owned(), object::uid(object).to_owned());
    let of_template = object["metadata"]["labels"].is_null()
        || object["metadata"]["labels"] == object["spec"]["template"]["metadata"]["labels"];
    let metadata = object::section(&mut object["spec"]["template"], "metadata");
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    for (key, value) in
        [(UID_LABEL, &uid), (NAME_LABEL, &name), ("controller-uid", &uid), ("job-name", &name)]
    {
        fill(labels, key, value.as_str().into());
    }
    if of_template {
        let labels = labels.clone();
        object::set_meta(object, "labels", Some(labels));
    }
    // Labels that were asked for stay, and are found fault with.
    let selector = object["spec"]["selector"].take();
    let mut selector = if selector.is_object() { selector } else { json!({}) };
    object::section(&mut selector, "matchLabels").entry(UID_LABEL).or_insert_with(|| uid.into());
    object["spec"]["selector"] = selector;
}
