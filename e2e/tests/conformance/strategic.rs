//! Strategic merge patches: lists merge by the keys that their kinds know.

use serde_json::{Value, json};

use crate::appliers::told;
use crate::ground::{Answer, Ground};

/// A Deployment whose one container, `c`, has two variables and a port.
struct Deployed {
    ground: Ground,
    path: String,
}

impl Deployed {
    async fn new() -> Self {
        let ground = Ground::new().await;
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", ground.namespace());
        let container = json!({
            "name": "c", "image": "i:1", "args": ["a", "b"], "ports": [{ "containerPort": 80 }],
            "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
        });
        let labels = json!({ "app": "x" });
        let body = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "one" },
            "spec": { "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [container], "nodeSelector": { "a": "b" } },
            } },
        });
        let made = ground.post(&path, &body).await;
        assert_eq!(made.code, 201, "{}", made.text);
        Self { ground, path: format!("{path}/one") }
    }

    async fn patch(&self, spec: Value) -> Answer {
        self.ground.patch(&self.path, "strategic-merge", &json!({ "spec": spec })).await
    }

    async fn pod(&self, spec: Value) -> Answer {
        self.patch(json!({ "template": { "spec": spec } })).await
    }

    /// Patches the one container.
    async fn container(&self, mut patch: Value) -> Answer {
        patch["name"] = "c".into();
        self.pod(json!({ "containers": [patch] })).await
    }
}

fn pod(answer: &Answer) -> Value {
    assert_eq!(answer.code, 200, "{}", answer.text);
    answer.json()["spec"]["template"]["spec"].clone()
}

