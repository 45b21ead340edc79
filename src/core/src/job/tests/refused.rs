//! What an Action cannot have: what is ours, and what would lead out of its Pod.

use super::*;

fn refusal(job: &Value) -> String {
    let mut case = Case::new();
    case.action = action(&json!({ "actionJob": job }));
    let refused = case.build().unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidAction, "{refused}");
    refused.message
}

#[test]
fn what_is_called_like_one_of_ours_is_refused_by_name() {
    let mount = |name: &str| json!({"name": name, "mountPath": "/x"});
    let own = json!({"secretName": "deploy-site-ffa74afq7run26ev"});
    let own_key = json!({"name": "deploy-site-ffa74afq7run26ev", "key": "token"});
    let projected = json!({"sources": [{"secret": {"name": "deploy-site-ffa74afq7run26ev"}}]});
    for (job, named) in [
        (json!({"volumes": [{"name": "action-workdir", "emptyDir": {}}]}), "action-workdir"),
        (
            json!({"volumes": [{"name": "git-events-runner-credentials", "emptyDir": {}}]}),
            "git-events-runner-credentials",
        ),
        (json!({"volumeMounts": [mount("action-workdir")]}), "action-workdir"),
        (
            json!({"volumeMounts": [mount("git-events-runner-credentials")]}),
            "git-events-runner-credentials",
        ),
        (json!({"volumeMounts": [mount("nothing")]}), "nothing"),
        (json!({"env": [{"name": "ACTION_JOB_RUN_ID", "value": "x"}]}), "ACTION_JOB_RUN_ID"),
        (
            json!({"env": [{"name": "ACTION_JOB_ACTION_SOURCE_KIND", "value": "x"}]}),
            "ACTION_JOB_ACTION_SOURCE_KIND",
        ),
        (json!({"volumes": [{"name": "x", "secret": own}]}), "deploy-site-ffa74afq7run26ev"),
        (
            json!({"volumes": [{"name": "x", "projected": projected}]}),
            "deploy-site-ffa74afq7run26ev",
        ),
        (
            json!({"env": [{"name": "X", "valueFrom": {"secretKeyRef": own_key}}]}),
            "deploy-site-ffa74afq7run26ev",
        ),
        (
            json!({"envFrom": [{"secretRef": {"name": "deploy-site-ffa74afq7run26ev"}}]}),
            "deploy-site-ffa74afq7run26ev",
        ),
    ] {
        let message = refusal(&job);

        assert!(message.contains(named), "{job}: {message}");
    }
}

/// Each variable that we set is known to be ours, whatever the Job.
#[test]
fn every_variable_of_ours_is_known() {
    let mut case = Case::new();
    case.action = action(&json!({"sourceOverride": {
        "kind": "GitRepo", "name": "scripts", "reference": {"tag": "v1"},
    }}));
    case.source.kind = SourceKind::GitRepo;
    case.source.name = "scripts".to_owned();
    case.plan.source_kind = SourceKind::GitRepo;

    let job = case.json();

    let set = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    assert_eq!(set.len(), 19);
    for variable in set {
        assert!(env::is_ours("ACTION_JOB_", variable["name"].as_str().unwrap()), "{variable}");
    }
    assert!(!env::is_ours("ACTION_JOB_", "ACTION_JOB_TARGET"));
    assert!(!env::is_ours("ACTION_JOB_", "RUN_ID"));
}

/// Who may write an Action is not given the node by it.
#[test]
fn c4_an_action_does_not_lead_out_of_its_pod() {
    for (job, named) in [
        (json!({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}), "hostPath"),
        (json!({"securityContext": {"privileged": true}}), "privileged"),
        (json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}), "SYS_ADMIN"),
        (json!({"securityContext": {"capabilities": {"add": ["ALL"]}}}), "ALL"),
        (json!({"securityContext": {"procMount": "Unmasked"}}), "procMount"),
        (json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}), "Unconfined"),
        (json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}), "Unconfined"),
        (json!({"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}), "seLinuxOptions"),
        (json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}), "hostProcess"),
        (json!({"podSecurityContext": {"windowsOptions": {"hostProcess": true}}}), "hostProcess"),
        (json!({"podSecurityContext": {"seccompProfile": {"type": "Unconfined"}}}), "Unconfined"),
        (json!({"podSecurityContext": {"seLinuxOptions": {"user": "root"}}}), "seLinuxOptions"),
        (
            json!({"podSecurityContext": {"sysctls": [{"name": "kernel.core_pattern", "value": "x"}]}}),
            "kernel.core_pattern",
        ),
        (
            json!({"annotations": {
                "container.apparmor.security.beta.kubernetes.io/action-worker": "unconfined",
            }}),
            "apparmor",
        ),
    ] {
        let message = refusal(&job);

        assert!(message.contains(named) && message.contains("baseline"), "{job}: {message}");
    }
}

/// An Action's Job is where its trigger is, with what is there; a `ClusterAction`'s too.
#[test]
fn c4_nothing_in_an_action_reaches_another_namespace() {
    let mut case = Case::new();
    case.action = action(&json!({"actionJob": {
        "serviceAccount": "builder", "imagePullSecrets": [{"name": "registry"}],
        "labels": {"namespace": "kube-system"},
        "volumes": [{"name": "x", "secret": {"secretName": "kube-system/x"}}],
    }}));

    let job = case.json();

    assert_eq!(job["metadata"]["namespace"], "team");
    assert_eq!(job["spec"]["template"]["metadata"]["namespace"], Value::Null);
    for host in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "nodeName"] {
        assert_eq!(job["spec"]["template"]["spec"][host], Value::Null, "{host}");
    }
}

/// What an operator allows is the namespace's own business.
#[test]
fn an_operator_may_leave_it_to_the_namespaces() {
    let mut case = Case::new();
    case.settings.pod_security = PodSecurity::Privileged;
    case.action = action(&json!({"actionJob": {
        "securityContext": {"privileged": true},
        "volumes": [{"name": "x", "hostPath": {"path": "/"}}],
    }}));

    let job = case.json();

    let worker = &job["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    assert_eq!(worker["privileged"], true);
    // An API server refuses a privileged container that may not escalate.
    assert_eq!(worker["allowPrivilegeEscalation"], Value::Null);
    let cloner = &job["spec"]["template"]["spec"]["initContainers"][0]["securityContext"];
    assert_eq!(cloner["privileged"], Value::Null);
}

/// Whatever an Action asks for, the cloner stays as `restricted` wants it, and has alone what is secret.
#[test]
fn the_cloner_alone_has_the_credentials_whatever_the_action_says() {
    let mut case = Case::new();
    case.action = action(&json!({"actionJob": {
        "podSecurityContext": {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": false},
        "securityContext": {"runAsUser": 0, "allowPrivilegeEscalation": true},
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/etc/git-events-runner"}],
        "env": [{"name": "A", "value": "b"}], "envFrom": [{"configMapRef": {"name": "c"}}],
    }}));

    let job = case.json();

    let pod = &job["spec"]["template"]["spec"];
    let (cloner, worker) = (&pod["initContainers"][0], &pod["containers"][0]);
    assert_eq!(
        cloner["securityContext"],
        json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
            "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000,
        })
    );
    assert!(cloner["volumeMounts"].to_string().contains("git-events-runner-credentials"));
    assert!(!cloner["volumeMounts"].to_string().contains("cache"));
    let seen = worker.to_string();
    assert!(
        !seen.contains("credentials") && !seen.contains("GER_CLONE") && !seen.contains("cred\"")
    );
}
