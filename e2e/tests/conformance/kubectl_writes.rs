//! kubectl as people use it to change things.

use serde_json::{Value, json};

use crate::programs::{Program, with_each_kubectl};

async fn read(kubectl: &Program, what: &str) -> Value {
    serde_json::from_str(&kubectl.run(&format!("get {what} -o json")).await).unwrap()
}

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: main, image: "nginx:1" }, { name: side, image: "busybox:1" }] }
"#;

/// `kubectl create` has forms of its own for the common kinds.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_create/>
#[tokio::test]
async fn kubectl_creates_common_kinds() {
    with_each_kubectl(async |kubectl| {
        let said = [
            kubectl.run("create configmap c --from-literal=a=1").await,
            kubectl.run("create secret generic s --from-literal=a=1").await,
            kubectl.run("create deployment d --image=nginx --replicas=2 --port=80").await,
            kubectl.run("create job j --image=busybox -- sleep 1").await,
            kubectl.run("create cronjob cj --image=busybox --schedule=*/5~*~*~*~* -- date").await,
            kubectl.run("create job from --from=cronjob/cj").await,
            kubectl.run("create serviceaccount sa").await,
            kubectl.run("create role r --verb=get,list --resource=pods").await,
            kubectl.run("create rolebinding rb --role=r --serviceaccount=x:y").await,
        ]
        .concat();

        let kinds: Vec<&str> = said.lines().map(|it| it.trim_end_matches(" created")).collect();
        let wanted = [
            "configmap/c",
            "secret/s",
            "deployment.apps/d",
            "job.batch/j",
            "cronjob.batch/cj",
            "job.batch/from",
            "serviceaccount/sa",
            "role.rbac.authorization.k8s.io/r",
            "rolebinding.rbac.authorization.k8s.io/rb",
        ];
        assert_eq!(kinds, wanted);
        let job = read(kubectl, "job from").await;
        assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
        assert_eq!(job["metadata"]["ownerReferences"][0]["kind"], "CronJob");
        assert_eq!(read(kubectl, "secret s").await["data"], json!({ "a": "MQ==" }));
    })
    .await;
}

/// `kubectl run` creates a Pod, and what is created twice is refused.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_run/>
#[tokio::test]
async fn kubectl_runs_a_pod() {
    with_each_kubectl(async |kubectl| {
        let said =
            kubectl.run("run one --image=busybox --restart=Never --env=A=b -- sleep 5").await;
        let again = kubectl.fail("run one --image=busybox", "").await;

        assert_eq!(said, "pod/one created\n");
        assert!(again.contains("(AlreadyExists): pods \"one\" already exists"), "{again}");
        let pod = read(kubectl, "pod one").await;
        assert_eq!(pod["metadata"]["labels"], json!({ "run": "one" }));
        assert_eq!(pod["spec"]["containers"][0]["args"], json!(["sleep", "5"]));
        assert_eq!(pod["spec"]["containers"][0]["env"], json!([{ "name": "A", "value": "b" }]));
    })
    .await;
}

