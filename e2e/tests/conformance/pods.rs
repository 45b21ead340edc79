//! A Pod where nobody schedules and no kubelet runs: how it is bound, changed, evicted and deleted.

use serde_json::{Value, json};

use crate::ground::{Answer, Ground};

fn pods(ground: &Ground) -> String {
    format!("/api/v1/namespaces/{}/pods", ground.namespace())
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "main", "image": "web:1" }] },
    })
}

/// A Pod that somebody has put on a node.
fn placed(name: &str) -> Value {
    let mut pod = pod(name);
    pod["spec"]["nodeName"] = "nowhere".into();
    pod
}

async fn made(ground: &Ground, pod: &Value) -> String {
    let made = ground.post(&pods(ground), pod).await;
    assert_eq!(made.code, 201, "{}", made.text);
    format!("{}/{}", pods(ground), pod["metadata"]["name"].as_str().unwrap())
}

/// Code, reason and message of a refusal.
fn refused(answer: &Answer) -> (u16, String, String) {
    let status = answer.json();
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    (answer.code, text("reason"), text("message"))
}

/// A Pod that is on no node goes at once, and the answer is the Pod.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>
#[tokio::test]
async fn a_pod_on_no_node_goes_at_once() {
    let ground = Ground::new().await;
    let path = made(&ground, &pod("one")).await;

    let gone = ground.delete(&path, &json!({ "gracePeriodSeconds": 100 })).await;

    let meta = gone.json()["metadata"].clone();
    assert_eq!((gone.code, &gone.json()["kind"]), (200, &json!("Pod")));
    assert_eq!((&meta["deletionGracePeriodSeconds"], &meta["generation"]), (&json!(0), &json!(2)));
    assert_eq!(ground.get(&path).await.code, 404);
}

/// A Pod on a node is given its grace period: it stays until its kubelet says that it has ended.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>
#[tokio::test]
async fn a_pod_on_a_node_has_its_grace() {
    let ground = Ground::new().await;
    let path = made(&ground, &placed("one")).await;

    let asked = ground.delete(&path, &Value::Null).await;
    let again = ground.delete(&path, &json!({ "gracePeriodSeconds": 60 })).await;

    let meta = asked.json()["metadata"].clone();
    assert_eq!((asked.code, &meta["deletionGracePeriodSeconds"]), (200, &json!(30)));
    let seconds = |it: &Value| it.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    let grace = seconds(&meta["deletionTimestamp"]) - seconds(&meta["creationTimestamp"]);
    assert!((30..=40).contains(&grace), "{meta}");
    assert_eq!((again.code, &again.json()["metadata"]), (200, &meta));
    assert_eq!(ground.get(&path).await.json()["metadata"], meta);
}

/// The grace period may be cut short, and none at all ends the Pod without asking its node.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-forced>
#[tokio::test]
async fn a_grace_can_only_become_shorter() {
    let ground = Ground::new().await;
    let path = made(&ground, &placed("one")).await;
    let first = ground.delete(&path, &Value::Null).await.json();

    let shorter = ground.delete(&path, &json!({ "gracePeriodSeconds": 10 })).await.json();
    let forced = ground.delete(&format!("{path}?gracePeriodSeconds=0"), &Value::Null).await;

    let seconds = |it: &Value| {
        let text = it["metadata"]["deletionTimestamp"].as_str().unwrap();
        text.parse::<jiff::Timestamp>().unwrap().as_second()
    };
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 10);
    assert_eq!(seconds(&first) - seconds(&shorter), 20);
    assert_eq!(shorter["metadata"]["generation"], first["metadata"]["generation"]);
    assert_eq!((forced.code, ground.get(&path).await.code), (200, 404));
}

/// A negative grace period means one second; the Pod's own counts when none is asked for.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/delete-options/>
#[tokio::test]
async fn the_grace_is_asked_for_or_the_pods_own() {
    let ground = Ground::new().await;
    let mut quick = placed("quick");
    quick["spec"]["terminationGracePeriodSeconds"] = 5.into();
    let quick = made(&ground, &quick).await;
    let negative = made(&ground, &placed("negative")).await;

    let own = ground.delete(&quick, &Value::Null).await.json();
    let one = ground.delete(&negative, &json!({ "gracePeriodSeconds": -1 })).await.json();

    assert_eq!(own["metadata"]["deletionGracePeriodSeconds"], 5);
    assert_eq!(one["metadata"]["deletionGracePeriodSeconds"], 1);
}

