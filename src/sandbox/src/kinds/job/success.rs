//! When a Job may count as done before all its indexes are: what its policy has to say.

use serde_json::Value;

use crate::{
    kinds::{
        check::{Faults, Field},
        job::indexes,
    },
    object,
    refusal::Cause,
};

const MOST_RULES: usize = 20;
const LONGEST: usize = 64 * 1024;

pub(super) fn validate(spec: &Field<'_>, faults: &mut Faults) {
    let policy = spec.at("successPolicy");
    if !policy.is_set() {
        return;
    }
    if spec.value["completionMode"] != "Indexed" {
        let message =
            format!("Invalid value: {}: requires indexed completion mode", shown(policy.value));
        faults.push(Cause::new("FieldValueInvalid", policy.path.as_str(), message));
        return;
    }
    let rules = policy.at("rules");
    if rules.is_empty_list() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        faults.push(rules.required(detail));
    }
    faults.extend(rules.too_many(MOST_RULES));
    let completions = spec.value["completions"].as_i64().unwrap_or_default();
    for rule in rules.items() {
        validate_rule(&rule, completions, faults);
    }
}

fn validate_rule(rule: &Field<'_>, completions: i64, faults: &mut Faults) {
    let (wanted, listed) = (rule.at("succeededCount"), rule.at("succeededIndexes"));
    if !wanted.is_set() && !listed.is_set() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        faults.push(rule.required(detail));
    }
    faults.extend(listed.too_long(LONGEST));
    let total = indexes::count(listed.text(), completions).unwrap_or_else(|why| {
        faults.push(listed.invalid(&format!("error parsing succeededIndexes: {why}")));
        0
    });
    wanted.not_negative(faults);
    let count = wanted.value.as_i64().unwrap_or_default();
    let mut at_most = |most: i64, of: &str| {
        if count > most {
            let detail = format!("must be less than or equal to {most} (the number of {of})");
            faults.push(wanted.invalid(&detail));
        }
    };
    at_most(completions, "specified completions");
    if listed.is_set() {
        at_most(total, "indexes in the specified succeededIndexes field");
    }
}

/// The policy as the API's own form of it is printed.
fn shown(policy: &Value) -> String {
    if !policy["rules"].is_array() {
        return "{\"Rules\":null}".to_owned();
    }
    let rules: Vec<String> = object::items(policy, "/rules")
        .map(|it| {
            let (indexes, count) = (&it["succeededIndexes"], &it["succeededCount"]);
            format!("{{\"SucceededIndexes\":{indexes},\"SucceededCount\":{count}}}")
        })
        .collect();
    format!("{{\"Rules\":[{}]}}", rules.join(","))
}
