//! What a cluster adds to a Pod that its author left to it, and which Pods it keeps out.

use serde_json::{Value, json};

use crate::ground::{Answer, Ground};

async fn made_with(ground: &Ground, change: &Value) -> Answer {
    let mut pod = json!({
        "metadata": {"name": "one"}, "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    for (key, value) in change.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    ground.post(&ground.path("v1", "pods"), &pod).await
}

/// A Pod without a class has no priority to speak of, and may take the place of lesser ones.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/>
#[tokio::test]
async fn a_pod_has_a_priority() {
    let ground = Ground::new().await;

    let made = made_with(&ground, &json!({})).await.json();

    assert_eq!(made["spec"]["priority"], json!(0));
    assert_eq!(made["spec"]["preemptionPolicy"], json!("PreemptLowerPriority"));
}

/// A Pod of a class has that class's priority; two classes are there from the beginning.
/// <https://kubernetes.io/docs/tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/>
#[tokio::test]
async fn a_class_gives_its_priority() {
    let ground = Ground::new().await;

    let made = made_with(&ground, &json!({"priorityClassName": "system-node-critical"})).await;

    assert_eq!(made.json()["spec"]["priority"], json!(2_000_001_000), "{}", made.text);
}

/// A Pod of a class of one's own has that class's priority and policy.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#priorityclass>
#[tokio::test]
async fn ones_own_class_gives_its_priority() {
    let ground = Ground::new().await;
    let name = ground.unique("class");
    let class = json!({"metadata": {"name": name}, "value": 7, "preemptionPolicy": "Never"});
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    assert_eq!(ground.post(classes, &class).await.code, 201);
    // Admission sees new classes a little later.
    let look = async || {
        let made = made_with(&ground, &json!({"priorityClassName": name})).await;
        (made.code == 201).then_some(made)
    };

    let made = ground.eventually("a Pod of the class", look).await.json();

    assert_eq!(made["spec"]["priority"], json!(7));
    assert_eq!(made["spec"]["preemptionPolicy"], json!("Never"));
    ground.delete(&format!("{classes}/{name}"), &Value::Null).await;
}

/// A class that is not there keeps a Pod out.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#pod-priority>
#[tokio::test]
async fn an_unknown_class_keeps_a_pod_out() {
    let ground = Ground::new().await;

    let refused = made_with(&ground, &json!({"priorityClassName": "nope"})).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (403, Some("Forbidden")));
    let wanted = "pods \"one\" is forbidden: no PriorityClass with name nope was found";
    assert_eq!(refused.json()["message"], json!(wanted));
}

/// Nobody sets a priority by its number.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#pod-priority>
#[tokio::test]
async fn a_priority_is_not_stated() {
    let ground = Ground::new().await;

    let refused = made_with(&ground, &json!({"priority": 7})).await;

    assert_eq!(refused.code, 403, "{}", refused.text);
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(
        message.contains("the integer value of priority (7) must not be provided"),
        "{message}"
    );
}

/// A Pod stays for five minutes on a node that is not ready or not to be reached.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions>
#[tokio::test]
async fn a_pod_waits_for_its_node() {
    let ground = Ground::new().await;

    let made = made_with(&ground, &json!({})).await.json();

    let wait = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let wanted = [wait("node.kubernetes.io/not-ready"), wait("node.kubernetes.io/unreachable")];
    assert_eq!(made["spec"]["tolerations"], json!(wanted));
}

/// A Pod that asks for as much as it may take, of both, is guaranteed it; one that says nothing is not.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>
#[tokio::test]
async fn a_pod_is_of_a_quality() {
    let ground = Ground::new().await;
    let amounts = json!({"cpu": "1000m", "memory": "1024Mi"});
    let container = json!([{"name": "c", "image": "i", "resources": {"limits": amounts}}]);

    let made = made_with(&ground, &json!({"containers": container})).await.json();

    assert_eq!(made["status"]["qosClass"], json!("Guaranteed"));
    let wanted = json!({"cpu": "1", "memory": "1Gi"});
    let resources = &made["spec"]["containers"][0]["resources"];
    assert_eq!(*resources, json!({"limits": wanted, "requests": wanted}));
}
