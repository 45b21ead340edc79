//! helm as people use it: releases of a small chart come, change and go.

use serde_json::{Value, json};

use crate::programs::{Program, with_each_helm};

const CONFIG: &str = r"
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
  labels: { app.kubernetes.io/managed-by: {{ .Release.Service }} }
data:
  colour: {{ .Values.colour | quote }}
{{- if .Values.more }}
  more: {{ .Values.more | quote }}
{{- end }}
";

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: {{ .Release.Name }} }
spec:
  replicas: {{ .Values.replicas }}
  selector: { matchLabels: { app: {{ .Release.Name }} } }
  template:
    metadata: { labels: { app: {{ .Release.Name }} } }
    spec:
      containers:
      - { name: main, image: "nginx:{{ .Values.tag }}" }
"#;

/// Writes the chart, whose files are its templates.
fn chart(helm: &Program, templates: &[(&str, &str)]) {
    helm.file(
        "chart/Chart.yaml",
        "apiVersion: v2\nname: small\nversion: 0.1.0\nappVersion: \"1\"\n",
    );
    helm.file("chart/values.yaml", "colour: red\nreplicas: 0\ntag: \"1\"\n");
    for (name, text) in templates {
        helm.file(&format!("chart/templates/{name}.yaml"), text);
    }
}

/// An object as the server has it.
async fn read(helm: &Program, path: &str) -> Value {
    let namespace = helm.ground.namespace();
    let (root, plural) = path.split_once(' ').unwrap();
    helm.ground.get(&format!("{root}/namespaces/{namespace}/{plural}")).await.json()
}

