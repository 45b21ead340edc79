//! What of a Job may still change once it is there?

use serde_json::{Value, json};

use crate::causes::causes;
use crate::ground::{Answer, Ground};
use crate::job_bench::job;

/// Creates the Job `work`, which no controller looks after; answers its path.
async fn create(ground: &Ground, mut spec: Value) -> String {
    spec["managedBy"] = "example.com/nobody".into();
    let jobs = ground.path("batch/v1", "jobs");
    let made = ground.post(&jobs, &job(spec)).await;
    assert_eq!(made.code, 201, "{}", made.text);
    format!("{jobs}/work")
}

/// Changes the Pods that a Job asks for.
async fn change(ground: &Ground, path: &str, pod: Value) -> Answer {
    let spec = json!({ "template": { "spec": pod } });
    ground.patch(path, "strategic-merge", &json!({ "spec": spec })).await
}

async fn say(ground: &Ground, path: &str, status: Value) {
    let path = format!("{path}/status");
    let written = ground.patch(&path, "merge", &json!({ "status": status })).await;
    assert_eq!(written.code, 200, "{}", written.text);
}

fn resources(cpu: &str) -> Value {
    json!({ "containers": [{ "name": "main", "resources": { "requests": { "cpu": cpu } } }] })
}

fn near(zone: &str) -> Value {
    let term =
        json!({ "matchExpressions": [{ "key": "zone", "operator": "In", "values": [zone] }] });
    json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [term] } })
}

/// A suspended Job may change what its containers get, and where its Pods go.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#mutable-scheduling-directives>
#[tokio::test]
async fn a_suspended_job_may_change_what_its_pods_get() {
    let ground = Ground::new().await;
    let path = create(&ground, json!({ "suspend": true })).await;

    let sized = change(&ground, &path, resources("100m")).await;
    let placed = change(&ground, &path, json!({ "affinity": { "nodeAffinity": near("a") } })).await;
    let moved = change(&ground, &path, json!({ "affinity": { "nodeAffinity": near("b") } })).await;
    let freed = change(&ground, &path, json!({ "affinity": null })).await;
    let tolerated =
        change(&ground, &path, json!({ "tolerations": [{ "key": "k", "operator": "Exists" }] }))
            .await;

    for answer in [&sized, &placed, &moved, &freed, &tolerated] {
        assert_eq!(answer.code, 200, "{}", answer.text);
    }
    let pod = &tolerated.json()["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["resources"]["requests"]["cpu"], "100m");
    assert_eq!(pod["affinity"], Value::Null);
}

/// What its containers run, and how its Pods stand to others, stays as it was.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#mutable-scheduling-directives>
#[tokio::test]
async fn the_rest_of_a_suspended_jobs_pods_stays() {
    let ground = Ground::new().await;
    let path = create(&ground, json!({ "suspend": true })).await;
    let term = json!({
        "topologyKey": "zone", "labelSelector": { "matchLabels": { "a": "b" } },
    });
    let apart = json!({ "requiredDuringSchedulingIgnoredDuringExecution": [term] });

    let image =
        change(&ground, &path, json!({ "containers": [{ "name": "main", "image": "x:2" }] }));
    let others = change(&ground, &path, json!({ "affinity": { "podAntiAffinity": apart } }));

    for refused in [image.await, others.await] {
        let said = causes(&refused);
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].starts_with("spec.template.spec: Invalid value: {"), "{}", said[0]);
        assert!(said[0].ends_with(": field is immutable"), "{}", said[0]);
    }
}

/// Nothing of its Pods changes while a Job runs, or while some of them still do.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#mutable-scheduling-directives>
#[tokio::test]
async fn nothing_changes_under_pods_that_run() {
    let ground = Ground::new().await;
    let path = create(&ground, json!({})).await;
    let begun = json!({ "startTime": "2026-01-02T03:04:05Z", "active": 1 });
    let suspended = json!([{
        "type": "Suspended", "status": "True", "lastProbeTime": "2026-01-02T03:04:05Z",
        "lastTransitionTime": "2026-01-02T03:04:05Z", "reason": "JobSuspended",
    }]);

    let running = change(&ground, &path, resources("1")).await;
    say(&ground, &path, begun).await;
    ground.patch(&path, "merge", &json!({ "spec": { "suspend": true } })).await;
    let ending = change(&ground, &path, resources("1")).await;
    say(&ground, &path, json!({ "active": 0 })).await;
    let untold = change(&ground, &path, resources("1")).await;
    say(&ground, &path, json!({ "conditions": suspended })).await;
    let told = change(&ground, &path, resources("1")).await;

    for refused in [&running, &ending, &untold] {
        let said = causes(refused);
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].starts_with("spec.template"), "{}", said[0]);
        assert!(said[0].ends_with(": field is immutable"), "{}", said[0]);
    }
    assert_eq!(told.code, 200, "{}", told.text);
}

/// An indexed Job grows and shrinks only together with what runs at once.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#elastic-indexed-jobs>
#[tokio::test]
async fn completions_change_with_parallelism() {
    let ground = Ground::new().await;
    let size = json!({ "completionMode": "Indexed", "completions": 2, "parallelism": 2 });
    let path = create(&ground, size).await;
    let resize = async |spec: Value| ground.patch(&path, "merge", &json!({ "spec": spec })).await;

    let alone = resize(json!({ "completions": 3 })).await;
    let both = resize(json!({ "completions": 3, "parallelism": 3 })).await;

    assert_eq!(
        causes(&alone),
        ["spec.completions: Invalid value: 3: can only be modified in tandem with \
             spec.parallelism"]
    );
    assert_eq!(both.code, 200, "{}", both.text);
}
