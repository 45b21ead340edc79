//! Definitions of kinds: which are taken, under which names, and how they end.

use serde_json::{Value, json};

use crate::custom::{DEFINITIONS, Kind, causes, definition, faults_of};
use crate::ground::Ground;

/// A definition of objects without fields, changed a little.
fn changed(ground: &Ground, pointer: &str, value: Value) -> Value {
    let mut definition = definition(ground, json!({ "type": "object" }));
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    definition.pointer_mut(parent).unwrap()[field] = value;
    definition
}

/// A definition is named by its plural and its group.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#create-a-customresourcedefinition>
#[tokio::test]
async fn a_definition_is_named_by_plural_and_group() {
    let ground = Ground::new().await;
    let definition = changed(&ground, "/metadata/name", json!("gadgets.example.com"));

    let faults = faults_of(&ground, &definition).await;

    let why = r#"Invalid value: "gadgets.example.com": must be spec.names.plural+"."+spec.group"#;
    assert_eq!(faults, [format!("FieldValueInvalid metadata.name: {why}")]);
}

/// The group of a kind is a domain, with a dot.
/// <https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/>
#[tokio::test]
async fn a_group_has_a_dot() {
    let ground = Ground::new().await;
    let mut definition = changed(&ground, "/spec/group", json!("nodot"));
    definition["metadata"]["name"] = json!("widgets.nodot");

    let faults = faults_of(&ground, &definition).await;

    let why = r#"Invalid value: "nodot": should be a domain with at least one dot"#;
    assert_eq!(faults, [format!("FieldValueInvalid spec.group: {why}")]);
}

/// Kind and plural are required, and the names that follow from the kind are then missing too.
/// <https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/>
#[tokio::test]
async fn a_definition_names_its_kind() {
    let ground = Ground::new().await;
    let definition = changed(&ground, "/spec/names", json!({ "plural": "widgets" }));

    let faults = faults_of(&ground, &definition).await;

    assert_eq!(
        faults,
        [
            "FieldValueRequired spec.names.kind: Required value",
            "FieldValueRequired spec.names.listKind: Required value",
            "FieldValueRequired spec.names.singular: Required value",
        ]
    );
}

/// Kind and list kind differ.
/// <https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/>
#[tokio::test]
async fn a_kind_is_not_its_own_list() {
    let ground = Ground::new().await;
    let definition = changed(&ground, "/spec/names/listKind", json!("Widget"));

    let faults = faults_of(&ground, &definition).await;

    let why = r#"Invalid value: "Widget": kind and listKind may not be the same"#;
    assert_eq!(faults, [format!("FieldValueInvalid spec.names.listKind: {why}")]);
}

/// Objects of a kind are in namespaces or in the cluster: there is no other scope.
/// <https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/>
#[tokio::test]
async fn there_are_two_scopes() {
    let ground = Ground::new().await;

    let wrong = faults_of(&ground, &changed(&ground, "/spec/scope", json!("World"))).await;
    let missing = faults_of(&ground, &changed(&ground, "/spec/scope", Value::Null)).await;

    let why = r#"Unsupported value: "World": supported values: "Cluster", "Namespaced""#;
    assert_eq!(wrong, [format!("FieldValueNotSupported spec.scope: {why}")]);
    assert_eq!(missing, ["FieldValueRequired spec.scope: Required value"]);
}

/// Exactly one version is the one that is stored.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/>
#[tokio::test]
async fn one_version_is_stored() {
    let ground = Ground::new().await;
    let definition = changed(&ground, "/spec/versions/0/storage", json!(false));

    let faults = faults_of(&ground, &definition).await;

    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("FieldValueInvalid spec.versions: "), "{faults:?}");
    let why = "must have exactly one version marked as storage version";
    assert!(faults[0].ends_with(why), "{faults:?}");
    let why = "Invalid value: null: must have at least one stored version";
    assert_eq!(faults[1], format!("FieldValueInvalid status.storedVersions: {why}"));
}

