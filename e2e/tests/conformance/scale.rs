//! The scale of a thing: how many are wanted, and how many there are.

use serde_json::{Value, json};

use crate::{
    answers::{causes, core, grouped, said, version},
    ground::Ground,
};

/// A workload of the case's own, of which one is wanted; answers its path.
async fn workload(ground: &Ground, plural: &str) -> String {
    let all = grouped(ground, "apps/v1", plural);
    let labels = json!({ "app": "a" });
    let body = json!({
        "metadata": { "name": "one" },
        "spec": {
            "selector": {
                "matchLabels": labels,
                "matchExpressions": [{ "key": "app", "operator": "In", "values": ["a", "b"] }],
            },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    });
    let made = ground.post(&all, &body).await;
    assert_eq!(made.code, 201, "{}", made.text);
    format!("{all}/one")
}

fn scale(replicas: i32) -> Value {
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": { "name": "one" },
        "spec": { "replicas": replicas },
    })
}

/// Workloads have a scale, which says of whom it is and whom it counts.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/>
#[tokio::test]
async fn workloads_have_a_scale() {
    let ground = Ground::new().await;
    let one = workload(&ground, "deployments").await;
    let whole = ground.get(&one).await.json();

    let read = ground.get(&format!("{one}/scale")).await.json();

    assert_eq!((&read["kind"], &read["apiVersion"]), (&"Scale".into(), &"autoscaling/v1".into()));
    assert_eq!(read["spec"], json!({ "replicas": 1 }));
    assert_eq!(read["status"], json!({ "replicas": 0, "selector": "app=a,app in (a,b)" }));
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        assert_eq!(read["metadata"][field], whole["metadata"][field], "{field}");
    }
}

/// Who writes the scale writes how many are wanted, and nothing else.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/>
#[tokio::test]
async fn a_scale_is_written_through_to_its_owner() {
    let ground = Ground::new().await;
    let one = workload(&ground, "deployments").await;
    let path = format!("{one}/scale");

    let put = ground.put(&path, &scale(3)).await;
    let after_put = ground.get(&one).await;
    let both = json!({ "spec": { "replicas": 4 }, "status": { "replicas": 9 } });
    let patched = ground.patch(&path, "merge", &both).await;
    let operation = json!([{ "op": "replace", "path": "/spec/replicas", "value": 5 }]);
    let by_json = ground.patch(&path, "json", &operation).await;

    assert_eq!((put.code, &put.json()["spec"]), (200, &json!({ "replicas": 3 })));
    assert_eq!(after_put.json()["spec"]["replicas"], 3);
    assert_eq!(after_put.json()["metadata"]["generation"], 2);
    assert_eq!(version(&after_put), version(&put));
    assert_eq!(patched.json()["spec"], json!({ "replicas": 4 }));
    assert_eq!(patched.json()["status"]["replicas"], 0);
    assert_eq!(by_json.json()["spec"], json!({ "replicas": 5 }));
    assert_eq!(ground.get(&one).await.json()["spec"]["replicas"], 5);
}

/// A scale is held to the version it names: a stale one gets 409.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_stale_scale_is_refused() {
    let ground = Ground::new().await;
    let one = workload(&ground, "deployments").await;
    let mut stale = scale(3);
    stale["metadata"]["resourceVersion"] = "1".into();

    let refused = ground.put(&format!("{one}/scale"), &stale).await;

    assert_eq!(
        said(&refused),
        (
            409,
            "Conflict".to_owned(),
            "Operation cannot be fulfilled on deployments.apps \"one\": the object has been modified; \
             please apply your changes to the latest version and try again"
                .to_owned()
        )
    );
}

/// Nobody wants less than nothing.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/>
#[tokio::test]
async fn a_scale_is_not_negative() {
    let ground = Ground::new().await;
    let one = workload(&ground, "deployments").await;

    let patch = json!({ "spec": { "replicas": -4 } });
    let refused = ground.patch(&format!("{one}/scale"), "merge", &patch).await;

    assert_eq!(
        said(&refused).2,
        "Scale.autoscaling \"one\" is invalid: spec.replicas: Invalid value: -4: must be greater than \
         or equal to 0"
    );
    assert_eq!(refused.code, 422);
}

/// A scale is of the object that its path names, is read and written, and never made or deleted.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn a_scale_is_no_object_of_its_own() {
    let ground = Ground::new().await;
    let one = workload(&ground, "deployments").await;
    let path = format!("{one}/scale");
    let mut other = scale(3);
    other["metadata"]["name"] = "other".into();

    let renamed = ground.put(&path, &other).await;
    let kind =
        json!({ "kind": "Deployment", "apiVersion": "apps/v1", "metadata": { "name": "one" } });
    let kind = ground.put(&path, &kind).await;
    let deleted = ground.delete(&path, &Value::Null).await;
    let made = ground.post(&path, &scale(3)).await;
    let none = ground.get(&path.replace("/one/", "/none/")).await;

    assert_eq!((renamed.code, kind.code), (400, 400));
    assert_eq!((deleted.code, made.code), (405, 405));
    assert_eq!(said(&none).2, "deployments.apps \"none\" not found");
}

/// A rehearsed scale is answered and not kept.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn a_scale_can_be_rehearsed() {
    let ground = Ground::new().await;
    let one = workload(&ground, "deployments").await;

    let dry = ground.put(&format!("{one}/scale?dryRun=All"), &scale(50)).await;

    assert_eq!(dry.json()["spec"]["replicas"], 50);
    assert_eq!(ground.get(&one).await.json()["spec"]["replicas"], 1);
}

