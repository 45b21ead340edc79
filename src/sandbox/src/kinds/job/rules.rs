//! What a Job must say.

use serde_json::Value;

use crate::{
    kinds::{
        check::{Faults, Field, selects},
        job::{NAME_LABEL, UID_LABEL, changes, failures, success},
        pod,
    },
    object,
    refusal::Cause,
    validate,
};

/// The most that an indexed Job can do at once, and of which the failures are listed.
const MOST_INDEXES: i64 = 100_000;
/// The same, of more completions than that.
const MOST_OF_MANY: i64 = 10_000;
const LONGEST_MANAGER: usize = 63;

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    generated(object, old, &mut faults);
    validate_template(&spec, &mut faults);
    selector(&spec, &mut faults);
    hostnames(object, &mut faults);
    if let Some(old) = old {
        changes::validate(object, old, &mut faults);
    }
    faults
}

/// The part that a `CronJob` repeats.
pub(super) fn validate_template(spec: &Field<'_>, faults: &mut Faults) {
    amounts(spec, faults);
    manager(&spec.at("managedBy"), faults);
    let mode = spec.at("completionMode");
    mode.maybe_one_of(&["NonIndexed", "Indexed"], faults);
    if mode.text() == "Indexed" {
        indexed(spec, faults);
    } else if !mode.is_set() || mode.text() == "NonIndexed" {
        let fields = ["backoffLimitPerIndex", "maxFailedIndexes"].map(|it| spec.at(it));
        let set = fields.iter().filter(|it| it.is_set());
        faults.extend(set.map(|it| it.invalid("requires indexed completion mode")));
    }
    let policy = spec.at("podFailurePolicy");
    failures::validate(spec, faults);
    success::validate(spec, faults);
    let replacement: &[&str] =
        if policy.is_set() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    spec.at("podReplacementPolicy").maybe_one_of(replacement, faults);
    let template = spec.at("template");
    pod::validate_template(&template, faults);
    restart(&template.at("spec").at("restartPolicy"), &policy, faults);
}

fn amounts(spec: &Field<'_>, faults: &mut Faults) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        spec.at(field).not_negative(faults);
    }
    let per_index = spec.at("backoffLimitPerIndex");
    if spec.at("maxFailedIndexes").is_set() && !per_index.is_set() {
        faults.push(per_index.required("when maxFailedIndexes is specified"));
    }
}

/// Who looks after the Job, if not the cluster itself: a path under a domain.
fn manager(manager: &Field<'_>, faults: &mut Faults) {
    if !manager.is_set() {
        return;
    }
    match manager.text().split_once('/') {
        _ if manager.text().is_empty() => faults.push(manager.required("")),
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
            let mut wrong = |part: &str, why: &str| {
                faults.push(Cause::invalid(manager.path.as_str(), &part.into(), why));
            };
            if let Some(why) = validate::subdomain_fault(domain) {
                wrong(domain, &why);
            }
            if !path.bytes().all(is_of_path) {
                wrong(
                    path,
                    "Invalid path (regex used for validation is \
                     '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
                );
            }
        }
        _ => {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            faults.push(manager.invalid(detail));
        }
    }
    faults.extend(manager.too_long(LONGEST_MANAGER));
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte)
}

