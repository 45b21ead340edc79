//! What cannot become of a Job: the states, and the changes of state, that no Job controller may write.
//!
//! Most rules hold only for what a write changes: what is wrong already does not stand in the way of the rest.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    kinds::{
        check::{Faults, Field},
        job::indexes,
    },
    object,
    refusal::Cause,
};

const COMPLETE: &str = "Complete";
const FAILED: &str = "Failed";
/// Said before the Job has ended: that it will, and which way.
const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
const FAILURE_TARGET: &str = "FailureTarget";
const SUSPENDED: &str = "Suspended";

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Faults {
    let (spec, new) = (&object["spec"], Field::of(object, "status"));
    let write = Write { spec, new, old: old.map_or(&Value::Null, |it| &it["status"]) };
    let mut faults = Vec::new();
    for judge in [amounts, uncounted, ends, times, promises, finished, listed, pods, met, undone] {
        judge(&write, &mut faults);
    }
    faults
}

fn has(status: &Value, kind: &str, is: &str) -> bool {
    object::items(status, "/conditions").any(|it| it["type"] == kind && it["status"] == is)
}

fn has_ended(status: &Value) -> bool {
    has(status, COMPLETE, "True") || has(status, FAILED, "True")
}

fn count(status: &Value, field: &str) -> i64 {
    status[field].as_i64().unwrap_or_default()
}

/// A status that is to take the place of another.
struct Write<'a> {
    spec: &'a Value,
    new: Field<'a>,
    old: &'a Value,
}

impl Write<'_> {
    fn is(&self, kind: &str) -> bool {
        has(self.new.value, kind, "True")
    }

    fn was(&self, kind: &str) -> bool {
        has(self.old, kind, "True")
    }

    fn turns(&self, kind: &str) -> bool {
        self.is(kind) != self.was(kind)
    }

    fn ends(&self) -> bool {
        has_ended(self.new.value) != has_ended(self.old)
    }

    fn moves(&self, field: &str) -> bool {
        self.new.value[field] != self.old[field]
    }

    fn moves_count(&self, field: &str) -> bool {
        count(self.new.value, field) != count(self.old, field)
    }

    fn is_indexed(&self) -> bool {
        self.spec["completionMode"] == "Indexed"
    }

    /// What is wrong with the conditions, which are not shown.
    fn conditions(&self, detail: &str) -> Cause {
        let path = self.new.at("conditions").path;
        Cause::new("FieldValueInvalid", path, format!("Invalid value: {detail}"))
    }
}

fn amounts(write: &Write<'_>, faults: &mut Faults) {
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        write.new.at(field).not_negative(faults);
    }
}

fn uncounted(write: &Write<'_>, faults: &mut Faults) {
    let lists = write.new.at("uncountedTerminatedPods");
    let mut seen = BTreeSet::new();
    for uid in ["succeeded", "failed"].into_iter().flat_map(|it| lists.each(it)) {
        if uid.text().is_empty() {
            faults.push(uid.invalid_text("must not be empty"));
        } else if !seen.insert(uid.text()) {
            faults.push(uid.duplicate());
        }
    }
}

fn ends(write: &Write<'_>, faults: &mut Faults) {
    for failure in [FAILED, FAILURE_TARGET] {
        let turns = write.turns(COMPLETE) || write.turns(failure);
        if turns && write.is(COMPLETE) && write.is(failure) {
            let detail = format!("cannot set Complete=True and {failure}=true conditions");
            faults.push(write.conditions(&detail));
        }
    }
}

fn times(write: &Write<'_>, faults: &mut Faults) {
    let (start, end) = (write.new.at("startTime"), write.new.at("completionTime"));
    if write.turns(COMPLETE) || write.moves("completionTime") {
        if end.is_set() && !write.is(COMPLETE) {
            let detail = "cannot set completionTime when there is no Complete=True condition";
            faults.push(end.invalid(detail));
        }
        if !end.is_set() && write.is(COMPLETE) {
            faults.push(end.required("completionTime is required for Complete jobs"));
        }
    }
    // Both are written the same way, to the second: their texts are in the order of the times.
    let is_before = start.is_set() && end.is_set() && end.text() < start.text();
    if is_before && (write.moves("startTime") || write.moves("completionTime")) {
        faults.push(end.invalid("must be equal to or after `startTime`"));
    }
}

fn promises(write: &Write<'_>, faults: &mut Faults) {
    let failed = write.turns(FAILED) || write.moves("failedIndexes");
    let complete = write.turns(COMPLETE) || write.turns(SUCCESS_CRITERIA_MET);
    for (end, promise, turns) in
        [(FAILED, FAILURE_TARGET, failed), (COMPLETE, SUCCESS_CRITERIA_MET, complete)]
    {
        if turns && write.is(end) && !write.is(promise) {
            let detail =
                format!("cannot set {end}=True condition without the {promise}=true condition");
            faults.push(write.conditions(&detail));
        }
    }
}

