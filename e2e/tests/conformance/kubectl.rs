//! kubectl as people use it to look.

use serde_json::json;

use crate::programs::{Program, with_each_kubectl};

const PARTS: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: { name: one, labels: { app: a } }
  data: { key: first }
- apiVersion: v1
  kind: ConfigMap
  metadata: { name: two, labels: { app: b } }
  data: { key: second }
- apiVersion: apps/v1
  kind: Deployment
  metadata: { name: web, labels: { app: a } }
  spec:
    replicas: 2
    selector: { matchLabels: { app: web } }
    template:
      metadata: { labels: { app: web } }
      spec: { containers: [{ name: main, image: "nginx:1" }] }
"#;

async fn create_parts(kubectl: &Program) {
    kubectl.feed("create -f -", PARTS).await;
}

/// `kubectl get` in a namespace that is empty says so, and succeeds.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_get/>
#[tokio::test]
async fn kubectl_finds_nothing_where_nothing_is() {
    with_each_kubectl(async |kubectl| {
        let said = kubectl.ask("get deployments", "").await;

        assert!(said.success && said.err.contains("No resources found"), "{said:?}");
    })
    .await;
}

/// `kubectl get` prints a kind's columns, and more of them with `-o wide`.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_get/>
#[tokio::test]
async fn kubectl_prints_columns() {
    with_each_kubectl(async |kubectl| {
        create_parts(kubectl).await;

        let usual = kubectl.run("get deployments").await;
        let wide = kubectl.run("get deploy/web -o wide --no-headers").await;
        let labels = kubectl.run("get cm -l app=a --show-labels").await;

        assert_eq!(words(&usual, 0), ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
        assert_eq!(words(&usual, 1)[..4], ["web", "0/2", "0", "0"]);
        assert_eq!(words(&wide, 0)[5..], ["main", "nginx:1", "app=web"]);
        assert_eq!(words(&labels, 0), ["NAME", "DATA", "AGE", "LABELS"]);
        assert_eq!(words(&labels, 1)[3], "app=a");
        assert_eq!(labels.lines().count(), 2, "{labels}");
    })
    .await;
}

/// Output as names, JSON, YAML, by path and by columns of one's own.
/// <https://kubernetes.io/docs/reference/kubectl/#output-options>
#[tokio::test]
async fn kubectl_prints_as_it_is_told() {
    with_each_kubectl(async |kubectl| {
        create_parts(kubectl).await;

        let names = kubectl.run("get cm,deploy -l app=a -o name").await;
        let path = kubectl.run("get cm one two -o jsonpath={.items[*].data.key}").await;
        let columns = kubectl
            .run("get cm two -o custom-columns=N:.metadata.name,K:.data.key --no-headers")
            .await;
        let yaml = kubectl.run("get cm one -o yaml").await;

        assert_eq!(names, "configmap/one\ndeployment.apps/web\n");
        assert_eq!(path, "first second");
        assert_eq!(words(&columns, 0), ["two", "second"]);
        assert!(
            yaml.starts_with("apiVersion: v1\ndata:\n  key: first\nkind: ConfigMap\n"),
            "{yaml}"
        );
    })
    .await;
}

/// Field selectors choose, `-A` looks everywhere, and `all` means the kinds of that category.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>
#[tokio::test]
async fn kubectl_chooses_what_to_print() {
    with_each_kubectl(async |kubectl| {
        create_parts(kubectl).await;

        let field = kubectl.run("get cm --field-selector metadata.name=two -o name").await;
        let all = kubectl.run("get all -o name").await;
        let everywhere = kubectl.run("get deployments -A --no-headers").await;
        let none = kubectl.fail("get cm/three", "").await;

        assert_eq!(field, "configmap/two\n");
        assert_eq!(all, "deployment.apps/web\n");
        assert!(everywhere.contains(kubectl.ground.namespace()), "{everywhere}");
        assert!(
            none.contains("Error from server (NotFound): configmaps \"three\" not found"),
            "{none}"
        );
    })
    .await;
}

/// `kubectl get -w` prints what is there and what comes, until its time is over.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_get/>
#[tokio::test]
async fn kubectl_watches() {
    with_each_kubectl(async |kubectl| {
        create_parts(kubectl).await;

        let watching = kubectl.ask("get cm -l app -w -o name --request-timeout=3s", "");
        let labelling = kubectl.run("label cm two more=yes");
        let (said, _) = tokio::join!(watching, labelling);

        assert!(said.out.starts_with("configmap/one\nconfigmap/two\n"), "{said:?}");
    })
    .await;
}

/// `kubectl describe` gathers an object and the events about it.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_describe/>
#[tokio::test]
async fn kubectl_describes_with_events() {
    with_each_kubectl(async |kubectl| {
        let ground = &kubectl.ground;
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: one }\nspec:\n  containers: [{ name: main, image: nginx }]\n";
        kubectl.feed("create -f -", pod).await;
        let pods = format!("/api/v1/namespaces/{}/pods/one", ground.namespace());
        let uid = ground.get(&pods).await.json()["metadata"]["uid"].clone();
        let event = json!({
            "metadata": { "name": "one.1" }, "reason": "Tested", "message": "it was seen",
            "type": "Warning", "count": 1, "source": { "component": "case" },
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "name": "one", "uid": uid,
                "namespace": ground.namespace(),
            },
        });
        let made = ground.post(&format!("/api/v1/namespaces/{}/events", ground.namespace()), &event).await;
        assert_eq!(made.code, 201, "{}", made.text);

        let said = kubectl.run("describe pod one").await;
        let events = kubectl.run("get events --field-selector involvedObject.name=one --no-headers").await;
        let newer = kubectl.run("events --for pod/one --no-headers").await;

        assert!(said.starts_with("Name:"), "{said}");
        assert!(said.contains("Image:") && said.contains("nginx"), "{said}");
        assert!(said.contains("Tested") && said.contains("it was seen"), "{said}");
        assert_eq!(words(&events, 0)[1..4], ["Warning", "Tested", "pod/one"]);
        assert!(newer.contains("it was seen"), "{newer}");
    })
    .await;
}

