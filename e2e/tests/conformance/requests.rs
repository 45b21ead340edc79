//! Which requests does the API take, and in what words does it refuse others?

use http::Request;
use serde_json::{Value, json};

use crate::{
    answers::{causes, core, grouped, names, said, version},
    ground::{Answer, Ground},
};

const NO_METHOD: &str = "the server does not allow this method on the requested resource";
const NO_RESOURCE: &str = "the server could not find the requested resource";

fn map(name: &str) -> Value {
    json!({ "metadata": { "name": name } })
}

async fn post_as(ground: &Ground, media: &str, body: &str) -> Answer {
    let request = Request::post(core(ground, "configmaps")).header("content-type", media);
    ground.ask(request, body).await
}

async fn get_as(ground: &Ground, path: &str, accept: &str) -> Answer {
    ground.ask(Request::get(path).header("accept", accept), "").await
}

/// What is not there is named in the refusal: its kind, its group and its name.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/>
#[tokio::test]
async fn what_is_not_found_is_named() {
    let ground = Ground::new().await;

    let map = ground.get(&format!("{}/none", core(&ground, "configmaps"))).await;
    let lease = grouped(&ground, "coordination.k8s.io/v1", "leases");
    let lease = ground.get(&format!("{lease}/none")).await;

    let not_found = |message: &str| (404, "NotFound".to_owned(), message.to_owned());
    assert_eq!(said(&map), not_found("configmaps \"none\" not found"));
    assert_eq!(map.json()["details"], json!({ "name": "none", "kind": "configmaps" }));
    assert_eq!(said(&lease), not_found("leases.coordination.k8s.io \"none\" not found"));
    assert_eq!(
        lease.json()["details"],
        json!({ "name": "none", "group": "coordination.k8s.io", "kind": "leases" })
    );
}

/// A namespace that is not there takes no objects; reads of it find nothing.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>
#[tokio::test]
async fn a_missing_namespace_takes_nothing() {
    let ground = Ground::new().await;
    let inside = format!("/api/v1/namespaces/{}/configmaps", ground.unique("missing"));

    let refused = ground.post(&inside, &map("one")).await;
    let listed = ground.get(&inside).await;

    assert_eq!(refused.code, 404);
    assert_eq!(refused.json()["details"]["kind"], "namespaces");
    assert_eq!(names(&listed), [""; 0]);
}

/// Resources, versions and subresources that are not served are 404 without a name.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn what_is_not_served_is_not_found() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let namespace = ground.namespace();

    for path in [
        "/api/v1/nothings".to_owned(),
        "/api/v2/pods".to_owned(),
        "/apis/apps/v9/deployments".to_owned(),
        format!("{maps}/one/status"),
        format!("{maps}/one/nothing"),
        format!("/api/v1/namespaces/{namespace}/nodes"),
        "/api/v1/configmaps/one".to_owned(),
    ] {
        let refused = ground.get(&path).await;

        let expected = (404, "NotFound".to_owned(), NO_RESOURCE.to_owned());
        assert_eq!(said(&refused), expected, "{path}");
        assert_eq!(refused.json()["details"], json!({}), "{path}");
    }
}

/// Of a group that nobody serves there is not even a `Status`.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn a_group_that_is_not_served_is_no_page() {
    let ground = Ground::new().await;

    for path in ["/nothing", "/apis/nothing.example.com/v1", "/apis/nothing.example.com/v1/things"]
    {
        let refused = ground.get(path).await;

        assert_eq!((refused.code, refused.text.as_str()), (404, "404 page not found\n"), "{path}");
    }
}

/// A method that a path does not take gets 405 `MethodNotAllowed`.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#api-verbs>
#[tokio::test]
async fn a_path_takes_some_methods() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let pod = format!("{}/one/status", core(&ground, "pods"));

    for (method, path) in [
        ("PUT", maps.clone()),
        ("PATCH", maps.clone()),
        ("POST", format!("{maps}/one")),
        ("POST", "/api/v1/configmaps".to_owned()),
        ("DELETE", "/api/v1/configmaps".to_owned()),
        ("DELETE", "/api/v1/namespaces".to_owned()),
        ("POST", pod.clone()),
        ("DELETE", pod),
        ("POST", "/version".to_owned()),
    ] {
        let request = Request::builder().method(method).uri(&path);
        let request = request.header("content-type", "application/json");
        let refused = ground.ask(request, "{}").await;

        let expected = (405, "MethodNotAllowed".to_owned(), NO_METHOD.to_owned());
        assert_eq!(said(&refused), expected, "{method} {path}");
    }
}

/// A body is JSON, YAML or Protobuf: 415 for others.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>
#[tokio::test]
async fn a_body_is_in_a_known_form() {
    let ground = Ground::new().await;

    let text = post_as(&ground, "text/plain", "{}").await;
    let yaml = post_as(&ground, "application/yaml", "metadata: {name: one}\ndata: {k: v}").await;
    let json = post_as(&ground, "application/json; charset=utf-8", &map("two").to_string()).await;

    assert_eq!(
        said(&text),
        (
            415,
            "UnsupportedMediaType".to_owned(),
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml, application/vnd.kubernetes.protobuf"
                .to_owned()
        )
    );
    assert_eq!((yaml.code, json.code), (201, 201), "{}", yaml.text);
    assert_eq!(yaml.json()["data"], json!({ "k": "v" }));
}

