//! A namespace: what marks it, what is in it when it ends, who may hold it.

use serde_json::{Value, json};

use crate::ground::{Answer, Ground};

async fn found(ground: &Ground, metadata: Value) -> String {
    let made = ground.post("/api/v1/namespaces", &json!({ "metadata": metadata })).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let name = made.json()["metadata"]["name"].as_str().unwrap().to_owned();
    format!("/api/v1/namespaces/{name}")
}

async fn is_gone(ground: &Ground, path: &str) {
    let gone = async || (ground.get(path).await.code == 404).then_some(());
    ground.eventually(&format!("the end of {path}"), gone).await;
}

/// The conditions of a dying namespace, once there are any of that kind and status.
async fn condition(ground: &Ground, path: &str, (kind, status): (&str, &str)) -> Value {
    let look = async || {
        let namespace = ground.get(path).await.json();
        let all = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|it| it["type"] == kind && it["status"] == status)
    };
    ground.eventually(&format!("{kind}={status}"), look).await
}

fn causes(answer: &Answer) -> Value {
    answer.json()["details"]["causes"].clone()
}

/// A namespace is active, labelled with its name for good, and held by Kubernetes.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#automatic-labelling>
#[tokio::test]
async fn a_namespace_is_labelled_with_its_name() {
    let ground = Ground::new().await;
    let name = ground.unique("labelled");
    let path = found(&ground, json!({ "name": name })).await;

    let label = json!({ "metadata": { "labels": { "kubernetes.io/metadata.name": "other" } } });
    let changed = ground.patch(&path, "merge", &label).await;
    let removed = ground.patch(&path, "merge", &json!({ "metadata": { "labels": null } })).await;
    ground.delete(&path, &Value::Null).await;

    for answer in [changed, removed] {
        assert_eq!(answer.code, 200, "{}", answer.text);
        assert_eq!(answer.json()["metadata"]["labels"]["kubernetes.io/metadata.name"], *name);
        assert_eq!(answer.json()["status"], json!({ "phase": "Active" }));
        assert_eq!(answer.json()["spec"], json!({ "finalizers": ["kubernetes"] }));
    }
}

/// A namespace that is being deleted is terminating, and takes no new objects: 403 with a cause.
/// <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespacelifecycle>
#[tokio::test]
async fn a_dying_namespace_takes_nothing_new() {
    let ground = Ground::new().await;
    let name = ground.unique("dying");
    let path = found(&ground, json!({ "name": name, "finalizers": ["example.com/hold"] })).await;

    let asked = ground.delete(&path, &Value::Null).await;
    let again = ground.delete(&path, &Value::Null).await;
    let body = json!({ "metadata": { "name": "late" } });
    let late = ground.post(&format!("{path}/configmaps"), &body).await;
    let twin = json!({ "metadata": { "name": name } });
    let twin = ground.post("/api/v1/namespaces", &twin).await;
    let free = json!({ "metadata": { "finalizers": null } });
    ground.patch(&path, "merge", &free).await;

    let dying = asked.json();
    assert_eq!((asked.code, again.code), (200, 200));
    assert_eq!(
        (&dying["kind"], &dying["status"]["phase"]),
        (&json!("Namespace"), &json!("Terminating"))
    );
    assert!(dying["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(dying["metadata"]["deletionGracePeriodSeconds"], Value::Null);
    let message = format!(
        "configmaps \"late\" is forbidden: unable to create new content in namespace {name} because \
         it is being terminated"
    );
    assert_eq!((late.code, &late.json()["message"]), (403, &json!(message)));
    let cause = json!([{
        "reason": "NamespaceTerminating", "message": format!("namespace {name} is being terminated"),
        "field": "metadata.namespace",
    }]);
    assert_eq!(causes(&late), cause);
    let message = format!("object is being deleted: namespaces \"{name}\" already exists");
    assert_eq!((twin.code, &twin.json()["message"]), (409, &json!(message)));
}

/// What has finalizers holds its namespace, whose conditions tell what is left and who holds it.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus>
#[tokio::test]
async fn a_dying_namespace_tells_what_holds_it() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }
    let path = found(&ground, json!({ "name": ground.unique("held") })).await;
    let metadata = json!({ "name": "one", "finalizers": ["example.com/hold"] });
    let held = json!({ "metadata": metadata });
    assert_eq!(ground.post(&format!("{path}/configmaps"), &held).await.code, 201);

    ground.delete(&path, &Value::Null).await;
    let content = condition(&ground, &path, ("NamespaceContentRemaining", "True")).await;
    let holders = condition(&ground, &path, ("NamespaceFinalizersRemaining", "True")).await;
    let fine = condition(&ground, &path, ("NamespaceDeletionDiscoveryFailure", "False")).await;
    let inside = ground.get(&format!("{path}/configmaps/one")).await.json();
    let free = json!({ "metadata": { "finalizers": null } });
    ground.patch(&format!("{path}/configmaps/one"), "merge", &free).await;
    is_gone(&ground, &path).await;

    let remaining = "Some resources are remaining: configmaps. has 1 resource instances";
    assert_eq!(
        (&content["reason"], &content["message"]),
        (&json!("SomeResourcesRemain"), &json!(remaining))
    );
    let finalizers = "Some content in the namespace has finalizers remaining: example.com/hold in 1 \
        resource instances";
    assert_eq!(
        (&holders["reason"], &holders["message"]),
        (&json!("SomeFinalizersRemain"), &json!(finalizers))
    );
    assert_eq!(fine["reason"], "ResourcesDiscovered");
    assert!(inside["metadata"]["deletionTimestamp"].is_string());
}

