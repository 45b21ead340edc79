//! Whether the rules of a part of a schema can be compiled, and can know what they ask for.

mod fields;

use serde_json::{Value, json};

use crate::{object, refusal::Cause, schema::structural::shown};

pub(super) fn check(schema: &Value, path: &str, no_past: Option<&str>) -> Vec<Cause> {
    let mut faults = Vec::new();
    let known = described(schema, path);
    for (index, rule) in object::items(schema, "/x-kubernetes-validations").enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{index}]");
        let of_rule = format!("{path}.rule");
        if let Some(why) = unanswered(rule, &known) {
            faults.push(about(rule, &of_rule, &why));
        }
        let compiled = kube_cel::compile_schema(&json!({"x-kubernetes-validations": [rule]}));
        let mut rules = compiled.validations.iter().filter_map(|it| it.as_ref().ok());
        let looks_back = rules.any(|it| it.is_transition_rule);
        if let Some(why) = unspeakable(rule, &known) {
            faults.push(about(rule, &format!("{path}.messageExpression"), &why));
        }
        match no_past.filter(|_| looks_back) {
            Some(at) => {
                let why = format!(
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within {at}"
                );
                faults.push(Cause::invalid(of_rule, &rule["rule"], &why));
            }
            None if !looks_back && !rule["optionalOldSelf"].is_null() => {
                let why = "may not be set if oldSelf is not used in rule";
                let path = format!("{path}.optionalOldSelf");
                faults.push(Cause::invalid(path, &rule["optionalOldSelf"], why));
            }
            None => {}
        }
    }
    faults
}

/// The whole rule is shown, whatever is wrong with it.
fn about(rule: &Value, path: &str, why: &str) -> Cause {
    let message = format!("Invalid value: {}: {why}", shown::rule(rule));
    Cause::new("FieldValueInvalid", path, message)
}

fn unanswered(rule: &Value, schema: &Value) -> Option<String> {
    let source = rule["rule"].as_str()?;
    if let Some(why) = broken(source) {
        return Some(format!("compilation failed: {why}"));
    }
    let missing = fields::check(source, schema);
    if !missing.is_empty() {
        return Some(format!("compilation failed: {}", missing.join("\n")));
    }
    let is_none = fields::is_no_answer(source, schema);
    is_none.then(|| "cel expression must evaluate to a bool".to_owned())
}

/// What is wrong with the expression of a rule's message.
fn unspeakable(rule: &Value, schema: &Value) -> Option<String> {
    let source = rule["messageExpression"].as_str().filter(|it| !it.trim().is_empty())?;
    let mut faults: Vec<String> = broken(source).into_iter().collect();
    faults.extend(fields::check(source, schema));
    (!faults.is_empty())
        .then(|| format!("messageExpression compilation failed: {}", faults.join("\n")))
}

/// Why an expression is none.
fn broken(source: &str) -> Option<String> {
    let rule = json!({"x-kubernetes-validations": [{"rule": source}]});
    let compiled = kube_cel::compile_schema(&rule);
    let error = compiled.compilation_errors().first()?.to_string();
    let told = error.find("ERROR: ").and_then(|at| error.get(at..)).unwrap_or(&error);
    Some(told.replace("\n| ", "\n | "))
}

/// The schema with what every object has, where a whole object is described.
fn described(schema: &Value, path: &str) -> Value {
    let mut schema = schema.clone();
    let embeds = schema["x-kubernetes-embedded-resource"] == true;
    if embeds || path.ends_with("openAPIV3Schema") {
        let text = json!({"type": "string"});
        let names = json!({"name": text, "generateName": text});
        schema["properties"]["apiVersion"] = text.clone();
        schema["properties"]["kind"] = text;
        schema["properties"]["metadata"] = json!({"type": "object", "properties": names});
    }
    schema
}
