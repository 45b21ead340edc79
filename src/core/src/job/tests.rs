//! What a Job looks like, to the letter; and what an Action cannot make of it.

use ger_api::schedule_trigger::{ActionRef, ConcurrencyPolicy, Reference};
use ger_api::status::{RunPhase, RunReason};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::names::{ClusterName, TriggerKey, TriggerKind, is_subdomain};
use crate::plan::{AuthKind, CredentialKey, Kept, SourceAuth, SourceTls};
use crate::trace;

mod credentials;
mod fields;
mod refused;

const RUN: &str = "ffa74afq7run26ev";

struct Case {
    plan: Plan,
    run: Run,
    source: Source,
    action: ger_api::Action,
    settings: JobSettings,
    env: Vec<(String, String)>,
    trace: Option<trace::Id>,
}

impl Case {
    fn new() -> Self {
        Self {
            plan: plan(),
            run: run(),
            source: Source {
                kind: SourceKind::ClusterGitRepo,
                name: "app".to_owned(),
                uri: "https://git.test/app".to_owned(),
                auth: Some(token("infra")),
                tls: SourceTls::Verify,
                timeout: Duration::from_secs(30),
                cautions: Vec::new(),
            },
            action: action(&json!({})),
            settings: JobSettings {
                cloner_image: "cloner:1".to_owned(),
                worker_image: "worker:1".to_owned(),
                ..JobSettings::default()
            },
            trace: None,
            env: vec![("GER_CLONE_URI".to_owned(), "https://git.test/app".to_owned())],
        }
    }

    fn build(&self) -> Result<Built, WrongConfig> {
        let action = Action::of(&self.action)?;
        build(&JobInput {
            plan: &self.plan,
            run: &self.run,
            action: &action,
            source: &self.source,
            settings: &self.settings,
            cloner_env: &self.env,
            shard_transitions: Some(7),
            trace: self.trace,
        })
    }

    fn json(&self) -> Value {
        serde_json::to_value(self.build().unwrap().job).unwrap()
    }
}

fn plan() -> Plan {
    Plan {
        key: TriggerKey {
            cluster: ClusterName::parse_spoke("edge-1").unwrap(),
            kind: TriggerKind::Schedule,
            namespace: "team".to_owned(),
            name: "deploy.site".to_owned(),
        },
        uid: "0b9a6a0f-6d0e-4d4f-9a51-5d1c8a7e2f10".to_owned(),
        generation: 1,
        sources: vec!["app".to_owned()],
        source_kind: SourceKind::ClusterGitRepo,
        reference: Reference::Branch("main".to_owned()),
        files: None,
        on_change_only: true,
        action: ActionRef { kind: ActionKind::Action, name: "build".to_owned() },
        schedule: None,
        suspend: false,
        hook: None,
        run_at: None,
        concurrency: ConcurrencyPolicy::Allow,
        starting_deadline: None,
        kept: Kept::default(),
    }
}

fn run() -> Run {
    serde_json::from_value(json!({
        "id": RUN, "source": "app", "reason": "Changed", "phase": "Pending",
        "commit": "b".repeat(40), "previousCommit": "a".repeat(40),
    }))
    .unwrap()
}

fn action(spec: &Value) -> ger_api::Action {
    serde_json::from_value(json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "Action",
        "metadata": {"name": "build", "namespace": "team", "uid": "uid-of-the-action"},
        "spec": spec,
    }))
    .unwrap()
}

fn token(namespace: &str) -> SourceAuth {
    SourceAuth {
        kind: AuthKind::Token,
        secret: "cred".to_owned(),
        namespace: Some(namespace.to_owned()),
        keys: vec![CredentialKey { key: "my-token".to_owned(), file: "token" }],
        optional_keys: Vec::new(),
    }
}

fn env<'a>(job: &'a Value, name: &str) -> Option<&'a str> {
    let all = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array()?;
    all.iter().find(|it| it["name"] == name)?["value"].as_str()
}

