//! What does each field of an Action make different in its Job, alone and together with all others?

use super::*;

/// The Pod of a Job.
const POD: &str = "/spec/template/spec";
/// The init container.
const CLONER: &str = "/spec/template/spec/initContainers/0";
/// The container that works.
const WORKER: &str = "/spec/template/spec/containers/0";

/// A field with a value, and all that is different in the Job by it.
struct Field {
    name: &'static str,
    value: Value,
    changes: Vec<(String, Value)>,
}

fn field<const N: usize>(
    name: &'static str,
    value: Value,
    changes: [(&str, &str, Value); N],
) -> Field {
    let changes =
        changes.into_iter().map(|(place, path, value)| (format!("{place}{path}"), value)).collect();
    Field { name, value, changes }
}

/// All of them, with values that are allowed together.
fn fields() -> Vec<Field> {
    let mut all = of_the_original();
    all.extend(of_containers());
    all.extend(of_the_pod());
    all
}

fn of_the_original() -> Vec<Field> {
    let both = |at: &'static str, value: Value| {
        [("", "/metadata", value.clone()), ("", "/spec/template/metadata", value)]
            .map(|(none, place, value)| (none, format!("{place}{at}"), value))
    };
    let [job, pod] = both("/labels/team", json!("web"));
    let labels = [("", job.1.as_str(), job.2.clone()), ("", pod.1.as_str(), pod.2.clone())];
    let [job, pod] = both("/annotations/note", json!("n"));
    let annotations = [("", job.1.as_str(), job.2.clone()), ("", pod.1.as_str(), pod.2.clone())];
    let toleration = json!([{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}]);
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [
            {"key": "zone", "operator": "In", "values": ["a", "b"]},
        ]}],
    }}});
    let spec = "/spec";
    vec![
        field(
            "workdir",
            json!("/src"),
            [
                (CLONER, "/args/5", json!("/src")),
                (CLONER, "/volumeMounts/0/mountPath", json!("/src")),
                (WORKER, "/env/0/value", json!("/src")),
                (WORKER, "/volumeMounts/0/mountPath", json!("/src")),
                (WORKER, "/workingDir", json!("/src")),
            ],
        ),
        field("clonerImage", json!("cloner:2"), [(CLONER, "/image", json!("cloner:2"))]),
        field("actionImage", json!("worker:2"), [(WORKER, "/image", json!("worker:2"))]),
        field("command", json!(["make"]), [(WORKER, "/command", json!(["make"]))]),
        field("args", json!(["-j", "2"]), [(WORKER, "/args", json!(["-j", "2"]))]),
        field("serviceAccount", json!("builder"), [(POD, "/serviceAccountName", json!("builder"))]),
        field("labels", json!({"team": "web"}), labels),
        field("annotations", json!({"note": "n"}), annotations),
        field("tolerations", toleration.clone(), [(POD, "/tolerations", toleration)]),
        field("affinity", affinity.clone(), [(POD, "/affinity", affinity)]),
        field(
            "nodeSelector",
            json!({"disk": "fast"}),
            [(POD, "/nodeSelector", json!({"disk": "fast"}))],
        ),
        field("ttlSecondsAfterFinished", json!(1), [(spec, "/ttlSecondsAfterFinished", json!(1))]),
        field("activeDeadlineSeconds", json!(2), [(spec, "/activeDeadlineSeconds", json!(2))]),
        // It says how long the Job waits, which is not in the Job.
        field("jobWaitingTimeoutSeconds", json!(3), []),
        field("enableClonerDebug", json!(true), [(CLONER, "/args/8", json!("--debug"))]),
        field(
            "preserveGitFolder",
            json!(true),
            [(CLONER, "/args/8", json!("--preserve-git-folder"))],
        ),
    ]
}

fn of_containers() -> Vec<Field> {
    let env = json!({"name": "TAG", "value": "v-$(ACTION_JOB_TRIGGER_SOURCE_COMMIT)"});
    let from = json!([{"prefix": "DB_", "secretRef": {"name": "db"}}]);
    let resources = json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "500m"}});
    let mount = json!({"name": "cache", "mountPath": "/cache", "subPath": "web"});
    let volume = json!({"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}});
    vec![
        // Behind ours, which it refers to.
        field("env", json!([env]), [(WORKER, "/env/13", env)]),
        field("envFrom", from.clone(), [(WORKER, "/envFrom", from)]),
        field(
            "resources",
            resources.clone(),
            [(CLONER, "/resources", resources.clone()), (WORKER, "/resources", resources)],
        ),
        field("volumes", json!([volume]), [(POD, "/volumes/2", volume.clone())]),
        // A mount needs its volume.
        Field {
            name: "volumeMounts",
            value: json!([mount]),
            changes: vec![
                (format!("{POD}/volumes/2"), volume),
                (format!("{WORKER}/volumeMounts/1"), mount),
            ],
        },
        field(
            "imagePullPolicy",
            json!("Never"),
            [
                (CLONER, "/imagePullPolicy", json!("Never")),
                (WORKER, "/imagePullPolicy", json!("Never")),
            ],
        ),
        field(
            "securityContext",
            json!({"runAsUser": 0, "capabilities": {"add": ["CHOWN"]}}),
            [
                (WORKER, "/securityContext/capabilities/add", json!(["CHOWN"])),
                (WORKER, "/securityContext/runAsNonRoot", json!(false)),
                (WORKER, "/securityContext/runAsUser", json!(0)),
            ],
        ),
    ]
}

fn of_the_pod() -> Vec<Field> {
    vec![
        field(
            "imagePullSecrets",
            json!([{"name": "registry"}]),
            [(POD, "/imagePullSecrets", json!([{"name": "registry"}]))],
        ),
        field("priorityClassName", json!("low"), [(POD, "/priorityClassName", json!("low"))]),
        field("runtimeClassName", json!("gvisor"), [(POD, "/runtimeClassName", json!("gvisor"))]),
        // The cloner stays an ordinary user.
        field(
            "podSecurityContext",
            json!({"runAsUser": 0, "fsGroup": 2000}),
            [
                (POD, "/securityContext/fsGroup", json!(2000)),
                (POD, "/securityContext/runAsNonRoot", json!(false)),
                (POD, "/securityContext/runAsUser", json!(0)),
                (CLONER, "/securityContext/runAsGroup", json!(1000)),
                (CLONER, "/securityContext/runAsNonRoot", json!(true)),
                (CLONER, "/securityContext/runAsUser", json!(1000)),
                (CLONER, "/securityContext/seccompProfile", json!({"type": "RuntimeDefault"})),
            ],
        ),
        field("backoffLimit", json!(4), [("/spec", "/backoffLimit", json!(4))]),
    ]
}

/// The Job of an Action with these fields.
fn job(fields: &Value) -> Value {
    let mut case = Case::new();
    case.action = action(&json!({ "actionJob": fields }));
    case.json()
}

/// What is different in `new`: by JSON pointer, with what is there now.
fn changes(old: &Value, new: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                let known = old.get(key).unwrap_or(&Value::Null);
                changes(known, value, &format!("{path}/{key}"), found);
            }
            let gone = old.keys().filter(|it| !new.contains_key(*it));
            found.extend(gone.map(|it| (format!("{path}/{it}"), Value::Null)));
        }
        (Value::Array(old), Value::Array(new)) if old.len() <= new.len() => {
            for (index, value) in new.iter().enumerate() {
                let known = old.get(index).unwrap_or(&Value::Null);
                changes(known, value, &format!("{path}/{index}"), found);
            }
        }
        (old, new) if old == new => {}
        (_, new) => found.push((path.to_owned(), new.clone())),
    }
}

