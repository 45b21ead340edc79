//! Whether the rules of a part of a schema can be compiled, and can know what they ask for.

use serde_json::{Value, json};

use crate::{object, refusal::Cause};

pub(super) fn check(schema: &Value, path: &str, no_past: Option<&str>) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (index, rule) in object::items(schema, "/x-kubernetes-validations").enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{index}].rule");
        let compiled = kube_cel::compile_schema(&json!({"x-kubernetes-validations": [rule]}));
        for error in compiled.compilation_errors() {
            let why = format!("compilation failed: {error}");
            faults.push(Cause::invalid(path.clone(), &rule["rule"], &why));
        }
        let mut rules = compiled.validations.iter().filter_map(|it| it.as_ref().ok());
        if let Some(at) = no_past
            && rules.any(|it| it.is_transition_rule)
        {
            let why = format!(
                "oldSelf cannot be used on the uncorrelatable portion of the schema within {at}"
            );
            faults.push(Cause::invalid(path, &rule["rule"], &why));
        }
    }
    faults
}
