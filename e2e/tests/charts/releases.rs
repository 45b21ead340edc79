//! Do releases of the charts come, change, go back and go, and does the API take all that they say?

use serde_json::{Value, json};

use crate::cases::{CHARTS, NAMESPACE, RELEASE, cases};
use crate::cluster::Cluster;
use crate::programs::{Program, chart, helm, helms};

const CRD: &str = "apiextensions.k8s.io/v1/CustomResourceDefinition";
const GIT_REPOS: &str = "gitrepos.git-events-runner.rs";

/// Fields that nobody knows, values that nobody takes: the API judges each object of each case.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_takes_all_that_is_rendered() {
    let cluster = Cluster::start().await.with_kinds_of_others().await;
    let cluster = cluster.with_namespaces(&[NAMESPACE, "events", "team-a", "team-b"]).await;
    let (helm, kubectl) = (helm(), cluster.kubectl());
    for case in cases() {
        let text = case.text(&helm, &["--set", "createNamespace=false"]).await;

        let arguments = ["apply", "--server-side", "--dry-run=server", "--validate=strict"];
        let said = kubectl.feed(&[&arguments[..], &["-f", "-"]].concat(), &text).await;

        let objects = crate::cases::objects(&text).len();
        assert_eq!(said.lines().count(), objects, "{}: {said}", case.name);
    }
}

/// The whole life of a release of the hub's chart.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_installed_upgraded_rolled_back_and_uninstalled() {
    for helm in helms() {
        let cluster = Cluster::start().await.with_namespaces(&["team-a"]).await;
        let helm = helm.on(&cluster.kubeconfig);
        install(&helm, "git-events-runner", &[]).await;
        let deployment = ("apps/v1/Deployment", "home/runner-git-events-runner");
        let config = ("v1/ConfigMap", "home/runner-git-events-runner-config");
        let bound = (
            "rbac.authorization.k8s.io/v1/RoleBinding",
            "team-a/runner-git-events-runner-controller-jobs",
        );

        let set = "replicaCount=3,rbac.controller.jobsNamespaces={team-a}";
        let more = "runtimeConfig.action.maxRunningJobs=5";
        upgrade(&helm, "git-events-runner", &["--set", set, "--set", more]).await;

        assert_eq!(read(&cluster, deployment).await["spec"]["replicas"], 3);
        let text = read(&cluster, config).await["data"]["runtimeConfig"].to_string();
        assert!(text.contains("maxRunningJobs: 5"), "{text}");
        assert!(cluster.find(bound.0, bound.1).await.is_some());

        helm.run(&["rollback", RELEASE, "1", "--namespace", NAMESPACE]).await;

        assert_eq!(read(&cluster, deployment).await["spec"]["replicas"], 2);
        let text = read(&cluster, config).await["data"]["runtimeConfig"].to_string();
        assert!(text.contains("maxRunningJobs: 16"), "{text}");
        cluster.gone(bound.0, bound.1).await;

        goes_and_leaves_what_users_made(&cluster, &helm).await;
        cluster.gone(deployment.0, deployment.1).await;
        cluster.gone(config.0, config.1).await;
    }
}

/// The whole life of a release of the spoke's chart.
#[tokio::test(flavor = "multi_thread")]
async fn a_spoke_is_installed_upgraded_rolled_back_and_uninstalled() {
    for helm in helms() {
        let cluster = Cluster::start().await.with_namespaces(&["team-a"]).await;
        let helm = helm.on(&cluster.kubeconfig);
        install(&helm, "git-events-runner-spoke", &[]).await;
        let role = "rbac.authorization.k8s.io/v1/ClusterRole";
        let everywhere = "rbac.authorization.k8s.io/v1/ClusterRoleBinding";
        let jobs = "runner-git-events-runner-spoke-controller-jobs";

        let set = "token.create=true,rbac.controller.jobsNamespaces={team-a}";
        upgrade(&helm, "git-events-runner-spoke", &["--set", set]).await;

        cluster.gone(everywhere, jobs).await;
        let bound = format!("team-a/{jobs}");
        let binding = "rbac.authorization.k8s.io/v1/RoleBinding";
        assert!(cluster.find(binding, &bound).await.is_some());
        assert!(
            cluster.find("v1/Secret", "home/runner-git-events-runner-spoke-token").await.is_some()
        );

        helm.run(&["rollback", RELEASE, "1", "--namespace", NAMESPACE]).await;

        assert!(cluster.find(everywhere, jobs).await.is_some());
        cluster.gone(binding, &bound).await;

        goes_and_leaves_what_users_made(&cluster, &helm).await;
        cluster.gone(role, jobs).await;
        cluster.gone("v1/ServiceAccount", "home/runner-git-events-runner-spoke").await;
    }
}

