//! Server-side apply: what it takes, and what it refuses.

use serde_json::{Value, json};

use crate::appliers::{Shared, body, owners, told, version};

/// An apply of what is not there creates it, and its manager owns what it said.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#apply-and-update>
#[tokio::test]
async fn an_apply_creates() {
    let shared = Shared::new().await;

    let made = shared.apply("a", json!({ "k": "1" })).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(owners(&made), json!([["a", "Apply", { "f:data": { "f:k": {} } }]]));
    let entry = &made.json()["metadata"]["managedFields"][0];
    assert_eq!(entry["apiVersion"], "v1");
    assert_eq!(entry["fieldsType"], "FieldsV1");
    assert_eq!(entry["time"], made.json()["metadata"]["creationTimestamp"]);
}

/// The same apply again changes nothing: not the version, not the time of its manager.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/>
#[tokio::test]
async fn an_apply_of_the_same_changes_nothing() {
    let shared = Shared::new().await;
    let made = shared.apply("a", json!({ "k": "1" })).await;

    let again = shared.apply("a", json!({ "k": "1" })).await;

    assert_eq!(again.code, 200);
    assert_eq!(again.json(), made.json());
}

/// An apply without a manager is refused with 422.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>
#[tokio::test]
async fn an_apply_names_its_manager() {
    let shared = Shared::new().await;

    let refused = shared.ground.patch(&shared.path, "apply", &body(json!({}))).await;

    let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is \
                   required for apply patch";
    assert_eq!(told(&refused), (422, "Invalid".into(), message.into()));
}

/// A manager's name has at most 128 bytes, none of which is unprintable.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>
#[tokio::test]
async fn a_managers_name_is_short_and_printable() {
    let shared = Shared::created(json!({})).await;

    let long = shared.merge(&"m".repeat(129), json!({})).await;
    let unprintable = shared.merge("a%07b", json!({})).await;

    let (code, _, message) = told(&long);
    assert_eq!(code, 422);
    assert!(
        message.ends_with("fieldManager: Too long: may not be more than 128 bytes"),
        "{message}"
    );
    let (code, _, message) = told(&unprintable);
    assert_eq!(code, 422);
    assert!(message.ends_with("invalid character U+0007 (at position 1)"), "{message}");
}

/// Only an apply may be forced.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>
#[tokio::test]
async fn other_patches_are_not_forced() {
    let shared = Shared::created(json!({})).await;

    let refused = shared.merge("a&force=true", json!({})).await;

    let message = "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified \
                   for non-apply patch";
    assert_eq!(told(&refused), (422, "Invalid".into(), message.into()));
}

/// The managed fields are the server's: an applied body has none.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn an_applied_body_has_no_managed_fields() {
    let shared = Shared::new().await;
    let mut wanted = body(json!({}));
    wanted["metadata"]["managedFields"] = json!([]);

    let refused = shared.apply_body("a", &wanted).await;

    let message = "metadata.managedFields must be nil";
    assert_eq!(told(&refused), (400, "BadRequest".into(), message.into()));
}

/// An applied body says what it is, and that is what its path says.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/>
#[tokio::test]
async fn an_applied_body_says_what_it_is() {
    let shared = Shared::new().await;
    let named = json!({ "name": "one" });

    let nothing = shared.apply_body("a", &json!({ "metadata": named })).await;
    let no_kind = shared.apply_body("a", &json!({ "apiVersion": "v1", "metadata": named })).await;
    let other = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": named });
    let other = shared.apply_body("a", &other).await;

    let reason = || "BadRequest".to_owned();
    assert_eq!(told(&nothing), (400, reason(), "invalid object type: /, Kind=".into()));
    assert_eq!(told(&no_kind), (400, reason(), "invalid object type: /v1, Kind=".into()));
    assert_eq!(told(&other), (400, reason(), "invalid object type: batch/v1, Kind=Job".into()));
}

/// The name is that of the path; an applied body gets none of its own, not even a generated one.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values>
#[tokio::test]
async fn an_applied_object_has_the_name_of_its_path() {
    let shared = Shared::new().await;
    let of =
        |metadata: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });

    let other = shared.apply_body("a", &of(json!({ "name": "two" }))).await;
    let none = shared.apply_body("a", &of(json!({}))).await;
    let generated = shared.apply_body("a", &of(json!({ "generateName": "o" }))).await;
    let placed = of(json!({ "name": "one", "namespace": "elsewhere" }));
    let placed = shared.apply_body("a", &placed).await;

    let (code, _, message) = told(&other);
    let wanted = "the name of the object (two) does not match the name on the URL (one)";
    assert_eq!((code, message.as_str()), (400, wanted));
    for refused in [none, generated] {
        let (code, _, message) = told(&refused);
        let wanted = "the name of the object (one based on URL) was undeterminable: name must be \
                      provided";
        assert_eq!((code, message.as_str()), (400, wanted));
    }
    assert_eq!(placed.code, 400);
    assert_eq!(shared.get().await.code, 404);
}

