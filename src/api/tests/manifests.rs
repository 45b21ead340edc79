//! Do manifests and objects of the original read as they meant, and is nothing of a status lost?

use ger_api::action::{ActionJob, ClusterSourceKind};
use ger_api::git_repo::{AuthKeys, AuthKind};
use ger_api::schedule_trigger::{ActionKind, Reference, Schedule, SourceKind, WatchOn};
use ger_api::status::{RunPhase, TriggerState};
use ger_api::{
    Action, ClusterAction, ClusterGitRepo, GitRepo, ScheduleTrigger, TriggerStatus, WebhookTrigger,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[test]
fn a_repository_needs_no_more_than_its_uri() {
    let repo: GitRepo = read("GitRepo", "repoUri: https://github.com/org/repo.git");

    assert_eq!(repo.spec.repo_uri, "https://github.com/org/repo.git");
    assert_eq!(repo.spec.tls_config, None);
    assert_eq!(repo.spec.auth_config, None);
}

#[test]
fn keys_of_secrets_have_defaults() {
    let spec = "
  repoUri: https://git.example.com/org/repo.git
  tlsConfig:
    caCert:
      secretRef: {name: ca}
  authConfig:
    type: basic
    secretRef: {name: credentials}";
    let repo: GitRepo = read("GitRepo", spec);

    let tls = repo.spec.tls_config.unwrap();
    assert!(!tls.no_verify_ssl);
    assert_eq!(tls.ca_cert.unwrap().key, "ca.crt");
    let auth = repo.spec.auth_config.unwrap();
    assert_eq!(auth.kind, AuthKind::Basic);
    assert_eq!(auth.secret_ref.namespace, None);
    assert_eq!(auth.keys, AuthKeys::default());
    assert_eq!(auth.keys.private_key, "ssh-privatekey");
    assert_eq!(repo.spec.timeout, "30s");
}

#[test]
fn the_keys_of_an_app_and_of_a_known_host_have_defaults_too() {
    let spec = "
  repoUri: https://github.com/org/repo.git
  timeout: 2m
  authConfig:
    type: githubApp
    secretRef: {name: app}
    keys: {appId: id, apiUrl: api}";
    let repo: GitRepo = read("GitRepo", spec);

    let auth = repo.spec.auth_config.unwrap();
    assert_eq!(auth.kind, AuthKind::GithubApp);
    assert_eq!((auth.keys.app_id.as_str(), auth.keys.api_url.as_str()), ("id", "api"));
    assert_eq!(auth.keys.installation_id, "installationId");
    assert_eq!(auth.keys.app_private_key, "appPrivateKey");
    assert_eq!(auth.keys.passphrase, "passphrase");
    assert_eq!(auth.keys.known_hosts, "known_hosts");
    assert_eq!(repo.spec.timeout, "2m");
}

#[test]
fn one_key_of_a_secret_may_be_named_alone() {
    let spec = "
  repoUri: git@github.com:org/repo.git
  authConfig:
    type: ssh
    secretRef: {name: deploy-key, namespace: secrets}
    keys: {privateKey: id_ed25519}";
    let repo: ClusterGitRepo = read("ClusterGitRepo", spec);

    let auth = repo.spec.repo.auth_config.unwrap();
    assert_eq!(auth.kind, AuthKind::Ssh);
    assert_eq!(auth.secret_ref.namespace.as_deref(), Some("secrets"));
    assert_eq!(auth.keys.private_key, "id_ed25519");
    assert_eq!(auth.keys.token, "token");
}

#[test]
fn a_schedule_trigger_watches_changes_of_main_by_default() {
    let spec = "
  sources: {names: [repo-1, repo-1]}
  schedule: {interval: 1h 30m}
  action: {name: build}";
    let trigger: ScheduleTrigger = read("ScheduleTrigger", spec);

    let sources = trigger.spec.sources;
    assert_eq!(sources.kind, SourceKind::GitRepo);
    assert_eq!(sources.names, ["repo-1", "repo-1"]);
    assert_eq!(sources.watch_on, WatchOn::default());
    assert!(sources.watch_on.on_change_only);
    assert_eq!(sources.watch_on.reference, Reference::Branch("main".to_owned()));
    assert_eq!(trigger.spec.schedule, Schedule::Interval("1h 30m".to_owned()));
    assert_eq!(trigger.spec.action.kind, ActionKind::Action);
    assert_eq!(trigger.spec.time_zone, None);
    assert!(!trigger.spec.suspend);
}

#[test]
fn a_schedule_trigger_with_everything_reads_as_it_says() {
    let spec = "
  sources:
    kind: ClusterGitRepo
    names: [a, b]
    watchOn:
      onChangeOnly: false
      reference: {tag: v1.2.3}
      files: ['**/*.tf', '!test/**']
  schedule: {cron: TZ=Europe/Berlin 0 4 * * *}
  timeZone: Europe/Paris
  suspend: true
  action: {kind: ClusterAction, name: apply}";
    let trigger: ScheduleTrigger = read("ScheduleTrigger", spec);

    let watch_on = trigger.spec.sources.watch_on;
    assert!(!watch_on.on_change_only);
    assert_eq!(watch_on.reference, Reference::Tag("v1.2.3".to_owned()));
    assert_eq!(watch_on.files.unwrap(), ["**/*.tf", "!test/**"]);
    assert_eq!(trigger.spec.sources.kind, SourceKind::ClusterGitRepo);
    assert_eq!(trigger.spec.schedule, Schedule::Cron("TZ=Europe/Berlin 0 4 * * *".to_owned()));
    assert_eq!(trigger.spec.action.kind, ActionKind::ClusterAction);
    assert_eq!(trigger.spec.time_zone.as_deref(), Some("Europe/Paris"));
    assert!(trigger.spec.suspend);
}

#[test]
fn a_webhook_trigger_is_closed_to_calls_for_all_sources_by_default() {
    let spec = "
  sources: {names: [repo], watchOn: {reference: {commit: 0123456789abcdef}}}
  webhook:
    authConfig: {secretRef: {name: hook}, key: token}
  action: {name: build}";
    let trigger: WebhookTrigger = read("WebhookTrigger", spec);

    assert!(!trigger.spec.webhook.multi_source);
    let auth = trigger.spec.webhook.auth_config.unwrap();
    assert_eq!((auth.secret_ref.name.as_str(), auth.key.as_str()), ("hook", "token"));
    assert_eq!(auth.header, None);
    assert!(trigger.spec.sources.watch_on.on_change_only);
}

#[test]
fn an_action_may_be_empty() {
    for spec in ["{}", "{actionJob: null}", "{actionJob: null, sourceOverride: null}"] {
        let action: Action = read("Action", spec);

        assert_eq!(action.spec.action_job, None, "{spec}");
        assert_eq!(action.spec.source_override, None, "{spec}");
    }
    let action: Action = read("Action", "{actionJob: {}}");
    assert_eq!(action.spec.action_job, Some(ActionJob::default()));
}

#[test]
fn a_command_is_a_list_or_a_string_alone() {
    for (text, words) in [
        ("[/bin/sh, -c]", Some(vec!["/bin/sh", "-c"])),
        ("/bin/sh", Some(vec!["/bin/sh"])),
        ("null", None),
    ] {
        let action: Action = read("Action", &format!("{{actionJob: {{command: {text}}}}}"));

        let command = action.spec.action_job.unwrap().command;
        assert_eq!(command, words.map(|it| it.into_iter().map(str::to_owned).collect()), "{text}");
    }
}

#[test]
fn an_action_with_everything_reads_as_it_says() {
    let spec = "
  sourceOverride: {kind: ClusterGitRepo, name: scripts, reference: {branch: stable}}
  actionJob:
    workdir: /work
    clonerImage: cloner:1
    actionImage: worker:1
    args: [--verbose]
    serviceAccount: builder
    labels: {team: a}
    annotations: {note: b}
    tolerations: [{key: dedicated, operator: Exists}]
    affinity: {nodeAffinity: {}}
    nodeSelector: {disk: ssd}
    ttlSecondsAfterFinished: 60
    activeDeadlineSeconds: 600
    jobWaitingTimeoutSeconds: 30
    enableClonerDebug: true
    preserveGitFolder: true";
    let action: ClusterAction = read("ClusterAction", spec);

    let source = action.spec.source_override.unwrap();
    assert_eq!(source.kind, ClusterSourceKind::ClusterGitRepo);
    assert_eq!(source.reference, Reference::Branch("stable".to_owned()));
    let job = action.spec.action_job.unwrap();
    assert_eq!(job.tolerations.unwrap()[0].key.as_deref(), Some("dedicated"));
    assert!(job.affinity.unwrap().node_affinity.is_some());
    assert_eq!(job.ttl_seconds_after_finished, Some(60));
    assert_eq!(job.active_deadline_seconds, Some(600));
    assert_eq!(job.job_waiting_timeout_seconds, Some(30));
    assert!(job.enable_cloner_debug && job.preserve_git_folder);
}

/// A real API server drops such a null; a manifest that is read from a file still has it.
#[test]
fn null_means_absent_wherever_a_field_may_be_absent() {
    let repo: GitRepo = read(
        "GitRepo",
        "
  repoUri: https://host/repo
  tlsConfig: null
  timeout: null
  authConfig: {type: token, secretRef: {name: x, namespace: null}, keys: null}",
    );
    assert_eq!(repo.spec.auth_config.unwrap().keys, AuthKeys::default());

    let trigger: ScheduleTrigger = read(
        "ScheduleTrigger",
        "
  sources: {kind: null, names: [a], watchOn: {onChangeOnly: null, reference: null, files: null}}
  schedule: {interval: 5m}
  timeZone: null
  suspend: null
  action: {kind: null, name: b}",
    );
    assert_eq!(trigger.spec.sources.watch_on, WatchOn::default());

    let trigger: WebhookTrigger = read(
        "WebhookTrigger",
        "
  sources: {names: [a], watchOn: null}
  webhook: {multiSource: null, authConfig: null}
  action: {name: b}",
    );
    assert_eq!(trigger.spec.sources.watch_on, WatchOn::default());
    assert!(!trigger.spec.webhook.multi_source);
}

#[test]
fn a_range_of_versions_is_a_reference() {
    let range: Reference = serde_json::from_value(json!({"semver": ">=1.2 <2"})).unwrap();

    assert_eq!(range, Reference::Semver(">=1.2 <2".to_owned()));
}

#[test]
fn two_references_are_refused() {
    let two = json!({"branch": "main", "tag": "v1"});

    assert!(serde_json::from_value::<Reference>(two).is_err());
}

#[test]
fn a_status_of_the_original_is_understood() {
    let status: TriggerStatus = serde_json::from_value(json!({
        "state": "Idle",
        "lastRun": "Never",
        "checkedSources": {
            "repo": {
                "commitHash": "0123",
                "fileHash": null,
                "changed": "2025-02-15T10:00:00Z",
            },
        },
    }))
    .unwrap();

    assert_eq!(status.state, TriggerState::Idle);
    assert_eq!(status.last_run, None);
    let source = &status.checked_sources["repo"];
    assert_eq!(source.commit_hash.as_deref(), Some("0123"));
    assert_eq!(source.changed, Some("2025-02-15T10:00:00Z".parse().unwrap()));
    let written = serde_json::to_value(&status).unwrap();
    assert_eq!(written.get("lastRun"), None, "`Never` is not written again");
}

#[test]
fn fields_of_a_newer_release_survive_in_a_status() {
    let newer = json!({
        "state": "Running",
        "lastRun": "2026-01-02T03:04:05Z",
        "checkedSources": {"repo": {"commitHash": "0123", "etag": "x"}},
        "sequence": 7,
        "observedGeneration": 2,
        "runs": [{
            "id": "r1", "source": "repo", "reason": "Changed", "phase": "Queued",
            "commit": "0123", "retries": {"count": 2},
        }],
        "quota": [1, 2],
    });

    let status: TriggerStatus = serde_json::from_value(newer.clone()).unwrap();

    assert_eq!(status.runs[0].phase, RunPhase::Queued);
    assert_eq!(serde_json::to_value(&status).unwrap(), newer);
}

#[test]
fn an_empty_status_is_idle() {
    for empty in [json!({}), json!({"state": null, "checkedSources": null, "runs": null})] {
        let status: TriggerStatus = serde_json::from_value(empty).unwrap();

        assert_eq!(status, TriggerStatus::default());
    }
}

/// Reads a manifest with the spec given, as YAML.
fn read<T: DeserializeOwned>(kind: &str, spec: &str) -> T {
    let spec = if spec.starts_with(['{', '\n']) { spec.to_owned() } else { format!("\n  {spec}") };
    let manifest = format!(
        "apiVersion: git-events-runner.rs/v1alpha1\nkind: {kind}\nmetadata:\n  name: x\nspec: {spec}\n"
    );
    let value: Value = serde_saphyr::from_str(&manifest).expect("the manifest is YAML");
    serde_json::from_value(value).expect("the manifest is of the kind")
}
