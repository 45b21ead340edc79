//! Owners and what they own: who goes with whom, who waits, who is let go.

use serde_json::{Value, json};

use crate::ground::Ground;

/// ConfigMaps that own each other, where a collector runs.
struct Family {
    ground: Ground,
    path: String,
}

impl Family {
    async fn new() -> Option<Self> {
        let ground = Ground::new().await;
        let path = format!("/api/v1/namespaces/{}/configmaps", ground.namespace());
        ground.has_controllers().then_some(Self { ground, path })
    }

    async fn add(&self, name: &str, owners: &[Value], finalizers: &[&str]) -> Value {
        let body = json!({ "metadata": {
            "name": name, "ownerReferences": owners, "finalizers": finalizers,
        } });
        let made = self.ground.post(&self.path, &body).await;
        assert_eq!(made.code, 201, "{}", made.text);
        made.json()
    }

    async fn delete(&self, name: &str, options: Value) -> Value {
        let deleted = self.ground.delete(&self.at(name), &options).await;
        assert_eq!(deleted.code, 200, "{}", deleted.text);
        deleted.json()
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    async fn is_there(&self, name: &str) -> bool {
        self.ground.get(&self.at(name)).await.code == 200
    }

    async fn is_gone(&self, name: &str) {
        let gone = async || (!self.is_there(name).await).then_some(());
        self.ground.eventually(&format!("the end of {name}"), gone).await;
    }

    async fn metadata(&self, name: &str) -> Value {
        self.ground.get(&self.at(name)).await.json()["metadata"].clone()
    }

    /// The metadata, once deletion was asked for.
    async fn is_deleting(&self, name: &str) -> Value {
        let look = async || {
            let found = self.metadata(name).await;
            found["deletionTimestamp"].is_string().then_some(found)
        };
        self.ground.eventually(&format!("the deletion of {name}"), look).await
    }

    async fn free(&self, name: &str) {
        let free = json!({ "metadata": { "finalizers": null } });
        self.ground.patch(&self.at(name), "merge", &free).await;
    }
}

fn owner(object: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"],
    })
}

fn blocking(object: &Value) -> Value {
    let mut reference = owner(object);
    reference["blockOwnerDeletion"] = true.into();
    reference
}

const ABSENT: &str = "11111111-1111-1111-1111-111111111111";
const HOLD: &[&str] = &["example.com/hold"];

/// An owner goes at once, what it owns goes after it.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#background-deletion>
#[tokio::test]
async fn what_is_owned_goes_after_its_owner() {
    let Some(family) = Family::new().await else { return };
    let first = family.add("first", &[], &[]).await;
    let second = family.add("second", &[owner(&first)], &[]).await;
    family.add("third", &[owner(&second)], &[]).await;

    let status = family.delete("first", Value::Null).await;

    assert_eq!(status["details"]["uid"], first["metadata"]["uid"]);
    assert!(!family.is_there("first").await);
    family.is_gone("second").await;
    family.is_gone("third").await;
}

/// An owner that orphans lets go of what it owns: the references to it are taken away.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#orphaned-dependents>
#[tokio::test]
async fn an_orphan_loses_its_reference() {
    let Some(family) = Family::new().await else { return };
    let first = family.add("first", &[], &[]).await;
    family.add("second", &[owner(&first)], &[]).await;

    let held = family.delete("first", json!({ "propagationPolicy": "Orphan" })).await;
    family.is_gone("first").await;

    assert_eq!(held["metadata"]["finalizers"], json!(["orphan"]));
    assert_eq!(family.metadata("second").await["ownerReferences"], Value::Null);
}

/// The older way to say it: `orphanDependents`.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/delete-options/>
#[tokio::test]
async fn orphan_dependents_orphans() {
    let Some(family) = Family::new().await else { return };
    let first = family.add("first", &[], &[]).await;
    family.add("second", &[owner(&first)], &[]).await;

    let held = family.delete("first", json!({ "orphanDependents": true })).await;
    family.is_gone("first").await;

    assert_eq!(held["metadata"]["finalizers"], json!(["orphan"]));
    assert_eq!(family.metadata("second").await["ownerReferences"], Value::Null);
}

