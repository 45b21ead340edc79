//! Is each Job that we make one that a cluster takes? What each field of an Action makes of it, by the API's own
//! validation, and its Pod where the namespace enforces Pod security.

use e2e::objects::APPS;
use e2e::real::World;
use e2e::story;
use ger_api::schedule_trigger::SourceKind;
use ger_api::status::Run;
use ger_api::{Action, GitRepo, ScheduleTrigger};
use ger_core::job::{self, JobInput, JobSettings};
use ger_core::names::ClusterName;
use ger_core::plan::{Plan, Source};
use ger_core::trace;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::real::PROGRAM;

const API: &str = "git-events-runner.rs/v1alpha1";

/// Each field with a value, and the volume that a mount needs.
fn fields() -> Vec<(&'static str, Value)> {
    let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{ "matchExpressions": [
            { "key": "zone", "operator": "In", "values": ["a", "b"] },
        ]}],
    }}});
    vec![
        ("workdir", json!("/src")),
        ("clonerImage", json!("cloner:2")),
        ("actionImage", json!("worker:2")),
        ("command", json!("make")),
        ("args", json!(["-j", "2"])),
        ("serviceAccount", json!("builder")),
        ("labels", json!({ "team": "web", "kueue.x-k8s.io/queue-name": "batch" })),
        ("annotations", json!({ "note": "n" })),
        ("tolerations", json!([{ "key": "spot", "operator": "Exists", "effect": "NoSchedule" }])),
        ("affinity", affinity),
        ("nodeSelector", json!({ "disk": "fast" })),
        ("ttlSecondsAfterFinished", json!(0)),
        ("activeDeadlineSeconds", json!(2)),
        ("jobWaitingTimeoutSeconds", json!(3)),
        ("enableClonerDebug", json!(true)),
        ("preserveGitFolder", json!(true)),
        (
            "env",
            json!([
                { "name": "TAG", "value": "v-$(ACTION_JOB_TRIGGER_SOURCE_COMMIT)" },
                { "name": "POD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                { "name": "KEY", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k", "optional": true } } },
            ]),
        ),
        ("envFrom", json!([{ "prefix": "DB_", "secretRef": { "name": "db" } }])),
        (
            "resources",
            json!({ "limits": { "cpu": 1, "memory": "1Gi" }, "requests": { "cpu": "500m" } }),
        ),
        (
            "volumes",
            json!([
                { "name": "cache", "emptyDir": { "sizeLimit": 1_000_000, "medium": "Memory" } },
                { "name": "claim", "persistentVolumeClaim": { "claimName": "claim" } },
                { "name": "files", "configMap": { "name": "files", "items": [{ "key": "a", "path": "b" }] } },
                { "name": "token", "projected": { "sources": [
                    { "serviceAccountToken": { "path": "token", "audience": "vault" } },
                ]}},
            ]),
        ),
        ("volumeMounts", json!([{ "name": "cache", "mountPath": "/cache", "readOnly": true }])),
        ("imagePullSecrets", json!([{ "name": "registry" }])),
        ("imagePullPolicy", json!("Always")),
        ("priorityClassName", json!("system-cluster-critical")),
        ("runtimeClassName", json!("gvisor")),
        ("securityContext", json!({ "readOnlyRootFilesystem": true, "runAsUser": 2000 })),
        ("podSecurityContext", json!({ "fsGroup": 3000, "supplementalGroups": [4000] })),
        ("backoffLimit", json!(2)),
    ]
}

