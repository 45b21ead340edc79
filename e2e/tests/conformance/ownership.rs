//! Who owns a field: how it is won, shared, given up and lost.

use serde_json::{Value, json};

use crate::appliers::{Shared, body, owners, told, version};

/// What a manager applied and applies no more goes, when nobody else owns it.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#apply-and-update>
#[tokio::test]
async fn a_field_that_is_given_up_goes() {
    let shared = Shared::new().await;
    shared.apply("a", json!({ "k": "1", "x": "2" })).await;

    let after = shared.apply("a", json!({ "k": "1" })).await;

    assert_eq!(after.json()["data"], json!({ "k": "1" }));
    assert_eq!(owners(&after), json!([["a", "Apply", { "f:data": { "f:k": {} } }]]));
}

/// Who applies a value that another owns gets 409, and hears which field and whose.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>
#[tokio::test]
async fn a_conflict_names_the_field_and_its_owner() {
    let shared = Shared::new().await;
    shared.apply("a", json!({ "k": "1" })).await;

    let refused = shared.apply("b", json!({ "k": "2" })).await;

    let message = "Apply failed with 1 conflict: conflict with \"a\": .data.k";
    assert_eq!(told(&refused), (409, "Conflict".into(), message.into()));
    let cause = json!([{
        "reason": "FieldManagerConflict", "message": "conflict with \"a\"", "field": ".data.k",
    }]);
    assert_eq!(refused.json()["details"]["causes"], cause);
    assert_eq!(shared.get().await.json()["data"], json!({ "k": "1" }));
}

/// Several conflicts come in one message, by their owners; an owner by update with its version.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>
#[tokio::test]
async fn conflicts_are_listed_by_their_owners() {
    let shared = Shared::created(json!({ "k": "1", "x": "1" })).await;
    shared.apply("a", json!({ "y": "1" })).await;

    let refused = shared.apply("b", json!({ "k": "2", "x": "2", "y": "2", "z": "2" })).await;

    let message = "Apply failed with 3 conflicts: conflicts with \"a\":\n- .data.y\n\
                   conflicts with \"creator\" using v1:\n- .data.k\n- .data.x";
    assert_eq!(told(&refused), (409, "Conflict".into(), message.into()));
}

/// A forced apply takes the field from its owner.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>
#[tokio::test]
async fn force_takes_the_field() {
    let shared = Shared::new().await;
    shared.apply("a", json!({ "k": "1", "x": "1" })).await;

    let after = shared.force("b", json!({ "k": "2" })).await;

    assert_eq!(after.json()["data"], json!({ "k": "2", "x": "1" }));
    let a = json!(["a", "Apply", { "f:data": { "f:x": {} } }]);
    let b = json!(["b", "Apply", { "f:data": { "f:k": {} } }]);
    assert_eq!(owners(&after), json!([a, b]));
}

/// Two who apply the same value both own it; one alone can then not change it, and it stays until
/// both gave it up.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>
#[tokio::test]
async fn a_field_can_have_two_owners() {
    let shared = Shared::new().await;
    shared.apply("a", json!({ "k": "1" })).await;

    let both = shared.apply("b", json!({ "k": "1" })).await;
    let refused = shared.apply("a", json!({ "k": "2" })).await;
    let one = shared.apply("a", json!({})).await;
    let none = shared.apply("b", json!({})).await;

    let of = |it: &str| json!([it, "Apply", { "f:data": { "f:k": {} } }]);
    let owned: Vec<Value> = owners(&both).as_array().unwrap().clone();
    assert!(owned.contains(&of("a")) && owned.contains(&of("b")), "{owned:?}");
    assert_eq!(told(&refused).0, 409);
    assert_eq!(one.json()["data"], json!({ "k": "1" }));
    assert_eq!(none.json()["data"].get("k"), None);
}