/// A Pod that has ended needs no grace, wherever it ran.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection>
#[tokio::test]
async fn a_pod_that_has_ended_goes_at_once() {
    let ground = Ground::new().await;
    let path = made(&ground, &placed("one")).await;
    let status = json!({ "status": { "phase": "Succeeded" } });
    ground.patch(&format!("{path}/status"), "merge", &status).await;

    let gone = ground.delete(&path, &Value::Null).await;

    assert_eq!((gone.code, ground.get(&path).await.code), (200, 404));
}

/// Finalizers hold a Pod beyond its grace, and without them it still has its grace.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn a_pod_waits_for_its_finalizers_and_its_grace() {
    let ground = Ground::new().await;
    let held = |name: &str| {
        let mut pod = placed(name);
        pod["metadata"]["finalizers"] = json!(["example.com/hold"]);
        pod
    };
    let (first, second) =
        (made(&ground, &held("first")).await, made(&ground, &held("second")).await);
    let free = json!({ "metadata": { "finalizers": null } });

    ground.delete(&first, &Value::Null).await;
    ground.patch(&first, "merge", &free).await;
    ground.delete(&second, &json!({ "gracePeriodSeconds": 0 })).await;
    let still = ground.get(&second).await;
    ground.patch(&second, "merge", &free).await;

    assert_eq!(ground.get(&first).await.code, 200);
    assert_eq!((still.code, ground.get(&second).await.code), (200, 404));
}

/// A binding puts a Pod on a node and says that it is scheduled.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/>
#[tokio::test]
async fn a_binding_schedules_a_pod() {
    let ground = Ground::new().await;
    let path = made(&ground, &pod("one")).await;
    let binding = json!({
        "metadata": { "name": "one", "annotations": { "example.com/by": "me" } },
        "target": { "kind": "Node", "name": "node-1" },
    });

    let bound = ground.post(&format!("{path}/binding"), &binding).await;
    let after = ground.get(&path).await.json();
    let again = ground.post(&format!("{path}/binding"), &binding).await;

    assert_eq!((bound.code, &bound.json()["status"]), (201, &json!("Success")));
    assert_eq!(after["spec"]["nodeName"], "node-1");
    assert_eq!(after["metadata"]["annotations"]["example.com/by"], "me");
    let scheduled = &after["status"]["conditions"][0];
    assert_eq!(
        (&scheduled["type"], &scheduled["status"]),
        (&json!("PodScheduled"), &json!("True"))
    );
    assert_eq!(refused(&again).0, 409);
    let name = ground.post(&format!("{path}/binding"), &json!({ "target": {} })).await;
    let message = "name in URL does not match name in Binding object";
    assert_eq!(refused(&name), (400, "BadRequest".to_owned(), message.to_owned()));
}

