//! JSON patches and merge patches: what they change, and how they fail.

use serde_json::{Value, json};

use crate::appliers::{Shared, told, version};

/// All operations of a JSON patch, in their order.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_json_patch_runs_in_order() {
    let shared = Shared::created(json!({ "k": "1" })).await;

    let after = shared.json_patch(json!([
        { "op": "add", "path": "/data/x", "value": "2" },
        { "op": "copy", "from": "/data/x", "path": "/data/y" },
        { "op": "move", "from": "/data/k", "path": "/data/z" },
        { "op": "replace", "path": "/data/x", "value": "3" },
        { "op": "remove", "path": "/data/y" },
        { "op": "test", "path": "/data/z", "value": "1" },
    ]));

    assert_eq!(after.await.json()["data"], json!({ "x": "3", "z": "1" }));
}

/// An operation that does not apply refuses the whole patch, without a word on which it was.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_json_patch_applies_whole_or_not_at_all() {
    let shared = Shared::created(json!({ "k": "1" })).await;
    let first = json!({ "op": "add", "path": "/data/x", "value": "1" });

    for second in [
        json!({ "op": "test", "path": "/data/k", "value": "9" }),
        json!({ "op": "remove", "path": "/data/none" }),
        json!({ "op": "move", "from": "/data/none", "path": "/data/y" }),
        json!({ "op": "add", "path": "/metadata/annotations/x", "value": "1" }),
        json!({ "op": "frob", "path": "/data/y" }),
        json!({ "op": "add", "value": "1" }),
    ] {
        let refused = shared.json_patch(json!([first, second])).await;

        let message = "the server rejected our request due to an error in our request";
        assert_eq!(told(&refused), (422, "Invalid".into(), message.into()), "{second}");
    }
    assert_eq!(shared.get().await.json()["data"], json!({ "k": "1" }));
}

/// A JSON patch that replaces a field which is not there adds it.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_replaced_field_need_not_be_there() {
    let shared = Shared::created(json!({ "k": "1" })).await;

    let operation = json!({ "op": "replace", "path": "/data/x", "value": "2" });
    let after = shared.json_patch(json!([operation])).await;

    assert_eq!(after.json()["data"], json!({ "k": "1", "x": "2" }));
}

/// A slash in a key is escaped, and a dash is the end of a list.
/// <https://datatracker.ietf.org/doc/html/rfc6901#section-3>, as
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn paths_of_a_json_patch_are_pointers() {
    let shared = Shared::created(json!({})).await;

    let after = shared.json_patch(json!([
        { "op": "add", "path": "/metadata/labels", "value": { "example.com/a": "1" } },
        { "op": "replace", "path": "/metadata/labels/example.com~1a", "value": "2" },
        { "op": "add", "path": "/metadata/finalizers", "value": ["example.com/b"] },
        { "op": "add", "path": "/metadata/finalizers/-", "value": "example.com/c" },
        { "op": "add", "path": "/metadata/finalizers/0", "value": "example.com/a" },
        { "op": "remove", "path": "/metadata/finalizers/1" },
    ]));
    let after = after.await;

    let metadata = &after.json()["metadata"];
    assert_eq!(metadata["labels"], json!({ "example.com/a": "2" }));
    assert_eq!(metadata["finalizers"], json!(["example.com/a", "example.com/c"]));
    shared.merge("ed", json!({ "metadata": { "finalizers": null } })).await;
}

/// A JSON patch has at most 10,000 operations.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_json_patch_is_not_endless() {
    let shared = Shared::created(json!({})).await;
    let operation = json!({ "op": "add", "path": "/data", "value": {} });

    let refused = shared.json_patch(vec![operation; 10_001].into()).await;

    let message = "Request entity too large: The allowed maximum operations in a JSON patch is \
                   10000, got 10001";
    assert_eq!(told(&refused), (413, "RequestEntityTooLarge".into(), message.into()));
}

/// A document that is no patch gets 400.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_broken_patch_is_a_bad_request() {
    let shared = Shared::created(json!({})).await;
    let send = async |kind: &str, body: &str| {
        let media = format!("application/{kind}-patch+json");
        let request = http::Request::patch(&shared.path).header("content-type", media);
        told(&shared.ground.ask(request, body).await)
    };

    let bad = |message: &str| (400, "BadRequest".to_owned(), message.to_owned());
    let end = "error decoding patch: unexpected end of JSON input";
    assert_eq!(send("json", "[{").await, bad(end));
    assert_eq!(send("merge", "{").await, bad(end));
    assert_eq!(send("strategic-merge", "{").await, bad("unexpected end of JSON input"));
    let list = "error decoding patch: json: cannot unmarshal array into Go value of type \
                map[string]interface {}";
    assert_eq!(send("merge", "[]").await, bad(list));
    assert_eq!(send("json", "{}").await.0, 400);
}

/// A patch that leaves no object of its kind gets 422, which blames the patch.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_patch_to_another_shape_is_invalid() {
    let shared = Shared::created(json!({ "k": "1" })).await;

    let by_merge = shared.merge("ed", json!({ "data": "x" })).await;
    let operation = json!({ "op": "replace", "path": "/data", "value": "x" });
    let by_json = shared.json_patch(json!([operation])).await;
    let unknown = shared.merge("ed&fieldValidation=Strict", json!({ "sizes": 1 })).await;

    for refused in [by_merge, by_json, unknown] {
        let (code, reason, message) = told(&refused);
        assert_eq!((code, reason.as_str()), (422, "Invalid"));
        assert!(message.starts_with(" \"\" is invalid: patch: Invalid value: "), "{message}");
    }
}

