//! What real clients need: kubectl and helm, as people run them.

use std::process::Stdio;

use tokio::process::Command;

use crate::ground::Ground;

/// `kubectl get` in a namespace that is empty says so, and succeeds.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_get/>
#[tokio::test]
async fn kubectl_finds_nothing_where_nothing_is() {
    let ground = Ground::new().await;

    let said = kubectl(&ground, "get deployments").await;

    assert!(said.contains("No resources found"), "{said}");
}

/// What kubectl says to both of its outputs, in the case's namespace; it must succeed.
async fn kubectl(ground: &Ground, arguments: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, ground.kubeconfig()).unwrap();
    let ran = Command::new("kubectl")
        .args(arguments.split_whitespace())
        .args(["--namespace", ground.namespace()])
        .env("KUBECONFIG", &kubeconfig)
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(ran.status.success(), "kubectl {arguments}: {said}");
    said
}