/// A patch says in its media type of which kind it is: 415 for others.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_patch_says_of_which_kind_it_is() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &map("one")).await;

    let request = Request::patch(format!("{maps}/one")).header("content-type", "application/json");
    let refused = ground.ask(request, "{}").await;

    assert_eq!((refused.code, said(&refused).1.as_str()), (415, "UnsupportedMediaType"));
}

/// A client that takes none of the server's forms gets 406.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>
#[tokio::test]
async fn an_answer_is_in_a_form_that_is_taken() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &map("one")).await;

    let html = get_as(&ground, &maps, "text/html").await;
    let odd = get_as(&ground, &maps, "application/json;as=Odd;g=meta.k8s.io;v=v1").await;
    let any = get_as(&ground, &maps, "text/html, */*").await;

    assert_eq!((html.code, said(&html).1.as_str()), (406, "NotAcceptable"));
    assert!(said(&html).2.starts_with("406: Not Acceptable\n\nAvailable representations: "));
    assert_eq!(
        said(&odd).2,
        "only the following media types are accepted: application/json, application/yaml, \
         application/vnd.kubernetes.protobuf"
    );
    assert_eq!(any.code, 200);
}

/// An object can be read as YAML.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>
#[tokio::test]
async fn an_answer_may_be_yaml() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &map("one")).await;

    let read = get_as(&ground, &format!("{maps}/one"), "application/yaml").await;

    assert_eq!(read.headers["content-type"], "application/yaml");
    assert!(read.text.contains("\nkind: ConfigMap\n"), "{}", read.text);
}

/// An object, or a list of them, can be read without what only its kind knows.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-metadata>
#[tokio::test]
async fn metadata_can_be_read_alone() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &json!({ "metadata": { "name": "one" }, "data": { "k": "v" } })).await;
    let form = |kind: &str| format!("application/json;as={kind};g=meta.k8s.io;v=v1");

    let one = get_as(&ground, &format!("{maps}/one"), &form("PartialObjectMetadata")).await;
    let path = format!("{maps}?fieldSelector=metadata.name%3Done");
    let all = get_as(&ground, &path, &form("PartialObjectMetadataList")).await;
    let wrong = get_as(&ground, &maps, &form("PartialObjectMetadata")).await;

    assert_eq!(one.json()["kind"], "PartialObjectMetadata");
    assert_eq!(one.json().get("data"), None);
    assert_eq!(all.json()["kind"], "PartialObjectMetadataList");
    assert_eq!(names(&all), ["one"]);
    assert_eq!(
        said(&wrong).2,
        "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)"
    );
}

/// A body beyond 3 MiB gets 413.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/>
#[tokio::test]
async fn a_body_has_a_size() {
    let ground = Ground::new().await;

    let body = json!({ "metadata": { "name": "one" }, "data": { "k": "v".repeat(3_200_000) } });
    let refused = ground.post(&core(&ground, "configmaps"), &body).await;

    assert_eq!(
        said(&refused),
        (
            413,
            "RequestEntityTooLarge".to_owned(),
            "Request entity too large: limit is 3145728".to_owned()
        )
    );
}

/// A body may leave its kind out; it may not be of another kind than its path.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn a_body_is_of_the_kind_of_its_path() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let body = |kind: &str, version: &str| json!({ "kind": kind, "apiVersion": version, "metadata": { "name": "one" } });

    let secret = ground.post(&maps, &body("Secret", "v1")).await;
    let version = ground.post(&maps, &body("ConfigMap", "v2")).await;
    let bare = ground.post(&maps, &map("one")).await;

    assert_eq!((secret.code, version.code), (400, 400));
    assert!(
        said(&secret).2.starts_with("Secret in version \"v1\" cannot be handled as a ConfigMap")
    );
    assert!(said(&version).2.contains("no kind \"ConfigMap\" is registered for version \"v2\""));
    assert_eq!(bare.json()["kind"], "ConfigMap");
}