/// A namespace's own finalizers hold it when its content is gone, and its spec has none any more.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn a_namespace_waits_for_its_own_finalizers() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }
    let name = ground.unique("own");
    let path = found(&ground, json!({ "name": name, "finalizers": ["example.com/hold"] })).await;

    ground.delete(&path, &Value::Null).await;
    let empty = async || (ground.get(&path).await.json()["spec"] == json!({})).then_some(());
    ground.eventually("an empty spec", empty).await;
    let removed = condition(&ground, &path, ("NamespaceContentRemaining", "False")).await;
    let free = json!({ "metadata": { "finalizers": null } });
    let freed = ground.patch(&path, "merge", &free).await;

    assert_eq!(removed["reason"], "ContentRemoved");
    assert_eq!((freed.code, ground.get(&path).await.code), (200, 404));
}

/// Finalizers of the spec change through `finalize` alone, and must be qualified names.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceSpec>
#[tokio::test]
async fn finalizers_of_the_spec_have_their_own_way() {
    let ground = Ground::new().await;
    let name = ground.unique("finalize");
    let path = found(&ground, json!({ "name": name })).await;
    let finalize = async |finalizers: Value| {
        let spec = json!({ "finalizers": finalizers });
        let body = json!({ "metadata": { "name": name }, "spec": spec });
        ground.put(&format!("{path}/finalize"), &body).await
    };

    let plain = ground.patch(&path, "merge", &json!({ "spec": { "finalizers": [] } })).await;
    let two = finalize(json!(["kubernetes", "example.com/mine"])).await;
    let bad = finalize(json!(["bad"])).await;
    ground.delete(&path, &Value::Null).await;
    let none = finalize(json!([])).await;

    assert_eq!(plain.json()["spec"], json!({ "finalizers": ["kubernetes"] }));
    assert_eq!(two.json()["spec"], json!({ "finalizers": ["kubernetes", "example.com/mine"] }));
    let message = "Invalid value: \"bad\": name is neither a standard finalizer name nor is it fully \
        qualified";
    assert_eq!((bad.code, &causes(&bad)[0]["message"]), (422, &json!(message)));
    assert_eq!(causes(&bad)[0]["field"], "spec.finalizers[0]");
    assert_eq!((none.code, ground.get(&path).await.code), (200, 404));
}

/// A cluster keeps its first namespaces: their deletion gets 403.
/// <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespacelifecycle>
#[tokio::test]
async fn the_first_namespaces_stay() {
    let ground = Ground::new().await;

    for name in ["default", "kube-system", "kube-public"] {
        let refused = ground.delete(&format!("/api/v1/namespaces/{name}"), &Value::Null).await;

        let message =
            format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        assert_eq!((refused.code, &refused.json()["message"]), (403, &json!(message)));
    }
}

/// Namespaces are not deleted by the dozen: 405.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/>
#[tokio::test]
async fn namespaces_go_one_by_one() {
    let ground = Ground::new().await;

    let refused = ground.delete("/api/v1/namespaces?labelSelector=no%3Dne", &Value::Null).await;

    assert_eq!((refused.code, &refused.json()["reason"]), (405, &json!("MethodNotAllowed")));
}

/// While it lives a namespace is `Active`: its status says nothing else.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus>
#[tokio::test]
async fn the_phase_follows_the_deletion() {
    let ground = Ground::new().await;
    let path = format!("/api/v1/namespaces/{}", ground.namespace());

    let status = json!({ "status": { "phase": "Terminating" } });
    let refused = ground.patch(&format!("{path}/status"), "merge", &status).await;

    let message =
        "Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty";
    assert_eq!((refused.code, &causes(&refused)[0]["message"]), (422, &json!(message)));
    assert_eq!(causes(&refused)[0]["field"], "status.Phase");
}

/// A namespace's name is a label: no dots, no capitals, at most 63 letters.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#working-with-namespaces>
#[tokio::test]
async fn a_namespaces_name_is_a_label() {
    let ground = Ground::new().await;

    for (name, fault) in
        [("a.b", "must not contain dots"), ("A", "a lowercase RFC 1123 label must")]
    {
        let body = json!({ "metadata": { "name": name } });
        let refused = ground.post("/api/v1/namespaces", &body).await;

        assert_eq!(refused.code, 422);
        let message = causes(&refused)[0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(fault), "{message}");
    }
}
