//! Does the program take what the charts hand to it, and do both say the same?

use std::collections::BTreeMap;

use git_events_runner::rights::{Account, Place, Reach};
use serde_json::{Value, json};

use crate::cases::{NAMESPACE, RELEASE, cases, objects};
use crate::programs::{Program, chart, helm};

/// A Deployment whose arguments the program refuses is a Pod that starts for ever.
#[tokio::test]
async fn the_program_accepts_the_arguments_of_each_deployment() {
    let helm = helm();
    let mut deployments = 0;
    for case in cases() {
        let objects = case.objects(&helm).await;
        for deployment in objects.iter().filter(|it| it["kind"] == "Deployment") {
            deployments += 1;
            let settings = objects.iter().find_map(|it| it["data"]["settings.yaml"].as_str());
            starts_as_it_says(&case.name, deployment, settings);
        }
    }
    assert!(deployments > 3);
}

fn starts_as_it_says(case: &str, deployment: &Value, file: Option<&str>) {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mounts = container["volumeMounts"].as_array().unwrap();
    let is_there = |path: &str| mounts.iter().any(|it| it["mountPath"] == path);
    let named = arguments.iter_mut().find(|it| it.starts_with("--config="));
    assert_eq!(named.is_some(), file.is_some(), "{case}");
    if let (Some(named), Some(file)) = (named, file) {
        let (mount, name) = named.trim_start_matches("--config=").rsplit_once('/').unwrap();
        assert!(is_there(mount), "{case}: nothing is mounted at {mount}");
        let path = folder.path().join(name);
        std::fs::write(&path, file).unwrap();
        *named = format!("--config={}", path.display());
    }

    let settings = git_events_runner::cli::settings(&arguments);

    let settings = settings.unwrap_or_else(|why| panic!("{case}: {why:#}"));
    assert_eq!(settings.hub.watch, file.is_none(), "{case}");
    let ports = container["ports"].as_array().unwrap();
    let utility = ports.iter().find(|it| it["name"] == "utility").unwrap();
    assert_eq!(utility["containerPort"], settings.utility.port(), "{case}");
    assert_eq!(settings.shards.get(), if case == "everything" { 256 } else { 64 });
}

/// Without any values, the chart says what the program does by itself.
#[tokio::test]
async fn the_defaults_of_the_chart_are_those_of_the_program() {
    let helm = helm();
    let default = cases().into_iter().find(|it| it.chart == "git-events-runner").unwrap();
    let all = default.objects(&helm).await;
    let find = |kind: &str| all.iter().find(|it| it["kind"] == kind).unwrap();
    let deployment = find("Deployment");
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].clone();
    let arguments: Vec<String> = serde_json::from_value(arguments).unwrap();
    let text = find("ConfigMap")["data"]["runtimeConfig"].as_str().unwrap().to_owned();

    let told = git_events_runner::cli::settings(&arguments).unwrap();
    let own = git_events_runner::cli::settings(&["run".to_owned()]).unwrap();
    assert_eq!(told.schedule_parallelism, own.schedule_parallelism);
    assert_eq!(told.secrets_cache_time, own.secrets_cache_time);
    assert_eq!(told.metrics_prefix, own.metrics_prefix);
    assert_eq!((told.lease_duration, told.lease_renew), (own.lease_duration, own.lease_renew));
    assert_eq!((told.shards, told.utility), (own.shards, own.utility));
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(
        config["action"]["defaultServiceAccount"], "",
        "the Pods' namespaces have their own"
    );
    config["action"]["defaultServiceAccount"] = Value::Null;
    let action: git_events_runner::config::Action =
        serde_json::from_value(config["action"].take()).unwrap();
    assert_eq!(action, git_events_runner::config::Action::default());
}