/// What the schema does not know nobody can own: such an apply is refused, however lenient it is.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/>
#[tokio::test]
async fn an_apply_of_unknown_fields_is_refused() {
    let shared = Shared::new().await;
    let mut wanted = body(json!({}));
    wanted["sizes"] = json!([]);

    let refused = shared.apply_body("a&fieldValidation=Ignore", &wanted).await;

    let message = "failed to create typed patch object (/one; /v1, Kind=ConfigMap): .sizes: field \
                   not declared in schema";
    assert_eq!(told(&refused), (500, String::new(), message.into()));
}

/// A value of a wrong type is refused, and the message has its path and what it should be.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/>
#[tokio::test]
async fn an_apply_of_wrong_types_is_refused() {
    let shared = Shared::new().await;

    let map = shared.apply("a", json!("x")).await;
    let text = shared.apply("a", json!({ "k": 1 })).await;

    let prefix = "failed to create typed patch object (/one; /v1, Kind=ConfigMap): ";
    let (code, _, message) = told(&map);
    assert_eq!((code, message), (500, format!("{prefix}.data: expected map, got &{{x}}")));
    let (code, _, message) = told(&text);
    assert_eq!(code, 500);
    assert!(message.starts_with(&format!("{prefix}.data.k: expected string, got")), "{message}");
}

/// A version in an applied body is a condition on the object that is there.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>
#[tokio::test]
async fn an_apply_may_ask_for_a_version() {
    let shared = Shared::new().await;
    let made = shared.apply("a", json!({ "k": "1" })).await;
    let mut wanted = body(json!({ "k": "2" }));

    wanted["metadata"]["resourceVersion"] = "1".into();
    let stale = shared.apply_body("a", &wanted).await;
    wanted["metadata"]["resourceVersion"] = version(&made).into();
    let fresh = shared.apply_body("a", &wanted).await;

    let (code, reason, message) = told(&stale);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert!(message.contains("the object has been modified"), "{message}");
    assert_eq!((fresh.code, &fresh.json()["data"]), (200, &json!({ "k": "2" })));
}

/// A uid in an applied body says that an object is meant that was there before: nothing is created.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/>
#[tokio::test]
async fn an_apply_with_a_uid_creates_nothing() {
    let shared = Shared::new().await;
    let mut wanted = body(json!({ "k": "1" }));
    wanted["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555".into();

    let refused = shared.apply_body("a", &wanted).await;

    let message = "Operation cannot be fulfilled on configmaps \"one\": uid mismatch: the provided \
                   object specified uid 11111111-2222-3333-4444-555555555555, and no existing \
                   object was found";
    assert_eq!(told(&refused), (409, "Conflict".into(), message.into()));
    assert_eq!(shared.get().await.code, 404);
}

/// A body may be YAML, of which JSON is a part.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#serialization>
#[tokio::test]
async fn an_applied_body_may_be_yaml() {
    let shared = Shared::new().await;
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  k: \"1\"\n";
    let path = format!("{}?fieldManager=a", shared.path);
    let request =
        http::Request::patch(&path).header("content-type", "application/apply-patch+yaml");
    let broken = http::Request::patch(&path).header("content-type", "application/apply-patch+yaml");

    let made = shared.ground.ask(request, text).await;
    let refused = shared.ground.ask(broken, "a: b: c").await;

    assert_eq!((made.code, &made.json()["data"]), (201, &json!({ "k": "1" })));
    let (code, _, message) = told(&refused);
    assert_eq!(code, 400);
    assert!(message.starts_with("error decoding YAML: "), "{message}");
}

/// A rehearsed apply answers what would be, and nothing is.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn an_apply_can_be_rehearsed() {
    let shared = Shared::new().await;

    let made = shared.apply("a&dryRun=All", json!({ "k": "1" })).await;
    let found = shared.get().await;

    assert_eq!((made.code, &made.json()["data"]), (201, &json!({ "k": "1" })));
    assert_eq!(found.code, 404);
}

/// An object that waits for its finalizers takes applies, but no new finalizers by them.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/>
#[tokio::test]
async fn an_apply_to_what_is_being_deleted_adds_no_finalizer() {
    let shared = Shared::new().await;
    let held = |value: &str, finalizers: Value| {
        let mut wanted = body(json!({ "k": value }));
        wanted["metadata"]["finalizers"] = finalizers;
        wanted
    };
    shared.apply_body("a", &held("1", json!(["example.com/a"]))).await;
    shared.ground.delete(&shared.path, &Value::Null).await;

    let changed = shared.apply_body("a", &held("2", json!(["example.com/a"]))).await;
    let more = held("2", json!(["example.com/a", "example.com/b"]));
    let refused = shared.apply_body("a", &more).await;
    let released = shared.apply_body("a", &body(json!({ "k": "2" }))).await;

    assert_eq!((changed.code, &changed.json()["data"]), (200, &json!({ "k": "2" })));
    let (code, _, message) = told(&refused);
    assert_eq!(code, 422);
    assert!(message.contains("no new finalizers can be added"), "{message}");
    assert_eq!(released.code, 200);
    assert_eq!(shared.get().await.code, 404);
}