/// Whoever joins the owners of a value without changing anything has no time in its entry.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn who_changes_nothing_has_no_time() {
    let shared = Shared::new().await;
    shared.apply("a", json!({ "k": "1" })).await;

    let both = shared.apply("b", json!({ "k": "1" })).await;

    let list = both.json()["metadata"]["managedFields"].clone();
    let mine = list.as_array().unwrap().iter().find(|it| it["manager"] == "b").unwrap().clone();
    assert_eq!(mine.get("time"), None);
}

/// An update takes what it changes from all others, without asking.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>
#[tokio::test]
async fn an_update_takes_what_it_changes() {
    let shared = Shared::new().await;
    shared.apply("a", json!({ "k": "1", "x": "1" })).await;

    let after = shared.merge("ed", json!({ "data": { "k": "2" } })).await;
    let refused = shared.apply("a", json!({ "k": "1", "x": "1" })).await;

    let a = json!(["a", "Apply", { "f:data": { "f:x": {} } }]);
    let ed = json!(["ed", "Update", { "f:data": { "f:k": {} } }]);
    assert_eq!(owners(&after), json!([a, ed]));
    let message = "Apply failed with 1 conflict: conflict with \"ed\" using v1: .data.k";
    assert_eq!(told(&refused).2, message);
}

/// An update that changes nothing owns nothing, and does not raise the version.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn an_update_that_changes_nothing_owns_nothing() {
    let shared = Shared::created(json!({ "k": "1" })).await;
    let before = shared.get().await;

    let after = shared.merge("ed", json!({ "data": { "k": "1" } })).await;

    assert_eq!(after.json(), before.json());
}

/// A field that an update takes away has no owner any more, and a manager without fields no entry.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn what_is_gone_has_no_owner() {
    let shared = Shared::new().await;
    shared.apply("a", json!({ "k": "1" })).await;

    let after = shared.merge("ed", json!({ "data": null })).await;

    assert_eq!(after.json().get("data"), None);
    assert_eq!(owners(&after), json!([]));
}

/// The entry of an updater has the time of its last change.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn an_update_renews_its_time() {
    let shared = Shared::created(json!({ "k": "1" })).await;
    let time = |object: &Value| object["metadata"]["managedFields"][0]["time"].clone();
    let before = time(&shared.get().await.json());

    // Times are of whole seconds: a write of the same second leaves it as it was.
    let mut count = 1;
    let write_in_another = async || {
        count += 1;
        let data = json!({ "k": count.to_string() });
        let after = shared.merge("creator", json!({ "data": data })).await.json();
        (time(&after) != before).then_some(after)
    };
    let after = shared.ground.eventually("the time of a later write", write_in_another).await;

    assert_eq!(after["data"]["k"], count.to_string());
    assert_eq!(after["metadata"]["managedFields"].as_array().unwrap().len(), 1);
}

/// The same manager is another when it applies than when it updates.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>
#[tokio::test]
async fn an_applier_is_not_the_updater_of_its_name() {
    let shared = Shared::created(json!({ "k": "1" })).await;

    let refused = shared.apply("creator", json!({ "k": "2" })).await;
    let forced = shared.force("creator", json!({ "k": "2" })).await;

    assert_eq!(told(&refused).0, 409);
    let applied = json!(["creator", "Apply", { "f:data": { "f:k": {} } }]);
    let updated = json!(["creator", "Update", { "f:data": {} }]);
    assert_eq!(owners(&forced), json!([applied, updated]));
}

/// An empty list of managed fields is the way to be rid of them; updates then leave none, until
/// somebody applies and whatever is there is held by a manager that stands for all before.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields>
#[tokio::test]
async fn owners_can_be_cleared() {
    let shared = Shared::created(json!({ "k": "1" })).await;

    let cleared = shared.merge("ed", json!({ "metadata": { "managedFields": [] } })).await;
    let updated = shared.merge("ed", json!({ "data": { "x": "1" } })).await;
    let applied = shared.apply("a", json!({ "z": "1" })).await;

    assert_eq!(owners(&cleared), json!([]));
    assert_eq!(owners(&updated), json!([]));
    let a = json!(["a", "Apply", { "f:data": { "f:z": {} } }]);
    let before = json!({ "f:data": { ".": {}, "f:k": {}, "f:x": {} } });
    assert_eq!(owners(&applied), json!([a, ["before-first-apply", "Update", before]]));
}

