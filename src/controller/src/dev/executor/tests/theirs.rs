//! Are Pods run that a cluster's own Job controller makes, and nothing besides?

use super::*;

fn theirs() -> Ground {
    Ground::bare_with(Pods::Theirs)
}

/// The Pod that a Job controller would create, with what a cluster adds to every Pod.
async fn their_pod(ground: &Ground, job: &Job) -> Pod {
    let mut pod = serde_json::to_value(pod::build(job, 0)).unwrap();
    let spec = &mut pod["spec"];
    let token = json!({ "serviceAccountToken": { "path": "token" } });
    spec["volumes"] =
        json!([{ "name": "kube-api-access-x2b4z", "projected": { "sources": [token] } }]);
    spec["containers"][0]["volumeMounts"] = json!([
        { "name": "kube-api-access-x2b4z", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" },
    ]);
    let pod = serde_json::from_value(pod).unwrap();
    ground.pods().create(&PostParams::default(), &pod).await.unwrap()
}

#[tokio::test]
async fn a_pod_of_the_cluster_runs_once_and_its_status_says_how_it_went() {
    let mut ground = theirs();
    let job = ground.create("build", shell("echo worked")).await;

    let pod = their_pod(&ground, &job).await;
    let finished = ground.finished().await;

    let phase = async || ground.pod_status().await.phase;
    until(async || phase().await.as_deref() == Some("Succeeded")).await;
    assert_eq!((finished.job.as_str(), finished.exit_code), ("build", 0));
    assert_eq!(fs::read_to_string(finished.log).unwrap(), "worked\n");
    assert_eq!(ground.list_pods().await[0].uid(), pod.uid());
    let status = ground.jobs().get("build").await.unwrap().status.unwrap_or_default();
    assert_eq!((status.active, status.conditions), (None, None));
}

#[tokio::test]
async fn a_pod_of_the_cluster_that_is_deleted_is_killed() {
    let ground = theirs();
    let alive = ground.state.path().join("alive");
    let job = ground.create("doomed", shell(&breathing(&alive))).await;
    let pod = their_pod(&ground, &job).await;
    until(async || alive.exists()).await;

    ground.pods().delete(&pod.name_any(), &DeleteParams::default()).await.unwrap();

    dead(&alive).await;
    ground.nothing_left().await;
}