/// The Job of an Action, as the API gave it back.
fn job_of(action: &Action) -> Job {
    let trigger: ScheduleTrigger = serde_json::from_value(json!({
        "apiVersion": API, "kind": "ScheduleTrigger",
        "metadata": { "name": "deploy.site", "namespace": APPS, "uid": "uid-of-the-trigger" },
        "spec": {
            "sources": { "names": ["app"] }, "schedule": { "interval": "1m" },
            "action": { "name": "run" },
        },
    }))
    .unwrap();
    let source: GitRepo = serde_json::from_value(json!({
        "apiVersion": API, "kind": "GitRepo", "metadata": { "name": "app", "namespace": APPS },
        "spec": {
            "repoUri": "https://git.test/app",
            "authConfig": { "type": "token", "secretRef": { "name": "cred" } },
        },
    }))
    .unwrap();
    let run: Run = serde_json::from_value(json!({
        "id": "ffa74afq7run26ev", "source": "app", "reason": "Changed", "phase": "Pending",
        "commit": "b".repeat(40),
    }))
    .unwrap();
    let plan = Plan::of_schedule(&ClusterName::hub(), &trigger).unwrap();
    let source = Source::of(SourceKind::GitRepo, "app", &source.spec).unwrap();
    let built = job::build(&JobInput {
        plan: &plan,
        run: &run,
        action: &job::Action::of(action).unwrap(),
        source: &source,
        settings: &JobSettings::default(),
        cloner_env: &[("GER_CLONE_URI".to_owned(), "https://git.test/app".to_owned())],
        shard_transitions: Some(1),
        trace: Some(trace::of_run(&run.id)),
    });
    built.unwrap().job
}

fn trial() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// Applies an Action, and tries its Job and the Pod of it.
async fn try_job(client: &Client, name: &str, job: &Value) {
    let action: Action = serde_json::from_value(json!({
        "apiVersion": API, "kind": "Action", "metadata": { "name": name, "namespace": APPS },
        "spec": { "actionJob": job },
    }))
    .unwrap();
    let actions: Api<Action> = Api::namespaced(client.clone(), APPS);
    let stored = actions.create(&PostParams::default(), &action).await;
    let stored = stored.unwrap_or_else(|error| panic!("the Action {name} is refused: {error}"));
    let job = job_of(&stored);

    let jobs: Api<Job> = Api::namespaced(client.clone(), APPS);
    let made = jobs.create(&trial(), &job).await;
    made.unwrap_or_else(|error| panic!("the Job of {name} is refused: {error}"));

    // What is to be taken there by other admission is taken out; the rest is the Pod's own.
    let mut pod = job.spec.unwrap().template;
    let spec = pod.spec.as_mut().unwrap();
    spec.service_account_name = None;
    spec.priority_class_name = None;
    spec.runtime_class_name = None;
    let metadata = pod.metadata.get_or_insert_default();
    metadata.name = Some("pod".to_owned());
    let pod = Pod { metadata: metadata.clone(), spec: pod.spec, status: None };
    let pods: Api<Pod> = Api::namespaced(client.clone(), "restricted");
    let made = pods.create(&trial(), &pod).await;
    made.unwrap_or_else(|error| panic!("the Pod of {name} is refused: {error}"));
}

/// Each field alone and all of them together; and the Pods where `restricted` is enforced.
#[test]
fn every_job_of_ours_is_taken_by_the_api_and_by_pod_security_restricted() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let site = world.site("hub").await;
        let client = site.admin();
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": {
            "name": "restricted",
            "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
        }}))
        .unwrap();
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        // Where no controller makes it, somebody must: a Pod has an account.
        let account: ServiceAccount =
            serde_json::from_value(json!({ "metadata": { "name": "default" } })).unwrap();
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "restricted");
        drop(accounts.create(&PostParams::default(), &account).await);

        try_job(&client, "plain", &json!({})).await;
        let mut all = serde_json::Map::new();
        for (name, value) in fields() {
            let mut alone = json!({ name: value });
            if name == "volumeMounts" {
                alone["volumes"] = all["volumes"].clone();
            }
            try_job(&client, &name.to_lowercase(), &alone).await;
            all.insert(name.to_owned(), value);
        }
        try_job(&client, "full", &all.into()).await;
    });
}
