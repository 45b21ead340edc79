//! What does a write change of an object, and what not?

use serde_json::{Value, json};

use crate::{
    answers::{causes, core, grouped, said, version},
    ground::Ground,
};

const STALE: &str = "the object has been modified; please apply your changes to the latest version \
    and try again";

fn deployment(name: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": "a" } },
            "template": {
                "metadata": { "labels": { "app": "a" } },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    })
}

/// A PUT says which object it means: without a name, or with another, it gets 400.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_put_names_what_its_path_names() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &json!({ "metadata": { "name": "one" } })).await;
    let one = format!("{maps}/one");

    let other = ground.put(&one, &json!({ "metadata": { "name": "other" } })).await;
    let none = ground.put(&one, &json!({ "metadata": {} })).await;
    let elsewhere = json!({ "metadata": { "name": "one", "namespace": "elsewhere" } });
    let elsewhere = ground.put(&one, &elsewhere).await;

    let bad = |message: &str| (400, "BadRequest".to_owned(), message.to_owned());
    assert_eq!(
        said(&other),
        bad("the name of the object (other) does not match the name on the URL (one)")
    );
    assert_eq!(
        said(&none),
        bad("the name of the object (one based on URL) was undeterminable: name must be provided")
    );
    assert_eq!(
        said(&elsewhere),
        bad(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    );
}

/// A patch cannot rename an object or move it to another namespace: 400.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_patch_moves_nothing() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &json!({ "metadata": { "name": "one" } })).await;
    let one = format!("{maps}/one");

    let renamed = ground.patch(&one, "merge", &json!({ "metadata": { "name": "b" } })).await;
    let moved = ground.patch(&one, "merge", &json!({ "metadata": { "namespace": "b" } })).await;

    assert_eq!((renamed.code, moved.code), (400, 400));
    assert_eq!(ground.get(&one).await.code, 200);
}

/// A PUT without a resource version overwrites whatever is there, for kinds that allow it.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_put_without_a_version_overwrites() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let body = |value: &str| json!({ "metadata": { "name": "one" }, "data": { "k": value } });
    ground.post(&maps, &body("a")).await;

    let blind = ground.put(&format!("{maps}/one"), &body("b")).await;

    assert_eq!(blind.code, 200, "{}", blind.text);
    assert_eq!(blind.json()["data"], json!({ "k": "b" }));
}

/// Leases are updated by who has read them: a PUT without a version, or with version 0, gets 422.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_lease_is_not_updated_blindly() {
    let ground = Ground::new().await;
    let leases = grouped(&ground, "coordination.k8s.io/v1", "leases");
    ground.post(&leases, &json!({ "metadata": { "name": "one" } })).await;

    for metadata in [json!({ "name": "one" }), json!({ "name": "one", "resourceVersion": "0" })] {
        let refused = ground.put(&format!("{leases}/one"), &json!({ "metadata": metadata })).await;

        assert_eq!(
            said(&refused).2,
            "leases.coordination.k8s.io \"one\" is invalid: metadata.resourceVersion: Invalid value: \
             0: must be specified for an update"
        );
        assert_eq!(refused.code, 422);
    }
}

/// A PUT to a name that is not there creates a Lease.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_lease_is_created_by_a_put() {
    let ground = Ground::new().await;
    let leases = grouped(&ground, "coordination.k8s.io/v1", "leases");

    let made =
        ground.put(&format!("{leases}/one"), &json!({ "metadata": { "name": "one" } })).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.json()["spec"], json!({}));
}

/// A patch that names a version is held to it; one that names none is not.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_patch_may_name_its_version() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let made = ground.post(&maps, &json!({ "metadata": { "name": "one" } })).await;
    let one = format!("{maps}/one");
    let patch = |version: Option<String>, value: &str| json!({ "metadata": { "resourceVersion": version }, "data": { "k": value } });

    let first = ground.patch(&one, "merge", &patch(Some(version(&made)), "a")).await;
    let stale = ground.patch(&one, "merge", &patch(Some(version(&made)), "b")).await;
    let free = ground.patch(&one, "merge", &json!({ "data": { "k": "c" } })).await;

    assert_eq!((first.code, free.code), (200, 200));
    let (code, reason, message) = said(&stale);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert_eq!(message, format!("Operation cannot be fulfilled on configmaps \"one\": {STALE}"));
    let details = &stale.json()["details"];
    assert_eq!((&details["name"], &details["kind"]), (&json!("one"), &json!("configmaps")));
}