/// The log of a Pod that is on no node is empty; one container must be named where there are several.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod>
#[tokio::test]
async fn a_log_is_of_one_container() {
    let ground = Ground::new().await;
    let one = made(&ground, &pod("one")).await;
    let mut several = pod("several");
    let containers = json!([{ "name": "a", "image": "a:1" }, { "name": "b", "image": "b:1" }]);
    several["spec"]["containers"] = containers;
    several["spec"]["initContainers"] = json!([{ "name": "first", "image": "a:1" }]);
    let several = made(&ground, &several).await;

    let empty = ground.get(&format!("{one}/log")).await;
    let unclear = ground.get(&format!("{several}/log")).await;
    let named = ground.get(&format!("{several}/log?container=b")).await;
    let unknown = ground.get(&format!("{several}/log?container=c")).await;
    let absent = ground.get(&format!("{}/none/log", pods(&ground))).await;

    assert_eq!((empty.code, empty.text.as_str()), (204, ""));
    let message = "a container name must be specified for pod several, choose one of: [first a b]";
    assert_eq!(refused(&unclear), (400, "BadRequest".to_owned(), message.to_owned()));
    assert_eq!(named.code, 204);
    let message = "container c is not valid for pod several";
    assert_eq!(refused(&unknown), (400, "BadRequest".to_owned(), message.to_owned()));
    assert_eq!(refused(&absent).2, r#"pods "none" not found"#);
}

/// What is asked of a log must make sense: 422 names the option.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod>
#[tokio::test]
async fn options_of_a_log_are_judged() {
    let ground = Ground::new().await;
    let path = made(&ground, &pod("one")).await;
    let both = "sinceSeconds=4&sinceTime=2026-01-01T00:00:00Z";
    let wrong = [
        ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
        (both, "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"),
    ];

    for (query, fault) in wrong {
        let answer = ground.get(&format!("{path}/log?{query}")).await;

        let message = format!("PodLogOptions \"one\" is invalid: {fault}");
        assert_eq!(refused(&answer), (422, "Invalid".to_owned(), message));
    }
    let text = ground.get(&format!("{path}/log?tailLines=x")).await;
    let message = r#"strconv.ParseInt: parsing "x": invalid syntax"#;
    assert_eq!(refused(&text), (400, "BadRequest".to_owned(), message.to_owned()));
}

fn eviction(name: &str) -> Value {
    json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name } })
}

/// An eviction deletes the Pod, unless it is rehearsed; its name is the Pod's.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>
#[tokio::test]
async fn an_eviction_deletes_a_pod() {
    let ground = Ground::new().await;
    let path = made(&ground, &pod("one")).await;

    let other = ground.post(&format!("{path}/eviction"), &eviction("two")).await;
    let rehearsed = ground.post(&format!("{path}/eviction?dryRun=All"), &eviction("one")).await;
    let still = ground.get(&path).await;
    let evicted = ground.post(&format!("{path}/eviction"), &eviction("one")).await;
    let absent = ground.post(&format!("{path}/eviction"), &eviction("one")).await;

    let message = "name in URL does not match name in Eviction object";
    assert_eq!(refused(&other), (400, "BadRequest".to_owned(), message.to_owned()));
    assert_eq!((rehearsed.code, still.code), (201, 200));
    assert_eq!((evicted.code, &evicted.json()["status"]), (201, &json!("Success")));
    assert_eq!(refused(&absent).2, r#"pods "one" not found"#);
}

/// Of a Pod's spec hardly anything changes: the image does, and the deadline comes only nearer.
/// <https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement>
#[tokio::test]
async fn hardly_anything_of_a_pod_changes() {
    let ground = Ground::new().await;
    let mut body = pod("one");
    body["spec"]["activeDeadlineSeconds"] = 10.into();
    let path = made(&ground, &body).await;
    let change =
        async |spec: Value| ground.patch(&path, "strategic-merge", &json!({ "spec": spec })).await;
    let image = |image: &str| json!({ "containers": [{ "name": "main", "image": image }] });
    let more = json!({ "containers": [{ "name": "more", "image": "web:1" }] });

    let allowed = [
        change(image("web:2")).await.code,
        change(json!({ "activeDeadlineSeconds": 5 })).await.code,
    ];
    let host = change(json!({ "hostname": "other" })).await;
    let later = change(json!({ "activeDeadlineSeconds": 20 })).await;
    let never = change(json!({ "activeDeadlineSeconds": null })).await;
    let more = change(more).await;

    assert_eq!(allowed, [200, 200]);
    let fixed = "Pod \"one\" is invalid: spec: Forbidden: pod updates may not change fields other \
        than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`";
    assert_eq!(host.code, 422);
    assert!(refused(&host).2.starts_with(fixed), "{}", host.text);
    let field = |it: &Answer| it.json()["details"]["causes"][0]["field"].clone();
    assert_eq!(
        (field(&later), field(&never)),
        (json!("spec.activeDeadlineSeconds"), json!("spec.activeDeadlineSeconds"))
    );
    assert!(
        refused(&later)
            .2
            .ends_with("Invalid value: 20: must be less than or equal to previous value")
    );
    assert_eq!(
        refused(&more).2,
        "Pod \"one\" is invalid: spec.containers: Forbidden: pod updates may not add or remove containers"
    );
}