/// Helm leaves what is in `crds/` as it was first; what a chart needs must come with its upgrade.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_brings_new_definitions() {
    for helm in helms() {
        let cluster = Cluster::start().await;
        let helm = helm.on(&cluster.kubeconfig);
        let older = helm.home().join("older");
        copy(&chart("git-events-runner-spoke").into(), &older);
        let file = older.join(format!("files/crds/{}.yaml", "git-events-runner.rs_gitrepos"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("- gr\n"), "{text}");
        std::fs::write(&file, text.replace("- gr\n", "- older\n")).unwrap();
        let path = older.display().to_string();
        helm.run(&["install", RELEASE, &path, "--namespace", NAMESPACE, "--create-namespace"])
            .await;
        assert_eq!(short_names(&cluster).await, json!(["older"]));

        upgrade(&helm, "git-events-runner-spoke", &[]).await;

        assert_eq!(short_names(&cluster).await, json!(["gr"]));
    }
}

/// The original's chart leaves definitions that belong to no release.
#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_are_there_are_taken_over_on_demand() {
    for helm in helms() {
        let cluster = Cluster::start().await;
        let helm = helm.on(&cluster.kubeconfig);
        let folder = crate::programs::top().join("crds").display().to_string();
        cluster.kubectl().run(&["create", "-f", &folder]).await;
        let path = chart("git-events-runner");
        let arguments = ["install", RELEASE, &path, "--namespace", NAMESPACE, "--create-namespace"];

        let refused = helm.fail(&arguments).await;
        helm.run(&[&arguments[..], &["--take-ownership"]].concat()).await;

        assert!(
            refused.contains(GIT_REPOS) || refused.contains("CustomResourceDefinition"),
            "{refused}"
        );
        let taken = read(&cluster, (CRD, GIT_REPOS)).await;
        assert_eq!(taken["metadata"]["annotations"]["meta.helm.sh/release-name"], RELEASE);
        assert_eq!(taken["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
}

/// The hook asks the utility Service; where Pods run, it ends.
#[tokio::test(flavor = "multi_thread")]
async fn helm_test_asks_whether_the_replicas_are_ready() {
    let cluster = Cluster::start().await;
    if !cluster.runs_pods() {
        return;
    }
    for (at, helm) in helms().into_iter().enumerate() {
        let helm = helm.on(&cluster.kubeconfig);
        install(&helm, "git-events-runner", &[]).await;

        let said = helm.run(&["test", RELEASE, "--namespace", NAMESPACE]).await;

        assert!(said.contains("Succeeded"), "{at}: {said}");
        helm.run(&["uninstall", RELEASE, "--namespace", NAMESPACE]).await;
    }
}

/// What a chart grants is what the API then allows, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn rights_are_bound_where_the_values_say() {
    let cluster = Cluster::start().await.with_namespaces(&["team-a", "team-b"]).await;
    let helm = helm().on(&cluster.kubeconfig);
    let set = "rbac.controller.jobsNamespaces={team-a},rbac.controller.secretsNamespaces={team-b}";
    install(&helm, "git-events-runner", &["--set", set]).await;
    let kubectl = cluster.kubectl();
    let user = "system:serviceaccount:home:runner-git-events-runner";

    for (verb, resource, namespace, may) in [
        ("create", "jobs", "team-a", true),
        ("create", "jobs", "home", true),
        ("create", "jobs", "team-b", false),
        ("get", "secrets", "team-b", true),
        ("list", "secrets", "team-b", false),
        ("update", "secrets", "team-b", false),
        ("update", "secrets", "team-a", true),
        ("list", "secrets", "home", true),
        ("get", "secrets", "kube-system", false),
        ("watch", "jobs", "team-b", true),
        ("update", "scheduletriggers.git-events-runner.rs/status", "team-b", true),
        ("update", "scheduletriggers.git-events-runner.rs", "team-b", false),
        ("create", "leases", "home", true),
        ("create", "leases", "team-a", false),
        ("create", "pods", "home", false),
        ("create", "rolebindings.rbac.authorization.k8s.io", "home", false),
        ("create", "serviceaccounts/token", "home", false),
    ] {
        let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
        let asked = ["auth", "can-i", verb, resource, "--namespace", namespace, "--as", user];
        let said = kubectl.ask(&[&asked[..], &["--subresource", part]].concat(), "").await;

        let answer = said.out.trim();
        assert_eq!(answer == "yes", may, "{verb} {resource} in {namespace}: {said:?}");
    }

    // What an Action runs is a user's: its account may nothing.
    let user = "system:serviceaccount:home:runner-git-events-runner-action-job";
    for verb in ["get", "list"] {
        let asked = ["auth", "can-i", verb, "secrets", "--namespace", "home", "--as", user];
        let said = kubectl.ask(&asked, "").await;

        assert_eq!(said.out.trim(), "no", "{verb} secrets: {said:?}");
    }
}

async fn install(helm: &Program, name: &str, more: &[&str]) {
    let path = chart(name);
    let arguments = ["install", RELEASE, &path, "--namespace", NAMESPACE, "--create-namespace"];
    let said = helm.run(&[&arguments[..], more].concat()).await;
    assert!(said.contains("STATUS: deployed"), "{said}");
}

async fn upgrade(helm: &Program, name: &str, more: &[&str]) {
    let path = chart(name);
    let arguments = ["upgrade", RELEASE, &path, "--namespace", NAMESPACE];
    let said = helm.run(&[&arguments[..], more].concat()).await;
    assert!(said.contains("STATUS: deployed"), "{said}");
}

/// A release goes, and leaves definitions and all that users made of them.
async fn goes_and_leaves_what_users_made(cluster: &Cluster, helm: &Program) {
    let kubectl = cluster.kubectl();
    let object = json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "GitRepo",
        "metadata": { "name": "app", "namespace": "team-a" },
        "spec": { "repoUri": "https://example.com/app.git" },
    });
    kubectl.feed(&["create", "-f", "-"], &object.to_string()).await;

    helm.run(&["uninstall", RELEASE, "--namespace", NAMESPACE]).await;

    let kept = cluster.find("git-events-runner.rs/v1alpha1/GitRepo", "team-a/app").await;
    assert!(kept.is_some(), "a user's object went with the release");
    for name in CHARTS {
        // The same release may come again, and so may the other chart's, if it is told to take over.
        let path = chart(name);
        let arguments = ["install", RELEASE, &path, "--namespace", NAMESPACE, "--take-ownership"];
        helm.run(&arguments).await;
        helm.run(&["uninstall", RELEASE, "--namespace", NAMESPACE]).await;
    }
}

async fn read(cluster: &Cluster, (kind, place): (&str, &str)) -> Value {
    let found = cluster.find(kind, place).await;
    serde_json::to_value(found.unwrap_or_else(|| panic!("there is no {kind} {place}"))).unwrap()
}

async fn short_names(cluster: &Cluster) -> Value {
    read(cluster, (CRD, GIT_REPOS)).await["spec"]["names"]["shortNames"].take()
}

fn copy(from: &std::path::PathBuf, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}