#[test]
fn a_job_looks_like_this() {
    let job = Case::new().json();

    let labels = json!({
        "app.kubernetes.io/managed-by": "git-events-runner",
        "git-events-runner.rs/action-kind": "Action",
        "git-events-runner.rs/action-name": "build",
        "git-events-runner.rs/run-id": RUN,
        "git-events-runner.rs/source-kind": "ClusterGitRepo",
        "git-events-runner.rs/source-name": "app",
        "git-events-runner.rs/trigger-kind": "ScheduleTrigger",
        "git-events-runner.rs/trigger-name": "deploy.site",
        "git-events-runner.rs/trigger-uid": "0b9a6a0f-6d0e-4d4f-9a51-5d1c8a7e2f10",
    });
    let annotations = json!({
        "git-events-runner.rs/commit": "b".repeat(40),
        "git-events-runner.rs/reason": "Changed",
        "git-events-runner.rs/reference": "branch/main",
        "git-events-runner.rs/shard-transitions": "7",
        "git-events-runner.rs/trigger-name": "deploy.site",
    });
    assert_eq!(
        job["metadata"],
        json!({
            "name": "deploy-site-ffa74afq7run26ev",
            "namespace": "team",
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "Action", "name": "build",
                "uid": "uid-of-the-action", "controller": true,
            }],
        })
    );
    let mut spec = job["spec"].clone();
    let pod = spec["template"]["spec"].take();
    assert_eq!(
        spec,
        json!({
            "suspend": true, "backoffLimit": 0, "parallelism": 1,
            "activeDeadlineSeconds": 3600, "ttlSecondsAfterFinished": 7200,
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": null},
        })
    );
    assert_eq!(pod, golden_pod());
}

fn golden_pod() -> Value {
    let variable = |(name, value): (&str, String)| json!({"name": format!("ACTION_JOB_{name}"), "value": value});
    let env = [
        ("WORKDIR", "/action_workdir".to_owned()),
        ("CLUSTER", "edge-1".to_owned()),
        ("RUN_ID", RUN.to_owned()),
        ("TRIGGER_KIND", "ScheduleTrigger".to_owned()),
        ("TRIGGER_NAME", "deploy.site".to_owned()),
        ("TRIGGER_NAMESPACE", "team".to_owned()),
        ("TRIGGER_REASON", "Changed".to_owned()),
        ("TRIGGER_SOURCE_KIND", "ClusterGitRepo".to_owned()),
        ("TRIGGER_SOURCE_NAME", "app".to_owned()),
        ("TRIGGER_SOURCE_COMMIT", "b".repeat(40)),
        ("TRIGGER_SOURCE_PREVIOUS_COMMIT", "a".repeat(40)),
        ("TRIGGER_SOURCE_REF_TYPE", "branch".to_owned()),
        ("TRIGGER_SOURCE_REF_NAME", "main".to_owned()),
    ];
    json!({
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "action-workdir", "emptyDir": {}},
            {"name": "git-events-runner-credentials", "secret": {
                "secretName": "deploy-site-ffa74afq7run26ev", "optional": false, "defaultMode": 0o440,
                "items": [{"key": "token", "path": "token"}],
            }},
        ],
        "initContainers": [{
            "name": "action-cloner",
            "image": "cloner:1",
            "args": [
                "--kind", "ClusterGitRepo", "--source", "app", "--destination", "/action_workdir",
                "--commit", "b".repeat(40),
            ],
            "env": [{"name": "GER_CLONE_URI", "value": "https://git.test/app"}],
            "volumeMounts": [
                {"name": "action-workdir", "mountPath": "/action_workdir"},
                {
                    "name": "git-events-runner-credentials", "readOnly": true,
                    "mountPath": "/etc/git-events-runner/credentials",
                },
            ],
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }],
        "containers": [{
            "name": "action-worker",
            "image": "worker:1",
            "workingDir": "/action_workdir",
            "env": env.map(variable),
            "volumeMounts": [{"name": "action-workdir", "mountPath": "/action_workdir"}],
            "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            },
        }],
    })
}

#[test]
fn a_job_says_which_trace_tells_of_its_run_where_there_is_one() {
    let mut case = Case::new();
    case.trace = Some(trace::of_run(RUN));

    let job = case.json();

    let named = &job["metadata"]["annotations"][trace::TRACE_ID];
    assert_eq!(*named, "bba2171ee39042c87d3b783504c7f01f");
    assert_eq!(job["spec"]["template"]["metadata"]["annotations"][trace::TRACE_ID], *named);
}