/// What has ended has nothing left.
fn finished(write: &Write<'_>, faults: &mut Faults) {
    if !has_ended(write.new.value) {
        return;
    }
    let active = write.new.at("active");
    if count(write.new.value, "active") > 0 && (write.ends() || write.moves_count("active")) {
        faults.push(active.invalid("active>0 is invalid for finished job"));
    }
    // A suspended Job that has nothing to do is done without having begun.
    let never_began = write.spec["suspend"] == true && write.spec["completions"] == 0;
    let start = write.new.at("startTime");
    if !start.is_set() && !never_began && (write.ends() || write.moves("startTime")) {
        faults.push(start.required("startTime is required for finished job"));
    }
    let left = write.new.at("uncountedTerminatedPods");
    let is_empty = ["succeeded", "failed"].iter().all(|it| left.at(it).is_empty_list());
    if !is_empty && (write.ends() || write.moves("uncountedTerminatedPods")) {
        let (succeeded, failed) = (&left.value["succeeded"], &left.value["failed"]);
        let message = format!(
            "Invalid value: {{\"Succeeded\":{succeeded},\"Failed\":{failed}}}: must be empty for \
             finished job"
        );
        faults.push(Cause::new("FieldValueInvalid", left.path, message));
    }
}

/// The indexes that have ended, and how.
fn listed(write: &Write<'_>, faults: &mut Faults) {
    let (done, failed) = (write.new.at("completedIndexes"), write.new.at("failedIndexes"));
    let moves_done = done.text() != write.old["completedIndexes"].as_str().unwrap_or_default();
    let moves_failed = write.moves("failedIndexes");
    let completions = write.spec["completions"].as_i64();
    let per_index = !write.spec["backoffLimitPerIndex"].is_null();
    let parse = |field: &Field<'_>, name: &str| {
        let why = indexes::count(field.text(), completions?).err()?;
        Some(field.invalid(&format!("error parsing {name}: {why}")))
    };
    if moves_done {
        faults.extend(parse(&done, "completedIndexes"));
    }
    if moves_failed && per_index {
        faults.extend(parse(&failed, "failedIndexes"));
    }
    if moves_done && !done.text().is_empty() && !write.is_indexed() {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        faults.push(done.invalid(detail));
    }
    if moves_failed && failed.is_set() && !per_index {
        let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        faults.push(failed.invalid(detail));
    }
    let shared = completions
        .filter(|_| moves_done || moves_failed)
        .and_then(|it| indexes::overlap(done.text(), failed.text(), it));
    if let Some(index) = shared {
        let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
        faults.push(failed.invalid(&detail));
    }
}

fn pods(write: &Write<'_>, faults: &mut Faults) {
    let (ready, ending) = (write.new.at("ready"), write.new.at("terminating"));
    let ends = write.ends() || write.moves("terminating");
    if ends && has_ended(write.new.value) && count(write.new.value, "terminating") > 0 {
        faults.push(ending.invalid("terminating>0 is invalid for finished job"));
    }
    let moves = write.moves("ready") || write.moves_count("active");
    if moves && count(write.new.value, "ready") > count(write.new.value, "active") {
        faults.push(ready.invalid("cannot set more ready pods than active"));
    }
}

/// What the criteria of success being met rules out; this is said whatever the write changes.
fn met(write: &Write<'_>, faults: &mut Faults) {
    for failure in [FAILED, FAILURE_TARGET] {
        if write.is(SUCCESS_CRITERIA_MET) && write.is(failure) {
            let detail =
                format!("cannot set SuccessCriteriaMet=True and {failure}=true conditions");
            faults.push(write.conditions(&detail));
        }
    }
    let has_policy = !write.spec["successPolicy"].is_null();
    if has_policy && write.is(COMPLETE) && !write.is(SUCCESS_CRITERIA_MET) {
        let detail =
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
        faults.push(write.conditions(detail));
    }
}

/// What was said cannot be taken back.
fn undone(write: &Write<'_>, faults: &mut Faults) {
    for kind in [FAILED, COMPLETE, FAILURE_TARGET] {
        if write.was(kind) && !write.is(kind) {
            let detail = format!("cannot disable the terminal {kind}=True condition");
            faults.push(write.conditions(&detail));
        }
    }
    // An indexed Job may shrink with its parallelism.
    let shrinks = write.is_indexed() && write.spec["completions"] == write.spec["parallelism"];
    for (field, may_shrink) in [("failed", false), ("succeeded", shrinks)] {
        let now = count(write.new.value, field);
        if now < count(write.old, field) && !may_shrink {
            let detail = format!("cannot decrease the {field} counter");
            faults.push(Cause::invalid(write.new.at(field).path, &now.into(), &detail));
        }
    }
    let is_other = |field: &str| write.moves(field) && !write.old[field].is_null();
    let (start, end) = (write.new.at("startTime"), write.new.at("completionTime"));
    if end.is_set() && is_other("completionTime") {
        faults.push(end.invalid("field is immutable"));
    }
    let resumes = write.was(SUSPENDED) && has(write.new.value, SUSPENDED, "False");
    if is_other("startTime") && !resumes && write.spec["suspend"] != true {
        faults.push(start.invalid("field is immutable for unsuspended job once set"));
    }
    if write.was(SUCCESS_CRITERIA_MET) && !write.is(SUCCESS_CRITERIA_MET) {
        faults.push(write.conditions("cannot disable the SuccessCriteriaMet=True condition"));
    }
    if write.was(COMPLETE) && !write.was(SUCCESS_CRITERIA_MET) && write.is(SUCCESS_CRITERIA_MET) {
        let detail =
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        faults.push(write.conditions(detail));
    }
}
