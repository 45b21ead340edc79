//! What cannot be true of a Job: the states that no Job controller may write.

use serde_json::Value;

use crate::{object, refusal::Cause};

const COMPLETE: &str = "Complete";
const FAILED: &str = "Failed";
/// Said before the Job has ended: that it will, and which way.
const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
const FAILURE_TARGET: &str = "FailureTarget";

pub(super) fn validate(status: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = counts(status);
    faults.extend(conditions(status, old));
    faults.extend(times(status));
    faults
}

fn is_true(status: &Value, kind: &str) -> bool {
    object::items(status, "/conditions").any(|it| it["type"] == kind && it["status"] == "True")
}

fn has_ended(status: &Value) -> bool {
    is_true(status, COMPLETE) || is_true(status, FAILED)
}

fn counts(status: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        if status[field].as_i64().is_some_and(|it| it < 0) {
            let detail = "must be greater than or equal to 0";
            faults.push(Cause::invalid(format!("status.{field}"), &status[field], detail));
        }
    }
    let count = |field: &str| status[field].as_i64().unwrap_or_default();
    if count("active") > 0 && has_ended(status) {
        let detail = "active>0 is invalid for finished job";
        faults.push(Cause::invalid("status.active", &status["active"], detail));
    }
    if count("ready") > count("active") {
        let detail = "cannot set more ready pods than active";
        faults.push(Cause::invalid("status.ready", &status["ready"], detail));
    }
    faults
}

fn conditions(status: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut details = Vec::new();
    for (end, target) in [(COMPLETE, SUCCESS_CRITERIA_MET), (FAILED, FAILURE_TARGET)] {
        if is_true(status, end) && !is_true(status, target) {
            details.push(format!(
                "cannot set {end}=True condition without the {target}=true condition"
            ));
        }
    }
    for success in [COMPLETE, SUCCESS_CRITERIA_MET] {
        for failure in [FAILED, FAILURE_TARGET] {
            if is_true(status, success) && is_true(status, failure) {
                details.push(format!("cannot set {success}=True and {failure}=true conditions"));
            }
        }
    }
    for kind in [COMPLETE, FAILED, SUCCESS_CRITERIA_MET, FAILURE_TARGET] {
        if old.is_some_and(|it| is_true(it, kind)) && !is_true(status, kind) {
            details.push(format!("cannot disable the terminal {kind}=True condition"));
        }
    }
    let fault = |detail| {
        Cause::new("FieldValueInvalid", "status.conditions", format!("Invalid value: {detail}"))
    };
    details.into_iter().map(fault).collect()
}

fn times(status: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    let (start, end) = (&status["startTime"], &status["completionTime"]);
    if has_ended(status) && start.is_null() {
        faults.push(Cause::required("status.startTime", "startTime is required for finished job"));
    }
    if is_true(status, COMPLETE) && end.is_null() {
        let detail = "completionTime is required for Complete jobs";
        faults.push(Cause::required("status.completionTime", detail));
    }
    let mut wrong = |detail| faults.push(Cause::invalid("status.completionTime", end, detail));
    if !end.is_null() && !is_true(status, COMPLETE) {
        wrong("cannot set completionTime when there is no Complete=True condition");
    }
    // Both are written the same way, to the second: their texts are in the order of the times.
    if start.as_str().zip(end.as_str()).is_some_and(|(start, end)| end < start) {
        wrong("must be equal to or after `startTime`");
    }
    faults
}