#[test]
fn each_field_alone_changes_this_and_nothing_else() {
    let plain = job(&json!({}));
    for Field { name, value, changes: mut expected } in fields() {
        let mut alone = json!({ name: value });
        if name == "volumeMounts" {
            let volume = expected.iter().find(|it| it.0.contains("/volumes/")).unwrap();
            alone["volumes"] = json!([volume.1]);
        }

        let mut found = Vec::new();
        changes(&plain, &job(&alone), "", &mut found);

        found.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, expected, "{name}");
    }
}

/// Whoever adds a field says here what it does.
#[test]
fn no_field_of_the_schema_is_forgotten() {
    for crd in ger_api::crd::all() {
        let kind = crd.spec.names.kind.clone();
        if !kind.ends_with("Action") {
            continue;
        }
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let pointer = "/openAPIV3Schema/properties/spec/properties/actionJob/properties";
        let known: Vec<&str> = fields().iter().map(|it| it.name).collect();

        for name in schema.pointer(pointer).unwrap().as_object().unwrap().keys() {
            assert!(known.contains(&name.as_str()), "{kind}: {name}");
        }
    }
}

/// `GER_UPDATE_GOLDEN=1 cargo test -p ger-core full` writes it anew.
#[test]
fn a_full_action_makes_this_job() {
    let all: serde_json::Map<String, Value> =
        fields().into_iter().map(|it| (it.name.to_owned(), it.value)).collect();

    let job = serde_json::to_string_pretty(&job(&all.into())).unwrap() + "\n";

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/job/tests/full.json");
    if std::env::var_os("GER_UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &job).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(job == golden, "the Job is another than {path} has:\n{job}");
}

/// Images and names of the configuration are in each Job whose Action says nothing else.
#[test]
fn the_configuration_s_defaults_are_in_a_job_whose_action_says_nothing() {
    let mut case = Case::new();
    let before = case.json();
    case.settings = JobSettings {
        default_service_account: Some("deployer".to_owned()),
        active_deadline_seconds: 60,
        ttl_seconds_after_finished: 61,
        workdir: "/work".to_owned(),
        workdir_volume: "work".to_owned(),
        cloner_name: "clone".to_owned(),
        cloner_image: "cloner:3".to_owned(),
        worker_name: "run".to_owned(),
        worker_image: "worker:3".to_owned(),
        variables_prefix: "GIT_".to_owned(),
        ..case.settings
    };

    let mut found = Vec::new();
    changes(&before, &case.json(), "", &mut found);

    let of_env = |(path, _): &(String, Value)| path.contains("/env/");
    assert_eq!(found.extract_if(.., |it| of_env(it)).count(), 14);
    let found: Vec<String> =
        found.into_iter().map(|(path, value)| format!("{path} {value}")).collect();
    let pod = |it: &str| format!("{POD}{it}");
    let expected = [
        "/spec/activeDeadlineSeconds 60".to_owned(),
        pod("/containers/0/image \"worker:3\""),
        pod("/containers/0/name \"run\""),
        pod("/containers/0/volumeMounts/0/mountPath \"/work\""),
        pod("/containers/0/volumeMounts/0/name \"work\""),
        pod("/containers/0/workingDir \"/work\""),
        pod("/initContainers/0/args/5 \"/work\""),
        pod("/initContainers/0/image \"cloner:3\""),
        pod("/initContainers/0/name \"clone\""),
        pod("/initContainers/0/volumeMounts/0/mountPath \"/work\""),
        pod("/initContainers/0/volumeMounts/0/name \"work\""),
        pod("/serviceAccountName \"deployer\""),
        pod("/volumes/0/name \"work\""),
        "/spec/ttlSecondsAfterFinished 61".to_owned(),
    ];
    assert_eq!(found, expected);
}