/// An owner deleted in the foreground waits for what it owns that blocks it, not for the rest.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion>
#[tokio::test]
async fn a_foreground_deletion_waits_for_what_blocks() {
    let Some(family) = Family::new().await else { return };
    let first = family.add("first", &[], &[]).await;
    family.add("blocks", &[blocking(&first)], HOLD).await;
    family.add("follows", &[owner(&first)], HOLD).await;

    let held = family.delete("first", json!({ "propagationPolicy": "Foreground" })).await;
    family.is_deleting("blocks").await;
    family.is_deleting("follows").await;
    let waits = family.is_there("first").await;
    family.free("blocks").await;
    family.is_gone("first").await;

    assert_eq!(held["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert!(waits && family.is_there("follows").await);
    family.free("follows").await;
}

/// A foreground deletion goes down the generations: each waits for the next.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion>
#[tokio::test]
async fn a_foreground_deletion_goes_down_the_generations() {
    let Some(family) = Family::new().await else { return };
    let first = family.add("first", &[], &[]).await;
    let second = family.add("second", &[blocking(&first)], &[]).await;
    family.add("third", &[blocking(&second)], HOLD).await;

    family.delete("first", json!({ "propagationPolicy": "Foreground" })).await;
    family.is_deleting("third").await;
    let between = family.metadata("second").await;
    family.free("third").await;
    family.is_gone("first").await;

    assert_eq!(between["finalizers"], json!(["foregroundDeletion"]));
    assert!(between["deletionTimestamp"].is_string());
    assert!(!family.is_there("second").await);
}

/// An owner that never was, or is another than the reference says, keeps nothing alive.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents>
#[tokio::test]
async fn an_owner_that_is_not_there_keeps_nothing() {
    let Some(family) = Family::new().await else { return };
    let other = family.add("other", &[], &[]).await;
    let mut wrong = owner(&other);
    wrong["uid"] = ABSENT.into();
    let mut never = wrong.clone();
    never["name"] = "never".into();

    family.add("wrong", &[wrong], &[]).await;
    family.add("never", &[never], &[]).await;

    family.is_gone("wrong").await;
    family.is_gone("never").await;
    assert!(family.is_there("other").await);
}

/// One owner of several is enough; references to those that are gone are taken away.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents>
#[tokio::test]
async fn one_owner_of_several_is_enough() {
    let Some(family) = Family::new().await else { return };
    let first = family.add("first", &[], &[]).await;
    let second = family.add("second", &[], &[]).await;
    family.add("child", &[owner(&first), owner(&second)], &[]).await;

    family.delete("first", Value::Null).await;
    let one = async || {
        let owners = family.metadata("child").await["ownerReferences"].clone();
        (owners == json!([owner(&second)])).then_some(())
    };
    family.ground.eventually("one owner", one).await;
    family.delete("second", Value::Null).await;

    family.is_gone("child").await;
}

/// An owner in the foreground does not wait for what another owner keeps, and is forgotten there.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion>
#[tokio::test]
async fn a_foreground_deletion_leaves_what_others_own() {
    let Some(family) = Family::new().await else { return };
    let first = family.add("first", &[], &[]).await;
    let second = family.add("second", &[], &[]).await;
    family.add("child", &[blocking(&first), owner(&second)], &[]).await;

    family.delete("first", json!({ "propagationPolicy": "Foreground" })).await;
    family.is_gone("first").await;

    assert_eq!(family.metadata("child").await["ownerReferences"], json!([owner(&second)]));
}

/// An owner in another namespace is none: what it is said to own goes, and a warning tells why.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/#owner-references-in-object-specifications>
#[tokio::test]
async fn an_owner_lives_in_the_same_namespace() {
    let Some(family) = Family::new().await else { return };
    let abroad = family.ground.unique("abroad");
    let body = json!({ "metadata": { "name": abroad } });
    assert_eq!(family.ground.post("/api/v1/namespaces", &body).await.code, 201);
    let there = format!("/api/v1/namespaces/{abroad}/configmaps");
    let body = json!({ "metadata": { "name": "foreign" } });
    let foreign = family.ground.post(&there, &body).await.json();

    family.add("child", &[owner(&foreign)], &[]).await;
    family.is_gone("child").await;
    let events = format!("/api/v1/namespaces/{}/events", family.ground.namespace());
    let warning = async || {
        let list = family.ground.get(&events).await.json();
        let all = list["items"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|it| it["reason"] == "OwnerRefInvalidNamespace")
    };
    let warning = family.ground.eventually("a warning", warning).await;

    assert_eq!(family.ground.get(&format!("{there}/foreign")).await.code, 200);
    assert_eq!(
        (&warning["type"], &warning["involvedObject"]["name"]),
        (&json!("Warning"), &json!("child"))
    );
    family.ground.delete(&format!("/api/v1/namespaces/{abroad}"), &Value::Null).await;
}

/// An object without a namespace may own one in a namespace.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/#owner-references-in-object-specifications>
#[tokio::test]
async fn what_has_no_namespace_may_own() {
    let Some(family) = Family::new().await else { return };
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let name = family.ground.unique("owner");
    let body = json!({ "metadata": { "name": name }, "rules": [] });
    let role = family.ground.post(roles, &body).await.json();
    let mut reference = owner(&role);
    reference["apiVersion"] = "rbac.authorization.k8s.io/v1".into();
    reference["kind"] = "ClusterRole".into();

    family.add("child", &[reference], &[]).await;
    family
        .add(
            "orphan",
            &[json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": ABSENT,
            })],
            &[],
        )
        .await;
    family.is_gone("orphan").await;
    let kept = family.is_there("child").await;
    family.ground.delete(&format!("{roles}/{name}"), &Value::Null).await;

    assert!(kept);
    family.is_gone("child").await;
}

