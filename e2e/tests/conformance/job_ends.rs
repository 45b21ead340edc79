//! What becomes of a Job that has ended?

use serde_json::json;

use crate::job_bench::Bench;

/// A Job that has finished goes, and its Pods with it, when the time is over that its spec gives it.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/>
#[tokio::test]
async fn a_finished_job_goes_when_its_time_is_over() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "ttlSecondsAfterFinished": 1 })).await;
    let pod = bench.live_pods(1).await.remove(0);

    bench.ends(&pod, 0).await;

    let is_gone = async || {
        let job = bench.ground.get(&bench.job_path()).await;
        let pod = bench.ground.get(&bench.pod_path(&pod)).await;
        ((job.code, pod.code) == (404, 404)).then_some(())
    };
    bench.ground.eventually("the end of the Job and its Pod", is_gone).await;
}

/// A finished Job stays for good when its spec gives it no time.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/>
#[tokio::test]
async fn a_finished_job_without_a_time_stays() {
    let Some(bench) = Bench::new().await else { return };
    let job = bench.start(json!({})).await;
    let pod = bench.live_pods(1).await.remove(0);

    bench.ends(&pod, 0).await;
    bench
        .status_when("the end", |it| it["succeeded"] == 1 && it["completionTime"].is_string())
        .await;

    let kept = bench.ground.get(&bench.job_path()).await.json();
    assert_eq!(job["spec"].get("ttlSecondsAfterFinished"), None);
    assert_eq!(kept["metadata"]["deletionTimestamp"], json!(null));
}