/// What an indexed Job cannot be without, and how large it may be.
fn indexed(spec: &Field<'_>, faults: &mut Faults) {
    let [completions, parallelism, failed] =
        ["completions", "parallelism", "maxFailedIndexes"].map(|it| spec.at(it));
    let is_above = |field: &Field<'_>, most: i64| field.value.as_i64().is_some_and(|it| it > most);
    if !completions.is_set() {
        faults.push(completions.required("when completion mode is Indexed"));
    }
    if is_above(&parallelism, MOST_INDEXES) {
        let detail =
            format!("must be less than or equal to {MOST_INDEXES} when completion mode is Indexed");
        faults.push(parallelism.invalid(&detail));
    }
    if completions.value.as_i64().is_some_and(|it| is_above(&failed, it)) {
        faults.push(failed.invalid("must be less than or equal to completions"));
    }
    if is_above(&failed, MOST_INDEXES) {
        faults.push(failed.invalid(&format!("must be less than or equal to {MOST_INDEXES}")));
    }
    if !is_above(&completions, MOST_INDEXES) || !spec.at("backoffLimitPerIndex").is_set() {
        return;
    }
    if !failed.is_set() {
        let detail = format!("must be specified when completions is above {MOST_INDEXES}");
        faults.push(failed.required(&detail));
    }
    let detail = format!(
        "must be less than or equal to {MOST_OF_MANY} when completions are above {MOST_INDEXES} \
         and used with backoff limit per index"
    );
    let above = [&parallelism, &failed].into_iter().filter(|it| is_above(it, MOST_OF_MANY));
    faults.extend(above.map(|it| it.invalid(&detail)));
}

/// The labels and the selector that a Job gets unless it brings its own.
fn generated(object: &Value, old: Option<&Value>, faults: &mut Faults) {
    let spec = Field::of(object, "spec");
    let selector = spec.at("selector");
    if spec.value["manualSelector"] == true || !selector.is_set() {
        return;
    }
    let labels = spec.at("template").at("metadata").at("labels");
    let (uid, name) = (object::uid(object), object::name(object));
    let mut wanted = vec![("controller-uid", uid), ("job-name", name)];
    // Jobs from before there were these do without them.
    let has_both = |job: &Value| {
        let labels = &job["spec"]["template"]["metadata"]["labels"];
        [UID_LABEL, NAME_LABEL].iter().all(|it| labels[it].is_string())
    };
    if old.is_none_or(has_both) {
        wanted.extend([(UID_LABEL, uid), (NAME_LABEL, name)]);
    }
    let mut all = Value::Object(serde_json::Map::new());
    for (key, value) in wanted {
        all[key] = value.into();
        let path = format!("{}[{key}]", labels.path);
        let detail = format!("must be '{value}'");
        match labels.value.get(key) {
            None => faults.push(Cause::required(path, &detail)),
            Some(found) if found != value => {
                faults.push(Cause::invalid(path, labels.value, &detail));
            }
            Some(_) => {}
        }
    }
    if !selects(selector.value, &all) {
        faults.push(selector.invalid("`selector` not auto-generated"));
    }
}

fn selector(spec: &Field<'_>, faults: &mut Faults) {
    let (selector, labels) = (spec.at("selector"), spec.at("template").at("metadata").at("labels"));
    if !selector.is_set() {
        faults.push(selector.required(""));
    }
    if !selector.is_set() || !selects(selector.value, labels.value) {
        faults.push(labels.invalid("`selector` does not match template `labels`"));
    }
}

/// The Pods of an indexed Job are hosts by its name and their index.
fn hostnames(object: &Value, faults: &mut Faults) {
    let spec = &object["spec"];
    let last = spec["completions"].as_i64().filter(|it| *it > 0).map(|it| it - 1);
    let Some(last) = last.filter(|_| spec["completionMode"] == "Indexed") else { return };
    let longest = format!("{}-{last}", object::name(object));
    if validate::label_fault(&longest).is_some() {
        let detail = format!("will not able to create pod with invalid DNS label: {longest}");
        faults.push(Cause::invalid("metadata.name", &object["metadata"]["name"], &detail));
    }
}

fn restart(policy: &Field<'_>, failures: &Field<'_>, faults: &mut Faults) {
    match policy.text() {
        "OnFailure" if failures.is_set() => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            faults.push(policy.invalid(detail));
        }
        "Never" | "OnFailure" => {}
        "" | "Always" => faults.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
        _ => faults.push(policy.unsupported(&["OnFailure", "Never"])),
    }
}