/// `kubectl apply` creates, leaves alone what is the same, changes, and takes out what was taken out.
/// <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/>
#[tokio::test]
async fn kubectl_applies_what_changed() {
    with_each_kubectl(async |kubectl| {
        let first = kubectl.feed("apply -f -", DEPLOYMENT).await;
        let same = kubectl.feed("apply -f -", DEPLOYMENT).await;
        kubectl.run(r#"patch deploy web --type=merge -p {"spec":{"replicas":5}}"#).await;
        let without = DEPLOYMENT
            .replace("  replicas: 1\n", "")
            .replace(", { name: side, image: \"busybox:1\" }", "")
            .replace("nginx:1", "nginx:2");
        let changed = kubectl.feed("apply -f -", &without).await;

        assert_eq!(first, "deployment.apps/web created\n");
        assert_eq!(same, "deployment.apps/web unchanged\n");
        assert_eq!(changed, "deployment.apps/web configured\n");
        let web = read(kubectl, "deploy web").await;
        assert_eq!(web["spec"]["replicas"], 1, "the default, as the field was taken out");
        let containers = web["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        assert_eq!((containers.len(), &containers[0]["image"]), (1, &json!("nginx:2")));
        let last =
            &web["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
        assert!(last.as_str().unwrap().contains("nginx:2"), "{last}");
    })
    .await;
}

/// `kubectl apply` takes several objects together, as documents and as a `List`.
/// <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/>
#[tokio::test]
async fn kubectl_applies_many() {
    with_each_kubectl(async |kubectl| {
        let one = |name: &str| {
            format!("apiVersion: v1\n  kind: ConfigMap\n  metadata: {{ name: {name} }}\n")
        };
        let documents = format!("{}---\n{}", one("a"), one("b")).replace("\n  ", "\n");
        let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}- {}", one("a"), one("c"));

        let first = kubectl.feed("apply -f -", &documents).await;
        let second = kubectl.feed("apply -f -", &list).await;

        assert_eq!(first, "configmap/a created\nconfigmap/b created\n");
        assert_eq!(second, "configmap/a unchanged\nconfigmap/c created\n");
    })
    .await;
}

/// Unknown fields are refused by default, and only warned of when that is asked.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn kubectl_refuses_fields_that_nobody_knows() {
    with_each_kubectl(async |kubectl| {
        let odd = DEPLOYMENT.replace("replicas: 1", "replicas: 1\n  replicass: 2");

        let strict = kubectl.fail("apply -f -", &odd).await;
        let warned = kubectl.ask("apply --validate=warn -f -", &odd).await;

        assert!(strict.contains("unknown field \"spec.replicass\""), "{strict}");
        assert!(warned.success, "{warned:?}");
        assert!(warned.err.contains("Warning: unknown field \"spec.replicass\""), "{warned:?}");
    })
    .await;
}

/// `kubectl apply` of custom kinds merges by the JSON merge patch, by the three-way rule too.
/// <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/>
#[tokio::test]
async fn kubectl_applies_what_users_define() {
    with_each_kubectl(async |kubectl| {
        let group = crate::tables::define(&kubectl.ground, "applied", json!({})).await;
        let show = |spec: &str| {
            format!("apiVersion: {group}/v1\nkind: Show\nmetadata: {{ name: one }}\nspec: {{ {spec} }}\n")
        };

        kubectl.feed("apply -f -", &show("colour: red, size: 1")).await;
        let changed = kubectl.feed("apply -f -", &show("colour: blue")).await;

        assert_eq!(changed, format!("show.{group}/one configured\n"));
        let one = read(kubectl, &format!("shows.{group} one")).await;
        assert_eq!(one["spec"], json!({ "colour": "blue" }));
    })
    .await;
}

/// A server-side apply meets the owners of fields, and takes them over by force.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>
#[tokio::test]
async fn kubectl_applies_on_the_server() {
    with_each_kubectl(async |kubectl| {
        let first = kubectl.feed("apply --server-side -f -", DEPLOYMENT).await;
        let other = DEPLOYMENT.replace("replicas: 1", "replicas: 3");
        let apply = "apply --server-side --field-manager=other -f -";
        let refused = kubectl.fail(apply, &other).await;
        let forced = kubectl.feed(&format!("{apply} --force-conflicts"), &other).await;

        assert_eq!(first, "deployment.apps/web serverside-applied\n");
        let why = "Apply failed with 1 conflict: conflict with \"kubectl\": .spec.replicas";
        assert!(refused.contains(why), "{refused}");
        assert_eq!(forced, "deployment.apps/web serverside-applied\n");
        assert_eq!(read(kubectl, "deploy web").await["spec"]["replicas"], 3);
    })
    .await;
}

/// `kubectl diff` rehearses an apply, and exits with 1 when it would change something.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_diff/>
#[tokio::test]
async fn kubectl_shows_what_would_change() {
    with_each_kubectl(async |kubectl| {
        kubectl.feed("apply -f -", DEPLOYMENT).await;

        let same = kubectl.ask("diff -f -", DEPLOYMENT).await;
        let other = kubectl.ask("diff -f -", &DEPLOYMENT.replace("nginx:1", "nginx:2")).await;

        assert!(same.success && same.out.is_empty(), "{same:?}");
        assert!(!other.success, "{other:?}");
        assert!(
            other.out.contains("-      - image: nginx:1\n+      - image: nginx:2\n"),
            "{other:?}"
        );
        let image = &read(kubectl, "deploy web").await["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(image["image"], "nginx:1");
    })
    .await;
}

/// What `--dry-run=server` does is judged and answered, and nothing stays.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn kubectl_rehearses_on_the_server() {
    with_each_kubectl(async |kubectl| {
        let said = kubectl.feed("apply --dry-run=server -f -", DEPLOYMENT).await;
        let none = kubectl.fail("get deploy web", "").await;

        assert_eq!(said, "deployment.apps/web created (server dry run)\n");
        assert!(none.contains("(NotFound)"), "{none}");
    })
    .await;
}

/// Patches come in three kinds: by the kind's own rules, as a merge, and as operations.
/// <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/>
#[tokio::test]
async fn kubectl_patches_in_three_ways() {
    with_each_kubectl(async |kubectl| {
        kubectl.feed("create -f -", DEPLOYMENT).await;

        let spec = r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox:2"}]}}}}"#;
        kubectl.run(&format!("patch deploy web -p {spec}")).await;
        kubectl.run(r#"patch deploy web --type=merge -p {"spec":{"replicas":4}}"#).await;
        let operation = r#"[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]"#;
        let same = kubectl.run(&format!("patch deploy web --type=json -p {operation}")).await;
        let again = kubectl.run(&format!("patch deploy web --type=json -p {operation}")).await;

        assert_eq!(same, "deployment.apps/web patched\n");
        assert_eq!(again, "deployment.apps/web patched (no change)\n");
        let web = read(kubectl, "deploy web").await;
        let images: Vec<&Value> = web["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["image"])
            .collect();
        assert_eq!(images, ["nginx:1", "busybox:2"]);
        assert_eq!((&web["spec"]["replicas"], &web["metadata"]["labels"]), (&json!(4), &json!({ "a": "b" })));
    })
    .await;
}

/// Labels and annotations are set, changed when that is said, and taken away.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_label/>
#[tokio::test]
async fn kubectl_labels_and_annotates() {
    with_each_kubectl(async |kubectl| {
        kubectl.run("create configmap c").await;

        kubectl.run("label cm c a=1 b=2").await;
        let refused = kubectl.fail("label cm c a=2", "").await;
        kubectl.run("label cm c a=2 b- --overwrite").await;
        kubectl.run("annotate cm c note=some~words").await;

        assert!(refused.contains("'a' already has a value (1)"), "{refused}");
        let metadata = &read(kubectl, "cm c").await["metadata"];
        assert_eq!(metadata["labels"], json!({ "a": "2" }));
        assert_eq!(metadata["annotations"], json!({ "note": "some words" }));
    })
    .await;
}

/// `kubectl set image` and `kubectl set env` change containers by their names.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_set/>
#[tokio::test]
async fn kubectl_sets_images() {
    with_each_kubectl(async |kubectl| {
        kubectl.feed("create -f -", DEPLOYMENT).await;

        let said = kubectl.run("set image deploy/web main=nginx:9").await;
        kubectl.run("set env deploy/web -c side A=b").await;

        assert_eq!(said, "deployment.apps/web image updated\n");
        let web = read(kubectl, "deploy web").await;
        let containers = &web["spec"]["template"]["spec"]["containers"];
        assert_eq!(containers[0]["image"], "nginx:9");
        assert_eq!(containers[1]["env"], json!([{ "name": "A", "value": "b" }]));
        assert_eq!(web["metadata"]["generation"], 3);
    })
    .await;
}

/// `kubectl replace` puts a whole object; with `--force` a new one.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_replace/>
#[tokio::test]
async fn kubectl_replaces() {
    with_each_kubectl(async |kubectl| {
        kubectl.run("create configmap c --from-literal=a=1").await;
        let before = read(kubectl, "cm c").await;
        let body = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c }\ndata: { b: \"2\" }\n";

        let said = kubectl.feed("replace -f -", body).await;
        let kept = read(kubectl, "cm c").await;
        kubectl.feed("replace --force -f -", body).await;
        let fresh = read(kubectl, "cm c").await;

        assert_eq!(said, "configmap/c replaced\n");
        assert_eq!(
            (&kept["data"], &kept["metadata"]["uid"]),
            (&json!({ "b": "2" }), &before["metadata"]["uid"])
        );
        assert_ne!(fresh["metadata"]["uid"], before["metadata"]["uid"]);
    })
    .await;
}

/// `kubectl edit` sends what the editor changed.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_edit/>
#[tokio::test]
async fn kubectl_edits() {
    with_each_kubectl(async |kubectl| {
        kubectl.run("create configmap c --from-literal=a=before").await;

        let said = kubectl.run("edit cm c").await;
        let again = kubectl.ask("edit cm c", "").await;

        assert_eq!(said, "configmap/c edited\n");
        assert_eq!(read(kubectl, "cm c").await["data"], json!({ "a": "after" }));
        assert!(again.err.contains("no changes made"), "{again:?}");
    })
    .await;
}

/// `kubectl delete` takes files, names and selectors, and waits until it is done.
/// <https://kubernetes.io/docs/reference/kubectl/generated/kubectl_delete/>
#[tokio::test]
async fn kubectl_deletes() {
    with_each_kubectl(async |kubectl| {
        for name in ["a", "b", "c"] {
            kubectl.run(&format!("create configmap {name}")).await;
            kubectl.run(&format!("label cm {name} which={name}")).await;
        }
        let file = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n";

        let said = [
            kubectl.feed("delete -f -", file).await,
            kubectl.run("delete cm -l which=b").await,
            kubectl.run("delete cm/c --wait=false").await,
            kubectl.run("delete cm a --ignore-not-found").await,
        ];
        let none = kubectl.fail("delete cm a", "").await;

        let prefix = |it: &String| it.split('"').nth(1).unwrap_or_default().to_owned();
        let names: Vec<String> = said.iter().map(prefix).collect();
        assert_eq!(names, ["a", "b", "c", ""]);
        assert!(none.contains("(NotFound): configmaps \"a\" not found"), "{none}");
    })
    .await;
}

/// What an owner leaves behind when it is told to, and what it takes along when it waits for it.
/// <https://kubernetes.io/docs/tasks/administer-cluster/use-cascading-deletion/>
#[tokio::test]
async fn kubectl_deletes_with_and_without_dependents() {
    with_each_kubectl(async |kubectl| {
        if !kubectl.ground.has_controllers() {
            return;
        }
        for name in ["left", "taken"] {
            kubectl.run(&format!("create configmap {name}")).await;
            let uid = read(kubectl, &format!("cm {name}")).await["metadata"]["uid"].clone();
            let owner =
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid });
            let dependent = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": name, "ownerReferences": [owner] },
            });
            kubectl.feed("create -f -", &dependent.to_string()).await;
        }

        kubectl.run("delete cm left --cascade=orphan --timeout=40s").await;
        kubectl.run("delete cm taken --cascade=foreground --timeout=40s").await;

        let left = read(kubectl, "secret left").await;
        assert_eq!(left["metadata"]["ownerReferences"], Value::Null);
        let gone = async || (!kubectl.ask("get secret taken", "").await.success).then_some(());
        kubectl.ground.eventually("the end of the dependent", gone).await;
    })
    .await;
}