/// An owner of a kind that nobody serves is left undecided: what it owns stays.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents>
#[tokio::test]
async fn an_owner_of_an_unknown_kind_is_not_judged() {
    let Some(family) = Family::new().await else { return };
    let unknown = json!({
        "apiVersion": "nobody.example.com/v1", "kind": "Thing", "name": "never", "uid": ABSENT,
    });
    family.add("child", &[unknown], &[]).await;
    let mut absent = owner(&json!({ "metadata": { "name": "never", "uid": ABSENT } }));
    absent["kind"] = "Secret".into();

    family.add("later", &[absent], &[]).await;
    family.is_gone("later").await;

    assert!(family.is_there("child").await);
}

/// References say what they mean: each part is required, and one owner controls at most.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>
#[tokio::test]
async fn references_are_judged() {
    let ground = Ground::new().await;
    let path = format!("/api/v1/namespaces/{}/configmaps", ground.namespace());
    let refused = async |owners: Value| {
        let body = json!({ "metadata": { "name": "bad", "ownerReferences": owners } });
        let answer = ground.post(&path, &body).await;
        assert_eq!(answer.code, 422, "{}", answer.text);
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    let control = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "name": name, "uid": name, "controller": true,
        })
    };

    let empty = refused(json!([{}])).await;
    let two = refused(json!([control("a"), control("b")])).await;
    let event =
        refused(json!([{ "apiVersion": "v1", "kind": "Event", "name": "a", "uid": "u" }])).await;

    assert_eq!(
        empty,
        "ConfigMap \"bad\" is invalid: [metadata.ownerReferences.apiVersion: Invalid value: \"\": \
         version must not be empty, metadata.ownerReferences.kind: Invalid value: \"\": must not be \
         empty, metadata.ownerReferences.name: Invalid value: \"\": must not be empty, \
         metadata.ownerReferences.uid: Invalid value: \"\": must not be empty]"
    );
    let only = "Only one reference can have Controller set to true. Found \"true\" in references for \
        Secret/a and Secret/b";
    assert!(two.ends_with(only), "{two}");
    assert!(event.ends_with("/v1, Kind=Event is disallowed from being an owner"), "{event}");
}

/// A Job's Pods stay when its deletion says nothing of them, and go when it says so.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#cascading-deletion>
#[tokio::test]
async fn a_jobs_pods_stay_unless_the_deletion_says_so() {
    let Some(family) = Family::new().await else { return };
    let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", family.ground.namespace());
    let pods = format!("/api/v1/namespaces/{}/pods", family.ground.namespace());
    let of = async |job: &str| {
        let path = format!("{pods}?labelSelector=job-name%3D{job}");
        let list = family.ground.get(&path).await.json();
        list["items"].as_array().and_then(|it| it.first().cloned())
    };
    for name in ["keeps", "takes", "waits"] {
        let mut job = crate::job_bench::job(json!({}));
        job["metadata"]["name"] = name.into();
        assert_eq!(family.ground.post(&jobs, &job).await.code, 201);
        family.ground.eventually("a Pod", async || of(name).await).await;
    }

    let held = family.ground.delete(&format!("{jobs}/keeps"), &Value::Null).await.json();
    let background = json!({ "propagationPolicy": "Background" });
    family.ground.delete(&format!("{jobs}/takes"), &background).await;
    let foreground = json!({ "propagationPolicy": "Foreground" });
    family.ground.delete(&format!("{jobs}/waits"), &foreground).await;

    for name in ["takes", "waits"] {
        let gone = async || of(name).await.is_none().then_some(());
        family.ground.eventually("the end of its Pod", gone).await;
    }
    assert_eq!(held["metadata"]["finalizers"], json!(["orphan"]));
    let free = async || {
        let kept = of("keeps").await.unwrap()["metadata"].clone();
        (kept["ownerReferences"].is_null() && kept["finalizers"].is_null()).then_some(())
    };
    family.ground.eventually("a Pod of nobody's", free).await;
}

/// What a deletion asks for must be one of the ways there are, and said once.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/delete-options/>
#[tokio::test]
async fn ways_to_delete_are_judged() {
    let Some(family) = Family::new().await else { return };
    family.add("one", &[], &[]).await;
    let refused = async |options: Value| {
        let answer = family.ground.delete(&family.at("one"), &options).await;
        assert_eq!(answer.code, 422, "{}", answer.text);
        answer.json()["message"].clone()
    };

    let unknown = refused(json!({ "propagationPolicy": "Nope" })).await;
    let twice = refused(json!({ "propagationPolicy": "Orphan", "orphanDependents": true })).await;

    assert_eq!(
        unknown,
        "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Nope\": \
         supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
    );
    assert_eq!(
        twice,
        "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": \
         orphanDependents and deletionPropagation cannot be both set"
    );
}
