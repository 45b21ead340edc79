//! The CustomResourceDefinitions, as they are installed and as the files of `crds/` hold them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    ValidationRule,
};
use kube_core::CustomResourceExt as _;

use crate::rules;

#[cfg(test)]
mod tests;

/// All six definitions, in the order in which they are installed.
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut all = vec![
        crate::GitRepo::crd(),
        crate::ClusterGitRepo::crd(),
        crate::ScheduleTrigger::crd(),
        crate::WebhookTrigger::crd(),
        crate::Action::crd(),
        crate::ClusterAction::crd(),
    ];
    for crd in &mut all {
        let judged_at_creation = crd.spec.names.kind == "ScheduleTrigger";
        for schema in crd.spec.versions.iter_mut().filter_map(|it| it.schema.as_mut()) {
            let Some(root) = schema.open_api_v3_schema.as_mut() else { continue };
            take_null_for_absent(root);
            if judged_at_creation {
                root.x_kubernetes_validations = Some(creation_rules());
            }
        }
    }
    all
}

/// The files of `crds/`: name and content, one for each definition.
pub fn files() -> Vec<(String, String)> {
    all().iter().map(|crd| (file_name(crd), to_yaml(crd))).collect()
}

/// A definition as YAML, the same bytes whenever it is the same definition.
pub fn to_yaml(crd: &CustomResourceDefinition) -> String {
    let body =
        serde_saphyr::to_string(crd).expect("a definition is plain data, which YAML can say");
    format!("# Written by `git-events-runner crds`; the types in src/api are what to edit.\n{body}")
}

fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural)
}

fn creation_rules() -> Vec<ValidationRule> {
    serde_json::from_value(rules::schedule_create()).expect("the rules have the fields of a rule")
}

/// Removes `nullable` everywhere. The API server drops a null where the schema does not allow it,
/// before it applies defaults and rules: `actionJob: null` is accepted and means absent, and no rule
/// meets a null. Where the schema allows it, null is a value, which a rule must then reckon with.
fn take_null_for_absent(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    for property in schema.properties.iter_mut().flat_map(|it| it.values_mut()) {
        take_null_for_absent(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
        take_null_for_absent(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        take_null_for_absent(values);
    }
}