/// The uid in the body of a PUT says which object is meant: another gets 409 `Conflict`.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids>
#[tokio::test]
async fn a_put_may_name_a_uid() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let made = ground.post(&maps, &json!({ "metadata": { "name": "one" } })).await.json();
    let put = async |uid: &Value| {
        let body = json!({ "metadata": { "name": "one", "uid": uid }, "data": { "k": "v" } });
        ground.put(&format!("{maps}/one"), &body).await
    };

    let other = put(&json!("00000000-0000-0000-0000-000000000000")).await;
    let own = put(&made["metadata"]["uid"]).await;

    assert_eq!((other.code, said(&other).1.as_str()), (409, "Conflict"));
    assert!(said(&other).2.contains("Precondition failed: UID in precondition"));
    assert_eq!(own.code, 200);
}

/// A patch of the uid would change it, which nobody may: 422.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#uids>
#[tokio::test]
async fn a_patch_of_the_uid_is_refused() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &json!({ "metadata": { "name": "one" } })).await;

    let patch = json!({ "metadata": { "uid": "other" } });
    let refused = ground.patch(&format!("{maps}/one"), "merge", &patch).await;

    assert_eq!(
        said(&refused).2,
        "ConfigMap \"one\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable"
    );
}

/// A write does not change an object's birthday, and cannot say that it is being deleted.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
#[tokio::test]
async fn what_the_server_says_stays() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let made = ground.post(&maps, &json!({ "metadata": { "name": "one" } })).await.json();
    let one = format!("{maps}/one");
    let day = "2001-01-01T00:00:00Z";

    let birthday = json!({ "metadata": { "creationTimestamp": day }, "data": { "k": "v" } });
    let birthday = ground.patch(&one, "merge", &birthday).await;
    let deleted = json!({ "metadata": { "deletionTimestamp": day } });
    let deleted = ground.patch(&one, "merge", &deleted).await;

    assert_eq!(
        birthday.json()["metadata"]["creationTimestamp"],
        made["metadata"]["creationTimestamp"]
    );
    assert_eq!(deleted.code, 422);
    assert_eq!(causes(&deleted)[0].0, "metadata.deletionTimestamp");
}

/// What a creation says of uid, birthday and deletion is not heard.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
#[tokio::test]
async fn nobody_chooses_their_own_birth() {
    let ground = Ground::new().await;
    let day = "2001-01-01T00:00:00Z";
    let body = json!({ "metadata": {
        "name": "one", "uid": "mine", "creationTimestamp": day, "deletionTimestamp": day,
        "deletionGracePeriodSeconds": 5, "selfLink": "/here",
    } });

    let made = ground.post(&core(&ground, "configmaps"), &body).await.json();

    let metadata = &made["metadata"];
    assert_ne!(metadata["uid"], "mine");
    assert_ne!(metadata["creationTimestamp"], day);
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        assert_eq!(metadata[field], Value::Null, "{field}");
    }
}

/// What is created has no version yet: a body with one is refused.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_creation_names_no_version() {
    let ground = Ground::new().await;
    let body = json!({ "metadata": { "name": "one", "resourceVersion": "5" } });

    let refused = ground.post(&core(&ground, "configmaps"), &body).await;

    assert_eq!(refused.code, 500);
    assert_eq!(said(&refused).2, "resourceVersion should not be set on objects to be created");
}

/// A write that changes nothing is no write: the version stays.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_write_of_the_same_is_none() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let body = json!({ "metadata": { "name": "one" }, "data": { "k": "v" } });
    let made = ground.post(&maps, &body).await;
    let one = format!("{maps}/one");

    let put = ground.put(&one, &made.json()).await;
    let merge = ground.patch(&one, "merge", &json!({ "data": { "k": "v" } })).await;
    let nothing = ground.patch(&one, "json", &json!([])).await;

    for answer in [put, merge, nothing] {
        assert_eq!((answer.code, version(&answer)), (200, version(&made)));
    }
}

/// Data that is immutable stays, and so does that it is; labels may change.
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-immutable>
#[tokio::test]
async fn immutable_data_stays() {
    let ground = Ground::new().await;

    for (plural, kind, data) in [
        ("configmaps", "ConfigMap", json!({ "k": "v" })),
        ("secrets", "Secret", json!({ "k": "dg==" })),
    ] {
        let all = core(&ground, plural);
        let body = json!({ "metadata": { "name": "one" }, "data": data, "immutable": true });
        assert_eq!(ground.post(&all, &body).await.code, 201);
        let one = format!("{all}/one");

        let changed = ground.patch(&one, "merge", &json!({ "data": { "k": "dw==" } })).await;
        let freed = ground.patch(&one, "merge", &json!({ "immutable": false })).await;
        let label = json!({ "metadata": { "labels": { "a": "b" } } });
        let labelled = ground.patch(&one, "merge", &label).await;

        let detail = "Forbidden: field is immutable when `immutable` is set";
        assert_eq!(said(&changed).2, format!("{kind} \"one\" is invalid: data: {detail}"));
        assert_eq!(said(&freed).2, format!("{kind} \"one\" is invalid: immutable: {detail}"));
        assert_eq!(labelled.code, 200);
    }
}