#[test]
fn an_action_says_how_its_jobs_look() {
    let mut case = Case::new();
    case.action = action(&json!({"actionJob": {
        "workdir": "/src", "clonerImage": "cloner:2", "actionImage": "worker:2",
        "command": "make", "args": ["-j", "2"], "serviceAccount": "builder",
        "nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "spot"}],
        "ttlSecondsAfterFinished": 1, "activeDeadlineSeconds": 2, "jobWaitingTimeoutSeconds": 3,
        "enableClonerDebug": true, "preserveGitFolder": true,
    }}));

    let job = case.json();

    let pod = &job["spec"]["template"]["spec"];
    let (cloner, worker) = (&pod["initContainers"][0], &pod["containers"][0]);
    assert_eq!(
        (&job["spec"]["ttlSecondsAfterFinished"], &job["spec"]["activeDeadlineSeconds"]),
        (&json!(1), &json!(2))
    );
    assert_eq!((&cloner["image"], &worker["image"]), (&json!("cloner:2"), &json!("worker:2")));
    assert_eq!((&worker["command"], &worker["args"]), (&json!(["make"]), &json!(["-j", "2"])));
    assert_eq!(
        (&worker["workingDir"], env(&job, "ACTION_JOB_WORKDIR")),
        (&json!("/src"), Some("/src"))
    );
    assert_eq!(
        (&pod["serviceAccountName"], &pod["nodeSelector"]),
        (&json!("builder"), &json!({"disk": "fast"}))
    );
    let flags: Vec<_> = cloner["args"].as_array().unwrap()[8..].to_vec();
    assert_eq!(flags, ["--preserve-git-folder", "--debug"]);
    let timeout = Action::of(&case.action).unwrap().waiting_timeout(&case.settings);
    assert_eq!(timeout, Duration::from_secs(3));
}

#[test]
fn an_override_is_cloned_in_place_of_the_source_that_changed() {
    let mut case = Case::new();
    case.action = action(&json!({"sourceOverride": {
        "kind": "GitRepo", "name": "scripts", "reference": {"tag": "v1"},
    }}));
    let mismatch = case.build().unwrap_err();
    case.source.kind = SourceKind::GitRepo;
    case.source.name = "scripts".to_owned();

    let job = case.json();

    assert_eq!(mismatch.reason, Reason::InvalidObject);
    let args = &job["spec"]["template"]["spec"]["initContainers"][0]["args"];
    assert_eq!(
        args,
        &json!([
            "--kind",
            "GitRepo",
            "--source",
            "scripts",
            "--destination",
            "/action_workdir",
            "--tag",
            "v1"
        ])
    );
    for (name, value) in [
        ("ACTION_JOB_TRIGGER_SOURCE_NAME", "app"),
        ("ACTION_JOB_ACTION_SOURCE_KIND", "GitRepo"),
        ("ACTION_JOB_ACTION_SOURCE_NAME", "scripts"),
        ("ACTION_JOB_ACTION_SOURCE_NAMESPACE", "team"),
        ("ACTION_JOB_ACTION_SOURCE_REF_TYPE", "tag"),
        ("ACTION_JOB_ACTION_SOURCE_REF_NAME", "v1"),
    ] {
        assert_eq!(env(&job, name), Some(value));
    }
    assert_eq!(env(&job, "ACTION_JOB_TRIGGER_SOURCE_NAMESPACE"), None);
}

#[test]
fn an_override_names_no_range_of_versions() {
    let mut case = Case::new();
    case.action = action(&json!({"sourceOverride": {
        "kind": "ClusterGitRepo", "name": "app", "reference": {"semver": "1.x"},
    }}));

    assert_eq!(case.build().unwrap_err().reason, Reason::InvalidAction);
}