/// Two versions do not share a name.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/>
#[tokio::test]
async fn versions_have_names_of_their_own() {
    let ground = Ground::new().await;
    let mut definition = definition(&ground, json!({ "type": "object" }));
    let mut second = definition["spec"]["versions"][0].clone();
    second["storage"] = json!(false);
    definition["spec"]["versions"].as_array_mut().unwrap().push(second);

    let faults = faults_of(&ground, &definition).await;

    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].ends_with("must contain unique version names"), "{faults:?}");
}

/// Every version has a schema.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[tokio::test]
async fn every_version_has_a_schema() {
    let ground = Ground::new().await;
    let definition = changed(&ground, "/spec/versions/0/schema", Value::Null);

    let faults = faults_of(&ground, &definition).await;

    let path = "spec.versions[0].schema.openAPIV3Schema";
    assert_eq!(faults, [format!("FieldValueRequired {path}: Required value")]);
}

/// A column has a name, a type that is known, and a path that begins with a dot.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#additional-printer-columns>
#[tokio::test]
async fn a_column_has_a_name_a_type_and_a_path() {
    let ground = Ground::new().await;
    let columns = json!([{ "name": "", "type": "text", "jsonPath": "spec.size" }]);
    let definition = changed(&ground, "/spec/versions/0/additionalPrinterColumns", columns);

    let faults = faults_of(&ground, &definition).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec.size": must be a simple json path starting with ."#,
            r#"FieldValueInvalid spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string"#,
            "FieldValueRequired spec.additionalPrinterColumns[0].name: Required value",
        ]
    );
}

/// A scale is read and written at paths of the spec and the status.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#scale-subresource>
#[tokio::test]
async fn a_scale_is_at_paths_of_spec_and_status() {
    let ground = Ground::new().await;
    let scale = json!({ "scale": {
        "specReplicasPath": ".status.replicas", "labelSelectorPath": "selector",
    } });

    let faults =
        faults_of(&ground, &changed(&ground, "/spec/versions/0/subresources", scale)).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid spec.subresources.scale.labelSelectorPath: Invalid value: "selector": must be a simple json path starting with ."#,
            r#"FieldValueInvalid spec.subresources.scale.specReplicasPath: Invalid value: ".status.replicas": should be a json path under .spec"#,
            "FieldValueRequired spec.subresources.scale.statusReplicasPath: Required value",
        ]
    );
}

/// With a status of its own, the root of a schema says nothing that would be lost for the status alone.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#status-subresource>
#[tokio::test]
async fn with_a_status_the_root_says_little() {
    let ground = Ground::new().await;
    let schema = json!({ "type": "object", "minProperties": 1 });
    let mut definition = definition(&ground, schema);
    definition["spec"]["versions"][0]["subresources"] = json!({ "status": {} });

    let faults = faults_of(&ground, &definition).await;

    assert_eq!(faults.len(), 1, "{faults:?}");
    let path = "FieldValueInvalid spec.validation.openAPIV3Schema: Invalid value: {";
    assert!(faults[0].starts_with(path), "{faults:?}");
    let why = "fields are allowed at the root of the schema if the status subresource is enabled";
    assert!(faults[0].ends_with(why), "{faults:?}");
}

/// Objects are selected by fields of their own that are texts, numbers or flags, each once.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#crd-selectable-fields>
#[tokio::test]
async fn a_selectable_field_is_a_simple_value() {
    let ground = Ground::new().await;
    let text = json!({ "type": "string" });
    let spec = json!({ "type": "object", "properties": {
        "size": text, "list": { "type": "array", "items": text },
    } });
    let mut definition =
        definition(&ground, json!({ "type": "object", "properties": { "spec": spec } }));
    definition["spec"]["versions"][0]["selectableFields"] = json!([
        { "jsonPath": ".spec.size" }, { "jsonPath": ".spec.size" }, { "jsonPath": ".spec.none" },
        { "jsonPath": ".spec.list" },
    ]);

    let faults = faults_of(&ground, &definition).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueDuplicate spec.selectableFields[1].jsonPath: Duplicate value: ".spec.size""#,
            r#"FieldValueInvalid spec.selectableFields[2].jsonPath: Invalid value: ".spec.none": is an invalid path: does not refer to a valid field"#,
            r#"FieldValueInvalid spec.selectableFields[3].jsonPath: Invalid value: ".spec.list": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."#,
        ]
    );
}

