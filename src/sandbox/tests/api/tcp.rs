//! Over TCP with TLS: kube's client by kubeconfig, and kubectl itself.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use kube_sandbox::{Fault, FaultKind, Sandbox, Server};
use tokio::{process::Command, time::timeout};

use crate::support::{config_map, job};

async fn serve(sandbox: &Sandbox) -> Server {
    // One provider for the process; another test may have been faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    sandbox.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
}

async fn connect(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_kubeconfig_opens_the_same_cluster() {
    let sandbox = Sandbox::new("hub");
    let server = serve(&sandbox).await;
    let remote: Api<ConfigMap> =
        Api::default_namespaced(connect(&server.kubeconfig_for("ci")).await);
    let local: Api<ConfigMap> = Api::default_namespaced(Client::new(sandbox.router(), "default"));

    remote.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();

    assert!(local.get("a").await.is_ok());
    assert_eq!(sandbox.creations("configmaps")[0].client, "ci");
    server.stop().await;
    assert!(timeout(Duration::from_secs(20), remote.get("a")).await.is_ok_and(|it| it.is_err()));
}

#[tokio::test]
async fn a_stranger_is_not_let_in() {
    let sandbox = Sandbox::new("hub");
    let server = serve(&sandbox).await;
    let kubeconfig = server.kubeconfig().replace(server.token(), "wrong");
    let api: Api<ConfigMap> = Api::default_namespaced(connect(&kubeconfig).await);

    let (code, reason, _) = crate::support::refusal(api.list(&ListParams::default()).await);

    assert_eq!((code, reason.as_str()), (401, "Unauthorized"));
}

#[tokio::test]
async fn a_partition_reaches_over_tcp() {
    let sandbox = Sandbox::new("hub");
    let server = serve(&sandbox).await;
    let api: Api<ConfigMap> = Api::default_namespaced(connect(&server.kubeconfig_for("one")).await);
    api.list(&ListParams::default()).await.unwrap();

    sandbox.set_fault(Fault { client: Some("one".into()), kind: FaultKind::Partition });
    let cut_off = timeout(Duration::from_millis(300), api.list(&ListParams::default())).await;
    sandbox.clear_faults();

    assert!(cut_off.is_err());
    api.list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_lost_response_breaks_the_connection() {
    let sandbox = Sandbox::new("hub");
    let server = serve(&sandbox).await;
    let api: Api<Job> = Api::default_namespaced(connect(&server.kubeconfig()).await);
    let lost = FaultKind::LoseResponse { verb: "create".into(), resource: "jobs".into(), times: 1 };
    sandbox.set_fault(Fault { client: None, kind: lost });

    let answer = api.create(&PostParams::default(), &job("a")).await.unwrap_err();

    assert!(!matches!(answer, kube::Error::Api(_)), "{answer:?}");
    assert!(api.get("a").await.is_ok());
}

/// Runs kubectl and answers what it printed, both ways.
async fn kubectl(kubeconfig: &Path, args: &[&str]) -> (bool, String) {
    let command = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(args)
        .env("HOME", kubeconfig.parent().unwrap())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_mins(1), command).await.expect("kubectl hangs").unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

const WIDGET: &str = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: one}\nspec: \
                      {size: 5, limits: {cpu: seven}}";

const ECHO: &str = r#"[{"command":["echo","hi"],"image":"busybox","#;

const WIDGET_STATUS: &str = r#"{"status": {"conditions": [{"type": "Other", "status": "Never"},
    {"type": "Ready", "status": "Always"}]}}"#;

const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {suspend: true, \
                   template: {spec: {restartPolicy: Never, containers: [{name: c, image: \
                   busybox}]}}}";

/// What people and scripts do first; each line must work, and show what it is to show.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_feels_at_home() {
    let version = Command::new("kubectl").args(["version", "--client"]).output().await;
    if !version.is_ok_and(|it| it.status.success()) {
        println!("there is no kubectl here: what it sees of the sandbox stays untested");
        return;
    }
    let sandbox = Sandbox::new("hub");
    let server = serve(&sandbox).await;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(sandbox.run_controllers());
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    for (name, text) in
        [("crd", crate::support::widgets().to_string()), ("w", WIDGET.into()), ("j", JOB.into())]
    {
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
    }
    let file = |name: &str| folder.path().join(format!("{name}.yaml")).display().to_string();
    let (crd, widget, job) = (file("crd"), file("w"), file("j"));

    let steps: [(&[&str], &str); 32] = [
        (&["version"], "Server Version: v1.36"),
        (&["get", "namespaces"], "kube-system"),
        (&["apply", "-f", &crd], "created"),
        (&["wait", "--for=condition=Established", "crd/widgets.example.com"], "condition met"),
        (&["apply", "-f", &widget], "created"),
        (&["apply", "-f", &widget], "unchanged"),
        (&["get", "wd"], "SIZE   LIMIT   READY"),
        (
            &["patch", "wd", "one", "--subresource=status", "--type=merge", "-p", WIDGET_STATUS],
            "patched",
        ),
        (&["get", "wd"], "one    5      seven   Always"),
        (&["explain", "widget.spec.color"], "blue"),
        (&["apply", "--server-side", "-f", &job], "serverside-applied"),
        (&["get", "jobs"], "Suspended"),
        (&["patch", "job", "j", "-p", r#"{"spec":{"suspend":false}}"#], "patched"),
        (&["describe", "job", "j"], "Suspend:          false"),
        (&["explain", "job.spec.suspend"], "<boolean>"),
        (&["label", "wd", "one", "a=b"], "labeled"),
        (&["get", "wd", "-l", "a=b", "-o", "name"], "widget.example.com/one"),
        (&["get", "all"], "job.batch/j"),
        (&["api-resources"], "widgets"),
        (&["create", "namespace", "team"], "namespace/team created"),
        (&["create", "secret", "generic", "s", "--from-literal=a=b"], "secret/s created"),
        (&["get", "secret", "s", "-o", "jsonpath={.data.a}"], "Yg=="),
        (&["create", "role", "r", "--verb=get", "--resource=pods"], "role.rbac"),
        (&["create", "job", "made", "--image=busybox", "--", "echo", "hi"], "job.batch/made"),
        (&["get", "job", "made", "-o", "jsonpath={.spec.template.spec.containers}"], ECHO),
        (&["create", "deployment", "d", "--image=busybox", "--replicas=2"], "deployment.apps/d"),
        (&["get", "deployment", "d", "-o", "jsonpath={.spec.replicas}{.spec.paused}"], "2"),
        (&["create", "cronjob", "c", "--image=busybox", "--schedule=@daily"], "cronjob.batch/c"),
        (&["create", "job", "again", "--from=cronjob/c"], "job.batch/again"),
        (&["delete", "namespace", "team"], "deleted"),
        (&["delete", "job", "j"], "deleted"),
        (&["delete", "-f", &crd], "deleted"),
    ];
    for (args, wanted) in steps {
        let (success, text) = kubectl(&kubeconfig, args).await;
        assert!(success && text.contains(wanted), "kubectl {args:?} printed: {text}");
    }
    let (success, text) = kubectl(&kubeconfig, &["get", "wd"]).await;
    assert!(!success, "widgets are gone: {text}");
}