/// The type of a Secret never changes.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#secret-types>
#[tokio::test]
async fn a_secret_keeps_its_type() {
    let ground = Ground::new().await;
    let secrets = core(&ground, "secrets");
    ground.post(&secrets, &json!({ "metadata": { "name": "one" } })).await;

    let refused = ground.patch(&format!("{secrets}/one"), "merge", &json!({ "type": "x" })).await;

    assert_eq!(
        said(&refused).2,
        "Secret \"one\" is invalid: type: Invalid value: \"x\": field is immutable"
    );
}

/// The generation counts changes of the spec, not of metadata and not of the status.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
#[tokio::test]
async fn the_generation_counts_changes_of_the_spec() {
    let ground = Ground::new().await;
    let all = grouped(&ground, "apps/v1", "deployments");
    let made = ground.post(&all, &deployment("one")).await;
    let one = format!("{all}/one");
    let generation = async |path: &str, patch: Value| {
        ground.patch(path, "merge", &patch).await.json()["metadata"]["generation"].clone()
    };

    assert_eq!(made.json()["metadata"]["generation"], 1, "{}", made.text);
    assert_eq!(generation(&one, json!({ "metadata": { "labels": { "a": "b" } } })).await, 1);
    assert_eq!(generation(&one, json!({ "spec": { "replicas": 3 } })).await, 2);
    assert_eq!(generation(&one, json!({ "spec": { "replicas": 3 } })).await, 2);
    let status = json!({ "status": { "observedGeneration": 2 } });
    assert_eq!(generation(&format!("{one}/status"), status).await, 2);
    assert_eq!(generation(&one, json!({ "metadata": { "generation": 9 } })).await, 2);
}

/// The main path does not write the status, and the path of the status writes nothing of the spec.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/>
#[tokio::test]
async fn the_status_has_a_path_of_its_own() {
    let ground = Ground::new().await;
    let all = grouped(&ground, "apps/v1", "deployments");
    let made = ground.post(&all, &deployment("one")).await;
    let one = format!("{all}/one");
    let both = json!({ "spec": { "replicas": 7 }, "status": { "replicas": 4 } });

    let by_status = ground.patch(&format!("{one}/status"), "merge", &both).await.json();
    let by_main = json!({ "spec": { "replicas": 7 }, "status": { "replicas": 5 } });
    let by_main = ground.patch(&one, "merge", &by_main).await.json();

    assert_eq!(made.json()["spec"]["replicas"], 1);
    assert_eq!(
        (&by_status["spec"]["replicas"], &by_status["status"]["replicas"]),
        (&1.into(), &4.into())
    );
    assert_eq!(
        (&by_main["spec"]["replicas"], &by_main["status"]["replicas"]),
        (&7.into(), &4.into())
    );
}

/// A creation has no status of its own making.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/>
#[tokio::test]
async fn nobody_is_born_with_a_status() {
    let ground = Ground::new().await;
    let mut body = deployment("one");
    body["status"] = json!({ "replicas": 9 });

    let made = ground.post(&grouped(&ground, "apps/v1", "deployments"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.json()["status"].get("replicas"), None);
}

/// Writes of a Pod's status may label it, but do not change who owns it.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>
#[tokio::test]
async fn a_write_of_the_status_changes_some_metadata() {
    let ground = Ground::new().await;
    let pods = core(&ground, "pods");
    let spec = json!({ "containers": [{ "name": "c", "image": "i" }] });
    let made = ground.post(&pods, &json!({ "metadata": { "name": "one" }, "spec": spec })).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let patch = json!({
        "metadata": {
            "labels": { "a": "b" }, "annotations": { "c": "d" },
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "1" }],
        },
        "spec": { "nodeName": "n" }, "status": { "phase": "Running" },
    });

    let written = ground.patch(&format!("{pods}/one/status"), "merge", &patch).await.json();

    assert_eq!(written["metadata"]["labels"], json!({ "a": "b" }));
    assert_eq!(written["metadata"]["annotations"], json!({ "c": "d" }));
    assert_eq!(written["metadata"].get("ownerReferences"), None);
    assert_eq!(written["spec"].get("nodeName"), None);
    assert_eq!(written["status"]["phase"], "Running");
}

/// The version of an object grows with each write, and no two writes share one.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn one_number_counts_all_writes() {
    let ground = Ground::new().await;
    let mut versions = Vec::new();

    for plural in ["configmaps", "secrets"] {
        let all = core(&ground, plural);
        let made = ground.post(&all, &json!({ "metadata": { "name": "one" } })).await;
        versions.push(version(&made).parse::<u64>().unwrap());
        let label = json!({ "metadata": { "labels": { "a": "b" } } });
        let labelled = ground.patch(&format!("{all}/one"), "merge", &label).await;
        versions.push(version(&labelled).parse::<u64>().unwrap());
    }

    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}
