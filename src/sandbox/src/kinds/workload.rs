//! CronJobs and Deployments: defaults and the rules that clients run into.

use serde_json::{Value, json};

use crate::{
    kinds::{job, pod},
    object::{self, fill},
    refusal::Cause,
};

pub(super) fn fill_in_cron_job(object: &mut Value) {
    object::section(object, "spec");
    let spec = &mut object["spec"];
    fill(spec, "concurrencyPolicy", "Allow".into());
    fill(spec, "suspend", false.into());
    fill(spec, "successfulJobsHistoryLimit", 3.into());
    fill(spec, "failedJobsHistoryLimit", 1.into());
    let template = object::section(spec, "jobTemplate");
    let job = template.entry("spec").or_insert_with(|| json!({}));
    pod::fill_in_template(job);
}

pub(super) fn validate_cron_job(object: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    if object::text(object, "/spec/schedule").is_empty() {
        faults.push(Cause::required("spec.schedule", ""));
    }
    // The Jobs' names get eleven characters more.
    if object::name(object).len() > 52 {
        let detail = "must be no more than 52 characters";
        faults.push(Cause::invalid("metadata.name", &object["metadata"]["name"], detail));
    }
    let template = &object["spec"]["jobTemplate"]["spec"];
    faults.extend(job::validate_spec(template, "spec.jobTemplate.spec"));
    faults
}

pub(super) fn fill_in_deployment(object: &mut Value) {
    object::section(object, "spec");
    let spec = &mut object["spec"];
    fill(spec, "replicas", 1.into());
    fill(spec, "revisionHistoryLimit", 10.into());
    fill(spec, "progressDeadlineSeconds", 600.into());
    fill(spec, "strategy", json!({}));
    fill(&mut spec["strategy"], "type", "RollingUpdate".into());
    if spec["strategy"]["type"] == "RollingUpdate" {
        fill(&mut spec["strategy"], "rollingUpdate", json!({}));
        fill(&mut spec["strategy"]["rollingUpdate"], "maxSurge", "25%".into());
        fill(&mut spec["strategy"]["rollingUpdate"], "maxUnavailable", "25%".into());
    }
    pod::fill_in_template(spec);
}

pub(super) fn validate_deployment(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let spec = &object["spec"];
    let mut faults = pod::validate_template(&spec["template"], "spec.template");
    if !spec["selector"].is_object() {
        faults.push(Cause::required("spec.selector", ""));
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let wanted = spec["selector"]["matchLabels"].as_object().into_iter().flatten();
    if wanted.into_iter().any(|(key, value)| labels[key] != *value) {
        let detail = "`selector` does not match template `labels`";
        faults.push(Cause::invalid("spec.template.metadata.labels", labels, detail));
    }
    if old.is_some_and(|it| it["spec"]["selector"] != spec["selector"]) {
        faults.push(Cause::invalid("spec.selector", &spec["selector"], "field is immutable"));
    }
    faults
}