/// A field that the schema does not know is dropped, with a warning.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn an_unknown_field_in_a_patch_warns() {
    let shared = Shared::created(json!({ "k": "1" })).await;

    let after = shared.merge("ed", json!({ "sizes": 1 })).await;

    assert_eq!(after.code, 200);
    assert_eq!(after.headers["warning"], "299 - \"unknown field \\\"sizes\\\"\"");
    assert_eq!(after.json().get("sizes"), None);
}

/// Nulls of a merge patch take fields away; those that are not there do no harm.
/// <https://datatracker.ietf.org/doc/html/rfc7396>, as
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn nulls_of_a_merge_patch_take_away() {
    let shared = Shared::created(json!({ "k": "1", "x": "1" })).await;

    let patch = json!({ "data": { "k": null, "none": null }, "metadata": { "labels": null } });
    let after = shared.merge("ed", patch).await;
    let none = shared.merge("ed", json!({ "data": null })).await;

    assert_eq!(after.json()["data"], json!({ "x": "1" }));
    assert_eq!(none.json().get("data"), None);
}

/// Lists of a merge patch take the place of lists.
/// <https://datatracker.ietf.org/doc/html/rfc7396>, as
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn lists_of_a_merge_patch_replace() {
    let shared = Shared::created(json!({})).await;
    let held = |list: Value| json!({ "metadata": { "finalizers": list } });
    shared.merge("ed", held(json!(["example.com/a", "example.com/b"]))).await;

    let after = shared.merge("ed", held(json!(["example.com/c"]))).await;
    shared.merge("ed", held(Value::Null)).await;

    assert_eq!(after.json()["metadata"]["finalizers"], json!(["example.com/c"]));
}

/// A patch of what is not there gets 404, however broken it is.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_patch_creates_nothing() {
    let shared = Shared::new().await;

    let merged = shared.merge("ed", json!({ "data": {} })).await;
    let patched = shared.json_patch(json!({})).await;

    let message = "configmaps \"one\" not found";
    assert_eq!(told(&merged), (404, "NotFound".into(), message.into()));
    assert_eq!(told(&patched), (404, "NotFound".into(), message.into()));
}

/// A patch that changes nothing does not raise the version.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn an_empty_patch_raises_no_version() {
    let shared = Shared::created(json!({ "k": "1" })).await;
    let before = shared.get().await;

    let merged = shared.merge("ed", json!({})).await;
    let patched = shared.json_patch(json!([])).await;

    assert_eq!(version(&merged), version(&before));
    assert_eq!(version(&patched), version(&before));
}

/// A version in a patch is a condition: another gets 409. Without one, a patch meets what is there.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_version_in_a_patch_is_a_condition() {
    let shared = Shared::created(json!({ "k": "1" })).await;
    let at =
        |version: &str| json!({ "metadata": { "resourceVersion": version }, "data": { "k": "2" } });
    let before = version(&shared.get().await);

    let stale = shared.merge("ed", at("1")).await;
    let fresh = shared.merge("ed", at(&before)).await;
    let blind = shared.merge("ed", json!({ "data": { "k": "3" } })).await;

    let (code, reason, _) = told(&stale);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert_eq!((fresh.code, blind.code), (200, 200));
}

/// A patch changes neither the name, nor the namespace, nor the uid.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
#[tokio::test]
async fn a_patch_keeps_the_identity() {
    let shared = Shared::created(json!({})).await;
    let with =
        async |metadata: Value| told(&shared.merge("ed", json!({ "metadata": metadata })).await);

    let name = with(json!({ "name": "two" })).await;
    let nameless = with(json!({ "name": null })).await;
    let namespace = with(json!({ "namespace": "elsewhere" })).await;
    let uid = with(json!({ "uid": "other" })).await;

    let bad = |message: &str| (400, "BadRequest".to_owned(), message.to_owned());
    let wanted = "the name of the object (two) does not match the name on the URL (one)";
    assert_eq!(name, bad(wanted));
    let wanted = "the name of the object (one based on URL) was undeterminable: name must be \
                  provided";
    assert_eq!(nameless, bad(wanted));
    let wanted = "the namespace of the provided object does not match the namespace sent on the \
                  request";
    assert_eq!(namespace, bad(wanted));
    assert_eq!((uid.0, uid.1.as_str()), (422, "Invalid"));
    assert!(uid.2.ends_with("field is immutable"), "{}", uid.2);
}

/// Patches that race without a version all take effect: the server tries again.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn patches_that_race_all_take_effect() {
    let shared = Shared::created(json!({ "k": "1" })).await;

    let one = async |name: &str| shared.merge("ed", json!({ "data": { name: "1" } })).await.code;
    let codes = tokio::join!(one("a"), one("b"), one("c"), one("d"));

    assert_eq!(codes, (200, 200, 200, 200));
    let all = json!({ "a": "1", "b": "1", "c": "1", "d": "1", "k": "1" });
    assert_eq!(shared.get().await.json()["data"], all);
}

/// A patch of a media type that is none gets 415.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_patch_names_its_kind() {
    let shared = Shared::created(json!({})).await;

    for media in ["application/json", "text/plain", "application/apply-patch+json"] {
        let request = http::Request::patch(&shared.path).header("content-type", media);
        let refused = shared.ground.ask(request, "{}").await;

        let (code, reason, _) = told(&refused);
        assert_eq!((code, reason.as_str()), (415, "UnsupportedMediaType"), "{media}");
    }
}
