//! What do the rules refuse, and what of the original's do they let be?

use kube_cel::{Validator, compile_schema, estimate_rule_cost};
use serde_json::{Value, json};

use super::SCHEMAS;
use super::structure::problems;

#[test]
fn what_the_original_accepted_as_uri_is_accepted() {
    for uri in [
        "https://github.com/org/repo.git",
        "http://git.example.com:3000/org/repo",
        "https://host",
        "https://host/a%20b?x=1&y=2",
        "https://under_score.example/x",
        "ssh://git@host:2222/org/repo.git",
        "ssh://host/org/repo",
        "ssh://host",
        "git@github.com:org/repo.git",
        "git@my-host.example:a/b/c-d",
    ] {
        assert_eq!(refusals_of_uri(uri), Vec::<String>::new(), "{uri}");
    }
}

#[test]
fn uris_that_the_original_did_not_know_are_accepted() {
    for uri in [
        "https://host/~user/c++.git",
        "https://[2001:db8::1]:8443/repo",
        "https://host/org/@scope/repo",
        "ssh://host/~/repo",
        "deploy@host:repo.git",
        "git@host:/srv/git/repo.git",
        "git@[::1]:repo",
        "git://host/repo",
        "git://[::1]:9418/srv/repo.git",
    ] {
        assert_eq!(refusals_of_uri(uri), Vec::<String>::new(), "{uri}");
    }
}

#[test]
fn credentials_in_a_uri_are_refused_by_name() {
    for uri in [
        "https://user:password@host/repo",
        "https://token@host/repo",
        "http://@host/repo",
        "ssh://git:password@host/repo",
        "git://user:password@host/repo",
    ] {
        let refusals = refusals_of_uri(uri);

        assert_eq!(refusals.len(), 1, "{uri}: {refusals:?}");
        assert!(refusals[0].contains("credentials"), "{uri}: {refusals:?}");
    }
}

#[test]
fn other_schemes_dashes_and_blanks_are_refused() {
    for uri in [
        "",
        "host/repo",
        "/srv/git/repo",
        "./repo",
        "file:///srv/git/repo",
        "git://-host/repo",
        "ext::sh -c whoami",
        "HTTPS://host/repo",
        "https://",
        "https:///repo",
        "https://-host/repo",
        "https://host?@evil/repo",
        "https://host\\@evil/repo",
        "https://host/a b",
        "https://host/a\nb",
        "https://host:port/repo",
        "ssh://-oProxyCommand=id/repo",
        "ssh://-x@host/repo",
        "-oProxyCommand=id@host:repo",
        "git@-host:repo",
        "git@host:-repo",
        "git@host:",
        "git:password@host:repo",
        "--upload-pack=id",
    ] {
        assert_ne!(refusals_of_uri(uri), Vec::<String>::new(), "{uri}");
    }
}

#[test]
fn authentication_fits_the_scheme() {
    for kind in ["GitRepo", "ClusterGitRepo"] {
        for (uri, auth, fits) in [
            ("https://host/repo", "basic", true),
            ("http://host/repo", "token", true),
            ("https://host/repo", "ssh", false),
            ("ssh://git@host/repo", "ssh", true),
            ("git@host:repo", "ssh", true),
            ("http@host:repo", "ssh", true),
            ("ssh://git@host/repo", "token", false),
            ("git@host:repo", "basic", false),
            ("https://host/repo", "githubApp", true),
            ("ssh://git@host/repo", "githubApp", false),
            ("git://host/repo", "ssh", false),
            ("git://host/repo", "basic", false),
            ("git@host:repo", "ssh", true),
        ] {
            let auth = json!({"type": auth, "secretRef": {"name": "credentials"}});
            let repo = json!({"spec": {"repoUri": uri, "authConfig": auth}});

            assert_eq!(refusals(kind, &repo, None).is_empty(), fits, "{kind} {repo}");
        }
    }
}