/// The names of the container's variables, in their order.
fn variables(answer: &Answer) -> Vec<String> {
    let list = pod(answer)["containers"][0]["env"].clone();
    let list = list.as_array().cloned().unwrap_or_default();
    list.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// The items of a keyed list merge by their key; new ones come before those that the patch leaves out.
/// <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/#use-a-strategic-merge-patch-to-update-a-deployment>
#[tokio::test]
async fn keyed_lists_merge_item_by_item() {
    let deployed = Deployed::new().await;

    let new = json!([{ "name": "C", "value": "3" }, { "name": "B", "value": "9" }]);
    let after = deployed.container(json!({ "env": new })).await;

    assert_eq!(variables(&after), ["C", "A", "B"]);
    assert_eq!(pod(&after)["containers"][0]["env"][2]["value"], "9");
    assert_eq!(pod(&after)["containers"][0]["image"], "i:1");
}

/// An item goes by a directive that names its key, and the whole list is replaced by another.
/// <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>
#[tokio::test]
async fn directives_delete_and_replace() {
    let deployed = Deployed::new().await;

    let less = deployed.container(json!({ "env": [{ "$patch": "delete", "name": "A" }] })).await;
    let other = json!([{ "$patch": "replace" }, { "name": "Z", "value": "1" }]);
    let other = deployed.container(json!({ "env": other })).await;
    let none = deployed.container(json!({ "env": null })).await;

    assert_eq!(variables(&less), ["B"]);
    assert_eq!(variables(&other), ["Z"]);
    assert!(variables(&none).is_empty());
}

/// A patch can say in which order the items stand.
/// <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>
#[tokio::test]
async fn a_patch_sets_the_order_of_a_list() {
    let deployed = Deployed::new().await;
    let order = json!([{ "name": "B" }, { "name": "N" }, { "name": "A" }]);

    let new = json!([{ "name": "N", "value": "1" }]);
    let after = deployed.container(json!({ "$setElementOrder/env": order, "env": new })).await;

    assert_eq!(variables(&after), ["B", "N", "A"]);
}

/// An order that is not that of the patch's own items is refused.
/// <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>
#[tokio::test]
async fn an_order_without_the_patchs_items_is_refused() {
    let deployed = Deployed::new().await;

    let patch = json!({ "$setElementOrder/env": [{ "name": "Q" }], "env": [{ "name": "W" }] });
    let refused = deployed.container(patch).await;

    let (code, _, message) = told(&refused);
    assert_eq!(code, 500);
    assert!(message.contains("doesn't match $setElementOrder list"), "{message}");
}

/// An item without its list's key, and a directive that nobody knows, are refused.
/// <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>
#[tokio::test]
async fn items_without_keys_are_refused() {
    let deployed = Deployed::new().await;

    let keyless = deployed.pod(json!({ "containers": [{ "image": "x" }] })).await;
    let unknown = deployed.container(json!({ "$patch": "frob" })).await;

    let message = "map: map[image:x] does not contain declared merge key: name";
    assert_eq!(told(&keyless), (500, String::new(), message.into()));
    let message = "unknown patch type: frob in map: map[$patch:frob name:c]";
    assert_eq!(told(&unknown), (500, String::new(), message.into()));
}

/// Lists without a key are replaced as they are.
/// <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/#notes-on-the-strategic-merge-patch>
#[tokio::test]
async fn lists_without_keys_are_replaced() {
    let deployed = Deployed::new().await;

    let after = deployed.container(json!({ "args": ["z"] })).await;
    deployed.pod(json!({ "tolerations": [{ "key": "a", "operator": "Exists" }] })).await;
    let other = json!({ "tolerations": [{ "key": "b", "operator": "Exists" }] });
    let other = deployed.pod(other).await;

    assert_eq!(pod(&after)["containers"][0]["args"], json!(["z"]));
    assert_eq!(pod(&other)["tolerations"], json!([{ "key": "b", "operator": "Exists" }]));
}

/// A strategic patch knows ports by their number alone, whatever their protocol.
/// <https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#container-v1-core>
#[tokio::test]
async fn ports_merge_by_their_number() {
    let deployed = Deployed::new().await;

    let named = deployed.container(json!({ "ports": [{ "containerPort": 80, "name": "web" }] }));
    let named = named.await;

    let ports = json!([{ "containerPort": 80, "name": "web", "protocol": "TCP" }]);
    assert_eq!(pod(&named)["containers"][0]["ports"], ports);
}

/// Maps merge key by key, go by null, and are replaced by a directive.
/// <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/>
#[tokio::test]
async fn maps_merge_key_by_key() {
    let deployed = Deployed::new().await;

    let more = deployed.pod(json!({ "nodeSelector": { "c": "d" } })).await;
    let less = deployed.pod(json!({ "nodeSelector": { "a": null } })).await;
    let other = deployed.pod(json!({ "nodeSelector": { "$patch": "replace", "z": "1" } })).await;
    let none = deployed.pod(json!({ "nodeSelector": { "$patch": "delete" } })).await;

    assert_eq!(pod(&more)["nodeSelector"], json!({ "a": "b", "c": "d" }));
    assert_eq!(pod(&less)["nodeSelector"], json!({ "c": "d" }));
    assert_eq!(pod(&other)["nodeSelector"], json!({ "z": "1" }));
    assert_eq!(pod(&none).get("nodeSelector"), None);
}

/// What is one of several alternatives is changed by saying which fields stay.
/// <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/#use-strategic-merge-patch-to-update-a-deployment-using-the-retainkeys-strategy>
#[tokio::test]
async fn a_patch_says_which_fields_stay() {
    let deployed = Deployed::new().await;

    let recreate = json!({ "strategy": { "$retainKeys": ["type"], "type": "Recreate" } });
    let after = deployed.patch(recreate).await;
    let broken = json!({ "strategy": { "$retainKeys": [], "type": "RollingUpdate" } });
    let refused = deployed.patch(broken).await;

    assert_eq!(after.json()["spec"]["strategy"], json!({ "type": "Recreate" }));
    let message = "invalid patch format of retainKeys";
    assert_eq!(told(&refused), (400, "BadRequest".into(), message.into()));
}

/// Finalizers are a set: they are added, and go by a list of their own.
/// <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>
#[tokio::test]
async fn sets_grow_and_shrink() {
    let deployed = Deployed::new().await;
    let patch = async |metadata: Value| {
        let patch = json!({ "metadata": metadata });
        let after = deployed.ground.patch(&deployed.path, "strategic-merge", &patch).await;
        assert_eq!(after.code, 200, "{}", after.text);
        after.json()["metadata"]["finalizers"].clone()
    };

    patch(json!({ "finalizers": ["example.com/a", "example.com/b"] })).await;
    let more = patch(json!({ "finalizers": ["example.com/c", "example.com/a"] })).await;
    let gone = json!({ "$deleteFromPrimitiveList/finalizers": ["example.com/a"] });
    let less = patch(gone).await;
    let none = patch(json!({ "finalizers": null })).await;

    assert_eq!(more, json!(["example.com/c", "example.com/a", "example.com/b"]));
    assert_eq!(less, json!(["example.com/c", "example.com/b"]));
    assert_eq!(none, Value::Null);
}

/// Owner references merge by the uid of the owner.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
#[tokio::test]
async fn owners_merge_by_their_uid() {
    let deployed = Deployed::new().await;
    let own = |uid: &str| json!({ "apiVersion": "v1", "kind": "Node", "name": "n", "uid": uid });
    let patch = async |owners: Value| {
        // A rehearsal: owners that are not there would take the object with them.
        let path = format!("{}?dryRun=All", deployed.path);
        let patch = json!({ "metadata": { "ownerReferences": owners } });
        deployed.ground.patch(&path, "strategic-merge", &patch).await
    };

    let both = patch(json!([own("u1"), own("u2")])).await;
    let keyless = patch(json!([{ "name": "n" }])).await;

    let owners = both.json()["metadata"]["ownerReferences"].clone();
    assert_eq!(owners.as_array().map(Vec::len), Some(2));
    assert_ne!(keyless.code, 200);
}

/// Conditions merge by their type, and the subresource of the status changes nothing else.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn conditions_merge_by_their_type() {
    let deployed = Deployed::new().await;
    let path = format!("{}/status", deployed.path);
    let patch = async |patch: Value| deployed.ground.patch(&path, "strategic-merge", &patch).await;
    let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status });

    let first = json!({ "status": { "conditions": [condition("A", "True")] } });
    patch(first).await;
    let second = json!({
        "spec": { "replicas": 9 },
        "status": { "conditions": [condition("B", "True"), condition("A", "False")] },
    });
    let after = patch(second).await;

    let conditions = after.json()["status"]["conditions"].clone();
    let short: Vec<(Value, Value)> = conditions
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["type"].clone(), it["status"].clone()))
        .collect();
    assert_eq!(short, [(json!("B"), json!("True")), (json!("A"), json!("False"))]);
    assert_eq!(after.json()["spec"]["replicas"], 1);
    assert_eq!(after.json()["metadata"]["generation"], 1);
}

/// The type of an object is that of its path, whatever a strategic patch says.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_strategic_patch_changes_no_type() {
    let deployed = Deployed::new().await;

    let patch = json!({ "kind": "Secret" });
    let after = deployed.ground.patch(&deployed.path, "strategic-merge", &patch).await;

    assert_eq!((after.code, &after.json()["kind"]), (200, &json!("Deployment")));
}