/// The old way to keep all unknown fields is gone.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning>
#[tokio::test]
async fn unknown_fields_are_not_kept_by_the_definition() {
    let ground = Ground::new().await;
    let definition = changed(&ground, "/spec/preserveUnknownFields", json!(true));

    let faults = faults_of(&ground, &definition).await;

    let why = "Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
    assert_eq!(faults, [format!("FieldValueInvalid spec.preserveUnknownFields: {why}")]);
}

/// A group of the community needs its approval.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#api-approved-kubernetes-io>
#[tokio::test]
async fn a_group_of_the_community_needs_approval() {
    let ground = Ground::new().await;
    let group = format!("{}.k8s.io", ground.unique("kind"));
    let mut definition = changed(&ground, "/spec/group", json!(group));
    definition["metadata"]["name"] = json!(format!("widgets.{group}"));

    let faults = faults_of(&ground, &definition).await;
    definition["metadata"]["annotations"] =
        json!({ "api-approved.kubernetes.io": "unapproved, for a test" });
    let none = faults_of(&ground, &definition).await;

    assert_eq!(faults.len(), 1, "{faults:?}");
    let path = "FieldValueRequired metadata.annotations[api-approved.kubernetes.io]: ";
    assert!(faults[0].starts_with(path), "{faults:?}");
    assert!(none.is_empty(), "{none:?}");
}

/// Conversion by webhook says where the webhook is and what it understands.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion>
#[tokio::test]
async fn conversion_by_webhook_names_the_webhook() {
    let ground = Ground::new().await;
    let definition = changed(&ground, "/spec/conversion", json!({ "strategy": "Webhook" }));

    let faults = faults_of(&ground, &definition).await;

    assert_eq!(
        faults,
        [
            "FieldValueRequired spec.conversion.conversionReviewVersions: Required value",
            "FieldValueRequired spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
        ]
    );
}

/// What a definition leaves out follows from the kind: the singular, the list, no conversion.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#create-a-customresourcedefinition>
#[tokio::test]
async fn what_a_definition_leaves_out_follows_from_the_kind() {
    let ground = Ground::new().await;
    let definition = definition(&ground, json!({ "type": "object" }));

    let made = ground.post(DEFINITIONS, &definition).await.json();

    let names = json!({
        "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
    });
    assert_eq!(made["spec"]["names"], names);
    assert_eq!(made["spec"]["conversion"], json!({ "strategy": "None" }));
    assert_eq!(made["metadata"]["generation"], 1);
}

/// A definition is accepted and established after it is made, not by that.
/// <https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/#CustomResourceDefinitionStatus>
#[tokio::test]
async fn a_definition_is_established_after_it_is_made() {
    let ground = Ground::new().await;
    let definition = definition(&ground, json!({ "type": "object" }));

    let made = ground.post(DEFINITIONS, &definition).await.json();

    let names = json!({ "plural": "", "kind": "" });
    let status = json!({ "acceptedNames": names, "conditions": null, "storedVersions": ["v1"] });
    assert_eq!(made["status"], status);
    let path = format!("{DEFINITIONS}/{}", made["metadata"]["name"].as_str().unwrap());
    let conditions = established(&ground, &path, "True").await;
    assert_eq!(
        conditions,
        [
            ["NamesAccepted", "True", "NoConflicts", "no conflicts found"],
            ["Established", "True", "InitialNamesAccepted", "the initial names have been accepted"],
        ]
    );
    let status = ground.get(&path).await.json()["status"].clone();
    assert_eq!(status["acceptedNames"], made["spec"]["names"]);
}