/// `kubectl describe` knows objects of kinds that users define.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>
#[tokio::test]
async fn kubectl_describes_what_users_define() {
    with_each_kubectl(async |kubectl| {
        let group = crate::tables::define(&kubectl.ground, "described", json!({})).await;
        let body = format!("apiVersion: {group}/v1\nkind: Show\nmetadata: {{ name: one }}\nspec: {{ colour: red }}\n");
        kubectl.feed("create -f -", &body).await;

        let said = kubectl.run(&format!("describe shows.{group} one")).await;

        assert!(said.contains("Kind:         Show") && said.contains("Colour:  red"), "{said}");
    })
    .await;
}

/// `kubectl explain` reads a built-in kind's schema.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_explain/>
#[tokio::test]
async fn kubectl_explains_built_in_kinds() {
    with_each_kubectl(async |kubectl| {
        let field = kubectl.run("explain job.spec.backoffLimit").await;
        let tree = kubectl.run("explain cronjob --recursive").await;

        assert!(
            field.contains("GROUP:      batch") && field.contains("backoffLimit <integer>"),
            "{field}"
        );
        assert!(tree.contains("KIND:       CronJob") && tree.contains("jobTemplate"), "{tree}");
        assert!(tree.contains("imagePullPolicy\t<string>"), "{tree}");
    })
    .await;
}

/// `kubectl explain` reads the schema that a definition gives, descriptions and all.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_explain/>
#[tokio::test]
async fn kubectl_explains_what_users_define() {
    with_each_kubectl(async |kubectl| {
        let schema = json!({ "type": "object", "description": "Something to look at.", "properties": {
            "spec": { "type": "object", "properties": {
                "size": { "type": "integer", "description": "How large it is." },
                "tags": { "type": "array", "items": { "type": "string" } },
            } },
        } });
        let more = json!({ "schema": { "openAPIV3Schema": schema } });
        let group = crate::tables::define(&kubectl.ground, "explained", more).await;
        let knows = async || {
            let said = kubectl.ask(&format!("explain shows.spec.size --api-version {group}/v1"), "").await;
            said.success.then_some(said.out)
        };

        let field = kubectl.ground.eventually("kubectl explains the field", knows).await;
        let tree = kubectl.run(&format!("explain shows --recursive --api-version {group}/v1")).await;

        assert!(field.contains("FIELD: size <integer>") && field.contains("How large it is."), "{field}");
        assert!(tree.contains("Something to look at."), "{tree}");
        assert!(tree.contains("tags\t<[]string>") && tree.contains("metadata\t<ObjectMeta>"), "{tree}");
    })
    .await;
}

/// kubectl lists what the server serves, and which server it is.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_api-resources/>
#[tokio::test]
async fn kubectl_knows_what_is_served() {
    with_each_kubectl(async |kubectl| {
        let resources = kubectl.run("api-resources --api-group batch --no-headers -o wide").await;
        let versions = kubectl.run("api-versions").await;
        let version = kubectl.run("version").await;
        let place = kubectl.run("cluster-info").await;

        assert_eq!(words(&resources, 0)[..5], ["cronjobs", "cj", "batch/v1", "true", "CronJob"]);
        assert!(
            resources.contains("create,delete,deletecollection,get,list,patch,update,watch"),
            "{resources}"
        );
        assert!(resources.trim_end().ends_with("all"), "{resources}");
        assert!(
            versions.lines().any(|it| it == "batch/v1") && versions.ends_with("v1\n"),
            "{versions}"
        );
        assert!(version.contains("Server Version: v1.36."), "{version}");
        assert!(place.contains("is running at"), "{place}");
    })
    .await;
}