/// A body that is no object, or has values of other types, gets 400.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/>
#[tokio::test]
async fn a_body_that_does_not_fit_is_refused() {
    let ground = Ground::new().await;

    for body in
        ["[]", "{", "", r#"{"metadata":"x"}"#, r#"{"metadata":{"name":"a"},"data":{"k":1}}"#]
    {
        let refused = post_as(&ground, "application/json", body).await;

        assert_eq!((refused.code, said(&refused).1.as_str()), (400, "BadRequest"), "{body}");
    }
}

/// Unknown fields are dropped with a warning, silently, or refused, as the client wishes.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#setting-the-field-validation-level>
#[tokio::test]
async fn unknown_fields_are_validated_as_wished() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let post = async |query: &str, name: &str| {
        let body = json!({ "metadata": { "name": name }, "bogus": 1 });
        ground.post(&format!("{maps}{query}"), &body).await
    };

    let unsaid = post("", "a").await;
    let warned = post("?fieldValidation=Warn", "b").await;
    let ignored = post("?fieldValidation=Ignore", "c").await;
    let strict = post("?fieldValidation=Strict", "d").await;
    let odd = post("?fieldValidation=Odd", "e").await;

    for answer in [&unsaid, &warned] {
        assert_eq!(answer.code, 201);
        assert_eq!(answer.headers["warning"], "299 - \"unknown field \\\"bogus\\\"\"");
        assert_eq!(answer.json().get("bogus"), None);
    }
    assert_eq!((ignored.code, ignored.headers.get("warning")), (201, None));
    assert_eq!(
        said(&strict).2,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown \
         field \"bogus\""
    );
    assert_eq!(
        said(&odd).2,
        "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Odd\": \
         supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
    );
    assert_eq!((strict.code, odd.code), (400, 422));
}

/// Where unknown fields are refused, a PUT is refused for them too.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#setting-the-field-validation-level>
#[tokio::test]
async fn a_put_is_strict_too() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &map("one")).await;
    let body = json!({ "metadata": { "name": "one", "odd": 1 }, "data": { "k": "v" } });

    let refused = ground.put(&format!("{maps}/one?fieldValidation=Strict"), &body).await;

    assert_eq!(refused.code, 400);
    assert!(said(&refused).2.ends_with("strict decoding error: unknown field \"metadata.odd\""));
    assert_eq!(ground.get(&format!("{maps}/one")).await.json().get("data"), None);
}

/// A rehearsal goes through all there is but the storage.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn a_creation_can_be_rehearsed() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &map("taken")).await;
    let rehearse = async |metadata: Value| {
        ground.post(&format!("{maps}?dryRun=All"), &json!({ "metadata": metadata })).await
    };

    let made = rehearse(json!({ "name": "one" })).await;
    let named = rehearse(json!({ "generateName": "one-" })).await;
    let taken = rehearse(json!({ "name": "taken" })).await;
    let bad = rehearse(json!({ "name": "B" })).await;

    assert_eq!((made.code, taken.code, bad.code), (201, 409, 422));
    assert_ne!(made.json()["metadata"]["uid"], Value::Null);
    assert_eq!(made.json()["metadata"].get("resourceVersion"), None);
    assert!(named.json()["metadata"]["name"].as_str().unwrap().starts_with("one-"));
    assert_eq!(ground.get(&format!("{maps}/one")).await.code, 404);
}

/// A rehearsed change is answered as if it were made, under the version that is there.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn a_change_can_be_rehearsed() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let made = ground.post(&maps, &map("one")).await;
    let dry = format!("{maps}/one?dryRun=All");
    let changed = json!({ "metadata": { "name": "one" }, "data": { "k": "v" } });

    let put = ground.put(&dry, &changed).await;
    let patched = ground.patch(&dry, "merge", &json!({ "data": { "k": "v" } })).await;

    for answer in [put, patched] {
        assert_eq!(answer.json()["data"], json!({ "k": "v" }));
        assert_eq!(version(&answer), version(&made));
    }
    assert_eq!(ground.get(&format!("{maps}/one")).await.json().get("data"), None);
}

/// There is one kind of rehearsal: another word for it gets 422.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn a_rehearsal_has_one_name() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");

    let refused = ground.post(&format!("{maps}?dryRun=Some"), &map("one")).await;

    assert_eq!(
        said(&refused).2,
        "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported \
         values: \"All\""
    );
    assert_eq!(causes(&refused)[0].0, "dryRun");
}

/// A manager of fields has a name of at most 128 characters that can be read.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers>
#[tokio::test]
async fn a_manager_has_a_name() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let post = async |manager: &str| {
        let body = json!({ "metadata": { "name": "one" }, "data": { "k": "v" } });
        ground.post(&format!("{maps}?fieldManager={manager}"), &body).await
    };

    let long = post(&"m".repeat(129)).await;
    let odd = post("a%0Ab").await;
    let fine = post("mine").await;

    assert_eq!(causes(&long)[0].1, "Too long: may not be more than 128 bytes");
    assert_eq!(
        causes(&odd)[0].1,
        r#"Invalid value: "a\nb": invalid character U+000A (at position 1)"#
    );
    assert_eq!(fine.json()["metadata"]["managedFields"][0]["manager"], "mine");
}

/// Only an apply can be forced.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts>
#[tokio::test]
async fn only_an_apply_is_forced() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    ground.post(&maps, &map("one")).await;

    let path = format!("{maps}/one?force=true");
    let refused = ground.patch(&path, "merge", &json!({ "data": { "k": "v" } })).await;

    assert_eq!(
        said(&refused).2,
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for \
         non-apply patch"
    );
}