#[test]
fn tls_settings_are_refused_only_where_they_ask_for_what_cannot_be() {
    let ca = json!({"caCert": {"secretRef": {"name": "ca"}}});
    for (uri, tls, fits) in [
        ("https://host/repo", ca.clone(), true),
        ("https://host/repo", json!({"noVerifySsl": true}), true),
        ("http://host/repo", json!({"noVerifySsl": false}), true),
        ("http://host/repo", json!({}), true),
        ("http://host/repo", json!({"noVerifySsl": true}), false),
        ("git@host:repo", ca, false),
    ] {
        let repo = json!({"spec": {"repoUri": uri, "tlsConfig": tls}});

        assert_eq!(refusals("GitRepo", &repo, None).is_empty(), fits, "{repo}");
    }
}

#[test]
fn a_timeout_is_legible_and_has_a_default() {
    for kind in ["GitRepo", "ClusterGitRepo"] {
        let timeout = &SCHEMAS[kind]["properties"]["spec"]["properties"]["timeout"];
        assert_eq!(timeout["default"], "30s");
        for (text, legible) in [("30s", true), ("1m 30s", true), ("30", false), ("soon", false)] {
            let repo = json!({"spec": {"repoUri": "https://host/repo", "timeout": text}});

            assert_eq!(refusals(kind, &repo, None).is_empty(), legible, "{kind} {text}");
        }
    }
}

/// A range of versions is resolved by a check; a clone has a commit.
#[test]
fn an_action_clones_no_range_of_versions() {
    let action = |reference: Value| {
        let other = json!({"kind": "ClusterGitRepo", "name": "x", "reference": reference});
        json!({"spec": {"sourceOverride": other}})
    };
    for kind in ["Action", "ClusterAction"] {
        let range = refusals(kind, &action(json!({"semver": "1.x"})), None);

        assert!(!range.is_empty(), "{kind}");
        assert!(refusals(kind, &action(json!({"tag": "v1"})), None).is_empty(), "{kind}");
    }
}

/// What is in no namespace cannot name what is in one.
#[test]
fn a_cluster_action_names_no_git_repo() {
    let action = |source: &str| {
        let other = json!({"kind": source, "name": "x", "reference": {"branch": "main"}});
        json!({"spec": {"sourceOverride": other}})
    };
    for (kind, source, fits) in [
        ("Action", "GitRepo", true),
        ("Action", "ClusterGitRepo", true),
        ("ClusterAction", "GitRepo", false),
        ("ClusterAction", "ClusterGitRepo", true),
    ] {
        let refused = refusals(kind, &action(source), None);

        assert_eq!(refused.is_empty(), fits, "{kind} {source}: {refused:?}");
    }
}

#[test]
fn a_mount_names_a_volume() {
    let action = |mount: &str| {
        json!({"spec": {"actionJob": {
            "volumes": [{"name": "cache", "emptyDir": {}}],
            "volumeMounts": [{"name": mount, "mountPath": "/cache"}],
        }}})
    };
    for kind in ["Action", "ClusterAction"] {
        let other = refusals(kind, &action("other"), None);

        assert_eq!(other, ["volumeMounts must name what volumes has"], "{kind}");
        assert!(refusals(kind, &action("cache"), None).is_empty(), "{kind}");
    }
}

#[test]
fn a_new_schedule_must_be_legible() {
    for (schedule, legible) in SCHEDULES {
        let created = trigger(&json_of(schedule));

        let refused = refusals("ScheduleTrigger", &created, None);

        assert_eq!(refused.is_empty(), legible, "{schedule}: {refused:?}");
    }
}

#[test]
fn an_edit_of_a_schedule_must_be_legible() {
    let old = with_status(trigger(&json!({"interval": "1m"})));
    for (schedule, legible) in SCHEDULES {
        let edited = with_status(trigger(&json_of(schedule)));

        let refused = refusals("ScheduleTrigger", &edited, Some(&old));

        assert_eq!(refused.is_empty(), legible, "{schedule}: {refused:?}");
    }
}

#[test]
fn what_the_original_stored_never_refuses_a_write_of_the_status() {
    let names: Vec<String> = (0..200).map(|it| format!("repo-{}", it % 100)).collect();
    for schedule in [json!({"interval": "x"}), json!({"cron": ""}), json!({"interval": "0s"})] {
        for names in [json!([]), json!(names)] {
            let mut old = trigger(&schedule);
            old["spec"]["sources"]["names"] = names;
            let new = with_status(old.clone());

            for old in [old, new.clone()] {
                assert_eq!(refusals("ScheduleTrigger", &new, Some(&old)), Vec::<String>::new());
            }
        }
    }
}