/// `kubectl wait` ends when a condition holds, a path has a value, or an object is gone.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_wait/>
#[tokio::test]
async fn kubectl_waits() {
    with_each_kubectl(async |kubectl| {
        create_parts(kubectl).await;
        let ground = &kubectl.ground;
        let path =
            format!("/apis/apps/v1/namespaces/{}/deployments/web/status", ground.namespace());
        let condition =
            json!({ "type": "Available", "status": "True", "reason": "Case", "message": "" });
        let patch = json!({ "status": { "conditions": [condition] } });

        let waiting = kubectl.run("wait deploy/web --for=condition=Available --timeout=20s");
        let patching = ground.patch(&path, "strategic-merge", &patch);
        let (said, patched) = tokio::join!(waiting, patching);
        let value = kubectl.run("wait cm/one --for=jsonpath={.data.key}=first --timeout=20s").await;
        let deleting = kubectl.run("delete cm one --wait=false");
        let gone = kubectl.run("wait cm/one --for=delete --timeout=20s");
        let (_, gone) = tokio::join!(deleting, gone);
        let late =
            kubectl.fail("wait cm/two --for=jsonpath={.data.key}=none --timeout=1s", "").await;

        assert_eq!(patched.code, 200, "{}", patched.text);
        assert_eq!(said, "deployment.apps/web condition met\n");
        assert_eq!(value, "configmap/one condition met\n");
        assert!(gone.is_empty() || gone == "configmap/one condition met\n", "{gone}");
        assert!(late.contains("timed out waiting for the condition"), "{late}");
    })
    .await;
}

/// `kubectl rollout status` follows a Deployment's status.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_rollout/>
#[tokio::test]
async fn kubectl_follows_a_rollout() {
    with_each_kubectl(async |kubectl| {
        create_parts(kubectl).await;
        let ground = &kubectl.ground;
        let path =
            format!("/apis/apps/v1/namespaces/{}/deployments/web/status", ground.namespace());

        let before = kubectl.run("rollout status deploy/web --watch=false").await;
        let status = json!({ "status": {
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
            "availableReplicas": 2,
        } });
        let patched = ground.patch(&path, "merge", &status).await;
        let after = kubectl.run("rollout status deploy/web --timeout=20s").await;

        assert_eq!(patched.code, 200, "{}", patched.text);
        assert!(before.starts_with("Waiting for deployment"), "{before}");
        assert_eq!(after, "deployment \"web\" successfully rolled out\n");
    })
    .await;
}

/// The words of a line.
fn words(text: &str, line: usize) -> Vec<&str> {
    text.lines().nth(line).unwrap_or_default().split_whitespace().collect()
}

/// `kubectl auth` asks who somebody is and what he may do, for others too; `create token` lets one in.
/// <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>
#[tokio::test]
async fn kubectl_asks_who_may_do_what() {
    with_each_kubectl(async |kubectl| {
        let namespace = kubectl.ground.namespace().to_owned();
        let account = format!("system:serviceaccount:{namespace}:reader");
        kubectl.run("create serviceaccount reader").await;
        kubectl.run("create role reader --verb=get,list --resource=configmaps").await;
        let subject = format!("--serviceaccount={namespace}:reader");
        kubectl.run(&format!("create rolebinding reader --role=reader {subject}")).await;
        let can =
            async |what: &str| kubectl.ask(&format!("auth can-i {what} --as={account}"), "").await;

        let admin = kubectl.run("auth can-i create jobs.batch").await;
        let (reads, writes) = (can("get configmaps/one").await, can("update configmaps").await);
        let (status, path) =
            (can("get jobs.batch --subresource=status").await, can("get /version").await);
        let list = can("--list").await;
        let who = kubectl.run("auth whoami -o json").await;
        let token = kubectl.run("create token reader --duration=1h").await;

        assert_eq!(admin.trim(), "yes");
        assert_eq!((reads.out.trim(), reads.success), ("yes", true), "{reads:?}");
        assert_eq!((writes.out.trim(), writes.success), ("no", false), "{writes:?}");
        assert_eq!((status.out.trim(), path.out.trim()), ("no", "yes"), "{status:?} {path:?}");
        assert!(list.out.contains("configmaps"), "{list:?}");
        assert!(who.contains("system:masters"), "{who}");
        assert_eq!(token.trim().split('.').count(), 3, "{token}");
    })
    .await;
}