/// An install makes what the chart says, and keeps the release in a Secret of its own type.
/// <https://helm.sh/docs/helm/helm_install/>, over <https://kubernetes.io/docs/reference/using-api/api-concepts/>
#[tokio::test]
async fn helm_installs_and_uninstalls() {
    with_each_helm(async |helm| {
        chart(helm, &[("config", CONFIG), ("deployment", DEPLOYMENT)]);

        let lint = helm.run("lint chart").await;
        let said = helm.run("install one chart --set replicas=2").await;
        let list = helm.run("list -o json").await;
        let config = read(helm, "/api/v1 configmaps/one-config").await;
        let deployment = read(helm, "/apis/apps/v1 deployments/one").await;
        let kept = read(helm, "/api/v1 secrets/sh.helm.release.v1.one.v1").await;
        let gone = helm.run("uninstall one").await;

        assert!(lint.contains("1 chart(s) linted, 0 chart(s) failed"), "{lint}");
        assert!(said.contains("STATUS: deployed"), "{said}");
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!((&list[0]["name"], &list[0]["status"]), (&json!("one"), &json!("deployed")));
        assert_eq!(config["data"], json!({ "colour": "red" }));
        assert_eq!(config["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
        assert_eq!(config["metadata"]["annotations"]["meta.helm.sh/release-name"], "one");
        assert_eq!(deployment["spec"]["replicas"], 2);
        assert_eq!(kept["type"], "helm.sh/release.v1");
        assert_eq!(kept["metadata"]["labels"]["owner"], "helm");
        assert!(gone.contains("release \"one\" uninstalled"), "{gone}");
        for path in ["/api/v1 configmaps/one-config", "/api/v1 secrets/sh.helm.release.v1.one.v1"] {
            let is_gone = async || (read(helm, path).await["code"] == 404).then_some(());
            helm.ground.eventually("the end of what was installed", is_gone).await;
        }
    })
    .await;
}

/// An upgrade changes, adds and takes away; a rollback brings back what was.
/// <https://helm.sh/docs/helm/helm_upgrade/>
#[tokio::test]
async fn helm_upgrades_and_rolls_back() {
    with_each_helm(async |helm| {
        chart(helm, &[("config", CONFIG), ("deployment", DEPLOYMENT)]);
        helm.run("install one chart --set more=yes").await;

        helm.run("upgrade one chart --set colour=blue,tag=2").await;
        let config = read(helm, "/api/v1 configmaps/one-config").await;
        let deployment = read(helm, "/apis/apps/v1 deployments/one").await;
        helm.run("rollback one 1").await;
        let back = read(helm, "/api/v1 configmaps/one-config").await;
        let history = helm.run("history one -o json").await;
        let status = helm.run("status one").await;
        let values = helm.run("get values one -o json").await;

        assert_eq!(config["data"], json!({ "colour": "blue" }));
        assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:2");
        assert_eq!(back["data"], json!({ "colour": "red", "more": "yes" }));
        let history: Value = serde_json::from_str(&history).unwrap();
        let states: Vec<&Value> =
            history.as_array().unwrap().iter().map(|it| &it["status"]).collect();
        assert_eq!(states, ["superseded", "superseded", "deployed"]);
        assert!(status.contains("REVISION: 3"), "{status}");
        assert_eq!(serde_json::from_str::<Value>(&values).unwrap(), json!({ "more": "yes" }));
    })
    .await;
}

/// An upgrade leaves alone what others have added to an object.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/>
#[tokio::test]
async fn helm_leaves_what_others_have_added() {
    with_each_helm(async |helm| {
        chart(helm, &[("config", CONFIG)]);
        helm.run("install one chart").await;
        let path = format!("/api/v1/namespaces/{}/configmaps/one-config", helm.ground.namespace());
        let patch =
            json!({ "data": { "theirs": "kept" }, "metadata": { "labels": { "l": "kept" } } });
        assert_eq!(helm.ground.patch(&path, "merge", &patch).await.code, 200);

        helm.run("upgrade one chart --set colour=blue").await;

        let config = helm.ground.get(&path).await.json();
        assert_eq!(config["data"], json!({ "colour": "blue", "theirs": "kept" }));
        assert_eq!(config["metadata"]["labels"]["l"], "kept");
    })
    .await;
}

/// What a new version of a chart leaves out is deleted by the upgrade.
/// <https://helm.sh/docs/helm/helm_upgrade/>
#[tokio::test]
async fn helm_deletes_what_a_chart_leaves_out() {
    with_each_helm(async |helm| {
        chart(helm, &[("config", CONFIG), ("deployment", DEPLOYMENT)]);
        helm.run("install one chart").await;
        helm.file("chart/templates/deployment.yaml", "");

        helm.run("upgrade one chart").await;

        let is_gone = async || {
            (read(helm, "/apis/apps/v1 deployments/one").await["code"] == 404).then_some(())
        };
        helm.ground.eventually("the end of the Deployment", is_gone).await;
        assert_eq!(read(helm, "/api/v1 configmaps/one-config").await["data"]["colour"], "red");
    })
    .await;
}

/// `--dry-run=server` looks at the cluster and writes nothing.
/// <https://helm.sh/docs/helm/helm_install/>
#[tokio::test]
async fn helm_rehearses() {
    with_each_helm(async |helm| {
        let lookup = "\nkind: ConfigMap\napiVersion: v1\nmetadata: { name: seen }\ndata:\n  found: {{ (lookup \"v1\" \"Namespace\" \"\" \"default\").metadata.name }}\n";
        chart(helm, &[("config", CONFIG), ("seen", lookup)]);

        let said = helm.run("install one chart --dry-run=server").await;
        let list = helm.run("list -q").await;

        assert!(said.contains("found: default"), "{said}");
        assert_eq!(list, "");
        assert_eq!(read(helm, "/api/v1 configmaps/one-config").await["code"], 404);
    })
    .await;
}

/// `--wait` ends when what was made is ready, which a ConfigMap is at once and a Deployment of none too.
/// <https://helm.sh/docs/helm/helm_install/>
#[tokio::test]
async fn helm_waits_for_what_is_ready() {
    with_each_helm(async |helm| {
        let service = "\napiVersion: v1\nkind: Service\nmetadata: { name: one }\nspec: { ports: [{ port: 80 }], selector: { app: one } }\n";
        chart(helm, &[("config", CONFIG), ("service", service)]);

        let said = helm.run("install one chart --wait --timeout 30s").await;

        assert!(said.contains("STATUS: deployed"), "{said}");
    })
    .await;
}

/// A chart brings kinds of its own, which are there before its templates need them.
/// <https://helm.sh/docs/chart_best_practices/custom_resource_definitions/>
#[tokio::test]
async fn helm_installs_kinds_before_their_objects() {
    with_each_helm(async |helm| {
        let group = format!("{}.example.com", helm.ground.unique("charted"));
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("shows.{group}") },
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": { "plural": "shows", "singular": "show", "kind": "Show" },
                "versions": [{ "name": "v1", "served": true, "storage": true, "schema": {
                    "openAPIV3Schema": { "type": "object", "properties": { "spec": {
                        "type": "object", "properties": { "colour": { "type": "string" } },
                    } } },
                } }],
            },
        });
        let object = format!(
            "\napiVersion: {group}/v1\nkind: Show\nmetadata: {{ name: one }}\nspec: {{ colour: {{{{ .Values.colour }}}} }}\n"
        );
        chart(helm, &[("show", &object)]);
        helm.file("chart/crds/show.yaml", &definition.to_string());

        helm.run("install one chart").await;
        helm.run("upgrade one chart --set colour=blue").await;

        let path = format!("/apis/{group}/v1 shows/one");
        assert_eq!(read(helm, &path).await["spec"], json!({ "colour": "blue" }));
        helm.run("uninstall one").await;
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        assert_eq!(helm.ground.get(&format!("{definitions}/shows.{group}")).await.code, 200);
    })
    .await;
}

/// What exists already and is not the release's own is not taken over.
/// <https://helm.sh/docs/helm/helm_install/>
#[tokio::test]
async fn helm_takes_over_nothing() {
    with_each_helm(async |helm| {
        chart(helm, &[("config", CONFIG)]);
        let path = format!("/api/v1/namespaces/{}/configmaps", helm.ground.namespace());
        let body = json!({ "metadata": { "name": "one-config" } });
        assert_eq!(helm.ground.post(&path, &body).await.code, 201);

        let refused = helm.fail("install one chart", "").await;

        assert!(
            refused.contains("exists and cannot be imported into the current release"),
            "{refused}"
        );
    })
    .await;
}