#[test]
fn a_range_of_versions_is_told_as_the_tag_that_it_chose() {
    let mut case = Case::new();
    case.plan.reference = Reference::Semver("1.x".to_owned());
    case.run.tag = Some("v1.4.2".to_owned());

    let job = case.json();

    assert_eq!(env(&job, "ACTION_JOB_TRIGGER_SOURCE_REF_TYPE"), Some("tag"));
    assert_eq!(env(&job, "ACTION_JOB_TRIGGER_SOURCE_REF_NAME"), Some("v1.4.2"));
    let annotations = &job["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["git-events-runner.rs/reference"], "tag/v1.4.2");
    let args = &job["spec"]["template"]["spec"]["initContainers"][0]["args"];
    assert_eq!(args.as_array().unwrap()[6..8], [json!("--commit"), json!("b".repeat(40))]);
}

#[test]
fn an_action_cannot_set_what_is_ours() {
    let mut case = Case::new();
    let theirs = json!({
        "team": "web", "app.kubernetes.io/managed-by": "me",
        "git-events-runner.rs/run-id": "another", "git-events-runner.rs/withdrawn": "true",
    });
    case.action = action(&json!({"actionJob": {"labels": theirs, "annotations": theirs}}));

    let job = case.json();

    for metadata in [&job["metadata"], &job["spec"]["template"]["metadata"]] {
        let labels = &metadata["labels"];
        assert_eq!(labels["team"], "web");
        assert_eq!(labels[RUN_ID], RUN);
        assert_eq!(labels[MANAGED_BY], MANAGER);
        assert_eq!(metadata["annotations"][WITHDRAWN], Value::Null);
        assert_eq!(labels[WITHDRAWN], Value::Null);
    }
}

/// Kueue starts what has its label, and nothing may start that the ledger does not hold yet.
#[test]
fn a_queue_of_kueue_is_kept_until_the_job_may_start() {
    let mut case = Case::new();
    let labels = json!({KUEUE_QUEUE: "batch", "kueue.x-k8s.io/priority-class": "low"});
    case.action = action(&json!({"actionJob": {"labels": labels}}));

    let job = case.json();

    for metadata in [&job["metadata"], &job["spec"]["template"]["metadata"]] {
        assert_eq!(metadata["labels"][KUEUE_QUEUE], Value::Null);
        assert_eq!(metadata["labels"]["kueue.x-k8s.io/priority-class"], "low");
        assert_eq!(metadata["annotations"][ASKED_QUEUE], "batch");
    }
}

#[test]
fn a_workdir_that_reaches_elsewhere_is_refused() {
    for workdir in
        ["", "relative", "/", "/etc", "/etc/git-events-runner", "/a/../etc", "/a:b", CREDENTIALS]
    {
        let mut case = Case::new();
        case.action = action(&json!({"actionJob": {"workdir": workdir}}));

        assert_eq!(case.build().unwrap_err().reason, Reason::InvalidAction, "{workdir}");
    }
}

#[test]
fn a_run_without_a_commit_has_no_job() {
    let mut case = Case::new();
    case.run.commit = None;
    case.run.phase = RunPhase::Requested;
    case.run.reason = RunReason::Manual;

    assert!(case.build().is_err());
}

#[test]
fn what_is_passed_on_is_not_expanded() {
    let mut case = Case::new();
    case.plan.reference = Reference::Branch("$(PATH)".to_owned());

    assert_eq!(env(&case.json(), "ACTION_JOB_TRIGGER_SOURCE_REF_NAME"), Some("$$(PATH)"));
}

#[test]
fn a_job_is_recognised_by_its_labels() {
    let labels = Case::new().build().unwrap().job.metadata.labels.unwrap();

    assert!(is_of_run(&labels, &plan().uid, RUN));
    assert!(!is_of_run(&labels, "another", RUN));
    assert!(!is_of_run(&labels, &plan().uid, "another"));
    assert!(!is_of_run(&BTreeMap::new(), &plan().uid, RUN));
}

#[test]
fn a_cluster_action_owns_its_jobs_too() {
    let action: ger_api::ClusterAction = serde_json::from_value(json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "ClusterAction",
        "metadata": {"name": "build", "uid": "u"}, "spec": {"actionJob": null},
    }))
    .unwrap();

    let action = Action::of_cluster(&action).unwrap();

    assert_eq!(owner(&action).kind, "ClusterAction");
}

proptest! {
    /// With a pod's suffix of six characters behind it, a name must fit into a label.
    #[test]
    fn a_job_s_name_is_always_a_name(trigger in "[a-z0-9]([-.a-z0-9]{0,250}[a-z0-9])?") {
        prop_assume!(is_subdomain(&trigger));

        let name = name_of(&trigger, RUN);

        prop_assert!(is_subdomain(&name) && !name.contains('.'), "{}", name);
        prop_assert!(name.len() <= 57, "{}", name);
    }

    #[test]
    fn a_label_s_value_is_always_one(name in "[a-z0-9]([-.a-z0-9]{0,250}[a-z0-9])?") {
        let value = label_value(&name);

        let ends = |it: char| it.is_ascii_alphanumeric();
        prop_assert!(value.len() <= 63);
        prop_assert!(value.starts_with(ends) && value.ends_with(ends), "{}", value);
        prop_assert_eq!(value == name, name.len() <= 63);
    }
}
