//! How does a case play the kubelet of a Job? None runs where the cases do: each writes what one would.

use serde_json::{Value, json};

use crate::ground::Ground;

/// A Job in a case's namespace, and its Pods.
pub(crate) struct Bench {
    pub(crate) ground: Ground,
}

impl Bench {
    /// `None` where no Job controller runs.
    pub(crate) async fn new() -> Option<Self> {
        let ground = Ground::new().await;
        ground.has_controllers().then_some(Self { ground })
    }

    pub(crate) fn jobs(&self) -> String {
        format!("/apis/batch/v1/namespaces/{}/jobs", self.ground.namespace())
    }

    pub(crate) fn job_path(&self) -> String {
        format!("{}/work", self.jobs())
    }

    pub(crate) fn pod_path(&self, pod: &Value) -> String {
        let name = pod["metadata"]["name"].as_str().unwrap();
        format!("/api/v1/namespaces/{}/pods/{name}", self.ground.namespace())
    }

    /// Creates the Job `work` with such a spec.
    pub(crate) async fn start(&self, spec: Value) -> Value {
        let made = self.ground.post(&self.jobs(), &job(spec)).await;
        assert_eq!(made.code, 201, "{}", made.text);
        made.json()
    }

    /// Waits until another Job, with such a spec, has failed.
    pub(crate) async fn outlive(&self, spec: Value) {
        let mut other = job(spec);
        other["metadata"]["name"] = "other".into();
        let made = self.ground.post(&self.jobs(), &other).await;
        assert_eq!(made.code, 201, "{}", made.text);
        let path = format!("{}/other", self.jobs());
        let has_failed = async || {
            let status = self.ground.get(&path).await.json()["status"].clone();
            is("Failed")(&status).then_some(())
        };
        self.ground.eventually("the end of the other Job", has_failed).await;
    }

    pub(crate) async fn change(&self, spec: Value) {
        let changed = self.ground.patch(&self.job_path(), "merge", &json!({ "spec": spec })).await;
        assert_eq!(changed.code, 200, "{}", changed.text);
    }

    pub(crate) async fn status(&self) -> Value {
        self.ground.get(&self.job_path()).await.json()["status"].clone()
    }

    /// The status, once it is as said.
    pub(crate) async fn status_when(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let look = async || Some(self.status().await).filter(|it| holds(it));
        self.ground.eventually(what, look).await
    }

    /// The Job's Pods, in the order of their names.
    pub(crate) async fn pods(&self) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/{}/pods", self.ground.namespace());
        let query = "?labelSelector=batch.kubernetes.io/job-name%3Dwork";
        let list = self.ground.get(&format!("{path}{query}")).await.json();
        list["items"].as_array().unwrap().clone()
    }

    /// The Pods that have not ended and are not ending, once there are so many.
    pub(crate) async fn live_pods(&self, count: usize) -> Vec<Value> {
        let live = |it: &Value| {
            it["status"]["phase"] != "Succeeded"
                && it["status"]["phase"] != "Failed"
                && it["metadata"]["deletionTimestamp"].is_null()
        };
        let look = async || {
            let pods: Vec<Value> = self.pods().await.into_iter().filter(live).collect();
            (pods.len() == count).then_some(pods)
        };
        self.ground.eventually(&format!("{count} live Pods"), look).await
    }

    pub(crate) async fn write(&self, pod: &Value, status: Value) {
        let path = format!("{}/status", self.pod_path(pod));
        let written = self.ground.patch(&path, "merge", &json!({ "status": status })).await;
        assert_eq!(written.code, 200, "{}", written.text);
    }

    pub(crate) async fn runs(&self, pod: &Value, restarts: u32) {
        let status = json!({
            "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{
                "name": "main", "image": "work:1", "imageID": "", "ready": true,
                "restartCount": restarts, "state": { "running": {} },
            }],
        });
        self.write(pod, status).await;
    }

    pub(crate) async fn ends(&self, pod: &Value, exit_code: i32) {
        let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
        let now = jiff::Timestamp::from_second(now().as_second()).unwrap();
        let status = json!({
            "phase": phase, "conditions": [{ "type": "Ready", "status": "False" }],
            "containerStatuses": [{
                "name": "main", "image": "work:1", "imageID": "", "ready": false,
                "restartCount": 0,
                "state": { "terminated": { "exitCode": exit_code, "finishedAt": now } },
            }],
        });
        self.write(pod, status).await;
    }

    /// The events about the Job, once there is one with such a reason.
    pub(crate) async fn event(&self, reason: &str) -> Value {
        let path = format!("/api/v1/namespaces/{}/events", self.ground.namespace());
        let query = "?fieldSelector=involvedObject.kind%3DJob,involvedObject.name%3Dwork";
        let path = format!("{path}{query}");
        let look = async || {
            let list = self.ground.get(&path).await.json();
            let all = list["items"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|it| it["reason"] == reason)
        };
        self.ground.eventually(&format!("an event {reason}"), look).await
    }
}

#[expect(clippy::disallowed_methods, reason = "a kubelet writes the time of its machine")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

pub(crate) fn job(mut spec: Value) -> Value {
    if spec["template"].is_null() {
        spec["template"] = template("Never");
    }
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "work" }, "spec": spec })
}

pub(crate) fn template(restart: &str) -> Value {
    let containers = json!([{ "name": "main", "image": "work:1" }]);
    json!({ "spec": { "restartPolicy": restart, "containers": containers } })
}

/// Status, reason and message of a condition.
pub(crate) fn condition(status: &Value, kind: &str) -> Option<(String, String, String)> {
    let all = status["conditions"].as_array()?;
    let found = all.iter().find(|it| it["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

pub(crate) fn is(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |status| condition(status, kind).is_some_and(|it| it.0 == "True")
}