/// A kind whose names another kind of the group has is not served until that is gone.
/// <https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/#CustomResourceDefinitionStatus>
#[tokio::test]
async fn a_name_that_is_taken_is_not_accepted() {
    let ground = Ground::new().await;
    let first = Kind::of(&ground, json!({ "type": "object" })).await;
    let mut second = definition(&ground, json!({ "type": "object" }));
    second["metadata"]["name"] = json!(format!("gadgets.{}", first.group));
    second["spec"]["group"] = json!(first.group);
    second["spec"]["names"] =
        json!({ "plural": "gadgets", "kind": "Gadget", "shortNames": ["widget"] });
    assert_eq!(ground.post(DEFINITIONS, &second).await.code, 201);
    let path = format!("{DEFINITIONS}/gadgets.{}", first.group);

    let conditions = established(&ground, &path, "False").await;

    assert_eq!(
        conditions,
        [
            ["NamesAccepted", "False", "ShortNamesConflict", r#""widget" is already in use"#],
            ["Established", "False", "NotAccepted", "not all names are accepted"],
        ]
    );
    let gadgets = first.objects.replace("widgets", "gadgets");
    assert_eq!(ground.get(&gadgets).await.code, 404);
    ground.delete(&first.definition, &Value::Null).await;
    established(&ground, &path, "True").await;
    let is_served = async || (ground.get(&gadgets).await.code == 200).then_some(());
    ground.eventually("an answer for the other kind", is_served).await;
}

/// A kind that is served keeps its scope and its name.
/// <https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/>
#[tokio::test]
async fn a_kind_that_is_served_keeps_its_scope() {
    let ground = Ground::new().await;
    let kind = Kind::of(&ground, json!({ "type": "object" })).await;
    established(&ground, &kind.definition, "True").await;

    let patch = json!({ "spec": { "scope": "Cluster", "names": { "kind": "Other" } } });
    let refused = ground.patch(&kind.definition, "merge", &patch).await;

    assert_eq!(
        causes(&refused),
        [
            r#"FieldValueInvalid spec.names.kind: Invalid value: "Other": field is immutable"#,
            r#"FieldValueInvalid spec.scope: Invalid value: "Cluster": field is immutable"#,
        ]
    );
}

/// With a definition its objects go, each as long as its finalizers hold it.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#delete-a-customresourcedefinition>
#[tokio::test]
async fn with_a_definition_its_objects_go() {
    let ground = Ground::new().await;
    let kind = Kind::of(&ground, json!({ "type": "object" })).await;
    let held = json!({ "metadata": { "name": "held", "finalizers": ["example.com/held"] } });
    assert_eq!(kind.create("held", &held).await.code, 201);

    let told = ground.delete(&kind.definition, &Value::Null).await.json();

    let finalizers = json!(["customresourcecleanup.apiextensions.k8s.io"]);
    assert_eq!(told["metadata"]["finalizers"], finalizers);
    let pending = conditions(&told).pop().unwrap();
    assert_eq!(pending[..3], ["Terminating", "True", "InstanceDeletionPending"]);
    let is_going = async || {
        let held = kind.read("held").await;
        held["metadata"]["deletionTimestamp"].is_string().then_some(())
    };
    ground.eventually("the deletion of the object", is_going).await;
    let refused = kind.create("late", &json!({})).await;
    assert_eq!(refused.code, 403, "{}", refused.text);
    let why = "create not allowed while custom resource definition is terminating";
    let message = format!("widgets.{} \"late\" is forbidden: {why}", kind.group);
    assert_eq!(refused.json()["message"], message);

    kind.merge("held", &json!({ "metadata": { "finalizers": null } })).await;
    let is_gone = async || (ground.get(&kind.definition).await.code == 404).then_some(());
    ground.eventually("the end of the definition", is_gone).await;
    let is_gone = async || (ground.get(&kind.objects).await.code == 404).then_some(());
    ground.eventually("the end of the kind", is_gone).await;
}

/// The conditions of a definition once it is established, or once it is known that it is not.
async fn established(ground: &Ground, path: &str, status: &str) -> Vec<[String; 4]> {
    let is_so = async || {
        let found = conditions(&ground.get(path).await.json());
        found.iter().any(|it| it[0] == "Established" && it[1] == status).then_some(found)
    };
    ground.eventually("the word on whether the kind is established", is_so).await
}

/// Type, status, reason and message of each.
fn conditions(definition: &Value) -> Vec<[String; 4]> {
    let conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
    let text = |it: &Value, field: &str| it[field].as_str().unwrap_or_default().to_owned();
    conditions
        .map(|it| ["type", "status", "reason", "message"].map(|field| text(it, field)))
        .collect()
}