/// What is written to a scale belongs to its writer under the name of the subresource.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn a_scale_has_its_own_manager() {
    let ground = Ground::new().await;
    let one = workload(&ground, "deployments").await;

    ground.put(&format!("{one}/scale?fieldManager=scaler"), &scale(3)).await;

    let fields = ground.get(&one).await.json()["metadata"]["managedFields"].clone();
    let fields = fields.as_array().unwrap();
    let scaler = fields.iter().find(|it| it["manager"] == "scaler").unwrap();
    assert_eq!(scaler["subresource"], "scale");
    assert_eq!(scaler["fieldsV1"], json!({ "f:spec": { "f:replicas": {} } }));
    assert_eq!(scaler["time"], Value::Null);
}

/// A scale can be applied: its number is then the applier's, and another's is a conflict.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>
#[tokio::test]
async fn a_scale_can_be_applied() {
    let ground = Ground::new().await;
    let one = workload(&ground, "deployments").await;
    ground.put(&format!("{one}/scale?fieldManager=first"), &scale(2)).await;
    let apply = async |query: &str, replicas: i32| {
        let path = format!("{one}/scale?fieldManager=second{query}");
        ground.patch(&path, "apply", &scale(replicas)).await
    };

    let conflict = apply("", 5).await;
    let forced = apply("&force=true", 5).await;
    let again = apply("", 6).await;

    assert_eq!(conflict.code, 409, "{}", conflict.text);
    let message = said(&conflict).2;
    let start = "Apply failed with 1 conflict: conflict with \"first\" with subresource \"scale\" using \
        autoscaling/v1";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(causes(&conflict)[0].0, ".spec.replicas");
    assert_eq!((forced.code, &forced.json()["spec"]), (200, &json!({ "replicas": 5 })));
    assert_eq!((again.code, &again.json()["spec"]), (200, &json!({ "replicas": 6 })));
    let whole = ground.get(&one).await.json();
    assert_eq!(whole["spec"]["replicas"], 6);
    let owners = whole["metadata"]["managedFields"].as_array().unwrap();
    let mine = owners.iter().find(|it| it["manager"] == "second").unwrap();
    assert_eq!((&mine["operation"], &mine["subresource"]), (&"Apply".into(), &"scale".into()));
    // As a scale has no owners of its own, nobody knows since when.
    assert_eq!((&mine["apiVersion"], &mine["time"]), (&"apps/v1".into(), &Value::Null));
    assert_eq!(mine["fieldsV1"], json!({ "f:spec": { "f:replicas": {} } }));
}

/// Discovery says that the scale is of a kind of its own.
/// <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>
#[tokio::test]
async fn a_scale_is_discovered() {
    let ground = Ground::new().await;

    let found = ground.get("/apis/apps/v1").await.json();

    let list = found["resources"].as_array().unwrap();
    let scale = list.iter().find(|it| it["name"] == "deployments/scale").unwrap();
    assert_eq!(
        *scale,
        json!({
            "name": "deployments/scale", "singularName": "", "namespaced": true,
            "group": "autoscaling", "version": "v1", "kind": "Scale",
            "verbs": ["get", "patch", "update"],
        })
    );
}

/// A kind that somebody defined has a scale where its definition says so.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#scale-subresource>
#[tokio::test]
async fn defined_kinds_have_a_scale() {
    let ground = Ground::new().await;
    let group = format!("{}.example.com", ground.unique("scaled"));
    let widgets = define(&ground, &group).await;
    let body = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": { "name": "one" },
        "spec": { "size": 2 },
    });
    assert_eq!(ground.post(&widgets, &body).await.code, 201);
    let (one, path) = (format!("{widgets}/one"), format!("{widgets}/one/scale"));

    let read = ground.get(&path).await.json();
    let put = ground.put(&path, &scale(5)).await;
    let status = json!({ "status": { "count": 4, "selector": "a=b" } });
    ground.patch(&format!("{one}/status"), "merge", &status).await;
    let counted = ground.get(&path).await.json();
    let negative = ground.patch(&path, "merge", &json!({ "spec": { "replicas": -1 } })).await;

    assert_eq!(
        (&read["spec"], &read["status"]),
        (&json!({ "replicas": 2 }), &json!({ "replicas": 0 }))
    );
    assert_eq!(put.code, 200, "{}", put.text);
    assert_eq!(ground.get(&one).await.json()["spec"]["size"], 5);
    assert_eq!(counted["status"], json!({ "replicas": 4, "selector": "a=b" }));
    assert_eq!(causes(&negative)[0].0, ".spec.size");
}

/// Defines Widgets with a status and a scale; answers the path of the case's own.
async fn define(ground: &Ground, group: &str) -> String {
    let integer = json!({ "type": "integer" });
    let schema = json!({ "type": "object", "properties": {
        "spec": { "type": "object", "properties": { "size": integer } },
        "status": { "type": "object", "properties": {
            "count": integer, "selector": { "type": "string" },
        } },
    } });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("widgets.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "plural": "widgets", "singular": "widget", "kind": "Widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": schema },
                "subresources": { "status": {}, "scale": {
                    "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.count",
                    "labelSelectorPath": ".status.selector",
                } },
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(ground.post(definitions, &definition).await.code, 201);
    let widgets = grouped(ground, &format!("{group}/v1"), "widgets");
    let is_served = async || (ground.get(&widgets).await.code == 200).then_some(());
    ground.eventually("an answer for the kind", is_served).await;
    widgets
}

/// What has no scale is not found.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn not_all_kinds_have_a_scale() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &json!({ "metadata": { "name": "one" } })).await;

    let none = ground.get(&format!("{maps}/one/scale")).await;

    assert_eq!((none.code, said(&none).1.as_str()), (404, "NotFound"));
}