#[test]
fn an_interval_is_legible_exactly_where_it_can_be_parsed() {
    for text in [
        "10s",
        "5m",
        "1h 30m",
        "1h30m",
        "2days",
        "100ms",
        "0s",
        "1.5h",
        " 7 d ",
        "3us",
        "3µs",
        "1month",
        "2M",
        "1y",
        "10",
        "s",
        "",
        " ",
        "5 minutes",
        "5 minutes please",
        "-5s",
        "5x",
        "1h,30m",
        "m 5",
        "1.h",
        "1 0s",
    ] {
        let created = trigger(&json!({"interval": text}));
        let legible = refusals("ScheduleTrigger", &created, None).is_empty();

        assert_eq!(legible, humantime::parse_duration(text).is_ok(), "{text:?}");
    }
}

/// Kubernetes refuses a rule whose estimate is over ten million (`StaticEstimatedCostLimit` of
/// apiextensions-apiserver); the crate warns from a tenth of that.
const DEAREST: u64 = 10_000_000;

fn estimated(warning: &str) -> Option<u64> {
    warning.strip_prefix("estimated cost ")?.split(' ').next()?.parse().ok()
}

#[test]
fn rules_compile_and_stay_in_budget() {
    let mut rules = 0;
    for (kind, schema) in SCHEMAS.iter() {
        let mut open = vec![schema];
        while let Some(node) = open.pop() {
            let compiled = compile_schema(node);
            assert!(!compiled.has_errors(), "{kind}: {:?}", compiled.compilation_errors());
            for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
                rules += 1;
                let mut warnings = estimate_rule_cost(rule["rule"].as_str().unwrap(), &compiled);
                warnings.retain(|it| estimated(&it.message).is_none_or(|cost| cost > DEAREST));
                assert!(warnings.is_empty(), "{kind}: {warnings:?}");
                assert!(!rule["message"].as_str().unwrap().contains('\n'), "{kind}: {rule}");
            }
            open.extend(node["properties"].as_object().into_iter().flat_map(|it| it.values()));
        }
    }
    assert_eq!(rules, 16);
}

const SCHEDULES: [(&str, bool); 15] = [
    (r#"{"interval":"10s"}"#, true),
    (r#"{"interval":"1h 30m"}"#, true),
    (r#"{"interval":"10ms"}"#, true),
    (r#"{"interval":"10"}"#, false),
    (r#"{"interval":""}"#, false),
    (r#"{"interval":"soon"}"#, false),
    (r#"{"cron":"*/5 * * * *"}"#, true),
    (r#"{"cron":"TZ=Europe/Berlin 0 30 4 ? JAN-MAR MON#1 2026-2030"}"#, true),
    (r#"{"cron":"tz=UTC @daily"}"#, true),
    (r#"{"cron":"0 0 L * *"}"#, true),
    (r#"{"cron":"@hourly"}"#, true),
    (r#"{"cron":"* * * *"}"#, false),
    (r#"{"cron":"* * * * * * * *"}"#, false),
    (r#"{"cron":"every day"}"#, false),
    (r#"{"cron":""}"#, false),
];

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn trigger(schedule: &Value) -> Value {
    json!({"spec": {
        "sources": {"names": ["repo"]},
        "schedule": schedule,
        "action": {"name": "action"},
    }})
}

fn with_status(mut object: Value) -> Value {
    object["status"] = json!({"state": "Idle", "lastRun": "Never"});
    object
}

fn refusals_of_uri(uri: &str) -> Vec<String> {
    refusals("GitRepo", &json!({"spec": {"repoUri": uri}}), None)
}

/// What schema and rules say against an object, as it is created or as it replaces an old one.
fn refusals(kind: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    let schema = &SCHEMAS[kind];
    let mut found = problems(schema, object);
    if let Err(errors) = Validator::new().validate(schema, object, old) {
        found.extend(errors.into_vec().into_iter().map(|it| it.message));
    }
    found
}