/// A Job whose account is not in its namespace gets no Pod, and nobody hears of it.
#[tokio::test]
async fn jobs_run_by_themselves_as_an_account_that_is_where_they_run() {
    let helm = helm();
    let own = "runner-git-events-runner-action-job";
    let jobs = |jobs: Value, accounts: Value| {
        json!({
            "rbac": { "controller": { "jobsNamespaces": jobs } },
            "actionJobServiceAccounts": { "namespaces": accounts },
        })
    };
    let theirs = json!({ "actionJobServiceAccounts": { "create": false, "name": "theirs" } });
    let said = json!({ "runtimeConfig": { "action": { "defaultServiceAccount": "said" } } });
    let everywhere: &[&str] = &[NAMESPACE, "a", "b"];
    for (values, name, places) in [
        (json!({}), "", &everywhere[..1]),
        (jobs(json!(["a"]), json!([])), "", &everywhere[..1]),
        (jobs(json!(["*"]), json!([])), "", &everywhere[..1]),
        (jobs(json!([]), json!(["a", "b"])), own, everywhere),
        (jobs(json!(["a", "b"]), json!(["a"])), own, everywhere),
        (jobs(json!(["*"]), json!(["a", "b"])), own, everywhere),
        (theirs, "theirs", &[]),
        (said, "said", &everywhere[..1]),
    ] {
        let path = chart("git-events-runner");
        let arguments = ["template", RELEASE, &path, "--namespace", NAMESPACE, "--values", "-"];
        let all = objects(&helm.feed(&arguments, &values.to_string()).await);

        let config = all.iter().find_map(|it| it["data"]["runtimeConfig"].as_str()).unwrap();
        let config: Value = serde_saphyr::from_str(config).unwrap();
        assert_eq!(config["action"]["defaultServiceAccount"], name, "{values}");
        let accounts = all.iter().filter(|it| it["kind"] == "ServiceAccount");
        let of_jobs = accounts.filter(|it| it["metadata"]["name"] == own);
        let found: Vec<_> = of_jobs.map(|it| it["metadata"]["namespace"].clone()).collect();
        assert_eq!(found, places, "{values}");
    }
}

/// What the program prints for a chart is what the chart has.
#[test]
fn the_runtime_configuration_is_the_one_that_the_program_prints() {
    let path = format!("{}/values.yaml", chart("git-events-runner"));
    let values: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let printed = git_events_runner::config::Runtime::helm_template();
    let printed: Value = serde_saphyr::from_str(&printed).unwrap();

    assert_eq!(values["runtimeConfig"], printed);
}

/// Stories, `dev` and `cluster add` grant what the charts grant, by the same names.
#[tokio::test]
async fn the_charts_grant_what_the_program_grants() {
    let helm = helm();
    let some = || Reach::Namespaces(vec!["team-a".to_owned(), "team-b".to_owned()]);
    let none = || Reach::Namespaces(Vec::new());
    for (place, jobs, secrets) in [
        (Place::Hub, Reach::All, Reach::All),
        (Place::Hub, some(), none()),
        (Place::Hub, none(), none()),
        (Place::Spoke, Reach::All, Reach::All),
        (Place::Spoke, some(), Reach::All),
        (Place::Spoke, none(), some()),
    ] {
        let account = Account {
            place,
            namespace: NAMESPACE.to_owned(),
            name: "ger".to_owned(),
            jobs,
            secrets,
        };

        let charted = charted(&helm, &account).await;

        let wanted = account.objects().into_iter().map(|it| (title(&it), it)).collect();
        assert_eq!(charted, wanted, "{account:?}");
    }
}

/// What a chart renders for an account and its rights, bare of labels.
async fn charted(helm: &Program, account: &Account) -> BTreeMap<String, Value> {
    let name = match account.place {
        Place::Hub => "git-events-runner",
        Place::Spoke => "git-events-runner-spoke",
    };
    let values = json!({
        "fullnameOverride": account.name, "crds": { "install": false },
        "actionJobServiceAccounts": { "create": false },
        "rbac": { "controller": {
            "jobsNamespaces": names(&account.jobs), "secretsNamespaces": names(&account.secrets),
        } },
    });
    let path = chart(name);
    let arguments = ["template", RELEASE, &path, "--namespace", NAMESPACE, "--values", "-"];
    let text = helm.feed(&arguments, &values.to_string()).await;
    let is_right = |it: &Value| {
        it["kind"] == "ServiceAccount" || it["apiVersion"] == "rbac.authorization.k8s.io/v1"
    };
    let mut charted = BTreeMap::new();
    for mut object in objects(&text).into_iter().filter(is_right) {
        object["metadata"].as_object_mut().unwrap().remove("labels");
        object.as_object_mut().unwrap().remove("automountServiceAccountToken");
        charted.insert(title(&object), object);
    }
    charted
}

fn names(reach: &Reach) -> Vec<String> {
    match reach {
        Reach::All => vec!["*".to_owned()],
        Reach::Namespaces(names) => names.clone(),
    }
}

fn title(object: &Value) -> String {
    let place = &object["metadata"];
    format!("{} {} {}", object["kind"], place["namespace"], place["name"])
}