/// A PUT without managed fields leaves those that are there.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields>
#[tokio::test]
async fn a_put_without_managed_fields_keeps_them() {
    let shared = Shared::created(json!({ "k": "1" })).await;
    let path = format!("{}?fieldManager=ed", shared.path);

    let after = shared.ground.put(&path, &body(json!({ "k": "1", "x": "1" }))).await;

    let creator = json!(["creator", "Update", { "f:data": { ".": {}, "f:k": {} } }]);
    let ed = json!(["ed", "Update", { "f:data": { "f:x": {} } }]);
    assert_eq!(owners(&after), json!([creator, ed]));
}

/// Whoever writes an object may write its owners too: so fields go from who updated to who applies.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#migration-between-client-side-and-server-side-apply>
#[tokio::test]
async fn an_updaters_fields_can_be_given_to_an_applier() {
    let shared = Shared::created(json!({ "k": "1" })).await;
    let found = shared.get().await;
    let mut entry = found.json()["metadata"]["managedFields"][0].clone();
    entry["operation"] = "Apply".into();
    entry["manager"] = "a".into();

    let given = shared.json_patch(json!([
        { "op": "replace", "path": "/metadata/managedFields", "value": [entry] },
        { "op": "replace", "path": "/metadata/resourceVersion", "value": version(&found) },
    ]));
    let given = given.await;
    let after = shared.apply("a", json!({ "x": "1" })).await;

    assert_eq!(given.code, 200, "{}", given.text);
    assert_eq!(after.json()["data"], json!({ "x": "1" }));
}

/// Managed fields that make no sense are as good as none: those that are there stay.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn owners_that_make_no_sense_are_not_taken() {
    let shared = Shared::created(json!({ "k": "1" })).await;
    let before = shared.get().await;
    let stated = |field: &str, value: Value| {
        let mut entry = before.json()["metadata"]["managedFields"][0].clone();
        entry["manager"] = "other".into();
        entry[field] = value;
        json!({ "metadata": { "managedFields": [entry] } })
    };

    for (field, value) in [
        ("operation", json!("Guess")),
        ("fieldsType", json!("FieldsV2")),
        ("apiVersion", json!("")),
        ("fieldsV1", json!({ "what": {} })),
    ] {
        let after = shared.merge("ed", stated(field, value)).await;

        assert_eq!(owners(&after), owners(&before), "{field}");
    }
}

/// Ten updaters have entries; the oldest beyond them share one.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn too_many_updaters_share_an_entry() {
    let shared = Shared::created(json!({ "k": "1" })).await;

    for index in 0..11 {
        let name = format!("x{index:02}");
        shared.merge(&name, json!({ "data": { name.as_str(): "1" } })).await;
    }

    let all = owners(&shared.get().await);
    let names: Vec<&str> = all.as_array().unwrap().iter().filter_map(|it| it[0].as_str()).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    assert!(names.contains(&"ancient-changes"), "{names:?}");
}

/// kubectl takes over by server-side apply what it applied before by itself, as the annotation says.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#migration-between-client-side-and-server-side-apply>
#[tokio::test]
async fn kubectl_takes_over_what_it_applied_before() {
    let shared = Shared::created(json!({ "k": "1", "x": "1" })).await;
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let last = body(json!({ "k": "1", "x": "0" })).to_string();
    shared.merge("creator", json!({ "metadata": { "annotations": { annotation: last } } })).await;

    let refused = shared.apply("kubectl", json!({ "x": "2" })).await;
    let taken = shared.apply("kubectl", json!({ "k": "2" })).await;

    assert_eq!(told(&refused).0, 409);
    assert_eq!(taken.json()["data"], json!({ "k": "2", "x": "1" }));
    let last = taken.json()["metadata"]["annotations"][annotation].as_str().unwrap().to_owned();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last, body(json!({ "k": "2" })));
}
